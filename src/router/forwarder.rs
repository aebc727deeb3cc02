//! The thread that asks, listens and tells the kernel.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};

use super::cache::{self, RouteCounts};
use super::members::Members;
use super::plan::{ForwarderPlan, QuerierPlan, ROBUSTNESS};
use crate::error::{Error, Result};
use crate::sys::interface::Interface;
use crate::sys::mroute::{Arrival, IgmpSocket, PACKET_LEN, Packet};
use crate::sys::proc::ProcFile;
use crate::wire::igmp::{self, Message, Query};

/// A router's (or a querier's) program, running until it is dropped or told to [`stop`](Forwarder::stop).
#[derive(Debug)]
pub struct Forwarder {
    interfaces: Vec<String>,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<Result<()>>>,
    kernel: Option<KernelFiles>,
}

/// What it has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Queries it has sent.
    pub queries_sent: u64,
    /// Reports and leaves it has heard.
    pub reports_heard: u64,
    /// Packets the kernel has sent on, one for each interface it left by; `None` for a querier.
    pub packets_forwarded: Option<u64>,
}

impl Forwarder {
    /// Starts it in the calling thread's network namespace. When this returns it hears reports, and its first queries are
    /// sent. A switch that snoops may flood for one [`max_response`](QuerierPlan::max_response) after the first query.
    ///
    /// # Errors
    /// As [`ForwarderPlan::check`]; usage when there is no such interface; not permitted, with the remedies, where the
    /// kernel refuses; when another program is routing multicast already, or the kernel cannot.
    pub fn start(plan: &ForwarderPlan) -> Result<Forwarder> {
        plan.check()?;
        let shared = Arc::new(Shared::new(plan.interfaces.len())?);
        let kernel = if plan.interfaces.len() > 1 { Some(KernelFiles::open()?) } else { None };
        let mut worker = Worker::prepare(plan, &shared)?;
        worker.ask(Instant::now())?;
        let thread = std::thread::Builder::new()
            .name("forwarder".into())
            .spawn(move || worker.run())
            .map_err(|cause| Error::failed("starting the forwarder's thread").because(cause))?;
        Ok(Forwarder { interfaces: plan.interfaces.clone(), shared, thread: Some(thread), kernel })
    }

    /// Has it ask no more, neither all groups nor after a leave; it goes on listening and forwarding.
    pub fn stop_asking(&self) {
        self.shared.silent.store(true, Ordering::Relaxed);
    }

    /// The interfaces behind which it knows members of `group`.
    #[must_use]
    pub fn members(&self, group: Ipv4Addr) -> Vec<&str> {
        let groups = self.shared.groups.lock().unwrap_or_else(PoisonError::into_inner);
        let named = self.interfaces.iter().zip(groups.iter());
        named.filter(|(_, groups)| groups.contains(&group)).map(|(name, _)| name.as_str()).collect()
    }

    /// What it has done so far.
    ///
    /// # Errors
    /// When the kernel's counters cannot be read, or it has failed: why.
    pub fn counts(&mut self) -> Result<Counts> {
        if self.thread.as_ref().is_some_and(JoinHandle::is_finished) {
            self.finish()?;
            return Err(Error::failed("the forwarder has ended"));
        }
        let packets_forwarded = match &mut self.kernel {
            Some(files) => Some(cache::forwarded(files.interfaces.read()?)),
            None => None,
        };
        Ok(Counts {
            queries_sent: self.shared.queries.load(Ordering::Relaxed),
            reports_heard: self.shared.reports.load(Ordering::Relaxed),
            packets_forwarded,
        })
    }

    /// The kernel's routes and what it counted by each; none for a querier.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn routes(&mut self) -> Result<Vec<RouteCounts>> {
        self.kernel.as_mut().map_or(Ok(Vec::new()), |files| Ok(cache::routes(files.routes.read()?)))
    }

    /// Waits until it fails: by itself it does not end.
    ///
    /// # Errors
    /// Why it failed.
    pub fn wait(mut self) -> Result<()> {
        self.join()
    }

    /// Ends it: nothing is forwarded any more.
    ///
    /// # Errors
    /// When it had failed before: why.
    pub fn stop(mut self) -> Result<()> {
        self.finish()
    }

    fn finish(&mut self) -> Result<()> {
        self.shared.stop.store(true, Ordering::Relaxed);
        // The only failure is an event counter that is full: it wakes the thread as well.
        let _ = self.shared.wake.write(1);
        self.join()
    }

    fn join(&mut self) -> Result<()> {
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(result)) => result,
            Some(Err(_)) => Err(Error::failed("the forwarder's thread panicked")),
            None => Ok(()),
        }
    }
}

impl Drop for Forwarder {
    fn drop(&mut self) {
        // Whoever wants to know asks `stop`.
        let _ = self.finish();
    }
}

/// What the thread and its owner share.
#[derive(Debug)]
struct Shared {
    stop: AtomicBool,
    silent: AtomicBool,
    wake: EventFd,
    queries: AtomicU64,
    reports: AtomicU64,
    /// By interface: the groups that have members there.
    groups: Mutex<Vec<BTreeSet<Ipv4Addr>>>,
}

impl Shared {
    fn new(interfaces: usize) -> Result<Shared> {
        let wake = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)
            .map_err(|cause| Error::failed("making an event counter").because(cause))?;
        Ok(Shared {
            stop: AtomicBool::new(false),
            silent: AtomicBool::new(false),
            wake,
            queries: AtomicU64::new(0),
            reports: AtomicU64::new(0),
            groups: Mutex::new(vec![BTreeSet::new(); interfaces]),
        })
    }
}

/// The kernel's own account, of the namespace the forwarder was started in.
#[derive(Debug)]
struct KernelFiles {
    routes: ProcFile,
    interfaces: ProcFile,
}

impl KernelFiles {
    fn open() -> Result<KernelFiles> {
        let open = |name: &str| {
            ProcFile::open_net(name)?.ok_or_else(|| {
                Error::failed(format!("no /proc/net/{name}: this kernel has no multicast routing (CONFIG_IP_MROUTE)"))
            })
        };
        Ok(KernelFiles { routes: open("ip_mr_cache")?, interfaces: open("ip_mr_vif")? })
    }
}

/// The most routes; the kernel drops packets that have none after ten seconds.
const MAX_ROUTES: usize = 4096;
/// A route by which no packet came for so long to twice as long is forgotten (as in RFC 7761 section 4.11).
const ROUTE_IDLE: Duration = Duration::from_secs(210);
/// Messages taken before timers are looked at again.
const BATCH: usize = 256;

/// The thread's side.
struct Worker {
    socket: IgmpSocket,
    shared: Arc<Shared>,
    plan: QuerierPlan,
    /// By vif.
    links: Vec<Link>,
    routes: BTreeMap<(Ipv4Addr, Ipv4Addr), Route>,
    /// `None`: it does not forward.
    kernel: Option<KernelFiles>,
    sweep_at: Instant,
}

/// One interface.
struct Link {
    ifindex: u32,
    members: Members,
    next_query: Instant,
    /// General queries still to be sent soon.
    startup: u8,
}

/// What the kernel was told of a group and a source.
struct Route {
    vif: u16,
    outputs: Vec<u16>,
    /// Packets it had counted at the last sweep.
    packets: Option<u64>,
}

impl Worker {
    fn prepare(plan: &ForwarderPlan, shared: &Arc<Shared>) -> Result<Worker> {
        let now = Instant::now();
        let mut socket = IgmpSocket::open()?;
        let forwards = plan.interfaces.len() > 1;
        if forwards {
            socket.start_routing()?;
        }
        let mut links = Vec::new();
        for (vif, name) in plan.interfaces.iter().enumerate() {
            let ifindex = Interface::named(name)?.index;
            if forwards {
                socket.add_interface(vif as u16, ifindex)?;
            }
            socket.join(ifindex, igmp::ALL_ROUTERS)?;
            socket.join(ifindex, igmp::ALL_V3_ROUTERS)?;
            let members = Members::new(plan.querier);
            links.push(Link { ifindex, members, next_query: now, startup: ROBUSTNESS });
        }
        Ok(Worker {
            socket,
            shared: Arc::clone(shared),
            plan: plan.querier,
            links,
            routes: BTreeMap::new(),
            kernel: if forwards { Some(KernelFiles::open()?) } else { None },
            sweep_at: now + ROUTE_IDLE,
        })
    }

    fn run(mut self) -> Result<()> {
        let mut buffer = vec![0; PACKET_LEN];
        while !self.shared.stop.load(Ordering::Relaxed) {
            let now = Instant::now();
            self.ask(now)?;
            self.expire(now)?;
            if now >= self.sweep_at {
                self.sweep()?;
                self.sweep_at = now + ROUTE_IDLE;
            }
            self.wait()?;
            for _ in 0..BATCH {
                match self.socket.receive(&mut buffer)? {
                    Some(Arrival::Igmp { interface, message, .. }) => self.hear(interface, message)?,
                    Some(Arrival::NoRoute(packet)) => self.route(packet)?,
                    Some(Arrival::WrongInterface(_) | Arrival::Other) => {}
                    None => break,
                }
            }
        }
        Ok(())
    }

    /// Sleeps until something comes in, something is due, or somebody wakes it.
    fn wait(&self) -> Result<()> {
        let times = self.links.iter().flat_map(|link| [Some(link.next_query), link.members.next()]).flatten();
        let next = times.chain([self.sweep_at]).min().unwrap_or(self.sweep_at);
        // Rounded up, lest it wakes too early again and again.
        let nap = next.saturating_duration_since(Instant::now()).as_millis().saturating_add(1);
        let nap = PollTimeout::try_from(nap).unwrap_or(PollTimeout::MAX);
        let mut ready = [
            PollFd::new(self.socket.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.shared.wake.as_fd(), PollFlags::POLLIN),
        ];
        match poll(&mut ready, nap) {
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(cause) => Err(Error::failed("waiting on a raw IGMP socket").because(cause)),
        }
    }

    /// Sends the queries that are due.
    fn ask(&mut self, now: Instant) -> Result<()> {
        let QuerierPlan { version, query_interval, max_response, last_member_interval } = self.plan;
        let mut due = Vec::new();
        for link in &mut self.links {
            let query = |group, max_response, sources| Query {
                version,
                group,
                max_response,
                sources,
                robustness: ROBUSTNESS,
                interval: query_interval,
            };
            if link.next_query <= now {
                link.startup = link.startup.saturating_sub(1);
                link.next_query = now + if link.startup > 0 { query_interval / 4 } else { query_interval };
                due.push((link.ifindex, igmp::ALL_HOSTS, query(None, max_response, Vec::new())));
            }
            for question in link.members.ask(now) {
                let query = query(Some(question.group), last_member_interval, question.sources);
                due.push((link.ifindex, question.group, query));
            }
        }
        if self.shared.silent.load(Ordering::Relaxed) {
            return Ok(());
        }
        for (interface, to, query) in due {
            self.socket.send(interface, to, &query.encode())?;
            self.shared.queries.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Forgets members that have not answered in time.
    fn expire(&mut self, now: Instant) -> Result<()> {
        let changed: BTreeSet<_> = self.links.iter_mut().flat_map(|link| link.members.expire(now)).collect();
        self.update(&changed)
    }

    /// Takes note of a report. Queries are its own business alone.
    fn hear(&mut self, interface: u32, message: &[u8]) -> Result<()> {
        let Some(link) = self.links.iter_mut().find(|link| link.ifindex == interface) else { return Ok(()) };
        let Some(Message::Report(records)) = Message::decode(message) else { return Ok(()) };
        self.shared.reports.fetch_add(1, Ordering::Relaxed);
        let now = Instant::now();
        let mut changed = BTreeSet::new();
        for record in records.iter().filter(|record| leaves_the_link(record.group)) {
            link.members.hear(record, now);
            changed.insert(record.group);
        }
        self.update(&changed)
    }

    /// Says where packets of a source that the kernel does not know are to go. To nobody is an answer as well.
    fn route(&mut self, packet: Packet) -> Result<()> {
        let Packet { vif, source, group } = packet;
        let known = self.routes.contains_key(&(group, source));
        if usize::from(vif) >= self.links.len() || !known && self.routes.len() >= MAX_ROUTES {
            return Ok(());
        }
        let outputs = self.outputs(packet);
        self.socket.set_route(packet, outputs.iter().copied())?;
        self.routes.insert((group, source), Route { vif, outputs, packets: None });
        Ok(())
    }

    /// Changes the routes of these groups to what the members now are, and publishes who they are.
    fn update(&mut self, groups: &BTreeSet<Ipv4Addr>) -> Result<()> {
        if groups.is_empty() {
            return Ok(());
        }
        let mut changed = Vec::new();
        for group in groups {
            for (&(group, source), route) in
                self.routes.range((*group, Ipv4Addr::UNSPECIFIED)..=(*group, Ipv4Addr::BROADCAST))
            {
                let packet = Packet { vif: route.vif, source, group };
                let outputs = self.outputs(packet);
                if outputs != route.outputs {
                    changed.push((packet, outputs));
                }
            }
        }
        for (packet, outputs) in changed {
            self.socket.set_route(packet, outputs.iter().copied())?;
            if let Some(route) = self.routes.get_mut(&(packet.group, packet.source)) {
                route.outputs = outputs;
            }
        }
        let now = self.links.iter().map(|link| link.members.groups().collect()).collect();
        *self.shared.groups.lock().unwrap_or_else(PoisonError::into_inner) = now;
        Ok(())
    }

    /// The interfaces with members, but for the one it came by.
    fn outputs(&self, packet: Packet) -> Vec<u16> {
        let wants = |link: &Link| link.members.want(packet.group, packet.source);
        let links = (0..).zip(&self.links).filter(|(vif, link)| *vif != packet.vif && wants(link));
        links.map(|(vif, _)| vif).collect()
    }

    /// Forgets the routes nothing came by since the last sweep.
    fn sweep(&mut self) -> Result<()> {
        let Some(files) = &mut self.kernel else { return Ok(()) };
        let counted: BTreeMap<_, _> = cache::routes(files.routes.read()?)
            .into_iter()
            .map(|route| ((route.group, route.source), route.packets))
            .collect();
        let mut idle = Vec::new();
        self.routes.retain(|&(group, source), route| {
            let packets = counted.get(&(group, source)).copied();
            let moved = packets.is_some() && packets != route.packets;
            route.packets = packets;
            if !moved && packets.is_some() {
                idle.push(Packet { vif: route.vif, source, group });
            }
            moved
        });
        idle.into_iter().try_for_each(|packet| self.socket.delete_route(packet))
    }
}

/// What no router sends on (RFC 5771 section 4), whoever has joined it.
fn leaves_the_link(group: Ipv4Addr) -> bool {
    !matches!(group.octets(), [224, 0, 0, _])
}
