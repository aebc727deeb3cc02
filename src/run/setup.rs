//! Before anything is measured: a network is built, its agents started, and both are checked and calibrated.

use std::collections::BTreeSet;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use super::bench::{Bench, Look, STILL};
use super::event::Event;
use super::facts::Facts;
use super::host::Agents;
use super::protocol::{Order, Part, Reply};
use super::send::probes;
use crate::counters::cpu::MachineMeter;
use crate::counters::link::{LinkCounters, LinkReader};
use crate::delivery::{BroadcastAddress, OutletSpec, Target};
use crate::error::{Error, Result};
use crate::lan::{Attribution, Lan, LanSpec};
use crate::results::metadata::Calibration;
use crate::sys::cpu::TaskClocks;
use crate::units::Rate;
use crate::wire::ethernet;
use crate::wire::probe::DEFAULT_PORT;

impl Bench {
    /// Builds a network, starts its agents, and verifies that the switch does what it should. What an earlier set-up of
    /// the same network found out need not be found out again.
    ///
    /// # Errors
    /// What [`Lan::build`] and [`Agents::start`] say; a switch that does not behave as its kind.
    pub fn set_up(network: &LanSpec, known: Option<Facts>, observe: &mut dyn FnMut(Event)) -> Result<Bench> {
        let began = Instant::now();
        let lan = Lan::build(network)?;
        let lan_up = began.elapsed();
        observe(Event::LanUp { took: lan_up });
        let agents = Agents::start(&lan)?;
        let agents_ready = began.elapsed() - lan_up;
        observe(Event::AgentsReady { took: agents_ready });
        let napi = lan.napi_threads()?;
        let napi_clocks = TaskClocks::open(napi.iter().map(|thread| thread.pid))?;
        let is_known = known.is_some();
        let facts = known.unwrap_or_else(|| Facts::of(network));
        let (links, groups) = (LinkReader::open()?, BTreeSet::new());
        let mut bench = Bench { agents, lan, napi, facts, links, napi_clocks, groups, still: STILL };
        if !is_known {
            bench.facts.lan_up_s = lan_up.as_secs_f64();
            bench.facts.agents_ready_s = agents_ready.as_secs_f64();
            bench.find_header_bytes()?;
            bench.facts.idle_frames_per_second = bench.listen_to_silence()?;
            if let Attribution::AppOnly(why) = bench.lan.attribution() {
                bench.facts.app_only = Some(why.clone());
            }
            bench.facts.nic_unavailable = bench.lan.nic_unavailable().map(str::to_owned);
            bench.facts.work_refused = bench.lan.steering().err().map(str::to_owned);
        }
        Ok(bench)
    }

    /// Measures what telling the hosts' CPU time apart costs, where it can be told.
    ///
    /// # Errors
    /// When the kernel refuses to switch it off or on, or the sender is lost; an interruption.
    pub fn calibrate(&mut self, stop: &AtomicBool, observe: &mut dyn FnMut(Event)) -> Result<()> {
        if *self.lan.attribution() == Attribution::NapiThreads {
            observe(Event::Calibrating);
            self.facts.calibration = Some(self.compare_attribution(stop)?);
        }
        Ok(())
    }

    /// Gives each interface a receive thread of its own, or takes them away.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn attribute(&mut self, on: bool) -> Result<()> {
        let is_on = *self.lan.attribution() == Attribution::NapiThreads;
        if self.facts.app_only.is_some() || on == is_on {
            return Ok(());
        }
        self.lan.set_attribution(on)?;
        self.napi = self.lan.napi_threads()?;
        self.napi_clocks = TaskClocks::open(self.napi.iter().map(|thread| thread.pid))?;
        Ok(())
    }

    /// Has the sender send `count` messages to `target` and gives what each port and the sender's own link counted.
    fn try_out(&mut self, target: Target, count: u64, size: usize) -> Result<(Vec<LinkCounters>, LinkCounters)> {
        let interface = Some(self.lan.hosts()[0].name.clone());
        let outlet = Some(OutletSpec { target, interface, dscp: None });
        let part = Part { outlet, ..Part::default() };
        let never = AtomicBool::new(false);
        let (before, _) = self.drain()?;
        self.order_sender(Order::Prepare(Box::new(part)))?;
        self.order_sender(Order::Begin)?;
        self.send(probes(0, 0, size, Rate::PerSecond(1000.0), Some(count), None), &never)?;
        let (after, _) = self.drain()?;
        self.order_sender(Order::End)?;
        let Reply::Collected(collected) = self.order_sender(Order::Collect)? else {
            return Err(Error::failed("collecting: the sender's agent did not answer as it should"));
        };
        let ports = after.ports.iter().zip(&before.ports).map(|(after, before)| after.since(before)).collect();
        Ok((ports, collected.counters.link))
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
    fn compare_attribution(&mut self, stop: &AtomicBool) -> Result<Calibration> {
        const RATE: f64 = 2000.0;
        const DURATION: Duration = Duration::from_millis(800);
        let busy = |bench: &mut Bench| -> Result<f64> {
            let target = Target::Broadcast { to: BroadcastAddress::Limited, port: DEFAULT_PORT };
            let interface = Some(bench.lan.hosts()[0].name.clone());
            let outlet = Some(OutletSpec { target, interface, dscp: None });
            bench.order_sender(Order::Prepare(Box::new(Part { outlet, ..Part::default() })))?;
            bench.drain()?;
            let meter = MachineMeter::start()?;
            bench.send(probes(0, 0, 64, Rate::PerSecond(RATE), None, Some(DURATION)), stop)?;
            let busy_ns = meter.finish(&BTreeSet::new())?.busy_ns;
            busy_ns.map(|ns| ns as f64 / 1e9).ok_or_else(|| Error::failed("calibrating: a CPU came or went"))
        };
        self.attribute(false)?;
        let plain_busy_s = busy(self);
        // Back on even when that failed.
        self.attribute(true)?;
        Ok(Calibration {
            rate: RATE,
            window_s: DURATION.as_secs_f64(),
            plain_busy_s: plain_busy_s?,
            threaded_busy_s: busy(self)?,
        })
    }
}
