//! From factors to conditions: a command line and a lab file both end up here. Pure.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use super::condition::{Condition, Flow, GROUP_V4, GROUP_V6, HostGroup, Querier, ServerPlan, Traffic};
use super::plan::MeasurePlan;
use crate::delivery::stream::Language;
use crate::lan::plan::MAX_HOSTS;
use crate::lan::{Igmp, LanSpec, LinkLimit, Nic, SwitchKind};
use crate::units::{Mode, Rate, Role};
use crate::wire::probe;

/// Largest payload of a raw frame on the LAN's links (their MTU), in bytes.
const LARGEST_RAW: usize = 1500;
/// Largest payload of an IPv4 UDP datagram, in bytes (RFC 791, RFC 768).
const LARGEST_DATAGRAM: usize = 65_507;
/// More conditions than this nobody wants to wait for.
const MOST_CONDITIONS: usize = 1000;
/// Nor for more repetitions.
const MOST_TRIALS: u32 = 10_000;
/// As the router has it.
const FARTHEST: Duration = Duration::from_secs(10);
/// Nor for longer ones.
const LONGEST: Duration = Duration::from_secs(3600);

/// Repetitions of each condition unless told otherwise.
pub const USUAL_TRIALS: u32 = 5;

/// Numbers of receivers unless told otherwise: few hosts want it, then most of them do, where that leaves bystanders;
/// half of the others on a smaller LAN.
pub fn usual_receivers(hosts: usize) -> Vec<usize> {
    let others = hosts.saturating_sub(1);
    let mut receivers: Vec<_> = [4, 16].into_iter().filter(|&receivers| receivers < others).collect();
    if receivers.is_empty() {
        receivers.push((others / 2).max(1));
    }
    receivers
}

/// What is to be measured, in factors.
#[derive(Clone, Debug, PartialEq)]
pub struct Design {
    /// Each with all combinations of its factors.
    pub cases: Vec<Case>,
    /// Repetitions of each condition.
    pub trials: u32,
    /// Orders the trials.
    pub seed: u64,
    /// Rates to try, the highest first, until one is found that every condition sustains without loss; none: the rates
    /// are the cases' own.
    pub try_rates: Vec<f64>,
}

/// Factors; every list is one, and all combinations are measured.
#[derive(Clone, Debug, PartialEq)]
pub struct Case {
    /// What a lab calls it; empty where there is only one.
    pub name: String,
    /// Modes.
    pub modes: Vec<Mode>,
    /// Hosts on the LAN.
    pub hosts: Vec<usize>,
    /// Of them, receivers.
    pub receivers: Vec<usize>,
    /// Who does what, instead of `hosts` and `receivers`.
    pub groups: Vec<HostGroup>,
    /// Kinds of switch.
    pub switch: Vec<SwitchKind>,
    /// Kinds of network card.
    pub nic: Vec<Nic>,
    /// Messages a second.
    pub rate: Vec<Rate>,
    /// Payloads in bytes.
    pub size: Vec<usize>,
    /// Hop limits of multicast.
    pub ttl: Vec<u8>,
    /// Groups of multicast, one at a time; none: the usual one.
    pub group: Vec<IpAddr>,
    /// How membership is kept.
    pub igmp: Vec<Igmp>,
    /// Length of the send window.
    pub duration: Duration,
    /// IPv6 instead of IPv4.
    pub ipv6: bool,
    /// See [`Traffic::source_specific`].
    pub source_specific: bool,
    /// See [`Condition::flow`].
    pub flow: Option<Flow>,
    /// See [`Condition::querier`].
    pub querier: Option<Querier>,
    /// See [`Condition::server`].
    pub server: ServerPlan,
    /// One-way delays that the router between LANs adds.
    pub distance: Vec<Duration>,
    /// See [`Condition::loss_expected`].
    pub loss_expected: bool,
}

impl Default for Case {
    fn default() -> Self {
        Case {
            name: String::new(),
            modes: Mode::OF_THE_NETWORK.to_vec(),
            hosts: vec![21],
            receivers: vec![4],
            groups: Vec::new(),
            switch: vec![SwitchKind::Snooping],
            nic: vec![Nic::Promiscuous],
            rate: vec![Rate::PerSecond(2000.0)],
            size: vec![64],
            ttl: vec![1],
            group: Vec::new(),
            igmp: vec![Igmp::default()],
            duration: Duration::from_millis(1200),
            ipv6: false,
            source_specific: false,
            flow: None,
            querier: None,
            server: ServerPlan::default(),
            distance: vec![Duration::ZERO],
            loss_expected: false,
        }
    }
}

/// Why a design cannot be measured. Prints as `FACTOR VALUE: why, and what would be right`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The factor, as [`Case`] and [`Design`] name it; on the command line the flag of that name.
    pub factor: &'static str,
    /// The value in question; empty where there is none.
    pub value: String,
    /// What is wrong with it and what would be right.
    pub why: String,
    /// The case it was found in, counted from 0; `None` for the design as a whole.
    pub case: Option<usize>,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let space = if self.value.is_empty() { "" } else { " " };
        write!(f, "{}{space}{}: {}", self.factor, self.value, self.why)
    }
}

fn refuse<T>(factor: &'static str, value: impl fmt::Display, why: impl Into<String>) -> Result<T, Refused> {
    Err(Refused { factor, value: value.to_string(), why: why.into(), case: None })
}

fn too_many<T>() -> Result<T, Refused> {
    let why = format!("all combinations are more than {MOST_CONDITIONS} conditions; leave some out");
    refuse("modes", "", why)
}

impl Design {
    /// All conditions, in the order of the tables, with a name each.
    ///
    /// IPv6 has no broadcast, so it is left out there; [`Design::leaves_out_broadcast`] tells before.
    ///
    /// # Errors
    /// The factor that cannot be, and why.
    pub fn plan(&self) -> Result<MeasurePlan, Refused> {
        if self.trials == 0 {
            return refuse("trials", 0, "measures nothing; ask for at least 1 (3 or more for an interval)");
        }
        if self.trials > MOST_TRIALS {
            return refuse("trials", self.trials, format!("{MOST_TRIALS} are the most"));
        }
        let mut conditions = Vec::new();
        for (index, case) in self.cases.iter().enumerate() {
            let of_case = case.conditions().map_err(|refused| Refused { case: Some(index), ..refused })?;
            conditions.extend(of_case);
            if conditions.len() > MOST_CONDITIONS {
                return too_many();
            }
        }
        number_settings(&mut conditions);
        name(&mut conditions);
        if let Some(twice) = first_duplicate(&conditions) {
            return refuse("case", twice, "is the name of two different cases; give each its own");
        }
        Ok(MeasurePlan { conditions, trials: self.trials, seed: self.seed, try_rates: self.try_rates.clone() })
    }

    /// Whether broadcast is asked for where it does not exist.
    pub fn leaves_out_broadcast(&self) -> bool {
        self.cases.iter().any(|case| case.ipv6 && case.modes.contains(&Mode::Broadcast))
    }
}

impl Case {
    fn conditions(&self) -> Result<Vec<Condition>, Refused> {
        let mut modes = sorted(&self.modes);
        if self.ipv6 {
            modes.retain(|&mode| mode != Mode::Broadcast);
        }
        if modes.is_empty() {
            return refuse("modes", "", "nothing is left to measure, since IPv6 has no broadcast");
        }
        for (factor, empty) in [
            ("switch", self.switch.is_empty()),
            ("nic", self.nic.is_empty()),
            ("rate", self.rate.is_empty()),
            ("size", self.size.is_empty()),
            ("ttl", self.ttl.is_empty()),
            ("igmp", self.igmp.is_empty()),
            ("distance", self.distance.is_empty()),
        ] {
            if empty {
                return refuse(factor, "", "name at least one value");
            }
        }
        // Before they are made, lest they fill the memory.
        let lists = [self.hosts.len(), self.receivers.len(), self.switch.len(), self.nic.len(), self.rate.len()];
        let lists = lists.into_iter().chain([
            self.size.len(),
            self.ttl.len(),
            self.igmp.len(),
            self.group.len(),
            self.distance.len(),
        ]);
        let combinations = lists.fold(modes.len(), |product, length| product.saturating_mul(length.max(1)));
        if combinations > MOST_CONDITIONS {
            return too_many();
        }
        self.check_sizes(&modes)?;
        if self.ipv6 && modes.contains(&Mode::Multicast) && self.groups.iter().any(|group| group.lan > 1) {
            return refuse(
                "ipv6",
                "true",
                "groups are forwarded between LANs in IPv4 only; stay on one LAN, or use IPv4",
            );
        }
        self.check_traffic()?;
        let usual = if self.ipv6 { IpAddr::V6(GROUP_V6) } else { IpAddr::V4(GROUP_V4) };
        let multicast_groups = if self.group.is_empty() { vec![usual] } else { self.group.clone() };
        let mut conditions = Vec::new();
        for groups in self.casts(&modes)? {
            for network in self.networks(&groups)? {
                for &rate in &self.rate {
                    for &size in &self.size {
                        for &ttl in &self.ttl {
                            for &group in &multicast_groups {
                                let source_specific = self.source_specific;
                                let traffic =
                                    Traffic { rate, size, duration: self.duration, ttl, group, source_specific };
                                let of_modes = modes.iter().map(|&mode| Condition {
                                    name: String::new(),
                                    case: self.name.clone(),
                                    setting: 0,
                                    mode,
                                    network: network.clone(),
                                    groups: groups.clone(),
                                    traffic: traffic.clone(),
                                    flow: self.flow.clone(),
                                    querier: self.querier.clone(),
                                    server: self.server.clone(),
                                    loss_expected: self.loss_expected,
                                    attributed: !groups.iter().any(|group| group.works),
                                });
                                conditions.extend(of_modes);
                            }
                        }
                    }
                }
            }
        }
        Ok(conditions)
    }

    /// The networks of these hosts, one for each combination of what a network can be.
    fn networks(&self, groups: &[HostGroup]) -> Result<Vec<LanSpec>, Refused> {
        let mut networks = Vec::new();
        for &switch in &self.switch {
            for &nic in &self.nic {
                for igmp in &self.igmp {
                    for &distance in &self.distance {
                        networks.push(LanSpec { distance, ..self.network(groups, switch, nic, igmp)? });
                    }
                }
            }
        }
        Ok(networks)
    }

    /// Who does what: as said, or by the numbers of hosts and receivers.
    fn casts(&self, modes: &[Mode]) -> Result<Vec<Vec<HostGroup>>, Refused> {
        let with_server = modes.iter().any(|mode| mode.has_server());
        if !self.groups.is_empty() {
            self.check_groups(with_server)?;
            return Ok(vec![self.groups.clone()]);
        }
        let mut casts = Vec::new();
        if self.hosts.is_empty() {
            return refuse("hosts", "", "name at least one number of hosts, such as 21");
        }
        if self.receivers.is_empty() {
            return refuse("receivers", "", "name at least one number of receivers, such as 4");
        }
        for hosts in sorted(&self.hosts) {
            if !(2..=MAX_HOSTS).contains(&hosts) {
                let why = format!("a LAN has 2 to {MAX_HOSTS} hosts (a Linux bridge has {MAX_HOSTS} ports)");
                return refuse("hosts", hosts, why);
            }
            for receivers in sorted(&self.receivers) {
                if receivers == 0 || receivers >= hosts {
                    let most = hosts - 1;
                    let why = format!("with {hosts} hosts there can be 1 to {most} receivers, since one host sends");
                    return refuse("receivers", receivers, why);
                }
                let servers = usize::from(with_server);
                let Some(bystanders) = (hosts - 1 - receivers).checked_sub(servers) else {
                    let most = hosts - 2;
                    let why = format!(
                        "with {hosts} hosts there can be at most {most} receivers by chat or pubsub, since one host sends \
                         and one is the server"
                    );
                    return refuse("receivers", receivers, why);
                };
                let cast = [
                    (Role::Sender, 1),
                    (Role::Receiver, receivers),
                    (Role::Bystander, bystanders),
                    (Role::Server, servers),
                ];
                let cast = cast.into_iter().filter(|(_, count)| *count > 0);
                casts.push(cast.map(|(role, count)| HostGroup::new(role, count)).collect());
            }
        }
        Ok(casts)
    }

    fn check_groups(&self, with_server: bool) -> Result<(), Refused> {
        let first = &self.groups[0];
        if first.role != Role::Sender || first.count != 1 || first.lan != 1 {
            return refuse("groups", &first.name, "the first is the one sender, on LAN 1");
        }
        let mut names: Vec<&str> = Vec::new();
        for (index, group) in self.groups.iter().enumerate() {
            let refuse = |why: &str| refuse("groups", &group.name, why);
            match group.role {
                Role::Sender if index > 0 => return refuse("there is one sender; what others send is a flow"),
                Role::Switch | Role::Router => return refuse("a host is a sender, receiver, bystander or server"),
                _ => {}
            }
            if group.count == 0 {
                return refuse("a group has at least 1 host");
            }
            let last = if index == 0 { 1 } else { self.groups[index - 1].lan };
            if group.lan < last || group.lan > last + 1 {
                return refuse("groups go LAN by LAN, counted from 1, with none left out");
            }
            let is = |role| group.role == role;
            if !group.busy.is_zero() && !is(Role::Receiver) {
                return refuse("receivers alone are busy with messages");
            }
            let moves = [group.joins_at, group.leaves_at, group.returns_at];
            if moves.iter().any(Option::is_some) && !is(Role::Receiver) {
                return refuse("receivers alone join and leave");
            }
            if group.returns_at.is_some() && group.returns_at <= group.leaves_at.or(group.returns_at) {
                return refuse("who returns has left before: set leaves_at to a time before returns_at");
            }
            if (group.works || group.member_of.is_some()) && !is(Role::Bystander) {
                return refuse("bystanders alone work or are members of another group");
            }
            if group.member_of.is_some_and(|address| !address.is_multicast() || address.is_ipv6() != self.ipv6) {
                return refuse("member_of is a group address of the IP version measured");
            }
            if moves.into_iter().flatten().any(|time| time >= self.duration) {
                return refuse("joining and leaving happen within the duration");
            }
            if group.joins_at.zip(group.leaves_at).is_some_and(|(joins, leaves)| joins >= leaves) {
                return refuse("leaving comes after joining");
            }
            if group.link_limit == Some(0) {
                return refuse("a link carries more than 0 bits a second");
            }
            if !group.name.is_empty() && names.contains(&group.name.as_str()) {
                return refuse("is the name of two groups; give each its own");
            }
            names.push(&group.name);
        }
        if !self.groups.iter().any(|group| group.role == Role::Receiver) {
            return refuse("groups", "", "at least one group has the role receiver");
        }
        let servers = self.groups.iter().filter(|group| group.role == Role::Server).map(|group| group.count).sum();
        match (with_server, servers) {
            (true, 1) | (false, 0) => {}
            (true, 0) => return refuse("groups", "", "chat and pubsub need a group of one host with the role server"),
            (true, _) => return refuse("groups", "", "there is one server; make that group's count 1"),
            (false, _) => return refuse("groups", "", "of these modes none has a server; leave that group out"),
        }
        let hosts: usize = self.groups.iter().map(|group| group.count).sum();
        if hosts > MAX_HOSTS {
            return refuse(
                "groups",
                "",
                format!("{hosts} hosts are more than the {MAX_HOSTS} ports of a Linux bridge"),
            );
        }
        Ok(())
    }

    fn check_sizes(&self, modes: &[Mode]) -> Result<(), Refused> {
        for &size in &self.size {
            if size < probe::HEADER_LEN {
                let why = format!("a measured message needs at least {} bytes for its probe header", probe::HEADER_LEN);
                return refuse("size", size, why);
            }
            if size > LARGEST_DATAGRAM {
                return refuse("size", size, format!("a UDP datagram holds at most {LARGEST_DATAGRAM} bytes"));
            }
            let line = Language::Chat.sizes();
            if modes.contains(&Mode::Chat) && !line.contains(&size) {
                let (least, most) = (line.start, line.end - 1);
                let why =
                    format!("a chat message is a line of text, {least} to {most} bytes; leave chat out of the modes");
                return refuse("size", size, why);
            }
            if modes.contains(&Mode::RawBroadcast) && size > LARGEST_RAW {
                let why = format!(
                    "a raw Ethernet frame holds at most {LARGEST_RAW} bytes; choose a smaller size or leave \
                     raw-broadcast out of the modes"
                );
                return refuse("size", size, why);
            }
        }
        Ok(())
    }

    fn check_traffic(&self) -> Result<(), Refused> {
        if self.duration.is_zero() {
            return refuse("duration", "0s", "leaves no time to measure");
        }
        if self.duration > LONGEST {
            let longest = humantime::format_duration(LONGEST);
            return refuse("duration", humantime::format_duration(self.duration), format!("{longest} is the longest"));
        }
        if self.ttl.contains(&0) {
            return refuse("ttl", 0, "a hop limit is a number from 1 to 255");
        }
        for group in &self.group {
            if !group.is_multicast() {
                return refuse("group", group, "is no group address; those are 224.0.0.0/4 and ff00::/8");
            }
            if group.is_ipv6() != self.ipv6 {
                return refuse("group", group, "is not of the IP version measured; set ipv6 = true for IPv6");
            }
        }
        if let Some(igmp) = self.igmp.iter().find(|igmp| !(2..=3).contains(&igmp.version)) {
            return refuse("igmp", igmp.version, "IGMP is measured in versions 2 and 3");
        }
        if let Some(flow) = &self.flow {
            for name in std::iter::once(&flow.from).chain(&flow.to) {
                match self.groups.iter().find(|group| group.name == *name && !name.is_empty()) {
                    Some(group) if group.role == Role::Bystander => {}
                    Some(_) => return refuse("flow", name, "is between bystanders"),
                    None => return refuse("flow", name, "is the name of no group of hosts"),
                }
            }
            if flow.to.as_ref() == Some(&flow.from) {
                return refuse("flow", &flow.from, "has its first host send to itself; name two groups");
            }
            if flow.size < probe::HEADER_LEN || flow.size > LARGEST_DATAGRAM {
                return refuse(
                    "flow",
                    flow.size,
                    format!("a size is {} to {LARGEST_DATAGRAM} bytes", probe::HEADER_LEN),
                );
            }
        }
        if self.server.qos > 1 {
            return refuse("qos", self.server.qos, "is measured as 0 (at most once) or 1 (at least once)");
        }
        if self.server.dies_at.is_some_and(|dies| dies >= self.duration) {
            return refuse("server_dies_at", "", "it dies within the duration");
        }
        if self.distance.iter().any(|distance| !distance.is_zero()) && self.groups.iter().all(|group| group.lan == 1) {
            return refuse("distance", "", "is between LANs; put groups of hosts on a second one with lan = 2");
        }
        if self.distance.iter().any(|distance| !distance.is_zero()) {
            let refuse = |why: &str| refuse("distance", "", why);
            if self.ipv6 {
                return refuse("is measured in IPv4 only");
            }
            if self.querier.is_some() {
                return refuse("keeps the router from asking for members; leave the querier out");
            }
            let far = |group: &&HostGroup| group.role == Role::Receiver && group.lan > 1;
            if self.modes.contains(&Mode::Multicast) && self.groups.iter().any(|group| far(&group)) {
                return refuse("is not crossed by groups; leave multicast out, or its receivers on LAN 1");
            }
            if self.distance.iter().any(|distance| *distance > FARTHEST) {
                return refuse("is at most 10 s");
            }
        }
        if let Some(querier) = &self.querier {
            if querier.interval.is_zero() {
                return refuse("querier", "0s", "an interval is longer than 0");
            }
            if querier.stops_at.is_some_and(|stops| stops >= self.duration) {
                return refuse("querier", "", "it stops within the duration");
            }
        }
        Ok(())
    }

    fn network(&self, groups: &[HostGroup], switch: SwitchKind, nic: Nic, igmp: &Igmp) -> Result<LanSpec, Refused> {
        let mut lans = vec![0; groups.iter().map(|group| group.lan).max().unwrap_or(1)];
        let mut limit: Option<LinkLimit> = None;
        let mut own_cpu = Vec::new();
        let mut next = 0;
        for group in groups {
            lans[group.lan - 1] += group.count;
            let hosts = next..next + group.count;
            next = hosts.end;
            if group.works {
                own_cpu.extend(hosts.clone());
            }
            if let Some(bits_per_second) = group.link_limit {
                let limit = limit.get_or_insert(LinkLimit { hosts: Vec::new(), bits_per_second });
                if limit.bits_per_second != bits_per_second {
                    return refuse("groups", &group.name, "all limited links have the same limit");
                }
                limit.hosts.extend(hosts);
            }
        }
        if lans[0] < 2 && lans.len() == 1 {
            return refuse("groups", "", "a LAN has at least 2 hosts");
        }
        let router = self.querier.is_some();
        Ok(LanSpec {
            lans,
            switch,
            nic,
            ipv6: self.ipv6,
            router,
            igmp: *igmp,
            limit,
            own_cpu,
            distance: Duration::ZERO,
        })
    }
}

/// In ascending order, each once.
fn sorted<T: Ord + Clone>(values: &[T]) -> Vec<T> {
    let mut values = values.to_vec();
    values.sort();
    values.dedup();
    values
}

/// Numbers the settings in the order in which they first appear.
fn number_settings(conditions: &mut [Condition]) {
    let mut first_of: Vec<usize> = Vec::new();
    for index in 0..conditions.len() {
        let same = |&first: &usize| {
            let (a, b): (&Condition, &Condition) = (&conditions[first], &conditions[index]);
            let same_network = a.network == b.network && a.groups == b.groups && a.traffic == b.traffic;
            same_network && a.case == b.case && a.flow == b.flow && a.querier == b.querier && a.server == b.server
        };
        let setting = first_of.iter().position(same).unwrap_or_else(|| {
            first_of.push(index);
            first_of.len() - 1
        });
        conditions[index].setting = setting;
    }
}

/// Names each condition by its mode, its receivers, and what else varies: `multicast-4`, `unicast-4-hub-filter`.
fn name(conditions: &mut [Condition]) {
    let parts = |condition: &Condition| {
        let Condition { network, traffic, .. } = condition;
        let rate = traffic.rate.per_second().map_or("max".to_owned(), |rate| format!("{rate}ps"));
        [
            network.switch.to_string(),
            network.nic.to_string(),
            format!("{}hosts", condition.hosts()),
            format!("igmp{}", network.igmp.version),
            format!("{}ms", network.igmp.last_member_interval.as_millis()),
            rate,
            format!("{}B", traffic.size),
            format!("ttl{}", traffic.ttl),
            traffic.group.to_string(),
            format!("{}ms-away", network.distance.as_millis()),
        ]
    };
    let all: Vec<_> = conditions.iter().map(|condition| (condition.case.clone(), parts(condition))).collect();
    // A case's name says what all of it has in common.
    let varies = |part: usize| {
        let within = all
            .iter()
            .any(|(case, values)| all.iter().any(|(other, others)| case == other && values[part] != others[part]));
        within || (all[0].0.is_empty() && all.iter().any(|(_, values)| values[part] != all[0].1[part]))
    };
    let varying: Vec<usize> =
        if all.is_empty() { Vec::new() } else { (0..all[0].1.len()).filter(|&p| varies(p)).collect() };
    for (condition, (case, values)) in conditions.iter_mut().zip(&all) {
        let mut name = format!("{}-{}", condition.mode, condition.count(Role::Receiver));
        for part in std::iter::once(case).filter(|case| !case.is_empty()).chain(varying.iter().map(|&p| &values[p])) {
            name += "-";
            name += &part.replace(' ', "-");
        }
        condition.name = name;
    }
}

fn first_duplicate(conditions: &[Condition]) -> Option<String> {
    let mut names: Vec<&str> = conditions.iter().map(|condition| condition.name.as_str()).collect();
    names.sort_unstable();
    names.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0].to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn design(case: Case) -> Design {
        Design { cases: vec![case], trials: 5, seed: 7, try_rates: Vec::new() }
    }

    #[test]
    fn names_say_what_varies() {
        let names = |case| design(case).plan().unwrap().conditions.into_iter().map(|c| c.name).collect::<Vec<_>>();
        let unicast = || Case { modes: vec![Mode::Unicast], ..Case::default() };
        assert_eq!(names(unicast()), ["unicast-4"]);
        let case = Case { receivers: vec![16, 4, 4], modes: vec![Mode::Multicast, Mode::Unicast], ..unicast() };
        assert_eq!(names(case), ["unicast-4", "multicast-4", "unicast-16", "multicast-16"]);
        let switch = vec![SwitchKind::Snooping, SwitchKind::Hub];
        let case = Case { switch, rate: vec![Rate::PerSecond(500.0), Rate::Max], ..unicast() };
        let expected =
            ["unicast-4-snooping-500ps", "unicast-4-snooping-max", "unicast-4-hub-500ps", "unicast-4-hub-max"];
        assert_eq!(names(case), expected);
    }

    #[test]
    fn a_case_name_stands_for_what_the_case_has_in_common() {
        let case = |name: &str, switch| Case {
            name: name.to_owned(),
            modes: vec![Mode::Unicast],
            switch: vec![switch],
            ..Case::default()
        };
        let cases = vec![case("plain", SwitchKind::Snooping), case("old hub", SwitchKind::Hub)];
        let plan = Design { cases, ..design(Case::default()) }.plan().unwrap();
        let names: Vec<_> = plan.conditions.iter().map(|c| (c.name.as_str(), c.setting)).collect();
        assert_eq!(names, [("unicast-4-plain", 0), ("unicast-4-old-hub", 1)]);

        let twice = vec![case("same", SwitchKind::Snooping), case("same", SwitchKind::Snooping)];
        let refused = Design { cases: twice, ..design(Case::default()) }.plan().unwrap_err();
        assert_eq!(refused.factor, "case");
    }

    #[test]
    fn groups_make_the_network() {
        let group =
            |name: &str, role, count, lan| HostGroup { name: name.to_owned(), lan, ..HostGroup::new(role, count) };
        let groups = vec![
            group("", Role::Sender, 1, 1),
            group("near", Role::Receiver, 2, 1),
            group("far", Role::Receiver, 3, 2),
            HostGroup { link_limit: Some(10_000_000), ..group("slow", Role::Bystander, 2, 2) },
        ];
        let plan = design(Case { groups: groups.clone(), ..Case::default() }).plan().unwrap();
        let condition = &plan.conditions[0];
        assert_eq!(condition.network.lans, [3, 5]);
        assert_eq!(condition.network.limit.as_ref().unwrap().hosts, [6, 7]);
        assert_eq!(
            (condition.count(Role::Receiver), condition.hosts_of("far"), condition.role(6)),
            (5, 3..6, Role::Bystander)
        );
        assert_eq!(condition.with_role(Role::Receiver).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);

        let refused = |groups| design(Case { groups, ..Case::default() }).plan().unwrap_err();
        assert!(refused(groups[1..].to_vec()).why.contains("one sender"));
        assert!(refused(vec![groups[0].clone(), groups[3].clone()]).why.contains("receiver"));
        assert!(refused(vec![groups[0].clone(), groups[1].clone(), groups[1].clone()]).why.contains("two groups"));
        let busy = HostGroup { busy: Duration::from_micros(5), ..groups[3].clone() };
        assert!(refused(vec![groups[0].clone(), groups[1].clone(), busy]).why.contains("busy"));
    }

    #[test]
    fn receivers_fit_the_lan() {
        assert_eq!(usual_receivers(21), [4, 16]);
        assert_eq!(usual_receivers(8), [4]);
        assert_eq!(usual_receivers(5), [2]);
        assert_eq!(usual_receivers(3), [1]);
        assert_eq!(usual_receivers(2), [1]);
    }

    #[test]
    fn ipv6_leaves_broadcast_out() {
        let design = design(Case { ipv6: true, ..Case::default() });
        assert!(design.leaves_out_broadcast());
        let plan = design.plan().unwrap();
        assert!(plan.conditions.iter().all(|condition| condition.mode != Mode::Broadcast));
        assert_eq!(plan.conditions[0].traffic.group, IpAddr::V6(GROUP_V6));
    }

    #[test]
    fn impossible_designs_are_refused_by_the_factor() {
        let cases: [(&str, Case); 13] = [
            ("hosts 1:", Case { hosts: vec![1], ..Case::default() }),
            ("hosts 1024:", Case { hosts: vec![1024], ..Case::default() }),
            ("receivers 21:", Case { receivers: vec![4, 21], ..Case::default() }),
            ("receivers 0:", Case { receivers: vec![0], ..Case::default() }),
            ("receivers:", Case { receivers: vec![], ..Case::default() }),
            ("size 31:", Case { size: vec![31], ..Case::default() }),
            ("size 1501:", Case { size: vec![1501], ..Case::default() }),
            ("modes:", Case { modes: vec![Mode::Broadcast], ipv6: true, ..Case::default() }),
            ("ttl 0:", Case { ttl: vec![0], ..Case::default() }),
            ("group 10.0.0.1:", Case { group: vec![[10, 0, 0, 1].into()], ..Case::default() }),
            ("rate:", Case { rate: vec![], ..Case::default() }),
            ("duration 1h 1s:", Case { duration: Duration::from_secs(3601), ..Case::default() }),
            (
                "modes:",
                Case {
                    size: vec![64; 1000],
                    ttl: vec![1; 1000],
                    switch: vec![SwitchKind::Hub; 1000],
                    ..Case::default()
                },
            ),
        ];
        for (begins, case) in cases {
            let refused = design(case).plan().unwrap_err();
            assert!(refused.to_string().starts_with(begins), "{refused}");
            assert_eq!(refused.case, Some(0));
        }
        let refused = Design { trials: 0, ..design(Case::default()) }.plan().unwrap_err();
        assert!(refused.to_string().starts_with("trials 0:"), "{refused}");
        let refused = Design { trials: 10_001, ..design(Case::default()) }.plan().unwrap_err();
        assert!(refused.to_string().starts_with("trials 10001:"), "{refused}");
    }
}
