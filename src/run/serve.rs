//! What a host with the role server does: it runs the chat server, or the broker, in its own process.

use std::net::SocketAddr;
use std::sync::Mutex;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::chat::options::{Relay, ServerOptions};
use crate::chat::server::Server;
use crate::error::Result;
use crate::pubsub::broker::{Broker, BrokerOptions};

/// What to serve.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Serve {
    /// Where.
    pub listen: SocketAddr,
    /// What.
    pub service: Service,
    /// When it dies without a word, from the start of the window; `None`: it doesn't.
    pub dies_at: Option<Duration>,
}

/// One of the services.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Service {
    /// A chat server.
    Chat(Relay),
    /// An MQTT broker.
    Broker,
}

/// What a server had to do, `None` where it does not count that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServeReport {
    /// Connections accepted since it was started.
    pub accepts: u64,
    /// Clients connected when the window opened.
    pub clients: u64,
    /// Threads that served one of them then.
    pub threads: Option<u64>,
    /// Clients dropped for being slow.
    pub dropped: Option<u64>,
    /// CPU time that accepting took during the window, in ns.
    pub accept_cpu_ns: Option<u64>,
    /// CPU time that handing copies to the kernel took during the window, in ns.
    #[serde(default)]
    pub cpu_send_ns: Option<u64>,
}

/// A server at work. Dropping it ends it.
pub(super) struct Serving {
    server: Mutex<Option<Running>>,
    begun: Mutex<Numbers>,
    ended: Mutex<Option<Numbers>>,
}

enum Running {
    Chat(Server),
    Broker(Broker),
}

/// What it has counted at one moment.
#[derive(Clone, Copy, Default)]
struct Numbers {
    accepts: u64,
    clients: u64,
    threads: Option<u64>,
    dropped: Option<u64>,
    accept_cpu_ns: Option<u64>,
    cpu_send_ns: Option<u64>,
}

impl Serving {
    /// Starts it; it listens when this returns.
    ///
    /// # Errors
    /// As [`Server::start`] and [`Broker::start`].
    pub(super) fn start(serve: &Serve) -> Result<Serving> {
        let running = match serve.service {
            Service::Chat(relay) => Running::Chat(Server::start(&ServerOptions {
                listen: serve.listen,
                relay,
                timed: true,
                ..ServerOptions::default()
            })?),
            Service::Broker => {
                let options = BrokerOptions { listen: serve.listen, timed: true, ..BrokerOptions::default() };
                Running::Broker(Broker::start(&options)?)
            }
        };
        Ok(Serving { server: Mutex::new(Some(running)), begun: Mutex::default(), ended: Mutex::default() })
    }

    /// The window opens.
    pub(super) fn begin(&self) {
        if let Some(numbers) = self.numbers() {
            *lock(&self.begun) = numbers;
        }
    }

    /// It dies as by a crash: connections end without a word.
    pub(super) fn die(&self) {
        let numbers = self.numbers();
        match lock(&self.server).take() {
            Some(Running::Chat(server)) => {
                server.kill();
            }
            Some(Running::Broker(broker)) => broker.kill(),
            None => return,
        }
        *lock(&self.ended) = numbers;
    }

    /// What it had to do since the window opened.
    pub(super) fn report(&self) -> ServeReport {
        let begun = *lock(&self.begun);
        let ended = lock(&self.ended).or_else(|| self.numbers()).unwrap_or_default();
        let grown = |of: fn(&Numbers) -> Option<u64>| of(&ended)?.checked_sub(of(&begun)?);
        ServeReport {
            accepts: ended.accepts,
            clients: begun.clients,
            threads: begun.threads,
            dropped: ended.dropped,
            accept_cpu_ns: grown(|numbers| numbers.accept_cpu_ns),
            cpu_send_ns: grown(|numbers| numbers.cpu_send_ns),
        }
    }

    /// `None` once it has died.
    fn numbers(&self) -> Option<Numbers> {
        Some(match lock(&self.server).as_ref()? {
            Running::Chat(server) => {
                let counts = server.counts();
                Numbers {
                    accepts: counts.connections_accepted,
                    clients: counts.clients_now,
                    threads: Some(counts.client_threads_now),
                    dropped: Some(counts.clients_dropped_slow),
                    accept_cpu_ns: Some(counts.accept_cpu_ns),
                    cpu_send_ns: counts.relay_cpu_ns,
                }
            }
            Running::Broker(broker) => {
                let counts = broker.counts();
                let (accepts, clients) = (counts.connections_accepted, counts.clients);
                Numbers { accepts, clients, cpu_send_ns: counts.send_cpu_ns, ..Numbers::default() }
            }
        })
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.die();
    }
}

/// What one thread left behind when it panicked is as good as it ever was: numbers.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
