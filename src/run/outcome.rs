//! What a run brought, and what follows from it for tables, summary and warnings.

use std::collections::BTreeMap;

use super::facts::Facts;
use super::mark::{Mark, TOLERATED_CLOSURE};
use super::plan::{Condition, MeasurePlan, Trial};
use crate::counters::cpu::CpuClosure;
use crate::lan::SwitchKind;
use crate::results::metadata::{RunMetadata, Warning};
use crate::results::row::{HostRow, SummaryRow};
use crate::results::setting::Setting;
use crate::results::summary;
use crate::sys::socket::RECEIVE_BUFFER;
use crate::units::Rate;

/// What a run brought.
#[derive(Debug, Default)]
pub struct Measured {
    /// All rows, in the order of the trials.
    pub hosts: Vec<HostRow>,
    /// How much of the machine's CPU time is accounted for, over the valid trials of each condition.
    pub closure: BTreeMap<Condition, CpuClosure>,
    /// What spoke against trials of each condition; an empty list for a trial that counts.
    pub marks: BTreeMap<Condition, Vec<Vec<Mark>>>,
    /// What the set-up found out.
    pub facts: Facts,
    /// Hosts that were lost, and why.
    pub lost: Vec<(String, String)>,
    /// Whether the user stopped it before the last trial.
    pub interrupted: bool,
}

impl Measured {
    /// The settings of the plan, one table each.
    pub fn settings(&self, plan: &MeasurePlan) -> Vec<Setting> {
        let setting = |&receivers| Setting {
            hosts: plan.hosts,
            receivers,
            rate: plan.rate,
            size_bytes: plan.size,
            trials: plan.trials,
            switch: in_words(plan.switch, plan.ipv6).to_owned(),
            modes: plan.modes.clone(),
        };
        plan.receivers.iter().map(setting).collect()
    }

    /// The rows of `summary.csv`: every metric of every condition, and how much CPU time is accounted for.
    pub fn summary(&self) -> Vec<SummaryRow> {
        let mut rows = summary::summarize(&self.hosts);
        for (condition, closure) in &self.closure {
            let row =
                |ratio| SummaryRow::of(&condition.name(), condition.mode, summary::ALL, "closure", "ratio", &[ratio]);
            rows.extend(closure.ratio().and_then(row).map(|row| SummaryRow { n: closure.windows, ..row }));
        }
        rows
    }

    /// Those rows of `summary` that belong to a setting.
    pub fn rows_of(&self, plan: &MeasurePlan, setting: &Setting, summary: &[SummaryRow]) -> Vec<SummaryRow> {
        let conditions = plan.conditions().into_iter().filter(|condition| condition.receivers == setting.receivers);
        let names: Vec<String> = conditions.map(|condition| condition.name()).collect();
        summary.iter().filter(|row| names.contains(&row.condition)).cloned().collect()
    }

    /// The part of the machine's CPU time that is accounted for, over all valid trials of a setting.
    pub fn accounted(&self, receivers: usize) -> Option<f64> {
        let of_setting = self.closure.iter().filter(|(condition, _)| condition.receivers == receivers);
        of_setting.map(|(_, closure)| *closure).sum::<CpuClosure>().ratio()
    }

    /// Conditions of which trials were run, none of them valid.
    pub fn without_valid_trial(&self) -> Vec<Condition> {
        let none_valid = |marks: &&Vec<Vec<Mark>>| marks.iter().all(|marks| !marks.is_empty());
        self.marks.iter().filter(|(_, marks)| none_valid(marks)).map(|(condition, _)| *condition).collect()
    }

    /// One more trial for each condition of which every trial was disturbed from outside, until it has had twice as many
    /// as planned.
    pub fn second_chances(&self, plan: &MeasurePlan) -> Vec<Trial> {
        let disturbed = |marks: &Vec<Mark>| marks.iter().any(Mark::is_disturbance);
        let taken = self.marks.iter().filter(|(_, trials)| trials.iter().all(disturbed));
        taken
            .map(|(&condition, trials)| Trial { condition, number: trials.len() as u32 + 1 })
            .filter(|trial| trial.number <= 2 * plan.trials)
            .collect()
    }

    /// What spoke against the trials of a condition, in words, each once.
    pub fn reasons(&self, condition: Condition) -> String {
        let mut reasons: Vec<String> = self.marks_of(condition).map(Mark::to_string).collect();
        reasons.sort();
        reasons.dedup();
        reasons.join("; ")
    }

    /// Puts what is known of the LAN, the calibration and the warnings into `run.json`.
    pub fn describe(&self, plan: &MeasurePlan, metadata: &mut RunMetadata) {
        metadata.lan = serde_json::to_value(&self.facts).unwrap_or_default();
        metadata.calibration = self.facts.calibration;
        metadata.link_header_bytes_corrected = self.facts.rx_header_bytes_added;
        if let Some(reason) = &self.facts.app_only {
            metadata.warn(Warning::AppOnly { reason: reason.clone() });
        }
        if let Some(granted) = self.facts.receive_buffer_bytes
            && granted < RECEIVE_BUFFER as u64
        {
            metadata.warn(Warning::ReceiveBufferSmall { asked: RECEIVE_BUFFER as u64, granted });
        }
        for (host, _) in &self.lost {
            metadata.warn(Warning::HostLost { host: host.clone() });
        }
        for &condition in self.marks.keys() {
            self.warnings_of(condition, plan).into_iter().for_each(|warning| metadata.warn(warning));
        }
        for condition in self.without_valid_trial() {
            metadata.warn(Warning::NoValidTrial { condition: condition.name() });
        }
    }

    fn marks_of(&self, condition: Condition) -> impl Iterator<Item = &Mark> {
        self.marks.get(&condition).into_iter().flatten().flatten()
    }

    fn warnings_of(&self, condition: Condition, plan: &MeasurePlan) -> Vec<Warning> {
        let name = || condition.name();
        let count = |which: fn(&Mark) -> bool| self.marks_of(condition).filter(|mark| which(mark)).count() as u32;
        let total = |amount: fn(&Mark) -> u64| self.marks_of(condition).map(amount).sum::<u64>();
        let mut warnings = Vec::new();

        let mut held: Vec<f64> = self.marks_of(condition).filter_map(Mark::held).collect();
        held.sort_by(f64::total_cmp);
        let trials = self.marks[&condition].len();
        match (plan.rate, held.get(held.len() / 2)) {
            (Rate::PerSecond(asked), Some(&held_rate)) if 2 * held.len() > trials => {
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
        let foreign = count(|mark| matches!(mark, Mark::ForeignLoad(_)));
        if foreign > 0 {
            warnings.push(Warning::ForeignLoad { condition: name(), trials: foreign });
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

/// The switch as the tables' headings name it.
fn in_words(switch: SwitchKind, ipv6: bool) -> &'static str {
    match (switch, ipv6) {
        (SwitchKind::Snooping, false) => "switch with IGMP snooping",
        (SwitchKind::Snooping, true) => "switch with MLD snooping",
        (SwitchKind::NoQuerier, _) => "snooping switch without a querier",
        (SwitchKind::Quiet, _) => "snooping switch without a querier, not flooding",
        (SwitchKind::Flooding, _) => "switch without snooping",
        (SwitchKind::Hub, _) => "hub",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Mode;
    use std::time::Duration;

    const CONDITION: Condition = Condition { setting: 0, receivers: 1, mode: Mode::Broadcast };

    fn plan() -> MeasurePlan {
        MeasurePlan {
            modes: vec![Mode::Broadcast],
            hosts: 3,
            receivers: vec![1],
            switch: SwitchKind::Snooping,
            rate: Rate::PerSecond(1000.0),
            size: 64,
            duration: Duration::from_secs(1),
            trials: 3,
            seed: 1,
            ipv6: false,
        }
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
    fn what_was_disturbed_in_every_trial_gets_more_chances() {
        let steal = || vec![Mark::Steal(0.2), Mark::BehindSchedule { held: 900.0 }];
        let number = |marks| measured(marks).second_chances(&plan()).first().map(|trial| trial.number);
        assert_eq!(number(vec![steal(), steal(), steal()]), Some(4));
        assert_eq!(number(vec![steal(); 5]), Some(6));
        assert_eq!(number(vec![steal(); 6]), None, "twice the three planned ones are enough");
        assert_eq!(number(vec![steal(), vec![], steal()]), None, "one was valid");
        assert_eq!(
            number(vec![vec![Mark::BehindSchedule { held: 900.0 }]; 3]),
            None,
            "it is the rate, not the machine"
        );
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
