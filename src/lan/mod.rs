//! The virtual LAN: hosts (a network namespace and a veth each) and one switch (a bridge), built over netlink; or several
//! such LANs with a router between them.
//!
//! [`plan`] turns a [`spec::LanSpec`] into names, addresses and netlink requests ([`request`]) without touching
//! anything; [`build`] carries them out, [`threads`] finds the kernel threads that do each host's receive work, and
//! [`steering`] chooses the CPU for it where there are none. The hosts' network cards are in `card`.

pub mod build;
mod card;
pub mod host;
mod limit;
pub mod plan;
pub mod request;
pub mod router;
pub mod spec;
pub mod steering;
pub mod threads;
mod unregistered;

pub use build::{Attribution, Lan};
pub use host::Host;
pub use router::{Router, RouterLink};
pub use spec::{Igmp, LanSpec, LinkLimit, Nic, SwitchKind};
pub use steering::Steering;
pub use threads::NapiThread;
