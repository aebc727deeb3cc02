//! The kernel threads that do the hosts' and the ports' receive work (threaded NAPI, Linux 5.12 and later): has the kernel
//! start them, and finds them.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::sync::mpsc;

use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;

use super::cable::Cable;
use crate::error::{Error, Result};
use crate::sys::netlink::Netlink;
use crate::sys::netns;

/// The kernel thread that does the receive work of one interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NapiThread {
    /// Index into [`super::Lan::hosts`] of the host the interface belongs to, or whose port it is; for the router, the one
    /// after the last host's (it has a thread for each of its links).
    pub host: usize,
    /// Whether it is the switch's end.
    pub is_port: bool,
    /// Process ID in the initial PID namespace.
    pub pid: u32,
}

/// What is to get its NAPI threads: names of port and link of each cable of a host, and the host's sysfs.
pub(super) type Laid = (Vec<[String; 2]>, Result<OwnedFd, String>);

/// Gives both ends of each cable a NAPI thread, as long as that works, until there are no more cables; says why not.
pub(super) fn start(switch: &Result<OwnedFd, String>, laid: mpsc::Receiver<Laid>) -> Result<(), String> {
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

/// The threads of all interfaces, by their names in `/proc`: `napi/IF-ID`. `ids` are all the IDs the interfaces have had
/// ([`ids`]), which tell them from another LAN's of the same names: no two on a machine are the same. (A thread that was
/// started again is called by the ID before.) With none known, the interface's name has to be enough.
pub(super) fn find<'a>(cables: impl Iterator<Item = Cable<'a>>, ids: &HashSet<u32>) -> Result<Vec<NapiThread>> {
    let listed = listed_in_proc();
    let pid_of = |name: &str| {
        let ours = |thread: &&Listed| ids.is_empty() || ids.contains(&thread.id);
        match listed.get(name).into_iter().flatten().filter(ours).collect::<Vec<_>>()[..] {
            [thread] => Ok(thread.pid),
            [] => Err(Error::failed(format!("no thread napi/{name}-… is to be seen in /proc"))),
            _ => Err(Error::failed(format!("several threads in /proc are called napi/{name}-…; another LAN is up"))),
        }
    };
    let mut found = Vec::new();
    for Cable { host, link, port, .. } in cables {
        found.push(NapiThread { host, is_port: false, pid: pid_of(link)? });
        found.push(NapiThread { host, is_port: true, pid: pid_of(port)? });
    }
    Ok(found)
}

/// The NAPI IDs of all interfaces, by `napi-get` in every namespace; none before Linux 6.8. (The PIDs it tells as well
/// are of no use: kernel threads are in no private PID namespace, and it says 0.)
pub(super) fn ids<'a>(places: impl Iterator<Item = &'a OwnedFd> + Send) -> HashSet<u32> {
    let ask = |place| -> Result<Vec<u32>> {
        netns::enter(place)?;
        Ok(Netlink::generic()?.napis()?.iter().map(|napi| napi.id).collect())
    };
    netns::aside(|| places.map(ask).collect::<Result<Vec<_>>>()).unwrap_or_default().into_iter().flatten().collect()
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
