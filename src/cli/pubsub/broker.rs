//! `netlab pubsub broker`: an MQTT broker until Ctrl-C.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;
use indicatif::HumanCount;
use serde::Serialize;

use super::login;
use crate::cli::address::WrittenAddress;
use crate::cli::escaped::escaped;
use crate::cli::interrupt;
use crate::cli::reporter::Reporter;
use crate::cli::screen::{Limits, Look, Screen};
use crate::error::{Error, ExitClass, Result};
use crate::pubsub::broker::{Account, Broker, BrokerOptions, Counts, DEFAULT_PORT, Tally};
use crate::pubsub::message::check_filter;
use crate::pubsub::news::{Gone, News, Refused};
use crate::pubsub::secret::Login;
use crate::sys::proc;
use crate::units::{Bytes, parse_duration};

/// How soon a request to stop is noticed.
const STOP_LATENCY: Duration = Duration::from_millis(100);
/// What a packet may be limited to, in bytes.
const PACKET: std::ops::RangeInclusive<usize> = 1 << 10..=16 << 20;

/// Arguments of `netlab pubsub broker`.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  netlab pubsub broker                        for programs of this machine
  netlab pubsub broker --listen 192.168.1.7 --user ann --password-file secret
  netlab pubsub broker --listen 192.168.1.7 --anonymous
                                              anybody on the network may use it

Who comes and goes is told on standard error, a line each, and so is why.
Messages, sessions and passwords are in memory alone. Without TLS, passwords and
messages cross the network as they are.")]
pub(super) struct Args {
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "ADDR[:PORT]", default_value = "127.0.0.1:1883")]
    listen: ListenAddress,
    /// The one user who may connect; the password comes from --password-file or NETLAB_PASSWORD, else you are asked for
    /// it, at a terminal [default: anybody]
    #[arg(long, value_name = "NAME", conflicts_with = "anonymous")]
    user: Option<String>,
    /// A file with the user's password as its first line
    #[arg(long, value_name = "FILE", requires = "user")]
    password_file: Option<PathBuf>,
    /// Let anybody connect from other machines as well
    #[arg(long)]
    anonymous: bool,
    /// Nobody may publish to topics that this filter stands for. May be given several times
    #[arg(long, value_name = "FILTER")]
    deny_publish: Vec<String>,
    /// Nobody may subscribe to topics that this filter stands for, nor gets their messages. May be given several times
    #[arg(long, value_name = "FILTER")]
    deny_subscribe: Vec<String>,
    /// Publish figures of the broker itself under $SYS/ this often [default: never]
    #[arg(long, value_name = "T", value_parser = parse_duration, allow_negative_numbers = true)]
    sys_topics: Option<Duration>,
    /// End after this long: 500ms, 5s, 2m [default: no limit]
    #[arg(short, long, value_name = "T", value_parser = parse_duration, allow_negative_numbers = true)]
    duration: Option<Duration>,
    /// Do not tell who comes and goes
    #[arg(short, long)]
    quiet: bool,
    /// One JSON object per line on standard output: what each second brought, and last the summary
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    limits: LimitArgs,
}

/// Heading in `--help` of the limits.
const LIMITS: &str = "Limits";

/// How much the broker is to hold for its clients.
#[derive(clap::Args)]
struct LimitArgs {
    /// Clients at a time
    #[arg(long, value_name = "N", default_value = "1000", value_parser = clap::value_parser!(u32).range(1..=100_000), allow_negative_numbers = true, help_heading = LIMITS)]
    max_clients: u32,
    /// Connections at a time that have not said who they are; the oldest makes room, and each has 10 s
    #[arg(long, value_name = "N", default_value = "256", value_parser = clap::value_parser!(u32).range(1..=100_000), allow_negative_numbers = true, help_heading = LIMITS)]
    max_waiting: u32,
    /// Sessions kept for clients that are away [default: 4 for each of --max-clients]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=1_000_000), allow_negative_numbers = true, help_heading = LIMITS)]
    max_sessions: Option<u32>,
    /// How long a session is kept at most
    #[arg(long, value_name = "T", default_value = "1h", value_parser = parse_duration, allow_negative_numbers = true, help_heading = LIMITS)]
    max_session: Duration,
    /// The longest silence that a client may ask for, 1s to 65535s; after half as much again it is given up
    #[arg(long, value_name = "T", default_value = "65535s", value_parser = parse_duration, allow_negative_numbers = true, help_heading = LIMITS)]
    max_keep_alive: Duration,
    /// The longest packet taken, 1k to 16384k
    #[arg(long, value_name = "B", default_value = "64k", allow_negative_numbers = true, help_heading = LIMITS)]
    max_packet: Bytes,
    /// Messages that may wait for one client; beyond that QoS 0 is dropped, and of QoS 1 and 2 the oldest
    #[arg(long, value_name = "N", default_value = "4096", value_parser = clap::value_parser!(u32).range(1..=1_000_000), allow_negative_numbers = true, help_heading = LIMITS)]
    queue: u32,
    /// Bytes that may wait for one client
    #[arg(long, value_name = "B", default_value = "16384k", allow_negative_numbers = true, help_heading = LIMITS)]
    queue_bytes: Bytes,
    /// Bytes that may wait for all clients together
    #[arg(long, value_name = "B", default_value = "262144k", allow_negative_numbers = true, help_heading = LIMITS)]
    backlog: Bytes,
    /// Messages of QoS 1 and 2 that may be under way to one client
    #[arg(long, value_name = "N", default_value = "64", value_parser = clap::value_parser!(u16).range(1..=10_000), allow_negative_numbers = true, help_heading = LIMITS)]
    window: u16,
    /// Messages of QoS 2 from one client that may be half done
    #[arg(long, value_name = "N", default_value = "1024", value_parser = clap::value_parser!(u16).range(1..), allow_negative_numbers = true, help_heading = LIMITS)]
    max_half_done: u16,
    /// Topics with a retained message; what comes beyond goes to those who subscribe then, and is not kept
    #[arg(long, value_name = "N", default_value = "100000", value_parser = clap::value_parser!(u32).range(0..=10_000_000), allow_negative_numbers = true, help_heading = LIMITS)]
    max_retained: u32,
    /// Bytes of retained messages
    #[arg(long, value_name = "B", default_value = "65536k", allow_negative_numbers = true, help_heading = LIMITS)]
    retained_bytes: Bytes,
    /// Subscriptions of one client
    #[arg(long, value_name = "N", default_value = "256", value_parser = clap::value_parser!(u32).range(1..=100_000), allow_negative_numbers = true, help_heading = LIMITS)]
    max_subscriptions: u32,
    /// Topic aliases of a connection, each way
    #[arg(long, value_name = "N", default_value = "16", value_parser = clap::value_parser!(u16).range(0..=1_024), allow_negative_numbers = true, help_heading = LIMITS)]
    max_aliases: u16,
}

/// Runs a broker until Ctrl-C or the end of the duration, and gives the exit code.
///
/// # Errors
/// Usage for flags that do not go together; as [`Broker::start`]; standard output's own.
pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let stop = interrupt::stop_flag()?;
    let options = args.options(&stop)?;
    // Each client is one.
    proc::raise_open_file_limit();
    let limits = Limits { count: None, duration: args.duration };
    let screen = Screen::new(args.json, limits);
    let notes = screen.notes();
    let (watcher, reporter) = Reporter::unless(args.quiet, |news: News| in_words(&news), move |line| notes.note(line))?;
    let broker = Broker::watched(&options, watcher)?;
    screen.note(&announcement(&broker, &options));
    if options.login.is_none() && !options.listen.ip().is_loopback() {
        screen.warn(&["anybody who reaches this address may read and write everything".to_owned()]);
    }
    if options.login.is_some() && !options.listen.ip().is_loopback() {
        screen.warn(&["the password crosses the network as it is".to_owned()]);
    }
    let started = Instant::now();
    let names = ["messages_received", "messages_sent", "clients_admitted"];
    screen.watch(
        || wait(args.duration, &stop),
        &stop,
        limits,
        names,
        |_| {
            let counts = broker.counts();
            let [clients, received, sent] =
                [counts.clients, counts.messages.messages_received, counts.messages.messages_sent].map(HumanCount);
            Look {
                totals: [counts.messages.messages_received, counts.messages.messages_sent, counts.clients_admitted],
                counted: 0,
                text: format!("{clients} clients · {received} messages in · {sent} out"),
            }
        },
    );
    let interrupted = stop.load(Ordering::Relaxed);
    let time = started.elapsed();
    let counts = broker.stop();
    if let Some(reporter) = reporter {
        reporter.finish();
    }
    let (duration_s, accounts) = (time.as_secs_f64(), broker.accounts());
    let summary = Summary { event: "summary", mode: "pubsub", interrupted, duration_s, counts, accounts };
    screen.result(&text(&summary), &summary).context("writing to standard output")?;
    // Without a limit there is no other way to end than Ctrl-C.
    Ok(if interrupted && limits.any() { ExitClass::Interrupted.code().into() } else { ExitCode::SUCCESS })
}

fn wait(duration: Option<Duration>, stop: &AtomicBool) {
    let end = duration.and_then(|time| Instant::now().checked_add(time));
    while !stop.load(Ordering::Relaxed) {
        let left = end.map_or(STOP_LATENCY, |end| end.saturating_duration_since(Instant::now()));
        if left.is_zero() {
            return;
        }
        thread::sleep(left.min(STOP_LATENCY));
    }
}

impl Args {
    fn options(&self, stop: &AtomicBool) -> Result<BrokerOptions> {
        let listen = self.listen.0;
        if self.user.is_none() && !self.anonymous && !listen.ip().is_loopback() {
            return Err(Error::usage(format!(
                "--listen {listen}: other machines can reach this address; say who may connect with --user NAME and \
                 --password-file FILE, or let anybody with --anonymous"
            )));
        }
        let limits = &self.limits;
        if !PACKET.contains(&limits.max_packet.0) {
            return Err(Error::usage("--max-packet: a packet is limited to something from 1k to 16384k"));
        }
        if !(Duration::from_secs(1)..=Duration::from_secs(65_535)).contains(&limits.max_keep_alive) {
            return Err(Error::usage("--max-keep-alive is something from 1s to 65535s"));
        }
        self.deny_publish.iter().try_for_each(|filter| check_filter("--deny-publish", filter))?;
        self.deny_subscribe.iter().try_for_each(|filter| check_filter("--deny-subscribe", filter))?;
        // The last of it: a person may have to be asked.
        let login = match &self.user {
            None => None,
            Some(user) if user.is_empty() => {
                return Err(Error::usage("--user is empty; name the user who may connect"));
            }
            Some(user) => {
                let password = login::password(self.password_file.as_deref(), Some(user), stop)?.ok_or_else(|| {
                    Error::usage("--user needs a password: give --password-file FILE, or set NETLAB_PASSWORD")
                })?;
                Some(Login { user: user.clone(), password })
            }
        };
        Ok(BrokerOptions {
            listen,
            login,
            deny_publish: self.deny_publish.clone(),
            deny_subscribe: self.deny_subscribe.clone(),
            max_clients: limits.max_clients as usize,
            max_waiting: limits.max_waiting as usize,
            max_sessions: limits.max_sessions.unwrap_or(limits.max_clients.saturating_mul(4)) as usize,
            max_session: limits.max_session,
            max_keep_alive: limits.max_keep_alive,
            max_packet: limits.max_packet.0,
            queue: limits.queue as usize,
            queue_bytes: limits.queue_bytes.0,
            backlog: limits.backlog.0,
            window: limits.window.into(),
            max_half_done: limits.max_half_done,
            max_retained: limits.max_retained as usize,
            retained_bytes: limits.retained_bytes.0,
            max_subscriptions: limits.max_subscriptions as usize,
            max_aliases: limits.max_aliases,
            sys_topics: self.sys_topics,
            timed: false,
        })
    }
}

fn announcement(broker: &Broker, options: &BrokerOptions) -> String {
    let who = match &options.login {
        Some(login) => format!("for user {}", login.user),
        None => "for anybody".to_owned(),
    };
    format!("listening on {} (MQTT 5.0 and 3.1.1), {who}; Ctrl-C ends it", broker.local_addr())
}

/// What it tells of those who come and go. Whatever they call themselves, it is a line, and steers no terminal.
fn in_words(news: &News) -> String {
    let safe = |text: &str| escaped(text.as_bytes());
    match news {
        News::Came { client, peer, clients } => format!("{} has come from {peer}; {clients} here", safe(client)),
        News::Left { client, why, clients } => {
            let how = match why {
                Gone::Leave => "has gone".to_owned(),
                Gone::Closed => "has gone without taking leave: it closed the connection".to_owned(),
                Gone::TakenOver => "has gone: another has come under that name".to_owned(),
                Gone::Silent => "was lost: nothing was heard of it for too long".to_owned(),
                Gone::Lost | Gone::Displaced => "was lost: the connection broke".to_owned(),
                Gone::Wrong(what) => format!("was dropped: {}", safe(what)),
            };
            format!("{} {how}; {clients} here", safe(client))
        }
        News::TurnedAway { client, peer, why } => {
            let how = match why {
                Refused::Login => "wrong user or password",
                Refused::Full => "no place left",
                Refused::Sessions => "no place left for a session",
            };
            format!("{} from {peer} was turned away: {how}", safe(client))
        }
        News::NeverCame { peer, why } => {
            let how = match why {
                Gone::Leave | Gone::Closed | Gone::TakenOver => "it closed the connection",
                Gone::Silent => "its time was over",
                Gone::Lost => "the connection broke",
                Gone::Displaced => "others wanted its place",
                Gone::Wrong(what) => return format!("{peer} never said who it is: {}", safe(what)),
            };
            format!("{peer} never said who it is: {how}")
        }
    }
}

/// What a broker did: the keys of [`Counts`], for how long, and what has become of each client's messages.
#[derive(Serialize)]
struct Summary {
    event: &'static str,
    mode: &'static str,
    interrupted: bool,
    duration_s: f64,
    #[serde(flatten)]
    counts: Counts,
    accounts: Vec<Account>,
}

/// Clients whose messages were dropped that are named in the block for people.
const NAMED: usize = 10;

/// The block for people.
fn text(summary: &Summary) -> String {
    let mut out = String::new();
    let human = HumanCount;
    let (counts, tally) = (&summary.counts, &summary.counts.messages);
    let [received, copies, sent] = [tally.messages_received, tally.copies_due, tally.messages_sent].map(human);
    let _ =
        writeln!(out, "messages       {received} in, {sent} of {copies} copies out, in {:.1} s", summary.duration_s);
    for (what, count) in [
        ("waiting        {}, not read or not acknowledged", tally.messages_waiting),
        ("nobody         {} to a topic that nobody subscribed to", tally.messages_unsubscribed),
        ("not allowed    {}", tally.messages_refused),
        ("not retained   {}, no room", counts.retained_refused),
        ("last wills     {}", counts.wills_published),
    ] {
        if count > 0 {
            let _ = writeln!(out, "{}", what.replace("{}", &human(count).to_string()));
        }
    }
    if let Some(reasons) = dropped(tally) {
        let _ = writeln!(out, "dropped        {reasons}");
        let mut worst: Vec<_> =
            summary.accounts.iter().filter(|account| account.messages.messages_dropped > 0).collect();
        worst.sort_by_key(|account| std::cmp::Reverse(account.messages.messages_dropped));
        for Account { client, messages } in worst.iter().take(NAMED) {
            let name = if client.is_empty() { "others".to_owned() } else { escaped(client.as_bytes()).to_string() };
            let _ = writeln!(out, "               {name}: {}", dropped(messages).unwrap_or_default());
        }
        if worst.len() > NAMED {
            let _ = writeln!(out, "               and {} more; --json names them all", worst.len() - NAMED);
        }
    }
    let _ = writeln!(out, "clients        {}", human(counts.clients_admitted));
    for (what, count) in [
        ("refused        {}, wrong user or password", counts.clients_refused),
        ("turned away    {}, no place left", counts.clients_turned_away),
        ("displaced      {}, had not said who they are", counts.connections_displaced),
    ] {
        if count > 0 {
            let _ = writeln!(out, "{}", what.replace("{}", &human(count).to_string()));
        }
    }
    out
}

/// How many copies were dropped, and why.
fn dropped(tally: &Tally) -> Option<String> {
    let reasons = [
        (tally.dropped_slow, "read too slowly"),
        (tally.dropped_queue_full, "away, and too much waited"),
        (tally.dropped_away, "away, and QoS 0 does not wait"),
        (tally.dropped_too_large, "longer than the client takes"),
        (tally.dropped_expired, "expired"),
        (tally.dropped_gone, "the client has gone"),
    ];
    let reasons = reasons.iter().filter(|(count, _)| *count > 0);
    let reasons: Vec<_> = reasons.map(|(count, why)| format!("{}: {why}", HumanCount(*count))).collect();
    (!reasons.is_empty()).then(|| reasons.join("; "))
}

/// An address to listen on: unlike one to send to, its port may be 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ListenAddress(SocketAddr);

impl FromStr for ListenAddress {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        if let Ok(address) = text.parse() {
            return Ok(ListenAddress(address));
        }
        let written: WrittenAddress = text.parse()?;
        let socket = written.to_socket("--listen", DEFAULT_PORT, None).map_err(|error| error.to_string())?;
        Ok(ListenAddress(socket))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn options(line: &str) -> Result<BrokerOptions> {
        Line::try_parse_from(format!("netlab {line}").split_whitespace()).unwrap().args.options(&AtomicBool::new(false))
    }

    #[test]
    fn other_machines_are_let_in_only_on_purpose() {
        assert!(options("").unwrap().listen.ip().is_loopback());
        assert!(options("--listen [::1]").is_ok());
        let open = options("--listen 192.0.2.1").unwrap_err();
        assert!(open.to_string().contains("--anonymous"), "{open}");
        assert_eq!(open.class().code(), 2);
        assert!(options("--listen 0.0.0.0:1").is_err());
        assert!(options("--listen 192.0.2.1 --anonymous").unwrap().login.is_none());
    }

    #[test]
    fn nobody_who_comes_steers_the_terminal() {
        let peer = "192.0.2.7:5000".parse().unwrap();
        let came = News::Came { client: "a\u{9b}2J\nb\u{202e}".into(), peer, clients: 1 };
        assert_eq!(in_words(&came), r"a\u{9b}2J\nb\u{202e} has come from 192.0.2.7:5000; 1 here");
        let wrong = News::Left { client: "ann".into(), why: Gone::Wrong("no such \x1b".into()), clients: 0 };
        assert_eq!(in_words(&wrong), r"ann was dropped: no such \u{1b}; 0 here");
    }

    #[test]
    fn a_listening_port_may_be_left_to_the_system() {
        assert_eq!(options("--listen 127.0.0.1:0").unwrap().listen.port(), 0);
        assert_eq!(options("--listen ::1").unwrap().listen, "[::1]:1883".parse().unwrap());
    }

    #[test]
    fn packets_have_a_limit_that_makes_sense() {
        assert_eq!(options("--max-packet 1k").unwrap().max_packet, 1024);
        for size in ["1023", "16385k"] {
            assert_eq!(options(&format!("--max-packet {size}")).unwrap_err().class().code(), 2);
        }
    }
}
