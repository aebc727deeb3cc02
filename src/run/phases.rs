//! The phases of a trial, and the run that takes all trials through them:
//! prepare, verify membership, warm up, begin, measure, drain, collect.

use std::collections::VecDeque;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use super::account::{self, TrialFigures};
use super::bench::{Bench, Look, probes};
use super::condition::{Condition, Traffic};
use super::event::Event;
use super::outcome::Measured;
use super::plan::MeasurePlan;
use super::protocol::{Collected, Order, Reply};
use super::site::Site;
use crate::counters::cpu::MachineMeter;
use crate::error::{ExitClass, Result};
use crate::results::store::Store;
use crate::units::Rate;

/// Messages of the warm-up are of this stream, measured ones of the next.
const WARM_UP: u16 = 0;
const MEASURED: u16 = 1;
/// Caches, neighbours and clocks are warm after this.
const WARM_UP_TIME: Duration = Duration::from_millis(150);
/// Time between two rows of a host in `samples.csv`.
const SAMPLE_INTERVAL: Duration = Duration::from_millis(250);

/// Carries out `plan`: builds the networks it needs, takes all trials (more of those that something outside disturbed),
/// and stores the rows as each trial ends. Rates to be tried are tried first, and the plan then has the one that was found.
///
/// Setting `stop` ends it after whole rows; so does a failure in a trial, which is then the error.
///
/// # Errors
/// As [`Bench::set_up`]; a lost sender; rows that cannot be stored.
pub fn measure(
    plan: &mut MeasurePlan,
    run_id: &str,
    store: &Store,
    stop: &AtomicBool,
    observe: &mut dyn FnMut(Event),
) -> Result<Measured> {
    let mut site = Site::new(plan);
    let mut measured = Measured::default();
    match site.find_rate(plan, stop, observe) {
        Err(error) if error.class() == ExitClass::Interrupted => measured.interrupted = true,
        found => found?,
    }
    store.write(&plan.rows())?;
    let mut schedule = VecDeque::from(plan.schedule());
    let mut done = 0;
    while let Some(trial) = schedule.pop_front().filter(|_| !measured.interrupted) {
        let condition = &plan.conditions[trial.condition];
        observe(Event::TrialStarted { condition: condition.name.clone(), trial, done, of: done + 1 + schedule.len() });
        let figures = site.bench(condition, stop, observe).and_then(|bench| {
            let figures = take(bench, condition, account::trial_run_id(plan.seed, done), stop, observe)?;
            Ok((bench, figures))
        });
        let (bench, figures) = match figures {
            Ok(figures) => figures,
            Err(error) if error.class() == ExitClass::Interrupted => {
                measured.interrupted = true;
                break;
            }
            Err(error) => return Err(error),
        };
        let marks = figures.marks(condition, &bench.napi);
        let rows = figures.host_rows(bench, condition, run_id, trial, &marks);
        store.append_hosts(&rows)?;
        store.append_samples(&figures.sample_rows(bench, condition, run_id, trial))?;
        if marks.is_empty() {
            let closure = measured.closure.entry(trial.condition).or_default();
            closure.add(&figures.cpu(&bench.napi), &figures.machine);
        }
        measured.marks.entry(trial.condition).or_default().push(marks.clone());
        measured.hosts.extend(rows);
        observe(Event::TrialEnded { condition: condition.name.clone(), trial, marks });
        done += 1;
        if schedule.is_empty() {
            schedule.extend(measured.second_chances(plan));
        }
    }
    (measured.networks, measured.lost) = site.leave();
    Ok(measured)
}

/// One trial, from preparing to collecting.
pub(super) fn take(
    bench: &mut Bench,
    condition: &Condition,
    run_id: u64,
    stop: &AtomicBool,
    observe: &mut dyn FnMut(Event),
) -> Result<TrialFigures> {
    let Traffic { rate, size, duration, .. } = condition.traffic;
    bench.prepare(condition)?;

    let warm_up_rate = Rate::PerSecond(rate.per_second().unwrap_or(f64::MAX).clamp(20.0, 2000.0));
    let warm_up = probes(run_id, WARM_UP, size, warm_up_rate, None, Some(WARM_UP_TIME));
    bench.send(&warm_up, stop, WARM_UP_TIME, &mut |_| Ok(()))?;
    bench.drain()?;

    bench.agents.all(|_| Some(Order::Begin));
    // Until the agents are asleep again: their answers are not part of the trial.
    let (before, _) = bench.drain()?;
    let mut samples: Vec<(Duration, Look)> = Vec::new();
    let meter = MachineMeter::start()?;
    let started = Instant::now();
    let window = probes(run_id, MEASURED, size, rate, None, Some(duration));
    let sent = bench.send(&window, stop, SAMPLE_INTERVAL, &mut |bench| {
        samples.push((started.elapsed(), bench.look()?));
        observe(Event::Tick);
        Ok(())
    })?;
    let (after, drained) = bench.drain()?;
    let machine = meter.finish(&bench.task_ids())?;

    let replies = bench.agents.all(|_| Some(Order::Collect));
    let collected = replies.into_iter().map(|reply| match reply {
        Some(Reply::Collected(collected)) => Some(*collected),
        _ => None::<Collected>,
    });
    Ok(TrialFigures {
        sent,
        before,
        after,
        samples,
        collected: collected.collect(),
        machine,
        drained,
        stream: (run_id, MEASURED),
    })
}
