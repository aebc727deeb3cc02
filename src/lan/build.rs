//! Carries out a plan, and takes the LAN down again.

use std::collections::{BTreeSet, HashSet};
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::sync::mpsc;

use super::attribution::Attribution;
use super::cable::{Cable, cables};
use super::card::Cards;
use super::host::Host;
use super::place::{make_places, no_sysfs};
use super::plan::{PORT_GROUP, Plan};
use super::request;
use super::rest::POLL;
use super::router::Router;
use super::settings::apply;
use super::spec::{LanSpec, Nic, SwitchKind};
use super::steering::Steering;
use super::switch::MAX_RESPONSE;
use super::threads;
use crate::error::Result;
use crate::sys::affinity;
use crate::sys::ethtool::Features;
use crate::sys::netlink::Netlink;
use crate::sys::netns;

/// A LAN that exists until this value is dropped or the process ends, however it ends.
pub struct Lan {
    pub(super) plan: Plan,
    pub(super) hosts: Vec<Host>,
    pub(super) router: Option<Router>,
    switch: OwnedFd,
    pub(super) netlink: Netlink,
    pub(super) features: Option<Features>,
    pub(super) attribution: Attribution,
    /// Whether attribution can be switched on at all.
    pub(super) threadable: bool,
    /// All the NAPI IDs its interfaces have had.
    pub(super) napi_ids: HashSet<u32>,
    /// Cards that filter, where they were asked for; or why there are none.
    cards: Option<Result<Cards, String>>,
    /// Which CPU does whose receive work; or why that cannot be chosen.
    pub(super) steering: Result<Steering, String>,
}

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
    /// [`Forwarder`](crate::router::Forwarder) runs in its namespace. With a distance it forwards nothing until a
    /// [`Delay`](crate::router::Delay) runs there, and then unicast alone.
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

    /// Tells every host's card which groups the host has joined by now, as its driver would. Who joins or leaves meanwhile
    /// says so to the network, and his card follows. Nothing where the cards do not filter.
    ///
    /// # Errors
    /// When the hosts' lists cannot be read, or the kernel does not take them.
    pub fn program_cards(&mut self) -> Result<()> {
        match &mut self.cards {
            Some(Ok(cards)) => cards.program(),
            Some(Err(_)) | None => Ok(()),
        }
    }

    /// Frames the card of each host has dropped since the LAN came up: unicast for others, and groups the host has not
    /// joined. They are in no counter of the host or its port. `None` where the cards do not filter.
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

    /// All cables, the hosts' first.
    pub(super) fn cables(&self) -> impl Iterator<Item = Cable<'_>> {
        cables(&self.hosts, self.router.as_ref())
    }

    /// All namespaces.
    pub(super) fn places(&self) -> impl Iterator<Item = &OwnedFd> {
        let hosts = self.hosts.iter().map(|host| &host.netns);
        std::iter::once(&self.switch).chain(hosts).chain(self.router.iter().map(|router| &router.netns))
    }
}

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
            let threaded = scope.spawn(|| threads::start(&sysfs, cables));
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
        // Not before: what the switch floods is tried out with a group that cards would keep back.
        if self.plan.spec.nic == Nic::Filter {
            self.cards = Some(Cards::install(&self.hosts)?);
        }
        if self.plan.spec.switch.snoops() {
            self.await_quiet(5 * POLL)?;
        }
        self.find_threads(threaded);
        Ok(())
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
