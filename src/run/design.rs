//! From factors to conditions: a command line and a lab file both end up here. Pure.

use std::net::IpAddr;
use std::time::Duration;

use super::check::check_burst;
use super::condition::{Attribution, Condition, Flow, GROUP_V4, GROUP_V6, HostGroup, Querier, ServerPlan, Traffic};
use super::naming;
use super::plan::MeasurePlan;
use super::refused::{Refused, refuse};
use crate::chat::options::Relay;
use crate::delivery::BroadcastAddress;
use crate::lan::plan::MAX_HOSTS;
use crate::lan::{Igmp, LanSpec, LinkLimit, Nic, SwitchKind};
use crate::results::factor::Factor;
use crate::units::{Mode, Rate, Role};

/// More conditions than this nobody wants to wait for.
const MOST_CONDITIONS: usize = 1000;
/// Nor for more repetitions.
const MOST_TRIALS: u32 = 10_000;

/// Repetitions of each condition unless told otherwise: many short ones.
///
/// What the variance of a cost is made of, on a virtual machine of 2 CPUs at 500 messages/s: within a trial of 150
/// messages the mean is good to some 2 %; from trial to trial it varies by 9 to 13 % (where the scheduler puts the threads
/// that share a CPU, what the caches still hold), and every tenth trial falls into a time in which the whole machine is
/// slow, by 30 to 100 % (which a yardstick beside each trial tells). Longer trials average none of that, more of them do:
/// twelve of 0.4 s in the time of five of 1.2 s halve the interval, since Student's t for eleven degrees of freedom is
/// 2.2 and for four 2.8.
pub const USUAL_TRIALS: u32 = 12;

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
    /// Messages that leave at each due time; `rate` then counts those.
    pub burst: Vec<u32>,
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
    /// Broadcast addresses.
    pub broadcast_address: Vec<BroadcastAddress>,
    /// How the chat server passes messages on.
    pub relay: Vec<Relay>,
    /// MQTT qualities of service.
    pub qos: Vec<u8>,
    /// See [`ServerPlan::retain`].
    pub retain: bool,
    /// See [`ServerPlan::dies_at`].
    pub server_dies_at: Option<Duration>,
    /// One-way delays that the router between LANs adds.
    pub distance: Vec<Duration>,
    /// Who does the receive work.
    pub attribution: Vec<Attribution>,
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
            burst: vec![1],
            size: vec![64],
            ttl: vec![1],
            group: Vec::new(),
            igmp: vec![Igmp::default()],
            duration: Duration::from_millis(400),
            ipv6: false,
            source_specific: false,
            flow: None,
            querier: None,
            broadcast_address: vec![BroadcastAddress::Limited],
            relay: vec![Relay::default()],
            qos: vec![0],
            retain: false,
            server_dies_at: None,
            distance: vec![Duration::ZERO],
            attribution: vec![Attribution::Threads],
            loss_expected: false,
        }
    }
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
        naming::number_settings(&mut conditions);
        naming::name(&mut conditions);
        if let Some(twice) = naming::first_duplicate(&conditions) {
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
        let modes = self.measured_modes();
        if modes.is_empty() {
            return refuse("modes", "", "nothing is left to measure, since IPv6 has no broadcast");
        }
        for factor in Factor::ALL {
            // Who the hosts are is checked where they are counted.
            if !matches!(factor, Factor::Hosts | Factor::Receivers) && factor.values(self).is_empty() {
                return refuse(factor.about().key, "", "name at least one value");
            }
        }
        // Before they are made, lest they fill the memory.
        let lengths = Factor::ALL.into_iter().map(|factor| factor.values(self).len().max(1));
        if lengths.fold(1, usize::saturating_mul) > MOST_CONDITIONS {
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
        let mut conditions = Vec::new();
        for groups in self.casts(&modes)? {
            conditions.push(self.first_condition(groups)?);
        }
        // The mode last, so that those that differ in nothing else are neighbours.
        let others = Factor::ALL.into_iter().filter(|factor| *factor != Factor::Mode);
        let all = others.chain([Factor::Mode]).fold(conditions, |conditions, factor| factor.vary(self, conditions));
        all.iter().try_for_each(check_burst)?;
        Ok(all)
    }

    /// The modes that there are, in the order of the tables.
    pub(super) fn measured_modes(&self) -> Vec<Mode> {
        let mut modes = sorted(&self.modes);
        modes.retain(|&mode| !self.ipv6 || mode != Mode::Broadcast);
        modes
    }

    /// The groups, the usual one where none is named.
    pub(super) fn multicast_groups(&self) -> Vec<IpAddr> {
        let usual = if self.ipv6 { IpAddr::V6(GROUP_V6) } else { IpAddr::V4(GROUP_V4) };
        if self.group.is_empty() { vec![usual] } else { self.group.clone() }
    }

    /// Who does the receive work. Where hosts have work of their own, threads would disturb it.
    pub(super) fn attributions(&self) -> Vec<Attribution> {
        let works = self.groups.iter().any(|group| group.works);
        if works { vec![Attribution::Plain] } else { self.attribution.clone() }
    }

    /// The condition of these hosts with the first value of every factor.
    fn first_condition(&self, groups: Vec<HostGroup>) -> Result<Condition, Refused> {
        Ok(Condition {
            name: String::new(),
            case: self.name.clone(),
            setting: 0,
            mode: self.modes[0],
            network: self.network(&groups)?,
            traffic: Traffic {
                rate: self.rate[0],
                burst: self.burst[0],
                size: self.size[0],
                duration: self.duration,
                ttl: self.ttl[0],
                group: self.multicast_groups()[0],
                source_specific: self.source_specific,
                broadcast_address: self.broadcast_address[0],
            },
            flow: self.flow.clone(),
            querier: self.querier.clone(),
            server: ServerPlan {
                relay: self.relay[0],
                qos: self.qos[0],
                retain: self.retain,
                dies_at: self.server_dies_at,
            },
            loss_expected: self.loss_expected,
            attribution: self.attribution[0],
            groups,
        })
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

    /// The network of these hosts, with the first value of every factor.
    fn network(&self, groups: &[HostGroup]) -> Result<LanSpec, Refused> {
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
            switch: self.switch[0],
            nic: self.nic[0],
            ipv6: self.ipv6,
            router,
            igmp: self.igmp[0],
            limit,
            own_cpu,
            distance: self.distance[0],
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

    #[test]
    fn a_server_is_one_of_the_hosts() {
        let case =
            Case { modes: vec![Mode::Unicast, Mode::Chat], hosts: vec![8], receivers: vec![3], ..Case::default() };
        let conditions = design(case).plan().unwrap().conditions;
        let [unicast, chat] = &conditions[..] else { panic!("two conditions") };
        assert_eq!((unicast.setting, chat.setting), (0, 0), "they differ in the mode alone");
        let counts =
            |c: &Condition| [Role::Sender, Role::Receiver, Role::Bystander, Role::Server].map(|role| c.count(role));
        assert_eq!(counts(unicast), [1, 3, 4, 0]);
        assert_eq!(counts(chat), [1, 3, 3, 1]);
        assert_eq!((unicast.server_host(), chat.server_host()), (None, Some(7)));
    }

    #[test]
    fn impossible_servers_are_refused() {
        let group = |role, count| HostGroup::new(role, count);
        let (sender, receiver) = (group(Role::Sender, 1), group(Role::Receiver, 2));
        let server = group(Role::Server, 1);
        let far = HostGroup { lan: 2, ..server.clone() };
        let of = |modes: &[Mode], groups: &[&HostGroup]| Case {
            modes: modes.to_vec(),
            groups: groups.iter().map(|&group| group.clone()).collect(),
            ..Case::default()
        };
        let chat = [Mode::Chat];
        let away = |leaves: u64, returns: u64| {
            let at = |ms| Some(Duration::from_millis(ms));
            HostGroup { leaves_at: at(leaves), returns_at: at(returns), ..receiver.clone() }
        };
        let server_dies_at = Some(Duration::from_secs(9));
        let distant = |case: Case| Case { distance: vec![Duration::from_millis(5)], ..case };
        for (says, case) in [
            (
                "receivers 7: with 8 hosts there can be at most 6",
                Case { modes: chat.to_vec(), hosts: vec![8], receivers: vec![7], ..Case::default() },
            ),
            (
                "size 63: a chat message is a line of text, 64 to 4000",
                Case { size: vec![63], ..of(&chat, &[&sender, &receiver, &server]) },
            ),
            ("groups: chat and pubsub need", of(&chat, &[&sender, &receiver])),
            ("groups: there is one server", of(&chat, &[&sender, &receiver, &group(Role::Server, 2)])),
            ("groups: of these modes none has a server", of(&[Mode::Unicast], &[&sender, &receiver, &server])),
            ("groups: who returns has left before", of(&chat, &[&sender, &away(300, 200), &server])),
            ("qos 2: is measured as 0", Case { qos: vec![0, 2], ..of(&chat, &[&sender, &receiver, &server]) }),
            ("server_dies_at: it dies within", Case { server_dies_at, ..of(&chat, &[&sender, &receiver, &server]) }),
            ("distance: is between LANs", distant(of(&chat, &[&sender, &receiver, &server]))),
            ("distance: is measured in IPv4", Case { ipv6: true, ..distant(of(&chat, &[&sender, &receiver, &far])) }),
        ] {
            let refused = design(case).plan().unwrap_err();
            assert!(refused.to_string().starts_with(says), "{refused}");
        }
        let far_receiver = HostGroup { lan: 2, ..receiver };
        let refused = design(distant(of(&[Mode::Multicast], &[&sender, &far_receiver]))).plan().unwrap_err();
        assert!(refused.to_string().starts_with("distance: is not crossed by groups"), "{refused}");
    }
}
