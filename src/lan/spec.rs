//! What a virtual LAN is to look like.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// How the switch treats frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SwitchKind {
    /// IGMP and MLD snooping with a querier (RFC 4541): a group goes to its members only.
    #[default]
    Snooping,
    /// No snooping: a group goes to every port, unicast to its own.
    Flooding,
    /// No MAC learning: every frame goes to every port.
    Hub,
}

impl SwitchKind {
    /// All kinds, the usual one first.
    pub const ALL: [SwitchKind; 3] = [SwitchKind::Snooping, SwitchKind::Flooding, SwitchKind::Hub];

    /// The spelling used on the command line and in files.
    pub fn as_str(self) -> &'static str {
        match self {
            SwitchKind::Snooping => "snooping",
            SwitchKind::Flooding => "flooding",
            SwitchKind::Hub => "hub",
        }
    }
}

impl fmt::Display for SwitchKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for SwitchKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        SwitchKind::ALL
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or_else(|| format!("unknown switch '{text}'; the switches are snooping, flooding, hub"))
    }
}

/// A LAN of hosts `h1` … `hN` on one switch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LanSpec {
    /// Number of hosts, 2 to 1,023 (the ports of a bridge).
    pub hosts: usize,
    /// The kind of switch.
    pub switch: SwitchKind,
    /// Whether hosts speak IPv6 (beside IPv4).
    pub ipv6: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn switches_are_spelled_as_they_are_read() {
        for kind in SwitchKind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(kind));
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        }
        assert!("router".parse::<SwitchKind>().unwrap_err().contains("snooping, flooding, hub"));
    }
}
