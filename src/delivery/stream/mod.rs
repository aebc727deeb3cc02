//! Messages over TCP to a server that sends them on: how a host enters, sends and receives.
//!
//! A [`Session`] is one connection to a chat server or to an MQTT broker. [`outlet`] puts messages into it by the one send
//! loop, [`inlet`] takes them out into a [`Tally`](super::tally::Tally) like datagrams. How that is said is in `chat` and
//! `mqtt`; the rest asks the one or the other.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use super::STOP_LATENCY;
use crate::error::{Error, Result};
use crate::sys::socket;
use crate::units::Mode;

mod chat;
pub mod inlet;
mod mqtt;
pub mod outlet;

/// Everything needed to enter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamSpec {
    /// Where the server listens.
    pub server: SocketAddr,
    /// Who enters: the name in the room, or the client identifier.
    pub name: String,
    /// What the server understands.
    pub language: Language,
    /// Whether the receive window is kept small, so that a program that falls behind is felt at the server soon.
    pub small_window: bool,
}

/// What is spoken over the stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Language {
    /// The lines of [`crate::wire::chat`].
    Chat,
    /// MQTT 5.
    Mqtt(Topic),
}

/// What an MQTT client has to do with its topic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Topic {
    /// Its name.
    pub name: String,
    /// Whether it subscribes to it; else it publishes.
    pub subscribes: bool,
    /// Quality of service: 0 (at most once) or 1 (at least once).
    pub qos: u8,
    /// Whether what it publishes is retained for later subscribers.
    pub retain: bool,
    /// Whether the broker keeps its session, and what comes for it meanwhile, when it goes away.
    pub keeps_session: bool,
}

impl StreamSpec {
    /// The mode this is part of.
    pub fn mode(&self) -> Mode {
        match self.language {
            Language::Chat => Mode::Chat,
            Language::Mqtt(_) => Mode::Pubsub,
        }
    }
}

/// A connection to the server, entered.
#[derive(Debug)]
pub struct Session {
    spec: StreamSpec,
    stream: Arc<TcpStream>,
    input: Input,
    /// Messages the server may have without having acknowledged them; `None` where it acknowledges nothing.
    window: Option<u16>,
    acknowledged: Arc<AtomicU64>,
}

/// How long a server may take to let somebody in.
const PATIENCE: Duration = Duration::from_secs(10);

/// The receive buffer behind a small window, in bytes (the kernel doubles it).
const SMALL_WINDOW: usize = 4096;

impl Session {
    /// Connects and enters; the server has confirmed that when this returns.
    ///
    /// # Errors
    /// When it cannot be reached, refuses, or does not answer in 10 s.
    pub fn open(spec: &StreamSpec) -> Result<Session> {
        let failed = |error: io::Error| Error::failed(format!("connecting to {}", spec.server)).because(error);
        let stream = Arc::new(connect(spec).map_err(failed)?);
        let mut session =
            Session { spec: spec.clone(), stream, input: Input::default(), window: None, acknowledged: Arc::default() };
        match &spec.language {
            Language::Chat => chat::enter(&mut session)?,
            Language::Mqtt(topic) => session.window = mqtt::enter(&mut session, topic)?,
        }
        // From now on whoever hears waits for as long as nothing comes.
        session.stream.set_read_timeout(None).map_err(failed)?;
        Ok(session)
    }

    /// What ends it from another thread.
    pub fn leaver(&self) -> Leaver {
        let farewell = match &self.spec.language {
            Language::Chat => chat::farewell(),
            Language::Mqtt(topic) => mqtt::farewell(topic),
        };
        Leaver { stream: Arc::clone(&self.stream), farewell }
    }

    /// Asks the server, each time it is called, something that it answers at once: chat's `PING`, MQTT's PINGREQ. Whoever
    /// hears ([`inlet::Hearing`]) tells when the answer comes.
    pub fn asker(&self) -> impl Fn() -> io::Result<()> + Send + use<> {
        let stream = Arc::clone(&self.stream);
        let request = match &self.spec.language {
            Language::Chat => chat::ping(),
            Language::Mqtt(_) => mqtt::ping(),
        };
        move || (&*stream).write_all(&request)
    }

    /// Waits for the next thing the server says while somebody enters.
    fn await_word<T>(&mut self, what: &str, mut read: impl FnMut(&[u8]) -> Result<Option<(usize, T)>>) -> Result<T> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some((length, word)) = read(self.input.bytes())? {
                self.input.consume(length);
                return Ok(word);
            }
            match self.input.fill(&self.stream) {
                Ok(0) => {
                    return Err(Error::failed(format!(
                        "{}: the server closed the connection instead of {what}",
                        self.spec.server
                    )));
                }
                Ok(_) => {}
                Err(error) if is_timeout(&error) && Instant::now() < deadline => {}
                Err(error) => {
                    return Err(Error::failed(format!("waiting for {} to {what}", self.spec.server)).because(error));
                }
            }
        }
    }

    fn write(&self, bytes: &[u8]) -> Result<()> {
        let written = (&*self.stream).write_all(bytes);
        written.map_err(|error| Error::failed(format!("writing to {}", self.spec.server)).because(error))
    }

    /// Notes that the server has acknowledged so many messages more.
    fn acknowledge(&self, messages: u64) {
        self.acknowledged.fetch_add(messages, Ordering::Relaxed);
    }
}

/// Ends a session.
#[derive(Debug)]
pub struct Leaver {
    stream: Arc<TcpStream>,
    farewell: Vec<u8>,
}

impl Leaver {
    /// Goes: the server is told, unless it is to keep the session.
    pub fn leave(&self) {
        // A server that is gone needs no farewell.
        let _ = (&*self.stream).write_all(&self.farewell);
        let _ = self.stream.shutdown(Shutdown::Both);
    }

    /// Takes what has come, and no more: whoever hears comes to the end of the stream.
    pub fn hear_no_more(&self) {
        let _ = self.stream.shutdown(Shutdown::Read);
    }
}

fn connect(spec: &StreamSpec) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(spec.server), Type::STREAM, Some(Protocol::TCP))?;
    if spec.small_window {
        // Before connecting: the window's scale is agreed on then.
        socket.set_recv_buffer_size(SMALL_WINDOW)?;
    }
    // What waits here has not been sent: a server that does not take it is to be felt soon.
    socket::bound_send_buffer(&socket)?;
    socket.connect_timeout(&SockAddr::from(spec.server), PATIENCE)?;
    // A message is to leave when it is due, not when the one before has been acknowledged.
    socket.set_tcp_nodelay(true)?;
    socket.set_read_timeout(Some(STOP_LATENCY))?;
    socket.set_write_timeout(Some(STOP_LATENCY))?;
    Ok(socket.into())
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EINTR))
}

/// Bytes that have come and are not read yet.
#[derive(Debug, Default)]
struct Input {
    buffer: Vec<u8>,
    filled: Range<usize>,
}

impl Input {
    /// More than a server's longest line or message.
    const SIZE: usize = 128 * 1024;

    fn bytes(&self) -> &[u8] {
        &self.buffer[self.filled.clone()]
    }

    fn consume(&mut self, bytes: usize) {
        self.filled.start += bytes;
    }

    /// Reads what has come, behind what is there; 0 at the end of the stream.
    fn fill(&mut self, mut stream: &TcpStream) -> io::Result<usize> {
        if self.buffer.is_empty() {
            self.buffer.resize(Input::SIZE, 0);
        }
        if self.filled.is_empty() {
            self.filled = 0..0;
        } else if self.filled.end == self.buffer.len() {
            self.buffer.copy_within(self.filled.clone(), 0);
            self.filled = 0..self.filled.len();
        }
        if self.filled.end == self.buffer.len() {
            return Err(io::Error::other("the server sent something longer than it may be"));
        }
        let read = stream.read(&mut self.buffer[self.filled.end..])?;
        self.filled.end += read;
        Ok(read)
    }
}

/// Something the server said.
enum Word {
    /// A message; where its text or payload stands.
    Message(Range<usize>),
    /// It has come to be acknowledged by this packet, too.
    ToAcknowledge(Range<usize>, u16),
    /// So many messages have reached the server.
    Acknowledged(u64),
    /// The answer to what [`Session::asker`] asked.
    Answer,
    /// The server ends the session; why.
    Farewell(String),
    /// Nothing a measurement needs to know.
    Other,
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn input_keeps_what_is_not_read_yet() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut theirs = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (ours, _) = listener.accept().unwrap();
        let mut input = Input::default();
        theirs.write_all(b"one two").unwrap();
        while input.bytes().len() < 7 {
            input.fill(&ours).unwrap();
        }
        input.consume(4);
        assert_eq!(input.bytes(), b"two");
        // To the end of the buffer, so that the rest has to move to its start.
        theirs.write_all(&vec![b'x'; Input::SIZE - 7]).unwrap();
        while input.filled.end < Input::SIZE {
            input.fill(&ours).unwrap();
        }
        theirs.write_all(b"end").unwrap();
        input.fill(&ours).unwrap();
        assert_eq!(input.filled.start, 0);
        assert!(input.bytes().starts_with(b"twoxx"));
        drop(theirs);
        input.consume(input.bytes().len());
        while input.fill(&ours).unwrap() > 0 {
            input.consume(input.bytes().len());
        }
    }
}
