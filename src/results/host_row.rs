//! The row of `hosts.csv`. The names and the order of its columns are relied on by others.

use serde::{Deserialize, Serialize};

use super::row::Row;
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
    /// Whether all of it can be used; see `counts_valid` as well.
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
    /// Time between the first and the last receiver of a message (sender), median over the messages.
    pub skew_p50_ns: Option<u64>,
    /// 99th percentile of the same.
    pub skew_p99_ns: Option<u64>,
    /// Whether its counts can be used: true as well where only the machine was too busy for its times to be.
    #[serde(default)]
    pub counts_valid: bool,
    /// The group of hosts a lab put it in; empty without one.
    #[serde(default)]
    pub group: String,
    /// The LAN it is on, from 1; 0 for the router and the switch, which are on all of them.
    #[serde(default = "first_lan")]
    pub lan: u32,
    /// Frames for another host's MAC that the network card (`nic = "filter"`) dropped before the host saw them; empty
    /// without such a card.
    pub nic_filtered: Option<u64>,
    /// Datagrams of the unrelated flow sent here.
    pub flow_sent: Option<u64>,
    /// Distinct datagrams of the unrelated flow that arrived here.
    pub flow_received: Option<u64>,
    /// Time from asking to join to the first message (RFC 3918: group join delay; here at the host).
    pub join_delay_ns: Option<u64>,
    /// Time from leaving to the last message on the host's link (RFC 3918: group leave delay; here at the host).
    pub leave_delay_ns: Option<u64>,
    /// When the last message arrived, in s from the start of the window.
    pub last_received_s: Option<f64>,
    /// Pieces of unrelated work done each second by the program that does it.
    pub work_per_s: Option<f64>,
    /// Frames that the slower link towards the host had no room for: lost before its port counted them.
    pub link_limit_dropped: Option<u64>,
    /// TCP `InSegs`.
    pub tcp_in_segs: Option<u64>,
    /// `OutSegs`.
    pub tcp_out_segs: Option<u64>,
    /// `RetransSegs`.
    pub tcp_retrans_segs: Option<u64>,
    /// `ActiveOpens`.
    pub tcp_active_opens: Option<u64>,
    /// `PassiveOpens`.
    pub tcp_passive_opens: Option<u64>,
    /// Time from asking the server to its answer before the window (sender), median.
    pub request_p50_ns: Option<u64>,
    /// Connections the server has accepted since it was started for the trial (server).
    pub server_accepts: Option<u64>,
    /// Clients connected when the window opened (server).
    pub server_clients: Option<u64>,
    /// Threads that served a client each then (chat server).
    pub server_threads: Option<u64>,
    /// Clients it dropped for being slow (chat server).
    pub server_dropped: Option<u64>,
    /// CPU time its listening thread used during the window (chat server).
    pub server_accept_cpu_ns: Option<u64>,
    /// CPU time inside the calls that hand copies to the kernel, without the clock's own cost (sender, chat server).
    pub cpu_send_ns: Option<u64>,
    /// The rest of the program's time: waking, pacing, encoding; a server's reading, too.
    pub cpu_wake_ns: Option<u64>,
    /// Due times at which messages left: messages sent / burst; empty at the rate `max` (sender).
    pub wake_ups: Option<u64>,
    /// CPU time of the machine in the trial, without that of foreign tasks and of the program that runs the trial (sender).
    pub machine_busy_ns: Option<u64>,
}

/// Where there was but one.
fn first_lan() -> u32 {
    1
}

impl HostRow {
    /// CPU time that delivery takes of the host, in ns: of the sender that of sending, where it is told apart, since
    /// waking costs it the same in all modes; of all others the whole.
    pub fn cost_ns(&self) -> Option<u64> {
        self.cpu_send_ns.filter(|_| self.role == Role::Sender).or(self.cpu_total_ns)
    }

    /// A row of a trial taken to be valid, in which nothing has been measured yet.
    pub fn new(run_id: &str, condition: &str, mode: Mode, trial: u32, host: &str, role: Role) -> HostRow {
        HostRow {
            run_id: run_id.to_owned(),
            condition: condition.to_owned(),
            mode,
            trial,
            host: host.to_owned(),
            role,
            valid: true,
            invalid_reason: String::new(),
            duration_s: None,
            size_bytes: None,
            offered_rate: None,
            messages_sent: None,
            copies_sent: None,
            messages_received: None,
            messages_lost: None,
            messages_duplicate: None,
            messages_reordered: None,
            messages_unrecognized: None,
            link_tx_frames: None,
            link_tx_bytes: None,
            link_tx_dropped: None,
            link_ring_dropped: None,
            link_rx_frames: None,
            link_rx_bytes: None,
            link_rx_dropped: None,
            link_rx_other_host: None,
            ip_in_receives: None,
            ip_in_delivers: None,
            ip_in_mcast: None,
            ip_in_bcast: None,
            ip_in_discards: None,
            ip_not_joined: None,
            udp_in_datagrams: None,
            udp_no_ports: None,
            udp_rcvbuf_errors: None,
            udp_ignored_multi: None,
            udp_in_errors: None,
            latency_p50_ns: None,
            latency_p99_ns: None,
            latency_max_ns: None,
            cpu_app_ns: None,
            cpu_kernel_rx_ns: None,
            cpu_total_ns: None,
            cpu_method: String::new(),
            kernel_latency_p50_ns: None,
            kernel_latency_p99_ns: None,
            jitter_ns: None,
            lateness_p99_ns: None,
            socket_dropped: None,
            skew_p50_ns: None,
            skew_p99_ns: None,
            counts_valid: true,
            group: String::new(),
            lan: if role == Role::Switch || role == Role::Router { 0 } else { 1 },
            nic_filtered: None,
            flow_sent: None,
            flow_received: None,
            join_delay_ns: None,
            leave_delay_ns: None,
            last_received_s: None,
            work_per_s: None,
            link_limit_dropped: None,
            tcp_in_segs: None,
            tcp_out_segs: None,
            tcp_retrans_segs: None,
            tcp_active_opens: None,
            tcp_passive_opens: None,
            request_p50_ns: None,
            server_accepts: None,
            server_clients: None,
            server_threads: None,
            server_dropped: None,
            server_accept_cpu_ns: None,
            cpu_send_ns: None,
            cpu_wake_ns: None,
            wake_ups: None,
            machine_busy_ns: None,
        }
    }
}

impl Row for HostRow {
    const FILE: &'static str = "hosts.csv";
    const COLUMNS: &'static [&'static str] = &[
        "run_id",
        "condition",
        "mode",
        "trial",
        "host",
        "role",
        "valid",
        "invalid_reason",
        "duration_s",
        "size_bytes",
        "offered_rate",
        "messages_sent",
        "copies_sent",
        "messages_received",
        "messages_lost",
        "messages_duplicate",
        "messages_reordered",
        "messages_unrecognized",
        "link_tx_frames",
        "link_tx_bytes",
        "link_tx_dropped",
        "link_ring_dropped",
        "link_rx_frames",
        "link_rx_bytes",
        "link_rx_dropped",
        "link_rx_other_host",
        "ip_in_receives",
        "ip_in_delivers",
        "ip_in_mcast",
        "ip_in_bcast",
        "ip_in_discards",
        "ip_not_joined",
        "udp_in_datagrams",
        "udp_no_ports",
        "udp_rcvbuf_errors",
        "udp_ignored_multi",
        "udp_in_errors",
        "latency_p50_ns",
        "latency_p99_ns",
        "latency_max_ns",
        "cpu_app_ns",
        "cpu_kernel_rx_ns",
        "cpu_total_ns",
        "cpu_method",
        "kernel_latency_p50_ns",
        "kernel_latency_p99_ns",
        "jitter_ns",
        "lateness_p99_ns",
        "socket_dropped",
        "skew_p50_ns",
        "skew_p99_ns",
        "counts_valid",
        "group",
        "lan",
        "nic_filtered",
        "flow_sent",
        "flow_received",
        "join_delay_ns",
        "leave_delay_ns",
        "last_received_s",
        "work_per_s",
        "link_limit_dropped",
        "tcp_in_segs",
        "tcp_out_segs",
        "tcp_retrans_segs",
        "tcp_active_opens",
        "tcp_passive_opens",
        "request_p50_ns",
        "server_accepts",
        "server_clients",
        "server_threads",
        "server_dropped",
        "server_accept_cpu_ns",
        "cpu_send_ns",
        "cpu_wake_ns",
        "wake_ups",
        "machine_busy_ns",
    ];
}
