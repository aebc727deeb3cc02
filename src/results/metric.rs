//! What metrics there are: what each is about, and how a trial gives its value.
//!
//! Those that come from one column bear its name, without the unit. Per-message figures are the mean over the hosts,
//! divided by the messages sent; CPU figures of a host are those of its program and its kernel's receive work.

use super::row::HostRow;
use super::stats;
use super::trial::{Trial, Who};
use crate::units::Role;

/// One metric of `summary.csv`.
#[derive(Debug)]
pub struct Metric {
    /// As in `summary.csv` and in labs.
    pub name: &'static str,
    /// Of the value.
    pub unit: &'static str,
    /// The roles that have it; none for one of the LAN as a whole.
    pub roles: &'static [Role],
    /// What it is, in words; `{each}` and `{all}` stand for the hosts.
    says: &'static str,
    value: Value,
}

/// How a trial gives the value.
#[derive(Clone, Copy, Debug)]
enum Value {
    /// Mean over the hosts / messages sent.
    PerMessage(Column),
    /// Sum over the hosts / messages sent.
    TotalPerMessage(Column),
    /// Mean over the hosts / due times at which messages were sent.
    PerWakeUp(Column),
    /// Sum over all rows, the switch's too / the same.
    TotalPerWakeUp(Column),
    /// The sender's / the same.
    OfSenderPerWakeUp(Column),
    /// Mean over the hosts / length of the window.
    PerSecond(Column),
    /// Sum over the hosts / sum over the PCs.
    ShareOfPcs(Column),
    /// Mean over the hosts.
    Mean(Column),
    /// Median over the hosts.
    Median(Column),
    /// Largest of the hosts.
    Largest(Column),
}

type Column = fn(&HostRow) -> Option<f64>;

impl Metric {
    /// The metric of this name.
    pub fn named(name: &str) -> Option<&'static Metric> {
        METRICS.iter().find(|metric| metric.name == name)
    }

    /// Whether it is a count, which is right on a busy machine too.
    pub fn is_count(&self) -> bool {
        [FRAMES, DATAGRAMS, MESSAGES, SEGMENTS, BYTES, COUNT].contains(&self.unit)
    }

    /// Whether it is a time that something took: what varies by factors rather than by amounts.
    pub fn is_time(&self) -> bool {
        ["ns", "s"].contains(&self.unit)
    }

    /// Whether it is about the LAN as a whole.
    pub fn is_of_lan(&self) -> bool {
        self.roles.is_empty()
    }

    /// Its value in a trial; `None` where it is none of theirs, or any of the hosts lacks it.
    pub fn value(&self, trial: &Trial, who: Who) -> Option<f64> {
        let fits = match who {
            Who::Lan => self.is_of_lan(),
            Who::Role(role) => self.roles.contains(&role),
            Who::Group(_) => trial.hosts(who).all(|row| self.roles.contains(&row.role)),
        };
        if !fits {
            return None;
        }
        let of_hosts = |column: Column| trial.hosts(who).map(column).collect::<Option<Vec<f64>>>();
        let value = match self.value {
            Value::PerMessage(column) => stats::mean(&of_hosts(column)?)? / trial.messages()?,
            Value::TotalPerMessage(column) => trial.hosts(who).map(column).sum::<Option<f64>>()? / trial.messages()?,
            Value::PerWakeUp(column) => stats::mean(&of_hosts(column)?)? / trial.wake_ups()?,
            Value::TotalPerWakeUp(column) => {
                trial.rows().iter().map(|row| column(row)).sum::<Option<f64>>()? / trial.wake_ups()?
            }
            Value::OfSenderPerWakeUp(column) => column(trial.sender())? / trial.wake_ups()?,
            Value::PerSecond(column) => stats::mean(&of_hosts(column)?)? / trial.window_s()?,
            Value::ShareOfPcs(column) => {
                let of_pcs = |role| trial.hosts(Who::Role(role)).map(column).sum::<Option<f64>>();
                let all = PCS.iter().copied().map(of_pcs).sum::<Option<f64>>().filter(|all| *all > 0.0)?;
                // Nobody has no share.
                trial.hosts(who).next()?;
                trial.hosts(who).map(column).sum::<Option<f64>>()? / all
            }
            Value::Mean(column) => stats::mean(&of_hosts(column)?)?,
            Value::Median(column) => stats::median(&of_hosts(column)?)?,
            Value::Largest(column) => of_hosts(column)?.into_iter().reduce(f64::max)?,
        };
        value.is_finite().then_some(value)
    }

    /// What it is, of these hosts: `frames sent by the sender per message`.
    pub fn in_words(&self, who: Who) -> String {
        let (each, all) = match who {
            Who::Role(Role::Sender) => ("the sender", "the sender"),
            Who::Role(Role::Server) => ("the server", "the server"),
            Who::Role(Role::Receiver) => ("each receiver", "the receivers"),
            Who::Role(Role::Bystander) => ("each bystander", "the bystanders"),
            Who::Role(Role::Router) => ("the router", "the router"),
            Who::Role(Role::Switch) => ("the switch", "the switch"),
            Who::Lan => ("the LAN", "the LAN"),
            Who::Group(name) => (&*format!("each host of '{name}'"), &*format!("the hosts of '{name}'")),
        };
        let per = match self.unit.split_once('/') {
            // Those are shares of the messages already.
            Some((_, "message")) if self.unit != MESSAGES => " per message",
            Some((_, "wake-up")) => " per wake-up",
            Some((_, "s")) => " per second",
            _ => "",
        };
        self.says.replace("{each}", each).replace("{all}", all) + per
    }
}

/// The roles of hosts: those whose CPU time is the PCs'.
const PCS: &[Role] = &[Role::Sender, Role::Server, Role::Receiver, Role::Bystander];
const HOSTS: &[Role] = &[Role::Sender, Role::Server, Role::Receiver, Role::Bystander, Role::Router];
const EVERYONE: &[Role] = &[Role::Sender, Role::Server, Role::Receiver, Role::Bystander, Role::Router, Role::Switch];
const LISTENERS: &[Role] = &[Role::Server, Role::Receiver, Role::Bystander];
const REACHED: &[Role] = &[Role::Server, Role::Receiver, Role::Bystander, Role::Router];
/// Those who hand copies to the kernel.
const COPIERS: &[Role] = &[Role::Sender, Role::Server];
const SENDER: &[Role] = &[Role::Sender];
const SERVER: &[Role] = &[Role::Server];
const RECEIVER: &[Role] = &[Role::Receiver];
const BYSTANDER: &[Role] = &[Role::Bystander];

const FRAMES: &str = "frames/message";
const DATAGRAMS: &str = "datagrams/message";
const MESSAGES: &str = "messages/message";
const SEGMENTS: &str = "segments/message";
const BYTES: &str = "bytes/message";
const COUNT: &str = "count";
const CPU: &str = "us/message";
const CPU_OF_WAKE_UP: &str = "us/wake-up";

/// The column of this name as it is.
macro_rules! column {
    ($column:ident) => {
        |row| row.$column.map(|value| value as f64)
    };
}

/// A count for each message that bears its column's name.
macro_rules! count {
    ($column:ident, $unit:expr, $roles:expr, $says:expr) => {
        metric(stringify!($column), $unit, $roles, $says, Value::PerMessage(column!($column)))
    };
}

const fn metric(
    name: &'static str,
    unit: &'static str,
    roles: &'static [Role],
    says: &'static str,
    value: Value,
) -> Metric {
    Metric { name, unit, roles, says, value }
}

/// All of them, in the order of `summary.csv`.
pub const METRICS: &[Metric] = &[
    count!(link_tx_frames, FRAMES, HOSTS, "frames sent by {each}"),
    count!(link_tx_bytes, BYTES, HOSTS, "bytes of Ethernet frames sent by {each}"),
    count!(link_tx_dropped, FRAMES, SENDER, "frames {each} could not send"),
    count!(nic_filtered, FRAMES, LISTENERS, "frames for another MAC that the card of {each} dropped"),
    count!(link_limit_dropped, FRAMES, LISTENERS, "frames lost at a full slow link towards {each}"),
    count!(link_ring_dropped, FRAMES, LISTENERS, "frames lost at a full receive ring of {each}"),
    count!(link_rx_frames, FRAMES, REACHED, "frames that reached {each}"),
    count!(link_rx_bytes, BYTES, REACHED, "bytes of Ethernet frames that reached {each}"),
    count!(link_rx_other_host, FRAMES, LISTENERS, "frames for another MAC that the kernel of {each} dropped"),
    count!(link_rx_dropped, FRAMES, LISTENERS, "frames dropped by the link of {each}"),
    count!(ip_in_receives, DATAGRAMS, LISTENERS, "packets that reached IP at {each}"),
    count!(ip_in_discards, DATAGRAMS, LISTENERS, "packets discarded by IP at {each}"),
    count!(ip_not_joined, DATAGRAMS, LISTENERS, "packets for a group nobody joined at {each}"),
    count!(ip_in_delivers, DATAGRAMS, LISTENERS, "packets IP handed on at {each}"),
    count!(udp_no_ports, DATAGRAMS, LISTENERS, "datagrams for a closed port at {each}"),
    count!(udp_ignored_multi, DATAGRAMS, LISTENERS, "datagrams nobody listened to at {each}"),
    count!(udp_rcvbuf_errors, DATAGRAMS, LISTENERS, "datagrams lost at full socket buffers of {each}"),
    count!(udp_in_errors, DATAGRAMS, LISTENERS, "datagrams that failed in UDP at {each}"),
    count!(udp_in_datagrams, DATAGRAMS, LISTENERS, "datagrams UDP handed on at {each}"),
    count!(tcp_out_segs, SEGMENTS, PCS, "TCP segments sent by {each}"),
    count!(tcp_in_segs, SEGMENTS, PCS, "TCP segments that reached {each}"),
    count!(tcp_retrans_segs, SEGMENTS, PCS, "TCP segments sent again by {each}"),
    metric(
        "handshakes",
        COUNT,
        SERVER,
        "TCP connections that {each} took while messages were sent",
        Value::Mean(column!(tcp_passive_opens)),
    ),
    metric("accepts", COUNT, SERVER, "connections accepted by {each}", Value::Mean(column!(server_accepts))),
    metric("clients", COUNT, SERVER, "clients of {each} when sending began", Value::Mean(column!(server_clients))),
    metric(
        "threads",
        COUNT,
        SERVER,
        "threads of {each} that serve a client each",
        Value::Mean(column!(server_threads)),
    ),
    metric(
        "dropped_slow",
        COUNT,
        SERVER,
        "clients that {each} dropped for being slow",
        Value::Mean(column!(server_dropped)),
    ),
    metric(
        "cpu_accept",
        CPU,
        SERVER,
        "CPU time of the listening thread of {each}",
        Value::PerMessage(|row| micros(row.server_accept_cpu_ns)),
    ),
    metric(
        "delivered",
        MESSAGES,
        RECEIVER,
        "share of the messages that reached {each}",
        Value::PerMessage(column!(messages_received)),
    ),
    count!(socket_dropped, MESSAGES, RECEIVER, "share of the messages that a full socket buffer cost {each}"),
    count!(messages_lost, MESSAGES, RECEIVER, "share of the messages lost on the way to {each}"),
    count!(messages_duplicate, MESSAGES, RECEIVER, "share of the messages that reached {each} again"),
    count!(messages_reordered, MESSAGES, RECEIVER, "share of the messages that reached {each} out of order"),
    count!(messages_unrecognized, MESSAGES, RECEIVER, "foreign datagrams at {each}, as a share of the messages"),
    // Each frame once for each link it crosses, so unicast 2 K, broadcast N, multicast 1 + K without a router. A router's
    // links are links too. The switch's ports are the other ends of the same links. What a card drops has crossed its link.
    metric(
        "link_frames",
        FRAMES,
        &[],
        "frames on all links together",
        Value::TotalPerMessage(|row| {
            Some(row.link_tx_frames? as f64 + row.link_rx_frames? as f64 + row.nic_filtered.unwrap_or(0) as f64)
        }),
    ),
    metric(
        "cpu_app",
        CPU,
        EVERYONE,
        "CPU time of the program of {each}",
        Value::PerMessage(|row| micros(row.cpu_app_ns)),
    ),
    metric(
        "cpu_kernel_rx",
        CPU,
        EVERYONE,
        "CPU time of the kernel's receive work at {each}",
        Value::PerMessage(|row| micros(row.cpu_kernel_rx_ns)),
    ),
    metric(
        "cpu_send",
        CPU,
        COPIERS,
        "CPU time of {each} inside the calls that send",
        Value::PerMessage(|row| micros(row.cpu_send_ns)),
    ),
    metric(
        "cpu_wake",
        CPU,
        COPIERS,
        "CPU time of the program of {each} outside those calls",
        Value::PerMessage(|row| micros(row.cpu_wake_ns)),
    ),
    metric("cpu_total", CPU, EVERYONE, "CPU time of {each}", Value::PerMessage(|row| micros(row.cpu_total_ns))),
    metric(
        "cpu_per_wake_up",
        CPU_OF_WAKE_UP,
        EVERYONE,
        "CPU time of {each}",
        Value::PerWakeUp(|row| micros(row.cpu_total_ns)),
    ),
    metric(
        "cpu_attributed",
        CPU_OF_WAKE_UP,
        &[],
        "CPU time of all hosts and the switch together",
        Value::TotalPerWakeUp(|row| micros(row.cpu_total_ns)),
    ),
    metric(
        "machine_busy",
        CPU_OF_WAKE_UP,
        &[],
        "CPU time of the machine",
        Value::OfSenderPerWakeUp(|row| micros(row.machine_busy_ns)),
    ),
    metric(
        "cpu_share",
        "ratio",
        PCS,
        "share of the PCs' CPU time that {all} took together",
        Value::ShareOfPcs(column!(cpu_total_ns)),
    ),
    metric(
        "cpu_load",
        "ratio",
        HOSTS,
        "part of one CPU that {each} kept busy",
        Value::PerSecond(|row| row.cpu_total_ns.map(|ns| ns as f64 / 1e9)),
    ),
    metric(
        "rate",
        "messages/s",
        SENDER,
        "messages sent by {each}",
        Value::PerSecond(|row| row.messages_sent.filter(|sent| *sent > 0).map(|sent| sent as f64)),
    ),
    metric(
        "flow_sent",
        "datagrams/s",
        BYSTANDER,
        "datagrams of the other flow sent by {each}",
        Value::PerSecond(column!(flow_sent)),
    ),
    metric(
        "flow_received",
        "datagrams/s",
        LISTENERS,
        "datagrams of the other flow that reached {each}",
        Value::PerSecond(column!(flow_received)),
    ),
    metric("work", "pieces/s", BYSTANDER, "pieces of work done by {each}", Value::Mean(|row| row.work_per_s)),
    metric(
        "request_p50",
        "ns",
        SENDER,
        "median time from asking the server to its answer",
        Value::Median(column!(request_p50_ns)),
    ),
    metric("latency_p50", "ns", RECEIVER, "median latency at {each}", Value::Median(column!(latency_p50_ns))),
    metric(
        "latency_p99",
        "ns",
        RECEIVER,
        "99th percentile of the latency at {each}",
        Value::Median(column!(latency_p99_ns)),
    ),
    metric("latency_max", "ns", RECEIVER, "largest latency at any of {all}", Value::Largest(column!(latency_max_ns))),
    metric(
        "kernel_latency_p50",
        "ns",
        RECEIVER,
        "median latency to the kernel of {each}",
        Value::Median(column!(kernel_latency_p50_ns)),
    ),
    metric(
        "kernel_latency_p99",
        "ns",
        RECEIVER,
        "99th percentile of the latency to the kernel of {each}",
        Value::Median(column!(kernel_latency_p99_ns)),
    ),
    metric("jitter", "ns", RECEIVER, "jitter at {each}", Value::Median(column!(jitter_ns))),
    metric(
        "join_delay",
        "ns",
        RECEIVER,
        "time from joining to the first message at {each}",
        Value::Median(column!(join_delay_ns)),
    ),
    metric(
        "leave_delay",
        "ns",
        RECEIVER,
        "time from leaving to the last message on the link of {each}",
        Value::Median(column!(leave_delay_ns)),
    ),
    metric(
        "last_received",
        "s",
        RECEIVER,
        "time of the last message at {each}",
        Value::Median(|row| row.last_received_s),
    ),
    metric(
        "skew_p50",
        "ns",
        SENDER,
        "median time between the first and the last receiver of a message",
        Value::Median(column!(skew_p50_ns)),
    ),
    metric(
        "skew_p99",
        "ns",
        SENDER,
        "99th percentile of the time between the first and the last receiver of a message",
        Value::Median(column!(skew_p99_ns)),
    ),
    metric(
        "lateness_p99",
        "ns",
        SENDER,
        "99th percentile of how late {each} was",
        Value::Median(column!(lateness_p99_ns)),
    ),
];

fn micros(nanos: Option<u64>) -> Option<f64> {
    nanos.map(|nanos| nanos as f64 / 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_a_name_of_its_own() {
        for (index, metric) in METRICS.iter().enumerate() {
            let found = METRICS.iter().position(|other| other.name == metric.name);
            assert_eq!(found, Some(index), "{} is the name of two", metric.name);
        }
        assert!(Metric::named("cpu").is_none());
        assert!(Metric::named("link_frames").unwrap().is_of_lan());
    }

    #[test]
    fn in_words() {
        let words = |name, who| Metric::named(name).unwrap().in_words(Who::named(who).unwrap());
        assert_eq!(words("link_tx_frames", "sender"), "frames sent by the sender per message");
        assert_eq!(words("cpu_total", "far"), "CPU time of each host of 'far' per message");
        assert_eq!(words("delivered", "receiver"), "share of the messages that reached each receiver");
        assert_eq!(words("cpu_share", "bystander"), "share of the PCs' CPU time that the bystanders took together");
        assert_eq!(words("work", "bystander"), "pieces of work done by each bystander per second");
        assert_eq!(words("link_frames", "all"), "frames on all links together per message");
        for metric in METRICS {
            assert!(!metric.in_words(Who::Role(Role::Sender)).contains(['{', '}']), "{}", metric.name);
        }
    }
}
