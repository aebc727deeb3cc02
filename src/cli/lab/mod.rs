//! `netlab lab`: the menu of labs, their handouts, their runs.
//!
//! | Where is … | in |
//! |---|---|
//! | which lab is meant, and how its file is read | here |
//! | the menu | `list.rs` |
//! | the handout, and what a lab measures and claims in words | `show.rs`, `describe.rs`, `markdown.rs` |
//! | a run and its verdicts | `run.rs`, `verdict.rs`; trials that are added to it | `more.rs` |
//! | guesses before a run | `predict.rs` |
//! | whether a file is right | `check.rs` |

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::builder::{PossibleValue, TypedValueParser};
use clap::{Args, Subcommand};

use crate::error::{Error, Result};
use crate::lab::library::{self, LABS};
use crate::lab::{self, Lab, Problem};

mod check;
mod describe;
mod list;
mod markdown;
mod more;
mod predict;
mod run;
mod show;
mod verdict;

/// Arguments of `netlab lab`.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct LabArgs {
    #[command(subcommand)]
    command: LabCommand,
}

#[derive(Subcommand)]
enum LabCommand {
    /// The labs there are: what each is about, how large it is, how long it takes
    List(list::Args),
    /// The handout of a lab, what it measures and what it claims
    Show(show::Args),
    /// Run a lab: measure, judge its claims, draw the report
    Run(run::Args),
    /// Check lab files without running them; says all that is wrong, and where
    Check(check::Args),
}

const EXAMPLES: &str = "\
Examples:
  netlab lab list
  netlab lab show one-to-many
  netlab lab run one-to-many --predict               guess first, then see
  netlab lab show one-to-many --toml > mine.toml     a lab of your own, to change
  netlab lab check mine.toml
  netlab lab run mine.toml --quick --out results/mine
  netlab lab run mine.toml --more 5 --out results/mine   five repeats more, where a claim is undecided";

/// Runs `netlab lab …`. To be called before any thread exists.
///
/// # Errors
/// Wrong usage or a bad file; what a run can end with.
pub(super) fn run(args: &LabArgs) -> anyhow::Result<ExitCode> {
    match &args.command {
        LabCommand::List(args) => list::run(args),
        LabCommand::Show(args) => show::run(args),
        LabCommand::Run(args) => run::run(args),
        LabCommand::Check(args) => check::run(args),
    }
}

/// Parses NAME|FILE: anything is one; completions know the names.
#[derive(Clone)]
struct LabName;

impl TypedValueParser for LabName {
    type Value = PathBuf;

    fn parse_ref(
        &self,
        _command: &clap::Command,
        _argument: Option<&clap::Arg>,
        value: &std::ffi::OsStr,
    ) -> std::result::Result<PathBuf, clap::Error> {
        Ok(value.into())
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(LABS.iter().map(|lab| PossibleValue::new(lab.name))))
    }
}

/// A lab and where it is from.
struct Loaded {
    lab: Lab,
    /// The text of its file.
    toml: String,
    /// What students read; of built-in labs.
    handout: Option<&'static str>,
}

/// Finds the lab that is meant, and reads it: a file where it looks like one or is there, otherwise a built-in one.
fn load(name: &Path) -> Result<Loaded> {
    let shown = name.display().to_string();
    if looks_like_a_file(name) || name.is_file() {
        let text = read_file(name)?;
        let stem = name.file_stem().unwrap_or(name.as_os_str()).to_string_lossy();
        let lab = lab::read(&stem, &text).map_err(|problems| wrong(&shown, &problems))?;
        return Ok(Loaded { lab, toml: String::from_utf8_lossy(&text).into_owned(), handout: None });
    }
    let Some(built_in) = library::find(&shown) else {
        let meant = library::nearest_name(&shown).map_or(String::new(), |name| format!("did you mean {name}? "));
        return Err(Error::usage(format!(
            "there is no lab '{shown}'; {meant}`netlab lab list` names all of them (a lab file ends with .toml)"
        )));
    };
    let lab = built_in.lab().map_err(|problems| wrong(&format!("{shown}.toml"), &problems))?;
    Ok(Loaded { lab, toml: built_in.toml.to_owned(), handout: Some(built_in.handout) })
}

fn looks_like_a_file(name: &Path) -> bool {
    name.extension().is_some_and(|extension| extension == "toml") || name.components().count() > 1 || name.is_absolute()
}

/// The bytes of a lab file.
fn read_file(path: &Path) -> Result<Vec<u8>> {
    /// No lab is larger.
    const LARGEST: u64 = 1 << 20;
    let mut text = Vec::new();
    File::open(path)
        .and_then(|file| file.take(LARGEST + 1).read_to_end(&mut text))
        .map_err(|cause| Error::usage(format!("{} cannot be read", path.display())).because(cause))?;
    if text.len() as u64 > LARGEST {
        return Err(Error::usage(format!("{} is larger than 1 MiB; is it a lab file?", path.display())));
    }
    Ok(text)
}

/// All that is wrong with a file, a line each: `file:line:column: what, and what would be right`.
fn lines(file: &str, problems: &[Problem]) -> Vec<String> {
    problems.iter().map(|problem| format!("{file}:{problem}")).collect()
}

fn wrong(file: &str, problems: &[Problem]) -> Error {
    let lines = lines(file, problems);
    Error::usage(match &lines[..] {
        [one] => one.clone(),
        several => format!("{file} has {} mistakes\n{}", several.len(), several.join("\n")),
    })
}

/// A time to choose by: `20 s`, `2 min`.
fn roughly(time: Duration) -> String {
    match time.as_secs_f64() {
        seconds if seconds < 20.0 => format!("{:.0} s", seconds.ceil()),
        seconds if seconds < 100.0 => format!("{:.0} s", (seconds / 5.0).round() * 5.0),
        seconds => format!("{:.0} min", (seconds / 60.0).round()),
    }
}

/// A number with its noun.
fn counted(count: usize, noun: &str) -> String {
    super::summary::counted(count as u64, noun, &format!("{noun}s"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_like_a_file_is_one() {
        for file in ["mine.toml", "./one-to-many", "/tmp/x", "labs/one-to-many"] {
            assert!(looks_like_a_file(Path::new(file)), "{file}");
        }
        for name in ["one-to-many", "mine", "x.tml"] {
            assert!(!looks_like_a_file(Path::new(name)), "{name}");
        }
    }

    #[test]
    fn times_to_choose_by() {
        let of = |seconds: f64| roughly(Duration::from_secs_f64(seconds));
        assert_eq!(
            [of(7.2), of(21.0), of(52.0), of(99.0), of(100.0), of(290.0)],
            ["8 s", "20 s", "50 s", "100 s", "2 min", "5 min"]
        );
    }
}
