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

/// The threads of all interfaces, by their names in `/proc`: `napi/IF-ID`. The kernel is asked for the IDs, which no two
/// threads of a machine share; before Linux 6.8 it cannot tell, and the interface's name has to be enough. (The PIDs it
/// tells are of no use: kernel threads are in no private PID namespace, and it says 0.)
pub(super) fn find(switch: &OwnedFd, hosts: &[Host]) -> Result<Vec<NapiThread>> {
    let told = netns::aside(|| told_by_kernel(switch, hosts)).unwrap_or_default();
    let listed = listed_in_proc();
    let pid_of = |name: &str, ifindex: u32| {
        let same_id = |thread: &&Listed| told.get(&ifindex).is_none_or(|id| *id == thread.id);
        match listed.get(name).into_iter().flatten().filter(same_id).collect::<Vec<_>>()[..] {
            [thread] => Ok(thread.pid),
            [] => Err(Error::failed(format!("no thread napi/{name}-… is to be seen in /proc"))),
            _ => Err(Error::failed(format!("several threads in /proc are called napi/{name}-…; another LAN is up"))),
        }
    };
    let mut found = Vec::with_capacity(2 * hosts.len());
    for (host, of) in hosts.iter().enumerate() {
        found.push(NapiThread { host, is_port: false, pid: pid_of(&of.name, of.ifindex)? });
        found.push(NapiThread { host, is_port: true, pid: pid_of(&of.port, of.port_ifindex)? });
    }
    Ok(found)
}

/// Interface number → NAPI ID, by `napi-get` in every namespace. Moves the calling thread about.
fn told_by_kernel(switch: &OwnedFd, hosts: &[Host]) -> Result<HashMap<u32, u32>> {
    let mut told = HashMap::new();
    for place in std::iter::once(switch).chain(hosts.iter().map(|host| &host.netns)) {
        netns::enter(place)?;
        told.extend(Netlink::generic()?.napis()?.iter().map(|napi| (napi.ifindex, napi.id)));
    }
    Ok(told)
}

/// A NAPI thread as `/proc` shows it.
#[derive(Debug, PartialEq, Eq)]
struct Listed {
    id: u32,
    pid: u32,
}

/// Interface name → threads called `napi/NAME-ID`.
fn listed_in_proc() -> HashMap<String, Vec<Listed>> {
    let mut found: HashMap<String, Vec<Listed>> = HashMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let Ok(comm) = fs::read_to_string(entry.path().join("comm")) else { continue };
        if let Some((interface, id)) = parse(comm.trim_end()) {
            found.entry(interface.to_owned()).or_default().push(Listed { id, pid });
        }
    }
    found
}

fn parse(comm: &str) -> Option<(&str, u32)> {
    let (interface, id) = comm.strip_prefix("napi/")?.rsplit_once('-')?;
    Some((interface, id.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_threads_name_gives_its_interface_and_id() {
        assert_eq!(parse("napi/h12-8207"), Some(("h12", 8207)));
        assert_eq!(parse("napi/eth-0-8193"), Some(("eth-0", 8193)));
        for other in ["ksoftirqd/0", "napi/", "napi", "h1-3", "napi/h1-x"] {
            assert_eq!(parse(other), None, "{other}");
        }
    }
}
