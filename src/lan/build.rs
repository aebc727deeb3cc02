//! Carries out a plan, and takes the LAN down again.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fs;
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use netlink_packet_route::link::{
    BridgePortState, InfoBridgePort, InfoPortData, LinkAttribute, LinkInfo, LinkMessage, State, Stats64,
};
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;
use socket2::{Domain, Protocol, Socket, Type};

use super::card::Cards;
use super::host::{Cable, Host, cables};
use super::plan::{MAX_RESPONSE, PORT_GROUP, Plan, Setting};
use super::request::{self, End, Request};
use super::router::{NAME, Router, RouterLink};
use super::spec::{LanSpec, Nic, SwitchKind};
use super::steering::Steering;
use super::threads::{self, NapiThread};
use crate::error::{Error, Result};
use crate::sys::affinity;
use crate::sys::ethtool::Features;
use crate::sys::netlink::Netlink;
use crate::sys::netns;

/// A LAN that exists until this value is dropped or the process ends, however it ends.
pub struct Lan {
    plan: Plan,
    hosts: Vec<Host>,
    router: Option<Router>,
    switch: OwnedFd,
    pub(super) netlink: Netlink,
    features: Option<Features>,
    attribution: Attribution,
    /// Whether attribution can be switched on at all.
    threadable: bool,
    /// All the NAPI IDs its interfaces have had.
    napi_ids: HashSet<u32>,
    /// Cards that filter, where they were asked for; or why there are none.
    cards: Option<Result<Cards, String>>,
    /// Which CPU does whose receive work; or why that cannot be chosen.
    steering: Result<Steering, String>,
}

/// Whether the kernel's receive work can be told apart host by host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attribution {
    /// Each end of each veth has a NAPI thread of its own.
    NapiThreads,
    /// It cannot; why.
    AppOnly(String),
}

/// How long the kernel may take to do what it does in its own time (carriers, the querier).
const PATIENCE: Duration = Duration::from_secs(10);
/// How often it is asked whether it has.
const POLL: Duration = Duration::from_millis(4);
/// Groups nobody joins, for probes.
pub(super) const UNJOINED_V4: Ipv4Addr = Ipv4Addr::new(239, 255, 78, 76);
pub(super) const UNJOINED_V6: Ipv6Addr = Ipv6Addr::new(0xff12, 0, 0, 0, 0, 0, 0x4e, 0x4c);

impl Lan {
    /// Builds the LAN; the calling thread's network namespace becomes (and stays) the switch.
    ///
    /// # Errors
    /// Usage for an impossible spec; not permitted, with the remedy, where the kernel refuses; nothing is left then.
    pub fn build(spec: &LanSpec) -> Result<Lan> {
        let plan = Plan::new(spec)?;
        let switch = netns::current()?;
        let netlink = Netlink::route()?;
        let attribution = Attribution::AppOnly("the LAN is not up yet".to_owned());
        let steering = match spec.own_cpu.is_empty() {
            true => Ok(Steering::default()),
            false => Steering::plan(&spec.own_cpu, &affinity::allowed()?),
        };
        // From here on dropping the value takes down what there is.
        let mut lan = Lan {
            plan,
            hosts: Vec::new(),
            router: None,
            switch,
            netlink,
            features: None,
            attribution,
            threadable: false,
            napi_ids: HashSet::new(),
            cards: None,
            steering,
        };
        lan.raise()?;
        Ok(lan)
    }

    /// The hosts, `h1` first.
    pub fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    /// The router, where there is one. Between LANs it forwards unicast; multicast once a
    /// [`Forwarder`](crate::router::Forwarder) runs in its namespace.
    pub fn router(&self) -> Option<&Router> {
        self.router.as_ref()
    }

    /// The network namespace of the switch, or of all LANs' switches.
    pub fn switch(&self) -> &OwnedFd {
        &self.switch
    }

    /// What it was built from.
    pub fn spec(&self) -> &LanSpec {
        &self.plan.spec
    }

    /// Whether CPU time can be attributed to hosts.
    pub fn attribution(&self) -> &Attribution {
        &self.attribution
    }

    /// The NAPI threads of all interfaces; empty without attribution.
    ///
    /// # Errors
    /// When netlink and `/proc` both fail to name them.
    pub fn napi_threads(&self) -> Result<Vec<NapiThread>> {
        match self.attribution {
            Attribution::NapiThreads => threads::find(self.cables(), &self.napi_ids),
            Attribution::AppOnly(_) => Ok(Vec::new()),
        }
    }

    /// Switches attribution off (plain veth: no NAPI threads, GRO off) or on again, for the calibration. The threads
    /// are new ones after that.
    ///
    /// # Errors
    /// When the kernel refuses, or when the LAN never had attribution.
    pub fn set_attribution(&mut self, on: bool) -> Result<()> {
        if !self.threadable {
            return match (&self.attribution, on) {
                (Attribution::AppOnly(why), true) => Err(Error::failed(format!("no NAPI threads here: {why}"))),
                _ => Ok(()),
            };
        }
        let Some(features) = &self.features else { return Ok(()) };
        let gro = |name: &str| (name == "rx-gro").then_some(on);
        for cable in self.cables() {
            features.set(&self.netlink, cable.port, gro)?;
        }
        netns::aside(|| {
            cables(&self.hosts, self.router.as_ref()).try_for_each(|cable| {
                netns::enter(cable.netns)?;
                features.set(&Netlink::route()?, cable.link, gro)
            })
        })?;
        self.napi_ids.extend(threads::ids(self.places()));
        self.attribution = if on { Attribution::NapiThreads } else { Attribution::AppOnly("switched off".to_owned()) };
        self.await_links()
    }

    /// Which CPU does whose receive work, with attribution off: of the hosts in [`LanSpec::own_cpu`].
    ///
    /// # Errors
    /// Why that cannot be chosen, in words.
    pub fn steering(&self) -> Result<&Steering, &str> {
        self.steering.as_ref().map_err(String::as_str)
    }

    /// The hosts (as indices into [`Lan::hosts`]) the switch knows to be members of `group`, by its group table. Always
    /// empty for a switch that does not snoop.
    ///
    /// # Errors
    /// When the table cannot be read.
    pub fn members(&mut self, group: IpAddr) -> Result<BTreeSet<usize>> {
        let table = self.netlink.memberships()?;
        let ports: BTreeSet<u32> = table.iter().filter(|row| row.group == group).map(|row| row.ifindex).collect();
        let members = self.hosts.iter().enumerate().filter(|(_, host)| ports.contains(&host.port_ifindex));
        Ok(members.map(|(index, _)| index).collect())
    }

    /// Frames the card of each host has dropped since the LAN came up: unicast for others. They are in no counter of the
    /// host or its port. `None` where the cards do not filter.
    ///
    /// # Errors
    /// When the kernel's counters cannot be read.
    pub fn nic_filtered(&mut self) -> Result<Option<Vec<u64>>> {
        match &mut self.cards {
            Some(Ok(cards)) => cards.filtered().map(Some),
            Some(Err(_)) | None => Ok(None),
        }
    }

    /// Why the cards do not filter although they were to; the LAN is up without that.
    pub fn nic_unavailable(&self) -> Option<&str> {
        self.cards.as_ref()?.as_ref().err().map(String::as_str)
    }

    /// Waits until what hosts have sent has been switched, no port sends anything any more and, on a switch with a querier,
    /// snooping is in force. To be called when a querier has been started on a host or the router: its first query lets
    /// the switch flood once more for as long as hosts may take to answer.
    ///
    /// # Errors
    /// When the LAN does not come to rest.
    pub fn settle(&mut self) -> Result<()> {
        self.await_arrival()?;
        self.await_quiet(5 * POLL)?;
        if self.plan.spec.switch == SwitchKind::Snooping {
            self.await_snooping()?;
            self.await_quiet(5 * POLL)?;
        }
        Ok(())
    }

    fn cables(&self) -> impl Iterator<Item = Cable<'_>> {
        cables(&self.hosts, self.router.as_ref())
    }

    /// All namespaces.
    fn places(&self) -> impl Iterator<Item = &OwnedFd> {
        let hosts = self.hosts.iter().map(|host| &host.netns);
        std::iter::once(&self.switch).chain(hosts).chain(self.router.iter().map(|router| &router.netns))
    }
}

/// A host's namespace before its cable is there, with what reaches into it from outside.
struct Place {
    netns: OwnedFd,
    netlink: Netlink,
    sysfs: Result<OwnedFd, String>,
    /// Whether its interface will steer its receive work as planned; or why not.
    steered: Result<(), String>,
}

/// What is to get its NAPI threads: names of port and link of each cable of a host, and the host's sysfs.
type Laid = (Vec<[String; 2]>, Result<OwnedFd, String>);

/// The order of work.
impl Lan {
    fn raise(&mut self) -> Result<()> {
        apply(&self.plan.switch_settings())?;
        self.netlink.batch(&self.plan.switch_requests())?;
        apply(self.plan.port_settings())?;
        let features = Features::read(&self.netlink, &self.plan.bridges[0].name)?;
        let sysfs = netns::detached_sysfs().map_err(no_sysfs);
        let plan = self.plan.clone();
        let steering = self.steering.clone().unwrap_or_default();
        // A pipeline: the hosts' namespaces are made on one thread, cables laid on this one, and NAPI threads started,
        // which mostly is waiting for the kernel's thread maker, on a third.
        let threaded = std::thread::scope(|scope| {
            let (makes, places) = mpsc::channel();
            let (lays, cables) = mpsc::channel();
            scope.spawn(|| make_places(&plan, &steering, makes));
            let threaded = scope.spawn(|| start_threads(&sysfs, cables));
            for (index, place) in places.into_iter().enumerate() {
                let is_router = index == plan.hosts.len();
                let connect = if is_router { Lan::connect_router } else { Lan::connect };
                let _ = lays.send(connect(self, place?, &features, sysfs.is_ok())?);
            }
            drop(lays);
            self.netlink.batch(&self.plan.pin_port_requests())?;
            self.netlink.batch(&self.plan.port_requests())?;
            Ok(threaded.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
        })?;
        self.features = Some(features);
        if self.plan.spec.nic == Nic::Filter {
            self.cards = Some(Cards::install(&self.plan)?);
        }
        self.await_links()?;
        if self.plan.spec.switch == SwitchKind::Snooping {
            self.await_snooping()?;
        }
        if self.plan.spec.ipv6 {
            self.await_quiet(2 * MAX_RESPONSE)?;
        }
        match self.plan.spec.switch {
            SwitchKind::NoQuerier => self.await_unregistered(true)?,
            SwitchKind::Quiet => self.await_unregistered(false)?,
            SwitchKind::Snooping | SwitchKind::Flooding | SwitchKind::Hub => {}
        }
        if self.plan.spec.switch.snoops() {
            self.await_quiet(5 * POLL)?;
        }
        self.napi_ids = threads::ids(self.places());
        let started = threaded.is_ok();
        self.attribution = match threaded.and_then(|()| {
            threads::find(self.cables(), &self.napi_ids)
                .map_err(|why| format!("{why} (a container with a PID namespace of its own hides them)"))
        }) {
            Ok(_) => Attribution::NapiThreads,
            Err(why) => Attribution::AppOnly(why),
        };
        if let (true, Attribution::AppOnly(why)) = (started && !self.plan.spec.own_cpu.is_empty(), &self.attribution) {
            // What cannot be seen is not switched off either, and runs where it likes.
            self.steering = Err(format!("threads that are out of reach do the receive work: {why}"));
        }
        self.threadable = self.attribution == Attribution::NapiThreads;
        Ok(())
    }

    /// Lays the next host's cable and furnishes the host.
    fn connect(&mut self, mut place: Place, features: &Features, napi: bool) -> Result<Laid> {
        let index = self.hosts.len();
        let plan = self.plan.hosts[index].clone();
        let cable = self.plan.cable_request(index, place.netns.as_fd());
        self.lay(cable, [&plan.port, &plan.link], &place, features, napi)?;
        place.netlink.batch(&self.plan.host_requests(index))?;
        if let Ok(steering) = &self.steering
            && let Err(why) = place.steered.and_then(|()| steering.verify(index, &place.sysfs, &plan.link.name))
        {
            self.steering = Err(why);
        }
        let names = [plan.port.name.clone(), plan.link.name.clone()];
        self.hosts.push(Host {
            name: plan.link.name,
            lan: plan.lan,
            port: plan.port.name,
            ifindex: plan.link.index,
            port_ifindex: plan.port.index,
            mac: plan.link.mac,
            ipv4: plan.ipv4,
            ipv6: plan.ipv6,
            netns: place.netns,
        });
        Ok((vec![names], place.sysfs))
    }

    /// Lays the router's cables and furnishes it.
    fn connect_router(&mut self, mut place: Place, features: &Features, napi: bool) -> Result<Laid> {
        let mut names = Vec::new();
        let mut links = Vec::new();
        for (lan, plan) in self.plan.router.clone().into_iter().enumerate() {
            let cable = self.plan.router_cable_request(lan, place.netns.as_fd());
            self.lay(cable, [&plan.port, &plan.link], &place, features, napi)?;
            self.netlink.batch(&self.plan.router_port_requests(lan))?;
            place.netlink.batch(&self.plan.router_requests(lan))?;
            names.push([plan.port.name.clone(), plan.link.name.clone()]);
            links.push(RouterLink {
                lan,
                name: plan.link.name,
                port: plan.port.name,
                ifindex: plan.link.index,
                port_ifindex: plan.port.index,
                mac: plan.link.mac,
                ipv4: plan.ipv4,
                ipv6: plan.ipv6,
            });
        }
        self.router = Some(Router { name: NAME.to_owned(), links, netns: place.netns });
        Ok((names, place.sysfs))
    }

    /// Lays a cable from a port of the switch to a link in a host's namespace.
    fn lay(
        &mut self,
        cable: Request,
        [port, link]: [&End; 2],
        place: &Place,
        features: &Features,
        napi: bool,
    ) -> Result<()> {
        self.netlink.batch(&[cable])?;
        features.set(&self.netlink, &port.name, |name| offload(name, napi))?;
        features.set(&place.netlink, &link.name, |name| offload(name, napi))?;
        self.netlink.batch(&[request::up(port.index)])
    }

    /// Waits until every bridge and port is up, and the ports forward.
    fn await_links(&mut self) -> Result<()> {
        wait_until("all ports of the switch to forward", || {
            let links = self.netlink.links()?;
            // Up as well as forwarding: a port may forward before it has a queue to send by, into nothing.
            let up = |link: &&LinkMessage| link.attributes.contains(&LinkAttribute::OperState(State::Up));
            let forwarding = links.iter().filter(up).filter(|link| forwards(link)).count();
            let is_bridge = |link: &&LinkMessage| self.plan.bridges.iter().any(|one| one.index == link.header.index);
            let bridges = links.iter().filter(up).filter(is_bridge).count();
            Ok(bridges == self.plan.bridges.len() && forwarding == self.cables().count())
        })
    }

    /// Waits until the ports have received what links have sent.
    fn await_arrival(&mut self) -> Result<()> {
        wait_until("the switch to have received what hosts have sent", || {
            let received = counted(&mut self.netlink, |stats| stats.rx_packets)?;
            netns::aside(|| {
                for cable in self.cables() {
                    netns::enter(cable.netns)?;
                    let sent = counted(&mut Netlink::route()?, |stats| stats.tx_packets)?;
                    if sent.get(&cable.ifindex) != received.get(&cable.port_ifindex) {
                        return Ok(false);
                    }
                }
                Ok(true)
            })
        })
    }

    /// Waits until no port has sent anything for so long: the switch's first queries are then out, and IPv6 has reported
    /// its groups.
    fn await_quiet(&mut self, long: Duration) -> Result<()> {
        let mut sent = 0;
        let mut since = Instant::now();
        wait_until("the LAN to fall silent", || {
            let now_sent = self.bytes_sent()?.iter().sum();
            if sent != now_sent {
                (sent, since) = (now_sent, Instant::now());
            }
            Ok(since.elapsed() > long)
        })
    }

    /// Waits until of two datagrams, a long one to a group nobody joined and then a short one to all hosts, only the short
    /// one reaches the hosts: the bridge floods for a while after its querier is switched on, and says nothing about it.
    /// A port counts what its host's NAPI thread has taken, in order, so bytes tell which of the two has arrived.
    fn await_snooping(&mut self) -> Result<()> {
        let mut pairs = vec![(IpAddr::V4(UNJOINED_V4), IpAddr::from([224, 0, 0, 1]))];
        if self.plan.spec.ipv6 {
            pairs.push((IpAddr::V6(UNJOINED_V6), IpAddr::from([0xff02, 0, 0, 0, 0, 0, 0, 1])));
        }
        for lan in 0..self.plan.bridges.len() {
            for (group, all) in &pairs {
                self.await_snooping_of(lan, *group, *all)?;
            }
        }
        Ok(())
    }

    fn await_snooping_of(&mut self, lan: usize, group: IpAddr, all: IpAddr) -> Result<()> {
        const LONG: u64 = 1000;
        const SHORT: u64 = 300; // queries, the only other frames, are below 100
        const DISCARD: u16 = 9;
        let bridge = &self.plan.bridges[lan];
        let socket = probe_socket(group, &bridge.name, bridge.index)?;
        // A router's port may get every group.
        let hosts = self.hosts.len();
        let watched: Vec<bool> = self.cables().map(|cable| cable.host < hosts && cable.lan == lan).collect();
        wait_until("snooping to be in force", || {
            let before = self.bytes_sent()?;
            for (address, size) in [(group, LONG), (all, SHORT)] {
                socket
                    .send_to(&vec![0; size as usize], &SocketAddr::from((address, DISCARD)).into())
                    .map_err(|cause| Error::failed(format!("sending a probe to {address}")).because(cause))?;
            }
            let mut flooded = false;
            wait_until("a probe to reach all hosts", || {
                let now = self.bytes_sent()?;
                let growth = || {
                    let ports = now.iter().zip(&before).zip(&watched).filter(|(_, watched)| **watched);
                    ports.map(|((now, before), _)| now.saturating_sub(*before))
                };
                flooded |= growth().any(|bytes| bytes >= LONG);
                Ok(growth().all(|bytes| bytes >= if flooded { LONG + SHORT } else { SHORT }))
            })?;
            Ok(!flooded)
        })
    }

    /// Bytes each port has sent, in the order of the cables.
    pub(super) fn bytes_sent(&mut self) -> Result<Vec<u64>> {
        let sent = counted(&mut self.netlink, |stats| stats.tx_bytes)?;
        Ok(self.cables().map(|cable| sent.get(&cable.port_ifindex).copied().unwrap_or(0)).collect())
    }
}

impl Drop for Lan {
    fn drop(&mut self) {
        // The kernel would do the same once the namespaces have no user left, but later. Nothing to be done about a
        // failure: a LAN that never came up has no group to delete.
        let _ = self.netlink.batch(&[request::delete_group(PORT_GROUP)]);
        let bridges: Vec<_> = self.plan.bridges.iter().map(|bridge| request::delete(bridge.index)).collect();
        let _ = self.netlink.batch(&bridges);
    }
}

/// Makes the hosts' namespaces, and the router's, one after the other, until the last or the first failure. Leaves the
/// calling thread in the last.
fn make_places(plan: &Plan, steering: &Steering, places: mpsc::Sender<Result<Place>>) {
    let of_hosts = plan.host_settings();
    let of_router = (!plan.router.is_empty()).then(|| plan.router_settings());
    let mounts = netns::private_mounts();
    let make = |host: usize, settings| {
        let netns = netns::create()?;
        apply(settings)?;
        let steered = if host < plan.hosts.len() { steering.prepare(host) } else { Ok(()) };
        let sysfs =
            mounts.as_ref().map_or_else(|cause| Err(no_sysfs(cause)), |()| netns::stacked_sysfs().map_err(no_sysfs));
        Ok(Place { netns, netlink: Netlink::route()?, sysfs, steered })
    };
    for (host, settings) in std::iter::repeat_n(&of_hosts, plan.hosts.len()).chain(&of_router).enumerate() {
        let place = make(host, settings);
        let failed = place.is_err();
        if places.send(place).is_err() || failed {
            return;
        }
    }
}

/// What the offload feature `name` is to be. veth takes its NAPI path for a packet when GRO is on at the receiving end
/// and no kind of TCP segmentation at the sending one. UDP segmentation is off too: a counter must see the frames of a
/// real wire, not 64 KiB ones cut up later.
fn offload(name: &str, napi: bool) -> Option<bool> {
    match name {
        "rx-gro" => Some(napi),
        _ if name.starts_with("tx-tcp") && name.ends_with("-segmentation") => Some(false),
        "tx-udp-segmentation" => Some(false),
        _ => None,
    }
}

fn no_sysfs(cause: impl std::fmt::Display) -> String {
    format!("a sysfs of its own is refused: {cause}")
}

/// Gives both ends of each cable a NAPI thread, as long as that works, until there are no more cables; says why not.
fn start_threads(switch: &Result<OwnedFd, String>, laid: mpsc::Receiver<Laid>) -> Result<(), String> {
    for (cables, host) in laid {
        for [port, link] in &cables {
            make_threaded(switch, port)?;
            make_threaded(&host, link)?;
        }
    }
    Ok(())
}

/// Writes 1 to an interface's `threaded` (Linux 5.12 and later; EIO while the link is down). Not by way of
/// `/sys/class/net`: the links there lead over `..` through the root, on which another sysfs may be stacked.
fn make_threaded(sysfs: &Result<OwnedFd, String>, interface: &str) -> Result<(), String> {
    let path = format!("devices/virtual/net/{interface}/threaded");
    openat(sysfs.as_ref()?, path.as_str(), OFlag::O_WRONLY | OFlag::O_CLOEXEC, Mode::empty())
        .map_err(io::Error::from)
        .and_then(|file| fs::File::from(file).write_all(b"1"))
        .map_err(|cause| format!("writing 1 to /sys/{path}: {cause}"))
}

/// Writes settings of the calling thread's namespace. A file that is not there (a kernel without IPv6 or without the
/// bridge's packet filter) needs no setting.
fn apply(settings: &[Setting]) -> Result<()> {
    for (name, value) in settings {
        let path = format!("/proc/sys/net/{name}");
        match fs::write(&path, value) {
            Err(cause) if cause.kind() != io::ErrorKind::NotFound => {
                return Err(Error::failed(format!("writing {value} to {path}")).because(cause));
            }
            _ => {}
        }
    }
    Ok(())
}

pub(super) fn wait_until(what: &str, mut condition: impl FnMut() -> Result<bool>) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while !condition()? {
        if Instant::now() > deadline {
            return Err(Error::failed(format!("waited {} s for {what}, in vain", PATIENCE.as_secs())));
        }
        std::thread::sleep(POLL);
    }
    Ok(())
}

fn forwards(link: &LinkMessage) -> bool {
    let infos = link.attributes.iter().filter_map(|attribute| match attribute {
        LinkAttribute::LinkInfo(infos) => Some(infos),
        _ => None,
    });
    let ports = infos.flatten().filter_map(|info| match info {
        LinkInfo::PortData(InfoPortData::BridgePort(options)) => Some(options),
        _ => None,
    });
    ports.flatten().any(|option| *option == InfoBridgePort::State(BridgePortState::Forwarding))
}

/// A counter of every interface of a namespace, by interface number.
fn counted(netlink: &mut Netlink, counter: impl Fn(&Stats64) -> u64) -> Result<HashMap<u32, u64>> {
    let of = |link: &LinkMessage| {
        let value = link.attributes.iter().find_map(|attribute| match attribute {
            LinkAttribute::Stats64(stats) => Some(counter(stats)),
            _ => None,
        });
        Some((link.header.index, value?))
    };
    Ok(netlink.links()?.iter().filter_map(of).collect())
}

/// A socket of the calling thread's namespace that sends to a group by this interface (by the bridge: as a host on an extra
/// port would).
pub(super) fn probe_socket(group: IpAddr, interface: &str, index: u32) -> Result<Socket> {
    let open = || {
        let socket = Socket::new(Domain::for_address(SocketAddr::new(group, 0)), Type::DGRAM, Some(Protocol::UDP))?;
        socket.bind_device(Some(interface.as_bytes()))?;
        match group {
            IpAddr::V4(_) => socket.set_multicast_loop_v4(false)?,
            IpAddr::V6(_) => {
                socket.set_multicast_if_v6(index)?;
                socket.set_multicast_loop_v6(false)?;
            }
        }
        Ok(socket)
    };
    open().map_err(|cause: io::Error| Error::failed(format!("opening a socket on {interface}")).because(cause))
}
