//! Carries out a plan, and takes the LAN down again.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::os::fd::OwnedFd;

use super::spec::LanSpec;
use crate::error::Result;

/// A LAN that exists until this value is dropped or the process ends, however it ends.
pub struct Lan {}

/// One host of a LAN.
#[derive(Debug)]
pub struct Host {
    /// `h1`, `h2`, …: the host's name and that of its interface.
    pub name: String,
    /// `p1`, `p2`, …: the switch's port towards it.
    pub port: String,
    /// Its Ethernet address.
    pub mac: [u8; 6],
    /// Its IPv4 address (in a /16).
    pub ipv4: Ipv4Addr,
    /// Its IPv6 address, where the LAN has IPv6.
    pub ipv6: Option<Ipv6Addr>,
    /// Its network namespace.
    pub netns: OwnedFd,
}

/// Whether the kernel's receive work can be told apart host by host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attribution {
    /// Each end of each veth has a NAPI thread of its own.
    NapiThreads,
    /// It cannot; why.
    AppOnly(String),
}

/// The kernel thread that does the receive work of one interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NapiThread {
    /// Index into [`Lan::hosts`] of the host the interface belongs to, or whose port it is.
    pub host: usize,
    /// Whether it is the switch's end.
    pub is_port: bool,
    /// Process ID in the initial PID namespace.
    pub pid: u32,
}

impl Lan {
    /// Builds the LAN; the calling thread's network namespace becomes (and stays) the switch.
    ///
    /// # Errors
    /// Usage for an impossible spec; not permitted, with the remedy, where the kernel refuses; nothing is left then.
    pub fn build(spec: &LanSpec) -> Result<Lan> {
        let _ = spec;
        todo!()
    }

    /// The hosts, `h1` first.
    pub fn hosts(&self) -> &[Host] {
        todo!()
    }

    /// Whether CPU time can be attributed to hosts.
    pub fn attribution(&self) -> &Attribution {
        todo!()
    }

    /// The NAPI threads of all interfaces; empty without attribution.
    ///
    /// # Errors
    /// When netlink and `/proc` both fail to name them.
    pub fn napi_threads(&self) -> Result<Vec<NapiThread>> {
        todo!()
    }

    /// Switches attribution off (plain veth: no NAPI threads, GRO off) or on again, for the calibration.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn set_attribution(&mut self, on: bool) -> Result<()> {
        let _ = on;
        todo!()
    }
}
