//! Carries out a plan, and takes the LAN down again.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fs;
use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use netlink_packet_route::link::{
    BridgePortState, InfoBridgePort, InfoPortData, LinkAttribute, LinkInfo, LinkMessage, State,
};
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;
use socket2::{Domain, Protocol, Socket, Type};

use super::host::Host;
use super::plan::{PORT_GROUP, Plan, Setting};
use super::request;
use super::spec::{LanSpec, SwitchKind};
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
    switch: OwnedFd,
    netlink: Netlink,
    features: Option<Features>,
    attribution: Attribution,
    /// Whether attribution can be switched on at all.
    threadable: bool,
    /// All the NAPI IDs its interfaces have had.
    napi_ids: HashSet<u32>,
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
/// The longest delay of an answer to the switch's queries: its query response interval.
const MAX_RESPONSE: Duration = Duration::from_millis(100);
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
            switch,
            netlink,
            features: None,
            attribution,
            threadable: false,
            napi_ids: HashSet::new(),
            steering,
        };
        lan.raise()?;
        Ok(lan)
    }

    /// The hosts, `h1` first.
    pub fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    /// The switch's network namespace.
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
            Attribution::NapiThreads => threads::find(&self.hosts, &self.napi_ids),
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
        for host in &self.hosts {
            features.set(&self.netlink, &host.port, gro)?;
        }
        netns::aside(|| {
            self.hosts.iter().try_for_each(|host| {
                netns::enter(&host.netns)?;
                features.set(&Netlink::route()?, &host.name, gro)
            })
        })?;
        self.napi_ids.extend(threads::ids(&self.switch, &self.hosts));
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
}

/// A host's namespace before its cable is there, with what reaches into it from outside.
struct Place {
    netns: OwnedFd,
    netlink: Netlink,
    sysfs: Result<OwnedFd, String>,
    /// Whether its interface will steer its receive work as planned; or why not.
    steered: Result<(), String>,
}

/// The order of work.
impl Lan {
    fn raise(&mut self) -> Result<()> {
        apply(&self.plan.switch_settings())?;
        self.netlink.batch(&self.plan.switch_requests())?;
        apply(self.plan.port_settings())?;
        let features = Features::read(&self.netlink, &self.plan.bridge.name)?;
        let sysfs = netns::detached_sysfs().map_err(no_sysfs);
        let plan = self.plan.clone();
        let steering = self.steering.clone().unwrap_or_default();
        // A pipeline: the hosts' namespaces are made on one thread, cables laid on this one, and NAPI threads started,
        // which mostly is waiting for the kernel's thread maker, on a third.
        let threaded = std::thread::scope(|scope| {
            let (makes, places) = mpsc::channel();
            let (lays, cables) = mpsc::channel();
            scope.spawn(|| make_places(&plan, &steering, makes));
            let threaded = scope.spawn(|| start_threads(&plan, &sysfs, cables));
            for (index, place) in places.into_iter().enumerate() {
                let place = place?;
                let _ = lays.send((index, self.connect(place, &features, sysfs.is_ok())?));
            }
            drop(lays);
            self.netlink.batch(&self.plan.pin_port_requests())?;
            Ok(threaded.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
        })?;
        self.features = Some(features);
        self.await_links()?;
        if self.plan.spec.switch == SwitchKind::Snooping {
            self.await_snooping()?;
            self.await_quiet(5 * POLL)?;
        }
        if self.plan.spec.ipv6 {
            self.await_quiet(2 * MAX_RESPONSE)?;
        }
        self.napi_ids = threads::ids(&self.switch, &self.hosts);
        let started = threaded.is_ok();
        self.attribution = match threaded.and_then(|()| {
            threads::find(&self.hosts, &self.napi_ids)
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

    /// Lays the next host's cable and furnishes the host; gives the host's sysfs back.
    fn connect(&mut self, mut place: Place, features: &Features, napi: bool) -> Result<Result<OwnedFd, String>> {
        let index = self.hosts.len();
        let plan = &self.plan.hosts[index];
        self.netlink.batch(&[self.plan.cable_request(index, place.netns.as_fd())])?;
        features.set(&self.netlink, &plan.port.name, |name| offload(name, napi))?;
        features.set(&place.netlink, &plan.link.name, |name| offload(name, napi))?;
        self.netlink.batch(&[request::up(plan.port.index)])?;
        place.netlink.batch(&self.plan.host_requests(index))?;
        if let Ok(steering) = &self.steering
            && let Err(why) = place.steered.and_then(|()| steering.verify(index, &place.sysfs, &plan.link.name))
        {
            self.steering = Err(why);
        }
        self.hosts.push(Host {
            name: plan.link.name.clone(),
            port: plan.port.name.clone(),
            ifindex: plan.link.index,
            port_ifindex: plan.port.index,
            mac: plan.link.mac,
            ipv4: plan.ipv4,
            ipv6: plan.ipv6,
            netns: place.netns,
        });
        Ok(place.sysfs)
    }

    /// Waits until the bridge and every port are up, and the ports forward.
    fn await_links(&mut self) -> Result<()> {
        wait_until("all ports of the switch to forward", || {
            let links = self.netlink.links()?;
            // Up as well as forwarding: a port may forward before it has a queue to send by, into nothing.
            let up = |link: &&LinkMessage| link.attributes.contains(&LinkAttribute::OperState(State::Up));
            let forwarding = links.iter().filter(up).filter(|link| forwards(link)).count();
            let bridge = links.iter().filter(up).any(|link| link.header.index == self.plan.bridge.index);
            Ok(bridge && forwarding == self.hosts.len())
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
        const LONG: u64 = 1000;
        const SHORT: u64 = 300; // queries, the only other frames, are below 100
        const DISCARD: u16 = 9;
        let mut pairs = vec![(IpAddr::from([239, 255, 78, 76]), IpAddr::from([224, 0, 0, 1]))];
        if self.plan.spec.ipv6 {
            pairs
                .push((IpAddr::from([0xff12, 0, 0, 0, 0, 0, 0x4e, 0x4c]), IpAddr::from([0xff02, 0, 0, 0, 0, 0, 0, 1])));
        }
        for (group, all) in pairs {
            let socket = probe_socket(group, &self.plan.bridge.name, self.plan.bridge.index)?;
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
                    let growth = || now.iter().zip(&before).map(|(now, before)| now.saturating_sub(*before));
                    flooded |= growth().any(|bytes| bytes >= LONG);
                    Ok(growth().all(|bytes| bytes >= if flooded { LONG + SHORT } else { SHORT }))
                })?;
                Ok(!flooded)
            })?;
        }
        Ok(())
    }

    /// Bytes each port has sent, in the order of the hosts.
    fn bytes_sent(&mut self) -> Result<Vec<u64>> {
        let links = self.netlink.links()?;
        let sent: HashMap<u32, u64> =
            links.iter().filter_map(|link| Some((link.header.index, bytes_sent(link)?))).collect();
        Ok(self.hosts.iter().map(|host| sent.get(&host.port_ifindex).copied().unwrap_or(0)).collect())
    }
}

impl Drop for Lan {
    fn drop(&mut self) {
        // The kernel would do the same once the namespaces have no user left, but later. Nothing to be done about a
        // failure: a LAN that never came up has no group to delete.
        let _ = self.netlink.batch(&[request::delete_group(PORT_GROUP)]);
        let _ = self.netlink.batch(&[request::delete(self.plan.bridge.index)]);
    }
}

/// Makes the hosts' namespaces, one after the other, until the last or the first failure. Leaves the calling thread in
/// the last.
fn make_places(plan: &Plan, steering: &Steering, places: mpsc::Sender<Result<Place>>) {
    let settings = plan.host_settings();
    let mounts = netns::private_mounts();
    let make = |host| {
        let netns = netns::create()?;
        apply(&settings)?;
        let steered = steering.prepare(host);
        let sysfs =
            mounts.as_ref().map_or_else(|cause| Err(no_sysfs(cause)), |()| netns::stacked_sysfs().map_err(no_sysfs));
        Ok(Place { netns, netlink: Netlink::route()?, sysfs, steered })
    };
    for host in 0..plan.hosts.len() {
        let place = make(host);
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
fn start_threads(
    plan: &Plan,
    switch: &Result<OwnedFd, String>,
    cables: mpsc::Receiver<(usize, Result<OwnedFd, String>)>,
) -> Result<(), String> {
    for (index, host) in cables {
        make_threaded(switch, &plan.hosts[index].port.name)?;
        make_threaded(&host, &plan.hosts[index].link.name)?;
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

fn wait_until(what: &str, mut condition: impl FnMut() -> Result<bool>) -> Result<()> {
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

/// Bytes an interface has sent.
fn bytes_sent(link: &LinkMessage) -> Option<u64> {
    link.attributes.iter().find_map(|attribute| match attribute {
        LinkAttribute::Stats64(stats) => Some(stats.tx_bytes),
        _ => None,
    })
}

/// A socket that sends to a group by the bridge itself, as a host on an extra port would.
fn probe_socket(group: IpAddr, bridge: &str, index: u32) -> Result<Socket> {
    let open = || {
        let socket = Socket::new(Domain::for_address(SocketAddr::new(group, 0)), Type::DGRAM, Some(Protocol::UDP))?;
        socket.bind_device(Some(bridge.as_bytes()))?;
        match group {
            IpAddr::V4(_) => socket.set_multicast_loop_v4(false)?,
            IpAddr::V6(_) => {
                socket.set_multicast_if_v6(index)?;
                socket.set_multicast_loop_v6(false)?;
            }
        }
        Ok(socket)
    };
    open().map_err(|cause: io::Error| Error::failed(format!("opening a socket on {bridge}")).because(cause))
}
