//! The broker's accept loop and its upkeep, around the protocol engine of the crate `mqtt5`.
//!
//! The crate has an accept loop of its own. It counts only those who have sent a CONNECT, so connections that say
//! nothing are without limit, and it spins when the process is out of descriptors. Hence this one; from CONNECT on the
//! crate's handler serves the connection.

use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::Arc;
use std::time::Duration;

use mqtt5::broker::auth::AuthProvider;
use mqtt5::broker::client_handler::ClientHandler;
use mqtt5::broker::config::{BrokerConfig, StorageConfig};
use mqtt5::broker::resource_monitor::{ResourceLimits, ResourceMonitor};
use mqtt5::broker::router::MessageRouter;
use mqtt5::broker::storage::{DynamicStorage, MemoryBackend, QueueLimits, StorageBackend};
use mqtt5::broker::sys_topics::{BrokerStats, SysTopicsProvider};
use mqtt5::broker::transport::BrokerTransport;
use mqtt5::error::MqttError;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{broadcast, mpsc};

use super::access::Access;
use super::broker::BrokerOptions;
use super::news::{Gone, News};
use super::outlet::{Backlogs, Outlet, Room};
use super::table::{Limits, SharedTable, Ticket};
use crate::feed::Feed;

/// Between two looks for what has expired.
const UPKEEP: Duration = Duration::from_secs(60);
/// Before the next accept after one failed and there was nobody to displace.
const BREATH: Duration = Duration::from_millis(50);
/// How long the peer's kernel may leave data unacknowledged, a full window included, before the connection is given up.
const PEER_STALLS: Duration = Duration::from_secs(30);
/// QoS 1 and 2 messages for one client under way at a time.
const OUTBOUND_WINDOW: u16 = 64;
/// QoS 2 messages of one client that may be half done.
const INBOUND_WINDOW: u16 = 1024;
/// How long a session may outlive its connection, at most.
const SESSION_EXPIRY: Duration = Duration::from_secs(3600);
/// Filters of one client.
const MAX_SUBSCRIPTIONS: usize = 256;
/// Bytes that wait for one client: QoS 0 at its socket, QoS 1 and 2 in its session; and on the way to either.
const QUEUED_BYTES: usize = 16 << 20;
/// Messages on the way from the router to one client's handler that there is room for at least, however long.
const ON_THE_WAY: usize = 16;
/// Sessions of clients that are away, for every client that may be connected.
const SESSIONS_PER_CLIENT: usize = 4;

/// A day: the rarest that the broker tells of itself.
const RAREST: Duration = Duration::from_secs(86_400);

/// What all connections share.
pub(super) struct Server {
    config: Arc<BrokerConfig>,
    router: Arc<MessageRouter>,
    storage: Arc<DynamicStorage>,
    monitor: Arc<ResourceMonitor>,
    pub(super) stats: Arc<BrokerStats>,
    pub(super) access: Arc<Access>,
    pub(super) table: Arc<SharedTable>,
    pub(super) backlogs: Arc<Backlogs>,
    room: Room,
    shutdown: broadcast::Sender<()>,
}

impl Server {
    /// A broker's state with these options, nothing of it on disk.
    pub(super) fn new(options: &BrokerOptions, watcher: Option<Feed<News>>) -> Server {
        let queues = QueueLimits { max_messages: options.queue, max_bytes: QUEUED_BYTES };
        let storage = Arc::new(DynamicStorage::Memory(MemoryBackend::with_queue_limits(queues)));
        let router = MessageRouter::with_storage(Arc::clone(&storage))
            .with_retained_limits(options.max_retained, options.max_packet);
        let router = Arc::new(router);
        let limits = Limits { clients: options.max_clients, waiting: options.max_waiting };
        let table = Arc::new(SharedTable::new(limits, watcher));
        let max_sessions = options.max_clients.saturating_mul(SESSIONS_PER_CLIENT);
        let access = Access::new(
            options.login.clone(),
            max_sessions,
            Arc::clone(&table),
            Arc::clone(&router),
            Arc::clone(&storage),
        );
        Server {
            config: Arc::new(config(options)),
            router,
            storage,
            monitor: Arc::new(ResourceMonitor::new(unlimited())),
            stats: Arc::new(BrokerStats::new()),
            access: Arc::new(access),
            table,
            backlogs: Arc::new(Backlogs::new(options.backlog)),
            room: Room { messages: options.queue, bytes: QUEUED_BYTES },
            shutdown: broadcast::channel(1).0,
        }
    }

    /// Accepts and serves until `stop` says so, then tells the clients and waits for them.
    pub(super) async fn run(self: Arc<Self>, listener: TcpListener, mut stop: mpsc::Receiver<()>) {
        let upkeep = tokio::spawn(Arc::clone(&self).keep_up());
        let sys_topics = self.config.sys_topics_enabled.then(|| {
            let provider = SysTopicsProvider::new(Arc::clone(&self.router), Arc::clone(&self.stats));
            provider.with_update_interval(self.config.sys_topics_interval).start()
        });
        // Closed when the last connection's task has dropped its end.
        let (open, mut closed) = mpsc::channel::<()>(1);
        loop {
            tokio::select! {
                accepted = listener.accept() => self.accepted(accepted, &open).await,
                _ = stop.recv() => break,
            }
        }
        drop(listener);
        drop(open);
        self.table.lock().unwatch();
        upkeep.abort();
        if let Some(task) = sys_topics {
            task.abort();
        }
        let _ = self.shutdown.send(());
        let _ = closed.recv().await;
    }

    async fn accepted(self: &Arc<Self>, accepted: io::Result<(TcpStream, SocketAddr)>, open: &mpsc::Sender<()>) {
        let errno = match accepted {
            Ok((stream, peer)) => return self.serve(stream, peer, open.clone()),
            Err(cause) => cause.raw_os_error(),
        };
        let displaced = match errno {
            // Somebody who only waits has to go.
            Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM) => self.table.lock().displace(),
            // The connection was over before it was accepted (accept(2)).
            Some(libc::ECONNABORTED) => return,
            _ => None,
        };
        match displaced {
            Some(task) => {
                task.abort();
                tokio::task::yield_now().await;
            }
            None => tokio::time::sleep(BREATH).await,
        }
    }

    fn serve(self: &Arc<Self>, stream: TcpStream, peer: SocketAddr, open: mpsc::Sender<()>) {
        let _ = stream.set_nodelay(true);
        let _ = socket2::SockRef::from(&stream).set_tcp_user_timeout(Some(PEER_STALLS));
        let (ticket, displaced) = self.table.lock().enter(peer);
        if let Some(task) = displaced {
            task.abort();
        }
        let provider: Arc<dyn AuthProvider> = Arc::<Access>::clone(&self.access);
        let handler = ClientHandler::new(
            BrokerTransport::WebSocket(Box::new(Outlet::new(stream, self.room, Arc::clone(&self.backlogs)))),
            peer,
            Arc::clone(&self.config),
            Arc::clone(&self.router),
            provider,
            Some(Arc::clone(&self.storage)),
            Arc::clone(&self.stats),
            Arc::clone(&self.monitor),
            self.shutdown.subscribe(),
        );
        let place = Occupied { table: Arc::clone(&self.table), peer, ticket, why: None };
        let task = tokio::spawn(async move {
            // Dropped in this order when the connection is over, in whatever way: the place, then the sign.
            let _open = open;
            let mut place = place;
            // What went wrong with one connection is that client's affair, who has been told by the protocol.
            place.why = match handler.run().await {
                // Told when it was refused.
                Err(MqttError::AuthenticationFailed) => None,
                ended => Some(Gone::of(&ended)),
            };
        });
        self.table.lock().served_by(peer, ticket, task.abort_handle());
    }

    /// Drops what has expired, now and then.
    async fn keep_up(self: Arc<Self>) {
        let mut upkeep = tokio::time::interval(UPKEEP);
        loop {
            upkeep.tick().await;
            // In memory there is nothing that can fail.
            let _ = self.storage.cleanup_expired().await;
            self.router.sweep_sessions().await;
        }
    }
}

/// A listener of the standard library's as one of the runtime's, whose context this needs.
pub(super) fn adopt(listener: StdListener) -> io::Result<TcpListener> {
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

/// A place in the table, given up when it is dropped.
struct Occupied {
    table: Arc<SharedTable>,
    peer: SocketAddr,
    ticket: Ticket,
    /// Why it is over, where that is to be told.
    why: Option<Gone>,
}

impl Drop for Occupied {
    fn drop(&mut self) {
        self.table.lock().leave(self.peer, self.ticket, self.why.take());
    }
}

/// What the protocol engine is to allow. Its defaults are open to the world and write to disk, so all that matters here
/// is named.
fn config(options: &BrokerOptions) -> BrokerConfig {
    let mut config = BrokerConfig::default()
        .with_max_clients(options.max_clients)
        .with_max_packet_size(options.max_packet)
        .with_session_expiry(SESSION_EXPIRY)
        .with_max_subscriptions_per_client(MAX_SUBSCRIPTIONS)
        .with_max_retained_messages(options.max_retained)
        .with_max_retained_message_size(options.max_packet)
        .with_client_channel_capacity((QUEUED_BYTES / options.max_packet.max(1)).max(ON_THE_WAY).min(options.queue))
        .with_max_outbound_inflight(OUTBOUND_WINDOW)
        .with_server_receive_maximum(INBOUND_WINDOW)
        .with_storage(StorageConfig::default().with_persistence(false))
        .with_sys_topics_enabled(options.sys_topics.is_some())
        .with_sys_topics_interval(options.sys_topics.unwrap_or_default().min(RAREST));
    // Each alias is a topic that the broker remembers for a connection.
    config.topic_alias_maximum = 16;
    config
}

/// The crate's own counting of connections is not asked: the table does that.
fn unlimited() -> ResourceLimits {
    ResourceLimits {
        max_connections: usize::MAX,
        max_connections_per_ip: usize::MAX,
        max_message_rate_per_client: 0,
        max_bandwidth_per_client: 0,
        max_connection_rate: u32::MAX,
        rate_limit_window: Duration::from_secs(1),
    }
}
