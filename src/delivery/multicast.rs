//! Opening the endpoints of multicast delivery: one datagram to each group (RFC 1112, RFC 4291, RFC 4607).

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use std::sync::atomic::Ordering;

use socket2::{SockAddr, Socket};

use super::choice;
use super::description::{self, InletDescription, Membership, OutletDescription};
use super::endpoint::{
    Filter, Inlet, MAX_PAYLOAD_IPV4, MAX_PAYLOAD_IPV6, Outlet, check_port, connect, receiving_socket, sending_socket,
};
use super::membership;
use crate::error::{Error, Result};
use crate::sys::interface::Interface;
use crate::sys::socket;
use crate::units::Mode;
use crate::wire::ethernet::MacAddress;

/// How far multicast goes.
#[derive(Clone, Copy)]
pub(super) struct Hops {
    /// Routers it may pass, and 1.
    pub(super) ttl: u8,
    /// Whether members on this host get it too.
    pub(super) loop_back: bool,
}

/// Opens a socket that sends a copy to each of `groups` by one interface.
pub(super) fn outlet(
    groups: &[IpAddr],
    port: u16,
    hops: Hops,
    interface: Option<&str>,
    dscp: Option<u8>,
) -> Result<Outlet> {
    check_port(port)?;
    let groups = Groups::check(groups)?;
    let interface = choice::for_multicast(interface, groups.list[0])?;
    interface.check_source(groups.ipv6)?;
    let socket = sending_socket(groups.ipv6, dscp)?;
    set_up(&socket, groups.ipv6, &interface, hops).map_err(|error| {
        Error::failed(format!("setting up a socket for multicast by {}", interface.name)).because(error)
    })?;
    let to: Vec<_> = groups.list.iter().map(|group| on(&interface, *group, port)).collect();
    let destinations = match &to[..] {
        [only] => {
            connect(&socket, *only)?;
            Vec::new()
        }
        several => several.iter().map(|to| SockAddr::from(*to)).collect(),
    };
    let mut warnings = description::link_warnings(Some(&interface));
    warnings.extend(groups.warning());
    Ok(Outlet {
        socket,
        destinations,
        frame_header: Vec::new(),
        max_payload: if groups.ipv6 { MAX_PAYLOAD_IPV6 } else { MAX_PAYLOAD_IPV4 },
        description: OutletDescription {
            mode: Mode::Multicast,
            interface: Some(interface.name),
            to,
            macs: groups.macs(),
            ttl: Some(hops.ttl),
            warnings,
        },
    })
}

/// Opens a socket for what is sent to `groups`, a member of none of them yet.
pub(super) fn unjoined(groups: &[IpAddr], source: Option<IpAddr>, port: u16, interface: Option<&str>) -> Result<Inlet> {
    check_port(port)?;
    let groups = Groups::check(groups)?;
    if let Some(source) = source {
        check_source(source, groups.ipv6)?;
    }
    let interface = choice::for_multicast(interface, groups.list[0])?;
    let any: IpAddr = if groups.ipv6 { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
    // Not tied to the interface: groups are joined on it, and each datagram is checked.
    let (socket, granted) = receiving_socket(SocketAddr::new(any, port), true, None)?;
    let mut warnings = description::warnings(Some(&interface), granted);
    warnings.extend(groups.warning());
    let description = InletDescription {
        mode: Mode::Multicast,
        addresses: description::addresses(Some(&interface)),
        port: Some(port),
        groups: Vec::new(),
        source,
        receive_buffer_bytes: granted,
        warnings,
        interface: Some(interface.name),
    };
    let filter = Filter::Multicast { groups: groups.list, interface: interface.index.into() };
    Ok(Inlet::new(socket, filter, MAX_PAYLOAD_IPV6, description))
}

impl Inlet {
    /// Becomes a member of the groups it is for, where it is for groups.
    ///
    /// # Errors
    /// When the kernel refuses one of them; those before it are joined then.
    pub fn join(&self) -> Result<()> {
        let Filter::Multicast { groups, interface } = &self.filter else { return Ok(()) };
        for (joined, &group) in groups.iter().enumerate() {
            socket::join_group(&self.socket, interface.load(Ordering::Relaxed), group, self.description.source)
                .map_err(|error| {
                    let name = self.description.interface.as_deref().unwrap_or_default();
                    join_error(group, joined, groups.len(), name, error)
                })?;
        }
        Ok(())
    }

    /// Puts the memberships into the description, as the kernel confirms them.
    pub(super) fn describe_memberships(&mut self) {
        let Filter::Multicast { groups, interface } = &self.filter else { return };
        let source = self.description.source;
        let memberships = groups.iter().filter_map(|&group| {
            let confirmed = membership::is_member(interface.load(Ordering::Relaxed), group, source);
            Some(Membership { group, mac: MacAddress::of_group(group)?, confirmed })
        });
        self.description.groups = memberships.collect();
    }

    /// Ceases to be a member of its groups on an interface that is gone: the kernel still has them by its index.
    pub(super) fn forget_groups(&self) {
        let Filter::Multicast { groups, interface } = &self.filter else { return };
        for &group in groups {
            // With all its sources. One that it is no member of, on a second attempt, is as well.
            let _ = socket::leave_group(&self.socket, interface.load(Ordering::Relaxed), group, None);
        }
    }

    /// Ceases to be a member of the groups it is for. What has arrived before is still there to be received.
    ///
    /// # Errors
    /// When it is not a member of one of them.
    pub fn leave(&self) -> Result<()> {
        let Filter::Multicast { groups, interface } = &self.filter else { return Ok(()) };
        groups.iter().try_for_each(|&group| {
            socket::leave_group(&self.socket, interface.load(Ordering::Relaxed), group, self.description.source)
                .map_err(|error| Error::failed(format!("leaving {group}")).because(error))
        })
    }
}

/// Groups of one family, each once, at least one.
struct Groups {
    list: Vec<IpAddr>,
    ipv6: bool,
}

impl Groups {
    fn check(groups: &[IpAddr]) -> Result<Groups> {
        let Some(first) = groups.first() else {
            return Err(Error::usage("--group: at least one group is needed, such as 239.1.1.1"));
        };
        let mut list = Vec::with_capacity(groups.len());
        for group in groups {
            if !group.is_multicast() {
                return Err(Error::usage(format!(
                    "--group {group}: not a multicast address; groups are 224.0.0.0 to 239.255.255.255 and ff00::/8"
                )));
            }
            if group.is_ipv4() != first.is_ipv4() {
                return Err(Error::usage(format!(
                    "--group: {first} and {group} are IPv4 and IPv6; name groups of one family"
                )));
            }
            if !list.contains(group) {
                list.push(*group);
            }
        }
        Ok(Groups { ipv6: first.is_ipv6(), list })
    }

    fn macs(&self) -> Vec<MacAddress> {
        self.list.iter().filter_map(|group| MacAddress::of_group(*group)).collect()
    }

    /// Groups that switches do not filter (RFC 4541 section 2.1.2 (2), section 3).
    fn warning(&self) -> Option<String> {
        let unfiltered = self.list.iter().find(|group| match group {
            IpAddr::V4(group) => group.octets()[..3] == [224, 0, 0],
            IpAddr::V6(group) => *group == Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1),
        })?;
        Some(format!("switches send {unfiltered} to every port, members or not; groups such as 239.1.1.1 they filter"))
    }
}

fn set_up(socket: &Socket, ipv6: bool, interface: &Interface, hops: Hops) -> io::Result<()> {
    if ipv6 {
        socket.set_multicast_if_v6(interface.index)?;
        socket.set_multicast_hops_v6(hops.ttl.into())?;
        socket.set_multicast_loop_v6(hops.loop_back)
    } else {
        let source = interface.ipv4.first().map(|own| own.address);
        socket::set_multicast_interface_v4(socket, interface.index, source)?;
        socket.set_multicast_ttl_v4(hops.ttl.into())?;
        socket.set_multicast_loop_v4(hops.loop_back)
    }
}

fn on(interface: &Interface, group: IpAddr, port: u16) -> SocketAddr {
    match group {
        IpAddr::V4(group) => (group, port).into(),
        IpAddr::V6(group) => SocketAddrV6::new(group, port, 0, interface.index).into(),
    }
}

fn check_source(source: IpAddr, ipv6: bool) -> Result<()> {
    if source.is_ipv6() != ipv6 {
        return Err(Error::usage(format!("--source {source}: not of the same address family as the group")));
    }
    let broadcast = matches!(source, IpAddr::V4(source) if source.is_broadcast());
    if source.is_multicast() || source.is_unspecified() || broadcast {
        return Err(Error::usage(format!("--source {source}: a sender has a unicast address")));
    }
    Ok(())
}

fn join_error(group: IpAddr, joined: usize, wanted: usize, interface: &str, error: io::Error) -> Error {
    let what = format!("joining {group} on {interface}");
    match error.raw_os_error() {
        Some(libc::ENOBUFS | libc::ENOMEM) => {
            let name = if group.is_ipv4() { "net/ipv4/igmp_max_memberships" } else { "net/core/optmem_max" };
            let limit = fs::read_to_string(format!("/proc/sys/{name}")).unwrap_or_default();
            let sysctl = name.replace('/', ".");
            Error::usage(format!(
                "--group: this host lets a socket join {joined} of the {wanted} groups ({sysctl} = {})",
                limit.trim()
            ))
            .remedy(format!("Name fewer groups, or allow more: sudo sysctl -w {sysctl}=NUMBER"))
        }
        Some(libc::ENODEV) => Error::failed(what).because(error).remedy(format!(
            "{interface} has no {} on it: see ip address.",
            if group.is_ipv4() { "IPv4" } else { "IPv6" }
        )),
        _ => Error::failed(what).because(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(groups: &[&str]) -> Result<Groups> {
        Groups::check(&groups.iter().map(|group| group.parse().unwrap()).collect::<Vec<_>>())
    }

    #[test]
    fn groups_are_groups_of_one_family() {
        assert_eq!(check(&["239.1.1.1", "239.1.1.2", "239.1.1.1"]).unwrap().list.len(), 2);
        assert!(check(&["ff02::77"]).unwrap().ipv6);
        for (groups, why) in [
            (&["10.0.0.1"][..], "--group 10.0.0.1: not a multicast address"),
            (&["255.255.255.255"], "not a multicast address"),
            (&["239.1.1.1", "ff02::77"], "one family"),
            (&[], "at least one group"),
        ] {
            let error = check(groups).err().unwrap().to_string();
            assert!(error.contains(why), "{error}");
        }
    }

    #[test]
    fn some_groups_are_never_filtered() {
        assert!(check(&["239.1.1.1", "224.0.0.5"]).unwrap().warning().unwrap().contains("224.0.0.5"));
        assert!(check(&["ff02::1"]).unwrap().warning().is_some());
        assert!(check(&["239.1.1.1", "224.0.1.1"]).unwrap().warning().is_none());
        assert!(check(&["ff02::77"]).unwrap().warning().is_none());
    }

    #[test]
    fn sources_are_senders() {
        let source = |text: &str, ipv6| check_source(text.parse().unwrap(), ipv6);
        assert!(source("10.0.0.1", false).is_ok() && source("fe80::1", true).is_ok());
        for (text, ipv6) in [("10.0.0.1", true), ("fe80::1", false), ("239.1.1.1", false), ("0.0.0.0", false)] {
            assert!(source(text, ipv6).unwrap_err().to_string().starts_with("--source"), "{text}");
        }
    }
}
