//! How a measurement runs and what is told of it, whether flags asked for it or a lab.

use std::hash::{BuildHasher, RandomState};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;

use super::escaped::escaped;
use super::interrupt;
use super::paragraph::{columns_of, fitted};
use super::screen::{in_foreground, target};
use crate::counters::environment::Environment;
use crate::error::{Error, ExitClass, Result};
use crate::escaped;
use crate::lan::check_room;
use crate::report;
use crate::results::burst::burst_costs;
use crate::results::delay::delays;
use crate::results::funnel::funnel;
use crate::results::json::{condition_json, run_json};
use crate::results::metadata::{RunMetadata, Status, Warning};
use crate::results::row::SummaryRow;
use crate::results::sentence::sentences;
use crate::results::store::Store;
use crate::results::table::{Paint, table};
use crate::run::{Event, MeasurePlan, Measured, measure};
use crate::sys::netns;

/// What is to be measured, and where it goes.
pub(crate) struct Order<'a> {
    /// What.
    pub plan: MeasurePlan,
    /// Whether broadcast was asked for where there is none.
    pub leaves_out_broadcast: bool,
    /// The folder of the results, if not the usual one.
    pub out: Option<&'a Path>,
    /// The lab it is from, for `run.json`.
    pub lab: Option<Value>,
}

/// A run that has ended, to which trials may be added.
pub(crate) struct Ended {
    /// Its folder.
    pub dir: PathBuf,
    /// Its `run.json`.
    pub metadata: RunMetadata,
    /// What was measured.
    pub plan: MeasurePlan,
    /// What that brought.
    pub measured: Measured,
}

/// A run that has ended, its tables and `run.json` on disk.
pub(crate) struct Run {
    /// What was to be measured, with the rate that was found where it was to be found.
    pub plan: MeasurePlan,
    /// What was.
    pub measured: Measured,
    /// The same by metrics.
    pub summary: Vec<SummaryRow>,
    /// Where it is.
    pub store: Store,
    metadata: RunMetadata,
}

/// Carries it out. To be called before any thread exists.
///
/// # Errors
/// A machine that does not permit the LAN, a failure while running. An interruption is none: see [`Run::conclude`].
pub(crate) fn carry_out(order: Order) -> anyhow::Result<Run> {
    let Order { plan, leaves_out_broadcast, out, lab } = order;
    check_room_for(&plan)?;
    let person = Person::before_entering()?;

    let run_id = format!("{:08x}", random_seed() as u32);
    let store = Store::create(out, &run_id)?;
    let mut metadata = RunMetadata::start(&run_id, plan.seed, command_line());
    let to_try = plan.try_rates.clone();
    let described = |plan: &MeasurePlan| -> serde_json::Result<Value> {
        let mut described = serde_json::to_value(plan)?;
        described["try_rates"] = serde_json::to_value(&to_try)?;
        if let Some(lab) = &lab {
            described["lab"] = lab.clone();
        }
        Ok(described)
    };
    metadata.plan = described(&plan)?;
    metadata.environment = serde_json::to_value(Environment::read())?;
    if leaves_out_broadcast {
        metadata.warn(Warning::BroadcastSkippedIpv6);
        note("IPv6 has no broadcast, so it is left out.");
    }
    let rounds = plan.trials;
    take(plan, rounds, Measured::default(), store, metadata, &described, &person)
}

/// Adds so many trials of each condition to a run that has ended: the same plan on the same machine, to be checked before.
/// To be called before any thread exists.
///
/// # Errors
/// As for [`carry_out`]; a folder that cannot be written.
pub(crate) fn add_to(ended: Ended, trials: u32) -> anyhow::Result<Run> {
    let Ended { dir, mut metadata, mut plan, measured } = ended;
    check_room_for(&plan)?;
    let person = Person::before_entering()?;
    let store = Store::reopen(&dir)?;
    let described = metadata.plan.clone();
    let described = |plan: &MeasurePlan| -> serde_json::Result<Value> {
        let mut described = described.clone();
        described["trials"] = plan.trials.into();
        Ok(described)
    };
    plan.trials = plan.trials.saturating_add(trials);
    metadata.plan = described(&plan)?;
    metadata.add(trials, command_line());
    // All others follow from what is measured.
    metadata.warnings.retain(|warning| *warning == Warning::BroadcastSkippedIpv6);
    take(plan, trials, measured, store, metadata, &described, &person)
}

/// The person who started the run.
struct Person {
    /// Set when they end it.
    stop: Arc<AtomicBool>,
    /// Whether it runs in the foreground of their terminal.
    watches: bool,
}

impl Person {
    /// Looks for them, and enters private namespaces. From then on this is process 1 of its own, and sees no process group
    /// outside of it. No thread may exist before.
    fn before_entering() -> anyhow::Result<Person> {
        let watches = in_foreground();
        netns::enter_private()?;
        Ok(Person { stop: interrupt::stop_flag().context("installing signal handlers")?, watches })
    }
}

/// Takes so many rounds of a plan, on top of what was measured before; `described` is what `run.json` says of it.
fn take(
    mut plan: MeasurePlan,
    rounds: u32,
    before: Measured,
    store: Store,
    mut metadata: RunMetadata,
    described: &dyn Fn(&MeasurePlan) -> serde_json::Result<Value>,
    person: &Person,
) -> anyhow::Result<Run> {
    store.write_metadata(&metadata)?;
    let screen = Progress::new(person.watches);
    let run_id = metadata.run_id.clone();
    let measured = measure(&mut plan, rounds, before, &run_id, &store, &person.stop, &mut |event| screen.show(event));
    screen.clear();
    metadata.plan = described(&plan)?;
    let measured = match measured {
        Ok(measured) => measured,
        Err(error) => {
            metadata.end(if error.class() == ExitClass::Interrupted { Status::Interrupted } else { Status::Failed });
            store.write_metadata(&metadata)?;
            note(&format!("What was measured before is in {}", store.dir().display()));
            return Err(error.into());
        }
    };
    measured.describe(&plan, &mut metadata);
    let summary = measured.summary(&plan);
    store.write(&summary)?;
    metadata.end(if measured.interrupted { Status::Interrupted } else { Status::Complete });
    store.write_metadata(&metadata)?;
    Ok(Run { plan, measured, summary, store, metadata })
}

/// How much of a setting is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Detail {
    /// Its table.
    Table,
    /// Its table, who paid in words, how long messages took, and where packets ended.
    All,
}

impl Run {
    /// Prints the tables for people.
    ///
    /// # Errors
    /// When standard output cannot be written to.
    pub(crate) fn print(&self, detail: Detail) -> io::Result<()> {
        let columns = columns_of(io::stdout());
        let mut out = anstream::stdout().lock();
        for (index, setting) in self.plan.settings().into_iter().enumerate() {
            let rows = self.measured.rows_of(&self.plan, index, &self.summary);
            let accounted = self.measured.accounted(&self.plan, index);
            let control = self.measured.pacing.control();
            writeln!(out, "{}", table(&setting, &rows, accounted, control.as_ref(), Paint::Ansi, columns))?;
            if detail == Detail::All {
                for sentence in sentences(&setting, &rows) {
                    writeln!(out, "{}", fitted(&sentence, columns))?;
                }
                writeln!(out, "\n{}", delays(&setting, &rows, Paint::Ansi, columns))?;
                writeln!(out, "{}", funnel(&setting, &rows, Paint::Ansi, columns))?;
            }
        }
        Ok(())
    }

    /// Prints what a wake-up costs and what a frame, where bursts were measured.
    ///
    /// # Errors
    /// As [`print`](Self::print).
    pub(crate) fn print_bursts(&self) -> io::Result<()> {
        let mut out = anstream::stdout().lock();
        for costs in burst_costs(&self.plan.rows(), &self.measured.hosts) {
            writeln!(out, "{}", costs.table(self.metadata.calibration.as_ref(), Paint::Ansi))?;
        }
        Ok(())
    }

    /// Prints an object for each condition, then the `others`, then that of the run.
    ///
    /// # Errors
    /// As [`print`](Self::print).
    pub(crate) fn print_json(&self, others: &[Value]) -> io::Result<()> {
        let mut out = io::stdout().lock();
        let mut conditions = 0;
        for (index, setting) in self.plan.settings().into_iter().enumerate() {
            let rows = self.measured.rows_of(&self.plan, index, &self.summary);
            let accounted = self.measured.accounted(&self.plan, index);
            for &mode in &setting.modes {
                writeln!(out, "{}", escaped::json(&condition_json(&setting, mode, &rows, accounted).to_string()))?;
                conditions += 1;
            }
        }
        for other in others {
            writeln!(out, "{}", escaped::json(&other.to_string()))?;
        }
        let run = run_json(&self.metadata, &self.store.dir().display().to_string(), conditions);
        writeln!(out, "{}", escaped::json(&run.to_string()))
    }

    /// Draws the report, says what is doubtful and where everything is.
    ///
    /// # Errors
    /// A report that cannot be written; an interruption.
    pub(crate) fn conclude(&self) -> Result<()> {
        for line in in_short(&self.metadata.warnings) {
            note(&line);
        }
        let temporary = if self.store.is_temporary() { " (temporary)" } else { "" };
        note(&format!("Results are in {}{temporary}", self.store.dir().display()));
        let report = report::write(self.store.dir())?;
        note(&format!("The report is {}", report.page.display()));
        if self.measured.interrupted {
            return Err(Error::interrupted("interrupted; the trials that ended before are on disk"));
        }
        Ok(())
    }

    /// What keeps a run that went well from having shown everything: a condition without a valid trial. Not a sentence.
    pub(crate) fn shortfall(&self) -> Option<String> {
        let condition = *self.measured.without_valid_trial().first()?;
        let marks = self.measured.reasons(condition);
        Some(format!("{} had no valid trial: {marks}", self.plan.conditions[condition].name))
    }
}

/// Whether there is room for the networks of a plan.
fn check_room_for(plan: &MeasurePlan) -> Result<()> {
    // An agent for each host, the router's, the runner and its guard.
    plan.conditions.iter().try_for_each(|condition| check_room(&condition.network, condition.network.hosts() + 3))
}

/// As `run.json` holds it; arguments need not be text.
fn command_line() -> Vec<String> {
    std::env::args_os().map(|argument| escaped(argument.as_bytes())).collect()
}

/// Different for every run; it need not be unpredictable.
pub(crate) fn random_seed() -> u64 {
    RandomState::new().hash_one(std::process::id())
}

/// A line for the person, whose terminal does not obey it. One who is gone is no failure.
pub(crate) fn note(text: &str) {
    // In one piece.
    let text = fitted(&escaped::lines(text), columns_of(io::stderr())) + "\n";
    let _ = io::stderr().write_all(text.as_bytes());
}

/// A line for each kind of warning: the first of the kind, how many more there are, and the advice.
fn in_short(warnings: &[Warning]) -> Vec<String> {
    let mut kinds: Vec<(&Warning, usize)> = Vec::new();
    for warning in warnings {
        // Each lost host has its name told.
        let same = |(first, _): &&mut (&Warning, usize)| {
            first.code() == warning.code() && !matches!(warning, Warning::HostLost { .. })
        };
        match kinds.iter_mut().find(same) {
            Some((_, more)) => *more += 1,
            None => kinds.push((warning, 0)),
        }
    }
    let line = |(first, more): (&Warning, usize)| match more {
        0 => format!("{first} {}", first.advice()),
        more => format!("{first} So in {more} more. {}", first.advice()),
    };
    kinds.into_iter().map(line).collect()
}

/// What is being measured, on a terminal.
struct Progress {
    bar: ProgressBar,
}

impl Progress {
    fn new(foreground: bool) -> Self {
        let style = ProgressStyle::with_template("{bar:30} {pos}/{len} · {msg} · {elapsed}, {eta} to go");
        // Hidden where standard error is no terminal.
        let bar = ProgressBar::with_draw_target(Some(0), target(foreground))
            .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.set_message("building the LAN");
        Progress { bar }
    }

    fn show(&self, event: Event) {
        match event {
            Event::LanUp { took } => self.bar.set_message(format!("LAN up in {took:.1?}, starting its hosts")),
            Event::AgentsReady { .. } => self.bar.set_message("hosts ready"),
            Event::Calibrating => self.bar.set_message("checking the switch and calibrating"),
            Event::TryingRate { rate } => self.bar.set_message(format!("trying {rate} messages/s")),
            Event::TrialStarted { condition, trial, done, of } => {
                self.bar.set_length(of as u64);
                self.bar.set_position(done as u64);
                self.bar.set_message(format!("{condition}, repeat {}", trial.number));
            }
            Event::TrialEnded { condition, marks, .. } if !marks.is_empty() => {
                let marks: Vec<_> = marks.iter().map(ToString::to_string).collect();
                self.bar.set_message(format!("{condition} marked: {}", marks.join("; ")));
            }
            Event::Tick | Event::TrialEnded { .. } => self.bar.tick(),
        }
    }

    fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_of_warning_is_told_once() {
        let steal = |condition: &str| Warning::StealTime { condition: condition.into(), trials: 2 };
        let lost = |host: &str| Warning::HostLost { host: host.into() };
        let lines = in_short(&[steal("a"), steal("b"), lost("h2"), steal("c"), lost("h3")]);
        assert_eq!(lines.len(), 3);
        assert!(lines[0].starts_with("a: ") && lines[0].contains("So in 2 more."), "{}", lines[0]);
        assert!(lines[1].starts_with("h2 was lost") && lines[2].starts_with("h3 was lost"));
    }
}
