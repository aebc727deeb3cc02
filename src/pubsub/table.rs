//! The connection table: who is connected, and who has opened a connection and not said who he is.
//!
//! A connection takes a place among the *waiting* until its CONNECT is accepted, then one among the *clients*. Both
//! have a limit. When no place to wait is left, whoever has waited longest loses his: so those who open connections and
//! say nothing, or say it a byte a minute, keep nobody out who speaks at once.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::task::AbortHandle;

/// Stands for one connection; they grow.
pub(super) type Ticket = u64;

/// All connections. The key is the far end's address, which two connections to one listener cannot share.
#[derive(Debug)]
pub(super) struct Table {
    limits: Limits,
    places: HashMap<SocketAddr, Place>,
    /// In the order in which they came.
    waiting: BTreeMap<Ticket, SocketAddr>,
    next: Ticket,
    counts: TableCounts,
}

/// The table, for all who use it.
#[derive(Debug)]
pub(super) struct SharedTable(Mutex<Table>);

/// How many may be in the table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub clients: usize,
    pub waiting: usize,
}

/// What has become of connections so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct TableCounts {
    /// Accepted from the listener.
    pub accepted: u64,
    /// Closed before they said who they are, since others wanted the place.
    pub displaced: u64,
    /// Refused for want of a place among the clients.
    pub turned_away: u64,
}

#[derive(Debug)]
struct Place {
    ticket: Ticket,
    task: Option<AbortHandle>,
}

impl SharedTable {
    pub(super) fn new(limits: Limits) -> SharedTable {
        SharedTable(Mutex::new(Table::new(limits)))
    }

    /// Held for a look or a change, never across a wait.
    pub(super) fn lock(&self) -> MutexGuard<'_, Table> {
        // No change of the table can fail half way.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn new(limits: Limits) -> Table {
        Table { limits, places: HashMap::new(), waiting: BTreeMap::new(), next: 0, counts: TableCounts::default() }
    }

    /// A connection came: it waits. Returns its ticket and, where there was no place, the task to end for it.
    pub(super) fn enter(&mut self, peer: SocketAddr) -> (Ticket, Option<AbortHandle>) {
        self.counts.accepted += 1;
        let displaced = if self.waiting.len() >= self.limits.waiting { self.displace() } else { None };
        let ticket = self.next;
        self.next += 1;
        // An old connection from the same address is over, whether or not its task has said so.
        if let Some(old) = self.places.insert(peer, Place { ticket, task: None }) {
            self.waiting.remove(&old.ticket);
        }
        self.waiting.insert(ticket, peer);
        (ticket, displaced)
    }

    /// Gives whoever has waited longest up; returns the task to end.
    pub(super) fn displace(&mut self) -> Option<AbortHandle> {
        let (_, peer) = self.waiting.pop_first()?;
        self.counts.displaced += 1;
        self.places.remove(&peer)?.task
    }

    /// The task that serves a connection.
    pub(super) fn served_by(&mut self, peer: SocketAddr, ticket: Ticket, task: AbortHandle) {
        if let Some(place) = self.places.get_mut(&peer).filter(|place| place.ticket == ticket) {
            place.task = Some(task);
        }
    }

    /// A connection has said who it is: it becomes a client, unless their table is full (`known`: the client replaces
    /// a connection of its own, so there is a place). False when it does not.
    pub(super) fn admit(&mut self, peer: SocketAddr, known: bool) -> bool {
        let Some(place) = self.places.get(&peer) else { return false };
        if self.clients() >= self.limits.clients && !known {
            self.counts.turned_away += 1;
            return false;
        }
        self.waiting.remove(&place.ticket);
        true
    }

    /// A connection is over.
    pub(super) fn leave(&mut self, peer: SocketAddr, ticket: Ticket) {
        self.waiting.remove(&ticket);
        if self.places.get(&peer).is_some_and(|place| place.ticket == ticket) {
            self.places.remove(&peer);
        }
    }

    /// Connections that have become clients.
    pub(super) fn clients(&self) -> usize {
        self.places.len() - self.waiting.len()
    }

    /// Connections that have not said who they are.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// What has become of connections so far.
    pub(super) fn counts(&self) -> TableCounts {
        self.counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(port: u16) -> SocketAddr {
        ([127, 0, 0, 1], port).into()
    }

    fn table(clients: usize, waiting: usize) -> Table {
        Table::new(Limits { clients, waiting })
    }

    #[test]
    fn a_connection_waits_becomes_a_client_and_leaves() {
        let mut table = table(2, 2);
        let (ticket, _) = table.enter(peer(1));
        assert_eq!((table.clients(), table.waiting()), (0, 1));
        assert!(table.admit(peer(1), false));
        assert_eq!((table.clients(), table.waiting()), (1, 0));
        table.leave(peer(1), ticket);
        assert_eq!((table.clients(), table.waiting()), (0, 0));
    }

    #[test]
    fn the_longest_waiting_makes_room_and_clients_never_do() {
        let mut table = table(2, 2);
        table.enter(peer(1));
        assert!(table.admit(peer(1), false));
        for port in 2..6 {
            table.enter(peer(port));
        }
        assert_eq!((table.clients(), table.waiting()), (1, 2));
        assert_eq!(table.counts(), TableCounts { accepted: 5, displaced: 2, turned_away: 0 });
        assert!(!table.admit(peer(2), false), "it was displaced");
        assert!(table.admit(peer(4), false));
    }

    #[test]
    fn a_full_table_of_clients_turns_new_ones_away_but_not_one_that_returns() {
        let mut table = table(1, 4);
        table.enter(peer(1));
        assert!(table.admit(peer(1), false));
        let (second, _) = table.enter(peer(2));
        assert!(!table.admit(peer(2), false));
        assert_eq!(table.counts().turned_away, 1);
        assert!(table.admit(peer(2), true));
        table.leave(peer(2), second);
        assert_eq!(table.clients(), 1);
    }

    #[test]
    fn a_late_farewell_does_not_touch_the_next_connection_from_that_address() {
        let mut table = table(4, 4);
        let (old, _) = table.enter(peer(1));
        assert!(table.admit(peer(1), false));
        let (new, _) = table.enter(peer(1));
        table.leave(peer(1), old);
        assert_eq!((table.clients(), table.waiting()), (0, 1));
        assert!(table.admit(peer(1), false));
        table.leave(peer(1), new);
        assert_eq!((table.clients(), table.waiting()), (0, 0));
    }
}
