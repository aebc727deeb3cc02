//! The modes of delivery: how to open an endpoint of each, and the loops all of them share.
//!
//! An [`Outlet`] is where messages leave, an [`Inlet`] where they arrive. Each mode's file knows how to open its own;
//! [`sender::send`] and [`receiver::receive`] are the only loops and know nothing of modes. Messages that go to a server
//! first are in [`stream`].

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

pub mod answers;
pub mod broadcast;
mod carrier;
mod choice;
pub mod description;
pub mod endpoint;
mod membership;
pub mod multicast;
pub mod policy;
pub mod raw;
pub mod receiver;
mod rehearsal;
mod schedule;
pub mod sender;
pub mod stream;
pub mod tally;
pub mod text;
pub mod unicast;
pub mod watch;

pub use description::{InletDescription, Membership, OutletDescription};
pub use endpoint::{Inlet, Outlet};

/// How long a loop may wait in the kernel before it looks whether it is to stop.
const STOP_LATENCY: Duration = Duration::from_millis(100);

/// How long one copy may wait in the kernel for room in the send buffer: a call hands over up to 64, each of which may
/// wait as long.
const ROOM_LATENCY: Duration = Duration::from_millis(1);

/// Whom the messages are for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Target {
    /// One copy to each address.
    Unicast {
        /// At least one; all of one address family.
        to: Vec<SocketAddr>,
    },
    /// One IPv4 datagram to all hosts of the link.
    Broadcast {
        /// Which broadcast address.
        to: BroadcastAddress,
        /// UDP destination port.
        port: u16,
    },
    /// One Ethernet frame to all stations of the link.
    RawBroadcast,
    /// One datagram to each group.
    Multicast {
        /// At least one; all of one address family.
        groups: Vec<IpAddr>,
        /// UDP destination port.
        port: u16,
        /// Hops it may travel; 1 stays on the link.
        ttl: u8,
        /// Whether members on the sending host get it too (`IP_MULTICAST_LOOP`).
        loop_back: bool,
    },
}

/// Which IPv4 broadcast address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum BroadcastAddress {
    /// 255.255.255.255 (RFC 919).
    Limited,
    /// The interface's own subnet broadcast address (RFC 922).
    Directed,
    /// This one, as given.
    Address(Ipv4Addr),
}

impl fmt::Display for BroadcastAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BroadcastAddress::Limited => f.pad("limited"),
            BroadcastAddress::Directed => f.pad("directed"),
            BroadcastAddress::Address(address) => f.pad(&address.to_string()),
        }
    }
}

/// Everything needed to open an [`Outlet`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutletSpec {
    /// Whom for.
    pub target: Target,
    /// By which interface; `None` leaves it to the route table where the mode allows that.
    pub interface: Option<String>,
    /// Differentiated services code point, 0 to 63 (RFC 2474); `None` leaves the default.
    pub dscp: Option<u8>,
}

/// What to listen for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Listen {
    /// Datagrams to an address of this host.
    Unicast {
        /// This address only; `None` for all of them (both families).
        address: Option<IpAddr>,
        /// UDP port.
        port: u16,
    },
    /// Datagrams to a broadcast address.
    Broadcast {
        /// UDP port.
        port: u16,
    },
    /// Frames of EtherType 0x88B5 to ff:ff:ff:ff:ff:ff.
    RawBroadcast,
    /// Datagrams to these groups.
    Multicast {
        /// At least one; all of one address family.
        groups: Vec<IpAddr>,
        /// Only from this sender (RFC 4607); `None` for any source.
        source: Option<IpAddr>,
        /// UDP port.
        port: u16,
    },
}

/// Everything needed to open an [`Inlet`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InletSpec {
    /// What for.
    pub listen: Listen,
    /// On which interface; `None` leaves it to the system where the mode allows that.
    pub interface: Option<String>,
}

/// Opens the endpoint messages leave by.
///
/// # Errors
/// Usage errors for addresses, interfaces and sizes that do not fit the mode; not-permitted ones with their remedy.
pub fn open_outlet(spec: &OutletSpec) -> Result<Outlet> {
    if let Some(dscp) = spec.dscp.filter(|dscp| *dscp > 63) {
        return Err(Error::usage(format!("--dscp {dscp}: a code point is a number from 0 to 63")));
    }
    let interface = spec.interface.as_deref();
    match &spec.target {
        Target::Unicast { to } => unicast::outlet(to, interface, spec.dscp),
        Target::Broadcast { to, port } => broadcast::outlet(*to, *port, interface, spec.dscp),
        Target::RawBroadcast => raw::outlet(interface, spec.dscp),
        Target::Multicast { groups, port, ttl, loop_back } => {
            let hops = multicast::Hops { ttl: *ttl, loop_back: *loop_back };
            multicast::outlet(groups, *port, hops, interface, spec.dscp)
        }
    }
}

/// Opens the endpoint messages arrive at, joined to its groups.
///
/// # Errors
/// As [`open_outlet`], and when the port is in use.
pub fn open_inlet(spec: &InletSpec) -> Result<Inlet> {
    let mut inlet = open_unjoined(spec)?;
    inlet.join()?;
    inlet.describe_memberships();
    Ok(inlet)
}

/// As [`open_inlet`], but a member of no group yet: see [`Inlet::join`].
///
/// # Errors
/// As [`open_inlet`].
pub fn open_unjoined(spec: &InletSpec) -> Result<Inlet> {
    let interface = spec.interface.as_deref();
    match &spec.listen {
        Listen::Unicast { address, port } => unicast::inlet(*address, *port, interface),
        Listen::Broadcast { port } => broadcast::inlet(*port, interface),
        Listen::RawBroadcast => raw::inlet(interface),
        Listen::Multicast { groups, source, port } => multicast::unjoined(groups, *source, *port, interface),
    }
}
