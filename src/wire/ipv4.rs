//! The header of IPv4 (RFC 791 section 3.1), as far as a router reads and changes it (RFC 1812 sections 5.2 and 5.3).
//!
//! ```text
//!  0               1               2               3
//!  0 1 2 3 4 5 6 7 0 1 2 3 4 5 6 7 0 1 2 3 4 5 6 7 0 1 2 3 4 5 6 7
//! +-------+-------+---------------+---------------+---------------+
//! |   4   | words |    service    |         total length          |   0
//! +-------+-------+---------------+---------------+---------------+
//! |        identification         |    flags and fragment offset  |   4
//! +---------------+---------------+---------------+---------------+
//! | time to live  |   protocol    |        header checksum        |   8
//! +---------------+---------------+---------------+---------------+
//! |                            source                             |  12
//! +---------------+---------------+---------------+---------------+
//! |                          destination                          |  16
//! +---------------+---------------+---------------+---------------+
//! |                      options, if any …                        |  20
//! +---------------+---------------+---------------+---------------+
//! ```

use std::net::Ipv4Addr;

use pnet::util::checksum;

/// Length of a header without options, in bytes.
pub const HEADER_LEN: usize = 20;

mod field {
    use std::ops::Range;

    pub(super) const TOTAL_LENGTH: usize = 2;
    /// Time to live, and in the same 16 bits the protocol.
    pub(super) const TTL: usize = 8;
    pub(super) const CHECKSUM: usize = 10;
    pub(super) const DESTINATION: Range<usize> = 16..20;
}

/// Which 16-bit word of the header the checksum is.
const CHECKSUM_WORD: usize = field::CHECKSUM / 2;

/// A header in its packet, found to be in order.
#[derive(Debug, PartialEq, Eq)]
pub struct Header<'a> {
    /// Of [`HEADER_LEN`] bytes or more.
    bytes: &'a mut [u8],
}

impl<'a> Header<'a> {
    /// The header at the start of `packet` (which may have a link's padding at its end); `None` for what a router has to
    /// discard (RFC 1812 section 5.2.2): too short, another version, lengths that do not fit, a wrong checksum. Never
    /// panics.
    pub fn of(packet: &'a mut [u8]) -> Option<Header<'a>> {
        let first = *packet.first()?;
        let len = usize::from(first & 0xf) * 4;
        let header = packet.get(..len)?;
        if first >> 4 != 4 || len < HEADER_LEN {
            return None;
        }
        let total = usize::from(word_at(header, field::TOTAL_LENGTH));
        if total < len || total > packet.len() || checksum(header, CHECKSUM_WORD) != word_at(header, field::CHECKSUM) {
            return None;
        }
        Some(Header { bytes: &mut packet[..len] })
    }

    /// Whom the packet is for.
    pub fn destination(&self) -> Ipv4Addr {
        let [a, b, c, d] = *self.bytes[field::DESTINATION].first_chunk().unwrap_or(&[0; 4]);
        Ipv4Addr::new(a, b, c, d)
    }

    /// How many links it may still cross (RFC 1812 section 5.3.1).
    pub fn ttl(&self) -> u8 {
        self.bytes[field::TTL]
    }

    /// Takes one from the time to live and adapts the checksum to it; `None`, and nothing changed, where none would be
    /// left.
    pub fn age(&mut self) -> Option<u8> {
        let ttl = self.ttl().checked_sub(1).filter(|ttl| *ttl > 0)?;
        let before = word_at(self.bytes, field::TTL);
        self.bytes[field::TTL] = ttl;
        let sum = updated(word_at(self.bytes, field::CHECKSUM), before, word_at(self.bytes, field::TTL));
        self.bytes[field::CHECKSUM..][..2].copy_from_slice(&sum.to_be_bytes());
        Some(ttl)
    }
}

/// The checksum of a header in which one word has changed (RFC 1624 equation 3): HC' = ~(~HC + ~m + m').
fn updated(checksum: u16, before: u16, after: u16) -> u16 {
    let sum = u32::from(!checksum) + u32::from(!before) + u32::from(after);
    let folded = (sum & 0xffff) + (sum >> 16);
    !((folded & 0xffff) + (folded >> 16)) as u16
}

/// The word at `at`, which is within a header.
fn word_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A datagram of 4 bytes for 10.78.0.3 with a time to live of 64 and UDP as its protocol.
    #[rustfmt::skip]
    const PACKET: [u8; 32] = [
        0x45, 0x00, 0x00, 0x20, 0x12, 0x34, 0x40, 0x00,
        0x40, 0x11, 0x13, 0xfb, 0x0a, 0x4d, 0x00, 0x01,
        0x0a, 0x4e, 0x00, 0x03,
        0x9c, 0x40, 0x12, 0x8b, 0x00, 0x0c, 0x00, 0x00, b'd', b'a', b't', b'a',
    ];

    #[test]
    fn these_bytes_are_read() {
        let mut packet = PACKET;
        let header = Header::of(&mut packet).unwrap();
        assert_eq!((header.destination(), header.ttl()), (Ipv4Addr::new(10, 78, 0, 3), 64));
    }

    #[test]
    fn a_router_takes_one_from_the_time_to_live_and_leaves_the_rest() {
        let mut packet = PACKET;
        assert_eq!(Header::of(&mut packet).unwrap().age(), Some(63));
        let mut expected = PACKET;
        expected[8] = 63;
        expected[10..12].copy_from_slice(&[0x14, 0xfb]);
        assert_eq!(packet, expected);
    }

    #[test]
    fn the_checksum_stays_right_down_to_the_last_link() {
        // Every checksum there is, by the identification, which nothing depends on.
        for identification in 0..=u16::MAX {
            let mut packet = PACKET;
            packet[4..6].copy_from_slice(&identification.to_be_bytes());
            packet[8] = identification as u8 | 2;
            let sum = checksum(&packet[..HEADER_LEN], CHECKSUM_WORD);
            packet[10..12].copy_from_slice(&sum.to_be_bytes());
            let ttl = packet[8];
            assert_eq!(Header::of(&mut packet).unwrap().age(), Some(ttl - 1));
            let right = checksum(&packet[..HEADER_LEN], CHECKSUM_WORD);
            assert_eq!(word_at(&packet, field::CHECKSUM), right, "identification {identification:#x}");
        }
    }

    #[test]
    fn at_a_time_to_live_of_1_it_ends() {
        for ttl in [0, 1] {
            let mut packet = PACKET;
            packet[8] = ttl;
            let sum = checksum(&packet[..HEADER_LEN], CHECKSUM_WORD);
            packet[10..12].copy_from_slice(&sum.to_be_bytes());
            let before = packet;
            assert_eq!(Header::of(&mut packet).unwrap().age(), None);
            assert_eq!(packet, before);
        }
    }

    #[test]
    fn what_is_not_in_order_is_none() {
        for len in 0..PACKET.len() {
            assert_eq!(Header::of(&mut PACKET.to_vec()[..len]), None, "{len} bytes");
        }
        for (at, value) in [(8, 0x3f), (11, 0xfa)] {
            let mut packet = PACKET;
            packet[at] = value;
            assert_eq!(Header::of(&mut packet), None, "the checksum is not that of {value:#x} at {at}");
        }
        // Another version, fewer than five words, more than there are, a length within the header, one beyond the end.
        for (at, value) in [(0, 0x65), (0, 0x44), (0, 0x4f), (3, 0x13), (3, 0x21)] {
            let mut packet = PACKET;
            packet[at] = value;
            let words = usize::from(packet[0] & 0xf).min(PACKET.len() / 4);
            let sum = checksum(&packet[..4 * words], CHECKSUM_WORD);
            packet[10..12].copy_from_slice(&sum.to_be_bytes());
            assert_eq!(Header::of(&mut packet), None, "{value:#x} at {at}");
        }
        let mut padded = [&PACKET[..], &[0; 14]].concat();
        assert!(Header::of(&mut padded).is_some(), "a link's padding is no error");
    }
}
