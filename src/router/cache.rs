//! What the kernel counted while it forwarded multicast: `/proc/thread-self/net/ip_mr_cache` and `ip_mr_vif`.

use std::net::Ipv4Addr;

/// Packets of one source to one group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteCounts {
    /// The group.
    pub group: Ipv4Addr,
    /// The source.
    pub source: Ipv4Addr,
    /// Packets that came, whether they were sent on or not (`Pkts`).
    pub packets: u64,
    /// Bytes of these, from the IP header on (`Bytes`).
    pub bytes: u64,
    /// Those of them that came by another interface than the first and were dropped (`Wrong`).
    pub wrong_interface: u64,
    /// The numbers of the interfaces it is sent on by (`Oifs`).
    pub outputs: Vec<u16>,
}

/// The rows of `ip_mr_cache` but for those the kernel waits for an answer about.
pub(super) fn routes(text: &str) -> Vec<RouteCounts> {
    let route = |line: &str| {
        let mut fields = line.split_ascii_whitespace();
        let mut address =
            || u32::from_str_radix(fields.next()?, 16).ok().map(|bits| Ipv4Addr::from(bits.to_ne_bytes()));
        let (group, source) = (address()?, address()?);
        let _vif: u16 = fields.next()?.parse().ok()?; // -1 while it waits
        let mut number = || fields.next()?.parse().ok();
        let (packets, bytes, wrong_interface) = (number()?, number()?, number()?);
        let outputs = fields.filter_map(|output| output.split(':').next()?.parse().ok()).collect();
        Some(RouteCounts { group, source, packets, bytes, wrong_interface, outputs })
    };
    text.lines().skip(1).filter_map(route).collect()
}

/// Packets sent by all interfaces of `ip_mr_vif` (`PktsOut`).
pub(super) fn forwarded(text: &str) -> u64 {
    text.lines().skip(1).filter_map(|line| line.split_ascii_whitespace().nth(5)?.parse::<u64>().ok()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Linux 6.18.
    #[test]
    #[cfg(target_endian = "little")]
    fn rows_are_read() {
        let text = "\
Group    Origin   Iif     Pkts    Bytes    Wrong Oifs
010101EF 01004D0A 0        100     9200        2  1:1    2:1  
020101EF 01004D0A 1          7      644        0
030101EF 01004D0A -1         0        0        0
";
        let route = |group, packets, bytes, wrong_interface, outputs: &[u16]| RouteCounts {
            group: Ipv4Addr::new(239, 1, 1, group),
            source: Ipv4Addr::new(10, 77, 0, 1),
            packets,
            bytes,
            wrong_interface,
            outputs: outputs.to_vec(),
        };
        assert_eq!(routes(text), [route(1, 100, 9200, 2, &[1, 2]), route(2, 7, 644, 0, &[])]);
        assert!(routes("").is_empty() && routes("Group\nx y z\n010101EF\n").is_empty());
    }

    #[test]
    fn packets_out_are_summed() {
        let text = "\
Interface      BytesIn  PktsIn  BytesOut PktsOut Flags Local    Remote
 0 r1a            9200     100         0       3 00008 FEFF4D0A 00000000
 1 r1b               0       0      9200     100 00008 FEFF4E0A 00000000
";
        assert_eq!(forwarded(text), 103);
        assert_eq!(forwarded(""), 0);
    }
}
