//! A LAN at rest: its links are up, what was sent has arrived, and nothing moves any more.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use netlink_packet_route::link::{
    BridgePortState, InfoBridgePort, InfoPortData, LinkAttribute, LinkInfo, LinkMessage, State, Stats64,
};

use super::build::Lan;
use super::spec::SwitchKind;
use crate::error::{Error, Result};
use crate::sys::netlink::Netlink;
use crate::sys::netns;

/// How long the kernel may take to do what it does in its own time (carriers, the querier).
const PATIENCE: Duration = Duration::from_secs(10);
/// How often it is asked whether it has.
pub(super) const POLL: Duration = Duration::from_millis(4);

impl Lan {
    /// Waits until what hosts have sent has been switched, no port sends anything any more and, on a switch with a querier,
    /// snooping is in force. To be called when a querier has been started on a host or the router: its first query lets
    /// the switch flood once more for as long as hosts may take to answer.
    ///
    /// # Errors
    /// When the LAN does not come to rest.
    pub fn settle(&mut self) -> Result<()> {
        self.await_arrival()?;
        self.await_quiet(5 * POLL)?;
        if self.plan.spec.switch == SwitchKind::Snooping {
            self.await_snooping()?;
            self.await_quiet(5 * POLL)?;
        }
        Ok(())
    }

    /// Waits until every bridge and port is up, and the ports forward.
    pub(super) fn await_links(&mut self) -> Result<()> {
        wait_until("all ports of the switch to forward", || {
            let links = self.netlink.links()?;
            // Up as well as forwarding: a port may forward before it has a queue to send by, into nothing.
            let up = |link: &&LinkMessage| link.attributes.contains(&LinkAttribute::OperState(State::Up));
            let forwarding = links.iter().filter(up).filter(|link| forwards(link)).count();
            let is_bridge = |link: &&LinkMessage| self.plan.bridges.iter().any(|one| one.index == link.header.index);
            let bridges = links.iter().filter(up).filter(is_bridge).count();
            Ok(bridges == self.plan.bridges.len() && forwarding == self.cables().count())
        })
    }

    /// Waits until the ports have received what links have sent.
    fn await_arrival(&mut self) -> Result<()> {
        wait_until("the switch to have received what hosts have sent", || {
            let received = counted(&mut self.netlink, |stats| stats.rx_packets)?;
            netns::aside(|| {
                for cable in self.cables() {
                    netns::enter(cable.netns)?;
                    let sent = counted(&mut Netlink::route()?, |stats| stats.tx_packets)?;
                    if sent.get(&cable.ifindex) != received.get(&cable.port_ifindex) {
                        return Ok(false);
                    }
                }
                Ok(true)
            })
        })
    }

    /// Waits until no port has sent anything for so long: the switch's first queries are then out, and IPv6 has reported
    /// its groups.
    pub(super) fn await_quiet(&mut self, long: Duration) -> Result<()> {
        let mut sent = 0;
        let mut since = Instant::now();
        wait_until("the LAN to fall silent", || {
            let now_sent = self.bytes_sent()?.iter().sum();
            if sent != now_sent {
                (sent, since) = (now_sent, Instant::now());
            }
            Ok(since.elapsed() > long)
        })
    }

    /// Bytes each port has sent, in the order of the cables.
    pub(super) fn bytes_sent(&mut self) -> Result<Vec<u64>> {
        let sent = counted(&mut self.netlink, |stats| stats.tx_bytes)?;
        Ok(self.cables().map(|cable| sent.get(&cable.port_ifindex).copied().unwrap_or(0)).collect())
    }
}

/// Asks for `condition` until it holds; `what` is waited for.
///
/// # Errors
/// When it does not come to hold, or cannot be asked for.
pub(super) fn wait_until(what: &str, mut condition: impl FnMut() -> Result<bool>) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while !condition()? {
        if Instant::now() > deadline {
            return Err(Error::failed(format!("waited {} s for {what}, in vain", PATIENCE.as_secs())));
        }
        std::thread::sleep(POLL);
    }
    Ok(())
}

fn forwards(link: &LinkMessage) -> bool {
    let infos = link.attributes.iter().filter_map(|attribute| match attribute {
        LinkAttribute::LinkInfo(infos) => Some(infos),
        _ => None,
    });
    let ports = infos.flatten().filter_map(|info| match info {
        LinkInfo::PortData(InfoPortData::BridgePort(options)) => Some(options),
        _ => None,
    });
    ports.flatten().any(|option| *option == InfoBridgePort::State(BridgePortState::Forwarding))
}

/// A counter of every interface of a namespace, by interface number.
fn counted(netlink: &mut Netlink, counter: impl Fn(&Stats64) -> u64) -> Result<HashMap<u32, u64>> {
    let of = |link: &LinkMessage| {
        let value = link.attributes.iter().find_map(|attribute| match attribute {
            LinkAttribute::Stats64(stats) => Some(counter(stats)),
            _ => None,
        });
        Some((link.header.index, value?))
    };
    Ok(netlink.links()?.iter().filter_map(of).collect())
}
