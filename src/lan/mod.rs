//! The virtual LAN: hosts (a network namespace and a veth each) and one switch (a bridge), built over netlink.
//!
//! [`plan`] turns a [`spec::LanSpec`] into steps without touching anything; [`build`] carries them out.

pub mod build;
pub mod plan;
pub mod spec;

pub use build::{Attribution, Host, Lan, NapiThread};
pub use spec::{LanSpec, SwitchKind};
