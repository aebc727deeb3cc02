//! Ten million datagrams that nobody's sender would send, through the probe decoder and the tally: nothing panics,
//! every one is counted exactly once, and memory stays within its documented bound. And 300,000 IGMP messages that no
//! host would send, through that decoder and a router's memory of its members.

use std::collections::{BTreeMap, HashSet};
use std::net::Ipv4Addr;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use netlab::delivery::tally::{Arrival, MAX_STREAM_BYTES, MAX_STREAMS, SenderClock, Tally};
use netlab::router::QuerierPlan;
use netlab::router::members::{MAX_GROUPS, MAX_SOURCES, Members};
use netlab::wire::igmp::{Message, Record, RecordKind, Version};
use netlab::wire::probe::{HEADER_LEN, Probe};

const INPUTS: u64 = 10_000_000;

/// The receiver's clock.
const OURS: NonZeroU32 = NonZeroU32::new(0xc10c_c10c).unwrap();

/// The longest input, in bytes: a header and some padding.
const MAX_LEN: usize = HEADER_LEN + 8;

#[test]
fn every_datagram_is_counted_once_whatever_it_holds() {
    let mut random = Random(0x6e65_746c_6162_2101);
    let mut buffer = [0; MAX_LEN];
    let mut tally = Tally::new(16, Some(OURS));
    let mut model = Model::default();

    for _ in 0..INPUTS {
        let input = fill(&mut random, &mut buffer);
        let decoded = Probe::decode(input);
        assert_eq!(decoded, decode_plainly(input), "{input:02x?}");
        model.count(input, decoded);
        match decoded {
            Some(probe) => tally.probe(&probe, input.len(), random.arrival(&probe)),
            None => tally.unrecognized(input.len()),
        }
    }

    let Model { accepted, refused, no_probe, bytes, streams } = model;
    assert_eq!(accepted + refused + no_probe, INPUTS);
    // Those whose numbers cannot be are counted there as well.
    let implausible = tally.messages_unrecognized() - (no_probe + refused);
    let counted = tally.messages_received() + tally.messages_duplicate() + tally.messages_stale();
    assert_eq!(counted + implausible, accepted);
    assert_eq!(tally.bytes(), bytes);
    assert_eq!(tally.streams(), MAX_STREAMS);
    assert!(tally.memory_bytes() <= MAX_STREAMS * MAX_STREAM_BYTES, "{} bytes", tally.memory_bytes());
    // The inputs are worth something only when they reach every branch.
    let kinds = [
        no_probe,
        refused,
        implausible,
        tally.messages_received(),
        tally.messages_duplicate(),
        tally.messages_reordered(),
        tally.messages_stale(),
    ];
    assert!(kinds.iter().all(|&kind| kind > INPUTS / 1_000), "{kinds:?}");

    let live = [tally.messages_received(), tally.messages_duplicate(), tally.messages_stale()];
    let lost = tally.messages_lost();
    let reports = tally.into_streams();
    let sum = |count: fn(&_) -> u64| reports.iter().map(count).fold(0, u64::saturating_add);
    assert_eq!(live, [sum(|r| r.messages_received), sum(|r| r.messages_duplicate), sum(|r| r.messages_stale)]);
    assert_eq!(lost, sum(|r| r.messages_lost));
    let clock = |named: Option<NonZeroU32>| match named {
        Some(OURS) => SenderClock::Same,
        Some(_) => SenderClock::Another,
        None => SenderClock::Untold,
    };
    let mut found: Vec<_> = reports.iter().map(|r| (r.run_id, r.stream_id, r.clock)).collect();
    let mut expected: Vec<_> = streams.into_iter().map(|(run, stream, named)| (run, stream, clock(named))).collect();
    for list in [&mut found, &mut expected] {
        list.sort_unstable_by_key(|&(run, stream, clock)| (run, stream, clock as u8));
    }
    assert_eq!(found, expected);
    let of_clock = |clock| reports.iter().filter(|r| r.clock == clock && r.messages_received > 1).count();
    let clocks = [SenderClock::Same, SenderClock::Another, SenderClock::Untold].map(of_clock);
    assert!(clocks.iter().all(|&streams| streams > 10), "{clocks:?}");
    for report in reports {
        assert!(report.clock == SenderClock::Same || report.latency.is_none(), "{report:?}");
        let span = u128::from(report.highest_sequence - report.lowest_sequence) + 1;
        assert_eq!(u128::from(report.messages_received) + u128::from(report.messages_lost), span, "{report:?}");
        assert!(report.messages_reordered < report.messages_received, "{report:?}");
        let usable = report.messages_received - report.latency_unusable;
        assert!(report.latency.is_none_or(|latency| latency.samples == usable), "{report:?}");
        assert_eq!(report.jitter_ns.is_some(), report.messages_received > 1, "{report:?}");
        assert_eq!(report.trace_ns.len(), 16);
    }
}

/// What should have been counted, by a model too plain to be wrong.
#[derive(Default)]
struct Model {
    /// Probes of one of the first [`MAX_STREAMS`] streams.
    accepted: u64,
    /// Probes of a stream too many.
    refused: u64,
    no_probe: u64,
    bytes: u64,
    streams: HashSet<(u64, u16, Option<NonZeroU32>)>,
}

impl Model {
    fn count(&mut self, input: &[u8], decoded: Option<Probe>) {
        self.bytes += input.len() as u64;
        let Some(probe) = decoded else {
            self.no_probe += 1;
            return;
        };
        let stream = (probe.run_id, probe.stream_id, probe.clock);
        if self.streams.len() < MAX_STREAMS {
            self.streams.insert(stream);
        }
        if self.streams.contains(&stream) { self.accepted += 1 } else { self.refused += 1 }
    }
}

/// The decoder once more, field by field from the documented layout.
fn decode_plainly(input: &[u8]) -> Option<Probe> {
    if input.len() < 32 || !input.starts_with(b"NLAB\x01") {
        return None;
    }
    let number = |at: usize| u64::from_be_bytes(input[at..at + 8].try_into().unwrap());
    let half = |at: usize| u32::from_be_bytes(input[at..at + 4].try_into().unwrap());
    let names_clock = input[5] % 2 == 1 && half(8) != 0;
    Some(Probe {
        run_id: if names_clock { half(12).into() } else { number(8) },
        clock: if names_clock { NonZeroU32::new(half(8)) } else { None },
        stream_id: u16::from_be_bytes([input[6], input[7]]),
        sequence: number(16),
        send_time_ns: number(24),
    })
}

#[test]
fn every_igmp_message_is_refused_or_understood_rightly() {
    const INPUTS: u64 = 300_000;
    let mut random = Random(0x6e65_746c_6162_2102);
    let mut members = Members::new(QuerierPlan::default());
    let mut now = Instant::now();
    let mut counts = BTreeMap::new();
    let mut questions = 0;
    for _ in 0..INPUTS {
        let input = igmp(&mut random);
        let decoded = Message::decode(&input);
        match &decoded {
            Some(Message::Query(query)) => {
                // Bytes may be left over behind a query, and reserved bits be set: what it means stays the same.
                let Some(Message::Query(again)) = Message::decode(&query.encode()) else { panic!("{input:02x?}") };
                let mut sayable = query.clone();
                sayable.max_response = query.max_response.max(Duration::from_millis(100));
                if query.version == Version::V3 {
                    sayable.interval = query.interval.max(Duration::from_secs(1));
                }
                assert_eq!(again, sayable, "{input:02x?}");
            }
            Some(Message::Report(records)) => {
                assert_eq!(Some(records), records_plainly(&input).as_ref(), "{input:02x?}");
                for record in records {
                    members.hear(record, now);
                    *counts.entry(format!("{:?}", record.kind)).or_insert(0) += 1;
                }
            }
            None => assert!(input.first() == Some(&0x11) || records_plainly(&input).is_none(), "{input:02x?}"),
        }
        let kind = match decoded {
            None => "refused",
            Some(Message::Query(_)) => "query",
            Some(Message::Report(records)) if records.is_empty() => "empty",
            Some(Message::Report(_)) => "report",
        };
        *counts.entry(kind.to_owned()).or_insert(0) += 1;
        now += Duration::from_millis(random.below(20));
        if random.below(1000) == 0 {
            for question in members.ask(now) {
                assert!(question.group.is_multicast() && question.sources.len() <= MAX_SOURCES);
                questions += 1;
            }
            members.expire(now);
            assert!(members.groups().count() <= MAX_GROUPS);
            assert!(members.next().is_none_or(|next| next > now - Duration::from_secs(1)));
        }
    }
    // The inputs are worth something only when they reach every branch.
    assert_eq!(counts.len(), 4 + 6, "{counts:?}");
    assert!(counts.values().all(|&count| count > INPUTS / 1_000) && questions > 100, "{counts:?} {questions}");
    now += Duration::from_secs(300);
    members.expire(now);
    assert_eq!((members.groups().count(), members.next(), members.ask(now)), (0, None, Vec::new()));
}

/// The records of a report once more, byte by byte from the documented layout; `None`: it is none.
fn records_plainly(input: &[u8]) -> Option<Vec<Record>> {
    let word = |at: usize| Some(u32::from_be_bytes(input.get(at..at + 4)?.try_into().unwrap()));
    let half = |at: usize| Some(u16::from_be_bytes(input.get(at..at + 2)?.try_into().unwrap()));
    let mut sum: u32 =
        input.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0))).sum();
    while sum > 0xffff {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    if input.len() < 8 || sum != 0xffff {
        return None;
    }
    let kinds = [
        RecordKind::IsInclude,
        RecordKind::IsExclude,
        RecordKind::ToInclude,
        RecordKind::ToExclude,
        RecordKind::Allow,
        RecordKind::Block,
    ];
    let whole = Ipv4Addr::from(word(4)?);
    let old = |kind| whole.is_multicast().then(|| vec![Record { group: whole, kind, sources: Vec::new() }]);
    match input[0] {
        0x12 | 0x16 => return old(RecordKind::IsExclude),
        0x17 => return old(RecordKind::ToInclude),
        0x22 => {}
        _ => return None,
    }
    let mut records = Vec::new();
    let mut at = 8;
    for _ in 0..half(6)? {
        let group = Ipv4Addr::from(word(at + 4)?);
        let count = usize::from(half(at + 2)?);
        let sources = (0..count).map(|n| word(at + 8 + 4 * n).map(Ipv4Addr::from)).collect::<Option<Vec<_>>>()?;
        if let Some(kind) = kinds.get(usize::from(input[at]).wrapping_sub(1))
            && group.is_multicast()
        {
            records.push(Record { group, kind: *kind, sources });
        }
        at += 8 + 4 * (count + usize::from(input[at + 1]));
        if at > input.len() {
            return None;
        }
    }
    Some(records)
}

/// A message that may be good but for up to two mutations, its checksum mostly right.
fn igmp(random: &mut Random) -> Vec<u8> {
    let mut bytes = vec![[0x11, 0x12, 0x16, 0x17, 0x22, 0x22, 0x22, 0x22][random.below(8) as usize], 0, 0, 0];
    let group = |random: &mut Random| (0xef00_0000 | random.below(1 << 13) as u32).to_be_bytes();
    if bytes[0] == 0x22 {
        let records = random.below(4) as u8;
        bytes.extend([0, 0, 0, records]);
        for _ in 0..records {
            let (sources, aux) = (random.below(4), random.below(8).saturating_sub(6));
            bytes.extend([random.below(8) as u8, aux as u8, 0, sources as u8]);
            bytes.extend(group(random));
            bytes.extend((0..4 * (sources + aux)).map(|_| random.below(4) as u8));
        }
    } else {
        bytes[1] = random.below(256) as u8;
        bytes.extend(if random.below(4) == 0 { [0; 4] } else { group(random) });
        if bytes[0] == 0x11 && random.below(2) == 0 {
            let sources = random.below(4);
            bytes.extend([random.below(256) as u8, random.below(256) as u8, 0, sources as u8]);
            bytes.extend((0..4 * sources).map(|_| random.next() as u8));
        }
    }
    for _ in 0..random.below(4).saturating_sub(1) {
        let at = random.below(bytes.len() as u64) as usize;
        match random.below(4) {
            0 => bytes[at] ^= 1 << random.below(8),
            1 => bytes[at] = random.hostile() as u8,
            2 => bytes.truncate(at.max(1)),
            _ => bytes.extend(random.next().to_be_bytes()),
        }
    }
    if random.below(16) > 0 && bytes.len() >= 4 {
        bytes[2..4].fill(0);
        let mut sum: u32 =
            bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0))).sum();
        sum = (sum >> 16) + (sum & 0xffff);
        sum = (sum >> 16) + (sum & 0xffff);
        bytes[2..4].copy_from_slice(&(!(sum as u16)).to_be_bytes());
    }
    bytes
}

/// One input: noise, or a good header with up to three mutations.
fn fill<'a>(random: &mut Random, buffer: &'a mut [u8; MAX_LEN]) -> &'a [u8] {
    if random.below(8) == 0 {
        for chunk in buffer.as_chunks_mut::<8>().0 {
            *chunk = random.next().to_be_bytes();
        }
        return &buffer[..random.below(MAX_LEN as u64 + 1) as usize];
    }
    let probe = Probe {
        run_id: random.below(8),
        clock: [None, Some(OURS), Some(OURS), NonZeroU32::new(7)][random.below(4) as usize],
        stream_id: random.below(8) as u16,
        sequence: random.below(1 << 14),
        send_time_ns: random.below(1 << 36),
    };
    probe.encode(buffer);
    let mut len = HEADER_LEN;
    for _ in 0..random.below(4) {
        match random.below(8) {
            // A flipped bit, anywhere.
            0 => buffer[random.below(HEADER_LEN as u64) as usize] ^= 1 << random.below(8),
            1 => len = random.below(HEADER_LEN as u64) as usize,
            2 => len = MAX_LEN - random.below(8) as usize,
            // Hostile fields: run, stream, sequence, send time.
            3 => buffer[8..16].copy_from_slice(&random.hostile().to_be_bytes()),
            4 => buffer[6..8].copy_from_slice(&(random.hostile() as u16).to_be_bytes()),
            5 => buffer[16..24].copy_from_slice(&random.hostile().to_be_bytes()),
            6 => buffer[24..32].copy_from_slice(&random.hostile().to_be_bytes()),
            // Bytes swapped.
            _ => buffer.swap(random.below(HEADER_LEN as u64) as usize, random.below(HEADER_LEN as u64) as usize),
        }
    }
    &buffer[..len]
}

/// xorshift64 (Marsaglia 2003): the same numbers on every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// A number near a power of two (0, 1, 2^63, 2^64 - 1 …), where arithmetic goes wrong.
    fn hostile(&mut self) -> u64 {
        let power = 1_u64 << self.below(64);
        match self.below(4) {
            0 => power,
            1 => power - 1,
            2 => power.wrapping_neg(),
            _ => u64::MAX - self.below(3),
        }
    }

    fn arrival(&mut self, probe: &Probe) -> Arrival {
        let time = |random: &mut Random| match random.below(4) {
            0 => random.hostile(),
            1 => random.next(),
            _ => probe.send_time_ns.wrapping_add(random.below(1 << 20)),
        };
        let app_ns = time(self);
        let kernel_ns = (self.below(2) == 0).then(|| time(self));
        Arrival { app_ns, kernel_ns }
    }
}
