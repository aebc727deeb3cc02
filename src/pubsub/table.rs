//! The connection table: who is connected, and who has opened a connection and not said who he is.
//!
//! A connection takes a place among the *waiting* until its CONNECT is accepted, then one among the *clients*. Both
//! have a limit. When no place to wait is left, whoever has waited longest loses his: so those who open connections and
//! say nothing, or say it a byte a minute, keep nobody out who speaks at once.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::task::AbortHandle;

use super::news::{Gone, News, Refused, cut};
use crate::feed::{self, Feed};

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
    /// Told of each change, in their order.
    watcher: Option<Feed<News>>,
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
    /// Who it is, once it has become a client; told alone.
    client: String,
    taken_over: bool,
}

impl SharedTable {
    pub(super) fn new(limits: Limits, watcher: Option<Feed<News>>) -> SharedTable {
        SharedTable(Mutex::new(Table::new(limits, watcher)))
    }

    /// Held for a look or a change, never across a wait.
    pub(super) fn lock(&self) -> MutexGuard<'_, Table> {
        // No change of the table can fail half way.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn new(limits: Limits, watcher: Option<Feed<News>>) -> Table {
        let (places, waiting, counts) = (HashMap::new(), BTreeMap::new(), TableCounts::default());
        Table { limits, places, waiting, next: 0, counts, watcher }
    }

    /// A connection came: it waits. Returns its ticket and, where there was no place, the task to end for it.
    pub(super) fn enter(&mut self, peer: SocketAddr) -> (Ticket, Option<AbortHandle>) {
        self.counts.accepted += 1;
        let displaced = if self.waiting.len() >= self.limits.waiting { self.displace() } else { None };
        let ticket = self.next;
        self.next += 1;
        // An old connection from the same address is over, whether or not its task has said so.
        let place = Place { ticket, task: None, client: String::new(), taken_over: false };
        if let Some(old) = self.places.insert(peer, place) {
            self.waiting.remove(&old.ticket);
        }
        self.waiting.insert(ticket, peer);
        (ticket, displaced)
    }

    /// Gives whoever has waited longest up; returns the task to end.
    pub(super) fn displace(&mut self) -> Option<AbortHandle> {
        let (_, peer) = self.waiting.pop_first()?;
        self.counts.displaced += 1;
        let place = self.places.remove(&peer)?;
        self.tell(|| News::NeverCame { peer, why: Gone::Displaced });
        place.task
    }

    /// The task that serves a connection.
    pub(super) fn served_by(&mut self, peer: SocketAddr, ticket: Ticket, task: AbortHandle) {
        if let Some(place) = self.places.get_mut(&peer).filter(|place| place.ticket == ticket) {
            place.task = Some(task);
        }
    }

    /// A connection has said who it is: it becomes a client, unless their table is full (`known`: the client replaces
    /// a connection of its own, so there is a place). False when it does not.
    pub(super) fn admit(&mut self, peer: SocketAddr, client: &str, known: bool) -> bool {
        let full = self.clients() >= self.limits.clients;
        let Some(place) = self.places.get_mut(&peer) else { return false };
        if full && !known {
            self.counts.turned_away += 1;
            self.turned_away(peer, client, Refused::Full);
            return false;
        }
        self.waiting.remove(&place.ticket);
        if self.watcher.is_some() {
            let client = cut(client);
            place.client.clone_from(&client);
            if known {
                let others = self.places.iter_mut().filter(|(other, place)| **other != peer && place.client == client);
                others.for_each(|(_, place)| place.taken_over = true);
            }
            let clients = self.clients();
            self.tell(|| News::Came { client, peer, clients });
        }
        true
    }

    /// Tells of a client that is not let in.
    pub(super) fn turned_away(&self, peer: SocketAddr, client: &str, why: Refused) {
        self.tell(|| News::TurnedAway { client: cut(client), peer, why });
    }

    /// A connection is over; `why`, unless that has been told.
    pub(super) fn leave(&mut self, peer: SocketAddr, ticket: Ticket, why: Option<Gone>) {
        let waited = self.waiting.remove(&ticket).is_some();
        if self.places.get(&peer).is_none_or(|place| place.ticket != ticket) {
            return;
        }
        let Some(place) = self.places.remove(&peer) else { return };
        let Some(why) = why else { return };
        if waited {
            self.tell(|| News::NeverCame { peer, why });
        } else {
            let why = if place.taken_over && why == Gone::Closed { Gone::TakenOver } else { why };
            let clients = self.clients();
            self.tell(|| News::Left { client: place.client, why, clients });
        }
    }

    /// Nothing is told any more.
    pub(super) fn unwatch(&mut self) {
        self.watcher = None;
    }

    fn tell(&self, news: impl FnOnce() -> News) {
        feed::tell(self.watcher.as_ref(), news);
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
        Table::new(Limits { clients, waiting }, None)
    }

    #[test]
    fn a_connection_waits_becomes_a_client_and_leaves() {
        let mut table = table(2, 2);
        let (ticket, _) = table.enter(peer(1));
        assert_eq!((table.clients(), table.waiting()), (0, 1));
        assert!(table.admit(peer(1), "ann", false));
        assert_eq!((table.clients(), table.waiting()), (1, 0));
        table.leave(peer(1), ticket, None);
        assert_eq!((table.clients(), table.waiting()), (0, 0));
    }

    #[test]
    fn the_longest_waiting_makes_room_and_clients_never_do() {
        let mut table = table(2, 2);
        table.enter(peer(1));
        assert!(table.admit(peer(1), "ann", false));
        for port in 2..6 {
            table.enter(peer(port));
        }
        assert_eq!((table.clients(), table.waiting()), (1, 2));
        assert_eq!(table.counts(), TableCounts { accepted: 5, displaced: 2, turned_away: 0 });
        assert!(!table.admit(peer(2), "ann", false), "it was displaced");
        assert!(table.admit(peer(4), "ann", false));
    }

    #[test]
    fn a_full_table_of_clients_turns_new_ones_away_but_not_one_that_returns() {
        let mut table = table(1, 4);
        table.enter(peer(1));
        assert!(table.admit(peer(1), "ann", false));
        let (second, _) = table.enter(peer(2));
        assert!(!table.admit(peer(2), "ann", false));
        assert_eq!(table.counts().turned_away, 1);
        assert!(table.admit(peer(2), "ann", true));
        table.leave(peer(2), second, None);
        assert_eq!(table.clients(), 1);
    }

    #[test]
    fn a_late_farewell_does_not_touch_the_next_connection_from_that_address() {
        let mut table = table(4, 4);
        let (old, _) = table.enter(peer(1));
        assert!(table.admit(peer(1), "ann", false));
        let (new, _) = table.enter(peer(1));
        table.leave(peer(1), old, None);
        assert_eq!((table.clients(), table.waiting()), (0, 1));
        assert!(table.admit(peer(1), "ann", false));
        table.leave(peer(1), new, None);
        assert_eq!((table.clients(), table.waiting()), (0, 0));
    }

    #[test]
    fn who_watches_is_told_in_order() {
        let (feed, reader) = crate::feed::feed(16);
        let mut table = Table::new(Limits { clients: 1, waiting: 1 }, Some(feed));
        let (first, _) = table.enter(peer(1));
        assert!(table.admit(peer(1), "ann", false));
        table.enter(peer(2));
        assert!(!table.admit(peer(2), "bob", false));
        let (third, _) = table.enter(peer(3));
        assert!(table.admit(peer(3), "ann", true));
        table.leave(peer(1), first, Some(Gone::Closed));
        table.leave(peer(3), third, Some(Gone::Leave));
        table.unwatch();
        let ann = || "ann".to_owned();
        let told: Vec<_> = reader.collect();
        let expected = [
            News::Came { client: ann(), peer: peer(1), clients: 1 },
            News::TurnedAway { client: "bob".to_owned(), peer: peer(2), why: Refused::Full },
            News::NeverCame { peer: peer(2), why: Gone::Displaced },
            News::Came { client: ann(), peer: peer(3), clients: 2 },
            News::Left { client: ann(), why: Gone::TakenOver, clients: 1 },
            News::Left { client: ann(), why: Gone::Leave, clients: 0 },
        ];
        assert_eq!(told, expected.map(crate::feed::Told::Event));
    }
}
