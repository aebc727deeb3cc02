//! Ten million datagrams that nobody's sender would send, through the probe decoder and the tally: nothing panics,
//! every one is counted exactly once, and memory stays within its documented bound.

use std::collections::HashSet;

use netlab::delivery::tally::{Arrival, MAX_STREAM_BYTES, MAX_STREAMS, Tally};
use netlab::wire::probe::{HEADER_LEN, Probe};

const INPUTS: u64 = 10_000_000;

/// The longest input, in bytes: a header and some padding.
const MAX_LEN: usize = HEADER_LEN + 8;

#[test]
fn every_datagram_is_counted_once_whatever_it_holds() {
    let mut random = Random(0x6e65_746c_6162_2101);
    let mut buffer = [0; MAX_LEN];
    let mut tally = Tally::new(16);
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
    assert_eq!(tally.messages_unrecognized(), no_probe + refused);
    assert_eq!(tally.messages_received() + tally.messages_duplicate() + tally.messages_stale(), accepted);
    assert_eq!(tally.bytes(), bytes);
    assert_eq!(tally.streams(), MAX_STREAMS);
    assert!(tally.memory_bytes() <= MAX_STREAMS * MAX_STREAM_BYTES, "{} bytes", tally.memory_bytes());
    // The inputs are worth something only when they reach every branch.
    let kinds = [
        no_probe,
        refused,
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
    assert_eq!(reports.iter().map(|r| (r.run_id, r.stream_id)).collect::<HashSet<_>>(), streams);
    for report in reports {
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
    streams: HashSet<(u64, u16)>,
}

impl Model {
    fn count(&mut self, input: &[u8], decoded: Option<Probe>) {
        self.bytes += input.len() as u64;
        let Some(probe) = decoded else {
            self.no_probe += 1;
            return;
        };
        let stream = (probe.run_id, probe.stream_id);
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
    Some(Probe {
        run_id: number(8),
        stream_id: u16::from_be_bytes([input[6], input[7]]),
        sequence: number(16),
        send_time_ns: number(24),
    })
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
