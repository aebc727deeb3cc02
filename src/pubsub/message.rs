//! What is published and received.

use crate::error::{Error, Result};
pub use crate::wire::mqtt::Qos;
use crate::wire::mqtt::topic;

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
    pub(super) payload: Vec<u8>,
}

impl Message {
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
    if topic::is_topic(topic) {
        return Ok(());
    }
    Err(Error::usage(format!("{flag} '{topic}' is no topic; write levels parted by /, such as lab/temperature")))
}

/// Refuses what is no filter of topics (MQTT 5.0 section 4.7).
///
/// # Errors
/// Usage, naming `flag`.
pub fn check_filter(flag: &str, filter: &str) -> Result<()> {
    if topic::is_filter(filter) {
        return Ok(());
    }
    Err(Error::usage(format!(
        "{flag} '{filter}' is no filter of topics; + stands for one whole level and # for all that follow, at the end: \
         lab/+/temperature, lab/#"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_topic_or_filter_is_named_with_its_flag() {
        assert!(check_topic("--topic", "a/b").is_ok() && check_filter("--topic", "$share/group/a/#").is_ok());
        for wrong in ["", "a/#", "+"] {
            assert_eq!(check_topic("--topic", wrong).unwrap_err().class().code(), 2, "{wrong}");
        }
        for wrong in ["", "a/#/b", "a#", "a+/b"] {
            let error = check_filter("--topic", wrong).unwrap_err();
            assert_eq!(error.class().code(), 2, "{wrong}");
            assert!(error.to_string().starts_with("--topic '"), "{error}");
        }
    }
}
