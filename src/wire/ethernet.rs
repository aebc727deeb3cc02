//! Ethernet frames of raw broadcast: addresses, EtherType, header, through pnet's packet types.
//!
//! A raw broadcast message is one Ethernet II frame without any IP in it:
//!
//! | bytes | field | value |
//! |---|---|---|
//! | 0–5 | destination | ff:ff:ff:ff:ff:ff |
//! | 6–11 | source | the sending interface's own address |
//! | 12–13 | EtherType | [`ETHER_TYPE`] |
//! | 14– | payload | a [probe](super::probe), padded to the message's size |
//!
//! The shortest frame on a wire is 60 bytes without its check sequence. Filling a shorter one up is the network card's
//! business: nothing is added here. So a receiver behind a real card may see a message of fewer than 46 bytes with
//! zeros after it, one behind a veth sees it as it was sent.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use pnet::packet::Packet;
use pnet::packet::ethernet::{EtherType, EthernetPacket, MutableEthernetPacket};
use pnet::util::MacAddr;
use serde::{Deserialize, Serialize};

/// The EtherType of raw broadcast: "Local Experimental Ethertype" 1 of IEEE Std 802 (listed in RFC 9542).
pub const ETHER_TYPE: u16 = 0x88b5;

/// The EtherType of IPv4 (RFC 894).
pub const ETHER_TYPE_IPV4: u16 = 0x0800;

/// Length of the Ethernet header in bytes: two addresses and the EtherType.
pub const HEADER_LEN: usize = 14;

/// A 48-bit Ethernet address, written `aa:bb:cc:dd:ee:ff`, in results too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct MacAddress(pub [u8; 6]);

impl MacAddress {
    /// All stations of the link: ff:ff:ff:ff:ff:ff.
    pub const BROADCAST: MacAddress = MacAddress([0xff; 6]);

    /// Whether it is the address of all stations.
    pub fn is_broadcast(self) -> bool {
        self == MacAddress::BROADCAST
    }

    /// Whether it is the address of a group of stations (the lowest bit of the first byte), broadcast included.
    pub fn is_multicast(self) -> bool {
        self.0[0] & 1 == 1
    }

    /// The address that frames to an IP multicast group are sent to; `None` when `group` is not one.
    ///
    /// - IPv4 (RFC 1112 section 6.4): 01:00:5e and the low 23 bits, so 32 groups share an address;
    /// - IPv6 (RFC 2464 section 7): 33:33 and the low 32 bits.
    pub fn of_group(group: IpAddr) -> Option<MacAddress> {
        if !group.is_multicast() {
            return None;
        }
        Some(MacAddress(match group {
            IpAddr::V4(group) => {
                let [_, b, c, d] = group.octets();
                [0x01, 0x00, 0x5e, b & 0x7f, c, d]
            }
            IpAddr::V6(group) => {
                let [.., a, b, c, d] = group.octets();
                [0x33, 0x33, a, b, c, d]
            }
        }))
    }
}

impl fmt::Display for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        f.pad(&format!("{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}"))
    }
}

impl FromStr for MacAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("'{text}' is not an Ethernet address; one is written like 02:00:00:00:00:1a");
        let mut octets = [0; 6];
        let mut parts = text.split(':');
        for octet in &mut octets {
            let digits = parts.next().filter(|part| part.len() == 2 && part.bytes().all(|b| b.is_ascii_hexdigit()));
            *octet = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()).ok_or_else(wrong)?;
        }
        if parts.next().is_some() { Err(wrong()) } else { Ok(MacAddress(octets)) }
    }
}

impl From<MacAddress> for String {
    fn from(address: MacAddress) -> String {
        address.to_string()
    }
}

impl TryFrom<String> for MacAddress {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<MacAddr> for MacAddress {
    fn from(address: MacAddr) -> MacAddress {
        MacAddress(address.octets())
    }
}

impl From<MacAddress> for MacAddr {
    fn from(address: MacAddress) -> MacAddr {
        address.0.into()
    }
}

/// What an Ethernet header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHeader {
    /// Whom the frame is for.
    pub destination: MacAddress,
    /// The interface it left by.
    pub source: MacAddress,
    /// What the payload is.
    pub ether_type: u16,
}

impl FrameHeader {
    /// The header of a raw broadcast frame that leaves by the interface with address `source`.
    pub fn raw_broadcast(source: MacAddress) -> FrameHeader {
        FrameHeader { destination: MacAddress::BROADCAST, source, ether_type: ETHER_TYPE }
    }

    /// Whether the frame is one that netlab's raw broadcast sends: to all stations, under [`ETHER_TYPE`].
    pub fn is_raw_broadcast(&self) -> bool {
        self.destination.is_broadcast() && self.ether_type == ETHER_TYPE
    }

    /// Writes the header to the first [`HEADER_LEN`] bytes of `frame`; the payload goes behind it.
    ///
    /// # Panics
    /// When `frame` is shorter than [`HEADER_LEN`].
    pub fn encode(&self, frame: &mut [u8]) {
        let mut packet = MutableEthernetPacket::new(&mut frame[..HEADER_LEN]).expect("the length of a header");
        packet.set_destination(self.destination.into());
        packet.set_source(self.source.into());
        packet.set_ethertype(EtherType(self.ether_type));
    }

    /// Splits a frame into what its header says and its payload (with the padding a card may have added); `None` when
    /// it is shorter than [`HEADER_LEN`]. Never panics.
    pub fn decode(frame: &[u8]) -> Option<(FrameHeader, &[u8])> {
        let packet = EthernetPacket::new(frame)?;
        let header = FrameHeader {
            destination: packet.get_destination().into(),
            source: packet.get_source().into(),
            ether_type: packet.get_ethertype().0,
        };
        Some((header, &frame[frame.len() - packet.payload().len()..]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: MacAddress = MacAddress([0x02, 0x00, 0x00, 0x00, 0x00, 0x1a]);

    #[rustfmt::skip]
    const FRAME: [u8; 18] = [
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0x02, 0x00, 0x00, 0x00, 0x00, 0x1a,
        0x88, 0xb5,
        b'd', b'a', b't', b'a',
    ];

    #[test]
    fn encodes_to_these_bytes_and_touches_no_others() {
        let mut frame = *b"______________data";
        FrameHeader::raw_broadcast(SOURCE).encode(&mut frame);
        assert_eq!(frame, FRAME);
    }

    #[test]
    fn decodes_these_bytes() {
        let (header, payload) = FrameHeader::decode(&FRAME).unwrap();
        assert_eq!(header, FrameHeader::raw_broadcast(SOURCE));
        assert_eq!(payload, b"data");
        assert_eq!(FrameHeader::decode(&FRAME[..HEADER_LEN]).unwrap().1, b"");
        for len in 0..HEADER_LEN {
            assert_eq!(FrameHeader::decode(&FRAME[..len]), None, "{len} bytes");
        }
    }

    #[test]
    fn tells_raw_broadcast_from_other_frames() {
        let ours = FrameHeader::raw_broadcast(SOURCE);
        assert!(ours.is_raw_broadcast());
        assert!(!FrameHeader { destination: SOURCE, ..ours }.is_raw_broadcast());
        assert!(!FrameHeader { ether_type: 0x0800, ..ours }.is_raw_broadcast());
    }

    #[test]
    fn groups_have_these_addresses() {
        for (group, mac) in [
            ("239.1.1.1", "01:00:5e:01:01:01"),
            ("224.0.0.1", "01:00:5e:00:00:01"),
            ("239.129.1.1", "01:00:5e:01:01:01"), // the bit above the low 23 is lost
            ("225.1.1.1", "01:00:5e:01:01:01"),   // so are the four below the class
            ("239.255.255.255", "01:00:5e:7f:ff:ff"),
            ("ff02::1", "33:33:00:00:00:01"),
            ("ff05::1:ff12:3456", "33:33:ff:12:34:56"),
        ] {
            let address = MacAddress::of_group(group.parse().unwrap()).unwrap();
            assert_eq!(address.to_string(), mac, "{group}");
            assert!(address.is_multicast() && !address.is_broadcast(), "{group}");
        }
        for other in ["192.0.2.1", "255.255.255.255", "240.0.0.1", "fe80::1", "::ffff:239.1.1.1"] {
            assert_eq!(MacAddress::of_group(other.parse().unwrap()), None, "{other}");
        }
    }

    #[test]
    fn addresses_are_read_as_they_are_written() {
        assert_eq!("02:00:00:00:00:1a".parse(), Ok(SOURCE));
        assert_eq!("02:00:00:00:00:1A".parse(), Ok(SOURCE));
        assert_eq!(format!("{SOURCE:>20}"), "   02:00:00:00:00:1a");
        assert!(MacAddress::BROADCAST.is_broadcast() && MacAddress::BROADCAST.is_multicast());
        assert!(!SOURCE.is_broadcast() && !SOURCE.is_multicast());
        for bad in
            ["", "02:00:00:00:00", "02:00:00:00:00:1a:", "02:00:00:00:00:1g", "2:0:0:0:0:1a", "02:00:00:00:00:+1"]
        {
            assert!(bad.parse::<MacAddress>().unwrap_err().contains("02:00:00:00:00:1a"), "{bad:?}");
        }
        let json = serde_json::to_string(&SOURCE).unwrap();
        assert_eq!(json, "\"02:00:00:00:00:1a\"");
        assert_eq!(serde_json::from_str::<MacAddress>(&json).unwrap(), SOURCE);
        assert!(serde_json::from_str::<MacAddress>("\"eth0\"").is_err());
    }
}
