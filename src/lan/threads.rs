//! Finds the kernel threads that do the hosts' and the ports' receive work (threaded NAPI, Linux 5.12 and later).

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::os::fd::OwnedFd;

use super::build::Host;
use crate::error::{Error, Result};
use crate::sys::netlink::Netlink;
use crate::sys::netns;

/// The kernel thread that does the receive work of one interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NapiThread {
    /// Index into [`super::Lan::hosts`] of the host the interface belongs to, or whose port it is.
    pub host: usize,
    /// Whether it is the switch's end.
    pub is_port: bool,
    /// Process ID in the initial PID namespace.
    pub pid: u32,
}

/// The threads of all interfaces: the kernel is asked (`napi-get`); where it cannot tell, their names in `/proc` do.
pub(super) fn find(switch: &OwnedFd, hosts: &[Host]) -> Result<Vec<NapiThread>> {
    let wanted = || {
        hosts.iter().enumerate().flat_map(|(host, names)| {
            [(host, false, names.name.as_str(), names.ifindex), (host, true, names.port.as_str(), names.port_ifindex)]
        })
    };
    let told = netns::aside(|| told_by_kernel(switch, hosts)).unwrap_or_default();
    let mut found = Vec::with_capacity(2 * hosts.len());
    let mut by_name = None;
    for (host, is_port, name, ifindex) in wanted() {
        let pid = match told.get(&ifindex) {
            Some(pid) if is_napi_thread(*pid) => *pid,
            _ => *by_name
                .get_or_insert_with(listed_in_proc)
                .get(name)
                .and_then(|pids| match pids[..] {
                    [ref only] => Some(only),
                    _ => None, // none, or another LAN has interfaces of the same name
                })
                .ok_or_else(|| Error::failed(format!("the NAPI thread of {name} cannot be told from /proc")))?,
        };
        found.push(NapiThread { host, is_port, pid });
    }
    Ok(found)
}

/// Interface number → thread, by `napi-get` in every namespace. Moves the calling thread about.
fn told_by_kernel(switch: &OwnedFd, hosts: &[Host]) -> Result<HashMap<u32, u32>> {
    let mut told = HashMap::new();
    for place in std::iter::once(switch).chain(hosts.iter().map(|host| &host.netns)) {
        netns::enter(place)?;
        for napi in Netlink::generic()?.napis()? {
            told.extend(napi.pid.map(|pid| (napi.ifindex, pid)));
        }
    }
    Ok(told)
}

/// A number from the initial PID namespace means another process, or none, in a container's `/proc`.
fn is_napi_thread(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|comm| comm.starts_with("napi/"))
}

/// Interface name → threads called `napi/NAME-ID`.
fn listed_in_proc() -> BTreeMap<String, Vec<u32>> {
    let mut found: BTreeMap<String, Vec<u32>> = BTreeMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let Ok(comm) = fs::read_to_string(entry.path().join("comm")) else { continue };
        if let Some(interface) = interface_of(comm.trim_end()) {
            found.entry(interface.to_owned()).or_default().push(pid);
        }
    }
    found
}

fn interface_of(comm: &str) -> Option<&str> {
    comm.strip_prefix("napi/")?.rsplit_once('-').map(|(interface, _)| interface)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_threads_name_gives_its_interface() {
        assert_eq!(interface_of("napi/h12-8207"), Some("h12"));
        assert_eq!(interface_of("napi/p1-8193"), Some("p1"));
        for other in ["ksoftirqd/0", "napi/", "napi", "h1-3"] {
            assert_eq!(interface_of(other), None, "{other}");
        }
    }

    #[test]
    fn this_process_is_no_napi_thread() {
        assert!(!is_napi_thread(std::process::id()));
        assert!(!is_napi_thread(u32::MAX));
    }
}
