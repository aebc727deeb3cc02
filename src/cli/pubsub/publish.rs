//! `netlab pubsub publish`: one message, lines of standard input, or numbered messages at a rate.

use std::fmt::Write as _;
use std::io::{self, BufRead, Read};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;
use indicatif::HumanCount;
use serde::Serialize;

use super::connection::ConnectionArgs;
use crate::cli::interrupt;
use crate::cli::screen::{Limits, Look, Screen};
use crate::cli::spelled;
use crate::cli::summary::{counted, rate_text};
use crate::cli::traffic::{DEFAULT_DURATION, DEFAULT_RATE};
use crate::error::{Error, ExitClass, Result};
use crate::pubsub::client::{Client, ClientCounts};
use crate::pubsub::message::{Delivery, Qos, check_topic};
use crate::pubsub::publisher::{self, Payload, PublishLive, PublishPlan};
use crate::units::{Bytes, Rate, parse_duration};

/// How long the broker may take to acknowledge what is still under way at the end.
const SETTLE: Duration = Duration::from_secs(10);
/// The longest line of standard input, in bytes.
const MAX_LINE: u64 = 1 << 20;
/// Lines read ahead of the broker.
const AHEAD: usize = 256;
/// How often a publisher without lines looks after its connection.
const LOOK: Duration = Duration::from_millis(100);

/// Arguments of `netlab pubsub publish`.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  netlab pubsub publish --topic lab/door --message open
  netlab pubsub publish --topic lab/door --message open --qos 1 --retain
  date | netlab pubsub publish --topic lab/time        a message for each line
  netlab pubsub publish --topic lab/load --size 64 --rate 10k --duration 5s
                                 numbered messages, for `subscribe --quiet`
  netlab pubsub publish --broker mqtts://ann@broker.example --ca ca.pem -t a -m b")]
pub(super) struct Args {
    /// Where to publish: levels parted by /, such as lab/temperature
    #[arg(short, long, value_name = "T")]
    topic: String,
    /// Publish this text; once, unless --count, --duration or --rate is given [default: each line of standard input]
    #[arg(short, long, value_name = "TEXT", conflicts_with = "size")]
    message: Option<String>,
    /// Publish numbered messages of this many bytes: 64, 1400 or 8k; below 32 there is no room for the number
    #[arg(short, long, value_name = "B", allow_negative_numbers = true)]
    size: Option<Bytes>,
    /// Quality of service: 0 at most once, 1 at least once, 2 exactly once
    #[arg(short, long, value_name = "Q", default_value = "0", value_parser = spelled::<Qos, 3>(Qos::SPELLINGS), hide_possible_values = true)]
    qos: Qos,
    /// Have the broker keep the message for those who subscribe later; an empty one takes it away again
    #[arg(long)]
    retain: bool,
    /// Messages a second: 500, 10k or max [default: 1000; lines as they come]
    #[arg(short, long, value_name = "R", allow_negative_numbers = true)]
    rate: Option<Rate>,
    /// End after this many messages [default: no limit]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..), allow_negative_numbers = true)]
    count: Option<u64>,
    /// End after this long: 500ms, 5s, 2m [default: with --size 60s unless --count]
    #[arg(short, long, value_name = "T", value_parser = parse_duration, allow_negative_numbers = true)]
    duration: Option<Duration>,
    /// One JSON object per line on standard output: what each second brought, and last the summary
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: ConnectionArgs,
}

/// Publishes by the flags, prints the summary, and gives the exit code.
///
/// # Errors
/// Usage for flags that do not go together; as [`Client`]; failed when the broker refused a message or did not
/// acknowledge one; standard output's own.
pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let plan = args.plan()?;
    let stop = interrupt::stop_flag()?;
    let mut client = args.connection.connect(&stop)?;
    let limits = match &plan {
        Some(plan) => Limits { count: plan.count, duration: plan.duration },
        None => Limits { count: args.count, duration: args.duration },
    };
    let screen = Screen::new(args.json, limits);
    screen.note(&args.announcement(plan.as_ref()));
    let live = PublishLive::default();
    let started = Instant::now();
    let publish = || -> Result<(Duration, bool)> {
        let time = match &plan {
            Some(plan) => publisher::publish(&mut client, plan, &stop, &live).map(Duration::from_nanos)?,
            None => {
                args.publish_lines(&mut client, &stop, &live)?;
                started.elapsed()
            }
        };
        let settled = client.settle(Instant::now() + SETTLE)?;
        Ok((time, settled))
    };
    let outcome = screen.watch(publish, &stop, limits, ["messages_sent", "messages_acknowledged"], |_| {
        let totals = [&live.messages_sent, &live.messages_acknowledged].map(|total| total.load(Ordering::Relaxed));
        Look { totals, counted: totals[0], text: format!("{} messages", HumanCount(totals[0])) }
    });
    // What was published until then is told all the same.
    let (outcome, time, settled) = match outcome {
        Ok((time, settled)) => (Ok(()), time, settled),
        Err(error) => (Err(error), started.elapsed(), false),
    };
    let interrupted = stop.load(Ordering::Relaxed);
    let refusal = client.first_refusal();
    let counts = client.close();
    let failed = |what: String| Error::failed(format!("{} {what}", args.connection.broker()));
    let failure = match (outcome, &refusal) {
        _ if interrupted => None,
        (Err(error), _) => Some(error),
        (Ok(()), Some(reason)) => {
            Some(failed(format!("refused {}: {reason}", counted(counts.refused, "message", "messages"))))
        }
        (Ok(()), None) if settled => None,
        (Ok(()), None) if counts.under_way == 0 => Some(failed("did not take the last messages in time".to_owned())),
        (Ok(()), None) => {
            Some(failed(format!("did not acknowledge {}", counted(counts.under_way, "message", "messages"))))
        }
    };
    let error = failure.as_ref().map(ToString::to_string);
    let summary = Summary { error, ..Summary::of(args, plan.as_ref(), counts, refusal, time, interrupted) };
    screen.result(&summary.text(), &summary).context("writing to standard output")?;
    if interrupted {
        return Ok(ExitClass::Interrupted.code().into());
    }
    failure.map_or(Ok(ExitCode::SUCCESS), |error| Err(error.into()))
}

impl Args {
    /// What is published again and again; `None`: lines of standard input.
    fn plan(&self) -> Result<Option<PublishPlan>> {
        check_topic("--topic", &self.topic)?;
        let payload = match (&self.message, self.size) {
            (Some(text), _) => Payload::Same(text.clone().into_bytes()),
            (None, Some(size)) => Payload::probe(size.0),
            (None, None) if self.rate.is_some() => {
                return Err(Error::usage("--rate goes with --message or --size; lines are published as they come"));
            }
            (None, None) => return Ok(None),
        };
        let (count, duration) = match (self.count, self.duration) {
            (None, None) if self.message.is_some() && self.rate.is_none() => (Some(1), None),
            (None, None) => (None, Some(DEFAULT_DURATION)),
            given => given,
        };
        let rate = self.rate.unwrap_or(Rate::PerSecond(DEFAULT_RATE));
        Ok(Some(PublishPlan { topic: self.topic.clone(), payload, delivery: self.delivery(), rate, count, duration }))
    }

    fn delivery(&self) -> Delivery {
        Delivery { qos: self.qos, retain: self.retain }
    }

    fn announcement(&self, plan: Option<&PublishPlan>) -> String {
        let (broker, topic) = (self.connection.broker(), &self.topic);
        let what = match plan {
            None => "each line of standard input".to_owned(),
            Some(plan) if plan.count == Some(1) => "a message".to_owned(),
            Some(plan) => {
                let size = counted(plan.payload.size() as u64, "byte", "bytes");
                match plan.rate {
                    Rate::Max => format!("messages of {size}, as fast as possible"),
                    Rate::PerSecond(rate) => format!("messages of {size}, {} a second", rate_text(rate)),
                }
            }
        };
        format!("publishing {what} to {topic} (QoS {}) at {broker}; Ctrl-C ends it", self.qos)
    }

    /// Publishes the lines of standard input until its end or another limit.
    fn publish_lines(&self, client: &mut Client, stop: &Arc<AtomicBool>, live: &PublishLive) -> Result<()> {
        let lines = read_lines();
        let end = self.duration.and_then(|time| Instant::now().checked_add(time));
        client.end_at(end);
        let mut left = self.count.unwrap_or(u64::MAX);
        while left > 0 && !stop.load(Ordering::Relaxed) {
            let time = end.map_or(LOOK, |end| end.saturating_duration_since(Instant::now()).min(LOOK));
            if time.is_zero() {
                break;
            }
            match lines.recv_timeout(time) {
                Ok(line) => {
                    client.publish(&self.topic, &line?, self.delivery())?;
                    left -= 1;
                    for line in lines.try_iter().take(usize::try_from(left).unwrap_or(usize::MAX)) {
                        if !client.publish(&self.topic, &line?, self.delivery())? {
                            break;
                        }
                        left -= 1;
                    }
                    client.flush()?;
                }
                Err(RecvTimeoutError::Timeout) => client.idle(Duration::ZERO)?,
                Err(RecvTimeoutError::Disconnected) => break,
            }
            live.messages_sent.store(client.counts().published, Ordering::Relaxed);
            live.messages_acknowledged.store(client.counts().acknowledged, Ordering::Relaxed);
        }
        Ok(())
    }
}

/// Reads standard input on a thread of its own, which ends with it: reading cannot be interrupted.
fn read_lines() -> Receiver<Result<Vec<u8>>> {
    let (sender, lines) = mpsc::sync_channel(AHEAD);
    thread::spawn(move || {
        let mut input = io::stdin().lock();
        loop {
            let mut line = Vec::new();
            let read = input.by_ref().take(MAX_LINE + 1).read_until(b'\n', &mut line);
            if line.last() == Some(&b'\n') {
                line.pop();
            }
            let next = match read {
                Ok(0) => return,
                Ok(_) if line.len() as u64 > MAX_LINE => {
                    Err(Error::usage(format!("a line of standard input has more than {MAX_LINE} bytes")))
                }
                Ok(_) => Ok(line),
                Err(cause) => Err(Error::failed("reading standard input").because(cause)),
            };
            let over = next.is_err();
            if sender.send(next).is_err() || over {
                return;
            }
        }
    });
    lines
}

/// What was published, under the names `send` uses; null is "not measured".
#[derive(Serialize)]
struct Summary {
    event: &'static str,
    mode: &'static str,
    interrupted: bool,
    topic: String,
    qos: Qos,
    duration_s: f64,
    size_bytes: Option<usize>,
    offered_rate: Option<f64>,
    achieved_rate: Option<f64>,
    messages_sent: u64,
    /// Of QoS 1 and 2.
    messages_acknowledged: Option<u64>,
    messages_refused: Option<u64>,
    first_failure: Option<String>,
    /// Why it failed: null where the exit code says that it did not.
    error: Option<String>,
    reconnections: u64,
}

impl Summary {
    fn of(
        args: &Args,
        plan: Option<&PublishPlan>,
        counts: ClientCounts,
        refusal: Option<String>,
        time: Duration,
        interrupted: bool,
    ) -> Summary {
        let asked = args.qos > Qos::AtMostOnce;
        let many = counts.published > 1 && !time.is_zero();
        Summary {
            event: "summary",
            mode: "pubsub",
            interrupted,
            topic: args.topic.clone(),
            qos: args.qos,
            duration_s: time.as_secs_f64(),
            size_bytes: plan.map(|plan| plan.payload.size()),
            offered_rate: plan.and_then(|plan| plan.rate.per_second()),
            achieved_rate: many.then(|| counts.published as f64 / time.as_secs_f64()),
            messages_sent: counts.published,
            messages_acknowledged: asked.then_some(counts.acknowledged),
            messages_refused: asked.then_some(counts.refused),
            first_failure: refusal,
            error: None,
            reconnections: counts.reconnected,
        }
    }

    /// The block for people.
    fn text(&self) -> String {
        let mut out = String::new();
        let messages = counted(self.messages_sent, "message", "messages");
        let _ = writeln!(out, "published      {messages} to {} in {:.1} s", self.topic, self.duration_s);
        if let Some(rate) = self.achieved_rate {
            let _ = writeln!(out, "rate           {} messages/s", rate_text(rate));
        }
        if let Some(acknowledged) = self.messages_acknowledged {
            let _ = writeln!(out, "acknowledged   {}", HumanCount(acknowledged));
        }
        if let (Some(refused), Some(reason)) = (self.messages_refused, &self.first_failure) {
            let _ = writeln!(out, "refused        {}; the first: {reason}", HumanCount(refused));
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

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn plan(line: &str) -> Result<Option<PublishPlan>> {
        Line::try_parse_from(format!("netlab --topic t {line}").split_whitespace()).unwrap().args.plan()
    }

    #[test]
    fn publishing_is_bounded_unless_asked_otherwise() {
        let limits = |line: &str| plan(line).unwrap().map(|plan| (plan.count, plan.duration));
        let seconds = |time| Some(Duration::from_secs(time));
        assert_eq!(limits(""), None, "lines");
        assert_eq!(limits("--message x"), Some((Some(1), None)));
        assert_eq!(limits("--message x --count 3"), Some((Some(3), None)));
        assert_eq!(limits("--message x --rate 10"), Some((None, seconds(60))));
        assert_eq!(limits("--size 64"), Some((None, seconds(60))));
        assert_eq!(limits("--size 64 --duration 2s"), Some((None, seconds(2))));
        assert!(plan("--rate 10").unwrap_err().to_string().starts_with("--rate goes with"));
    }
}
