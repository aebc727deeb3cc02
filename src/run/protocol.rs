//! What a runner and a host's agent say to each other: one JSON object a line, each order answered by one reply.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::presence::{Presence, PresenceReport};
use super::serve::{Serve, ServeReport};
use super::work::WorkReport;
use crate::counters::HostCounters;
use crate::delivery::receiver::{ReceivePlan, ReceiveReport};
use crate::delivery::sender::{SendPlan, SendReport};
use crate::delivery::stream::StreamSpec;
use crate::delivery::{InletSpec, OutletSpec};
use crate::error::{Error, Result};
use crate::router::{DelayCounts, ForwarderPlan};
use crate::sys::clock;
use crate::units::Rate;

/// From the runner to an agent.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Order {
    /// Open the endpoints of this part and start receiving; answered by [`Reply::Prepared`].
    Prepare(Box<Part>),
    /// Take the counters as they are now; answered by [`Reply::Begun`].
    Begin,
    /// Join, leave or work by this window, as prepared; answered by [`Reply::Started`] at once.
    Start(Window),
    /// Ask the server for an answer, one time after the other; answered by [`Reply::Asked`].
    Ask {
        /// How often.
        times: u32,
        /// No further time when it has taken this long, but once.
        at_most: Duration,
    },
    /// Send this much; answered by [`Reply::Sent`] when it is done.
    Send {
        /// What.
        plan: SendPlan,
        /// From when on, in ns of `CLOCK_MONOTONIC`; at once when that has passed.
        at_ns: u64,
    },
    /// Wake and pace as if to send, and send nothing; answered by [`Reply::Sent`] when it is done.
    Pace {
        /// Messages a second there would be.
        rate: Rate,
        /// For how long.
        duration: Duration,
    },
    /// Take the counters again; answered by [`Reply::Ended`].
    End,
    /// Close the endpoints; answered by [`Reply::Collected`]. Not before all hosts have ended: leaving a group makes frames.
    Collect,
}

/// What a host needs for its part in a trial; a plain bystander needs nothing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Part {
    /// Where to receive.
    pub inlet: Option<(InletSpec, ReceivePlan)>,
    /// When it is a member of the inlet's groups.
    pub presence: Presence,
    /// Where to send.
    pub outlet: Option<OutletSpec>,
    /// The session with a server by which it sends, or receives.
    pub session: Option<(StreamSpec, ReceivePlan)>,
    /// What it serves others.
    pub serve: Option<Serve>,
    /// Where it is a member only: nothing is received there.
    pub member_of: Option<InletSpec>,
    /// What it does as a router.
    pub forward: Option<Forward>,
    /// Whether it works during the window.
    pub works: bool,
    /// The CPUs it is to keep to from now on; none: nothing is said of them.
    pub cpus: Vec<usize>,
}

impl Part {
    /// Whether it does something by the clock, beside sending.
    pub fn has_appointments(&self) -> bool {
        self.works
            || !self.presence.is_whole()
            || self.forward.as_ref().is_some_and(|f| f.stops_asking.is_some())
            || self.serve.as_ref().is_some_and(|serve| serve.dies_at.is_some())
    }
}

/// What a router does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forward {
    /// How it asks, and between which interfaces it forwards.
    pub plan: ForwarderPlan,
    /// When it stops asking, from the start of the window; `None`: it does not.
    pub stops_asking: Option<Duration>,
    /// How long it keeps what it forwards. With a distance that is unicast alone, between the interfaces of the plan; it
    /// then neither asks nor forwards groups.
    #[serde(default)]
    pub distance: Duration,
}

/// The time in which messages are sent. All hosts of a machine read the same clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// `CLOCK_MONOTONIC`, in ns.
    pub start_ns: u64,
    /// Its length.
    pub duration: Duration,
}

impl Window {
    /// The moment it is.
    pub fn now() -> Window {
        Window { start_ns: clock::monotonic_ns(), duration: Duration::ZERO }
    }

    /// So long after its start, in ns of `CLOCK_MONOTONIC`.
    pub fn at_ns(&self, since_start: Duration) -> u64 {
        self.start_ns.saturating_add(u64::try_from(since_start.as_nanos()).unwrap_or(u64::MAX))
    }
}

/// From an agent to the runner.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Reply {
    /// The agent runs.
    Ready {
        /// Its process ID as `/proc` names it (which may be another PID namespace's number).
        proc_pid: u32,
    },
    /// The endpoints are open and the kernel confirms the memberships.
    Prepared {
        /// Receive buffer granted, for a receiver that asked for a large one.
        receive_buffer_bytes: Option<u64>,
    },
    /// The counters are taken.
    Begun,
    /// The window is known.
    Started,
    /// How long each answer took, in ns; fewer than were asked for where one did not come.
    Asked(Vec<u64>),
    /// What was sent.
    Sent(SendReport),
    /// The counters are taken again.
    Ended,
    /// What changed from [`Order::Begin`] to [`Order::End`], and what arrived.
    Collected(Box<Collected>),
    /// The order could not be carried out; the reason in words.
    Failed(String),
}

/// One host's part of a trial.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Collected {
    /// Growth of the host's counters.
    pub counters: HostCounters,
    /// What arrived, for a host with an inlet.
    pub receive: Option<ReceiveReport>,
    /// How joining and leaving went, for one that did.
    pub presence: Option<PresenceReport>,
    /// What it got done, for one that worked.
    pub work: Option<WorkReport>,
    /// What it served, for a server.
    pub serve: Option<ServeReport>,
    /// What it forwarded over a distance, and what it had no room for.
    #[serde(default)]
    pub delayed: Option<DelayCounts>,
}

/// One end of the line between the runner and an agent.
pub struct Line {
    reader: BufReader<UnixStream>,
    /// A line that has not arrived whole.
    partial: Vec<u8>,
}

/// Why [`Line::receive`] brought nothing.
#[derive(Debug)]
pub enum Silence {
    /// Nothing arrived in time.
    TimedOut,
    /// The other end is gone, or does not speak this protocol.
    Gone(String),
}

impl Line {
    /// Speaks over `stream`.
    pub fn new(stream: UnixStream) -> Self {
        Line { reader: BufReader::new(stream), partial: Vec::new() }
    }

    /// Sends one message.
    ///
    /// # Errors
    /// When the other end is gone.
    pub fn send(&mut self, message: &impl Serialize) -> Result<()> {
        let mut line =
            serde_json::to_vec(message).map_err(|e| Error::failed("encoding a control message").because(e))?;
        line.push(b'\n');
        self.reader.get_mut().write_all(&line).map_err(|e| Error::failed("writing to the control line").because(e))
    }

    /// Waits for one message, for `patience` at most (`None`: for ever).
    ///
    /// A partly received line is kept for the next call.
    ///
    /// # Errors
    /// [`Silence`] says why there is none.
    pub fn receive<T: DeserializeOwned>(&mut self, patience: Option<Duration>) -> Result<T, Silence> {
        let patience = patience.map(|p| p.max(Duration::from_millis(1)));
        self.reader.get_ref().set_read_timeout(patience).map_err(|e| Silence::Gone(e.to_string()))?;
        loop {
            match self.reader.read_until(b'\n', &mut self.partial) {
                Ok(_) if self.partial.last() == Some(&b'\n') => {
                    let message = serde_json::from_slice(&self.partial).map_err(|e| Silence::Gone(e.to_string()));
                    self.partial.clear();
                    return message;
                }
                Ok(_) => return Err(Silence::Gone("it has ended".into())),
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                Err(e) if matches!(e.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => {
                    return Err(Silence::TimedOut);
                }
                Err(e) => return Err(Silence::Gone(e.to_string())),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_carries_messages_whole_and_tells_silence_from_an_end() {
        let (a, b) = UnixStream::pair().unwrap();
        let (mut runner, mut agent) = (Line::new(a), Line::new(b));
        runner.send(&Order::Begin).unwrap();
        assert!(matches!(agent.receive(None), Ok(Order::Begin)));
        let nothing = agent.receive::<Order>(Some(Duration::from_millis(1)));
        assert!(matches!(nothing, Err(Silence::TimedOut)));
        // Half a line, then the rest of it.
        runner.reader.get_mut().write_all(b"\"Col").unwrap();
        let half = agent.receive::<Order>(Some(Duration::from_millis(1)));
        assert!(matches!(half, Err(Silence::TimedOut)));
        runner.reader.get_mut().write_all(b"lect\"\nrubbish\n").unwrap();
        assert!(matches!(agent.receive(None), Ok(Order::Collect)));
        assert!(matches!(agent.receive::<Order>(None), Err(Silence::Gone(_))));
        drop(runner);
        assert!(matches!(agent.receive::<Order>(None), Err(Silence::Gone(_))));
    }
}
