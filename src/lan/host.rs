//! A host of a LAN that exists.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::os::fd::OwnedFd;

use super::router::Router;

/// One host of a LAN.
#[derive(Debug)]
pub struct Host {
    /// `h1`, `h2`, …: the host's name and that of its interface.
    pub name: String,
    /// Index of its LAN.
    pub lan: usize,
    /// `p1`, `p2`, …: the switch's port towards it.
    pub port: String,
    /// The number of its interface, in its namespace.
    pub ifindex: u32,
    /// The number of the port, in the switch's namespace.
    pub port_ifindex: u32,
    /// Its Ethernet address.
    pub mac: [u8; 6],
    /// Its IPv4 address (in a /16).
    pub ipv4: Ipv4Addr,
    /// Its IPv6 address, where the LAN has IPv6.
    pub ipv6: Option<Ipv6Addr>,
    /// Its network namespace.
    pub netns: OwnedFd,
}

/// A cable: a link of a host or of the router, and the switch's port at its other end.
pub(super) struct Cable<'a> {
    /// Index of the host; the router's is the one after the last host's.
    pub(super) host: usize,
    /// Index of the LAN.
    pub(super) lan: usize,
    pub(super) netns: &'a OwnedFd,
    pub(super) link: &'a str,
    pub(super) ifindex: u32,
    pub(super) port: &'a str,
    pub(super) port_ifindex: u32,
}

/// All cables, the hosts' first.
pub(super) fn cables<'a>(hosts: &'a [Host], router: Option<&'a Router>) -> impl Iterator<Item = Cable<'a>> {
    let of_hosts = hosts.iter().enumerate().map(|(host, of)| Cable {
        host,
        lan: of.lan,
        netns: &of.netns,
        link: &of.name,
        ifindex: of.ifindex,
        port: &of.port,
        port_ifindex: of.port_ifindex,
    });
    let of_router = router.into_iter().flat_map(move |router| {
        router.links.iter().map(move |of| Cable {
            host: hosts.len(),
            lan: of.lan,
            netns: &router.netns,
            link: &of.name,
            ifindex: of.ifindex,
            port: &of.port,
            port_ifindex: of.port_ifindex,
        })
    });
    of_hosts.chain(of_router)
}
