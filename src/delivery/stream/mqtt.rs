//! A measurement's half of MQTT 5: a probe as the payload of a PUBLISH packet. The packets are `mqtt5-protocol`'s.

use std::time::Duration;

use mqtt5_protocol::packet::connack::ConnAckPacket;
use mqtt5_protocol::packet::connect::ConnectPacket;
use mqtt5_protocol::packet::disconnect::DisconnectPacket;
use mqtt5_protocol::packet::pingreq::PingReqPacket;
use mqtt5_protocol::packet::puback::PubAckPacket;
use mqtt5_protocol::packet::publish::PublishPacket;
use mqtt5_protocol::packet::suback::SubAckPacket;
use mqtt5_protocol::packet::subscribe::SubscribePacket;
use mqtt5_protocol::packet::{FixedHeader, MqttPacket, PacketType};
use mqtt5_protocol::{ConnectOptions, MqttError, QoS};

use super::{Session, Topic, Word};
use crate::error::{Error, Result};
use crate::wire::probe::HEADER_LEN;

/// Longer than any trial: a measurement does not ask whether the broker is still there.
const KEEP_ALIVE: Duration = Duration::from_secs(3600);
/// How long a broker keeps the session of a client that is away, in s.
const SESSION_EXPIRY: u32 = 3600;
/// What a broker takes without acknowledging it unless it says otherwise (MQTT 5 section 3.2.2.3.3).
const USUAL_RECEIVE_MAXIMUM: u16 = u16::MAX;
/// More of these bytes are no length any more (section 1.5.5).
const LONGEST_LENGTH: usize = 4;

/// Connects, and subscribes where that is what it came for; gives how many messages may be unacknowledged, where
/// messages are acknowledged.
pub(super) fn enter(session: &mut Session, topic: &Topic) -> Result<Option<u16>> {
    let mut options = ConnectOptions::new(session.spec.name.clone())
        .with_keep_alive(KEEP_ALIVE)
        .with_clean_start(!topic.keeps_session);
    if topic.keeps_session {
        options = options.with_session_expiry_interval(SESSION_EXPIRY);
    }
    session.write(&bytes_of(&ConnectPacket::new(options))?)?;
    let server = session.spec.server;
    let answer = session.await_word("admit it", |bytes| {
        reply(bytes, PacketType::ConnAck, |body, header| ConnAckPacket::decode_body(&mut &*body, header))
    })?;
    if answer.reason_code.is_error() {
        return Err(Error::failed(format!("{server} does not admit {}: {:?}", session.spec.name, answer.reason_code)));
    }
    // A session that the broker has kept has its subscription, and what has come meanwhile follows at once.
    if topic.subscribes && !answer.session_present {
        let subscribe = SubscribePacket::new(1).add_filter(topic.name.clone(), qos(topic));
        session.write(&bytes_of(&subscribe)?)?;
        let confirmed =
            session.await_word("confirm the subscription", |bytes| Ok(confirmation(bytes)?.map(|ok| (0, ok))))?;
        if let Some(refused) = confirmed.reason_codes.iter().find(|code| **code as u8 >= 0x80) {
            return Err(Error::failed(format!("{server} refuses the topic {}: {refused:?}", topic.name)));
        }
    }
    let window = answer.receive_maximum().unwrap_or(USUAL_RECEIVE_MAXIMUM);
    Ok((topic.qos > 0 && !topic.subscribes).then_some(window))
}

/// Going for good ends the session; with one that is kept, going is only going away.
pub(super) fn farewell(topic: &Topic) -> Vec<u8> {
    if topic.keeps_session { Vec::new() } else { bytes_of(&DisconnectPacket::normal()).unwrap_or_default() }
}

pub(super) fn ping() -> Vec<u8> {
    PingReqPacket::default().encode_complete()
}

/// A PUBLISH packet of this payload; where the payload stands, and the packet identifier where there is one.
pub(super) fn message(
    topic: &Topic,
    header: &[u8; HEADER_LEN],
    size: usize,
) -> Result<(Vec<u8>, usize, Option<usize>)> {
    let mut payload = header.to_vec();
    payload.resize(size, 0);
    let publish =
        PublishPacket::new(topic.name.clone(), payload, qos(topic)).with_retain(topic.retain).with_packet_id(1);
    let bytes = bytes_of(&publish)?;
    let at = bytes.len() - size;
    // Before the payload stand the length of the properties, a zero, and before that the identifier (section 3.3.2).
    let identifier_at = (topic.qos > 0).then(|| at - 1 - 2);
    Ok((bytes, at, identifier_at))
}

/// The identifier of a message: any that is not 0, and not one still under way.
pub(super) fn identifier(sequence: u64) -> u16 {
    (sequence % u64::from(u16::MAX)) as u16 + 1
}

pub(super) fn acknowledgement(identifier: u16) -> Result<Vec<u8>> {
    bytes_of(&PubAckPacket::new(identifier))
}

/// The next thing the broker said: how many bytes it takes, and what it is.
pub(super) fn next(bytes: &[u8]) -> Result<Option<(usize, Word)>> {
    let Some((header, body_at, length)) = packet(bytes)? else { return Ok(None) };
    let body = &bytes[body_at..length];
    let word = match header.packet_type {
        PacketType::Publish => {
            let publish = PublishPacket::decode_body(&mut &*body, &header).map_err(malformed)?;
            let payload = length - publish.payload.len()..length;
            match publish.packet_id {
                Some(identifier) => Word::ToAcknowledge(payload, identifier),
                None => Word::Message(payload),
            }
        }
        PacketType::PubAck => Word::Acknowledged(1),
        PacketType::PingResp => Word::Answer,
        PacketType::Disconnect => {
            let farewell = DisconnectPacket::decode_body(&mut &*body, &header).map_err(malformed)?;
            Word::Farewell(format!("{:?}", farewell.reason_code))
        }
        _ => Word::Other,
    };
    Ok(Some((length, word)))
}

/// The SUBACK among what has come: messages may come before it (section 3.8.4), and are not to be lost.
fn confirmation(bytes: &[u8]) -> Result<Option<SubAckPacket>> {
    let mut rest = bytes;
    while let Some((header, body_at, length)) = packet(rest)? {
        if header.packet_type == PacketType::SubAck {
            return SubAckPacket::decode_body(&mut &rest[body_at..length], &header).map(Some).map_err(malformed);
        }
        rest = &rest[length..];
    }
    Ok(None)
}

/// Reads the packet that answers.
fn reply<T>(
    bytes: &[u8],
    expected: PacketType,
    decode: impl Fn(&[u8], &FixedHeader) -> Result<T, MqttError>,
) -> Result<Option<(usize, T)>> {
    let Some((header, body_at, length)) = packet(bytes)? else { return Ok(None) };
    if header.packet_type != expected {
        return Err(Error::failed(format!(
            "the broker answered with {:?} instead of {expected:?}",
            header.packet_type
        )));
    }
    decode(&bytes[body_at..length], &header).map(|packet| Some((length, packet))).map_err(malformed)
}

/// The header of the next packet, where its body begins, and where it ends; `None` while it is not whole.
fn packet(bytes: &[u8]) -> Result<Option<(FixedHeader, usize, usize)>> {
    let length = bytes.get(1..).unwrap_or_default();
    let length = &length[..length.len().min(LONGEST_LENGTH)];
    if length.len() < LONGEST_LENGTH && length.iter().all(|byte| byte & 0x80 != 0) {
        return Ok(None);
    }
    let mut rest = bytes;
    let header = FixedHeader::decode(&mut rest).map_err(malformed)?;
    let body_at = bytes.len() - rest.len();
    let end = body_at + header.remaining_length as usize;
    Ok((bytes.len() >= end).then_some((header, body_at, end)))
}

fn bytes_of(packet: &impl MqttPacket) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    packet.encode(&mut bytes).map_err(|error| Error::failed("encoding an MQTT packet").because(error))?;
    Ok(bytes)
}

fn malformed(error: MqttError) -> Error {
    Error::failed("the broker sent something that is not MQTT 5").because(error)
}

fn qos(topic: &Topic) -> QoS {
    if topic.qos == 0 { QoS::AtMostOnce } else { QoS::AtLeastOnce }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topic(qos: u8) -> Topic {
        Topic { name: "t/1".to_owned(), subscribes: false, qos, retain: false, keeps_session: false }
    }

    #[test]
    fn messages_lie_where_they_are_said_to() {
        let (bytes, at, identifier_at) = message(&topic(0), &[7; HEADER_LEN], 40).unwrap();
        assert_eq!(bytes[..8], [0x30, 46, 0, 3, b't', b'/', b'1', 0]);
        assert_eq!((at, identifier_at, bytes.len()), (8, None, 48));
        assert_eq!(bytes[at], 7);
        let (bytes, at, identifier_at) = message(&topic(1), &[7; HEADER_LEN], 200).unwrap();
        assert_eq!(bytes[..11], [0x32, 0xd0, 1, 0, 3, b't', b'/', b'1', 0, 1, 0]);
        assert_eq!((at, identifier_at), (11, Some(8)));
    }

    #[test]
    fn words_of_the_broker() {
        let (bytes, at, _) = message(&topic(1), &[7; HEADER_LEN], 40).unwrap();
        let Ok(Some((taken, Word::ToAcknowledge(payload, 1)))) = next(&bytes) else { panic!("no message") };
        assert_eq!((taken, payload), (bytes.len(), at..bytes.len()));
        for cut in 0..bytes.len() {
            assert!(matches!(next(&bytes[..cut]), Ok(None)), "{cut}");
        }
        assert!(matches!(next(&[0xd0, 0]), Ok(Some((2, Word::Answer)))));
        assert!(matches!(next(&[0x40, 2, 0, 1]), Ok(Some((4, Word::Acknowledged(1))))));
        assert!(matches!(next(&[0xe0, 1, 0x8b]), Ok(Some((3, Word::Farewell(_))))));
        assert!(next(&[0x30, 0xff, 0xff, 0xff, 0xff]).is_err());
        assert!(next(&[0x00, 0]).is_err());
    }

    #[test]
    fn identifiers_are_never_zero() {
        assert_eq!([0, 1, 65_534, 65_535].map(identifier), [1, 2, 65_535, 1]);
    }
}
