//! What a broker has done, message by message: each copy that was due has been delivered, waits, or was dropped for a
//! reason that is counted.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::slab::{Key, Slab};

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
    /// Clients turned away for want of a place.
    pub clients_turned_away: u64,
    /// Last wills published.
    pub wills_published: u64,
    /// Topics with a retained message now.
    pub retained: u64,
    /// Messages that were to be retained, and there was no room; who subscribed then has got them.
    pub retained_refused: u64,
    /// CPU time of the calls that send, in ns, without what the clock costs; `None` where it is not taken
    /// ([`BrokerOptions::timed`](super::BrokerOptions::timed)).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub send_cpu_ns: Option<u64>,
    /// What has become of all messages.
    #[serde(flatten)]
    pub messages: Tally,
}

/// What has become of messages: `copies_due` = `messages_sent` + `messages_waiting` + `messages_dropped`, and the last is
/// the sum of the `dropped_…`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Messages from publishers, each once.
    pub messages_received: u64,
    /// Bytes of payload in them.
    pub payload_received: u64,
    /// Of them: not allowed, and refused.
    pub messages_refused: u64,
    /// Of them: nobody subscribed.
    pub messages_unsubscribed: u64,
    /// Copies for subscribers: of the messages received, of last wills, of retained messages, of the broker's figures.
    pub copies_due: u64,
    /// Copies that were delivered: of QoS 0 the kernel has them, of QoS 1 and 2 their subscriber has acknowledged them.
    pub messages_sent: u64,
    /// Bytes of payload in them.
    pub payload_sent: u64,
    /// Copies that wait now, or are under way unacknowledged.
    pub messages_waiting: u64,
    /// Copies that were dropped, for whatever reason.
    pub messages_dropped: u64,
    /// Their subscriber was away, and QoS 0 does not wait.
    pub dropped_away: u64,
    /// Too much waited for a subscriber who was away.
    pub dropped_queue_full: u64,
    /// Too much waited for a subscriber who was there and read or acknowledged too slowly.
    pub dropped_slow: u64,
    /// Longer than the subscriber takes.
    pub dropped_too_large: u64,
    /// Their time was over before they could leave.
    pub dropped_expired: u64,
    /// Connection or session of their subscriber had ended before they could leave.
    pub dropped_gone: u64,
}

/// What has become of one client's messages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Its identifier; empty: of all that there was no room for.
    pub client: String,
    /// `received` is what it has published.
    #[serde(flatten)]
    pub messages: Tally,
}

/// Why a copy was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dropped {
    Away,
    QueueFull,
    Slow,
    TooLarge,
    Expired,
    Gone,
}

impl Tally {
    pub(super) fn dropped(&mut self, why: Dropped, copies: u64) {
        self.messages_dropped += copies;
        *match why {
            Dropped::Away => &mut self.dropped_away,
            Dropped::QueueFull => &mut self.dropped_queue_full,
            Dropped::Slow => &mut self.dropped_slow,
            Dropped::TooLarge => &mut self.dropped_too_large,
            Dropped::Expired => &mut self.dropped_expired,
            Dropped::Gone => &mut self.dropped_gone,
        } += copies;
    }

    pub(super) fn sent(&mut self, payload: u64) {
        self.messages_sent += 1;
        self.payload_sent += payload;
    }

    /// Each of the sums, in their order.
    fn sums(&mut self) -> [&mut u64; 14] {
        let Tally {
            messages_received,
            payload_received,
            messages_refused,
            messages_unsubscribed,
            copies_due,
            messages_sent,
            payload_sent,
            messages_waiting: _,
            messages_dropped,
            dropped_away,
            dropped_queue_full,
            dropped_slow,
            dropped_too_large,
            dropped_expired,
            dropped_gone,
        } = self;
        [
            messages_received,
            payload_received,
            messages_refused,
            messages_unsubscribed,
            copies_due,
            messages_sent,
            payload_sent,
            messages_dropped,
            dropped_away,
            dropped_queue_full,
            dropped_slow,
            dropped_too_large,
            dropped_expired,
            dropped_gone,
        ]
    }
}

/// The accounts of all clients. Those of clients that are gone are kept as long as there is room.
#[derive(Debug)]
pub(super) struct Accounts {
    each: Slab<Open>,
    by_name: HashMap<Arc<str>, Key>,
    idle: VecDeque<Key>,
    room: usize,
    pub total: Tally,
    rest: Tally,
}

#[derive(Debug)]
struct Open {
    name: Arc<str>,
    /// Connections and sessions that write to it.
    users: usize,
    tally: Tally,
}

impl Accounts {
    /// With room for so many of those who are gone.
    pub(super) fn new(room: usize) -> Accounts {
        let (total, rest) = (Tally::default(), Tally::default());
        Accounts { each: Slab::new(), by_name: HashMap::new(), idle: VecDeque::new(), room, total, rest }
    }

    /// The account of a client, with one more who writes to it.
    pub(super) fn open(&mut self, name: &Arc<str>) -> Key {
        let key = *self
            .by_name
            .entry(Arc::clone(name))
            .or_insert_with(|| self.each.insert(Open { name: Arc::clone(name), users: 0, tally: Tally::default() }));
        if let Some(open) = self.each.get_mut(key) {
            if open.users == 0 {
                self.idle.retain(|idle| *idle != key);
            }
            open.users += 1;
        }
        key
    }

    /// One of those who wrote to it is gone.
    pub(super) fn close(&mut self, key: Key) {
        let Some(open) = self.each.get_mut(key) else { return };
        open.users -= 1;
        if open.users > 0 {
            return;
        }
        self.idle.push_back(key);
        while self.idle.len() > self.room {
            let oldest = self.idle.pop_front().and_then(|key| self.each.remove(key));
            let Some(mut open) = oldest else { return };
            self.by_name.remove(&open.name);
            self.rest.sums().into_iter().zip(open.tally.sums()).for_each(|(sum, one)| *sum += *one);
        }
    }

    /// Writes to an account and to the sum of all.
    pub(super) fn write(&mut self, key: Key, entry: impl Fn(&mut Tally)) {
        entry(&mut self.total);
        if let Some(open) = self.each.get_mut(key) {
            entry(&mut open.tally);
        }
    }

    /// All of them in the order of their names, and that of the rest; `waiting` is what waits for each.
    pub(super) fn all(&self, waiting: &HashMap<Key, u64>) -> Vec<Account> {
        let account = |(key, open): (Key, &Open)| {
            let messages_waiting = waiting.get(&key).copied().unwrap_or(0);
            Account { client: open.name.to_string(), messages: Tally { messages_waiting, ..open.tally } }
        };
        let mut all: Vec<_> = self.each.iter().map(account).collect();
        all.sort_by(|one, other| one.client.cmp(&other.client));
        if self.rest != Tally::default() {
            all.push(Account { client: String::new(), messages: self.rest });
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_of_those_who_are_gone_are_kept_while_there_is_room() {
        let mut accounts = Accounts::new(1);
        let names = ["ann", "bob", "cat"].map(Arc::from);
        let keys = [0, 1, 2].map(|at| accounts.open(&names[at]));
        for key in keys {
            accounts.write(key, |tally| tally.sent(3));
        }
        keys.iter().for_each(|key| accounts.close(*key));
        accounts.open(&names[2]);
        accounts.write(keys[2], |tally| tally.dropped(Dropped::Slow, 2));
        let all = accounts.all(&HashMap::from([(keys[2], 7)]));
        let seen: Vec<_> = all
            .iter()
            .map(|one| {
                (&*one.client, one.messages.messages_sent, one.messages.dropped_slow, one.messages.messages_waiting)
            })
            .collect();
        assert_eq!(seen, [("cat", 1, 2, 7), ("", 2, 0, 0)]);
        assert_eq!((accounts.total.messages_sent, accounts.total.payload_sent), (3, 9));
    }
}
