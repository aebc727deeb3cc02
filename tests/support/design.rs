//! Runs a [`Design`] through [`measure`] on real networks, without a command line or a lab file.
//!
//! Measuring makes the process the switch of its own namespaces and starts it again as the hosts' agents. So a test file
//! that does this has a main of its own ([`main`], `harness = false`): the tests start a copy of the test program that
//! measures, and that one starts its agents.
#![allow(dead_code, reason = "each test file uses a part of it")]
#![allow(clippy::print_stdout)] // the program under test tells the test its outcome that way

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitCode, Stdio};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};

use libtest_mimic::{Arguments, Trial};
use netlab::results::row::HostRow;
use netlab::results::store::Store;
use netlab::run::condition::HostGroup;
use netlab::run::{Case, Design, Event, Limit, MeasurePlan, Measured, measure};
use netlab::sys::netns;
use netlab::units::Role;
use serde::{Deserialize, Serialize};
use signal_hook::consts::SIGINT;

use crate::support::{Who, started_by};

/// The first argument of the program that is to measure; the folder for the results is the second.
const MEASURE: &str = "measure-design";

/// What a run brought.
pub(crate) struct Ran {
    /// `hosts.csv`.
    pub(crate) rows: Vec<HostRow>,
    /// Everything else.
    pub(crate) outcome: Outcome,
}

/// What is not in the rows.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Outcome {
    /// The plan as it was carried out.
    pub(crate) plan: MeasurePlan,
    /// Whether it was interrupted.
    pub(crate) interrupted: bool,
    /// Hosts that were lost.
    pub(crate) lost: Vec<String>,
    /// Networks that were built.
    pub(crate) networks: usize,
    /// What could not be measured here: `work: why`.
    pub(crate) limits: Vec<String>,
}

impl Ran {
    /// The rows of a role, or of a group of hosts, in all trials of a condition.
    pub(crate) fn of(&self, condition: &str, group: &str) -> Vec<&HostRow> {
        let is = |row: &&HostRow| row.condition == condition && (row.group == group || row.role.as_str() == group);
        self.rows.iter().filter(is).collect()
    }

    /// All rows of a role or group in a condition, of which there are some.
    #[track_caller]
    pub(crate) fn some_of(&self, condition: &str, group: &str) -> Vec<&HostRow> {
        let rows = self.of(condition, group);
        assert!(!rows.is_empty(), "{condition}, {group}: no rows");
        rows
    }

    /// Messages that were sent in the trial of a row.
    pub(crate) fn sent(&self, row: &HostRow) -> u64 {
        let of_trial = |r: &&HostRow| (&r.condition, r.trial, r.role) == (&row.condition, row.trial, Role::Sender);
        self.rows.iter().find(of_trial).and_then(|sender| sender.messages_sent).expect("each trial has a sender")
    }
}

/// A group of hosts on the first LAN that a lab would call `name`.
pub(crate) fn group(name: &str, role: Role, count: usize) -> HostGroup {
    HostGroup { name: name.to_owned(), ..HostGroup::new(role, count) }
}

/// The one that sends.
pub(crate) fn sender() -> HostGroup {
    HostGroup::new(Role::Sender, 1)
}

/// One trial of each condition of these cases (and another where the machine disturbed it).
pub(crate) fn once(cases: impl IntoIterator<Item = Case>) -> Design {
    Design { cases: cases.into_iter().collect(), trials: 1, seed: 7, try_rates: Vec::new() }
}

/// Measures `design` as `who`, to its end.
pub(crate) fn run(who: Who, design: &Design) -> Ran {
    watched(who, design, |_, _| {})
}

/// The same; the run waits at each event, named in words, until `on` has seen it.
pub(crate) fn watched(who: Who, design: &Design, mut on: impl FnMut(&str, &Child)) -> Ran {
    let plan = design.plan().unwrap_or_else(|refused| panic!("{refused}"));
    let out = tempfile::tempdir().unwrap();
    fs::set_permissions(out.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let dir = out.path().join("run");
    let mut command = started_by(who, &this_program());
    command.arg(MEASURE).arg(&dir).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().expect("this program starts");
    let mut answers = child.stdin.take().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    writeln!(answers, "{}", serde_json::to_string(&plan).unwrap()).unwrap();
    let mut outcome = None;
    for line in lines.map(Result::unwrap) {
        match line.strip_prefix(OUTCOME) {
            Some(json) => outcome = Some(serde_json::from_str(json).unwrap()),
            None => {
                on(&line, &child);
                writeln!(answers).unwrap();
            }
        }
    }
    let status = child.wait().unwrap();
    assert!(status.success(), "{who:?}: {status}");
    let rows = if dir.join("hosts.csv").exists() { Store::read::<HostRow>(&dir).unwrap() } else { Vec::new() };
    Ran { rows, outcome: outcome.expect("an outcome") }
}

const OUTCOME: &str = "outcome ";

/// Runs the tests; or, in a copy, measures or serves as an agent.
pub(crate) fn main(tests: Vec<Trial>) -> ExitCode {
    let mut words = std::env::args_os().skip(1);
    match words.next().as_deref().and_then(OsStr::to_str) {
        Some("agent") => netlab::cli::main(),
        Some(MEASURE) => measure_here(Path::new(&words.next().expect("a folder"))),
        // One after the other: measuring needs the machine to itself.
        _ => libtest_mimic::run(&Arguments { test_threads: Some(1), ..Arguments::from_args() }, tests).exit_code(),
    }
}

/// A test of this name.
macro_rules! tests {
    ($($name:ident),+ $(,)?) => {
        vec![$(libtest_mimic::Trial::test(stringify!($name), || { $name(); Ok(()) })),+]
    };
}
pub(crate) use tests;

fn measure_here(dir: &Path) -> ExitCode {
    let entered = netns::enter_private();
    if let Err(error) = entered {
        eprintln!("{error}");
        return ExitCode::FAILURE;
    }
    let stop = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(SIGINT, Arc::clone(&stop)).unwrap();
    let mut plan: MeasurePlan = serde_json::from_str(&answer()).unwrap();
    let store = Store::create(Some(dir), "test").unwrap();
    let trials = plan.trials;
    let measured = measure(&mut plan, trials, Measured::default(), "test", &store, &stop, &mut |event| {
        if let Some(words) = in_words(event) {
            println!("{words}");
            answer();
        }
    });
    match measured {
        Ok(measured) => {
            let limit = |limit: &Limit| match limit {
                Limit::KernelCpu(why) => format!("kernel-cpu: {why}"),
                Limit::NicFilter(why) => format!("nic-filter: {why}"),
                Limit::Work(why) => format!("work: {why}"),
            };
            let outcome = Outcome {
                plan,
                interrupted: measured.interrupted,
                lost: measured.lost.into_iter().map(|(host, _)| host).collect(),
                networks: measured.networks.len(),
                limits: measured.limits.iter().map(limit).collect(),
            };
            println!("{OUTCOME}{}", serde_json::to_string(&outcome).unwrap());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn in_words(event: Event) -> Option<String> {
    match event {
        Event::LanUp { .. } => Some("lan up".to_owned()),
        Event::AgentsReady { .. } => Some("agents ready".to_owned()),
        Event::Calibrating => Some("calibrating".to_owned()),
        Event::TryingRate { rate } => Some(format!("trying {rate}")),
        Event::TrialStarted { condition, trial, .. } => Some(format!("started {condition} {}", trial.number)),
        Event::TrialEnded { condition, trial, marks } => {
            let marks: Vec<_> = marks.iter().map(ToString::to_string).collect();
            Some(format!("ended {condition} {}: {}", trial.number, marks.join("; ")))
        }
        Event::Tick => None,
    }
}

/// The test's next line. A test that has gone wants no more.
fn answer() -> String {
    let mut line = String::new();
    if std::io::stdin().read_line(&mut line).is_ok_and(|length| length > 0) {
        return line;
    }
    std::process::exit(1)
}

/// A copy of the test program that anybody may execute, wherever the build folder is.
fn this_program() -> PathBuf {
    static COPY: OnceLock<tempfile::TempDir> = OnceLock::new();
    let folder = COPY.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a temporary folder");
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        fs::copy(std::env::current_exe().unwrap(), folder.path().join("tests")).expect("a copy of this program");
        folder
    });
    folder.path().join("tests")
}
