//! From a spec to names, numbers and addresses: pure. What is asked of the kernel for a host, a router, a switch stands
//! with each of them.

use std::net::Ipv4Addr;

use super::check::check;
use super::host::HostPlan;
use super::request::{self, End};
use super::router::RouterLinkPlan;
use super::spec::LanSpec;
use crate::error::Result;

/// A bridge has no more ports than this (`BR_MAX_PORTS` less the reserved one).
pub const MAX_HOSTS: usize = 1023;
/// The hosts' prefix length in IPv4.
pub const PREFIX_V4: u8 = 16;
/// The hosts' prefix length in IPv6.
pub const PREFIX_V6: u8 = 64;
/// The interface group all ports are in.
pub const PORT_GROUP: u32 = 77;
/// Packets the queue of a host's interface holds.
pub const FIFO_PACKETS: u32 = 1000;

/// The first LAN is 10.77.0.0/16, the next 10.78.0.0/16, and so on.
pub(super) const FIRST_NET: u8 = 77;

pub(super) const FIRST_BRIDGE_INDEX: u32 = 1000;

/// All of it on paper.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What it was made from.
    pub spec: LanSpec,
    /// `br0`, `br1`, …: a switch for each LAN.
    pub bridges: Vec<End>,
    /// `h1` first.
    pub hosts: Vec<HostPlan>,
    /// The router's link to each LAN; empty without a router.
    pub router: Vec<RouterLinkPlan>,
}

impl Plan {
    /// Draws the plan.
    ///
    /// # Errors
    /// Usage, for fewer than 2 hosts or more than a bridge has ports, a LAN without hosts, too many LANs, and for
    /// times, rates and distances there cannot be.
    pub fn new(spec: &LanSpec) -> Result<Plan> {
        check(spec)?;
        let bridge = |lan: u16| {
            let index = FIRST_BRIDGE_INDEX + u32::from(lan);
            End { name: format!("br{lan}"), index, mac: mac(0xff, lan) }
        };
        let lan_of_each = spec.lans.iter().enumerate().flat_map(|(lan, hosts)| std::iter::repeat_n(lan, *hosts));
        let hosts = (1..).zip(lan_of_each).map(|(number, lan)| HostPlan::new(number, lan, spec.ipv6)).collect();
        let lans = || 0..spec.lans.len() as u16;
        let router = lans().filter(|_| spec.has_router()).map(|lan| RouterLinkPlan::new(lan, spec.ipv6)).collect();
        Ok(Plan { spec: spec.clone(), bridges: lans().map(bridge).collect(), hosts, router })
    }
}

/// The directed broadcast address of a LAN.
pub(super) fn broadcast_of(lan: usize) -> Ipv4Addr {
    Ipv4Addr::new(10, FIRST_NET + lan as u8, 255, 255)
}

/// A locally administered address: 02, "NL", what it is for, and a number.
pub(super) fn mac(kind: u8, number: u16) -> request::Mac {
    let [high, low] = number.to_be_bytes();
    // Hosts have 02:4e:4c:00:hh:ll; ports, the router's links and ports, and bridges differ in the fourth byte.
    [0x02, 0x4e, 0x4c, kind, high, low]
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::super::router::MAX_LANS;
    use super::super::spec::SwitchKind;
    use super::*;

    fn plan(hosts: usize, switch: SwitchKind) -> Plan {
        Plan::new(&LanSpec::single(hosts, switch, true)).unwrap()
    }

    fn lans(lans: &[usize], switch: SwitchKind) -> Result<Plan> {
        Plan::new(&LanSpec { lans: lans.to_vec(), ..LanSpec::single(0, switch, true) })
    }

    #[test]
    fn every_name_number_and_address_is_unique() {
        let plan = plan(MAX_HOSTS, SwitchKind::Snooping);
        let ends = || plan.hosts.iter().flat_map(|host| [&host.link, &host.port]).chain(&plan.bridges);
        let count = 2 * MAX_HOSTS + 1;
        assert_eq!(ends().map(|end| &end.name).collect::<HashSet<_>>().len(), count);
        assert_eq!(ends().map(|end| end.index).collect::<HashSet<_>>().len(), count);
        assert_eq!(ends().map(|end| end.mac).collect::<HashSet<_>>().len(), count);
        assert_eq!(plan.hosts.iter().map(|host| host.ipv4).collect::<HashSet<_>>().len(), MAX_HOSTS);
        assert!(ends().all(|end| end.name.len() < libc::IFNAMSIZ && end.index != 1));
    }

    #[test]
    fn names_numbers_and_addresses_are_unique_on_many_lans() {
        let plan = lans(&[20; MAX_LANS], SwitchKind::Snooping).unwrap();
        let hosts = plan.hosts.iter().flat_map(|host| [&host.link, &host.port]);
        let router = plan.router.iter().flat_map(|link| [&link.link, &link.port]);
        let ends: Vec<_> = hosts.chain(router).chain(&plan.bridges).collect();
        let count = 2 * 20 * MAX_LANS + 3 * MAX_LANS;
        assert_eq!(ends.iter().map(|end| &end.name).collect::<HashSet<_>>().len(), count);
        assert_eq!(ends.iter().map(|end| end.index).collect::<HashSet<_>>().len(), count);
        assert_eq!(ends.iter().map(|end| end.mac).collect::<HashSet<_>>().len(), count);
        assert_eq!((plan.router[0].link.name.as_str(), plan.router[25].link.name.as_str()), ("r1a", "r1z"));
    }
}
