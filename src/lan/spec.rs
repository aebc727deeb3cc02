//! What a virtual LAN is to look like.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

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
    /// Snooping, but nobody asks for members: a Linux bridge then floods groups.
    NoQuerier,
    /// The same, and ports do not flood groups, as with many hardware switches: silence, once memberships have expired.
    #[serde(rename = "no-querier-quiet")]
    Quiet,
}

impl SwitchKind {
    /// All kinds, the usual one first.
    pub const ALL: [SwitchKind; 5] =
        [SwitchKind::Snooping, SwitchKind::Flooding, SwitchKind::Hub, SwitchKind::NoQuerier, SwitchKind::Quiet];

    /// The spelling used on the command line and in files.
    pub fn as_str(self) -> &'static str {
        match self {
            SwitchKind::Snooping => "snooping",
            SwitchKind::Flooding => "flooding",
            SwitchKind::Hub => "hub",
            SwitchKind::NoQuerier => "no-querier",
            SwitchKind::Quiet => "no-querier-quiet",
        }
    }
}

impl SwitchKind {
    /// As a person would call it.
    pub fn in_words(self, ipv6: bool) -> &'static str {
        match (self, ipv6) {
            (SwitchKind::Snooping, false) => "switch with IGMP snooping",
            (SwitchKind::Snooping, true) => "switch with MLD snooping",
            (SwitchKind::Flooding, _) => "switch without snooping",
            (SwitchKind::Hub, _) => "hub",
            (SwitchKind::NoQuerier, _) => "snooping switch without a querier",
            (SwitchKind::Quiet, _) => "snooping switch without a querier that floods no groups",
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
        SwitchKind::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or_else(|| {
            let names = SwitchKind::ALL.map(SwitchKind::as_str).join(", ");
            format!("unknown switch '{text}'; the switches are {names}")
        })
    }
}

/// What a host's network card lets through to its kernel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Nic {
    /// Everything: a veth has no MAC filter, so the kernel drops what is for another host.
    #[default]
    Promiscuous,
    /// What real cards let through: the host's own address and all broadcasts and groups.
    Filter,
}

impl Nic {
    /// Both, the usual one first.
    pub const ALL: [Nic; 2] = [Nic::Promiscuous, Nic::Filter];

    /// The spelling used on the command line and in files.
    pub fn as_str(self) -> &'static str {
        match self {
            Nic::Promiscuous => "promiscuous",
            Nic::Filter => "filter",
        }
    }
}

impl fmt::Display for Nic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Nic {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Nic::ALL
            .into_iter()
            .find(|nic| nic.as_str() == text)
            .ok_or_else(|| format!("unknown network card '{text}'; the cards are promiscuous, filter"))
    }
}

/// How group membership is kept (RFC 2236, RFC 3376).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Igmp {
    /// 2 or 3, at the hosts and at the switch.
    pub version: u8,
    /// Time between the queries that ask whether a leaver was the last member.
    pub last_member_interval: Duration,
    /// How long a membership lasts that nobody confirms; `None`: longer than any run.
    pub membership_interval: Option<Duration>,
}

impl Default for Igmp {
    fn default() -> Self {
        Igmp { version: 3, last_member_interval: Duration::from_millis(100), membership_interval: None }
    }
}

/// A slower link towards some of the hosts.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LinkLimit {
    /// Which, counted from 0.
    pub hosts: Vec<usize>,
    /// Of Ethernet frames without preamble, FCS and gap.
    pub bits_per_second: u64,
}

/// LANs of hosts `h1` … `hN`, each LAN one switch; several are joined by a router.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LanSpec {
    /// Hosts on each LAN, 2 to 1,023 on the first (the ports of a bridge); numbered through.
    pub lans: Vec<usize>,
    /// The kind of all switches.
    pub switch: SwitchKind,
    /// The kind of all hosts' network cards.
    pub nic: Nic,
    /// Whether hosts speak IPv6 (beside IPv4).
    pub ipv6: bool,
    /// Whether there is a router even where it has but one LAN; several LANs always have one.
    pub router: bool,
    /// How membership is kept.
    pub igmp: Igmp,
    /// Slower links, where there are any.
    pub limit: Option<LinkLimit>,
    /// Hosts whose receive work, where no thread does it, is done by a CPU for them alone; counted from 0.
    pub own_cpu: Vec<usize>,
}

impl LanSpec {
    /// One LAN without any of the specials.
    pub fn single(hosts: usize, switch: SwitchKind, ipv6: bool) -> LanSpec {
        let (nic, igmp) = (Nic::default(), Igmp::default());
        LanSpec { lans: vec![hosts], switch, nic, ipv6, router: false, igmp, limit: None, own_cpu: Vec::new() }
    }

    /// Hosts on all LANs.
    pub fn hosts(&self) -> usize {
        self.lans.iter().sum()
    }

    /// Whether there is a router.
    pub fn has_router(&self) -> bool {
        self.router || self.lans.len() > 1
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
}
