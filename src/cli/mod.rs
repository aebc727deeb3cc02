//! The command line: the only users of clap, one file a subcommand.
//!
//! | Where is … | in |
//! |---|---|
//! | what `unicast`, `broadcast` and `multicast` have in common | `traffic.rs` (flags), `send.rs` and `recv.rs` (the two directions) |
//! | how an address is written | `address.rs` |
//! | what is shown while it runs, and at the end | `screen.rs`, `texts.rs`, `summary.rs` |
//! | why nothing arrives | `silence.rs` |
//! | what a server tells of who comes and goes | `reporter.rs` |
//! | Ctrl-C | `interrupt.rs` |
//! | `netlab lan shell`, and the program under the name `on` | `lan.rs`; what its router runs: `router.rs` |
//! | a shell whose prompt says where one is; the program under the name `counts` | `shell.rs`; `counts.rs` |
//! | the chat: its server, its clients | `chat/` |
//! | the main comparison, and one host's part of it | `measure.rs`, `agent.rs` |
//! | the MQTT broker and clients | `pubsub/` |
//! | drawing the report of a run again | `report.rs` |
//! | labs: the menu, a run, guesses | `lab/` |
//! | how a measurement runs and what is told of it, whoever asked for it | `running.rs` |
//! | lines that fit the terminal | `paragraph.rs` |

use std::ffi::OsStr;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::str::FromStr;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Parser, Subcommand};

use self::paragraph::{columns_of, fitted};
use crate::error::{Error, ExitClass};
use crate::escaped;

mod address;
mod agent;
mod broadcast;
mod chat;
mod completions;
mod counts;
mod interrupt;
mod lab;
mod lan;
mod measure;
mod multicast;
mod paragraph;
mod pubsub;
mod recv;
mod report;
mod reporter;
mod router;
mod running;
mod screen;
mod send;
mod shell;
mod silence;
mod summary;
mod texts;
mod traffic;
mod unicast;

/// A UDP networking lab: the same messages by unicast, broadcast and multicast.
#[derive(Parser)]
#[command(name = "netlab", version, max_term_width = 110, subcommand_required = true, after_help = START_HERE)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const START_HERE: &str = "\
Start here:
  netlab measure                             who pays? on a virtual LAN, in 90 s
  netlab lab list                            labs to choose from
By hand, in two terminals of one machine, or of two on the same LAN:
  netlab multicast --group 239.1.1.1 recv    listens; says why if nothing comes
  netlab multicast --group 239.1.1.1 send    1,000 messages a second for 60 s
Then the same by unicast and broadcast; `netlab COMMAND --help` has examples.

`netlab lan shell` opens a virtual LAN of four hosts on this machine, as any
user; in it, `on h2 COMMAND` runs a command on host h2.

Exit codes: 0 done, 1 failed while running, 2 wrong usage or a bad file, 3 a
lab's claim was not borne out or nothing valid was measured, 4 not permitted
here (the message ends with the remedy), 130 interrupted.";

/// Reads one of a closed set of spellings, which help and completions then list.
fn spelled<T, const N: usize>(spellings: [&'static str; N]) -> impl TypedValueParser<Value = T>
where
    T: FromStr<Err = String> + Clone + Send + Sync + 'static,
{
    PossibleValuesParser::new(spellings).try_map(|text| text.parse::<T>())
}

#[derive(Subcommand)]
enum Command {
    /// Send to, or receive at, hosts' own addresses: one copy for each receiver
    Unicast(unicast::Args),
    /// Send to, or receive as, every host of the LAN: one copy for all, wanted or not
    Broadcast(broadcast::Args),
    /// Send to, or receive from, groups: one copy for all who joined
    Multicast(multicast::Args),
    /// A chat: what one says, a server relays to all
    Chat(chat::Args),
    /// Publish and subscribe by MQTT: a broker, and clients of it or of any other
    Pubsub(pubsub::Args),
    /// Measure who pays for each mode of delivery, on a virtual LAN
    Measure(measure::Args),
    /// Draw the report of a run again, from its tables
    Report(report::Args),
    /// Labs: a network, what is measured on it, and claims that the run holds or refutes
    Lab(lab::LabArgs),
    /// A virtual LAN in which to try things, as any user, on this machine alone
    Lan(lan::LanArgs),
    /// Serve one host of a measurement
    #[command(hide = true)]
    Agent(agent::Args),
    /// Forward multicast between interfaces, or ask on one of them who wants which groups
    #[command(hide = true)]
    Router(router::Args),
    /// Print the completions of a shell
    Completions(completions::Args),
}

/// Parses the command line, runs the subcommand, prints what went wrong, and gives the exit code. Called under the name
/// `on`, it runs a command on a host of the LAN of `lan shell` instead, and under the name `counts` it shows what its links
/// have carried.
pub fn main() -> ExitCode {
    let mut words = std::env::args_os();
    let name = words.next().and_then(|path| Path::new(&path).file_name().map(OsStr::to_owned)).unwrap_or_default();
    match name.to_str() {
        Some("on") => return lan::on(words),
        Some("counts") => return counts::counts(words),
        _ => {}
    }
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(stop) => {
            // Help and version come this way too; a reader that has gone away is no failure.
            let _ = print_fitted(&stop);
            return if stop.use_stderr() { ExitClass::Usage.code().into() } else { ExitCode::SUCCESS };
        }
    };
    let outcome = match cli.command {
        Command::Unicast(args) => unicast::run(&args),
        Command::Broadcast(args) => broadcast::run(&args),
        Command::Multicast(args) => multicast::run(&args),
        Command::Chat(args) => chat::run(&args),
        Command::Pubsub(args) => pubsub::run(&args),
        Command::Measure(args) => measure::run(&args),
        Command::Report(args) => report::run(&args),
        Command::Lab(args) => lab::run(&args),
        Command::Lan(args) => lan::run(&args).map_err(Into::into),
        Command::Agent(args) => agent::run(&args),
        Command::Router(args) => router::run(&args),
        Command::Completions(args) => completions::run(&args),
    };
    outcome.unwrap_or_else(|error| explain(&error))
}

/// Prints what the parser has to say, in its own style unless some of it is too long for the terminal, or an argument in it
/// would steer it.
fn print_fitted(stop: &clap::Error) -> io::Result<()> {
    let text = stop.render().to_string();
    let columns = if stop.use_stderr() { columns_of(io::stderr()) } else { columns_of(io::stdout()) };
    match fitted(&escaped::lines(&text), columns) {
        fits if fits == text => stop.print(),
        lines if stop.use_stderr() => io::stderr().write_all(lines.as_bytes()),
        lines => io::stdout().write_all(lines.as_bytes()),
    }
}

/// Prints a failure with its causes and its remedy, and gives the exit code its class asks for.
fn explain(error: &anyhow::Error) -> ExitCode {
    if error.chain().any(is_broken_pipe) {
        return ExitCode::SUCCESS;
    }
    running::note(&format!("netlab: {error:#}"));
    let class = error.chain().find_map(|cause| cause.downcast_ref::<Error>()).map_or(ExitClass::Failed, Error::class);
    class.code().into()
}

/// Whether whoever read our output has had enough (`netlab … | head`).
fn is_broken_pipe(cause: &(dyn std::error::Error + 'static)) -> bool {
    cause.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn failures_end_with_the_code_of_their_class() {
        let code = |error: anyhow::Error| format!("{:?}", explain(&error));
        assert_eq!(code(Error::usage("no").into()), format!("{:?}", ExitCode::from(2)));
        assert_eq!(
            code(anyhow::Error::from(Error::not_permitted("no", "sudo")).context("opening")),
            format!("{:?}", ExitCode::from(4))
        );
        assert_eq!(code(anyhow::anyhow!("no")), format!("{:?}", ExitCode::from(1)));
        let pipe = anyhow::Error::from(io::Error::from(io::ErrorKind::BrokenPipe)).context("writing");
        assert_eq!(code(pipe), format!("{:?}", ExitCode::SUCCESS));
    }
}
