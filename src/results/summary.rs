//! From the rows of the hosts to one row a metric: what a message costs each role, and each group a lab has named.
//!
//! Within a trial, the hosts are brought to one value ([`metric`](super::metric)); the statistics are over the trials.
//! Counts are from the trials in which every host's `counts_valid` is true (so none in which a host was lost), times (CPU,
//! latency, rate) from those whose `valid` is (where those are too few, from the others too, and the row says how many are
//! `doubtful`). A figure that any of the hosts lacks is missing from the trial, and a metric no trial has is missing from
//! the summary: never 0. So a figure that only one group of a role has by design, such as work, is that
//! group's and not the role's.

use std::collections::BTreeMap;

use super::metric::{METRICS, Metric};
use super::row::{HostRow, SummaryRow};
use super::stats::Estimate;
use super::trial::{Trial, Who};
use crate::units::Mode;

pub use super::trial::ALL;

/// What the trials of one condition brought.
#[derive(Clone, Debug)]
pub struct Trials<'a> {
    /// Those that count.
    counting: Vec<Trial<'a>>,
    /// How many there were.
    run: usize,
}

/// The values of one metric, in the order of the trials.
#[derive(Clone, Debug, PartialEq)]
pub struct TrialValues {
    /// One for each trial that can be used and has one; at least one.
    pub values: Vec<f64>,
    /// By value: the round, which is the trial's number; trials of one round are neighbours in time.
    pub rounds: Vec<u32>,
    /// Number of trials there were, whether they can be used or not.
    pub run: usize,
    /// Of the values.
    pub unit: &'static str,
    /// Whether it is a count, which is right on a busy machine too.
    pub is_count: bool,
    /// How many are from marked trials, taken in since the valid ones were too few for a time.
    pub doubtful: usize,
}

impl<'a> Trials<'a> {
    /// From rows of one condition.
    pub fn of(rows: impl IntoIterator<Item = &'a HostRow>) -> Trials<'a> {
        let mut by_number: BTreeMap<u32, Vec<&HostRow>> = BTreeMap::new();
        for row in rows {
            by_number.entry(row.trial).or_default().push(row);
        }
        Trials { run: by_number.len(), counting: by_number.into_values().filter_map(Trial::of).collect() }
    }

    /// All of them, each with whether its times count.
    pub fn all(&self) -> impl Iterator<Item = (&Trial<'a>, bool)> {
        let all = self.too_few_timed();
        self.counting.iter().map(move |trial| (trial, all || trial.is_timed()))
    }

    /// Whether marked trials are taken in for times.
    fn too_few_timed(&self) -> bool {
        self.counting.iter().filter(|trial| trial.is_timed()).count() < ENOUGH.min(self.counting.len())
    }

    /// A metric of theirs; `None` where no trial has it.
    pub fn values(&self, who: Who, metric: &Metric) -> Option<TrialValues> {
        let all = metric.is_count() || self.too_few_timed();
        let of =
            |trial: &Trial| Some((metric.value(trial, who)?, (trial.number(), trial.is_timed() || metric.is_count())));
        let usable = self.counting.iter().filter(|trial| all || trial.is_timed());
        let (values, (rounds, sure)): (Vec<f64>, (Vec<u32>, Vec<bool>)) = usable.filter_map(of).unzip();
        let doubtful = sure.iter().filter(|sure| !**sure).count();
        let (unit, is_count, run) = (metric.unit, metric.is_count(), self.run);
        (!values.is_empty()).then_some(TrialValues { values, rounds, run, unit, is_count, doubtful })
    }
}

impl TrialValues {
    /// The values of the rounds in which all of these have one, a row for each round. A count is exact: one round of it
    /// tells as much as two that are alike, and stands for them.
    pub fn by_round(all: &[&TrialValues]) -> Vec<Vec<f64>> {
        let Some(first) = all.first() else { return Vec::new() };
        let in_round = |round: &u32, of: &TrialValues| {
            of.rounds.iter().position(|other| other == round).map(|index| of.values[index])
        };
        let round = |round| all.iter().map(|of| in_round(round, of)).collect::<Option<Vec<f64>>>();
        let mut rounds: Vec<Vec<f64>> = first.rounds.iter().filter_map(round).collect();
        if rounds.len() == 1 && all.iter().all(|of| of.is_count) {
            rounds.extend_from_within(..);
        }
        rounds
    }
}

/// Valid trials that make a usable interval. With fewer, marked ones are taken in: better a time that bears its doubt.
pub const ENOUGH: usize = 3;

/// The values of a metric in a condition, by name, of a role or of a named group; `None` where no trial has one.
pub fn trial_values(rows: &[HostRow], condition: &str, role: &str, metric: &str) -> Option<TrialValues> {
    let trials = Trials::of(rows.iter().filter(|row| row.condition == condition));
    trials.values(Who::named(role)?, Metric::named(metric)?)
}

/// Summarizes all conditions found in `rows`, in the order in which they first appear.
pub fn summarize(rows: &[HostRow]) -> Vec<SummaryRow> {
    let mut index_of: BTreeMap<(&str, Mode), usize> = BTreeMap::new();
    let mut conditions: Vec<Vec<&HostRow>> = Vec::new();
    for row in rows {
        let index = *index_of.entry((&row.condition, row.mode)).or_insert(conditions.len());
        if index == conditions.len() {
            conditions.push(Vec::new());
        }
        conditions[index].push(row);
    }
    conditions.iter().flat_map(|rows| summarize_condition(rows)).collect()
}

/// The row of a metric, where it was measured. `rows` are those of one setting, with one condition a mode.
pub fn find<'a>(rows: &'a [SummaryRow], mode: Mode, role: &str, metric: &str) -> Option<&'a SummaryRow> {
    rows.iter().find(|row| row.mode == mode && row.role == role && row.metric == metric)
}

/// The mean of a metric, where it was measured; `rows` as for [`find`].
pub fn mean(rows: &[SummaryRow], mode: Mode, role: &str, metric: &str) -> Option<f64> {
    find(rows, mode, role, metric)?.mean
}

/// The metric of what a message costs the sender: sending it, which grows with the copies. In a run that did not tell
/// sending from waking, all of its CPU time.
pub fn sender_cost(rows: &[SummaryRow]) -> &'static str {
    if rows.iter().any(|row| row.role == "sender" && row.metric == "cpu_send") { "cpu_send" } else { "cpu_total" }
}

/// The number of valid trials of a mode; `rows` as for [`find`].
pub fn valid_trials(rows: &[SummaryRow], mode: Mode) -> u64 {
    find(rows, mode, "sender", "rate").map_or(0, |row| row.n - row.doubtful)
}

/// The number of trials the counts of a mode are from; `rows` as for [`find`].
pub fn counted_trials(rows: &[SummaryRow], mode: Mode) -> u64 {
    find(rows, mode, "sender", "link_tx_frames").map_or(0, |row| row.n)
}

impl SummaryRow {
    /// From the values of the trials; `None` when there are none.
    pub fn of(condition: &str, mode: Mode, role: &str, metric: &str, unit: &str, values: &[f64]) -> Option<SummaryRow> {
        let estimate = Estimate::of(values)?;
        Some(SummaryRow {
            condition: condition.to_owned(),
            mode,
            role: role.to_owned(),
            metric: metric.to_owned(),
            unit: unit.to_owned(),
            n: estimate.n as u64,
            median: Some(estimate.median),
            mean: Some(estimate.mean),
            ci95_low: estimate.ci95.map(|(low, _)| low),
            ci95_high: estimate.ci95.map(|(_, high)| high),
            cv: estimate.cv,
            doubtful: 0,
        })
    }
}

fn summarize_condition(rows: &[&HostRow]) -> Vec<SummaryRow> {
    let mut groups: Vec<&str> = Vec::new();
    for row in rows {
        let is_group = matches!(Who::named(&row.group), Some(Who::Group(_)));
        if is_group && !groups.contains(&row.group.as_str()) {
            groups.push(&row.group);
        }
    }
    let trials = Trials::of(rows.iter().copied());
    let mut summary = Vec::new();
    for metric in METRICS {
        let roles = metric.roles.iter().map(|role| role.as_str());
        let lan = metric.is_of_lan().then_some(ALL);
        for role in lan.into_iter().chain(roles).chain(groups.iter().copied()) {
            let values = Who::named(role).and_then(|who| trials.values(who, metric));
            summary.extend(values.and_then(|TrialValues { values, unit, doubtful, .. }| {
                let row = SummaryRow::of(&rows[0].condition, rows[0].mode, role, metric.name, unit, &values)?;
                Some(SummaryRow { doubtful: doubtful as u64, ..row })
            }));
        }
    }
    summary
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Role;

    /// A trial of unicast: 1 sender, 2 receivers, 2 bystanders, switch; 100 messages, CPU of the listeners by `cpu_ns`.
    fn trial(number: u32, cpu_ns: u64) -> Vec<HostRow> {
        let row = |host: &str, role| HostRow::new("1f", "uni", Mode::Unicast, number, host, role);
        let mut sender = row("h1", Role::Sender);
        sender.duration_s = Some(0.5);
        sender.messages_sent = Some(100);
        sender.copies_sent = Some(200);
        sender.link_tx_frames = Some(200);
        sender.link_rx_frames = Some(0);
        sender.cpu_app_ns = Some(400_000);
        sender.cpu_kernel_rx_ns = Some(0);
        sender.cpu_total_ns = Some(400_000);
        sender.lateness_p99_ns = Some(5_000);
        let mut rows = vec![sender];
        for (host, received, latency) in [("h2", 100, 10_000), ("h3", 98, 30_000)] {
            let mut receiver = row(host, Role::Receiver);
            receiver.messages_received = Some(received);
            receiver.messages_lost = Some(100 - received);
            receiver.link_tx_frames = Some(0);
            receiver.link_rx_frames = Some(100);
            receiver.latency_p50_ns = Some(latency);
            receiver.latency_max_ns = Some(latency * 4);
            receiver.cpu_total_ns = Some(cpu_ns);
            rows.push(receiver);
        }
        for host in ["h4", "h5"] {
            let mut bystander = row(host, Role::Bystander);
            bystander.link_tx_frames = Some(0);
            bystander.link_rx_frames = Some(0);
            bystander.cpu_total_ns = Some(cpu_ns / 4);
            rows.push(bystander);
        }
        let mut switch = row("switch", Role::Switch);
        switch.cpu_kernel_rx_ns = Some(900_000);
        switch.cpu_total_ns = Some(900_000);
        rows.push(switch);
        rows
    }

    fn of(rows: &[HostRow], role: &str, metric: &str) -> Option<SummaryRow> {
        find(&summarize(rows), Mode::Unicast, role, metric).cloned()
    }

    #[test]
    fn frames_cpu_and_shares_by_hand() {
        let rows = [trial(1, 200_000), trial(2, 600_000)].concat();
        let value = |role, metric| of(&rows, role, metric).and_then(|row| row.mean);
        assert_eq!(value("sender", "link_tx_frames"), Some(2.0));
        assert_eq!(value("all", "link_frames"), Some(4.0), "2 K");
        assert_eq!(value("receiver", "link_rx_frames"), Some(1.0));
        assert_eq!(value("bystander", "link_rx_frames"), Some(0.0));
        assert_eq!(value("receiver", "delivered"), Some(0.99));
        assert_eq!(value("receiver", "messages_lost"), Some(0.01));
        assert_eq!(value("sender", "cpu_app"), Some(4.0));
        assert_eq!(value("switch", "cpu_kernel_rx"), Some(9.0));
        assert_eq!(value("receiver", "latency_p50"), Some(20_000.0));
        assert_eq!(value("receiver", "latency_max"), Some(120_000.0));
        assert_eq!(value("sender", "lateness_p99"), Some(5_000.0));
        assert_eq!(value("sender", "rate"), Some(200.0));

        // Trial 1: 400 + 2 × 200 + 2 × 50 = 900 µs; trial 2: 400 + 1200 + 300 = 1900 µs. The switch is not in it.
        let share = of(&rows, "bystander", "cpu_share").unwrap();
        assert_eq!(share.mean, Some(f64::midpoint(100.0 / 900.0, 300.0 / 1900.0)));
        assert_eq!((share.n, share.unit.as_str()), (2, "ratio"));

        let cpu = of(&rows, "receiver", "cpu_total").unwrap();
        assert_eq!((cpu.n, cpu.mean, cpu.median, cpu.unit.as_str()), (2, Some(4.0), Some(4.0), "us/message"));
        // sd of 2 and 6 is √8; half width 12.7062 × √8 / √2.
        assert!((cpu.ci95_high.unwrap() - (4.0 + 12.706_205 * 2.0)).abs() < 1e-4);
        assert!((cpu.cv.unwrap() - 8_f64.sqrt() / 4.0).abs() < 1e-12);
    }

    #[test]
    fn what_was_not_measured_is_absent() {
        let mut rows = trial(1, 200_000);
        let absent = |rows: &[HostRow], role, metric| assert_eq!(of(rows, role, metric), None, "{role} {metric}");
        absent(&rows, "receiver", "cpu_app");
        absent(&rows, "receiver", "latency_p99");
        absent(&rows, "bystander", "delivered");
        absent(&rows, "switch", "cpu_app");

        // One bystander without CPU time: neither its role's cost nor anybody's share is known.
        rows[4].cpu_total_ns = None;
        absent(&rows, "bystander", "cpu_total");
        absent(&rows, "sender", "cpu_share");
        assert!(of(&rows, "receiver", "cpu_total").is_some());

        // One host without a link counter: the sum over all links is not known.
        rows[3].link_rx_frames = None;
        absent(&rows, "all", "link_frames");
        absent(&rows, "bystander", "link_rx_frames");

        // Nothing sent: nothing is per message, but times are times.
        rows[0].messages_sent = Some(0);
        absent(&rows, "receiver", "link_rx_frames");
        absent(&rows, "receiver", "delivered");
        absent(&rows, "sender", "rate");
        assert!(of(&rows, "receiver", "latency_p50").is_some());
    }

    #[test]
    fn without_bystanders_they_have_no_share() {
        let rows: Vec<HostRow> = trial(1, 200_000).into_iter().filter(|row| row.role != Role::Bystander).collect();
        assert_eq!(of(&rows, "bystander", "cpu_share"), None);
        assert_eq!(of(&rows, "sender", "cpu_share").and_then(|row| row.mean), Some(0.5));
    }

    #[test]
    fn a_trial_whose_sender_is_not_valid_does_not_count() {
        let mut rows = [trial(1, 200_000), trial(2, 600_000)].concat();
        // Two of the four are marked, which leaves too few: all are taken, with their doubt.
        let mut more = [rows.clone(), trial(3, 200_000), trial(4, 600_000)].concat();
        (more[0].valid, more[6].valid) = (false, false);
        let cpu = of(&more, "receiver", "cpu_total").unwrap();
        assert_eq!((cpu.n, cpu.mean, cpu.doubtful), (4, Some(4.0), 2));
        assert_eq!(
            of(&more, "sender", "link_tx_frames").unwrap().doubtful,
            0,
            "frames are right on a busy machine too"
        );
        assert_eq!(valid_trials(&summarize(&more), Mode::Unicast), 2);
        // With three valid ones the marked one stays out.
        more[6].valid = true;
        let cpu = of(&more, "receiver", "cpu_total").unwrap();
        assert_eq!((cpu.n, cpu.mean, cpu.doubtful), (3, Some(14.0 / 3.0), 0));
        assert_eq!(of(&more, "sender", "link_tx_frames").unwrap().n, 4);

        rows[0].counts_valid = false;
        assert_eq!(of(&rows, "sender", "link_tx_frames").unwrap().n, 1);
        for row in &mut rows {
            (row.valid, row.counts_valid) = (false, false);
        }
        assert_eq!(summarize(&rows), []);
    }

    #[test]
    fn a_trial_that_lost_a_host_does_not_count() {
        for (lost, role) in [(2, Role::Receiver), (3, Role::Bystander)] {
            let mut rows = trial(1, 200_000);
            rows[lost] = HostRow {
                valid: false,
                counts_valid: false,
                ..HostRow::new("1f", "uni", Mode::Unicast, 1, &rows[lost].host, role)
            };
            assert_eq!(summarize(&rows), [], "with fewer hosts it is another trial");
            let rows = [rows, trial(2, 200_000)].concat();
            let value = |role, metric| of(&rows, role, metric).map(|row| (row.n, row.mean));
            assert_eq!(value("receiver", "delivered"), Some((1, Some(0.99))), "of both receivers");
            assert_eq!(value("receiver", "cpu_share"), Some((1, Some(400.0 / 900.0))), "of both receivers");
            assert_eq!(value("sender", "link_tx_frames"), Some((1, Some(2.0))));
        }
    }

    #[test]
    fn conditions_keep_their_order_and_apart() {
        let mut rows = trial(1, 200_000);
        let mut other = trial(1, 600_000);
        for row in &mut other {
            row.condition = "again".to_owned();
        }
        rows.extend(other);
        let summary = summarize(&rows);
        let cpu: Vec<_> = summary
            .iter()
            .filter(|row| row.role == "receiver" && row.metric == "cpu_total")
            .map(|row| (row.condition.as_str(), row.mean))
            .collect();
        assert_eq!(cpu, [("uni", Some(2.0)), ("again", Some(6.0))]);
    }

    #[test]
    fn the_values_of_the_trials_are_those_of_the_summary() {
        let mut rows = [trial(1, 200_000), trial(2, 600_000), trial(3, 700_000), trial(4, 800_000)].concat();
        rows[6].valid = false;
        let values = |role, metric| trial_values(&rows, "uni", role, metric);
        let cpu = values("receiver", "cpu_total").unwrap();
        assert_eq!((cpu.values.as_slice(), cpu.unit, cpu.doubtful), ([2.0, 7.0, 8.0].as_slice(), "us/message", 0));
        let frames = values("sender", "link_tx_frames").unwrap();
        assert_eq!((frames.values.len(), frames.is_count, frames.doubtful), (4, true, 0), "counts are right anyway");
        rows[12].valid = false;
        // Only two are valid: the marked ones are taken in, each a doubt where it has the figure at all.
        rows[13].cpu_total_ns = None;
        let cpu = trial_values(&rows, "uni", "receiver", "cpu_total").unwrap();
        assert_eq!((cpu.values.as_slice(), cpu.doubtful), ([2.0, 6.0, 8.0].as_slice(), 1));
        for (condition, role, metric) in [
            ("multi", "receiver", "cpu_total"),
            ("uni", "", "cpu_total"),
            ("uni", "nobody", "cpu_total"),
            ("uni", "all", "cpu_total"),
            ("uni", "sender", "link_frames"),
            ("uni", "receiver", "cpu"),
        ] {
            assert_eq!(trial_values(&rows, condition, role, metric), None, "{condition} {role} {metric}");
        }
    }

    #[test]
    fn a_named_group_has_the_metrics_of_its_role() {
        let mut rows = trial(1, 200_000);
        for (row, group) in rows.iter_mut().zip(["", "near", "far", "near", "sender", "", ""]) {
            row.group = group.to_owned();
        }
        let value = |rows: &[HostRow], role: &str, metric| of(rows, role, metric).and_then(|row| row.mean);
        assert_eq!(value(&rows, "far", "delivered"), Some(0.98));
        assert_eq!(value(&rows, "far", "cpu_share"), Some(200.0 / 900.0));
        assert_eq!(value(&rows, "near", "delivered"), None, "not all of it are receivers");
        assert_eq!(value(&rows, "near", "link_rx_frames"), Some(0.5), "which both roles have");
        let of_sender = |metric| {
            let summary = summarize(&rows);
            summary.iter().filter(|row| row.role == "sender" && row.metric == metric).count()
        };
        assert_eq!(of_sender("cpu_total"), 1, "a group by the name of a role is none");
    }

    #[test]
    fn what_only_some_hosts_have_is_their_groups() {
        let mut rows = trial(1, 200_000);
        (rows[3].work_per_s, rows[3].flow_sent, rows[3].group) = (Some(250.0), Some(1000), "works".to_owned());
        (rows[1].join_delay_ns, rows[1].last_received_s, rows[1].group) = (Some(9), Some(0.25), "joins".to_owned());
        rows[2].flow_received = Some(20);
        let value = |role: &str, metric| of(&rows, role, metric).and_then(|row| row.mean);
        assert_eq!((value("bystander", "work"), value("works", "work")), (None, Some(250.0)));
        assert_eq!((value("bystander", "flow_sent"), value("works", "flow_sent")), (None, Some(2000.0)));
        assert_eq!((value("receiver", "join_delay"), value("joins", "join_delay")), (None, Some(9.0)));
        assert_eq!((value("receiver", "last_received"), value("joins", "last_received")), (None, Some(0.25)));
        assert_eq!(value("receiver", "flow_received"), None);
    }

    #[test]
    fn a_router_is_a_host_of_its_own_kind() {
        let mut rows = trial(1, 200_000);
        let mut router = HostRow::new("1f", "uni", Mode::Unicast, 1, "router", Role::Router);
        (router.link_tx_frames, router.link_rx_frames, router.cpu_total_ns) = (Some(10), Some(30), Some(50_000_000));
        rows.push(router);
        let value = |rows: &[HostRow], role: &str, metric| of(rows, role, metric).and_then(|row| row.mean);
        assert_eq!(value(&rows, "router", "link_rx_frames"), Some(0.3));
        assert_eq!(value(&rows, "router", "link_tx_frames"), Some(0.1));
        assert_eq!(value(&rows, "router", "cpu_total"), Some(500.0));
        assert_eq!(value(&rows, "router", "cpu_load"), Some(0.1), "50 ms of 500 ms");
        assert_eq!(value(&rows, "all", "link_frames"), Some(4.4), "its links are links");
        assert_eq!(value(&rows, "sender", "cpu_share"), Some(400.0 / 900.0), "but it is no PC");
        rows[6].link_rx_frames = None;
        assert_eq!(value(&rows, "all", "link_frames"), None);
    }

    #[test]
    fn what_a_card_drops_has_crossed_its_link() {
        let mut rows = trial(1, 200_000);
        for row in &mut rows[1..5] {
            row.nic_filtered = Some(100);
        }
        let value = |role, metric| of(&rows, role, metric).and_then(|row| row.mean);
        assert_eq!((value("receiver", "nic_filtered"), value("bystander", "nic_filtered")), (Some(1.0), Some(1.0)));
        assert_eq!(value("bystander", "link_rx_frames"), Some(0.0));
        assert_eq!(value("all", "link_frames"), Some(8.0));
        assert_eq!(value("bystander", "cpu_load"), Some(50e-6 / 0.5));
    }

    #[test]
    fn whatever_a_file_holds_gives_no_figure_that_is_none() {
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.0, -1.0, 1e308] {
            let mut rows = [trial(1, 200_000), trial(2, u64::MAX / 4)].concat();
            for row in &mut rows {
                (row.duration_s, row.work_per_s, row.last_received_s) = (Some(value), Some(value), Some(value));
                row.link_rx_frames = Some(u64::MAX);
            }
            for row in summarize(&rows) {
                let figures = [row.median, row.mean, row.ci95_low, row.ci95_high, row.cv];
                assert!(figures.iter().flatten().all(|figure| figure.is_finite()), "{value}: {row:?}");
            }
        }
    }
}
