//! What is to be measured, condition by condition, and in which order. Pure.

use std::ops::Range;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::condition::{Condition, Traffic};
use super::outcome::Pacing;
use crate::chat::options::Relay;
use crate::lan::LanSpec;
use crate::results::row::ConditionRow;
use crate::results::setting::Setting;
use crate::units::Mode;

/// How often the sender asks the server for an answer before the window, at most, and for how long.
pub(super) const QUESTIONS: u32 = 21;
pub(super) const ASKING: Duration = Duration::from_millis(300);

/// A whole measurement. Made by [`Design::plan`](super::design::Design::plan).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MeasurePlan {
    /// In the order of the tables.
    pub conditions: Vec<Condition>,
    /// Repetitions of each.
    pub trials: u32,
    /// Orders the trials.
    pub seed: u64,
    /// Rates to try, the highest first, until every condition sustains one without loss; none: each has its own.
    pub try_rates: Vec<f64>,
}

/// One timed repetition of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trial {
    /// Index into [`MeasurePlan::conditions`].
    pub condition: usize,
    /// Repetition, from 1.
    pub number: u32,
}

impl MeasurePlan {
    /// The networks the conditions need, each once, in the order in which they first appear.
    pub fn networks(&self) -> Vec<&LanSpec> {
        let mut networks: Vec<&LanSpec> = Vec::new();
        for condition in &self.conditions {
            if !networks.contains(&&condition.network) {
                networks.push(&condition.network);
            }
        }
        networks
    }

    /// The settings, one table each, in their order.
    pub fn settings(&self) -> Vec<Setting> {
        let of = |number: usize| self.conditions.iter().filter(move |condition| condition.setting == number);
        let setting = |number| {
            let modes = of(number).map(|condition| condition.mode).collect();
            of(number).next().map(|condition| condition.setting(self.trials, modes))
        };
        (0..).map_while(setting).collect()
    }

    /// The rows of `conditions.csv`.
    pub fn rows(&self) -> Vec<ConditionRow> {
        // The case has a column of its own.
        let label = |setting| Setting { case: String::new(), ..setting }.to_string();
        let labels: Vec<String> = self.settings().into_iter().map(label).collect();
        self.conditions.iter().map(|condition| condition.row(&labels[condition.setting], self.trials)).collect()
    }

    /// The trials of these rounds, counted from 1, in the order in which they are run: round by round; in each round the networks in a fresh random order,
    /// and on each network its conditions in a fresh random order, so that a drift of the machine hits all of them alike.
    pub fn schedule(&self, rounds: Range<u32>) -> Vec<Trial> {
        rounds.flat_map(|number| self.round(number)).collect()
    }

    /// The trials of one round, counted from 1; there may be more of them than were planned.
    pub fn round(&self, number: u32) -> Vec<Trial> {
        let mut random = SplitMix64(self.seed ^ u64::from(number).wrapping_mul(0xd6e8_feb8_6659_fd93));
        let mut networks = self.networks();
        random.shuffle(&mut networks);
        let mut trials = Vec::new();
        for network in networks {
            let on_it = |&index: &usize| self.conditions[index].network == *network;
            let mut on_network: Vec<usize> = (0..self.conditions.len()).filter(on_it).collect();
            random.shuffle(&mut on_network);
            trials.extend(on_network.into_iter().map(|condition| Trial { condition, number }));
        }
        trials
    }

    /// The rate that most conditions have, in messages a second, the lowest of several; `None` where none is paced.
    pub fn main_rate(&self) -> Option<f64> {
        let rates = || self.conditions.iter().filter_map(|condition| condition.traffic.rate.per_second());
        let count = |rate: f64| rates().filter(|other| *other == rate).count();
        rates().max_by(|a, b| count(*a).cmp(&count(*b)).then(b.total_cmp(a)))
    }

    /// About how long it takes: nothing to rely on, something to choose by.
    pub fn expected_time(&self) -> Duration {
        /// Up and down again.
        const NETWORK: Duration = Duration::from_millis(900);
        const CALIBRATION: Duration = Duration::from_millis(2500);
        const AROUND_CONTROL: Duration = Duration::from_millis(60);
        let around: Duration = self.conditions.iter().map(around_a_trial).sum();
        let windows: Duration = self.conditions.iter().map(|condition| condition.traffic.duration).sum();
        let control = self.main_rate().map_or(Duration::ZERO, |_| Pacing::WINDOW + AROUND_CONTROL) * self.trials;
        let tries = around * 3 * self.try_rates.len().min(3) as u32;
        let networks = self.networks().len() as u32;
        let built = if networks > 1 { networks * self.trials } else { 1 };
        CALIBRATION + control + tries + (windows + around) * self.trials + NETWORK * built
    }
}

/// About how long warm-up, settling and collecting of a trial take.
fn around_a_trial(condition: &Condition) -> Duration {
    const AROUND: Duration = Duration::from_millis(330);
    if !condition.mode.has_server() {
        return AROUND;
    }
    // It falls still later, answers questions, and all that is sent gets to the slowest, unless that is dropped.
    const WITH_SERVER: Duration = Duration::from_millis(140);
    let round_trip = 2 * condition.network.distance;
    let Traffic { duration, .. } = condition.traffic;
    let waits = condition.mode == Mode::Pubsub || condition.server.relay == Relay::Direct;
    let slowest = condition.groups.iter().map(|group| group.busy).max().filter(|_| waits).unwrap_or_default();
    let messages = condition.traffic.messages_per_second().unwrap_or(0.0) * duration.as_secs_f64();
    let longer = Duration::from_secs_f64((slowest.as_secs_f64() * messages).min(3600.0)).saturating_sub(duration);
    AROUND + WITH_SERVER + 3 * round_trip + (QUESTIONS * round_trip).min(ASKING) + longer
}

/// Steele, Lea and Flood's generator: enough to shuffle with, and the same everywhere for a seed.
struct SplitMix64(u64);

impl SplitMix64 {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number from 0 to `bound` - 1; the bias of the remainder is under 2^-50 for the few conditions there are.
    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    fn shuffle<T>(&mut self, values: &mut [T]) {
        for i in (1..values.len()).rev() {
            values.swap(i, self.below(i + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::design::{Case, Design};
    use super::*;
    use crate::lan::SwitchKind;
    use crate::units::Rate;

    fn plan(switch: &[SwitchKind], seed: u64) -> MeasurePlan {
        let case = Case { receivers: vec![16, 4], switch: switch.to_vec(), ..Case::default() };
        Design { cases: vec![case], trials: 5, seed, try_rates: Vec::new() }.plan().unwrap()
    }

    #[test]
    fn every_round_holds_every_condition_once() {
        let plan = plan(&[SwitchKind::Snooping], 7);
        assert_eq!(plan.conditions.len(), 8);
        let schedule = plan.schedule(1..6);
        assert_eq!(schedule.len(), 40);
        for (round, trials) in schedule.chunks(8).enumerate() {
            assert!(trials.iter().all(|trial| trial.number as usize == round + 1));
            let mut seen: Vec<_> = trials.iter().map(|trial| trial.condition).collect();
            assert_ne!(seen, (0..8).collect::<Vec<_>>(), "not shuffled");
            seen.sort();
            assert_eq!(seen, (0..8).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_network_is_built_once_a_round() {
        let plan = plan(&[SwitchKind::Snooping, SwitchKind::Hub, SwitchKind::Flooding], 7);
        assert_eq!(plan.networks().len(), 3);
        for round in plan.schedule(1..6).chunks(24) {
            let kinds = round.iter().map(|trial| plan.conditions[trial.condition].network.switch);
            let mut kinds: Vec<_> = kinds.collect();
            kinds.dedup();
            assert_eq!(kinds.len(), 3, "{kinds:?}");
        }
    }

    #[test]
    fn the_seed_decides_the_order() {
        let order = |seed| plan(&[SwitchKind::Snooping], seed).schedule(1..6);
        assert_eq!(order(1), order(1));
        assert_ne!(order(1), order(2));
    }

    #[test]
    fn the_main_rate_is_that_of_most_conditions() {
        let main = |rate: Vec<Rate>| {
            let case = Case { receivers: vec![4], rate, ..Case::default() };
            Design { cases: vec![case], trials: 5, seed: 7, try_rates: Vec::new() }.plan().unwrap().main_rate()
        };
        assert_eq!(main(vec![Rate::PerSecond(500.0)]), Some(500.0));
        assert_eq!(main(vec![Rate::PerSecond(500.0), Rate::Max, Rate::PerSecond(100.0)]), Some(100.0));
        assert_eq!(main(vec![Rate::Max]), None);
    }

    #[test]
    fn settings_are_what_differs_in_nothing_but_the_mode() {
        let plan = plan(&[SwitchKind::Snooping], 7);
        let settings = plan.settings();
        assert_eq!(settings.iter().map(|setting| setting.receivers).collect::<Vec<_>>(), [4, 16]);
        assert!(settings.iter().all(|setting| setting.modes.len() == 4));
        let rows = plan.rows();
        assert_eq!((rows[0].setting, rows[7].setting), (1, 2));
        assert!(rows[7].label.contains("16 receivers"), "{}", rows[7].label);
    }

    #[test]
    fn a_setting_tells_the_ttl_whatever_other_modes_it_has() {
        let modes = vec![Mode::Unicast, Mode::Multicast, Mode::Pubsub];
        let case = Case { modes, ttl: vec![5], ..Case::default() };
        let plan = Design { cases: vec![case], trials: 5, seed: 7, try_rates: Vec::new() }.plan().unwrap();
        let heading = plan.settings()[0].to_string();
        assert!(heading.ends_with(" · TTL 5") && heading.contains(" or 15 and a server · "), "{heading}");
    }
}
