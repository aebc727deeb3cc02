//! The rows of the CSV files. The names and the order of the columns are relied on by others.

use serde::{Deserialize, Serialize};

use crate::units::{Mode, Role};

/// `hosts.csv`: one host in one trial. An empty field means not measured; 0 means zero.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HostRow {
    /// Names the run; the same in all rows of a folder.
    pub run_id: String,
    /// Names the condition within the run.
    pub condition: String,
    /// How messages were delivered.
    pub mode: Mode,
    /// Repetition, from 1.
    pub trial: u32,
    /// `h1` …, or `switch`.
    pub host: String,
    /// What the host did.
    pub role: Role,
    /// Whether the trial can be used.
    pub valid: bool,
    /// Why it cannot, or what is doubtful about it.
    pub invalid_reason: String,
    /// The send window as it was, in s.
    pub duration_s: Option<f64>,
    /// UDP payload.
    pub size_bytes: Option<u64>,
    /// Messages/s asked for; empty for `max`.
    pub offered_rate: Option<f64>,
    /// Messages sent (sender).
    pub messages_sent: Option<u64>,
    /// Datagrams or frames sent (sender).
    pub copies_sent: Option<u64>,
    /// Distinct messages (receiver).
    pub messages_received: Option<u64>,
    /// Sent − distinct received (receiver).
    pub messages_lost: Option<u64>,
    /// Arrivals of one that had arrived before (receiver).
    pub messages_duplicate: Option<u64>,
    /// Arrivals after one with a higher sequence (receiver).
    pub messages_reordered: Option<u64>,
    /// Datagrams that are no probe (receiver).
    pub messages_unrecognized: Option<u64>,
    /// `IFLA_STATS64` `tx_packets`.
    pub link_tx_frames: Option<u64>,
    /// `tx_bytes`, with Ethernet header.
    pub link_tx_bytes: Option<u64>,
    /// `tx_dropped`.
    pub link_tx_dropped: Option<u64>,
    /// `tx_dropped` of the switch's port towards the host: its receive ring was full.
    pub link_ring_dropped: Option<u64>,
    /// `rx_packets`.
    pub link_rx_frames: Option<u64>,
    /// `rx_bytes`, with Ethernet header.
    pub link_rx_bytes: Option<u64>,
    /// `rx_dropped`.
    pub link_rx_dropped: Option<u64>,
    /// `rx_otherhost_dropped`.
    pub link_rx_other_host: Option<u64>,
    /// `InReceives`.
    pub ip_in_receives: Option<u64>,
    /// `InDelivers`.
    pub ip_in_delivers: Option<u64>,
    /// `InMcastPkts`.
    pub ip_in_mcast: Option<u64>,
    /// `InBcastPkts`.
    pub ip_in_bcast: Option<u64>,
    /// `InDiscards`.
    pub ip_in_discards: Option<u64>,
    /// Received by IP, but for a group nobody here joined.
    pub ip_not_joined: Option<u64>,
    /// UDP `InDatagrams`.
    pub udp_in_datagrams: Option<u64>,
    /// `NoPorts`.
    pub udp_no_ports: Option<u64>,
    /// `RcvbufErrors`.
    pub udp_rcvbuf_errors: Option<u64>,
    /// `IgnoredMulti`.
    pub udp_ignored_multi: Option<u64>,
    /// `InErrors`.
    pub udp_in_errors: Option<u64>,
    /// Application latency, median.
    pub latency_p50_ns: Option<u64>,
    /// 99th percentile.
    pub latency_p99_ns: Option<u64>,
    /// Maximum.
    pub latency_max_ns: Option<u64>,
    /// CPU time of the host's process.
    pub cpu_app_ns: Option<u64>,
    /// CPU time of the host's NAPI threads (switch: of all ports).
    pub cpu_kernel_rx_ns: Option<u64>,
    /// The sum of both, where both are known.
    pub cpu_total_ns: Option<u64>,
    /// `napi-threads`, `app-only` or `host-idle`.
    pub cpu_method: String,
    // Beyond the fixed columns.
    /// Latency by the receiving kernel's timestamp, median.
    pub kernel_latency_p50_ns: Option<u64>,
    /// 99th percentile of the same.
    pub kernel_latency_p99_ns: Option<u64>,
    /// Interarrival jitter (RFC 3550).
    pub jitter_ns: Option<u64>,
    /// How late the sender was against its schedule, 99th percentile.
    pub lateness_p99_ns: Option<u64>,
    /// Datagrams the socket dropped for want of buffer.
    pub socket_dropped: Option<u64>,
}

/// `samples.csv`: one host over one interval of a trial.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SampleRow {
    /// As in [`HostRow`].
    pub run_id: String,
    /// As in [`HostRow`].
    pub condition: String,
    /// As in [`HostRow`].
    pub mode: Mode,
    /// As in [`HostRow`].
    pub trial: u32,
    /// As in [`HostRow`].
    pub host: String,
    /// As in [`HostRow`].
    pub role: Role,
    /// End of the interval, in s from the start of the window.
    pub time_s: f64,
    /// Length of the interval, in s.
    pub interval_s: f64,
    /// Frames the host sent, by the switch's port (switch: of all ports).
    pub link_tx_frames: Option<u64>,
    /// Frames the host got, by the switch's port (switch: of all ports).
    pub link_rx_frames: Option<u64>,
    /// CPU time of the host's NAPI threads.
    pub cpu_kernel_rx_ns: Option<u64>,
    /// CPU time of the host's process.
    pub cpu_app_ns: Option<u64>,
}

/// `summary.csv`: one metric of one role in one condition, over the valid trials.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SummaryRow {
    /// As in [`HostRow`].
    pub condition: String,
    /// As in [`HostRow`].
    pub mode: Mode,
    /// `sender`, `receiver`, `bystander`, `switch`, or `all` for the whole LAN.
    pub role: String,
    /// What was measured, with its unit in [`unit`](Self::unit).
    pub metric: String,
    /// `frames/message`, `us/message`, `ns`, `ratio`, …
    pub unit: String,
    /// Valid trials.
    pub n: u64,
    /// Over the trials.
    pub median: Option<f64>,
    /// Over the trials.
    pub mean: Option<f64>,
    /// Lower end of the 95 % confidence interval of the mean.
    pub ci95_low: Option<f64>,
    /// Upper end.
    pub ci95_high: Option<f64>,
    /// Coefficient of variation: standard deviation / mean.
    pub cv: Option<f64>,
}
