//! How a client's connection is made, and made again.

use std::thread;
use std::time::{Duration, Instant};

use super::client::{ANSWER, Client, STOP_LATENCY};
use super::link::{Link, MAX_PACKET};
use super::reason::Break;
use super::secret::Password;
use crate::error::Result;
use crate::wire::mqtt::{ConnAck, Connect, Packet, Properties, PropertyList, Version, Will, id};

/// QoS 1 and 2 messages that the broker may send before they are acknowledged.
const RECEIVE_MAXIMUM: u16 = 1024;
/// A connection that breaks sooner than this was no use.
const SHORT: Duration = Duration::from_secs(1);
/// So many of them in a row are enough.
const SHORT_ONES: u32 = 10;
/// The first pause before another attempt to connect; each is twice the one before, up to the longest.
const PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// Whoever wants to try for longer tries for a year: beyond, clocks overflow.
const LONGEST_PATIENCE: Duration = Duration::from_secs(365 * 86_400);

impl Client {
    /// Makes the connection again: for as long as the options say, with growing pauses.
    pub(super) fn reopen(&mut self, broken: Break) -> Result<()> {
        self.link = None;
        let broker = self.options.broker.clone();
        self.short = if self.since.elapsed() < SHORT { self.short + 1 } else { 0 };
        if broken.is_final() || self.options.reconnect.is_zero() || self.short > SHORT_ONES {
            return Err(broken.lost(&broker));
        }
        (self.notice)(&format!(
            "lost {broker} ({broken}); trying again for {}",
            humantime::format_duration(self.options.reconnect)
        ));
        let deadline = Instant::now() + self.options.reconnect.min(LONGEST_PATIENCE);
        let mut pause = PAUSE;
        loop {
            let awake = (Instant::now() + pause).min(deadline);
            while Instant::now() < awake {
                if self.stopped() {
                    // Whoever waits looks at the flag as well.
                    return Ok(());
                }
                thread::sleep(STOP_LATENCY.min(awake.saturating_duration_since(Instant::now())));
            }
            match self.open() {
                Ok(()) => {
                    self.reconnected += 1;
                    (self.notice)(&format!("connected to {broker} again"));
                    return Ok(());
                }
                Err(broken) if broken.is_final() => return Err(broken.unreachable(&broker)),
                Err(broken) if Instant::now() >= deadline => return Err(broken.gone(&broker, self.options.reconnect)),
                Err(_) => {}
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Makes a connection, up to the broker's consent.
    pub(super) fn open(&mut self) -> Result<(), Break> {
        let tls = match &self.trust {
            Some(trust) => Some(trust.connection(&self.options.broker)?),
            None => None,
        };
        let deadline = Instant::now() + ANSWER;
        let mut link = Link::connect(&self.options.broker, tls, ANSWER)?;
        self.introduce(&mut link)?;
        let mut consent = None;
        while consent.is_none() {
            link.packets(|packet| match packet {
                Packet::ConnAck(answer) => {
                    consent = Some(self.agreed(&answer)?);
                    Ok(false)
                }
                Packet::Disconnect(farewell) => Err(Break::told(farewell.reason)),
                _ => Err(Break::wrong("something else before its consent")),
            })?;
            match consent {
                Some(_) => {}
                None if Instant::now() >= deadline => return Err(Break::silent()),
                None if self.stopped() => return Err(Break::stopped()),
                None => link.wait(deadline.min(Instant::now() + STOP_LATENCY))?,
            }
        }
        let (kept, window) = consent.unwrap_or_default();
        // What was asked and not answered may not have arrived.
        let unanswered = self.asked.take().is_some();
        if self.resuming && !self.subscriptions.is_empty() && (unanswered || !kept) {
            let request = self.asking(&self.subscriptions.clone())?;
            link.queue_bytes(&request);
        }
        let mut again = Vec::new();
        self.session.resume(kept, window, &mut again);
        link.queue_bytes(&again);
        link.write()?;
        self.link = Some(link);
        self.resuming = true;
        Ok(())
    }

    /// The broker's answer: whether it has kept the session, and how many messages it takes at a time.
    fn agreed(&mut self, consent: &ConnAck<'_>) -> Result<(bool, u16), Break> {
        if consent.reason.is_error() {
            return Err(Break::refused(consent.reason));
        }
        let properties = consent.properties;
        if let Some(id) = properties.text(id::ASSIGNED_CLIENT_ID) {
            id.clone_into(&mut self.options.client_id);
        }
        self.max_packet = properties.number(id::MAXIMUM_PACKET_SIZE).map_or(usize::MAX, |size| size as usize);
        let seconds = properties.number(id::SERVER_KEEP_ALIVE);
        self.keep_alive = seconds.map_or(self.options.keep_alive, |seconds| Duration::from_secs(seconds.into()));
        (self.spoken, self.since, self.pinged) = (Instant::now(), Instant::now(), None);
        let window = properties.number(id::RECEIVE_MAXIMUM).map_or(u16::MAX, |most| most as u16);
        Ok((consent.session_present, window))
    }

    /// CONNECT.
    fn introduce(&self, link: &mut Link) -> Result<(), Break> {
        let options = &self.options;
        let mut properties = PropertyList::new();
        // A session that is to be kept is one to come back to. A break is not an end, so the other kind is kept for as
        // long as this client would try again.
        properties.number(id::SESSION_EXPIRY, seconds(options.session.unwrap_or(options.reconnect)));
        properties.number(id::RECEIVE_MAXIMUM, RECEIVE_MAXIMUM.into());
        properties.number(id::MAXIMUM_PACKET_SIZE, MAX_PACKET as u32);
        let has_login = options.broker.user.is_some() || options.password.is_some();
        let will = options.will.as_ref().map(|will| Will {
            topic: &will.topic,
            payload: &will.payload,
            qos: will.delivery.qos,
            retain: will.delivery.retain,
            properties: Properties::default(),
        });
        Ok(link.queue(&Packet::Connect(Connect {
            version: Version::Five,
            clean: options.session.is_none() && !self.resuming,
            keep_alive: seconds(options.keep_alive).try_into().unwrap_or(u16::MAX),
            client_id: &options.client_id,
            will,
            user: has_login.then(|| options.broker.user.as_deref().unwrap_or_default()),
            password: options.password.as_ref().map(Password::bytes),
            properties: properties.get(),
        }))?)
    }
}

/// Whole seconds, rounded up.
fn seconds(time: Duration) -> u32 {
    u32::try_from(time.as_millis().div_ceil(1000)).unwrap_or(u32::MAX)
}
