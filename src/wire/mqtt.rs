//! The packets of MQTT 3.1.1 and 5.0 as bytes. Section numbers are those of MQTT 5.0; 3.1.1 has nearly the same ones.
//!
//! What is read borrows from its buffer, obeys the rules that concern one packet alone, and is otherwise [`Wrong`] with
//! the reason code the sender is to be told. MQTT 3.1 is taken for 3.1.1 under its old name.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

mod property;
mod reader;
mod reason;
pub mod topic;

pub use property::{Place, Properties, PropertyList, id};
pub use reader::Wrong;
use reader::{Reader, varying};
pub use reason::Reason;

/// What is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// MQTT 3.1.1: no properties, hardly any reasons.
    Old,
    /// MQTT 5.0.
    Five,
}

/// Who has sent a packet: some may come from one side alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// A client.
    Client,
    /// A broker.
    Broker,
}

/// How hard a message is delivered over one connection (section 4.3). Written `0`, `1`, `2`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Qos {
    /// At most once: sent, and not asked about.
    #[default]
    AtMostOnce,
    /// At least once: acknowledged, and sent again after a break.
    AtLeastOnce,
    /// Exactly once: acknowledged in two steps.
    ExactlyOnce,
}

impl Qos {
    /// All of them, as they are written.
    pub const SPELLINGS: [&str; 3] = ["0", "1", "2"];

    /// As a number.
    #[must_use]
    pub fn level(self) -> u8 {
        self as u8
    }

    /// The one of this number.
    #[must_use]
    pub fn of_level(level: u8) -> Option<Qos> {
        [Qos::AtMostOnce, Qos::AtLeastOnce, Qos::ExactlyOnce].get(usize::from(level)).copied()
    }
}

impl fmt::Display for Qos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.level().fmt(f)
    }
}

impl FromStr for Qos {
    type Err = String;

    fn from_str(text: &str) -> Result<Qos, String> {
        let level = Qos::SPELLINGS.iter().position(|spelling| *spelling == text);
        let qos = level.and_then(|level| Qos::of_level(level as u8));
        qos.ok_or_else(|| format!("'{text}' is no quality of service; write 0, 1 or 2"))
    }
}

impl Serialize for Qos {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(self.level())
    }
}

/// A packet as it is framed (section 2.1): its first byte, and what follows the length.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// Kind and flags.
    pub first: u8,
    /// The rest.
    pub body: &'a [u8],
}

/// The frame at the front of a buffer, and how many bytes it takes; `None` while it is not whole.
///
/// # Errors
/// When it is longer than `longest` bytes, all in all, or its length has no end.
pub fn frame(bytes: &[u8], longest: usize) -> Result<Option<(Frame<'_>, usize)>, Wrong> {
    let Some((first, rest)) = bytes.split_first() else { return Ok(None) };
    let Some((length, digits)) = varying(rest)? else { return Ok(None) };
    let end = 1 + digits + length as usize;
    if end > longest {
        return Err(Wrong { reason: Reason::TOO_LARGE, what: "a packet longer than the limit" });
    }
    Ok(bytes.get(1 + digits..end).map(|body| (Frame { first: *first, body }, end)))
}

/// A packet.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the standard's")]
pub enum Packet<'a> {
    Connect(Connect<'a>),
    ConnAck(ConnAck<'a>),
    Publish(Publish<'a>),
    /// PUBACK, PUBREC, PUBREL or PUBCOMP.
    Ack(Ack<'a>),
    Subscribe(Subscribe<'a>),
    /// SUBACK or UNSUBACK.
    Granted(Granted<'a>),
    Unsubscribe(Unsubscribe<'a>),
    PingReq,
    PingResp,
    Disconnect(Disconnect<'a>),
    Auth(Disconnect<'a>),
}

/// CONNECT (section 3.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connect<'a> {
    /// What is spoken from here on.
    pub version: Version,
    /// What the broker knows of this client is to be forgotten.
    pub clean: bool,
    /// In s; 0: no limit.
    pub keep_alive: u16,
    /// Empty: the broker gives one.
    pub client_id: &'a str,
    /// What is published when this client goes without taking leave.
    pub will: Option<Will<'a>>,
    /// As whom it comes.
    pub user: Option<&'a str>,
    /// With what password.
    pub password: Option<&'a [u8]>,
    /// Its properties.
    pub properties: Properties<'a>,
}

/// The last will in a CONNECT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "as those of PUBLISH")]
pub struct Will<'a> {
    pub topic: &'a str,
    pub payload: &'a [u8],
    pub qos: Qos,
    pub retain: bool,
    pub properties: Properties<'a>,
}

/// CONNACK (section 3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the standard's")]
pub struct ConnAck<'a> {
    pub session_present: bool,
    pub reason: Reason,
    pub properties: Properties<'a>,
}

/// PUBLISH (section 3.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Publish<'a> {
    /// It may have come before.
    pub dup: bool,
    /// How hard it is delivered.
    pub qos: Qos,
    /// From a client: it is to be kept. From a broker: it was.
    pub retain: bool,
    /// Where; empty: the alias says it.
    pub topic: &'a str,
    /// The packet identifier; 0 by QoS 0, which has none.
    pub id: u16,
    /// Its properties.
    pub properties: Properties<'a>,
    /// What.
    pub payload: &'a [u8],
}

/// What an acknowledgement is, as the first byte of its packet has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the standard's")]
pub enum AckKind {
    PubAck = 0x40,
    PubRec = 0x50,
    PubRel = 0x62,
    PubComp = 0x70,
}

/// PUBACK, PUBREC, PUBREL or PUBCOMP (sections 3.4 to 3.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the standard's")]
pub struct Ack<'a> {
    pub kind: AckKind,
    pub id: u16,
    pub reason: Reason,
    pub properties: Properties<'a>,
}

/// How messages are to come (section 3.8.3.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wish {
    /// The hardest.
    pub qos: Qos,
    /// Not those that the subscriber publishes.
    pub no_local: bool,
    /// With the mark that their publisher wants them kept.
    pub as_published: bool,
    /// Whether those that were kept come now: 0 yes, 1 if the subscription is new, 2 no.
    pub retained: u8,
}

/// SUBSCRIBE (section 3.8).
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the standard's")]
pub struct Subscribe<'a> {
    pub id: u16,
    pub properties: Properties<'a>,
    pub filters: Vec<(&'a str, Wish)>,
}

/// UNSUBSCRIBE (section 3.10).
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the standard's")]
pub struct Unsubscribe<'a> {
    pub id: u16,
    pub properties: Properties<'a>,
    pub filters: Vec<&'a str>,
}

/// SUBACK or UNSUBACK (sections 3.9 and 3.11).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Granted<'a> {
    /// It is an UNSUBACK.
    pub unsubscribed: bool,
    /// That of the request.
    pub id: u16,
    /// Its properties.
    pub properties: Properties<'a>,
    /// A reason code for each filter; none in an UNSUBACK of MQTT 3.1.1.
    pub codes: &'a [u8],
}

/// DISCONNECT (section 3.14) or AUTH (section 3.15).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the standard's")]
pub struct Disconnect<'a> {
    pub reason: Reason,
    pub properties: Properties<'a>,
}

/// The first bytes of packets, flags included where they are fixed (table 2-2).
mod first {
    pub(super) const CONNECT: u8 = 0x10;
    pub(super) const CONNACK: u8 = 0x20;
    pub(super) const PUBLISH: u8 = 0x30;
    pub(super) const SUBSCRIBE: u8 = 0x82;
    pub(super) const SUBACK: u8 = 0x90;
    pub(super) const UNSUBSCRIBE: u8 = 0xa2;
    pub(super) const UNSUBACK: u8 = 0xb0;
    pub(super) const PINGREQ: u8 = 0xc0;
    pub(super) const PINGRESP: u8 = 0xd0;
    pub(super) const DISCONNECT: u8 = 0xe0;
    pub(super) const AUTH: u8 = 0xf0;
}

/// Reads a packet. Of a CONNECT the version is its own.
///
/// # Errors
/// When it breaks a rule that concerns this packet alone.
pub fn read<'a>(version: Version, side: Side, frame: Frame<'a>) -> Result<Packet<'a>, Wrong> {
    let mut reader = Reader::new(frame.body);
    let reader = &mut reader;
    let packet = match (side, frame.first) {
        (_, 0x30..=0x3f) => return publish(version, side, frame).map(Packet::Publish),
        (Side::Client, first::CONNECT) => Packet::Connect(connect(reader)?),
        (Side::Broker, first::CONNACK) => {
            let flags = reader.byte()?;
            let reason = Reason(reader.byte()?);
            if flags > 1 {
                return Err(Wrong::malformed("CONNACK with reserved flags"));
            }
            let properties = properties(version, reader, Place::ConnAck)?;
            Packet::ConnAck(ConnAck { session_present: flags == 1, reason, properties })
        }
        (_, 0x40) => ack(version, AckKind::PubAck, reader)?,
        (_, 0x50) => ack(version, AckKind::PubRec, reader)?,
        (_, 0x62) => ack(version, AckKind::PubRel, reader)?,
        (_, 0x70) => ack(version, AckKind::PubComp, reader)?,
        (Side::Client, first::SUBSCRIBE) => {
            let id = reader.identifier()?;
            let properties = properties(version, reader, Place::Subscribe)?;
            let filters = until_the_end(reader, |reader| Ok((reader.text()?, wish(version, reader.byte()?)?)))?;
            Packet::Subscribe(Subscribe { id, properties, filters })
        }
        (Side::Broker, first::SUBACK) => granted(version, false, reader)?,
        (Side::Client, first::UNSUBSCRIBE) => {
            let id = reader.identifier()?;
            let properties = properties(version, reader, Place::Unsubscribe)?;
            Packet::Unsubscribe(Unsubscribe { id, properties, filters: until_the_end(reader, Reader::text)? })
        }
        (Side::Broker, first::UNSUBACK) => granted(version, true, reader)?,
        (Side::Client, first::PINGREQ) => Packet::PingReq,
        (Side::Broker, first::PINGRESP) => Packet::PingResp,
        (Side::Client, first::DISCONNECT) => Packet::Disconnect(farewell(version, reader, Place::Leave)?),
        (Side::Broker, first::DISCONNECT) if version == Version::Five => {
            Packet::Disconnect(farewell(version, reader, Place::Farewell)?)
        }
        (_, first::AUTH) if version == Version::Five => Packet::Auth(farewell(version, reader, Place::Auth)?),
        (Side::Client, 0x20..=0x2f | first::SUBACK | first::UNSUBACK | 0xd0..=0xdf) => {
            return Err(Wrong::protocol("a packet that only brokers send"));
        }
        (Side::Broker, first::CONNECT | first::SUBSCRIBE | first::UNSUBSCRIBE | first::PINGREQ) => {
            return Err(Wrong::protocol("a packet that only clients send"));
        }
        (_, 0x00..=0x0f | 0xf0..=0xff) => return Err(Wrong::protocol("a packet of a kind that does not exist here")),
        _ => return Err(Wrong::malformed("a packet with reserved flags")),
    };
    if reader.rest().is_empty() { Ok(packet) } else { Err(Wrong::malformed("bytes after the end of a packet")) }
}

fn properties<'a>(version: Version, reader: &mut Reader<'a>, place: Place) -> Result<Properties<'a>, Wrong> {
    match version {
        Version::Old => Ok(Properties::default()),
        Version::Five => Properties::read(reader, place),
    }
}

fn connect<'a>(reader: &mut Reader<'a>) -> Result<Connect<'a>, Wrong> {
    let unknown = Wrong { reason: Reason::UNSUPPORTED_VERSION, what: "a version of MQTT that is not spoken here" };
    let name = reader.text()?;
    let level = reader.byte()?;
    let version = match (name, level) {
        ("MQIsdp", 3) | ("MQTT", 4) => Version::Old,
        ("MQTT", 5) => Version::Five,
        ("MQIsdp" | "MQTT", _) => return Err(unknown),
        _ => return Err(Wrong::malformed("CONNECT of another protocol")),
    };
    let flags = reader.byte()?;
    let has = |flag: u8| flags & flag != 0;
    let (will_qos, has_will) = (flags >> 3 & 3, has(0b100));
    if has(1) || (!has_will && flags & 0b11_1000 != 0) || (version == Version::Old && flags & 0xc0 == 0x40) {
        return Err(Wrong::malformed("CONNECT with flags that contradict each other"));
    }
    let keep_alive = reader.two()?;
    let of_all = properties(version, reader, Place::Connect)?;
    let client_id = reader.text()?;
    if name == "MQIsdp" && client_id.is_empty() {
        return Err(Wrong { reason: Reason::CLIENT_ID_INVALID, what: "MQTT 3.1 without a client identifier" });
    }
    let will = has_will.then(|| -> Result<Will<'a>, Wrong> {
        let properties = properties(version, reader, Place::Will)?;
        let (topic, payload) = (reader.topic()?, reader.binary()?);
        let qos = Qos::of_level(will_qos).ok_or_else(|| Wrong::malformed("a last will by QoS 3"))?;
        Ok(Will { topic, payload, qos, retain: has(0b10_0000), properties })
    });
    let will = will.transpose()?;
    let user = has(0x80).then(|| reader.text()).transpose()?;
    let password = has(0x40).then(|| reader.binary()).transpose()?;
    Ok(Connect { version, clean: has(0b10), keep_alive, client_id, will, user, password, properties: of_all })
}

fn publish(version: Version, side: Side, frame: Frame<'_>) -> Result<Publish<'_>, Wrong> {
    let qos = Qos::of_level(frame.first >> 1 & 3).ok_or_else(|| Wrong::malformed("a message by QoS 3"))?;
    let dup = frame.first & 0b1000 != 0;
    if dup && qos == Qos::AtMostOnce {
        return Err(Wrong::malformed("a message by QoS 0 that says it comes again"));
    }
    let mut reader = Reader::new(frame.body);
    let topic = reader.topic()?;
    let id = if qos == Qos::AtMostOnce { 0 } else { reader.identifier()? };
    let place = if side == Side::Client { Place::Publish } else { Place::Delivery };
    let properties = properties(version, &mut reader, place)?;
    if topic.is_empty() && properties.number(id::ALIAS).is_none() {
        return Err(Wrong::protocol("a message without a topic"));
    }
    let payload = reader.rest();
    Ok(Publish { dup, qos, retain: frame.first & 1 != 0, topic, id, properties, payload })
}

fn ack<'a>(version: Version, kind: AckKind, reader: &mut Reader<'a>) -> Result<Packet<'a>, Wrong> {
    let id = reader.identifier()?;
    let Disconnect { reason, properties } = reasoned(version, reader, Place::Ack)?;
    let known: &[u8] = match kind {
        AckKind::PubAck | AckKind::PubRec => &[0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99],
        AckKind::PubRel | AckKind::PubComp => &[0x00, 0x92],
    };
    if !known.contains(&reason.0) {
        return Err(Wrong::protocol("an acknowledgement with a reason that it cannot have"));
    }
    Ok(Packet::Ack(Ack { kind, id, reason, properties }))
}

/// A reason code and properties, each of which may be left out from the end (section 3.4.2.1).
fn reasoned<'a>(version: Version, reader: &mut Reader<'a>, place: Place) -> Result<Disconnect<'a>, Wrong> {
    if version == Version::Old || reader.rest().is_empty() {
        return Ok(Disconnect::default());
    }
    let reason = Reason(reader.byte()?);
    let properties = if reader.rest().is_empty() { Properties::default() } else { Properties::read(reader, place)? };
    Ok(Disconnect { reason, properties })
}

fn farewell<'a>(version: Version, reader: &mut Reader<'a>, place: Place) -> Result<Disconnect<'a>, Wrong> {
    let farewell = reasoned(version, reader, place)?;
    if place == Place::Auth && !matches!(farewell.reason.0, 0x00 | 0x18 | 0x19) {
        return Err(Wrong::protocol("AUTH with a reason that it cannot have"));
    }
    Ok(farewell)
}

fn wish(version: Version, byte: u8) -> Result<Wish, Wrong> {
    let reserved = if version == Version::Old { 0xfc } else { 0xc0 };
    let retained = byte >> 4 & 3;
    let qos = Qos::of_level(byte & 3).filter(|_| byte & reserved == 0);
    let qos = qos.ok_or_else(|| Wrong::malformed("a subscription with reserved options"))?;
    if retained == 3 {
        return Err(Wrong::malformed("a subscription with a handling of retained messages that there is not"));
    }
    Ok(Wish { qos, no_local: byte & 4 != 0, as_published: byte & 8 != 0, retained })
}

fn until_the_end<'a, T>(
    reader: &mut Reader<'a>,
    mut one: impl FnMut(&mut Reader<'a>) -> Result<T, Wrong>,
) -> Result<Vec<T>, Wrong> {
    let mut all = Vec::new();
    while !reader.rest().is_empty() {
        all.push(one(reader)?);
    }
    if all.is_empty() { Err(Wrong::malformed("a request without a filter")) } else { Ok(all) }
}

fn granted<'a>(version: Version, unsubscribed: bool, reader: &mut Reader<'a>) -> Result<Packet<'a>, Wrong> {
    let id = reader.identifier()?;
    let properties = properties(version, reader, Place::Ack)?;
    let codes = reader.take(reader.rest().len())?;
    Ok(Packet::Granted(Granted { unsubscribed, id, properties, codes }))
}

/// A text or data of a packet has more bytes than there is room for, 65,535.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong;

impl fmt::Display for TooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text of an MQTT packet has at most 65,535 bytes")
    }
}

impl std::error::Error for TooLong {}

impl Packet<'static> {
    /// An acknowledgement without properties.
    #[must_use]
    pub fn ack(kind: AckKind, id: u16, reason: Reason) -> Packet<'static> {
        Packet::Ack(Ack { kind, id, reason, properties: Properties::default() })
    }
}

impl Packet<'_> {
    /// Writes it behind what is there.
    ///
    /// # Errors
    /// [`TooLong`], and then nothing is written.
    pub fn write(&self, version: Version, out: &mut Vec<u8>) -> Result<(), TooLong> {
        let begin = out.len();
        let written = match self {
            Packet::Publish(publish) => return publish.write(version, out),
            Packet::Connect(connect) => framed(out, first::CONNECT, |out| connect.write(out)),
            Packet::ConnAck(answer) => framed(out, first::CONNACK, |out| {
                let reason =
                    if version == Version::Old { answer.reason.old_code().unwrap_or(3) } else { answer.reason.0 };
                out.extend([answer.session_present.into(), reason]);
                put_properties(out, version, answer.properties);
                Ok(())
            }),
            Packet::Ack(ack) => framed(out, ack.kind as u8, |out| {
                out.extend(ack.id.to_be_bytes());
                put_reason(out, version, ack.reason, ack.properties);
                Ok(())
            }),
            Packet::Subscribe(subscribe) => framed(out, first::SUBSCRIBE, |out| {
                out.extend(subscribe.id.to_be_bytes());
                put_properties(out, version, subscribe.properties);
                subscribe.filters.iter().try_for_each(|(filter, wish)| {
                    put(out, filter.as_bytes())?;
                    let flags = u8::from(wish.no_local) << 2 | u8::from(wish.as_published) << 3;
                    out.push(wish.qos.level() | flags | wish.retained << 4);
                    Ok(())
                })
            }),
            Packet::Unsubscribe(unsubscribe) => framed(out, first::UNSUBSCRIBE, |out| {
                out.extend(unsubscribe.id.to_be_bytes());
                put_properties(out, version, unsubscribe.properties);
                unsubscribe.filters.iter().try_for_each(|filter| put(out, filter.as_bytes()))
            }),
            Packet::Granted(granted) => {
                let first = if granted.unsubscribed { first::UNSUBACK } else { first::SUBACK };
                framed(out, first, |out| {
                    out.extend(granted.id.to_be_bytes());
                    put_properties(out, version, granted.properties);
                    out.extend(granted.codes);
                    Ok(())
                })
            }
            Packet::PingReq => framed(out, first::PINGREQ, |_| Ok(())),
            Packet::PingResp => framed(out, first::PINGRESP, |_| Ok(())),
            Packet::Disconnect(farewell) => framed(out, first::DISCONNECT, |out| {
                put_reason(out, version, farewell.reason, farewell.properties);
                Ok(())
            }),
            Packet::Auth(step) => framed(out, first::AUTH, |out| {
                put_reason(out, version, step.reason, step.properties);
                Ok(())
            }),
        };
        if written.is_err() {
            out.truncate(begin);
        }
        written
    }
}

impl Connect<'_> {
    fn write(&self, out: &mut Vec<u8>) -> Result<(), TooLong> {
        put(out, b"MQTT")?;
        let will = self.will.map_or(0, |will| 4 | will.qos.level() << 3 | u8::from(will.retain) << 5);
        let login = u8::from(self.user.is_some()) << 7 | u8::from(self.password.is_some()) << 6;
        out.extend([if self.version == Version::Old { 4 } else { 5 }, u8::from(self.clean) << 1 | will | login]);
        out.extend(self.keep_alive.to_be_bytes());
        put_properties(out, self.version, self.properties);
        put(out, self.client_id.as_bytes())?;
        if let Some(will) = &self.will {
            put_properties(out, self.version, will.properties);
            put(out, will.topic.as_bytes())?;
            put(out, will.payload)?;
        }
        [self.user.map(str::as_bytes), self.password].iter().flatten().try_for_each(|bytes| put(out, bytes))
    }
}

impl Publish<'_> {
    /// How many bytes it takes when it is written.
    #[must_use]
    pub fn written_len(&self, version: Version) -> usize {
        let body = self.body_len(version);
        1 + varying_len(body) + body
    }

    fn body_len(&self, version: Version) -> usize {
        let properties = match version {
            Version::Old => 0,
            Version::Five => varying_len(self.properties.bytes().len()) + self.properties.bytes().len(),
        };
        2 + self.topic.len() + if self.qos == Qos::AtMostOnce { 0 } else { 2 } + properties + self.payload.len()
    }

    /// As [`Packet::write`].
    ///
    /// # Errors
    /// As there.
    pub fn write(&self, version: Version, out: &mut Vec<u8>) -> Result<(), TooLong> {
        if self.topic.len() > topic::LONGEST {
            return Err(TooLong);
        }
        let body = self.body_len(version);
        out.reserve(5 + body);
        out.push(first::PUBLISH | u8::from(self.dup) << 3 | self.qos.level() << 1 | u8::from(self.retain));
        put_varying(out, body);
        put(out, self.topic.as_bytes())?;
        if self.qos != Qos::AtMostOnce {
            out.extend(self.id.to_be_bytes());
        }
        put_properties(out, version, self.properties);
        out.extend_from_slice(self.payload);
        Ok(())
    }
}

/// First byte, length, and body.
fn framed(out: &mut Vec<u8>, first: u8, body: impl FnOnce(&mut Vec<u8>) -> Result<(), TooLong>) -> Result<(), TooLong> {
    out.extend([first, 0]);
    let begin = out.len();
    body(out)?;
    let mut length = Vec::with_capacity(4);
    put_varying(&mut length, out.len() - begin);
    out.splice(begin - 1..begin, length);
    Ok(())
}

fn put(out: &mut Vec<u8>, bytes: &[u8]) -> Result<(), TooLong> {
    let length = u16::try_from(bytes.len()).map_err(|_| TooLong)?;
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(bytes);
    Ok(())
}

fn put_varying(out: &mut Vec<u8>, mut number: usize) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn varying_len(number: usize) -> usize {
    match number {
        0..0x80 => 1,
        0x80..0x4000 => 2,
        0x4000..0x20_0000 => 3,
        _ => 4,
    }
}

fn put_properties(out: &mut Vec<u8>, version: Version, properties: Properties<'_>) {
    if version == Version::Five {
        put_varying(out, properties.bytes().len());
        out.extend_from_slice(properties.bytes());
    }
}

/// As short as it may be: nothing where all is well (section 3.4.2.1).
fn put_reason(out: &mut Vec<u8>, version: Version, reason: Reason, properties: Properties<'_>) {
    let has_properties = !properties.bytes().is_empty();
    if version == Version::Five && (reason != Reason::SUCCESS || has_properties) {
        out.push(reason.0);
        if has_properties {
            put_properties(out, version, properties);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(packet: &Packet<'_>, version: Version) -> Vec<u8> {
        let mut bytes = vec![0xff];
        packet.write(version, &mut bytes).unwrap();
        bytes.split_off(1)
    }

    fn back(version: Version, side: Side, bytes: &[u8]) -> Result<Packet<'_>, Wrong> {
        let (frame, length) = frame(bytes, usize::MAX)?.expect("it is whole");
        assert_eq!(length, bytes.len());
        read(version, side, frame)
    }

    #[test]
    fn what_is_written_reads_as_it_was() {
        let mut list = PropertyList::new();
        list.number(id::MESSAGE_EXPIRY, 70_000);
        list.text(id::RESPONSE_TOPIC, "answers/1");
        let (properties, long) = (list.get(), vec![b'x'; 20_000]);
        let mut at_connecting = PropertyList::new();
        at_connecting.number(id::RECEIVE_MAXIMUM, 20);
        let mut of_subscription = PropertyList::new();
        of_subscription.number(id::SUBSCRIPTION_ID, 200);
        let will = Will { topic: "w", payload: b"gone", qos: Qos::AtLeastOnce, retain: true, properties };
        let connect = Connect {
            version: Version::Five,
            clean: true,
            keep_alive: 60,
            client_id: "me",
            will: Some(will),
            user: Some("ann"),
            password: Some(b"\x00\xff"),
            properties: at_connecting.get(),
        };
        let wish = Wish { qos: Qos::ExactlyOnce, no_local: true, as_published: true, retained: 1 };
        let publish =
            |qos, id| Publish { dup: id > 0, qos, retain: true, topic: "a/ž", id, properties, payload: &long };
        let none = Properties::default();
        for (side, packet) in [
            (Side::Client, Packet::Connect(connect)),
            (Side::Client, Packet::Publish(publish(Qos::AtMostOnce, 0))),
            (Side::Broker, Packet::Publish(publish(Qos::ExactlyOnce, 65_535))),
            (Side::Client, Packet::ack(AckKind::PubAck, 1, Reason::SUCCESS)),
            (Side::Broker, Packet::ack(AckKind::PubRel, 256, Reason::NO_SUCH_ID)),
            (
                Side::Client,
                Packet::Subscribe(Subscribe { id: 7, properties: of_subscription.get(), filters: vec![("a/#", wish)] }),
            ),
            (Side::Client, Packet::Unsubscribe(Unsubscribe { id: 7, properties: none, filters: vec!["a", "b"] })),
            (
                Side::Broker,
                Packet::Granted(Granted { unsubscribed: false, id: 7, properties: none, codes: &[0, 2, 0x8f] }),
            ),
            (Side::Broker, Packet::ConnAck(ConnAck { session_present: true, reason: Reason::BUSY, properties: none })),
            (Side::Client, Packet::PingReq),
            (Side::Broker, Packet::PingResp),
            (Side::Client, Packet::Disconnect(Disconnect { reason: Reason::WITH_WILL, properties: none })),
        ] {
            let bytes = written(&packet, Version::Five);
            assert_eq!(back(Version::Five, side, &bytes).as_ref(), Ok(&packet));
            for cut in 0..bytes.len() {
                assert!(matches!(frame(&bytes[..cut], usize::MAX), Ok(None)), "{packet:?} at {cut}");
            }
            assert_eq!(frame(&bytes, bytes.len() - 1).err().map(|wrong| wrong.reason), Some(Reason::TOO_LARGE));
            if let Packet::Publish(publish) = &packet {
                assert_eq!(publish.written_len(Version::Five), bytes.len());
                assert!(publish.written_len(Version::Old) < bytes.len());
            }
        }
    }

    #[test]
    fn each_version_has_its_own_form() {
        let ack = Packet::ack(AckKind::PubComp, 1, Reason::NO_SUCH_ID);
        assert_eq!(written(&ack, Version::Old), [0x70, 2, 0, 1]);
        assert_eq!(written(&ack, Version::Five), [0x70, 3, 0, 1, 0x92]);
        let busy = |version| {
            written(
                &Packet::ConnAck(ConnAck {
                    session_present: false,
                    reason: Reason::BUSY,
                    properties: Properties::default(),
                }),
                version,
            )
        };
        assert_eq!(busy(Version::Old), [0x20, 2, 0, 3]);
        assert_eq!(busy(Version::Five), [0x20, 3, 0, 0x89, 0]);
    }

    #[test]
    fn what_breaks_a_rule_is_told_by_its_reason() {
        let wrong = |bytes: &[u8]| back(Version::Five, Side::Client, bytes).err().map(|wrong| wrong.reason);
        for (bytes, reason) in [
            (&[0x30, 3, 0, 1, b'a'][..], Reason::MALFORMED),
            (&[0x30, 3, 0, 0, 0], Reason::PROTOCOL_ERROR),
            (&[0x30, 4, 0, 1, b'#', 0], Reason::MALFORMED),
            (&[0x32, 6, 0, 1, b'a', 0, 0, 0], Reason::PROTOCOL_ERROR),
            (&[0x36, 6, 0, 1, b'a', 0, 1, 0], Reason::MALFORMED),
            (&[0x38, 4, 0, 1, b'a', 0], Reason::MALFORMED),
            (&[0x82, 7, 0, 1, 0, 0, 1, b'a', 0xc0], Reason::MALFORMED),
            (&[0x82, 7, 0, 1, 0, 0, 1, b'a', 0x30], Reason::MALFORMED),
            (&[0x82, 3, 0, 1, 0], Reason::MALFORMED),
            (&[0x80, 7, 0, 1, 0, 0, 1, b'a', 0], Reason::MALFORMED),
            (&[0xc0, 1, 0], Reason::MALFORMED),
            (&[0xd0, 0], Reason::PROTOCOL_ERROR),
            (&[0x00, 0], Reason::PROTOCOL_ERROR),
            (&[0x40, 3, 0, 1, 0x92], Reason::PROTOCOL_ERROR),
            // A topic alias of 0, one twice, and a property that PUBLISH does not have.
            (&[0x30, 7, 0, 1, b'a', 3, 0x23, 0, 0], Reason::PROTOCOL_ERROR),
            (&[0x30, 10, 0, 1, b'a', 6, 0x23, 0, 1, 0x23, 0, 1], Reason::PROTOCOL_ERROR),
            (&[0x30, 7, 0, 1, b'a', 3, 0x21, 0, 1], Reason::PROTOCOL_ERROR),
            (&[0x30, 6, 0, 1, b'a', 2, 0x7f, 0], Reason::MALFORMED),
        ] {
            assert_eq!(wrong(bytes), Some(reason), "{bytes:x?}");
        }
        assert!(frame(&[0x30, 0xff, 0xff, 0xff, 0xff, 1], usize::MAX).is_err(), "a length without an end");
    }

    #[test]
    fn a_text_of_more_than_64_kib_is_not_written() {
        let topic = "x".repeat(65_536);
        let mut bytes = vec![7];
        let properties = Properties::default();
        let publish =
            Publish { dup: false, qos: Qos::AtMostOnce, retain: false, topic: &topic, id: 0, properties, payload: &[] };
        assert_eq!(Packet::Publish(publish).write(Version::Five, &mut bytes), Err(TooLong));
        let unsubscribe = Unsubscribe { id: 1, properties, filters: vec![&topic] };
        assert_eq!(Packet::Unsubscribe(unsubscribe).write(Version::Five, &mut bytes), Err(TooLong));
        assert_eq!(bytes, [7]);
    }

    #[test]
    fn a_qos_reads_as_it_prints() {
        for text in Qos::SPELLINGS {
            assert_eq!(text.parse::<Qos>().unwrap().to_string(), text);
        }
        assert!("3".parse::<Qos>().is_err());
    }
}
