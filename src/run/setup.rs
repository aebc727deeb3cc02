//! The bench a run works on: the LAN with its agents, checked and calibrated before anything is measured.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde::Serialize;

use super::event::Event;
use super::host::{Agents, Answer};
use super::plan::{Condition, MeasurePlan};
use super::protocol::{Endpoints, Order, Reply};
use crate::counters::cpu::MachineMeter;
use crate::counters::link::{LinkCounters, LinkReader};
use crate::delivery::receiver::ReceivePlan;
use crate::delivery::sender::{Payload, SendPlan, SendReport};
use crate::delivery::{BroadcastAddress, InletSpec, Listen, OutletSpec, Target};
use crate::error::{Error, Result};
use crate::lan::{Attribution, Lan, NapiThread, SwitchKind};
use crate::results::metadata::Calibration;
use crate::sys::cpu::TaskClocks;
use crate::units::{Mode, Rate, Role};
use crate::wire::ethernet;
use crate::wire::probe::DEFAULT_PORT;

/// The group of multicast trials: administratively scoped (RFC 2365).
const GROUP_V4: Ipv4Addr = Ipv4Addr::new(239, 1, 1, 1);
/// The same in IPv6: transient, link-local scope (RFC 4291 section 2.7).
const GROUP_V6: Ipv6Addr = Ipv6Addr::new(0xff12, 0, 0, 0, 0, 0, 0x4e4c, 1);
/// How many messages of a trial keep their latency one by one, for the skew between receivers.
pub const TRACE: usize = 4096;
/// Longest wait for the LAN to fall still after a trial.
const LONGEST_DRAIN: Duration = Duration::from_secs(5);
/// Time between two looks that must agree before the LAN counts as still.
const STILL: Duration = Duration::from_millis(15);

/// A LAN ready to be measured.
pub struct Bench {
    // Agents end before the LAN they live in.
    /// One a host.
    pub agents: Agents,
    /// The LAN; this process is its switch.
    pub lan: Lan,
    /// Receive threads of all interfaces; empty without attribution.
    pub napi: Vec<NapiThread>,
    /// What was found out before measuring.
    pub facts: Facts,
    links: LinkReader,
    napi_clocks: TaskClocks,
}

/// What a set-up found out; goes into `run.json`.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Facts {
    /// Time from nothing to a LAN with all its threads, in s.
    pub lan_up_s: f64,
    /// Time from there to the last agent's answer, in s.
    pub agents_ready_s: f64,
    /// Bytes added to each frame in `link_tx_bytes` because this kernel's counter leaves the Ethernet header out.
    pub tx_header_bytes_added: Option<u64>,
    /// The same for `link_rx_bytes`.
    pub rx_header_bytes_added: Option<u64>,
    /// Frames a second all ports together carried while nothing was sent.
    pub idle_frames_per_second: f64,
    /// What attribution itself costs; has its own place in `run.json`.
    #[serde(skip)]
    pub calibration: Option<Calibration>,
    /// Why CPU time could not be attributed to hosts; `None` when it could.
    pub app_only: Option<String>,
    /// Receive buffer granted to a receiver (the smallest), in bytes.
    pub receive_buffer_bytes: Option<u64>,
}

/// Counters of the switch's ports and clocks of everyone at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Look {
    /// By host: the switch's port towards it.
    pub ports: Vec<LinkCounters>,
    /// By entry of [`Bench::napi`]: CPU time in ns.
    pub napi_ns: Vec<Option<u64>>,
    /// By host: CPU time of its agent in ns.
    pub agents_ns: Vec<Option<u64>>,
}

impl Bench {
    /// Builds the LAN, starts the agents, verifies that the switch does what it should, and calibrates.
    ///
    /// # Errors
    /// What [`Lan::build`] and [`Agents::start`] say; a switch that does not behave as its kind; an interruption.
    pub fn set_up(plan: &MeasurePlan, stop: &AtomicBool, observe: &mut dyn FnMut(Event)) -> Result<Bench> {
        let began = Instant::now();
        let lan = Lan::build(&plan.lan())?;
        let lan_up = began.elapsed();
        observe(Event::LanUp { took: lan_up });
        let agents = Agents::start(&lan)?;
        let agents_ready = began.elapsed() - lan_up;
        observe(Event::AgentsReady { took: agents_ready });
        let napi = lan.napi_threads()?;
        let napi_clocks = TaskClocks::open(napi.iter().map(|thread| thread.pid))?;
        let mut bench = Bench { agents, lan, napi, facts: Facts::default(), links: LinkReader::open()?, napi_clocks };
        bench.facts.lan_up_s = lan_up.as_secs_f64();
        bench.facts.agents_ready_s = agents_ready.as_secs_f64();
        observe(Event::Calibrating);
        bench.find_header_bytes()?;
        bench.facts.idle_frames_per_second = bench.listen_to_silence()?;
        match bench.lan.attribution() {
            Attribution::NapiThreads => bench.facts.calibration = Some(bench.calibrate(stop)?),
            Attribution::AppOnly(why) => bench.facts.app_only = Some(why.clone()),
        }
        Ok(bench)
    }

    /// Where a host sends or listens in a condition.
    pub fn endpoints(&self, condition: Condition, ipv6: bool, host: usize) -> Endpoints {
        let interface = Some(self.lan.hosts()[host].name.clone());
        let port = DEFAULT_PORT;
        match condition.role(host) {
            Role::Sender => {
                let to = |host| SocketAddr::new(self.address(host, ipv6), port);
                let target = match condition.mode {
                    Mode::Unicast => Target::Unicast { to: (1..=condition.receivers).map(to).collect() },
                    Mode::Broadcast => Target::Broadcast { to: BroadcastAddress::Limited, port },
                    Mode::RawBroadcast => Target::RawBroadcast,
                    Mode::Multicast => multicast_target(group(ipv6)),
                };
                Endpoints { inlet: None, outlet: Some(OutletSpec { target, interface, dscp: None }) }
            }
            Role::Receiver => {
                let listen = match condition.mode {
                    Mode::Unicast => Listen::Unicast { address: Some(self.address(host, ipv6)), port },
                    Mode::Broadcast => Listen::Broadcast { port },
                    Mode::RawBroadcast => Listen::RawBroadcast,
                    Mode::Multicast => Listen::Multicast { groups: vec![group(ipv6)], source: None, port },
                };
                let plan = ReceivePlan { trace: TRACE, ..ReceivePlan::default() };
                Endpoints { inlet: Some((InletSpec { listen, interface }, plan)), outlet: None }
            }
            Role::Bystander | Role::Switch => Endpoints::default(),
        }
    }

    /// Opens the endpoints of a condition on all hosts and waits until the switch knows the memberships.
    ///
    /// # Errors
    /// When an endpoint cannot be opened or the switch does not learn of the members.
    pub fn prepare(&mut self, condition: Condition, ipv6: bool) -> Result<()> {
        let orders: Vec<_> =
            (0..self.lan.hosts().len()).map(|host| Order::Prepare(self.endpoints(condition, ipv6, host))).collect();
        for (host, reply) in self.agents.all(|host| Some(orders[host].clone())).into_iter().enumerate() {
            match reply {
                Some(Reply::Failed(why)) => {
                    return Err(Error::failed(format!("preparing {}: {why}", self.lan.hosts()[host].name)));
                }
                Some(Reply::Prepared { receive_buffer_bytes: Some(bytes) }) => {
                    let smallest = self.facts.receive_buffer_bytes.get_or_insert(bytes);
                    *smallest = bytes.min(*smallest);
                }
                _ => {}
            }
        }
        if self.lan.spec().switch == SwitchKind::Snooping {
            // No members is a set as well: those of an earlier trial must have left.
            let members = if condition.mode == Mode::Multicast { condition.receivers } else { 0 };
            let wanted = (1..=members).filter(|&host| self.agents.lost(host).is_none()).collect();
            self.await_members(group(ipv6), &wanted)?;
        }
        Ok(())
    }

    /// Looks at every port and every clock.
    ///
    /// # Errors
    /// When the switch's counters cannot be read.
    pub fn look(&mut self) -> Result<Look> {
        let ports = self.links.read_all()?;
        let of_port = |port: &str| ports.get(port).copied().unwrap_or_default();
        Ok(Look {
            ports: self.lan.hosts().iter().map(|host| of_port(&host.port)).collect(),
            napi_ns: self.napi_clocks.read().collect(),
            agents_ns: (0..self.lan.hosts().len()).map(|host| self.agents.cpu_ns(host)).collect(),
        })
    }

    /// Has the sender send and waits until it has; `tick` is called every `interval` meanwhile.
    ///
    /// # Errors
    /// When the sender fails or is lost, `tick` fails, or `stop` is set.
    pub fn send(
        &mut self,
        plan: &SendPlan,
        stop: &AtomicBool,
        interval: Duration,
        tick: &mut dyn FnMut(&mut Bench) -> Result<()>,
    ) -> Result<SendReport> {
        let sender = 0;
        self.agents.tell(sender, &Order::Send(plan.clone()));
        let mut next = Instant::now() + interval;
        loop {
            if stop.load(Ordering::Relaxed) {
                return Err(Error::interrupted("interrupted"));
            }
            // Short enough to notice an interruption, long enough to sleep.
            let nap = next.saturating_duration_since(Instant::now()).min(Duration::from_millis(100));
            match self.agents.poll(sender, nap) {
                Answer::Reply(Reply::Sent(report)) => return Ok(report),
                Answer::Reply(Reply::Failed(why)) => return Err(Error::failed(format!("sending: {why}"))),
                Answer::Reply(other) => return Err(Error::failed(format!("sending: the agent said {other:?}"))),
                Answer::Lost => {
                    let why = self.agents.lost(sender).unwrap_or_default();
                    return Err(Error::failed(format!("the sender is lost: {why}")));
                }
                Answer::Pending => {}
            }
            if Instant::now() >= next {
                tick(self)?;
                next += interval;
            }
        }
    }

    /// Waits until nothing moves any more: no port's counter, no receive thread's and no agent's clock. Gives the last
    /// look, and whether the LAN did fall still in time.
    ///
    /// # Errors
    /// As [`Bench::look`].
    pub fn drain(&mut self) -> Result<(Look, bool)> {
        let deadline = Instant::now() + LONGEST_DRAIN;
        let mut last = self.look()?;
        loop {
            std::thread::sleep(STILL);
            let look = self.look()?;
            if look == last {
                return Ok((look, true));
            }
            if Instant::now() > deadline {
                return Ok((look, false));
            }
            last = look;
        }
    }

    /// The process and thread IDs, as `/proc` names them, of everything whose CPU time is attributed.
    pub fn task_ids(&self) -> BTreeSet<u32> {
        self.napi.iter().map(|thread| thread.pid).chain(self.agents.proc_pids()).collect()
    }

    /// The spelling of how CPU time was found, in the column `cpu_method`.
    pub fn cpu_method(&self) -> &'static str {
        match self.lan.attribution() {
            Attribution::NapiThreads => "napi-threads",
            Attribution::AppOnly(_) => "app-only",
        }
    }

    fn address(&self, host: usize, ipv6: bool) -> IpAddr {
        let host = &self.lan.hosts()[host];
        match host.ipv6 {
            Some(v6) if ipv6 => IpAddr::V6(v6),
            _ => IpAddr::V4(host.ipv4),
        }
    }

    fn await_members(&mut self, group: IpAddr, wanted: &BTreeSet<usize>) -> Result<()> {
        let deadline = Instant::now() + LONGEST_DRAIN;
        loop {
            let members = self.lan.members(group)?;
            if members == *wanted {
                return Ok(());
            }
            if Instant::now() > deadline {
                let (have, want) = (members.len(), wanted.len());
                return Err(Error::failed(format!("the switch knows {have} members of {group}, not {want}")));
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Has the sender send `count` messages to `target` and gives what each port and the sender's own link counted.
    fn try_out(&mut self, target: Target, count: u64, size: usize) -> Result<(Vec<LinkCounters>, LinkCounters)> {
        let interface = Some(self.lan.hosts()[0].name.clone());
        let outlet = Some(OutletSpec { target, interface, dscp: None });
        let endpoints = Endpoints { inlet: None, outlet };
        let never = AtomicBool::new(false);
        let (before, _) = self.drain()?;
        self.order_sender(Order::Prepare(endpoints))?;
        self.order_sender(Order::Begin)?;
        self.send(&probes(0, 0, size, Rate::PerSecond(1000.0), Some(count), None), &never, STILL, &mut |_| Ok(()))?;
        let (after, _) = self.drain()?;
        let Reply::Collected(collected) = self.order_sender(Order::Collect)? else {
            return Err(Error::failed("collecting: the sender's agent did not answer as it should"));
        };
        let ports = after.ports.iter().zip(&before.ports).map(|(after, before)| after.since(before)).collect();
        Ok((ports, collected.counters.link))
    }

    fn order_sender(&mut self, order: Order) -> Result<Reply> {
        match self.agents.all(|host| (host == 0).then(|| order.clone())).swap_remove(0) {
            Some(Reply::Failed(why)) => Err(Error::failed(format!("trying the LAN out: {why}"))),
            Some(reply) => Ok(reply),
            None => Err(Error::failed("trying the LAN out: the sender's agent is lost")),
        }
    }

    /// Link byte counters of veth leave the Ethernet header out on the NAPI path: one frame of known size tells.
    fn find_header_bytes(&mut self) -> Result<()> {
        const SIZE: usize = 100;
        let whole = (ethernet::HEADER_LEN + SIZE) as u64;
        // The first ones go for good measure: one alone could be lost among the last words of link set-up.
        let (ports, sender) = self.try_out(Target::RawBroadcast, 4, SIZE)?;
        let missing = |bytes: Option<u64>, frames: Option<u64>| match (bytes, frames) {
            (Some(bytes), Some(frames)) if frames > 0 => Some(whole.saturating_sub(bytes / frames)),
            _ => None,
        };
        self.facts.tx_header_bytes_added = missing(sender.tx_bytes, sender.tx_frames);
        // What the switch sent towards the first receiver is what that receiver's link received.
        self.facts.rx_header_bytes_added = missing(ports[1].tx_bytes, ports[1].tx_frames);
        Ok(())
    }

    /// Frames a second on all ports while nobody sends.
    fn listen_to_silence(&mut self) -> Result<f64> {
        const WINDOW: Duration = Duration::from_millis(300);
        let before = self.look()?;
        std::thread::sleep(WINDOW);
        let after = self.look()?;
        let frames = |look: &Look| look.ports.iter().filter_map(|p| Some(p.tx_frames? + p.rx_frames?)).sum::<u64>();
        Ok((frames(&after) - frames(&before)) as f64 / WINDOW.as_secs_f64())
    }

    /// The same broadcast load with and without the threads that make attribution possible.
    fn calibrate(&mut self, stop: &AtomicBool) -> Result<Calibration> {
        const RATE: f64 = 2000.0;
        const DURATION: Duration = Duration::from_millis(800);
        let busy = |bench: &mut Bench| -> Result<f64> {
            let target = Target::Broadcast { to: BroadcastAddress::Limited, port: DEFAULT_PORT };
            let interface = Some(bench.lan.hosts()[0].name.clone());
            let outlet = Some(OutletSpec { target, interface, dscp: None });
            bench.order_sender(Order::Prepare(Endpoints { inlet: None, outlet }))?;
            bench.drain()?;
            let meter = MachineMeter::start()?;
            let plan = probes(0, 0, 64, Rate::PerSecond(RATE), None, Some(DURATION));
            bench.send(&plan, stop, DURATION, &mut |_| Ok(()))?;
            let busy_ns = meter.finish(&BTreeSet::new())?.busy_ns;
            busy_ns.map(|ns| ns as f64 / 1e9).ok_or_else(|| Error::failed("calibrating: a CPU came or went"))
        };
        self.lan.set_attribution(false)?;
        let plain_busy_s = busy(self);
        // Back on even when that failed.
        self.lan.set_attribution(true)?;
        self.napi = self.lan.napi_threads()?;
        self.napi_clocks = TaskClocks::open(self.napi.iter().map(|thread| thread.pid))?;
        Ok(Calibration {
            rate: RATE,
            window_s: DURATION.as_secs_f64(),
            plain_busy_s: plain_busy_s?,
            threaded_busy_s: busy(self)?,
        })
    }
}

/// A plan to send probes.
pub fn probes(
    run_id: u64,
    stream_id: u16,
    size: usize,
    rate: Rate,
    count: Option<u64>,
    duration: Option<Duration>,
) -> SendPlan {
    SendPlan { rate, count, duration, payload: Payload::Probe { run_id, stream_id, size } }
}

fn group(ipv6: bool) -> IpAddr {
    if ipv6 { IpAddr::V6(GROUP_V6) } else { IpAddr::V4(GROUP_V4) }
}

fn multicast_target(group: IpAddr) -> Target {
    Target::Multicast { groups: vec![group], port: DEFAULT_PORT, ttl: 1, loop_back: false }
}
