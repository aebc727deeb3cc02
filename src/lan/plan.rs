//! From a spec to names, addresses, settings and requests: pure.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::BorrowedFd;
use std::time::Duration;

use netlink_packet_route::link::{BridgeStpState, InfoBridge, InfoBridgePort};

use super::request::{self, End, Request};
use super::router::{MAX_LANS, RouterLinkPlan};
use super::spec::{Igmp, LanSpec, LinkLimit, SwitchKind};
use crate::error::{Error, Result};

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

/// Up to this many hosts on a LAN everybody knows everybody's Ethernet address; above, only the first one's, and that one
/// everybody's.
const PIN_ALL_UP_TO: usize = 64;
const FIRST_BRIDGE_INDEX: u32 = 1000;
/// The ends of a cable need different numbers: the kernel else takes its time (a second) over their carrier.
const FIRST_PORT_INDEX: u32 = 2000;
const FIRST_HOST_INDEX: u32 = 4000;

/// A setting under `/proc/sys/net` of one namespace: path and value.
pub type Setting = (&'static str, &'static str);

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

impl Plan {
    /// Draws the plan.
    ///
    /// # Errors
    /// Usage, for fewer than 2 hosts or more than a bridge has ports, a LAN without hosts, too many LANs, and for
    /// times and rates no switch has.
    pub fn new(spec: &LanSpec) -> Result<Plan> {
        check_size(spec)?;
        check_igmp(&spec.igmp, spec.switch)?;
        spec.limit.as_ref().map_or(Ok(()), |limit| check_limit(limit, spec.hosts()))?;
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

    /// Settings of the switch's namespace before the bridge exists. Bridged frames are kept from the packet filter: it
    /// would cost a quarter of the packet rate. A snooping bridge joins 224.0.0.106 itself (RFC 4286) and is to be done
    /// with that soon.
    #[must_use]
    pub fn switch_settings(&self) -> Vec<Setting> {
        let mut settings = vec![
            ("bridge/bridge-nf-call-iptables", "0"),
            ("bridge/bridge-nf-call-ip6tables", "0"),
            ("bridge/bridge-nf-call-arptables", "0"),
        ];
        settings.extend(if self.spec.ipv6 { QUIET_IPV6 } else { NO_IPV6 });
        settings.extend(REPORT_SOON);
        settings.extend(self.igmp_setting());
        settings
    }

    /// Settings of the switch's namespace once the bridge exists: its ports are to have no IPv6 of their own.
    #[must_use]
    pub fn port_settings(&self) -> &'static [Setting] {
        if self.spec.ipv6 { &[("ipv6/conf/default/disable_ipv6", "1")] } else { &[] }
    }

    /// Settings of a host's namespace. Any source address is accepted, more than 20 groups can be joined, and a join
    /// is reported (twice, RFC 3376 section 8.1) within 20 ms, so that no report lands in a measurement.
    #[must_use]
    pub fn host_settings(&self) -> Vec<Setting> {
        let mut settings = vec![
            ("ipv4/conf/all/rp_filter", "0"),
            ("ipv4/conf/default/rp_filter", "0"),
            ("ipv4/igmp_max_memberships", "4096"),
        ];
        settings.extend(if self.spec.ipv6 { QUIET_IPV6 } else { NO_IPV6 });
        settings.extend(REPORT_SOON);
        settings.extend(self.igmp_setting());
        settings
    }

    /// Keeps a namespace to IGMP version 2; version 3 is what it speaks unless it hears otherwise.
    fn igmp_setting(&self) -> Option<Setting> {
        (self.spec.igmp.version == 2).then_some(("ipv4/conf/all/force_igmp_version", "2"))
    }

    /// Makes the bridges and sets them up.
    #[must_use]
    pub fn switch_requests(&self) -> Vec<Request> {
        self.bridges.iter().flat_map(|bridge| self.bridge_requests(bridge)).collect()
    }

    fn bridge_requests(&self, bridge: &End) -> Vec<Request> {
        let index = bridge.index;
        let mut requests = vec![request::new_bridge(bridge, self.bridge_options())];
        if self.spec.ipv6 {
            // A bridge asks for MLD members only when it has a link-local address to ask from.
            let link_local = IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0x4e, 0x4cff, 0xfe00, 0xff));
            requests.push(request::new_address(index, link_local, PREFIX_V6, None));
        }
        requests.push(request::up(index));
        if self.spec.switch == SwitchKind::Snooping {
            // In a request of its own: within one, the querier is switched on before the response interval is set, and
            // the bridge then floods for the default 10 seconds.
            requests.push(request::set_bridge(index, vec![InfoBridge::MulticastQuerier(true)]));
        }
        requests
    }

    fn bridge_options(&self) -> Vec<InfoBridge> {
        let mut options = vec![
            InfoBridge::StpState(BridgeStpState::Disabled),
            InfoBridge::ForwardDelay(0),
            InfoBridge::NfCallIpTables(false),
            InfoBridge::NfCallIp6Tables(false),
            InfoBridge::NfCallArpTables(false),
        ];
        if self.spec.switch.snoops() {
            options.extend(self.snooping_options());
        } else {
            options.push(InfoBridge::MulticastSnooping(false));
        }
        if self.spec.switch == SwitchKind::Hub {
            options.push(InfoBridge::AgeingTime(0));
        }
        options
    }

    fn snooping_options(&self) -> Vec<InfoBridge> {
        const DAY: u64 = 86_400 * 100; // in hundredths of a second, as all of these
        let Igmp { version, last_member_interval, membership_interval } = self.spec.igmp;
        let given = membership_interval.map(centiseconds);
        let believed = given.unwrap_or(3 * DAY);
        let response = centiseconds(MAX_RESPONSE);
        let asks = self.spec.switch == SwitchKind::Snooping;
        let mut options = vec![
            InfoBridge::MulticastSnooping(true),
            InfoBridge::MulticastIgmpVersion(version),
            // The switch floods until the querier's first response interval is over: 0.1 s.
            InfoBridge::MulticastQueryResponseInterval(response),
            // One query when a port comes up and, where members are to stay members, none again within a run.
            InfoBridge::MulticastStartupQueryCount(1),
            InfoBridge::MulticastStartupQueryInterval(DAY),
            InfoBridge::MulticastQueryInterval(given.filter(|_| asks).map_or(DAY, |given| (given - response) / 2)),
            // A port that does not flood keeps a querier's general queries from its host as well, so that nobody
            // answers them: what then ends is the belief in the querier, not that in the members.
            InfoBridge::MulticastMembershipInterval(if self.is_quiet() { 3 * DAY } else { believed }),
            InfoBridge::MulticastQuerierInterval(believed),
            // Who leaves is out after two unanswered queries this far apart.
            InfoBridge::MulticastLastMemberInterval(centiseconds(last_member_interval)),
            InfoBridge::MulticastHashMax(16_384),
        ];
        options.extend(self.spec.ipv6.then_some(InfoBridge::MulticastMldVersion(2)));
        options
    }

    fn is_quiet(&self) -> bool {
        self.spec.switch == SwitchKind::Quiet
    }

    /// Makes a host's cable: one end a port of the switch, the other in the host's namespace.
    #[must_use]
    pub fn cable_request(&self, host: usize, netns: BorrowedFd<'_>) -> Request {
        let plan = &self.hosts[host];
        request::new_cable(&plan.port, &plan.link, netns, self.bridges[plan.lan].index, PORT_GROUP)
    }

    /// Pins the Ethernet address of every host, and of the router, to its port; a hub knows no addresses.
    #[must_use]
    pub fn pin_port_requests(&self) -> Vec<Request> {
        let hosts = self.hosts.iter().map(|host| (&host.port, &host.link));
        let cables = hosts.chain(self.router.iter().map(|router| (&router.port, &router.link)));
        match self.spec.switch {
            SwitchKind::Hub => Vec::new(),
            _ => cables.map(|(port, link)| request::pin_port(port.index, link.mac)).collect(),
        }
    }

    /// What else is said to the ports towards hosts once they exist: not to flood groups, or how fast to send.
    #[must_use]
    pub fn port_requests(&self) -> Vec<Request> {
        let index = |host: usize| self.hosts[host].port.index;
        let quiet = |host| request::set_port(index(host), vec![InfoBridgePort::MulticastFlood(false)]);
        let mut requests: Vec<_> = (0..self.hosts.len()).filter(|_| self.is_quiet()).map(quiet).collect();
        if let Some(LinkLimit { hosts, bits_per_second }) = &self.spec.limit {
            requests.extend(hosts.iter().map(|&host| request::new_rate_limit(index(host), *bits_per_second)));
        }
        requests
    }

    /// What is done inside a host's namespace once its interface is there: links up, addresses, queue, routes to all
    /// groups, to the limited broadcast address and, where there is a router, to everywhere else; neighbours.
    #[must_use]
    pub fn host_requests(&self, host: usize) -> Vec<Request> {
        const LOOPBACK: u32 = 1;
        let plan = &self.hosts[host];
        let index = plan.link.index;
        let mut requests = vec![
            request::up(LOOPBACK),
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

impl HostPlan {
    fn new(number: u16, lan: usize, ipv6: bool) -> HostPlan {
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

/// The directed broadcast address of a LAN.
pub(super) fn broadcast_of(lan: usize) -> Ipv4Addr {
    Ipv4Addr::new(10, FIRST_NET + lan as u8, 255, 255)
}

fn check_size(spec: &LanSpec) -> Result<()> {
    let (hosts, lans) = (spec.hosts(), spec.lans.len());
    if hosts < 2 {
        return Err(Error::usage(format!("{hosts} hosts make no LAN; it takes at least 2")));
    }
    if lans > MAX_LANS {
        return Err(Error::usage(format!("{lans} LANs are too many: the router's interfaces are r1a to r1z")));
    }
    if let Some(empty) = spec.lans.iter().position(|hosts| *hosts == 0) {
        return Err(Error::usage(format!("LAN {} has no hosts", empty + 1)));
    }
    if hosts > MAX_HOSTS {
        let on_all = if lans > 1 { " on all LANs together" } else { "" };
        return Err(Error::usage(format!(
            "{hosts} hosts are too many: a Linux bridge has {MAX_HOSTS} ports, so at most {MAX_HOSTS} hosts{on_all}"
        )));
    }
    if spec.has_router() && spec.lans.contains(&MAX_HOSTS) {
        return Err(Error::usage(format!(
            "{MAX_HOSTS} hosts leave the router no port: a Linux bridge has {MAX_HOSTS}"
        )));
    }
    Ok(())
}

/// The longest delay of an answer to the switch's queries: its query response interval.
pub(super) const MAX_RESPONSE: Duration = Duration::from_millis(100);

fn check_igmp(igmp: &Igmp, switch: SwitchKind) -> Result<()> {
    const LAST_MEMBER: std::ops::RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_millis(12_700);
    // A bridge asks at most once a second: twice, and the time to answer.
    const SHORTEST_ASKED: Duration = Duration::from_millis(2100);
    const SHORTEST: Duration = Duration::from_millis(10);
    if ![2, 3].contains(&igmp.version) {
        return Err(Error::usage(format!("IGMP version {}: it is 2 or 3", igmp.version)));
    }
    if !LAST_MEMBER.contains(&igmp.last_member_interval) {
        let given = igmp.last_member_interval;
        return Err(Error::usage(format!("a last member interval of {given:?}: it is 100ms to 12.7s")));
    }
    let shortest = if switch == SwitchKind::Snooping { SHORTEST_ASKED } else { SHORTEST };
    match igmp.membership_interval {
        Some(given) if given < shortest => Err(Error::usage(format!(
            "a membership interval of {given:?}: on a switch of the kind {switch} it is at least {shortest:?}"
        ))),
        _ => Ok(()),
    }
}

fn check_limit(limit: &LinkLimit, hosts: usize) -> Result<()> {
    const SLOWEST: u64 = 10_000;
    if limit.bits_per_second < SLOWEST {
        let given = limit.bits_per_second;
        return Err(Error::usage(format!("a link of {given} bit/s: the slowest is one of {SLOWEST}")));
    }
    match limit.hosts.iter().find(|host| **host >= hosts) {
        Some(host) => Err(Error::usage(format!("a slower link to host h{}: there are {hosts} hosts", host + 1))),
        None => Ok(()),
    }
}

/// A bridge's unit of time, rounded down.
fn centiseconds(interval: Duration) -> u64 {
    (interval.as_millis() / 10) as u64
}

/// Milliseconds between the reports of a join, in IGMP version 2 and 3.
const REPORT_SOON: [Setting; 2] = [
    ("ipv4/conf/default/igmpv2_unsolicited_report_interval", "10"),
    ("ipv4/conf/default/igmpv3_unsolicited_report_interval", "10"),
];

const NO_IPV6: &[Setting] = &[("ipv6/conf/all/disable_ipv6", "1")];

/// IPv6 without router solicitations and duplicate detection, and with its group reports over in 20 ms.
const QUIET_IPV6: &[Setting] = &[
    ("ipv6/conf/default/accept_dad", "0"),
    ("ipv6/conf/default/accept_ra", "0"),
    ("ipv6/conf/default/router_solicitations", "0"),
    ("ipv6/conf/default/mldv2_unsolicited_report_interval", "10"),
];

/// A locally administered address: 02, "NL", what it is for, and a number.
pub(super) fn mac(kind: u8, number: u16) -> request::Mac {
    let [high, low] = number.to_be_bytes();
    // Hosts have 02:4e:4c:00:hh:ll; ports, the router's links and ports, and bridges differ in the fourth byte.
    [0x02, 0x4e, 0x4c, kind, high, low]
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn plan(hosts: usize, switch: SwitchKind) -> Plan {
        Plan::new(&LanSpec::single(hosts, switch, true)).unwrap()
    }

    #[test]
    fn the_number_of_hosts_is_bounded_and_says_why() {
        let of = |hosts| Plan::new(&LanSpec::single(hosts, SwitchKind::Hub, false));
        assert!(of(2).is_ok() && of(MAX_HOSTS).is_ok());
        for hosts in [0, 1] {
            assert_eq!(of(hosts).unwrap_err().class().code(), 2);
        }
        let error = of(1024).unwrap_err();
        assert!(error.to_string().contains("a Linux bridge has 1023 ports"), "{error}");
        assert_eq!(error.class().code(), 2);
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
    fn addresses_follow_the_number() {
        let plan = plan(300, SwitchKind::Snooping);
        let host = &plan.hosts[299];
        assert_eq!(host.ipv4, Ipv4Addr::new(10, 77, 1, 44));
        assert_eq!(host.ipv6, Some("fd77::12c".parse().unwrap()));
        assert_eq!(host.link.mac, [0x02, 0x4e, 0x4c, 0x00, 0x01, 0x2c]);
        assert_eq!((host.link.name.as_str(), host.port.name.as_str()), ("h300", "p300"));
    }

    #[test]
    fn the_querier_starts_after_its_response_interval_is_set() {
        let requests = plan(2, SwitchKind::Snooping).switch_requests();
        let querier = request::set_bridge(FIRST_BRIDGE_INDEX, vec![InfoBridge::MulticastQuerier(true)]);
        assert_eq!(requests.last(), Some(&querier));
        assert!(
            plan(2, SwitchKind::Snooping).bridge_options().contains(&InfoBridge::MulticastQueryResponseInterval(10))
        );
        assert!(!plan(2, SwitchKind::Flooding).switch_requests().contains(&querier));
    }

    #[test]
    fn a_hub_ages_at_once_and_knows_no_ports() {
        let hub = plan(3, SwitchKind::Hub);
        assert!(hub.bridge_options().contains(&InfoBridge::AgeingTime(0)));
        assert!(hub.pin_port_requests().is_empty());
        assert_eq!(plan(3, SwitchKind::Flooding).pin_port_requests().len(), 3);
    }

    #[test]
    fn only_a_quiet_switch_has_ports_that_keep_groups_back() {
        for switch in SwitchKind::ALL {
            let plan = plan(3, switch);
            let requests = plan.port_requests();
            if switch == SwitchKind::Quiet {
                let first = request::set_port(FIRST_PORT_INDEX + 1, vec![InfoBridgePort::MulticastFlood(false)]);
                assert_eq!((requests.len(), &requests[0]), (3, &first));
            } else {
                assert!(requests.is_empty(), "{switch}");
            }
            let asks = plan.switch_requests().iter().any(|request| {
                *request == request::set_bridge(FIRST_BRIDGE_INDEX, vec![InfoBridge::MulticastQuerier(true)])
            });
            assert_eq!(asks, switch == SwitchKind::Snooping, "{switch}");
            assert_eq!(plan.bridge_options().contains(&InfoBridge::MulticastSnooping(true)), switch.snoops());
        }
    }

    #[test]
    fn membership_timers_are_those_of_the_spec() {
        let options = |switch, membership_interval| {
            let mut spec = LanSpec::single(3, switch, false);
            let last_member_interval = Duration::from_millis(250);
            spec.igmp = Igmp { version: 2, last_member_interval, membership_interval };
            let plan = Plan::new(&spec).unwrap();
            assert!(plan.host_settings().contains(&("ipv4/conf/all/force_igmp_version", "2")));
            plan.bridge_options()
        };
        let three_seconds = Some(Duration::from_secs(3));
        for (switch, interval, expected) in [
            (SwitchKind::Snooping, three_seconds, [300, 300, 145]),
            (SwitchKind::NoQuerier, three_seconds, [300, 300, 8_640_000]),
            (SwitchKind::Quiet, three_seconds, [25_920_000, 300, 8_640_000]),
            (SwitchKind::Snooping, None, [25_920_000, 25_920_000, 8_640_000]),
        ] {
            let options = options(switch, interval);
            let [membership, querier, query] = expected;
            for option in [
                InfoBridge::MulticastIgmpVersion(2),
                InfoBridge::MulticastLastMemberInterval(25),
                InfoBridge::MulticastMembershipInterval(membership),
                InfoBridge::MulticastQuerierInterval(querier),
                InfoBridge::MulticastQueryInterval(query),
            ] {
                assert!(options.contains(&option), "{switch}: no {option:?} in {options:?}");
            }
        }
        assert!(!plan(2, SwitchKind::Hub).host_settings().iter().any(|(name, _)| name.ends_with("force_igmp_version")));
    }

    #[test]
    fn what_no_switch_can_do_is_wrong_usage() {
        let spec = LanSpec::single(3, SwitchKind::Snooping, false);
        let limit = |hosts, bits_per_second| Some(LinkLimit { hosts, bits_per_second });
        let igmp = |version, last_member_ms, membership_ms| Igmp {
            version,
            last_member_interval: Duration::from_millis(last_member_ms),
            membership_interval: Some(Duration::from_millis(membership_ms)),
        };
        for (wrong, named) in [
            (LanSpec { igmp: igmp(1, 100, 3000), ..spec.clone() }, "IGMP version 1"),
            (LanSpec { igmp: igmp(3, 90, 3000), ..spec.clone() }, "90ms"),
            (LanSpec { igmp: igmp(3, 12_800, 3000), ..spec.clone() }, "12.8s"),
            (LanSpec { igmp: igmp(3, 100, 2000), ..spec.clone() }, "at least 2.1s"),
            (LanSpec { limit: limit(vec![0, 3], 1_000_000), ..spec.clone() }, "host h4"),
            (LanSpec { limit: limit(vec![0], 9_999), ..spec.clone() }, "9999 bit/s"),
        ] {
            let error = Plan::new(&wrong).unwrap_err();
            assert!(error.to_string().contains(named), "{error}");
            assert_eq!(error.class().code(), 2);
        }
        let right = LanSpec { igmp: igmp(2, 100, 2100), limit: limit(vec![0, 2], 10_000), ..spec };
        assert_eq!(Plan::new(&right).unwrap().port_requests().len(), 2);
    }

    #[test]
    fn neighbours_are_pinned_in_proportion() {
        let pins = |plan: &Plan, host| plan.neighbours_of(host).count();
        let small = plan(PIN_ALL_UP_TO, SwitchKind::Snooping);
        assert_eq!((pins(&small, 0), pins(&small, 5)), (63, 63));
        let large = plan(200, SwitchKind::Snooping);
        assert_eq!((pins(&large, 0), pins(&large, 5)), (199, 1));
    }

    fn lans(lans: &[usize], switch: SwitchKind) -> Result<Plan> {
        Plan::new(&LanSpec { lans: lans.to_vec(), ..LanSpec::single(0, switch, true) })
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

    #[test]
    fn impossible_lans_are_wrong_usage() {
        let single = LanSpec { router: true, ..LanSpec::single(MAX_HOSTS, SwitchKind::Hub, false) };
        for (refused, why) in [
            (lans(&[1; MAX_LANS + 1], SwitchKind::Hub), "27 LANs are too many"),
            (lans(&[], SwitchKind::Hub), "0 hosts make no LAN"),
            (lans(&[2, 0, 1], SwitchKind::Hub), "LAN 2 has no hosts"),
            (lans(&[1000, 24], SwitchKind::Hub), "at most 1023 hosts on all LANs together"),
            (lans(&[usize::MAX, 1], SwitchKind::Hub), "too many"),
            (Plan::new(&single), "leave the router no port"),
        ] {
            let error = refused.unwrap_err();
            assert_eq!(error.class().code(), 2);
            assert!(error.to_string().contains(why), "{error}");
        }
        assert!(lans(&[1, 1], SwitchKind::Hub).is_ok());
    }

    #[test]
    fn ports_of_a_router_between_lans_get_every_group() {
        assert_eq!(lans(&[1, 1], SwitchKind::Snooping).unwrap().router_port_requests(1).len(), 1);
        let one = LanSpec { router: true, ..LanSpec::single(2, SwitchKind::Snooping, false) };
        let one = Plan::new(&one).unwrap();
        assert_eq!((one.router.len(), one.router_port_requests(0)), (1, vec![]));
        assert!(one.router_settings().contains(&("ipv4/ip_forward", "1")));
    }
}
