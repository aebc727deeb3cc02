//! `netlab measure`: flags to plan, progress, tables.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};

use super::{interrupt, spelled};
use crate::counters::environment::Environment;
use crate::error::{Error, ExitClass};
use crate::lan::{Nic, SwitchKind};
use crate::results::delay::delays;
use crate::results::funnel::funnel;
use crate::results::json::{condition_json, run_json};
use crate::results::metadata::{RunMetadata, Status, Warning};
use crate::results::row::SummaryRow;
use crate::results::sentence::sentences;
use crate::results::store::Store;
use crate::results::table::{Paint, table};
use crate::run::{Case, Design, Event, MeasurePlan, Measured, measure};
use crate::sys::netns;
use crate::units::{Bytes, Mode, Rate, parse_duration};

/// Settings of `measure` unless told otherwise: few hosts want it, then most of them do.
const FEW_AND_MANY: [usize; 2] = [4, 16];

/// Measure who pays for each mode of delivery, on a virtual LAN
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Modes to compare
    #[arg(
        long,
        value_delimiter = ',',
        value_name = "MODE,…",
        default_value = "unicast,broadcast,raw-broadcast,multicast"
    )]
    modes: Vec<Mode>,
    /// Hosts on the LAN: the sender, the receivers and the bystanders
    #[arg(long, value_name = "N", default_value_t = 21)]
    hosts: usize,
    /// How many hosts want the messages; several numbers make several tables [default: 4,16 as far as there are hosts]
    #[arg(long, value_delimiter = ',', value_name = "K,…")]
    receivers: Vec<usize>,
    /// The switch: snooping keeps multicast to the members, flooding does not, a hub sends every frame everywhere
    #[arg(long, value_name = "KIND", default_value = "snooping", value_parser = spelled::<SwitchKind, _>(SwitchKind::ALL.map(SwitchKind::as_str)))]
    switch: SwitchKind,
    /// The hosts' network cards: promiscuous lets every frame through to the kernel, filter drops what is for another MAC
    #[arg(long, value_name = "KIND", default_value = "promiscuous", value_parser = spelled::<Nic, _>(Nic::ALL.map(Nic::as_str)))]
    nic: Nic,
    /// Messages a second: 500, 10k, max
    #[arg(long, value_name = "RATE", default_value = "2000")]
    rate: Rate,
    /// Size of a message in bytes of UDP payload, 32 or more: 64, 1400, 8k
    #[arg(long, value_name = "BYTES", default_value = "64")]
    size: Bytes,
    /// How long each trial sends: 500ms, 5s, 2m
    #[arg(long, value_name = "TIME", default_value = "1200ms", value_parser = parse_duration)]
    duration: Duration,
    /// How often each condition is repeated
    #[arg(long, value_name = "N", default_value_t = 5)]
    trials: u32,
    /// Orders the trials; the same seed gives the same order [default: random]
    #[arg(long, value_name = "SEED")]
    seed: Option<u64>,
    /// IPv6 instead of IPv4; leaves broadcast out, since IPv6 has none
    #[arg(long)]
    ipv6: bool,
    /// Folder for the results; must not hold another run [default: a new one under results/]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Print one JSON object a line: one for each condition, the summary last
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  netlab measure                                       the main comparison, under 90 seconds
  netlab measure --switch flooding                     multicast on a switch that does not know who wants it
  netlab measure --hosts 41 --receivers 1,2,4,8,16,32  how the cost grows with the receivers
  netlab measure --hosts 201 --receivers 150 --rate 500 --modes broadcast,multicast";

impl Args {
    fn design(&self) -> Design {
        let receivers = if self.receivers.is_empty() { usual_receivers(self.hosts) } else { self.receivers.clone() };
        let case = Case {
            modes: self.modes.clone(),
            hosts: vec![self.hosts],
            receivers,
            switch: vec![self.switch],
            nic: vec![self.nic],
            rate: vec![self.rate],
            size: vec![self.size.0],
            duration: self.duration,
            ipv6: self.ipv6,
            ..Case::default()
        };
        let seed = self.seed.unwrap_or_else(random_seed);
        Design { cases: vec![case], trials: self.trials, seed, try_rates: Vec::new() }
    }
}

/// Few, then many, where that leaves bystanders; half of the others on a smaller LAN.
fn usual_receivers(hosts: usize) -> Vec<usize> {
    let others = hosts.saturating_sub(1);
    let mut receivers: Vec<_> = FEW_AND_MANY.into_iter().filter(|&k| k < others).collect();
    if receivers.is_empty() {
        receivers.push((others / 2).max(1));
    }
    receivers
}

/// Different for every run; it need not be unpredictable.
fn random_seed() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(std::process::id())
}

/// Runs it.
///
/// # Errors
/// Wrong usage, a machine that does not permit the LAN, a failure while running, an interruption.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let design = args.design();
    let left_out = design.leaves_out_broadcast();
    let mut plan = design.plan().map_err(|refused| Error::usage(format!("--{refused}")))?;
    // From here on this is process 1 of its own namespaces; no thread may exist before.
    netns::enter_private()?;
    let stop = interrupt::stop_flag().context("installing signal handlers")?;

    let run_id = format!("{:08x}", random_seed() as u32);
    let store = Store::create(args.out.as_deref(), &run_id)?;
    let mut metadata = RunMetadata::start(&run_id, plan.seed, std::env::args().collect());
    metadata.plan = serde_json::to_value(&plan)?;
    metadata.environment = serde_json::to_value(Environment::read())?;
    if left_out {
        metadata.warn(Warning::BroadcastSkippedIpv6);
        note("IPv6 has no broadcast, so it is left out.");
    }
    store.write_metadata(&metadata)?;

    let screen = Progress::new();
    let measured = measure(&mut plan, &run_id, &store, &stop, &mut |event| screen.show(event));
    screen.clear();
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

    let shown = if args.json {
        print_json(&plan, &measured, &summary, &metadata, &store)
    } else {
        print_tables(&plan, &measured, &summary)
    };
    shown.context("writing to standard output")?;
    for line in in_short(&metadata.warnings) {
        note(&line);
    }
    note(&format!(
        "Results are in {}{}",
        store.dir().display(),
        if store.is_temporary() { " (temporary)" } else { "" }
    ));
    if measured.interrupted {
        return Err(Error::interrupted("interrupted; the trials that ended before are on disk").into());
    }
    if let Some(condition) = measured.without_valid_trial().first() {
        let marks = measured.reasons(*condition);
        let name = &plan.conditions[*condition].name;
        return Err(Error::not_shown(format!("{name} had no valid trial: {marks}")).into());
    }
    Ok(ExitCode::SUCCESS)
}

fn print_tables(plan: &MeasurePlan, measured: &Measured, summary: &[SummaryRow]) -> std::io::Result<()> {
    let mut out = anstream::stdout().lock();
    for (index, setting) in plan.settings().into_iter().enumerate() {
        let rows = measured.rows_of(plan, index, summary);
        let accounted = measured.accounted(plan, index);
        writeln!(out, "{}", table(&setting, &rows, accounted, Paint::Ansi))?;
        for sentence in sentences(&setting, &rows) {
            writeln!(out, "{sentence}")?;
        }
        writeln!(out, "\n{}", delays(&setting, &rows, Paint::Ansi))?;
        writeln!(out, "{}", funnel(&setting, &rows, Paint::Ansi))?;
    }
    Ok(())
}

fn print_json(
    plan: &MeasurePlan,
    measured: &Measured,
    summary: &[SummaryRow],
    metadata: &RunMetadata,
    store: &Store,
) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    let mut conditions = 0;
    for (index, setting) in plan.settings().into_iter().enumerate() {
        let rows = measured.rows_of(plan, index, summary);
        let accounted = measured.accounted(plan, index);
        for &mode in &setting.modes {
            writeln!(out, "{}", condition_json(&setting, mode, &rows, accounted))?;
            conditions += 1;
        }
    }
    writeln!(out, "{}", run_json(metadata, &store.dir().display().to_string(), conditions))
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

/// A line for the person. One who is gone is no failure.
fn note(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// What is being measured, on a terminal.
struct Progress {
    bar: ProgressBar,
}

impl Progress {
    fn new() -> Self {
        let style = ProgressStyle::with_template("{bar:30} {pos}/{len} · {msg} · {elapsed}, {eta} to go");
        // Hidden where standard error is no terminal.
        let bar = ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
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
    fn receivers_fit_the_lan() {
        assert_eq!(usual_receivers(21), [4, 16]);
        assert_eq!(usual_receivers(8), [4]);
        assert_eq!(usual_receivers(5), [2]);
        assert_eq!(usual_receivers(3), [1]);
        assert_eq!(usual_receivers(2), [1]);
    }

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
