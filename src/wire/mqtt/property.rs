//! Properties of MQTT 5.0 packets (section 2.2.2): which there are, where they may stand, and how they are read.

use super::reader::{Reader, Wrong};

/// Where properties stand: a packet, or the last will in a CONNECT. One bit each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// CONNECT.
    Connect = 1 << 0,
    /// The last will.
    Will = 1 << 1,
    /// CONNACK.
    ConnAck = 1 << 2,
    /// PUBLISH from a client.
    Publish = 1 << 3,
    /// PUBLISH from a broker.
    Delivery = 1 << 4,
    /// PUBACK, PUBREC, PUBREL, PUBCOMP, SUBACK, UNSUBACK: the same are allowed in all of them.
    Ack = 1 << 5,
    /// SUBSCRIBE.
    Subscribe = 1 << 6,
    /// UNSUBSCRIBE.
    Unsubscribe = 1 << 7,
    /// DISCONNECT from a client.
    Leave = 1 << 8,
    /// DISCONNECT from a broker.
    Farewell = 1 << 9,
    /// AUTH.
    Auth = 1 << 10,
}

/// How a property's value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// 0 or 1.
    Bit,
    Two,
    Four,
    Varying,
    Text,
    /// A topic to publish to.
    Topic,
    Binary,
    Pair,
}

/// A property: identifier, form, whether 0 is a value, places.
type Rule = (u8, Form, bool, u16);

const ANYWHERE: u16 = u16::MAX;
const CONTENT: u16 = Place::Publish as u16 | Place::Delivery as u16 | Place::Will as u16;
const AT_CONNECTING: u16 = Place::Connect as u16 | Place::ConnAck as u16;
const AT_LEAVING: u16 = Place::Leave as u16 | Place::Farewell as u16;
const WITH_REASON: u16 = Place::ConnAck as u16 | Place::Ack as u16 | AT_LEAVING | Place::Auth as u16;
const CONNACK: u16 = Place::ConnAck as u16;

/// Table 2-4.
const RULES: [Rule; 27] = [
    (id::PAYLOAD_FORMAT, Form::Bit, true, CONTENT),
    (id::MESSAGE_EXPIRY, Form::Four, true, CONTENT),
    (0x03, Form::Text, true, CONTENT),
    (id::RESPONSE_TOPIC, Form::Topic, true, CONTENT),
    (0x09, Form::Binary, true, CONTENT),
    (id::SUBSCRIPTION_ID, Form::Varying, false, Place::Subscribe as u16 | Place::Delivery as u16),
    (id::SESSION_EXPIRY, Form::Four, true, AT_CONNECTING | Place::Leave as u16),
    (id::ASSIGNED_CLIENT_ID, Form::Text, true, CONNACK),
    (id::SERVER_KEEP_ALIVE, Form::Two, true, CONNACK),
    (id::AUTH_METHOD, Form::Text, true, AT_CONNECTING | Place::Auth as u16),
    (id::AUTH_DATA, Form::Binary, true, AT_CONNECTING | Place::Auth as u16),
    (0x17, Form::Bit, true, Place::Connect as u16),
    (id::WILL_DELAY, Form::Four, true, Place::Will as u16),
    (0x19, Form::Bit, true, Place::Connect as u16),
    (0x1a, Form::Text, true, CONNACK),
    (0x1c, Form::Text, true, CONNACK | Place::Farewell as u16 | Place::Leave as u16),
    (0x1f, Form::Text, true, WITH_REASON),
    (id::RECEIVE_MAXIMUM, Form::Two, false, AT_CONNECTING),
    (id::ALIAS_MAXIMUM, Form::Two, true, AT_CONNECTING),
    (id::ALIAS, Form::Two, false, Place::Publish as u16 | Place::Delivery as u16),
    (0x24, Form::Bit, true, CONNACK),
    (0x25, Form::Bit, true, CONNACK),
    (id::USER, Form::Pair, true, ANYWHERE),
    (id::MAXIMUM_PACKET_SIZE, Form::Four, false, AT_CONNECTING),
    (0x28, Form::Bit, true, CONNACK),
    (0x29, Form::Bit, true, CONNACK),
    (0x2a, Form::Bit, true, CONNACK),
];

/// Identifiers of the properties that mean something to netlab.
#[allow(missing_docs, reason = "the names are the standard's")]
pub mod id {
    pub const PAYLOAD_FORMAT: u8 = 0x01;
    pub const MESSAGE_EXPIRY: u8 = 0x02;
    pub const RESPONSE_TOPIC: u8 = 0x08;
    pub const SUBSCRIPTION_ID: u8 = 0x0b;
    pub const SESSION_EXPIRY: u8 = 0x11;
    pub const ASSIGNED_CLIENT_ID: u8 = 0x12;
    pub const SERVER_KEEP_ALIVE: u8 = 0x13;
    pub const AUTH_METHOD: u8 = 0x15;
    pub const AUTH_DATA: u8 = 0x16;
    pub const WILL_DELAY: u8 = 0x18;
    pub const RECEIVE_MAXIMUM: u8 = 0x21;
    pub const ALIAS_MAXIMUM: u8 = 0x22;
    pub const ALIAS: u8 = 0x23;
    pub const USER: u8 = 0x26;
    pub const MAXIMUM_PACKET_SIZE: u8 = 0x27;
}

/// The properties of a packet, as bytes without their length; none in MQTT 3.1.1. What was read obeys the rules.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Properties<'a>(&'a [u8]);

/// A value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Value<'a> {
    Number(u32),
    Text(&'a str),
    Other,
}

impl<'a> Properties<'a> {
    /// What somebody has put together, such as a [`PropertyList`].
    #[must_use]
    pub const fn of(bytes: &'a [u8]) -> Properties<'a> {
        Properties(bytes)
    }

    /// Reads those of a packet, length and all.
    pub(super) fn read(reader: &mut Reader<'a>, place: Place) -> Result<Properties<'a>, Wrong> {
        let length = reader.varying()?;
        let bytes = reader.take(length as usize)?;
        if !bytes.is_empty() {
            check(bytes, place)?;
        }
        Ok(Properties(bytes))
    }

    /// As bytes, without their length.
    #[must_use]
    pub fn bytes(self) -> &'a [u8] {
        self.0
    }

    /// The first number of this identifier.
    #[must_use]
    pub fn number(self, id: u8) -> Option<u32> {
        self.each().find_map(|(found, value, _)| match value {
            Value::Number(number) if found == id => Some(number),
            _ => None,
        })
    }

    /// The first text of this identifier.
    #[must_use]
    pub fn text(self, id: u8) -> Option<&'a str> {
        self.each().find_map(|(found, value, _)| match value {
            Value::Text(text) if found == id => Some(text),
            _ => None,
        })
    }

    /// Those that go with a message to its subscribers unaltered (section 3.3.2.3): all but the broker's own.
    #[must_use]
    pub fn of_content(self) -> Vec<u8> {
        let own = [id::MESSAGE_EXPIRY, id::SUBSCRIPTION_ID, id::ALIAS, id::WILL_DELAY];
        self.each().filter(|(id, ..)| !own.contains(id)).flat_map(|(_, _, bytes)| bytes.iter().copied()).collect()
    }

    /// Identifier, value and bytes of each.
    fn each(self) -> impl Iterator<Item = (u8, Value<'a>, &'a [u8])> {
        let mut reader = Reader::new(self.0);
        std::iter::from_fn(move || {
            let before = reader.rest();
            let (rule, value) = one(&mut reader).ok()?;
            Some((rule.0, value, &before[..before.len() - reader.rest().len()]))
        })
    }
}

/// What is wrong with a property that may stand once.
const TWICE: &str = "a property twice";

fn check(bytes: &[u8], place: Place) -> Result<(), Wrong> {
    let (mut reader, mut seen, mut wrong) = (Reader::new(bytes), 0u64, None);
    while !reader.rest().is_empty() {
        let ((id, form, zero, places), value) = one(&mut reader)?;
        let may_repeat = id == id::USER || (id == id::SUBSCRIPTION_ID && place == Place::Delivery);
        let what = if places & place as u16 == 0 {
            "a property that does not belong into this packet"
        } else if !may_repeat && seen & (1 << id) != 0 {
            TWICE
        } else if matches!(value, Value::Number(number) if (number == 0 && !zero) || (number > 1 && form == Form::Bit))
        {
            "a property of a value it cannot have"
        } else {
            seen |= 1 << id;
            continue;
        };
        wrong.get_or_insert(what);
    }
    // Data without a method to understand them by (section 3.1.2.11.10).
    if seen & (1 << id::AUTH_DATA) != 0 && seen & (1 << id::AUTH_METHOD) == 0 {
        wrong.get_or_insert("authentication data without a method");
    }
    match (wrong, place) {
        (None, _) => Ok(()),
        // The standard allows either word; these are mosquitto's.
        (Some(what), Place::Subscribe | Place::Unsubscribe) if what != TWICE => Err(Wrong::malformed(what)),
        (Some(what), _) => Err(Wrong::protocol(what)),
    }
}

/// The next property.
fn one<'a>(reader: &mut Reader<'a>) -> Result<(Rule, Value<'a>), Wrong> {
    let id = reader.varying()?;
    let rule = RULES
        .iter()
        .find(|rule| u32::from(rule.0) == id)
        .ok_or_else(|| Wrong::malformed("a property that MQTT does not have"))?;
    let value = match rule.1 {
        Form::Bit => Value::Number(reader.byte()?.into()),
        Form::Two => Value::Number(reader.two()?.into()),
        Form::Four => Value::Number(reader.four()?),
        Form::Varying => Value::Number(reader.varying()?),
        Form::Text => Value::Text(reader.text()?),
        Form::Topic => Value::Text(match reader.text()? {
            topic if topic.contains(['#', '+']) => return Err(Wrong::protocol("a response topic with wildcards")),
            topic => topic,
        }),
        Form::Binary => {
            reader.binary()?;
            Value::Other
        }
        Form::Pair => {
            reader.text()?;
            reader.text()?;
            Value::Other
        }
    };
    Ok((*rule, value))
}

/// Properties being put together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PropertyList(Vec<u8>);

impl PropertyList {
    /// None so far.
    #[must_use]
    pub fn new() -> PropertyList {
        PropertyList::default()
    }

    /// Those, as bytes.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// A number, in the form that its property has.
    pub fn number(&mut self, id: u8, number: u32) {
        self.0.push(id);
        match RULES.iter().find(|rule| rule.0 == id).map(|rule| rule.1) {
            Some(Form::Bit) => self.0.push(number as u8),
            Some(Form::Two) => self.0.extend((number as u16).to_be_bytes()),
            Some(Form::Varying) => super::put_varying(&mut self.0, number as usize),
            _ => self.0.extend(number.to_be_bytes()),
        }
    }

    /// A text of at most 65,535 bytes.
    pub fn text(&mut self, id: u8, text: &str) {
        self.0.push(id);
        self.0.extend((text.len() as u16).to_be_bytes());
        self.0.extend(text.as_bytes());
    }

    /// None any more.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// To be written.
    #[must_use]
    pub fn get(&self) -> Properties<'_> {
        Properties(&self.0)
    }
}
