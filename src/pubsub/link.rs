//! A connection to a broker: packets in and out, over TCP or TLS, never waiting longer than told.

use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rustls::ClientConnection;

use super::url::BrokerUrl;
use crate::wire::mqtt::{Packet, Side, Version, Wrong, frame, read};

/// The longest packet that is taken, in bytes.
pub(super) const MAX_PACKET: usize = 16 << 20;
/// Bytes read at a time.
const CHUNK: usize = 64 << 10;
/// Chunks read before what they brought is looked at.
const CHUNKS: usize = 4;

/// One connection.
pub(super) struct Link {
    stream: TcpStream,
    tls: Option<Box<ClientConnection>>,
    chunk: Box<[u8]>,
    inbox: Vec<u8>,
    outbox: Outbox,
    ended: bool,
}

impl Link {
    /// Connects to the first of the broker's addresses that answers, within `timeout` for all of them.
    ///
    /// # Errors
    /// The system's, of the last address tried.
    pub(super) fn connect(url: &BrokerUrl, tls: Option<ClientConnection>, timeout: Duration) -> io::Result<Link> {
        let deadline = Instant::now() + timeout;
        let mut failure = io::Error::new(ErrorKind::NotFound, "the name has no address");
        for address in (url.host.as_str(), url.port).to_socket_addrs()? {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                failure = ErrorKind::TimedOut.into();
                break;
            }
            match Link::open(&address, left) {
                Ok(stream) => return Ok(Link::over(stream, tls)),
                Err(cause) => failure = cause,
            }
        }
        Err(failure)
    }

    fn open(address: &SocketAddr, timeout: Duration) -> io::Result<TcpStream> {
        let stream = TcpStream::connect_timeout(address, timeout)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        Ok(stream)
    }

    fn over(stream: TcpStream, tls: Option<ClientConnection>) -> Link {
        Link {
            stream,
            tls: tls.map(Box::new),
            chunk: vec![0; CHUNK].into(),
            inbox: Vec::new(),
            outbox: Outbox::default(),
            ended: false,
        }
    }

    /// Queues a packet.
    ///
    /// # Errors
    /// When it cannot be written as MQTT has it (a topic of more than 64 KiB, say).
    pub(super) fn queue(&mut self, packet: &Packet<'_>) -> io::Result<()> {
        packet
            .write(Version::Five, &mut self.outbox.bytes)
            .map_err(|error| io::Error::new(ErrorKind::InvalidInput, error))
    }

    /// Queues packets that are written already.
    pub(super) fn queue_bytes(&mut self, bytes: &[u8]) {
        self.outbox.bytes.extend_from_slice(bytes);
    }

    /// Bytes queued and not yet with the kernel.
    pub(super) fn queued(&self) -> usize {
        self.outbox.rest().len()
    }

    /// Gives `take` the packets of those read so far, until it wants no more.
    ///
    /// # Errors
    /// When what came is not MQTT ([`NotMqtt`]), or too long; `take`'s own.
    pub(super) fn packets<E: From<io::Error>>(
        &mut self,
        mut take: impl FnMut(Packet<'_>) -> Result<bool, E>,
    ) -> Result<(), E> {
        let mut at = 0;
        let mut taken = Ok(());
        while let Some((frame, length)) = frame(&self.inbox[at..], MAX_PACKET).map_err(NotMqtt::error)? {
            at += length;
            match take(read(Version::Five, Side::Broker, frame).map_err(NotMqtt::error)?) {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    taken = Err(error);
                    break;
                }
            }
        }
        self.inbox.drain(..at);
        taken
    }

    /// Hands over what the kernel takes now.
    ///
    /// # Errors
    /// When the connection is broken.
    pub(super) fn write(&mut self) -> io::Result<()> {
        if let Some(tls) = &mut self.tls {
            while !self.outbox.is_empty() {
                let taken = tls.writer().write(self.outbox.rest())?;
                if taken == 0 {
                    break;
                }
                self.outbox.advance(taken);
                if !write_records(tls, &mut self.stream)? {
                    return Ok(());
                }
            }
            write_records(tls, &mut self.stream)?;
            return Ok(());
        }
        while !self.outbox.is_empty() {
            match self.stream.write(self.outbox.rest()) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(taken) => self.outbox.advance(taken),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Writes what is queued. If that leaves something, or nothing was queued, waits until there is something to read or
    /// room to write, or until `until`; then does both. A signal ends the waiting.
    ///
    /// # Errors
    /// When the connection is broken, or its certificate does not verify; [`ErrorKind::UnexpectedEof`] when the broker
    /// has closed it and all it said has been read.
    pub(super) fn wait(&mut self, until: Instant) -> io::Result<()> {
        let due = self.queued() > 0;
        self.write()?;
        if due && self.queued() == 0 {
            // Whoever waits for room has it.
            return Ok(());
        }
        let mut interest = PollFlags::POLLIN;
        let handshake_to_send = self.tls.as_ref().is_some_and(|tls| tls.wants_write());
        if handshake_to_send || (!self.outbox.is_empty() && !self.handshaking()) {
            interest |= PollFlags::POLLOUT;
        }
        let left = until.saturating_duration_since(Instant::now());
        // Rounded up: a wait that ends early would be a busy loop.
        let millis = left.as_nanos().div_ceil(1_000_000).min(i32::MAX as u128) as i32;
        let mut fds = [PollFd::new(self.stream.as_fd(), interest)];
        match poll(&mut fds, PollTimeout::try_from(millis).unwrap_or(PollTimeout::MAX)) {
            Ok(0) => return Ok(()),
            Err(nix::errno::Errno::EINTR) => return Ok(()),
            Err(errno) => return Err(errno.into()),
            Ok(_) => {}
        }
        self.read()?;
        self.write()
    }

    fn handshaking(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.is_handshaking())
    }

    fn read(&mut self) -> io::Result<()> {
        if self.ended {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        for _ in 0..CHUNKS {
            match self.read_chunk() {
                Ok(0) => {
                    self.ended = true;
                    break;
                }
                Ok(len) => {
                    self.inbox.extend_from_slice(&self.chunk[..len]);
                    if len < CHUNK && self.tls.is_none() {
                        return Ok(());
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        // What it said last is looked at first.
        if self.ended && self.inbox.is_empty() { Err(ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
    }

    fn read_chunk(&mut self) -> io::Result<usize> {
        let Some(tls) = &mut self.tls else { return self.stream.read(&mut self.chunk) };
        loop {
            match tls.reader().read(&mut self.chunk) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                read => return read,
            }
            if tls.read_tls(&mut self.stream)? == 0 {
                return Ok(0);
            }
            if let Err(error) = tls.process_new_packets() {
                // The peer is told why.
                let _ = write_records(tls, &mut self.stream);
                return Err(io::Error::new(ErrorKind::InvalidData, error));
            }
        }
    }

    /// Says that nothing more will be sent, and waits until the broker has closed its side or `until`: what is closed
    /// with unread bytes is reset, and a reset may overtake the last packet.
    pub(super) fn finish(mut self, until: Instant) {
        while self.queued() > 0 && Instant::now() < until {
            if self.wait(until).is_err() {
                return;
            }
        }
        if let Some(tls) = &mut self.tls {
            tls.send_close_notify();
            let _ = write_records(tls, &mut self.stream);
        }
        let _ = self.stream.shutdown(std::net::Shutdown::Write);
        while Instant::now() < until && self.wait(until).is_ok() {
            self.inbox.clear();
        }
    }
}

/// Writes the TLS records that are due; false when the kernel takes no more now.
fn write_records(tls: &mut ClientConnection, stream: &mut TcpStream) -> io::Result<bool> {
    while tls.wants_write() {
        match tls.write_tls(stream) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

/// Bytes to be sent.
#[derive(Default)]
struct Outbox {
    bytes: Vec<u8>,
    /// How much of them the kernel has.
    sent: usize,
}

impl Outbox {
    fn rest(&self) -> &[u8] {
        &self.bytes[self.sent..]
    }

    fn is_empty(&self) -> bool {
        self.rest().is_empty()
    }

    fn advance(&mut self, sent: usize) {
        self.sent += sent;
        if self.is_empty() {
            self.bytes.clear();
            self.sent = 0;
        }
    }
}

/// What came is not MQTT.
#[derive(Debug)]
pub(super) struct NotMqtt(&'static str);

impl NotMqtt {
    fn error(wrong: Wrong) -> io::Error {
        io::Error::new(ErrorKind::InvalidData, NotMqtt(wrong.what))
    }
}

impl fmt::Display for NotMqtt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "it sent {}", self.0)
    }
}

impl std::error::Error for NotMqtt {}
