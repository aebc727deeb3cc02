//! `netlab lab check`: whether lab files are right.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;

use super::{LabName, counted, load, roughly};
use crate::cli::escaped;
use crate::cli::running::note;
use crate::error::{Error, ExitClass};

/// Arguments of `netlab lab check`.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Lab files, or names of labs
    #[arg(required = true, value_name = "FILE", value_parser = LabName, hide_possible_values = true)]
    files: Vec<PathBuf>,
}

/// A line for each file: what it measures, or all that is wrong with it.
pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let mut all_right = true;
    for file in &args.files {
        match summary(file) {
            Ok(line) => {
                writeln!(std::io::stdout(), "{}", escaped::lines(&line)).context("writing to standard output")?
            }
            Err(error) => {
                all_right = false;
                note(&error.to_string());
            }
        }
    }
    Ok(if all_right { ExitCode::SUCCESS } else { ExitClass::Usage.code().into() })
}

fn summary(file: &std::path::Path) -> Result<String, Error> {
    let lab = load(file)?.lab;
    let plan = lab.design.plan().map_err(|refused| Error::usage(refused.to_string()))?;
    Ok(format!(
        "{}: {}, {}, about {}",
        file.display(),
        counted(plan.conditions.len(), "condition"),
        counted(lab.claims.len(), "claim"),
        roughly(plan.expected_time())
    ))
}
