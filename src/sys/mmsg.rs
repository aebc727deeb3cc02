//! `sendmmsg` and `recvmmsg` over buffers allocated once.
//!
//! Both batches own every array the kernel reads or writes, so that a call in the hot loop allocates nothing. The arrays
//! are vectors of fixed length: their heap blocks, which the headers point into, stay where they are when a batch moves.

use std::io;
use std::mem;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::ops::Range;
use std::os::fd::{AsRawFd, BorrowedFd};

use libc::{c_int, cmsghdr, iovec, mmsghdr};
use socket2::SockAddr;

/// Room for the control messages of one datagram: `SO_TIMESTAMPNS` (32 bytes), `SO_RXQ_OVFL` (24),
/// `IP_PKTINFO` (32) and `IPV6_PKTINFO` (40), which a dual-stack socket can give together.
const CONTROL_LEN: usize = 128;

/// Bodies lie one cache line further apart than a power of two, lest all of them compete for the same cache set.
const CACHE_LINE: usize = 64;

/// Some messages, each to be sent as one copy to every destination.
///
/// Copies are numbered message by message: copy `m * copies_per_message + d` is message `m` to destination `d`.
pub struct SendBatch {
    bodies: Bodies,
    copies_per_message: usize,
    headers: Vec<mmsghdr>,
    // What the headers point at.
    _vectors: Vec<iovec>,
    _destinations: Vec<SockAddr>,
}

impl SendBatch {
    /// `messages` (at least 1) bodies that start out as copies of `body`; without `destinations` one copy of each
    /// leaves by the socket's own (connected or bound) destination.
    pub fn new(body: &[u8], messages: usize, destinations: Vec<SockAddr>) -> SendBatch {
        let mut bodies = Bodies::new(messages, body.len());
        let copies_per_message = destinations.len().max(1);
        let mut vectors: Vec<iovec> = (0..messages)
            .map(|message| {
                let bytes = bodies.get_mut(message);
                bytes.copy_from_slice(body);
                iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() }
            })
            .collect();
        let mut headers = vec![empty_header(); messages * copies_per_message];
        for (copy, header) in headers.iter_mut().enumerate() {
            header.msg_hdr.msg_iov = &mut vectors[copy / copies_per_message];
            header.msg_hdr.msg_iovlen = 1;
            if let Some(destination) = destinations.get(copy % copies_per_message) {
                header.msg_hdr.msg_name = destination.as_ptr().cast_mut().cast();
                header.msg_hdr.msg_namelen = destination.len();
            }
        }
        SendBatch { bodies, copies_per_message, headers, _vectors: vectors, _destinations: destinations }
    }

    /// How many messages fit.
    pub fn messages(&self) -> usize {
        self.headers.len() / self.copies_per_message
    }

    /// Copies to be sent for each message.
    pub fn copies_per_message(&self) -> usize {
        self.copies_per_message
    }

    /// The bytes of one message.
    pub fn body_mut(&mut self, message: usize) -> &mut [u8] {
        self.bodies.get_mut(message)
    }

    /// Hands `copies` to the kernel in one call; returns how many of them it took (it takes 1,024 at most).
    ///
    /// # Errors
    /// What `sendmmsg(2)` says about the first of them; when a later one fails, the next call says why.
    pub fn send(&mut self, socket: BorrowedFd<'_>, copies: Range<usize>) -> io::Result<usize> {
        let headers = &mut self.headers[copies];
        // SAFETY: the headers point at vectors, bodies and addresses that `self` owns, which have not moved since and
        // which nobody else touches during the call.
        let sent = unsafe { libc::sendmmsg(socket.as_raw_fd(), headers.as_mut_ptr(), headers.len() as u32, 0) };
        check(sent)
    }
}

/// Room for some datagrams (or frames) and what the kernel tells about each.
pub struct ReceiveBatch {
    bodies: Bodies,
    controls: Vec<Control>,
    /// Where senders' addresses are written; none where nobody asks.
    names: Vec<Name>,
    headers: Vec<mmsghdr>,
    received: usize,
    // What the headers point at.
    _vectors: Vec<iovec>,
}

/// One received datagram or frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Received<'a> {
    /// Its bytes, as far as they fitted.
    pub bytes: &'a [u8],
    /// It was longer than its buffer (`MSG_TRUNC`).
    pub truncated: bool,
    /// When the kernel got it: `SO_TIMESTAMPNS`, `CLOCK_REALTIME` in ns.
    pub kernel_realtime_ns: Option<u64>,
    /// How many datagrams the socket had dropped before this one: `SO_RXQ_OVFL`; absent while that is 0.
    pub dropped_before: Option<u32>,
    /// The destination in its IP header and the index of the interface it came by: `IP_PKTINFO`, `IPV6_PKTINFO`.
    pub destination: Option<(IpAddr, u32)>,
    /// The kernel took it as an IPv4 broadcast, limited or directed (`ipi_spec_dst` of `IP_PKTINFO`, which for what
    /// comes to an address of this host is that address): by its route table of that moment, as addresses come and go.
    pub broadcast: bool,
    /// Who sent it, where that was [asked for](ReceiveBatch::ask_for_senders).
    pub sender: Option<SocketAddr>,
}

impl ReceiveBatch {
    /// Room for `slots` datagrams of up to `body_len` bytes. Memory is used only as datagrams fill it.
    pub fn new(slots: usize, body_len: usize) -> ReceiveBatch {
        let mut bodies = Bodies::new(slots, body_len);
        let mut controls = vec![Control([0; CONTROL_LEN]); slots];
        let mut vectors: Vec<iovec> = (0..slots)
            .map(|slot| iovec { iov_base: bodies.get_mut(slot).as_mut_ptr().cast(), iov_len: body_len })
            .collect();
        let mut headers = vec![empty_header(); slots];
        for ((header, vector), control) in headers.iter_mut().zip(&mut vectors).zip(&mut controls) {
            header.msg_hdr.msg_iov = vector;
            header.msg_hdr.msg_iovlen = 1;
            header.msg_hdr.msg_control = control.0.as_mut_ptr().cast();
            header.msg_hdr.msg_controllen = CONTROL_LEN as _;
        }
        ReceiveBatch { bodies, controls, names: Vec::new(), headers, received: 0, _vectors: vectors }
    }

    /// Has the kernel tell who sent each datagram from now on, which costs it a little for each.
    pub fn ask_for_senders(&mut self) {
        self.names = vec![Name([0; NAME_LEN]); self.headers.len()];
        for (header, name) in self.headers.iter_mut().zip(&mut self.names) {
            header.msg_hdr.msg_name = name.0.as_mut_ptr().cast();
            header.msg_hdr.msg_namelen = NAME_LEN as _;
        }
    }

    /// How many datagrams fit.
    pub fn slots(&self) -> usize {
        self.headers.len()
    }

    /// Waits for one datagram (as long as the socket's `SO_RCVTIMEO` says), then takes those that are there already,
    /// up to `limit`; returns how many. They replace those of the call before.
    ///
    /// # Errors
    /// What `recvmmsg(2)` says; `WouldBlock` when the time is over.
    pub fn receive(&mut self, socket: BorrowedFd<'_>, limit: usize) -> io::Result<usize> {
        self.receive_with(socket, limit, libc::MSG_WAITFORONE)
    }

    /// As [`receive`](Self::receive), but takes only what is there already.
    ///
    /// # Errors
    /// What `recvmmsg(2)` says; `WouldBlock` when nothing is there.
    pub fn receive_ready(&mut self, socket: BorrowedFd<'_>, limit: usize) -> io::Result<usize> {
        self.receive_with(socket, limit, libc::MSG_DONTWAIT)
    }

    fn receive_with(&mut self, socket: BorrowedFd<'_>, limit: usize, flags: c_int) -> io::Result<usize> {
        // The kernel overwrote these with what the last call received.
        for header in &mut self.headers[..self.received] {
            header.msg_hdr.msg_controllen = CONTROL_LEN as _;
            header.msg_hdr.msg_flags = 0;
            if !self.names.is_empty() {
                header.msg_hdr.msg_namelen = NAME_LEN as _;
            }
        }
        self.received = 0;
        let slots = limit.min(self.slots());
        // SAFETY: the headers point at vectors, bodies, control buffers and names that `self` owns, of the lengths given,
        // which have not moved since and which nobody else touches during the call. A null timeout means none.
        let received = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                self.headers.as_mut_ptr(),
                slots as u32,
                flags as _,
                std::ptr::null_mut(),
            )
        };
        self.received = check(received)?;
        Ok(self.received)
    }

    /// The datagrams of the last [`receive`](Self::receive), in order of arrival.
    pub fn datagrams(&self) -> impl Iterator<Item = Received<'_>> {
        (0..self.received).map(|slot| self.datagram(slot))
    }

    #[allow(clippy::unnecessary_cast, reason = "musl has other types")]
    fn datagram(&self, slot: usize) -> Received<'_> {
        let header = &self.headers[slot];
        let body = self.bodies.get(slot);
        let mut received = Received {
            bytes: &body[..body.len().min(header.msg_len as usize)],
            truncated: header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0,
            ..Received::default()
        };
        let control_len = (header.msg_hdr.msg_controllen as usize).min(CONTROL_LEN);
        read_controls(&self.controls[slot].0[..control_len], &mut received);
        received.sender = self.names.get(slot).and_then(|name| {
            let len = (header.msg_hdr.msg_namelen as usize).min(NAME_LEN);
            read_name(&name.0[..len])
        });
        received
    }
}

/// Reads a sequence of control messages: each a `cmsghdr`, its data, and padding to the size of a word.
#[allow(clippy::unnecessary_cast, reason = "musl has other types")]
fn read_controls(mut bytes: &[u8], received: &mut Received<'_>) {
    const HEADER: usize = mem::size_of::<cmsghdr>();
    const WORD: usize = mem::size_of::<usize>();
    while let Some(header) = read_plain::<cmsghdr>(bytes) {
        let len = header.cmsg_len as usize;
        let Some(data) = bytes.get(HEADER..len) else { return };
        match (header.cmsg_level, header.cmsg_type) {
            (libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS) => {
                received.kernel_realtime_ns = read_plain::<libc::timespec>(data)
                    .map(|time| (time.tv_sec as u64).saturating_mul(1_000_000_000) + time.tv_nsec as u64);
            }
            (libc::SOL_SOCKET, libc::SO_RXQ_OVFL) => received.dropped_before = read_plain::<u32>(data),
            (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                let Some(info) = read_plain::<libc::in_pktinfo>(data) else { return };
                let [to, own] = [info.ipi_addr, info.ipi_spec_dst].map(|ip| Ipv4Addr::from(ip.s_addr.to_ne_bytes()));
                received.destination = Some((to.into(), info.ipi_ifindex as u32));
                // A host without any address has none to answer from.
                let elsewhere = own != to && !own.is_unspecified();
                received.broadcast = to.is_broadcast() || elsewhere && !to.is_multicast();
            }
            (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                received.destination = read_plain::<libc::in6_pktinfo>(data)
                    .map(|info| (Ipv6Addr::from(info.ipi6_addr.s6_addr).to_canonical(), info.ipi6_ifindex));
            }
            _ => {}
        }
        bytes = bytes.get(len.next_multiple_of(WORD)..).unwrap_or_default();
    }
}

/// The address in a `sockaddr_in` or `sockaddr_in6`; that of IPv4 in its own form, too, where a dual-stack socket wrote it.
fn read_name(bytes: &[u8]) -> Option<SocketAddr> {
    match c_int::from(read_plain::<libc::sa_family_t>(bytes)?) {
        libc::AF_INET => {
            let name = read_plain::<libc::sockaddr_in>(bytes)?;
            Some((Ipv4Addr::from(name.sin_addr.s_addr.to_ne_bytes()), u16::from_be(name.sin_port)).into())
        }
        libc::AF_INET6 => {
            let name = read_plain::<libc::sockaddr_in6>(bytes)?;
            let (address, port) = (Ipv6Addr::from(name.sin6_addr.s6_addr), u16::from_be(name.sin6_port));
            Some(match address.to_ipv4_mapped() {
                Some(address) => (address, port).into(),
                None => SocketAddrV6::new(address, port, 0, name.sin6_scope_id).into(),
            })
        }
        _ => None,
    }
}

/// Structures of the kernel in which every pattern of bits is a value.
///
/// # Safety
/// Only for types of integers, with no invalid values.
unsafe trait Plain: Copy {}
// SAFETY: integers only.
unsafe impl Plain for cmsghdr {}
// SAFETY: integers only.
unsafe impl Plain for libc::timespec {}
// SAFETY: integers only.
unsafe impl Plain for libc::in_pktinfo {}
// SAFETY: integers only.
unsafe impl Plain for libc::in6_pktinfo {}
// SAFETY: integers only.
unsafe impl Plain for libc::sockaddr_in {}
// SAFETY: integers only.
unsafe impl Plain for libc::sockaddr_in6 {}
// SAFETY: an integer.
unsafe impl Plain for u32 {}
// SAFETY: an integer.
unsafe impl Plain for u16 {}

fn read_plain<T: Plain>(bytes: &[u8]) -> Option<T> {
    // SAFETY: as many bytes as a T has are there, aligned or not, and any bytes make a T.
    (bytes.len() >= mem::size_of::<T>()).then(|| unsafe { bytes.as_ptr().cast::<T>().read_unaligned() })
}

/// Buffers of equal length in one block.
struct Bodies {
    bytes: Vec<u8>,
    len: usize,
    stride: usize,
}

impl Bodies {
    fn new(count: usize, len: usize) -> Bodies {
        let stride = match len {
            0..=CACHE_LINE => CACHE_LINE,
            _ => len.next_multiple_of(CACHE_LINE) + CACHE_LINE,
        };
        Bodies { bytes: vec![0; count * stride], len, stride }
    }

    fn get(&self, index: usize) -> &[u8] {
        &self.bytes[index * self.stride..][..self.len]
    }

    fn get_mut(&mut self, index: usize) -> &mut [u8] {
        &mut self.bytes[index * self.stride..][..self.len]
    }
}

/// A control buffer, aligned as `cmsghdr` wants it.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
struct Control([u8; CONTROL_LEN]);

/// Room for the address of a sender: the longest there is of UDP.
const NAME_LEN: usize = mem::size_of::<libc::sockaddr_in6>();

/// Where such an address is written.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
struct Name([u8; NAME_LEN]);

fn empty_header() -> mmsghdr {
    // SAFETY: a structure of integers and pointers, for which all zeros are null pointers and lengths of 0.
    unsafe { mem::zeroed() }
}

fn check(result: c_int) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::os::fd::AsFd;
    use std::time::Duration;

    use nix::sys::socket::{setsockopt, sockopt};

    use super::*;

    fn receiver() -> (UdpSocket, SockAddr) {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let address = socket.local_addr().unwrap().into();
        (socket, address)
    }

    #[test]
    fn every_destination_gets_its_copy_of_every_message() {
        let ((one, to_one), (two, to_two)) = (receiver(), receiver());
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut batch = SendBatch::new(b"message _", 3, vec![to_one, to_two]);
        assert_eq!((batch.messages(), batch.copies_per_message()), (3, 2));
        for message in 0..3 {
            batch.body_mut(message)[8] = b'0' + message as u8;
        }
        assert_eq!(batch.send(sender.as_fd(), 0..6).unwrap(), 6);
        for socket in [one, two] {
            let mut received = ReceiveBatch::new(8, 64);
            let mut bodies = Vec::new();
            while bodies.len() < 3 {
                received.receive(socket.as_fd(), 3 - bodies.len()).unwrap();
                bodies.extend(received.datagrams().map(|datagram| datagram.bytes.to_vec()));
            }
            assert_eq!(bodies, [b"message 0", b"message 1", b"message 2"]);
        }
    }

    #[test]
    fn a_range_of_copies_is_that_range() {
        let (socket, to) = receiver();
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut batch = SendBatch::new(b"x", 4, vec![to]);
        batch.body_mut(2)[0] = b'y';
        assert_eq!(batch.send(sender.as_fd(), 2..3).unwrap(), 1);
        let mut received = ReceiveBatch::new(1, 1);
        assert_eq!(received.receive(socket.as_fd(), 64).unwrap(), 1);
        assert_eq!(received.datagrams().next().unwrap().bytes, b"y");
    }

    #[test]
    fn tells_what_the_kernel_tells() {
        let (socket, to) = receiver();
        setsockopt(&socket, sockopt::ReceiveTimestampns, &true).unwrap();
        setsockopt(&socket, sockopt::Ipv4PacketInfo, &true).unwrap();
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut batch = SendBatch::new(&[7; 100], 1, vec![to]);
        let before_ns = std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos() as u64;
        let mut received = ReceiveBatch::new(4, 10);
        // Twice, since the kernel overwrites the lengths it is given.
        for _ in 0..2 {
            batch.send(sender.as_fd(), 0..1).unwrap();
            assert_eq!(received.receive(socket.as_fd(), 4).unwrap(), 1);
            let datagram = received.datagrams().next().unwrap();
            assert_eq!(datagram.bytes, [7; 10]);
            assert!(datagram.truncated);
            assert_eq!(datagram.destination.unwrap().0, IpAddr::from(Ipv4Addr::LOCALHOST));
            assert!(!datagram.broadcast);
            assert!(datagram.kernel_realtime_ns.unwrap() >= before_ns);
            assert_eq!((datagram.dropped_before, datagram.sender), (None, None));
        }
    }

    #[test]
    fn tells_who_sent_it_when_asked() {
        // A kernel without IPv6 has no other family to tell apart.
        let Ok(dual) = UdpSocket::bind("[::]:0") else { return };
        dual.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let port = dual.local_addr().unwrap().port();
        let mut received = ReceiveBatch::new(4, 10);
        received.ask_for_senders();
        // Twice, since the kernel overwrites the lengths it is given.
        for address in ["127.0.0.1", "::1", "127.0.0.1", "::1"] {
            let sender = UdpSocket::bind((address, 0)).unwrap();
            sender.send_to(b"text", (address, port)).unwrap();
            assert_eq!(received.receive(dual.as_fd(), 1).unwrap(), 1);
            assert_eq!(received.datagrams().next().unwrap().sender, Some(sender.local_addr().unwrap()));
        }
        for len in 0..mem::size_of::<libc::sockaddr_in>() {
            let inet = [libc::AF_INET as u8, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14];
            assert_eq!(read_name(&inet[..len]), None, "{len} bytes");
        }
    }

    #[test]
    fn the_kernel_knows_its_broadcast_addresses() {
        for any in ["0.0.0.0:0", "[::]:0"] {
            let socket = match UdpSocket::bind(any) {
                // A kernel without IPv6.
                Err(error) if error.raw_os_error() == Some(libc::EAFNOSUPPORT) => continue,
                socket => socket.unwrap(),
            };
            socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            setsockopt(&socket, sockopt::Ipv4PacketInfo, &true).unwrap();
            let port = socket.local_addr().unwrap().port();
            let sender = UdpSocket::bind("0.0.0.0:0").unwrap();
            sender.set_broadcast(true).unwrap();
            let mut received = ReceiveBatch::new(1, 10);
            for (to, broadcast) in [([127, 255, 255, 255], true), ([127, 0, 0, 1], false), ([127, 1, 2, 3], false)] {
                sender.send_to(b"x", (Ipv4Addr::from(to), port)).unwrap();
                assert_eq!(received.receive(socket.as_fd(), 1).unwrap(), 1);
                let datagram = received.datagrams().next().unwrap();
                assert_eq!((datagram.destination.unwrap().0, datagram.broadcast), (to.into(), broadcast), "at {any}");
            }
        }
    }

    #[test]
    fn control_messages_cut_short_are_ignored() {
        let mut whole = Vec::new();
        whole.extend(20usize.to_ne_bytes());
        whole.extend(libc::SOL_SOCKET.to_ne_bytes());
        whole.extend(libc::SO_RXQ_OVFL.to_ne_bytes());
        whole.extend(42u32.to_ne_bytes());
        let read = |bytes: &[u8]| {
            let mut received = Received::default();
            read_controls(bytes, &mut received);
            received.dropped_before
        };
        assert_eq!(read(&whole), Some(42));
        for len in 0..whole.len() {
            assert_eq!(read(&whole[..len]), None, "{len} bytes");
        }
        // A length that leads nowhere must not lead to an endless loop.
        for len in [0usize, 1, 15, usize::MAX] {
            whole[..8].copy_from_slice(&len.to_ne_bytes());
            assert_eq!(read(&whole), None, "a length of {len}");
        }
    }
}
