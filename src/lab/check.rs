//! Whether a plan can bear a claim or a question out at all, before anything is measured. Pure.

use super::claim::{Claim, Figure, Question, Selector, Test, Tolerance};
use super::comparison;
use crate::lan::Nic;
use crate::results::metric::{METRICS, Metric};
use crate::results::trial::Who;
use crate::run::condition::HostGroup;
use crate::run::{Condition, MeasurePlan};
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
                if self.against.is_some() {
                    return Err("a line goes through figures, not through ratios: leave out 'against', or ask for at \
                                most, at least or about"
                        .to_owned());
                }
                let series = comparison::series(conditions, &selected, *factor);
                if let Some(line) = series.lines.iter().find(|line| !comparison::varies(conditions, line, *factor)) {
                    let name = &conditions[line[0]].name;
                    return Err(format!("{name}: {factor} has but one value there, and a line needs at least two"));
                }
            }
        }
        let not_a_number = match self.test {
            Test::About(_, Tolerance::Relative(off) | Tolerance::Absolute(off))
            | Test::FlatIn(_, Tolerance::Relative(off) | Tolerance::Absolute(off)) => !off.is_finite() || off < 0.0,
            Test::GrowsWith(_, least) => !least.is_finite(),
            Test::AtMost(_) | Test::AtLeast(_) => false,
        };
        if not_a_number {
            return Err("a tolerance is a number from 0 up, and a least growth a finite one".to_owned());
        }
        if let Some(against) = &self.against {
            for &index in &selected {
                let other = comparison::counterpart(conditions, index, &self.select, against)?;
                self.figure.check(&conditions[other])?;
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
                Who::Role(role) => group.role == role,
                Who::Group(name) => group.name == name,
            })
            .collect();
        let its_role = match who {
            Who::Lan => None,
            Who::Role(role) => Some(role),
            Who::Group(_) => Some(groups.first().map(|group| group.role).ok_or_else(|| {
                format!("'{role}' is no role, and {} has no group of hosts of that name", condition.name)
            })?),
        };
        let has = |metric: &Metric| its_role.map_or(metric.is_of_lan(), |role| metric.roles.contains(&role));
        let Some(metric) = METRICS.iter().find(|metric| metric.name == *name && has(metric)) else {
            let names: Vec<&str> = METRICS.iter().filter(|metric| has(metric)).map(|metric| metric.name).collect();
            return Err(format!("'{name}' is no metric of {role}; there are {}", names.join(", ")));
        };
        let there = match its_role {
            Some(Role::Receiver | Role::Bystander | Role::Sender) => !groups.is_empty(),
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
    let multicast = condition.mode == Mode::Multicast;
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
        "join_delay" => (
            multicast && groups.iter().all(|group| group.joins_at.is_some()),
            "not all of these hosts join a group meanwhile; name a group that does",
        ),
        "leave_delay" => (
            multicast && groups.iter().all(|group| group.leaves_at.is_some()),
            "not all of these hosts leave a group meanwhile; name a group that does",
        ),
        "nic_filtered" => (condition.network.nic == Nic::Filter, "its cards don't filter"),
        "skew_p50" | "skew_p99" => (condition.count(Role::Receiver) > 1, "it takes two receivers"),
        "cpu_kernel_rx" | "cpu_total" | "cpu_share" | "cpu_load" => {
            (condition.attributed, "where a host works, the kernel's CPU time is not told apart; there is cpu_app")
        }
        _ => (true, ""),
    };
    (!has).then_some(why)
}
