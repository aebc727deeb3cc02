//! From the rows of the hosts to one row a metric: what a message costs each role.
//!
//! Within a trial, a role's hosts are brought to one value; the statistics are over the trials. Counts are
//! from the trials whose sender's `counts_valid` is true, times (CPU, latency, rate) from those whose `valid` is
//! (where those are too few, from the others too, and the row says how many are `doubtful`); a host that was lost is left
//! out of its role. A figure that any other host of the role
//! lacks is missing from the trial, and a metric no trial has is missing from the summary: never 0.
//!
//! Metrics that come from one column bear its name, without the unit. Those that don't:
//!
//! | role | metric | unit | is |
//! |---|---|---|---|
//! | `all` | `link_frames` | frames/message | frames over all the hosts' links, each counted once for each link it crosses |
//! | `receiver` | `delivered` | messages/message | distinct messages received / sent |
//! | sender, receiver, bystander | `cpu_share` | ratio | CPU time of all hosts of the role / of all hosts (the switch is no host) |
//! | `sender` | `rate` | messages/s | messages sent / length of the send window |

use std::collections::BTreeMap;

use super::row::{HostRow, SummaryRow};
use super::stats::{self, Estimate};
use crate::units::{Mode, Role};

/// The role of metrics that belong to the LAN as a whole.
pub const ALL: &str = "all";

/// Summarizes all conditions found in `rows`, in the order in which they first appear.
pub fn summarize(rows: &[HostRow]) -> Vec<SummaryRow> {
    let mut conditions: Vec<(&str, Mode)> = Vec::new();
    for row in rows {
        let condition = (row.condition.as_str(), row.mode);
        if !conditions.contains(&condition) {
            conditions.push(condition);
        }
    }
    conditions.into_iter().flat_map(|(condition, mode)| summarize_condition(rows, condition, mode)).collect()
}

/// The row of a metric, where it was measured. `rows` are those of one setting, with one condition a mode.
pub fn find<'a>(rows: &'a [SummaryRow], mode: Mode, role: &str, metric: &str) -> Option<&'a SummaryRow> {
    rows.iter().find(|row| row.mode == mode && row.role == role && row.metric == metric)
}

/// The mean of a metric, where it was measured; `rows` as for [`find`].
pub fn mean(rows: &[SummaryRow], mode: Mode, role: &str, metric: &str) -> Option<f64> {
    find(rows, mode, role, metric)?.mean
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

fn summarize_condition(rows: &[HostRow], condition: &str, mode: Mode) -> Vec<SummaryRow> {
    let trials = Trial::all_of(rows, condition, mode);
    let valid = trials.iter().filter(|trial| trial.timed).count();
    let too_few = too_few_valid(&trials);
    let row = |role: &str, metric: &str, unit: &str, value: &dyn Fn(&Trial) -> Option<f64>| {
        let is_count = COUNTS.contains(&unit);
        let usable = trials.iter().filter(|trial| trial.timed || too_few || is_count);
        let values: Vec<f64> = usable.filter_map(value).collect();
        let doubtful = if is_count { 0 } else { values.len().saturating_sub(valid) as u64 };
        SummaryRow::of(condition, mode, role, metric, unit, &values).map(|row| SummaryRow { doubtful, ..row })
    };

    let mut summary = Vec::new();
    for metric in PER_MESSAGE {
        for role in metric.roles {
            let value = |trial: &Trial| trial.per_message(*role, metric.count);
            summary.extend(row(role.as_str(), metric.name, metric.unit, &value));
        }
    }
    summary.extend(row(ALL, "link_frames", FRAMES, &|trial| trial.frames_on_all_links()));
    for role in PCS {
        summary.extend(row(role.as_str(), "cpu_share", "ratio", &|trial| trial.cpu_share(role)));
    }
    summary.extend(row("receiver", "delivered", MESSAGES, &|trial| {
        trial.per_message(Role::Receiver, |row| row.messages_received.map(|count| count as f64))
    }));
    summary.extend(row("sender", "rate", "messages/s", &|trial| trial.rate()));
    for metric in TIMES {
        let value = |trial: &Trial| trial.over_hosts(metric.role, metric.time, metric.fold);
        summary.extend(row(metric.role.as_str(), metric.name, "ns", &value));
    }
    summary
}

/// One host over the trials of a condition that count for it, as in the summary.
#[derive(Clone, Debug, PartialEq)]
pub struct HostMeans {
    /// `h1` …
    pub host: String,
    /// What it did.
    pub role: Role,
    /// The group of hosts a lab put it in; empty without one.
    pub group: String,
    /// The LAN it is on, from 1; 0 for what is on all of them.
    pub lan: u32,
    /// Frames it sent, for each message.
    pub link_tx_frames: Option<f64>,
    /// Frames it got, for each message.
    pub link_rx_frames: Option<f64>,
    /// CPU time in µs for each message.
    pub cpu_total: Option<f64>,
}

/// What each host of a condition had for each message, in the order of its first trial: means over the trials in which
/// it was measured, counts and times from the trials that count for them.
pub fn each_host(rows: &[HostRow], condition: &str, mode: Mode) -> Vec<HostMeans> {
    let trials = Trial::all_of(rows, condition, mode);
    let too_few = too_few_valid(&trials);
    let mut counts: BTreeMap<&str, [Vec<f64>; 3]> = BTreeMap::new();
    for trial in &trials {
        let Some(messages) = trial.messages else { continue };
        for row in trial.rows.iter().filter(|row| row.counts_valid) {
            let [sent, got, cpu] = counts.entry(&row.host).or_default();
            sent.extend(row.link_tx_frames.map(|frames| frames as f64 / messages));
            got.extend(row.link_rx_frames.map(|frames| frames as f64 / messages));
            cpu.extend(micros(row.cpu_total_ns).filter(|_| trial.timed || too_few).map(|cpu| cpu / messages));
        }
    }
    let Some(first) = trials.first() else { return Vec::new() };
    let host = |row: &&HostRow| {
        let mean = |which: usize| stats::mean(counts.get(row.host.as_str())?.get(which)?);
        HostMeans {
            host: row.host.clone(),
            role: row.role,
            group: row.group.clone(),
            lan: row.lan,
            link_tx_frames: mean(0),
            link_rx_frames: mean(1),
            cpu_total: mean(2),
        }
    };
    first.rows.iter().map(host).collect()
}

/// Whether marked trials are taken in for times.
fn too_few_valid(trials: &[Trial]) -> bool {
    trials.iter().filter(|trial| trial.timed).count() < ENOUGH.min(trials.len())
}

/// Valid trials that make a usable interval. With fewer, marked ones are taken in: better a time that bears its doubt.
const ENOUGH: usize = 3;

/// The roles of hosts: those whose CPU time is the PCs'.
const PCS: [Role; 3] = [Role::Sender, Role::Receiver, Role::Bystander];
const LISTENERS: &[Role] = &[Role::Receiver, Role::Bystander];
const RECEIVER: &[Role] = &[Role::Receiver];
const EVERYONE: &[Role] = &[Role::Sender, Role::Receiver, Role::Bystander, Role::Switch];

const FRAMES: &str = "frames/message";
const DATAGRAMS: &str = "datagrams/message";
const MESSAGES: &str = "messages/message";
const CPU: &str = "us/message";
/// Units of counts, which are right on a busy machine too.
const COUNTS: [&str; 3] = [FRAMES, DATAGRAMS, MESSAGES];

/// A count or cost of each host, divided by the messages sent, averaged over the hosts of a role.
struct PerMessage {
    name: &'static str,
    unit: &'static str,
    roles: &'static [Role],
    count: fn(&HostRow) -> Option<f64>,
}

/// `PerMessage` of the column of the same name.
macro_rules! column {
    ($column:ident, $unit:expr, $roles:expr) => {
        PerMessage {
            name: stringify!($column),
            unit: $unit,
            roles: $roles,
            count: |row| row.$column.map(|count| count as f64),
        }
    };
}

const PER_MESSAGE: &[PerMessage] = &[
    column!(link_tx_frames, FRAMES, &PCS),
    column!(link_tx_dropped, FRAMES, &[Role::Sender]),
    column!(nic_filtered, FRAMES, LISTENERS),
    column!(link_ring_dropped, FRAMES, LISTENERS),
    column!(link_rx_frames, FRAMES, LISTENERS),
    column!(link_rx_other_host, FRAMES, LISTENERS),
    column!(link_rx_dropped, FRAMES, LISTENERS),
    column!(ip_in_receives, DATAGRAMS, LISTENERS),
    column!(ip_in_discards, DATAGRAMS, LISTENERS),
    column!(ip_not_joined, DATAGRAMS, LISTENERS),
    column!(ip_in_delivers, DATAGRAMS, LISTENERS),
    column!(udp_no_ports, DATAGRAMS, LISTENERS),
    column!(udp_ignored_multi, DATAGRAMS, LISTENERS),
    column!(udp_rcvbuf_errors, DATAGRAMS, LISTENERS),
    column!(udp_in_errors, DATAGRAMS, LISTENERS),
    column!(udp_in_datagrams, DATAGRAMS, LISTENERS),
    column!(socket_dropped, MESSAGES, RECEIVER),
    column!(messages_lost, MESSAGES, RECEIVER),
    column!(messages_duplicate, MESSAGES, RECEIVER),
    column!(messages_reordered, MESSAGES, RECEIVER),
    column!(messages_unrecognized, MESSAGES, RECEIVER),
    PerMessage { name: "cpu_app", unit: CPU, roles: EVERYONE, count: |row| micros(row.cpu_app_ns) },
    PerMessage { name: "cpu_kernel_rx", unit: CPU, roles: EVERYONE, count: |row| micros(row.cpu_kernel_rx_ns) },
    PerMessage { name: "cpu_total", unit: CPU, roles: EVERYONE, count: |row| micros(row.cpu_total_ns) },
];

/// A time of each host in ns, brought to one value for the role.
struct Time {
    name: &'static str,
    role: Role,
    time: fn(&HostRow) -> Option<f64>,
    fold: fn(&[f64]) -> Option<f64>,
}

const TIMES: &[Time] = &[
    Time { name: "latency_p50", role: Role::Receiver, time: |row| nanos(row.latency_p50_ns), fold: stats::median },
    Time { name: "latency_p99", role: Role::Receiver, time: |row| nanos(row.latency_p99_ns), fold: stats::median },
    Time { name: "latency_max", role: Role::Receiver, time: |row| nanos(row.latency_max_ns), fold: largest },
    Time {
        name: "kernel_latency_p50",
        role: Role::Receiver,
        time: |row| nanos(row.kernel_latency_p50_ns),
        fold: stats::median,
    },
    Time {
        name: "kernel_latency_p99",
        role: Role::Receiver,
        time: |row| nanos(row.kernel_latency_p99_ns),
        fold: stats::median,
    },
    Time { name: "jitter", role: Role::Receiver, time: |row| nanos(row.jitter_ns), fold: stats::median },
    Time { name: "skew_p50", role: Role::Sender, time: |row| nanos(row.skew_p50_ns), fold: stats::median },
    Time { name: "skew_p99", role: Role::Sender, time: |row| nanos(row.skew_p99_ns), fold: stats::median },
    Time { name: "lateness_p99", role: Role::Sender, time: |row| nanos(row.lateness_p99_ns), fold: stats::median },
];

/// The rows of one trial that counts.
struct Trial<'a> {
    rows: Vec<&'a HostRow>,
    /// Messages sent, above 0; `None` where that is not known.
    messages: Option<f64>,
    /// Whether its times count as well.
    timed: bool,
}

impl<'a> Trial<'a> {
    /// Those of a condition that count, by their number.
    fn all_of(rows: &'a [HostRow], condition: &str, mode: Mode) -> Vec<Trial<'a>> {
        let mut by_number: BTreeMap<u32, Vec<&HostRow>> = BTreeMap::new();
        for row in rows.iter().filter(|row| row.condition == condition && row.mode == mode) {
            by_number.entry(row.trial).or_default().push(row);
        }
        by_number.into_values().filter_map(Trial::of).collect()
    }

    /// `None` when the sender's counts are not valid.
    fn of(rows: Vec<&'a HostRow>) -> Option<Trial<'a>> {
        let sender = rows.iter().find(|row| row.role == Role::Sender).filter(|row| row.counts_valid)?;
        let messages = sender.messages_sent.filter(|sent| *sent > 0).map(|sent| sent as f64);
        let timed = sender.valid;
        Some(Trial { rows, messages, timed })
    }

    /// The hosts of a role, without those that were lost.
    fn hosts(&self, role: Role) -> impl Iterator<Item = &'a HostRow> {
        self.rows.iter().copied().filter(move |row| row.role == role && row.counts_valid)
    }

    fn over_hosts(
        &self,
        role: Role,
        value: fn(&HostRow) -> Option<f64>,
        fold: fn(&[f64]) -> Option<f64>,
    ) -> Option<f64> {
        fold(&self.hosts(role).map(value).collect::<Option<Vec<f64>>>()?)
    }

    fn per_message(&self, role: Role, count: fn(&HostRow) -> Option<f64>) -> Option<f64> {
        Some(self.over_hosts(role, count, stats::mean)? / self.messages?)
    }

    /// Per message: what the hosts sent and what they got, so unicast 2K, broadcast N, multicast 1 + K.
    fn frames_on_all_links(&self) -> Option<f64> {
        let hosts = self.rows.iter().filter(|row| row.role != Role::Switch);
        // In floating point: a sum of whatever a file holds cannot overflow.
        let frames =
            hosts.map(|row| Some(row.link_tx_frames? as f64 + row.link_rx_frames? as f64)).sum::<Option<f64>>()?;
        Some(frames / self.messages?)
    }

    fn cpu_share(&self, role: Role) -> Option<f64> {
        let cpu = |role| self.hosts(role).map(|row| nanos(row.cpu_total_ns)).sum::<Option<f64>>();
        let all = PCS.into_iter().map(cpu).sum::<Option<f64>>().filter(|all| *all > 0.0)?;
        self.hosts(role).next()?;
        Some(cpu(role)? / all)
    }

    fn rate(&self) -> Option<f64> {
        let duration_s = self.hosts(Role::Sender).next()?.duration_s.filter(|duration| *duration > 0.0)?;
        Some(self.messages? / duration_s)
    }
}

fn micros(nanos: Option<u64>) -> Option<f64> {
    nanos.map(|nanos| nanos as f64 / 1e3)
}

fn nanos(nanos: Option<u64>) -> Option<f64> {
    nanos.map(|nanos| nanos as f64)
}

fn largest(values: &[f64]) -> Option<f64> {
    values.iter().copied().reduce(f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn a_lost_host_is_left_out_of_its_role() {
        let mut rows = trial(1, 200_000);
        rows[2] = HostRow {
            valid: false,
            counts_valid: false,
            ..HostRow::new("1f", "uni", Mode::Unicast, 1, "h3", Role::Receiver)
        };
        let delivered = of(&rows, "receiver", "delivered").unwrap();
        assert_eq!((delivered.n, delivered.mean), (1, Some(1.0)), "h2 alone");
        assert_eq!(of(&rows, "all", "link_frames"), None, "the frames on the lost host's link are not known");
    }

    #[test]
    fn each_host_by_hand() {
        let mut rows = [trial(1, 200_000), trial(2, 600_000), trial(3, 400_000), trial(4, 9_000_000)].concat();
        // The last trial was disturbed: its counts count, its times don't.
        rows[18].valid = false;
        // h3 was lost in the second.
        rows[8] = HostRow {
            valid: false,
            counts_valid: false,
            ..HostRow::new("1f", "uni", Mode::Unicast, 2, "h3", Role::Receiver)
        };
        let hosts = each_host(&rows, "uni", Mode::Unicast);
        let names: Vec<&str> = hosts.iter().map(|host| host.host.as_str()).collect();
        assert_eq!(names, ["h1", "h2", "h3", "h4", "h5", "switch"]);
        assert_eq!((hosts[0].link_tx_frames, hosts[0].link_rx_frames), (Some(2.0), Some(0.0)));
        assert_eq!((hosts[1].link_rx_frames, hosts[1].cpu_total), (Some(1.0), Some(4.0)));
        assert_eq!(hosts[2].cpu_total, Some(3.0), "of trials 1 and 3");
        assert_eq!(
            (hosts[3].role, hosts[3].link_rx_frames, hosts[3].cpu_total),
            (Role::Bystander, Some(0.0), Some(1.0))
        );
        assert_eq!((hosts[5].link_rx_frames, hosts[5].cpu_total), (None, Some(9.0)), "not measured");
        assert_eq!(each_host(&rows, "uni", Mode::Multicast), []);
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
}
