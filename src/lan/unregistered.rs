//! What a switch without a querier does with a group nobody has registered: flood it, or keep it. Tried out, not assumed.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use socket2::Socket;

use super::build::Lan;
use super::probe::{UNJOINED_V4, UNJOINED_V6, probe_socket};
use super::rest::wait_until;
use crate::error::{Error, Result};
use crate::sys::netns;

impl Lan {
    /// Waits until of two datagrams of `h1`, a long one to a group nobody joined and then a short broadcast, the long one
    /// reaches all other hosts of
    /// its LAN (`floods`) or none. (What the bridge itself sends would tell nothing: it floods that.)
    pub(super) fn await_unregistered(&mut self, floods: bool) -> Result<()> {
        const LONG: u64 = 1000;
        const SHORT: u64 = 300; // the bridge's own reports are below 100
        const DISCARD: u16 = 9;
        let same_lan: Vec<bool> = self.hosts().iter().map(|host| host.lan == 0).collect();
        let others = same_lan.iter().skip(1).filter(|same| **same).count();
        let mut groups = vec![IpAddr::V4(UNJOINED_V4)];
        groups.extend(self.spec().ipv6.then_some(IpAddr::V6(UNJOINED_V6)));
        for group in groups {
            let [to_group, to_all] = self.sockets_of_first(group)?;
            let send = |socket: &Socket, address: IpAddr, size: u64| {
                socket
                    .send_to(&vec![0; size as usize], &SocketAddr::from((address, DISCARD)).into())
                    .map_err(|cause| Error::failed(format!("sending a probe to {address}")).because(cause))
            };
            let goal = if floods { "flood" } else { "keep" };
            wait_until(&format!("the switch to {goal} a group nobody joined"), || {
                let before = self.bytes_sent()?;
                send(&to_group, group, LONG)?;
                send(&to_all, Ipv4Addr::BROADCAST.into(), SHORT)?;
                let mut reached = 0;
                wait_until("a broadcast of h1 to reach all other hosts", || {
                    let now = self.bytes_sent()?;
                    let ports = now.iter().zip(&before).zip(&same_lan).skip(1).filter(|(_, same)| **same);
                    let growth: Vec<u64> = ports.map(|((now, before), _)| now.saturating_sub(*before)).collect();
                    reached = growth.iter().filter(|bytes| **bytes >= LONG).count();
                    // Nothing overtakes: who has the short one has had the long one if it was sent that way.
                    Ok(growth.iter().all(|bytes| *bytes >= if *bytes >= LONG { LONG + SHORT } else { SHORT }))
                })?;
                Ok(reached == if floods { others } else { 0 })
            })?;
        }
        Ok(())
    }

    /// Sockets of `h1`: one for the group, one for broadcast.
    fn sockets_of_first(&self, group: IpAddr) -> Result<[Socket; 2]> {
        let host = &self.hosts()[0];
        netns::aside(|| {
            netns::enter(&host.netns)?;
            let to_all = probe_socket(UNJOINED_V4.into(), &host.name, host.ifindex)?;
            to_all
                .set_broadcast(true)
                .map_err(|cause| Error::failed("allowing a socket to broadcast").because(cause))?;
            Ok([probe_socket(group, &host.name, host.ifindex)?, to_all])
        })
    }
}
