//! UDP counters: `/proc/thread-self/net/snmp` and `snmp6`.

use serde::{Deserialize, Serialize};

/// Datagrams that reached UDP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UdpCounters {
    /// `InDatagrams`.
    pub in_datagrams: Option<u64>,
    /// `NoPorts`.
    pub no_ports: Option<u64>,
    /// `RcvbufErrors`.
    pub rcvbuf_errors: Option<u64>,
    /// `IgnoredMulti`: broadcast or multicast nobody listens to.
    pub ignored_multi: Option<u64>,
    /// `InErrors`.
    pub in_errors: Option<u64>,
}
