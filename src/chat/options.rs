//! What may be set of a chat server.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::wire::chat::DEFAULT_PORT;

/// How a message gets from the thread that read it to the clients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Relay {
    /// The reading thread writes it to every socket, one after the other: a client that does not read stalls all.
    Direct,
    /// The reading thread hands it to every socket that takes it at once; for the others it waits in a queue of their
    /// own. Who says more than others take waits; but nobody waits for a slow client, and one whose queue overflows is
    /// told and dropped.
    #[default]
    Queued,
}

impl Relay {
    /// Both of them.
    pub const ALL: [Relay; 2] = [Relay::Direct, Relay::Queued];

    /// The spelling used in files and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Relay::Direct => "direct",
            Relay::Queued => "queued",
        }
    }
}

impl fmt::Display for Relay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Relay {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Relay::ALL.into_iter().find(|relay| relay.as_str() == text);
        found.ok_or_else(|| format!("unknown relay '{text}'; there are direct and queued"))
    }
}

/// Everything that may be set of a server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServerOptions {
    /// Where it listens; port 0 is any free one.
    pub listen: SocketAddr,
    /// How messages get to the clients.
    pub relay: Relay,
    /// Most connections at a time, joined or not. Fewer where the process may not open as many files.
    pub max_clients: usize,
    /// Most connections at a time from one address other than loopback; `None`: no such limit.
    pub max_per_address: Option<usize>,
    /// Messages a second that are read from each client, in the long run: who says more waits. A long one counts as one
    /// for each 128 bytes. `None`: no such limit.
    pub messages_per_second: Option<f64>,
    /// What may wait for a client in its queue, in bytes, beside what the kernel has for it.
    pub queue_bytes: usize,
    /// How long a connection may take until it has joined.
    pub join_within: Duration,
    /// How long a client's host may be silent (what was sent is not acknowledged, probes are not answered) until its
    /// connection counts as lost; at least 1 s. With [`Relay::Direct`] only probes of idle connections count, and a
    /// client that keeps its window shut stalls the others for ever.
    pub dead_after: Duration,
    /// How long the last lines to a client may take, and so the end of the server.
    pub grace: Duration,
    /// Whether the CPU time of relaying is taken: two readings of a clock for each message.
    pub timed: bool,
}

impl Default for ServerOptions {
    fn default() -> Self {
        ServerOptions {
            listen: (Ipv4Addr::LOCALHOST, DEFAULT_PORT).into(),
            relay: Relay::default(),
            max_clients: 4096,
            max_per_address: None,
            messages_per_second: None,
            queue_bytes: 256 << 10,
            join_within: Duration::from_secs(10),
            dead_after: Duration::from_secs(30),
            grace: Duration::from_secs(3),
            timed: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relays_are_spelled_as_they_are_read() {
        for relay in Relay::ALL {
            assert_eq!(relay.as_str().parse(), Ok(relay));
            assert_eq!(serde_json::to_value(relay).unwrap(), relay.as_str());
        }
        assert!("shared".parse::<Relay>().unwrap_err().contains("queued"));
    }

    #[test]
    fn a_server_stays_at_home_unless_told_otherwise() {
        assert!(ServerOptions::default().listen.ip().is_loopback());
    }
}
