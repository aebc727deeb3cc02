//! What a client remembers of its conversation with a broker: which messages are under way, which have come. No
//! sockets, no clocks: packets go in, and the bytes to be sent and what is to be told come out.
//!
//! A message that came is acknowledged when the program takes it, not when it arrives: one that the program never saw is
//! the broker's to deliver again.

use std::collections::{BTreeMap, HashMap, VecDeque};

use super::message::{Delivery, Message, Qos};
use crate::wire::mqtt::{Ack, AckKind, Packet, Properties, Publish, Reason, TooLong, Version};

/// One client's side.
#[derive(Debug, Default)]
pub(super) struct Session {
    /// Messages of QoS 1 and 2 that the broker has not acknowledged, in the order of their sending.
    outgoing: BTreeMap<u64, Outgoing>,
    /// Packet identifier → key of `outgoing`.
    by_id: HashMap<u16, u64>,
    next_key: u64,
    last_id: u16,
    /// How many of them the broker takes at a time (Receive Maximum, MQTT 5.0 section 3.2.2.3.3).
    window: usize,
    /// QoS 2 messages that came and that the broker has not released yet.
    incoming: HashMap<u16, Incoming>,
    /// Messages for the program.
    inbox: VecDeque<Arrived>,
    /// What has become of them.
    pub(super) tally: Tally,
}

/// Messages counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    /// Given to the connection.
    pub published: u64,
    /// Of QoS 1 and 2: acknowledged to the end.
    pub acknowledged: u64,
    /// Of QoS 1 and 2: refused by the broker.
    pub refused: u64,
    /// Taken by the program.
    pub received: u64,
}

#[derive(Debug)]
struct Outgoing {
    id: u16,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    /// PUBLISH is out: PUBACK or PUBREC is to come.
    Published { topic: Box<str>, payload: Box<[u8]>, delivery: Delivery },
    /// PUBREL is out: PUBCOMP is to come.
    Released,
}

/// How far an incoming QoS 2 message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Incoming {
    /// In the inbox.
    Waits,
    /// Taken, and PUBREC is out.
    Taken,
}

#[derive(Debug)]
struct Arrived {
    message: Message,
    /// To be acknowledged by this identifier when it is taken.
    id: Option<u16>,
}

/// What a packet led to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Nothing to tell.
    Nothing,
    /// The broker refused a message, for this reason.
    Refused(Reason),
    /// The broker said what it may not say here.
    Wrong(&'static str),
}

impl Session {
    pub(super) fn new() -> Session {
        Session { window: usize::from(u16::MAX), ..Session::default() }
    }

    /// Whether another message of this quality may be sent now.
    pub(super) fn has_room(&self, qos: Qos) -> bool {
        qos == Qos::AtMostOnce || self.outgoing.len() < self.window
    }

    /// Messages that the broker has not acknowledged.
    pub(super) fn under_way(&self) -> usize {
        self.outgoing.len()
    }

    /// Publishes a message: writes its packet to `out`.
    ///
    /// # Errors
    /// When its topic is too long for one; nothing is published then.
    pub(super) fn publish(
        &mut self,
        topic: &str,
        payload: &[u8],
        delivery: Delivery,
        out: &mut Vec<u8>,
    ) -> Result<(), TooLong> {
        let id = if delivery.qos == Qos::AtMostOnce { 0 } else { self.free_id() };
        write(topic, payload, delivery, id, false, out)?;
        self.tally.published += 1;
        if id > 0 {
            let stage = Stage::Published { topic: topic.into(), payload: payload.into(), delivery };
            self.outgoing.insert(self.next_key, Outgoing { id, stage });
            self.by_id.insert(id, self.next_key);
            self.next_key += 1;
        }
        Ok(())
    }

    /// A packet identifier that is not in use, not 0.
    pub(super) fn free_id(&mut self) -> u16 {
        // The window is below 65,536, so there is one.
        loop {
            self.last_id = self.last_id.checked_add(1).unwrap_or(1);
            if !self.by_id.contains_key(&self.last_id) {
                return self.last_id;
            }
        }
    }

    /// Takes a packet that belongs to a message; what is to be answered at once goes to `out`.
    pub(super) fn take(&mut self, packet: &Packet<'_>, out: &mut Vec<u8>) -> Outcome {
        let ack = match packet {
            Packet::Publish(packet) => return self.arrived(packet, out),
            Packet::Ack(ack) => ack,
            _ => return Outcome::Wrong("a packet that it may not send here"),
        };
        match ack.kind {
            AckKind::PubAck => return self.acknowledged(ack, Qos::AtLeastOnce),
            AckKind::PubRec if ack.reason.is_error() => return self.acknowledged(ack, Qos::ExactlyOnce),
            AckKind::PubRec => {
                let outgoing = self.by_id.get(&ack.id).and_then(|key| self.outgoing.get_mut(key));
                let known = outgoing.map(|outgoing| outgoing.stage = Stage::Released).is_some();
                answer(AckKind::PubRel, ack.id, known, out);
            }
            AckKind::PubComp => {
                if let Some(key) = self.by_id.remove(&ack.id) {
                    self.outgoing.remove(&key);
                    self.tally.acknowledged += 1;
                }
            }
            AckKind::PubRel => answer(AckKind::PubComp, ack.id, self.incoming.remove(&ack.id).is_some(), out),
        }
        Outcome::Nothing
    }

    fn arrived(&mut self, packet: &Publish<'_>, out: &mut Vec<u8>) -> Outcome {
        if packet.topic.is_empty() {
            return Outcome::Wrong("a topic alias, which it was not offered");
        }
        if packet.qos == Qos::ExactlyOnce {
            match self.incoming.get(&packet.id) {
                None => {
                    self.incoming.insert(packet.id, Incoming::Waits);
                }
                Some(Incoming::Waits) => return Outcome::Nothing,
                // The program has it; the answer got lost.
                Some(Incoming::Taken) => {
                    answer(AckKind::PubRec, packet.id, true, out);
                    return Outcome::Nothing;
                }
            }
        }
        let message = Message {
            topic: packet.topic.to_owned(),
            qos: packet.qos,
            retained: packet.retain,
            again: packet.dup,
            payload: packet.payload.to_vec(),
        };
        self.inbox.push_back(Arrived { message, id: Some(packet.id).filter(|id| *id > 0) });
        Outcome::Nothing
    }

    fn acknowledged(&mut self, ack: &Ack<'_>, kind: Qos) -> Outcome {
        let waits =
            |outgoing: &Outgoing| matches!(&outgoing.stage, Stage::Published { delivery, .. } if delivery.qos == kind);
        let Some(key) = self.by_id.get(&ack.id).copied().filter(|key| self.outgoing.get(key).is_some_and(waits)) else {
            return Outcome::Nothing;
        };
        self.by_id.remove(&ack.id);
        self.outgoing.remove(&key);
        if ack.reason.is_error() {
            self.tally.refused += 1;
            return Outcome::Refused(ack.reason);
        }
        self.tally.acknowledged += 1;
        Outcome::Nothing
    }

    /// The next message for the program; what acknowledges it goes to `out`.
    pub(super) fn next(&mut self, out: &mut Vec<u8>) -> Option<Message> {
        let Arrived { message, id } = self.inbox.pop_front()?;
        self.tally.received += 1;
        match (message.qos, id) {
            (Qos::AtLeastOnce, Some(id)) => answer(AckKind::PubAck, id, true, out),
            (Qos::ExactlyOnce, Some(id)) => {
                self.incoming.insert(id, Incoming::Taken);
                answer(AckKind::PubRec, id, true, out);
            }
            _ => {}
        }
        Some(message)
    }

    /// A connection begins: the broker takes `window` messages at a time, and `kept` what it knew of this client. What
    /// is to be sent again goes to `out`.
    pub(super) fn resume(&mut self, kept: bool, window: u16, out: &mut Vec<u8>) {
        self.window = usize::from(window.max(1));
        if kept {
            // What was not acknowledged is delivered again.
            self.inbox.retain(|arrived| arrived.id.is_none());
            self.incoming.retain(|_, stage| *stage == Incoming::Taken);
        } else {
            // The old identifiers mean nothing to it.
            self.inbox.iter_mut().for_each(|arrived| arrived.id = None);
            self.incoming.clear();
            self.tally.acknowledged += self.forget_released();
        }
        for Outgoing { id, stage } in self.outgoing.values() {
            match stage {
                // It was written before.
                Stage::Published { topic, payload, delivery } => {
                    let _ = write(topic, payload, *delivery, *id, kept, out);
                }
                Stage::Released => answer(AckKind::PubRel, *id, true, out),
            }
        }
    }

    /// Messages whose first step the broker has acknowledged are its own from then on; without a session there is
    /// nobody to finish the second step with.
    fn forget_released(&mut self) -> u64 {
        let before = self.outgoing.len();
        let by_id = &mut self.by_id;
        self.outgoing.retain(|_, outgoing| {
            let stays = matches!(outgoing.stage, Stage::Published { .. });
            if !stays {
                by_id.remove(&outgoing.id);
            }
            stays
        });
        (before - self.outgoing.len()) as u64
    }
}

fn write(
    topic: &str,
    payload: &[u8],
    Delivery { qos, retain }: Delivery,
    id: u16,
    dup: bool,
    out: &mut Vec<u8>,
) -> Result<(), TooLong> {
    Publish { dup, qos, retain, topic, id, properties: Properties::default(), payload }.write(Version::Five, out)
}

/// `known`: there is such a message.
fn answer(kind: AckKind, id: u16, known: bool, out: &mut Vec<u8>) {
    let reason = if known { Reason::SUCCESS } else { Reason::NO_SUCH_ID };
    // It has no text that could be too long.
    let _ = Packet::ack(kind, id, reason).write(Version::Five, out);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::mqtt::{Side, frame, read};

    fn connected() -> Session {
        let (mut session, mut out) = (Session::new(), Vec::new());
        session.resume(false, u16::MAX, &mut out);
        assert!(out.is_empty());
        session
    }

    fn publish(session: &mut Session, qos: Qos) -> u16 {
        let mut out = Vec::new();
        session.publish("t", b"x", Delivery { qos, retain: false }, &mut out).unwrap();
        let (frame, _) = frame(&out, usize::MAX).unwrap().unwrap();
        let Ok(Packet::Publish(publish)) = read(Version::Five, Side::Client, frame) else { panic!("{out:?}") };
        publish.id
    }

    fn incoming(qos: Qos, id: u16) -> Packet<'static> {
        let properties = Properties::default();
        Packet::Publish(Publish { dup: false, qos, retain: false, topic: "t", id, properties, payload: b"x" })
    }

    fn ack(kind: AckKind, id: u16) -> Packet<'static> {
        Packet::ack(kind, id, Reason::SUCCESS)
    }

    /// Takes a packet and gives the answers in short.
    fn take(session: &mut Session, packet: &Packet<'_>) -> Vec<String> {
        let mut out = Vec::new();
        assert_eq!(session.take(packet, &mut out), Outcome::Nothing);
        short(&out)
    }

    fn next(session: &mut Session) -> Option<(Message, Vec<String>)> {
        let mut out = Vec::new();
        session.next(&mut out).map(|message| (message, short(&out)))
    }

    fn resume(session: &mut Session, kept: bool, window: u16) -> Vec<String> {
        let mut out = Vec::new();
        session.resume(kept, window, &mut out);
        short(&out)
    }

    fn short(mut bytes: &[u8]) -> Vec<String> {
        let mut all = Vec::new();
        while let Some((frame, length)) = frame(bytes, usize::MAX).unwrap() {
            all.push(match read(Version::Five, Side::Client, frame).unwrap() {
                Packet::Publish(publish) => format!("PUBLISH {} dup {}", publish.id, publish.dup),
                Packet::Ack(ack) => format!("{:?} {} {:#x}", ack.kind, ack.id, ack.reason.0),
                other => panic!("{other:?}"),
            });
            bytes = &bytes[length..];
        }
        all
    }

    #[test]
    fn qos_0_leaves_nothing_behind() {
        let mut session = connected();
        assert_eq!(publish(&mut session, Qos::AtMostOnce), 0);
        assert_eq!(session.under_way(), 0);
        assert!(take(&mut session, &incoming(Qos::AtMostOnce, 0)).is_empty());
        assert!(next(&mut session).unwrap().1.is_empty());
    }

    #[test]
    fn qos_1_is_under_way_until_it_is_acknowledged() {
        let mut session = connected();
        let id = publish(&mut session, Qos::AtLeastOnce);
        assert!(take(&mut session, &ack(AckKind::PubAck, id + 1)).is_empty());
        assert_eq!(session.under_way(), 1, "another's acknowledgement");
        assert_eq!(take(&mut session, &ack(AckKind::PubRec, id + 1)).len(), 1);
        assert!(take(&mut session, &ack(AckKind::PubAck, id)).is_empty());
        assert_eq!((session.under_way(), session.tally.acknowledged), (0, 1));
        assert!(take(&mut session, &ack(AckKind::PubAck, id)).is_empty());
        assert_eq!(session.tally.acknowledged, 1, "counted once");
    }

    #[test]
    fn qos_2_takes_two_steps_each_way() {
        let mut session = connected();
        let id = publish(&mut session, Qos::ExactlyOnce);
        assert_eq!(take(&mut session, &ack(AckKind::PubRec, id)), [format!("PubRel {id} 0x0")]);
        assert_eq!(session.under_way(), 1);
        assert!(take(&mut session, &ack(AckKind::PubComp, id)).is_empty());
        assert_eq!((session.under_way(), session.tally.acknowledged), (0, 1));

        let message = incoming(Qos::ExactlyOnce, 9);
        assert!(take(&mut session, &message).is_empty());
        assert!(take(&mut session, &message).is_empty(), "it is here and was not taken");
        assert_eq!(next(&mut session).unwrap().1, ["PubRec 9 0x0"]);
        assert_eq!(take(&mut session, &message), ["PubRec 9 0x0"], "once more, the answer alone");
        assert!(next(&mut session).is_none());
        assert_eq!(take(&mut session, &ack(AckKind::PubRel, 9)), ["PubComp 9 0x0"]);
        assert_eq!(take(&mut session, &ack(AckKind::PubRel, 9)), ["PubComp 9 0x92"]);
        assert_eq!(session.tally.received, 1);
    }

    #[test]
    fn a_refusal_ends_a_message_and_is_told() {
        let mut session = connected();
        for (qos, kind) in [(Qos::AtLeastOnce, AckKind::PubAck), (Qos::ExactlyOnce, AckKind::PubRec)] {
            let id = publish(&mut session, qos);
            let outcome = session.take(&Packet::ack(kind, id, Reason::QUOTA), &mut Vec::new());
            assert_eq!(outcome, Outcome::Refused(Reason::QUOTA));
        }
        assert_eq!((session.under_way(), session.tally.refused, session.tally.acknowledged), (0, 2, 0));
    }

    #[test]
    fn the_window_holds_messages_back() {
        let mut session = connected();
        resume(&mut session, false, 2);
        publish(&mut session, Qos::AtLeastOnce);
        assert!(session.has_room(Qos::AtLeastOnce));
        let id = publish(&mut session, Qos::ExactlyOnce);
        assert!(!session.has_room(Qos::AtLeastOnce) && session.has_room(Qos::AtMostOnce));
        take(&mut session, &ack(AckKind::PubRec, id));
        assert!(!session.has_room(Qos::AtLeastOnce), "the second step counts as well");
        take(&mut session, &ack(AckKind::PubComp, id));
        assert!(session.has_room(Qos::AtLeastOnce));
    }

    #[test]
    fn a_broker_that_remembers_gets_the_rest_again() {
        let mut session = connected();
        let first = publish(&mut session, Qos::AtLeastOnce);
        let second = publish(&mut session, Qos::ExactlyOnce);
        take(&mut session, &ack(AckKind::PubRec, second));
        take(&mut session, &incoming(Qos::AtLeastOnce, 1));
        take(&mut session, &incoming(Qos::AtMostOnce, 0));
        let again = resume(&mut session, true, 10);
        assert_eq!(again, [format!("PUBLISH {first} dup true"), format!("PubRel {second} 0x0")]);
        // The message of QoS 1 comes again; that of QoS 0 does not.
        assert_eq!(next(&mut session).unwrap().0.qos, Qos::AtMostOnce);
        assert!(next(&mut session).is_none());
    }

    #[test]
    fn a_broker_that_has_forgotten_gets_new_messages() {
        let mut session = connected();
        let first = publish(&mut session, Qos::AtLeastOnce);
        let second = publish(&mut session, Qos::ExactlyOnce);
        take(&mut session, &ack(AckKind::PubRec, second));
        take(&mut session, &incoming(Qos::AtLeastOnce, 1));
        assert_eq!(resume(&mut session, false, 10), [format!("PUBLISH {first} dup false")]);
        assert_eq!((session.under_way(), session.tally.acknowledged), (1, 1));
        assert!(next(&mut session).unwrap().1.is_empty(), "its identifier means nothing to the broker any more");
    }

    #[test]
    fn identifiers_are_not_used_twice_at_a_time() {
        let mut session = connected();
        let mut ids: Vec<u16> = (0..1000).map(|_| publish(&mut session, Qos::AtLeastOnce)).collect();
        session.last_id = u16::MAX - 1;
        ids.extend((0..10).map(|_| publish(&mut session, Qos::AtLeastOnce)));
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), 1010);
        assert!(!ids.contains(&0));
    }

    #[test]
    fn a_packet_that_only_clients_send_is_wrong() {
        assert!(matches!(connected().take(&Packet::PingReq, &mut Vec::new()), Outcome::Wrong(_)));
    }
}
