//! The command line: the only users of clap, one file a subcommand.

use std::path::Path;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub mod lan;

/// A UDP networking lab: the same messages by unicast, broadcast and multicast, counted and costed at every host.
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// A virtual LAN to try things in.
    Lan(lan::LanArgs),
}

/// Parses the command line, runs the subcommand, prints what went wrong, and gives the exit code.
pub fn main() -> ExitCode {
    let mut args = std::env::args_os();
    if args.next().is_some_and(|name| Path::new(&name).file_name().is_some_and(|name| name == "on")) {
        return lan::on(args);
    }
    let Command::Lan(args) = Cli::parse().command;
    lan::run(&args).unwrap_or_else(|error| {
        eprintln!("netlab: {error}");
        ExitCode::from(error.class().code())
    })
}
