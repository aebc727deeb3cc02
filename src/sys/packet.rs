//! `AF_PACKET` sockets: Ethernet frames past IP.

use std::io;
use std::mem;
use std::os::fd::{AsRawFd, IntoRawFd};

use libc::{c_void, socklen_t};
use pnet::datalink::{self, ChannelType, MacAddr, NetworkInterface};
use socket2::{Domain, Socket, Type};

use super::interface::Interface;
use super::socket::set;

/// Opens a blocking socket for whole Ethernet frames of `ethertype` on `interface`, through a pnet channel, not
/// promiscuous. With an `ethertype` of 0 the socket sends but receives nothing.
///
/// # Errors
/// What the kernel says; `PermissionDenied` (EPERM) without CAP_NET_RAW.
pub fn open(interface: &Interface, ethertype: u16) -> io::Result<Socket> {
    // pnet's own socket would be promiscuous or of all EtherTypes. Protocol 0 until it is bound: no stray frames.
    let socket = Socket::new(Domain::PACKET, Type::RAW, None)?;
    // Frames this host sends itself are no arrivals.
    set(&socket, libc::SOL_PACKET, libc::PACKET_IGNORE_OUTGOING, &1i32)?;
    let keep = socket.try_clone()?;
    let config = datalink::Config {
        channel_type: ChannelType::Layer3(ethertype),
        promiscuous: false,
        // The channel closes it, even when it cannot be opened.
        socket_fd: Some(socket.into_raw_fd()),
        ..datalink::Config::default()
    };
    datalink::channel(&pnet_interface(interface), config)?;
    // The loops wait in the kernel; pnet polls.
    keep.set_nonblocking(false)?;
    Ok(keep)
}

/// Frames the socket dropped for want of buffer since this was last asked (`PACKET_STATISTICS`); `None` when unknown.
pub fn take_drops(socket: &Socket) -> Option<u64> {
    // SAFETY: two integers, for which zeros are valid.
    let mut statistics: libc::tpacket_stats = unsafe { mem::zeroed() };
    let mut len = mem::size_of::<libc::tpacket_stats>() as socklen_t;
    let statistics_ptr: *mut libc::tpacket_stats = &mut statistics;
    // SAFETY: the kernel writes no more than `len` bytes to the statistics and their length to `len`; both outlive the call.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_PACKET,
            libc::PACKET_STATISTICS,
            statistics_ptr.cast::<c_void>(),
            &mut len,
        )
    };
    (result == 0).then_some(u64::from(statistics.tp_drops))
}

fn pnet_interface(interface: &Interface) -> NetworkInterface {
    NetworkInterface {
        name: interface.name.clone(),
        description: String::new(),
        index: interface.index,
        mac: interface.mac.map(MacAddr::from),
        ips: Vec::new(),
        flags: interface.flags.bits() as u32,
    }
}
