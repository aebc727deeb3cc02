//! TCP counters: `/proc/thread-self/net/snmp`, which counts TCP over IPv4 and IPv6 together.

use serde::{Deserialize, Serialize};

use super::grown;
use super::snmp::Snmp;

/// Segments and handshakes (RFC 4022 names). `None`: this kernel has no such counter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TcpCounters {
    /// `InSegs`: segments received, those with errors too. What GRO has put together counts as one.
    pub in_segs: Option<u64>,
    /// `OutSegs`: segments sent, without those sent again.
    pub out_segs: Option<u64>,
    /// `RetransSegs`: segments sent again.
    pub retrans_segs: Option<u64>,
    /// `ActiveOpens`: connections begun from here.
    pub active_opens: Option<u64>,
    /// `PassiveOpens`: connections taken here.
    pub passive_opens: Option<u64>,
}

impl TcpCounters {
    pub(super) fn from_snmp(snmp: &Snmp<'_>) -> TcpCounters {
        let count = |name| snmp.v4("Tcp", name);
        TcpCounters {
            in_segs: count("InSegs"),
            out_segs: count("OutSegs"),
            retrans_segs: count("RetransSegs"),
            active_opens: count("ActiveOpens"),
            passive_opens: count("PassiveOpens"),
        }
    }

    /// Growth since `earlier`; `None` where either has none or the counter shrank.
    #[must_use]
    pub fn since(&self, earlier: &TcpCounters) -> TcpCounters {
        TcpCounters {
            in_segs: grown(self.in_segs, earlier.in_segs),
            out_segs: grown(self.out_segs, earlier.out_segs),
            retrans_segs: grown(self.retrans_segs, earlier.retrans_segs),
            active_opens: grown(self.active_opens, earlier.active_opens),
            passive_opens: grown(self.passive_opens, earlier.passive_opens),
        }
    }
}
