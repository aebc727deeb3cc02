//! One point of a measurement's design: everything that is the same in all its trials. Pure data.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::Range;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::design::Case;
use super::presence::Presence;
use crate::chat::options::Relay;
use crate::delivery::BroadcastAddress;
use crate::lan::{LanSpec, Nic};
use crate::results::factor::Factor;
use crate::results::row::ConditionRow;
use crate::results::setting::Setting;
use crate::units::{Mode, Rate, Role};

/// The usual group of multicast messages: administratively scoped (RFC 2365).
pub const GROUP_V4: Ipv4Addr = Ipv4Addr::new(239, 1, 1, 1);
/// The same in IPv6: transient, link-local scope (RFC 4291 section 2.7).
pub const GROUP_V6: Ipv6Addr = Ipv6Addr::new(0xff12, 0, 0, 0, 0, 0, 0x4e4c, 1);

/// One point of the design.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Condition {
    /// The name in CSV files, different from all others of the plan: `multicast-4`.
    pub name: String,
    /// The lab's name for the case it belongs to; empty without one.
    pub case: String,
    /// Conditions with the same number differ in nothing but the mode; counted from 0.
    pub setting: usize,
    /// How messages are delivered.
    pub mode: Mode,
    /// Where.
    pub network: LanSpec,
    /// Who does what, in the order of the hosts; the first is the sender alone.
    pub groups: Vec<HostGroup>,
    /// What is sent.
    pub traffic: Traffic,
    /// What others send meanwhile.
    pub flow: Option<Flow>,
    /// Who asks for members where the switch does not.
    pub querier: Option<Querier>,
    /// What the server is like, in the modes that have one.
    pub server: ServerPlan,
    /// Whether loss is what is looked for, so that it does not speak against a trial; nor does a sender that a server
    /// holds up.
    pub loss_expected: bool,
    /// Who does the receive work; plain where hosts have work of their own, which threads would disturb.
    pub attribution: Attribution,
}

/// Hosts that do the same.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HostGroup {
    /// What a lab calls them; empty without a name.
    pub name: String,
    /// What they are to the measured messages.
    pub role: Role,
    /// How many.
    pub count: usize,
    /// On which LAN, counted from 1.
    pub lan: usize,
    /// Receivers: how long their program is busy with each message.
    pub busy: Duration,
    /// Receivers, in modes with members: when they join, from the start of the window; `None`: before it.
    pub joins_at: Option<Duration>,
    /// Receivers, likewise: when they leave; `None`: after the window.
    pub leaves_at: Option<Duration>,
    /// Receivers that leave: when they are back; `None`: not within the window.
    pub returns_at: Option<Duration>,
    /// Bystanders: another group they are members of; in pubsub, the topic of that name.
    pub member_of: Option<IpAddr>,
    /// Bystanders: whether they do a fixed kind of work all the while, on one CPU that also does their receive work.
    pub works: bool,
    /// Bits a second their links carry towards them; `None`: as fast as they can.
    pub link_limit: Option<u64>,
}

impl HostGroup {
    /// `count` hosts on the first LAN that do nothing special.
    pub fn new(role: Role, count: usize) -> HostGroup {
        HostGroup {
            name: String::new(),
            role,
            count,
            lan: 1,
            busy: Duration::ZERO,
            joins_at: None,
            leaves_at: None,
            returns_at: None,
            member_of: None,
            works: false,
            link_limit: None,
        }
    }
}

/// What is sent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Traffic {
    /// Due times a second, and so messages a second where a burst is of one.
    pub rate: Rate,
    /// Messages that leave at each due time.
    pub burst: u32,
    /// UDP (or frame) payload in bytes.
    pub size: usize,
    /// Length of the send window.
    pub duration: Duration,
    /// Hop limit of multicast messages.
    pub ttl: u8,
    /// The group of multicast messages.
    pub group: IpAddr,
    /// Whether receivers join for this sender alone (RFC 4607).
    pub source_specific: bool,
    /// Where broadcast messages go.
    pub broadcast_address: BroadcastAddress,
}

impl Traffic {
    /// Messages a second asked for; `None` for `max`.
    pub fn messages_per_second(&self) -> Option<f64> {
        self.rate.per_second().map(|due_times| due_times * f64::from(self.burst))
    }
}

/// Who does the receive work of the virtual links.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Attribution {
    /// A thread for each end, so that the CPU time of each host and of the switch can be told.
    #[default]
    Threads,
    /// Whoever is on the CPU, as plain veth has it: only the machine as a whole tells what it costs.
    Plain,
}

impl Attribution {
    /// Both.
    pub const ALL: [Attribution; 2] = [Attribution::Threads, Attribution::Plain];

    /// The spelling on the command line and in files.
    pub fn as_str(self) -> &'static str {
        match self {
            Attribution::Threads => "threads",
            Attribution::Plain => "plain",
        }
    }
}

impl fmt::Display for Attribution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Attribution {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let all = Attribution::ALL;
        let found = all.into_iter().find(|one| one.as_str() == text);
        found
            .ok_or_else(|| format!("unknown attribution '{text}'; write {}", all.map(Attribution::as_str).join(" or ")))
    }
}

/// Datagrams beside the measured messages, sent by the first host of one group of hosts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Flow {
    /// The group of hosts whose first one sends.
    pub from: String,
    /// The group of hosts whose first one receives, by unicast; `None`: they go to the measured messages' own group.
    pub to: Option<String>,
    /// Datagrams a second.
    pub rate: Rate,
    /// UDP payload in bytes.
    pub size: usize,
}

/// What a server is like.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerPlan {
    /// How the chat server passes messages on.
    pub relay: Relay,
    /// MQTT quality of service: 0 (at most once) or 1 (at least once).
    pub qos: u8,
    /// Whether the broker retains the last message for those who subscribe later.
    pub retain: bool,
    /// When the server dies without a word, from the start of the window; `None`: it doesn't.
    pub dies_at: Option<Duration>,
}

/// A querier outside the switch: the router.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Querier {
    /// Time between its general queries.
    pub interval: Duration,
    /// When it stops, from the start of the window; `None`: it doesn't.
    pub stops_at: Option<Duration>,
}

impl Condition {
    /// Hosts on all LANs, without the router.
    pub fn hosts(&self) -> usize {
        self.groups.iter().map(|group| group.count).sum()
    }

    /// Hosts with this role.
    pub fn count(&self, role: Role) -> usize {
        self.groups.iter().filter(|group| self.played(group.role) == role).map(|group| group.count).sum()
    }

    /// What hosts of this role are in this mode: without a server the one that would be it wants nothing.
    pub fn played(&self, role: Role) -> Role {
        if role == Role::Server && !self.mode.has_server() { Role::Bystander } else { role }
    }

    /// The host that is the server; `None` in modes without one.
    pub fn server_host(&self) -> Option<usize> {
        self.with_role(Role::Server).next()
    }

    /// The MQTT topic of the messages to a group.
    pub fn topic_of(group: IpAddr) -> String {
        format!("netlab/{group}")
    }

    /// The group of host number `index`, counted from 0.
    pub fn group_of(&self, index: usize) -> Option<&HostGroup> {
        let mut end = 0;
        self.groups.iter().find(|group| {
            end += group.count;
            index < end
        })
    }

    /// What host number `index` does. The one after the last is the router, where there is one.
    pub fn role(&self, index: usize) -> Role {
        let beyond = if self.network.has_router() { Role::Router } else { Role::Bystander };
        self.group_of(index).map_or(beyond, |group| self.played(group.role))
    }

    /// The numbers of the hosts with a role, in order.
    pub fn with_role(&self, role: Role) -> impl Iterator<Item = usize> {
        (0..self.hosts()).filter(move |&index| self.role(index) == role)
    }

    /// The numbers of the hosts in the group of this name; empty for one that does not exist.
    pub fn hosts_of(&self, name: &str) -> Range<usize> {
        let at = self.groups.iter().position(|group| group.name == name);
        at.map_or(0..0, |at| {
            let start = self.groups[..at].iter().map(|group| group.count).sum();
            start..start + self.groups[at].count
        })
    }

    /// When a receiver is a member of the measured group, or in session with the server; all the time where there is
    /// nothing to join.
    pub fn presence(&self, host: usize) -> Presence {
        let group = self.group_of(host).filter(|_| self.mode.has_members());
        let presence = |group: &HostGroup| Presence {
            joins_at: group.joins_at,
            leaves_at: group.leaves_at,
            returns_at: group.returns_at,
        };
        group.map(presence).unwrap_or_default()
    }

    /// The receivers that want every message.
    pub fn receivers_of_all(&self) -> impl Iterator<Item = usize> {
        self.with_role(Role::Receiver).filter(|&host| self.presence(host).is_whole())
    }

    /// The host that sends the flow, and the one that receives it by unicast; `None` without a flow.
    pub fn flow_hosts(&self) -> Option<(usize, Option<usize>)> {
        let flow = self.flow.as_ref()?;
        let first = |name: &String| self.hosts_of(name).next();
        Some((first(&flow.from)?, flow.to.as_ref().and_then(first)))
    }

    /// Who is to be a member of which group when the window opens. The measured group is among them even if nobody is.
    pub fn memberships(&self) -> BTreeMap<IpAddr, BTreeSet<usize>> {
        let mut members = BTreeMap::from([(self.traffic.group, BTreeSet::new())]);
        if is_always_flooded(self.traffic.group) {
            members.clear();
        }
        for host in 0..self.hosts() {
            let group = match self.role(host) {
                Role::Receiver if self.mode == Mode::Multicast => {
                    self.presence(host).joins_at.is_none().then_some(self.traffic.group)
                }
                Role::Bystander if !self.mode.has_server() => self.group_of(host).and_then(|group| group.member_of),
                _ => None,
            };
            group
                .filter(|group| !is_always_flooded(*group))
                .map(|group| members.entry(group).or_default().insert(host));
        }
        members
    }

    /// What it has in common with those that differ in nothing but the mode.
    pub fn setting(&self, trials: u32, modes: Vec<Mode>) -> Setting {
        let mut network = self.network_in_words();
        // What is as usual goes without saying.
        let usual = Case { ipv6: self.network.ipv6, ..Case::default() };
        let beside = [Factor::Burst, Factor::Attribution];
        let of_modes = Factor::ALL.into_iter().filter(|f| !f.matters_to_all() || beside.contains(f));
        for factor in of_modes.filter(|factor| modes.iter().any(|mode| factor.matters_to(*mode))) {
            let value = factor.of(self);
            if !factor.values(&usual).contains(&value) {
                network += &format!(" · {}", factor.in_words(&[value], &[]));
            }
        }
        Setting {
            case: self.case.clone(),
            hosts: self.hosts(),
            receivers: self.count(Role::Receiver),
            rate: self.traffic.messages_per_second().map_or(Rate::Max, Rate::PerSecond),
            size_bytes: self.traffic.size,
            trials,
            switch: network,
            modes,
        }
    }

    /// Its row of `conditions.csv`; `label` is its setting in words.
    pub fn row(&self, label: &str, trials: u32) -> ConditionRow {
        let told = |factor: Factor| factor.matters_to(self.mode).then(|| factor.of(self));
        let word = |factor| told(factor).map_or_else(String::new, |value| value.to_string());
        let number = |factor| told(factor).and_then(|value| value.number());
        let whole = |factor| number(factor).map(|number| number as u32);
        ConditionRow {
            condition: self.name.clone(),
            mode: self.mode,
            setting: self.setting as u32 + 1,
            label: label.to_owned(),
            case: self.case.clone(),
            hosts: self.hosts() as u64,
            receivers: self.count(Role::Receiver) as u64,
            bystanders: self.count(Role::Bystander) as u64,
            switch: word(Factor::Switch),
            nic: word(Factor::Nic),
            lans: self.network.lans.len() as u64,
            ipv6: self.network.ipv6,
            offered_rate: self.traffic.messages_per_second(),
            size_bytes: self.traffic.size as u64,
            duration_s: self.traffic.duration.as_secs_f64(),
            trials,
            ttl: whole(Factor::Ttl),
            group_address: word(Factor::Group),
            relay: word(Factor::Relay),
            qos: whole(Factor::Qos),
            distance_s: self.network.distance.as_secs_f64(),
            igmp: word(Factor::Igmp),
            broadcast_address: word(Factor::BroadcastAddress),
            burst: self.traffic.burst,
            attribution: word(Factor::Attribution),
        }
    }

    /// The network as the tables' headings name it.
    fn network_in_words(&self) -> String {
        let LanSpec { switch, nic, ipv6, .. } = self.network;
        let mut words = switch.in_words(ipv6).to_owned();
        if nic == Nic::Filter {
            words += ", cards that filter by MAC";
        }
        match self.network.lans.len() {
            1 => {}
            lans => words += &format!(", {lans} LANs and a router"),
        }
        if !self.network.distance.is_zero() {
            let distance = humantime::format_duration(self.network.distance);
            words += &format!(" {distance} away");
        }
        words
    }
}

/// Whether a switch brings a group to everybody, whoever joins it: hosts need not report it (RFC 4541 sections 2.1.2 and 3).
fn is_always_flooded(group: IpAddr) -> bool {
    match group {
        IpAddr::V4(group) => group.octets()[..3] == [224, 0, 0],
        IpAddr::V6(group) => group == Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1),
    }
}

#[cfg(test)]
mod tests {
    use super::super::design::{Case, Design};
    use super::*;

    const OTHER: IpAddr = IpAddr::V4(Ipv4Addr::new(239, 129, 1, 1));

    fn conditions(modes: Vec<Mode>) -> Vec<Condition> {
        let group = |name: &str, role, count| HostGroup { name: name.to_owned(), ..HostGroup::new(role, count) };
        let at = |ms| Some(Duration::from_millis(ms));
        let groups = vec![
            group("", Role::Sender, 1),
            group("steady", Role::Receiver, 2),
            HostGroup { joins_at: at(200), leaves_at: at(700), ..group("guest", Role::Receiver, 1) },
            HostGroup { leaves_at: at(700), ..group("leaver", Role::Receiver, 1) },
            HostGroup { member_of: Some(OTHER), ..group("other", Role::Bystander, 2) },
            group("plain", Role::Bystander, 1),
        ];
        let flow = Flow { from: "other".into(), to: Some("plain".into()), rate: Rate::Max, size: 64 };
        let duration = Duration::from_secs(1);
        let case = Case { modes, groups, flow: Some(flow), duration, ..Case::default() };
        Design { cases: vec![case], trials: 1, seed: 1, try_rates: Vec::new() }.plan().unwrap().conditions
    }

    #[test]
    fn members_are_who_has_joined_when_the_window_opens() {
        let conditions = conditions(vec![Mode::Unicast, Mode::Multicast]);
        let (unicast, multicast) = (&conditions[0], &conditions[1]);
        let others = BTreeSet::from([5, 6]);
        let measured = multicast.traffic.group;
        let expected = BTreeMap::from([(measured, BTreeSet::from([1, 2, 4])), (OTHER, others.clone())]);
        assert_eq!(multicast.memberships(), expected);
        assert_eq!(unicast.memberships(), BTreeMap::from([(measured, BTreeSet::new()), (OTHER, others)]));
    }

    #[test]
    fn who_comes_or_goes_does_not_want_all() {
        let conditions = conditions(vec![Mode::Unicast, Mode::Multicast]);
        let of_all = |index: usize| conditions[index].receivers_of_all().collect::<Vec<_>>();
        assert_eq!(of_all(0), [1, 2, 3, 4], "there is nothing to join");
        assert_eq!(of_all(1), [1, 2]);
    }

    #[test]
    fn a_flow_is_between_the_first_of_each() {
        let [mut condition] = <[Condition; 1]>::try_from(conditions(vec![Mode::Multicast])).unwrap();
        assert_eq!(condition.flow_hosts(), Some((5, Some(7))));
        condition.flow.as_mut().unwrap().to = None;
        assert_eq!(condition.flow_hosts(), Some((5, None)));
        condition.flow = None;
        assert_eq!(condition.flow_hosts(), None);
    }
}
