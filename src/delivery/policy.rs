//! How far messages may go without being asked to go further: pure.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Target;
use crate::error::{Error, Result};
use crate::sys::interface::Interface;

/// How far a destination is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// This host: 127.0.0.0/8, ::1.
    Loopback,
    /// This link: 169.254.0.0/16 (RFC 3927), fe80::/10, and multicast that no router passes on.
    LinkLocal,
    /// This site: 10/8, 172.16/12, 192.168/16 (RFC 1918), 100.64/10 (RFC 6598), 198.18/15 (RFC 2544, for measuring
    /// networks), fc00::/7 (RFC 4193), and multicast that stays within a site or an organization (239/8 by RFC 2365,
    /// IPv6 scopes up to 8 by RFC 7346).
    Private,
    /// Anywhere else.
    Public,
}

impl Reach {
    /// How far `address` is, one host's own or 255.255.255.255.
    pub fn of_host(address: IpAddr) -> Reach {
        match address.to_canonical() {
            IpAddr::V4(address) => Reach::of_ipv4(address),
            IpAddr::V6(address) => Reach::of_ipv6(address),
        }
    }

    /// How far messages to `group` may go with this TTL.
    pub fn of_group(group: IpAddr, ttl: u8) -> Reach {
        match group {
            // RFC 1112 section 6.1, and for IPv6 the hop limit likewise: a router passes on what has more than 1 left.
            _ if ttl <= 1 => Reach::LinkLocal,
            // RFC 5771 section 4: never passed on, whatever the TTL.
            IpAddr::V4(group) if group.octets()[..3] == [224, 0, 0] => Reach::LinkLocal,
            IpAddr::V4(group) if group.octets()[0] == 239 => Reach::Private,
            IpAddr::V4(_) => Reach::Public,
            IpAddr::V6(group) => match group.octets()[1] & 0xf {
                0 | 1 => Reach::Loopback,
                2 => Reach::LinkLocal,
                3..=8 => Reach::Private,
                _ => Reach::Public,
            },
        }
    }

    fn of_ipv4(address: Ipv4Addr) -> Reach {
        match address.octets() {
            [127, ..] => Reach::Loopback,
            [169, 254, ..] | [255, 255, 255, 255] => Reach::LinkLocal,
            [100, 64..=127, ..] | [198, 18 | 19, ..] => Reach::Private,
            _ if address.is_private() => Reach::Private,
            _ => Reach::Public,
        }
    }

    fn of_ipv6(address: Ipv6Addr) -> Reach {
        match address {
            Ipv6Addr::LOCALHOST => Reach::Loopback,
            _ if address.is_unicast_link_local() => Reach::LinkLocal,
            _ if address.is_unique_local() => Reach::Private,
            _ => Reach::Public,
        }
    }
}

/// Refuses a target that is beyond this link and site, unless that is allowed. Public addresses in a network that one
/// of `interfaces` is directly connected to are on this link. Broadcast never leaves it.
///
/// # Errors
/// A usage error that names the destination and `--allow-public`.
pub fn check_reach(target: &Target, allow_public: bool, interfaces: &[Interface]) -> Result<()> {
    if allow_public {
        return Ok(());
    }
    let refuse = |what: String| {
        Err(Error::usage(format!("{what}: this leaves the local link and site; if that is meant, add --allow-public")))
    };
    match target {
        Target::Unicast { to } => {
            let beyond = to.iter().map(|to| to.ip().to_canonical()).find(|address| {
                Reach::of_host(*address) == Reach::Public
                    && !interfaces.iter().any(|interface| interface.is_on_link(*address))
            });
            beyond.map_or(Ok(()), |address| refuse(format!("--to {address}")))
        }
        Target::Multicast { groups, ttl, .. } => {
            let beyond = groups.iter().find(|group| Reach::of_group(**group, *ttl) == Reach::Public);
            beyond.map_or(Ok(()), |group| refuse(format!("--group {group} with --ttl {ttl}")))
        }
        Target::Broadcast { .. } | Target::RawBroadcast => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::BroadcastAddress;
    use crate::sys::interface::InterfaceIpv4;

    #[test]
    fn hosts() {
        for (address, reach) in [
            ("127.0.0.1", Reach::Loopback),
            ("127.255.0.1", Reach::Loopback),
            ("::1", Reach::Loopback),
            ("::ffff:127.0.0.1", Reach::Loopback),
            ("169.254.1.1", Reach::LinkLocal),
            ("fe80::1", Reach::LinkLocal),
            ("10.1.2.3", Reach::Private),
            ("172.16.0.1", Reach::Private),
            ("172.31.255.255", Reach::Private),
            ("172.32.0.1", Reach::Public),
            ("192.168.1.1", Reach::Private),
            ("192.169.1.1", Reach::Public),
            ("100.64.0.1", Reach::Private),
            ("100.128.0.1", Reach::Public),
            ("198.18.0.1", Reach::Private),
            ("198.20.0.1", Reach::Public),
            ("fd00::1", Reach::Private),
            ("8.8.8.8", Reach::Public),
            ("192.0.2.1", Reach::Public),
            ("2001:db8::1", Reach::Public),
            ("::ffff:8.8.8.8", Reach::Public),
            ("fec0::1", Reach::Public),
        ] {
            assert_eq!(Reach::of_host(address.parse().unwrap()), reach, "{address}");
        }
    }

    #[test]
    fn groups() {
        for (group, ttl, reach) in [
            ("232.1.1.1", 1, Reach::LinkLocal),
            ("232.1.1.1", 2, Reach::Public),
            ("239.1.1.1", 255, Reach::Private),
            ("224.0.0.251", 255, Reach::LinkLocal),
            ("224.0.1.1", 2, Reach::Public),
            ("ff02::77", 255, Reach::LinkLocal),
            ("ff01::77", 255, Reach::Loopback),
            ("ff05::77", 255, Reach::Private),
            ("ff38::77", 255, Reach::Private),
            ("ff0e::77", 255, Reach::Public),
            ("ff3e::77", 1, Reach::LinkLocal),
        ] {
            assert_eq!(Reach::of_group(group.parse().unwrap(), ttl), reach, "{group} TTL {ttl}");
        }
    }

    #[test]
    fn public_destinations_need_the_flag() {
        let unicast = |to: &[&str]| Target::Unicast { to: to.iter().map(|to| to.parse().unwrap()).collect() };
        let multicast = |group: &str, ttl| Target::Multicast {
            groups: vec![group.parse().unwrap()],
            port: 4747,
            ttl,
            loop_back: true,
        };
        let far = unicast(&["10.0.0.1:4747", "192.0.2.7:4747"]);
        let error = check_reach(&far, false, &[]).unwrap_err().to_string();
        assert!(error.starts_with("--to 192.0.2.7") && error.ends_with("--allow-public"), "{error}");
        assert!(check_reach(&far, true, &[]).is_ok());

        let mut campus = Interface::named("lo").unwrap();
        let own = "192.0.2.1".parse().unwrap();
        campus.ipv4 = vec![InterfaceIpv4 { address: own, peer: own, prefix_len: 24, broadcast: None }];
        assert!(check_reach(&far, false, &[campus]).is_ok(), "a public address on the own link");

        assert!(check_reach(&unicast(&["10.0.0.1:4747", "[fe80::1%2]:4747"]), false, &[]).is_ok());
        assert!(check_reach(&multicast("232.1.1.1", 1), false, &[]).is_ok());
        assert!(check_reach(&multicast("232.1.1.1", 2), false, &[]).is_err());
        assert!(check_reach(&multicast("239.1.1.1", 2), false, &[]).is_ok());
        assert!(check_reach(&Target::RawBroadcast, false, &[]).is_ok());
        let broadcast = Target::Broadcast { to: BroadcastAddress::Limited, port: 4747 };
        assert!(check_reach(&broadcast, false, &[]).is_ok());
    }
}
