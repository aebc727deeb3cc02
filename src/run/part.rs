//! What each host is told to do in a condition.

use std::net::{IpAddr, SocketAddr};

use super::bench::Bench;
use super::condition::{Condition, HostGroup, Querier};
use super::protocol::{Forward, Part};
use super::serve::{Serve, Service};
use crate::delivery::receiver::ReceivePlan;
use crate::delivery::stream::{Language, StreamSpec, Topic};
use crate::delivery::{InletSpec, Listen, OutletSpec, Target};
use crate::pubsub::broker;
use crate::router::{ForwarderPlan, QuerierPlan};
use crate::units::{Mode, Role};
use crate::wire::chat;
use crate::wire::igmp::Version;
use crate::wire::probe::DEFAULT_PORT;

/// How many messages of a trial keep their latency one by one, for the skew between receivers.
pub const TRACE: usize = 4096;
/// Where a flow between two hosts arrives.
const FLOW_PORT: u16 = DEFAULT_PORT + 1;
/// Where nothing arrives: the port of a membership alone, so that the kernel drops what is sent to its group.
const MEMBER_PORT: u16 = DEFAULT_PORT + 2;

impl Bench {
    /// The part of a host in a condition.
    pub fn part(&self, condition: &Condition, host: usize) -> Part {
        let role = match condition.role(host) {
            Role::Sender if condition.mode.has_server() => self.in_session(condition, host),
            Role::Sender => Part { outlet: self.outlet(condition), ..Part::default() },
            Role::Server => Part { serve: self.serve(condition), ..Part::default() },
            Role::Receiver if condition.mode.has_server() => self.in_session(condition, host),
            Role::Receiver => self.receiver(condition, host),
            Role::Bystander => self.bystander(condition, host),
            Role::Router => Part { forward: self.forward(condition), ..Part::default() },
            Role::Switch => Part::default(),
        };
        Part { cpus: self.cpus_of(host), ..role }
    }

    /// The CPUs a host's program is to keep to: its own, or those that are nobody's own. None where nothing is steered.
    fn cpus_of(&self, host: usize) -> Vec<usize> {
        let Ok(steering) = self.lan.steering() else { return Vec::new() };
        steering.cpu_of(host).map_or_else(|| steering.others().to_vec(), |own| vec![own])
    }

    /// What the router does: forward between several LANs, ask where the switch does not; or forward over a distance.
    fn forward(&self, condition: &Condition) -> Option<Forward> {
        let igmp = &condition.network.igmp;
        let mut querier = QuerierPlan { last_member_interval: igmp.last_member_interval, ..QuerierPlan::quiet() };
        if igmp.version == 2 {
            querier.version = Version::V2;
        }
        if let Some(Querier { interval, .. }) = condition.querier {
            querier.query_interval = interval;
        }
        let plan = ForwarderPlan { interfaces: self.lan.router()?.interfaces(), querier };
        let distance = condition.network.distance;
        Some(Forward { plan, distance, stops_asking: condition.querier.as_ref().and_then(|querier| querier.stops_at) })
    }

    /// What the server serves.
    fn serve(&self, condition: &Condition) -> Option<Serve> {
        let service = match condition.mode {
            Mode::Chat => Service::Chat(condition.server.relay),
            Mode::Pubsub => Service::Broker,
            Mode::Unicast | Mode::Broadcast | Mode::RawBroadcast | Mode::Multicast => return None,
        };
        Some(Serve { listen: self.server_address(condition)?, service, dies_at: condition.server.dies_at })
    }

    /// A sender's or receiver's session with the server.
    fn in_session(&self, condition: &Condition, host: usize) -> Part {
        let group = condition.group_of(host);
        let busy = group.map(|group| group.busy).unwrap_or_default();
        let returns = group.is_some_and(|group| group.returns_at.is_some());
        let subscribes = condition.role(host) != Role::Sender;
        let language = match condition.mode {
            Mode::Chat => Language::Chat,
            _ => Language::Mqtt(Topic {
                name: Condition::topic_of(condition.traffic.group),
                subscribes,
                qos: condition.server.qos,
                retain: condition.server.retain,
                keeps_session: returns && condition.server.qos > 0,
            }),
        };
        let plan = ReceivePlan { trace: if subscribes { TRACE } else { 0 }, busy, ..ReceivePlan::default() };
        let session = self.session(condition, host, language, !busy.is_zero());
        Part { session: session.map(|spec| (spec, plan)), presence: condition.presence(host), ..Part::default() }
    }

    fn session(
        &self,
        condition: &Condition,
        host: usize,
        language: Language,
        small_window: bool,
    ) -> Option<StreamSpec> {
        let name = self.lan.hosts()[host].name.clone();
        Some(StreamSpec { server: self.server_address(condition)?, name, language, small_window })
    }

    fn server_address(&self, condition: &Condition) -> Option<SocketAddr> {
        let port = if condition.mode == Mode::Chat { chat::DEFAULT_PORT } else { broker::DEFAULT_PORT };
        Some(SocketAddr::new(self.address(condition, condition.server_host()?), port))
    }

    fn outlet(&self, condition: &Condition) -> Option<OutletSpec> {
        let port = DEFAULT_PORT;
        let target = match condition.mode {
            Mode::Unicast => {
                let to = |host| SocketAddr::new(self.address(condition, host), port);
                Target::Unicast { to: condition.with_role(Role::Receiver).map(to).collect() }
            }
            Mode::Broadcast => Target::Broadcast { to: condition.traffic.broadcast_address, port },
            Mode::RawBroadcast => Target::RawBroadcast,
            Mode::Multicast => to_group(condition),
            Mode::Chat | Mode::Pubsub => return None,
        };
        Some(OutletSpec { target, interface: self.interface(0), dscp: None })
    }

    fn receiver(&self, condition: &Condition, host: usize) -> Part {
        let (traffic, port) = (&condition.traffic, DEFAULT_PORT);
        let listen = match condition.mode {
            Mode::Unicast => Listen::Unicast { address: Some(self.address(condition, host)), port },
            Mode::Broadcast => Listen::Broadcast { port },
            Mode::RawBroadcast => Listen::RawBroadcast,
            Mode::Multicast => Listen::Multicast {
                groups: vec![traffic.group],
                source: traffic.source_specific.then(|| self.address(condition, 0)),
                port,
            },
            Mode::Chat | Mode::Pubsub => return Part::default(),
        };
        let busy = condition.group_of(host).map(|group| group.busy).unwrap_or_default();
        let plan = ReceivePlan { trace: TRACE, busy, ..ReceivePlan::default() };
        Part {
            inlet: Some((InletSpec { listen, interface: self.interface(host) }, plan)),
            presence: condition.presence(host),
            ..Part::default()
        }
    }

    fn bystander(&self, condition: &Condition, host: usize) -> Part {
        let interface = self.interface(host);
        let mut part = Part::default();
        if let Some(HostGroup { member_of, works, .. }) = condition.group_of(host) {
            part.works = *works && self.lan.steering().is_ok();
            let elsewhere = member_of.filter(|_| condition.mode == Mode::Pubsub).and_then(|group| {
                let topic = Topic {
                    name: Condition::topic_of(group),
                    subscribes: true,
                    qos: condition.server.qos,
                    retain: false,
                    keeps_session: false,
                };
                self.session(condition, host, Language::Mqtt(topic), false)
            });
            part.session = elsewhere.map(|spec| (spec, ReceivePlan::default()));
            part.member_of = member_of.filter(|_| !condition.mode.has_server()).map(|group| {
                let listen = Listen::Multicast { groups: vec![group], source: None, port: MEMBER_PORT };
                InletSpec { listen, interface: interface.clone() }
            });
        }
        let Some((from, to)) = condition.flow_hosts() else { return part };
        if host == from {
            let target = match to {
                Some(to) => Target::Unicast { to: vec![SocketAddr::new(self.address(condition, to), FLOW_PORT)] },
                None => to_group(condition),
            };
            part.outlet = Some(OutletSpec { target, interface: interface.clone(), dscp: None });
        }
        if Some(host) == to {
            let listen = Listen::Unicast { address: Some(self.address(condition, host)), port: FLOW_PORT };
            part.inlet = Some((InletSpec { listen, interface }, ReceivePlan::default()));
        }
        part
    }

    fn interface(&self, host: usize) -> Option<String> {
        Some(self.lan.hosts()[host].name.clone())
    }

    fn address(&self, condition: &Condition, host: usize) -> IpAddr {
        let host = &self.lan.hosts()[host];
        match host.ipv6 {
            Some(v6) if condition.network.ipv6 => IpAddr::V6(v6),
            _ => IpAddr::V4(host.ipv4),
        }
    }
}

fn to_group(condition: &Condition) -> Target {
    let traffic = &condition.traffic;
    Target::Multicast { groups: vec![traffic.group], port: DEFAULT_PORT, ttl: traffic.ttl, loop_back: false }
}
