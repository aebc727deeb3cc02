//! Where a run is at the moment: one of the networks its plan needs, and what is known of all of them.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use super::account;
use super::bench::Bench;
use super::condition::{Attribution, Condition};
use super::event::Event;
use super::facts::Facts;
use super::phases::take;
use super::plan::MeasurePlan;
use crate::error::Result;
use crate::lan::LanSpec;
use crate::units::Rate;

/// One network at a time, none at first; the calling process is its switch.
#[derive(Default)]
pub struct Site {
    current: Option<(LanSpec, Bench)>,
    /// Of the networks there were, in the order of the first time.
    known: Vec<Facts>,
    calibrated: bool,
    /// Hosts that were lost, and why.
    lost: BTreeMap<String, String>,
}

impl Site {
    /// The bench on the network of `condition` with all its hosts: the present one, or a new one in its place.
    ///
    /// # Errors
    /// As [`Bench::set_up`] and [`Bench::calibrate`].
    pub fn bench(
        &mut self,
        condition: &Condition,
        stop: &AtomicBool,
        observe: &mut dyn FnMut(Event),
    ) -> Result<&mut Bench> {
        let fits = |(network, bench): &(LanSpec, Bench)| {
            *network == condition.network && bench.agents.lost_hosts().next().is_none()
        };
        if !self.current.as_ref().is_some_and(fits) {
            self.tear_down();
            let known = self.known.iter().find(|facts| facts.network == condition.network).cloned();
            let mut bench = Bench::set_up(&condition.network, known, observe)?;
            // What telling CPU time apart costs is worth knowing where it is told apart.
            if condition.attribution == Attribution::Threads && !self.calibrated {
                bench.calibrate(stop, observe)?;
                self.calibrated = true;
            }
            self.current = Some((condition.network.clone(), bench));
        }
        let (_, bench) = self.current.as_mut().expect("it has just been built");
        bench.attribute(condition.attribution == Attribution::Threads)?;
        Ok(bench)
    }

    /// Tries the rates to be tried, the highest first, with a short trial of every condition each, until one is
    /// sustained by all of them: sent in time, and nothing lost. The plan then has that rate; the lowest, if none is.
    ///
    /// # Errors
    /// As a trial.
    pub fn find_rate(
        &mut self,
        plan: &mut MeasurePlan,
        stop: &AtomicBool,
        observe: &mut dyn FnMut(Event),
    ) -> Result<()> {
        const TRY: Duration = Duration::from_millis(500);
        let rates = std::mem::take(&mut plan.try_rates);
        for (index, &rate) in rates.iter().enumerate() {
            for condition in &mut plan.conditions {
                condition.traffic.rate = Rate::PerSecond(rate);
            }
            observe(Event::TryingRate { rate });
            let is_last = index + 1 == rates.len();
            if is_last || self.sustains(plan, TRY, stop, observe)? {
                break;
            }
        }
        Ok(())
    }

    fn sustains(
        &mut self,
        plan: &MeasurePlan,
        window: Duration,
        stop: &AtomicBool,
        observe: &mut dyn FnMut(Event),
    ) -> Result<bool> {
        for (index, condition) in plan.conditions.iter().enumerate() {
            let mut condition = condition.clone();
            condition.traffic.duration = window;
            let run_id = account::trial_run_id(!plan.seed, index);
            let mut figures = take(self.bench(&condition, stop, observe)?, &condition, run_id, stop, observe)?;
            if !figures.lost.is_empty() {
                // Says nothing of the rate: once more, with all hosts.
                figures = take(self.bench(&condition, stop, observe)?, &condition, run_id, stop, observe)?;
            }
            if !figures.is_sustained(&condition) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Takes down what is up; gives what is known of all networks, and the hosts that were lost.
    pub fn leave(mut self) -> (Vec<Facts>, Vec<(String, String)>) {
        self.tear_down();
        (self.known, self.lost.into_iter().collect())
    }

    fn tear_down(&mut self) {
        let Some((_, bench)) = self.current.take() else { return };
        self.lost.extend(bench.agents.lost_hosts().map(|(host, why)| (host.to_owned(), why.to_owned())));
        match self.known.iter_mut().find(|facts| facts.network == bench.facts.network) {
            Some(facts) => *facts = bench.facts.clone(),
            None => self.known.push(bench.facts.clone()),
        }
    }
}
