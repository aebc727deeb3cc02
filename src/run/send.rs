//! Having hosts send, and what the runner does meanwhile.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::bench::{Bench, SENDER};
use super::host::Answer;
use super::protocol::{Order, Reply, Window};
use crate::delivery::sender::{Payload, SendPlan, SendReport};
use crate::error::{Error, Result};
use crate::sys::clock;
use crate::units::Rate;

/// What is sent in one window.
#[derive(Clone, Debug)]
pub struct Sends {
    /// By the sender.
    pub main: SendPlan,
    /// By another host at the same time.
    pub beside: Option<(usize, SendPlan)>,
}

/// What became of [`Sends`].
#[derive(Clone, Debug)]
pub struct Sent {
    /// Of the sender.
    pub main: SendReport,
    /// Of the other host; `None` without one, or when it is lost.
    pub beside: Option<SendReport>,
}

/// What the runner does while it waits.
pub struct Meanwhile<'a> {
    stop: &'a AtomicBool,
    interval: Duration,
    next: Instant,
    tick: &'a mut dyn FnMut(&mut Bench) -> Result<()>,
}

impl<'a> Meanwhile<'a> {
    /// Calls `tick` every `interval`, and gives up when `stop` is set.
    pub fn new(stop: &'a AtomicBool, interval: Duration, tick: &'a mut dyn FnMut(&mut Bench) -> Result<()>) -> Self {
        Meanwhile { stop, interval, next: Instant::now() + interval, tick }
    }
}

impl Bench {
    /// Has the sender send now and waits until it has.
    ///
    /// # Errors
    /// As [`Bench::send_all`].
    pub fn send(&mut self, plan: SendPlan, stop: &AtomicBool) -> Result<SendReport> {
        const NEVER: Duration = Duration::from_secs(3600);
        let sends = Sends { main: plan, beside: None };
        let sent = self.send_all(&sends, Window::now(), &mut Meanwhile::new(stop, NEVER, &mut |_| Ok(())))?;
        Ok(sent.main)
    }

    /// Has hosts send from the start of the window on, and waits until all have and the window is over.
    ///
    /// # Errors
    /// When one cannot send, the sender is lost, a tick fails, or the run is to stop.
    pub fn send_all(&mut self, sends: &Sends, window: Window, meanwhile: &mut Meanwhile<'_>) -> Result<Sent> {
        let order = |plan: &SendPlan| Order::Send { plan: plan.clone(), at_ns: window.start_ns };
        let other = sends.beside.as_ref().map(|(host, _)| *host);
        // The sender comes last: from then on it may keep a CPU to itself.
        for (host, plan) in sends.beside.iter() {
            self.agents.tell(*host, &order(plan));
        }
        self.agents.tell(SENDER, &order(&sends.main));

        let Some(main) = self.wait(meanwhile, |bench, nap| bench.poll_sent(SENDER, nap))? else {
            let why = self.agents.lost(SENDER).unwrap_or_default();
            return Err(Error::failed(format!("the sender is lost: {why}")));
        };
        let beside = match other {
            Some(host) => self.wait(meanwhile, |bench, nap| bench.poll_sent(host, nap))?,
            None => None,
        };
        let end_ns = window.at_ns(window.duration);
        self.wait(meanwhile, |_, nap| {
            let left = Duration::from_nanos(end_ns.saturating_sub(clock::monotonic_ns()));
            std::thread::sleep(nap.min(left));
            Ok(left.is_zero().then_some(()))
        })?;
        Ok(Sent { main, beside })
    }

    /// Has the sender wake and pace as for messages of this rate, and send none; CPU time of its program for each message
    /// there would have been, in µs.
    ///
    /// # Errors
    /// When it cannot, or is lost.
    pub fn pace(&mut self, rate: f64, duration: Duration) -> Result<f64> {
        let (before, _) = self.drain()?;
        let reply = self.order_sender(Order::Pace { rate: Rate::PerSecond(rate), duration })?;
        let Reply::Sent(report) = reply else {
            return Err(Error::failed(format!("pacing: the agent said {reply:?}")));
        };
        let (after, _) = self.drain()?;
        let used_ns = after.agents_ns[SENDER].zip(before.agents_ns[SENDER]).map(|(after, before)| after - before);
        let used_ns = used_ns.ok_or_else(|| Error::failed("pacing: the sender is lost"))?;
        Ok(used_ns as f64 / 1e3 / report.messages_sent.max(1) as f64)
    }

    /// Has the sender ask the server for an answer, `times` times or for as long as `at_most`; how long each took, in ns.
    ///
    /// # Errors
    /// When it cannot, or is lost.
    pub fn ask_server(&mut self, times: u32, at_most: Duration) -> Result<Vec<u64>> {
        match self.order_sender(Order::Ask { times, at_most })? {
            Reply::Asked(took) => Ok(took),
            other => Err(Error::failed(format!("asking the server: the agent said {other:?}"))),
        }
    }

    /// Waits until `look`, which may take a nap of the length given, has found something.
    fn wait<T>(
        &mut self,
        meanwhile: &mut Meanwhile<'_>,
        mut look: impl FnMut(&mut Bench, Duration) -> Result<Option<T>>,
    ) -> Result<T> {
        loop {
            if meanwhile.stop.load(Ordering::Relaxed) {
                return Err(Error::interrupted("interrupted"));
            }
            // Short enough to notice an interruption, long enough to sleep.
            let nap = meanwhile.next.saturating_duration_since(Instant::now()).min(Duration::from_millis(100));
            if let Some(found) = look(self, nap)? {
                return Ok(found);
            }
            if Instant::now() >= meanwhile.next {
                (meanwhile.tick)(self)?;
                meanwhile.next += meanwhile.interval;
            }
        }
    }

    /// A host's report of what it sent, once it is there; none in it when the host is lost.
    fn poll_sent(&mut self, host: usize, patience: Duration) -> Result<Option<Option<SendReport>>> {
        match self.agents.poll(host, patience) {
            Answer::Reply(Reply::Sent(report)) => Ok(Some(Some(report))),
            Answer::Reply(Reply::Failed(why)) => Err(Error::failed(format!("sending: {why}"))),
            Answer::Reply(other) => Err(Error::failed(format!("sending: the agent said {other:?}"))),
            Answer::Lost => Ok(Some(None)),
            Answer::Pending => Ok(None),
        }
    }
}

/// A plan to send probes, one at each due time.
pub fn probes(
    run_id: u32,
    stream_id: u16,
    size: usize,
    rate: Rate,
    count: Option<u64>,
    duration: Option<Duration>,
) -> SendPlan {
    SendPlan { rate, burst: 1, count, duration, catches_up: true, payload: Payload::Probe { run_id, stream_id, size } }
}
