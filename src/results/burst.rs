//! What a wake-up costs and what a frame, role by role: the line a + b · B through the CPU time of bursts of B messages.
//!
//! A wake-up's price a depends on how idle the machine is and on how work is told apart; a frame's b on neither. So the
//! roles' slopes, the switch's too, are the proof of the instrument: with a thread for each end of each link they must sum
//! to the slope of the machine's busy time on plain links, where nothing is told apart and nothing added.

use super::factor::Factor;
use super::figure::Scale;
use super::grid::Grid;
use super::metadata::Calibration;
use super::metric::Metric;
use super::paired::{Effect, Line, Ratio};
use super::row::{ConditionRow, HostRow};
use super::summary::{TrialValues, Trials};
use super::table::Paint;
use super::trial::Who;
use crate::units::Role;

/// What bursts cost in conditions that differ in nothing but the burst, and in who does the links' work.
#[derive(Clone, Debug, PartialEq)]
pub struct BurstCosts {
    /// What they are of: mode, receivers, hosts, size.
    pub of: String,
    /// Whoever was measured, the machine last.
    pub lines: Vec<BurstLine>,
    /// How many times the machine's slope on plain links the sum of all roles' slopes is; `None` where one of the two was
    /// not measured.
    pub closure: Option<Effect>,
}

/// The line of one role, in µs of CPU time for each wake-up of the sender.
#[derive(Clone, Debug, PartialEq)]
pub struct BurstLine {
    /// Whose.
    pub whose: &'static str,
    /// The intercept.
    pub wake_up: Effect,
    /// The slope.
    pub frame: Effect,
    /// Whether some of the trials are marked ones.
    pub doubtful: bool,
}

/// The columns: whose, a wake-up, a frame.
pub const COLUMNS: [&str; 3] = ["", "a wake-up", "a frame"];

/// Those whose CPU time is told apart, and how they are called.
const ROLES: [(Who<'_>, &str, &str); 7] = [
    (Who::Role(Role::Sender), "cpu_per_wake_up", "the sender"),
    (Who::Role(Role::Server), "cpu_per_wake_up", "the server"),
    (Who::Role(Role::Receiver), "cpu_per_wake_up", "each receiver"),
    (Who::Role(Role::Bystander), "cpu_per_wake_up", "each bystander"),
    (Who::Role(Role::Router), "cpu_per_wake_up", "the router"),
    (Who::Role(Role::Switch), "cpu_per_wake_up", "the switch, waking and copying"),
    (Who::Lan, "cpu_attributed", "all of them together"),
];

/// The costs of all conditions that differ in the burst, in the order of the conditions; none where none do.
pub fn burst_costs(conditions: &[ConditionRow], hosts: &[HostRow]) -> Vec<BurstCosts> {
    let mut lists: Vec<Vec<&ConditionRow>> = Vec::new();
    for condition in conditions {
        match lists.iter_mut().find(|list| differ_in_bursts_alone(list[0], condition)) {
            Some(list) => list.push(condition),
            None => lists.push(vec![condition]),
        }
    }
    lists.iter().filter_map(|list| costs(list, hosts)).collect()
}

fn differ_in_bursts_alone(a: &ConditionRow, b: &ConditionRow) -> bool {
    let others = Factor::ALL.into_iter().filter(|factor| ![Factor::Burst, Factor::Attribution].contains(factor));
    let same = |factor: Factor| (factor.about().of_row)(a) == (factor.about().of_row)(b);
    others.into_iter().all(same) && (a.ipv6, a.lans) == (b.ipv6, b.lans)
}

/// Conditions that differ in the burst, with the trials of each.
struct Bursts<'a>(Vec<(f64, Trials<'a>)>);

/// A figure of each of them, at its burst.
type Points = Vec<(f64, TrialValues)>;

impl<'a> Bursts<'a> {
    /// Those with this attribution; `None` where the burst does not vary.
    fn of(conditions: &[&ConditionRow], attribution: &str, hosts: &'a [HostRow]) -> Option<Bursts<'a>> {
        let of = |condition: &&&ConditionRow| condition.attribution == attribution;
        let trials = |condition: &&ConditionRow| {
            let own = |row: &&HostRow| row.condition == condition.condition && row.mode == condition.mode;
            (f64::from(condition.burst), Trials::of(hosts.iter().filter(own)))
        };
        let mut all: Vec<_> = conditions.iter().filter(of).map(trials).collect();
        all.sort_by(|a, b| a.0.total_cmp(&b.0));
        all.dedup_by(|a, b| a.0 == b.0);
        (all.len() > 1).then_some(Bursts(all))
    }

    /// `None` where one of the conditions lacks it.
    fn points(&self, who: Who, metric: &str) -> Option<Points> {
        let metric = Metric::named(metric)?;
        self.0.iter().map(|(burst, trials)| Some((*burst, trials.values(who, metric)?))).collect()
    }
}

fn costs(conditions: &[&ConditionRow], hosts: &[HostRow]) -> Option<BurstCosts> {
    let told = Bursts::of(conditions, "threads", hosts);
    let plain = Bursts::of(conditions, "plain", hosts);
    let of = |bursts: &Option<Bursts>, who, metric| bursts.as_ref()?.points(who, metric);
    let mut lines: Vec<BurstLine> =
        ROLES.iter().filter_map(|(who, metric, whose)| line(whose, &of(&told, *who, metric)?)).collect();
    lines.extend(of(&told, Who::Lan, "machine_busy").and_then(|points| line("the machine", &points)));
    let machine = of(&plain, Who::Lan, "machine_busy");
    lines.extend(machine.as_ref().and_then(|points| line("the machine, on plain links", points)));
    let closure = of(&told, Who::Lan, "cpu_attributed").zip(machine).and_then(|(sum, machine)| closure(&sum, &machine));
    let first = conditions.first()?;
    let in_words = |factor: Factor| Some(factor.in_words(&[(factor.about().of_row)(first)?], &[]));
    let parts = [Factor::Mode, Factor::Receivers, Factor::Hosts, Factor::Rate, Factor::Size];
    let of = parts.into_iter().filter_map(in_words).map(|words| words.replace("messages/s", "wake-ups/s"));
    let case = Some(first.case.clone()).filter(|case| !case.is_empty());
    let of = case.into_iter().chain(of).collect::<Vec<_>>().join(" · ");
    (!lines.is_empty()).then_some(BurstCosts { of, lines, closure })
}

fn line(whose: &'static str, points: &Points) -> Option<BurstLine> {
    let values: Vec<&TrialValues> = points.iter().map(|(_, values)| values).collect();
    let line = Line::of(&rounds(points, &TrialValues::by_round(&values), 0))?;
    let doubtful = values.iter().any(|values| values.doubtful > 0);
    Some(BurstLine { whose, wake_up: line.intercept, frame: line.slope, doubtful })
}

/// The ratio of two slopes, round by round.
fn closure(sum: &Points, machine: &Points) -> Option<Effect> {
    let all: Vec<&TrialValues> = sum.iter().chain(machine).map(|(_, values)| values).collect();
    let by_round = TrialValues::by_round(&all);
    let slopes = |points: &Points, from| {
        let lines = rounds(points, &by_round, from).into_iter().map(|round| Line::of(&[round]));
        lines.map(|line| Some(line?.slope.value)).collect::<Option<Vec<f64>>>()
    };
    let pairs: Vec<(f64, f64)> = slopes(sum, 0)?.into_iter().zip(slopes(machine, sum.len())?).collect();
    Ratio::of(&pairs).map(|ratio| ratio.effect)
}

/// The points of each round, whose figures begin at column `from`.
fn rounds(points: &Points, by_round: &[Vec<f64>], from: usize) -> Vec<Vec<(f64, f64)>> {
    let of = |round: &Vec<f64>| points.iter().map(|(burst, _)| *burst).zip(round.iter().skip(from).copied()).collect();
    by_round.iter().map(of).collect()
}

impl BurstLine {
    /// Its cells, for the [`COLUMNS`].
    pub fn cells(&self) -> [String; 3] {
        let doubt = if self.doubtful { "~" } else { "" };
        let cell = |effect: &Effect| doubt.to_owned() + &in_words("us/wake-up", effect);
        [self.whose.to_owned(), cell(&self.wake_up), cell(&self.frame)]
    }
}

fn in_words(unit: &str, effect: &Effect) -> String {
    let ends: Vec<f64> = effect.ci95.into_iter().flat_map(|(low, high)| [low, high]).collect();
    let scale = Scale::of(unit, effect.value, &ends);
    scale.with_interval(scale.with_unit(effect.value), effect.ci95)
}

impl BurstCosts {
    /// A heading.
    pub fn title(&self) -> String {
        format!("CPU time of a wake-up of the sender, and of each frame sent then · {}", self.of)
    }

    /// What is to be said below: whether it adds up, and what the instrument itself costs.
    pub fn remarks(&self, calibration: Option<&Calibration>) -> Vec<String> {
        let sum = self.closure.as_ref().map(|closure| {
            let ratio = in_words("ratio", closure);
            format!("A frame's costs sum to {ratio} of what it costs the machine on plain links.")
        });
        let instrument = calibration.filter(|calibration| calibration.plain_busy_s > 0.0).map(|calibration| {
            let factor = calibration.threaded_busy_s / calibration.plain_busy_s;
            format!(
                "Threads that tell the hosts apart are woken, too: {} messages/s, one at a time, keep the machine busy {factor:.1} \
                 times as long as on plain links. The switch's wake-ups would be interrupts of the hosts in real life.",
                super::figure::count(calibration.rate)
            )
        });
        sum.into_iter().chain(instrument).collect()
    }

    /// For the terminal.
    pub fn table(&self, calibration: Option<&Calibration>, paint: Paint) -> String {
        let mut grid = Grid::default().group("", &COLUMNS[..1]).group("", &COLUMNS[1..]);
        self.lines.iter().for_each(|line| grid.row(line.cells().to_vec()));
        let remarks = self.remarks(calibration).into_iter().map(|remark| paint.dim(&remark) + "\n").collect::<String>();
        format!("{}\n{}{remarks}", paint.bold(&self.title()), grid.painted(paint))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Mode;

    const WAKE_UPS: u64 = 100;

    fn condition(burst: u32, attribution: &str) -> ConditionRow {
        ConditionRow {
            condition: format!("c{burst}-{attribution}"),
            mode: Mode::Broadcast,
            setting: 1,
            label: String::new(),
            case: String::new(),
            hosts: 3,
            receivers: 1,
            bystanders: 1,
            switch: "snooping".to_owned(),
            nic: "promiscuous".to_owned(),
            lans: 1,
            ipv6: false,
            offered_rate: Some(500.0 * f64::from(burst)),
            size_bytes: 64,
            duration_s: 0.2,
            trials: 3,
            ttl: None,
            group_address: String::new(),
            relay: String::new(),
            qos: None,
            distance_s: 0.0,
            igmp: String::new(),
            broadcast_address: "limited".to_owned(),
            burst,
            attribution: attribution.to_owned(),
        }
    }

    /// Rows in which a frame costs the sender 2 µs, a receiver 1.5, a bystander 1, the switch 2.5: 7 together, and a
    /// wake-up ten times that.
    fn rows(condition: &ConditionRow) -> Vec<HostRow> {
        let us = |of_frame: f64| {
            let of_wake_up = of_frame * (10.0 + f64::from(condition.burst));
            Some((of_wake_up * WAKE_UPS as f64 * 1e3) as u64)
        };
        let threads = condition.attribution == "threads";
        let roles =
            [(Role::Sender, 2.0), (Role::Receiver, 1.5), (Role::Bystander, 1.0), (Role::Switch, 2.5)].into_iter();
        let of_trial = |trial: u32| {
            roles.clone().map(move |(role, cost)| {
                let mut row = HostRow::new("1f", &condition.condition, condition.mode, trial, role.as_str(), role);
                row.cpu_total_ns = us(cost).filter(|_| threads);
                if role == Role::Sender {
                    row.messages_sent = Some(WAKE_UPS * u64::from(condition.burst));
                    row.wake_ups = Some(WAKE_UPS);
                    row.machine_busy_ns = us(7.0);
                }
                row
            })
        };
        (1..=3).flat_map(of_trial).collect()
    }

    fn measured(conditions: &[ConditionRow]) -> Vec<BurstCosts> {
        burst_costs(conditions, &conditions.iter().flat_map(rows).collect::<Vec<_>>())
    }

    #[test]
    fn a_wake_up_and_a_frame_of_each_role_and_whether_they_add_up() {
        let conditions: Vec<ConditionRow> =
            ["threads", "plain"].iter().flat_map(|how| [1, 4, 16].map(|burst| condition(burst, how))).collect();
        let [costs] = &measured(&conditions)[..] else { panic!("one table") };
        let told: Vec<_> = costs.lines.iter().map(|line| (line.whose, line.wake_up.value, line.frame.value)).collect();
        for ((whose, wake_up, frame), (expected, cost)) in told.iter().zip([
            ("the sender", 2.0),
            ("each receiver", 1.5),
            ("each bystander", 1.0),
            ("the switch, waking and copying", 2.5),
            ("all of them together", 7.0),
            ("the machine", 7.0),
            ("the machine, on plain links", 7.0),
        ]) {
            assert_eq!(*whose, expected);
            assert!((wake_up - 10.0 * cost).abs() < 1e-6 && (frame - cost).abs() < 1e-6, "{told:?}");
        }
        assert_eq!(told.len(), 7);
        let closure = costs.closure.unwrap();
        assert!((closure.value - 1.0).abs() < 1e-9 && closure.ci95.is_some(), "{closure:?}");
        let calibration = Calibration { window_s: 0.8, rate: 2000.0, plain_busy_s: 0.13, threaded_busy_s: 0.43 };
        let text = costs.table(Some(&calibration), Paint::Plain);
        assert!(text.contains("broadcast · 1 receiver · 3 hosts · 500 wake-ups/s · 64 B"), "{text}");
        assert!(text.contains("sum to 100 %") && text.contains("3.3 times"), "{text}");
    }

    #[test]
    fn without_several_bursts_there_is_no_table() {
        assert_eq!(measured(&[condition(1, "threads"), condition(16, "plain")]), []);
        let mut other = condition(16, "threads");
        other.receivers = 2;
        assert_eq!(measured(&[condition(1, "threads"), other]), [], "more than the burst differs");
        // The machine alone is told on plain links.
        let [costs] = &measured(&[condition(1, "plain"), condition(16, "plain")])[..] else { panic!("one table") };
        assert_eq!(costs.lines.iter().map(|line| line.whose).collect::<Vec<_>>(), ["the machine, on plain links"]);
        assert_eq!((costs.closure, costs.remarks(None)), (None, Vec::new()));
    }
}
