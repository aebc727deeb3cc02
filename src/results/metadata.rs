//! `run.json`: what was run, on what, with which warnings.

use std::fmt;
use std::time::SystemTime;

use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;

use super::stats::Estimate;

/// The version of `run.json` and of the CSV columns; grows when a reader of the one before would go wrong.
pub const SCHEMA_VERSION: u32 = 1;

/// Everything of a run but its figures.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunMetadata {
    /// [`SCHEMA_VERSION`] of the program that wrote it.
    pub schema_version: u32,
    /// Version of netlab.
    pub netlab_version: String,
    /// The commit netlab was built from (changes not committed don't show); `None` when built outside its repository.
    pub git_commit: Option<String>,
    /// The command line, the program's name first.
    pub command_line: Vec<String>,
    /// Seeds the order of the conditions.
    pub seed: u64,
    /// Names the run, as in the CSV files.
    pub run_id: String,
    /// RFC 3339, UTC.
    pub started: String,
    /// RFC 3339, UTC; `None` while it runs.
    pub ended: Option<String>,
    /// How far it came.
    pub status: Status,
    /// The conditions, as the caller describes them.
    pub plan: Value,
    /// Facts of the LAN, as the caller describes them: hosts, switch, offloads.
    pub lan: Value,
    /// Facts of the machine, as the caller describes them: kernel, CPU, sysctls.
    pub environment: Value,
    /// What telling hosts apart costs; `None` where it was not measured.
    pub calibration: Option<Calibration>,
    /// What waking costs a sender that sends nothing; `None` where no condition has a rate to pace.
    #[serde(default)]
    pub control: Option<Control>,
    /// What spoke against trials and what was accounted for, as the caller keeps it to add trials another day; null where
    /// the run ended early.
    #[serde(default)]
    pub account: Value,
    /// When trials were added to the run, each time.
    #[serde(default)]
    pub added: Vec<Added>,
    /// Bytes a frame by which the kernel's link counters fell short of the Ethernet header, and which `link_*_bytes`
    /// therefore have more; `None` where it was not found out.
    pub link_header_bytes_corrected: Option<u64>,
    /// What a reader should know before trusting the figures.
    #[serde(serialize_with = "in_words")]
    pub warnings: Vec<Warning>,
}

impl RunMetadata {
    /// Of a run that starts now. The caller fills in the rest as it becomes known.
    pub fn start(run_id: &str, seed: u64, command_line: Vec<String>) -> RunMetadata {
        RunMetadata {
            schema_version: SCHEMA_VERSION,
            netlab_version: env!("CARGO_PKG_VERSION").to_owned(),
            git_commit: option_env!("NETLAB_GIT_COMMIT").map(str::to_owned),
            command_line,
            seed,
            run_id: run_id.to_owned(),
            started: rfc3339(SystemTime::now()),
            ended: None,
            status: Status::Running,
            plan: Value::Null,
            lan: Value::Null,
            environment: Value::Null,
            calibration: None,
            control: None,
            account: Value::Null,
            added: Vec::new(),
            link_header_bytes_corrected: None,
            warnings: Vec::new(),
        }
    }

    /// Marks it as running again, to have so many trials of each condition more.
    pub fn add(&mut self, trials: u32, command_line: Vec<String>) {
        self.added.push(Added { command_line, started: rfc3339(SystemTime::now()), trials });
        self.ended = None;
        self.status = Status::Running;
    }

    /// Marks it as ended now.
    pub fn end(&mut self, status: Status) {
        self.ended = Some(rfc3339(SystemTime::now()));
        self.status = status;
    }

    /// Adds a warning, unless the same is there already.
    pub fn warn(&mut self, warning: Warning) {
        if !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }
}

/// Trials that were added to a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Added {
    /// The command line, the program's name first.
    pub command_line: Vec<String>,
    /// RFC 3339, UTC.
    pub started: String,
    /// Repetitions of each condition.
    pub trials: u32,
}

/// How far a run came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// Not ended, or killed.
    Running,
    /// All trials were done.
    Complete,
    /// Ended by the user; the trials before are whole.
    Interrupted,
    /// Ended by a failure; the trials before are whole.
    Failed,
}

/// The same load with and without the threads that make CPU time attributable to hosts.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// Length of each of the two windows, in s.
    pub window_s: f64,
    /// Messages a second of the load.
    pub rate: f64,
    /// Machine busy time on plain veth, in s.
    pub plain_busy_s: f64,
    /// Machine busy time with a NAPI thread for each interface, in s.
    pub threaded_busy_s: f64,
}

/// A sender that wakes and paces as for messages and sends none, once a round: what waking costs it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Control {
    /// Messages a second there would have been.
    pub rate: f64,
    /// Length of each window, in s.
    pub window_s: f64,
    /// Windows.
    pub n: u64,
    /// CPU time of the sender's program for each message there would have been, in µs: mean over the windows.
    pub wake_us: f64,
    /// Its 95 % confidence interval; `None` from one window.
    pub ci95_us: Option<(f64, f64)>,
}

impl Control {
    /// From the CPU time for each message of the windows, in µs; `None` of none.
    pub fn of(rate: f64, window_s: f64, wakes_us: &[f64]) -> Option<Control> {
        let estimate = Estimate::of(wakes_us)?;
        Some(Control { rate, window_s, n: estimate.n as u64, wake_us: estimate.mean, ci95_us: estimate.ci95 })
    }
}

/// Something that limits what the figures say. Prints as a sentence; [`advice`](Self::advice) says what to do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "code", rename_all = "kebab-case")]
pub enum Warning {
    /// The sender missed its schedule by more than 1 %.
    SenderBehindSchedule {
        /// The condition.
        condition: String,
        /// Trials marked for it.
        trials: u32,
    },
    /// A link's receive ring or transmit queue was full.
    RingOverflow {
        /// The condition.
        condition: String,
        /// Frames lost there.
        frames: u64,
    },
    /// A receiver's socket buffer was full.
    SocketBufferOverflow {
        /// The condition.
        condition: String,
        /// Messages lost there.
        messages: u64,
    },
    /// Attributed CPU time is well under what the machine used.
    LowClosure {
        /// The condition.
        condition: String,
        /// Attributed / used.
        closure: f64,
    },
    /// Attributed CPU time is above what the machine used.
    HighClosure {
        /// The condition.
        condition: String,
        /// Attributed / used.
        closure: f64,
    },
    /// Other programs kept the machine busy.
    ForeignLoad {
        /// The condition.
        condition: String,
        /// Trials marked for it.
        trials: u32,
    },
    /// The CPU itself was slower than usual.
    Slowdown {
        /// The condition.
        condition: String,
        /// Trials marked for it.
        trials: u32,
    },
    /// A hypervisor took CPU time away.
    StealTime {
        /// The condition.
        condition: String,
        /// Trials marked for it.
        trials: u32,
    },
    /// The kernel's receive work cannot be told apart host by host.
    AppOnly {
        /// Why.
        reason: String,
    },
    /// IPv6 has no broadcast.
    BroadcastSkippedIpv6,
    /// A host's agent ended during the run.
    HostLost {
        /// The host.
        host: String,
    },
    /// The kernel granted less receive buffer than asked for.
    ReceiveBufferSmall {
        /// Bytes asked for.
        asked: u64,
        /// Bytes granted.
        granted: u64,
    },
    /// The machine did not manage the rate.
    RateNotHeld {
        /// The condition.
        condition: String,
        /// Messages a second asked for.
        asked: f64,
        /// Messages a second reached.
        held: f64,
    },
    /// No trial of a condition could be used.
    NoValidTrial {
        /// The condition.
        condition: String,
    },
}

impl Warning {
    /// The stable name, as in `run.json`.
    pub fn code(&self) -> &'static str {
        match self {
            Warning::SenderBehindSchedule { .. } => "sender-behind-schedule",
            Warning::RingOverflow { .. } => "ring-overflow",
            Warning::SocketBufferOverflow { .. } => "socket-buffer-overflow",
            Warning::LowClosure { .. } => "low-closure",
            Warning::HighClosure { .. } => "high-closure",
            Warning::ForeignLoad { .. } => "foreign-load",
            Warning::Slowdown { .. } => "slowdown",
            Warning::StealTime { .. } => "steal-time",
            Warning::AppOnly { .. } => "app-only",
            Warning::BroadcastSkippedIpv6 => "broadcast-skipped-ipv6",
            Warning::HostLost { .. } => "host-lost",
            Warning::ReceiveBufferSmall { .. } => "receive-buffer-small",
            Warning::RateNotHeld { .. } => "rate-not-held",
            Warning::NoValidTrial { .. } => "no-valid-trial",
        }
    }

    /// What to do about it, in a sentence.
    pub fn advice(&self) -> &'static str {
        match self {
            Warning::SenderBehindSchedule { .. } => "Lower --rate, or measure on a machine with less to do.",
            Warning::RingOverflow { .. } => "Lower --rate: a virtual link's ring holds 256 frames.",
            Warning::SocketBufferOverflow { .. } => {
                "Lower --rate, or raise the sysctl net.core.rmem_max so that a larger buffer is granted."
            }
            Warning::LowClosure { .. } => {
                "Raise --rate or --duration: with more traffic, interrupts and idle transitions weigh less."
            }
            Warning::HighClosure { .. } => "Measure for longer: idle time is counted in steps of 10 ms.",
            Warning::ForeignLoad { .. } => "Close other programs and measure again.",
            Warning::Slowdown { .. } => {
                "Something shares the CPU (another virtual machine, the other half of a core), or it saves power: plug the \
                 machine in, or measure again later."
            }
            Warning::StealTime { .. } => "Measure on a virtual machine whose host is quiet, or on real hardware.",
            Warning::AppOnly { .. } => {
                "Read the frame counts, which are exact; for CPU time, run it where /sys can be mounted and the \
                 machine's processes can be seen, not in a container."
            }
            Warning::BroadcastSkippedIpv6 => "Compare with multicast to ff02::1, which reaches every IPv6 host.",
            Warning::HostLost { .. } => "Look for the out-of-memory killer in the kernel's log, then run it again.",
            Warning::ReceiveBufferSmall { .. } => {
                "Raise the sysctl net.core.rmem_max, or keep to rates at which nothing is lost."
            }
            Warning::RateNotHeld { .. } => "Ask for the rate that was reached, or for fewer hosts.",
            Warning::NoValidTrial { .. } => "Look up the reasons in the column invalid_reason of hosts.csv.",
        }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Warning::SenderBehindSchedule { condition, trials } => {
                write!(f, "{condition}: the sender missed its schedule by more than 1 % in {}.", repeats(*trials))
            }
            Warning::RingOverflow { condition, frames } => {
                write!(f, "{condition}: a full link ring lost frames ({frames} in all).")
            }
            Warning::SocketBufferOverflow { condition, messages } => {
                write!(f, "{condition}: a full socket buffer lost messages ({messages} in all).")
            }
            Warning::LowClosure { condition, closure } => {
                write!(f, "{condition}: only {:.0} % of the machine's CPU time is accounted for.", closure * 100.0)
            }
            Warning::HighClosure { condition, closure } => write!(
                f,
                "{condition}: more CPU time is accounted for than the machine used ({:.0} %).",
                closure * 100.0
            ),
            Warning::Slowdown { condition, trials } => {
                write!(f, "{condition}: the CPU was slower than usual in {}.", repeats(*trials))
            }
            Warning::ForeignLoad { condition, trials } => {
                write!(f, "{condition}: other programs kept the machine busy in {}.", repeats(*trials))
            }
            Warning::StealTime { condition, trials } => write!(
                f,
                "{condition}: the hypervisor gave more than 5 % of the CPU time to others in {}.",
                repeats(*trials)
            ),
            Warning::AppOnly { reason } => {
                write!(f, "The kernel's share of each host's CPU time could not be measured: {reason}.")
            }
            Warning::BroadcastSkippedIpv6 => f.write_str("Broadcast was left out: IPv6 has none."),
            Warning::HostLost { host } => {
                write!(f, "{host} was lost: its agent ended during the run, and that repeat is left out.")
            }
            Warning::ReceiveBufferSmall { asked, granted } => {
                write!(f, "The kernel granted {granted} bytes of receive buffer of the {asked} asked for.")
            }
            Warning::RateNotHeld { condition, asked, held } => {
                write!(f, "{condition}: {asked:.0} messages/s were asked for, {held:.0} were reached.")
            }
            Warning::NoValidTrial { condition } => write!(f, "{condition}: no repeat could be used."),
        }
    }
}

/// A moment as RFC 3339 in UTC, to the second.
pub fn rfc3339(time: SystemTime) -> String {
    humantime::format_rfc3339_seconds(time).to_string()
}

/// `1 repeat`, `2 repeats`.
fn repeats(trials: u32) -> String {
    format!("{trials} repeat{}", if trials == 1 { "" } else { "s" })
}

/// Each warning with its sentence and advice beside its fields, for those who read `run.json` without netlab.
fn in_words<S: Serializer>(warnings: &[Warning], serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct InWords<'a> {
        #[serde(flatten)]
        warning: &'a Warning,
        message: String,
        advice: &'static str,
    }
    serializer.collect_seq(warnings.iter().map(|warning| InWords {
        warning,
        message: warning.to_string(),
        advice: warning.advice(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::time::Duration;

    fn every_warning() -> Vec<Warning> {
        let condition = || "unicast-k4".to_owned();
        vec![
            Warning::SenderBehindSchedule { condition: condition(), trials: 2 },
            Warning::RingOverflow { condition: condition(), frames: 7 },
            Warning::SocketBufferOverflow { condition: condition(), messages: 8 },
            Warning::LowClosure { condition: condition(), closure: 0.71 },
            Warning::HighClosure { condition: condition(), closure: 1.21 },
            Warning::ForeignLoad { condition: condition(), trials: 1 },
            Warning::Slowdown { condition: condition(), trials: 1 },
            Warning::StealTime { condition: condition(), trials: 1 },
            Warning::AppOnly { reason: "/sys cannot be mounted".to_owned() },
            Warning::BroadcastSkippedIpv6,
            Warning::HostLost { host: "h3".to_owned() },
            Warning::ReceiveBufferSmall { asked: 4_194_304, granted: 425_984 },
            Warning::RateNotHeld { condition: condition(), asked: 1e6, held: 412_345.6 },
            Warning::NoValidTrial { condition: condition() },
        ]
    }

    #[test]
    fn times_are_rfc_3339() {
        assert_eq!(rfc3339(SystemTime::UNIX_EPOCH + Duration::from_secs(951_827_696)), "2000-02-29T12:34:56Z");
    }

    #[test]
    fn run_json_survives_a_round_trip_with_every_warning() {
        let mut metadata = RunMetadata::start("1f", 42, vec!["netlab".to_owned(), "measure".to_owned()]);
        metadata.plan = json!({"hosts": 21});
        metadata.calibration =
            Some(Calibration { window_s: 3.0, rate: 2000.0, plain_busy_s: 0.8, threaded_busy_s: 1.1 });
        metadata.link_header_bytes_corrected = Some(14);
        for warning in every_warning().into_iter().chain(every_warning()) {
            metadata.warn(warning);
        }
        assert_eq!(metadata.warnings, every_warning(), "the same warning twice is one");
        metadata.end(Status::Interrupted);
        let text = serde_json::to_string(&metadata).unwrap();
        assert_eq!(serde_json::from_str::<RunMetadata>(&text).unwrap(), metadata);
    }

    #[test]
    fn run_json_says_what_a_warning_means() {
        let mut metadata = RunMetadata::start("1f", 42, Vec::new());
        metadata.warn(Warning::RateNotHeld { condition: "c".to_owned(), asked: 1e6, held: 412_345.6 });
        let value = serde_json::to_value(&metadata).unwrap();
        assert_eq!(value["status"], "running");
        assert_eq!(value["ended"], Value::Null);
        assert_eq!(
            value["warnings"][0],
            json!({
                "code": "rate-not-held", "condition": "c", "asked": 1e6, "held": 412_345.6,
                "message": "c: 1000000 messages/s were asked for, 412346 were reached.",
                "advice": "Ask for the rate that was reached, or for fewer hosts.",
            })
        );
    }

    #[test]
    fn codes_are_those_of_run_json_and_sentences_end() {
        for warning in every_warning() {
            assert_eq!(serde_json::to_value(&warning).unwrap()["code"], warning.code());
            assert!(warning.to_string().ends_with('.') && warning.advice().ends_with('.'), "{warning}");
        }
    }
}
