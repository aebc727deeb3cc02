//! A host: on paper, and as it exists.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{BorrowedFd, OwnedFd};

use super::plan::{FIFO_PACKETS, FIRST_NET, PORT_GROUP, PREFIX_V4, PREFIX_V6, Plan, broadcast_of, mac};
use super::request::{self, End, Request};

/// One host of a LAN.
#[derive(Debug)]
pub struct Host {
    /// `h1`, `h2`, …: the host's name and that of its interface.
    pub name: String,
    /// Index of its LAN.
    pub lan: usize,
    /// `p1`, `p2`, …: the switch's port towards it.
    pub port: String,
    /// The number of its interface, in its namespace.
    pub ifindex: u32,
    /// The number of the port, in the switch's namespace.
    pub port_ifindex: u32,
    /// Its Ethernet address.
    pub mac: [u8; 6],
    /// Its IPv4 address (in a /16).
    pub ipv4: Ipv4Addr,
    /// Its IPv6 address, where the LAN has IPv6.
    pub ipv6: Option<Ipv6Addr>,
    /// Its network namespace.
    pub netns: OwnedFd,
}

/// Up to this many hosts on a LAN everybody knows everybody's Ethernet address; above, only the first one's, and that one
/// everybody's.
const PIN_ALL_UP_TO: usize = 64;
/// The ends of a cable need different numbers: the kernel else takes its time (a second) over their carrier.
pub(super) const FIRST_PORT_INDEX: u32 = 2000;
const FIRST_HOST_INDEX: u32 = 4000;

/// One host on paper.
#[derive(Clone, Debug)]
pub struct HostPlan {
    /// Index of its LAN.
    pub lan: usize,
    /// Its interface.
    pub link: End,
    /// The switch's port towards it.
    pub port: End,
    /// Its IPv4 address.
    pub ipv4: Ipv4Addr,
    /// Its IPv6 address, where the LAN has IPv6.
    pub ipv6: Option<Ipv6Addr>,
}

impl HostPlan {
    /// The host of this number, from 1, on the LAN of this index.
    pub(super) fn new(number: u16, lan: usize, ipv6: bool) -> HostPlan {
        let index = u32::from(number);
        let [high, low] = number.to_be_bytes();
        HostPlan {
            lan,
            link: End { name: format!("h{number}"), index: FIRST_HOST_INDEX + index, mac: mac(0, number) },
            port: End { name: format!("p{number}"), index: FIRST_PORT_INDEX + index, mac: mac(1, number) },
            ipv4: Ipv4Addr::new(10, FIRST_NET + lan as u8, high, low),
            ipv6: ipv6.then(|| Ipv6Addr::new(0xfd77, lan as u16, 0, 0, 0, 0, 0, number)),
        }
    }

    /// Pins this host's addresses at another host, on its interface `index`.
    pub fn pin_requests(&self, index: u32) -> impl Iterator<Item = Request> {
        let addresses = [Some(IpAddr::V4(self.ipv4)), self.ipv6.map(IpAddr::V6)];
        addresses.into_iter().flatten().map(move |address| request::pin_neighbour(index, address, self.link.mac))
    }
}

impl Plan {
    /// Makes a host's cable: one end a port of the switch, the other in the host's namespace.
    #[must_use]
    pub fn cable_request(&self, host: usize, netns: BorrowedFd<'_>) -> Request {
        let plan = &self.hosts[host];
        request::new_cable(&plan.port, &plan.link, netns, self.bridges[plan.lan].index, PORT_GROUP)
    }

    /// What is done inside a host's namespace once its interface is there: links up, addresses, queue, routes to all
    /// groups, to the limited broadcast address and, where there is a router, to everywhere else; neighbours.
    #[must_use]
    pub fn host_requests(&self, host: usize) -> Vec<Request> {
        let plan = &self.hosts[host];
        let index = plan.link.index;
        let mut requests = vec![
            request::up(request::LOOPBACK),
            request::up(index),
            request::new_address(index, plan.ipv4.into(), PREFIX_V4, Some(broadcast_of(plan.lan))),
            request::new_fifo(index, FIFO_PACKETS),
            request::new_link_route(index, Ipv4Addr::new(224, 0, 0, 0), 4),
            request::new_link_route(index, Ipv4Addr::BROADCAST, 32),
        ];
        requests.extend(plan.ipv6.map(|address| request::new_address(index, address.into(), PREFIX_V6, None)));
        requests.extend(self.neighbours_of(host).flat_map(|neighbour| neighbour.pin_requests(index)));
        if let Some(router) = self.router.get(plan.lan) {
            requests.extend(router.addresses().map(|address| request::pin_neighbour(index, address, router.link.mac)));
            requests.extend(router.addresses().map(|address| request::new_default_route(index, address)));
        }
        requests
    }

    fn neighbours_of(&self, host: usize) -> impl Iterator<Item = &HostPlan> {
        let lan = self.hosts[host].lan;
        let first: usize = self.spec.lans[..lan].iter().sum();
        let on_lan = &self.hosts[first..first + self.spec.lans[lan]];
        let all = host == first || on_lan.len() <= PIN_ALL_UP_TO;
        let known = if all { on_lan } else { &on_lan[..1] };
        (first..).zip(known).filter(move |(other, _)| *other != host).map(|(_, plan)| plan)
    }
}

#[cfg(test)]
mod tests {
    use super::super::spec::{LanSpec, SwitchKind};
    use super::*;
    use crate::error::Result;

    fn plan(hosts: usize, switch: SwitchKind) -> Plan {
        Plan::new(&LanSpec::single(hosts, switch, true)).unwrap()
    }

    fn lans(lans: &[usize], switch: SwitchKind) -> Result<Plan> {
        Plan::new(&LanSpec { lans: lans.to_vec(), ..LanSpec::single(0, switch, true) })
    }

    #[test]
    fn addresses_follow_the_number() {
        let plan = plan(300, SwitchKind::Snooping);
        let host = &plan.hosts[299];
        assert_eq!(host.ipv4, Ipv4Addr::new(10, 77, 1, 44));
        assert_eq!(host.ipv6, Some("fd77::12c".parse().unwrap()));
        assert_eq!(host.link.mac, [0x02, 0x4e, 0x4c, 0x00, 0x01, 0x2c]);
        assert_eq!((host.link.name.as_str(), host.port.name.as_str()), ("h300", "p300"));
    }

    #[test]
    fn neighbours_are_pinned_in_proportion() {
        let pins = |plan: &Plan, host| plan.neighbours_of(host).count();
        let small = plan(PIN_ALL_UP_TO, SwitchKind::Snooping);
        assert_eq!((pins(&small, 0), pins(&small, 5)), (63, 63));
        let large = plan(200, SwitchKind::Snooping);
        assert_eq!((pins(&large, 0), pins(&large, 5)), (199, 1));
    }

    #[test]
    fn hosts_are_numbered_through_and_know_their_own_lan_alone() {
        let plan = lans(&[2, 3, 1], SwitchKind::Snooping).unwrap();
        let hosts: Vec<_> = plan.hosts.iter().map(|host| (host.lan, host.ipv4.to_string())).collect();
        let on = |lan, address: &str| (lan, address.to_owned());
        let expected = [on(0, "10.77.0.1"), on(0, "10.77.0.2"), on(1, "10.78.0.3"), on(1, "10.78.0.4")];
        assert_eq!((&hosts[..4], hosts.len(), &hosts[5]), (&expected[..], 6, &on(2, "10.79.0.6")));
        assert_eq!(plan.hosts[3].ipv6, Some("fd77:1::4".parse().unwrap()));
        let known = |host| plan.neighbours_of(host).map(|other| other.link.name.as_str()).collect::<Vec<_>>();
        assert_eq!((known(0), known(3), known(5)), (vec!["h2"], vec!["h3", "h5"], vec![]));
        let routers: Vec<_> = plan.router.iter().map(|link| link.ipv4.to_string()).collect();
        assert_eq!(routers, ["10.77.255.254", "10.78.255.254", "10.79.255.254"]);
        assert_eq!(plan.router[1].ipv6, Some("fd77:1::fffe".parse().unwrap()));
    }

    #[test]
    fn a_host_leaves_its_lan_by_the_router_where_there_is_one() {
        let plan = lans(&[2, 2], SwitchKind::Snooping).unwrap();
        for (host, router) in [(0, "10.77.255.254"), (3, "10.78.255.254")] {
            let requests = plan.host_requests(host);
            let (index, lan) = (plan.hosts[host].link.index, plan.hosts[host].lan);
            let router: IpAddr = router.parse().unwrap();
            assert!(requests.contains(&request::new_default_route(index, router)));
            assert!(requests.contains(&request::pin_neighbour(index, router, plan.router[lan].link.mac)));
        }
        let alone = lans(&[2], SwitchKind::Snooping).unwrap();
        assert!(alone.router.is_empty());
        assert!(!alone.host_requests(0).contains(&request::new_default_route(4001, plan.router[0].ipv4.into())));
    }
}
