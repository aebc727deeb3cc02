//! `netlab agent`: one host's part of a measurement, started by the runner with the control line as standard input.

use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;

use anyhow::Context;

/// Serve one host of a measurement
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The host's interface; a router has several
    #[arg(long, value_name = "NAME,…", value_delimiter = ',', required = true)]
    interface: Vec<String>,
}

/// Serves until the runner closes the line.
///
/// # Errors
/// When standard input is no socket, or the line breaks.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let line = std::io::stdin().as_fd().try_clone_to_owned().context("taking over standard input")?;
    crate::run::agent::serve(UnixStream::from(line), &args.interface)?;
    Ok(ExitCode::SUCCESS)
}
