//! Finds the kernel threads that do the hosts' and the ports' receive work (threaded NAPI, Linux 5.12 and later).

use std::collections::HashMap;
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

/// The threads of all interfaces. Each is called `napi/NAME-ID`, and the kernel tells the ID (`napi-get`), which is
/// unique on the machine. (The PID it tells as well is 0 for who asks from another PID namespace, as netlab does.) Where
/// it cannot tell, the name has to do.
pub(super) fn find(switch: &OwnedFd, hosts: &[Host]) -> Result<Vec<NapiThread>> {
    let wanted = hosts.iter().enumerate().flat_map(|(host, names)| {
        [(host, false, names.name.as_str(), names.ifindex), (host, true, names.port.as_str(), names.port_ifindex)]
    });
    let ids = netns::aside(|| ids_by_interface(switch, hosts)).unwrap_or_default();
    let threads = listed_in_proc();
    wanted
        .map(|(host, is_port, name, ifindex)| {
            let of_interface = threads.get(name).map_or(&[][..], Vec::as_slice);
            let pid = match (ids.get(&ifindex), of_interface) {
                (Some(id), threads) => threads.iter().find(|thread| thread.id == *id).map(|thread| thread.pid),
                (None, [only]) => Some(only.pid),
                (None, _) => None, // none, or another LAN has an interface of the same name
            };
            let pid =
                pid.ok_or_else(|| Error::failed(format!("the NAPI thread of {name} cannot be told from /proc")))?;
            Ok(NapiThread { host, is_port, pid })
        })
        .collect()
}

/// Interface number → NAPI ID, by `napi-get` in every namespace. Moves the calling thread about.
fn ids_by_interface(switch: &OwnedFd, hosts: &[Host]) -> Result<HashMap<u32, u32>> {
    let mut ids = HashMap::new();
    for place in std::iter::once(switch).chain(hosts.iter().map(|host| &host.netns)) {
        netns::enter(place)?;
        ids.extend(Netlink::generic()?.napis()?.into_iter().map(|napi| (napi.ifindex, napi.id)));
    }
    Ok(ids)
}

/// A thread called `napi/NAME-ID`.
#[derive(Debug, PartialEq, Eq)]
struct Listed {
    id: u32,
    pid: u32,
}

/// Interface name → its threads, of all LANs of the machine.
fn listed_in_proc() -> HashMap<String, Vec<Listed>> {
    let mut found: HashMap<String, Vec<Listed>> = HashMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let Ok(comm) = fs::read_to_string(entry.path().join("comm")) else { continue };
        if let Some((interface, id)) = interface_and_id(comm.trim_end()) {
            found.entry(interface.to_owned()).or_default().push(Listed { id, pid });
        }
    }
    found
}

fn interface_and_id(comm: &str) -> Option<(&str, u32)> {
    let (interface, id) = comm.strip_prefix("napi/")?.rsplit_once('-')?;
    Some((interface, id.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_threads_name_gives_its_interface_and_id() {
        assert_eq!(interface_and_id("napi/h12-8207"), Some(("h12", 8207)));
        assert_eq!(interface_and_id("napi/p1-8193"), Some(("p1", 8193)));
        for other in ["ksoftirqd/0", "napi/", "napi", "h1-3", "napi/h1-", "napi/h1-x"] {
            assert_eq!(interface_and_id(other), None, "{other}");
        }
    }
}
