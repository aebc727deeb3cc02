//! What a virtual LAN is to look like.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// How the switch treats frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
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

/// LANs of hosts `h1` … `hN`, each on a switch of its own.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LanSpec {
    /// Number of hosts on each LAN, numbered through. At least 2 in all, and no more on a LAN than a bridge has ports:
    /// 1,023, of which the router takes one.
    pub lans: Vec<usize>,
    /// The kind of switch.
    pub switch: SwitchKind,
    /// Whether hosts speak IPv6 (beside IPv4).
    pub ipv6: bool,
    /// Whether a router `r1` joins the LAN; several LANs always have it between them.
    #[serde(default)]
    pub router: bool,
}

impl LanSpec {
    /// One LAN, with everything else as usual.
    pub fn single(hosts: usize, switch: SwitchKind, ipv6: bool) -> LanSpec {
        LanSpec { lans: vec![hosts], switch, ipv6, router: false }
    }

    /// Number of hosts on all LANs.
    pub fn hosts(&self) -> usize {
        self.lans.iter().copied().fold(0, usize::saturating_add)
    }

    /// Whether there is a router.
    pub fn has_router(&self) -> bool {
        self.router || self.forwards()
    }

    /// Whether there is a router between LANs.
    pub fn forwards(&self) -> bool {
        self.lans.len() > 1
    }
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

    #[test]
    fn hosts_are_counted_over_all_lans() {
        let spec = LanSpec { lans: vec![3, 4], ..LanSpec::single(2, SwitchKind::Hub, false) };
        assert_eq!(spec.hosts(), 7);
        assert!(spec.has_router() && spec.forwards());
        let alone = LanSpec { router: true, ..LanSpec::single(2, SwitchKind::Hub, false) };
        assert!(alone.has_router() && !alone.forwards());
    }
}
