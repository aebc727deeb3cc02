//! A host of a LAN that exists.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::os::fd::OwnedFd;

/// One host of a LAN.
#[derive(Debug)]
pub struct Host {
    /// `h1`, `h2`, …: the host's name and that of its interface.
    pub name: String,
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
