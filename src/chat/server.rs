//! The chat server, as the lecture draws it: a listening socket that only accepts; for each client a socket and a thread
//! of its own, an endless loop that reads a message and at once sends it to all clients.

use std::collections::HashMap;
use std::io::Write;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::ops::ControlFlow;
use std::os::fd::AsRawFd;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::connection::{Connection, Line, Outbox, lock};
use super::conversation::{Conversation, read_more};
use super::counts::Counters;
use super::direct::Direct;
use super::flusher::Flusher;
use super::listener;
use super::news::News;
use super::queued::Queued;
use super::room::Room;
use crate::error::{self, Error};
use crate::feed::Feed;
use crate::sys::clock;
use crate::wire::chat::lines::LineBuffer;
use crate::wire::chat::{Answer, MAX_LINE, MAX_NAME, MAX_TEXT, PROTOCOL, Refusal};

pub use super::counts::Counts;
pub use super::options::{Relay, ServerOptions};

/// How much stack a client's thread has, in bytes: it calls nothing deep.
const STACK: usize = 128 << 10;

/// How long the listener waits when the kernel has no more descriptors or memory for a connection.
const EXHAUSTED: Duration = Duration::from_millis(100);

/// A running chat server. Dropped, it is [killed](Server::kill).
pub struct Server {
    listener: Arc<TcpListener>,
    address: SocketAddr,
    serving: Arc<Serving>,
    acceptor: Option<JoinHandle<()>>,
    accept_cpu_ns: u64,
}

/// What its threads share.
pub(super) struct Serving {
    pub(super) options: ServerOptions,
    max_clients: usize,
    pub(super) room: Room,
    pub(super) counters: Arc<Counters>,
    /// All connections, joined or not, by number.
    connections: Mutex<HashMap<u64, Arc<Connection>>>,
    /// Told when one has ended.
    changed: Condvar,
    stopping: Mutex<bool>,
    /// Told when it is stopping.
    stopped: Condvar,
    /// With [`Relay::Queued`].
    flusher: Option<Flusher>,
}

impl Server {
    /// Starts one; it listens when this returns.
    ///
    /// # Errors
    /// Usage for an address that is not this host's; when the port is in use; not permitted for a privileged port.
    pub fn start(options: &ServerOptions) -> error::Result<Server> {
        Server::watched(options, None)
    }

    /// The same, perhaps with somebody who watches who comes and goes. The server never waits for the watcher.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn watched(options: &ServerOptions, watcher: Option<Feed<News>>) -> error::Result<Server> {
        let listener = Arc::new(listener::open(options)?);
        let failed = |cause| Error::failed("starting the chat server").because(cause);
        let address = listener.local_addr().map_err(failed)?;
        let counters = Arc::new(Counters::default());
        let flusher = if options.relay == Relay::Queued { Some(Flusher::start()?) } else { None };
        let serving = Arc::new(Serving {
            max_clients: listener::make_room(options.max_clients),
            options: options.clone(),
            room: Room::new(Arc::clone(&counters), flusher.as_ref().map(Flusher::watch), watcher, options.timed),
            connections: Mutex::default(),
            changed: Condvar::new(),
            stopping: Mutex::new(false),
            stopped: Condvar::new(),
            flusher,
            counters,
        });
        let acceptor = thread::Builder::new().name("chat-accept".into()).spawn({
            let (listener, serving) = (Arc::clone(&listener), Arc::clone(&serving));
            move || serving.accept_clients(&listener)
        });
        let acceptor = Some(acceptor.map_err(failed)?);
        Ok(Server { listener, address, serving, acceptor, accept_cpu_ns: 0 })
    }

    /// Where it listens.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// How many connections it serves at a time: those of its options, or as many as the process may have files open for.
    #[must_use]
    pub fn max_clients(&self) -> usize {
        self.serving.max_clients
    }

    /// What it has done so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let accept_cpu_ns = self.acceptor.as_ref().and_then(clock::thread_cpu_ns_of).unwrap_or(self.accept_cpu_ns);
        let connections = lock(&self.serving.connections).len() as u64;
        self.serving.counters.read(connections, accept_cpu_ns, self.serving.options.timed)
    }

    /// Ends it in order: no more connections; each client gets what waits for it and is told; what has not taken that
    /// within the [grace](ServerOptions::grace) is cut off. Returns what it has done.
    pub fn stop(mut self) -> Counts {
        self.end(Shutdown::Read);
        self.counts()
    }

    /// Ends it as a crash would: the sockets just close.
    pub fn kill(mut self) -> Counts {
        self.end(Shutdown::Both);
        self.counts()
    }

    fn end(&mut self, how: Shutdown) {
        let Some(acceptor) = self.acceptor.take() else { return };
        *lock(&self.serving.stopping) = true;
        self.serving.stopped.notify_all();
        // `accept` returns with EINVAL then.
        let _ = nix::sys::socket::shutdown(self.listener.as_raw_fd(), nix::sys::socket::Shutdown::Both);
        self.accept_cpu_ns = clock::thread_cpu_ns_of(&acceptor).unwrap_or_default();
        let _ = acceptor.join();
        self.serving.shut_all(how);
        if !self.serving.wait_for_all(self.serving.options.grace) {
            self.serving.shut_all(Shutdown::Both);
            // Nothing in them waits for anybody now.
            self.serving.wait_for_all(self.serving.options.grace);
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end(Shutdown::Both);
    }
}

impl Serving {
    /// The listening socket only accepts: each client gets a socket and a thread of its own.
    fn accept_clients(self: &Arc<Self>, listener: &TcpListener) {
        for id in 0.. {
            let Some((stream, peer)) = self.accept(listener) else { return };
            let stream = Arc::new(stream);
            let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
            match self.admit(id, &stream, peer) {
                Ok(client) => self.serve_in_a_thread(id, client),
                Err(refusal) => self.turn_away(&stream, peer, refusal),
            }
        }
    }

    /// A client's thread: an endless loop that reads a line and at once does what it says, which for most of them is to
    /// send it to all.
    fn serve(&self, client: &Arc<Connection>) {
        let details =
            format!("max-line={MAX_LINE} max-name={MAX_NAME} max-text={MAX_TEXT} relay={}", self.options.relay);
        client.send(Answer::Hello { protocol: PROTOCOL, details: &details });
        let mut lines = LineBuffer::new();
        let mut conversation = Conversation::new(self, client);
        let why = loop {
            let Some(line) = lines.next_line() else {
                match read_more(&client.stream, &mut lines, conversation.join_by()) {
                    Ok(()) => continue,
                    Err(why) => break conversation.take_last(why, lines.last_line()),
                }
            };
            client.outbox.wait_for_room();
            if let ControlFlow::Break(why) = conversation.take(line) {
                break why;
            }
        };
        conversation.end(why);
    }

    /// The next connection; `None` when the server stops.
    fn accept(&self, listener: &TcpListener) -> Option<(TcpStream, SocketAddr)> {
        loop {
            let accepted = listener.accept();
            if self.is_stopping() {
                return None;
            }
            match accepted {
                Ok(accepted) => return Some(accepted),
                // It was gone before it was accepted.
                Err(error) if matches!(error.raw_os_error(), Some(libc::ECONNABORTED | libc::EINTR)) => {}
                Err(_) => self.pause(EXHAUSTED),
            }
        }
    }

    fn admit(&self, id: u64, stream: &Arc<TcpStream>, peer: SocketAddr) -> Result<Arc<Connection>, Refusal> {
        self.counters.connections_accepted.add(1);
        let mut connections = lock(&self.connections);
        if connections.len() >= self.max_clients {
            return Err(Refusal::Full);
        }
        let address = peer.ip();
        if let Some(most) = self.options.max_per_address
            && !address.is_loopback()
            && connections.values().filter(|other| other.peer.ip() == address).count() >= most
        {
            return Err(Refusal::TooMany);
        }
        let client = Arc::new(Connection::new(peer, Arc::clone(stream), self.outbox(id, stream)));
        connections.insert(id, Arc::clone(&client));
        Ok(client)
    }

    /// The one thing the relays differ in.
    fn outbox(&self, id: u64, stream: &Arc<TcpStream>) -> Box<dyn Outbox> {
        let (stream, counters) = (Arc::clone(stream), Arc::clone(&self.counters));
        match &self.flusher {
            None => Box::new(Direct::new(stream, counters)),
            Some(flusher) => Box::new(Queued::new(id, stream, self.options.queue_bytes, flusher.watch(), counters)),
        }
    }

    fn serve_in_a_thread(self: &Arc<Self>, id: u64, client: Arc<Connection>) {
        self.counters.client_threads.add(1);
        let (stream, peer) = (Arc::clone(&client.stream), client.peer);
        let thread = thread::Builder::new().name(format!("chat-{id}")).stack_size(STACK).spawn({
            let serving = Arc::clone(self);
            move || {
                serving.serve(&client);
                drop(client);
                serving.forget(id);
            }
        });
        if thread.is_err() {
            self.turn_away(&stream, peer, Refusal::Full);
            self.forget(id);
        }
    }

    /// Tells why, as far as that does not make the listener wait.
    fn turn_away(&self, mut stream: &TcpStream, peer: SocketAddr, refusal: Refusal) {
        self.counters.connections_refused.add(1);
        self.room.report(|| News::TurnedAway { peer, why: refusal });
        let line = Line::new(refusal.answer());
        // A connection that does not take one line is not worth more.
        let _ = stream.set_nonblocking(true).and_then(|()| stream.write(&line.bytes));
    }

    fn forget(&self, id: u64) {
        self.counters.client_threads.less_one();
        lock(&self.connections).remove(&id);
        self.changed.notify_all();
    }

    /// Ends a direction of all streams, or both: whoever waits in the kernel for one of them returns.
    fn shut_all(&self, direction: Shutdown) {
        for client in lock(&self.connections).values() {
            // It may have ended already.
            let _ = client.stream.shutdown(direction);
        }
    }

    /// Waits until all connections have ended; whether they have in time.
    fn wait_for_all(&self, time: Duration) -> bool {
        let connections = lock(&self.connections);
        let waited = self.changed.wait_timeout_while(connections, time, |connections| !connections.is_empty());
        waited.unwrap_or_else(PoisonError::into_inner).0.is_empty()
    }

    pub(super) fn is_stopping(&self) -> bool {
        *lock(&self.stopping)
    }

    /// Waits, but not longer than the server runs.
    pub(super) fn pause(&self, time: Duration) {
        if !time.is_zero() {
            drop(self.stopped.wait_timeout_while(lock(&self.stopping), time, |stopping| !*stopping));
        }
    }
}
