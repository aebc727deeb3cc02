//! `netlab report RESULT_DIR`.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;

use crate::cli::escaped;
use crate::report;

/// Arguments of `netlab report`.
#[derive(clap::Args)]
#[command(after_help = "\
The report is one file, report.html, that needs no network. Its charts are also beside it, in charts/, for slides.
It is drawn from the tables in the folder alone; run it again after you changed them.

Example:
  netlab report results/2026-03-01T093000Z-1f0c99aa")]
pub(crate) struct Args {
    /// The folder with the results of a run
    #[arg(value_name = "RESULT_DIR")]
    dir: PathBuf,
}

/// Draws the report and prints the name of its file.
///
/// # Errors
/// Usage where it is no result folder or a table in it is malformed; failed where the report cannot be written.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let written = report::write(&args.dir)?;
    writeln!(io::stdout(), "{}", escaped::lines(&written.page.display().to_string()))
        .context("writing to standard output")?;
    Ok(ExitCode::SUCCESS)
}
