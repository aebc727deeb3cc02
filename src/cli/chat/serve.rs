//! `netlab chat serve`.

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::super::interrupt;
use super::super::reporter::Reporter;
use super::super::running::note;
use super::super::spelled;
use super::{display, socket_address};
use crate::chat::news::News;
use crate::chat::server::{Counts, Relay, Server, ServerOptions};
use crate::error::{Error, Result};
use crate::units::{Bytes, Rate, parse_duration};
use crate::wire::chat::MAX_LINE;

/// Arguments of `netlab chat serve`.
#[derive(clap::Args)]
#[command(after_help = "\
It is built the way the lecture tells it: a listening socket that only accepts,
and for each client a socket and a thread that reads a message and at once sends
it to all. `--relay direct` does just that, so one client that does not read
stalls all others. `--relay queued` keeps what a client does not take in a queue
of its own. Whoever says more than others take is read later, so nobody who reads
is dropped for it; but a client that the others have waited for, it alone, for
0.1 s longer than 4 MB/s would take is slow: nobody waits for it any more, and
when its queue overflows, it is told and dropped.

Who comes and goes is told on standard error, a line each, and so is why.
Ctrl-C ends it in order: everybody gets what waits, and is told. There are no
passwords and no encryption: who reaches the address can join.")]
pub(crate) struct Args {
    /// Listen here; 0.0.0.0 is all addresses of this host, port 0 any free one [default: 127.0.0.1:4747]
    #[arg(long, value_name = "ADDR[:PORT]")]
    listen: Option<String>,
    /// How a message gets to the clients
    #[arg(long, value_parser = spelled::<Relay, 2>(Relay::ALL.map(Relay::as_str)), default_value = "queued")]
    relay: Relay,
    /// Most connections at a time
    #[arg(long, value_name = "N", default_value_t = 4096, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    max_clients: u32,
    /// Most connections at a time from one address; loopback is exempt [default: no limit]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    max_per_address: Option<u32>,
    /// Messages a second taken from each client, a second's worth at once; a long one counts as one for each 128 bytes;
    /// who sends more is read later, nothing is lost: 500, 10k, max
    #[arg(long, value_name = "RATE", default_value = "1k")]
    rate: Rate,
    /// What may wait for a client in its queue: 256k, … (with the queued relay)
    #[arg(long, value_name = "BYTES", default_value = "256k")]
    queue: Bytes,
    /// How long a connection may take to join
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = parse_duration)]
    join_within: Duration,
    /// How long a client's host may be silent until it counts as lost, from 1s to 1h
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = parse_duration)]
    dead_after: Duration,
    /// Do not tell who comes and goes
    #[arg(short, long)]
    quiet: bool,
    /// Print what was counted as a JSON object at the end
    #[arg(long)]
    json: bool,
}

impl Args {
    fn options(&self) -> Result<ServerOptions> {
        let defaults = ServerOptions::default();
        let listen = match &self.listen {
            Some(text) => socket_address(text, "--listen", true)?,
            None => defaults.listen,
        };
        if !(Duration::from_secs(1)..=Duration::from_secs(3600)).contains(&self.dead_after) {
            return Err(Error::usage("--dead-after: give a time from 1s to 1h"));
        }
        if self.queue.0 < 2 * MAX_LINE {
            return Err(Error::usage("--queue: give 8k or more; one line may have 4k"));
        }
        Ok(ServerOptions {
            listen,
            relay: self.relay,
            max_clients: self.max_clients as usize,
            max_per_address: self.max_per_address.map(|most| most as usize),
            messages_per_second: self.rate.per_second(),
            queue_bytes: self.queue.0,
            join_within: self.join_within,
            dead_after: self.dead_after,
            ..defaults
        })
    }
}

/// Serves until it is interrupted, then prints what it has done.
///
/// # Errors
/// Usage; a port in use; standard output's own.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let options = args.options()?;
    // Before any thread exists, so that none of them is chosen to die of a signal. The second one ends it at once.
    interrupt::stop_flag().context("installing signal handlers")?;
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP]).context("installing signal handlers")?;
    let (watcher, reporter) = Reporter::unless(args.quiet, |news: News| display::news(&news), note)?;
    let server = Server::watched(&options, watcher)?;
    let address = server.local_addr();
    note(&format!("listening on {address}, {} relay, up to {} clients", options.relay, server.max_clients()));
    if server.max_clients() < options.max_clients {
        note(&format!(
            "--max-clients {} would need more open files than this process may have: ulimit -n",
            options.max_clients
        ));
    }
    if address.ip().is_loopback() {
        note(&format!(
            "on this host: netlab chat join {address} --name NAME, or: nc {} {}",
            address.ip(),
            address.port()
        ));
    } else {
        note("whoever reaches this address can join: there are no passwords and no encryption");
    }
    signals.forever().next();

    let counts = server.stop();
    if let Some(reporter) = reporter {
        reporter.finish();
    }
    let mut out = io::stdout().lock();
    match args.json {
        true => writeln!(out, "{}", serde_json::to_string(&counts)?),
        false => writeln!(out, "{}", in_words(&counts)),
    }
    .context("writing to standard output")?;
    Ok(ExitCode::SUCCESS)
}

fn in_words(counts: &Counts) -> String {
    let mut words = format!(
        "{} messages relayed in {} copies; {} clients joined, at most {} at a time",
        counts.messages_read, counts.copies_written, counts.clients_joined, counts.clients_most
    );
    for (count, what) in [
        (counts.clients_dropped_slow, "dropped because they read too slowly"),
        (counts.clients_lost, "lost"),
        (counts.clients_too_late, "connections that never joined"),
        (counts.connections_refused, "connections refused"),
        (counts.lines_refused, "bad lines refused"),
    ] {
        if count > 0 {
            words += &format!("; {count} {what}");
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_went_wrong_is_told_where_it_did() {
        let counts =
            Counts { messages_read: 3, copies_written: 6, clients_joined: 2, clients_most: 2, ..Counts::default() };
        assert_eq!(in_words(&counts), "3 messages relayed in 6 copies; 2 clients joined, at most 2 at a time");
        let counts = Counts { clients_dropped_slow: 1, ..counts };
        assert!(in_words(&counts).ends_with("; 1 dropped because they read too slowly"));
    }
}
