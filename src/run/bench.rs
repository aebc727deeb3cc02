//! The bench a run works on: the LAN with its agents, and what can be done with it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::condition::Condition;
use super::facts::Facts;
use super::host::Agents;
use super::protocol::{Order, Reply, Window};
use crate::counters::link::{LinkCounters, LinkReader};
use crate::error::{Error, Result};
use crate::lan::{Attribution, Lan, NapiThread, Steering, SwitchKind};
use crate::sys::affinity::Kept;
use crate::sys::cpu::{self, TaskClocks};

/// The host that sends the measured messages.
pub const SENDER: usize = 0;
/// Longest wait for the LAN to fall still after a trial.
const LONGEST_DRAIN: Duration = Duration::from_secs(5);
/// Time between two looks, and for which all of them must agree before the LAN counts as still.
pub(super) const STILL: Duration = Duration::from_millis(15);
/// For how long they must agree where TCP may still have something to say: it acknowledges within 40 ms.
const STILL_TCP: Duration = Duration::from_millis(60);

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
    /// All groups there have been members of.
    pub(super) groups: BTreeSet<IpAddr>,
    /// For how long nothing must have moved.
    pub(super) still: Duration,
}

/// Counters of the switch's ports and clocks of everyone at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Look {
    /// By host, the router last: the switch's port towards it (all of the router's together).
    pub ports: Vec<LinkCounters>,
    /// By host: frames its network card has dropped; `None` without a card that does.
    pub nic_filtered: Vec<Option<u64>>,
    /// By host: frames its slower link had no room for; `None` without one.
    pub limit_dropped: Vec<Option<u64>>,
    /// By entry of [`Bench::napi`]: CPU time in ns.
    pub napi_ns: Vec<Option<u64>>,
    /// By host: CPU time of its agent in ns.
    pub agents_ns: Vec<Option<u64>>,
}

impl Bench {
    /// Gives each host its part in a condition. Where there are members of groups, those of the trial before must have left
    /// first, and the switch must know the new ones.
    ///
    /// # Errors
    /// When an endpoint cannot be opened or the switch does not learn of the members.
    pub fn prepare(&mut self, condition: &Condition) -> Result<()> {
        let still = if condition.mode.has_server() { STILL_TCP } else { STILL };
        self.still = still + 2 * condition.network.distance;
        let has_members = !condition.memberships().is_empty();
        if has_members {
            self.await_memberships(&BTreeMap::new())?;
        }
        let orders: Vec<_> =
            (0..self.agents.count()).map(|host| Order::Prepare(Box::new(self.part(condition, host)))).collect();
        let hosts = self.lan.hosts().len();
        // The router comes first: it is to hear who joins.
        self.prepare_some(&orders, |host| host >= hosts)?;
        if orders.len() > hosts {
            self.lan.settle()?;
        }
        // Then the server: others are to find it there.
        let server = condition.server_host();
        self.prepare_some(&orders, |host| Some(host) == server)?;
        self.prepare_some(&orders, |host| host < hosts && Some(host) != server)?;
        if has_members {
            self.await_members(condition)?;
        }
        self.lan.program_cards()
    }

    /// Waits until the switch knows the members of a condition's groups and no others: its questions after those who have
    /// left, and the answers, are frames too.
    ///
    /// # Errors
    /// When it does not learn of them.
    pub fn await_members(&mut self, condition: &Condition) -> Result<()> {
        let mut members = condition.memberships();
        for hosts in members.values_mut() {
            hosts.retain(|&host| self.agents.lost(host).is_none());
        }
        self.groups.extend(members.keys());
        self.await_memberships(&members)
    }

    fn prepare_some(&mut self, orders: &[Order], which: impl Fn(usize) -> bool) -> Result<()> {
        let replies = self.agents.all(|host| which(host).then(|| orders[host].clone()));
        for (host, reply) in replies.into_iter().enumerate() {
            match reply {
                Some(Reply::Failed(why)) => {
                    return Err(Error::failed(format!("preparing {}: {why}", self.agents.name(host))));
                }
                Some(Reply::Prepared { receive_buffer_bytes: Some(bytes) }) => {
                    let smallest = self.facts.receive_buffer_bytes.get_or_insert(bytes);
                    *smallest = bytes.min(*smallest);
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Keeps this process off the CPUs that are some host's own, while the value lives; nothing where there are none.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn keep_off(&self) -> Result<Option<Kept>> {
        let others = self.lan.steering().map(Steering::others).unwrap_or_default();
        if others.is_empty() { Ok(None) } else { Kept::to(others).map(Some) }
    }

    /// Opens the window: tells it to the hosts that do something by the clock beside sending. It starts at once, or when all
    /// of them have heard of it.
    ///
    /// # Errors
    /// When a host cannot do what it is to do.
    pub fn open_window(&mut self, condition: &Condition) -> Result<Window> {
        /// For an order to a host and its answer, on a machine that has other things to do as well.
        const LEAD: Duration = Duration::from_millis(20);
        const LEAD_PER_HOST: Duration = Duration::from_micros(300);
        let told: BTreeSet<usize> =
            (0..self.agents.count()).filter(|&host| self.part(condition, host).has_appointments()).collect();
        let mut window = Window { duration: condition.traffic.duration, ..Window::now() };
        if !told.is_empty() {
            window.start_ns = window.at_ns(LEAD + LEAD_PER_HOST * told.len() as u32);
            let replies = self.agents.all(|host| told.contains(&host).then_some(Order::Start(window)));
            if let Some(Reply::Failed(why)) = replies.into_iter().flatten().find(|r| matches!(r, Reply::Failed(_))) {
                return Err(Error::failed(format!("starting: {why}")));
            }
        }
        Ok(window)
    }

    /// Looks at every port and every clock.
    ///
    /// # Errors
    /// When the switch's counters cannot be read.
    pub fn look(&mut self) -> Result<Look> {
        let ports = self.links.read_all()?;
        let of_port = |port: &str| ports.get(port).copied().unwrap_or_default();
        let of_hosts = self.lan.hosts().iter().map(|host| of_port(&host.port));
        let of_router = self
            .lan
            .router()
            .and_then(|router| router.links.iter().map(|link| of_port(&link.port)).reduce(LinkCounters::and));
        let ports: Vec<LinkCounters> = of_hosts.chain(of_router).collect();
        let counted = |counts: Vec<u64>| counts.into_iter().map(Some).collect();
        let mut nic_filtered: Vec<Option<u64>> = self.lan.nic_filtered()?.map(counted).unwrap_or_default();
        nic_filtered.resize(ports.len(), None);
        let mut limit_dropped = if self.lan.spec().limit.is_some() { self.lan.limit_dropped()? } else { Vec::new() };
        limit_dropped.resize(ports.len(), None);
        Ok(Look {
            ports,
            nic_filtered,
            limit_dropped,
            napi_ns: self.napi_clocks.read().collect(),
            agents_ns: (0..self.agents.count()).map(|host| self.agents.cpu_ns(host)).collect(),
        })
    }

    /// Waits until nothing moves any more, nor is about to: no port's counter, no receive thread's and no agent's clock.
    /// Gives the last look, and whether the LAN did fall still in time.
    ///
    /// # Errors
    /// As [`Bench::look`].
    pub fn drain(&mut self) -> Result<(Look, bool)> {
        let begun = Instant::now();
        let mut last = self.look()?;
        let mut moved = begun;
        loop {
            std::thread::sleep(STILL);
            let look = self.look()?;
            // On a busy machine a thread may have to wait for a CPU longer than that, its work undone.
            if look != last || self.task_ids().into_iter().any(cpu::is_runnable) {
                moved = Instant::now();
            } else if moved.elapsed() >= self.still {
                return Ok((look, true));
            }
            if begun.elapsed() > LONGEST_DRAIN {
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

    /// Waits until the switch, where it keeps account of members, knows these and no others of all groups there have been.
    fn await_memberships(&mut self, wanted: &BTreeMap<IpAddr, BTreeSet<usize>>) -> Result<()> {
        if self.lan.spec().switch != SwitchKind::Snooping {
            return Ok(());
        }
        // Who has left is a member until two questions have gone unanswered.
        let deadline = Instant::now() + LONGEST_DRAIN + 3 * self.lan.spec().igmp.last_member_interval;
        let none = BTreeSet::new();
        for group in self.groups.clone() {
            let wanted = wanted.get(&group).unwrap_or(&none);
            loop {
                let members = self.lan.members(group)?;
                if members == *wanted {
                    break;
                }
                if Instant::now() > deadline {
                    let (have, want) = (members.len(), wanted.len());
                    return Err(Error::failed(format!("the switch knows {have} members of {group}, not {want}")));
                }
                std::thread::sleep(Duration::from_millis(2));
            }
        }
        Ok(())
    }

    /// Gives the sender an order and waits for its reply.
    ///
    /// # Errors
    /// When it cannot carry it out, or is lost.
    pub fn order_sender(&mut self, order: Order) -> Result<Reply> {
        match self.agents.all(|host| (host == SENDER).then(|| order.clone())).swap_remove(SENDER) {
            Some(Reply::Failed(why)) => Err(Error::failed(format!("trying the LAN out: {why}"))),
            Some(reply) => Ok(reply),
            None => Err(Error::failed("trying the LAN out: the sender's agent is lost")),
        }
    }
}
