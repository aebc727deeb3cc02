//! One host's agent: a process in the host's namespace that carries out orders and counts.
//!
//! It sleeps unless it sends, receives or answers: the runner reads its CPU clock between two answers, so that the clock's
//! growth is the cost of the messages alone.

use std::io;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::attend::{Attendance, Door};
use super::presence::{self, Presence, PresenceReport};
use super::protocol::{Collected, Forward, Line, Order, Part, Reply, Silence, Window};
use super::serve::{Serve, Serving};
use super::work::{self, WorkReport};
use crate::counters::{self, HostCounters};
use crate::delivery::receiver::{self, ReceiveLive, ReceivePlan, ReceiveReport};
use crate::delivery::sender::{self, SendLive, SendPlan, SendReport};
use crate::delivery::stream::StreamSpec;
use crate::delivery::stream::outlet::{self, StreamOutlet};
use crate::delivery::{Inlet, Outlet, open_inlet, open_outlet, open_unjoined};
use crate::error::{Error, Result};
use crate::router::{Delay, DelayCounts, DelayPlan, Forwarder};
use crate::sys::{affinity, clock, proc};

/// Serves the runner at the other end of `stream` until that end closes. `interfaces` are the host's links: one,
/// but for a router.
///
/// # Errors
/// When the line breaks in the middle; what goes wrong with an order is answered on the line instead.
pub fn serve(stream: UnixStream, interfaces: &[String]) -> Result<()> {
    let mut line = Line::new(stream);
    let mut host = HostAgent::new(interfaces)?;
    line.send(&Reply::Ready { proc_pid: proc::own_pid()? })?;
    loop {
        let order = match line.receive(None) {
            Ok(order) => order,
            Err(Silence::TimedOut) => continue,
            Err(Silence::Gone(_)) => return Ok(()),
        };
        let reply = host.carry_out(order).unwrap_or_else(|error| Reply::Failed(error.to_string()));
        line.send(&reply)?;
    }
}

struct HostAgent {
    interface: String,
    reader: counters::Reader,
    outlet: Option<Outlet>,
    receiving: Option<Receiving>,
    /// A session with a server.
    attending: Option<Attending>,
    serving: Option<(Serve, Arc<Serving>)>,
    dying: Option<JoinHandle<()>>,
    /// A membership alone.
    member: Option<Inlet>,
    presence: Presence,
    present: Option<Activity<Result<PresenceReport>>>,
    works: bool,
    working: Option<JoinHandle<WorkReport>>,
    /// A router's program, and what it was started for.
    forwarding: Option<(Forward, Program)>,
    /// What that program had delayed when the trial began, and when it had ended.
    delayed: [Option<DelayCounts>; 2],
    silencing: Option<JoinHandle<()>>,
    start: Option<HostCounters>,
    end: Option<HostCounters>,
}

/// What a router runs.
enum Program {
    /// Forwards groups, and asks who wants which.
    Forwarder(Arc<Forwarder>),
    /// Forwards unicast over a distance.
    Delay(Delay),
}

/// A receive loop in a thread of its own.
struct Receiving {
    inlet: Arc<Inlet>,
    activity: Activity<ReceiveReport>,
}

/// A session with a server, whose receive half is in a thread of its own.
struct Attending {
    outlet: Option<StreamOutlet>,
    ask: Option<Box<dyn Fn() -> io::Result<()> + Send>>,
    /// When the server has answered, in ns.
    answers: mpsc::Receiver<u64>,
    window: mpsc::Sender<Window>,
    leaves_at: Option<Duration>,
    leaving: Option<JoinHandle<()>>,
    door: Arc<Door>,
    thread: JoinHandle<Result<(ReceiveReport, PresenceReport)>>,
}

/// A thread that goes on until it is told to stop.
struct Activity<T> {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<T>,
}

impl HostAgent {
    fn new(interfaces: &[String]) -> Result<Self> {
        Ok(HostAgent {
            interface: interfaces.first().cloned().unwrap_or_default(),
            reader: counters::Reader::open(interfaces)?,
            outlet: None,
            receiving: None,
            attending: None,
            serving: None,
            dying: None,
            member: None,
            presence: Presence::default(),
            present: None,
            works: false,
            working: None,
            forwarding: None,
            delayed: [None; 2],
            silencing: None,
            start: None,
            end: None,
        })
    }

    fn carry_out(&mut self, order: Order) -> Result<Reply> {
        match order {
            Order::Prepare(part) => self.prepare(*part),
            Order::Begin => {
                if let Some(receiving) = &self.receiving {
                    receiving.inlet.forget_drops();
                }
                if let Some((_, serving)) = &self.serving {
                    serving.begin();
                }
                self.start = Some(self.reader.read()?);
                self.delayed[0] = self.delayed();
                Ok(Reply::Begun)
            }
            Order::Start(window) => self.start(window),
            Order::Ask { times, at_most } => self.ask(times, at_most).map(Reply::Asked),
            Order::Send { plan, at_ns } => {
                presence::sleep_until(at_ns);
                self.send(&plan).map(Reply::Sent)
            }
            Order::Pace { rate, duration } => Ok(Reply::Sent(sender::pace(rate, duration, &self.interface))),
            Order::End => {
                self.end = Some(self.reader.read()?);
                self.delayed[1] = self.delayed();
                Ok(Reply::Ended)
            }
            Order::Collect => self.collect().map(|collected| Reply::Collected(Box::new(collected))),
        }
    }

    fn prepare(&mut self, part: Part) -> Result<Reply> {
        if !part.cpus.is_empty() {
            // With all threads that are started from now on.
            affinity::keep_to(&part.cpus)?;
        }
        self.outlet = part.outlet.map(|spec| open_outlet(&spec)).transpose()?;
        self.member = part.member_of.map(|spec| open_inlet(&spec)).transpose()?;
        self.presence = part.presence;
        self.works = part.works;
        self.forward(part.forward)?;
        self.serving = match part.serve {
            Some(serve) => {
                let serving = Arc::new(Serving::start(&serve)?);
                Some((serve, serving))
            }
            None => None,
        };
        self.attending = match part.session {
            Some((spec, plan)) => Some(Attending::begin(&spec, &plan, part.presence)?),
            None => None,
        };
        let Some((spec, plan)) = part.inlet else { return Ok(Reply::Prepared { receive_buffer_bytes: None }) };
        let mut inlet = if part.presence.joins_at.is_some() { open_unjoined(&spec) } else { open_inlet(&spec) }?;
        let mut receive_buffer_bytes = Some(inlet.description().receive_buffer_bytes);
        if !plan.busy.is_zero() {
            // A program that is slow with its messages is an ordinary one, and has the usual buffer.
            inlet.use_usual_buffer()?;
            receive_buffer_bytes = None;
        }
        let inlet = Arc::new(inlet);
        let shared = Arc::clone(&inlet);
        let activity =
            Activity::start("receive", move |stop| receiver::receive(&shared, &plan, stop, &ReceiveLive::default()))?;
        self.receiving = Some(Receiving { inlet, activity });
        Ok(Reply::Prepared { receive_buffer_bytes })
    }

    /// Starts a router's program, or leaves the one that runs as it is where it is to do the same again.
    fn forward(&mut self, forward: Option<Forward>) -> Result<()> {
        let goes_on = |(running, _): &(Forward, _)| Some(running) == forward.as_ref() && running.stops_asking.is_none();
        if self.forwarding.as_ref().is_some_and(goes_on) {
            return Ok(());
        }
        // The one before gives multicast routing back first.
        self.forwarding = None;
        let Some(forward) = forward else { return Ok(()) };
        let program = if forward.distance.is_zero() {
            Program::Forwarder(Arc::new(Forwarder::start(&forward.plan)?))
        } else {
            let interfaces = forward.plan.interfaces.clone();
            Program::Delay(Delay::start(&DelayPlan { interfaces, distance: forward.distance })?)
        };
        self.forwarding = Some((forward, program));
        Ok(())
    }

    fn send(&self, plan: &SendPlan) -> Result<SendReport> {
        let (never, live) = (AtomicBool::new(false), SendLive::default());
        let attended = self.attending.as_ref().and_then(|attending| attending.outlet.as_ref());
        let report = match (attended, &self.outlet) {
            (Some(outlet), _) => outlet::send(outlet, plan, &never, &live)?,
            (None, Some(outlet)) => sender::send_timed(outlet, plan, &never, &live)?,
            (None, None) => return Err(Error::failed("sending: no endpoint is open")),
        };
        report.error.clone().map_or(Ok(report), |why| Err(Error::failed(why)))
    }

    /// Asks the server for an answer, `times` times or for as long as `at_most`; how long each took, in ns.
    fn ask(&self, times: u32, at_most: Duration) -> Result<Vec<u64>> {
        /// A server that takes longer is not measured by this.
        const PATIENCE: Duration = Duration::from_secs(2);
        let attending = self.attending.as_ref();
        let (ask, answers) = attending
            .and_then(|attending| Some((attending.ask.as_ref()?, &attending.answers)))
            .ok_or_else(|| Error::failed("asking the server: there is no session with one"))?;
        let begun = Instant::now();
        let mut took = Vec::new();
        while took.len() < times as usize && (took.is_empty() || begun.elapsed() < at_most) {
            let asked_ns = clock::monotonic_ns();
            ask().map_err(|error| Error::failed("asking the server").because(error))?;
            let Ok(answered_ns) = answers.recv_timeout(PATIENCE) else { break };
            took.push(answered_ns.saturating_sub(asked_ns));
        }
        Ok(took)
    }

    /// What a router at a distance has done so far.
    fn delayed(&self) -> Option<DelayCounts> {
        match &self.forwarding {
            Some((_, Program::Delay(delay))) => Some(delay.counts()),
            _ => None,
        }
    }

    fn start(&mut self, window: Window) -> Result<Reply> {
        if let Some(attending) = &mut self.attending {
            attending.open(window)?;
        }
        if let Some((Serve { dies_at: Some(dies), .. }, serving)) = &self.serving {
            let (at_ns, serving) = (window.at_ns(*dies), Arc::clone(serving));
            self.dying = Some(spawn("dying", move || {
                presence::sleep_until(at_ns);
                serving.die();
            })?);
        }
        if let Some(receiving) = self.receiving.as_ref().filter(|_| !self.presence.is_whole()) {
            let (inlet, presence) = (Arc::clone(&receiving.inlet), self.presence);
            let interface = self.interface.clone();
            let keep = move |stop: &AtomicBool| presence::keep(&inlet, presence, &interface, window, stop);
            self.present = Some(Activity::start("presence", keep)?);
        }
        if let Some((Forward { stops_asking: Some(stops), .. }, Program::Forwarder(forwarder))) = &self.forwarding {
            let (at_ns, forwarder) = (window.at_ns(*stops), Arc::clone(forwarder));
            self.silencing = Some(spawn("silencing", move || {
                presence::sleep_until(at_ns);
                forwarder.stop_asking();
            })?);
        }
        if self.works {
            self.working = Some(spawn("work", move || work::work(window))?);
        }
        Ok(Reply::Started)
    }

    fn collect(&mut self) -> Result<Collected> {
        let (start, end) =
            self.start.take().zip(self.end.take()).ok_or_else(|| Error::failed("collecting too early"))?;
        (self.outlet, self.member) = (None, None);
        let presence = self.present.take().map(Activity::finish).transpose()?.transpose()?;
        let received = self.receiving.take().map(|receiving| receiving.activity.finish()).transpose()?;
        if let Some(why) = received.as_ref().and_then(|received| received.error.clone()) {
            return Err(Error::failed(why));
        }
        let attended = self.attending.take().map(Attending::finish).transpose()?;
        let (heard, attended) = attended.unzip();
        self.dying.take().map(join).transpose()?;
        let serve = self.serving.take().map(|(_, serving)| serving.report());
        self.silencing.take().map(join).transpose()?;
        let work = self.working.take().map(join).transpose()?;
        let [begun, ended] = self.delayed;
        let delayed = ended.zip(begun).map(|(ended, begun)| ended.since(&begun));
        let (receive, presence) = (heard.or(received), attended.or(presence));
        Ok(Collected { counters: end.since(&start), receive, presence, work, serve, delayed })
    }
}

impl Attending {
    fn begin(spec: &StreamSpec, plan: &ReceivePlan, presence: Presence) -> Result<Attending> {
        let (told, answers) = mpsc::channel();
        let (window, opens) = mpsc::channel();
        let attendance = Attendance::begin(spec, plan, presence, opens, told)?;
        let session = attendance.session();
        let outlet = session.map(|session| session.outlet());
        let ask = session.map(|session| Box::new(session.asker()) as Box<dyn Fn() -> io::Result<()> + Send>);
        let door = attendance.door();
        let thread = spawn("session", move || attendance.attend())?;
        Ok(Attending { outlet, ask, answers, window, leaves_at: presence.leaves_at, leaving: None, door, thread })
    }

    fn open(&mut self, window: Window) -> Result<()> {
        // Who has not come by then is told when; for anybody else there is nothing to wait for.
        let _ = self.window.send(window);
        if let Some(leaves_at) = self.leaves_at {
            let (at_ns, door) = (window.at_ns(leaves_at), Arc::clone(&self.door));
            self.leaving = Some(spawn("leaving", move || {
                presence::sleep_until(at_ns);
                door.leave();
            })?);
        }
        Ok(())
    }

    fn finish(self) -> Result<(ReceiveReport, PresenceReport)> {
        self.leaving.map(join).transpose()?;
        self.door.close();
        // Whoever still waits for a window waits in vain.
        drop(self.window);
        join(self.thread)?
    }
}

impl<T: Send + 'static> Activity<T> {
    fn start(name: &str, act: impl FnOnce(&AtomicBool) -> T + Send + 'static) -> Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        Ok(Activity { stop, thread: spawn(name, move || act(&stopped))? })
    }

    fn finish(self) -> Result<T> {
        self.stop.store(true, Ordering::Relaxed);
        join(self.thread)
    }
}

fn spawn<T: Send + 'static>(name: &str, act: impl FnOnce() -> T + Send + 'static) -> Result<JoinHandle<T>> {
    let thread = std::thread::Builder::new().name(name.into()).spawn(act);
    thread.map_err(|e| Error::failed(format!("starting the {name} thread")).because(e))
}

fn join<T>(thread: JoinHandle<T>) -> Result<T> {
    let name = thread.thread().name().unwrap_or_default().to_owned();
    thread.join().map_err(|_| Error::failed(format!("the {name} thread panicked")))
}
