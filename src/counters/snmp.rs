//! The three files of a namespace's protocol counters: `snmp` and `netstat` (IPv4) and `snmp6`.

use super::sum;

/// The text of the files, read at nearly one moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Snmp<'a> {
    /// `/proc/…/net/snmp` (RFC 1213 names).
    pub(super) snmp: &'a str,
    /// `/proc/…/net/netstat` (Linux's own).
    pub(super) netstat: &'a str,
    /// `/proc/…/net/snmp6`; `None` where the kernel has no IPv6.
    pub(super) v6: Option<Snmp6<'a>>,
}

impl Snmp<'_> {
    /// The counter `name` of the protocol `table`, from whichever file has it: a line `TABLE: NAME NAME …` and below it
    /// `TABLE: VALUE VALUE …`.
    pub(super) fn v4(&self, table: &str, name: &str) -> Option<u64> {
        column(self.snmp, table, name).or_else(|| column(self.netstat, table, name))
    }

    /// The sum of some counters, each `(table, name)`; `None` where one is missing.
    pub(super) fn v4_sum<const N: usize>(&self, names: [(&str, &str); N]) -> Option<u64> {
        sum(names.map(|(table, name)| self.v4(table, name)))
    }
}

/// Lines of `PREFIXNAME VALUE`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Snmp6<'a>(pub(super) &'a str);

impl Snmp6<'_> {
    /// The counter `name` of the protocol `prefix` (`Ip6`, `Udp6`).
    pub(super) fn get(&self, prefix: &str, name: &str) -> Option<u64> {
        self.0.lines().find_map(|line| {
            let mut fields = line.split_ascii_whitespace();
            let is_it = fields.next()?.strip_prefix(prefix)? == name;
            is_it.then(|| fields.next()?.parse().ok()).flatten()
        })
    }

    /// The sum of some counters of one protocol; `None` where one is missing.
    pub(super) fn sum<const N: usize>(&self, prefix: &str, names: [&str; N]) -> Option<u64> {
        sum(names.map(|name| self.get(prefix, name)))
    }
}

fn column(text: &str, table: &str, name: &str) -> Option<u64> {
    let mut lines = text.lines().filter_map(|line| line.strip_prefix(table)?.strip_prefix(':'));
    let (names, values) = (lines.next()?, lines.next()?);
    let mut columns = names.split_ascii_whitespace().zip(values.split_ascii_whitespace());
    columns.find(|&(column, _)| column == name)?.1.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_found_by_name() {
        let snmp = "Ip: Forwarding DefaultTTL InReceives\nIp: 2 64 2910\nUdp: InDatagrams NoPorts\nUdp: 117 3\n\
                    UdpLite: InDatagrams NoPorts\nUdpLite: 8 9\n";
        let netstat = "TcpExt: IPReversePathFilter\nTcpExt: 4\nIpExt: InNoRoutes InMcastPkts\nIpExt: 0 6\n";
        let v4 = Snmp { snmp, netstat, v6: None };
        assert_eq!(v4.v4("Ip", "InReceives"), Some(2910));
        assert_eq!(v4.v4("Udp", "NoPorts"), Some(3));
        assert_eq!(v4.v4("UdpLite", "NoPorts"), Some(9));
        assert_eq!(v4.v4("IpExt", "InMcastPkts"), Some(6));
        assert_eq!(v4.v4("IpExt", "InBcastPkts"), None);
        assert_eq!(v4.v4("Tcp", "MaxConn"), None);
        assert_eq!(v4.v4_sum([("IpExt", "InMcastPkts"), ("TcpExt", "IPReversePathFilter")]), Some(10));
        assert_eq!(v4.v4_sum([("IpExt", "InMcastPkts"), ("IpExt", "InBcastPkts")]), None);
    }

    #[test]
    fn rows_of_snmp6_are_found_by_name() {
        let v6 = Snmp6("Ip6InReceives                   \t1\nIp6InOctets\t128\nUdp6NoPorts \t2\nUdpLite6NoPorts \t7\n");
        assert_eq!(v6.get("Ip6", "InReceives"), Some(1));
        assert_eq!(v6.get("Udp6", "NoPorts"), Some(2));
        assert_eq!(v6.get("Udp6", "InDatagrams"), None);
        assert_eq!(v6.sum("Ip6", ["InReceives", "InOctets"]), Some(129));
    }

    #[test]
    fn damaged_files_have_no_counters() {
        for text in ["", "Ip:", "Ip: InReceives", "Ip: InReceives\nIp:", "Ip: InReceives\nIp: -1", "InReceives\n1"] {
            assert_eq!(column(text, "Ip", "InReceives"), None, "{text:?}");
            assert_eq!(Snmp6(text).get("Ip6", "InReceives"), None, "{text:?}");
        }
        assert_eq!(Snmp6("Ip6InReceives\nIp6InReceives x\n").get("Ip6", "InReceives"), None);
    }
}
