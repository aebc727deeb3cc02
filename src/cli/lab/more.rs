//! `netlab lab run --more`: which run trials are added to, and whether they can be.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::Loaded;
use crate::cli::running::Ended;
use crate::counters::environment::Environment;
use crate::error::{Error, Result};
use crate::lab::Question;
use crate::report::quoted;
use crate::results::metadata::{RunMetadata, Status};
use crate::results::row::PredictionRow;
use crate::results::store::Store;
use crate::run::{MeasurePlan, Measured};

/// Where runs are unless `--out` says otherwise.
const RESULTS: &str = "results";

/// What adds so many trials of each condition to the run in this folder.
pub(super) fn command(lab: &Path, trials: u32, dir: &Path) -> String {
    let [lab, dir] = [lab, dir].map(|path| quoted(&path.display().to_string()));
    format!("netlab lab run {lab} --more {trials} --out {dir}")
}

/// The run in `out`, or the newest of the lab.
///
/// # Errors
/// Usage: why trials cannot be added to it, and what would be right.
pub(super) fn ended(loaded: &Loaded, out: Option<&Path>) -> Result<Ended> {
    let name = &loaded.lab.name;
    let dir = match out {
        Some(dir) => dir.to_owned(),
        None => newest(Path::new(RESULTS), name).ok_or_else(|| {
            let what =
                format!("--more: no folder in {RESULTS}/ holds a run of {name}; name one with --out, or run it first");
            Error::usage(what)
        })?,
    };
    let metadata = Store::read_metadata(&dir)?;
    let environment = serde_json::to_value(Environment::read()).unwrap_or_default();
    if let Some(why) = unfit(&metadata, loaded, &environment) {
        return Err(Error::usage(format!("--more: {} {why}", dir.display())));
    }
    let unreadable = |what: &str| {
        let file = dir.join(crate::results::store::METADATA_FILE);
        Error::usage(format!("{}: its {what} cannot be read; run the lab anew", file.display()))
    };
    let plan: MeasurePlan =
        serde_json::from_value(metadata.plan.clone()).map_err(|cause| unreadable("plan").because(cause))?;
    let measured: Measured =
        serde_json::from_value(metadata.account.clone()).map_err(|cause| unreadable("account").because(cause))?;
    // A rate that was to be found is.
    let plan = MeasurePlan { try_rates: Vec::new(), ..plan };
    let measured = Measured { hosts: Store::read(&dir)?, ..measured };
    if measured.rounds() == 0 || measured.marks.keys().any(|condition| *condition >= plan.conditions.len()) {
        return Err(unreadable("account"));
    }
    Ok(Ended { dir, metadata, plan, measured })
}

/// What was guessed before the run; `None` where nothing was asked.
///
/// # Errors
/// A table that is malformed.
pub(super) fn guesses(dir: &Path, questions: &[Question]) -> Result<Option<Vec<Option<f64>>>> {
    let rows: Option<Vec<PredictionRow>> = Store::read_if_there(dir)?;
    let of = |rows: &Vec<PredictionRow>, number: u32| rows.iter().find(|row| row.question == number)?.guess;
    Ok(rows.map(|rows| (1..).zip(questions).map(|(number, _)| of(&rows, number)).collect()))
}

/// The folder of the lab's run that began last.
fn newest(results: &Path, lab: &str) -> Option<PathBuf> {
    let of_lab = |dir: PathBuf| {
        let metadata = Store::read_metadata(&dir).ok()?;
        (metadata.plan["lab"]["name"].as_str() == Some(lab)).then_some((metadata.started, dir))
    };
    let runs = fs::read_dir(results).ok()?.flatten().filter_map(|entry| of_lab(entry.path()));
    runs.max().map(|(_, dir)| dir)
}

/// Why trials cannot be added to a run, if they can't: what follows "the folder".
fn unfit(metadata: &RunMetadata, loaded: &Loaded, environment: &Value) -> Option<String> {
    let of_lab = &metadata.plan["lab"];
    let name = &loaded.lab.name;
    let now = RunMetadata::start("", 0, Vec::new());
    let version = |metadata: &RunMetadata| match &metadata.git_commit {
        Some(commit) => format!("{} ({commit})", metadata.netlab_version),
        None => metadata.netlab_version.clone(),
    };
    match of_lab["name"].as_str() {
        None => return Some("holds no run of a lab; repeats can be added to labs alone".to_owned()),
        Some(other) if other != name => return Some(format!("holds a run of {other}, not of {name}")),
        Some(_) => {}
    }
    match metadata.status {
        Status::Complete | Status::Interrupted if !metadata.account.is_null() => {}
        Status::Running => return Some("holds a run that has not ended, or was killed; run the lab anew".to_owned()),
        _ => return Some("holds a run that failed or ended before its first trial; run the lab anew".to_owned()),
    }
    if of_lab["toml"].as_str() != Some(&loaded.toml) {
        return Some(format!("holds a run of {name} as it was before it was changed; run the lab anew"));
    }
    if (&metadata.netlab_version, &metadata.git_commit) != (&now.netlab_version, &now.git_commit) {
        let (then, now) = (version(metadata), version(&now));
        return Some(format!("was measured by netlab {then}, and this is {now}; run the lab anew"));
    }
    let told = ["cpu_model", "cpus_online", "kernel_release", "virtualization"];
    told.into_iter().find(|key| metadata.environment[*key] != environment[*key]).map(|key| {
        let [then, now] = [&metadata.environment[key], &environment[key]];
        format!("was measured on another machine ({key} {then}, here {now}); run the lab anew")
    })
}
