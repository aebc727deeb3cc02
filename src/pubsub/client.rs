//! A client of a broker: publishes and subscribes by MQTT 5.0, and waits for as long as it is told.
//!
//! When the connection breaks later on, the client says so, tries again for a while, subscribes again where the broker
//! has forgotten it, and sends again what was not acknowledged. Messages of QoS 0 that were on their way are gone.

use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::link::Link;
use super::message::{Delivery, Message, Qos, Will};
use super::reason::Break;
use super::secret::Password;
use super::session::{Outcome, Session};
use super::tls::Trust;
use super::url::BrokerUrl;
use crate::error::{Error, Result};
use crate::wire::mqtt::{Disconnect, Packet, Properties, PropertyList, Reason, Subscribe, TooLong, Version, Wish, id};

/// How long a broker has to accept a connection, and to answer a request.
pub(super) const ANSWER: Duration = Duration::from_secs(10);
/// How soon a request to stop is noticed.
pub(super) const STOP_LATENCY: Duration = Duration::from_millis(100);
/// How long the end of a connection may take.
const FAREWELL: Duration = Duration::from_secs(1);
/// Bytes that may be queued before `publish` waits for the kernel to take some.
const QUEUED: usize = 64 << 10;
/// What a PUBLISH has besides topic and payload, in bytes, at the most: two lengths, an identifier, properties.
const PUBLISH_EXTRA: usize = 16;

/// Whom to connect to, and as whom.
#[derive(Clone, Debug)]
pub struct ClientOptions {
    /// Where the broker is.
    pub broker: BrokerUrl,
    /// With which password.
    pub password: Option<Password>,
    /// The certificates of the authorities trusted to vouch for the broker; `None`: the system's.
    pub ca: Option<PathBuf>,
    /// The name the broker knows this client by; empty: it gives one.
    pub client_id: String,
    /// The longest silence: a client that has nothing to say says that. 0: no limit.
    pub keep_alive: Duration,
    /// How long the broker is to keep subscriptions and messages for this client when it is away; `None`: not at all.
    pub session: Option<Duration>,
    /// What it publishes when this client goes without taking leave.
    pub will: Option<Will>,
    /// How long to try again after a connection broke; 0: not at all.
    pub reconnect: Duration,
}

impl ClientOptions {
    /// The usual ones, for this broker.
    #[must_use]
    pub fn new(broker: BrokerUrl) -> ClientOptions {
        ClientOptions {
            broker,
            password: None,
            ca: None,
            client_id: String::new(),
            keep_alive: Duration::from_secs(60),
            session: None,
            will: None,
            reconnect: Duration::from_secs(30),
        }
    }
}

/// A subscription asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// Which topics.
    pub filter: String,
    /// How hard messages are delivered at most.
    pub qos: Qos,
}

/// What a client has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClientCounts {
    /// Messages given to the connection.
    pub published: u64,
    /// Of QoS 1 and 2: acknowledged to the end.
    pub acknowledged: u64,
    /// Of QoS 1 and 2: refused by the broker.
    pub refused: u64,
    /// Of QoS 1 and 2: not acknowledged yet.
    pub under_way: u64,
    /// Messages taken from the connection.
    pub received: u64,
    /// Connections that broke and were made again.
    pub reconnected: u64,
}

/// Is told, in a sentence, when the connection breaks and when it stands again.
pub type Notice = Box<dyn FnMut(&str) + Send>;

/// A connected client. Dropping it goes without leave, so that the broker publishes its [`Will`];
/// [`close`](Client::close) takes leave.
pub struct Client {
    pub(super) options: ClientOptions,
    pub(super) trust: Option<Trust>,
    pub(super) stop: Arc<AtomicBool>,
    /// See [`end_at`](Client::end_at).
    pub(super) end: Option<Instant>,
    pub(super) notice: Notice,
    /// `None`: it broke.
    pub(super) link: Option<Link>,
    pub(super) session: Session,
    /// For packets on their way to the link.
    pub(super) scratch: Vec<u8>,
    pub(super) subscriptions: Vec<Subscription>,
    /// The SUBSCRIBE that waits for its answer.
    pub(super) asked: Option<u16>,
    pub(super) answer: Option<Vec<u8>>,
    /// Somebody waits for that answer.
    pub(super) awaited: bool,
    pub(super) keep_alive: Duration,
    pub(super) spoken: Instant,
    /// When a PINGREQ was sent that is not answered.
    pub(super) pinged: Option<Instant>,
    pub(super) first_refusal: Option<Reason>,
    /// The longest packet that the broker takes, in bytes.
    pub(super) max_packet: usize,
    pub(super) reconnected: u64,
    /// When the connection was made.
    pub(super) since: Instant,
    /// Connections in a row that broke at once.
    pub(super) short: u32,
    /// It was connected before.
    pub(super) resuming: bool,
}

impl Client {
    /// Connects. Nothing is retried here. `stop` ends every wait of this client within 100 ms.
    ///
    /// # Errors
    /// Failed, with the cause and where it is known a remedy: the broker cannot be reached, does not answer, refuses the
    /// user or password, its certificate does not verify. Usage for a `ca` file that cannot be used.
    pub fn connect(options: ClientOptions, stop: Arc<AtomicBool>, notice: Notice) -> Result<Client> {
        let trust = if options.broker.tls { Some(Trust::new(options.ca.as_deref())?) } else { None };
        let mut client = Client {
            keep_alive: options.keep_alive,
            options,
            trust,
            stop,
            end: None,
            notice,
            link: None,
            session: Session::new(),
            scratch: Vec::new(),
            subscriptions: Vec::new(),
            asked: None,
            answer: None,
            awaited: false,
            spoken: Instant::now(),
            pinged: None,
            first_refusal: None,
            max_packet: usize::MAX,
            reconnected: 0,
            since: Instant::now(),
            short: 0,
            resuming: false,
        };
        match client.open() {
            Ok(()) => Ok(client),
            Err(broken) => Err(broken.unreachable(&client.options.broker)),
        }
    }

    /// The name the broker knows this client by.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.options.client_id
    }

    /// What it has done so far.
    #[must_use]
    pub fn counts(&self) -> ClientCounts {
        let tally = self.session.tally;
        ClientCounts {
            published: tally.published,
            acknowledged: tally.acknowledged,
            refused: tally.refused,
            under_way: self.session.under_way() as u64,
            received: tally.received,
            reconnected: self.reconnected,
        }
    }

    /// Why the broker refused the first message that it refused.
    #[must_use]
    pub fn first_refusal(&self) -> Option<String> {
        self.first_refusal.map(|reason| reason.to_string())
    }

    /// Has every wait of this client end at `end`, as if it were stopped then; `None`: no such time.
    pub fn end_at(&mut self, end: Option<Instant>) {
        self.end = end;
    }

    /// Subscribes, and waits for the broker's consent. Returns the quality granted to each.
    ///
    /// # Errors
    /// Failed when the broker refuses one of them, does not answer, or is lost.
    pub fn subscribe(&mut self, wanted: &[Subscription]) -> Result<Vec<Qos>> {
        self.subscriptions.extend_from_slice(wanted);
        let request = self.asking(wanted)?;
        self.queue(&request);
        self.attempt(Link::write)?;
        self.awaited = true;
        let deadline = Instant::now() + ANSWER;
        let answer = loop {
            if let Some(answer) = self.answer.take() {
                break answer;
            }
            if self.stopped() {
                return Err(Error::interrupted("interrupted before the broker had consented to the subscription"));
            }
            if Instant::now() >= deadline {
                return Err(Error::failed(format!("{} does not answer the subscription", self.options.broker)));
            }
            self.step(deadline)?;
        };
        self.awaited = false;
        // After a break it was asked for all, these last.
        let earlier = answer.len().saturating_sub(wanted.len());
        granted(&answer[earlier..], wanted, &self.options.broker)
    }

    /// Gives a message to the connection; it leaves with the next [`flush`](Client::flush), or when enough have
    /// gathered. Waits while the broker has more than it takes unacknowledged. False when stopped meanwhile.
    ///
    /// # Errors
    /// Failed when the broker is lost for good, or the message is longer than it takes or cannot be written as MQTT has
    /// it.
    pub fn publish(&mut self, topic: &str, payload: &[u8], delivery: Delivery) -> Result<bool> {
        if topic.len() + payload.len() + PUBLISH_EXTRA > self.max_packet {
            return Err(Error::failed(format!(
                "a message of {} bytes to {topic} is longer than {} takes: {} bytes with all that goes with it",
                payload.len(),
                self.options.broker,
                self.max_packet
            )));
        }
        while !self.session.has_room(delivery.qos) || self.link.as_ref().is_none_or(|link| link.queued() > QUEUED) {
            if self.stopped() {
                return Ok(false);
            }
            self.step(Instant::now() + STOP_LATENCY)?;
        }
        let mut packet = std::mem::take(&mut self.scratch);
        packet.clear();
        let written = self.session.publish(topic, payload, delivery, &mut packet);
        self.queue(&packet);
        self.scratch = packet;
        written.map_err(unwritable)?;
        Ok(true)
    }

    /// Hands all that is queued to the kernel. False when stopped meanwhile.
    ///
    /// # Errors
    /// Failed when the broker is lost for good.
    pub fn flush(&mut self) -> Result<bool> {
        self.attempt(Link::write)?;
        while self.link.as_ref().is_none_or(|link| link.queued() > 0) {
            if self.stopped() {
                return Ok(false);
            }
            self.step(Instant::now() + STOP_LATENCY)?;
        }
        Ok(true)
    }

    /// Looks after the connection for this long: takes acknowledgements, and keeps it alive. To be called now and then
    /// by a publisher that has nothing to publish.
    ///
    /// # Errors
    /// Failed when the broker is lost for good.
    pub fn idle(&mut self, time: Duration) -> Result<()> {
        let until = Instant::now() + time;
        loop {
            self.step(until)?;
            if Instant::now() >= until || self.stopped() {
                return Ok(());
            }
        }
    }

    /// Waits until the kernel has taken and the broker has acknowledged all messages. False when `until` came, which is
    /// also when this client [ends](Client::end_at) now, or it was stopped meanwhile.
    ///
    /// # Errors
    /// Failed when the broker is lost for good.
    pub fn settle(&mut self, until: Instant) -> Result<bool> {
        self.end = Some(until);
        if !self.flush()? {
            return Ok(false);
        }
        while self.session.under_way() > 0 {
            if Instant::now() >= until || self.stopped() {
                return Ok(false);
            }
            self.step(until)?;
        }
        Ok(true)
    }

    /// The next message of those that have come; `None` when all were taken. Taking a message acknowledges it.
    ///
    /// # Errors
    /// As [`publish`](Client::publish).
    pub fn ready(&mut self) -> Result<Option<Message>> {
        let mut packet = std::mem::take(&mut self.scratch);
        packet.clear();
        let message = self.session.next(&mut packet);
        self.queue(&packet);
        self.scratch = packet;
        Ok(message)
    }

    /// The next message, waited for; `None` when `until` came or it was stopped meanwhile. Taking a message acknowledges it.
    ///
    /// # Errors
    /// Failed when the broker is lost for good.
    pub fn next(&mut self, until: Option<Instant>) -> Result<Option<Message>> {
        loop {
            if let Some(message) = self.ready()? {
                return Ok(Some(message));
            }
            let now = Instant::now();
            if until.is_some_and(|until| now >= until) || self.stopped() {
                return Ok(None);
            }
            self.step(until.unwrap_or(now + STOP_LATENCY))?;
        }
    }

    /// Takes leave: no last will is published. Returns what it has done.
    pub fn close(mut self) -> ClientCounts {
        let counts = self.counts();
        if let Some(mut link) = self.link.take() {
            // Whether the broker hears it makes no difference to this side.
            let mut properties = PropertyList::new();
            if self.options.session.is_none() && !self.options.reconnect.is_zero() {
                // The session was for coming back after a break.
                properties.number(id::SESSION_EXPIRY, 0);
            }
            let _ =
                link.queue(&Packet::Disconnect(Disconnect { reason: Reason::SUCCESS, properties: properties.get() }));
            link.finish(Instant::now() + FAREWELL);
        }
        counts
    }

    pub(super) fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed) || self.end.is_some_and(|end| Instant::now() >= end)
    }

    /// Waits for the broker until `until`, 100 ms at most, and takes what it says. Makes the connection again when it
    /// is broken.
    fn step(&mut self, until: Instant) -> Result<()> {
        if self.link.is_none() {
            return self.reopen(io::Error::from(ErrorKind::NotConnected).into());
        }
        let until = until.min(Instant::now() + STOP_LATENCY);
        match self.look(until) {
            Ok(()) => Ok(()),
            Err(broken) => self.reopen(broken),
        }
    }

    fn look(&mut self, until: Instant) -> Result<(), Break> {
        self.stay_alive()?;
        let Some(link) = &mut self.link else { return Ok(()) };
        link.wait(until)?;
        self.take_all()
    }

    /// Takes all that has come.
    fn take_all(&mut self) -> Result<(), Break> {
        let Some(mut link) = self.link.take() else { return Ok(()) };
        let mut replies = std::mem::take(&mut self.scratch);
        replies.clear();
        let taken = link.packets(|packet| self.take(&packet, &mut replies).map(|()| true));
        link.queue_bytes(&replies);
        let written = if replies.is_empty() { Ok(()) } else { link.write() };
        if !replies.is_empty() {
            self.spoken = Instant::now();
        }
        (self.link, self.scratch) = (Some(link), replies);
        taken?;
        Ok(written?)
    }

    fn take(&mut self, packet: &Packet<'_>, replies: &mut Vec<u8>) -> Result<(), Break> {
        match packet {
            Packet::PingResp => self.pinged = None,
            Packet::Granted(answer) if !answer.unsubscribed && Some(answer.id) == self.asked => {
                self.asked = None;
                if self.awaited {
                    self.answer = Some(answer.codes.to_vec());
                } else {
                    // It was asked again after a break, and nobody waits.
                    granted(answer.codes, &self.subscriptions, &self.options.broker)?;
                }
            }
            Packet::Granted(_) => {}
            Packet::Disconnect(farewell) => return Err(Break::told(farewell.reason)),
            packet => match self.session.take(packet, replies) {
                Outcome::Nothing => {}
                Outcome::Refused(reason) => {
                    self.first_refusal.get_or_insert(reason);
                }
                Outcome::Wrong(what) => return Err(Break::wrong(what)),
            },
        }
        Ok(())
    }

    /// Says that it is there when it has not said anything for long, and gives a broker up that does not answer that.
    fn stay_alive(&mut self) -> Result<(), Break> {
        if self.keep_alive.is_zero() {
            return Ok(());
        }
        let now = Instant::now();
        match self.pinged {
            Some(pinged) if now - pinged >= self.keep_alive.max(Duration::from_secs(1)) => {
                return Err(Break::from(io::Error::from(ErrorKind::TimedOut)));
            }
            None if now - self.spoken >= self.keep_alive => {
                if let Some(link) = &mut self.link {
                    link.queue(&Packet::PingReq)?;
                }
                (self.pinged, self.spoken) = (Some(now), now);
            }
            _ => {}
        }
        Ok(())
    }

    /// Queues packets; without a connection they are not for the next one.
    fn queue(&mut self, packets: &[u8]) {
        let Some(link) = self.link.as_mut().filter(|_| !packets.is_empty()) else { return };
        self.spoken = Instant::now();
        link.queue_bytes(packets);
    }

    /// Does something with the connection, and takes it for broken when that fails.
    fn attempt(&mut self, act: impl FnOnce(&mut Link) -> io::Result<()>) -> Result<()> {
        let Some(link) = &mut self.link else { return Ok(()) };
        match act(link) {
            Ok(()) => Ok(()),
            Err(cause) => self.reopen(cause.into()),
        }
    }

    /// The packet that asks for these subscriptions.
    ///
    /// # Errors
    /// When a filter is too long for one.
    pub(super) fn asking(&mut self, wanted: &[Subscription]) -> Result<Vec<u8>> {
        let id = self.session.free_id();
        let filters = wanted.iter().map(|one| (&*one.filter, Wish { qos: one.qos, ..Wish::default() })).collect();
        let request = Packet::Subscribe(Subscribe { id, properties: Properties::default(), filters });
        let mut bytes = Vec::new();
        request.write(Version::Five, &mut bytes).map_err(unwritable)?;
        self.asked = Some(id);
        self.answer = None;
        Ok(bytes)
    }
}

fn unwritable(cause: TooLong) -> Error {
    Error::failed("writing a message as MQTT").because(cause)
}

/// What the broker granted to each, if it granted something to all.
fn granted(codes: &[u8], wanted: &[Subscription], broker: &BrokerUrl) -> Result<Vec<Qos>> {
    let qualities = codes.iter().zip(wanted).map(|(code, one)| {
        let refusal =
            || Error::failed(format!("{broker} refuses the subscription to {}: {}", one.filter, Reason(*code)));
        Qos::of_level(*code).ok_or_else(refusal)
    });
    qualities.collect()
}
