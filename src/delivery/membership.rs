//! Whether the kernel says that this host is a member of a group, read from its own lists.
//!
//! | file under `/proc/thread-self/net` | rows |
//! |---|---|
//! | `igmp` | an interface's row, then one for each group: the address as the machine stores it, in hexadecimal |
//! | `igmp6` | index, interface, group as 32 hexadecimal digits |
//! | `mcfilter`, `mcfilter6` | index, interface, group, source, and how many sockets include and exclude it |

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whether `group` (from `source` only, if given) is joined on the interface of this index; `None` when the kernel's
/// list cannot be read.
pub(super) fn is_member(interface: u32, group: IpAddr, source: Option<IpAddr>) -> Option<bool> {
    let file = match (group, source) {
        (IpAddr::V4(_), None) => "igmp",
        (IpAddr::V6(_), None) => "igmp6",
        (IpAddr::V4(_), Some(_)) => "mcfilter",
        (IpAddr::V6(_), Some(_)) => "mcfilter6",
    };
    let table = fs::read_to_string(format!("/proc/thread-self/net/{file}")).ok()?;
    Some(match (group, source) {
        (IpAddr::V4(group), None) => igmp_lists(&table, interface, group),
        (IpAddr::V6(group), None) => igmp6_lists(&table, interface, group),
        (group, Some(source)) => filter_includes(&table, interface, group, source),
    })
}

fn igmp_lists(table: &str, interface: u32, group: Ipv4Addr) -> bool {
    let group = u32::from_ne_bytes(group.octets());
    let mut current = None;
    table.lines().any(|line| {
        let first = line.split_ascii_whitespace().next().unwrap_or_default();
        if line.starts_with(|c: char| c.is_ascii_digit()) {
            current = first.parse().ok();
        }
        line.starts_with('\t') && current == Some(interface) && u32::from_str_radix(first, 16) == Ok(group)
    })
}

fn igmp6_lists(table: &str, interface: u32, group: Ipv6Addr) -> bool {
    table.lines().any(|line| {
        let fields: Vec<_> = line.split_ascii_whitespace().collect();
        let [index, _name, listed, ..] = fields[..] else { return false };
        index.parse() == Ok(interface) && u128::from_str_radix(listed, 16) == Ok(group.to_bits())
    })
}

fn filter_includes(table: &str, interface: u32, group: IpAddr, source: IpAddr) -> bool {
    let number = |text: &str| u128::from_str_radix(text.trim_start_matches("0x"), 16).ok();
    let bits = |address| match address {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits(),
    };
    table.lines().any(|line| {
        let fields: Vec<_> = line.split_ascii_whitespace().collect();
        let [index, _name, listed, from, includes, _excludes] = fields[..] else { return false };
        index.parse() == Ok(interface)
            && number(listed) == Some(bits(group))
            && number(from) == Some(bits(source))
            && includes.parse::<u64>().is_ok_and(|sockets| sockets > 0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn igmp() {
        // As a little-endian machine writes it.
        let group = |address: [u8; 4]| format!("{:08X}", u32::from_ne_bytes(address));
        let table = format!(
            "Idx\tDevice    : Count Querier\tGroup    Users Timer\tReporter\n\
             1\tlo        :     1      V3\n\
             \t\t\t\t{}     1 0:00000000\t\t0\n\
             12\teth0      :     2      V3\n\
             \t\t\t\t{}     1 0:00000000\t\t0\n\
             \t\t\t\t{}     1 0:00000000\t\t0\n",
            group([224, 0, 0, 1]),
            group([239, 1, 1, 1]),
            group([224, 0, 0, 1]),
        );
        let listed = |interface, group: &str| igmp_lists(&table, interface, group.parse().unwrap());
        assert!(listed(12, "239.1.1.1") && listed(12, "224.0.0.1") && listed(1, "224.0.0.1"));
        assert!(!listed(1, "239.1.1.1") && !listed(2, "239.1.1.1") && !listed(12, "239.1.1.2"));
        assert!(!igmp_lists("", 1, "239.1.1.1".parse().unwrap()));
    }

    #[test]
    fn igmp6() {
        let table = "1    lo              ff020000000000000000000000000001     1 0000000C 0\n\
                     2    eth0            ff020000000000000000000000000077     1 00000004 0\n";
        let listed = |interface, group: &str| igmp6_lists(table, interface, group.parse().unwrap());
        assert!(listed(2, "ff02::77") && listed(1, "ff02::1"));
        assert!(!listed(1, "ff02::77") && !listed(2, "ff02::78"));
    }

    #[test]
    fn filters() {
        let v4 = "Idx Device        MCA        SRC    INC    EXC\n  2   eth0 0xe8010101 0x0a000001      1      0\n";
        let v6 = "Idx Device                Multicast Address                   Source Address    INC    EXC\n  \
                    2   eth0 ff3e0000000000000000000000000001 20010db8000000000000000000000001      0      1\n";
        let of = |table, interface, group: &str, source: &str| {
            filter_includes(table, interface, group.parse().unwrap(), source.parse().unwrap())
        };
        assert!(of(v4, 2, "232.1.1.1", "10.0.0.1"));
        assert!(!of(v4, 3, "232.1.1.1", "10.0.0.1"));
        assert!(!of(v4, 2, "232.1.1.1", "10.0.0.2"));
        assert!(!of(v6, 2, "ff3e::1", "2001:db8::1"), "excluded, not included");
        assert!(of(&v6.replace("0      1\n", "1      0\n"), 2, "ff3e::1", "2001:db8::1"));
    }
}
