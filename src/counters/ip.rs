//! IP counters: `/proc/thread-self/net/snmp`, `netstat` and `snmp6`.

use serde::{Deserialize, Serialize};

use super::snmp::Snmp;
use super::{grown, sum};

/// Datagrams that reached IP, IPv4 and (where the kernel has it) IPv6 together. `None`: this kernel has no such counter.
///
/// A datagram in fragments counts once a fragment in `in_receives` and once as a whole in `in_delivers`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IpCounters {
    /// `InReceives`.
    pub in_receives: Option<u64>,
    /// `InDelivers`.
    pub in_delivers: Option<u64>,
    /// `InMcastPkts`. IPv4 counts only groups somebody here joined; IPv6 counts the others too.
    pub in_mcast: Option<u64>,
    /// `InBcastPkts` (IPv4 alone has broadcast).
    pub in_bcast: Option<u64>,
    /// `InDiscards`.
    pub in_discards: Option<u64>,
    /// All header, address, protocol, route and truncation errors together: `InHdrErrors` (bad checksums are among
    /// them), `InAddrErrors`, `InUnknownProtos`, `InNoRoutes`, `InTruncatedPkts`, and what the reverse path filter
    /// dropped (`IPReversePathFilter`, IPv4).
    pub in_errors: Option<u64>,
    /// `ForwDatagrams`, `OutForwDatagrams`: received for somebody else and sent on.
    pub forwarded: Option<u64>,
    /// `ReasmReqds` − `ReasmOKs`: fragments that did not count as delivered, since the whole they became part of did.
    pub reassembled: Option<u64>,
    /// Derived, and only in a delta: received, but counted nowhere afterwards, as happens to a group nobody here joined:
    /// `in_receives` − `in_delivers` − `in_discards` − `in_errors` − `forwarded` − `reassembled`. What a firewall dropped
    /// is in it too. `None` where that would be negative: the counters were read while datagrams were under way.
    pub not_joined: Option<u64>,
}

impl IpCounters {
    pub(super) fn from_snmp(snmp: &Snmp<'_>) -> IpCounters {
        const V4_ERRORS: [(&str, &str); 6] = [
            ("Ip", "InHdrErrors"),
            ("Ip", "InAddrErrors"),
            ("Ip", "InUnknownProtos"),
            ("IpExt", "InNoRoutes"),
            ("IpExt", "InTruncatedPkts"),
            ("TcpExt", "IPReversePathFilter"),
        ];
        const V6_ERRORS: [&str; 5] =
            ["InHdrErrors", "InAddrErrors", "InUnknownProtos", "InNoRoutes", "InTruncatedPkts"];

        let v6 = snmp.v6;
        let with_v6 = |v4, v6_name| match v6 {
            Some(v6) => sum([v4, v6.get("Ip6", v6_name)]),
            None => v4,
        };
        let both = |name| with_v6(snmp.v4("Ip", name), name);
        let v4_errors = snmp.v4_sum(V4_ERRORS);
        IpCounters {
            in_receives: both("InReceives"),
            in_delivers: both("InDelivers"),
            in_mcast: with_v6(snmp.v4("IpExt", "InMcastPkts"), "InMcastPkts"),
            in_bcast: snmp.v4("IpExt", "InBcastPkts"),
            in_discards: both("InDiscards"),
            in_errors: match v6 {
                Some(v6) => sum([v4_errors, v6.sum("Ip6", V6_ERRORS)]),
                None => v4_errors,
            },
            forwarded: with_v6(snmp.v4("Ip", "ForwDatagrams"), "OutForwDatagrams"),
            reassembled: grown(both("ReasmReqds"), both("ReasmOKs")),
            not_joined: None,
        }
    }

    /// Growth since `earlier`; `None` where either has none or the counter shrank.
    #[must_use]
    pub fn since(&self, earlier: &IpCounters) -> IpCounters {
        let mut delta = IpCounters {
            in_receives: grown(self.in_receives, earlier.in_receives),
            in_delivers: grown(self.in_delivers, earlier.in_delivers),
            in_mcast: grown(self.in_mcast, earlier.in_mcast),
            in_bcast: grown(self.in_bcast, earlier.in_bcast),
            in_discards: grown(self.in_discards, earlier.in_discards),
            in_errors: grown(self.in_errors, earlier.in_errors),
            forwarded: grown(self.forwarded, earlier.forwarded),
            reassembled: grown(self.reassembled, earlier.reassembled),
            not_joined: None,
        };
        let accounted = [delta.in_delivers, delta.in_discards, delta.in_errors, delta.forwarded, delta.reassembled];
        delta.not_joined = grown(delta.in_receives, sum(accounted));
        delta
    }
}

#[cfg(test)]
mod tests {
    use super::super::snmp::Snmp6;
    use super::super::udp::UdpCounters;
    use super::*;

    // Linux 6.18; the long tables cut to what is of interest here.
    const SNMP: &str = "\
Ip: Forwarding DefaultTTL InReceives InHdrErrors InAddrErrors ForwDatagrams InUnknownProtos InDiscards InDelivers \
OutRequests OutDiscards OutNoRoutes ReasmTimeout ReasmReqds ReasmOKs ReasmFails FragOKs FragFails FragCreates OutTransmits
Ip: 2 64 2910 1 2 30 3 4 2800 2010 0 0 0 9 3 0 0 0 0 2010
Icmp: InMsgs InErrors
Icmp: 1 0
Udp: InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors SndbufErrors InCsumErrors IgnoredMulti MemErrors
Udp: 117 5 6 118 7 0 0 8 0
";
    const NETSTAT: &str = "\
TcpExt: SyncookiesSent IPReversePathFilter TCPTimeWaitOverflow
TcpExt: 0 12 0
IpExt: InNoRoutes InTruncatedPkts InMcastPkts OutMcastPkts InBcastPkts OutBcastPkts InOctets
IpExt: 10 11 13 0 14 0 82323012
";
    const SNMP6: &str = "\
Ip6InReceives                   \t100
Ip6InHdrErrors                  \t1
Ip6InTooBigErrors               \t99
Ip6InNoRoutes                   \t1
Ip6InAddrErrors                 \t1
Ip6InUnknownProtos              \t1
Ip6InTruncatedPkts              \t1
Ip6InDiscards                   \t2
Ip6InDelivers                   \t80
Ip6OutForwDatagrams             \t3
Ip6ReasmReqds                   \t4
Ip6ReasmOKs                     \t2
Ip6InMcastPkts                  \t20
Udp6InDatagrams                 \t70
Udp6NoPorts                     \t1
Udp6InErrors                    \t2
Udp6RcvbufErrors                \t2
Udp6IgnoredMulti                \t3
";

    #[test]
    fn ipv4_alone() {
        let ip = IpCounters::from_snmp(&Snmp { snmp: SNMP, netstat: NETSTAT, v6: None });
        let expected = IpCounters {
            in_receives: Some(2910),
            in_delivers: Some(2800),
            in_mcast: Some(13),
            in_bcast: Some(14),
            in_discards: Some(4),
            in_errors: Some(1 + 2 + 3 + 10 + 11 + 12),
            forwarded: Some(30),
            reassembled: Some(6),
            not_joined: None,
        };
        assert_eq!(ip, expected);
        let not_joined = ip.since(&zero()).not_joined;
        assert_eq!(not_joined, Some(2910 - 2800 - 4 - 39 - 30 - 6));
    }

    #[test]
    fn both_families() {
        let snmp = Snmp { snmp: SNMP, netstat: NETSTAT, v6: Some(Snmp6(SNMP6)) };
        let ip = IpCounters::from_snmp(&snmp);
        assert_eq!((ip.in_receives, ip.in_mcast, ip.in_bcast), (Some(3010), Some(33), Some(14)));
        assert_eq!((ip.in_errors, ip.forwarded, ip.reassembled), (Some(44), Some(33), Some(8)));
        let udp = UdpCounters::from_snmp(&snmp);
        assert_eq!((udp.in_datagrams, udp.no_ports, udp.in_errors), (Some(187), Some(6), Some(8)));
        assert_eq!((udp.rcvbuf_errors, udp.ignored_multi), (Some(9), Some(11)));
    }

    #[test]
    fn a_counter_an_old_kernel_lacks_is_none() {
        // Linux 2.6.32: no IgnoredMulti, no IPReversePathFilter, IpExt ends after the octets.
        let snmp = "Ip: Forwarding DefaultTTL InReceives InHdrErrors InAddrErrors ForwDatagrams InUnknownProtos InDiscards \
                    InDelivers OutRequests OutDiscards OutNoRoutes ReasmTimeout ReasmReqds ReasmOKs ReasmFails FragOKs \
                    FragFails FragCreates\nIp: 2 64 50 0 0 0 0 0 40 1 0 0 0 0 0 0 0 0 0\n\
                    Udp: InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors SndbufErrors\nUdp: 7 5 0 9 0 0\n";
        let netstat = "TcpExt: SyncookiesSent\nTcpExt: 0\nIpExt: InNoRoutes InTruncatedPkts InMcastPkts OutMcastPkts \
                       InBcastPkts OutBcastPkts InOctets\nIpExt: 0 0 3 0 4 0 512\n";
        let snmp = Snmp { snmp, netstat, v6: None };
        let ip = IpCounters::from_snmp(&snmp);
        assert_eq!((ip.in_receives, ip.in_mcast, ip.in_bcast), (Some(50), Some(3), Some(4)));
        assert_eq!((ip.in_errors, ip.since(&zero()).not_joined), (None, None));
        let udp = UdpCounters::from_snmp(&snmp);
        assert_eq!((udp.in_datagrams, udp.no_ports, udp.ignored_multi), (Some(7), Some(5), None));
    }

    #[test]
    fn counters_that_shrank_are_none() {
        let ip = IpCounters::from_snmp(&Snmp { snmp: SNMP, netstat: NETSTAT, v6: None });
        let backwards = zero().since(&ip);
        assert_eq!((backwards.in_receives, backwards.not_joined), (None, None));
        // Delivered before the first reading of InReceives and counted after it: not a negative number, and not a wrap.
        let odd = IpCounters { in_receives: Some(5), in_delivers: Some(6), ..zero() };
        assert_eq!(odd.since(&zero()).not_joined, None);
    }

    fn zero() -> IpCounters {
        let zero = Some(0);
        IpCounters {
            in_receives: zero,
            in_delivers: zero,
            in_mcast: zero,
            in_bcast: zero,
            in_discards: zero,
            in_errors: zero,
            forwarded: zero,
            reassembled: zero,
            not_joined: None,
        }
    }
}
