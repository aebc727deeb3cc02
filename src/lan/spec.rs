//! What a virtual LAN is to look like.

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
