//! What an endpoint is, in data and in a sentence for a person.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use serde::Serialize;

use super::STOP_LATENCY;
use crate::sys::interface::Interface;
use crate::sys::socket::RECEIVE_BUFFER;
use crate::units::Mode;
use crate::wire::ethernet::MacAddress;

/// What messages leave by. Displays as one line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OutletDescription {
    /// How messages are delivered.
    pub mode: Mode,
    /// The interface they leave by; `None` where the route table decides for each destination.
    pub interface: Option<String>,
    /// Where they go; empty for raw frames.
    pub to: Vec<SocketAddr>,
    /// The Ethernet addresses that go with them, where the IP address alone tells: groups and broadcast.
    pub macs: Vec<MacAddress>,
    /// Hops they may travel, where that is set.
    pub ttl: Option<u8>,
    /// What a person should know.
    pub warnings: Vec<String>,
}

/// What messages are listened for, as the kernel confirms it. Displays as one line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct InletDescription {
    /// How messages are delivered.
    pub mode: Mode,
    /// The only interface listened on; `None` for all of them.
    pub interface: Option<String>,
    /// The addresses of that interface; for unicast the address listened on; empty for all of this host's.
    pub addresses: Vec<IpAddr>,
    /// UDP port; `None` for raw frames.
    pub port: Option<u16>,
    /// The groups joined.
    pub groups: Vec<Membership>,
    /// Only from this sender.
    pub source: Option<IpAddr>,
    /// Receive buffer granted, in bytes as `SO_RCVBUF` reports it: twice what datagrams and their book-keeping may take.
    pub receive_buffer_bytes: u64,
    /// What a person should know.
    pub warnings: Vec<String>,
}

/// A group this host is a member of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Membership {
    /// The group.
    pub group: IpAddr,
    /// The Ethernet address its frames are sent to (RFC 1112 section 6.4, RFC 2464 section 7).
    pub mac: MacAddress,
    /// Whether the kernel lists the membership (`/proc/thread-self/net/igmp`, `igmp6`, `mcfilter`, `mcfilter6`);
    /// `None` when its list cannot be read.
    pub confirmed: Option<bool>,
}

impl fmt::Display for OutletDescription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sending {}", self.mode)?;
        const SHOWN: usize = 4;
        for (index, to) in self.to.iter().take(SHOWN).enumerate() {
            write!(f, "{} {to}", if index == 0 { " to" } else { "," })?;
            if let Some(mac) = self.macs.get(index) {
                write!(f, " (MAC {mac})")?;
            }
        }
        if self.to.len() > SHOWN {
            write!(f, " and {} more", self.to.len() - SHOWN)?;
        }
        if self.to.is_empty() {
            for mac in &self.macs {
                write!(f, " to MAC {mac}")?;
            }
        }
        if let Some(interface) = &self.interface {
            write!(f, " by {interface}")?;
        }
        match self.ttl {
            Some(ttl) => write!(f, ", TTL {ttl}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for InletDescription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "listening for {} on ", self.mode)?;
        match &self.interface {
            Some(interface) => f.write_str(interface)?,
            None if self.addresses.is_empty() => f.write_str("all interfaces")?,
            None => {}
        }
        if !self.addresses.is_empty() {
            let addresses: Vec<_> = self.addresses.iter().map(IpAddr::to_string).collect();
            match self.interface {
                Some(_) => write!(f, " ({})", addresses.join(", "))?,
                None => f.write_str(&addresses.join(", "))?,
            }
        }
        match self.port {
            Some(port) => write!(f, ", UDP port {port}")?,
            None => f.write_str(", EtherType 0x88b5")?,
        }
        for Membership { group, mac, confirmed } in &self.groups {
            write!(f, ", group {group} (MAC {mac}; ")?;
            f.write_str(match confirmed {
                Some(true) => "the kernel confirms the membership)",
                Some(false) => "the kernel does NOT list the membership)",
                None => "the kernel's list of memberships cannot be read)",
            })?;
        }
        match self.source {
            Some(source) => write!(f, ", only from {source}"),
            None => Ok(()),
        }
    }
}

/// What is doubtful about an interface and a receive buffer.
pub(super) fn warnings(interface: Option<&Interface>, receive_buffer_bytes: u64) -> Vec<String> {
    let mut warnings = link_warnings(interface);
    if receive_buffer_bytes < 2 * RECEIVE_BUFFER as u64 {
        warnings.push(format!(
            "the kernel granted {} KiB of {} KiB receive buffer (net.core.rmem_max): above some {} messages/s a pause \
             of {} ms loses messages; sudo sysctl -w net.core.rmem_max={RECEIVE_BUFFER} grants all of it",
            receive_buffer_bytes / 2048,
            RECEIVE_BUFFER / 1024,
            messages_a_second(receive_buffer_bytes),
            STOP_LATENCY.as_millis(),
        ));
    }
    warnings
}

/// What is doubtful about an interface.
pub(super) fn link_warnings(interface: Option<&Interface>) -> Vec<String> {
    let down = interface.filter(|interface| !interface.is_running());
    down.map(|interface| format!("{} has no link (no carrier): nothing arrives or leaves by it", interface.name))
        .into_iter()
        .collect()
}

/// All addresses of an interface; empty without one.
pub(super) fn addresses(interface: Option<&Interface>) -> Vec<IpAddr> {
    let Some(interface) = interface else { return Vec::new() };
    let ipv4 = interface.ipv4.iter().map(|own| IpAddr::V4(own.address));
    ipv4.chain(interface.ipv6.iter().map(|own| IpAddr::V6(own.address))).collect()
}

/// How many small datagrams a second fill the buffer during a pause of [`STOP_LATENCY`], to two digits.
fn messages_a_second(receive_buffer_bytes: u64) -> u64 {
    // What the kernel charges for a datagram of up to some 200 bytes (its `truesize`).
    const CHARGE: u64 = 768;
    let rate = receive_buffer_bytes / CHARGE * 1_000 / STOP_LATENCY.as_millis() as u64;
    let unit = 10u64.pow(rate.checked_ilog10().unwrap_or(0).saturating_sub(1));
    rate / unit * unit
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_is_listened_for() {
        let group: IpAddr = "239.1.1.1".parse().unwrap();
        let mut inlet = InletDescription {
            mode: Mode::Multicast,
            interface: Some("eth0".into()),
            addresses: vec!["10.0.0.1".parse().unwrap()],
            port: Some(4747),
            groups: vec![Membership { group, mac: MacAddress::of_group(group).unwrap(), confirmed: Some(true) }],
            source: Some("10.0.0.2".parse().unwrap()),
            receive_buffer_bytes: 1 << 24,
            warnings: Vec::new(),
        };
        assert_eq!(
            inlet.to_string(),
            "listening for multicast on eth0 (10.0.0.1), UDP port 4747, group 239.1.1.1 (MAC 01:00:5e:01:01:01; \
             the kernel confirms the membership), only from 10.0.0.2"
        );
        inlet = InletDescription {
            mode: Mode::Unicast,
            interface: None,
            addresses: Vec::new(),
            groups: Vec::new(),
            source: None,
            ..inlet
        };
        assert_eq!(inlet.to_string(), "listening for unicast on all interfaces, UDP port 4747");
        inlet.addresses = vec!["::1".parse().unwrap()];
        assert_eq!(inlet.to_string(), "listening for unicast on ::1, UDP port 4747");
        inlet.mode = Mode::RawBroadcast;
        inlet.port = None;
        inlet.interface = Some("eth0".into());
        inlet.addresses.clear();
        assert_eq!(inlet.to_string(), "listening for raw-broadcast on eth0, EtherType 0x88b5");
    }

    #[test]
    fn says_where_to() {
        let mut outlet = OutletDescription {
            mode: Mode::Unicast,
            interface: None,
            to: (1..=6).map(|host| SocketAddr::from(([10, 0, 0, host], 4747))).collect(),
            macs: Vec::new(),
            ttl: None,
            warnings: Vec::new(),
        };
        assert_eq!(
            outlet.to_string(),
            "sending unicast to 10.0.0.1:4747, 10.0.0.2:4747, 10.0.0.3:4747, 10.0.0.4:4747 and 2 more"
        );
        outlet.mode = Mode::RawBroadcast;
        outlet.to.clear();
        outlet.macs = vec![MacAddress::BROADCAST];
        outlet.interface = Some("eth0".into());
        assert_eq!(outlet.to_string(), "sending raw-broadcast to MAC ff:ff:ff:ff:ff:ff by eth0");
    }

    #[test]
    fn a_small_buffer_is_worth_a_warning() {
        assert_eq!(warnings(None, 2 * RECEIVE_BUFFER as u64), Vec::<String>::new());
        let warnings = warnings(None, 2 * 212_992);
        assert!(warnings[0].contains("208 KiB of 8192 KiB") && warnings[0].contains("5500 messages/s"), "{warnings:?}");
    }
}
