//! IGMP, by which hosts tell routers and switches which groups they want: versions 1 (RFC 1112), 2 (RFC 2236) and 3
//! (RFC 3376, now RFC 9776), in network byte order. IPv4 protocol 2, TTL 1, with the Router Alert option.
//!
//! A query of version 2, and the first 8 bytes of one of version 3, which has the rest as well:
//!
//! ```text
//!  0               1               2               3
//!  0 1 2 3 4 5 6 7 0 1 2 3 4 5 6 7 0 1 2 3 4 5 6 7 0 1 2 3 4 5 6 7
//! +---------------+---------------+---------------+---------------+
//! |     0x11      |  max response |           checksum            |   0
//! +---------------+---------------+---------------+---------------+
//! |                    group; 0: a general query                  |   4
//! +-------+-+-----+---------------+---------------+---------------+
//! |   0   |S| QRV |     QQIC      |       number of sources       |   8
//! +-------+-+-----+---------------+---------------+---------------+
//! |                           sources …                           |  12
//! +---------------+---------------+---------------+---------------+
//! ```
//!
//! Reports of versions 1 (type 0x12) and 2 (0x16) and version 2's leave (0x17) have the 8 bytes of a query of version 2.
//! A report of version 3:
//!
//! ```text
//! +---------------+---------------+---------------+---------------+
//! |     0x22      |       0       |           checksum            |   0
//! +---------------+---------------+---------------+---------------+
//! |               0               |       number of records       |   4
//! +---------------+---------------+---------------+---------------+
//! |  record type  | aux words (0) |       number of sources       |   8  each record
//! +---------------+---------------+---------------+---------------+
//! |                             group                             |  12
//! +---------------+---------------+---------------+---------------+
//! |                           sources …                           |  16
//! +---------------+---------------+---------------+---------------+
//! ```

use std::net::Ipv4Addr;
use std::ops::Range;
use std::time::Duration;

use pnet::util::checksum;
use serde::{Deserialize, Serialize};

/// All hosts of the link: where general queries go.
pub const ALL_HOSTS: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 1);
/// All routers of the link: where version 2's leaves go.
pub const ALL_ROUTERS: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 2);
/// All routers of the link that speak version 3: where its reports go.
pub const ALL_V3_ROUTERS: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 22);

/// The version a query is of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Version {
    /// RFC 2236.
    V2,
    /// RFC 3376: hosts may ask for single sources.
    #[default]
    V3,
}

/// An IGMP message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// A querier asks who wants what.
    Query(Query),
    /// A host says what it wants: at least one record, unless all were of types or groups that mean nothing.
    Report(Vec<Record>),
}

/// A membership query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// Which version it is of. (One of version 1 counts as of version 2, with 10 s to answer: RFC 2236 section 4.)
    pub version: Version,
    /// The group it asks for; `None` for all (a general query).
    pub group: Option<Ipv4Addr>,
    /// The longest a host may take to answer, in steps of 0.1 s, the least being one.
    pub max_response: Duration,
    /// Version 3: the sources it asks for; none for all.
    pub sources: Vec<Ipv4Addr>,
    /// Version 3: the querier's robustness variable, 0 to 7.
    pub robustness: u8,
    /// Version 3: the querier's query interval, in steps of 1 s, the least being one and the most 31,744.
    pub interval: Duration,
}

/// What a host says of one group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The group.
    pub group: Ipv4Addr,
    /// What it says.
    pub kind: RecordKind,
    /// The sources it says it of.
    pub sources: Vec<Ipv4Addr>,
}

/// The kinds of group records (RFC 3376 section 4.2.12). A report of versions 1 and 2 is an `IsExclude` of no source, a
/// leave a `ToInclude` of none (section 7.3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RecordKind {
    /// Asked, it wants the sources alone.
    IsInclude,
    /// Asked, it wants all but the sources.
    IsExclude,
    /// From now on it wants the sources alone; none: it has left the group.
    ToInclude,
    /// From now on it wants all but the sources; none: it has joined the group.
    ToExclude,
    /// It wants the sources as well.
    Allow,
    /// It wants the sources no longer.
    Block,
}

impl Message {
    /// Reads a message (the payload of an IP packet); `None` for anything else: too short, a wrong checksum, another
    /// type, a report of a group that is none, or numbers of records and sources that do not fit. Never panics.
    pub fn decode(bytes: &[u8]) -> Option<Message> {
        let header = bytes.first_chunk::<HEADER_LEN>()?;
        if checksum(bytes, CHECKSUM_WORD) != u16_at(bytes, field::CHECKSUM)? {
            return None;
        }
        let record = |kind| {
            let group = address_at(header, field::GROUP)?;
            group.is_multicast().then(|| Message::Report(vec![Record { group, kind, sources: Vec::new() }]))
        };
        match header[field::TYPE] {
            QUERY => Query::decode(bytes).map(Message::Query),
            REPORT_V1 | REPORT_V2 => record(RecordKind::IsExclude),
            LEAVE_V2 => record(RecordKind::ToInclude),
            REPORT_V3 => decode_records(bytes).map(Message::Report),
            _ => None,
        }
    }
}

impl Query {
    /// The message, checksum and all. At most 366 sources fit a packet of 1,500 bytes (RFC 3376 section 4.1.8).
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let tenths = u32::try_from(self.max_response.as_millis() / 100).unwrap_or(u32::MAX).max(1);
        let mut bytes = vec![QUERY, 0, 0, 0];
        bytes.extend(self.group.unwrap_or(Ipv4Addr::UNSPECIFIED).octets());
        bytes[field::MAX_RESPONSE] = match self.version {
            Version::V2 => tenths.min(u32::from(u8::MAX)) as u8,
            Version::V3 => to_code(tenths),
        };
        if self.version == Version::V3 {
            bytes.push(self.robustness.min(ROBUSTNESS_BITS));
            bytes.push(to_code(u32::try_from(self.interval.as_secs()).unwrap_or(u32::MAX).max(1)));
            bytes.extend((self.sources.len() as u16).to_be_bytes());
            bytes.extend(self.sources.iter().flat_map(Ipv4Addr::octets));
        }
        let sum = checksum(&bytes, CHECKSUM_WORD);
        bytes[field::CHECKSUM].copy_from_slice(&sum.to_be_bytes());
        bytes
    }

    /// The versions are told apart by length (RFC 3376 section 7.1).
    fn decode(bytes: &[u8]) -> Option<Query> {
        let group = match address_at(bytes, field::GROUP)? {
            Ipv4Addr::UNSPECIFIED => None,
            group if group.is_multicast() => Some(group),
            _ => return None,
        };
        let code = bytes[field::MAX_RESPONSE];
        let tenths = |tenths: u32| Duration::from_millis(100 * u64::from(tenths));
        if bytes.len() == HEADER_LEN {
            let max_response = tenths(if code == 0 { 100 } else { code.into() });
            let (sources, robustness, interval) = (Vec::new(), 0, Duration::ZERO);
            return Some(Query { version: Version::V2, group, max_response, sources, robustness, interval });
        }
        Some(Query {
            version: Version::V3,
            group,
            max_response: tenths(from_code(code)),
            sources: addresses(bytes, field::SOURCES, u16_at(bytes, field::SOURCE_COUNT)?)?,
            robustness: bytes[field::ROBUSTNESS] & ROBUSTNESS_BITS,
            interval: Duration::from_secs(from_code(bytes[field::INTERVAL]).into()),
        })
    }
}

const QUERY: u8 = 0x11;
const REPORT_V1: u8 = 0x12;
const REPORT_V2: u8 = 0x16;
const LEAVE_V2: u8 = 0x17;
const REPORT_V3: u8 = 0x22;

const HEADER_LEN: usize = 8;
/// The checksum is the second 16-bit word.
const CHECKSUM_WORD: usize = 1;
const ROBUSTNESS_BITS: u8 = 0b111;

/// Where each field stands, in bytes.
mod field {
    use super::Range;

    pub(super) const TYPE: usize = 0;
    pub(super) const MAX_RESPONSE: usize = 1;
    pub(super) const CHECKSUM: Range<usize> = 2..4;
    pub(super) const GROUP: Range<usize> = 4..8;
    pub(super) const RECORD_COUNT: Range<usize> = 6..8;
    pub(super) const ROBUSTNESS: usize = 8;
    pub(super) const INTERVAL: usize = 9;
    pub(super) const SOURCE_COUNT: Range<usize> = 10..12;
    pub(super) const SOURCES: usize = 12;

    /// Of a group record.
    pub(super) mod record {
        use super::Range;

        pub(in super::super) const TYPE: usize = 0;
        pub(in super::super) const AUX_WORDS: usize = 1;
        pub(in super::super) const SOURCE_COUNT: Range<usize> = 2..4;
        pub(in super::super) const GROUP: Range<usize> = 4..8;
        pub(in super::super) const SOURCES: usize = 8;
    }
}

fn decode_records(bytes: &[u8]) -> Option<Vec<Record>> {
    let mut rest = &bytes[HEADER_LEN..];
    let mut records = Vec::new();
    for _ in 0..u16_at(bytes, field::RECORD_COUNT)? {
        let count = u16_at(rest, field::record::SOURCE_COUNT)?;
        let group = address_at(rest, field::record::GROUP)?;
        let sources = addresses(rest, field::record::SOURCES, count)?;
        // Records of unknown types are passed over (RFC 3376 section 4.2.12), as is a group that is none.
        if let Some(kind) = record_kind(rest[field::record::TYPE])
            && group.is_multicast()
        {
            records.push(Record { group, kind, sources });
        }
        let words = usize::from(count) + usize::from(rest[field::record::AUX_WORDS]);
        rest = rest.get(field::record::SOURCES + 4 * words..)?;
    }
    Some(records)
}

fn record_kind(code: u8) -> Option<RecordKind> {
    Some(match code {
        1 => RecordKind::IsInclude,
        2 => RecordKind::IsExclude,
        3 => RecordKind::ToInclude,
        4 => RecordKind::ToExclude,
        5 => RecordKind::Allow,
        6 => RecordKind::Block,
        _ => return None,
    })
}

/// The largest number a code can stand for that is not above `value` (RFC 3376 section 4.1.1): below 128 itself, from
/// there a floating point number, binary `1eeemmmm`.
fn to_code(value: u32) -> u8 {
    const LARGEST: u32 = 31 << 10;
    if value < 128 {
        return value as u8;
    }
    let value = value.min(LARGEST);
    let exponent = value.ilog2() - 7;
    let mantissa = (value >> (exponent + 3)) & 0xf;
    0x80 | (exponent << 4) as u8 | mantissa as u8
}

fn from_code(code: u8) -> u32 {
    if code < 128 {
        return code.into();
    }
    let (exponent, mantissa) = (code >> 4 & 0b111, code & 0xf);
    u32::from(mantissa | 0x10) << (exponent + 3)
}

fn u16_at(bytes: &[u8], at: Range<usize>) -> Option<u16> {
    bytes.get(at)?.try_into().ok().map(u16::from_be_bytes)
}

fn address_at(bytes: &[u8], at: Range<usize>) -> Option<Ipv4Addr> {
    <[u8; 4]>::try_from(bytes.get(at)?).ok().map(Ipv4Addr::from)
}

fn addresses(bytes: &[u8], start: usize, count: u16) -> Option<Vec<Ipv4Addr>> {
    let (words, _) = bytes.get(start..start + 4 * usize::from(count))?.as_chunks::<4>();
    Some(words.iter().map(|octets| Ipv4Addr::from(*octets)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GROUP: Ipv4Addr = Ipv4Addr::new(239, 1, 1, 1);
    const SOURCE: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);

    fn query(version: Version, group: Option<Ipv4Addr>) -> Query {
        let (robustness, interval) = match version {
            Version::V2 => (0, Duration::ZERO),
            Version::V3 => (2, Duration::from_secs(125)),
        };
        Query { version, group, max_response: Duration::from_secs(10), sources: Vec::new(), robustness, interval }
    }

    #[test]
    fn queries_encode_to_these_bytes_and_back() {
        for (query, bytes) in [
            (query(Version::V2, None), &[0x11, 0x64, 0xee, 0x9b, 0, 0, 0, 0][..]),
            (query(Version::V2, Some(GROUP)), &[0x11, 0x64, 0xfe, 0x98, 239, 1, 1, 1]),
            (query(Version::V3, None), &[0x11, 0x64, 0xec, 0x1e, 0, 0, 0, 0, 2, 125, 0, 0]),
            (query(Version::V3, Some(GROUP)), &[0x11, 0x64, 0xfc, 0x1b, 239, 1, 1, 1, 2, 125, 0, 0]),
            (
                Query { sources: vec![SOURCE], ..query(Version::V3, Some(GROUP)) },
                &[0x11, 0x64, 0xf1, 0xcc, 239, 1, 1, 1, 2, 125, 0, 1, 10, 77, 0, 1],
            ),
        ] {
            assert_eq!(query.encode(), bytes, "{query:?}");
            assert_eq!(Message::decode(bytes), Some(Message::Query(query)));
        }
    }

    #[test]
    fn a_query_of_version_1_has_ten_seconds() {
        let bytes = [0x11, 0, 0xee, 0xff, 0, 0, 0, 0];
        assert_eq!(Message::decode(&bytes), Some(Message::Query(query(Version::V2, None))));
    }

    #[test]
    fn times_are_rounded_into_what_a_query_can_say() {
        let said = |version, max_response, interval| {
            let query = Query { max_response, interval, ..query(version, None) };
            let Some(Message::Query(query)) = Message::decode(&query.encode()) else { panic!("no query") };
            (query.max_response.as_millis(), query.interval.as_secs())
        };
        let (ms, s) = (Duration::from_millis, Duration::from_secs);
        assert_eq!(said(Version::V3, ms(1), ms(1)), (100, 1), "0 would be version 1's");
        assert_eq!(said(Version::V3, ms(12_799), s(129)), (12_700, 128));
        assert_eq!(said(Version::V3, s(86_400), Duration::MAX), (3_174_400, 31_744));
        assert_eq!(said(Version::V2, ms(1), s(1)), (100, 0));
        assert_eq!(said(Version::V2, s(86_400), s(1)), (25_500, 0));
    }

    #[test]
    fn codes_are_numbers_in_order() {
        let numbers: Vec<_> = (0..=u8::MAX).map(from_code).collect();
        assert!(numbers.is_sorted_by(|a, b| a < b));
        assert_eq!((numbers[127], numbers[128], numbers[255]), (127, 128, 31_744));
        for code in 0..=u8::MAX {
            assert_eq!(to_code(from_code(code)), code);
            assert_eq!(to_code(from_code(code) + u32::from(code > 128)), code, "rounded down");
        }
    }

    /// As a Linux host sends them.
    #[test]
    fn reports_decode_from_these_bytes() {
        let record = |kind, sources: &[Ipv4Addr]| Record { group: GROUP, kind, sources: sources.to_vec() };
        for (bytes, expected) in [
            (&[0x12, 0, 0xfd, 0xfc, 239, 1, 1, 1][..], vec![record(RecordKind::IsExclude, &[])]),
            (&[0x16, 0, 0xf9, 0xfc, 239, 1, 1, 1], vec![record(RecordKind::IsExclude, &[])]),
            (&[0x17, 0, 0xf8, 0xfc, 239, 1, 1, 1], vec![record(RecordKind::ToInclude, &[])]),
            (&[0x22, 0, 0xe9, 0xfb, 0, 0, 0, 1, 4, 0, 0, 0, 239, 1, 1, 1], vec![record(RecordKind::ToExclude, &[])]),
            (
                &[0x22, 0, 0xe0, 0xac, 0, 0, 0, 1, 3, 0, 0, 1, 239, 1, 1, 1, 10, 77, 0, 1],
                vec![record(RecordKind::ToInclude, &[SOURCE])],
            ),
            // One of an unknown type, one of a host (with auxiliary data), and one that means something.
            (
                &[
                    0x22, 0, 0xdb, 0xed, 0, 0, 0, 3, 9, 0, 0, 0, 239, 1, 1, 1, 4, 1, 0, 0, 10, 1, 1, 1, 1, 2, 3, 4, 6,
                    0, 0, 0, 239, 1, 1, 1,
                ],
                vec![record(RecordKind::Block, &[])],
            ),
            (&[0x22, 0, 0xdd, 0xff, 0, 0, 0, 0], vec![]),
        ] {
            assert_eq!(Message::decode(bytes), Some(Message::Report(expected)), "{bytes:02x?}");
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let whole = [0x22, 0, 0xe0, 0xac, 0, 0, 0, 1, 3, 0, 0, 1, 239, 1, 1, 1, 10, 77, 0, 1];
        assert!(Message::decode(&whole).is_some());
        for len in 0..whole.len() {
            assert_eq!(Message::decode(&whole[..len]), None, "{len} bytes");
        }
        let summed = |bytes: &[u8]| {
            let mut bytes = bytes.to_vec();
            let sum = checksum(&bytes, CHECKSUM_WORD);
            bytes[field::CHECKSUM].copy_from_slice(&sum.to_be_bytes());
            Message::decode(&bytes)
        };
        assert_eq!(summed(&whole), Message::decode(&whole));
        for (what, bytes) in [
            ("a record too many", &[0x22, 0, 0, 0, 0, 0, 0, 2, 4, 0, 0, 0, 239, 1, 1, 1][..]),
            ("a source too many", &[0x22, 0, 0, 0, 0, 0, 0, 1, 4, 0, 0, 1, 239, 1, 1, 1]),
            ("auxiliary data cut off", &[0x22, 0, 0, 0, 0, 0, 0, 1, 4, 1, 0, 0, 239, 1, 1, 1]),
            ("a query cut off", &[0x11, 1, 0, 0, 0, 0, 0, 0, 2, 125, 0]),
            ("a query of a source too many", &[0x11, 1, 0, 0, 239, 1, 1, 1, 2, 125, 0, 1]),
            ("a query for a host", &[0x11, 1, 0, 0, 10, 1, 1, 1]),
            ("a report of a host", &[0x16, 0, 0, 0, 10, 1, 1, 1]),
            ("an unknown type", &[0x13, 0, 0, 0, 239, 1, 1, 1]),
        ] {
            assert_eq!(summed(bytes), None, "{what}");
        }
        let mut flipped = whole;
        flipped[13] ^= 1;
        assert_eq!(Message::decode(&flipped), None, "the checksum");
    }
}
