//! Link counters: `IFLA_STATS64` of rtnetlink.

use serde::{Deserialize, Serialize};

/// Counters of one interface. `None`: this kernel has no such counter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkCounters {
    /// `tx_packets`.
    pub tx_frames: Option<u64>,
    /// `tx_bytes`.
    pub tx_bytes: Option<u64>,
    /// `tx_dropped`.
    pub tx_dropped: Option<u64>,
    /// `rx_packets` (those for another MAC are among them).
    pub rx_frames: Option<u64>,
    /// `rx_bytes`.
    pub rx_bytes: Option<u64>,
    /// `rx_dropped` (frames of an EtherType nobody handles are among them).
    pub rx_dropped: Option<u64>,
    /// `rx_otherhost_dropped`: "not my MAC" (Linux 6.0 and later).
    pub rx_other_host: Option<u64>,
}
