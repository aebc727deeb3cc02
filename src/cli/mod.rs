//! The command line: the only users of clap, one file a subcommand.

use std::process::ExitCode;

/// Parses the command line, runs the subcommand, prints what went wrong, and gives the exit code.
pub fn main() -> ExitCode {
    ExitCode::SUCCESS
}
