//! The one receive loop: blocking, in batches, counting into a tally.

use std::io;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Inlet;
use super::STOP_LATENCY;
use super::tally::{Arrival, StreamReport, Tally};
use super::text::{self, Sender, Texts};
use crate::sys::clock::{self, RealtimeOffset};
use crate::sys::mmsg::{ReceiveBatch, Received};
use crate::wire::ethernet::FrameHeader;
use crate::wire::probe::Probe;

/// How long to listen and what to keep.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceivePlan {
    /// Ends after this many datagrams for us (recognized or not, duplicates too); `None` for no such limit.
    pub count: Option<u64>,
    /// Ends after this long; `None` for no such limit.
    pub duration: Option<Duration>,
    /// Keeps the latency of each of the first `trace` messages of every stream.
    pub trace: usize,
    /// CPU time the program then spends on each datagram for us, which it takes one by one.
    pub busy: Duration,
    /// Tells texts from what is unrecognized, and keeps them in [`ReceiveLive::texts`] with their senders.
    pub texts: bool,
}

/// What a running [`receive`] shows to others: updated once a batch.
#[derive(Debug, Default)]
pub struct ReceiveLive {
    /// Datagrams that reached the socket and were for us, so far.
    pub datagrams: AtomicU64,
    /// Distinct messages so far.
    pub messages_received: AtomicU64,
    /// Messages missing so far.
    pub messages_lost: AtomicU64,
    /// Messages that are text so far.
    pub messages_text: AtomicU64,
    /// Datagrams that are no message so far.
    pub messages_unrecognized: AtomicU64,
    /// Payload bytes so far.
    pub bytes: AtomicU64,
    /// Texts to be shown.
    pub texts: Texts,
}

/// What was received.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ReceiveReport {
    /// One for each (run, stream) seen, in order of first arrival.
    pub streams: Vec<StreamReport>,
    /// Messages that are text; 0 unless the plan [asks](ReceivePlan::texts) for them.
    pub messages_text: u64,
    /// Other datagrams for us that are no probe, and probes whose number cannot be.
    pub messages_unrecognized: u64,
    /// Datagrams the socket got that were sent to another kind of address (another group, a broadcast, …).
    pub messages_other_destination: u64,
    /// Payload bytes of all datagrams for us, duplicates and unrecognized ones too.
    pub bytes: u64,
    /// Of them those of distinct messages and texts.
    pub message_bytes: u64,
    /// Datagrams the socket dropped for want of buffer (`SO_RXQ_OVFL` and the socket's row in `/proc`); `None` when unknown.
    pub socket_dropped: Option<u64>,
    /// Receive buffer granted, in bytes as `SO_RCVBUF` reports it.
    pub receive_buffer_bytes: u64,
    /// From opening the loop to its end, in ns.
    pub duration_ns: u64,
    /// What happened meanwhile that a person should know.
    pub warnings: Vec<String>,
    /// What ended it before its limit, in words; `None` where nothing did but `stop`.
    pub error: Option<String>,
}

/// Receives by `plan` until its limit, or until `stop` is set (noticed within 100 ms).
///
/// The clock is read once a batch (what one system call brought, 64 at the most), right after the call: that is the
/// arrival at the application of all of them. What is read after the end of the duration is not counted. A datagram
/// longer than its buffer counts as unrecognized. A busy program ([`ReceivePlan::busy`]) takes one datagram a call.
///
/// When the socket fails for good it ends, and the report says why.
pub fn receive(inlet: &Inlet, plan: &ReceivePlan, stop: &AtomicBool, live: &ReceiveLive) -> ReceiveReport {
    let start_ns = clock::monotonic_ns();
    let end_ns = plan.duration.map_or(u64::MAX, |duration| start_ns.saturating_add(nanos(duration)));
    let limit = plan.count.unwrap_or(u64::MAX);
    let mut batch = ReceiveBatch::new(BATCH, inlet.max_len);
    if plan.texts {
        batch.ask_for_senders();
    }
    let mut counting = Counting::new(inlet, plan, live, start_ns);
    let mut now_ns = start_ns;
    while counting.goes_on(limit) && now_ns < end_ns && !stop.load(Ordering::Relaxed) {
        counting.wait_no_longer_than(Duration::from_nanos(end_ns - now_ns).min(STOP_LATENCY));
        let room = if plan.busy.is_zero() { limit - counting.datagrams } else { 1 };
        let room = usize::try_from(room).unwrap_or(usize::MAX);
        let result = batch.receive(inlet.socket.as_fd(), room);
        now_ns = clock::monotonic_ns();
        match result {
            Ok(_) if now_ns >= end_ns => {}
            Ok(_) => {
                counting.keep_offset_fresh(now_ns);
                let before = counting.datagrams;
                batch.datagrams().for_each(|datagram| counting.count(&datagram, now_ns));
                counting.show();
                if !plan.busy.is_zero() && counting.datagrams > before {
                    compute(nanos(plan.busy), stop);
                }
            }
            Err(error) => counting.survive(error),
        }
    }
    counting.into_report(now_ns - start_ns)
}

/// Datagrams a system call may bring.
const BATCH: usize = 64;

/// How often the distance between the clocks is read again: it drifts by 50 µs in this time at the very most.
const OFFSET_NS: u64 = 100_000_000;

/// How long to wait when the kernel has no memory for what it was asked, in ns.
const SHORTAGE_NS: u64 = 10_000_000;

/// The shortest payload that a frame on a wire can have, in bytes: cards fill up shorter ones with zeros (IEEE Std 802.3,
/// `minFrameSize`).
const SHORTEST_PAYLOAD: usize = 46;

/// A receive loop's state.
struct Counting<'a> {
    inlet: &'a Inlet,
    live: &'a ReceiveLive,
    tally: Tally,
    /// See [`ReceivePlan::texts`].
    texts: bool,
    datagrams: u64,
    other_destination: u64,
    dropped_before: Option<u32>,
    offset: RealtimeOffset,
    offset_read_ns: u64,
    /// The socket's `SO_RCVTIMEO`.
    timeout: Option<Duration>,
    warnings: Vec<String>,
    error: Option<String>,
}

impl<'a> Counting<'a> {
    fn new(inlet: &'a Inlet, plan: &ReceivePlan, live: &'a ReceiveLive, now_ns: u64) -> Self {
        Counting {
            inlet,
            live,
            tally: Tally::new(plan.trace, clock::name()),
            texts: plan.texts,
            datagrams: 0,
            other_destination: 0,
            dropped_before: None,
            offset: RealtimeOffset::read(),
            offset_read_ns: now_ns,
            timeout: None,
            warnings: Vec::new(),
            error: None,
        }
    }

    fn goes_on(&self, limit: u64) -> bool {
        self.error.is_none() && self.datagrams < limit
    }

    /// Bounds the time the next receive call may wait.
    fn wait_no_longer_than(&mut self, timeout: Duration) {
        // A timeout of 0 would mean none at all.
        let timeout = timeout.max(Duration::from_micros(1));
        if self.timeout != Some(timeout) {
            match self.inlet.socket.set_read_timeout(Some(timeout)) {
                Ok(()) => self.timeout = Some(timeout),
                Err(error) => self.error = Some(format!("setting a receive timeout: {error}")),
            }
        }
    }

    fn keep_offset_fresh(&mut self, now_ns: u64) {
        if now_ns - self.offset_read_ns > OFFSET_NS {
            self.offset = RealtimeOffset::read();
            self.offset_read_ns = now_ns;
        }
    }

    #[inline]
    fn count(&mut self, datagram: &Received<'_>, now_ns: u64) {
        self.dropped_before = datagram.dropped_before.or(self.dropped_before);
        let Some(message) = self.inlet.filter.message(datagram) else {
            self.other_destination += 1;
            return;
        };
        self.datagrams += 1;
        match Probe::decode(message).filter(|_| !datagram.truncated) {
            Some(probe) => {
                let kernel_ns = datagram.kernel_realtime_ns.map(|realtime_ns| self.offset.to_monotonic(realtime_ns));
                self.tally.probe(&probe, message.len(), Arrival { app_ns: now_ns, kernel_ns });
            }
            None if self.texts && self.count_text(datagram, message) => {}
            None => self.tally.unrecognized(message.len()),
        }
    }

    /// Counts and keeps a message that is text; whether it is.
    fn count_text(&mut self, datagram: &Received<'_>, message: &[u8]) -> bool {
        let (mut from, mut text) = (datagram.sender.map_or(Sender::Unknown, Sender::Address), message);
        if let Some((header, _)) = FrameHeader::decode(datagram.bytes).filter(|_| self.inlet.filter.is_raw()) {
            from = Sender::Station(header.source);
            if message.len() <= SHORTEST_PAYLOAD {
                let end = message.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
                text = &message[..end];
            }
        }
        let Some(text) = text::of(text).filter(|_| !datagram.truncated) else { return false };
        self.live.texts.put(from, text);
        self.tally.text(text.len());
        true
    }

    fn show(&self) {
        let live = self.live;
        live.datagrams.store(self.datagrams, Ordering::Relaxed);
        live.messages_received.store(self.tally.messages_received(), Ordering::Relaxed);
        live.messages_lost.store(self.tally.messages_lost(), Ordering::Relaxed);
        live.messages_text.store(self.tally.messages_text(), Ordering::Relaxed);
        live.messages_unrecognized.store(self.tally.messages_unrecognized(), Ordering::Relaxed);
        live.bytes.store(self.tally.bytes(), Ordering::Relaxed);
    }

    /// Goes on after an error, unless it ends the reception.
    fn survive(&mut self, error: io::Error) {
        match error.raw_os_error() {
            // The time is over, a signal came, or ICMP brought news of something this socket once sent.
            Some(libc::EAGAIN | libc::EINTR | libc::ECONNREFUSED | libc::EHOSTUNREACH | libc::ENETUNREACH) => {}
            // Told once; frames come again when it is up again.
            Some(libc::ENETDOWN) => {
                if self.warnings.is_empty() {
                    self.warnings.push("the interface went down while listening".to_owned());
                }
            }
            Some(libc::ENOMEM | libc::ENOBUFS) => clock::sleep_until(clock::monotonic_ns() + SHORTAGE_NS),
            _ => self.error = Some(format!("{}: {error}", self.inlet.description)),
        }
    }

    fn into_report(self, duration_ns: u64) -> ReceiveReport {
        ReceiveReport {
            messages_text: self.tally.messages_text(),
            messages_unrecognized: self.tally.messages_unrecognized(),
            messages_other_destination: self.other_destination,
            bytes: self.tally.bytes(),
            message_bytes: self.tally.message_bytes(),
            socket_dropped: self.inlet.take_drops(self.dropped_before),
            receive_buffer_bytes: self.inlet.description.receive_buffer_bytes,
            duration_ns,
            warnings: self.warnings,
            error: self.error,
            streams: self.tally.into_streams(),
        }
    }
}

/// Uses this much CPU time of the calling thread, in ns; less when it is to stop.
pub(super) fn compute(cpu_ns: u64, stop: &AtomicBool) {
    let end_ns = clock::thread_cpu_ns() + cpu_ns;
    while clock::thread_cpu_ns() < end_ns && !stop.load(Ordering::Relaxed) {}
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
