//! `netlab pubsub subscribe`: prints what is published, a message a line, or counts it.

use std::cell::RefCell;
use std::fmt::Write as _;
use std::io::{self, BufWriter, Write};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use indicatif::{HumanBytes, HumanCount};
use serde::Serialize;

use super::connection::ConnectionArgs;
use crate::cli::escaped::{self, escaped};
use crate::cli::interrupt;
use crate::cli::screen::{Limits, Look, Screen};
use crate::cli::spelled;
use crate::cli::summary::{counted, no_latency, rate_text};
use crate::delivery::tally::{Arrival, StreamReport, Tally};
use crate::delivery::text;
use crate::error::{Error, ExitClass};
use crate::pubsub::client::{Client, Subscription};
use crate::pubsub::message::{Message, Qos, check_filter};
use crate::sys::clock;
use crate::units::parse_duration;
use crate::wire::probe::Probe;

/// Arguments of `netlab pubsub subscribe`.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  netlab pubsub subscribe --topic lab/door
  netlab pubsub subscribe --topic 'lab/+/temperature' --topic 'lab/alarm/#'
  netlab pubsub subscribe --topic lab/load --quiet      loss, order and delay
  netlab pubsub subscribe --topic a --count 1 --duration 5s
  netlab pubsub subscribe --topic a --qos 1 --client-id me --session 10m
                             the broker keeps what comes while this is away

A line is the topic, a blank and the message; control characters are escaped, so
that a message is a line. --json shows the rest.")]
pub(super) struct Args {
    /// Which topics; + stands for one level, # for all that follow. May be given several times
    #[arg(short, long, required = true, value_name = "FILTER")]
    topic: Vec<String>,
    /// The best quality of service to deliver by: 0 at most once, 1 at least once, 2 exactly once
    #[arg(short, long, value_name = "Q", default_value = "0", value_parser = spelled::<Qos, 3>(Qos::SPELLINGS), hide_possible_values = true)]
    qos: Qos,
    /// Count messages, and do not print them
    #[arg(long)]
    quiet: bool,
    /// End after this many messages; fewer in --duration are a failure [default: no limit]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..), allow_negative_numbers = true)]
    count: Option<u64>,
    /// End after this long: 500ms, 5s, 2m [default: no limit]
    #[arg(short, long, value_name = "T", value_parser = parse_duration, allow_negative_numbers = true)]
    duration: Option<Duration>,
    /// One JSON object per line on standard output: a message, with --quiet what each second brought; last the summary
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: ConnectionArgs,
}

/// Subscribes by the flags, prints or counts, and gives the exit code.
///
/// # Errors
/// Usage for flags that do not go together; as [`Client`]; failed when fewer than `--count` came in time; standard
/// output's own.
pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    args.topic.iter().try_for_each(|filter| check_filter("--topic", filter))?;
    let stop = interrupt::stop_flag()?;
    let mut client = args.connection.connect(&stop)?;
    let wanted: Vec<_> =
        args.topic.iter().map(|filter| Subscription { filter: filter.clone(), qos: args.qos }).collect();
    let granted = client.subscribe(&wanted)?;
    let limits = Limits { count: args.count, duration: args.duration };
    let screen = if args.quiet { Screen::new(args.json, limits) } else { Screen::without_progress(args.json) };
    screen.note(&args.announcement(&granted));
    let mut counting = Counting::new();
    let outcome = if args.quiet {
        args.count_quietly(&mut client, &mut counting, &screen, &stop, limits)
    } else {
        args.print_all(&mut client, &mut counting, limits)
    };
    let interrupted = stop.load(Ordering::Relaxed);
    let reconnections = client.close().reconnected;
    let failure = match outcome {
        _ if interrupted => None,
        // Whoever read standard output has gone.
        Err(error) if !error.is::<Error>() => return Err(error),
        Err(error) => Some(error),
        Ok(()) => args.missing(counting.messages).map(Into::into),
    };
    let error = failure.as_ref().map(|error| format!("{error:#}"));
    let summary = Summary { error, ..counting.into_summary(args, reconnections, interrupted) };
    if args.json || args.quiet {
        screen.result(&summary.text(), &summary).context("writing to standard output")?;
    } else {
        // Standard output is for the messages.
        screen.note(summary.text().trim_end());
    }
    if let Some(error) = failure {
        return Err(error);
    }
    // Without a limit there is no other way to end than Ctrl-C.
    Ok(if interrupted && limits.any() { ExitClass::Interrupted.code().into() } else { ExitCode::SUCCESS })
}

/// Takes messages until a limit or a stop; `pause` is called before each wait.
fn receive(
    client: &mut Client,
    limits: Limits,
    mut take: impl FnMut(&Message) -> anyhow::Result<()>,
    mut pause: impl FnMut() -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let end = limits.duration.and_then(|time| Instant::now().checked_add(time));
    let mut left = limits.count.unwrap_or(u64::MAX);
    while left > 0 {
        let message = match client.ready()? {
            Some(message) => message,
            None => {
                pause()?;
                match client.next(end)? {
                    Some(message) => message,
                    None => break,
                }
            }
        };
        take(&message)?;
        left -= 1;
    }
    Ok(())
}

impl Args {
    /// That fewer came than were asked for.
    fn missing(&self, came: u64) -> Option<Error> {
        let asked = self.count.filter(|asked| came < *asked)?;
        let time = self.duration.map_or(String::new(), |time| format!(" in {time:?}"));
        let asked = counted(asked, "message", "messages");
        Some(Error::failed(format!("{} of {asked} asked for came{time}", HumanCount(came))))
    }

    fn announcement(&self, granted: &[Qos]) -> String {
        let topics = self.topic.join(", ");
        let qos = granted.iter().min().copied().unwrap_or_default();
        let less = if qos < self.qos { ", all that the broker grants" } else { "" };
        format!("subscribed to {topics} (QoS {qos}{less}) at {}; Ctrl-C ends it", self.connection.broker())
    }

    /// Counts messages until a limit or a stop, and shows how many there are.
    fn count_quietly(
        &self,
        client: &mut Client,
        counting: &mut Counting,
        screen: &Screen,
        stop: &AtomicBool,
        limits: Limits,
    ) -> anyhow::Result<()> {
        let live = Live::default();
        let take = |message: &Message| {
            counting.count(message);
            live.messages.store(counting.messages, Ordering::Relaxed);
            live.bytes.store(counting.bytes, Ordering::Relaxed);
            Ok(())
        };
        let names = ["messages_received", "bytes"];
        screen.watch(
            || receive(client, limits, take, || Ok(())),
            stop,
            limits,
            names,
            |_| {
                let totals = [&live.messages, &live.bytes].map(|total| total.load(Ordering::Relaxed));
                Look { totals, counted: totals[0], text: format!("{} messages", HumanCount(totals[0])) }
            },
        )
    }

    /// Prints messages until a limit or a stop; what is printed is shown before each wait.
    fn print_all(&self, client: &mut Client, counting: &mut Counting, limits: Limits) -> anyhow::Result<()> {
        let out = RefCell::new(BufWriter::new(io::stdout().lock()));
        let take = |message: &Message| {
            counting.count(message);
            self.print(message, &mut *out.borrow_mut()).context("writing to standard output")
        };
        let show = || out.borrow_mut().flush().context("writing to standard output");
        receive(client, limits, take, show)?;
        show()
    }

    fn print(&self, message: &Message, out: &mut impl Write) -> io::Result<()> {
        if self.json {
            return writeln!(out, "{}", escaped::json(&serde_json::to_string(&Line::of(message))?));
        }
        match Probe::decode(message.payload()) {
            Some(probe) => writeln!(out, "{} netlab message {}", escaped(message.topic.as_bytes()), probe.sequence),
            None => writeln!(out, "{} {}", escaped(message.topic.as_bytes()), escaped(message.payload())),
        }
    }
}

/// A message as an object. A payload that is no text is in hexadecimal under another key.
#[derive(Serialize)]
struct Line<'a> {
    event: &'static str,
    topic: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload_hex: Option<String>,
    qos: Qos,
    retained: bool,
    again: bool,
}

impl<'a> Line<'a> {
    fn of(message: &'a Message) -> Line<'a> {
        let payload = std::str::from_utf8(message.payload()).ok();
        let hex = || {
            message.payload().iter().fold(String::new(), |mut hex, byte| {
                let _ = write!(hex, "{byte:02x}");
                hex
            })
        };
        Line {
            event: "message",
            topic: &message.topic,
            payload,
            payload_hex: payload.is_none().then(hex),
            qos: message.qos,
            retained: message.retained,
            again: message.again,
        }
    }
}

#[derive(Default)]
struct Live {
    messages: AtomicU64,
    bytes: AtomicU64,
}

/// What came.
struct Counting {
    started: Instant,
    first: Option<Instant>,
    last: Option<Instant>,
    messages: u64,
    retained: u64,
    bytes: u64,
    tally: Tally,
}

impl Counting {
    fn new() -> Counting {
        Counting {
            started: Instant::now(),
            first: None,
            last: None,
            messages: 0,
            retained: 0,
            bytes: 0,
            tally: Tally::new(0, clock::name()),
        }
    }

    fn count(&mut self, message: &Message) {
        let now = Instant::now();
        self.first.get_or_insert(now);
        self.last = Some(now);
        self.messages += 1;
        self.retained += u64::from(message.retained);
        self.bytes += message.payload().len() as u64;
        match Probe::decode(message.payload()) {
            Some(probe) => {
                let arrival = Arrival { app_ns: clock::monotonic_ns(), kernel_ns: None };
                self.tally.probe(&probe, message.payload().len(), arrival);
            }
            None if text::of(message.payload()).is_some() => self.tally.text(message.payload().len()),
            None => self.tally.unrecognized(message.payload().len()),
        }
    }

    fn into_summary(self, args: &Args, reconnections: u64, interrupted: bool) -> Summary {
        let (text, unrecognized) = (self.tally.messages_text(), self.tally.messages_unrecognized());
        let streams = self.tally.into_streams();
        let span = self.first.zip(self.last).map(|(first, last)| last - first).filter(|span| !span.is_zero());
        let numbered = |field: fn(&StreamReport) -> u64| {
            (!streams.is_empty()).then(|| streams.iter().map(field).fold(0, u64::saturating_add))
        };
        let (latency, no_latency) = match &streams[..] {
            [one] => (one.latency, one.latency.is_none().then(|| no_latency(one))),
            _ => (None, None),
        };
        Summary {
            event: "summary",
            mode: "pubsub",
            interrupted,
            topics: args.topic.clone(),
            duration_s: self.started.elapsed().as_secs_f64(),
            messages_received: self.messages,
            messages_retained: self.retained,
            messages_text: text,
            messages_unrecognized: unrecognized,
            messages_lost: numbered(|stream| stream.messages_lost),
            messages_duplicate: numbered(|stream| stream.messages_duplicate),
            messages_reordered: numbered(|stream| stream.messages_reordered),
            messages_stale: numbered(|stream| stream.messages_stale),
            bytes: self.bytes,
            rate: span.map(|span| (self.messages - 1) as f64 / span.as_secs_f64()),
            latency_p50_ns: latency.map(|latency| latency.p50_ns),
            latency_p99_ns: latency.map(|latency| latency.p99_ns),
            latency_max_ns: latency.map(|latency| latency.max_ns),
            no_latency,
            error: None,
            reconnections,
        }
    }
}

/// What came, under the names `recv` uses; null is "not measured": by number there are netlab's messages alone.
#[derive(Serialize)]
struct Summary {
    event: &'static str,
    mode: &'static str,
    interrupted: bool,
    topics: Vec<String>,
    duration_s: f64,
    messages_received: u64,
    messages_retained: u64,
    messages_text: u64,
    messages_unrecognized: u64,
    messages_lost: Option<u64>,
    messages_duplicate: Option<u64>,
    messages_reordered: Option<u64>,
    messages_stale: Option<u64>,
    bytes: u64,
    /// Messages a second between the first and the last.
    rate: Option<f64>,
    latency_p50_ns: Option<u64>,
    latency_p99_ns: Option<u64>,
    latency_max_ns: Option<u64>,
    /// Why the only stream has none.
    #[serde(skip)]
    no_latency: Option<&'static str>,
    /// Why it failed: null where the exit code says that it did not.
    error: Option<String>,
    reconnections: u64,
}

impl Summary {
    /// The block for people.
    fn text(&self) -> String {
        let mut out = String::new();
        let messages = counted(self.messages_received, "message", "messages");
        let retained = match self.messages_retained {
            0 => String::new(),
            kept => format!(", {} of them retained", HumanCount(kept)),
        };
        let _ = writeln!(
            out,
            "received       {messages} ({}){retained} in {:.1} s",
            HumanBytes(self.bytes),
            self.duration_s
        );
        if let (Some(rate), true) = (self.rate, self.messages_received > 1) {
            let _ = writeln!(out, "rate           {} messages/s", rate_text(rate));
        }
        if let (Some(lost), Some(duplicate), Some(reordered)) =
            (self.messages_lost, self.messages_duplicate, self.messages_reordered)
        {
            let [lost, duplicate, reordered] = [lost, duplicate, reordered].map(HumanCount);
            let stale = match self.messages_stale.unwrap_or_default() {
                0 => String::new(),
                stale => format!(" · {} stale", HumanCount(stale)),
            };
            let _ = writeln!(out, "numbered       {lost} lost · {duplicate} duplicate · {reordered} reordered{stale}");
        }
        if let (Some(p50), Some(p99)) = (self.latency_p50_ns, self.latency_p99_ns) {
            let [p50, p99] = [p50, p99].map(|ns| ns as f64 / 1e3);
            let _ = writeln!(out, "latency        {p50:.0} µs median, {p99:.0} µs in 99 of 100");
        }
        if let Some(why) = self.no_latency {
            let _ = writeln!(out, "latency        {why}");
        }
        if self.reconnections > 0 {
            let _ = writeln!(
                out,
                "connection     broke and was made again {}",
                counted(self.reconnections, "time", "times")
            );
        }
        out
    }
}
