//! The phases of a trial, and the run that takes all trials through them:
//! prepare, verify membership, warm up, begin, measure, drain, collect.

use std::collections::VecDeque;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use super::account::{self, TrialFigures};
use super::bench::{Bench, Look};
use super::condition::{Condition, Traffic};
use super::event::Event;
use super::outcome::{Limit, Measured, Pacing};
use super::pace::Pace;
use super::plan::{ASKING, MeasurePlan, QUESTIONS, Trial};
use super::protocol::{Collected, Order, Reply, Window};
use super::send::{Meanwhile, Sends, probes};
use super::site::Site;
use crate::counters::cpu::MachineMeter;
use crate::delivery::sender::SendPlan;
use crate::error::{ExitClass, Result};
use crate::results::store::Store;
use crate::sys::clock;
use crate::units::Rate;

/// Messages of the warm-up are of this stream, measured ones of the next, and those of a flow beside them of the last.
const WARM_UP: u16 = 0;
const MEASURED: u16 = 1;
const FLOW: u16 = 2;
/// Caches, neighbours and clocks are warm after this.
const WARM_UP_TIME: Duration = Duration::from_millis(150);
/// Time between two rows of a host in `samples.csv`.
const SAMPLE_INTERVAL: Duration = Duration::from_millis(250);

/// Carries out `plan`: builds the networks it needs, takes `rounds` of its trials (and more of them where something outside
/// disturbed some), and stores the rows as each trial ends. After a trial that lost a host the network is built anew. Rates
/// to be tried are tried first, and the plan then has the one that was found.
///
/// What was `measured` before is gone on from; to begin with, that is nothing.
///
/// Setting `stop` ends it after whole rows; so does a failure in a trial, which is then the error.
///
/// # Errors
/// As [`Bench::set_up`]; a lost sender; rows that cannot be stored.
pub fn measure(
    plan: &mut MeasurePlan,
    rounds: u32,
    mut measured: Measured,
    run_id: &str,
    store: &Store,
    stop: &AtomicBool,
    observe: &mut dyn FnMut(Event),
) -> Result<Measured> {
    let mut site = Site::default();
    match site.find_rate(plan, stop, observe) {
        Err(error) if error.class() == ExitClass::Interrupted => measured.interrupted = true,
        found => found?,
    }
    store.write(&plan.rows())?;
    let first = measured.rounds() + 1;
    let mut schedule: VecDeque<Trial> = plan.schedule(first..first.saturating_add(rounds)).into();
    let before = measured.marks.values().map(Vec::len).sum();
    let (mut done, control_rate, mut pace) = (before, plan.main_rate(), Pace::begin());
    while let Some(trial) = schedule.pop_front().filter(|_| !measured.interrupted) {
        let condition = &plan.conditions[trial.condition];
        observe(Event::TrialStarted { condition: condition.name.clone(), trial, done, of: done + 1 + schedule.len() });
        let figures = site.bench(condition, stop, observe).and_then(|bench| {
            let round = measured.pacing.wakes_us.len() as u32 + 1;
            if let Some(rate) = control_rate.filter(|_| trial.number == round) {
                measured.pacing.rate = rate;
                measured.pacing.wakes_us.push(bench.pace(rate, Pacing::WINDOW)?);
            }
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
        let marks = figures.marks(condition, &bench.napi, pace.slowdown(figures.machine.yardstick_ns));
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
            schedule.extend(measured.another_round(plan));
        }
    }
    (measured.networks, measured.lost) = site.leave();
    measured.limits = Limit::of(&measured.networks);
    Ok(measured)
}

/// One trial, from preparing to collecting.
pub(super) fn take(
    bench: &mut Bench,
    condition: &Condition,
    run_id: u32,
    stop: &AtomicBool,
    observe: &mut dyn FnMut(Event),
) -> Result<TrialFigures> {
    let Traffic { rate, burst, size, duration, .. } = condition.traffic;
    bench.prepare(condition)?;
    let _kept = bench.keep_off()?;

    let flow = condition.flow.as_ref().zip(condition.flow_hosts()).map(|(flow, (from, _))| (from, flow));
    let warm_up = |rate: Rate, size| {
        let rate = Rate::PerSecond(rate.per_second().unwrap_or(f64::MAX).clamp(20.0, 2000.0));
        probes(run_id, WARM_UP, size, rate, None, Some(WARM_UP_TIME))
    };
    let beside = flow.map(|(from, flow)| (from, warm_up(flow.rate, flow.size)));
    let main = SendPlan { burst: burst.into(), ..warm_up(rate, size) };
    let sends = Sends { main, beside };
    bench.send_all(&sends, Window::now(), &mut Meanwhile::new(stop, SAMPLE_INTERVAL, &mut |_| Ok(())))?;
    // Who left a group after the trial before may go on being asked for in the meantime.
    bench.await_members(condition)?;
    bench.drain()?;
    let mut answers_ns = if condition.mode.has_server() { bench.ask_server(QUESTIONS, ASKING)? } else { Vec::new() };
    answers_ns.sort_unstable();

    bench.agents.all(|_| Some(Order::Begin));
    // Until the agents are asleep again: their answers are not part of the trial.
    let (before, _) = bench.drain()?;
    let mut samples: Vec<(Duration, Look)> = Vec::new();
    let meter = MachineMeter::start()?;
    let window = bench.open_window(condition)?;
    let probes = |stream, rate, size| probes(run_id, stream, size, rate, None, Some(duration));
    let beside = flow.map(|(from, flow)| (from, probes(FLOW, flow.rate, flow.size)));
    let mut main = SendPlan { burst: burst.into(), ..probes(MEASURED, rate, size) };
    // A sender that a server may hold up is not to make good for it later.
    main.catches_up = !(condition.loss_expected && condition.mode.has_server());
    let sends = Sends { main, beside };
    let mut sample = |bench: &mut Bench| {
        let since_start_ns = clock::monotonic_ns().saturating_sub(window.start_ns);
        samples.push((Duration::from_nanos(since_start_ns), bench.look()?));
        observe(Event::Tick);
        Ok(())
    };
    let sent = bench.send_all(&sends, window, &mut Meanwhile::new(stop, SAMPLE_INTERVAL, &mut sample))?;
    let (after, drained) = bench.drain()?;
    let machine = meter.finish(&bench.task_ids())?;

    bench.agents.all(|_| Some(Order::End));
    let mut collected: Vec<Option<Collected>> = Vec::new();
    for (host, reply) in bench.agents.all(|_| Some(Order::Collect)).into_iter().enumerate() {
        collected.push(match reply {
            Some(Reply::Collected(collected)) => Some(*collected),
            Some(Reply::Failed(why)) => {
                bench.agents.give_up(host, &why);
                None
            }
            _ => None,
        });
    }
    let lost = bench.agents.lost_hosts().map(|(host, _)| host.to_owned()).collect();
    Ok(TrialFigures {
        sent: sent.main,
        flow_sent: sent.beside,
        before,
        after,
        samples,
        collected,
        lost,
        machine,
        drained,
        stream: (run_id, MEASURED),
        flow: (run_id, FLOW),
        answers_ns,
    })
}
