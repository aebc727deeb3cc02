//! Socket options that neither socket2 nor nix wraps as netlab needs them, and what a socket says about itself.

use std::io;
use std::mem;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsRawFd;

use libc::{c_int, c_void, sockaddr_storage, socklen_t};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg, setsockopt, sockopt};
use socket2::{Domain, SockAddr, Socket, Type};

/// The receive buffer netlab asks for, in bytes: some 10,000 small datagrams.
pub const RECEIVE_BUFFER: usize = 8 << 20;

/// The send buffer of netlab's sockets, in bytes as `SO_SNDBUF` reports it. It bounds what a socket may have on its way
/// (each small frame counts 768 bytes, a full one 2,304), and so makes a sender that is faster than its link wait. The
/// usual 208 KiB are 277 small frames, but a virtual Ethernet link holds 256 and loses the rest without a word.
pub const SEND_BUFFER: usize = 160 << 10;

/// Sets the send buffer to [`SEND_BUFFER`].
///
/// # Errors
/// What `setsockopt(2)` says.
pub fn bound_send_buffer(socket: &Socket) -> io::Result<()> {
    // The kernel doubles what it is given.
    socket.set_send_buffer_size(SEND_BUFFER / 2)
}

/// Asks for a receive buffer of [`RECEIVE_BUFFER`] and returns the bytes granted. `SO_RCVBUFFORCE` where privileges
/// allow, else `SO_RCVBUF`, which the kernel cuts at `net.core.rmem_max`; both count in the kernel's book-keeping, for
/// which it doubles the figure: what is returned is what `SO_RCVBUF` reports, doubled too.
///
/// # Errors
/// What `setsockopt(2)` says.
pub fn enlarge_receive_buffer(socket: &Socket) -> io::Result<usize> {
    if setsockopt(socket, sockopt::RcvBufForce, &RECEIVE_BUFFER).is_err() {
        socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
    }
    socket.recv_buffer_size()
}

/// Gives a socket the receive buffer of one that never asked (`net.core.rmem_default`), and returns the bytes granted as
/// [`enlarge_receive_buffer`] does.
///
/// # Errors
/// What the kernel says about a new socket, or `setsockopt(2)`.
pub fn usual_receive_buffer(socket: &Socket) -> io::Result<usize> {
    let usual = Socket::new(Domain::IPV4, Type::DGRAM, None)?.recv_buffer_size()?;
    // The kernel doubles what it is given.
    socket.set_recv_buffer_size(usual / 2)?;
    socket.recv_buffer_size()
}

/// Has the kernel tell arrival times (`SO_TIMESTAMPNS`) and drops (`SO_RXQ_OVFL`) with each datagram.
///
/// # Errors
/// What `setsockopt(2)` says.
pub fn tell_times_and_drops(socket: &Socket) -> io::Result<()> {
    setsockopt(socket, sockopt::ReceiveTimestampns, &true)?;
    setsockopt(socket, sockopt::RxqOvfl, &c_int::from(true))?;
    Ok(())
}

/// Joins `group` on the interface of this index: any source (`MCAST_JOIN_GROUP`, RFC 3678) or only `source`
/// (`MCAST_JOIN_SOURCE_GROUP`, RFC 4607); both families alike.
///
/// # Errors
/// What `setsockopt(2)` says; `ENOBUFS` beyond `net.ipv4.igmp_max_memberships` groups on a socket.
pub fn join_group(socket: &Socket, interface: u32, group: IpAddr, source: Option<IpAddr>) -> io::Result<()> {
    match source {
        None => change_group(socket, libc::MCAST_JOIN_GROUP, interface, group),
        Some(source) => change_source_group(socket, libc::MCAST_JOIN_SOURCE_GROUP, interface, group, source),
    }
}

/// Leaves `group`, joined by [`join_group`] with the same arguments (`MCAST_LEAVE_GROUP`, `MCAST_LEAVE_SOURCE_GROUP`).
///
/// # Errors
/// What `setsockopt(2)` says; `EADDRNOTAVAIL` when it is not a member.
pub fn leave_group(socket: &Socket, interface: u32, group: IpAddr, source: Option<IpAddr>) -> io::Result<()> {
    match source {
        None => change_group(socket, libc::MCAST_LEAVE_GROUP, interface, group),
        Some(source) => change_source_group(socket, libc::MCAST_LEAVE_SOURCE_GROUP, interface, group, source),
    }
}

fn change_group(socket: &Socket, option: c_int, interface: u32, group: IpAddr) -> io::Result<()> {
    let request = libc::group_req { gr_interface: interface, gr_group: storage(group) };
    set(socket, level(group), option, &request)
}

fn change_source_group(
    socket: &Socket,
    option: c_int,
    interface: u32,
    group: IpAddr,
    source: IpAddr,
) -> io::Result<()> {
    let request =
        libc::group_source_req { gsr_interface: interface, gsr_group: storage(group), gsr_source: storage(source) };
    set(socket, level(group), option, &request)
}

fn level(group: IpAddr) -> c_int {
    if group.is_ipv4() { libc::IPPROTO_IP } else { libc::IPPROTO_IPV6 }
}

/// Sends IPv4 multicast by the interface of this index (`IP_MULTICAST_IF`), from `source`, or from an address that the
/// kernel chooses: for loopback that would be another interface's.
///
/// # Errors
/// What `setsockopt(2)` says.
pub fn set_multicast_interface_v4(socket: &Socket, interface: u32, source: Option<Ipv4Addr>) -> io::Result<()> {
    let address = |address: Ipv4Addr| libc::in_addr { s_addr: u32::from_ne_bytes(address.octets()) };
    let request = libc::ip_mreqn {
        imr_multiaddr: address(Ipv4Addr::UNSPECIFIED),
        imr_address: address(source.unwrap_or(Ipv4Addr::UNSPECIFIED)),
        imr_ifindex: interface as c_int,
    };
    set(socket, libc::IPPROTO_IP, libc::IP_MULTICAST_IF, &request)
}

/// Sends everything else by the interface of this index (`IP_UNICAST_IF`, `IPV6_UNICAST_IF`): a hint to the route
/// table that needs no privilege, unlike `SO_BINDTODEVICE` before Linux 5.7.
///
/// # Errors
/// What `setsockopt(2)` says.
pub fn set_unicast_interface(socket: &Socket, interface: u32, ipv6: bool) -> io::Result<()> {
    let index = interface.to_be();
    if ipv6 {
        set(socket, libc::IPPROTO_IPV6, libc::IPV6_UNICAST_IF, &index)
    } else {
        set(socket, libc::IPPROTO_IP, libc::IP_UNICAST_IF, &index)
    }
}

/// Datagrams this socket dropped since it was opened: `SK_MEMINFO_DROPS` of `SO_MEMINFO`, the figure in the last column
/// of its row in `/proc/net/udp`; `None` before Linux 4.12.
pub fn drops(socket: &Socket) -> Option<u64> {
    const SO_MEMINFO: c_int = 55;
    const SK_MEMINFO_DROPS: usize = 8;
    let mut info = [0_u32; SK_MEMINFO_DROPS + 1];
    let whole = mem::size_of_val(&info) as socklen_t;
    let mut len = whole;
    // SAFETY: the kernel writes no more than `len` bytes, which is the size of `info`, and the length it wrote to `len`.
    let result = unsafe {
        libc::getsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, SO_MEMINFO, info.as_mut_ptr().cast::<c_void>(), &mut len)
    };
    (result == 0 && len == whole).then(|| u64::from(info[SK_MEMINFO_DROPS]))
}

/// An ICMP error about something a socket sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IcmpError {
    /// Of ICMPv6 (RFC 4443), not ICMP (RFC 792).
    pub ipv6: bool,
    /// Its type.
    pub kind: u8,
    /// Its code.
    pub code: u8,
    /// Who sent it, where the kernel tells.
    pub from: Option<IpAddr>,
}

impl IcmpError {
    /// Whether it says that nobody listens on the port.
    pub fn is_port(&self) -> bool {
        (self.ipv6, self.kind, self.code) == (true, 1, 4) || (self.ipv6, self.kind, self.code) == (false, 3, 3)
    }

    /// Whether it is about the length alone (RFC 1191, RFC 8201), of which the kernel takes care from then on.
    pub fn is_too_long(&self) -> bool {
        (self.ipv6, self.kind) == (true, 2) || (self.ipv6, self.kind, self.code) == (false, 3, 4)
    }
}

/// Has the kernel keep ICMP errors for [`take_icmp`] (`IP_RECVERR`, `IPV6_RECVERR`).
///
/// # Errors
/// What `setsockopt(2)` says.
pub fn hear_icmp(socket: &Socket, ipv6: bool) -> io::Result<()> {
    if ipv6 {
        setsockopt(socket, sockopt::Ipv6RecvErr, &true)?;
    } else {
        setsockopt(socket, sockopt::Ipv4RecvErr, &true)?;
    }
    Ok(())
}

/// Takes the first of the ICMP errors that came for a socket; `None` when there is none.
pub fn take_icmp(socket: &Socket) -> Option<IcmpError> {
    const ICMP: u8 = 2;
    const ICMP6: u8 = 3;
    let mut controls = nix::cmsg_space!(libc::sock_extended_err, libc::sockaddr_in6);
    loop {
        let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
        let message = recvmsg::<()>(socket.as_raw_fd(), &mut [], Some(&mut controls), flags).ok()?;
        for control in message.cmsgs().ok()? {
            let (error, from) = match control {
                ControlMessageOwned::Ipv4RecvErr(error, from) => {
                    (error, from.map(|from| Ipv4Addr::from(from.sin_addr.s_addr.to_ne_bytes()).into()))
                }
                ControlMessageOwned::Ipv6RecvErr(error, from) => {
                    (error, from.map(|from| Ipv6Addr::from(from.sin6_addr.s6_addr).to_canonical()))
                }
                _ => continue,
            };
            if matches!(error.ee_origin, ICMP | ICMP6) {
                let ipv6 = error.ee_origin == ICMP6;
                return Some(IcmpError { ipv6, kind: error.ee_type, code: error.ee_code, from });
            }
        }
    }
}

/// Has the descriptor of `old` stand for the socket `new` from now on, also for a thread that is about to use it; a call
/// that waits on the old socket is not disturbed. The old socket closes when the last such call has ended.
///
/// # Errors
/// What `dup3(2)` says.
pub fn replace(old: &Socket, new: Socket) -> io::Result<()> {
    // SAFETY: both descriptors are open, and that of `old` stays one of a socket, whoever owns it or has borrowed it.
    let result = unsafe { libc::dup3(new.as_raw_fd(), old.as_raw_fd(), libc::O_CLOEXEC) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Sets an option whose value is a C structure or integer.
pub(super) fn set<T: Copy>(socket: &Socket, level: c_int, name: c_int, value: &T) -> io::Result<()> {
    let value_ptr: *const T = value;
    // SAFETY: the kernel reads no more than the length given, which is that of the value.
    let result = unsafe {
        libc::setsockopt(socket.as_raw_fd(), level, name, value_ptr.cast::<c_void>(), mem::size_of::<T>() as socklen_t)
    };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn storage(address: IpAddr) -> sockaddr_storage {
    let address = SockAddr::from(SocketAddr::new(address, 0));
    let mut storage = mem::MaybeUninit::<sockaddr_storage>::zeroed();
    // SAFETY: a `SockAddr` is of no more than the length of `sockaddr_storage`, for which zeros are valid after it.
    unsafe {
        std::ptr::copy_nonoverlapping(
            address.as_ptr().cast::<u8>(),
            storage.as_mut_ptr().cast::<u8>(),
            address.len() as usize,
        );
        storage.assume_init()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_socket_drops_and_says_how_many() {
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, None).unwrap();
        socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
        assert_eq!(drops(&socket), Some(0));
        socket.set_recv_buffer_size(1).unwrap();
        let sender = Socket::new(Domain::IPV4, Type::DGRAM, None).unwrap();
        sender.connect(&socket.local_addr().unwrap()).unwrap();
        for _ in 0..1_000 {
            sender.send(&[0; 1_000]).unwrap();
        }
        let mut arrived = 0;
        socket.set_nonblocking(true).unwrap();
        while socket.recv(&mut [mem::MaybeUninit::uninit(); 1]).is_ok() {
            arrived += 1;
        }
        assert!(arrived > 0);
        assert_eq!(drops(&socket), Some(1_000 - arrived));
    }

    #[test]
    fn asks_for_a_large_receive_buffer() {
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, None).unwrap();
        let before = socket.recv_buffer_size().unwrap();
        let granted = enlarge_receive_buffer(&socket).unwrap();
        assert!(granted >= before && granted <= 2 * RECEIVE_BUFFER);
        assert_eq!(usual_receive_buffer(&socket).unwrap(), before, "as if nothing had been asked for");
    }
}
