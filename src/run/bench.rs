//! The bench a run works on: the LAN with its agents, and what can be done with it.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::condition::Condition;
use super::facts::Facts;
use super::host::{Agents, Answer};
use super::protocol::{Endpoints, Order, Reply};
use crate::counters::link::{LinkCounters, LinkReader};
use crate::delivery::receiver::ReceivePlan;
use crate::delivery::sender::{Payload, SendPlan, SendReport};
use crate::delivery::{BroadcastAddress, InletSpec, Listen, OutletSpec, Target};
use crate::error::{Error, Result};
use crate::lan::{Attribution, Lan, NapiThread, SwitchKind};
use crate::sys::cpu::TaskClocks;
use crate::units::{Mode, Rate, Role};
use crate::wire::probe::DEFAULT_PORT;

/// How many messages of a trial keep their latency one by one, for the skew between receivers.
pub const TRACE: usize = 4096;
/// Longest wait for the LAN to fall still after a trial.
const LONGEST_DRAIN: Duration = Duration::from_secs(5);
/// Time between two looks that must agree before the LAN counts as still.
pub(super) const STILL: Duration = Duration::from_millis(15);

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
    pub(super) links: LinkReader,
    pub(super) napi_clocks: TaskClocks,
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
    /// Where a host sends or listens in a condition.
    pub fn endpoints(&self, condition: &Condition, host: usize) -> Endpoints {
        let traffic = &condition.traffic;
        let ipv6 = condition.network.ipv6;
        let interface = Some(self.lan.hosts()[host].name.clone());
        let port = DEFAULT_PORT;
        match condition.role(host) {
            Role::Sender => {
                let to = |host| SocketAddr::new(self.address(host, ipv6), port);
                let target = match condition.mode {
                    Mode::Unicast => Target::Unicast { to: condition.with_role(Role::Receiver).map(to).collect() },
                    Mode::Broadcast => Target::Broadcast { to: BroadcastAddress::Limited, port },
                    Mode::RawBroadcast => Target::RawBroadcast,
                    Mode::Multicast => {
                        Target::Multicast { groups: vec![traffic.group], port, ttl: traffic.ttl, loop_back: false }
                    }
                };
                Endpoints { inlet: None, outlet: Some(OutletSpec { target, interface, dscp: None }) }
            }
            Role::Receiver => {
                let listen = match condition.mode {
                    Mode::Unicast => Listen::Unicast { address: Some(self.address(host, ipv6)), port },
                    Mode::Broadcast => Listen::Broadcast { port },
                    Mode::RawBroadcast => Listen::RawBroadcast,
                    Mode::Multicast => Listen::Multicast {
                        groups: vec![traffic.group],
                        source: traffic.source_specific.then(|| self.address(0, ipv6)),
                        port,
                    },
                };
                let plan = ReceivePlan { trace: TRACE, ..ReceivePlan::default() };
                Endpoints { inlet: Some((InletSpec { listen, interface }, plan)), outlet: None }
            }
            Role::Bystander | Role::Switch | Role::Router => Endpoints::default(),
        }
    }

    /// Opens the endpoints of a condition on all hosts and waits until the switch knows the memberships.
    ///
    /// # Errors
    /// When an endpoint cannot be opened or the switch does not learn of the members.
    pub fn prepare(&mut self, condition: &Condition) -> Result<()> {
        let orders: Vec<_> =
            (0..self.lan.hosts().len()).map(|host| Order::Prepare(self.endpoints(condition, host))).collect();
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
            let members = condition.with_role(Role::Receiver).filter(|_| condition.mode == Mode::Multicast);
            let wanted = members.filter(|&host| self.agents.lost(host).is_none()).collect();
            self.await_members(condition.traffic.group, &wanted)?;
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

    /// Gives the sender an order and waits for its reply.
    ///
    /// # Errors
    /// When it cannot carry it out, or is lost.
    pub fn order_sender(&mut self, order: Order) -> Result<Reply> {
        match self.agents.all(|host| (host == 0).then(|| order.clone())).swap_remove(0) {
            Some(Reply::Failed(why)) => Err(Error::failed(format!("trying the LAN out: {why}"))),
            Some(reply) => Ok(reply),
            None => Err(Error::failed("trying the LAN out: the sender's agent is lost")),
        }
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
