//! `AF_PACKET` sockets: Ethernet frames past IP.

use std::collections::BTreeSet;
use std::io;
use std::mem;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, IntoRawFd};

use libc::{c_void, socklen_t};
use nix::errno::Errno;
use nix::sys::socket::{LinkAddr, recvfrom};
use pnet::datalink::{self, ChannelType, MacAddr, NetworkInterface};
use socket2::{Domain, Protocol, SockFilter, Socket, Type};

use super::interface::Interface;
use super::socket::set;

/// Opens a blocking socket for whole Ethernet frames of `ethertype` on `interface`, through a pnet channel, not
/// promiscuous. With an `ethertype` of 0 the socket sends but receives nothing.
///
/// # Errors
/// What the kernel says; `PermissionDenied` (EPERM) without CAP_NET_RAW.
pub fn open(interface: &Interface, ethertype: u16) -> io::Result<Socket> {
    open_filtered(interface, ethertype, &[])
}

/// Opens a socket that gets the first [`GROUP_FRAME_LEN`] bytes of every frame that comes in by `interface`, is sent to
/// the Ethernet address `mac` of an IP group, and holds (a fragment of) a UDP datagram: what is sent to the group, but
/// not the queries and reports about it. Members or not does not matter.
///
/// # Errors
/// As [`open`].
pub fn open_group(interface: &Interface, mac: [u8; 6], ipv6: bool) -> io::Result<Socket> {
    let ethertype = if ipv6 { libc::ETH_P_IPV6 } else { libc::ETH_P_IP } as u16;
    open_filtered(interface, ethertype, &group_filter(mac, ipv6))
}

/// Opens a socket for IPv4 frames that come in by `interface` and are addressed to its own Ethernet address: what others
/// give a router to send on. What is sent by it leaves by the interface as it is, header and all.
///
/// # Errors
/// As [`open`].
pub fn open_unicast(interface: &Interface, mac: [u8; 6]) -> io::Result<Socket> {
    open_filtered(interface, libc::ETH_P_IP as u16, &unicast_filter(mac))
}

/// A classic BPF program over a whole frame, which keeps all of it. (A frame for another station on the link comes to
/// such a socket too, as a virtual link has no filter.)
fn unicast_filter(mac: [u8; 6]) -> Vec<SockFilter> {
    let [a, b, c, d, e, f] = mac;
    vec![
        SockFilter::new(LOAD_WORD, 0, 0, 0),
        SockFilter::new(IF_EQUAL, 0, 3, u32::from_be_bytes([a, b, c, d])),
        SockFilter::new(LOAD_HALF, 0, 0, 4),
        SockFilter::new(IF_EQUAL, 0, 1, u32::from(u16::from_be_bytes([e, f]))),
        SockFilter::new(RETURN, 0, 0, u32::MAX),
        SockFilter::new(RETURN, 0, 0, 0),
    ]
}

const LOAD_WORD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
const LOAD_HALF: u16 = (libc::BPF_LD | libc::BPF_H | libc::BPF_ABS) as u16;
const LOAD_BYTE: u16 = (libc::BPF_LD | libc::BPF_B | libc::BPF_ABS) as u16;
const IF_EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;

/// See [`open_group`].
pub const GROUP_FRAME_LEN: usize = 64;

/// A classic BPF program over a whole frame, which gives the number of bytes to keep of it.
fn group_filter(mac: [u8; 6], ipv6: bool) -> Vec<SockFilter> {
    // Where the protocol of what follows the IP header stands. IPv6 has a header of its own for fragments.
    let (protocol_at, fragment) = if ipv6 { (20, libc::IPPROTO_FRAGMENT) } else { (23, libc::IPPROTO_UDP) };
    let [a, b, c, d, e, f] = mac;
    vec![
        SockFilter::new(LOAD_WORD, 0, 0, 0),
        SockFilter::new(IF_EQUAL, 0, 6, u32::from_be_bytes([a, b, c, d])),
        SockFilter::new(LOAD_HALF, 0, 0, 4),
        SockFilter::new(IF_EQUAL, 0, 4, u32::from(u16::from_be_bytes([e, f]))),
        SockFilter::new(LOAD_BYTE, 0, 0, protocol_at),
        SockFilter::new(IF_EQUAL, 1, 0, libc::IPPROTO_UDP as u32),
        SockFilter::new(IF_EQUAL, 0, 1, fragment as u32),
        SockFilter::new(RETURN, 0, 0, GROUP_FRAME_LEN as u32),
        SockFilter::new(RETURN, 0, 0, 0),
    ]
}

fn open_filtered(interface: &Interface, ethertype: u16, filter: &[SockFilter]) -> io::Result<Socket> {
    // pnet's own socket would be promiscuous or of all EtherTypes. Protocol 0 until it is bound: no stray frames.
    let socket = Socket::new(Domain::PACKET, Type::RAW, None)?;
    // Frames this host sends itself are no arrivals.
    set(&socket, libc::SOL_PACKET, libc::PACKET_IGNORE_OUTGOING, &1i32)?;
    if !filter.is_empty() {
        socket.attach_filter(filter)?;
    }
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

/// What comes in about groups by any interface of a network namespace, bridged or not: reports, leaves and queries of IGMP
/// and MLD. Told is where, not what.
#[derive(Debug)]
pub struct Reports(Socket);

impl Reports {
    /// Listens in the calling thread's network namespace.
    ///
    /// # Errors
    /// What the kernel says; `PermissionDenied` (EPERM) without CAP_NET_RAW.
    pub fn open() -> io::Result<Reports> {
        // Of all EtherTypes: a bridge takes a frame before sockets of a single one are asked.
        let all = Protocol::from(i32::from((libc::ETH_P_ALL as u16).to_be()));
        let socket = Socket::new(Domain::PACKET, Type::RAW, Some(all))?;
        socket.attach_filter(&REPORTS)?;
        set(&socket, libc::SOL_PACKET, libc::PACKET_IGNORE_OUTGOING, &1i32)?;
        socket.set_nonblocking(true)?;
        Ok(Reports(socket))
    }

    /// The numbers of the interfaces by which some have come since this was last asked; it does not wait.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn take(&self) -> io::Result<BTreeSet<u32>> {
        let mut interfaces = BTreeSet::new();
        loop {
            match recvfrom::<LinkAddr>(self.0.as_raw_fd(), &mut [0]) {
                Ok((_, from)) => interfaces.extend(from.map(|from| from.ifindex() as u32)),
                Err(Errno::EAGAIN) => return Ok(interfaces),
                // An interface that went down says so to whoever listens to all.
                Err(Errno::EINTR | Errno::ENETDOWN) => {}
                Err(cause) => return Err(cause.into()),
            }
        }
    }
}

impl AsFd for Reports {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// A classic BPF program over a whole frame: IGMP, or IPv6 with hop-by-hop options, which all of MLD has (RFC 3810
/// section 5). One byte of it is enough.
const REPORTS: [SockFilter; 9] = [
    SockFilter::new(LOAD_HALF, 0, 0, 12),
    SockFilter::new(IF_EQUAL, 0, 2, libc::ETH_P_IP as u32),
    SockFilter::new(LOAD_BYTE, 0, 0, 23),
    SockFilter::new(IF_EQUAL, 3, 4, libc::IPPROTO_IGMP as u32),
    SockFilter::new(IF_EQUAL, 0, 3, libc::ETH_P_IPV6 as u32),
    SockFilter::new(LOAD_BYTE, 0, 0, 20),
    SockFilter::new(IF_EQUAL, 0, 1, libc::IPPROTO_HOPOPTS as u32),
    SockFilter::new(RETURN, 0, 0, 1),
    SockFilter::new(RETURN, 0, 0, 0),
];

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
