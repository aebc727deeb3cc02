//! What is published and received.

use std::fmt;
use std::str::FromStr;

use bytes::Bytes;
use mqtt5_protocol::QoS;
use serde::Serialize;

use crate::error::{Error, Result};

/// How hard a message is delivered over one connection (MQTT 5.0 section 4.3). Written `0`, `1`, `2`.
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

    pub(super) fn wire(self) -> QoS {
        match self {
            Qos::AtMostOnce => QoS::AtMostOnce,
            Qos::AtLeastOnce => QoS::AtLeastOnce,
            Qos::ExactlyOnce => QoS::ExactlyOnce,
        }
    }

    pub(super) fn from_wire(qos: QoS) -> Qos {
        match qos {
            QoS::AtMostOnce => Qos::AtMostOnce,
            QoS::AtLeastOnce => Qos::AtLeastOnce,
            QoS::ExactlyOnce => Qos::ExactlyOnce,
        }
    }
}

impl fmt::Display for Qos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.level().fmt(f)
    }
}

impl FromStr for Qos {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Qos, String> {
        match text {
            "0" => Ok(Qos::AtMostOnce),
            "1" => Ok(Qos::AtLeastOnce),
            "2" => Ok(Qos::ExactlyOnce),
            _ => Err(format!("'{text}' is no quality of service; write 0, 1 or 2")),
        }
    }
}

impl Serialize for Qos {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.serialize_u8(self.level())
    }
}

/// A message as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Where it was published.
    pub topic: String,
    /// As it was delivered, which may be less than what it was published with.
    pub qos: Qos,
    /// It was not published now, but kept for those who come later.
    pub retained: bool,
    /// It may have come before (MQTT 5.0 section 3.3.1.1).
    pub again: bool,
    payload: Bytes,
}

impl Message {
    pub(super) fn new(topic: String, qos: Qos, retained: bool, again: bool, payload: Bytes) -> Message {
        Message { topic, qos, retained, again, payload }
    }

    /// What it says.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }
}

/// How one message is to be published.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Delivery {
    /// How hard.
    pub qos: Qos,
    /// Kept by the broker for those who subscribe later.
    pub retain: bool,
}

/// What the broker publishes for a client that goes without taking leave (MQTT 5.0 section 3.1.2.5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Will {
    /// Where.
    pub topic: String,
    /// What.
    pub payload: Vec<u8>,
    /// How.
    pub delivery: Delivery,
}

/// Refuses what is no topic to publish to (MQTT 5.0 section 4.7).
///
/// # Errors
/// Usage, naming `flag`.
pub fn check_topic(flag: &str, topic: &str) -> Result<()> {
    if topic.contains(['#', '+']) {
        return Err(Error::usage(format!(
            "{flag} '{topic}': # and + stand for topics of others and go with subscribing; name one topic to publish to"
        )));
    }
    mqtt5_protocol::validate_topic_name(topic).map_err(|_| {
        Error::usage(format!("{flag} '{topic}' is no topic; write levels parted by /, such as lab/temperature"))
    })
}

/// Refuses what is no filter of topics (MQTT 5.0 section 4.7).
///
/// # Errors
/// Usage, naming `flag`.
pub fn check_filter(flag: &str, filter: &str) -> Result<()> {
    mqtt5_protocol::validate_topic_filter(filter).map_err(|_| {
        Error::usage(format!(
            "{flag} '{filter}' is no filter of topics; + stands for one whole level and # for all that follow, at the end: \
             lab/+/temperature, lab/#"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_and_filters_are_told_apart() {
        for topic in ["a", "/", "a/b", "a b/ü", "a//b"] {
            assert!(check_topic("--topic", topic).is_ok(), "{topic}");
            assert!(check_filter("--topic", topic).is_ok(), "{topic}");
        }
        for filter in ["#", "+", "a/#", "+/b/+", "$share/group/a"] {
            assert!(check_filter("--topic", filter).is_ok(), "{filter}");
        }
        for filter in ["#", "+", "a/#", "+/b/+", ""] {
            assert!(check_topic("--topic", filter).is_err(), "{filter}");
        }
        for wrong in ["", "a/#/b", "a#", "a+/b"] {
            let error = check_filter("--topic", wrong).unwrap_err();
            assert_eq!(error.class().code(), 2, "{wrong}");
            assert!(error.to_string().starts_with("--topic '"), "{error}");
        }
    }

    #[test]
    fn a_qos_reads_as_it_prints() {
        for text in Qos::SPELLINGS {
            assert_eq!(text.parse::<Qos>().unwrap().to_string(), text);
        }
        assert!("3".parse::<Qos>().is_err());
    }
}
