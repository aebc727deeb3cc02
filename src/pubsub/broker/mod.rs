//! A broker inside this program: MQTT 3.1.1 and 5.0 over TCP, all state in memory, one thread.
//!
//! | Where is … | in |
//! |---|---|
//! | what a packet leads to (pure) | `core.rs` |
//! | what is kept for a client, what is under way to it (pure) | `session.rs` |
//! | who subscribes to what; retained messages (pure) | `topics.rs` |
//! | bytes on their way to a socket (pure) | `outbox.rs` |
//! | the thread, its sockets | `server.rs` |
//! | what has become of each message | `counts.rs` |
//!
//! Everything a client can make it hold has a limit:
//!
//! | what | limit |
//! |---|---|
//! | connections that have not said who they are | [`BrokerOptions::max_waiting`]; the oldest makes room; 10 s each |
//! | clients | [`BrokerOptions::max_clients`]; the next is told *server busy* |
//! | a packet | [`BrokerOptions::max_packet`]; who sends a longer one is disconnected |
//! | what waits for a client: QoS 0 | [`BrokerOptions::queue`] messages and [`BrokerOptions::queue_bytes`]; then it is dropped |
//! | what waits for a client: QoS 1 and 2 | the same; then the oldest are dropped |
//! | the same for all clients together | [`BrokerOptions::backlog`] |
//! | QoS 1 and 2 under way to a client | [`BrokerOptions::window`], or fewer if it asks for fewer |
//! | time in which a client reads nothing of what is sent | 30 s; then it is disconnected |
//! | messages of QoS 2 from a client that are half done | [`BrokerOptions::max_half_done`] |
//! | time for which a session is kept | [`BrokerOptions::max_session`] |
//! | sessions of clients that are away | [`BrokerOptions::max_sessions`] |
//! | retained messages | [`BrokerOptions::max_retained`] and [`BrokerOptions::retained_bytes`] |
//! | subscriptions of a client | [`BrokerOptions::max_subscriptions`] |
//! | topic aliases of a connection, each way | [`BrokerOptions::max_aliases`] |
//! | accounts of clients that are gone | [`BrokerOptions::max_clients`]; the oldest are added up |

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, Socket, Type};

use super::news::News;
use super::secret::Login;
use crate::error::{Error, Result};
use crate::feed::Feed;

mod core;
mod counts;
mod message;
mod outbox;
mod server;
mod session;
mod slab;
mod topics;

use self::core::Core;
pub use counts::{Account, Counts, Tally};
use server::{Server, Shared, Sign, Wanted, lock};

/// The TCP port of MQTT (IANA).
pub const DEFAULT_PORT: u16 = 1883;
/// Connections that the kernel may hold for the broker to accept.
const BACKLOG: i32 = 1024;

/// What a broker is to be like.
#[derive(Clone, Debug)]
pub struct BrokerOptions {
    /// Where it listens; port 0 takes a free one, see [`Broker::local_addr`].
    pub listen: SocketAddr,
    /// The one user it admits; `None`: everybody.
    pub login: Option<Login>,
    /// Nobody may publish to topics that one of these filters stands for.
    pub deny_publish: Vec<String>,
    /// Nobody may subscribe to them, nor gets what is published there.
    pub deny_subscribe: Vec<String>,
    /// Clients at a time.
    pub max_clients: usize,
    /// Connections at a time that have not said who they are.
    pub max_waiting: usize,
    /// Sessions of clients that are away.
    pub max_sessions: usize,
    /// How long a session is kept at most.
    pub max_session: Duration,
    /// The longest silence that a client may ask for.
    pub max_keep_alive: Duration,
    /// Bytes of a packet, header included; 1 KiB or more.
    pub max_packet: usize,
    /// Messages waiting for one client.
    pub queue: usize,
    /// Bytes of them.
    pub queue_bytes: usize,
    /// Bytes waiting for all clients together.
    pub backlog: usize,
    /// QoS 1 and 2 messages under way to one client.
    pub window: usize,
    /// QoS 2 messages from one client that are half done.
    pub max_half_done: u16,
    /// Topics with a retained message.
    pub max_retained: usize,
    /// Bytes of retained messages.
    pub retained_bytes: usize,
    /// Subscriptions of one client.
    pub max_subscriptions: usize,
    /// Topic aliases of a connection, each way.
    pub max_aliases: u16,
    /// How often it publishes figures of itself under `$SYS/`; `None`: never.
    pub sys_topics: Option<Duration>,
    /// Whether the CPU time of sending is taken: two readings of a clock for each call that sends.
    pub timed: bool,
}

impl Default for BrokerOptions {
    /// Loopback, port 1883, everybody on this machine.
    fn default() -> Self {
        BrokerOptions {
            listen: SocketAddr::from(([127, 0, 0, 1], DEFAULT_PORT)),
            login: None,
            deny_publish: Vec::new(),
            deny_subscribe: Vec::new(),
            max_clients: 1_000,
            max_waiting: 256,
            max_sessions: 4_000,
            max_session: Duration::from_secs(3600),
            max_keep_alive: Duration::from_secs(u16::MAX as u64),
            max_packet: 64 << 10,
            queue: 4_096,
            queue_bytes: 16 << 20,
            backlog: 256 << 20,
            window: 64,
            max_half_done: 1_024,
            max_retained: 100_000,
            retained_bytes: 64 << 20,
            max_subscriptions: 256,
            max_aliases: 16,
            sys_topics: None,
            timed: false,
        }
    }
}

/// A running broker. Dropping it ends it abruptly, as [`kill`](Broker::kill) does.
pub struct Broker {
    core: Shared,
    sign: Arc<Sign>,
    thread: Mutex<Option<JoinHandle<()>>>,
    local_addr: SocketAddr,
}

impl Broker {
    /// Starts a broker; when this returns, it listens. Its sockets and its thread belong to the network namespace and
    /// the CPUs of the thread that calls this.
    ///
    /// # Errors
    /// Failed when the address cannot be listened on (in use, not of this machine), not permitted for a port below
    /// 1024 without the right to it, failed when the thread cannot be started.
    pub fn start(options: &BrokerOptions) -> Result<Broker> {
        Broker::watched(options, None)
    }

    /// The same, perhaps with somebody who watches who comes and goes. The broker never waits for the watcher.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn watched(options: &BrokerOptions, watcher: Option<Feed<News>>) -> Result<Broker> {
        let listener = listen(options.listen).map_err(|cause| refused(options.listen, cause))?;
        let starting = |cause: io::Error| Error::failed("starting the broker").because(cause);
        let local_addr = listener.local_addr().map_err(starting)?;
        let core = Arc::new(Mutex::new(Core::new(options.clone(), watcher, Instant::now())));
        let sign = Arc::new(Sign::new().map_err(starting)?);
        let server = Server::new(listener, Arc::clone(&core), Arc::clone(&sign), options.timed).map_err(starting)?;
        let thread = thread::Builder::new().name("broker".to_owned()).spawn(|| server.run()).map_err(starting)?;
        Ok(Broker { core, sign, thread: Mutex::new(Some(thread)), local_addr })
    }

    /// Where it listens, with the port that was taken.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// What it has done so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        lock(&self.core).counts()
    }

    /// What has become of each client's messages so far: of those who are there, and of the last who were.
    #[must_use]
    pub fn accounts(&self) -> Vec<Account> {
        lock(&self.core).accounts()
    }

    /// Ends it in order: accepts nobody any more, tells the clients (DISCONNECT *server shutting down*, MQTT 5.0),
    /// waits for them, 2 s at most. Returns the last counts.
    pub fn stop(&self) -> Counts {
        self.end(Wanted::Stop);
        self.counts()
    }

    /// Ends it as a crash would: the connections are closed without a word, no last will is published, all state is
    /// gone.
    pub fn kill(self) {
        self.end(Wanted::Kill);
    }

    fn end(&self, wanted: Wanted) {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(thread) = thread else { return };
        self.sign.give(wanted);
        // Whatever ended it, it is over.
        let _ = thread.join();
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.end(Wanted::Kill);
    }
}

/// A listener. SO_REUSEADDR, so that connections of an earlier broker in TIME_WAIT do not keep the port.
fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

fn refused(address: SocketAddr, cause: io::Error) -> Error {
    let port = address.port();
    match cause.raw_os_error() {
        Some(libc::EADDRINUSE) => {
            Error::failed(format!("TCP port {port} of {} is in use by another program", address.ip()))
                .remedy("Perhaps a broker runs already: use that one, or choose another port with --listen.")
        }
        Some(libc::EADDRNOTAVAIL) => Error::failed(format!("listening on {address}: this machine has no such address")),
        Some(libc::EACCES) => Error::not_permitted(
            format!("listening on TCP port {port}"),
            "Choose a port above 1023, or run it as root.",
        )
        .because(cause),
        _ => Error::failed(format!("listening on {address}")).because(cause),
    }
}
