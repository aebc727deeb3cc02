//! `netlab lab run`: measure, judge, tell.

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use serde_json::{Value, json};

use super::verdict::{outcome, verdicts};
use super::{LabName, Loaded, counted, describe, load, more, predict};
use crate::cli::paragraph::columns;
use crate::cli::running::{Detail, Order, Run, add_to, carry_out, note, random_seed};
use crate::error::{Error, Result};
use crate::lab::judge::prediction;
use crate::lab::{Lab, Question, judge};
use crate::results::row::{ClaimRow, PredictionRow};
use crate::results::table::Paint;
use crate::run::MeasurePlan;

/// More tables than these nobody looks at; the report has pictures.
const MOST_TABLES: usize = 2;

/// Arguments of `netlab lab run`.
#[derive(clap::Args)]
#[command(after_help = EXIT_CODES)]
pub(super) struct Args {
    /// A lab's name, or a lab file
    #[arg(value_name = "NAME|FILE", value_parser = LabName, hide_possible_values = true)]
    lab: PathBuf,
    /// A first look: fewer and shorter repeats, as the lab says; intervals are wider, so claims may stay undecided
    #[arg(long)]
    quick: bool,
    /// Ask the lab's questions first, and show the guesses beside what was measured
    #[arg(long)]
    predict: bool,
    /// Folder for the results; must not hold another run [default: a new one under results/]; with --more, the folder of the
    /// run [default: the newest of this lab under results/]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Orders the trials; the same seed gives the same order [default: random]
    #[arg(long, value_name = "SEED")]
    seed: Option<u64>,
    /// How often each condition is repeated [default: as the lab says]
    #[arg(long, value_name = "N")]
    trials: Option<u32>,
    /// Add N repeats of each condition to a run of this lab that has ended, and judge all of them
    #[arg(
        long,
        value_name = "N",
        value_parser = clap::value_parser!(u32).range(1..=1000),
        conflicts_with_all = ["quick", "predict", "seed", "trials"]
    )]
    more: Option<u32>,
    /// Print one JSON object a line: conditions, claims, guesses, the summary last
    #[arg(long)]
    json: bool,
}

const EXIT_CODES: &str = "\
Exit codes: 0 all claims came out as the lab expects (or cannot be shown here), 3 some
did not or stayed undecided, or a condition had no valid trial, 2 wrong usage or a bad
file, 4 not permitted here, 130 interrupted.";

/// Runs it. To be called before any thread exists.
///
/// # Errors
/// Wrong usage or a bad file; a machine that does not permit the LAN; a failure while running; an interruption; claims
/// that did not come out as expected.
pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let loaded = load(&args.lab)?;
    let (run, guesses) = match args.more {
        Some(trials) => {
            let ended = more::ended(&loaded, args.out.as_deref())?;
            let guesses = more::guesses(&ended.dir, &loaded.lab.questions)?;
            let all = ended.plan.conditions.len() * trials as usize;
            note(&format!("{}: {} more, added to {}", loaded.lab.title, counted(all, "trial"), ended.dir.display()));
            (add_to(ended, trials)?, guesses)
        }
        None => {
            let plan = plan(&loaded.lab, args)?;
            let design = if args.quick { &loaded.lab.quick } else { &loaded.lab.design };
            note(&format!("{}: {}", loaded.lab.title, describe::extent(&plan)));
            let guesses = if args.predict { Some(guesses(&loaded.lab.questions)?) } else { None };
            let run = carry_out(Order {
                plan,
                leaves_out_broadcast: design.leaves_out_broadcast(),
                out: args.out.as_deref(),
                lab: Some(in_metadata(&loaded, args.quick)),
            })?;
            (run, guesses)
        }
    };
    let mut claims = judge(&loaded.lab.claims, &run.plan, &run.measured.hosts, &run.measured.limits);
    for claim in &mut claims {
        if let Some(trials) = claim.more_trials {
            claim.remark += &format!(" ({})", more::command(&args.lab, trials, run.store.dir()));
        }
    }
    run.store.write(&claims)?;
    let predictions = guesses.map(|guesses| predicted(&loaded.lab.questions, &guesses, &run));
    if let Some(predictions) = &predictions {
        run.store.write(predictions)?;
    }
    let predictions = predictions.unwrap_or_default();
    let shown = if args.json { print_json(&run, &claims, &predictions) } else { print(&run, &claims, &predictions) };
    shown.context("writing to standard output")?;
    run.conclude()?;
    let shortfall = run.shortfall();
    if shortfall.is_some() || claims.iter().any(|claim| !claim.as_expected) {
        return Err(Error::not_shown(outcome(&claims, shortfall.as_deref())).into());
    }
    Ok(ExitCode::SUCCESS)
}

/// What is measured, with what the flags change.
fn plan(lab: &Lab, args: &Args) -> Result<MeasurePlan> {
    let mut design = if args.quick { lab.quick.clone() } else { lab.design.clone() };
    design.seed = args.seed.unwrap_or_else(random_seed);
    design.trials = args.trials.unwrap_or(design.trials);
    design.plan().map_err(|refused| Error::usage(format!("--{refused}")))
}

fn guesses(questions: &[Question]) -> anyhow::Result<Vec<Option<f64>>> {
    if questions.is_empty() {
        note("This lab asks nothing.");
        return Ok(Vec::new());
    }
    let echo = !io::stdin().is_terminal();
    let asked = predict::ask(questions, columns(), echo, &mut io::stdin().lock(), &mut io::stderr().lock());
    asked.context("asking the questions")
}

/// The lab for `run.json`: what the report's heading needs, and the file itself.
fn in_metadata(loaded: &Loaded, quick: bool) -> Value {
    let Lab { name, title, lecture, .. } = &loaded.lab;
    json!({"name": name, "title": title, "lecture": lecture, "quick": quick, "toml": loaded.toml})
}

/// The guesses beside what was measured.
fn predicted(questions: &[Question], guesses: &[Option<f64>], run: &Run) -> Vec<PredictionRow> {
    let asked = (1..).zip(questions).zip(guesses);
    asked
        .map(|((number, question), guess)| prediction(number, question, *guess, &run.plan, &run.measured.hosts))
        .collect()
}

fn print(run: &Run, claims: &[ClaimRow], predictions: &[PredictionRow]) -> io::Result<()> {
    if run.plan.settings().len() <= MOST_TABLES {
        run.print(Detail::Table)?;
    }
    run.print_bursts()?;
    let mut out = anstream::stdout().lock();
    let columns = columns();
    write!(out, "{}", verdicts(claims, columns, Paint::Ansi))?;
    writeln!(out, "{}", outcome(claims, run.shortfall().as_deref()))?;
    if run.measured.interrupted {
        writeln!(out, "The run was interrupted: the verdicts are those of the {}.", so_far(run))?;
    }
    if !predictions.is_empty() {
        write!(out, "\n{}\n{}", Paint::Ansi.bold("Your guesses"), predict::compared(predictions, columns))?;
    }
    writeln!(out)
}

/// `12 of 45 trials that were done`
fn so_far(run: &Run) -> String {
    let done: usize = run.measured.marks.values().map(Vec::len).sum();
    let all = run.plan.conditions.len() * run.plan.trials as usize;
    format!("{done} of {} that were done", counted(all, "trial"))
}

fn print_json(run: &Run, claims: &[ClaimRow], predictions: &[PredictionRow]) -> io::Result<()> {
    let mut others = Vec::new();
    for claim in claims {
        others.push(event("claim", serde_json::to_value(claim)?));
    }
    for prediction in predictions {
        others.push(event("prediction", serde_json::to_value(prediction)?));
    }
    run.print_json(&others)
}

/// The row as an object that says what it is.
fn event(name: &str, mut row: Value) -> Value {
    row["event"] = name.into();
    row
}
