//! The router `r1`: on paper, and as it exists. A host with a cable to each LAN's switch that forwards between them.
//!
//! Unicast the kernel forwards by itself; multicast as a [`Forwarder`](crate::router::Forwarder) says that has to be
//! started in its namespace. With a distance the kernel forwards nothing, but a [`Delay`](crate::router::Delay) does,
//! started in its place.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{BorrowedFd, OwnedFd};

use netlink_packet_route::link::{BridgeMulticastRouterType, InfoBridgePort};

use super::plan::{FIFO_PACKETS, FIRST_NET, PORT_GROUP, PREFIX_V4, PREFIX_V6, Plan, broadcast_of, mac};
use super::request::{self, End, Request};
use super::settings::Setting;

/// The router's name.
pub const NAME: &str = "r1";

/// The most LANs: its interfaces are called `r1a` to `r1z`.
pub const MAX_LANS: usize = 26;

const FIRST_PORT_INDEX: u32 = 1500;
const FIRST_LINK_INDEX: u32 = 6000;

/// The router of a LAN.
#[derive(Debug)]
pub struct Router {
    /// `r1`.
    pub name: String,
    /// Its links, the first LAN's first.
    pub links: Vec<RouterLink>,
    /// Its network namespace.
    pub netns: OwnedFd,
}

/// A router's link to one LAN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouterLink {
    /// Index of the LAN.
    pub lan: usize,
    /// `r1a`, `r1b`, …: its interface.
    pub name: String,
    /// `q1`, `q2`, …: the switch's port towards it.
    pub port: String,
    /// The number of its interface, in its namespace.
    pub ifindex: u32,
    /// The number of the port, in the switch's namespace.
    pub port_ifindex: u32,
    /// Its Ethernet address on that LAN.
    pub mac: request::Mac,
    /// Its IPv4 address on that LAN (in a /16): 10.x.255.254.
    pub ipv4: Ipv4Addr,
    /// Its IPv6 address on that LAN, where the LAN has IPv6: fd77:x::fffe.
    pub ipv6: Option<Ipv6Addr>,
}

impl Router {
    /// The names of its interfaces, as a [`ForwarderPlan`](crate::router::ForwarderPlan) wants them.
    #[must_use]
    pub fn interfaces(&self) -> Vec<String> {
        self.links.iter().map(|link| link.name.clone()).collect()
    }
}

/// A router's link on paper.
#[derive(Clone, Debug)]
pub struct RouterLinkPlan {
    /// Its interface.
    pub link: End,
    /// The switch's port towards it.
    pub port: End,
    /// Its IPv4 address.
    pub ipv4: Ipv4Addr,
    /// Its IPv6 address, where the LAN has IPv6.
    pub ipv6: Option<Ipv6Addr>,
}

impl RouterLinkPlan {
    /// The link to the LAN of this index.
    pub(super) fn new(lan: u16, ipv6: bool) -> RouterLinkPlan {
        let index = u32::from(lan);
        let letter = char::from(b'a' + lan as u8);
        RouterLinkPlan {
            link: End { name: format!("{NAME}{letter}"), index: FIRST_LINK_INDEX + index, mac: mac(2, lan) },
            port: End { name: format!("q{}", lan + 1), index: FIRST_PORT_INDEX + index, mac: mac(3, lan) },
            ipv4: Ipv4Addr::new(10, FIRST_NET + lan as u8, 255, 254),
            ipv6: ipv6.then(|| Ipv6Addr::new(0xfd77, lan, 0, 0, 0, 0, 0, 0xfffe)),
        }
    }

    /// Both of its addresses, or the one it has.
    pub(super) fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        [Some(IpAddr::V4(self.ipv4)), self.ipv6.map(IpAddr::V6)].into_iter().flatten()
    }
}

impl Plan {
    /// Settings of the router's namespace: as a host's, and it forwards, but for where a program is to do that. It sends
    /// no ICMP redirects and joins the groups of routers without a word.
    #[must_use]
    pub fn router_settings(&self) -> Vec<Setting> {
        // Forwarding first: to switch it on resets others.
        let mut settings = vec![("ipv4/ip_forward", if self.spec.has_distance() { "0" } else { "1" })];
        settings.extend(self.host_settings());
        settings.extend([
            ("ipv4/conf/all/send_redirects", "0"),
            ("ipv4/conf/default/send_redirects", "0"),
            ("ipv4/igmp_link_local_mcast_reports", "0"),
        ]);
        if self.spec.ipv6 {
            settings.extend([("ipv6/conf/all/forwarding", "1"), ("ipv6/conf/default/forwarding", "1")]);
        }
        settings
    }

    /// Makes the router's cable to a LAN.
    #[must_use]
    pub fn router_cable_request(&self, lan: usize, netns: BorrowedFd<'_>) -> Request {
        let RouterLinkPlan { link, port, .. } = &self.router[lan];
        request::new_cable(port, link, netns, self.bridges[lan].index, PORT_GROUP)
    }

    /// What else is said to the port towards it: it gets all groups when it forwards them, though it joined none.
    #[must_use]
    pub fn router_port_requests(&self, lan: usize) -> Vec<Request> {
        let always = InfoBridgePort::MulticastRouter(BridgeMulticastRouterType::Permanent);
        let request = || request::set_port(self.router[lan].port.index, vec![always]);
        let groups = self.spec.forwards() && !self.spec.has_distance();
        groups.then(request).into_iter().collect()
    }

    /// What is done inside its namespace once its interface to a LAN is there.
    #[must_use]
    pub fn router_requests(&self, lan: usize) -> Vec<Request> {
        let plan = &self.router[lan];
        let index = plan.link.index;
        let mut requests = vec![
            request::up(request::LOOPBACK),
            request::up(index),
            request::new_address(index, plan.ipv4.into(), PREFIX_V4, Some(broadcast_of(lan))),
            request::new_fifo(index, FIFO_PACKETS),
        ];
        requests.extend(plan.ipv6.map(|address| request::new_address(index, address.into(), PREFIX_V6, None)));
        let hosts = self.hosts.iter().filter(|host| host.lan == lan);
        requests.extend(hosts.flat_map(|host| host.pin_requests(index)));
        requests.extend(self.spec.has_distance().then(|| request::no_merging(index)));
        requests
    }
}

#[cfg(test)]
mod tests {
    use super::super::spec::{LanSpec, SwitchKind};
    use super::*;
    use crate::error::Result;

    fn lans(lans: &[usize], switch: SwitchKind) -> Result<Plan> {
        Plan::new(&LanSpec { lans: lans.to_vec(), ..LanSpec::single(0, switch, true) })
    }

    #[test]
    fn ports_of_a_router_between_lans_get_every_group() {
        assert_eq!(lans(&[1, 1], SwitchKind::Snooping).unwrap().router_port_requests(1).len(), 1);
        let one = LanSpec { router: true, ..LanSpec::single(2, SwitchKind::Snooping, false) };
        let one = Plan::new(&one).unwrap();
        assert_eq!((one.router.len(), one.router_port_requests(0)), (1, vec![]));
        assert!(one.router_settings().contains(&("ipv4/ip_forward", "1")));
    }

    #[test]
    fn a_router_at_a_distance_leaves_forwarding_to_a_program() {
        let spec = LanSpec { lans: vec![1, 1], ..LanSpec::single(0, SwitchKind::Snooping, false) };
        let near = Plan::new(&spec).unwrap();
        let far = Plan::new(&LanSpec { distance: std::time::Duration::from_millis(1), ..spec }).unwrap();
        // Said aloud, since a new namespace may inherit it.
        assert!(far.router_settings().contains(&("ipv4/ip_forward", "0")));
        assert_eq!(far.router_port_requests(1), vec![]);
        let index = far.router[1].link.index;
        assert!(far.router_requests(1).contains(&request::no_merging(index)));
        assert!(!near.router_requests(1).contains(&request::no_merging(index)));
    }
}
