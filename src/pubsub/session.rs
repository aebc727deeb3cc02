//! What a client remembers of its conversation with a broker: which messages are under way, which have come. No
//! sockets, no clocks: packets go in, and what is to be sent and told comes out.
//!
//! A message that came is acknowledged when the program takes it, not when it arrives: one that the program never saw is
//! the broker's to deliver again.

use std::collections::{BTreeMap, HashMap, VecDeque};

use bytes::Bytes;
use mqtt5_protocol::packet::puback::PubAckPacket;
use mqtt5_protocol::packet::pubcomp::PubCompPacket;
use mqtt5_protocol::packet::publish::PublishPacket;
use mqtt5_protocol::packet::pubrec::PubRecPacket;
use mqtt5_protocol::packet::pubrel::PubRelPacket;
use mqtt5_protocol::{Packet, QoS, ReasonCode};

use super::message::{Delivery, Message, Qos};

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
    Published(PublishPacket),
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
    Refused(ReasonCode),
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

    /// The packet that publishes a message.
    pub(super) fn publish(&mut self, topic: &str, payload: Bytes, delivery: Delivery) -> Packet {
        self.tally.published += 1;
        let mut packet = PublishPacket::new(topic, payload, delivery.qos.wire()).with_retain(delivery.retain);
        if delivery.qos != Qos::AtMostOnce {
            let id = self.free_id();
            packet.packet_id = Some(id);
            self.outgoing.insert(self.next_key, Outgoing { id, stage: Stage::Published(packet.clone()) });
            self.by_id.insert(id, self.next_key);
            self.next_key += 1;
        }
        Packet::Publish(packet)
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

    /// Takes a packet that belongs to a message; what is to be answered at once goes to `replies`.
    pub(super) fn take(&mut self, packet: Packet, replies: &mut Vec<Packet>) -> Outcome {
        match packet {
            Packet::Publish(packet) => return self.arrived(packet, replies),
            Packet::PubAck(ack) => return self.acknowledged(ack.packet_id, ack.reason_code, QoS::AtLeastOnce),
            Packet::PubRec(ack) => {
                if ack.reason_code.is_error() {
                    return self.acknowledged(ack.packet_id, ack.reason_code, QoS::ExactlyOnce);
                }
                let mut reason = ReasonCode::PacketIdentifierNotFound;
                if let Some(outgoing) = self.by_id.get(&ack.packet_id).and_then(|key| self.outgoing.get_mut(key)) {
                    outgoing.stage = Stage::Released;
                    reason = ReasonCode::Success;
                }
                replies.push(Packet::PubRel(PubRelPacket::new_with_reason(ack.packet_id, reason)));
            }
            Packet::PubComp(ack) => {
                if let Some(key) = self.by_id.remove(&ack.packet_id) {
                    self.outgoing.remove(&key);
                    self.tally.acknowledged += 1;
                }
            }
            Packet::PubRel(release) => {
                let known = self.incoming.remove(&release.packet_id).is_some();
                let reason = if known { ReasonCode::Success } else { ReasonCode::PacketIdentifierNotFound };
                replies.push(Packet::PubComp(PubCompPacket::new_with_reason(release.packet_id, reason)));
            }
            _ => return Outcome::Wrong("a packet that only clients send"),
        }
        Outcome::Nothing
    }

    fn arrived(&mut self, packet: PublishPacket, replies: &mut Vec<Packet>) -> Outcome {
        if packet.topic_name.is_empty() {
            return Outcome::Wrong("a topic alias, which it was not offered");
        }
        if let (QoS::ExactlyOnce, Some(id)) = (packet.qos, packet.packet_id) {
            match self.incoming.get(&id) {
                None => {
                    self.incoming.insert(id, Incoming::Waits);
                }
                Some(Incoming::Waits) => return Outcome::Nothing,
                // The program has it; the answer got lost.
                Some(Incoming::Taken) => {
                    replies.extend(answer(Qos::ExactlyOnce, id));
                    return Outcome::Nothing;
                }
            }
        }
        let qos = Qos::from_wire(packet.qos);
        let message = Message::new(packet.topic_name, qos, packet.retain, packet.dup, packet.payload);
        self.inbox.push_back(Arrived { message, id: packet.packet_id });
        Outcome::Nothing
    }

    fn acknowledged(&mut self, id: u16, reason: ReasonCode, kind: QoS) -> Outcome {
        let waits = |outgoing: &Outgoing| matches!(&outgoing.stage, Stage::Published(packet) if packet.qos == kind);
        let Some(key) = self.by_id.get(&id).copied().filter(|key| self.outgoing.get(key).is_some_and(waits)) else {
            return Outcome::Nothing;
        };
        self.by_id.remove(&id);
        self.outgoing.remove(&key);
        if reason.is_error() {
            self.tally.refused += 1;
            return Outcome::Refused(reason);
        }
        self.tally.acknowledged += 1;
        Outcome::Nothing
    }

    /// The next message for the program, and the packet that acknowledges it.
    pub(super) fn next(&mut self) -> Option<(Message, Option<Packet>)> {
        let Arrived { message, id } = self.inbox.pop_front()?;
        self.tally.received += 1;
        if let (Qos::ExactlyOnce, Some(id)) = (message.qos, id) {
            self.incoming.insert(id, Incoming::Taken);
        }
        let answer = id.and_then(|id| answer(message.qos, id));
        Some((message, answer))
    }

    /// A connection begins: the broker takes `window` messages at a time, and `kept` what it knew of this client.
    /// Returns what is to be sent again.
    pub(super) fn resume(&mut self, kept: bool, window: u16) -> Vec<Packet> {
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
        let again = self.outgoing.values().map(|outgoing| match &outgoing.stage {
            Stage::Published(packet) => Packet::Publish(packet.clone().with_dup(kept)),
            Stage::Released => Packet::PubRel(PubRelPacket::new(outgoing.id)),
        });
        again.collect()
    }

    /// Messages whose first step the broker has acknowledged are its own from then on; without a session there is
    /// nobody to finish the second step with.
    fn forget_released(&mut self) -> u64 {
        let before = self.outgoing.len();
        let by_id = &mut self.by_id;
        self.outgoing.retain(|_, outgoing| {
            let stays = matches!(outgoing.stage, Stage::Published(_));
            if !stays {
                by_id.remove(&outgoing.id);
            }
            stays
        });
        (before - self.outgoing.len()) as u64
    }
}

fn answer(qos: Qos, id: u16) -> Option<Packet> {
    match qos {
        Qos::AtMostOnce => None,
        Qos::AtLeastOnce => Some(Packet::PubAck(PubAckPacket::new(id))),
        Qos::ExactlyOnce => Some(Packet::PubRec(PubRecPacket::new(id))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delivery(qos: Qos) -> Delivery {
        Delivery { qos, retain: false }
    }

    fn connected() -> Session {
        let mut session = Session::new();
        assert!(session.resume(false, u16::MAX).is_empty());
        session
    }

    fn publish(session: &mut Session, qos: Qos) -> Option<u16> {
        match session.publish("t", Bytes::from_static(b"x"), delivery(qos)) {
            Packet::Publish(packet) => packet.packet_id,
            other => panic!("{other:?}"),
        }
    }

    fn incoming(qos: QoS, id: Option<u16>) -> Packet {
        let mut packet = PublishPacket::new("t", &b"x"[..], qos);
        packet.packet_id = id;
        Packet::Publish(packet)
    }

    /// Takes a packet and gives the answers in short.
    fn take(session: &mut Session, packet: Packet) -> Vec<String> {
        let mut replies = Vec::new();
        assert_eq!(session.take(packet, &mut replies), Outcome::Nothing);
        replies.iter().map(short).collect()
    }

    fn short(packet: &Packet) -> String {
        match packet {
            Packet::Publish(p) => format!("PUBLISH {} dup {}", p.packet_id.unwrap_or(0), p.dup),
            Packet::PubAck(p) => format!("PUBACK {}", p.packet_id),
            Packet::PubRec(p) => format!("PUBREC {}", p.packet_id),
            Packet::PubRel(p) => format!("PUBREL {} {:?}", p.packet_id, p.reason_code),
            Packet::PubComp(p) => format!("PUBCOMP {} {:?}", p.packet_id, p.reason_code),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn qos_0_leaves_nothing_behind() {
        let mut session = connected();
        assert_eq!(publish(&mut session, Qos::AtMostOnce), None);
        assert_eq!(session.under_way(), 0);
        assert!(take(&mut session, incoming(QoS::AtMostOnce, None)).is_empty());
        assert!(matches!(session.next(), Some((_, None))));
    }

    #[test]
    fn qos_1_is_under_way_until_it_is_acknowledged() {
        let mut session = connected();
        let id = publish(&mut session, Qos::AtLeastOnce).unwrap();
        assert!(take(&mut session, Packet::PubAck(PubAckPacket::new(id + 1))).is_empty());
        assert_eq!(session.under_way(), 1, "another's acknowledgement");
        assert!(take(&mut session, Packet::PubRec(PubRecPacket::new(id + 1))).len() == 1);
        assert!(take(&mut session, Packet::PubAck(PubAckPacket::new(id))).is_empty());
        assert_eq!((session.under_way(), session.tally.acknowledged), (0, 1));
        assert!(take(&mut session, Packet::PubAck(PubAckPacket::new(id))).is_empty());
        assert_eq!(session.tally.acknowledged, 1, "counted once");
    }

    #[test]
    fn qos_2_takes_two_steps_each_way() {
        let mut session = connected();
        let id = publish(&mut session, Qos::ExactlyOnce).unwrap();
        assert_eq!(take(&mut session, Packet::PubRec(PubRecPacket::new(id))), [format!("PUBREL {id} Success")]);
        assert_eq!(session.under_way(), 1);
        assert!(take(&mut session, Packet::PubComp(PubCompPacket::new(id))).is_empty());
        assert_eq!((session.under_way(), session.tally.acknowledged), (0, 1));

        assert!(take(&mut session, incoming(QoS::ExactlyOnce, Some(9))).is_empty());
        assert!(take(&mut session, incoming(QoS::ExactlyOnce, Some(9))).is_empty(), "it is here and was not taken");
        let (_, answer) = session.next().unwrap();
        assert_eq!(short(&answer.unwrap()), "PUBREC 9");
        assert_eq!(
            take(&mut session, incoming(QoS::ExactlyOnce, Some(9))),
            ["PUBREC 9"],
            "once more, the answer alone"
        );
        assert!(session.next().is_none());
        assert_eq!(take(&mut session, Packet::PubRel(PubRelPacket::new(9))), ["PUBCOMP 9 Success"]);
        assert_eq!(take(&mut session, Packet::PubRel(PubRelPacket::new(9))), ["PUBCOMP 9 PacketIdentifierNotFound"]);
        assert_eq!(session.tally.received, 1);
    }

    #[test]
    fn a_refusal_ends_a_message_and_is_told() {
        let mut session = connected();
        for qos in [Qos::AtLeastOnce, Qos::ExactlyOnce] {
            let id = publish(&mut session, qos).unwrap();
            let refusal = match qos {
                Qos::AtLeastOnce => Packet::PubAck(PubAckPacket::new_with_reason(id, ReasonCode::QuotaExceeded)),
                _ => Packet::PubRec(PubRecPacket::new_with_reason(id, ReasonCode::QuotaExceeded)),
            };
            let outcome = session.take(refusal, &mut Vec::new());
            assert_eq!(outcome, Outcome::Refused(ReasonCode::QuotaExceeded));
        }
        assert_eq!((session.under_way(), session.tally.refused, session.tally.acknowledged), (0, 2, 0));
    }

    #[test]
    fn the_window_holds_messages_back() {
        let mut session = connected();
        session.resume(false, 2);
        publish(&mut session, Qos::AtLeastOnce);
        assert!(session.has_room(Qos::AtLeastOnce));
        let id = publish(&mut session, Qos::ExactlyOnce).unwrap();
        assert!(!session.has_room(Qos::AtLeastOnce) && session.has_room(Qos::AtMostOnce));
        take(&mut session, Packet::PubRec(PubRecPacket::new(id)));
        assert!(!session.has_room(Qos::AtLeastOnce), "the second step counts as well");
        take(&mut session, Packet::PubComp(PubCompPacket::new(id)));
        assert!(session.has_room(Qos::AtLeastOnce));
    }

    #[test]
    fn a_broker_that_remembers_gets_the_rest_again() {
        let mut session = connected();
        let first = publish(&mut session, Qos::AtLeastOnce).unwrap();
        let second = publish(&mut session, Qos::ExactlyOnce).unwrap();
        take(&mut session, Packet::PubRec(PubRecPacket::new(second)));
        take(&mut session, incoming(QoS::AtLeastOnce, Some(1)));
        take(&mut session, incoming(QoS::AtMostOnce, None));
        let again: Vec<_> = session.resume(true, 10).iter().map(short).collect();
        assert_eq!(again, [format!("PUBLISH {first} dup true"), format!("PUBREL {second} Success")]);
        // The message of QoS 1 comes again; that of QoS 0 does not.
        assert_eq!(session.next().unwrap().0.qos, Qos::AtMostOnce);
        assert!(session.next().is_none());
    }

    #[test]
    fn a_broker_that_has_forgotten_gets_new_messages() {
        let mut session = connected();
        let first = publish(&mut session, Qos::AtLeastOnce).unwrap();
        let second = publish(&mut session, Qos::ExactlyOnce).unwrap();
        take(&mut session, Packet::PubRec(PubRecPacket::new(second)));
        take(&mut session, incoming(QoS::AtLeastOnce, Some(1)));
        let again: Vec<_> = session.resume(false, 10).iter().map(short).collect();
        assert_eq!(again, [format!("PUBLISH {first} dup false")]);
        assert_eq!((session.under_way(), session.tally.acknowledged), (1, 1));
        let (_, answer) = session.next().unwrap();
        assert!(answer.is_none(), "its identifier means nothing to the broker any more");
    }

    #[test]
    fn identifiers_are_not_used_twice_at_a_time() {
        let mut session = connected();
        let mut ids: Vec<u16> = (0..1000).filter_map(|_| publish(&mut session, Qos::AtLeastOnce)).collect();
        session.last_id = u16::MAX - 1;
        ids.extend((0..10).filter_map(|_| publish(&mut session, Qos::AtLeastOnce)));
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), 1010);
        assert!(!ids.contains(&0));
    }

    #[test]
    fn a_packet_that_only_clients_send_is_wrong() {
        let outcome = connected().take(Packet::PingReq, &mut Vec::new());
        assert!(matches!(outcome, Outcome::Wrong(_)));
    }
}
