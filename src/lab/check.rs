//! Whether a plan can bear a claim or a question out at all, before anything is measured. Pure.

use super::claim::{Claim, Figure, Growth, Question, Selector, Test, Tolerance};
use super::comparison;
use crate::lan::Nic;
use crate::results::metric::{METRICS, Metric};
use crate::results::trial::Who;
use crate::run::condition::HostGroup;
use crate::run::{Attribution, Condition, MeasurePlan};
use crate::units::{Mode, Role};

impl Claim {
    /// Whether it can be judged by a run of this plan.
    ///
    /// # Errors
    /// What stands against it, and what would be right.
    pub fn check(&self, plan: &MeasurePlan) -> Result<(), String> {
        let conditions = &plan.conditions;
        let selected = selected(&self.select, plan)?;
        for &index in &selected {
            self.figure.check(&conditions[index])?;
        }
        match &self.test {
            Test::AtMost(bound) | Test::AtLeast(bound) | Test::About(bound, _) => {
                for &index in &selected {
                    bound.of(&conditions[index]).map_err(|why| format!("{}: {why}", conditions[index].name))?;
                }
            }
            Test::GrowsWith(factor, _) | Test::FlatIn(factor, _) => {
                if self.against.is_some() && matches!(self.test, Test::FlatIn(..)) {
                    return Err(
                        "what is flat is a figure, not a comparison: leave out 'against' and 'minus', or ask for \
                                grows_with, at_most, at_least or about"
                            .to_owned(),
                    );
                }
                let series = comparison::series(conditions, &selected, *factor);
                for line in &series.lines {
                    let beside = self.against.iter().map(|against| {
                        let other = |&index| comparison::counterpart(conditions, index, &self.select, &against.select);
                        line.iter().map(other).collect()
                    });
                    for line in [Ok(line.clone())].into_iter().chain(beside) {
                        let line = line?;
                        if !comparison::varies(conditions, &line, *factor) {
                            let name = &conditions[line[0]].name;
                            let why =
                                format!("{name}: {factor} has but one value there, and a line needs at least two");
                            return Err(why);
                        }
                    }
                }
            }
        }
        let not_a_number = match self.test {
            Test::About(_, Tolerance::Relative(off) | Tolerance::Absolute(off))
            | Test::FlatIn(_, Tolerance::Relative(off) | Tolerance::Absolute(off)) => !off.is_finite() || off < 0.0,
            Test::GrowsWith(_, Growth::MoreThan(growth) | Growth::AtMost(growth)) => !growth.is_finite(),
            Test::GrowsWith(_, Growth::About(growth, Tolerance::Relative(off) | Tolerance::Absolute(off))) => {
                !growth.is_finite() || !off.is_finite() || off < 0.0
            }
            Test::AtMost(_) | Test::AtLeast(_) => false,
        };
        if not_a_number {
            return Err("a tolerance is a number from 0 up, and a growth a finite one".to_owned());
        }
        if let Some(against) = &self.against {
            let figure = self.other_figure();
            let unit = |figure: &Figure| Metric::named(&figure.metric).map(|metric| metric.unit);
            if unit(&figure) != unit(&self.figure) {
                let (one, two) = (&self.figure.metric, &figure.metric);
                return Err(format!("'{one}' and '{two}' cannot be compared, as they are in different units"));
            }
            for &index in &selected {
                let other = comparison::counterpart(conditions, index, &self.select, &against.select)?;
                figure.check(&conditions[other])?;
            }
        }
        Ok(())
    }
}

impl Question {
    /// Whether a run of this plan answers it.
    ///
    /// # Errors
    /// What stands against it, and what would be right.
    pub fn check(&self, plan: &MeasurePlan) -> Result<(), String> {
        match selected(&self.select, plan)?[..] {
            [only] => self.figure.check(&plan.conditions[only]),
            [first, second, ..] => {
                let (first, second) = (&plan.conditions[first].name, &plan.conditions[second].name);
                Err(format!("a question is about one condition, and this one about {first} as well as {second}"))
            }
            [] => Ok(()),
        }
    }
}

/// At least one.
fn selected(select: &Selector, plan: &MeasurePlan) -> Result<Vec<usize>, String> {
    let matches = |index: &usize| select.matches(&plan.conditions[*index]);
    let selected: Vec<usize> = (0..plan.conditions.len()).filter(matches).collect();
    if selected.is_empty() { Err("no condition of the design is meant by it".to_owned()) } else { Ok(selected) }
}

impl Figure {
    /// Whether a condition has it.
    fn check(&self, condition: &Condition) -> Result<(), String> {
        let Figure { metric: name, role } = self;
        let Some(who) = Who::named(role) else {
            return Err("a figure is of a role, of a group of hosts, or of all".to_owned());
        };
        let groups: Vec<&HostGroup> = condition
            .groups
            .iter()
            .filter(|group| match who {
                Who::Lan => false,
                Who::Role(role) => condition.played(group.role) == role,
                Who::Group(name) => group.name == name,
            })
            .collect();
        let its_role = match who {
            Who::Lan => None,
            Who::Role(role) => Some(role),
            Who::Group(_) => Some(groups.first().map(|group| condition.played(group.role)).ok_or_else(|| {
                format!("'{role}' is no role, and {} has no group of hosts of that name", condition.name)
            })?),
        };
        let has = |metric: &Metric| its_role.map_or(metric.is_of_lan(), |role| metric.roles.contains(&role));
        let Some(metric) = METRICS.iter().find(|metric| metric.name == *name && has(metric)) else {
            let names: Vec<&str> = METRICS.iter().filter(|metric| has(metric)).map(|metric| metric.name).collect();
            return Err(format!("'{name}' is no metric of {role}; there are {}", names.join(", ")));
        };
        let there = match its_role {
            Some(Role::Receiver | Role::Bystander | Role::Sender | Role::Server) => !groups.is_empty(),
            Some(Role::Router) => condition.network.has_router(),
            Some(Role::Switch) | None => true,
        };
        if !there {
            return Err(format!("{} has no {role}", condition.name));
        }
        lacks(metric, condition, &groups).map_or(Ok(()), |why| Err(format!("{name} in {}: {why}", condition.name)))
    }
}

/// Why these hosts have no such figure there, if they don't.
fn lacks(metric: &Metric, condition: &Condition, groups: &[&HostGroup]) -> Option<&'static str> {
    let has_members = condition.mode.has_members();
    let is_one = |name: &str| matches!(groups, [group] if group.name == name && group.count == 1);
    let flow = condition.flow.as_ref();
    let receives_flow = flow.is_some_and(|flow| match &flow.to {
        Some(to) => is_one(to),
        None => groups.iter().all(|group| group.role == Role::Receiver),
    });
    let (has, why) = match metric.name {
        "work" => (groups.iter().all(|group| group.works), "not all of these hosts work; name a group that does"),
        "flow_sent" => {
            (flow.is_some_and(|flow| is_one(&flow.from)), "name the group of one host that the flow comes from")
        }
        "flow_received" => (receives_flow, "name those the flow goes to: a group of one host, or the receivers"),
        "request_p50" | "handshakes" | "accepts" | "clients" => {
            (condition.mode.has_server(), "only with chat and pubsub is there a server")
        }
        "threads" | "dropped_slow" | "cpu_accept" => {
            (condition.mode == Mode::Chat, "the chat server alone counts that")
        }
        "kernel_latency_p50" | "kernel_latency_p99" => {
            (!condition.mode.has_server(), "a stream has no arrival times of its messages")
        }
        "join_delay" => (
            has_members && groups.iter().all(|group| group.joins_at.is_some()),
            "not all of these hosts join a group meanwhile; name a group that does",
        ),
        "leave_delay" => (
            condition.mode == Mode::Multicast && groups.iter().all(|group| group.leaves_at.is_some()),
            "not all of these hosts leave a group meanwhile; name a group that does",
        ),
        "nic_filtered" => (condition.network.nic == Nic::Filter, "its cards don't filter"),
        "skew_p50" | "skew_p99" => (condition.count(Role::Receiver) > 1, "it takes two receivers"),
        "cpu_kernel_rx" | "cpu_total" | "cpu_share" | "cpu_load" => (
            condition.attribution == Attribution::Threads,
            "on plain veth the kernel's CPU time is not told apart; there is cpu_app",
        ),
        _ => (true, ""),
    };
    (!has).then_some(why)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::lab::Bound;
    use crate::lab::claim::{Against, Comparison, Expect};
    use crate::results::factor::Factor;
    use crate::run::condition::Flow;
    use crate::run::{Case, Design};
    use crate::units::Rate;

    fn ratio_to(select: Selector) -> Option<Against> {
        Some(Against { select, by: Comparison::Ratio, metric: None })
    }

    fn plan(case: Case) -> MeasurePlan {
        Design { cases: vec![case], trials: 3, seed: 1, try_rates: Vec::new() }.plan().unwrap()
    }

    fn simple() -> MeasurePlan {
        let rate = vec![Rate::Max, Rate::PerSecond(500.0)];
        plan(Case { modes: vec![Mode::Unicast, Mode::Multicast], receivers: vec![4, 20], rate, ..Case::default() })
    }

    fn group(name: &str, role: Role, count: usize) -> HostGroup {
        HostGroup { name: name.to_owned(), ..HostGroup::new(role, count) }
    }

    /// A group of each kind.
    fn with_groups(mode: Mode, works: bool) -> MeasurePlan {
        let groups = vec![
            group("", Role::Sender, 1),
            group("stay", Role::Receiver, 2),
            HostGroup {
                joins_at: Some(Duration::from_millis(100)),
                leaves_at: Some(Duration::from_millis(500)),
                ..group("come and go", Role::Receiver, 2)
            },
            HostGroup { works, ..group("works", Role::Bystander, 1) },
            group("from", Role::Bystander, 1),
            group("to", Role::Bystander, 2),
        ];
        let rate = Rate::PerSecond(100.0);
        let flow = Some(Flow { from: "from".to_owned(), to: Some("to".to_owned()), rate, size: 64 });
        plan(Case { modes: vec![mode], groups, flow, duration: Duration::from_secs(1), ..Case::default() })
    }

    fn figure(metric: &str, role: &str) -> Figure {
        Figure { metric: metric.to_owned(), role: role.to_owned() }
    }

    fn claim(metric: &str, role: &str, test: Test) -> Claim {
        Claim {
            statement: String::new(),
            says: String::new(),
            figure: figure(metric, role),
            select: modes(&[Mode::Unicast]).and(Factor::Receivers, [4usize]),
            against: None,
            test,
            expect: Expect::Holds,
        }
    }

    fn modes(modes: &[Mode]) -> Selector {
        Selector::default().and(Factor::Mode, modes.to_vec())
    }

    fn at_most(bound: &str) -> Test {
        Test::AtMost(Bound::parse(bound).unwrap())
    }

    #[test]
    fn what_can_be_judged() {
        let plain = claim("cpu_total", "bystander", at_most("1"));
        assert_eq!(plain.check(&simple()), Ok(()));
        let against = ratio_to(Selector::default().and(Factor::Mode, [Mode::Multicast]));
        assert_eq!(Claim { against, ..plain.clone() }.check(&simple()), Ok(()));
        let select = Selector::default().and(Factor::Rate, [Rate::Max]);
        let grows = claim("cpu_total", "sender", Test::GrowsWith(Factor::Receivers, Growth::MoreThan(0.0)));
        assert_eq!(Claim { select, ..grows }.check(&simple()), Ok(()));
        for role in ["all", "switch", "receiver"] {
            let metric = if role == "all" { "link_frames" } else { "cpu_total" };
            assert_eq!(claim(metric, role, at_most("hosts")).check(&simple()), Ok(()), "{role}");
        }
    }

    #[test]
    fn what_cannot_be_judged_is_told_with_the_reason() {
        let flat = |off| Test::FlatIn(Factor::Receivers, off);
        let plain = || claim("cpu_total", "bystander", at_most("1"));
        let open = |claim: Claim| Claim { select: Selector::default(), ..claim };
        let unicast = || ratio_to(Selector::default().and(Factor::Mode, [Mode::Unicast]));
        for (claim, reason) in [
            (claim("cpu", "bystander", at_most("1")), "'cpu' is no metric of bystander; there are link_tx_frames, "),
            (claim("rate", "receiver", at_most("1")), "'rate' is no metric of receiver; there are "),
            (claim("cpu_total", "all", at_most("1")), "'cpu_total' is no metric of all; there are link_frames"),
            (claim("link_frames", "sender", at_most("1")), "'link_frames' is no metric of sender"),
            (claim("cpu_total", "", at_most("1")), "a figure is of a role, of a group of hosts, or of all"),
            (claim("cpu_total", "near", at_most("1")), "'near' is no role, and unicast-4-max has no group"),
            (claim("cpu_total", "router", at_most("1")), "unicast-4-max has no router"),
            (open(plain()), "unicast-20-max has no bystander"),
            (claim("cpu_total", "sender", at_most("rate")), "unicast-4-max: the rate is max there"),
            (claim("cpu_total", "sender", at_most("1/(receivers-4)")), "unicast-4-max: the bound divides by 0"),
            (
                claim("cpu_total", "sender", flat(Tolerance::Relative(0.1))),
                "unicast-4-max: receivers has but one value",
            ),
            (open(claim("cpu_total", "sender", flat(Tolerance::Relative(-0.1)))), "a tolerance is a number"),
            (open(claim("cpu_total", "sender", flat(Tolerance::Absolute(f64::NAN)))), "a tolerance is a number"),
            (
                Claim { against: unicast(), ..open(claim("cpu_total", "sender", flat(Tolerance::Relative(0.1)))) },
                "what is flat is a figure, not a comparison",
            ),
            (
                Claim { against: ratio_to(Selector::default().and(Factor::Ttl, [9u8])), ..plain() },
                "unicast-4-max has no condition to be compared with",
            ),
            (
                Claim {
                    against: ratio_to(
                        Selector::default().and(Factor::Receivers, [4usize]).and(Factor::Mode, [Mode::Multicast]),
                    ),
                    ..open(claim("cpu_total", "sender", Test::GrowsWith(Factor::Receivers, Growth::AtMost(1.0))))
                },
                "multicast-4-max: receivers has but one value there",
            ),
            (
                Claim { select: Selector::default().and(Factor::Ttl, [9u8]), ..plain() },
                "no condition of the design is meant by it",
            ),
        ] {
            let why = claim.check(&simple()).unwrap_err();
            assert!(why.starts_with(reason), "{why}\nand not\n{reason}");
        }
        // The counterpart lacks the figure.
        let against = ratio_to(Selector::default().and(Factor::Receivers, [20usize]));
        let why = Claim { against, ..plain() }.check(&simple()).unwrap_err();
        assert_eq!(why, "unicast-20-max has no bystander");
    }

    #[test]
    fn figures_that_only_some_hosts_have() {
        let works = with_groups(Mode::Multicast, true);
        let check = |plan: &MeasurePlan, metric, role| figure(metric, role).check(&plan.conditions[0]);
        for (metric, good, bad) in [
            ("work", "works", "bystander"),
            ("join_delay", "come and go", "receiver"),
            ("leave_delay", "come and go", "stay"),
            ("flow_sent", "from", "bystander"),
            ("cpu_app", "works", "switch hub"),
            ("messages_lost", "stay", "works"),
        ] {
            assert_eq!(check(&works, metric, good), Ok(()), "{metric}");
            assert!(check(&works, metric, bad).is_err(), "{metric} of {bad}");
        }
        // Two hosts, of which the first alone receives the flow.
        assert!(check(&works, "flow_received", "to").unwrap_err().contains("a group of one host, or the receivers"));
        let mut to_all = works.clone();
        to_all.conditions[0].flow.as_mut().unwrap().to = None;
        assert_eq!(check(&to_all, "flow_received", "receiver"), Ok(()));
        assert!(check(&to_all, "flow_received", "bystander").is_err());

        assert!(check(&works, "cpu_total", "sender").unwrap_err().contains("not told apart"));
        assert_eq!(check(&with_groups(Mode::Multicast, false), "cpu_total", "sender"), Ok(()));
        assert!(check(&with_groups(Mode::Broadcast, false), "join_delay", "come and go").is_err());
        assert!(check(&works, "nic_filtered", "stay").unwrap_err().contains("its cards don't filter"));
    }

    #[test]
    fn a_question_is_about_one_condition() {
        let question = |select| Question { ask: String::new(), figure: figure("cpu_total", "receiver"), select };
        let one = modes(&[Mode::Unicast]).and(Factor::Receivers, [4usize]).and(Factor::Rate, [Rate::Max]);
        assert_eq!(question(one.clone()).check(&simple()), Ok(()));
        let several = question(one.clone().and(Factor::Rate, [Rate::Max; 0])).check(&simple()).unwrap_err();
        assert!(several.contains("unicast-4-max as well as unicast-4-500ps"), "{several}");
        assert!(question(one.and(Factor::Size, [9usize])).check(&simple()).is_err());
    }
}
