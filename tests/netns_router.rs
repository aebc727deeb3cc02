//! Two LANs and a router between them, seen by the kernel's own counters and tables, as root and as an ordinary user.

mod support;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::net::Ipv4Addr;
use std::process::Stdio;

use support::{everybody, lan, lan_says, netlab, require_namespaces, require_program, wait_until};

/// h1 and h2 on LAN 0, h3 and h4 on LAN 1. Group members are the kernel's own (`join HOST GROUP`, `leave HOST GROUP`):
/// no program listens, so what arrives shows as `IgnoredMulti` (`ignored`, field 9 of /proc/net/snmp's Udp line, less what
/// was there at first), and
/// `heard HOST N` waits until N have shown there. `touch GROUP` sends one datagram of TTL 1 from h1, which crosses
/// nothing but makes the router ask for a route; `route GROUP OUTPUTS` waits until the kernel has one by these
/// interfaces. `send GROUP TTL N` sends N from h1, and waits until the router's kernel has counted them all.
const TOOLS: &str = r#"
set -e
until_true() { tries=0; until "$@"; do tries=$((tries+1)); [ $tries -lt 2000 ] || { echo "in vain: $*" >&2; exit 9; }; done; }
ignored_ever() { on "$1" awk '/^Udp: [0-9]/ {print $9}' /proc/self/net/snmp; }
for h in h2 h3 h4; do eval "before_$h=$(ignored_ever $h)"; done
ignored() { echo $(($(ignored_ever "$1") - before_$1)); }
has_heard() { [ "$(ignored "$1")" -ge "$2" ]; }
heard() { until_true has_heard "$@"; }
link_rx() { on "$1" awk -v i="$1:" '$1 == i {print $3}' /proc/self/net/dev; }
link_tx() { on "$1" awk -v i="$1:" '$1 == i {print $11}' /proc/self/net/dev; }
knows() { bridge mdb | grep -q "port p${1#h} grp $2 "; }
knows_not() { ! knows "$@"; }
has_sent() { [ "$(link_tx "$1")" -ge "$2" ]; }
# The second report of a join is out when the host has sent two frames more.
join() { sent=$(link_tx "$1"); on "$1" ip addr add "$2/32" dev "$1" autojoin; until_true knows "$@"; until_true has_sent "$1" $((sent+2)); }
leave() { on "$1" ip addr del "$2/32" dev "$1"; until_true knows_not "$@"; }
touch() { on h1 bash -c "echo x >/dev/udp/$1/9"; }
has_route() { [ "$(on r1 ip mroute show | awk -v e="(10.77.0.1,$1)" '$1 == e' | sed -n 's/.*Oifs: //p' | sed 's/ *State.*//')" = "$2" ] && on r1 ip mroute show | grep -q "10.77.0.1,$1).*resolved"; }
route() { until_true has_route "$@"; }
packets() { on r1 ip -s mroute show | grep -A1 "10.77.0.1,$1)" | awk '/packets/ {print $1}'; }
has_counted() { [ "$(packets "$1")" -ge "$2" ]; }
send() { now=$(packets "$1"); on h1 netlab multicast --group "$1" --interface h1 --ttl "$2" --allow-public send --count "$3" 2>/dev/null; until_true has_counted "$1" $((now+$3)); }
count() { for h in h1 h2 h3 h4 r1; do on $h awk -v t="$1" '$1 ~ /^[hr]/ {print "count", t, $1, $3, $11}' /proc/self/net/dev; done; }
"#;

/// Frames received and sent by each interface between `count FROM` and `count TO`.
fn growth(said: &str, from: &str, to: &str) -> BTreeMap<String, (u64, u64)> {
    let counts = |when: &str| -> BTreeMap<String, (u64, u64)> {
        let rows = said.lines().filter_map(|line| match line.split_whitespace().collect::<Vec<_>>()[..] {
            ["count", at, name, rx, tx] if at == when => {
                Some((name.trim_end_matches(':').to_owned(), (rx.parse().unwrap(), tx.parse().unwrap())))
            }
            _ => None,
        });
        rows.collect()
    };
    let (before, after) = (counts(from), counts(to));
    assert!(before.len() >= 6 && before.len() == after.len(), "{said}");
    let grown = |(name, now): (String, (u64, u64))| {
        let then = before[&name];
        (name, (now.0 - then.0, now.1 - then.1))
    };
    after.into_iter().map(grown).collect()
}

/// What `say` printed as `KEY VALUE`.
fn figure(said: &str, key: &str) -> u64 {
    let value = said.lines().find_map(|line| line.strip_prefix(key)?.trim().parse().ok());
    value.unwrap_or_else(|| panic!("no {key} in {said}"))
}

fn can_test() -> bool {
    require_namespaces() && ["bash", "ip", "bridge", "awk"].into_iter().all(require_program)
}

const TWO_LANS: [&str; 4] = ["--hosts", "4", "--lans", "2"];

#[test]
fn multicast_crosses_to_members_and_not_beyond_its_ttl() {
    if !can_test() {
        return;
    }
    for who in everybody() {
        let script = format!(
            "{TOOLS} join h3 239.1.1.1; touch 239.1.1.1; route 239.1.1.1 r1b
             count start; send 239.1.1.1 5 100; heard h3 100; count crossed
             echo packets $(packets 239.1.1.1)
             send 239.1.1.1 1 10; send 239.1.1.1 2 7; heard h3 107; count ended
             on r1 cat /proc/self/net/ip_mr_vif"
        );
        let said = lan_says(who, &TWO_LANS, &script);
        let crossed = growth(&said, "start", "crossed");
        assert_eq!(crossed["h1"], (0, 100), "{who:?}: {crossed:?}");
        assert_eq!((crossed["r1a"], crossed["r1b"]), ((100, 0), (0, 100)), "{who:?}: {crossed:?}");
        assert_eq!(crossed["h3"], (100, 0), "{who:?}: {crossed:?}");
        assert_eq!((crossed["h2"], crossed["h4"]), ((0, 0), (0, 0)), "{who:?}: {crossed:?}");
        assert_eq!(figure(&said, "packets"), 101, "{who:?}: those, and the one that was sent beforehand");
        // Of the 17 that followed, only the 7 of TTL 2 were still alive behind the router.
        let ended = growth(&said, "crossed", "ended");
        assert_eq!((ended["r1a"], ended["r1b"], ended["h3"]), ((17, 0), (0, 7), (7, 0)), "{who:?}: {ended:?}");
        let out: u64 = said
            .lines()
            .filter_map(|line| line.split_once(" r1b ")?.1.split_whitespace().nth(3)?.parse::<u64>().ok())
            .sum();
        assert_eq!(out, 107, "{who:?}: PktsOut of r1b in\n{said}");
    }
}

#[test]
fn without_a_member_nothing_crosses_and_after_a_leave_no_more() {
    if !can_test() {
        return;
    }
    for who in everybody() {
        for igmp in [3, 2] {
            let script = format!(
                "{TOOLS} on h3 sh -c 'echo {igmp} > /proc/sys/net/ipv4/conf/h3/force_igmp_version'
                 touch 239.1.1.2; route 239.1.1.2 ''
                 count start; send 239.1.1.2 5 20; count nobody
                 join h3 239.1.1.2; route 239.1.1.2 r1b
                 count joined; send 239.1.1.2 5 20; heard h3 20; count member
                 leave h3 239.1.1.2; route 239.1.1.2 ''
                 count left; send 239.1.1.2 5 20; count ended"
            );
            let said = lan_says(who, &TWO_LANS, &script);
            let nobody = growth(&said, "start", "nobody");
            assert_eq!((nobody["r1a"], nobody["r1b"], nobody["h3"]), ((20, 0), (0, 0), (0, 0)), "{who:?}: {nobody:?}");
            let member = growth(&said, "joined", "member");
            assert_eq!((member["r1b"], member["h3"]), ((0, 20), (20, 0)), "{who:?}: {member:?}");
            // The router asked twice whether somebody stays, before it believed that nobody does.
            let left = growth(&said, "member", "left");
            assert_eq!((left["r1b"].1, left["r1a"]), (2, (0, 0)), "{who:?} IGMPv{igmp}: {left:?}");
            let ended = growth(&said, "left", "ended");
            assert_eq!((ended["r1a"], ended["r1b"], ended["h3"]), ((20, 0), (0, 0), (0, 0)), "{who:?}: {ended:?}");
        }
    }
}

#[test]
fn a_source_is_told_from_another() {
    if !can_test() {
        return;
    }
    for who in everybody() {
        let script = format!(
            "{TOOLS} cd $(mktemp -d); trap 'rm -r $PWD' EXIT
             on h3 netlab multicast --group 232.1.1.1 --source 10.77.0.1 --interface h3 recv --count 30 --duration 30s --json >out 2>err & receiver=$!
             until_true grep -q listening err
             touch 232.1.1.1; route 232.1.1.1 r1b
             other() {{ on h2 netlab multicast --group 232.1.1.1 --interface h2 --ttl 5 --allow-public send --count 30 2>/dev/null; }}
             counted() {{ on r1 ip -s mroute show | grep -A1 '10.77.0.2,232.1.1.1)' | grep -q \"^ *$1 packets\"; }}
             # Until the router has answered, its kernel holds four packets and no more.
             on h2 bash -c 'echo x >/dev/udp/232.1.1.1/9'; until_true counted 1
             count start; other; until_true counted 31; count other
             send 232.1.1.1 5 30; wait $receiver; count ended
             tail -n 1 out | grep -o '\"messages_received\":[0-9]*' | sed 's/.*:/received /'
             on r1 ip mroute show"
        );
        let said = lan_says(who, &TWO_LANS, &script);
        let other = growth(&said, "start", "other");
        assert_eq!((other["r1a"].0, other["r1b"].1, other["h3"].0), (30, 0, 0), "{who:?}: {other:?}");
        assert_eq!(figure(&said, "received"), 30, "{who:?}");
        let routes: Vec<_> = said.lines().filter(|line| line.contains("232.1.1.1)")).collect();
        assert_eq!(routes.len(), 2, "{who:?}: {said}");
        assert!(
            routes.iter().all(|route| route.contains("r1b") == route.contains("(10.77.0.1,")),
            "{who:?}: {routes:?}"
        );
    }
}

#[test]
fn one_packet_in_is_one_for_each_lan_with_members() {
    if !can_test() {
        return;
    }
    for who in everybody() {
        // h1 and h2 on LAN 0, h3 on LAN 1, h4 on LAN 2, h5 on LAN 3; the last has no member.
        let script = format!(
            "{TOOLS} join h3 239.1.1.3; join h4 239.1.1.3; join h2 239.1.1.3; touch 239.1.1.3; route 239.1.1.3 'r1b r1c'
             heard h2 1
             count start; send 239.1.1.3 3 10; heard h3 10; heard h4 10; heard h2 11; count ended"
        );
        let said = lan_says(who, &["--hosts", "5", "--lans", "4"], &script);
        let ended = growth(&said, "start", "ended");
        let router = ["r1a", "r1b", "r1c", "r1d"].map(|link| ended[link]);
        assert_eq!(router, [(10, 0), (0, 10), (0, 10), (0, 0)], "{who:?}: {ended:?}");
        assert_eq!(["h2", "h3", "h4"].map(|host| ended[host]), [(10, 0); 3], "{who:?}: {ended:?}");
    }
}

/// Receives 50 messages on h4 that h1 sends to `crosses ADDRESS`.
const CROSSES: &str = r#"
cd $(mktemp -d); trap 'rm -r $PWD' EXIT
crosses() {
    rm -f err # of an earlier one
    on h4 netlab unicast recv --count 50 --duration 30s --json >out 2>err & receiver=$!
    until_true grep -q listening err
    on h1 netlab unicast --to $1 send --count 50 2>/dev/null
    wait $receiver; tail -n 1 out | grep -o '"messages_received":[0-9]*' | sed 's/.*:/received /'
}
"#;

#[test]
fn unicast_crosses_and_broadcast_stays_at_home() {
    if !can_test() {
        return;
    }
    for who in everybody() {
        let script = format!(
            "{TOOLS} {CROSSES} count start; crosses 10.78.0.4; count unicast
             broadcast() {{ on h1 netlab broadcast --interface h1 $1 send --count 20 2>/dev/null; }}
             broadcast '--to limited'; broadcast '--to directed'; broadcast --raw; heard h2 40
             # To the other LAN's broadcast address the router is asked by unicast, and it declines.
             on h1 bash -c 'echo x >/dev/udp/10.78.255.255/9' || :
             # What the router would have sent on, it would have sent before it counts these.
             crosses 10.78.0.4; count ended"
        );
        let said = lan_says(who, &TWO_LANS, &script);
        assert_eq!(figure(&said, "received"), 50, "{who:?}");
        let unicast = growth(&said, "start", "unicast");
        assert_eq!((unicast["h4"].0, unicast["r1b"].1), (50, 50), "{who:?}: {unicast:?}");
        assert_eq!((unicast["h2"].0, unicast["h3"].0), (0, 0), "{who:?}: {unicast:?}");
        let ended = growth(&said, "unicast", "ended");
        assert_eq!(ended["h2"].0, 60, "{who:?}: {ended:?}");
        assert_eq!((ended["h3"].0, ended["h4"].0, ended["r1b"].1), (0, 50, 50), "{who:?}: {ended:?}");
    }
}

#[test]
fn ipv6_unicast_crosses() {
    if !can_test() {
        return;
    }
    for who in everybody() {
        let options = [&TWO_LANS[..], &["--ipv6"]].concat();
        let said = lan_says(who, &options, &format!("{TOOLS} {CROSSES} crosses fd77:1::4; on h4 ip -6 route"));
        assert_eq!(figure(&said, "received"), 50, "{who:?}");
        assert!(said.contains("default via fd77:1::fffe dev h4"), "{who:?}: {said}");
    }
}

/// A switch whose ports do not flood groups, with no querier of its own: members get nothing, until a querier somewhere
/// on the LAN makes the switch believe in members, and again nothing when it has ended and is forgotten.
#[test]
fn a_querier_brings_a_silent_switch_to_life_and_its_end_silences_it() {
    if !can_test() {
        return;
    }
    for who in everybody() {
        let script = format!(
            "{TOOLS} ip link set br0 type bridge mcast_querier 0
             # Hundredths of a second: a querier is believed in for 0.5 s after its last word.
             ip link set br0 type bridge mcast_querier_interval 50
             for port in p1 p2 p3 p4; do bridge link set dev $port mcast_flood off; done
             on h2 ip addr add 239.1.1.4/32 dev h2 autojoin; until_true knows h2 239.1.1.4
             # Five to the group and then a broadcast, which nothing holds up: how many of the five came before it?
             before=0
             say() {{ on h1 bash -c 'for i in 1 2 3 4 5; do echo x >/dev/udp/239.1.1.4/9; done'
                 on h1 netlab broadcast --to limited --port 9 send --count 1 >/dev/null 2>&1
                 marks=$((marks+1)); heard h3 $marks; heard h2 $((before+1)); now=$(ignored h2); got=$((now-before-1)); before=$now; }}
             marks=0
             say; echo without $got
             on h4 netlab router --interface h4 --query-interval 100ms >/dev/null & querier=$!
             tries=0; until say; [ $got -eq 5 ]; do tries=$((tries+1)); [ $tries -lt 200 ]; done; echo with $got
             say; echo again $got
             bridge -d mdb | grep -q 'router ports on br0: p4' || bridge -d mdb show | grep -q p4; echo router $?
             kill $querier; wait $querier || :
             tries=0; until say; [ $got -eq 0 ]; do tries=$((tries+1)); [ $tries -lt 200 ]; done
             say; echo after $got; echo others $(($(ignored h3)-marks)) $(($(ignored h4)-marks))"
        );
        let said = lan_says(who, &["--hosts", "4"], &script);
        let got = ["without", "with", "again", "after"].map(|when| figure(&said, when));
        assert_eq!(got, [0, 5, 5, 0], "{who:?}: {said}");
        assert!(said.contains("router 0"), "{who:?}: {said}");
        // The querier's port counts as a router's: it gets every group.
        let others = said.lines().find_map(|line| line.strip_prefix("others ")).unwrap();
        assert!(others.starts_with("0 "), "{who:?}: h3 heard what it had not joined: {said}");
    }
}

#[test]
fn the_router_is_a_host_like_others() {
    if !can_test() {
        return;
    }
    for who in everybody() {
        let script = "on r1 cat /proc/sys/net/ipv4/ip_forward; on r1 cat /proc/sys/net/ipv4/conf/all/rp_filter
            bridge -d -j link show dev q2 | grep -o '\"mcast_router\":2'
            on r1 ip -br addr show; on r1 ip neigh; on h3 ip route show default; cat /sys/class/net/q1/threaded
            on r1 cat /sys/class/net/r1b/threaded; on all hostname >/dev/null 2>names; grep -c h names; rm names";
        let script = format!("cd $(mktemp -d); {script}");
        let said = lan_says(who, &TWO_LANS, &script);
        for expected in [
            "1\n0\n\"mcast_router\":2\n",
            "10.77.255.254/16",
            "10.78.255.254/16",
            "10.78.0.3 dev r1b lladdr 02:4e:4c:00:00:03 PERMANENT",
            "default via 10.78.255.254 dev h3",
            "\n1\n1\n4\n",
        ] {
            assert!(said.contains(expected), "{who:?}: no {expected:?} in\n{said}");
        }
        let output = lan(who, &TWO_LANS, "on r2 true");
        assert_eq!(output.status.code(), Some(2), "{output:?}");
    }
    for (options, why) in [(&["--lans", "0"][..], "at least 1"), (&["--lans", "5"], "4 hosts are too few")] {
        let output = lan(support::Who::Me, options, "true");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(2) && said.contains(why), "{said}");
    }
}

#[test]
fn nothing_is_left_of_the_router() {
    if !can_test() {
        return;
    }
    for who in everybody() {
        let marker = format!("NETLAB_ROUTER_TEST={}-{who:?}.", std::process::id());
        let (name, value) = marker.split_once('=').unwrap();
        let mut guard = netlab(who)
            .args(["lan", "shell", "--lans", "2", "-c", "on r1 readlink /proc/self/ns/net; exec sleep 1000"])
            .env(name, value)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut namespace = String::new();
        BufReader::new(guard.stdout.take().unwrap()).read_line(&mut namespace).unwrap();
        let namespace = namespace.trim();
        // The router's program; `readlink` may not have ended.
        let programs = support::processes_in(namespace).len();
        guard.kill().unwrap();
        assert!(programs >= 1, "{who:?}: nobody in {namespace}");
        guard.wait().unwrap();
        wait_until("all its processes have ended", || support::processes_marked(&marker).is_empty());
        // A process that ends loses its memory, and the mark with it, before its namespace.
        wait_until("nobody is in its namespace", || support::processes_in(namespace).is_empty());
    }
}

/// What a run needs of the router: a forwarder in its namespace, its counters, its threads.
#[test]
fn a_forwarder_counts_and_ends() {
    use netlab::counters::Reader;
    use netlab::lan::{Lan, LanSpec, SwitchKind};
    use netlab::router::{Forwarder, ForwarderPlan, QuerierPlan};
    use netlab::sys::{netlink::Netlink, netns};
    if !nix::unistd::geteuid().is_root() || !require_namespaces() {
        eprintln!("\n*** SKIPPED: making namespaces without a user namespace of their own needs root\n");
        return;
    }
    netns::aside(|| {
        netns::create().unwrap();
        let spec = LanSpec { lans: vec![1, 2], ..LanSpec::single(0, SwitchKind::Snooping, false) };
        let mut lan = Lan::build(&spec).unwrap();
        let router = lan.router().unwrap();
        let plan = ForwarderPlan { interfaces: router.interfaces(), querier: QuerierPlan::quiet() };
        let (mut forwarder, mut reader) = netns::aside(|| {
            netns::enter(&router.netns).unwrap();
            let forwarder = Forwarder::start(&plan).unwrap();
            let error = Forwarder::start(&plan).unwrap_err().to_string();
            assert!(error.contains("MRT_INIT") && error.contains("in use"), "{error}");
            (forwarder, Reader::open(&router.interfaces()).unwrap())
        });
        let comms: Vec<_> = lan.napi_threads().unwrap().iter().filter(|thread| thread.host == 3).map(comm).collect();
        assert_eq!(comms, ["napi/r1a", "napi/q1", "napi/r1b", "napi/q2"]);
        lan.settle().unwrap();
        let start = forwarder.counts().unwrap();
        assert_eq!((start.queries_sent, start.packets_forwarded), (2, Some(0)), "one on each link");

        let group = Ipv4Addr::new(239, 1, 2, 3);
        let inside = |host: usize, multicast_ttl: u32| {
            netns::aside(|| {
                netns::enter(&lan.hosts()[host].netns).unwrap();
                let socket = std::net::UdpSocket::bind("0.0.0.0:4747").unwrap();
                socket.set_multicast_ttl_v4(multicast_ttl).unwrap();
                socket
            })
        };
        let (sender, receiver) = (inside(0, 9), inside(2, 1));
        let address = lan.hosts()[2].ipv4;
        receiver.join_multicast_v4(&group, &address).unwrap();
        wait_until("the router knows the member", || forwarder.members(group) == ["r1b"]);
        assert!(forwarder.counts().unwrap().reports_heard > start.reports_heard);
        wait_until("the switch knows the member", || lan.members(group.into()).unwrap().into_iter().eq([2]));

        let before = reader.read().unwrap();
        for number in 0..20_u8 {
            sender.send_to(&[number], (group, 4747)).unwrap();
            let mut got = [0];
            receiver.recv(&mut got).unwrap();
            assert_eq!(got, [number]);
        }
        let counts = forwarder.counts().unwrap();
        assert_eq!(counts.packets_forwarded, Some(20));
        let route = forwarder.routes().unwrap().swap_remove(0);
        let source = lan.hosts()[0].ipv4;
        assert_eq!((route.group, route.source, route.packets, &route.outputs[..]), (group, source, 20, &[1][..]));
        // The member's second report may still have come: in one link's counters and not the other's.
        let grown = reader.read().unwrap().since(&before);
        let (rx, tx) = (grown.link.rx_frames.unwrap(), grown.link.tx_frames.unwrap());
        assert!((20..=21).contains(&rx) && tx == 20, "{grown:?}");
        assert_eq!(grown.ip.forwarded, Some(20));

        receiver.leave_multicast_v4(&group, &address).unwrap();
        wait_until("the router knows the leave", || forwarder.members(group).is_empty());
        assert_eq!(forwarder.counts().unwrap().queries_sent, 4, "two more, after the leave");
        forwarder.stop_asking();
        receiver.join_multicast_v4(&group, &address).unwrap();
        wait_until("the router knows the member", || forwarder.members(group) == ["r1b"]);
        receiver.leave_multicast_v4(&group, &address).unwrap();
        wait_until("the router knows the leave", || forwarder.members(group).is_empty());
        assert_eq!(forwarder.counts().unwrap().queries_sent, 4, "it asks no more");

        forwarder.stop().unwrap();
        let router = lan.router().unwrap();
        netns::aside(|| {
            netns::enter(&router.netns).unwrap();
            let table = |name| std::fs::read_to_string(format!("/proc/thread-self/net/{name}")).unwrap();
            assert_eq!((table("ip_mr_vif").lines().count(), table("ip_mr_cache").lines().count()), (1, 1), "headings");
            assert_eq!(
                Forwarder::start(&plan).unwrap().counts().unwrap().packets_forwarded,
                Some(0),
                "it can start anew"
            );
            let error = Forwarder::start(&ForwarderPlan { interfaces: vec!["h1".into()], ..plan.clone() }).unwrap_err();
            assert!(error.to_string().contains("there are lo, r1a, r1b"), "{error}");
        });

        lan.set_attribution(false).unwrap();
        lan.set_attribution(true).unwrap();
        let threads = lan.napi_threads().unwrap();
        assert_eq!(threads.len(), 2 * 3 + 4);
        drop(lan);
        let left: Vec<_> = Netlink::route().unwrap().links().unwrap().iter().map(|link| link.header.index).collect();
        assert_eq!(left, [1], "the loopback alone is left");
    });
}

/// What a thread is called, but for its number.
fn comm(thread: &netlab::lan::NapiThread) -> String {
    let comm = std::fs::read_to_string(format!("/proc/{}/comm", thread.pid)).unwrap();
    comm.rsplit_once('-').unwrap().0.to_owned()
}
