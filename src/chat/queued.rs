//! The relay in which nobody waits for another: a bounded queue for each client.
//!
//! Whoever has read a message hands it to every socket that takes it at once, which is nearly all of them nearly always,
//! and costs what a plain write costs. Where the kernel has no room, the line waits in the client's queue, and from then
//! on all that follow; the one [flushing thread](super::flusher) empties the queue as the client reads. So lines stay in
//! order and none is lost. When a queue overflows, its client has stopped reading: it is told, and dropped.

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

/// The most lines that are handed to the kernel at once.
const LINES_AT_ONCE: usize = 64;

/// See the module.
pub(super) struct Queued(Arc<Backlog>);

/// A client's queue.
pub(super) struct Backlog {
    pub(super) id: u64,
    stream: Arc<TcpStream>,
    limit: usize,
    waiting: Mutex<Waiting>,
    /// Told when there is room again, or never will be.
    room: Condvar,
    watch: Arc<Watch>,
    counters: Arc<Counters>,
}

#[derive(Default)]
struct Waiting {
    lines: VecDeque<Arc<Line>>,
    /// How much of the first of them the kernel has.
    begun: usize,
    /// How many bytes wait.
    bytes: usize,
    state: State,
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
        } else if waiting.bytes + line.bytes.len() > backlog.limit {
            return backlog.overflow(&mut waiting);
        }
        backlog.counters.lines_queued.add(1);
        waiting.bytes += line.bytes.len() - if waiting.lines.is_empty() { waiting.begun } else { 0 };
        waiting.lines.push_back(Arc::clone(line));
    }

    fn wait_for_room(&self) {
        let backlog = &*self.0;
        let mut waiting = lock(&backlog.waiting);
        while waiting.state == State::Open && waiting.bytes > backlog.limit / 2 {
            waiting = backlog.room.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
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
            waiting.bytes = 0;
            let begun = std::mem::take(&mut waiting.begun);
            let lines = std::mem::take(&mut waiting.lines);
            lines.into_iter().enumerate().map(move |(index, line)| (line, if index == 0 { begun } else { 0 }))
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
        let slices: Vec<_> = lines.map(|(index, line)| IoSlice::new(&line.bytes[from(index)..])).collect();
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
        while waiting.lines.front().is_some_and(|line| line.bytes.len() <= waiting.begun) {
            let Some(line) = waiting.lines.pop_front() else { break };
            waiting.begun -= line.bytes.len();
            self.count_written(&line);
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
