//! Which charts a run deserves: what its conditions differ in, and the metrics that change with it.

use std::collections::{BTreeMap, BTreeSet};

use super::axis::{is_drawable, tick_label};
use super::chart::{LineChart, Point, Series};
use super::data::{Group, Run, switch_in_words};
use super::metric::{Metric, SWEPT, of_groups};
use super::rows::{Mark, Row, RowChart, RowGroup};
use crate::results::factor::Factor;
use crate::results::row::ConditionRow;
use crate::units::Mode;

/// The charts over one factor.
#[derive(Debug)]
pub(super) struct Sweep {
    /// What the conditions differ in.
    pub(super) over: &'static str,
    /// What changes along with it, and so cannot be told apart from it.
    pub(super) along: Vec<&'static str>,
    pub(super) charts: Vec<LineChart>,
    /// Numbers of the settings in them.
    settings: BTreeSet<usize>,
}

/// More lines than this in one chart hide each other.
const MOST_LINES: usize = 6;

/// A difference that is no number: in words, empty where there is nothing to say.
#[derive(Clone, Copy)]
enum Kind {
    Factor(Factor),
    Ipv6,
    Lans,
}

/// Those differences, the case first.
fn kinds() -> impl Iterator<Item = Kind> {
    // The mode is what is compared in each of them.
    let words = Factor::ALL.into_iter().filter(|f| *f != Factor::Mode && f.about().number.is_none());
    words.map(Kind::Factor).chain([Kind::Ipv6, Kind::Lans])
}

impl Kind {
    fn of(self, row: &ConditionRow) -> String {
        match self {
            Kind::Factor(Factor::Case) => row.case.clone(),
            Kind::Factor(Factor::Switch) => switch_in_words(&row.switch, row.ipv6),
            Kind::Factor(Factor::Nic) if row.nic == "filter" => "card with a MAC filter".to_owned(),
            Kind::Factor(Factor::Nic) => String::new(),
            Kind::Factor(factor) => (factor.about().of_row)(row).map_or(String::new(), |v| factor.in_words(&[v], &[])),
            Kind::Ipv6 => if row.ipv6 { "IPv6" } else { "IPv4" }.to_owned(),
            Kind::Lans if row.lans > 1 => format!("{} LANs", row.lans),
            Kind::Lans => String::new(),
        }
    }

    /// Whether it sets conditions of one mode apart, and is no difference between modes.
    fn is_of_a_mode(self) -> bool {
        match self {
            Kind::Factor(factor) => !factor.matters_to_all(),
            Kind::Ipv6 | Kind::Lans => false,
        }
    }
}

/// A number in a row; `None` where it has none.
fn number(factor: Factor, row: &ConditionRow) -> Option<f64> {
    (factor.about().of_row)(row)?.number()
}

/// As the title of an axis.
fn axis(factor: Factor) -> &'static str {
    factor.about().number.map_or(factor.about().key, |number| number.axis)
}

/// A sweep for each number that conditions differ in while everything else stays the same.
pub(super) fn sweeps(run: &Run) -> Vec<Sweep> {
    let conditions: Vec<(&Group, &ConditionRow)> = run.conditions().collect();
    let metrics = metrics(run);
    let mut sweeps: Vec<Sweep> = Vec::new();
    for factor in Factor::numbers() {
        let told = Factor::numbers().take_while(|earlier| *earlier != factor).any(|earlier| {
            sweeps.iter().any(|sweep| sweep.over == axis(earlier)) && go_together(&conditions, earlier, factor)
        });
        if told {
            continue;
        }
        let along: Vec<Factor> = Factor::numbers()
            .filter(|other| *other != factor && varies(&conditions, *other))
            .filter(|other| follows(&conditions, factor, *other))
            .collect();
        let lines = lines(&conditions, factor, &along);
        if lines.is_empty() {
            continue;
        }
        let charts: Vec<LineChart> = metrics.iter().flat_map(|metric| charts(metric, factor, &lines)).collect();
        if !charts.is_empty() {
            let along = along.into_iter().filter(|other| lines.iter().any(|line| line.varies(*other)));
            let along = along.map(axis).collect();
            let points = lines.iter().flat_map(|line| &line.conditions);
            let settings = points.map(|(_, group)| group.number).collect();
            sweeps.push(Sweep { over: axis(factor), along, charts, settings });
        }
    }
    sweeps
}

/// A chart for each metric that differs between settings, a group of bars for each setting; for runs with settings that
/// are in no sweep and differ in more than a number.
pub(super) fn comparisons(run: &Run, sweeps: &[Sweep]) -> Vec<RowChart> {
    let swept = run.groups.iter().all(|group| sweeps.iter().any(|sweep| sweep.settings.contains(&group.number)));
    let differs = |kind: Kind, mode: Option<Mode>| {
        let conditions = run.conditions().filter(|(_, condition)| mode.is_none_or(|mode| mode == condition.mode));
        let mut values = conditions.map(|(_, condition)| kind.of(condition));
        values.next().is_some_and(|first| values.any(|value| value != first))
    };
    let differ = kinds().any(|kind| {
        if kind.is_of_a_mode() {
            run.modes().into_iter().any(|mode| differs(kind, Some(mode)))
        } else {
            differs(kind, None)
        }
    });
    if swept || !differ {
        return Vec::new();
    }
    let chart = |metric: &Metric| {
        let row = |group: &Group, mode: Mode| {
            let row = group.figures(mode, &metric.role, metric.name);
            let figure = metric.figure(row);
            let mark = figure.map_or(Mark::None, |f| Mark::Bar { value: f.mean, interval: f.interval });
            (Row { mode, mark, text: metric.with_interval(row) }, figure.map(|figure| figure.mean))
        };
        let rows_of = |group: &Group| -> Vec<_> {
            let modes = group.setting.modes.iter().filter(|mode| metric.is_of(**mode));
            modes.map(|&mode| row(group, mode)).collect()
        };
        let rows: Vec<Vec<_>> = run.groups.iter().map(rows_of).collect();
        let means: Vec<f64> = rows.iter().flatten().filter_map(|(_, mean)| *mean).collect();
        metric.differ(&means).then(|| RowChart {
            name: format!("compare-{}", metric.slug()),
            title: metric.title.to_string(),
            unit: metric.unit.to_owned(),
            parts: Vec::new(),
            groups: run
                .groups
                .iter()
                .zip(rows)
                // What only some settings have is shown of those.
                .filter(|(_, rows)| !metric.is_of_group() || rows.iter().any(|(_, mean)| mean.is_some()))
                .map(|(group, rows)| RowGroup {
                    heading: group.heading.clone(),
                    rows: rows.into_iter().map(|(row, _)| row).collect(),
                })
                .collect(),
        })
    };
    metrics(run).iter().filter_map(chart).collect()
}

/// All that may be shown, in this order.
fn metrics(run: &Run) -> Vec<Metric> {
    let summaries: Vec<_> = run.groups.iter().map(|group| group.summary.as_slice()).collect();
    let (alone, rest): (Vec<Metric>, Vec<Metric>) =
        of_groups(&summaries).into_iter().partition(Metric::is_of_group_alone);
    alone.into_iter().chain(SWEPT.iter().cloned()).chain(rest).collect()
}

/// Conditions in which all but the factor is the same.
struct Line<'a> {
    mode: Mode,
    /// In what it differs from other lines of its mode, in words; empty for nothing.
    variant: String,
    conditions: Vec<(f64, &'a Group)>,
}

impl Line<'_> {
    /// Whether a factor differs between its points.
    fn varies(&self, factor: Factor) -> bool {
        let rows = self.conditions.iter().flat_map(|(_, group)| &group.conditions).filter(|row| row.mode == self.mode);
        let mut values = rows.map(|row| bits(number(factor, row)));
        values.next().is_some_and(|first| values.any(|value| value != first))
    }
}

/// The lines of a factor that have at least two different values of it.
fn lines<'a>(conditions: &[(&'a Group, &ConditionRow)], factor: Factor, along: &[Factor]) -> Vec<Line<'a>> {
    let fixed: Vec<Factor> = Factor::numbers().filter(|other| *other != factor && !along.contains(other)).collect();
    // A case that is but another name for the factor's value is no difference of its own.
    let named = case_follows(conditions, factor);
    let kinds: Vec<Kind> = kinds().skip(usize::from(named)).collect();
    let key = |row: &ConditionRow| {
        let numbers: Vec<u64> = fixed.iter().map(|other| bits(number(*other, row))).collect();
        (row.mode, kinds.iter().map(|kind| kind.of(row)).collect::<Vec<_>>(), numbers)
    };
    let mut lists: BTreeMap<_, Vec<(f64, &Group, &ConditionRow)>> = BTreeMap::new();
    for (group, row) in conditions {
        if let Some(x) = number(factor, row).filter(|x| is_drawable(*x)) {
            lists.entry(key(row)).or_default().push((x, group, row));
        }
    }
    lists.retain(|_, list| {
        list.sort_by(|a, b| a.0.total_cmp(&b.0));
        list.dedup_by(|a, b| a.0 == b.0);
        list.len() > 1
    });
    let firsts: Vec<&ConditionRow> = lists.values().filter_map(|list| list.first()).map(|(.., row)| *row).collect();
    let line = |list: &Vec<(f64, &'a Group, &ConditionRow)>| {
        let (_, _, row) = list.first()?;
        Some(Line {
            mode: row.mode,
            variant: variant(row, &firsts, &kinds, &fixed),
            conditions: list.iter().map(|(x, group, _)| (*x, *group)).collect(),
        })
    };
    lists.values().filter_map(line).collect()
}

/// In what a line differs from others.
fn variant(row: &ConditionRow, others: &[&ConditionRow], kinds: &[Kind], fixed: &[Factor]) -> String {
    let mut label = Vec::new();
    let is_alike = |other: &&&ConditionRow| other.mode == row.mode;
    for kind in kinds {
        let (value, of_a_mode) = (kind.of(row), kind.is_of_a_mode());
        let differs = others.iter().filter(|other| !of_a_mode || is_alike(other)).any(|other| kind.of(other) != value);
        if differs && !value.is_empty() && !label.contains(&value) {
            label.push(value);
        }
    }
    for &factor in fixed {
        let value = number(factor, row);
        if others.iter().filter(is_alike).any(|other| bits(number(factor, other)) != bits(value)) {
            let value = value.map_or_else(|| "max".to_owned(), tick_label);
            label.push(format!("{value} {}", axis(factor)));
        }
    }
    label.join(", ")
}

/// A chart with all lines, or, where they would be too many, one for each variant; none where there is nothing to see.
fn charts(metric: &Metric, factor: Factor, lines: &[Line]) -> Vec<LineChart> {
    let lines: Vec<&Line> = lines.iter().filter(|line| metric.is_of(line.mode)).collect();
    let mut variants: Vec<&str> = Vec::new();
    for line in &lines {
        if !variants.contains(&line.variant.as_str()) {
            variants.push(&line.variant);
        }
    }
    let series = |line: &Line, label: String, variant: Option<usize>| {
        let point = |(x, group): &(f64, &Group)| {
            let row = group.figures(line.mode, &metric.role, metric.name);
            Point::of(*x, metric.figure(row)?, metric.with_interval(row))
        };
        let points = line.conditions.iter().filter_map(point).collect();
        Series { label, mode: line.mode, variant, points }
    };
    let chart = |index: Option<usize>, series: Vec<Series>| LineChart {
        name: format!("{}-{}{}", factor, metric.slug(), index.map_or_else(String::new, |i| format!("-{}", i + 1))),
        title: match index {
            Some(index) => format!("{}: {}", metric.title, variants[index]),
            None => metric.title.to_string(),
        },
        unit: metric.unit.to_owned(),
        over: axis(factor).to_owned(),
        in_time: false,
        series,
        beside: Vec::new(),
    };
    let mut charts: Vec<LineChart> = if variants.len() > 1 && lines.len() > MOST_LINES {
        let of_variant = |index: usize| {
            let lines = lines.iter().filter(|line| line.variant == variants[index]);
            chart(Some(index), lines.map(|line| series(line, line.mode.to_string(), None)).collect())
        };
        (0..variants.len()).map(of_variant).collect()
    } else {
        let labelled = |line: &&Line| {
            let index = variants.iter().position(|variant| *variant == line.variant);
            let label = if line.variant.is_empty() {
                line.mode.to_string()
            } else {
                format!("{}, {}", line.mode, line.variant)
            };
            series(line, label, index.filter(|_| variants.len() > 1))
        };
        vec![chart(None, lines.iter().map(labelled).collect())]
    };

    let points = || charts.iter().flat_map(|chart| &chart.series).flat_map(|series| &series.points);
    let means: Vec<f64> = points().map(|point| point.figure.mean).collect();
    charts.retain(|chart| chart.series.iter().any(|series| series.points.len() > 1));
    if !metric.differ(&means) {
        charts.clear();
    }
    if charts.len() > 1 {
        // Charts to be compared have one scale.
        charts.iter_mut().for_each(|chart| chart.beside.clone_from(&means));
    }
    charts
}

fn varies(conditions: &[(&Group, &ConditionRow)], factor: Factor) -> bool {
    let mut values = conditions.iter().filter_map(|(_, row)| number(factor, row));
    values.next().is_some_and(|first| values.any(|value| value != first))
}

/// Whether each value of the one factor comes with but one value of the other, in each mode.
fn follows(conditions: &[(&Group, &ConditionRow)], one: Factor, other: Factor) -> bool {
    let mut with: BTreeMap<(Mode, u64), u64> = BTreeMap::new();
    conditions.iter().all(|(_, row)| {
        let value = bits(number(other, row));
        *with.entry((row.mode, bits(number(one, row)))).or_insert(value) == value
    })
}

/// Whether each value of the factor has but one case, and each case but one value.
fn case_follows(conditions: &[(&Group, &ConditionRow)], factor: Factor) -> bool {
    let mut case_of: BTreeMap<u64, &str> = BTreeMap::new();
    let mut value_of: BTreeMap<&str, u64> = BTreeMap::new();
    varies(conditions, factor)
        && conditions.iter().all(|(_, row)| {
            let value = bits(number(factor, row));
            *case_of.entry(value).or_insert(&row.case) == row.case
                && *value_of.entry(&row.case).or_insert(value) == value
        })
}

fn go_together(conditions: &[(&Group, &ConditionRow)], one: Factor, other: Factor) -> bool {
    follows(conditions, one, other) && follows(conditions, other, one)
}

/// A value that can be compared for being the same.
fn bits(value: Option<f64>) -> u64 {
    value.map_or(u64::MAX, f64::to_bits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::row::SummaryRow;
    use crate::results::setting::Setting;
    use crate::units::Rate;

    fn condition(mode: Mode, receivers: u64) -> ConditionRow {
        ConditionRow {
            condition: format!("{mode}-{receivers}"),
            mode,
            setting: 1,
            label: String::new(),
            case: String::new(),
            hosts: 21,
            receivers,
            bystanders: 20 - receivers,
            switch: "snooping".to_owned(),
            nic: "promiscuous".to_owned(),
            lans: 1,
            ipv6: false,
            offered_rate: Some(500.0),
            size_bytes: 64,
            duration_s: 1.0,
            trials: 3,
            ttl: (mode == Mode::Multicast).then_some(1),
            group_address: String::new(),
            relay: String::new(),
            qos: None,
            distance_s: 0.0,
            igmp: String::new(),
            broadcast_address: String::new(),
            burst: 1,
            attribution: String::new(),
        }
    }

    /// A setting for each list of conditions. By unicast the sender sends a frame for each receiver, else one.
    fn run(settings: Vec<Vec<ConditionRow>>) -> Run {
        let frames = |row: &ConditionRow| if row.mode == Mode::Unicast { row.receivers as f64 } else { 1.0 };
        let group = |(index, conditions): (usize, Vec<ConditionRow>)| Group {
            number: index + 1,
            heading: format!("setting {}", index + 1),
            label: None,
            setting: Setting {
                case: String::new(),
                hosts: 21,
                receivers: conditions[0].receivers as usize,
                rate: Rate::Max,
                size_bytes: 64,
                trials: 3,
                switch: String::new(),
                modes: conditions.iter().map(|row| row.mode).collect(),
            },
            summary: conditions
                .iter()
                .filter_map(|row| {
                    let values = [frames(row); 3];
                    SummaryRow::of(&row.condition, row.mode, "sender", "link_tx_frames", "frames/message", &values)
                })
                .collect(),
            conditions,
        };
        Run {
            hosts: Vec::new(),
            samples: Vec::new(),
            groups: settings.into_iter().enumerate().map(group).collect(),
            claims: Vec::new(),
            predictions: Vec::new(),
            facts: None,
            conditions_known: true,
            files: Vec::new(),
        }
    }

    fn both(receivers: u64, change: impl Fn(&mut ConditionRow)) -> Vec<ConditionRow> {
        let mut rows = vec![condition(Mode::Unicast, receivers), condition(Mode::Multicast, receivers)];
        rows.iter_mut().for_each(change);
        rows
    }

    fn labels(chart: &LineChart) -> Vec<&str> {
        chart.series.iter().map(|series| series.label.as_str()).collect()
    }

    #[test]
    fn a_number_that_varies_is_swept() {
        let run = run([4, 1, 16].map(|k| both(k, |_| {})).to_vec());
        let sweeps = sweeps(&run);
        assert_eq!(sweeps.iter().map(|sweep| sweep.over).collect::<Vec<_>>(), ["receivers"]);
        let [chart] = &sweeps[0].charts[..] else { panic!("one metric was measured: {sweeps:?}") };
        assert_eq!(
            (chart.name.as_str(), labels(chart)),
            ("receivers-sender-link-tx-frames", vec!["unicast", "multicast"])
        );
        let points: Vec<_> = chart.series[0].points.iter().map(|point| (point.x, point.figure.mean)).collect();
        assert_eq!(points, [(1.0, 1.0), (4.0, 4.0), (16.0, 16.0)]);
        assert!(comparisons(&run, &sweeps).is_empty(), "all settings are in the sweep");
    }

    #[test]
    fn numbers_that_go_together_are_one_sweep() {
        let settings = [(2, 10), (8, 40)].map(|(k, hosts)| both(k, |row| row.hosts = hosts));
        let sweeps = sweeps(&run(settings.to_vec()));
        let told: Vec<_> = sweeps.iter().map(|sweep| (sweep.over, sweep.along.clone())).collect();
        assert_eq!(told, [("receivers", vec!["hosts"])]);
    }

    #[test]
    fn what_else_differs_parts_the_lines() {
        let on = |switch: &'static str| [1, 4].map(move |k| both(k, |row| row.switch = switch.to_owned()));
        let two = sweeps(&run([on("hub"), on("snooping")].concat()));
        assert_eq!(
            labels(&two[0].charts[0]),
            [
                "unicast, hub",
                "unicast, switch with IGMP snooping",
                "multicast, hub",
                "multicast, switch with IGMP snooping"
            ]
        );
        let variants: Vec<_> = two[0].charts[0].series.iter().map(|series| series.variant).collect();
        assert_eq!(variants, [Some(0), Some(1), Some(0), Some(1)]);
        // More of them have a chart each, all with the same scale.
        let four = sweeps(&run([on("hub"), on("snooping"), on("flooding"), on("other")].concat()));
        let charts = &four[0].charts;
        assert_eq!(charts.len(), 4);
        assert_eq!(
            (charts[0].title.as_str(), labels(&charts[0])),
            ("Frames the sender sends: hub", vec!["unicast", "multicast"])
        );
        assert!(charts.iter().all(|chart| chart.beside.len() == 16));
    }

    #[test]
    fn a_case_that_names_the_value_is_no_difference() {
        let named = [(1, "few"), (16, "many")].map(|(k, case)| both(k, |row| row.case = case.to_owned()));
        let sweeps = sweeps(&run(named.to_vec()));
        assert_eq!(labels(&sweeps[0].charts[0]), ["unicast", "multicast"]);
    }

    #[test]
    fn how_a_server_works_parts_its_lines_alone() {
        let with = |k: u64, qos: u32| {
            let mut rows = vec![condition(Mode::Unicast, k), condition(Mode::Pubsub, k)];
            rows[1].qos = Some(qos);
            rows.iter_mut().for_each(|row| row.condition += &format!("-{qos}"));
            rows
        };
        let two = run(vec![with(1, 0), with(4, 0), with(1, 1), with(4, 1)]);
        assert_eq!(labels(&sweeps(&two)[0].charts[0]), ["unicast", "pubsub, QoS 0", "pubsub, QoS 1"]);
        let one = run(vec![with(1, 0), with(4, 0)]);
        let charts = sweeps(&one);
        assert_eq!(labels(&charts[0].charts[0]), ["unicast", "pubsub"]);
        assert!(comparisons(&one, &charts).is_empty(), "modes differ, and nothing else");
        // In one number of receivers, the two are compared.
        let compared = comparisons(&run(vec![with(4, 0), with(4, 1)]), &[]);
        assert_eq!(compared.len(), 1);
    }

    #[test]
    fn a_distance_goes_along_in_ms() {
        let away = |s: f64| {
            both(4, |row| {
                row.distance_s = s;
                row.receivers = if s > 0.0 { 8 } else { 4 };
                row.bystanders = 20 - row.receivers;
            })
        };
        let sweeps = sweeps(&run(vec![away(0.0), away(0.02)]));
        let told: Vec<_> = sweeps.iter().map(|sweep| (sweep.over, sweep.along.clone())).collect();
        assert_eq!(told, [("receivers", vec!["ms of distance to the other LAN"])]);
    }

    #[test]
    fn cases_with_several_values_are_kept_apart() {
        let case = |k: u64, case: &str, size: u64| {
            both(k, |row| {
                row.case = case.to_owned();
                row.size_bytes = size;
            })
        };
        let run = run(vec![case(1, "few", 64), case(4, "few", 64), case(16, "all", 1400)]);
        let sweeps = sweeps(&run);
        assert_eq!(sweeps.len(), 1);
        let points: Vec<f64> = sweeps[0].charts[0].series[0].points.iter().map(|point| point.x).collect();
        assert_eq!(points, [1.0, 4.0], "the third is of another case");
        assert_eq!(sweeps[0].along, [""; 0], "the size is the same in these");
        assert!(!comparisons(&run, &sweeps).is_empty(), "the third is compared with them");
    }

    #[test]
    fn cases_without_a_number_are_compared() {
        let run = run(vec![
            both(4, |row| row.case = "querier".to_owned()),
            both(4, |row| {
                row.case = "no querier".to_owned();
                row.condition += "-silent";
            }),
        ]);
        let sweeps = sweeps(&run);
        assert!(sweeps.is_empty());
        let charts = comparisons(&run, &sweeps);
        assert_eq!(charts.len(), 1);
        let groups: Vec<_> = charts[0].groups.iter().map(|group| (group.heading.as_str(), group.rows.len())).collect();
        assert_eq!(groups, [("setting 1", 2), ("setting 2", 2)]);
        assert_eq!(charts[0].groups[1].rows[0].text, "4.00");
    }

    #[test]
    fn what_does_not_differ_is_not_drawn() {
        let mut rows = [1, 4].map(|k| vec![condition(Mode::Multicast, k)]).to_vec();
        assert!(sweeps(&run(rows.clone())).is_empty(), "one frame whatever the receivers");
        rows[1][0].offered_rate = Some(f64::NAN);
        assert!(sweeps(&run(rows)).is_empty());
        assert!(sweeps(&run(Vec::new())).is_empty() && comparisons(&run(Vec::new()), &[]).is_empty());
        assert!(sweeps(&run(vec![both(4, |_| {})])).is_empty());
    }

    /// A row with another value of a factor, which its mode has.
    fn changed(factor: Factor, row: &mut ConditionRow) {
        match factor {
            Factor::Case => row.case = "other".to_owned(),
            Factor::Mode => row.mode = Mode::Broadcast,
            Factor::Switch => row.switch = "hub".to_owned(),
            Factor::Nic => row.nic = "filter".to_owned(),
            Factor::Receivers => row.receivers += 5,
            Factor::Hosts => row.hosts += 1,
            Factor::Igmp => row.igmp = "2".to_owned(),
            Factor::Rate => row.offered_rate = Some(900.0),
            Factor::Burst => (row.burst, row.offered_rate) = (16, row.offered_rate.map(|rate| rate * 16.0)),
            Factor::Attribution => row.attribution = "plain".to_owned(),
            Factor::Size => row.size_bytes = 900,
            Factor::Ttl => row.ttl = Some(9),
            Factor::Group => row.group_address = "239.9.9.9".to_owned(),
            Factor::BroadcastAddress => row.broadcast_address = "directed".to_owned(),
            Factor::Relay => row.relay = "direct".to_owned(),
            Factor::Qos => row.qos = Some(1),
            Factor::Distance => row.distance_s = 0.02,
        }
    }

    #[test]
    fn every_factor_parts_the_lines_of_others() {
        for factor in Factor::ALL.into_iter().filter(|factor| ![Factor::Mode, Factor::Receivers].contains(factor)) {
            let usual = |k: u64| vec![condition(Mode::Unicast, k)];
            let other = |k: u64| {
                let mut rows = usual(k);
                rows.iter_mut().for_each(|row| changed(factor, row));
                rows
            };
            let run = run(vec![usual(1), usual(4), other(1), other(4)]);
            let sweeps = sweeps(&run);
            assert_eq!((sweeps[0].over, labels(&sweeps[0].charts[0]).len()), ("receivers", 2), "{factor}");
            // What no number tells is compared.
            let two_modes = |change: &dyn Fn(&mut ConditionRow)| both(4, change);
            let settings = vec![two_modes(&|_| {}), two_modes(&|row| changed(factor, row))];
            let alone = comparisons(&self::run(settings), &[]);
            assert_eq!(alone.len(), usize::from(factor.about().number.is_none()), "{factor}");
        }
    }
}
