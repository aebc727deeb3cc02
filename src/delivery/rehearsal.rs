//! Walking the way of a datagram through the kernel without sending one.
//!
//! After a wake-up the code and the data of the kernel's network stack have left the CPU's caches, the more so the more
//! hosts share the CPU: the first copy that a message sends then costs two to four times what the next one does. That is
//! part of the price of waking, not of sending, and on a real host, whose CPU is its own, it does not depend on what other
//! hosts do. So a sender whose CPU time is taken walks the way once first, by a datagram that never reaches a link.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::AsFd;

use super::Outlet;
use super::multicast::{self, Hops};
use crate::sys::mmsg::SendBatch;

/// Port 9 (RFC 863, discard).
const NOBODYS_PORT: u16 = 9;

/// A socket for it, and the datagram.
pub(super) struct Rehearsal {
    outlet: Outlet,
    batch: SendBatch,
}

impl Rehearsal {
    /// For datagrams of `size` bytes by this interface. `None` where it cannot be had: the first copy is dearer then.
    ///
    /// The datagram is to all hosts, a group every host is in (224.0.0.1, RFC 1112), with a TTL of 0 and without a loop:
    /// `ip_mc_output` drops it once it is made and routed. With IPv6 it is to ff01::1, which stays within an interface
    /// (RFC 4291 §2.7.1): `ip6_finish_output` drops it.
    pub(super) fn open(interface: Option<&str>, ipv6: bool, size: usize) -> Option<Rehearsal> {
        const INTERFACE_LOCAL: Ipv6Addr = Ipv6Addr::new(0xff01, 0, 0, 0, 0, 0, 0, 1);
        let group: IpAddr = if ipv6 { INTERFACE_LOCAL.into() } else { Ipv4Addr::new(224, 0, 0, 1).into() };
        let nowhere = Hops { ttl: 0, loop_back: false };
        let outlet = multicast::outlet(&[group], NOBODYS_PORT, nowhere, interface, None).ok()?;
        let batch = SendBatch::new(&vec![0; size.min(outlet.max_payload)], 1, Vec::new());
        Some(Rehearsal { outlet, batch })
    }

    /// Walks it.
    pub(super) fn walk(&mut self) {
        // What the kernel says of it does not matter: it goes nowhere.
        let _ = self.batch.send(self.outlet.socket.as_fd(), 0..1);
    }
}
