//! The vocabulary: values with a unit or a closed set of names, how they are written and read.
//!
//! Durations are written `500ms`, `5s`, `2m`; sizes `64`, `1400`, `8k`; rates `500`, `10k`, `max`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How a message is brought to its receivers. Spelled in CSV files and on the command line as [`Mode::as_str`] says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// One UDP datagram to each receiver's own address.
    Unicast,
    /// One UDP datagram to the IPv4 limited or directed broadcast address (RFC 919, RFC 922).
    Broadcast,
    /// One Ethernet frame to ff:ff:ff:ff:ff:ff under EtherType 0x88B5, with no IP in it.
    RawBroadcast,
    /// One UDP datagram to a group address (RFC 1112, RFC 4291 section 2.7).
    Multicast,
    /// One line over TCP to a chat server, which sends it on to each receiver's connection.
    Chat,
    /// One message over TCP to an MQTT broker, which sends it on to each subscriber's connection.
    Pubsub,
}

impl Mode {
    /// All modes, in the order in which tables show them.
    pub const ALL: [Mode; 6] =
        [Mode::Unicast, Mode::Broadcast, Mode::RawBroadcast, Mode::Multicast, Mode::Chat, Mode::Pubsub];

    /// The spelling used in CSV files and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Mode::Unicast => "unicast",
            Mode::Broadcast => "broadcast",
            Mode::RawBroadcast => "raw-broadcast",
            Mode::Multicast => "multicast",
            Mode::Chat => "chat",
            Mode::Pubsub => "pubsub",
        }
    }

    /// Copies the sender has to emit for one message to `receivers` receivers (one group for multicast).
    pub fn copies_per_message(self, receivers: usize) -> u64 {
        match self {
            Mode::Unicast => receivers as u64,
            Mode::Broadcast | Mode::RawBroadcast | Mode::Multicast | Mode::Chat | Mode::Pubsub => 1,
        }
    }

    /// Whether messages go through a server, which sends them on.
    pub fn has_server(self) -> bool {
        matches!(self, Mode::Chat | Mode::Pubsub)
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Mode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Mode::ALL.into_iter().find(|mode| mode.as_str() == text).ok_or_else(|| {
            let names: Vec<_> = Mode::ALL.iter().map(|mode| mode.as_str()).collect();
            format!("unknown mode '{text}'; the modes are {}", names.join(", "))
        })
    }
}

/// What a host does in a trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Sends the messages.
    Sender,
    /// Gets each message and sends it on to the receivers.
    Server,
    /// Wants the messages and counts them.
    Receiver,
    /// Is on the LAN and wants nothing.
    Bystander,
    /// The device between the hosts.
    Switch,
    /// Joins LANs, asks for members, and forwards what its routes say.
    Router,
}

impl Role {
    /// The spelling used in CSV files.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Sender => "sender",
            Role::Server => "server",
            Role::Receiver => "receiver",
            Role::Bystander => "bystander",
            Role::Switch => "switch",
            Role::Router => "router",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Messages a second: a number above 0, or as fast as the sender can.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rate {
    /// This many messages a second, finite and above 0.
    PerSecond(f64),
    /// Unpaced.
    Max,
}

impl Rate {
    /// Messages a second; `None` for [`Rate::Max`].
    pub fn per_second(self) -> Option<f64> {
        match self {
            Rate::PerSecond(rate) => Some(rate),
            Rate::Max => None,
        }
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Rate::PerSecond(rate) => write!(f, "{rate}"),
            Rate::Max => f.write_str("max"),
        }
    }
}

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const FORM: &str = "write messages a second such as 500, 2.5k or 10k, or max";
        if text == "max" {
            return Ok(Rate::Max);
        }
        let (digits, factor) = match text.as_bytes().last() {
            Some(b'k' | b'K') => (&text[..text.len() - 1], 1e3),
            Some(b'm' | b'M') => (&text[..text.len() - 1], 1e6),
            _ => (text, 1.0),
        };
        if !digits.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(format!("'{text}' is not a rate; {FORM}"));
        }
        let rate = digits.parse::<f64>().map_err(|_| format!("'{text}' is not a rate; {FORM}"))? * factor;
        if rate == 0.0 {
            return Err(format!("a rate of 0 sends nothing; {FORM}"));
        }
        if !(1e-3..=1e9).contains(&rate) {
            return Err(format!("'{text}' is outside 0.001 to 1000000000 messages a second; {FORM}"));
        }
        Ok(Rate::PerSecond(rate))
    }
}

/// A size in bytes, written `64`, `1400` or `8k` (1k = 1024 bytes).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Bytes(pub usize);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Bytes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const FORM: &str = "write bytes such as 64, 1400 or 8k";
        let (digits, factor) = match text.strip_suffix(['k', 'K']) {
            Some(digits) => (digits, 1024),
            None => (text, 1),
        };
        if !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(format!("'{text}' is not a size; {FORM}"));
        }
        let size = digits.parse::<usize>().map_err(|_| format!("'{text}' is not a size; {FORM}"))?;
        match size.checked_mul(factor) {
            Some(0) => Err(format!("a message needs at least 1 byte; {FORM}")),
            Some(size) => Ok(Bytes(size)),
            None => Err(format!("'{text}' is too large; {FORM}")),
        }
    }
}

/// Reads a duration above 0 such as `500ms`, `5s` or `2m`.
///
/// # Errors
/// A sentence that says what was wrong and what would be right.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    const FORM: &str = "write a duration such as 500ms, 5s or 2m";
    match humantime::parse_duration(text) {
        Ok(Duration::ZERO) => Err(format!("a duration of 0 leaves no time to measure; {FORM}")),
        Ok(duration) => Ok(duration),
        Err(_) => Err(format!("'{text}' is not a duration; {FORM}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates() {
        assert_eq!("500".parse(), Ok(Rate::PerSecond(500.0)));
        assert_eq!("10k".parse(), Ok(Rate::PerSecond(10_000.0)));
        assert_eq!("2.5k".parse(), Ok(Rate::PerSecond(2_500.0)));
        assert_eq!("max".parse(), Ok(Rate::Max));
        for bad in ["", "0", "0k", "-1", "k", "fast", "1e", "inf", "nan", "10 k", "1e99"] {
            assert!(bad.parse::<Rate>().is_err(), "{bad:?} was taken for a rate");
        }
        assert_eq!(Rate::PerSecond(2_500.0).to_string(), "2500");
    }

    #[test]
    fn sizes() {
        assert_eq!("64".parse(), Ok(Bytes(64)));
        assert_eq!("8k".parse(), Ok(Bytes(8192)));
        for bad in ["", "0", "k", "-1", "1.5k", "64B", "99999999999999999999", "18014398509481984k"] {
            assert!(bad.parse::<Bytes>().is_err(), "{bad:?} was taken for a size");
        }
    }

    #[test]
    fn durations() {
        assert_eq!(parse_duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse_duration("2m"), Ok(Duration::from_secs(120)));
        for bad in ["", "0s", "5", "-5s", "five"] {
            assert!(parse_duration(bad).is_err(), "{bad:?} was taken for a duration");
        }
    }

    #[test]
    fn modes_are_spelled_as_they_are_read() {
        for mode in Mode::ALL {
            assert_eq!(mode.as_str().parse(), Ok(mode));
            assert_eq!(serde_json::to_value(mode).unwrap(), mode.as_str());
        }
        assert!("anycast".parse::<Mode>().unwrap_err().contains("raw-broadcast"));
    }
}
