//! The flags that `unicast`, `broadcast` and `multicast` share, and what they mean for each direction.
//!
//! The direction is an argument and not a subcommand, so any flag may stand before it or after it. Which flags go
//! with which direction is checked here, by hand: clap has no notion of it.

use std::hash::{BuildHasher, RandomState};
use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;

use super::address::interface_index;
use crate::delivery::receiver::ReceivePlan;
use crate::delivery::sender::{Payload, SendPlan};
use crate::error::{Error, Result};
use crate::units::{Bytes, Rate, parse_duration};
use crate::wire::probe::DEFAULT_PORT;

/// Messages a second unless `--rate` says otherwise.
pub(crate) const DEFAULT_RATE: f64 = 1_000.0;
/// How long `send` goes on unless `--count` or `--duration` says otherwise.
pub(crate) const DEFAULT_DURATION: Duration = Duration::from_secs(60);
/// Bytes a message has unless `--size` says otherwise.
const DEFAULT_SIZE: usize = 64;

/// Which end of the traffic to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Direction {
    /// Send messages.
    Send,
    /// Receive and count them.
    Recv,
}

/// The flags shared by all modes.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct TrafficArgs {
    /// Which end to be; flags may stand before or after it
    #[arg(value_enum, hide_possible_values = true, value_name = "send|recv")]
    pub direction: Direction,

    /// Network interface by name, such as eth0 [default: the one the system would choose]
    #[arg(short, long, value_name = "NAME")]
    pub interface: Option<String>,
    /// UDP port, 1 to 65535 [default: 4747]
    #[arg(short, long, value_name = "P", value_parser = clap::value_parser!(u16).range(1..), allow_negative_numbers = true)]
    pub port: Option<u16>,
    /// End after this many messages (recv: datagrams; fewer in --duration are a failure) [default: no limit]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..), allow_negative_numbers = true)]
    pub count: Option<u64>,
    /// End after this long: 500ms, 5s, 2m [default: send 60s unless --count or --message, recv no limit]
    #[arg(short, long, value_name = "T", value_parser = parse_duration, allow_negative_numbers = true)]
    pub duration: Option<Duration>,
    /// One JSON object per line on standard output: what each second brought, and last the summary
    #[arg(long)]
    pub json: bool,

    /// Messages a second: 500, 10k or max [default: 1000]
    #[arg(short, long, value_name = "R", allow_negative_numbers = true, help_heading = SENDING)]
    pub rate: Option<Rate>,
    /// Payload of a message in bytes: 64, 1400 or 8k; below 32 it has no room for netlab's header and arrives as
    /// unrecognized [default: 64]
    #[arg(short, long, value_name = "B", allow_negative_numbers = true, help_heading = SENDING)]
    pub size: Option<Bytes>,
    /// Send this text as it is (recv and any other program can show it); once, unless --count or --duration is given
    #[arg(short, long, value_name = "TEXT", conflicts_with = "size", help_heading = SENDING)]
    pub message: Option<String>,
    /// Differentiated services code point (RFC 2474), 0 to 63 [default: 0]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(..64), allow_negative_numbers = true, help_heading = SENDING)]
    pub dscp: Option<u8>,
    /// Allow destinations that are not loopback, link-local, private, multicast or broadcast
    #[arg(long, help_heading = SENDING)]
    pub allow_public: bool,

    /// Write the summary to this file as well, one row per stream of messages
    #[arg(long, value_name = "FILE", help_heading = RECEIVING)]
    pub csv: Option<PathBuf>,
}

/// Heading in `--help` of flags that go with `send` only.
pub(crate) const SENDING: &str = "Options of send";
/// Heading in `--help` of flags that go with `recv` only.
pub(crate) const RECEIVING: &str = "Options of recv";

/// A flag and whether it was given.
pub(crate) type Given = (&'static str, bool);

impl TrafficArgs {
    /// Refuses flags that do not go with the direction, the mode's own (`sending`, `receiving`) among them, and an
    /// interface that is not there.
    ///
    /// # Errors
    /// Usage, naming the flag.
    pub(crate) fn check(&self, sending: &[Given], receiving: &[Given]) -> Result<()> {
        let own_sending = [
            ("--rate", self.rate.is_some()),
            ("--size", self.size.is_some()),
            ("--message", self.message.is_some()),
            ("--dscp", self.dscp.is_some()),
            ("--allow-public", self.allow_public),
        ];
        let own_receiving = [("--csv", self.csv.is_some())];
        let first = |own: &[Given], more: &[Given]| own.iter().chain(more).find(|flag| flag.1).map(|flag| flag.0);
        let misplaced = match self.direction {
            Direction::Send => first(&own_receiving, receiving).map(|flag| (flag, "recv", "send")),
            Direction::Recv => first(&own_sending, sending).map(|flag| (flag, "send", "recv")),
        };
        if let Some((flag, of, here)) = misplaced {
            return Err(Error::usage(format!("{flag} goes with {of}, not with {here}; leave it out here")));
        }
        if self.message.as_deref() == Some("") {
            return Err(Error::usage("--message is empty; a message has at least 1 byte"));
        }
        self.interface.as_deref().map_or(Ok(()), |name| interface_index("--interface", name).map(drop))
    }

    /// The UDP port.
    pub(crate) fn port(&self) -> u16 {
        self.port.unwrap_or(DEFAULT_PORT)
    }

    /// What to send: bounded in rate and time unless the user says otherwise.
    pub(crate) fn send_plan(&self) -> SendPlan {
        let (count, duration) = match (self.count, self.duration) {
            (None, None) if self.message.is_some() => (Some(1), None),
            (None, None) => (None, Some(DEFAULT_DURATION)),
            given => given,
        };
        let payload = match &self.message {
            Some(text) => Payload::Text(text.clone()),
            None => {
                Payload::Probe { run_id: random(), stream_id: 0, size: self.size.map_or(DEFAULT_SIZE, |size| size.0) }
            }
        };
        SendPlan {
            rate: self.rate.unwrap_or(Rate::PerSecond(DEFAULT_RATE)),
            burst: 1,
            count,
            duration,
            catches_up: false,
            payload,
        }
    }

    /// What to receive.
    pub(crate) fn receive_plan(&self) -> ReceivePlan {
        ReceivePlan { count: self.count, duration: self.duration, texts: true, ..ReceivePlan::default() }
    }
}

/// A number that hardly anybody else will have drawn: the standard library seeds its hashers from the kernel.
fn random() -> u32 {
    RandomState::new().hash_one(std::process::id()) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        traffic: TrafficArgs,
    }

    fn parse(line: &str) -> TrafficArgs {
        Line::try_parse_from(format!("netlab {line}").split(' ')).unwrap().traffic
    }

    #[test]
    fn sending_is_bounded_unless_asked_otherwise() {
        let limits = |line: &str| {
            let plan = parse(line).send_plan();
            (plan.rate, plan.count, plan.duration)
        };
        let usual = Rate::PerSecond(1000.0);
        let secs = |s| Some(Duration::from_secs(s));
        assert_eq!(limits("send"), (usual, None, secs(60)));
        assert_eq!(limits("send --count 5"), (usual, Some(5), None));
        assert_eq!(limits("--duration 2s send"), (usual, None, secs(2)));
        assert_eq!(limits("--duration 2s send -c 7"), (usual, Some(7), secs(2)));
        assert_eq!(limits("send --message hi"), (usual, Some(1), None));
        assert_eq!(limits("send --message hi --duration 3s"), (usual, None, secs(3)));
        assert_eq!(limits("send --rate max"), (Rate::Max, None, secs(60)));
    }

    #[test]
    fn flags_stand_before_or_after_the_direction() {
        let order = |line: &str| format!("{:?}", parse(line));
        let before = order("--count 5 --duration 2s --json --interface lo recv");
        assert_eq!(before, order("recv --count 5 --duration 2s --json --interface lo"));
        assert_eq!(before, order("--json -i lo recv -c 5 -d 2s"));
    }

    #[test]
    fn every_invocation_is_a_run_of_its_own() {
        let run = || match parse("send").send_plan().payload {
            Payload::Probe { run_id, size: 64, .. } => run_id,
            other => panic!("{other:?}"),
        };
        assert_ne!(run(), run());
    }

    #[test]
    fn a_flag_of_the_other_direction_is_named() {
        let refusal = |line: &str| parse(line).check(&[], &[]).unwrap_err().to_string();
        for flag in ["--rate 5", "--size 5", "--message x", "--dscp 5", "--allow-public"] {
            let name = flag.split(' ').next().unwrap();
            assert!(refusal(&format!("{flag} recv")).starts_with(&format!("{name} goes with send")), "{flag}");
            assert!(parse(&format!("send {flag}")).check(&[], &[]).is_ok(), "{flag}");
        }
        assert!(refusal("send --csv x").starts_with("--csv goes with recv"));
        let own = parse("recv").check(&[("--ttl", true)], &[("--source", true)]);
        assert!(own.unwrap_err().to_string().starts_with("--ttl goes with send"));
        let own = parse("send").check(&[("--ttl", true)], &[("--source", true)]);
        assert!(own.unwrap_err().to_string().starts_with("--source goes with recv"));
    }
}
