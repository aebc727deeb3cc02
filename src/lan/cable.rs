//! The cables: how one is laid from a port of the switch to a host or the router, and which there are.

use std::os::fd::{AsFd, OwnedFd};

use netlink_packet_route::link::LinkAttribute;

use super::build::Lan;
use super::host::Host;
use super::place::Place;
use super::request::{self, End, NOTHING_MERGED, Request};
use super::router::{NAME, Router, RouterLink};
use super::threads::Laid;
use crate::error::{Error, Result};
use crate::sys::ethtool::Features;
use crate::sys::netlink::Netlink;

/// A cable: a link of a host or of the router, and the switch's port at its other end.
pub(super) struct Cable<'a> {
    /// Index of the host; the router's is the one after the last host's.
    pub(super) host: usize,
    /// Index of the LAN.
    pub(super) lan: usize,
    pub(super) netns: &'a OwnedFd,
    pub(super) link: &'a str,
    pub(super) ifindex: u32,
    pub(super) port: &'a str,
    pub(super) port_ifindex: u32,
}

/// All cables, the hosts' first.
pub(super) fn cables<'a>(hosts: &'a [Host], router: Option<&'a Router>) -> impl Iterator<Item = Cable<'a>> {
    let of_hosts = hosts.iter().enumerate().map(|(host, of)| Cable {
        host,
        lan: of.lan,
        netns: &of.netns,
        link: &of.name,
        ifindex: of.ifindex,
        port: &of.port,
        port_ifindex: of.port_ifindex,
    });
    let of_router = router.into_iter().flat_map(move |router| {
        router.links.iter().map(move |of| Cable {
            host: hosts.len(),
            lan: of.lan,
            netns: &router.netns,
            link: &of.name,
            ifindex: of.ifindex,
            port: &of.port,
            port_ifindex: of.port_ifindex,
        })
    });
    of_hosts.chain(of_router)
}

impl Lan {
    /// Lays the next host's cable and furnishes the host.
    pub(super) fn connect(&mut self, mut place: Place, features: &Features, napi: bool) -> Result<Laid> {
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
    pub(super) fn connect_router(&mut self, mut place: Place, features: &Features, napi: bool) -> Result<Laid> {
        let mut names = Vec::new();
        let mut links = Vec::new();
        for (lan, plan) in self.plan.router.clone().into_iter().enumerate() {
            let cable = self.plan.router_cable_request(lan, place.netns.as_fd());
            self.lay(cable, [&plan.port, &plan.link], &place, features, napi)?;
            self.netlink.batch(&self.plan.router_port_requests(lan))?;
            place.netlink.batch(&self.plan.router_requests(lan))?;
            if self.plan.spec.has_distance() {
                features.set(&self.netlink, &plan.port.name, whole_checksums)?;
                verify_no_merging(&mut place.netlink, &plan.link)?;
            }
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

/// What the offload feature `name` of a switch's port is to be towards a program that forwards frames: each is to have its
/// checksum. (On a virtual link it would otherwise never be computed, which a frame that a program sends cannot tell.)
fn whole_checksums(name: &str) -> Option<bool> {
    (name == "tx-checksum-ip-generic").then_some(false)
}

/// A program that forwards frames is to see those of the wire, not several in one.
fn verify_no_merging(netlink: &mut Netlink, link: &End) -> Result<()> {
    let none = LinkAttribute::GroMaxSize(NOTHING_MERGED);
    if netlink.link(link.index)?.attributes.contains(&none) {
        Ok(())
    } else {
        let name = &link.name;
        Err(Error::failed(format!(
            "{name} would merge TCP segments: a distance takes Linux 5.19 or later (gro_max_size)"
        )))
    }
}
