//! `netlab lab show`: the handout, what is measured, what is claimed.

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;

use super::describe::{self, Fact};
use super::verdict::Lecture;
use super::{LabName, Loaded, load, markdown};
use crate::cli::escaped;
use crate::cli::paragraph::{columns, wrapped};
use crate::error::Error;
use crate::results::table::Paint;
use crate::run::{Design, MeasurePlan};

/// Arguments of `netlab lab show`.
#[derive(clap::Args)]
pub(super) struct Args {
    /// A lab's name, or a lab file
    #[arg(value_name = "NAME|FILE", value_parser = LabName, hide_possible_values = true)]
    lab: PathBuf,
    /// Print the lab file itself, to copy and change
    #[arg(long)]
    toml: bool,
}

/// Prints it.
pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let loaded = load(&args.lab)?;
    let shown = if args.toml {
        let toml = if io::stdout().is_terminal() { escaped::lines(&loaded.toml) } else { (&*loaded.toml).into() };
        io::stdout().write_all(toml.as_bytes())
    } else {
        let page = page(&loaded, columns(), Paint::Ansi)?;
        write!(anstream::stdout().lock(), "{page}")
    };
    shown.context("writing to standard output")?;
    Ok(ExitCode::SUCCESS)
}

fn page(loaded: &Loaded, columns: usize, paint: Paint) -> Result<String, Error> {
    let lab = &loaded.lab;
    let plan = |design: &Design| design.plan().map_err(|refused| Error::usage(refused.to_string()));
    let (full, quick): (MeasurePlan, MeasurePlan) = (plan(&lab.design)?, plan(&lab.quick)?);
    let mut page = match loaded.handout {
        Some(handout) => markdown::rendered(handout, columns, paint),
        None => markdown::rendered(&format!("# {}", lab.title), columns, paint),
    };
    let heading = |page: &mut String, text: &str| *page += &format!("\n{}\n", paint.bold(text));
    heading(&mut page, "The sentence of the lecture");
    push(&mut page, wrapped(&lab.lecture, columns, "", ""));

    heading(&mut page, "What is measured");
    let (common, cases) = describe::facts(&lab.design);
    push_facts(&mut page, &common, columns, "");
    for (name, facts) in &cases {
        push(&mut page, wrapped(name, columns, "case      ", "          "));
        push_facts(&mut page, facts, columns, "  ");
    }
    let extent = [("in all", describe::extent(&full)), ("--quick", describe::extent(&quick))];
    push_facts(&mut page, &extent, columns, "");

    if !lab.claims.is_empty() {
        heading(&mut page, "What is claimed");
    }
    let mut lecture = Lecture::default();
    for claim in &lab.claims {
        let introduced = lecture.introduced(&claim.statement, columns);
        push(&mut page, introduced.iter().map(|line| paint.dim(line)).collect());
        let (says, judged) = describe::claim(claim);
        push(&mut page, wrapped(&says, columns, &format!("{:<8}", claim.statement), "        "));
        let lines = wrapped(&judged, columns, "        ", "        ");
        push(&mut page, lines.iter().map(|line| paint.dim(line)).collect());
    }
    if !lab.questions.is_empty() {
        heading(&mut page, "What --predict asks first");
    }
    for (number, question) in (1..).zip(&lab.questions) {
        push(&mut page, wrapped(&question.ask, columns, &format!("{number}. "), "   "));
    }
    Ok(page)
}

fn push(page: &mut String, lines: Vec<String>) {
    for line in lines {
        *page += &line;
        page.push('\n');
    }
}

fn push_facts(page: &mut String, facts: &[Fact], columns: usize, indent: &str) {
    for (word, text) in facts {
        let (first, others) = (format!("{indent}{word:<10}"), format!("{indent}{:<10}", ""));
        push(page, wrapped(text, columns, &first, &others));
    }
}
