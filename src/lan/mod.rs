//! The virtual LAN: hosts (a network namespace and a veth each) and one switch (a bridge), built over netlink; or several
//! such LANs with a router between them.
//!
//! [`plan`] turns a [`spec::LanSpec`] into names, numbers and addresses without touching anything, once `check` finds
//! nothing wrong with it. What is asked of the kernel stands with what it is for, as netlink requests ([`request`]) and
//! as `settings`: [`host`], [`router`], `switch`, and the hosts' network cards in `card`.
//!
//! [`build`] has the order of work: a `place` for each host, the `cable` to it, the kernel [`threads`] that do its
//! receive work (or, by [`steering`], the CPU for it where there are none), and then to wait until the LAN is at `rest`
//! and its switch treats groups as it should (`snooping`, `unregistered`, by means of a `probe`).

mod attribution;
pub mod build;
mod cable;
mod card;
mod check;
pub mod host;
mod limit;
mod place;
pub mod plan;
mod probe;
pub mod request;
mod rest;
mod room;
pub mod router;
mod settings;
mod snooping;
pub mod spec;
pub mod steering;
mod switch;
pub mod threads;
mod unregistered;

pub use attribution::Attribution;
pub use build::Lan;
pub use host::Host;
pub use room::{check_room, too_few_processes};
pub use router::{Router, RouterLink};
pub use settings::Setting;
pub use spec::{Igmp, LanSpec, LinkLimit, Nic, SwitchKind};
pub use steering::Steering;
pub use threads::NapiThread;
