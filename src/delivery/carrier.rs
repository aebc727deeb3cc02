//! What the send loop hands messages to: datagrams and frames, many in one system call. A stream's is in `stream`.

use std::io;
use std::net::SocketAddr;
use std::ops::Range;
use std::os::fd::AsFd;

use nix::net::if_::if_nametoindex;

use super::Outlet;
use super::rehearsal::Rehearsal;
use super::sender::Payload;
use crate::sys::clock;
use crate::sys::mmsg::SendBatch;
use crate::wire::probe::{self, Probe};

/// Room for some messages, and the way they leave by. Copies are numbered message by message, as in [`SendBatch`].
pub(super) trait Carrier {
    /// How many messages fit.
    fn messages(&self) -> usize;

    /// Copies that leave for each.
    fn copies_per_message(&self) -> usize;

    /// Writes its sequence and send time into a message that has not begun to leave.
    fn stamp(&mut self, message: usize, sequence: u64, now_ns: u64);

    /// Hands copies to the kernel; returns how many of them it took whole.
    ///
    /// # Errors
    /// What the kernel says about the first of them.
    fn send(&mut self, copies: Range<usize>) -> io::Result<usize>;

    /// Where each message's copy of this number goes; `None` for frames.
    fn destination(&self, copy: usize) -> Option<SocketAddr>;

    /// Whether what it leaves by is gone for good, so that nothing can be sent any more.
    fn is_gone(&self) -> bool;

    /// What it is, for a person.
    fn in_words(&self) -> String;
}

/// Copies in a batch: enough for the system call to cost little beside them.
const BATCH_COPIES: usize = 64;

/// Bytes in a batch: what stays in the nearest cache.
const BATCH_BYTES: usize = 16 * 1024;

/// Datagrams or frames.
pub(super) struct Datagrams<'a> {
    outlet: &'a Outlet,
    batch: SendBatch,
    /// Where the probe header stands in each body, if there is one.
    probe_at: Option<usize>,
    /// Index of the only interface they leave by.
    interface: Option<u32>,
}

impl<'a> Datagrams<'a> {
    pub(super) fn new(outlet: &'a Outlet, payload: &Payload) -> Self {
        let header_len = outlet.frame_header.len();
        let mut body = outlet.frame_header.clone();
        let mut probe_at = None;
        match payload {
            Payload::Text(text) => body.extend(text.as_bytes()),
            Payload::Probe { run_id, stream_id, size } => {
                body.resize(header_len + size, 0);
                if *size >= probe::HEADER_LEN {
                    Probe::first(*run_id, *stream_id, clock::name()).encode(&mut body[header_len..]);
                    probe_at = Some(header_len);
                }
            }
        }
        let messages = messages_in_batch(body.len(), outlet.copies_per_message());
        let batch = SendBatch::new(&body, messages, outlet.destinations.clone());
        Datagrams { outlet, batch, probe_at, interface: index(outlet) }
    }
}

/// The index that the only interface of an outlet has now; `None` where there is no such interface.
fn index(outlet: &Outlet) -> Option<u32> {
    if_nametoindex(outlet.description.interface.as_deref()?).ok()
}

/// How many messages of so many bytes are worth one system call.
pub(super) fn messages_in_batch(bytes: usize, copies: usize) -> usize {
    (BATCH_COPIES / copies).min(BATCH_BYTES / bytes.max(1)).max(1)
}

impl Carrier for Datagrams<'_> {
    fn messages(&self) -> usize {
        self.batch.messages()
    }

    fn copies_per_message(&self) -> usize {
        self.batch.copies_per_message()
    }

    fn stamp(&mut self, message: usize, sequence: u64, now_ns: u64) {
        if let Some(at) = self.probe_at {
            Probe::stamp(&mut self.batch.body_mut(message)[at..], sequence, now_ns);
        }
    }

    fn send(&mut self, copies: Range<usize>) -> io::Result<usize> {
        self.batch.send(self.outlet.socket.as_fd(), copies)
    }

    fn destination(&self, copy: usize) -> Option<SocketAddr> {
        self.outlet.description.to.get(copy).copied()
    }

    fn is_gone(&self) -> bool {
        // One that comes again by the same name is another one, which the socket does not know.
        self.interface.is_some() && index(self.outlet) != self.interface
    }

    fn in_words(&self) -> String {
        self.outlet.description.to_string()
    }
}

/// Another carrier, with the CPU time of the calling thread inside its [`send`](Carrier::send) taken.
///
/// The clock (`CLOCK_THREAD_CPUTIME_ID`) is read right before and right after each call. What one reading costs is
/// found out first, and taken off each call. Before that the way through the kernel is [walked](Rehearsal) once.
pub(super) struct Timed<'a> {
    carrier: &'a mut dyn Carrier,
    rehearsal: Option<Rehearsal>,
    reading_ns: u64,
    cpu_ns: u64,
}

impl<'a> Timed<'a> {
    pub(super) fn new(carrier: &'a mut dyn Carrier, rehearsal: Option<Rehearsal>) -> Self {
        Timed { carrier, rehearsal, reading_ns: clock::thread_cpu_reading_ns(), cpu_ns: 0 }
    }

    /// CPU time inside all calls so far, in ns.
    pub(super) fn cpu_ns(&self) -> u64 {
        self.cpu_ns
    }
}

impl Carrier for Timed<'_> {
    fn messages(&self) -> usize {
        self.carrier.messages()
    }

    fn copies_per_message(&self) -> usize {
        self.carrier.copies_per_message()
    }

    fn stamp(&mut self, message: usize, sequence: u64, now_ns: u64) {
        self.carrier.stamp(message, sequence, now_ns);
    }

    fn send(&mut self, copies: Range<usize>) -> io::Result<usize> {
        if let Some(rehearsal) = &mut self.rehearsal {
            rehearsal.walk();
        }
        let (sent, cpu_ns) = clock::with_thread_cpu_ns(self.reading_ns, || self.carrier.send(copies));
        self.cpu_ns += cpu_ns;
        sent
    }

    fn destination(&self, copy: usize) -> Option<SocketAddr> {
        self.carrier.destination(copy)
    }

    fn is_gone(&self) -> bool {
        self.carrier.is_gone()
    }

    fn in_words(&self) -> String {
        self.carrier.in_words()
    }
}

/// Messages that go nowhere: what is left is the waking and the pacing.
pub(super) struct Nowhere;

impl Carrier for Nowhere {
    fn messages(&self) -> usize {
        BATCH_COPIES
    }

    fn copies_per_message(&self) -> usize {
        1
    }

    fn stamp(&mut self, _: usize, _: u64, _: u64) {}

    fn send(&mut self, copies: Range<usize>) -> io::Result<usize> {
        Ok(copies.len())
    }

    fn destination(&self, _: usize) -> Option<SocketAddr> {
        None
    }

    fn is_gone(&self) -> bool {
        false
    }

    fn in_words(&self) -> String {
        "sending nothing".to_owned()
    }
}
