//! One host's agent: a process in the host's namespace that carries out orders and counts.
//!
//! It sleeps unless it sends, receives or answers: the runner reads its CPU clock between two answers, so that the clock's
//! growth is the cost of the messages alone.

use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use super::protocol::{Collected, Endpoints, Line, Order, Reply, Silence};
use crate::counters::{self, HostCounters};
use crate::delivery::receiver::{self, ReceiveLive, ReceiveReport};
use crate::delivery::sender::{self, SendLive};
use crate::delivery::{Outlet, open_inlet, open_outlet};
use crate::error::{Error, Result};
use crate::sys;

/// Serves the runner at the other end of `stream` until that end closes. `interface` is the host's link.
///
/// # Errors
/// When the line breaks in the middle; what goes wrong with an order is answered on the line instead.
pub fn serve(stream: UnixStream, interface: &str) -> Result<()> {
    let mut line = Line::new(stream);
    let mut host = HostAgent::new(interface)?;
    line.send(&Reply::Ready { proc_pid: sys::proc::own_pid()? })?;
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
    reader: counters::Reader,
    outlet: Option<Outlet>,
    receiving: Option<Receiving>,
    start: Option<HostCounters>,
}

/// A receive loop in a thread of its own.
struct Receiving {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<ReceiveReport>>,
}

impl HostAgent {
    fn new(interface: &str) -> Result<Self> {
        Ok(HostAgent { reader: counters::Reader::open(&[interface])?, outlet: None, receiving: None, start: None })
    }

    fn carry_out(&mut self, order: Order) -> Result<Reply> {
        match order {
            Order::Prepare(endpoints) => self.prepare(endpoints),
            Order::Begin => {
                self.start = Some(self.reader.read()?);
                Ok(Reply::Begun)
            }
            Order::Send(plan) => {
                let outlet = self.outlet.as_ref().ok_or_else(|| Error::failed("sending: no endpoint is open"))?;
                let never = AtomicBool::new(false);
                Ok(Reply::Sent(sender::send(outlet, &plan, &never, &SendLive::default())?))
            }
            Order::Collect => self.collect().map(|collected| Reply::Collected(Box::new(collected))),
        }
    }

    fn prepare(&mut self, endpoints: Endpoints) -> Result<Reply> {
        self.outlet = endpoints.outlet.map(|spec| open_outlet(&spec)).transpose()?;
        let Some((spec, plan)) = endpoints.inlet else { return Ok(Reply::Prepared { receive_buffer_bytes: None }) };
        let inlet = open_inlet(&spec)?;
        let receive_buffer_bytes = Some(inlet.description().receive_buffer_bytes);
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::Builder::new()
            .name("receive".into())
            .spawn(move || receiver::receive(&inlet, &plan, &stopped, &ReceiveLive::default()))
            .map_err(|e| Error::failed("starting the receive thread").because(e))?;
        self.receiving = Some(Receiving { stop, thread });
        Ok(Reply::Prepared { receive_buffer_bytes })
    }

    fn collect(&mut self) -> Result<Collected> {
        let now = self.reader.read()?;
        let before = self.start.take().ok_or_else(|| Error::failed("collecting before beginning"))?;
        self.outlet = None;
        let receive = self.receiving.take().map(Receiving::finish).transpose()?;
        Ok(Collected { counters: now.since(&before), receive })
    }
}

impl Receiving {
    fn finish(self) -> Result<ReceiveReport> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap_or_else(|_| Err(Error::failed("the receive thread panicked")))
    }
}
