//! Where a host is to be: its namespace, made and set up before its cable is there.

use std::os::fd::OwnedFd;
use std::sync::mpsc;

use super::plan::Plan;
use super::settings::apply;
use super::steering::Steering;
use crate::error::Result;
use crate::sys::netlink::Netlink;
use crate::sys::netns;

/// A host's namespace before its cable is there, with what reaches into it from outside.
pub(super) struct Place {
    pub(super) netns: OwnedFd,
    pub(super) netlink: Netlink,
    pub(super) sysfs: Result<OwnedFd, String>,
    /// Whether its interface will steer its receive work as planned; or why not.
    pub(super) steered: Result<(), String>,
}

/// Makes the hosts' namespaces, and the router's, one after the other, until the last or the first failure. Leaves the
/// calling thread in the last.
pub(super) fn make_places(plan: &Plan, steering: &Steering, places: mpsc::Sender<Result<Place>>) {
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

/// Why there are no threads.
pub(super) fn no_sysfs(cause: impl std::fmt::Display) -> String {
    format!("a sysfs of its own is refused: {cause}")
}
