//! `netlab completions SHELL`.

use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::Context;
use clap::CommandFactory;
use clap_complete::Shell;

/// Arguments of `netlab completions`.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  source <(netlab completions bash)
  netlab completions zsh  > ~/.zfunc/_netlab        (with fpath+=~/.zfunc before compinit)
  netlab completions fish > ~/.config/fish/completions/netlab.fish")]
pub(crate) struct Args {
    /// The shell that is to complete netlab's flags
    shell: Shell,
}

/// Prints the completion script to standard output.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    // By way of a buffer: the generator panics when its writer fails, and a pipe may.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut super::Cli::command(), "netlab", &mut script);
    io::stdout().write_all(&script).context("writing to standard output")?;
    Ok(ExitCode::SUCCESS)
}
