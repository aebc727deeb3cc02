//! UDP counters: `/proc/thread-self/net/snmp` and `snmp6`.

use serde::{Deserialize, Serialize};

use super::snmp::Snmp;
use super::{grown, sum};

/// Datagrams that reached UDP, over IPv4 (`Udp:`) and IPv6 (`Udp6…`) together. `None`: this kernel has no such counter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UdpCounters {
    /// `InDatagrams`: counted when a program takes the datagram from its socket, not when it arrives there.
    pub in_datagrams: Option<u64>,
    /// `NoPorts`: unicast to a port nobody listens to.
    pub no_ports: Option<u64>,
    /// `RcvbufErrors`: the socket's buffer was full.
    pub rcvbuf_errors: Option<u64>,
    /// `IgnoredMulti`: broadcast or multicast nobody listens to.
    pub ignored_multi: Option<u64>,
    /// `InErrors`: all that could not be delivered for other reasons than `NoPorts`; `RcvbufErrors` are among them.
    pub in_errors: Option<u64>,
}

impl UdpCounters {
    pub(super) fn from_snmp(snmp: &Snmp<'_>) -> UdpCounters {
        let both = |name| match snmp.v6 {
            Some(v6) => sum([snmp.v4("Udp", name), v6.get("Udp6", name)]),
            None => snmp.v4("Udp", name),
        };
        UdpCounters {
            in_datagrams: both("InDatagrams"),
            no_ports: both("NoPorts"),
            rcvbuf_errors: both("RcvbufErrors"),
            ignored_multi: both("IgnoredMulti"),
            in_errors: both("InErrors"),
        }
    }

    /// Growth since `earlier`; `None` where either has none or the counter shrank.
    #[must_use]
    pub fn since(&self, earlier: &UdpCounters) -> UdpCounters {
        UdpCounters {
            in_datagrams: grown(self.in_datagrams, earlier.in_datagrams),
            no_ports: grown(self.no_ports, earlier.no_ports),
            rcvbuf_errors: grown(self.rcvbuf_errors, earlier.rcvbuf_errors),
            ignored_multi: grown(self.ignored_multi, earlier.ignored_multi),
            in_errors: grown(self.in_errors, earlier.in_errors),
        }
    }
}
