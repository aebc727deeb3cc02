//! What a chat server counts.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

/// What a server has done since its start, and has at the moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Connections accepted, those refused at once too.
    pub connections_accepted: u64,
    /// Of these, refused at once: too many, or too many from their address.
    pub connections_refused: u64,
    /// Connections now, each of them a socket.
    pub connections_now: u64,
    /// Threads now that serve a connection.
    pub client_threads_now: u64,
    /// Clients now: connections that have joined.
    pub clients_now: u64,
    /// Most clients at a time.
    pub clients_most: u64,
    /// Clients that have joined so far.
    pub clients_joined: u64,
    /// Connections that did not join in time.
    pub clients_too_late: u64,
    /// Clients dropped because their queue overflowed.
    pub clients_dropped_slow: u64,
    /// Clients whose connection broke or went silent.
    pub clients_lost: u64,
    /// Lines read, those that were refused too.
    pub lines_read: u64,
    /// Of these, refused.
    pub lines_refused: u64,
    /// Messages read: `SAY` and `TELL` that were carried out.
    pub messages_read: u64,
    /// Copies of messages (`MSG` and `PRIVATE` lines) that clients' sockets have taken whole.
    pub copies_written: u64,
    /// Lines of any kind that sockets have taken whole.
    pub lines_written: u64,
    /// Lines of any kind that had to wait in a queue.
    pub lines_queued: u64,
    /// CPU time of the accepting thread alone, in ns.
    pub accept_cpu_ns: u64,
    /// CPU time of handing lines to clients' sockets, in ns, without the clock's own cost; `None` where it is not taken
    /// ([`ServerOptions::timed`](super::options::ServerOptions::timed)). What waits in a queue is the flushing thread's
    /// work, and not in it.
    pub relay_cpu_ns: Option<u64>,
}

/// The same, while it counts.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) connections_accepted: Counter,
    pub(super) connections_refused: Counter,
    pub(super) client_threads: Counter,
    pub(super) clients: Counter,
    pub(super) clients_most: Counter,
    pub(super) clients_joined: Counter,
    pub(super) clients_too_late: Counter,
    pub(super) clients_dropped_slow: Counter,
    pub(super) clients_lost: Counter,
    pub(super) lines_read: Counter,
    pub(super) lines_refused: Counter,
    pub(super) messages_read: Counter,
    pub(super) copies_written: Counter,
    pub(super) lines_written: Counter,
    pub(super) lines_queued: Counter,
    pub(super) relay_cpu_ns: Counter,
}

impl Counters {
    /// Them all, beside what is counted elsewhere.
    pub(super) fn read(&self, connections_now: u64, accept_cpu_ns: u64, timed: bool) -> Counts {
        Counts {
            connections_accepted: self.connections_accepted.get(),
            connections_refused: self.connections_refused.get(),
            connections_now,
            client_threads_now: self.client_threads.get(),
            clients_now: self.clients.get(),
            clients_most: self.clients_most.get(),
            clients_joined: self.clients_joined.get(),
            clients_too_late: self.clients_too_late.get(),
            clients_dropped_slow: self.clients_dropped_slow.get(),
            clients_lost: self.clients_lost.get(),
            lines_read: self.lines_read.get(),
            lines_refused: self.lines_refused.get(),
            messages_read: self.messages_read.get(),
            copies_written: self.copies_written.get(),
            lines_written: self.lines_written.get(),
            lines_queued: self.lines_queued.get(),
            accept_cpu_ns,
            relay_cpu_ns: timed.then(|| self.relay_cpu_ns.get()),
        }
    }
}

/// One number. Nothing is ordered by it.
#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub(super) fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    pub(super) fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    pub(super) fn at_least(&self, value: u64) {
        self.0.fetch_max(value, Ordering::Relaxed);
    }

    pub(super) fn less_one(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
