//! What a run brought, and what follows from it for tables, summary and warnings.

use std::collections::{BTreeMap, BTreeSet};
use std::mem::discriminant;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::facts::Facts;
use super::mark::{Mark, TOLERATED_CLOSURE};
use super::plan::{MeasurePlan, Trial};
use crate::counters::cpu::CpuClosure;
use crate::results::metadata::{Control, RunMetadata, Warning};
use crate::results::row::{HostRow, SummaryRow};
use crate::results::summary;
use crate::results::trial::ALL;
use crate::sys::socket::RECEIVE_BUFFER;

/// What a run brought. What of it is serialized is all that another day needs to go on with it, beside the rows.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Measured {
    /// All rows, in the order of the trials.
    #[serde(skip)]
    pub hosts: Vec<HostRow>,
    /// How much of the machine's CPU time is accounted for, over the valid trials of each condition (by its index
    /// in the plan).
    pub closure: BTreeMap<usize, CpuClosure>,
    /// What spoke against trials of each condition (by its index); an empty list for a trial that counts.
    pub marks: BTreeMap<usize, Vec<Vec<Mark>>>,
    /// What a sender that sends nothing paid for each message there would have been, window by window.
    pub pacing: Pacing,
    /// What was found out about each network that was built.
    #[serde(skip)]
    pub networks: Vec<Facts>,
    /// Hosts that were lost, and why.
    pub lost: Vec<(String, String)>,
    /// Whether the user stopped it before the last trial.
    #[serde(skip)]
    pub interrupted: bool,
    /// What could not be measured on this machine.
    #[serde(skip)]
    pub limits: Vec<Limit>,
}

/// The control beside the measured trials: a sender that wakes and paces as for them, once a round, and sends nothing.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Pacing {
    /// At which rate, in messages a second.
    pub rate: f64,
    /// CPU time for each message there would have been, in µs, by round.
    pub wakes_us: Vec<f64>,
}

impl Pacing {
    /// Length of a window.
    pub const WINDOW: Duration = Duration::from_millis(150);

    /// For `run.json`; `None` when it was never taken.
    pub fn control(&self) -> Option<Control> {
        Control::of(self.rate, Self::WINDOW.as_secs_f64(), &self.wakes_us)
    }
}

/// Something this machine does not let be measured; why, in words.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Limit {
    /// The kernel's share of each host's CPU time.
    KernelCpu(String),
    /// Frames that a card with a MAC filter drops.
    NicFilter(String),
    /// Work on the very CPU that does a host's receive work.
    Work(String),
}

impl Limit {
    /// What building these networks found out, each limit once.
    pub fn of(networks: &[Facts]) -> Vec<Limit> {
        let limits = networks.iter().flat_map(|facts| {
            let kernel_cpu = facts.app_only.clone().map(Limit::KernelCpu);
            let nic_filter = facts.nic_unavailable.clone().map(Limit::NicFilter);
            kernel_cpu.into_iter().chain(nic_filter).chain(facts.work_refused.clone().map(Limit::Work))
        });
        limits.collect::<BTreeSet<_>>().into_iter().collect()
    }
}

impl Measured {
    /// The rows of `summary.csv`: every metric of every condition, and how much CPU time is accounted for.
    pub fn summary(&self, plan: &MeasurePlan) -> Vec<SummaryRow> {
        let mut rows = summary::summarize(&self.hosts);
        for (&index, closure) in &self.closure {
            let condition = &plan.conditions[index];
            let row = |ratio| SummaryRow::of(&condition.name, condition.mode, ALL, "closure", "ratio", &[ratio]);
            rows.extend(closure.ratio().and_then(row).map(|row| SummaryRow { n: closure.windows, ..row }));
        }
        rows
    }

    /// Those rows of `summary` that belong to a setting (by its index among [`MeasurePlan::settings`]).
    pub fn rows_of(&self, plan: &MeasurePlan, setting: usize, summary: &[SummaryRow]) -> Vec<SummaryRow> {
        let conditions = plan.conditions.iter().filter(|condition| condition.setting == setting);
        let names: Vec<&String> = conditions.map(|condition| &condition.name).collect();
        summary.iter().filter(|row| names.contains(&&row.condition)).cloned().collect()
    }

    /// The part of the machine's CPU time that is accounted for, over all valid trials of a setting.
    pub fn accounted(&self, plan: &MeasurePlan, setting: usize) -> Option<f64> {
        let of_setting = self.closure.iter().filter(|(index, _)| plan.conditions[**index].setting == setting);
        of_setting.map(|(_, closure)| *closure).sum::<CpuClosure>().ratio()
    }

    /// How many rounds there were.
    pub fn rounds(&self) -> u32 {
        self.marks.values().map(Vec::len).max().unwrap_or(0) as u32
    }

    /// Conditions (by index) of which trials were run, none of which can be used. One that something outside disturbed
    /// can: its counts are right, and its times bear their doubt.
    pub fn without_valid_trial(&self) -> Vec<usize> {
        let is_no_use = |marks: &Vec<Mark>| !marks.iter().all(|mark| mark.is_disturbance() && !mark.spoils_counts());
        let of_no_use = self.marks.iter().filter(|(_, trials)| trials.iter().all(is_no_use));
        of_no_use.map(|(condition, _)| *condition).collect()
    }

    /// One more round of all conditions, neighbours in time again, while some condition has fewer undisturbed trials than
    /// were planned; twice as many as planned at the most. None after one more that was disturbed for all of those: what
    /// lasts is not waited for.
    pub fn another_round(&self, plan: &MeasurePlan) -> Vec<Trial> {
        let is_disturbed = |marks: &Vec<Mark>| marks.iter().any(Mark::is_disturbance);
        let rounds = self.rounds();
        let lacking = || {
            let undisturbed = |trials: &Vec<Vec<Mark>>| trials.iter().filter(|marks| !is_disturbed(marks)).count();
            self.marks.values().filter(move |trials| undisturbed(trials) < plan.trials as usize)
        };
        let in_vain = rounds > plan.trials && lacking().all(|trials| trials.last().is_some_and(is_disturbed));
        if lacking().next().is_none() || in_vain || rounds >= 2 * plan.trials {
            return Vec::new();
        }
        plan.round(rounds + 1)
    }

    /// What spoke against the trials of a condition, in words: the first of each kind, with how many more trials had it.
    pub fn reasons(&self, condition: usize) -> String {
        let mut kinds: Vec<(&Mark, usize)> = Vec::new();
        for mark in self.marks_of(condition) {
            match kinds.iter_mut().find(|(first, _)| discriminant(*first) == discriminant(mark)) {
                Some((_, more)) => *more += 1,
                None => kinds.push((mark, 0)),
            }
        }
        let in_words = |(first, more): (&Mark, usize)| match more {
            0 => first.to_string(),
            more => format!("{first}, and likewise in {more} more"),
        };
        kinds.into_iter().map(in_words).collect::<Vec<_>>().join("; ")
    }

    /// Puts what is known of the LAN, the calibration and the warnings into `run.json`.
    pub fn describe(&self, plan: &MeasurePlan, metadata: &mut RunMetadata) {
        metadata.control = self.pacing.control();
        // What a run was added to had networks, too.
        let before = metadata.lan.as_array().cloned().unwrap_or_default();
        let networks = self.networks.iter().map(|facts| serde_json::to_value(facts).unwrap_or_default());
        metadata.lan = before.into_iter().chain(networks).collect();
        metadata.account = serde_json::to_value(self).unwrap_or_default();
        for facts in &self.networks {
            metadata.calibration = metadata.calibration.or(facts.calibration);
            metadata.link_header_bytes_corrected = metadata.link_header_bytes_corrected.or(facts.rx_header_bytes_added);
            if let Some(reason) = &facts.app_only {
                metadata.warn(Warning::AppOnly { reason: reason.clone() });
            }
            if let Some(granted) = facts.receive_buffer_bytes
                && granted < RECEIVE_BUFFER as u64
            {
                metadata.warn(Warning::ReceiveBufferSmall { asked: RECEIVE_BUFFER as u64, granted });
            }
        }
        for (host, _) in &self.lost {
            metadata.warn(Warning::HostLost { host: host.clone() });
        }
        for &condition in self.marks.keys() {
            self.warnings_of(condition, plan).into_iter().for_each(|warning| metadata.warn(warning));
        }
        for condition in self.without_valid_trial() {
            metadata.warn(Warning::NoValidTrial { condition: plan.conditions[condition].name.clone() });
        }
    }

    fn marks_of(&self, condition: usize) -> impl Iterator<Item = &Mark> {
        self.marks.get(&condition).into_iter().flatten().flatten()
    }

    fn warnings_of(&self, condition: usize, plan: &MeasurePlan) -> Vec<Warning> {
        let name = || plan.conditions[condition].name.clone();
        let count = |which: fn(&Mark) -> bool| self.marks_of(condition).filter(|mark| which(mark)).count() as u32;
        let total = |amount: fn(&Mark) -> u64| self.marks_of(condition).map(amount).sum::<u64>();
        let mut warnings = Vec::new();

        let mut held: Vec<f64> = self.marks_of(condition).filter_map(Mark::held).collect();
        held.sort_by(f64::total_cmp);
        let trials = self.marks[&condition].len();
        match (plan.conditions[condition].traffic.messages_per_second(), held.get(held.len() / 2)) {
            (Some(asked), Some(&held_rate)) if 2 * held.len() > trials => {
                warnings.push(Warning::RateNotHeld { condition: name(), asked, held: held_rate });
            }
            (_, Some(_)) => {
                warnings.push(Warning::SenderBehindSchedule { condition: name(), trials: held.len() as u32 });
            }
            (_, None) => {}
        }
        let frames = total(|mark| if let Mark::RingOverflow { frames } = mark { *frames } else { 0 });
        if frames > 0 {
            warnings.push(Warning::RingOverflow { condition: name(), frames });
        }
        let messages = total(|mark| if let Mark::SocketBufferOverflow { messages } = mark { *messages } else { 0 });
        if messages > 0 {
            warnings.push(Warning::SocketBufferOverflow { condition: name(), messages });
        }
        let foreign = count(|mark| matches!(mark, Mark::ForeignLoad { .. }));
        if foreign > 0 {
            warnings.push(Warning::ForeignLoad { condition: name(), trials: foreign });
        }
        let slow = count(|mark| matches!(mark, Mark::Slowdown(_)));
        if slow > 0 {
            warnings.push(Warning::Slowdown { condition: name(), trials: slow });
        }
        let steal = count(|mark| matches!(mark, Mark::Steal(_)));
        if steal > 0 {
            warnings.push(Warning::StealTime { condition: name(), trials: steal });
        }
        match self.closure.get(&condition).and_then(CpuClosure::ratio) {
            Some(closure) if closure < *TOLERATED_CLOSURE.start() => {
                warnings.push(Warning::LowClosure { condition: name(), closure });
            }
            Some(closure) if closure > *TOLERATED_CLOSURE.end() => {
                warnings.push(Warning::HighClosure { condition: name(), closure });
            }
            _ => {}
        }
        warnings
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::design::{Case, Design};
    use crate::units::{Mode, Rate};

    const CONDITION: usize = 0;

    fn plan() -> MeasurePlan {
        let case = Case {
            modes: vec![Mode::Broadcast],
            hosts: vec![3],
            receivers: vec![1],
            rate: vec![Rate::PerSecond(1000.0)],
            ..Case::default()
        };
        Design { cases: vec![case], trials: 3, seed: 1, try_rates: Vec::new() }.plan().unwrap()
    }

    fn measured(marks: Vec<Vec<Mark>>) -> Measured {
        Measured { marks: BTreeMap::from([(CONDITION, marks)]), ..Measured::default() }
    }

    #[test]
    fn a_rate_missed_in_most_trials_is_not_held() {
        let late = |held| vec![Mark::BehindSchedule { held }];
        let once = measured(vec![late(700.0), vec![], vec![]]);
        let warnings = once.warnings_of(CONDITION, &plan());
        assert_eq!(warnings, [Warning::SenderBehindSchedule { condition: "broadcast-1".into(), trials: 1 }]);
        assert!(once.without_valid_trial().is_empty());

        let always = measured(vec![late(700.0), late(800.0), late(600.0)]);
        let warnings = always.warnings_of(CONDITION, &plan());
        assert_eq!(warnings, [Warning::RateNotHeld { condition: "broadcast-1".into(), asked: 1000.0, held: 700.0 }]);
        assert_eq!(always.without_valid_trial(), [CONDITION]);
    }

    #[test]
    fn what_was_disturbed_is_made_up_for_in_whole_rounds() {
        let steal = || vec![Mark::Steal(0.2), Mark::BehindSchedule { held: 900.0 }];
        let number = |marks| measured(marks).another_round(&plan()).first().map(|trial| trial.number);
        assert_eq!(number(vec![vec![]; 3]), None);
        assert_eq!(number(vec![steal(), vec![], vec![]]), Some(4));
        assert_eq!(number(vec![steal(); 3]), Some(4), "it may have ended");
        assert_eq!(number(vec![steal(); 4]), None, "it has not");
        assert_eq!(number(vec![steal(), steal(), steal(), vec![], vec![]]), Some(6));
        assert_eq!(number(vec![steal(), vec![], steal(), steal(), steal(), vec![]]), None, "twice the three planned");
        assert_eq!(number(vec![steal(), vec![], steal(), vec![], vec![]]), None, "three were undisturbed");
        assert!(measured(vec![vec![Mark::Slowdown(1.4)]; 3]).without_valid_trial().is_empty());
        assert_eq!(
            number(vec![vec![Mark::BehindSchedule { held: 900.0 }]; 3]),
            None,
            "it is the rate, not the machine"
        );
    }

    #[test]
    fn reasons_of_a_kind_are_told_once() {
        let steal = |share| vec![Mark::Steal(share)];
        let marks = vec![steal(0.2), steal(0.3), vec![Mark::NotDrained, Mark::Steal(0.1)]];
        let expected = "the hypervisor took 20 % of the machine, and likewise in 2 more; backlog left at the end";
        assert_eq!(measured(marks).reasons(CONDITION), expected);
        assert_eq!(measured(vec![vec![]]).reasons(CONDITION), "");
    }

    #[test]
    fn a_limit_is_told_once() {
        let facts = Facts::of(&plan().conditions[0].network);
        let limited =
            Facts { app_only: Some("no threads".into()), work_refused: Some("1 CPU".into()), ..facts.clone() };
        let limits = Limit::of(&[facts, limited.clone(), limited]);
        assert_eq!(limits, [Limit::KernelCpu("no threads".into()), Limit::Work("1 CPU".into())]);
    }

    #[test]
    fn losses_add_up_over_trials() {
        let marks = vec![vec![Mark::RingOverflow { frames: 3 }, Mark::SocketBufferOverflow { messages: 1 }]; 2];
        let warnings = measured(marks).warnings_of(CONDITION, &plan());
        let condition = || "broadcast-1".to_owned();
        let expected = [
            Warning::RingOverflow { condition: condition(), frames: 6 },
            Warning::SocketBufferOverflow { condition: condition(), messages: 2 },
        ];
        assert_eq!(warnings, expected);
    }
}
