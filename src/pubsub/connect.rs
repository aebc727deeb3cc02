//! How a client's connection is made, and made again.

use std::thread;
use std::time::{Duration, Instant};

use mqtt5_protocol::packet::connack::ConnAckPacket;
use mqtt5_protocol::packet::connect::ConnectPacket;
use mqtt5_protocol::types::{ConnectOptions, WillMessage};
use mqtt5_protocol::{Packet, PropertyId, PropertyValue};

use super::client::{ANSWER, Client, STOP_LATENCY};
use super::link::{Link, MAX_PACKET};
use super::reason::Break;
use crate::error::Result;

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
        link.queue(&Packet::Connect(Box::new(self.introduction())))?;
        let consent = loop {
            match link.packet()? {
                Some(Packet::ConnAck(consent)) => break consent,
                Some(Packet::Disconnect(farewell)) => return Err(Break::told(farewell.reason_code)),
                Some(_) => return Err(Break::wrong("something else before its consent")),
                None if Instant::now() >= deadline => return Err(Break::silent()),
                None if self.stopped() => return Err(Break::stopped()),
                None => link.wait(deadline.min(Instant::now() + STOP_LATENCY))?,
            }
        };
        if consent.reason_code.is_error() {
            return Err(Break::refused(consent.reason_code));
        }
        self.agreed(&consent);
        // What was asked and not answered may not have arrived.
        let unanswered = self.asked.take().is_some();
        if self.resuming && !self.subscriptions.is_empty() && (unanswered || !consent.session_present) {
            let packet = self.asking(&self.subscriptions.clone());
            link.queue(&packet)?;
        }
        let again = self.session.resume(consent.session_present, consent.receive_maximum().unwrap_or(u16::MAX));
        again.iter().try_for_each(|packet| link.queue(packet))?;
        link.write()?;
        self.link = Some(link);
        self.resuming = true;
        Ok(())
    }

    fn agreed(&mut self, consent: &ConnAckPacket) {
        if let Some(PropertyValue::Utf8String(id)) = consent.properties.get(PropertyId::AssignedClientIdentifier) {
            self.options.client_id.clone_from(id);
        }
        self.max_packet = consent.maximum_packet_size().map_or(usize::MAX, |size| size as usize);
        let seconds = consent.properties.get_server_keep_alive();
        self.keep_alive = seconds.map_or(self.options.keep_alive, |seconds| Duration::from_secs(seconds.into()));
        (self.spoken, self.since, self.pinged) = (Instant::now(), Instant::now(), None);
    }

    /// CONNECT.
    fn introduction(&self) -> ConnectPacket {
        let options = &self.options;
        let mut connect = ConnectOptions::new(options.client_id.clone())
            .with_keep_alive(options.keep_alive)
            .with_receive_maximum(RECEIVE_MAXIMUM)
            // A session that is to be kept is one to come back to. A break is not an end, so the other kind is kept
            // for as long as this client would try again.
            .with_clean_start(options.session.is_none() && !self.resuming)
            .with_session_expiry_interval(seconds(options.session.unwrap_or(options.reconnect)));
        connect.properties.maximum_packet_size = Some(MAX_PACKET as u32);
        if options.broker.user.is_some() || options.password.is_some() {
            connect.username = Some(options.broker.user.clone().unwrap_or_default());
            connect.password = options.password.as_ref().map(|password| password.bytes().to_vec());
        }
        if let Some(will) = &options.will {
            let message = WillMessage::new(&will.topic, will.payload.clone())
                .with_qos(will.delivery.qos.wire())
                .with_retain(will.delivery.retain);
            connect = connect.with_will(message);
        }
        ConnectPacket::new(connect)
    }
}

/// Whole seconds, rounded up.
fn seconds(time: Duration) -> u32 {
    u32::try_from(time.as_millis().div_ceil(1000)).unwrap_or(u32::MAX)
}
