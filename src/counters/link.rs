//! Link counters: `struct rtnl_link_stats64` (`IFLA_STATS64`) over rtnetlink.
//!
//! Asked for by `RTM_GETSTATS`, which answers with the same structure as `RTM_GETLINK` and nothing else: 200 ports
//! cost a ninth. The attribute is decoded here because its *length* tells which counters the kernel has.

use std::collections::{BTreeMap, HashMap};

use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};
use serde::{Deserialize, Serialize};

use super::{grown, sum};
use crate::error::{Error, Result};

/// Counters of one interface. `None`: this kernel has no such counter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkCounters {
    /// `tx_packets`.
    pub tx_frames: Option<u64>,
    /// `tx_bytes`.
    pub tx_bytes: Option<u64>,
    /// `tx_dropped`.
    pub tx_dropped: Option<u64>,
    /// `rx_packets` (those for another MAC are among them).
    pub rx_frames: Option<u64>,
    /// `rx_bytes`.
    pub rx_bytes: Option<u64>,
    /// `rx_dropped` (frames of an EtherType nobody handles are among them).
    pub rx_dropped: Option<u64>,
    /// `rx_otherhost_dropped`: "not my MAC" (Linux 6.0 and later).
    pub rx_other_host: Option<u64>,
}

impl LinkCounters {
    /// Growth since `earlier`; `None` where either has none or the counter shrank.
    #[must_use]
    pub fn since(&self, earlier: &LinkCounters) -> LinkCounters {
        LinkCounters {
            tx_frames: grown(self.tx_frames, earlier.tx_frames),
            tx_bytes: grown(self.tx_bytes, earlier.tx_bytes),
            tx_dropped: grown(self.tx_dropped, earlier.tx_dropped),
            rx_frames: grown(self.rx_frames, earlier.rx_frames),
            rx_bytes: grown(self.rx_bytes, earlier.rx_bytes),
            rx_dropped: grown(self.rx_dropped, earlier.rx_dropped),
            rx_other_host: grown(self.rx_other_host, earlier.rx_other_host),
        }
    }

    /// Both interfaces' together; `None` where either has none.
    #[must_use]
    pub fn and(self, other: LinkCounters) -> LinkCounters {
        LinkCounters {
            tx_frames: sum([self.tx_frames, other.tx_frames]),
            tx_bytes: sum([self.tx_bytes, other.tx_bytes]),
            tx_dropped: sum([self.tx_dropped, other.tx_dropped]),
            rx_frames: sum([self.rx_frames, other.rx_frames]),
            rx_bytes: sum([self.rx_bytes, other.rx_bytes]),
            rx_dropped: sum([self.rx_dropped, other.rx_dropped]),
            rx_other_host: sum([self.rx_other_host, other.rx_other_host]),
        }
    }

    /// `stats` is a `struct rtnl_link_stats64` (`linux/if_link.h`) in host byte order; older kernels' is shorter.
    fn decode(stats: &[u8]) -> LinkCounters {
        let field = |index: usize| stats.get(8 * index..8 * index + 8)?.try_into().ok().map(u64::from_ne_bytes);
        LinkCounters {
            rx_frames: field(0),
            tx_frames: field(1),
            rx_bytes: field(2),
            tx_bytes: field(3),
            rx_dropped: field(6),
            tx_dropped: field(7),
            rx_other_host: field(24),
        }
    }
}

/// Reads the counters of every interface of the calling thread's network namespace, by name, once.
///
/// # Errors
/// As [`LinkReader::read_all`].
pub fn read_all() -> Result<BTreeMap<String, LinkCounters>> {
    LinkReader::open()?.read_all()
}

/// The kernel's number of the interface `name` in the calling thread's network namespace.
///
/// # Errors
/// When there is no such interface.
pub fn index_of(name: &str) -> Result<u32> {
    nix::net::if_::if_nametoindex(name)
        .map_err(|error| Error::failed(format!("looking up interface {name}")).because(error))
}

/// Reads link counters many times, over one netlink socket.
#[derive(Debug)]
pub struct LinkReader {
    socket: Socket,
    sequence: u32,
    buffer: Vec<u8>,
    names: HashMap<u32, String>,
}

impl LinkReader {
    /// Opens a socket in the network namespace the calling thread is in now; the reader stays with that namespace.
    ///
    /// # Errors
    /// When the kernel has no netlink socket for us.
    pub fn open() -> Result<LinkReader> {
        let failed = |error: std::io::Error| Error::failed("opening a netlink socket").because(error);
        let socket = Socket::new(NETLINK_ROUTE).map_err(failed)?;
        socket.connect(&SocketAddr::new(0, 0)).map_err(failed)?;
        Ok(LinkReader { socket, sequence: 0, buffer: Vec::with_capacity(32 * 1024), names: HashMap::new() })
    }

    /// The counters of the interface with this number.
    ///
    /// # Errors
    /// When there is no such interface (any more), or the exchange with the kernel fails.
    pub fn read(&mut self, interface_index: u32) -> Result<LinkCounters> {
        let mut found = None;
        self.exchange(interface_index, |index, counters| {
            found = found.or((index == interface_index).then_some(counters))
        })?;
        found.ok_or_else(|| Error::failed(format!("reading link counters: no answer for interface {interface_index}")))
    }

    /// The counters of all interfaces, by name. The calling thread must be in the reader's namespace: names are looked up
    /// there, once for each interface (a later renaming goes unnoticed).
    ///
    /// # Errors
    /// When the exchange with the kernel fails, or interfaces come and go faster than they can be listed.
    pub fn read_all(&mut self) -> Result<BTreeMap<String, LinkCounters>> {
        let mut all = Vec::new();
        let mut listings = 0;
        while !self.exchange(0, |index, counters| all.push((index, counters)))? {
            all.clear();
            listings += 1;
            if listings == 10 {
                return Err(Error::failed("reading link counters: interfaces changed during each of 10 listings"));
            }
        }
        if all.iter().any(|(index, _)| !self.names.contains_key(index)) {
            self.names = names_by_index()?;
        }
        // One that was removed since has no name, and no counters of interest.
        Ok(all.into_iter().filter_map(|(index, counters)| Some((self.names.get(&index)?.clone(), counters))).collect())
    }

    /// Sends `RTM_GETSTATS` for one interface, or for all of them (0), and hands each answer to `each`.
    /// `false`: the list changed while the kernel wrote it.
    fn exchange(&mut self, interface_index: u32, mut each: impl FnMut(u32, LinkCounters)) -> Result<bool> {
        let failed =
            |error: std::io::Error| Error::failed("asking the kernel for link counters (RTM_GETSTATS)").because(error);
        self.sequence = self.sequence.wrapping_add(1);
        self.socket.send(&request(interface_index, self.sequence), 0).map_err(failed)?;
        let mut consistent = true;
        loop {
            self.buffer.clear();
            self.socket.recv(&mut self.buffer, 0).map_err(failed)?;
            let mut rest = &self.buffer[..];
            while let Some(message) = Message::take(&mut rest) {
                if message.sequence != self.sequence {
                    continue; // of an exchange that was given up
                }
                consistent &= message.flags & libc::NLM_F_DUMP_INTR as u16 == 0;
                match i32::from(message.kind) {
                    libc::NLMSG_DONE => return Ok(consistent),
                    libc::NLMSG_ERROR => {
                        let code = message.payload.first_chunk().map_or(0, |code| i32::from_ne_bytes(*code));
                        return Err(failed(std::io::Error::from_raw_os_error(code.wrapping_neg())));
                    }
                    _ => {
                        if let Some((index, counters)) = decode_newstats(message.payload) {
                            each(index, counters);
                        }
                        if message.flags & libc::NLM_F_MULTI as u16 == 0 {
                            return Ok(consistent);
                        }
                    }
                }
            }
        }
    }
}

// linux/rtnetlink.h, linux/if_link.h
const RTM_GETSTATS: u16 = 94;
const IFLA_STATS_LINK_64: u16 = 1;
const IFLA_STATS_FILTER_LINK_64: u32 = 1 << (IFLA_STATS_LINK_64 - 1);

/// `struct nlmsghdr` and, of 12 bytes, `struct if_stats_msg`.
fn request(interface_index: u32, sequence: u32) -> [u8; 28] {
    let flags = libc::NLM_F_REQUEST | if interface_index == 0 { libc::NLM_F_DUMP } else { 0 };
    let mut request = [0; 28];
    request[0..4].copy_from_slice(&28_u32.to_ne_bytes());
    request[4..6].copy_from_slice(&RTM_GETSTATS.to_ne_bytes());
    request[6..8].copy_from_slice(&(flags as u16).to_ne_bytes());
    request[8..12].copy_from_slice(&sequence.to_ne_bytes());
    request[20..24].copy_from_slice(&interface_index.to_ne_bytes());
    request[24..28].copy_from_slice(&IFLA_STATS_FILTER_LINK_64.to_ne_bytes());
    request
}

struct Message<'a> {
    kind: u16,
    flags: u16,
    sequence: u32,
    payload: &'a [u8],
}

impl<'a> Message<'a> {
    /// Takes one netlink message off `rest`; `None` at the end or at one that is cut short.
    fn take(rest: &mut &'a [u8]) -> Option<Message<'a>> {
        let header = rest.first_chunk::<16>()?;
        let length = u32::from_ne_bytes(*header.first_chunk()?) as usize;
        let payload = rest.get(16..length)?;
        *rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(Message {
            kind: u16::from_ne_bytes([header[4], header[5]]),
            flags: u16::from_ne_bytes([header[6], header[7]]),
            sequence: u32::from_ne_bytes([header[8], header[9], header[10], header[11]]),
            payload,
        })
    }
}

/// `struct if_stats_msg`, then attributes, of which `IFLA_STATS_LINK_64` is wanted.
fn decode_newstats(payload: &[u8]) -> Option<(u32, LinkCounters)> {
    let index = u32::from_ne_bytes(*payload.get(4..)?.first_chunk()?);
    let mut attributes = payload.get(12..)?;
    loop {
        let [l0, l1, k0, k1] = *attributes.first_chunk()?;
        let length = usize::from(u16::from_ne_bytes([l0, l1]));
        let value = attributes.get(4..length)?;
        if u16::from_ne_bytes([k0, k1]) == IFLA_STATS_LINK_64 {
            return Some((index, LinkCounters::decode(value)));
        }
        attributes = attributes.get(length.next_multiple_of(4)..)?;
    }
}

fn names_by_index() -> Result<HashMap<u32, String>> {
    let interfaces =
        nix::net::if_::if_nameindex().map_err(|error| Error::failed("listing interfaces").because(error))?;
    Ok(interfaces.iter().map(|one| (one.index(), one.name().to_string_lossy().into_owned())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stats(fields: usize) -> Vec<u8> {
        (0..fields as u64).flat_map(|index| (100 + index).to_ne_bytes()).collect()
    }

    #[test]
    fn two_links_make_one_sum_or_none() {
        let one = LinkCounters { rx_frames: Some(1), tx_frames: Some(2), ..LinkCounters::default() };
        let two = LinkCounters { rx_frames: Some(10), rx_bytes: Some(30), ..LinkCounters::default() };
        assert_eq!(one.and(two), LinkCounters { rx_frames: Some(11), ..LinkCounters::default() });
        let all = LinkCounters::decode(&stats(25));
        assert_eq!(all.and(all).since(&all), all);
    }

    #[test]
    fn fields_are_where_the_kernel_puts_them() {
        let expected = LinkCounters {
            rx_frames: Some(100),
            tx_frames: Some(101),
            rx_bytes: Some(102),
            tx_bytes: Some(103),
            rx_dropped: Some(106),
            tx_dropped: Some(107),
            rx_other_host: Some(124),
        };
        assert_eq!(LinkCounters::decode(&stats(25)), expected);
        assert_eq!(LinkCounters::decode(&stats(30)), expected, "a newer kernel's longer structure");
    }

    #[test]
    fn a_shorter_structure_lacks_counters() {
        let before_6_0 = LinkCounters::decode(&stats(24));
        assert_eq!((before_6_0.rx_frames, before_6_0.rx_other_host), (Some(100), None));
        assert_eq!(LinkCounters::decode(&stats(0)), LinkCounters::default());
    }

    #[test]
    fn answers_of_any_content_are_survived() {
        let mut answer = vec![0; 12];
        answer[4..8].copy_from_slice(&7_u32.to_ne_bytes());
        answer.extend([8, 0, 9, 0, 1, 2, 3, 4]); // an attribute of another kind
        answer.extend((4 + 25 * 8_u16).to_ne_bytes());
        answer.extend(IFLA_STATS_LINK_64.to_ne_bytes());
        answer.extend(stats(25));
        let (index, counters) = decode_newstats(&answer).unwrap();
        assert_eq!((index, counters.rx_other_host), (7, Some(124)));
        for length in 0..answer.len() {
            assert_eq!(decode_newstats(&answer[..length]), None, "cut at {length}");
        }
        for length in 0..20_u32 {
            let mut bytes = length.to_ne_bytes().to_vec();
            bytes.resize(16, 0xff);
            let mut rest = &bytes[..];
            assert_eq!(Message::take(&mut rest).is_some(), length == 16);
        }
        // A length of 0 must not be walked forever.
        assert_eq!(decode_newstats(&[0; 64]), None);
    }

    #[test]
    fn one_interface_reads_like_all() {
        let mut reader = LinkReader::open().unwrap();
        let all = reader.read_all().unwrap();
        let lo = reader.read(index_of("lo").unwrap()).unwrap();
        assert!(lo.since(&all["lo"]).rx_frames.is_some(), "counters of lo went backwards: {lo:?} {all:?}");
        assert_eq!(lo.rx_other_host.is_some(), all["lo"].rx_other_host.is_some());
    }

    #[test]
    fn an_interface_that_is_not_there() {
        let error = LinkReader::open().unwrap().read(0x7fff_fff0).unwrap_err().to_string();
        assert!(error.contains("RTM_GETSTATS") && error.contains("No such device"), "{error}");
    }
}
