//! Which neighbour a message goes to first, and which neighbours answer no ARP (RFC 826) or Neighbour Discovery (RFC
//! 4861): the kernel's route table and neighbour tables, by rtnetlink.

use std::net::IpAddr;

use super::netlink::{Netlink, address_attribute, attribute, push_attribute, u32_attribute};
use crate::error::Result;

/// A host on a link: the receiver itself, or the router on the way to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hop {
    /// Its address there.
    pub address: IpAddr,
    /// The index of the interface it is reached by.
    pub interface: u32,
}

/// A neighbour whose link-layer address is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Silent {
    /// Which.
    pub hop: Hop,
    /// It did not answer in time (`NUD_FAILED`); else it is being asked (`NUD_INCOMPLETE`).
    pub failed: bool,
}

/// What the kernel knows of the neighbours, in the network namespace it was opened in.
pub struct Neighbours {
    netlink: Netlink,
}

impl Neighbours {
    /// In the calling thread's network namespace.
    ///
    /// # Errors
    /// When the kernel refuses the socket.
    pub fn open() -> Result<Neighbours> {
        Ok(Neighbours { netlink: Netlink::route()? })
    }

    /// Where a message to `to` goes first, by the interface of index `by` if that is given (`RTM_GETROUTE`); `None` for
    /// this host's own addresses, and without a route.
    ///
    /// # Errors
    /// When the kernel does not answer.
    pub fn first_hop(&mut self, to: IpAddr, by: Option<u32>) -> Result<Option<Hop>> {
        const RTM_GETROUTE: u16 = 26;
        let reply = self.netlink.ask_raw(RTM_GETROUTE, &route_request(to, by))?;
        Ok(reply.ok().and_then(|reply| read_hop(&reply, to)))
    }

    /// The neighbours that have not answered (`RTM_GETNEIGH`).
    ///
    /// # Errors
    /// As [`Netlink::dump`].
    pub fn silent(&mut self) -> Result<Vec<Silent>> {
        const RTM_GETNEIGH: u16 = 30;
        let replies = self.netlink.dump_raw(RTM_GETNEIGH, &[0; NEIGHBOUR_HEADER])?;
        Ok(replies.iter().filter_map(|(_, message)| read_silent(message)).collect())
    }
}

/// Length of `struct rtmsg`: family u8, destination length u8, source length u8, TOS u8, table u8, protocol u8, scope
/// u8, type u8, flags u32.
const ROUTE_HEADER: usize = 12;
const RTA_DST: u16 = 1;
const RTA_OIF: u16 = 4;
const RTA_GATEWAY: u16 = 5;
const RTA_VIA: u16 = 18;

/// Length of `struct ndmsg`: family u8, padding, interface i32, state u16, flags u8, type u8.
const NEIGHBOUR_HEADER: usize = 12;

fn route_request(to: IpAddr, by: Option<u32>) -> Vec<u8> {
    let (family, bytes) = match to {
        IpAddr::V4(to) => (libc::AF_INET, to.octets().to_vec()),
        IpAddr::V6(to) => (libc::AF_INET6, to.octets().to_vec()),
    };
    let mut request = vec![0; ROUTE_HEADER];
    (request[0], request[1]) = (family as u8, 8 * bytes.len() as u8);
    push_attribute(&mut request, RTA_DST, &bytes);
    if let Some(index) = by {
        push_attribute(&mut request, RTA_OIF, &index.to_ne_bytes());
    }
    request
}

/// The neighbour a route to `to` leads to.
fn read_hop(route: &[u8], to: IpAddr) -> Option<Hop> {
    let (header, attributes) = route.split_at_checked(ROUTE_HEADER)?;
    // `struct rtvia`: family u16, and an address of that family, which need not be the destination's.
    let via = || match attribute(attributes, RTA_VIA)?.get(2..)? {
        [a, b, c, d] => Some(IpAddr::from([*a, *b, *c, *d])),
        address => Some(<[u8; 16]>::try_from(address).ok()?.into()),
    };
    let address = address_attribute(attributes, RTA_GATEWAY).or_else(via).unwrap_or(to);
    let interface = u32_attribute(attributes, RTA_OIF)?;
    (header[7] == libc::RTN_UNICAST).then_some(Hop { address, interface })
}

fn read_silent(neighbour: &[u8]) -> Option<Silent> {
    const NDA_DST: u16 = 1;
    const NUD_INCOMPLETE: u16 = 0x01;
    const NUD_FAILED: u16 = 0x20;
    let (header, attributes) = neighbour.split_at_checked(NEIGHBOUR_HEADER)?;
    let interface = u32::from_ne_bytes(header[4..8].try_into().ok()?);
    let failed = match u16::from_ne_bytes([header[8], header[9]]) {
        NUD_FAILED => true,
        NUD_INCOMPLETE => false,
        _ => return None,
    };
    Some(Silent { hop: Hop { address: address_attribute(attributes, NDA_DST)?, interface }, failed })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(kind: u8, attributes: &[(u16, &[u8])]) -> Vec<u8> {
        let mut message = vec![0; ROUTE_HEADER];
        message[7] = kind;
        attributes.iter().for_each(|(kind, value)| push_attribute(&mut message, *kind, value));
        message
    }

    #[test]
    fn a_route_leads_to_the_host_or_to_a_router() {
        let to = "10.20.0.1".parse().unwrap();
        let oif = 7u32.to_ne_bytes();
        let via = [&(libc::AF_INET6 as u16).to_ne_bytes()[..], &[0xfe, 0x80], &[0; 13], &[1]].concat();
        let hop = |kind, attributes: &[(u16, &[u8])]| {
            read_hop(&route(kind, attributes), to).map(|hop| (hop.address.to_string(), hop.interface))
        };
        assert_eq!(hop(1, &[(RTA_OIF, &oif)]), Some(("10.20.0.1".into(), 7)));
        assert_eq!(hop(1, &[(RTA_OIF, &oif), (RTA_GATEWAY, &[10, 9, 0, 254])]), Some(("10.9.0.254".into(), 7)));
        assert_eq!(hop(1, &[(RTA_OIF, &oif), (RTA_VIA, &via)]), Some(("fe80::1".into(), 7)));
        assert_eq!(hop(1, &[]), None, "by no interface");
        assert_eq!(hop(2, &[(RTA_OIF, &oif)]), None, "this host");
        assert_eq!(read_hop(&[0; ROUTE_HEADER - 1], to), None);
    }

    #[test]
    fn a_neighbour_answers_or_does_not() {
        let silent = |state: u16| {
            let mut message = vec![0; NEIGHBOUR_HEADER];
            message[4..8].copy_from_slice(&7u32.to_ne_bytes());
            message[8..10].copy_from_slice(&state.to_ne_bytes());
            push_attribute(&mut message, 1, &[10, 9, 0, 2]);
            read_silent(&message).map(|silent| (silent.hop.address.to_string(), silent.hop.interface, silent.failed))
        };
        assert_eq!(silent(0x20), Some(("10.9.0.2".into(), 7, true)));
        assert_eq!(silent(0x01), Some(("10.9.0.2".into(), 7, false)));
        for state in [0x02, 0x04, 0x08, 0x10, 0x40, 0x80] {
            assert_eq!(silent(state), None, "{state:#x}");
        }
        assert_eq!(read_silent(&[0; NEIGHBOUR_HEADER]), None, "no address");
    }

    #[test]
    fn the_kernel_is_asked() {
        let mut neighbours = Neighbours::open().unwrap();
        assert_eq!(neighbours.first_hop("127.0.0.1".parse().unwrap(), None).unwrap(), None);
        assert_eq!(neighbours.first_hop("::1".parse().unwrap(), None).unwrap(), None);
        neighbours.silent().unwrap();
    }
}
