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
    /// Snooping, and nobody asks for members (unless a host does): a Linux bridge then floods groups.
    NoQuerier,
    /// Snooping, nobody asks for members (unless a host does), and no host's port gets a group it has not registered
    /// (`mcast_flood off`), as on many hardware switches: members then get nothing either. A Linux bridge keeps groups of
    /// 224.0.0.x and IPv6 neighbour discovery from such ports as well; what the bridge itself sends passes.
    #[serde(rename = "no-querier-quiet")]
    Quiet,
    /// No snooping: a group goes to every port, unicast to its own.
    Flooding,
    /// No MAC learning: every frame goes to every port.
    Hub,
}

impl SwitchKind {
    /// All kinds, the usual one first.
    pub const ALL: [SwitchKind; 5] =
        [SwitchKind::Snooping, SwitchKind::NoQuerier, SwitchKind::Quiet, SwitchKind::Flooding, SwitchKind::Hub];

    /// The spelling used on the command line and in files.
    pub fn as_str(self) -> &'static str {
        match self {
            SwitchKind::Snooping => "snooping",
            SwitchKind::NoQuerier => "no-querier",
            SwitchKind::Quiet => "no-querier-quiet",
            SwitchKind::Flooding => "flooding",
            SwitchKind::Hub => "hub",
        }
    }

    /// As a person would call it.
    pub fn in_words(self, ipv6: bool) -> &'static str {
        match (self, ipv6) {
            (SwitchKind::Snooping, false) => "switch with IGMP snooping",
            (SwitchKind::Snooping, true) => "switch with MLD snooping",
            (SwitchKind::NoQuerier, _) => "snooping switch without a querier",
            (SwitchKind::Quiet, _) => "snooping switch without a querier that floods no groups",
            (SwitchKind::Flooding, _) => "switch without snooping",
            (SwitchKind::Hub, _) => "hub",
        }
    }

    /// Whether it listens to IGMP and MLD, so that its group table knows members.
    pub fn snoops(self) -> bool {
        matches!(self, SwitchKind::Snooping | SwitchKind::NoQuerier | SwitchKind::Quiet)
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
            format!("unknown switch '{text}'; the switches are {}", SwitchKind::ALL.map(SwitchKind::as_str).join(", "))
        })
    }
}

/// What a host's network card does with a frame for another host's Ethernet address, or for a group the host has not
/// joined.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Nic {
    /// It hands the frame to the host, as a card in promiscuous mode: the host's kernel compares and drops it.
    #[default]
    Promiscuous,
    /// It drops the frame before the host knows of it, as any card in ordinary use.
    Filter,
}

impl Nic {
    /// Both kinds.
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
        Nic::ALL.into_iter().find(|nic| nic.as_str() == text).ok_or_else(|| {
            format!("unknown network card '{text}'; the cards are {}", Nic::ALL.map(Nic::as_str).join(", "))
        })
    }
}

/// How hosts and switch speak about groups. MLD (IPv6) is version 2 whatever this says, with the same intervals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(default)]
pub struct Igmp {
    /// IGMP version, 2 (RFC 2236) or 3 (RFC 3376).
    pub version: u8,
    /// Last Member Query Interval: after a leave the switch asks twice, this far apart, before it takes the port out.
    /// 100 ms to 12.7 s; in messages in tenths of a second.
    pub last_member_interval: Duration,
    /// How long the switch believes in a member without a report. A querier of its own asks twice in this time (at least
    /// 2.1 s, as a Linux bridge asks at most once a second). Without one it is also how long the switch believes in a
    /// querier elsewhere on the LAN after its last query. `None`: longer than any run.
    pub membership_interval: Option<Duration>,
}

impl Default for Igmp {
    fn default() -> Self {
        Igmp { version: 3, last_member_interval: Duration::from_millis(100), membership_interval: None }
    }
}

/// Slower cables from the switch to some hosts.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LinkLimit {
    /// The hosts, as indices from 0.
    pub hosts: Vec<usize>,
    /// Bits a second of Ethernet frames (header included, preamble and checksum not) towards each of them; at least
    /// 10,000.
    pub bits_per_second: u64,
}

/// LANs of hosts `h1` … `hN`, each on a switch of its own.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LanSpec {
    /// Number of hosts on each LAN, numbered through. At least 2 in all, and no more on a LAN than a bridge has ports:
    /// 1,023, of which the router takes one.
    pub lans: Vec<usize>,
    /// The kind of switch.
    pub switch: SwitchKind,
    /// The hosts' network cards.
    #[serde(default)]
    pub nic: Nic,
    /// Whether hosts speak IPv6 (beside IPv4).
    pub ipv6: bool,
    /// Whether a router `r1` joins the LAN; several LANs always have it between them.
    #[serde(default)]
    pub router: bool,
    /// How groups are joined and left.
    #[serde(default)]
    pub igmp: Igmp,
    /// Cables slower than the machine can make them.
    #[serde(default)]
    pub limit: Option<LinkLimit>,
    /// Hosts whose receive work, where no thread does it, is done by a CPU for them alone; counted from 0.
    #[serde(default)]
    pub own_cpu: Vec<usize>,
    /// One-way delay that the router adds to what it forwards between LANs, each way; of several LANs, 10 s at most, in
    /// IPv4. With one a [`Delay`](crate::router::Delay) has to run in the router's namespace, for the kernel forwards
    /// nothing there; groups are not forwarded between the LANs at all.
    #[serde(default)]
    pub distance: Duration,
}

impl LanSpec {
    /// One LAN, with everything else as usual.
    pub fn single(hosts: usize, switch: SwitchKind, ipv6: bool) -> LanSpec {
        LanSpec {
            lans: vec![hosts],
            switch,
            nic: Nic::default(),
            ipv6,
            router: false,
            igmp: Igmp::default(),
            limit: None,
            own_cpu: Vec::new(),
            distance: Duration::ZERO,
        }
    }

    /// Number of hosts on all LANs.
    pub fn hosts(&self) -> usize {
        self.lans.iter().copied().fold(0, usize::saturating_add)
    }

    /// Whether there is a router.
    pub fn has_router(&self) -> bool {
        self.router || self.forwards()
    }

    /// Whether the router is a distance away from its LANs.
    pub fn has_distance(&self) -> bool {
        !self.distance.is_zero()
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
    fn switches_and_cards_are_spelled_as_they_are_read() {
        for kind in SwitchKind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(kind));
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        }
        for nic in Nic::ALL {
            assert_eq!(nic.as_str().parse(), Ok(nic));
            assert_eq!(serde_json::to_value(nic).unwrap(), nic.as_str());
        }
        let error = "router".parse::<SwitchKind>().unwrap_err();
        assert!(error.contains("snooping, no-querier, no-querier-quiet, flooding, hub"), "{error}");
        assert!("deaf".parse::<Nic>().unwrap_err().contains("promiscuous, filter"));
    }

    #[test]
    fn a_spec_is_read_as_it_is_written_and_what_is_usual_may_be_left_out() {
        let mut spec = LanSpec::single(5, SwitchKind::Quiet, true);
        let short = r#"{"lans":[5],"switch":"no-querier-quiet","ipv6":true,"igmp":{}}"#;
        assert_eq!(serde_json::from_str::<LanSpec>(short).unwrap(), spec);
        spec.igmp.membership_interval = Some(Duration::from_millis(1500));
        spec.limit = Some(LinkLimit { hosts: vec![2, 3], bits_per_second: 10_000_000 });
        spec.nic = Nic::Filter;
        spec.distance = Duration::from_millis(20);
        let text = serde_json::to_string(&spec).unwrap();
        assert_eq!(serde_json::from_str::<LanSpec>(&text).unwrap(), spec);
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
