//! The broker without sockets and clocks: bytes of connections go in, bytes for connections come out, and the time is
//! told.
//!
//! Whatever waits for a client is bounded in bytes: what the kernel has not taken ([`Outbox`]), and what its session
//! holds. All clients together have a budget as well: none may take more than is left of it, so that however many stand
//! still, something is left for the next (dynamic thresholds, Choudhury and Hahne 1998).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::BrokerOptions;
use super::counts::{Account, Accounts, Counts, Dropped, Tally};
use super::message::{Message, Post, expiry};
use super::outbox::Outbox;
use super::session::{Acknowledged, Replay, Session, Stage, Terms, Waiting, WillTerms};
use super::slab::{Key, Slab};
use super::topics::{Retained, Subscription, Subscriptions};
use crate::feed::{self, Feed};
use crate::pubsub::news::{Gone, News, Refused, cut};
use crate::wire::mqtt::{
    Ack, AckKind, ConnAck, Connect, Disconnect, Granted, Packet, Properties, PropertyList, Publish, Qos, Reason, Side,
    Subscribe, Unsubscribe, Version, Wrong, frame, id, read, topic,
};

/// How long a connection has to say who it is.
const INTRODUCTION: Duration = Duration::from_secs(10);
/// How long a connection that is to be closed has to take what is left for it.
const LINGER: Duration = Duration::from_secs(1);
/// The longest a session may be kept: what MQTT has a number for (MQTT 5.0 section 3.1.2.11.2).
const LONGEST_SESSION: Duration = Duration::from_secs(u32::MAX as u64 - 1);
/// When so many bytes wait at a socket, the queues behind it wait.
const ENOUGH: usize = 128 << 10;
/// How long a publisher waits for a subscriber that acknowledges nothing.
const PATIENCE: Duration = Duration::from_millis(500);
/// When so many have gathered since the last look at the socket, it is time for another.
const PRESSED: usize = 64 << 10;
/// Who has so many bytes of answers waiting is not listened to before they are read.
const ANSWERS: usize = 256 << 10;

/// All connections, sessions and messages.
pub(super) struct Core {
    options: BrokerOptions,
    connections: Slab<Connection>,
    sessions: Slab<Session>,
    by_id: HashMap<Arc<str>, Key>,
    subscriptions: Subscriptions,
    retained: Retained,
    accounts: Accounts,
    counts: Counts,
    /// Connections that have not said who they are, the oldest first.
    strangers: BTreeMap<u64, Key>,
    clients: usize,
    tickets: u64,
    /// When the clock is to look at whom.
    timers: BTreeSet<(Instant, Who)>,
    /// Bytes of all that waits.
    bytes: usize,
    /// Connections with something to send, or to close.
    pub changed: Vec<Key>,
    /// Connections that may be listened to again.
    pub resumed: Vec<Key>,
    /// A connection has much to send: [`Step::Pressed`].
    pressed: bool,
    /// A session that is there, acknowledges, and has too much waiting.
    congested: Option<Key>,
    properties: PropertyList,
    matches: Vec<(Key, Terms)>,
    scratch: Vec<u8>,
    watcher: Option<Feed<News>>,
    names: RandomState,
}

/// Whom a timer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Who {
    Connection(Key),
    Session(Key),
    /// The broker's own figures.
    Figures,
}

/// A connection.
#[derive(Debug)]
struct Connection {
    peer: SocketAddr,
    state: State,
    version: Version,
    input: Vec<u8>,
    out: Outbox,
    /// The kernel takes no more now.
    blocked: bool,
    /// It is in [`Core::changed`].
    changed: bool,
    heard: Instant,
    keep_alive: Option<Duration>,
    timer: Option<Instant>,
    /// QoS 1 and 2 messages it takes unacknowledged.
    window: usize,
    /// Bytes of a packet it takes.
    max_packet: usize,
    /// Topic → alias, of what it is sent.
    aliases: HashMap<Box<str>, u16>,
    max_aliases: u16,
    /// Alias → topic, of what it sends.
    its_aliases: HashMap<u16, Box<str>>,
    /// What another connection of the same client had sent has been read.
    drained: bool,
    /// It publishes faster than this session takes, and waits for it.
    held_by: Option<Key>,
    /// Another connection is to replace it: it waits for nobody.
    replaced: bool,
    account: Option<Key>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// It has not said who it is; its place among those.
    Stranger(u64),
    /// It is the connection of this session.
    Client(Key),
    /// It is to be closed when all is sent.
    Closing(Instant),
}

/// How far a [`Core::step`] came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// All whole packets are taken.
    Done,
    /// What has gathered should be sent before more is taken.
    Pressed,
    /// What has come by this other connection of the same client is to be taken first.
    Drain(Key),
}

impl Core {
    pub(super) fn new(options: BrokerOptions, watcher: Option<Feed<News>>, now: Instant) -> Core {
        let max_session = options.max_session.min(LONGEST_SESSION);
        let options = BrokerOptions { max_session, ..options };
        let mut timers = BTreeSet::new();
        if let Some(interval) = options.sys_topics {
            timers.insert((now + interval, Who::Figures));
        }
        Core {
            connections: Slab::new(),
            sessions: Slab::new(),
            by_id: HashMap::new(),
            subscriptions: Subscriptions::default(),
            retained: Retained::new(options.max_retained, options.retained_bytes),
            accounts: Accounts::new(options.max_clients),
            counts: Counts { send_cpu_ns: options.timed.then_some(0), ..Counts::default() },
            strangers: BTreeMap::new(),
            clients: 0,
            tickets: 0,
            timers,
            bytes: 0,
            changed: Vec::new(),
            resumed: Vec::new(),
            pressed: false,
            congested: None,
            properties: PropertyList::new(),
            matches: Vec::new(),
            scratch: Vec::new(),
            watcher,
            names: RandomState::new(),
            options,
        }
    }

    /// A connection has come; it waits. Also whoever has waited longest and has to go for it.
    pub(super) fn enter(&mut self, peer: SocketAddr, now: Instant) -> (Key, Option<Key>) {
        self.counts.connections_accepted += 1;
        let displaced = if self.strangers.len() >= self.options.max_waiting { self.displace() } else { None };
        self.tickets += 1;
        let key = self.connections.insert(Connection {
            peer,
            state: State::Stranger(self.tickets),
            version: Version::Old,
            input: Vec::new(),
            out: Outbox::default(),
            blocked: false,
            changed: false,
            heard: now,
            keep_alive: None,
            timer: None,
            window: 0,
            max_packet: usize::MAX,
            aliases: HashMap::new(),
            max_aliases: 0,
            its_aliases: HashMap::new(),
            drained: false,
            held_by: None,
            replaced: false,
            account: None,
        });
        self.strangers.insert(self.tickets, key);
        self.wind(Who::Connection(key), now);
        (key, displaced)
    }

    /// Who has to go for the next connection, unless it has said meanwhile who it is.
    pub(super) fn endangered(&self) -> Option<Key> {
        let oldest = self.strangers.first_key_value().map(|(_, key)| *key);
        oldest.filter(|_| self.strangers.len() >= self.options.max_waiting)
    }

    /// Whoever has waited longest without saying who it is has to go: it is to be closed at once.
    pub(super) fn displace(&mut self) -> Option<Key> {
        let (_, key) = self.strangers.pop_first()?;
        self.counts.connections_displaced += 1;
        let peer = self.connections.get(key)?.peer;
        self.tell(|| News::NeverCame { peer, why: Gone::Displaced });
        Some(key)
    }

    /// Bytes have come.
    pub(super) fn feed(&mut self, key: Key, bytes: &[u8], now: Instant) {
        if let Some(connection) = self.connections.get_mut(key)
            && !matches!(connection.state, State::Closing(_))
        {
            // Who has not said who it is has so long for all of that.
            if matches!(connection.state, State::Client(_)) {
                connection.heard = now;
            }
            connection.input.extend_from_slice(bytes);
        }
    }

    /// What another connection of the same client had sent has been taken: this one may replace it.
    pub(super) fn drained(&mut self, key: Key) {
        if let Some(connection) = self.connections.get_mut(key) {
            connection.drained = true;
        }
    }

    /// Takes packets from what has come.
    pub(super) fn step(&mut self, key: Key, now: Instant) -> Step {
        let Some(connection) = self.connections.get_mut(key) else { return Step::Done };
        let input = std::mem::take(&mut connection.input);
        let mut at = 0;
        let step = loop {
            if self.pressed {
                self.pressed = false;
                break Step::Pressed;
            }
            let Some(connection) = self.connections.get(key) else { return Step::Done };
            if matches!(connection.state, State::Closing(_)) {
                at = input.len();
                break Step::Done;
            }
            if connection.held_by.is_some() {
                break Step::Done;
            }
            let version = connection.version;
            let packet = match frame(&input[at..], self.options.max_packet) {
                Ok(None) => break Step::Done,
                Ok(Some((frame, length))) => read(version, Side::Client, frame).map(|packet| (packet, length)),
                Err(wrong) => Err(wrong),
            };
            match packet {
                Ok((packet, length)) => {
                    if let Some(other) = self.to_drain(key, &packet) {
                        if let Some(other) = self.connections.get_mut(other) {
                            (other.replaced, other.held_by) = (true, None);
                        }
                        break Step::Drain(other);
                    }
                    if let Err(wrong) = self.take(key, packet, now) {
                        self.refuse(key, wrong, now);
                    }
                    at += length;
                }
                Err(wrong) => self.refuse(key, wrong, now),
            }
        };
        if let Some(connection) = self.connections.get_mut(key) {
            connection.input = input;
            connection.input.drain(..at);
            if connection.input.is_empty() {
                connection.input = Vec::new();
            }
        }
        step
    }

    /// The connection that this one is to replace.
    fn to_drain(&self, key: Key, packet: &Packet<'_>) -> Option<Key> {
        let Packet::Connect(connect) = packet else { return None };
        let connection = self.connections.get(key)?;
        if connection.drained || !matches!(connection.state, State::Stranger(_)) {
            return None;
        }
        self.sessions.get(*self.by_id.get(connect.client_id)?)?.connection
    }

    fn take(&mut self, key: Key, packet: Packet<'_>, now: Instant) -> Result<(), Wrong> {
        let Some(connection) = self.connections.get(key) else { return Ok(()) };
        let session = match (connection.state, packet) {
            (State::Stranger(_), Packet::Connect(connect)) => {
                self.connect(key, &connect, now);
                return Ok(());
            }
            (State::Stranger(_), _) => return Err(protocol("something else before a CONNECT")),
            (State::Closing(_), _) => return Ok(()),
            (State::Client(session), packet) => (session, packet),
        };
        match session {
            (session, Packet::Publish(publish)) => self.publish(key, session, &publish, now)?,
            (session, Packet::Ack(ack)) => self.acknowledge(key, session, &ack, now)?,
            (session, Packet::Subscribe(request)) => self.subscribe(key, session, &request, now)?,
            (session, Packet::Unsubscribe(request)) => self.unsubscribe(key, session, &request)?,
            (_, Packet::PingReq) => self.answer(key, &Packet::PingResp),
            (session, Packet::Disconnect(farewell)) => self.leave(key, session, farewell, now)?,
            (_, Packet::Connect(_)) => return Err(protocol("a second CONNECT")),
            (_, Packet::Auth(_)) => return Err(protocol("AUTH without a method agreed on")),
            (_, Packet::ConnAck(_) | Packet::Granted(_) | Packet::PingResp) => {
                return Err(protocol("a packet that only brokers send"));
            }
        }
        Ok(())
    }

    /// A client says who it is.
    fn connect(&mut self, key: Key, connect: &Connect<'_>, now: Instant) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        connection.version = connect.version;
        let known = self.by_id.get(connect.client_id).copied();
        let replaced = known.and_then(|known| self.sessions.get(known)?.connection);
        if let Err((reason, news)) = self.admits(connect, known.is_some(), replaced.is_some()) {
            match news {
                Some(Refused::Login) => self.counts.clients_refused += 1,
                Some(_) => self.counts.clients_turned_away += 1,
                None => {}
            }
            return self.turn_away(key, connect.client_id, reason, news, now);
        }
        let client: Arc<str> = match connect.client_id {
            "" => format!("auto-{:016x}", self.names.hash_one(key)).into(),
            id => id.into(),
        };
        let assigned = connect.client_id.is_empty();
        let Some(connection) = self.connections.get_mut(key) else { return };
        let peer = connection.peer;
        if let State::Stranger(ticket) = connection.state {
            self.strangers.remove(&ticket);
        }
        self.clients += 1;
        self.counts.clients_admitted += 1;
        let clients = self.clients;
        self.tell(|| News::Came { client: cut(&client), peer, clients });
        if let Some(replaced) = replaced {
            self.end(replaced, Gone::TakenOver, Some(Reason::TAKEN_OVER), now);
        }
        // Replacing a connection may have ended its session.
        let known = self.by_id.get(&client).copied();
        if let Some(known) = known.filter(|_| connect.clean) {
            self.end_session(known, now);
        }
        let kept = known.filter(|_| !connect.clean);
        let account = self.accounts.open(&client);
        let session = kept.unwrap_or_else(|| {
            let of_session = self.accounts.open(&client);
            let session = self.sessions.insert(Session::new(Arc::clone(&client), of_session, now));
            self.by_id.insert(Arc::clone(&client), session);
            session
        });
        let (Some(connection), Some(state)) = (self.connections.get_mut(key), self.sessions.get_mut(session)) else {
            return;
        };
        // What was asked for, and what is granted.
        let properties = connect.properties;
        let asked = match connect.version {
            Version::Old if connect.clean => Duration::ZERO,
            Version::Old => Duration::MAX,
            Version::Five => whole_seconds(properties.number(id::SESSION_EXPIRY).unwrap_or(0)),
        };
        state.expiry = asked.min(self.options.max_session);
        state.connection = Some(key);
        state.acknowledged = now;
        state.will_due = None;
        state.will = connect.will.map(|will| {
            let delay = Duration::from_secs(will.properties.number(id::WILL_DELAY).unwrap_or(0).into());
            (Arc::new(Message::of_will(&will)), WillTerms { delay, lives: expiry(will.properties) })
        });
        state.flight.iter_mut().for_each(|flight| flight.sent = false);
        let longest = u16::try_from(self.options.max_keep_alive.as_secs()).unwrap_or(u16::MAX);
        let asks_less = connect.keep_alive > 0 && connect.keep_alive <= longest;
        let keep_alive = if asks_less || longest == u16::MAX { connect.keep_alive } else { longest };
        connection.state = State::Client(session);
        connection.account = Some(account);
        connection.keep_alive = (keep_alive > 0).then(|| Duration::from_secs(keep_alive.into()) * 3 / 2);
        let window = properties.number(id::RECEIVE_MAXIMUM).map_or(usize::from(u16::MAX), |most| most as usize);
        connection.window = window.min(self.options.window);
        connection.max_packet = properties.number(id::MAXIMUM_PACKET_SIZE).map_or(usize::MAX, |most| most as usize);
        let aliases = properties.number(id::ALIAS_MAXIMUM).unwrap_or(0) as u16;
        connection.max_aliases = aliases.min(self.options.max_aliases);
        let mut granted = PropertyList::new();
        if asked > self.options.max_session && connect.version == Version::Five {
            granted.number(id::SESSION_EXPIRY, self.options.max_session.as_secs() as u32);
        }
        if self.options.max_aliases > 0 {
            granted.number(id::ALIAS_MAXIMUM, self.options.max_aliases.into());
        }
        granted.number(id::RECEIVE_MAXIMUM, self.options.max_half_done.into());
        granted.number(id::MAXIMUM_PACKET_SIZE, self.options.max_packet as u32);
        if assigned {
            granted.text(id::ASSIGNED_CLIENT_ID, &client);
        }
        if keep_alive != connect.keep_alive {
            granted.number(id::SERVER_KEEP_ALIVE, keep_alive.into());
        }
        let consent = ConnAck { session_present: kept.is_some(), reason: Reason::SUCCESS, properties: granted.get() };
        self.answer(key, &Packet::ConnAck(consent));
        if self.connections.get(key).is_some_and(|connection| connection.out.is_empty()) {
            // It takes no packet as long as this one.
            return self.end(key, Gone::Wrong("a limit of packets below that of the answer".to_owned()), None, now);
        }
        self.wind(Who::Connection(key), now);
        self.pump(session, now);
    }

    /// Whether a client may come; else what it and whoever watches are told.
    fn admits(&self, connect: &Connect<'_>, known: bool, replaces: bool) -> Result<(), (Reason, Option<Refused>)> {
        if let Some(login) = &self.options.login
            && !login.admits(connect.user, connect.password)
        {
            return Err((Reason::BAD_LOGIN, Some(Refused::Login)));
        }
        if connect.properties.text(id::AUTH_METHOD).is_some() {
            return Err((Reason::BAD_METHOD, None));
        }
        if connect.client_id.is_empty() && connect.version == Version::Old && !connect.clean {
            return Err((Reason::CLIENT_ID_INVALID, None));
        }
        if let Some(will) = &connect.will {
            if !topic::is_topic(will.topic) {
                return Err((Reason::TOPIC_INVALID, None));
            }
            if !self.may_publish(will.topic) {
                return Err((Reason::NOT_AUTHORIZED, None));
            }
        }
        if !known && self.sessions.len().saturating_sub(self.clients) >= self.options.max_sessions {
            return Err((Reason::QUOTA, Some(Refused::Sessions)));
        }
        if !replaces && self.clients >= self.options.max_clients {
            return Err((Reason::BUSY, Some(Refused::Full)));
        }
        Ok(())
    }

    /// Everything but the broker's own topics, and what the options take out.
    fn may_publish(&self, name: &str) -> bool {
        !name.starts_with('$') && !self.options.deny_publish.iter().any(|denied| topic::matches(denied, name))
    }

    fn turn_away(&mut self, key: Key, client: &str, reason: Reason, news: Option<Refused>, now: Instant) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        let (peer, version) = (connection.peer, connection.version);
        if let State::Stranger(ticket) = connection.state {
            self.strangers.remove(&ticket);
        }
        match news {
            Some(why) => self.tell(|| News::TurnedAway { client: cut(client), peer, why }),
            None => self.tell(|| News::NeverCame { peer, why: Gone::Wrong(reason.to_string()) }),
        }
        if version == Version::Five || reason.old_code().is_some() {
            let answer = ConnAck { session_present: false, reason, properties: Properties::default() };
            self.answer(key, &Packet::ConnAck(answer));
        }
        self.close(key, now);
    }

    /// A message from a client.
    fn publish(&mut self, key: Key, session: Key, publish: &Publish<'_>, now: Instant) -> Result<(), Wrong> {
        let (Some(connection), Some(state)) = (self.connections.get_mut(key), self.sessions.get_mut(session)) else {
            return Ok(());
        };
        let (account, version) = (state.account, connection.version);
        let alias = publish.properties.number(id::ALIAS).map(|alias| alias as u16);
        let known;
        let mut name = publish.topic;
        if let Some(alias) = alias {
            let unknown = Wrong { reason: Reason::ALIAS_INVALID, what: "a topic alias that stands for nothing" };
            if alias > self.options.max_aliases {
                return Err(unknown);
            }
            if name.is_empty() {
                known = connection.its_aliases.get(&alias).cloned().ok_or(unknown)?;
                name = &known;
            } else {
                connection.its_aliases.insert(alias, name.into());
            }
        }
        let repeated = publish.qos == Qos::ExactlyOnce && state.incoming.contains(&publish.id);
        if publish.qos == Qos::ExactlyOnce && !repeated {
            if state.incoming.len() >= usize::from(self.options.max_half_done) {
                let what = "more messages of QoS 2 half done than are taken";
                return Err(Wrong { reason: Reason::TOO_MANY_AT_A_TIME, what });
            }
            state.incoming.insert(publish.id);
        }
        if repeated {
            self.answer(key, &Packet::ack(AckKind::PubRec, publish.id, Reason::SUCCESS));
            return Ok(());
        }
        let payload = publish.payload.len() as u64;
        self.accounts.write(account, |tally| {
            tally.messages_received += 1;
            tally.payload_received += payload;
        });
        let content = publish.properties.of_content();
        let post = Post::of(publish, name, &content, now);
        let reason = if !self.may_publish(name) {
            self.accounts.write(account, |tally| tally.messages_refused += 1);
            Reason::NOT_AUTHORIZED
        } else if self.find(&post, Some(session)) == 0 {
            self.accounts.write(account, |tally| tally.messages_unsubscribed += 1);
            Reason::NOBODY_SUBSCRIBES
        } else {
            Reason::SUCCESS
        };
        match publish.qos {
            Qos::AtMostOnce => {}
            Qos::AtLeastOnce => self.answer(key, &Packet::ack(AckKind::PubAck, publish.id, reason)),
            Qos::ExactlyOnce => self.answer(key, &Packet::ack(AckKind::PubRec, publish.id, reason)),
        }
        if reason.is_error() {
            // Refused is ended, where that can be told: no PUBREL comes.
            if version == Version::Five
                && let Some(state) = self.sessions.get_mut(session)
            {
                state.incoming.remove(&publish.id);
            }
            return Ok(());
        }
        self.congested = None;
        self.give(&post, now);
        if let Some(by) = self.congested.take() {
            self.hold(key, session, by, now);
        }
        Ok(())
    }

    /// Keeps a message where it is to be kept, and gives it to all who subscribe.
    fn spread(&mut self, post: &Post<'_>, now: Instant) {
        self.find(post, None);
        self.give(post, now);
    }

    /// Finds the copies that are due. Returns their number.
    fn find(&mut self, post: &Post<'_>, from: Option<Key>) -> usize {
        self.matches.clear();
        if self.options.deny_subscribe.iter().any(|denied| topic::matches(denied, post.topic)) {
            return 0;
        }
        let (sessions, matches) = (&self.sessions, &mut self.matches);
        let there = |session| sessions.get(session).is_some_and(|session: &Session| session.connection.is_some());
        self.subscriptions.find(post.topic, &there, &mut |session, Subscription { wish, id }| {
            if !(wish.no_local && from == Some(session)) {
                let (qos, retain) = (wish.qos.min(post.qos), wish.as_published && post.retain);
                matches.push((session, Terms { qos, retain, ids: id.iter().copied().collect() }));
            }
        });
        // One copy for each client, by the best of its subscriptions.
        matches.sort_by_key(|(session, _)| *session);
        matches.dedup_by(|(other, more), (session, terms)| {
            let same = other == session;
            if same {
                terms.qos = terms.qos.max(more.qos);
                terms.retain |= more.retain;
                terms.ids.append(&mut more.ids);
            }
            same
        });
        matches.len()
    }

    /// Keeps a message where it is to be kept, and gives it to those who were found.
    fn give(&mut self, post: &Post<'_>, now: Instant) {
        let mut kept = None;
        if post.retain {
            let message = kept.get_or_insert_with(|| post.keep());
            if !self.retained.keep(Arc::clone(message)) {
                self.counts.retained_refused += 1;
            }
        }
        let mut matches = std::mem::take(&mut self.matches);
        for (session, terms) in matches.drain(..) {
            self.deliver(session, post, terms, &mut kept, now);
        }
        self.matches = matches;
    }

    /// Gives a copy to a client, or has it wait. `kept` is the message for those who have to keep it.
    fn deliver(&mut self, session: Key, post: &Post<'_>, terms: Terms, kept: &mut Option<Arc<Message>>, now: Instant) {
        let Some(state) = self.sessions.get_mut(session) else { return };
        let account = state.account;
        self.accounts.write(account, |tally| tally.copies_due += 1);
        if terms.qos == Qos::AtMostOnce {
            let sent = match state.connection {
                None => Err(Dropped::Away),
                Some(connection) => self.send(connection, post, &terms, 0, false, now),
            };
            if let Err(why) = sent {
                self.accounts.write(account, |tally| tally.dropped(why, 1));
            }
            return;
        }
        let message = Arc::clone(kept.get_or_insert_with(|| post.keep()));
        let why = if state.connection.is_some() { Dropped::Slow } else { Dropped::QueueFull };
        let mut dropped = 0;
        let fits = loop {
            let left = self.options.queue_bytes.min(self.options.backlog.saturating_sub(self.bytes) + state.bytes);
            if state.queue.len() < self.options.queue && state.bytes + message.size() <= left {
                break true;
            }
            // The oldest goes.
            let Some(old) = state.dequeue() else { break false };
            self.bytes -= old.message.size();
            dropped += 1;
        };
        if fits {
            self.bytes += message.size();
            state.enqueue(Waiting { message, terms });
        } else {
            dropped += 1;
        }
        if dropped > 0 {
            self.accounts.write(account, |tally| tally.dropped(why, dropped));
        }
        self.pump(session, now);
        let congested = |state: &&Session| {
            let much = state.queue.len() * 2 > self.options.queue || state.bytes * 2 > self.options.queue_bytes;
            much && state.connection.is_some() && now < state.acknowledged + PATIENCE
        };
        if self.sessions.get(session).filter(congested).is_some() {
            self.congested = Some(session);
        }
    }

    /// Has a publisher wait for a session that acknowledges, but not as fast as it publishes. One that has
    /// acknowledgements to send itself is listened to.
    fn hold(&mut self, key: Key, own: Key, by: Key, now: Instant) {
        let (Some(connection), Some(own)) = (self.connections.get_mut(key), self.sessions.get(own)) else { return };
        if own.flight.is_empty() && !connection.replaced {
            connection.held_by = Some(by);
            if let Some(by) = self.sessions.get_mut(by) {
                by.holds.push(key);
            }
            self.wind(Who::Connection(key), now);
        }
    }

    /// Whom a session has had wait may go on.
    fn release(&mut self, session: Key, now: Instant) {
        let Some(state) = self.sessions.get_mut(session).filter(|state| !state.holds.is_empty()) else { return };
        for key in std::mem::take(&mut state.holds) {
            if let Some(connection) = self.connections.get_mut(key).filter(|held| held.held_by == Some(session)) {
                connection.held_by = None;
                connection.heard = now;
                self.resumed.push(key);
                self.wind(Who::Connection(key), now);
            }
        }
    }

    /// Writes a copy to a connection. `id` 0: by QoS 0, which is dropped where there is no room.
    fn send(
        &mut self,
        key: Key,
        post: &Post<'_>,
        terms: &Terms,
        id: u16,
        dup: bool,
        now: Instant,
    ) -> Result<(), Dropped> {
        let Some(connection) = self.connections.get_mut(key) else { return Err(Dropped::Gone) };
        self.properties.clear();
        let mut name = post.topic;
        let mut alias = None;
        if connection.version == Version::Five {
            self.properties.bytes(post.content);
            if let Some(end) = post.expires {
                let left = end.saturating_duration_since(now).as_millis().div_ceil(1000);
                self.properties.number(id::MESSAGE_EXPIRY, left as u32);
            }
            terms.ids.iter().for_each(|id| self.properties.number(id::SUBSCRIPTION_ID, *id));
            if connection.max_aliases > 0 {
                let known = connection.aliases.get(name).copied();
                let next = connection.aliases.len() as u16 + 1;
                alias = known.or((next <= connection.max_aliases).then_some(next));
                if known.is_some() {
                    name = "";
                }
            }
            if let Some(alias) = alias {
                self.properties.number(id::ALIAS, alias.into());
            }
        }
        let publish = Publish {
            dup,
            qos: terms.qos,
            retain: terms.retain,
            topic: name,
            id,
            properties: self.properties.get(),
            payload: post.payload,
        };
        let length = publish.written_len(connection.version);
        if length > connection.max_packet {
            return Err(Dropped::TooLarge);
        }
        let before = connection.out.size();
        if id == 0 {
            let left = self.options.queue_bytes.min(self.options.backlog.saturating_sub(self.bytes) + before);
            if connection.out.messages() >= self.options.queue || before + length > left {
                return Err(Dropped::Slow);
            }
        }
        connection.out.publish(connection.version, &publish, id == 0);
        if let Some(alias) = alias.filter(|_| !name.is_empty()) {
            connection.aliases.insert(name.into(), alias);
        }
        self.bytes += connection.out.size() - before;
        self.is_changed(key);
        Ok(())
    }

    /// Sends a session's messages as long as its connection and its window have room.
    fn pump(&mut self, session: Key, now: Instant) {
        while let Some(state) = self.sessions.get_mut(session)
            && let Some(key) = state.connection
            && let Some(connection) = self.connections.get(key)
            && connection.out.size() < ENOUGH
            && connection.out.messages() * 2 <= self.options.queue
        {
            let under_way = state.flight.iter().filter(|flight| flight.sent).count();
            let account = state.account;
            if under_way < state.flight.len() {
                if under_way >= connection.window {
                    return;
                }
                let Some(flight) = state.flight.iter_mut().find(|flight| !flight.sent) else { return };
                flight.sent = true;
                let id = flight.id;
                match &flight.stage {
                    Stage::Released => self.answer(key, &Packet::ack(AckKind::PubRel, id, Reason::SUCCESS)),
                    Stage::Published(waiting) => {
                        let Waiting { message, terms } = waiting.clone();
                        let sent = self.send(key, &message.post(), &terms, id, true, now);
                        self.arrive_or_drop(session, id, sent);
                    }
                }
            } else if under_way < connection.window
                && let Some(waiting) = state.dequeue()
            {
                self.bytes -= waiting.message.size();
                if waiting.message.is_over(now) {
                    self.accounts.write(account, |tally| tally.dropped(Dropped::Expired, 1));
                    continue;
                }
                let Waiting { message, terms } = waiting.clone();
                self.bytes += message.size();
                let id = state.depart(waiting);
                let sent = self.send(key, &message.post(), &terms, id, false, now);
                self.arrive_or_drop(session, id, sent);
            } else if state.queue.is_empty()
                && let Some(replay) = state.replays.front_mut()
            {
                let Some(message) = self.retained.next(&replay.filter, replay.behind.as_deref(), now) else {
                    state.replays.pop_front();
                    continue;
                };
                replay.behind = Some(message.topic.clone());
                let Subscription { wish, id } = replay.subscription;
                let qos = wish.qos.min(message.qos);
                let terms = Terms { qos, retain: true, ids: id.iter().copied().collect() };
                if self.options.deny_subscribe.iter().any(|denied| topic::matches(denied, &message.topic)) {
                    continue;
                }
                self.accounts.write(account, |tally| tally.copies_due += 1);
                if qos > Qos::AtMostOnce {
                    self.bytes += message.size();
                    state.enqueue(Waiting { message, terms });
                } else if let Err(why) = self.send(key, &message.post(), &terms, 0, false, now) {
                    self.accounts.write(account, |tally| tally.dropped(why, 1));
                }
            } else {
                return;
            }
        }
    }

    /// What could not be sent is not under way.
    fn arrive_or_drop(&mut self, session: Key, id: u16, sent: Result<(), Dropped>) {
        let Err(why) = sent else { return };
        let Some(state) = self.sessions.get_mut(session) else { return };
        let before = state.bytes;
        state.forget(id);
        self.bytes -= before - state.bytes;
        let account = state.account;
        self.accounts.write(account, |tally| tally.dropped(why, 1));
    }

    /// PUBACK, PUBREC, PUBREL or PUBCOMP.
    fn acknowledge(&mut self, key: Key, session: Key, ack: &Ack<'_>, now: Instant) -> Result<(), Wrong> {
        let Some(state) = self.sessions.get_mut(session) else { return Ok(()) };
        // What is not known has been ended before a break, which is no error: so that nobody asks for ever.
        if ack.kind == AckKind::PubRel {
            state.incoming.remove(&ack.id);
            self.answer(key, &Packet::ack(AckKind::PubComp, ack.id, Reason::SUCCESS));
            return Ok(());
        }
        let before = state.bytes;
        state.acknowledged = now;
        let outcome = state.acknowledge(ack.kind, ack.id, ack.reason);
        self.bytes -= before - state.bytes;
        match outcome {
            Acknowledged::Wrong => return Err(protocol("an acknowledgement that does not go with the message")),
            Acknowledged::Delivered(waiting) => {
                let payload = waiting.message.payload.len() as u64;
                let Some(state) = self.sessions.get(session) else { return Ok(()) };
                self.accounts.write(state.account, |tally| tally.sent(payload));
            }
            Acknowledged::Nothing => {}
        }
        if ack.kind == AckKind::PubRec && !ack.reason.is_error() {
            self.answer(key, &Packet::ack(AckKind::PubRel, ack.id, Reason::SUCCESS));
        }
        self.pump(session, now);
        let has_room =
            |state: &Session| state.queue.len() * 4 < self.options.queue && state.bytes * 4 < self.options.queue_bytes;
        if self.sessions.get(session).is_some_and(has_room) {
            self.release(session, now);
        }
        Ok(())
    }

    fn subscribe(&mut self, key: Key, session: Key, request: &Subscribe<'_>, now: Instant) -> Result<(), Wrong> {
        let version = self.connections.get(key).map_or(Version::Old, |connection| connection.version);
        let id = request.properties.number(id::SUBSCRIPTION_ID);
        if request.filters.iter().any(|(filter, wish)| wish.no_local && topic::shared(filter).is_some()) {
            return Err(protocol("a shared subscription that leaves out its own messages"));
        }
        if let Some((filter, _)) = request.filters.iter().find(|(filter, _)| !topic::is_filter(filter)) {
            return Err(match topic::shared(filter) {
                Some((_, "")) => protocol("a shared subscription to nothing"),
                _ => Wrong { reason: Reason::MALFORMED, what: "no valid filter of topics" },
            });
        }
        let mut codes = Vec::with_capacity(request.filters.len());
        for (filter, wish) in &request.filters {
            let Some(state) = self.sessions.get_mut(session) else { return Ok(()) };
            let (group, plain) = topic::shared(filter).map_or((false, *filter), |(_, filter)| (true, filter));
            let refused = if self.options.deny_subscribe.iter().any(|denied| topic::matches(denied, plain)) {
                Some(Reason::NOT_AUTHORIZED)
            } else if !state.filters.contains(*filter) && state.filters.len() >= self.options.max_subscriptions {
                Some(Reason::QUOTA)
            } else {
                None
            };
            if let Some(reason) = refused {
                codes.push(if version == Version::Old { Reason::UNSPECIFIED.0 } else { reason.0 });
                continue;
            }
            let subscription = Subscription { wish: *wish, id };
            state.filters.insert((*filter).into());
            let new = self.subscriptions.insert(filter, session, subscription);
            if !group && (wish.retained == 0 || (wish.retained == 1 && new)) {
                // Asked for again, they begin again.
                state.replays.retain(|replay| *replay.filter != **filter);
                state.replays.push_back(Replay { filter: (*filter).into(), subscription, behind: None });
            }
            codes.push(wish.qos.level());
        }
        let granted = Granted { unsubscribed: false, id: request.id, properties: Properties::default(), codes: &codes };
        self.answer(key, &Packet::Granted(granted));
        self.pump(session, now);
        Ok(())
    }

    fn unsubscribe(&mut self, key: Key, session: Key, request: &Unsubscribe<'_>) -> Result<(), Wrong> {
        if request.filters.iter().any(|filter| !topic::is_filter(filter)) {
            return Err(Wrong { reason: Reason::MALFORMED, what: "no valid filter of topics" });
        }
        let Some(state) = self.sessions.get_mut(session) else { return Ok(()) };
        let mut codes = Vec::with_capacity(request.filters.len());
        for filter in &request.filters {
            state.filters.remove(*filter);
            state.replays.retain(|replay| *replay.filter != **filter);
            let known = self.subscriptions.remove(filter, session);
            codes.push(if known { Reason::SUCCESS } else { Reason::NO_SUBSCRIPTION }.0);
        }
        if self.connections.get(key).is_some_and(|connection| connection.version == Version::Old) {
            codes.clear();
        }
        let answer = Granted { unsubscribed: true, id: request.id, properties: Properties::default(), codes: &codes };
        self.answer(key, &Packet::Granted(answer));
        Ok(())
    }

    /// A client takes leave.
    fn leave(&mut self, key: Key, session: Key, farewell: Disconnect<'_>, now: Instant) -> Result<(), Wrong> {
        let Some(state) = self.sessions.get_mut(session) else { return Ok(()) };
        if let Some(expiry) = farewell.properties.number(id::SESSION_EXPIRY) {
            if state.expiry.is_zero() && expiry > 0 {
                return Err(protocol("a session that was to end with the connection, and is to be kept now"));
            }
            state.expiry = whole_seconds(expiry).min(self.options.max_session);
        }
        if farewell.reason != Reason::WITH_WILL {
            state.will = None;
        }
        self.end(key, Gone::Leave, None, now);
        Ok(())
    }

    /// What a client has sent is wrong: it is told why, where MQTT has a way, and has to go.
    fn refuse(&mut self, key: Key, wrong: Wrong, now: Instant) {
        let Some(connection) = self.connections.get(key) else { return };
        let why = Gone::Wrong(wrong.what.to_owned());
        match connection.state {
            State::Client(_) => self.end(key, why, Some(wrong.reason), now),
            State::Stranger(ticket) => {
                let peer = connection.peer;
                self.strangers.remove(&ticket);
                self.tell(|| News::NeverCame { peer, why });
                if matches!(wrong.reason, Reason::UNSUPPORTED_VERSION | Reason::CLIENT_ID_INVALID) {
                    let answer =
                        ConnAck { session_present: false, reason: wrong.reason, properties: Properties::default() };
                    self.answer(key, &Packet::ConnAck(answer));
                }
                self.close(key, now);
            }
            State::Closing(_) => {}
        }
    }

    /// The far end has closed the connection, or it is broken. It is to be closed at once.
    pub(super) fn lost(&mut self, key: Key, why: Gone, now: Instant) {
        let Some(connection) = self.connections.get(key) else { return };
        match connection.state {
            State::Client(_) => self.end(key, why, None, now),
            State::Stranger(ticket) => {
                let peer = connection.peer;
                self.strangers.remove(&ticket);
                self.tell(|| News::NeverCame { peer, why });
            }
            State::Closing(_) => {}
        }
    }

    /// A client's connection is over; its session may go on.
    fn end(&mut self, key: Key, why: Gone, told: Option<Reason>, now: Instant) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        let State::Client(session) = connection.state else { return };
        if let Some(reason) = told.filter(|_| connection.version == Version::Five) {
            self.answer(key, &Packet::Disconnect(Disconnect { reason, properties: Properties::default() }));
        }
        self.close(key, now);
        self.clients -= 1;
        let Some(state) = self.sessions.get_mut(session) else { return };
        state.connection = None;
        self.release(session, now);
        let Some(state) = self.sessions.get_mut(session) else { return };
        state.away_since = now;
        state.replays.clear();
        if let Some((_, terms)) = &state.will {
            state.will_due = Some(now + terms.delay.min(state.expiry));
        }
        let (client, clients) = (cut(&state.id), self.clients);
        self.tell(|| News::Left { client, why, clients });
        self.look_at_session(session, now);
    }

    /// A session without a connection: its last will may be due, its time over.
    fn look_at_session(&mut self, session: Key, now: Instant) {
        let Some(state) = self.sessions.get_mut(session).filter(|state| state.connection.is_none()) else { return };
        if state.will_due.is_some_and(|due| due <= now) {
            state.will_due = None;
            let will = state.will.take();
            self.publish_will(will, now);
        }
        let Some(state) = self.sessions.get(session) else { return };
        if now >= state.away_since + state.expiry {
            self.end_session(session, now);
        } else {
            self.wind(Who::Session(session), now);
        }
    }

    fn publish_will(&mut self, will: Option<(Arc<Message>, WillTerms)>, now: Instant) {
        let Some((message, terms)) = will else { return };
        self.counts.wills_published += 1;
        let expires = terms.lives.map(|lives| now + lives);
        self.spread(&Post { expires, ..message.post() }, now);
    }

    fn end_session(&mut self, session: Key, now: Instant) {
        let Some(state) = self.sessions.remove(session) else { return };
        self.by_id.remove(&state.id);
        if let Some(at) = state.timer {
            self.timers.remove(&(at, Who::Session(session)));
        }
        for filter in &state.filters {
            self.subscriptions.remove(filter, session);
        }
        self.bytes -= state.bytes;
        let waiting = state.waiting();
        self.accounts.write(state.account, |tally| tally.dropped(Dropped::Gone, waiting));
        self.accounts.close(state.account);
        if state.will_due.is_some() {
            self.publish_will(state.will, now);
        }
    }

    /// A connection is to be closed when what is left is sent, or a little later.
    fn close(&mut self, key: Key, now: Instant) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        connection.state = State::Closing(now + LINGER);
        connection.input = Vec::new();
        self.is_changed(key);
        self.wind(Who::Connection(key), now);
    }

    /// A connection is closed.
    pub(super) fn remove(&mut self, key: Key) {
        let Some(connection) = self.connections.remove(key) else { return };
        if let Some(at) = connection.timer {
            self.timers.remove(&(at, Who::Connection(key)));
        }
        self.bytes -= connection.out.size();
        if let Some(account) = connection.account {
            let unsent = connection.out.messages() as u64;
            self.accounts.write(account, |tally| tally.dropped(Dropped::Gone, unsent));
            self.accounts.close(account);
        }
    }

    /// Tells all clients that the broker stops; who watches is told nothing of it.
    pub(super) fn say_farewell(&mut self, now: Instant) {
        self.watcher = None;
        let keys: Vec<_> = self.connections.iter().map(|(key, connection)| (key, connection.state)).collect();
        for (key, state) in keys {
            let version = self.connections.get(key).map(|connection| connection.version);
            if matches!(state, State::Client(_)) && version == Some(Version::Five) {
                let farewell = Disconnect { reason: Reason::SHUTTING_DOWN, properties: Properties::default() };
                self.answer(key, &Packet::Disconnect(farewell));
            }
            self.close(key, now);
        }
    }

    /// What is to be sent by a connection.
    pub(super) fn output(&self, key: Key) -> Option<&Outbox> {
        self.connections.get(key).map(|connection| &connection.out)
    }

    /// The kernel has taken so many bytes; `blocked`: and no more for now.
    pub(super) fn wrote(&mut self, key: Key, bytes: usize, blocked: bool, now: Instant) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        let before = connection.out.size();
        let (account, accounts) = (connection.account, &mut self.accounts);
        connection.blocked = blocked;
        connection.changed = false;
        connection.out.sent(bytes, |payload| {
            if let Some(account) = account {
                accounts.write(account, |tally| tally.sent(payload));
            }
        });
        self.bytes -= before - connection.out.size();
        if let State::Client(session) = connection.state {
            self.pump(session, now);
        }
    }

    /// Whether a connection is to be closed, and all is sent.
    pub(super) fn is_over(&self, key: Key) -> bool {
        let over = |connection: &Connection| matches!(connection.state, State::Closing(_)) && connection.out.is_empty();
        self.connections.get(key).is_some_and(over)
    }

    /// Whether more is to be read from a connection.
    pub(super) fn listens_to(&self, key: Key) -> bool {
        self.connections
            .get(key)
            .is_some_and(|connection| connection.out.answers < ANSWERS && connection.held_by.is_none())
    }

    /// When [`tick`](Self::tick) is to be called next.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// The time has come for some. Returns the connections that are to be closed at once.
    pub(super) fn tick(&mut self, now: Instant) -> Vec<Key> {
        let mut over = Vec::new();
        while let Some((at, who)) = self.timers.first().copied().filter(|(at, _)| *at <= now) {
            self.timers.remove(&(at, who));
            match who {
                Who::Connection(key) => {
                    let Some(connection) = self.connections.get_mut(key) else { continue };
                    connection.timer = None;
                    if let (State::Client(_), Some(by)) = (connection.state, connection.held_by) {
                        if self.sessions.get(by).is_some_and(|by| now < by.acknowledged + PATIENCE) {
                            self.wind(who, now);
                        } else {
                            self.release(by, now);
                        }
                        continue;
                    }
                    if connection.due().is_none_or(|due| due > now) {
                        self.wind(who, now);
                        continue;
                    }
                    match connection.state {
                        State::Client(_) => self.end(key, Gone::Silent, Some(Reason::SILENT), now),
                        State::Stranger(_) => {
                            self.lost(key, Gone::Silent, now);
                            over.push(key);
                        }
                        State::Closing(_) => over.push(key),
                    }
                }
                Who::Session(session) => {
                    if let Some(state) = self.sessions.get_mut(session) {
                        state.timer = None;
                    }
                    self.look_at_session(session, now);
                }
                Who::Figures => self.publish_figures(now),
            }
        }
        over
    }

    /// Sets the timer by what it is for.
    fn wind(&mut self, who: Who, now: Instant) {
        let (timer, due) = match who {
            Who::Connection(key) => {
                let Some(connection) = self.connections.get_mut(key) else { return };
                let due = match (connection.state, connection.held_by) {
                    (State::Client(_), Some(by)) => {
                        Some(self.sessions.get(by).map_or(now, |by| by.acknowledged + PATIENCE))
                    }
                    _ => connection.due(),
                };
                (&mut connection.timer, due)
            }
            Who::Session(session) => {
                let Some(state) = self.sessions.get_mut(session).filter(|state| state.connection.is_none()) else {
                    return;
                };
                let end = state.away_since + state.expiry;
                let due = state.will_due.map_or(end, |due| due.min(end));
                (&mut state.timer, Some(due))
            }
            Who::Figures => return,
        };
        if let Some(old) = timer.take() {
            self.timers.remove(&(old, who));
        }
        if let Some(due) = due {
            *timer = Some(due.max(now));
            self.timers.insert((due.max(now), who));
        }
    }

    /// Figures of the broker itself.
    fn publish_figures(&mut self, now: Instant) {
        let Some(interval) = self.options.sys_topics else { return };
        let counts = self.counts();
        for (name, figure) in [
            ("clients/connected", counts.clients),
            ("clients/total", self.sessions.len() as u64),
            ("messages/received", counts.messages.messages_received),
            ("messages/sent", counts.messages.messages_sent),
            ("messages/waiting", counts.messages.messages_waiting),
            ("messages/dropped", counts.messages.messages_dropped),
            ("retained messages/count", counts.retained),
        ] {
            let message =
                Message::new(&format!("$SYS/broker/{name}"), figure.to_string().as_bytes(), Qos::AtMostOnce, false);
            self.spread(&message.post(), now);
        }
        self.timers.insert((now + interval, Who::Figures));
    }

    /// So much CPU time went into a call that sends, in ns.
    pub(super) fn spent_sending(&mut self, cpu_ns: u64) {
        if let Some(spent_ns) = &mut self.counts.send_cpu_ns {
            *spent_ns += cpu_ns;
        }
    }

    /// What has been done so far, and who is there.
    pub(super) fn counts(&self) -> Counts {
        let waiting = self.waiting().values().sum();
        Counts {
            connections_waiting: self.strangers.len() as u64,
            clients: self.clients as u64,
            retained: self.retained.len() as u64,
            messages: Tally { messages_waiting: waiting, ..self.accounts.total },
            ..self.counts
        }
    }

    /// The same of each client.
    pub(super) fn accounts(&self) -> Vec<Account> {
        self.accounts.all(&self.waiting())
    }

    /// Copies that wait, by account: they are counted where they are.
    fn waiting(&self) -> HashMap<Key, u64> {
        let mut waiting = HashMap::new();
        for (_, session) in self.sessions.iter() {
            *waiting.entry(session.account).or_default() += session.waiting();
        }
        for (_, connection) in self.connections.iter() {
            if let Some(account) = connection.account {
                *waiting.entry(account).or_default() += connection.out.messages() as u64;
            }
        }
        waiting
    }

    /// Connections that are not closed yet.
    pub(super) fn connections(&self) -> usize {
        self.connections.len()
    }

    /// Has a packet that is no message sent. What is longer than the client takes is not (MQTT 5.0 section 3.1.2.11.4).
    fn answer(&mut self, key: Key, packet: &Packet<'_>) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        self.scratch.clear();
        // What the broker writes has no text that it has not read.
        let written = packet.write(connection.version, &mut self.scratch).is_ok();
        if !written || self.scratch.len() > connection.max_packet {
            return;
        }
        let before = connection.out.size();
        connection.out.packet(&self.scratch);
        self.bytes += connection.out.size() - before;
        self.is_changed(key);
    }

    fn is_changed(&mut self, key: Key) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        // Of one that is blocked the kernel tells when it has room.
        if !connection.changed && !connection.blocked {
            connection.changed = true;
            self.changed.push(key);
        }
        let much = connection.out.size() >= PRESSED || connection.out.messages() * 2 >= self.options.queue;
        self.pressed |= much && !connection.blocked;
    }

    fn tell(&self, news: impl FnOnce() -> News) {
        feed::tell(self.watcher.as_ref(), news);
    }
}

impl Connection {
    /// When the clock is to look at it.
    fn due(&self) -> Option<Instant> {
        match self.state {
            State::Stranger(_) => Some(self.heard + INTRODUCTION),
            State::Client(_) => self.keep_alive.map(|silence| self.heard + silence),
            State::Closing(end) => Some(end),
        }
    }
}

fn protocol(what: &'static str) -> Wrong {
    Wrong { reason: Reason::PROTOCOL_ERROR, what }
}

/// Of a session: `u32::MAX` is for ever (MQTT 5.0 section 3.1.2.11.2).
fn whole_seconds(seconds: u32) -> Duration {
    if seconds == u32::MAX { Duration::MAX } else { Duration::from_secs(seconds.into()) }
}
