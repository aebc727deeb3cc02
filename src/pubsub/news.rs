//! What a broker tells whoever [watches](super::broker::Broker::watched) it. Nothing of it is told when all go since the
//! broker stops.

use std::net::SocketAddr;

/// The longest identifier that is told, in characters.
const LONGEST: usize = 64;

/// Somebody came, went or was not let in. Identifiers are as clients gave them, control characters and all, cut to 64
/// characters; `clients` is how many are there then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// A client has come.
    Came {
        /// Its identifier.
        client: String,
        /// Where it is.
        peer: SocketAddr,
        /// How many there are now.
        clients: usize,
    },
    /// A client has gone.
    Left {
        /// Its identifier.
        client: String,
        /// Why.
        why: Gone,
        /// How many there are now.
        clients: usize,
    },
    /// A client was not let in.
    TurnedAway {
        /// Its identifier.
        client: String,
        /// Where it was.
        peer: SocketAddr,
        /// Why.
        why: Refused,
    },
    /// A connection has ended before it had said who it is.
    NeverCame {
        /// Where it was.
        peer: SocketAddr,
        /// Why.
        why: Gone,
    },
}

/// Why a client is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Gone {
    /// It took leave.
    Leave,
    /// It closed its connection.
    Closed,
    /// Another connection came under its identifier.
    TakenOver,
    /// Nothing was heard of it, or it took nothing, for too long.
    Silent,
    /// Its connection broke.
    Lost,
    /// It had not said who it is, and others wanted its place.
    Displaced,
    /// What it sent is not allowed: what it was, as a noun.
    Wrong(String),
}

/// Why a client was not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// User or password.
    Login,
    /// No place left among the clients.
    Full,
    /// No place left for a session.
    Sessions,
}

/// As much of it as is told.
pub(super) fn cut(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_is_longer_than_a_line() {
        assert_eq!(cut("ann"), "ann");
        assert_eq!(cut(&"ž".repeat(64)), "ž".repeat(64));
        assert_eq!(cut(&"ž".repeat(65)), "ž".repeat(64) + "…");
    }
}
