//! One client, as the server has it: a socket, and the way lines go out by it.

use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use socket2::SockRef;

use crate::wire::chat::Answer;

/// A line for one client or for all, with its end.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) bytes: Vec<u8>,
    /// Whether it is a copy of a message.
    pub(super) is_copy: bool,
    /// Held until the last copy is gone.
    pending: Option<Pending>,
}

impl Line {
    pub(super) fn new(answer: Answer) -> Arc<Line> {
        let mut bytes = Vec::with_capacity(96);
        answer.encode(&mut bytes);
        let is_copy = matches!(answer, Answer::Msg { .. } | Answer::Private { .. });
        Arc::new(Line { bytes, is_copy, pending: None })
    }

    /// The same of a line that others get because of what `author` did.
    pub(super) fn caused_by(author: &Connection, answer: Answer) -> Arc<Line> {
        let mut line = Line::new(answer);
        if let Some(line) = Arc::get_mut(&mut line) {
            line.pending = Some(Pending::new(&author.pending, line.bytes.len()));
        }
        line
    }

    /// A line of these bytes, for whoever asked for it.
    pub(super) fn of(bytes: Vec<u8>) -> Arc<Line> {
        Arc::new(Line { bytes, is_copy: false, pending: None })
    }
}

/// The bytes of a line, counted with those of its author's others as long as somebody has not taken it.
#[derive(Debug)]
struct Pending {
    all: Arc<AtomicUsize>,
    bytes: usize,
}

impl Pending {
    fn new(all: &Arc<AtomicUsize>, bytes: usize) -> Pending {
        all.fetch_add(bytes, Ordering::Relaxed);
        Pending { all: Arc::clone(all), bytes }
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.all.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// How lines go out to one client: what the two relays differ in.
pub(super) trait Outbox: Send + Sync {
    /// Sends a line, after all those before it.
    fn send(&self, line: &Arc<Line>);

    /// Waits while much of what was sent is not taken yet: whoever asks for more first reads what it has.
    fn wait_for_room(&self);

    /// Whether the client was not given up: neither because it reads too slowly nor because its connection broke.
    fn is_open(&self) -> bool;

    /// Whether the client was given up because it reads too slowly.
    fn is_too_slow(&self) -> bool;

    /// Sends what waits and a last line, for as long as `grace` at most, and says whether the kernel has all of it.
    /// Nothing can be sent after it.
    fn finish(&self, last: Option<&Arc<Line>>, grace: Duration) -> bool;
}

/// A client's connection.
pub(super) struct Connection {
    /// The client's; an IPv4 address mapped into IPv6 is the IPv4 address.
    pub(super) peer: SocketAddr,
    pub(super) stream: Arc<TcpStream>,
    pub(super) outbox: Box<dyn Outbox>,
    /// How many bytes of what it has said wait for somebody.
    pending: Arc<AtomicUsize>,
}

impl Connection {
    pub(super) fn new(peer: SocketAddr, stream: Arc<TcpStream>, outbox: Box<dyn Outbox>) -> Connection {
        Connection { peer, stream, outbox, pending: Arc::default() }
    }

    /// How many bytes of what it has said wait for somebody, in a queue; one that waits in several counts once.
    pub(super) fn pending(&self) -> usize {
        self.pending.load(Ordering::Relaxed)
    }

    pub(super) fn send(&self, answer: Answer) {
        self.outbox.send(&Line::new(answer));
    }

    /// Ends it, with a last line. One that has not taken all in time is cut off: the kernel, too, then forgets what it
    /// has for it, and a client that still sends learns that nobody reads.
    pub(super) fn finish(&self, last: Option<Answer>, grace: Duration) {
        if !self.outbox.finish(last.map(Line::new).as_ref(), grace) {
            // Refused only where the connection is gone already.
            let _ = SockRef::from(&*self.stream).set_linger(Some(Duration::ZERO));
        }
    }
}

/// Takes a lock. A thread that panicked holding it leaves a state that is whole: each is changed in one step.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
