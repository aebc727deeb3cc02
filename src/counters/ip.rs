//! IP counters: `/proc/thread-self/net/snmp`, `netstat` and `snmp6`.

use serde::{Deserialize, Serialize};

/// Datagrams that reached IP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IpCounters {
    /// `InReceives`.
    pub in_receives: Option<u64>,
    /// `InDelivers`.
    pub in_delivers: Option<u64>,
    /// `InMcastPkts`.
    pub in_mcast: Option<u64>,
    /// `InBcastPkts`.
    pub in_bcast: Option<u64>,
    /// `InDiscards`.
    pub in_discards: Option<u64>,
    /// All header, address, protocol, route and truncation errors together.
    pub in_errors: Option<u64>,
    /// Derived: received, but neither delivered nor counted as an error: groups nobody here joined.
    pub not_joined: Option<u64>,
}
