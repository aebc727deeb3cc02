//! Whether a switch with a querier keeps groups from those who have not joined: tried out, not assumed.

use std::net::{IpAddr, SocketAddr};

use super::build::Lan;
use super::probe::{UNJOINED_V4, UNJOINED_V6, probe_socket};
use super::rest::wait_until;
use crate::error::{Error, Result};

impl Lan {
    /// Waits until of two datagrams, a long one to a group nobody joined and then a short one to all hosts, only the short
    /// one reaches the hosts: the bridge floods for a while after its querier is switched on, and says nothing about it.
    /// A port counts what its host's NAPI thread has taken, in order, so bytes tell which of the two has arrived.
    pub(super) fn await_snooping(&mut self) -> Result<()> {
        let mut pairs = vec![(IpAddr::V4(UNJOINED_V4), IpAddr::from([224, 0, 0, 1]))];
        if self.plan.spec.ipv6 {
            pairs.push((IpAddr::V6(UNJOINED_V6), IpAddr::from([0xff02, 0, 0, 0, 0, 0, 0, 1])));
        }
        for lan in 0..self.plan.bridges.len() {
            for (group, all) in &pairs {
                self.await_snooping_of(lan, *group, *all)?;
            }
        }
        Ok(())
    }

    fn await_snooping_of(&mut self, lan: usize, group: IpAddr, all: IpAddr) -> Result<()> {
        const LONG: u64 = 1000;
        const SHORT: u64 = 300; // queries, the only other frames, are below 100
        const DISCARD: u16 = 9;
        let bridge = &self.plan.bridges[lan];
        let socket = probe_socket(group, &bridge.name, bridge.index)?;
        // A router's port may get every group.
        let hosts = self.hosts.len();
        let watched: Vec<bool> = self.cables().map(|cable| cable.host < hosts && cable.lan == lan).collect();
        wait_until("snooping to be in force", || {
            let before = self.bytes_sent()?;
            for (address, size) in [(group, LONG), (all, SHORT)] {
                socket
                    .send_to(&vec![0; size as usize], &SocketAddr::from((address, DISCARD)).into())
                    .map_err(|cause| Error::failed(format!("sending a probe to {address}")).because(cause))?;
            }
            let mut flooded = false;
            wait_until("a probe to reach all hosts", || {
                let now = self.bytes_sent()?;
                let growth = || {
                    let ports = now.iter().zip(&before).zip(&watched).filter(|(_, watched)| **watched);
                    ports.map(|((now, before), _)| now.saturating_sub(*before))
                };
                flooded |= growth().any(|bytes| bytes >= LONG);
                Ok(growth().all(|bytes| bytes >= if flooded { LONG + SHORT } else { SHORT }))
            })?;
            Ok(!flooded)
        })
    }
}
