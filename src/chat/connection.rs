//! One client, as the server has it: a socket, and the way lines go out by it.

use std::net::{SocketAddr, TcpStream};
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
}

impl Line {
    pub(super) fn new(answer: Answer) -> Arc<Line> {
        let mut bytes = Vec::with_capacity(96);
        answer.encode(&mut bytes);
        let is_copy = matches!(answer, Answer::Msg { .. } | Answer::Private { .. });
        Arc::new(Line { bytes, is_copy })
    }
}

/// How lines go out to one client: what the two relays differ in.
pub(super) trait Outbox: Send + Sync {
    /// Sends a line, after all those before it.
    fn send(&self, line: &Arc<Line>);

    /// Waits while much of what was sent is not taken yet: whoever asks for more first reads what it has.
    fn wait_for_room(&self);

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
}

impl Connection {
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
