//! Every mode between two hosts: two network namespaces and a veth pair that exist for this test alone.
//!
//! The test runs itself again inside new namespaces, where it is root whoever started it. It needs `unshare` and `ip`;
//! without them, or where user namespaces are not allowed, it says so and tests nothing, unless NETLAB_REQUIRE_NETNS=1
//! makes that a failure.

use std::env;
use std::net::{IpAddr, Ipv4Addr};
use std::process::Command;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use netlab::delivery::receiver::{ReceiveLive, ReceivePlan, ReceiveReport, receive};
use netlab::delivery::sender::{Payload, SendLive, SendPlan, send};
use netlab::delivery::{
    BroadcastAddress, Inlet, InletSpec, Listen, Outlet, OutletSpec, Target, open_inlet, open_outlet,
};
use netlab::error::ExitClass;
use netlab::sys::interface::Interface;
use netlab::units::Rate;

const INSIDE: &str = "NETLAB_TEST_INSIDE_NAMESPACE";
const PATIENCE: Duration = Duration::from_secs(20);
const PORT: u16 = 4747;

#[test]
fn two_hosts_on_a_link() {
    if env::var_os(INSIDE).is_some() {
        return every_mode(&Hosts::connect());
    }
    let in_namespaces = ["--user", "--map-root-user", "--net", "--"];
    let can = Command::new("unshare").args(in_namespaces).args(["ip", "link", "set", "lo", "up"]).output();
    if !can.as_ref().is_ok_and(|output| output.status.success()) {
        assert!(env::var_os("NETLAB_REQUIRE_NETNS").is_none(), "no network namespaces here: {can:?}");
        eprintln!("SKIPPED: two_hosts_on_a_link needs unshare, ip and user namespaces: {can:?}");
        return;
    }
    let inside = Command::new("unshare")
        .args(in_namespaces)
        .arg(env::current_exe().unwrap())
        .args(["--exact", "two_hosts_on_a_link", "--nocapture", "--test-threads=1"])
        .env(INSIDE, "1")
        .output()
        .unwrap();
    assert!(
        inside.status.success(),
        "{}\n{}",
        String::from_utf8_lossy(&inside.stdout),
        String::from_utf8_lossy(&inside.stderr)
    );
}

fn every_mode(hosts: &Hosts) {
    let unicast = |to: &str| Target::Unicast { to: vec![to.parse().unwrap()] };
    let broadcast = |to| Target::Broadcast { to, port: PORT };
    let multicast =
        |group: &str| Target::Multicast { groups: vec![group.parse().unwrap()], port: PORT, ttl: 1, loop_back: true };
    let any_source = |group: &str| Listen::Multicast { groups: vec![group.parse().unwrap()], source: None, port: PORT };
    let only_from = |group: &str, source: &str| Listen::Multicast {
        groups: vec![group.parse().unwrap()],
        source: Some(source.parse::<IpAddr>().unwrap()),
        port: PORT,
    };
    let everywhere = Listen::Unicast { address: None, port: PORT };
    let own = BroadcastAddress::Address(Ipv4Addr::new(10, 77, 0, 255));

    let cases = [
        (unicast("10.77.0.2:4747"), everywhere.clone()),
        (unicast("[fd77::2]:4747"), everywhere.clone()),
        (unicast("[fe80::2]:4747"), Listen::Unicast { address: Some("fe80::2".parse().unwrap()), port: PORT }),
        (broadcast(BroadcastAddress::Limited), Listen::Broadcast { port: PORT }),
        (broadcast(BroadcastAddress::Directed), Listen::Broadcast { port: PORT }),
        (broadcast(own), Listen::Broadcast { port: PORT }),
        (Target::RawBroadcast, Listen::RawBroadcast),
        (multicast("239.1.1.1"), any_source("239.1.1.1")),
        (multicast("ff02::77"), any_source("ff02::77")),
        (multicast("ff05::77"), any_source("ff05::77")),
        (multicast("232.1.1.1"), only_from("232.1.1.1", "10.77.0.1")),
        (multicast("ff32::77"), only_from("ff32::77", "fe80::1")),
    ];
    for (target, listen) in cases {
        hosts.deliver(&target, &listen);
    }

    // What is meant for others is set apart.
    let broadcast_to_unicast = hosts.misdeliver(&broadcast(BroadcastAddress::Directed), &everywhere);
    let unicast_to_broadcast = hosts.misdeliver(&unicast("10.77.0.2:4747"), &Listen::Broadcast { port: PORT });
    for report in [broadcast_to_unicast, unicast_to_broadcast] {
        assert_eq!((report.messages_other_destination, report.bytes), (10, 0), "{report:?}");
    }
    for (target, listen) in [
        (multicast("239.1.1.2"), any_source("239.1.1.1")),
        (multicast("232.1.1.1"), only_from("232.1.1.1", "10.77.0.9")),
        (multicast("ff32::77"), only_from("ff32::77", "fe80::9")),
        (broadcast(BroadcastAddress::Limited), Listen::RawBroadcast),
        (Target::RawBroadcast, Listen::Broadcast { port: PORT }),
    ] {
        let report = hosts.misdeliver(&target, &listen);
        assert_eq!((report.messages_other_destination, report.bytes), (0, 0), "{target:?} at {listen:?}: {report:?}");
    }

    raw_frames_this_host_sends_are_no_arrivals();
    sizes_of_raw_frames(hosts);
    refusals();
}

fn raw_frames_this_host_sends_are_no_arrivals() {
    let inlet = open_inlet(&InletSpec { listen: Listen::RawBroadcast, interface: None }).unwrap();
    assert_eq!(inlet.description().interface.as_deref(), Some("v0"), "the only one there is");
    send_count(&outlet(&Target::RawBroadcast), 10, 64);
    assert_eq!(receive_for(&inlet, Duration::from_millis(50)).bytes, 0);
}

fn sizes_of_raw_frames(hosts: &Hosts) {
    let outlet = outlet(&Target::RawBroadcast);
    assert_eq!(outlet.max_payload(), 1_500, "the interface's MTU");
    hosts.listen(&Listen::RawBroadcast, Limit::Messages(20));
    for size in [1, 31, 32, 1_500] {
        send_count(&outlet, 5, size);
    }
    let report = hosts.report();
    assert_eq!((report.bytes, report.messages_unrecognized), (5 * (1 + 31 + 32 + 1_500), 10));
    let plan = SendPlan {
        rate: Rate::Max,
        burst: 1,
        count: Some(1),
        duration: None,
        catches_up: true,
        payload: probes(1_501),
    };
    let error = send(&outlet, &plan, &AtomicBool::new(false), &SendLive::default()).unwrap_err();
    assert!(error.to_string().contains("--size 1501: at most 1500 bytes"), "{error}");
}

fn refusals() {
    let open = |target, interface: Option<&str>, dscp| {
        let spec = OutletSpec { target, interface: interface.map(str::to_owned), dscp };
        open_outlet(&spec).err().unwrap()
    };
    let broadcast = |to| Target::Broadcast { to, port: PORT };
    let link_local = Target::Unicast { to: vec!["[fe80::2]:4747".parse().unwrap()] };
    let directed = Target::Unicast { to: vec!["10.77.0.255:4747".parse().unwrap()] };
    let nowhere = BroadcastAddress::Address([10, 78, 0, 255].into());
    for (error, class, why) in [
        (open(Target::RawBroadcast, Some("lo"), None), ExitClass::Usage, "those that do: v0"),
        (open(Target::RawBroadcast, Some("v0"), Some(1)), ExitClass::Usage, "--dscp"),
        (open(Target::RawBroadcast, Some("v9"), None), ExitClass::Usage, "there are lo, v0"),
        (open(broadcast(BroadcastAddress::Limited), Some("lo"), None), ExitClass::Usage, "knows no broadcast"),
        (open(broadcast(nowhere), None, None), ExitClass::Usage, "10.77.0.255"),
        (open(link_local, None, None), ExitClass::Usage, "fe80::2%INTERFACE"),
        (open(directed, None, None), ExitClass::Usage, "netlab broadcast --to 10.77.0.255"),
        (
            open(Target::Unicast { to: vec!["192.0.2.1:4747".parse().unwrap()] }, None, None),
            ExitClass::Failed,
            "no route to 192.0.2.1",
        ),
    ] {
        assert_eq!(error.class(), class, "{error}");
        assert!(error.to_string().contains(why), "{error}");
    }
}

/// The test's own namespace with interface `v0` (10.77.0.1, fd77::1, fe80::1), and another host's with `v1` (….2), in
/// which a thread listens to order.
struct Hosts {
    orders: Sender<(InletSpec, Limit)>,
    events: Receiver<Event>,
}

enum Event {
    Namespace(String),
    Ready,
    Report(Box<ReceiveReport>),
}

#[derive(Clone, Copy)]
enum Limit {
    Messages(u64),
    Time(Duration),
}

impl Hosts {
    fn connect() -> Hosts {
        let (orders, orders_in) = channel::<(InletSpec, Limit)>();
        let (events_out, events) = channel();
        thread::spawn(move || other_host(&orders_in, &events_out));
        let hosts = Hosts { orders, events };
        let Event::Namespace(namespace) = hosts.event() else { panic!("a namespace first") };
        ip("link set lo up");
        ip("link add v0 type veth peer name v1");
        ip(&format!("link set v1 netns {namespace}"));
        set_up("v0", 1);
        // The other thread waits for its interface, to which the peer's being up belongs.
        let Event::Ready = hosts.event() else { panic!("the other host is up") };
        wait_until_running("v0");
        hosts
    }

    /// A hundred messages arrive, all of them, once.
    fn deliver(&self, target: &Target, listen: &Listen) {
        const COUNT: u64 = 100;
        self.listen(listen, Limit::Messages(COUNT));
        let outlet = outlet(target);
        send_count(&outlet, COUNT, 64);
        let report = self.report();
        let [stream] = &report.streams[..] else { panic!("{target:?}: one stream, not {report:?}") };
        assert_eq!((stream.messages_received, stream.messages_lost), (COUNT, 0), "{target:?}: {report:?}");
        assert_eq!((report.bytes, report.messages_unrecognized), (COUNT * 64, 0), "{target:?}");
        assert_eq!(report.socket_dropped, Some(0), "{target:?}");
        assert_eq!(stream.kernel_latency.unwrap().samples, COUNT, "{target:?}: {report:?}");
    }

    /// Ten messages are sent, of which none is for who listens.
    fn misdeliver(&self, target: &Target, listen: &Listen) -> ReceiveReport {
        self.listen(listen, Limit::Time(Duration::from_millis(100)));
        send_count(&outlet(target), 10, 64);
        self.report()
    }

    fn listen(&self, listen: &Listen, limit: Limit) {
        let spec = InletSpec { listen: listen.clone(), interface: Some("v1".into()) };
        self.orders.send((spec, limit)).unwrap();
        let Event::Ready = self.event() else { panic!("ready before it reports") };
    }

    fn report(&self) -> ReceiveReport {
        let Event::Report(report) = self.event() else { panic!("a report") };
        *report
    }

    fn event(&self) -> Event {
        self.events.recv_timeout(PATIENCE).expect("the other host's thread is well")
    }
}

fn other_host(orders: &Receiver<(InletSpec, Limit)>, events: &Sender<Event>) {
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).unwrap();
    let namespace = format!("/proc/{}/task/{}/ns/net", std::process::id(), nix::unistd::gettid());
    events.send(Event::Namespace(namespace)).unwrap();
    wait_for("v1 to come", || Interface::named("v1").is_ok());
    set_up("v1", 2);
    wait_until_running("v1");
    events.send(Event::Ready).unwrap();
    for (spec, limit) in orders {
        let inlet = open_inlet(&spec).unwrap();
        for group in &inlet.description().groups {
            assert_eq!(group.confirmed, Some(true), "{}", inlet.description());
        }
        events.send(Event::Ready).unwrap();
        let report = match limit {
            Limit::Time(time) => receive_for(&inlet, time),
            Limit::Messages(count) => {
                let plan = ReceivePlan { count: Some(count), duration: Some(PATIENCE), ..ReceivePlan::default() };
                receive(&inlet, &plan, &AtomicBool::new(false), &ReceiveLive::default())
            }
        };
        events.send(Event::Report(Box::new(report))).unwrap();
    }
}

fn set_up(interface: &str, host: u8) {
    ip(&format!("link set {interface} addrgenmode none"));
    ip(&format!("addr add 10.77.0.{host}/24 brd + dev {interface}"));
    ip(&format!("addr add fd77::{host}/64 dev {interface} nodad"));
    ip(&format!("addr add fe80::{host}/64 dev {interface} nodad"));
    ip(&format!("link set {interface} up"));
}

fn ip(arguments: &str) {
    let output = Command::new("ip").args(arguments.split(' ')).output().unwrap();
    assert!(output.status.success(), "ip {arguments}: {}", String::from_utf8_lossy(&output.stderr));
}

fn wait_until_running(interface: &str) {
    wait_for("the link to come up", || Interface::named(interface).unwrap().is_running());
}

fn wait_for(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        thread::yield_now();
    }
}

fn outlet(target: &Target) -> Outlet {
    let spec = OutletSpec { target: target.clone(), interface: Some("v0".into()), dscp: None };
    open_outlet(&spec).unwrap_or_else(|error| panic!("{target:?}: {error}"))
}

fn probes(size: usize) -> Payload {
    Payload::Probe { run_id: 7, stream_id: 1, size }
}

fn send_count(outlet: &Outlet, count: u64, size: usize) {
    let plan = SendPlan {
        rate: Rate::PerSecond(20_000.0),
        burst: 1,
        count: Some(count),
        duration: None,
        catches_up: true,
        payload: probes(size),
    };
    let sent = send(outlet, &plan, &AtomicBool::new(false), &SendLive::default()).unwrap();
    assert_eq!((sent.messages_sent, sent.copies_sent, sent.copies_failed), (count, count, 0), "{sent:?}");
}

fn receive_for(inlet: &Inlet, time: Duration) -> ReceiveReport {
    let plan = ReceivePlan { count: None, duration: Some(time), ..ReceivePlan::default() };
    receive(inlet, &plan, &AtomicBool::new(false), &ReceiveLive::default())
}
