//! The relay in which nobody waits for another: a bounded queue for each client.
//!
//! Whoever has read a message hands it to every socket that takes it at once, which is nearly all of them nearly always,
//! and costs what a plain write costs. Where the kernel has no room, the line waits in the client's queue, and from then
//! on all that follow; the one [flushing thread](super::flusher) empties the queue as the client reads. So lines stay in
//! order and none is lost.
//!
//! Who reads is not dropped for what another says: authors are read no faster than their words are taken. Where more
//! than half of a queue is full, those wait of whose own words many wait for somebody; where all of it is, everybody.
//! But nobody waits for a client that is *slow*, and when the queue of such a one overflows, it is told, and dropped. It
//! is slow when
//!
//! - others have waited for it alone, while at least half of the clients had taken all, for [`HELD`] longer than it would
//!   take at [`FAST`]; and then until its queue is empty; or, should most be behind,
//! - it has taken nothing of what waits for it for [`STALLED`], or not the first line of it for [`BEHIND`].

use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, send, sendmsg};

use super::connection::{Line, Outbox, lock};
use super::counts::Counters;
use super::flusher::Watch;
use crate::wire::chat::MAX_LINE;

/// The most lines that are handed to the kernel at once.
const LINES_AT_ONCE: usize = 64;

/// See the module.
const HELD: Duration = Duration::from_millis(100);

/// Bytes a second at which a client reads fast enough for any others.
const FAST: f64 = 4e6;

/// See the module.
const STALLED: Duration = Duration::from_secs(1);

/// See the module: it reads, but a byte now and then.
const BEHIND: Duration = Duration::from_secs(10);

/// Who waits for a client looks so often whether that is still worth it.
const LOOK: Duration = Duration::from_millis(10);

/// An author with this share of a queue waiting for somebody leaves the second half of queues to others.
const SHARE: usize = 16;

/// See the module.
pub(super) struct Queued(Arc<Backlog>);

/// A client's queue.
pub(super) struct Backlog {
    pub(super) id: u64,
    stream: Arc<TcpStream>,
    limit: usize,
    waiting: Mutex<Waiting>,
    /// Told when half of the queue is free again, or it does not matter any more.
    room: Condvar,
    watch: Arc<Watch>,
    counters: Arc<Counters>,
}

#[derive(Default)]
struct Waiting {
    lines: VecDeque<Queueing>,
    /// How much of the first of them the kernel has.
    begun: usize,
    /// How many bytes wait.
    bytes: usize,
    /// When the kernel last took some of them; before that, when they began to wait.
    taken: Option<Instant>,
    /// How long others have waited for this client alone, less what they may for the bytes it took.
    held: Duration,
    /// Up to when that is reckoned.
    reckoned: Option<Instant>,
    state: State,
}

/// A line in a queue.
struct Queueing {
    line: Arc<Line>,
    since: Instant,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Open,
    /// It overflowed.
    TooSlow,
    /// The connection broke.
    Broken,
    /// The last lines are being sent.
    Finishing,
}

impl Queued {
    pub(super) fn new(
        id: u64,
        stream: Arc<TcpStream>,
        limit: usize,
        watch: Arc<Watch>,
        counters: Arc<Counters>,
    ) -> Queued {
        let (waiting, room) = (Mutex::default(), Condvar::new());
        Queued(Arc::new(Backlog { id, stream, limit, waiting, room, watch, counters }))
    }
}

impl Outbox for Queued {
    fn send(&self, line: &Arc<Line>) {
        let backlog = &*self.0;
        let mut waiting = lock(&backlog.waiting);
        if waiting.state != State::Open {
            return;
        }
        if waiting.lines.is_empty() {
            match backlog.hand_over(&line.bytes) {
                Ok(count) if count == line.bytes.len() => return backlog.count_written(line),
                Ok(count) => waiting.begun = count,
                Err(_) => return backlog.give_up(&mut waiting),
            }
            if self.0.watch.begin(&self.0).is_err() {
                return backlog.give_up(&mut waiting);
            }
        } else if backlog.has_no_room(&waiting, line) && waiting.is_slow(Instant::now()) {
            return backlog.overflow(&mut waiting);
        }
        let now = Instant::now();
        backlog.counters.lines_queued.add(1);
        if waiting.lines.is_empty() {
            (waiting.taken, waiting.held) = (Some(now), Duration::ZERO);
        }
        waiting.bytes += line.bytes.len() - if waiting.lines.is_empty() { waiting.begun } else { 0 };
        waiting.lines.push_back(Queueing { line: Arc::clone(line), since: now });
    }

    fn wait_for_room(&self) {
        let backlog = &*self.0;
        let mut waiting = lock(&backlog.waiting);
        while waiting.state == State::Open && waiting.bytes > backlog.limit / 2 {
            waiting = backlog.room.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn is_open(&self) -> bool {
        lock(&self.0.waiting).state == State::Open
    }

    fn is_too_slow(&self) -> bool {
        lock(&self.0.waiting).state == State::TooSlow
    }

    fn finish(&self, last: Option<&Arc<Line>>, grace: Duration) -> bool {
        let backlog = &*self.0;
        let rest = {
            let mut waiting = lock(&backlog.waiting);
            if waiting.state == State::Broken {
                return false;
            }
            backlog.watch.end(backlog.id, backlog.stream.as_fd());
            waiting.state = State::Finishing;
            backlog.room.notify_all();
            waiting.bytes = 0;
            let begun = std::mem::take(&mut waiting.begun);
            let lines = std::mem::take(&mut waiting.lines);
            lines.into_iter().enumerate().map(move |(index, next)| (next.line, if index == 0 { begun } else { 0 }))
        };
        let deadline = Instant::now() + grace;
        for (line, begun) in rest.chain(last.map(|last| (Arc::clone(last), 0))) {
            if write_until(&backlog.stream, &line.bytes[begun..], deadline).is_err() {
                return false;
            }
            backlog.count_written(&line);
        }
        true
    }
}

impl Backlog {
    /// Hands the kernel as many bytes as it takes at once.
    fn hand_over(&self, bytes: &[u8]) -> Result<usize, Errno> {
        at_once(|flags| send(self.stream.as_raw_fd(), bytes, flags))
    }

    /// The same with what waits.
    fn hand_over_several(&self, waiting: &Waiting) -> Result<usize, Errno> {
        let lines = waiting.lines.iter().take(LINES_AT_ONCE).enumerate();
        let from = |index| if index == 0 { waiting.begun } else { 0 };
        let slices: Vec<_> = lines.map(|(index, next)| IoSlice::new(&next.line.bytes[from(index)..])).collect();
        at_once(|flags| sendmsg::<()>(self.stream.as_raw_fd(), &slices, &[], flags, None))
    }

    /// Hands the kernel what it takes of the queue. Called by the flushing thread when there is room.
    pub(super) fn flush(&self) {
        let mut waiting = lock(&self.waiting);
        while waiting.state == State::Open && !waiting.lines.is_empty() {
            match self.hand_over_several(&waiting) {
                Ok(0) => break,
                Ok(count) => self.advance(&mut waiting, count),
                Err(_) => self.give_up(&mut waiting),
            }
        }
        if waiting.lines.is_empty() {
            self.watch.end(self.id, self.stream.as_fd());
        }
        if waiting.bytes <= self.limit / 2 {
            self.room.notify_all();
        }
    }

    /// Takes off the queue what the kernel has.
    fn advance(&self, waiting: &mut Waiting, count: usize) {
        waiting.bytes -= count;
        waiting.begun += count;
        waiting.taken = Some(Instant::now());
        if waiting.held < HELD {
            waiting.held = waiting.held.saturating_sub(Duration::from_secs_f64(count as f64 / FAST));
        }
        while waiting.lines.front().is_some_and(|next| next.line.bytes.len() <= waiting.begun) {
            let Some(Queueing { line, .. }) = waiting.lines.pop_front() else { break };
            waiting.begun -= line.bytes.len();
            self.count_written(&line);
        }
    }

    /// Whether a line would overflow it. An answer may be longer than half a queue: whoever asked for it had room.
    fn has_no_room(&self, waiting: &Waiting, line: &Line) -> bool {
        waiting.bytes > self.limit / 2 && waiting.bytes + line.bytes.len() > self.limit
    }

    /// Whether an author has to wait for this client before it is heard, of whose words `pending` bytes wait already.
    pub(super) fn is_waited_for(&self, pending: usize) -> bool {
        let full = if pending > self.limit / SHARE { self.limit / 2 } else { self.limit.saturating_sub(MAX_LINE) };
        let waiting = lock(&self.waiting);
        let open = waiting.state == State::Open;
        open && waiting.bytes > full.max(self.limit / 2) && !waiting.is_slow(Instant::now())
    }

    /// Waits for a moment that half of the queue is free: for this client `alone`, or for one of many.
    pub(super) fn wait_for_reader(&self, alone: bool) {
        let start = Instant::now();
        let waiting = lock(&self.waiting);
        if waiting.state != State::Open || waiting.bytes <= self.limit / 2 {
            return;
        }
        let mut waiting = self.room.wait_timeout(waiting, LOOK).unwrap_or_else(PoisonError::into_inner).0;
        if alone {
            waiting.is_held(start, Instant::now());
        }
    }

    /// The client reads too slowly. Its thread, which reads, finds the stream ended and tells it: so much of a line as
    /// it has the beginning of, and the reason.
    fn overflow(&self, waiting: &mut Waiting) {
        waiting.state = State::TooSlow;
        waiting.lines.truncate(usize::from(waiting.begun > 0));
        self.counters.clients_dropped_slow.add(1);
        self.watch.end(self.id, self.stream.as_fd());
        let _ = self.stream.shutdown(Shutdown::Read);
        self.room.notify_all();
    }

    /// The connection broke. Its thread, which reads, finds the stream ended and clears up.
    fn give_up(&self, waiting: &mut Waiting) {
        *waiting = Waiting { state: State::Broken, ..Waiting::default() };
        self.watch.end(self.id, self.stream.as_fd());
        let _ = self.stream.shutdown(Shutdown::Both);
        self.room.notify_all();
    }

    fn count_written(&self, line: &Line) {
        self.counters.lines_written.add(1);
        self.counters.copies_written.add(line.is_copy.into());
    }

    pub(super) fn socket(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

impl Waiting {
    /// Whether its client is slow, as the module has it.
    fn is_slow(&self, now: Instant) -> bool {
        let is_past = |since: Option<Instant>, time| since.is_some_and(|since| now.duration_since(since) >= time);
        let first = self.lines.front().map(|first| first.since);
        self.held >= HELD || is_past(self.taken, STALLED) || is_past(first, BEHIND)
    }

    /// Somebody has waited for it alone. What several have waited at once counts once.
    fn is_held(&mut self, from: Instant, to: Instant) {
        let from = self.reckoned.map_or(from, |reckoned| reckoned.max(from));
        self.held += to.duration_since(from);
        self.reckoned = Some(to);
    }
}

/// A send that does not wait; 0 when the kernel has no room.
fn at_once(send: impl Fn(MsgFlags) -> Result<usize, Errno>) -> Result<usize, Errno> {
    loop {
        match send(MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL) {
            Err(Errno::EAGAIN) => return Ok(0),
            Err(Errno::EINTR) => {}
            result => return result,
        }
    }
}

/// Writes all of `bytes`, and waits for it until `deadline`.
fn write_until(mut stream: &TcpStream, mut bytes: &[u8], deadline: Instant) -> io::Result<()> {
    while !bytes.is_empty() {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(ErrorKind::TimedOut.into());
        }
        stream.set_write_timeout(Some(left))?;
        match stream.write(bytes) {
            Ok(count) => bytes = &bytes[count..],
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::flusher::Flusher;
    use super::*;
    use crate::wire::chat::Answer;
    use std::net::TcpListener;

    const LIMIT: usize = 64 << 10;

    /// A queue, and its client, which reads nothing.
    fn clogged() -> (Queued, Flusher, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let stream = Arc::new(listener.accept().unwrap().0);
        let flusher = Flusher::start().unwrap();
        let queued = Queued::new(0, stream, LIMIT, flusher.watch(), Arc::default());
        while lock(&queued.0.waiting).lines.is_empty() {
            queued.send(&line());
        }
        (queued, flusher, client)
    }

    fn line() -> Arc<Line> {
        Line::new(Answer::Msg { from: "ann", text: &"x".repeat(1000) })
    }

    fn fill(queued: &Queued, bytes: usize) {
        while lock(&queued.0.waiting).bytes <= bytes {
            queued.send(&line());
        }
    }

    #[test]
    fn who_fills_a_queue_waits_first_and_for_one_alone_not_long() {
        let (queued, _flusher, _client) = clogged();
        let waited = |pending| queued.0.is_waited_for(pending);
        fill(&queued, LIMIT / 2 - 2_000);
        assert!(!waited(LIMIT));
        fill(&queued, LIMIT / 2);
        assert_eq!((waited(LIMIT), waited(0)), (true, false), "the second half is for those who say little");
        fill(&queued, LIMIT - MAX_LINE);
        assert!(waited(0));
        while waited(0) {
            queued.0.wait_for_reader(true);
        }
        assert!(lock(&queued.0.waiting).held >= HELD);
        while !queued.is_too_slow() {
            queued.send(&line());
        }
        assert!(!waited(LIMIT));
        assert!(lock(&queued.0.waiting).bytes <= LIMIT, "and never more than that has waited");
    }

    #[test]
    fn what_several_wait_at_once_is_reckoned_once() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut waiting = Waiting { taken: Some(start), ..Waiting::default() };
        for (from, to) in [(0, 40), (10, 50), (45, 60), (200, 239)] {
            waiting.is_held(at(from), at(to));
        }
        assert!(!waiting.is_slow(at(239)), "{:?}", waiting.held);
        waiting.is_held(at(300), at(301));
        assert!(waiting.is_slow(at(301)));
    }

    #[test]
    fn who_takes_nothing_or_next_to_nothing_is_slow() {
        let start = Instant::now();
        let mut waiting = Waiting { taken: Some(start), ..Waiting::default() };
        waiting.lines.push_back(Queueing { line: line(), since: start });
        assert!(!waiting.is_slow(start + STALLED / 2));
        assert!(waiting.is_slow(start + STALLED));
        waiting.taken = Some(start + BEHIND - STALLED / 2);
        assert!(!waiting.is_slow(start + BEHIND - STALLED / 4));
        assert!(waiting.is_slow(start + BEHIND), "a byte now and then does not help");
    }
}
