//! A blocking netlink socket: rtnetlink requests and dumps, generic netlink's `napi-get`, the bridge's group table.
//!
//! Wire form: `struct nlmsghdr` (16 bytes: length, type, flags, sequence, port), payload, padding to 4 (RFC 3549).

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use netlink_packet_core::{
    Emitable, NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, NetlinkDeserializable, NetlinkHeader, NetlinkMessage, NlaBuffer,
    NlasIterator, Parseable,
};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::LinkMessage;
use netlink_sys::protocols::{NETLINK_GENERIC, NETLINK_ROUTE};
use netlink_sys::{Socket, SocketAddr};
use nix::errno::Errno;

use super::netns;
use crate::error::{Error, Result};

/// A netlink socket. It belongs to the network namespace the calling thread was in when it was opened, for good.
pub struct Netlink {
    socket: Socket,
    sequence: u32,
    buffer: Vec<u8>,
}

/// One NAPI context as `netdev` `napi-get` reports it (Linux 6.8 and later).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Napi {
    /// The interface.
    pub ifindex: u32,
    /// The context's number, which also ends its thread's name.
    pub id: u32,
    /// Its thread, as numbered in the asking process's PID namespace: 0 when it is not part of that, `None` when there is
    /// no thread.
    pub pid: Option<u32>,
}

/// One row of a bridge's group table (`bridge mdb`): a port that wants a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Membership {
    /// The port.
    pub ifindex: u32,
    /// The group.
    pub group: IpAddr,
}

const HEADER: usize = 16;
const ERROR: u16 = 2;
const DONE: u16 = 3;
const FLAG_DUMP_INTERRUPTED: u16 = 0x10;
const FLAG_ACK_TLVS: u16 = 0x200;
/// The kernel fills dump replies up to 32 KiB.
const RECEIVE_BYTES: usize = 64 * 1024;
/// Requests sent in one system call: well below the send buffer of 208 KiB.
const BATCH_BYTES: usize = 48 * 1024;
const DUMP_ATTEMPTS: usize = 16;

impl Netlink {
    /// Opens a NETLINK_ROUTE socket in the calling thread's network namespace.
    ///
    /// # Errors
    /// When the kernel refuses the socket.
    pub fn route() -> Result<Netlink> {
        Netlink::open(NETLINK_ROUTE)
    }

    /// Opens a NETLINK_GENERIC socket in the calling thread's network namespace.
    ///
    /// # Errors
    /// When the kernel refuses the socket.
    pub fn generic() -> Result<Netlink> {
        Netlink::open(NETLINK_GENERIC)
    }

    /// Opens a socket of any netlink protocol; the kernel's refusal as it gives it.
    pub(super) fn open_raw(protocol: isize) -> io::Result<Netlink> {
        let mut socket = Socket::new(protocol)?;
        socket.bind_auto()?;
        socket.connect(&SocketAddr::new(0, 0))?;
        // Error replies then hold the kernel's sentence and not the whole request.
        let _ = socket.set_cap_ack(true);
        let _ = socket.set_ext_ack(true);
        let _ = socket.set_rx_buf_sz(4 << 20);
        Ok(Netlink { socket, sequence: 0, buffer: vec![0; RECEIVE_BYTES] })
    }

    fn open(protocol: isize) -> Result<Netlink> {
        Netlink::open_raw(protocol).map_err(|cause| Error::failed("opening a netlink socket").because(cause))
    }

    /// Asks for all objects `request` describes (`GetLink`, `GetNeighbour`, …).
    ///
    /// # Errors
    /// When the kernel refuses, or its objects change faster than they can be listed.
    pub fn dump(&mut self, request: RouteNetlinkMessage) -> Result<Vec<RouteNetlinkMessage>> {
        let mut message = NetlinkMessage::from(request);
        message.finalize();
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        let kind = message.header.message_type;
        let mut found = Vec::new();
        for (kind, payload) in self.dump_raw(kind, &bytes[HEADER..])? {
            let mut header = NetlinkHeader::default();
            header.message_type = kind;
            found
                .push(RouteNetlinkMessage::deserialize(&header, &payload).map_err(|cause| {
                    Error::failed(format!("reading a netlink reply of type {kind}")).because(cause)
                })?);
        }
        Ok(found)
    }

    /// All interfaces of the namespace.
    ///
    /// # Errors
    /// As [`Netlink::dump`].
    pub fn links(&mut self) -> Result<Vec<LinkMessage>> {
        let replies = self.dump(RouteNetlinkMessage::GetLink(LinkMessage::default()))?;
        Ok(replies
            .into_iter()
            .filter_map(|reply| match reply {
                RouteNetlinkMessage::NewLink(link) => Some(link),
                _ => None,
            })
            .collect())
    }

    /// One interface by its number.
    ///
    /// # Errors
    /// When there is none.
    pub fn link(&mut self, index: u32) -> Result<LinkMessage> {
        const RTM_GETLINK: u16 = 18;
        let mut request = LinkMessage::default();
        request.header.index = index;
        let mut payload = vec![0; request.buffer_len()];
        request.emit(&mut payload);
        let reply = self.ask(RTM_GETLINK, &payload)?;
        LinkMessage::parse(&reply[..]).map_err(|cause| Error::failed(format!("reading link {index}")).because(cause))
    }

    /// Carries out `requests` in order (each with its flags, `NLM_F_CREATE` and so on, beside `NLM_F_REQUEST`), many in
    /// one system call. The kernel goes on after a failure; the first one is reported.
    ///
    /// # Errors
    /// The first refused request by its number and name, with the kernel's own sentence where it gives one; not
    /// permitted, with the remedies, where privilege is wanting.
    pub fn batch(&mut self, requests: &[(RouteNetlinkMessage, u16)]) -> Result<()> {
        let mut start = 0;
        while start < requests.len() {
            let first_sequence = self.sequence.wrapping_add(1);
            let mut bytes = Vec::new();
            let mut end = start;
            let mut last = 0;
            while end < requests.len() && (bytes.len() < BATCH_BYTES) {
                last = bytes.len();
                self.append(&mut bytes, &requests[end]);
                end += 1;
            }
            // Failures are reported unasked: one acknowledgement, of the last request, tells when all are done.
            let flags = u16::from_ne_bytes([bytes[last + 6], bytes[last + 7]]) | NLM_F_ACK;
            bytes[last + 6..last + 8].copy_from_slice(&flags.to_ne_bytes());
            self.send(&bytes)?;
            if let Some((sequence, failure)) = self.acknowledged(first_sequence, self.sequence)? {
                let index = start + sequence.wrapping_sub(first_sequence) as usize;
                let name = requests.get(index).map_or("unknown", |(request, _)| name_of(request));
                let of = requests.len();
                let operation = format!("netlink request {} of {of} ({name}){}", index + 1, failure.sentence);
                return Err(match failure.errno {
                    Errno::EPERM | Errno::EACCES => netns::refused(&operation, failure.errno),
                    errno => Error::failed(operation).because(errno),
                });
            }
            start = end;
        }
        Ok(())
    }

    fn append(&mut self, bytes: &mut Vec<u8>, (request, flags): &(RouteNetlinkMessage, u16)) {
        self.sequence = self.sequence.wrapping_add(1);
        let mut message = NetlinkMessage::from(request.clone());
        message.header.flags = NLM_F_REQUEST | flags;
        message.header.sequence_number = self.sequence;
        message.finalize();
        let start = bytes.len();
        bytes.resize(start + message.buffer_len().next_multiple_of(4), 0);
        message.serialize(&mut bytes[start..]);
    }

    /// Waits for the acknowledgement of request `last`; gives the first failure since `first`. (What else is reported
    /// after that failure waits in the socket, and is passed over by its sequence numbers.)
    pub(super) fn acknowledged(&mut self, first: u32, last: u32) -> Result<Option<(u32, Failure)>> {
        let span = last.wrapping_sub(first);
        loop {
            for message in messages(self.receive()?) {
                let message = message?;
                let ours = message.sequence.wrapping_sub(first) <= span;
                if message.kind != ERROR || !ours {
                    continue;
                }
                if let Some(failure) = failure(&message) {
                    return Ok(Some((message.sequence, failure)));
                }
                if message.sequence == last {
                    return Ok(None);
                }
            }
        }
    }

    /// Sends a dump request of this type and payload and collects (type, payload) of every reply.
    pub(super) fn dump_raw(&mut self, kind: u16, payload: &[u8]) -> Result<Vec<Reply>> {
        for _ in 0..DUMP_ATTEMPTS {
            if let Some(found) = self.dump_once(kind, payload)? {
                return Ok(found);
            }
        }
        Err(Error::failed(format!(
            "a netlink dump (request type {kind}) was interrupted by changes {DUMP_ATTEMPTS} times in a row"
        )))
    }

    /// `None`: what was listed changed meanwhile, or the receive buffer overflowed; the list would have holes.
    fn dump_once(&mut self, kind: u16, payload: &[u8]) -> Result<Option<Vec<Reply>>> {
        let sequence = self.request(kind, NLM_F_DUMP, payload)?;
        let mut found = Vec::new();
        let mut whole = true;
        loop {
            let bytes = match self.receive_or_overflow()? {
                Some(bytes) => bytes,
                None => {
                    whole = false;
                    continue;
                }
            };
            for message in messages(bytes) {
                let message = message?;
                if message.sequence != sequence {
                    continue;
                }
                whole &= message.flags & FLAG_DUMP_INTERRUPTED == 0;
                match message.kind {
                    DONE => {
                        // The kernel may report a failure in the closing message: an i32, negative errno.
                        let code = message.payload.first_chunk().map_or(0, |bytes| i32::from_ne_bytes(*bytes));
                        if code < 0 {
                            return Err(
                                Error::failed(format!("netlink dump of type {kind}")).because(Errno::from_raw(-code))
                            );
                        }
                        return Ok(whole.then_some(found));
                    }
                    ERROR => {
                        if let Some(failure) = failure(&message) {
                            return Err(Error::failed(format!("netlink dump of type {kind}{}", failure.sentence))
                                .because(failure.errno));
                        }
                    }
                    // Not every family marks its replies as parts: a dump ends with NLMSG_DONE and nothing else.
                    _ => found.push((message.kind, message.payload.to_vec())),
                }
            }
        }
    }

    /// Sends a request that has one reply and gives its payload.
    fn ask(&mut self, kind: u16, payload: &[u8]) -> Result<Vec<u8>> {
        self.ask_raw(kind, payload)?.map_err(|failure| {
            Error::failed(format!("netlink request of type {kind}{}", failure.sentence)).because(failure.errno)
        })
    }

    /// The same; what the kernel answers when it refuses is no error.
    pub(super) fn ask_raw(&mut self, kind: u16, payload: &[u8]) -> Result<std::result::Result<Vec<u8>, Failure>> {
        let sequence = self.request(kind, 0, payload)?;
        loop {
            for message in messages(self.receive()?) {
                let message = message?;
                if message.sequence != sequence {
                    continue;
                }
                return Ok(failure(&message).map_or_else(|| Ok(message.payload.to_vec()), Err));
            }
        }
    }

    fn request(&mut self, kind: u16, flags: u16, payload: &[u8]) -> Result<u32> {
        let mut bytes = Vec::with_capacity(HEADER + payload.len());
        let sequence = self.append_raw(&mut bytes, kind, flags, payload);
        self.send(&bytes)?;
        Ok(sequence)
    }

    /// Appends a request with the next sequence number to `bytes`; gives the number.
    pub(super) fn append_raw(&mut self, bytes: &mut Vec<u8>, kind: u16, flags: u16, payload: &[u8]) -> u32 {
        self.sequence = self.sequence.wrapping_add(1);
        bytes.extend(((HEADER + payload.len()) as u32).to_ne_bytes());
        bytes.extend(kind.to_ne_bytes());
        bytes.extend((NLM_F_REQUEST | flags).to_ne_bytes());
        bytes.extend(self.sequence.to_ne_bytes());
        bytes.extend(0u32.to_ne_bytes());
        bytes.extend(payload);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        self.sequence
    }

    pub(super) fn send(&self, bytes: &[u8]) -> Result<()> {
        self.socket.send(bytes, 0).map_err(|cause| Error::failed("sending a netlink request").because(cause))?;
        Ok(())
    }

    fn receive(&mut self) -> Result<&[u8]> {
        match self.receive_or_overflow()? {
            Some(bytes) => Ok(bytes),
            None => Err(Error::failed("receiving netlink replies: the socket's buffer overflowed")),
        }
    }

    /// One datagram of replies; `None` when the kernel had to drop some (ENOBUFS) or one was longer than the buffer.
    fn receive_or_overflow(&mut self) -> Result<Option<&[u8]>> {
        let flags = nix::sys::socket::MsgFlags::MSG_TRUNC;
        let length = loop {
            match nix::sys::socket::recv(self.socket.as_raw_fd(), &mut self.buffer, flags) {
                Ok(length) => break length,
                Err(nix::Error::EINTR) => continue,
                Err(nix::Error::ENOBUFS) => return Ok(None),
                Err(cause) => return Err(Error::failed("receiving a netlink reply").because(cause)),
            }
        };
        if length > self.buffer.len() {
            self.buffer.resize(length.next_power_of_two(), 0);
            return Ok(None);
        }
        Ok(Some(&self.buffer[..length]))
    }
}

/// What only other families than rtnetlink's well-known ones can tell.
impl Netlink {
    /// The NAPI contexts of all interfaces of the namespace (`netdev` family, `napi-get`); needs [`Netlink::generic`].
    ///
    /// # Errors
    /// When the kernel has no such family (before Linux 6.8).
    pub fn napis(&mut self) -> Result<Vec<Napi>> {
        const NAPI_GET: u8 = 11;
        const IFINDEX: u16 = 1;
        const ID: u16 = 2;
        const PID: u16 = 4;
        let family = self.family("netdev")?;
        let replies = self.dump_raw(family, &[NAPI_GET, 1, 0, 0])?;
        let napis = replies.iter().filter_map(|(_, payload)| {
            let attributes = payload.get(4..)?;
            let ifindex = u32_attribute(attributes, IFINDEX)?;
            Some(Napi { ifindex, id: u32_attribute(attributes, ID)?, pid: u32_attribute(attributes, PID) })
        });
        Ok(napis.collect())
    }

    /// The number of a generic netlink family (`CTRL_CMD_GETFAMILY`).
    fn family(&mut self, name: &str) -> Result<u16> {
        const CONTROL: u16 = 0x10;
        const GET_FAMILY: u8 = 3;
        const FAMILY_ID: u16 = 1;
        const FAMILY_NAME: u16 = 2;
        let mut payload = vec![GET_FAMILY, 1, 0, 0];
        push_attribute(&mut payload, FAMILY_NAME, &[name.as_bytes(), b"\0"].concat());
        let missing = || Error::failed(format!("this kernel has no generic netlink family '{name}'"));
        let reply = self.ask(CONTROL, &payload).map_err(|cause| missing().because(cause))?;
        let id = attribute(reply.get(4..).unwrap_or_default(), FAMILY_ID);
        id.and_then(|value| value.first_chunk()).map(|bytes| u16::from_ne_bytes(*bytes)).ok_or_else(missing)
    }

    /// The group tables of all bridges of the namespace (`RTM_GETMDB`, `struct br_mdb_entry`); needs
    /// [`Netlink::route`]. A port that joined from several sources is listed once for each.
    ///
    /// # Errors
    /// As [`Netlink::dump`].
    pub fn memberships(&mut self) -> Result<Vec<Membership>> {
        const RTM_GETMDB: u16 = 86;
        const MDB: u16 = 1;
        const MDB_ENTRY: u16 = 1;
        const MDB_ENTRY_INFO: u16 = 1;
        /// `struct br_port_msg`: family, 3 bytes of padding, interface (0: all).
        const REQUEST: [u8; 8] = [libc::AF_BRIDGE as u8, 0, 0, 0, 0, 0, 0, 0];
        let mut found = Vec::new();
        for (_, payload) in self.dump_raw(RTM_GETMDB, &REQUEST)? {
            let tables = attributes(payload.get(REQUEST.len()..).unwrap_or_default());
            for (_, table) in tables.filter(|(kind, _)| *kind == MDB) {
                for (_, entry) in attributes(table).filter(|(kind, _)| *kind == MDB_ENTRY) {
                    let ports = attributes(entry).filter(|(kind, _)| *kind == MDB_ENTRY_INFO);
                    found.extend(ports.filter_map(|(_, port)| membership(port)));
                }
            }
        }
        Ok(found)
    }
}

impl AsFd for Netlink {
    fn as_fd(&self) -> BorrowedFd<'_> {
        // SAFETY: the descriptor is the socket's own and stays open as long as `self` is borrowed.
        unsafe { BorrowedFd::borrow_raw(self.socket.as_raw_fd()) }
    }
}

/// Reads `struct br_mdb_entry`: ifindex u32, state u8, flags u8, vid u16, address 16 bytes, EtherType (network order).
fn membership(entry: &[u8]) -> Option<Membership> {
    let ifindex = u32::from_ne_bytes(*entry.first_chunk()?);
    let address: [u8; 16] = entry.get(8..24)?.try_into().ok()?;
    let group = match entry.get(24..26)? {
        [0x08, 0x00] => IpAddr::V4(Ipv4Addr::from(*address.first_chunk::<4>()?)),
        [0x86, 0xdd] => IpAddr::V6(Ipv6Addr::from(address)),
        _ => return None,
    };
    Some(Membership { ifindex, group })
}

/// One message of a datagram.
struct Message<'a> {
    kind: u16,
    flags: u16,
    sequence: u32,
    payload: &'a [u8],
}

/// Type and payload of a reply.
pub(super) type Reply = (u16, Vec<u8>);

/// What the kernel said of a request it refused.
#[derive(Debug)]
pub(super) struct Failure {
    /// `": …"` or nothing.
    pub(super) sentence: String,
    pub(super) errno: Errno,
}

/// Cuts a datagram into messages.
fn messages(mut bytes: &[u8]) -> impl Iterator<Item = Result<Message<'_>>> {
    std::iter::from_fn(move || {
        if bytes.is_empty() {
            return None;
        }
        let length = bytes.first_chunk().map_or(0, |length| u32::from_ne_bytes(*length) as usize);
        if length < HEADER || length > bytes.len() {
            let total = bytes.len();
            bytes = &[];
            return Some(Err(Error::failed(format!("a netlink reply claims {length} bytes of {total}"))));
        }
        let message = Message {
            kind: u16::from_ne_bytes([bytes[4], bytes[5]]),
            flags: u16::from_ne_bytes([bytes[6], bytes[7]]),
            sequence: u32::from_ne_bytes([bytes[8], bytes[9], bytes[10], bytes[11]]),
            payload: &bytes[HEADER..length],
        };
        bytes = &bytes[length.next_multiple_of(4).min(bytes.len())..];
        Some(Ok(message))
    })
}

/// What an NLMSG_ERROR message reports; `None` for an acknowledgement or another kind of message.
fn failure(message: &Message<'_>) -> Option<Failure> {
    const SENTENCE: u16 = 1;
    if message.kind != ERROR {
        return None;
    }
    let code = i32::from_ne_bytes(*message.payload.first_chunk()?);
    if code == 0 {
        return None;
    }
    let tail = if message.flags & FLAG_ACK_TLVS == 0 { None } else { message.payload.get(4 + HEADER..) };
    let sentence = tail
        .and_then(|tail| attribute(tail, SENTENCE))
        .map_or(String::new(), |text| format!(": {}", String::from_utf8_lossy(text).trim_end_matches('\0')));
    Some(Failure { sentence, errno: Errno::from_raw(code.saturating_neg()) })
}

fn name_of(request: &RouteNetlinkMessage) -> &'static str {
    match request {
        RouteNetlinkMessage::NewLink(_) => "RTM_NEWLINK",
        RouteNetlinkMessage::SetLink(_) => "RTM_SETLINK",
        RouteNetlinkMessage::DelLink(_) => "RTM_DELLINK",
        RouteNetlinkMessage::NewAddress(_) => "RTM_NEWADDR",
        RouteNetlinkMessage::NewRoute(_) => "RTM_NEWROUTE",
        RouteNetlinkMessage::NewNeighbour(_) => "RTM_NEWNEIGH",
        RouteNetlinkMessage::NewQueueDiscipline(_) => "RTM_NEWQDISC",
        _ => "another request",
    }
}

pub(super) fn attributes(bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    NlasIterator::new(bytes).map_while(|attribute: std::result::Result<NlaBuffer<&[u8]>, _>| attribute.ok()).map(
        |attribute| {
            let length = attribute.value_length();
            (attribute.kind(), &attribute.into_inner()[4..4 + length])
        },
    )
}

pub(super) fn attribute(bytes: &[u8], wanted: u16) -> Option<&[u8]> {
    attributes(bytes).find(|(kind, _)| *kind == wanted).map(|(_, value)| value)
}

pub(super) fn u32_attribute(bytes: &[u8], wanted: u16) -> Option<u32> {
    attribute(bytes, wanted)?.first_chunk().map(|value| u32::from_ne_bytes(*value))
}

/// An IP address: 4 bytes or 16.
pub(super) fn address_attribute(bytes: &[u8], wanted: u16) -> Option<IpAddr> {
    let value = attribute(bytes, wanted)?;
    let ipv4 = <[u8; 4]>::try_from(value).map(IpAddr::from);
    ipv4.or_else(|_| <[u8; 16]>::try_from(value).map(IpAddr::from)).ok()
}

pub(super) fn push_attribute(bytes: &mut Vec<u8>, kind: u16, value: &[u8]) {
    bytes.extend(((4 + value.len()) as u16).to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u16, flags: u16, sequence: u32, payload: &[u8]) -> Vec<u8> {
        let mut bytes = ((HEADER + payload.len()) as u32).to_ne_bytes().to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(flags.to_ne_bytes());
        bytes.extend(sequence.to_ne_bytes());
        bytes.extend([0; 4]);
        bytes.extend(payload);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    #[test]
    fn a_datagram_is_cut_into_its_messages() {
        let bytes = [message(16, 2, 7, b"abcde"), message(DONE, 2, 7, &[0; 4])].concat();
        let found: Vec<_> = messages(&bytes).map(|message| message.unwrap()).collect();
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].kind, found[0].sequence, found[0].payload), (16, 7, &b"abcde"[..]));
        assert_eq!(found[1].kind, DONE);
    }

    #[test]
    fn a_lying_length_is_an_error_and_ends_the_datagram() {
        for length in [0u32, 15, 21, u32::MAX] {
            let mut bytes = message(16, 2, 7, &[0; 4]);
            bytes[..4].copy_from_slice(&length.to_ne_bytes());
            let found: Vec<_> = messages(&bytes).collect();
            assert_eq!(found.len(), 1);
            assert!(found[0].is_err(), "{length} was believed");
        }
        assert!(messages(&[1, 2, 3]).all(|message| message.is_err()));
    }

    #[test]
    fn a_failure_carries_the_kernels_sentence() {
        let mut payload = (-libc::EEXIST).to_ne_bytes().to_vec();
        payload.extend([0; HEADER]);
        push_attribute(&mut payload, 1, b"it is there already\0");
        let bytes = message(ERROR, FLAG_ACK_TLVS, 7, &payload);
        let found = messages(&bytes).next().unwrap().unwrap();
        let failure = failure(&found).unwrap();
        assert_eq!(failure.sentence, ": it is there already");
        assert_eq!(failure.errno, Errno::EEXIST);
    }

    #[test]
    fn an_acknowledgement_is_no_failure() {
        let bytes = message(ERROR, 0, 7, &[0; 4 + HEADER]);
        assert!(failure(&messages(&bytes).next().unwrap().unwrap()).is_none());
    }

    #[test]
    fn a_group_table_row() {
        let mut row = vec![5, 0, 0, 0, 1, 0, 0, 0];
        if cfg!(target_endian = "big") {
            row[..4].reverse();
        }
        row.extend([239, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x08, 0x00, 0, 0]);
        let expected = Membership { ifindex: 5, group: IpAddr::V4(Ipv4Addr::new(239, 1, 1, 1)) };
        assert_eq!(membership(&row), Some(expected));
        assert_eq!(membership(&row[..25]), None);
    }

    #[test]
    fn a_dump_lists_the_loopback_link() {
        let links = Netlink::route().unwrap().links().unwrap();
        assert!(links.iter().any(|link| link.header.index == 1));
    }

    #[test]
    fn a_refusal_names_the_request() {
        let missing = |index| {
            let mut link = LinkMessage::default();
            link.header.index = index;
            (RouteNetlinkMessage::DelLink(link), 0)
        };
        // No machine has an interface of this number: refused as unknown, or for want of privilege.
        let error = Netlink::route().unwrap().batch(&[missing(i32::MAX as u32), missing(i32::MAX as u32)]).unwrap_err();
        assert!(error.to_string().starts_with("netlink request 1 of 2 (RTM_DELLINK)"), "{error}");
    }
}
