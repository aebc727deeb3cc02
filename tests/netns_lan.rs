//! The virtual LAN, seen by the kernel's own counters and tables, as root and as an ordinary user.

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use support::{Who, everybody, lan, lan_says, netlab, require_namespaces, require_program, wait_until};

/// `say ADDRESS` sends 5 datagrams from h1, and then one to all hosts, 224.0.0.1, which every switch floods; nothing
/// overtakes anything on the way, so a host that has that one has had all the others it will get. Nobody listens, so it
/// shows as `IgnoredMulti` (field 9 of /proc/net/snmp's Udp line). `heard HOST N` waits until N have shown there.
/// `count` prints each host's received and sent frames.
const TOOLS: &str = r#"
set -e
ignored() { on "$1" awk '/^Udp: [0-9]/ {print $9}' /proc/self/net/snmp; }
heard() { n=0; until [ "$(ignored "$1")" -ge "$2" ]; do n=$((n+1)); [ $n -lt 1000 ] || { echo "$1 never heard" >&2; exit 9; }; done; }
say() { on h1 bash -c "for i in 1 2 3 4 5; do echo x >/dev/udp/$1/9; done; echo x >/dev/udp/224.0.0.1/9"; }
count() { for h in h1 h2 h3 h4; do on $h awk -v t="$1" -v i="$h:" '$1 == i {print t, i, $3, $11}' /proc/self/net/dev; done; }
"#;

/// Frames received and sent by each host between `count before` and `count after`.
fn growth(said: &str) -> BTreeMap<String, (u64, u64)> {
    let mut counts: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    for line in said.lines() {
        let fields: Vec<_> = line.split_whitespace().collect();
        let [when, host, received, sent] = fields[..] else { panic!("not a count: {line}") };
        let (received, sent): (u64, u64) = (received.parse().unwrap(), sent.parse().unwrap());
        let entry = counts.entry(host.trim_end_matches(':').to_owned()).or_default();
        match when {
            "before" => *entry = (received, sent),
            _ => *entry = (received - entry.0, sent - entry.1),
        }
    }
    assert_eq!(counts.len(), 4, "{said}");
    counts
}

const KINDS: [&str; 3] = ["snooping", "flooding", "hub"];

#[test]
fn a_group_nobody_joined_reaches_nobody_with_snooping_and_everybody_without() {
    if !require_namespaces() || !require_program("bash") {
        return;
    }
    for who in everybody() {
        for kind in KINDS {
            let script =
                format!("{TOOLS} count before; say 239.9.9.9; heard h2 1; heard h3 1; heard h4 1; count after");
            let counts = growth(&lan_says(who, &["--switch", kind], &script));
            let expected = if kind == "snooping" { 1 } else { 6 };
            assert_eq!(counts["h1"].1, 6, "{who:?} {kind}: {counts:?}");
            for host in ["h2", "h3", "h4"] {
                assert_eq!(counts[host], (expected, 0), "{who:?} {kind} {host}: {counts:?}");
            }
        }
    }
}

#[test]
fn a_group_reaches_its_member_only_with_snooping() {
    if !require_namespaces() || !require_program("bash") {
        return;
    }
    for who in everybody() {
        let script = format!(
            "{TOOLS} on h2 ip addr add 239.1.1.1/32 dev h2 autojoin
             until bridge mdb | grep -q 'port p2 grp 239.1.1.1'; do :; done
             on h2 grep -q 010101EF /proc/self/net/igmp
             # The second report of the join is out when h2 has sent as many frames as IGMPv3 sends: 2.
             until [ \"$(on h2 awk '$1 == \"h2:\" {{print $11}}' /proc/self/net/dev)\" -ge 2 ]; do :; done
             count before; say 239.1.1.1; heard h2 6; heard h3 1; heard h4 1; count after"
        );
        let counts = growth(&lan_says(who, &["--switch", "snooping"], &script));
        assert_eq!(counts["h2"].0, 6, "{who:?}: {counts:?}");
        assert_eq!((counts["h3"].0, counts["h4"].0), (1, 1), "{who:?}: {counts:?}");
    }
}

#[test]
fn unicast_reaches_its_host_on_a_switch_and_everybody_on_a_hub() {
    if !require_namespaces() || !require_program("bash") {
        return;
    }
    for who in everybody() {
        for kind in KINDS {
            // h2 has said nothing before: a switch that had to learn would flood this. Its answers (port unreachable)
            // are unicast as well.
            let script =
                format!("{TOOLS} count before; say 10.77.0.2; heard h2 1; heard h3 1; heard h4 1; count after");
            let counts = growth(&lan_says(who, &["--switch", kind], &script));
            let answers = counts["h2"].1;
            let foreign = if kind == "hub" { 5 + answers } else { 0 };
            assert_eq!(counts["h2"].0, 6, "{who:?} {kind}: {counts:?}");
            for host in ["h3", "h4"] {
                // On a hub the answers may come after the marker.
                let (received, sent) = counts[host];
                let least = if kind == "hub" { 6 } else { 1 };
                assert!((least..=1 + foreign).contains(&received) && sent == 0, "{who:?} {kind} {host}: {counts:?}");
            }
        }
    }
}

#[test]
fn the_bridge_is_what_was_asked_for() {
    if !require_namespaces() || !require_program("bridge") {
        return;
    }
    for who in everybody() {
        for (kind, snooping, querier, ageing) in
            [("snooping", 1, 1, 30000), ("flooding", 0, 0, 30000), ("hub", 0, 0, 0)]
        {
            let said = lan_says(who, &["--switch", kind], "ip -d -j link show br0; bridge -d -j link; bridge -j fdb");
            let mut parts = said.lines().collect::<String>();
            parts = parts.replace("][", "]\n[");
            let parts: Vec<serde_json::Value> =
                parts.lines().map(|part| serde_json::from_str(part).expect("JSON of iproute2")).collect();
            let bridge = &parts[0][0]["linkinfo"]["info_data"];
            assert_eq!(bridge["mcast_snooping"], snooping, "{who:?} {kind}: {bridge}");
            assert_eq!(bridge["mcast_querier"], querier, "{who:?} {kind}: {bridge}");
            assert_eq!(bridge["ageing_time"], ageing, "{who:?} {kind}: {bridge}");
            let ports = parts[1].as_array().unwrap();
            assert_eq!(ports.len(), 4, "{who:?} {kind}");
            assert!(ports.iter().all(|port| port["state"] == "forwarding"), "{who:?} {kind}: {ports:?}");
            let pinned = parts[2].as_array().unwrap().iter().filter(|entry| entry["state"] == "static").count();
            assert_eq!(pinned, if kind == "hub" { 0 } else { 4 }, "{who:?} {kind}");
        }
    }
}

#[test]
fn hosts_have_their_addresses_threads_and_offloads() {
    if !require_namespaces() {
        return;
    }
    for who in everybody() {
        let said = lan_says(
            who,
            &["--hosts", "3", "--ipv6"],
            "on h3 ip -br addr show h3; on h3 ip neigh; on h3 ls /sys/class/net; cat /sys/class/net/p3/threaded
             on h3 cat /sys/class/net/h3/threaded; on h2 ip route get 239.1.1.1; on h2 tc qdisc show dev h2",
        );
        for expected in ["10.77.0.3/16", "fd77::3/64", "10.77.0.1 dev h3 lladdr 02:4e:4c:00:00:01 PERMANENT", "pfifo"] {
            assert!(said.contains(expected), "{who:?}: no {expected} in\n{said}");
        }
        assert!(said.contains("multicast 239.1.1.1 dev h2"), "{who:?}: {said}");
        assert!(said.contains("\nh3\nlo\n1\n1\n"), "{who:?}: {said}");
    }
}

#[test]
fn exit_codes_are_passed_on() {
    if !require_namespaces() {
        return;
    }
    for who in everybody() {
        let code = |script: &str| lan(who, &["--hosts", "2"], script).status.code();
        assert_eq!(code("exit 7"), Some(7));
        assert_eq!(code("on h2 sh -c 'exit 3'"), Some(3));
        assert_eq!(code("on h2 no-such-command"), Some(127));
        assert_eq!(code("on h9 true"), Some(2));
        assert_eq!(code("on all test -e /proc/self/net/igmp"), Some(0));
        assert_eq!(code("on all sh -c 'grep -q h2: /proc/self/net/dev'"), Some(1));
        assert_eq!(code("kill -9 $$"), Some(137));
        let status = netlab(who).args(["lan", "shell", "--hosts", "2", "--", "sh", "-c", "exit 5"]).status().unwrap();
        assert_eq!(status.code(), Some(5));
    }
}

#[test]
fn an_impossible_lan_is_wrong_usage() {
    for (hosts, why) in [("1", "at least 2"), ("1024", "1023 ports")] {
        let output = lan(Who::Me, &["--hosts", hosts], "true");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(why), "{said}");
    }
}

#[test]
fn a_command_starts_with_no_signal_blocked() {
    if !require_namespaces() {
        return;
    }
    let said = lan_says(Who::Me, &["--hosts", "2"], "on h1 grep SigBlk /proc/self/status");
    assert_eq!(said.trim(), "SigBlk:\t0000000000000000");
}

/// A LAN with a process that left its session, and how to recognize what is left of it.
struct Running {
    guard: Child,
    marker: String,
    namespaces: Vec<String>,
    threads: Vec<i32>,
    mounts: String,
}

impl Running {
    fn start(who: Who) -> Running {
        static NUMBER: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let marker = format!("NETLAB_TEST={}-{number}.", std::process::id());
        let (name, value) = marker.split_once('=').unwrap();
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
        let before = support::napi_threads();
        let script = "setsid sleep 1000 & on h1 setsid sleep 1000 & readlink /proc/self/ns/net
            on h1 readlink /proc/self/ns/net; echo ready; exec sleep 1000";
        let mut guard = netlab(who)
            .args(["lan", "shell", "--hosts", "3", "-c", script])
            .env(name, value)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(guard.stdout.take().unwrap()).lines().map(Result::unwrap);
        let namespaces: Vec<_> = lines.take_while(|line| line != "ready").collect();
        assert_eq!(namespaces.len(), 2, "{namespaces:?}");
        let threads = support::napi_threads().into_iter().filter(|pid| !before.contains(pid)).collect();
        Running { guard, marker, namespaces, threads, mounts }
    }

    /// The process that is process 1 of the private PID namespace: the guard's only child.
    fn inner(&self) -> i32 {
        let children = format!("/proc/{0}/task/{0}/children", self.guard.id());
        let children = fs::read_to_string(children).unwrap();
        children.trim().parse().unwrap_or_else(|_| panic!("not one child: {children}"))
    }

    fn code_after(mut self, pid: i32, signal: Signal) -> Option<i32> {
        assert!(support::processes_marked(&self.marker).len() >= 5, "guard, netlab, three sleeps");
        kill(Pid::from_raw(pid), signal).unwrap();
        let status = self.guard.wait().unwrap();
        wait_until("all its processes have ended", || support::processes_marked(&self.marker).is_empty());
        for namespace in &self.namespaces {
            wait_until("its namespaces are empty", || support::processes_in(namespace).is_empty());
        }
        wait_until("its NAPI threads have ended", || {
            let now = support::napi_threads();
            !self.threads.iter().any(|pid| now.contains(pid))
        });
        assert_eq!(fs::read_to_string("/proc/self/mounts").unwrap(), self.mounts);
        let outside = fs::read_to_string("/proc/self/net/dev").unwrap();
        assert!(!outside.contains(" h1:") && !outside.contains(" p1:"), "{outside}");
        status.code()
    }
}

#[test]
fn nothing_is_left_however_it_ends() {
    if !require_namespaces() {
        return;
    }
    for who in everybody() {
        let running = Running::start(who);
        let inner = running.inner();
        assert_eq!(running.code_after(inner, Signal::SIGKILL), Some(137), "{who:?}: netlab itself killed");
        for (signal, code) in [
            (Signal::SIGKILL, None),
            (Signal::SIGTERM, Some(143)),
            (Signal::SIGINT, Some(130)),
            (Signal::SIGHUP, Some(129)),
            (Signal::SIGQUIT, Some(131)),
        ] {
            let running = Running::start(who);
            let guard = running.guard.id() as i32;
            assert_eq!(running.code_after(guard, signal), code, "{who:?}: {signal} to the guard");
        }
    }
}

#[test]
fn attribution_goes_and_comes_back_and_members_are_known() {
    use netlab::lan::{Attribution, Lan, LanSpec, SwitchKind};
    use netlab::sys::{netlink::Netlink, netns};
    if !nix::unistd::geteuid().is_root() || !require_namespaces() {
        eprintln!("\n*** SKIPPED: making namespaces without a user namespace of their own needs root\n");
        return;
    }
    netns::aside(|| {
        netns::create().unwrap();
        let mut lan = Lan::build(&LanSpec::single(3, SwitchKind::Snooping, false)).unwrap();
        assert_eq!(lan.attribution(), &Attribution::NapiThreads);
        let names = |lan: &Lan| {
            let threads = lan.napi_threads().unwrap();
            let comm = |pid| fs::read_to_string(format!("/proc/{pid}/comm")).unwrap();
            threads.iter().map(|thread| comm(thread.pid).rsplit_once('-').unwrap().0.to_owned()).collect::<Vec<_>>()
        };
        let all = ["napi/h1", "napi/p1", "napi/h2", "napi/p2", "napi/h3", "napi/p3"];
        assert_eq!(names(&lan), all);
        let old = lan.napi_threads().unwrap();
        lan.set_attribution(false).unwrap();
        assert!(lan.napi_threads().unwrap().is_empty());
        for thread in &old {
            let gone = !std::path::Path::new(&format!("/proc/{}", thread.pid)).exists();
            assert!(gone, "{thread:?} still runs");
        }
        lan.set_attribution(true).unwrap();
        assert_eq!(names(&lan), all);

        let group = [239, 1, 2, 3];
        assert!(lan.members(group.into()).unwrap().is_empty());
        let member = netns::aside(|| {
            netns::enter(&lan.hosts()[1].netns).unwrap();
            let socket = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
            socket.join_multicast_v4(&group.into(), &lan.hosts()[1].ipv4).unwrap();
            socket
        });
        wait_until("the switch knows the member", || !lan.members(group.into()).unwrap().is_empty());
        assert_eq!(lan.members(group.into()).unwrap().into_iter().collect::<Vec<_>>(), [1]);
        drop(member);
        wait_until("the member has left", || lan.members(group.into()).unwrap().is_empty());

        drop(lan);
        let left: Vec<_> = Netlink::route().unwrap().links().unwrap().iter().map(|link| link.header.index).collect();
        assert_eq!(left, [1], "the loopback alone is left");
    });
}
