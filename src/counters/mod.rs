//! The kernel's own counters of one host, read as snapshots and compared as deltas.
//!
//! | counters | from |
//! |---|---|
//! | [`link`] | `struct rtnl_link_stats64`, over rtnetlink |
//! | [`ip`], [`udp`], [`tcp`] | `/proc/thread-self/net/snmp`, `netstat`, `snmp6` |
//! | [`cpu`] | `schedstat` of tasks, `/proc/uptime`, the process clock |
//!
//! What a kernel does not count is `None`, never 0.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::sys::proc::ProcFile;

pub mod cpu;
pub mod environment;
pub mod ip;
pub mod link;
mod snmp;
pub mod tcp;
pub mod udp;

/// A host's counters at one moment, or their growth between two.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostCounters {
    /// The interface, or several together.
    pub link: link::LinkCounters,
    /// IPv4 and IPv6 together.
    pub ip: ip::IpCounters,
    /// UDP over both.
    pub udp: udp::UdpCounters,
    /// TCP over both.
    pub tcp: tcp::TcpCounters,
}

impl HostCounters {
    /// Growth since `earlier`; a field is `None` where either snapshot has none, or where the counter shrank (the
    /// namespace or the interface was made anew).
    #[must_use]
    pub fn since(&self, earlier: &HostCounters) -> HostCounters {
        HostCounters {
            link: self.link.since(&earlier.link),
            ip: self.ip.since(&earlier.ip),
            udp: self.udp.since(&earlier.udp),
            tcp: self.tcp.since(&earlier.tcp),
        }
    }
}

/// Reads the counters of `interface` and of the protocols in the calling thread's network namespace, once.
///
/// # Errors
/// When there is no such interface or `/proc` cannot be read.
pub fn read(interface: &str) -> Result<HostCounters> {
    Reader::open(&[interface])?.read()
}

/// Reads the counters of one host many times, at a small cost each: socket and files stay open.
#[derive(Debug)]
pub struct Reader {
    link: link::LinkReader,
    /// Name and number of each.
    interfaces: Vec<(String, u32)>,
    snmp: ProcFile,
    netstat: ProcFile,
    snmp6: Option<ProcFile>,
}

impl Reader {
    /// Opens what is needed for these interfaces (a router has several; their counters are summed) and the protocols of
    /// the network namespace the calling thread is in now; the reader stays with that namespace.
    ///
    /// # Errors
    /// When one of the interfaces is missing or `/proc` cannot be read.
    pub fn open(interfaces: &[impl AsRef<str>]) -> Result<Reader> {
        let numbered = |name: &str| Ok((name.to_owned(), link::index_of(name)?));
        let present = |name: &str| {
            let file = ProcFile::open_net(name)?;
            file.ok_or_else(|| Error::failed(format!("reading /proc/thread-self/net/{name}: there is no such file")))
        };
        Ok(Reader {
            link: link::LinkReader::open()?,
            interfaces: interfaces.iter().map(|name| numbered(name.as_ref())).collect::<Result<_>>()?,
            snmp: present("snmp")?,
            netstat: present("netstat")?,
            snmp6: ProcFile::open_net("snmp6")?,
        })
    }

    /// The counters as they are now, link first: under traffic a frame may be counted there and not yet above.
    ///
    /// # Errors
    /// When an interface has gone or the kernel refuses.
    pub fn read(&mut self) -> Result<HostCounters> {
        let mut links = Vec::with_capacity(self.interfaces.len());
        for (name, index) in &self.interfaces {
            links.push(
                self.link.read(*index).map_err(|error| {
                    Error::failed(format!("reading the counters of interface {name}")).because(error)
                })?,
            );
        }
        let link = links.into_iter().reduce(link::LinkCounters::and).unwrap_or_default();
        let snmp = snmp::Snmp {
            snmp: self.snmp.read()?,
            netstat: self.netstat.read()?,
            v6: match &mut self.snmp6 {
                Some(file) => Some(snmp::Snmp6(file.read()?)),
                None => None,
            },
        };
        Ok(HostCounters {
            link,
            ip: ip::IpCounters::from_snmp(&snmp),
            udp: udp::UdpCounters::from_snmp(&snmp),
            tcp: tcp::TcpCounters::from_snmp(&snmp),
        })
    }
}

/// How much a counter grew; `None` where either value is missing or it shrank.
fn grown(now: Option<u64>, earlier: Option<u64>) -> Option<u64> {
    now?.checked_sub(earlier?)
}

/// The sum; `None` where a part is missing.
fn sum(parts: impl IntoIterator<Item = Option<u64>>) -> Option<u64> {
    parts.into_iter().try_fold(0_u64, |sum, part| sum.checked_add(part?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_and_shrunk_are_none() {
        assert_eq!(grown(Some(5), Some(2)), Some(3));
        assert_eq!(grown(Some(2), Some(5)), None);
        assert_eq!(grown(None, Some(5)), None);
        assert_eq!(grown(Some(5), None), None);
        assert_eq!(sum([Some(1), Some(2)]), Some(3));
        assert_eq!(sum([Some(1), None]), None);
        assert_eq!(sum([Some(u64::MAX), Some(1)]), None);
    }

    #[test]
    fn no_such_interface() {
        let error = read("no-such-if").unwrap_err().to_string();
        assert!(error.contains("no-such-if"), "{error}");
    }

    #[test]
    fn loopback_counts_a_datagram_at_every_layer() {
        // Others use this namespace's loopback too, so the deltas are at least ours.
        let mut reader = Reader::open(&["lo"]).unwrap();
        let before = reader.read().unwrap();
        let receiver = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let sender = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        for _ in 0..3 {
            sender.send_to(b"counted", receiver.local_addr().unwrap()).unwrap();
            receiver.recv(&mut [0; 16]).unwrap();
        }
        let delta = reader.read().unwrap().since(&before);
        assert!(delta.link.rx_frames >= Some(3), "{delta:?}");
        assert!(delta.ip.in_delivers >= Some(3), "{delta:?}");
        assert!(delta.udp.in_datagrams >= Some(3), "{delta:?}");
    }
}
