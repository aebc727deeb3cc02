//! What is to be measured: conditions, trials and their order. Pure.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::lan::plan::MAX_HOSTS;
use crate::lan::{LanSpec, SwitchKind};
use crate::units::{Mode, Rate, Role};
use crate::wire::probe;

/// Largest payload of a raw frame on the LAN's links (their MTU), in bytes.
const LARGEST_RAW: usize = 1500;
/// Largest payload of an IPv4 UDP datagram, in bytes (RFC 791, RFC 768).
const LARGEST_DATAGRAM: usize = 65_507;

/// A whole measurement. Make one with [`MeasurePlan::checked`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MeasurePlan {
    /// Modes, in the order of the tables.
    pub modes: Vec<Mode>,
    /// Hosts on the LAN: the sender, receivers and bystanders.
    pub hosts: usize,
    /// Numbers of receivers, one setting each.
    pub receivers: Vec<usize>,
    /// The kind of switch.
    pub switch: SwitchKind,
    /// Messages a second.
    pub rate: Rate,
    /// UDP (or frame) payload in bytes.
    pub size: usize,
    /// Length of the send window of a trial.
    pub duration: Duration,
    /// Repetitions of each condition.
    pub trials: u32,
    /// Orders the trials.
    pub seed: u64,
    /// IPv6 instead of IPv4.
    pub ipv6: bool,
}

/// One point of the design.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Condition {
    /// Index into [`MeasurePlan::receivers`].
    pub setting: usize,
    /// Receivers of each message.
    pub receivers: usize,
    /// How it is delivered.
    pub mode: Mode,
}

impl Condition {
    /// The name in CSV files: `multicast-4`.
    pub fn name(&self) -> String {
        format!("{}-{}", self.mode, self.receivers)
    }

    /// What host number `index` (from 0) does: the first sends, the next ones receive.
    pub fn role(&self, index: usize) -> Role {
        match index {
            0 => Role::Sender,
            i if i <= self.receivers => Role::Receiver,
            _ => Role::Bystander,
        }
    }
}

/// One timed repetition of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trial {
    /// Of what.
    pub condition: Condition,
    /// Repetition, from 1.
    pub number: u32,
}

impl MeasurePlan {
    /// Checks the plan and puts its lists in order.
    ///
    /// IPv6 has no broadcast, so it is left out there; [`MeasurePlan::leaves_out_broadcast`] tells before.
    ///
    /// # Errors
    /// Usage errors that name the flag and say what would be right.
    pub fn checked(mut self) -> Result<MeasurePlan> {
        if self.leaves_out_broadcast() {
            self.modes.retain(|&mode| mode != Mode::Broadcast);
        }
        self.modes.sort();
        self.modes.dedup();
        self.receivers.sort();
        self.receivers.dedup();
        if self.modes.is_empty() {
            return Err(Error::usage("--modes: nothing is left to measure, since IPv6 has no broadcast"));
        }
        if !(2..=MAX_HOSTS).contains(&self.hosts) {
            return Err(Error::usage(format!(
                "--hosts {}: a LAN has 2 to {MAX_HOSTS} hosts (a Linux bridge has {MAX_HOSTS} ports)",
                self.hosts
            )));
        }
        if let Some(k) = self.receivers.iter().find(|&&k| k == 0 || k >= self.hosts) {
            return Err(Error::usage(format!(
                "--receivers {k}: with --hosts {} there can be 1 to {} receivers, since one host sends",
                self.hosts,
                self.hosts - 1
            )));
        }
        if self.receivers.is_empty() {
            return Err(Error::usage("--receivers: name at least one number of receivers, such as 4"));
        }
        if self.trials == 0 {
            return Err(Error::usage("--trials 0 measures nothing: ask for at least 1 (3 or more for an interval)"));
        }
        if self.size < probe::HEADER_LEN {
            return Err(Error::usage(format!(
                "--size {}: a measured message needs at least {} bytes for its probe header",
                self.size,
                probe::HEADER_LEN
            )));
        }
        if self.size > LARGEST_DATAGRAM {
            return Err(Error::usage(format!(
                "--size {}: a UDP datagram holds at most {LARGEST_DATAGRAM} bytes",
                self.size
            )));
        }
        if self.modes.contains(&Mode::RawBroadcast) && self.size > LARGEST_RAW {
            return Err(Error::usage(format!(
                "--size {}: a raw Ethernet frame holds at most {LARGEST_RAW} bytes; choose a smaller size or leave raw-broadcast out with --modes",
                self.size
            )));
        }
        Ok(self)
    }

    /// Whether broadcast was asked for where it does not exist.
    pub fn leaves_out_broadcast(&self) -> bool {
        self.ipv6 && self.modes.contains(&Mode::Broadcast)
    }

    /// The LAN this needs.
    pub fn lan(&self) -> LanSpec {
        LanSpec::single(self.hosts, self.switch, self.ipv6)
    }

    /// All conditions, in the order of the tables.
    pub fn conditions(&self) -> Vec<Condition> {
        let settings = self.receivers.iter().enumerate();
        settings
            .flat_map(|(setting, &receivers)| {
                self.modes.iter().map(move |&mode| Condition { setting, receivers, mode })
            })
            .collect()
    }

    /// All trials in the order in which they are run: round by round, each round a fresh random order of all
    /// conditions, so that a drift of the machine hits all of them alike.
    pub fn schedule(&self) -> Vec<Trial> {
        let mut random = SplitMix64(self.seed);
        let mut trials = Vec::new();
        for number in 1..=self.trials {
            let mut round = self.conditions();
            for i in (1..round.len()).rev() {
                round.swap(i, random.below(i + 1));
            }
            trials.extend(round.into_iter().map(|condition| Trial { condition, number }));
        }
        trials
    }
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
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> MeasurePlan {
        MeasurePlan {
            modes: Mode::ALL.to_vec(),
            hosts: 21,
            receivers: vec![16, 4],
            switch: SwitchKind::Snooping,
            rate: Rate::PerSecond(2000.0),
            size: 64,
            duration: Duration::from_secs(1),
            trials: 5,
            seed: 7,
            ipv6: false,
        }
    }

    #[test]
    fn every_round_holds_every_condition_once() {
        let plan = plan().checked().unwrap();
        let conditions = plan.conditions();
        assert_eq!(conditions.len(), 8);
        assert_eq!(conditions[0].name(), "unicast-4");
        let schedule = plan.schedule();
        assert_eq!(schedule.len(), 40);
        for (round, trials) in schedule.chunks(8).enumerate() {
            assert!(trials.iter().all(|trial| trial.number as usize == round + 1));
            let mut seen: Vec<_> = trials.iter().map(|trial| trial.condition).collect();
            seen.sort();
            assert_eq!(seen, conditions);
        }
        assert_ne!(schedule[..8].iter().map(|t| t.condition).collect::<Vec<_>>(), conditions, "not shuffled");
    }

    #[test]
    fn the_seed_decides_the_order() {
        let order = |seed| MeasurePlan { seed, ..plan() }.schedule();
        assert_eq!(order(1), order(1));
        assert_ne!(order(1), order(2));
    }

    #[test]
    fn roles() {
        let condition = Condition { setting: 0, receivers: 2, mode: Mode::Unicast };
        let roles: Vec<_> = (0..4).map(|i| condition.role(i)).collect();
        assert_eq!(roles, [Role::Sender, Role::Receiver, Role::Receiver, Role::Bystander]);
    }

    #[test]
    fn ipv6_leaves_broadcast_out() {
        let plan = MeasurePlan { ipv6: true, ..plan() };
        assert!(plan.leaves_out_broadcast());
        assert!(!plan.checked().unwrap().modes.contains(&Mode::Broadcast));
    }

    #[test]
    fn impossible_plans_are_refused_by_the_flag() {
        let cases: [(&str, MeasurePlan); 8] = [
            ("--hosts 1", MeasurePlan { hosts: 1, ..plan() }),
            ("--hosts 1024", MeasurePlan { hosts: 1024, ..plan() }),
            ("--receivers 21", MeasurePlan { receivers: vec![4, 21], ..plan() }),
            ("--receivers 0", MeasurePlan { receivers: vec![0], ..plan() }),
            ("--trials 0", MeasurePlan { trials: 0, ..plan() }),
            ("--size 31", MeasurePlan { size: 31, ..plan() }),
            ("--size 1501", MeasurePlan { size: 1501, ..plan() }),
            ("--modes", MeasurePlan { modes: vec![Mode::Broadcast], ipv6: true, ..plan() }),
        ];
        for (flag, plan) in cases {
            let error = plan.checked().unwrap_err();
            assert!(error.to_string().starts_with(flag), "{error}");
            assert_eq!(error.class().code(), 2);
        }
    }
}
