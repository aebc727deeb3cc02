//! The switches on paper: bridges with their options, and what is said to their ports.

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use netlink_packet_route::link::{BridgeStpState, InfoBridge, InfoBridgePort};

use super::plan::{PREFIX_V6, Plan};
use super::request::{self, End, Request};
use super::spec::{Igmp, LinkLimit, SwitchKind};

/// The longest delay of an answer to the switch's queries: its query response interval.
pub(super) const MAX_RESPONSE: Duration = Duration::from_millis(100);

impl Plan {
    /// Makes the bridges and sets them up.
    #[must_use]
    pub fn switch_requests(&self) -> Vec<Request> {
        // Programs at the switch talk to each other, too.
        let bridges = self.bridges.iter().flat_map(|bridge| self.bridge_requests(bridge));
        std::iter::once(request::up(request::LOOPBACK)).chain(bridges).collect()
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
}

/// A bridge's unit of time, rounded down.
fn centiseconds(interval: Duration) -> u64 {
    (interval.as_millis() / 10) as u64
}

#[cfg(test)]
mod tests {
    use super::super::host::FIRST_PORT_INDEX;
    use super::super::plan::FIRST_BRIDGE_INDEX;
    use super::super::spec::LanSpec;
    use super::*;

    fn plan(hosts: usize, switch: SwitchKind) -> Plan {
        Plan::new(&LanSpec::single(hosts, switch, true)).unwrap()
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
}
