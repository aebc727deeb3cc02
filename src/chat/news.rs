//! What a server tells whoever [watches](super::server::Server::watched) it.

use std::net::SocketAddr;

use crate::wire::chat::Refusal;

/// Somebody came, went, or has another name. `clients` is how many are there then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// A client has joined.
    Joined {
        /// Its name.
        name: String,
        /// Where it is; an IPv4 address mapped into IPv6 is the IPv4 address.
        peer: SocketAddr,
        /// How many there are now.
        clients: u64,
    },
    /// A client has another name.
    Renamed {
        /// The one before.
        old: String,
        /// The one from now on.
        new: String,
        /// How many there are.
        clients: u64,
    },
    /// A client has gone; not told when all go since the server stops.
    Left {
        /// Its name.
        name: String,
        /// Why.
        why: Gone,
        /// How many there are now.
        clients: u64,
    },
    /// A connection has ended before it had joined; not told when all go since the server stops.
    NeverJoined {
        /// Where it was.
        peer: SocketAddr,
        /// Why.
        why: Gone,
    },
    /// A connection was turned away at once.
    TurnedAway {
        /// Where it was.
        peer: SocketAddr,
        /// What it was told.
        why: Refusal,
    },
}

/// Why a client is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gone {
    /// It took leave.
    Leave,
    /// It closed its stream.
    Closed,
    /// Its connection broke or went silent.
    Lost,
    /// It was dropped, since it read too slowly.
    Slow,
    /// It did not join in time.
    TooLate,
}

impl Gone {
    /// The word by which the protocol tells the others.
    pub(super) fn reason(self) -> &'static str {
        match self {
            Gone::Leave => "leave",
            Gone::Closed => "closed",
            Gone::Lost | Gone::TooLate => "lost",
            Gone::Slow => "slow",
        }
    }
}
