//! A measurement's half of MQTT 5: a probe as the payload of a PUBLISH packet.

use super::{Session, Topic, Word};
use crate::error::{Error, Result};
use crate::wire::mqtt::{
    AckKind, Connect, Disconnect, Packet, Properties, PropertyList, Publish, Qos, Reason, Side, Subscribe, TooLong,
    Version, Wish, Wrong, frame, id, read,
};
use crate::wire::probe::HEADER_LEN;

/// Longer than any trial: a measurement does not ask whether the broker is still there. In s.
const KEEP_ALIVE: u16 = 3600;
/// How long a broker keeps the session of a client that is away, in s.
const SESSION_EXPIRY: u32 = 3600;
/// What a broker takes without acknowledging it unless it says otherwise (MQTT 5 section 3.2.2.3.3).
const USUAL_RECEIVE_MAXIMUM: u16 = u16::MAX;

/// Connects, and subscribes where that is what it came for; gives how many messages may be unacknowledged, where
/// messages are acknowledged.
pub(super) fn enter(session: &mut Session, topic: &Topic) -> Result<Option<u16>> {
    let mut properties = PropertyList::new();
    if topic.keeps_session {
        properties.number(id::SESSION_EXPIRY, SESSION_EXPIRY);
    }
    let connect = Packet::Connect(Connect {
        version: Version::Five,
        clean: !topic.keeps_session,
        keep_alive: KEEP_ALIVE,
        client_id: &session.spec.name,
        will: None,
        user: None,
        password: None,
        properties: properties.get(),
    });
    session.write(&bytes_of(&connect)?)?;
    let (server, name) = (session.spec.server, session.spec.name.clone());
    let (kept, window) = session.await_word("admit it", |bytes| match packet(bytes)? {
        None => Ok(None),
        Some((Packet::ConnAck(answer), _)) if answer.reason.is_error() => {
            Err(Error::failed(format!("{server} does not admit {name}: {}", answer.reason)))
        }
        Some((Packet::ConnAck(answer), length)) => {
            let window =
                answer.properties.number(id::RECEIVE_MAXIMUM).map_or(USUAL_RECEIVE_MAXIMUM, |most| most as u16);
            Ok(Some((length, (answer.session_present, window))))
        }
        Some(_) => Err(Error::failed("the broker answered with something else than its consent")),
    })?;
    // A session that the broker has kept has its subscription, and what has come meanwhile follows at once.
    if topic.subscribes && !kept {
        let filters = vec![(&*topic.name, Wish { qos: qos(topic), ..Wish::default() })];
        let subscribe = Packet::Subscribe(Subscribe { id: 1, properties: Properties::default(), filters });
        session.write(&bytes_of(&subscribe)?)?;
        let confirmed =
            session.await_word("confirm the subscription", |bytes| Ok(confirmation(bytes)?.map(|code| (0, code))))?;
        if confirmed.is_error() {
            return Err(Error::failed(format!("{server} refuses the topic {}: {confirmed}", topic.name)));
        }
    }
    Ok((topic.qos > 0 && !topic.subscribes).then_some(window))
}

/// Going for good ends the session; with one that is kept, going is only going away.
pub(super) fn farewell(topic: &Topic) -> Vec<u8> {
    if topic.keeps_session {
        return Vec::new();
    }
    bytes_of(&Packet::Disconnect(Disconnect::default())).unwrap_or_default()
}

pub(super) fn ping() -> Vec<u8> {
    bytes_of(&Packet::PingReq).unwrap_or_default()
}

/// A PUBLISH packet of this payload; where the payload stands, and the packet identifier where there is one.
pub(super) fn message(
    topic: &Topic,
    header: &[u8; HEADER_LEN],
    size: usize,
) -> Result<(Vec<u8>, usize, Option<usize>)> {
    let mut payload = header.to_vec();
    payload.resize(size, 0);
    let publish = Publish {
        dup: false,
        qos: qos(topic),
        retain: topic.retain,
        topic: &topic.name,
        id: 1,
        properties: Properties::default(),
        payload: &payload,
    };
    let bytes = bytes_of(&Packet::Publish(publish))?;
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
    bytes_of(&Packet::ack(AckKind::PubAck, identifier, Reason::SUCCESS))
}

/// The next thing the broker said: how many bytes it takes, and what it is.
pub(super) fn next(bytes: &[u8]) -> Result<Option<(usize, Word)>> {
    let Some((packet, length)) = packet(bytes)? else { return Ok(None) };
    let word = match packet {
        Packet::Publish(publish) => {
            let payload = length - publish.payload.len()..length;
            match publish.id {
                0 => Word::Message(payload),
                identifier => Word::ToAcknowledge(payload, identifier),
            }
        }
        Packet::Ack(ack) if ack.kind == AckKind::PubAck => Word::Acknowledged(1),
        Packet::PingResp => Word::Answer,
        Packet::Disconnect(farewell) => Word::Farewell(farewell.reason.to_string()),
        _ => Word::Other,
    };
    Ok(Some((length, word)))
}

/// The SUBACK among what has come: messages may come before it (section 3.8.4), and are not to be lost.
fn confirmation(bytes: &[u8]) -> Result<Option<Reason>> {
    let mut rest = bytes;
    while let Some((packet, length)) = packet(rest)? {
        if let Packet::Granted(granted) = packet {
            return Ok(granted.codes.first().map(|code| Reason(*code)));
        }
        rest = &rest[length..];
    }
    Ok(None)
}

/// The next packet, and how many bytes it takes; `None` while it is not whole.
fn packet(bytes: &[u8]) -> Result<Option<(Packet<'_>, usize)>> {
    let Some((frame, length)) = frame(bytes, usize::MAX).map_err(malformed)? else { return Ok(None) };
    read(Version::Five, Side::Broker, frame).map(|packet| Some((packet, length))).map_err(malformed)
}

fn bytes_of(packet: &Packet<'_>) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let unwritable = |cause: TooLong| Error::failed("writing an MQTT packet").because(cause);
    packet.write(Version::Five, &mut bytes).map_err(unwritable)?;
    Ok(bytes)
}

fn malformed(wrong: Wrong) -> Error {
    Error::failed(format!("the broker sent something that is not MQTT 5: {}", wrong.what))
}

fn qos(topic: &Topic) -> Qos {
    if topic.qos == 0 { Qos::AtMostOnce } else { Qos::AtLeastOnce }
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
