//! A broker inside this program: MQTT 3.1.1 and 5.0 over TCP, all state in memory.
//!
//! Everything a client can make it hold has a limit. What sessions hold has one for each client and none for all of them:
//! who lets in strangers lowers [`BrokerOptions::max_clients`].
//!
//! | what | limit |
//! |---|---|
//! | connections that have not said who they are | [`BrokerOptions::max_waiting`]; the oldest makes room; 10 s each |
//! | clients | [`BrokerOptions::max_clients`]; the next is told *server busy* |
//! | a packet | [`BrokerOptions::max_packet`]; who sends a longer one is disconnected |
//! | what waits for a slow reader: QoS 0 | [`BrokerOptions::queue`] messages and 16 MiB; then it is dropped |
//! | the same for all clients together | [`BrokerOptions::backlog`], and a packet each that is begun |
//! | what waits for a slow reader: QoS 1 and 2 | 64 under way, 16 MiB on the way to them, and then as for one who is away |
//! | time in which a client reads nothing of what is sent | 30 s; then it is disconnected |
//! | messages for a client that is away with a session | [`BrokerOptions::queue`] and 16 MiB; the oldest are dropped |
//! | messages of QoS 2 from a client that are half done | 1,024 |
//! | time for which a session is kept | an hour |
//! | sessions of clients that are away | four times [`BrokerOptions::max_clients`] |
//! | retained messages | [`BrokerOptions::max_retained`] |
//! | subscriptions of a client | 256 |

use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;

use super::news::News;
use super::secret::Login;
use super::server::{Server, adopt};
use crate::error::{Error, Result};
use crate::feed::Feed;

/// The TCP port of MQTT (IANA).
pub const DEFAULT_PORT: u16 = 1883;
/// Connections that the kernel may hold for the broker to accept.
const BACKLOG: i32 = 1024;
/// How long clients have to go when the broker stops in order.
const FAREWELL: Duration = Duration::from_secs(2);
/// How long the runtime has to end its threads.
const THREADS_END: Duration = Duration::from_secs(2);

/// What a broker is to be like.
#[derive(Clone, Debug)]
pub struct BrokerOptions {
    /// Where it listens; port 0 takes a free one, see [`Broker::local_addr`].
    pub listen: SocketAddr,
    /// The one user it admits; `None`: everybody.
    pub login: Option<Login>,
    /// Clients at a time.
    pub max_clients: usize,
    /// Connections at a time that have not said who they are.
    pub max_waiting: usize,
    /// Bytes of a packet, header included; 1 KiB or more.
    pub max_packet: usize,
    /// Messages waiting for one client.
    pub queue: usize,
    /// Bytes waiting at the sockets of all clients together.
    pub backlog: usize,
    /// Topics with a retained message.
    pub max_retained: usize,
    /// How often it publishes figures of itself under `$SYS/`; `None`: never.
    pub sys_topics: Option<Duration>,
    /// Threads that serve clients.
    pub threads: usize,
}

impl Default for BrokerOptions {
    /// Loopback, port 1883, everybody on this machine.
    fn default() -> Self {
        BrokerOptions {
            listen: SocketAddr::from(([127, 0, 0, 1], DEFAULT_PORT)),
            login: None,
            max_clients: 1_000,
            max_waiting: 256,
            max_packet: 64 << 10,
            queue: 4_096,
            backlog: 256 << 20,
            max_retained: 1_000,
            sys_topics: None,
            threads: 1,
        }
    }
}

/// What a broker has done so far, and who is there now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Connections accepted from the listener.
    pub connections_accepted: u64,
    /// Connections closed before they had said who they are, to make room for others.
    pub connections_displaced: u64,
    /// Connections now that have not said who they are.
    pub connections_waiting: u64,
    /// Clients now.
    pub clients: u64,
    /// Clients that were admitted, each connection counted.
    pub clients_admitted: u64,
    /// Clients refused for a wrong user or password.
    pub clients_refused: u64,
    /// Clients turned away because the table was full.
    pub clients_turned_away: u64,
    /// Messages from publishers (PUBLISH packets received).
    pub messages_received: u64,
    /// Copies to subscribers (PUBLISH packets that the kernel has).
    pub messages_sent: u64,
    /// Copies of QoS 0 that were dropped, since too much waited for their subscriber.
    pub messages_dropped: u64,
    /// Bytes of payload in the messages received.
    pub payload_received: u64,
    /// Bytes of payload in the copies sent.
    pub payload_sent: u64,
}

/// A running broker. Dropping it ends it abruptly, as [`kill`](Broker::kill) does.
pub struct Broker {
    server: Arc<Server>,
    runtime: Option<Runtime>,
    stop: mpsc::Sender<()>,
    running: Option<tokio::task::JoinHandle<()>>,
    local_addr: SocketAddr,
}

impl Broker {
    /// Starts a broker; when this returns, it listens. Its sockets and threads belong to the network namespace and the
    /// CPUs of the thread that calls this.
    ///
    /// # Errors
    /// Failed when the address cannot be listened on (in use, not of this machine), not permitted for a port below
    /// 1024 without the right to it, failed when the threads cannot be started.
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
        let runtime = Builder::new_multi_thread()
            .worker_threads(options.threads.max(1))
            .thread_name("broker")
            .enable_io()
            .enable_time()
            .build()
            .map_err(starting)?;
        let server = Arc::new(Server::new(options, watcher));
        let listener = {
            let _context = runtime.enter();
            adopt(listener).map_err(starting)?
        };
        let (stop, stopped) = mpsc::channel(1);
        let running = runtime.spawn(Arc::clone(&server).run(listener, stopped));
        Ok(Broker { server, runtime: Some(runtime), stop, running: Some(running), local_addr })
    }

    /// Where it listens, with the port that was taken.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// What it has done so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let (table, clients, waiting) = {
            let table = self.server.table.lock();
            (table.counts(), table.clients(), table.waiting())
        };
        let stats = &self.server.stats;
        // The engine counts what it hands on.
        let (unsent, unsent_payload) = self.server.backlogs.unsent();
        Counts {
            connections_accepted: table.accepted,
            connections_displaced: table.displaced,
            connections_waiting: waiting as u64,
            clients: clients as u64,
            clients_admitted: stats.clients_total.load(Ordering::Relaxed),
            clients_refused: self.server.access.refused(),
            clients_turned_away: table.turned_away,
            messages_received: stats.publish_received.load(Ordering::Relaxed),
            messages_sent: stats.publish_sent.load(Ordering::Relaxed).saturating_sub(unsent),
            messages_dropped: self.server.backlogs.dropped(),
            payload_received: stats.bytes_received.load(Ordering::Relaxed),
            payload_sent: stats.bytes_sent.load(Ordering::Relaxed).saturating_sub(unsent_payload),
        }
    }

    /// Ends it in order: accepts nobody any more, tells the clients (DISCONNECT *server shutting down*, MQTT 5.0),
    /// waits for them, 2 s at most. Returns the last counts.
    pub fn stop(mut self) -> Counts {
        let _ = self.stop.try_send(());
        if let (Some(runtime), Some(running)) = (&self.runtime, self.running.take()) {
            let _ = runtime.block_on(async { tokio::time::timeout(FAREWELL, running).await });
        }
        let counts = self.counts();
        self.end();
        counts
    }

    /// Ends it as a crash would: the connections are closed without a word, no last will is published, all state is
    /// gone.
    pub fn kill(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.server.table.lock().unwatch();
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(THREADS_END);
        }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.end();
    }
}

/// A listener. SO_REUSEADDR, so that connections of an earlier broker in TIME_WAIT do not keep the port.
fn listen(address: SocketAddr) -> io::Result<StdListener> {
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
