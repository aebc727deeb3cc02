//! A router as far from its LANs as one wishes: what it sends on from LAN to LAN leaves after a time.
//!
//! The kernel's own forwarding is off in its namespace. A program takes what hosts give the router to send on, IPv4
//! unicast, by an `AF_PACKET` socket for each link, and does by it what the kernel would have done (RFC 1812 sections 5.2
//! and 5.3): takes one from the time to live, and sends it to the next station. Only that it keeps it for the distance
//! first, counted from the moment at which the kernel received it. Each direction keeps its order.
//!
//! What it leaves out: it says nothing about what it discards (a router would answer with ICMP time exceeded, or
//! destination unreachable), and it makes no fragments, since all links take packets of the same size. It forwards no
//! groups and, as any router, no broadcasts.

use std::collections::{HashMap, HashSet};
use std::net::Ipv4Addr;
use std::time::Duration;

use netlink_packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourHeader, NeighbourMessage, NeighbourState,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::sys::interface::Interface;
use crate::sys::netlink::Netlink;
use crate::wire::ethernet::{self, MacAddress};
use crate::wire::ipv4;

/// What a [`Delay`](super::Delay) is to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DelayPlan {
    /// Its interfaces, at least 2. The hosts behind each are those whose Ethernet addresses are pinned in the kernel's
    /// neighbour table.
    pub interfaces: Vec<String>,
    /// How long it keeps what it sends on.
    pub distance: Duration,
}

impl DelayPlan {
    /// Looks whether it can be done.
    ///
    /// # Errors
    /// Usage: fewer than two interfaces, one of them twice, no distance.
    pub fn check(&self) -> Result<()> {
        let count = self.interfaces.len();
        if count < 2 {
            return Err(Error::usage(format!("{count} interfaces; a distance lies between 2 or more")));
        }
        for (index, name) in self.interfaces.iter().enumerate() {
            if self.interfaces[..index].contains(name) {
                return Err(Error::usage(format!("interface {name} is named twice")));
            }
        }
        if self.distance.is_zero() {
            return Err(Error::usage("a distance of 0: a router without one needs no program to forward"));
        }
        Ok(())
    }

    /// The distance in ns.
    pub(super) fn distance_ns(&self) -> u64 {
        u64::try_from(self.distance.as_nanos()).unwrap_or(u64::MAX)
    }
}

/// Where each host is.
#[derive(Debug)]
pub(super) struct Routes {
    /// By link: its own Ethernet address.
    links: Vec<MacAddress>,
    hosts: HashMap<Ipv4Addr, (usize, MacAddress)>,
    /// The router's own addresses.
    own: HashSet<Ipv4Addr>,
}

/// What is to become of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It leaves by the link of this index; its headers have been changed for that.
    Leaves(usize),
    /// It is for the router itself, whose kernel has it already.
    Arrived,
    /// Its time to live is over.
    Expired,
    /// Nobody knows whom it is for, or its header is not in order.
    Unroutable,
}

impl Routes {
    /// Reads the neighbour table of the calling thread's namespace.
    ///
    /// # Errors
    /// When it cannot be read; usage when no host is pinned.
    pub(super) fn read(links: &[(Interface, MacAddress)]) -> Result<Routes> {
        let header = NeighbourHeader { family: AddressFamily::Inet, ..NeighbourHeader::default() };
        let mut request = NeighbourMessage::default();
        request.header = header;
        let mut hosts = HashMap::new();
        for reply in Netlink::route()?.dump(RouteNetlinkMessage::GetNeighbour(request))? {
            let RouteNetlinkMessage::NewNeighbour(neighbour) = reply else { continue };
            let link = links.iter().position(|(interface, _)| interface.index == neighbour.header.ifindex);
            if let (Some(link), Some((address, mac))) = (link, pinned(&neighbour)) {
                hosts.insert(address, (link, mac));
            }
        }
        if hosts.is_empty() {
            return Err(Error::usage("there is nobody to forward to: no host's Ethernet address is pinned").remedy(
                "Pin them in the router's namespace: ip neighbour add ADDRESS lladdr ETHERNET dev NAME nud permanent",
            ));
        }
        let own = links.iter().flat_map(|(interface, _)| &interface.ipv4).map(|own| own.address).collect();
        Ok(Routes { links: links.iter().map(|(_, mac)| *mac).collect(), hosts, own })
    }

    /// Makes of a frame that came what is to leave of it.
    pub(super) fn rewrite(&self, frame: &mut [u8]) -> Fate {
        let Some((ethernet, packet)) = frame.split_at_mut_checked(ethernet::HEADER_LEN) else {
            return Fate::Unroutable;
        };
        let Some(mut header) = ipv4::Header::of(packet) else { return Fate::Unroutable };
        let Some((link, destination)) = self.hosts.get(&header.destination()) else {
            return if self.own.contains(&header.destination()) { Fate::Arrived } else { Fate::Unroutable };
        };
        if header.age().is_none() {
            return Fate::Expired;
        }
        let leaves = ethernet::FrameHeader {
            destination: *destination,
            source: self.links[*link],
            ether_type: ethernet::ETHER_TYPE_IPV4,
        };
        leaves.encode(ethernet);
        Fate::Leaves(*link)
    }
}

/// A neighbour that is pinned.
fn pinned(neighbour: &NeighbourMessage) -> Option<(Ipv4Addr, MacAddress)> {
    if neighbour.header.state != NeighbourState::Permanent {
        return None;
    }
    let address = neighbour.attributes.iter().find_map(|attribute| match attribute {
        NeighbourAttribute::Destination(NeighbourAddress::Inet(address)) => Some(*address),
        _ => None,
    });
    let mac = neighbour.attributes.iter().find_map(|attribute| match attribute {
        NeighbourAttribute::LinkLayerAddress(bytes) => <[u8; 6]>::try_from(&bytes[..]).ok(),
        _ => None,
    });
    Some((address?, MacAddress(mac?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: [MacAddress; 2] = [MacAddress([2, 0x4e, 0x4c, 2, 0, 0]), MacAddress([2, 0x4e, 0x4c, 2, 0, 1])];
    const HOST: MacAddress = MacAddress([2, 0x4e, 0x4c, 0, 0, 3]);

    fn routes() -> Routes {
        Routes {
            links: MAC.to_vec(),
            hosts: [(Ipv4Addr::new(10, 78, 0, 3), (1, HOST))].into(),
            own: [Ipv4Addr::new(10, 78, 255, 254)].into(),
        }
    }

    /// A frame to the router with a packet to this address in it.
    fn frame(to: [u8; 4], ttl: u8) -> Vec<u8> {
        let mut packet = vec![0x45, 0, 0, 24, 0, 1, 0, 0, ttl, 17, 0, 0, 10, 77, 0, 1];
        packet.extend(to);
        let sum = pnet::util::checksum(&packet, 5);
        packet[10..12].copy_from_slice(&sum.to_be_bytes());
        packet.extend(b"data");
        [&MAC[0].0[..], &[2, 0x4e, 0x4c, 0, 0, 1], &[8, 0], &packet].concat()
    }

    #[test]
    fn a_frame_for_a_host_goes_to_its_station_by_its_link_and_is_one_link_older() {
        let mut frame = frame([10, 78, 0, 3], 9);
        let before = frame.clone();
        assert_eq!(routes().rewrite(&mut frame), Fate::Leaves(1));
        assert_eq!((&frame[..6], &frame[6..12], &frame[12..14]), (&HOST.0[..], &MAC[1].0[..], &[8, 0][..]));
        assert_eq!((frame[22], frame.len(), &frame[26..]), (8, before.len(), &before[26..]));
        assert_eq!(frame[14..22], before[14..22]);
    }

    #[test]
    fn what_is_for_nobody_else_or_too_old_does_not_leave() {
        for (to, ttl, fate) in [
            ([10, 78, 255, 254], 64, Fate::Arrived),
            ([10, 78, 255, 254], 1, Fate::Arrived),
            ([10, 78, 0, 3], 1, Fate::Expired),
            ([10, 78, 255, 255], 64, Fate::Unroutable),
            ([255, 255, 255, 255], 64, Fate::Unroutable),
            ([239, 1, 1, 1], 64, Fate::Unroutable),
            ([192, 0, 2, 1], 64, Fate::Unroutable),
        ] {
            let mut frame = frame(to, ttl);
            let before = frame.clone();
            assert_eq!((routes().rewrite(&mut frame), &frame), (fate, &before), "{to:?}, {ttl}");
        }
        let whole = frame([10, 78, 0, 3], 64);
        for len in 0..whole.len() {
            assert_eq!(routes().rewrite(&mut whole.clone()[..len]), Fate::Unroutable, "{len} bytes");
        }
    }

    #[test]
    fn what_cannot_be_is_wrong_usage() {
        let plan = |names: &[&str], ms| DelayPlan {
            interfaces: names.iter().map(|name| (*name).to_owned()).collect(),
            distance: Duration::from_millis(ms),
        };
        assert!(plan(&["a", "b"], 1).check().is_ok());
        for (bad, why) in [
            (plan(&["a"], 1), "1 interfaces"),
            (plan(&["a", "b", "a"], 1), "a is named twice"),
            (plan(&["a", "b"], 0), "a distance of 0"),
        ] {
            let error = bad.check().unwrap_err();
            assert_eq!(error.class().code(), 2);
            assert!(error.to_string().contains(why), "{error}");
        }
    }
}
