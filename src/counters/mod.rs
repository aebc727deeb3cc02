//! The kernel's own counters of one host, read as snapshots and compared as deltas.

use serde::{Deserialize, Serialize};

use crate::error::Result;

pub mod cpu;
pub mod ip;
pub mod link;
pub mod udp;

/// A host's counters at one moment, or their growth between two.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostCounters {
    /// The interface.
    pub link: link::LinkCounters,
    /// IPv4 and IPv6 together.
    pub ip: ip::IpCounters,
    /// UDP over both.
    pub udp: udp::UdpCounters,
}

impl HostCounters {
    /// Growth since `earlier`; a field is `None` where either snapshot has none.
    #[must_use]
    pub fn since(&self, earlier: &HostCounters) -> HostCounters {
        let _ = earlier;
        todo!()
    }
}

/// Reads the counters of `interface` and of the protocols in the calling thread's network namespace.
///
/// # Errors
/// When there is no such interface or `/proc` cannot be read.
pub fn read(interface: &str) -> Result<HostCounters> {
    let _ = interface;
    todo!()
}
