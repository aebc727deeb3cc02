//! Counting what arrived, by sequence set: pure, no sockets and no clocks.
//!
//! Every datagram for us is counted once, so that at any time
//!
//! ```text
//! datagrams = received (distinct) + duplicate + stale, over all streams, + text + unrecognized
//! ```
//!
//! - **Lost** are the holes between the lowest and the highest sequence seen in a stream. Not gaps: a message that
//!   comes late fills its hole, was reordered, and is lost no more. What was sent before the first message that was
//!   heard is not lost, since a receiver may have joined late: the lowest sequence moves down only when an earlier
//!   message does arrive. What was sent after the last one heard is unknown to a receiver. (A measurement knows what
//!   was sent, and computes its loss from that.)
//! - **Stale** is an arrival further below the highest sequence than single messages are remembered, [`WINDOW`]: late
//!   or a duplicate, nobody can say. It counts as neither, and its hole stays lost.
//! - **A number that cannot be**, more than [`WINDOW`] above the highest, is not believed alone: a single corrupt header
//!   would be a loss of billions, and make stale whatever comes after it. It counts as unrecognized until another message
//!   has a number near it, and then both are received. Likewise a stream that began with such a number begins anew
//!   when two messages from below the window agree; what it began with is then unrecognized.
//! - **Latency** is only known when sender and receiver read the same clock, which they do on one machine, and when
//!   the sender says so: a stream whose sender names another clock, or none, has none. A sample that contradicts it,
//!   sent after it arrived or 60 s or more before, is counted as unusable; a stream whose samples are not mostly usable
//!   has no latency. Duplicates and stale arrivals are no samples.
//!
//! Nothing a sender can write makes a tally grow beyond [`MAX_STREAMS`] streams of [`MAX_STREAM_BYTES`] each, or
//! spend more than a small fixed time on a message: 160 MiB at the worst, some 35 KiB a stream as a rule.

use std::collections::HashMap;
use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

mod latency;
mod sequences;

use self::latency::{Jitter, Latencies};
use self::sequences::{Seen, Sequences};
use crate::wire::probe::Probe;

pub use self::latency::LatencySummary;
pub use self::sequences::WINDOW;

/// Streams that are told apart. What belongs to any further one is counted as unrecognized.
pub const MAX_STREAMS: usize = 1024;

/// Memory that one stream takes at the most, in bytes; the trace that was asked for (4 bytes a message) comes on
/// top. A stream of up to 32,768 messages takes a quarter of it.
pub const MAX_STREAM_BYTES: usize = 160 * 1024;

/// What one stream of one run brought.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StreamReport {
    /// The run it belongs to.
    pub run_id: u64,
    /// The stream within the run.
    pub stream_id: u16,
    /// Whose clock the send times are of.
    pub clock: SenderClock,
    /// Distinct messages.
    pub messages_received: u64,
    /// Holes between the lowest and the highest sequence seen (what came before and after is unknown to a receiver).
    pub messages_lost: u64,
    /// Arrivals of a message that had arrived before.
    pub messages_duplicate: u64,
    /// Distinct messages that arrived after one with a higher sequence.
    pub messages_reordered: u64,
    /// Arrivals too far below the highest sequence to tell whether they are late or duplicates.
    pub messages_stale: u64,
    /// The lowest sequence seen.
    pub lowest_sequence: u64,
    /// The highest sequence seen.
    pub highest_sequence: u64,
    /// When the first message arrived at the application, in ns of this host's `CLOCK_MONOTONIC`.
    pub first_arrival_ns: u64,
    /// The same of the last one that was not there before.
    pub last_arrival_ns: u64,
    /// Interarrival jitter (RFC 3550 section 6.4.1) of distinct messages at the application, in ns; `None` below two.
    pub jitter_ns: Option<u64>,
    /// Send to application, one way, when both clocks are the same one; `None` otherwise, or without any sample.
    pub latency: Option<LatencySummary>,
    /// Send to the receiving kernel's timestamp, likewise.
    pub kernel_latency: Option<LatencySummary>,
    /// Distinct messages whose send time and arrival at the application cannot be of the same clock.
    pub latency_unusable: u64,
    /// Latency in ns of messages 0, 1, 2 …, exactly as far as the plan asked; 0 where one did not arrive or its
    /// latency is unusable, 1 at the least where it is known, `u32::MAX` from 4.3 s up.
    pub trace_ns: Vec<u32>,
}

/// What a sender says about the clock it reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SenderClock {
    /// Nothing: an older netlab, or a kernel that does not tell; or this one's does not.
    #[default]
    Untold,
    /// It is the receiver's.
    Same,
    /// It is another one.
    Another,
}

/// When a message arrived, in ns of this host's `CLOCK_MONOTONIC`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Arrival {
    /// At the application.
    pub app_ns: u64,
    /// At the kernel, by its receive timestamp, converted to this clock; `None` when there is none.
    pub kernel_ns: Option<u64>,
}

/// What has arrived so far. The module says what is counted as what.
pub struct Tally {
    streams: Vec<Stream>,
    index: HashMap<StreamKey, usize>,
    /// The stream of the last message: nearly always the next one's too.
    last: usize,
    unrecognized: u64,
    text: u64,
    bytes: u64,
    text_bytes: u64,
    trace: usize,
    clock: Option<NonZeroU32>,
}

impl Tally {
    /// An empty tally that keeps the latency of each of the first `trace` messages of every stream. `clock`: the name of
    /// the one that arrivals are timed by, as [`clock::name`](crate::sys::clock::name) gives it; without it there is no
    /// latency.
    pub fn new(trace: usize, clock: Option<NonZeroU32>) -> Tally {
        let (streams, index) = (Vec::new(), HashMap::new());
        Tally { streams, index, last: 0, unrecognized: 0, text: 0, bytes: 0, text_bytes: 0, trace, clock }
    }

    /// Counts a message with a probe header and `payload_len` bytes in all.
    #[inline]
    pub fn probe(&mut self, probe: &Probe, payload_len: usize, arrival: Arrival) {
        match self.stream_of(probe, arrival) {
            Some(index) => {
                self.bytes += payload_len as u64;
                self.streams[index].count(&Heard { probe: *probe, payload_len, arrival });
            }
            None => self.unrecognized(payload_len),
        }
    }

    /// Counts a message of `payload_len` bytes that is text.
    pub fn text(&mut self, payload_len: usize) {
        self.bytes += payload_len as u64;
        self.text_bytes += payload_len as u64;
        self.text += 1;
    }

    /// Counts a datagram of `payload_len` bytes that is neither a probe nor text.
    pub fn unrecognized(&mut self, payload_len: usize) {
        self.bytes += payload_len as u64;
        self.unrecognized += 1;
    }

    /// Distinct messages so far.
    pub fn messages_received(&self) -> u64 {
        self.sum(|stream| stream.sequences.distinct())
    }

    /// Messages missing so far; `u64::MAX` when forged sequences make it more.
    pub fn messages_lost(&self) -> u64 {
        self.sum(|stream| stream.sequences.holes())
    }

    /// Arrivals of messages that had arrived before, so far.
    pub fn messages_duplicate(&self) -> u64 {
        self.sum(|stream| stream.duplicate)
    }

    /// Distinct messages that arrived after one with a higher sequence, so far.
    pub fn messages_reordered(&self) -> u64 {
        self.sum(|stream| stream.reordered)
    }

    /// Arrivals below the window, so far.
    pub fn messages_stale(&self) -> u64 {
        self.sum(|stream| stream.stale)
    }

    /// Messages that are text, so far.
    pub fn messages_text(&self) -> u64 {
        self.text
    }

    /// Datagrams that are no message, of a stream too many, or with a number that cannot be, so far.
    pub fn messages_unrecognized(&self) -> u64 {
        self.unrecognized + self.sum(|stream| stream.implausible)
    }

    /// Payload bytes so far of distinct messages and of texts: of what [`messages_received`](Self::messages_received)
    /// and [`messages_text`](Self::messages_text) count.
    pub fn message_bytes(&self) -> u64 {
        self.text_bytes + self.sum(|stream| stream.bytes)
    }

    /// Payload bytes of all datagrams so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Streams seen so far; [`MAX_STREAMS`] at the most.
    pub fn streams(&self) -> usize {
        self.streams.len()
    }

    /// Memory the streams take, traces left out, in bytes; [`MAX_STREAM_BYTES`] each at the most.
    pub fn memory_bytes(&self) -> usize {
        self.streams.iter().map(Stream::memory_bytes).sum()
    }

    /// One report for each stream seen, in order of first arrival.
    pub fn into_streams(self) -> Vec<StreamReport> {
        self.streams.into_iter().map(Stream::into_report).collect()
    }

    /// The position of the stream `probe` belongs to, which may be a new one; `None` when there are too many.
    #[inline]
    fn stream_of(&mut self, probe: &Probe, arrival: Arrival) -> Option<usize> {
        let key = StreamKey { run_id: probe.run_id, stream_id: probe.stream_id, clock: probe.clock };
        if self.streams.get(self.last).is_none_or(|stream| stream.key != key) {
            self.last = self.find_or_add(key, arrival)?;
        }
        Some(self.last)
    }

    fn find_or_add(&mut self, key: StreamKey, arrival: Arrival) -> Option<usize> {
        let next = self.streams.len();
        match self.index.get(&key) {
            Some(&index) => Some(index),
            None if next < MAX_STREAMS => {
                let clock = match (key.clock, self.clock) {
                    (Some(theirs), Some(ours)) if theirs == ours => SenderClock::Same,
                    (Some(_), Some(_)) => SenderClock::Another,
                    _ => SenderClock::Untold,
                };
                self.streams.push(Stream::new(key, clock, self.trace, arrival.app_ns));
                self.index.insert(key, next);
                Some(next)
            }
            None => None,
        }
    }

    fn sum(&self, count: impl Fn(&Stream) -> u64) -> u64 {
        self.streams.iter().map(count).fold(0, u64::saturating_add)
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct StreamKey {
    run_id: u64,
    stream_id: u16,
    clock: Option<NonZeroU32>,
}

/// A message that has come.
#[derive(Clone, Copy)]
struct Heard {
    probe: Probe,
    payload_len: usize,
    arrival: Arrival,
}

impl Heard {
    /// Whether it makes a number plausible that was not: it has another one near it.
    fn supports(&self, doubted: &Heard) -> bool {
        (1..=WINDOW).contains(&self.probe.sequence.abs_diff(doubted.probe.sequence))
    }
}

/// What one stream has brought so far.
struct Stream {
    key: StreamKey,
    clock: SenderClock,
    sequences: Sequences,
    /// The last message that was too far from the others to be believed alone.
    doubted: Option<Heard>,
    /// Payload of distinct messages.
    bytes: u64,
    duplicate: u64,
    reordered: u64,
    stale: u64,
    implausible: u64,
    first_arrival_ns: u64,
    last_arrival_ns: u64,
    jitter: Jitter,
    latencies: Latencies,
    kernel_latencies: Latencies,
    trace_ns: Vec<u32>,
}

impl Stream {
    fn new(key: StreamKey, clock: SenderClock, trace: usize, now_ns: u64) -> Stream {
        Stream {
            key,
            clock,
            sequences: Sequences::default(),
            doubted: None,
            bytes: 0,
            duplicate: 0,
            reordered: 0,
            stale: 0,
            implausible: 0,
            first_arrival_ns: now_ns,
            last_arrival_ns: now_ns,
            jitter: Jitter::default(),
            latencies: Latencies::default(),
            kernel_latencies: Latencies::default(),
            trace_ns: vec![0; trace],
        }
    }

    #[inline]
    fn count(&mut self, heard: &Heard) {
        match self.sequences.insert(heard.probe.sequence) {
            Seen::InOrder => self.take(heard),
            Seen::Reordered => {
                self.reordered += 1;
                self.take(heard);
            }
            Seen::Duplicate => self.duplicate += 1,
            Seen::Stale => self.count_stale(heard),
            Seen::Ahead => self.count_ahead(heard),
        }
    }

    /// Counts a number from below the window: of a message that is late, or the first to be right.
    #[cold]
    fn count_stale(&mut self, heard: &Heard) {
        if self.sequences.distinct() > 1 {
            self.stale += 1;
            return;
        }
        match self.doubted.take_if(|doubted| heard.supports(doubted)) {
            Some(first) => {
                // Two against the one that the stream began with.
                *self = Stream {
                    stale: self.stale - 1,
                    implausible: self.implausible + 1 + self.duplicate,
                    ..Stream::new(self.key, self.clock, self.trace_ns.len(), first.arrival.app_ns)
                };
                self.count(&first);
                self.count(heard);
            }
            None => {
                self.stale += 1;
                self.doubted = Some(*heard);
            }
        }
    }

    /// Counts a number from far above the highest one.
    #[cold]
    fn count_ahead(&mut self, heard: &Heard) {
        // One from below the window that is doubted is too far away to be supported.
        match self.doubted.take_if(|doubted| heard.supports(doubted)) {
            Some(first) => {
                self.implausible -= 1;
                self.sequences.insert_ahead(first.probe.sequence);
                self.take(&first);
                self.count(heard);
            }
            None => {
                self.implausible += 1;
                self.doubted = Some(*heard);
            }
        }
    }

    /// Takes times and size of a message that was not there before.
    #[inline]
    fn take(&mut self, Heard { probe, payload_len, arrival }: &Heard) {
        self.bytes += *payload_len as u64;
        self.last_arrival_ns = arrival.app_ns;
        self.jitter.record(probe.send_time_ns, arrival.app_ns);
        if self.clock != SenderClock::Same {
            return;
        }
        let latency_ns = self.latencies.record(probe.send_time_ns, arrival.app_ns);
        if let Some(kernel_ns) = arrival.kernel_ns {
            self.kernel_latencies.record(probe.send_time_ns, kernel_ns);
        }
        let traced = usize::try_from(probe.sequence).ok().and_then(|index| self.trace_ns.get_mut(index));
        if let (Some(traced), Some(latency_ns)) = (traced, latency_ns) {
            *traced = u32::try_from(latency_ns).unwrap_or(u32::MAX).max(1);
        }
    }

    fn memory_bytes(&self) -> usize {
        size_of::<Stream>()
            + self.sequences.memory_bytes()
            + self.latencies.memory_bytes()
            + self.kernel_latencies.memory_bytes()
    }

    fn into_report(self) -> StreamReport {
        StreamReport {
            run_id: self.key.run_id,
            stream_id: self.key.stream_id,
            clock: self.clock,
            messages_received: self.sequences.distinct(),
            messages_lost: self.sequences.holes(),
            messages_duplicate: self.duplicate,
            messages_reordered: self.reordered,
            messages_stale: self.stale,
            // A stream begins with a message, and the first is always taken.
            lowest_sequence: self.sequences.lowest().unwrap_or_default(),
            highest_sequence: self.sequences.highest().unwrap_or_default(),
            first_arrival_ns: self.first_arrival_ns,
            last_arrival_ns: self.last_arrival_ns,
            jitter_ns: self.jitter.estimate_ns(),
            latency: self.latencies.summary(),
            kernel_latency: self.kernel_latencies.summary(),
            latency_unusable: match self.clock {
                SenderClock::Same => self.latencies.unusable(),
                SenderClock::Another | SenderClock::Untold => self.sequences.distinct(),
            },
            trace_ns: self.trace_ns,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;
    const OURS: Option<NonZeroU32> = NonZeroU32::new(0xc10c);

    fn probe(stream_id: u16, sequence: u64) -> Probe {
        Probe { run_id: 7, clock: OURS, stream_id, sequence, send_time_ns: 0 }
    }

    fn at(app_ns: u64) -> Arrival {
        Arrival { app_ns, kernel_ns: None }
    }

    #[test]
    fn sequences_in_counts_out() {
        const FAR: u64 = 1 << 63;
        struct Case {
            name: &'static str,
            sequences: &'static [u64],
            /// Received, lost, duplicate, reordered, stale; what is missing to all of them is unrecognized.
            counts: [u64; 5],
        }
        let case = |name, sequences, counts| Case { name, sequences, counts };
        for Case { name, sequences, counts } in [
            case("in order", &[0, 1, 2, 3], [4, 0, 0, 0, 0]),
            case("one lost", &[0, 1, 3], [3, 1, 0, 0, 0]),
            case("several lost", &[0, 5, 9], [3, 7, 0, 0, 0]),
            case("the tail is unknown", &[0], [1, 0, 0, 0, 0]),
            case("late, not lost", &[0, 2, 1], [3, 0, 0, 1, 0]),
            case("late ones, one still missing", &[0, 4, 1, 3], [4, 1, 0, 2, 0]),
            case("backwards", &[3, 2, 1, 0], [4, 0, 0, 3, 0]),
            case("duplicate", &[0, 1, 1, 2], [3, 0, 1, 0, 0]),
            case("duplicate of an old one", &[0, 1, 2, 3, 0, 0], [4, 0, 2, 0, 0]),
            case("duplicate of a late one", &[0, 2, 1, 1], [3, 0, 1, 1, 0]),
            case("late joiner", &[1000, 1001, 1003], [3, 1, 0, 0, 0]),
            case("late joiner, the one before overtaken", &[1000, 999], [2, 0, 0, 1, 0]),
            case("late joiner, then one from long before", &[1000, 500], [2, 499, 0, 1, 0]),
            case("jump to the window's end", &[0, WINDOW], [2, WINDOW - 1, 0, 0, 0]),
            case("beyond the window's end, and alone", &[0, WINDOW + 1], [1, 0, 0, 0, 0]),
            case("a far jump, and back", &[0, FAR, 1, 0, 2], [3, 0, 1, 0, 0]),
            case("a far jump that twice the same number does not make plausible", &[0, FAR, FAR, 1], [2, 0, 0, 0, 0]),
            case("a far jump that another bears out", &[0, 1, FAR, FAR + 2], [4, FAR - 2 + 1, 0, 0, 0]),
            case("a far jump that an earlier one bears out", &[0, FAR, FAR - 2], [3, FAR - 2, 0, 1, 0]),
            case("old ones after a far jump", &[0, 1, FAR, FAR + 1, 2], [4, FAR - 2, 0, 0, 1]),
            case("several that cannot be", &[0, FAR, 3 * (FAR / 2), 1, u64::MAX, 2], [3, 0, 0, 0, 0]),
            case("a corrupt first one", &[FAR, 0, 1, 2], [3, 0, 0, 0, 0]),
            case("a corrupt first one, twice", &[FAR, FAR, 0, 1], [2, 0, 0, 0, 0]),
            case("a corrupt first one, others apart", &[FAR, 0, 5 * WINDOW, 1, 0], [2, 0, 0, 1, 2]),
            case("a far joiner, and two from long before", &[FAR, FAR + 1, 0, 1], [2, 0, 0, 0, 2]),
            case("up to the last number", &[u64::MAX - 1, u64::MAX], [2, 0, 0, 0, 0]),
            case("no wrap-around", &[u64::MAX, 0], [1, 0, 0, 0, 1]),
            case("all there is", &[0, u64::MAX], [1, 0, 0, 0, 0]),
            case("all there is, borne out", &[0, u64::MAX, u64::MAX - 1], [3, u64::MAX - 2, 0, 1, 0]),
        ] {
            let mut tally = Tally::new(0, OURS);
            for &sequence in sequences {
                tally.probe(&probe(0, sequence), 64, at(0));
            }
            let live = [
                tally.messages_received(),
                tally.messages_lost(),
                tally.messages_duplicate(),
                tally.messages_reordered(),
                tally.messages_stale(),
            ];
            assert_eq!(live, counts, "{name}, live");
            assert_eq!((tally.bytes(), tally.message_bytes()), (64 * sequences.len() as u64, 64 * counts[0]), "{name}");
            let [received, _, duplicate, _, stale] = counts;
            let others = sequences.len() as u64 - received - duplicate - stale;
            assert_eq!(tally.messages_unrecognized(), others, "{name}");

            let [report] = &tally.into_streams()[..] else { panic!("{name}: not one stream") };
            let reported = [
                report.messages_received,
                report.messages_lost,
                report.messages_duplicate,
                report.messages_reordered,
                report.messages_stale,
            ];
            assert_eq!(reported, counts, "{name}, report");
            assert!(report.highest_sequence - report.lowest_sequence == received - 1 + report.messages_lost, "{name}");
        }
    }

    #[test]
    fn interleaved_streams_are_counted_apart() {
        let mut tally = Tally::new(0, OURS);
        for (stream_id, sequence) in [(4, 10), (2, 0), (4, 12), (2, 1), (2, 1), (4, 11), (2, 5)] {
            tally.probe(&probe(stream_id, sequence), 100, at(0));
        }
        tally.probe(&Probe { run_id: 8, ..probe(4, 0) }, 100, at(0));
        tally.unrecognized(5);
        assert_eq!((tally.streams(), tally.bytes()), (3, 805));
        assert_eq!((tally.messages_received(), tally.messages_lost(), tally.messages_unrecognized()), (7, 3, 1));

        let rows: Vec<_> = tally
            .into_streams()
            .iter()
            .map(|s| {
                let counts = [s.messages_received, s.messages_lost, s.messages_duplicate, s.messages_reordered];
                (s.run_id, s.stream_id, counts, s.lowest_sequence, s.highest_sequence)
            })
            .collect();
        assert_eq!(
            rows,
            [(7, 4, [3, 0, 0, 1], 10, 12), (7, 2, [3, 3, 1, 0], 0, 5), (8, 4, [1, 0, 0, 0], 0, 0)],
            "in order of first arrival"
        );
    }

    #[test]
    fn streams_too_many_are_unrecognized_and_the_known_go_on() {
        let mut tally = Tally::new(0, OURS);
        for run_id in 0..MAX_STREAMS as u64 + 10 {
            tally.probe(&Probe { run_id, ..probe(0, 0) }, 32, at(0));
        }
        tally.probe(&Probe { run_id: 0, ..probe(0, 1) }, 32, at(0));
        assert_eq!(tally.streams(), MAX_STREAMS);
        assert_eq!(tally.messages_unrecognized(), 10);
        assert_eq!(tally.messages_received(), MAX_STREAMS as u64 + 1);
        assert_eq!(tally.bytes(), 32 * (MAX_STREAMS as u64 + 11));
    }

    #[test]
    fn forged_losses_do_not_overflow_the_live_figure() {
        let mut tally = Tally::new(0, OURS);
        for (stream_id, sequence) in [0, 1].into_iter().flat_map(|id| [0, u64::MAX - 1, u64::MAX].map(|to| (id, to))) {
            tally.probe(&probe(stream_id, sequence), 32, at(0));
        }
        assert_eq!(tally.messages_lost(), u64::MAX);
    }

    #[test]
    fn times_are_taken_from_first_arrivals_only() {
        let mut tally = Tally::new(4, OURS);
        let sent_at = |sequence, send_time_ns| Probe { send_time_ns, ..probe(0, sequence) };
        let kernel = |app_ns, kernel_ns| Arrival { app_ns, kernel_ns: Some(kernel_ns) };
        tally.probe(&sent_at(0, 1_000 * MS), 64, kernel(1_003 * MS, 1_001 * MS));
        tally.probe(&sent_at(3, 1_010 * MS), 64, kernel(1_015 * MS, 1_012 * MS));
        tally.probe(&sent_at(3, 1_010 * MS), 64, kernel(1_999 * MS, 1_998 * MS)); // a duplicate
        tally.probe(&sent_at(1, 1_005 * MS), 64, at(1_020 * MS)); // late, and without a kernel timestamp
        tally.probe(&sent_at(2, 2_000 * MS), 64, at(1_021 * MS)); // from the future
        tally.probe(&sent_at(9, 1_021 * MS), 64, at(1_022 * MS)); // beyond the trace

        let report = tally.into_streams().remove(0);
        assert_eq!(report.trace_ns, [3 * MS as u32, 15 * MS as u32, 0, 5 * MS as u32]);
        let latency = report.latency.unwrap();
        assert_eq!((latency.samples, latency.min_ns, latency.max_ns), (4, MS, 15 * MS));
        let kernel_latency = report.kernel_latency.unwrap();
        assert_eq!((kernel_latency.samples, kernel_latency.min_ns, kernel_latency.max_ns), (2, MS, 2 * MS));
        assert_eq!(report.latency_unusable, 1);
        // Transit times 3, 5, 15, -979, 1 ms.
        let jitter_ms = [2.0, 10.0, 994.0, 980.0].iter().fold(0.0, |mean, change| mean + (change - mean) / 16.0);
        assert_eq!(report.jitter_ns, Some((jitter_ms * MS as f64).round() as u64));
    }

    #[test]
    fn clocks_that_disagree_give_jitter_but_no_latency() {
        let mut tally = Tally::new(2, OURS);
        for sequence in 0..10 {
            let send_time_ns = 5_000_000 * MS + sequence * MS;
            let kernel_ns = Some(sequence * MS);
            tally.probe(
                &Probe { send_time_ns, ..probe(0, sequence) },
                64,
                Arrival { app_ns: sequence * MS, kernel_ns },
            );
        }
        let report = tally.into_streams().remove(0);
        assert_eq!((report.latency, report.kernel_latency, report.latency_unusable), (None, None, 10));
        assert_eq!(report.jitter_ns, Some(0));
        assert_eq!(report.trace_ns, [0, 0]);
    }

    #[test]
    fn only_a_sender_that_names_this_clock_has_a_latency() {
        let named = NonZeroU32::new(0xc10d);
        for (theirs, ours, clock) in [
            (OURS, OURS, SenderClock::Same),
            (named, OURS, SenderClock::Another),
            (None, OURS, SenderClock::Untold),
            (OURS, None, SenderClock::Untold),
            (None, None, SenderClock::Untold),
        ] {
            let mut tally = Tally::new(1, ours);
            // Times that are as good as can be.
            for sequence in 0..3 {
                let arrival = Arrival { app_ns: 2 * MS, kernel_ns: Some(2 * MS) };
                tally.probe(&Probe { clock: theirs, send_time_ns: MS, ..probe(0, sequence) }, 64, arrival);
            }
            let report = tally.into_streams().remove(0);
            let same = clock == SenderClock::Same;
            assert_eq!(report.clock, clock);
            assert_eq!((report.latency.is_some(), report.kernel_latency.is_some()), (same, same), "{clock:?}");
            assert_eq!(report.latency_unusable, if same { 0 } else { 3 }, "{clock:?}");
            assert_eq!(report.trace_ns, [if same { MS as u32 } else { 0 }], "{clock:?}");
            assert_eq!(report.jitter_ns, Some(0), "a difference needs no common clock");
        }
    }

    #[test]
    fn runs_of_the_same_number_by_two_clocks_are_two_streams() {
        let mut tally = Tally::new(0, OURS);
        tally.probe(&probe(0, 0), 64, at(0));
        tally.probe(&Probe { clock: None, ..probe(0, 0) }, 64, at(0));
        let clocks: Vec<_> = tally.into_streams().iter().map(|stream| stream.clock).collect();
        assert_eq!(clocks, [SenderClock::Same, SenderClock::Untold]);
    }

    #[test]
    fn a_trace_tells_no_latency_from_none() {
        let mut tally = Tally::new(3, OURS);
        tally.probe(&probe(0, 0), 64, at(0));
        tally.probe(&probe(0, 2), 64, at(50_000 * MS));
        tally.probe(&probe(0, u64::MAX), 64, at(1));
        assert_eq!(tally.into_streams()[0].trace_ns, [1, 0, u32::MAX]);
    }

    #[test]
    fn memory_stays_within_its_bound() {
        let mut tally = Tally::new(0, OURS);
        for page in 0..100 {
            let arrival = Arrival { app_ns: page, kernel_ns: Some(page) };
            tally.probe(&probe(0, page << 15), 64, arrival);
        }
        let bytes = tally.memory_bytes();
        assert!((128 * 1024..=MAX_STREAM_BYTES).contains(&bytes), "{bytes}");
    }
}
