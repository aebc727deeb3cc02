//! Who is here, and what all of them get.
//!
//! One lock is held from the first copy of a line to the last: so everybody gets the same lines in the same order, and
//! knows of everybody that came or went before or after each message.
//!
//! Before that, whoever causes a line for others waits until those who read have [room](super::queued) for it, and holds
//! no lock meanwhile.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use super::connection::{Connection, Line, lock};
use super::counts::Counters;
use super::flusher::Watch;
use super::news::{Gone, News};
use crate::feed::{self, Feed};
use crate::sys::clock;
use crate::wire::chat::{Answer, Refusal, names};

/// See the module.
pub(super) struct Room {
    members: Mutex<Members>,
    counters: Arc<Counters>,
    /// With queues.
    watch: Option<Arc<Watch>>,
    /// Told under the lock, so in the order of what happened.
    watcher: Option<Feed<News>>,
    /// Where the CPU time of relaying is taken: what a reading of the clock costs, in ns.
    reading_ns: Option<u64>,
}

/// By name.
type Members = BTreeMap<String, Arc<Connection>>;

impl Room {
    pub(super) fn new(
        counters: Arc<Counters>,
        watch: Option<Arc<Watch>>,
        watcher: Option<Feed<News>>,
        timed: bool,
    ) -> Room {
        let reading_ns = timed.then(clock::thread_cpu_reading_ns);
        Room { members: Mutex::default(), counters, watch, watcher, reading_ns }
    }

    /// The members, when those who read have room for a line that `author` causes.
    fn with_room(&self, author: &Connection) -> MutexGuard<'_, Members> {
        loop {
            let members = lock(&self.members);
            let awaited = self.watch.as_ref().and_then(|watch| watch.awaited(author.pending(), members.len()));
            let Some((client, alone)) = awaited else { return members };
            drop(members);
            client.wait_for_reader(alone);
        }
    }

    /// Lets a client in.
    pub(super) fn join(&self, name: &str, client: &Arc<Connection>) -> Result<(), Refusal> {
        let mut members = self.with_room(client);
        if members.contains_key(name) {
            return Err(Refusal::NameTaken);
        }
        relay(&members, client, Answer::Joined { name });
        members.insert(name.to_owned(), Arc::clone(client));
        client.send(Answer::Ok { request: "JOIN", name });
        self.counters.clients_joined.add(1);
        let clients = self.count(&members);
        self.report(|| News::Joined { name: name.to_owned(), peer: client.peer, clients });
        Ok(())
    }

    /// Sends a message to all, its author too.
    pub(super) fn say(&self, from: &str, author: &Connection, text: &str) {
        let members = self.with_room(author);
        self.counters.messages_read.add(1);
        let say = || relay(&members, author, Answer::Msg { from, text });
        let Some(reading_ns) = self.reading_ns else { return say() };
        let ((), cpu_ns) = clock::with_thread_cpu_ns(reading_ns, say);
        self.counters.relay_cpu_ns.add(cpu_ns);
    }

    /// Sends a message to one.
    pub(super) fn tell(&self, from: &str, author: &Connection, to: &str, text: &str) -> Result<(), Refusal> {
        let members = self.with_room(author);
        let receiver = members.get(to).ok_or(Refusal::NoSuchName)?;
        self.counters.messages_read.add(1);
        receiver.outbox.send(&Line::caused_by(author, Answer::Private { from, text }));
        author.send(Answer::Ok { request: "TELL", name: to });
        Ok(())
    }

    /// Gives a client another name.
    pub(super) fn rename(&self, old: &str, new: &str, client: &Connection) -> Result<(), Refusal> {
        let mut members = self.with_room(client);
        if members.contains_key(new) {
            return Err(Refusal::NameTaken);
        }
        if let Some(member) = members.remove(old) {
            relay(&members, client, Answer::Renamed { old, new });
            members.insert(new.to_owned(), member);
            let clients = members.len() as u64;
            self.report(|| News::Renamed { old: old.to_owned(), new: new.to_owned(), clients });
        }
        client.send(Answer::Ok { request: "RENAME", name: new });
        Ok(())
    }

    /// The lines that tell who is here.
    pub(super) fn list(&self) -> Arc<Line> {
        let mut bytes = Vec::new();
        names(lock(&self.members).keys().map(String::as_str), &mut bytes);
        Line::of(bytes)
    }

    /// Lets a client go; the others are told why, unless all go.
    pub(super) fn leave(&self, name: &str, client: &Connection, why: Option<Gone>) {
        let mut members = if why.is_some() { self.with_room(client) } else { lock(&self.members) };
        members.remove(name);
        let clients = self.count(&members);
        if let Some(why) = why {
            relay(&members, client, Answer::Left { name, reason: why.reason() });
            self.report(|| News::Left { name: name.to_owned(), why, clients });
        }
    }

    /// How many there are, counted.
    fn count(&self, members: &Members) -> u64 {
        let clients = members.len() as u64;
        self.counters.clients.set(clients);
        self.counters.clients_most.at_least(clients);
        clients
    }

    /// Tells whoever watches.
    pub(super) fn report(&self, news: impl FnOnce() -> News) {
        feed::tell(self.watcher.as_ref(), news);
    }
}

/// The relay: one line, a copy for each.
fn relay(members: &Members, author: &Connection, answer: Answer) {
    let line = Line::caused_by(author, answer);
    for member in members.values() {
        member.outbox.send(&line);
    }
}
