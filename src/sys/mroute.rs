//! A raw IGMP socket, and with it the kernel's IPv4 multicast routing (`linux/mroute.h`): a router's program tells the
//! kernel by which interfaces a group's packets from a source are sent on; packets for which it has not yet, the kernel
//! holds (four of them, for ten seconds) and asks by a message on the same socket.

use std::io::{self, ErrorKind, IoSliceMut};
use std::mem;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use libc::{c_int, c_uchar, c_uint, in_addr};
use nix::errno::Errno;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg, setsockopt, sockopt};
use socket2::{Domain, Protocol, Socket, Type};

use super::netns;
use super::socket::{join_group, set, set_multicast_interface_v4};
use crate::error::{Error, Result};

/// Interfaces a router can have (`MAXVIFS`).
pub const MAX_VIFS: usize = 32;

/// The longest packet a socket gives.
pub const PACKET_LEN: usize = 1 << 16;

/// A raw IGMP socket; it does not block.
#[derive(Debug)]
pub struct IgmpSocket {
    socket: Socket,
    routing: bool,
}

/// What came in on the socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival<'a> {
    /// An IGMP message from the network.
    Igmp {
        /// The number of the interface it came by.
        interface: u32,
        /// Who sent it.
        source: Ipv4Addr,
        /// The message: what follows the IP header.
        message: &'a [u8],
    },
    /// The kernel asks where packets are to go (`IGMPMSG_NOCACHE`).
    NoRoute(Packet),
    /// A packet came by another interface than its route says, and was dropped (`IGMPMSG_WRONGVIF`).
    WrongInterface(Packet),
    /// Anything else.
    Other,
}

/// A multicast packet, as the kernel's messages name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    /// The interface it came by, as numbered in [`IgmpSocket::add_interface`].
    pub vif: u16,
    /// Its source.
    pub source: Ipv4Addr,
    /// Its destination.
    pub group: Ipv4Addr,
}

impl IgmpSocket {
    /// Opens a socket in the calling thread's network namespace. What it sends has TTL 1, the precedence of network
    /// control and the Router Alert option (RFC 2113), as RFC 3376 section 4 asks for, and does not come back to it.
    ///
    /// # Errors
    /// Not permitted, with the remedies, without CAP_NET_RAW.
    pub fn open() -> Result<IgmpSocket> {
        const ROUTER_ALERT: [u8; 4] = [0x94, 4, 0, 0];
        const NETWORK_CONTROL: u32 = 0xc0;
        let open = || {
            let socket = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::from(libc::IPPROTO_IGMP)))?;
            set(&socket, libc::IPPROTO_IP, libc::IP_OPTIONS, &ROUTER_ALERT)?;
            socket.set_tos_v4(NETWORK_CONTROL)?;
            socket.set_multicast_ttl_v4(1)?;
            socket.set_multicast_loop_v4(false)?;
            socket.set_nonblocking(true)?;
            setsockopt(&socket, sockopt::Ipv4PacketInfo, &true)?;
            Ok(socket)
        };
        let socket = open().map_err(|cause| refused("opening a raw IGMP socket", cause))?;
        Ok(IgmpSocket { socket, routing: false })
    }

    /// Hears what is sent to `group` on the interface of this number.
    ///
    /// # Errors
    /// As the kernel gives them.
    pub fn join(&self, interface: u32, group: Ipv4Addr) -> Result<()> {
        join_group(&self.socket, interface, IpAddr::V4(group), None)
            .map_err(|cause| refused(&format!("joining {group} on interface {interface}"), cause))
    }

    /// Sends an IGMP message to `group` by the interface of this number, from its own address.
    ///
    /// # Errors
    /// As the kernel gives them: ENODEV without such an interface, ENETDOWN when it is down.
    pub fn send(&self, interface: u32, group: Ipv4Addr, message: &[u8]) -> Result<()> {
        set_multicast_interface_v4(&self.socket, interface, None)
            .and_then(|()| self.socket.send_to(message, &SocketAddr::from((group, 0)).into()))
            .map_err(|cause| refused(&format!("sending an IGMP message to {group} by interface {interface}"), cause))?;
        Ok(())
    }

    /// The next thing that came in; `None` when nothing is there now. `buffer`: [`PACKET_LEN`] bytes.
    ///
    /// # Errors
    /// As the kernel gives them.
    pub fn receive<'a>(&self, buffer: &'a mut [u8]) -> Result<Option<Arrival<'a>>> {
        let mut control = nix::cmsg_space!(libc::in_pktinfo);
        let (length, interface) = loop {
            let mut parts = [IoSliceMut::new(buffer)];
            match recvmsg::<()>(self.socket.as_raw_fd(), &mut parts, Some(&mut control), MsgFlags::empty()) {
                Ok(message) => {
                    let interface = message.cmsgs().into_iter().flatten().find_map(|one| match one {
                        ControlMessageOwned::Ipv4PacketInfo(info) => u32::try_from(info.ipi_ifindex).ok(),
                        _ => None,
                    });
                    break (message.bytes, interface.unwrap_or(0));
                }
                Err(Errno::EAGAIN) => return Ok(None),
                Err(Errno::EINTR) => {}
                Err(cause) => return Err(Error::failed("receiving on a raw IGMP socket").because(cause)),
            }
        };
        Ok(Some(decode(&buffer[..length], interface).unwrap_or(Arrival::Other)))
    }
}

/// Multicast routing: one socket at a time in a network namespace.
impl IgmpSocket {
    /// Makes the namespace's host a multicast router (`MRT_INIT`), as long as this socket lives. The socket then hears
    /// all IGMP messages that come by its interfaces, to whatever group.
    ///
    /// # Errors
    /// Not permitted, with the remedies, without CAP_NET_ADMIN; when another program is routing already (EADDRINUSE), or
    /// the kernel has no multicast routing (ENOPROTOOPT).
    pub fn start_routing(&mut self) -> Result<()> {
        let started = set(&self.socket, libc::IPPROTO_IP, MRT_INIT, &1);
        started.map_err(|cause| match cause.raw_os_error() {
            Some(libc::ENOPROTOOPT) => {
                Error::failed("starting multicast routing: this kernel has none (CONFIG_IP_MROUTE)").because(cause)
            }
            _ => refused("starting multicast routing (MRT_INIT)", cause),
        })?;
        self.routing = true;
        Ok(())
    }

    /// Lets the interface of this number take part, as number `vif` (below [`MAX_VIFS`]).
    ///
    /// # Errors
    /// As the kernel gives them.
    pub fn add_interface(&self, vif: u16, interface: u32) -> Result<()> {
        let request = vifctl {
            vifc_vifi: vif,
            vifc_flags: VIFF_USE_IFINDEX,
            vifc_threshold: 1,
            vifc_rate_limit: 0,
            vifc_lcl_ifindex: interface,
            vifc_rmt_addr: to_in_addr(Ipv4Addr::UNSPECIFIED),
        };
        set(&self.socket, libc::IPPROTO_IP, MRT_ADD_VIF, &request)
            .map_err(|cause| refused(&format!("routing multicast on interface {interface}"), cause))
    }

    /// Has packets like this one sent on by the interfaces `outputs`, each with its TTL one less, unless that is 0; by
    /// none: they are dropped, and the kernel asks no more. Replaces what was said of them before, and lets go those that
    /// wait for it.
    ///
    /// # Errors
    /// As the kernel gives them.
    pub fn set_route(&self, packet: Packet, outputs: impl IntoIterator<Item = u16>) -> Result<()> {
        let mut request = mfcctl::of(packet);
        for vif in outputs {
            // The smallest TTL by which a packet is sent on there, less 1; 0 and 255: it is not sent on.
            if let Some(threshold) = request.mfcc_ttls.get_mut(usize::from(vif)) {
                *threshold = 1;
            }
        }
        let Packet { source, group, .. } = packet;
        set(&self.socket, libc::IPPROTO_IP, MRT_ADD_MFC, &request)
            .map_err(|cause| refused(&format!("routing {group} from {source}"), cause))
    }

    /// Forgets what was said of packets like this one.
    ///
    /// # Errors
    /// As the kernel gives them: ENOENT when nothing was.
    pub fn delete_route(&self, packet: Packet) -> Result<()> {
        let Packet { source, group, .. } = packet;
        set(&self.socket, libc::IPPROTO_IP, MRT_DEL_MFC, &mfcctl::of(packet))
            .map_err(|cause| refused(&format!("forgetting the route of {group} from {source}"), cause))
    }
}

impl AsFd for IgmpSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Drop for IgmpSocket {
    fn drop(&mut self) {
        if self.routing {
            // Closing the socket does the same; this does it now, whoever else has it open.
            let _ = set(&self.socket, libc::IPPROTO_IP, MRT_DONE, &0);
        }
    }
}

// linux/mroute.h
const MRT_INIT: c_int = 200;
const MRT_DONE: c_int = 201;
const MRT_ADD_VIF: c_int = 202;
const MRT_ADD_MFC: c_int = 204;
const MRT_DEL_MFC: c_int = 205;
const VIFF_USE_IFINDEX: c_uchar = 8;
const IGMPMSG_NOCACHE: u8 = 1;
const IGMPMSG_WRONGVIF: u8 = 2;

#[repr(C)]
#[derive(Clone, Copy)]
#[allow(non_camel_case_types, reason = "the kernel's name")]
struct vifctl {
    vifc_vifi: u16,
    vifc_flags: c_uchar,
    vifc_threshold: c_uchar,
    vifc_rate_limit: c_uint,
    /// In a union with the local address.
    vifc_lcl_ifindex: u32,
    vifc_rmt_addr: in_addr,
}

#[repr(C)]
#[derive(Clone, Copy)]
#[allow(non_camel_case_types, reason = "the kernel's name")]
struct mfcctl {
    mfcc_origin: in_addr,
    mfcc_mcastgrp: in_addr,
    mfcc_parent: u16,
    mfcc_ttls: [c_uchar; MAX_VIFS],
    mfcc_pkt_cnt: c_uint,
    mfcc_byte_cnt: c_uint,
    mfcc_wrong_if: c_uint,
    mfcc_expire: c_int,
}

const _: () = assert!(mem::size_of::<vifctl>() == 16 && mem::size_of::<mfcctl>() == 60, "as the kernel has them");

impl mfcctl {
    fn of(packet: Packet) -> mfcctl {
        mfcctl {
            mfcc_origin: to_in_addr(packet.source),
            mfcc_mcastgrp: to_in_addr(packet.group),
            mfcc_parent: packet.vif,
            mfcc_ttls: [0; MAX_VIFS],
            mfcc_pkt_cnt: 0,
            mfcc_byte_cnt: 0,
            mfcc_wrong_if: 0,
            mfcc_expire: 0,
        }
    }
}

fn to_in_addr(address: Ipv4Addr) -> in_addr {
    in_addr { s_addr: u32::from_ne_bytes(address.octets()) }
}

/// Reads an IP packet with an IGMP message, or what the kernel puts in the place of one, `struct igmpmsg`: told by a
/// protocol number of 0, then the interface's number in two bytes, source and group.
fn decode(packet: &[u8], interface: u32) -> Option<Arrival<'_>> {
    const PROTOCOL: usize = 9;
    let header = packet.first_chunk::<20>()?;
    let address = |at: usize| Ipv4Addr::new(header[at], header[at + 1], header[at + 2], header[at + 3]);
    let (source, group) = (address(12), address(16));
    if header[PROTOCOL] == 0 {
        let packet = Packet { vif: u16::from_le_bytes([header[10], header[11]]), source, group };
        return match header[8] {
            IGMPMSG_NOCACHE => Some(Arrival::NoRoute(packet)),
            IGMPMSG_WRONGVIF => Some(Arrival::WrongInterface(packet)),
            _ => None,
        };
    }
    let header_len = 4 * usize::from(header[0] & 0xf);
    let message = packet.get(header_len.max(header.len())..)?;
    Some(Arrival::Igmp { interface, source, message })
}

fn refused(operation: &str, cause: io::Error) -> Error {
    match (cause.kind(), cause.raw_os_error()) {
        (ErrorKind::PermissionDenied, Some(errno)) => netns::refused(operation, Errno::from_raw(errno)),
        _ => Error::failed(operation).because(cause),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_is_split_behind_its_options() {
        // A report of version 2 as Linux sends it: 24 bytes of IP header, the last four the Router Alert option.
        let packet = [
            0x46, 0xc0, 0, 32, 0, 0, 0x40, 0, 1, 2, 0, 0, 10, 77, 0, 2, 239, 1, 1, 1, 0x94, 4, 0, 0, 0x16, 0, 0xf9,
            0xfc, 239, 1, 1, 1,
        ];
        let source = Ipv4Addr::new(10, 77, 0, 2);
        let expected = Arrival::Igmp { interface: 7, source, message: &packet[24..] };
        assert_eq!(decode(&packet, 7), Some(expected));
        for len in 0..24 {
            assert_eq!(decode(&packet[..len], 7), None, "{len} bytes");
        }
        assert_eq!(decode(&packet[..24], 7), Some(Arrival::Igmp { interface: 7, source, message: &[] }));
    }

    #[test]
    fn the_kernels_messages_are_told_from_packets() {
        let mut bytes = [0x45, 0, 0, 20, 0, 0, 0, 0, 1, 0, 3, 0, 10, 77, 0, 1, 239, 1, 1, 1, 0, 0, 0, 0];
        let packet = Packet { vif: 3, source: Ipv4Addr::new(10, 77, 0, 1), group: Ipv4Addr::new(239, 1, 1, 1) };
        assert_eq!(decode(&bytes, 0), Some(Arrival::NoRoute(packet)));
        bytes[8] = IGMPMSG_WRONGVIF;
        bytes[11] = 1;
        assert_eq!(decode(&bytes, 0), Some(Arrival::WrongInterface(Packet { vif: 0x103, ..packet })));
        bytes[8] = 3;
        assert_eq!(decode(&bytes, 0), None, "a whole packet for PIM");
    }
}
