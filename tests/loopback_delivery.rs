//! Endpoints and loops over loopback: every message is counted, at the right receiver and nowhere else.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::thread;
use std::time::Duration;

use netlab::delivery::receiver::{ReceiveLive, ReceivePlan, ReceiveReport, receive};
use netlab::delivery::sender::{Payload, SendLive, SendPlan, SendReport, send};
use netlab::delivery::{Inlet, InletSpec, Listen, Outlet, OutletSpec, Target, open_inlet, open_outlet};
use netlab::error::ExitClass;
use netlab::units::Rate;

/// Long enough for any machine: a test that waits this long has failed.
const PATIENCE: Duration = Duration::from_secs(20);

/// Ports of this file's own, below those the system hands out.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(21_000);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

fn probes(size: usize) -> Payload {
    Payload::Probe { run_id: 7, stream_id: 1, size }
}

fn unicast_outlet(to: &[SocketAddr]) -> Outlet {
    open_outlet(&OutletSpec { target: Target::Unicast { to: to.to_vec() }, interface: None, dscp: None }).unwrap()
}

fn unicast_inlet(address: &str, port: u16) -> Inlet {
    let listen = Listen::Unicast { address: Some(address.parse().unwrap()), port };
    open_inlet(&InletSpec { listen, interface: None }).unwrap()
}

fn group_target(groups: &[&str], port: u16) -> Target {
    let groups = groups.iter().map(|group| group.parse().unwrap()).collect();
    Target::Multicast { groups, port, ttl: 1, loop_back: true }
}

fn multicast_outlet(groups: &[&str], port: u16) -> Outlet {
    let target = group_target(groups, port);
    open_outlet(&OutletSpec { target, interface: Some("lo".into()), dscp: Some(46) }).unwrap()
}

fn multicast_inlet(groups: &[&str], source: Option<&str>, port: u16) -> Inlet {
    let groups: Vec<IpAddr> = groups.iter().map(|group| group.parse().unwrap()).collect();
    let source = source.map(|source| source.parse().unwrap());
    let listen = Listen::Multicast { groups, source, port };
    open_inlet(&InletSpec { listen, interface: Some("lo".into()) }).unwrap()
}

fn send_count(outlet: &Outlet, count: u64, rate: Rate, payload: Payload) -> SendReport {
    let plan = SendPlan { rate, burst: 1, count: Some(count), duration: None, catches_up: true, payload };
    let live = SendLive::default();
    let report = send(outlet, &plan, &AtomicBool::new(false), &live).unwrap();
    assert_eq!(live.messages_sent.load(Ordering::Relaxed), report.messages_sent);
    assert_eq!(live.copies_sent.load(Ordering::Relaxed), report.copies_sent);
    report
}

fn receive_count(inlet: &Inlet, count: u64) -> ReceiveReport {
    let plan = ReceivePlan { count: Some(count), duration: Some(PATIENCE), ..ReceivePlan::default() };
    receive(inlet, &plan, &AtomicBool::new(false), &ReceiveLive::default())
}

/// What is there already, and nothing more: sends to the same host have arrived when the call returns.
fn receive_what_is_there(inlet: &Inlet) -> ReceiveReport {
    let plan = ReceivePlan { count: None, duration: Some(Duration::from_millis(50)), ..ReceivePlan::default() };
    receive(inlet, &plan, &AtomicBool::new(false), &ReceiveLive::default())
}

/// Exactly `count` distinct messages of the one stream, in order, once each, with latencies.
fn assert_all(report: &ReceiveReport, count: u64, size: usize) {
    let [stream] = &report.streams[..] else { panic!("one stream, not {:?}", report.streams) };
    assert_eq!((stream.run_id, stream.stream_id), (7, 1));
    assert_eq!((stream.messages_received, stream.lowest_sequence, stream.highest_sequence), (count, 0, count - 1));
    assert_eq!((stream.messages_lost, stream.messages_duplicate, stream.messages_reordered), (0, 0, 0));
    assert_eq!(report.bytes, count * size as u64);
    assert_eq!(report.messages_unrecognized, 0);
    assert_eq!(report.socket_dropped, Some(0));
    let (app, kernel) = (stream.latency.unwrap(), stream.kernel_latency.unwrap());
    assert_eq!((app.samples, kernel.samples), (count, count));
    assert!(kernel.p50_ns <= app.p50_ns, "the kernel has it before the program");
}

#[test]
fn unicast_over_both_families() {
    for address in ["127.0.0.1", "::1"] {
        let port = free_port();
        let inlet = unicast_inlet(address, port);
        let outlet = unicast_outlet(&[SocketAddr::new(address.parse().unwrap(), port)]);
        let sent = send_count(&outlet, 1_000, Rate::Max, probes(64));
        assert_eq!((sent.messages_sent, sent.copies_sent, sent.copies_failed), (1_000, 1_000, 0));
        assert_eq!((sent.size_bytes, sent.lateness_p99_ns), (64, None));
        assert_all(&receive_count(&inlet, 1_000), 1_000, 64);
    }
}

#[test]
fn all_addresses_take_both_families() {
    let port = free_port();
    let listen = Listen::Unicast { address: None, port };
    let inlet = open_inlet(&InletSpec { listen, interface: None }).unwrap();
    for address in ["127.0.0.1", "::1"] {
        let outlet = unicast_outlet(&[SocketAddr::new(address.parse().unwrap(), port)]);
        send_count(&outlet, 10, Rate::Max, probes(32));
        assert_all(&receive_count(&inlet, 10), 10, 32);
    }
}

#[test]
fn fan_out_sends_everyone_the_same_copy() {
    let port = free_port();
    let addresses: Vec<String> = (1..=70).map(|host| format!("127.0.1.{host}")).collect();
    let inlets: Vec<Inlet> = addresses.iter().map(|address| unicast_inlet(address, port)).collect();
    let to: Vec<SocketAddr> = addresses.iter().map(|address| SocketAddr::new(address.parse().unwrap(), port)).collect();
    let outlet = unicast_outlet(&to);
    assert_eq!(outlet.copies_per_message(), 70);
    let sent = send_count(&outlet, 50, Rate::PerSecond(10_000.0), probes(100));
    assert_eq!((sent.messages_sent, sent.copies_sent, sent.copies_failed), (50, 3_500, 0));
    assert!(sent.lateness_p50_ns <= sent.lateness_p99_ns && sent.lateness_p99_ns <= sent.lateness_max_ns);
    assert!(sent.lateness_p50_ns.is_some());
    for inlet in &inlets {
        assert_all(&receive_count(inlet, 50), 50, 100);
    }
}

#[test]
fn a_count_is_exact_even_when_more_are_waiting() {
    let port = free_port();
    let inlet = unicast_inlet("127.0.0.1", port);
    let outlet = unicast_outlet(&[SocketAddr::from(([127, 0, 0, 1], port))]);
    send_count(&outlet, 200, Rate::Max, probes(64));
    for (count, first) in [(1, 0), (63, 1), (100, 64), (36, 164)] {
        let report = receive_count(&inlet, count);
        assert_eq!(report.streams[0].messages_received, count);
        assert_eq!(report.streams[0].lowest_sequence, first);
    }
}

#[test]
fn a_duration_at_a_rate_is_a_number_of_messages() {
    let port = free_port();
    let inlet = unicast_inlet("127.0.0.1", port);
    let outlet = unicast_outlet(&[SocketAddr::from(([127, 0, 0, 1], port))]);
    let plan = SendPlan {
        rate: Rate::PerSecond(5_000.0),
        burst: 1,
        count: None,
        duration: Some(Duration::from_millis(50)),
        catches_up: true,
        payload: probes(64),
    };
    let sent = send(&outlet, &plan, &AtomicBool::new(false), &SendLive::default()).unwrap();
    assert_eq!(sent.messages_sent, 250);
    assert!(sent.duration_ns >= 50_000_000, "the last message's period belongs to the window");
    assert_all(&receive_count(&inlet, 250), 250, 64);
}

#[test]
fn small_and_readable_payloads_are_no_probes() {
    let port = free_port();
    let inlet = unicast_inlet("127.0.0.1", port);
    let outlet = unicast_outlet(&[SocketAddr::from(([127, 0, 0, 1], port))]);
    for payload in [probes(1), probes(31), Payload::Text("hello".into()), Payload::Text(String::new())] {
        let size = payload.size() as u64;
        send_count(&outlet, 3, Rate::Max, payload);
        let report = receive_count(&inlet, 3);
        assert_eq!((report.messages_unrecognized, report.bytes), (3, 3 * size));
        assert!(report.streams.is_empty());
    }
    send_count(&outlet, 3, Rate::Max, probes(32));
    assert_all(&receive_count(&inlet, 3), 3, 32);
}

#[test]
fn sizes_up_to_the_largest_datagram() {
    for (address, largest) in [("127.0.0.1", 65_507), ("::1", 65_527)] {
        let port = free_port();
        let inlet = unicast_inlet(address, port);
        let outlet = unicast_outlet(&[SocketAddr::new(address.parse().unwrap(), port)]);
        assert_eq!(outlet.max_payload(), largest);
        assert_eq!(send_count(&outlet, 5, Rate::Max, probes(largest)).copies_sent, 5);
        assert_all(&receive_count(&inlet, 5), 5, largest);
        let plan = SendPlan {
            rate: Rate::Max,
            burst: 1,
            count: Some(1),
            duration: None,
            catches_up: true,
            payload: probes(largest + 1),
        };
        let error = send(&outlet, &plan, &AtomicBool::new(false), &SendLive::default()).unwrap_err();
        assert_eq!(error.class(), ExitClass::Usage);
        assert!(error.to_string().contains(&format!("--size {}: at most {largest}", largest + 1)), "{error}");
    }
}

#[test]
fn nobody_listening_is_no_failure() {
    // Every datagram to a closed port brings an ICMP error back, which the next send call on the socket reports.
    let outlet = unicast_outlet(&[SocketAddr::from(([127, 0, 0, 1], free_port()))]);
    for rate in [Rate::Max, Rate::PerSecond(50_000.0)] {
        let sent = send_count(&outlet, 1_000, rate, probes(64));
        assert_eq!((sent.messages_sent, sent.copies_sent, sent.copies_failed), (1_000, 1_000, 0), "{sent:?}");
    }
}

#[test]
fn groups_are_told_apart() {
    let (group, other, port) = ("239.255.7.1", "239.255.7.2", free_port());
    // On one port and one host: without IP_MULTICAST_ALL off, each would get what the other joined.
    let inlet = multicast_inlet(&[group], None, port);
    let other_inlet = multicast_inlet(&[other], None, port);
    let both = multicast_inlet(&[group, other], None, port);
    assert!(both.description().groups.iter().all(|group| group.confirmed == Some(true)));
    let sent = send_count(&multicast_outlet(&[group], port), 100, Rate::Max, probes(64));
    assert_eq!((sent.messages_sent, sent.copies_sent), (100, 100));
    assert_all(&receive_count(&inlet, 100), 100, 64);
    let nothing = receive_what_is_there(&other_inlet);
    assert_eq!((nothing.streams.len(), nothing.messages_unrecognized, nothing.messages_other_destination), (0, 0, 0));
    assert_all(&receive_count(&both, 100), 100, 64);
    // A message to two groups is two copies, and one message twice to who joined both.
    let sent = send_count(&multicast_outlet(&[group, other], port), 10, Rate::Max, probes(64));
    assert_eq!((sent.messages_sent, sent.copies_sent), (10, 20));
    assert_eq!(receive_count(&both, 20).streams[0].messages_duplicate, 10);
}

#[test]
fn what_is_not_for_the_group_is_set_apart() {
    let port = free_port();
    let inlet = multicast_inlet(&["239.255.7.3"], None, port);
    send_count(&unicast_outlet(&[SocketAddr::from(([127, 0, 0, 1], port))]), 5, Rate::Max, probes(64));
    let report = receive_what_is_there(&inlet);
    assert_eq!((report.messages_other_destination, report.streams.len(), report.bytes), (5, 0, 0));
}

#[test]
fn source_specific_groups_have_one_sender() {
    let port = free_port();
    let inlet = multicast_inlet(&["232.7.7.7"], Some("127.0.0.1"), port);
    let stranger = multicast_inlet(&["232.7.7.7"], Some("127.0.0.9"), port);
    for inlet in [&inlet, &stranger] {
        assert_eq!(inlet.description().groups[0].confirmed, Some(true));
    }
    send_count(&multicast_outlet(&["232.7.7.7"], port), 20, Rate::Max, probes(64));
    assert_all(&receive_count(&inlet, 20), 20, 64);
    assert!(receive_what_is_there(&stranger).streams.is_empty());
}

#[test]
fn too_many_groups_name_the_limit() {
    let limit = std::fs::read_to_string("/proc/sys/net/ipv4/igmp_max_memberships").unwrap();
    let limit: u16 = limit.trim().parse().unwrap();
    let groups = (0..=limit).map(|group| IpAddr::from([239, 255, (group >> 8) as u8, group as u8])).collect();
    let listen = Listen::Multicast { groups, source: None, port: free_port() };
    let error = open_inlet(&InletSpec { listen, interface: Some("lo".into()) }).err().unwrap();
    assert_eq!(error.class(), ExitClass::Usage);
    assert!(error.to_string().contains(&format!("join {limit} of the {} groups", limit + 1)), "{error}");
    assert!(error.to_string().contains("igmp_max_memberships"), "{error}");
}

#[test]
fn no_loop_keeps_it_from_this_host() {
    let port = free_port();
    let target = Target::Multicast { groups: vec!["239.255.7.4".parse().unwrap()], port, ttl: 1, loop_back: false };
    let outlet = open_outlet(&OutletSpec { target, interface: Some("lo".into()), dscp: None }).unwrap();
    // On loopback the copy that left comes back as an arrival: what the option takes away is the other one.
    let inlet = multicast_inlet(&["239.255.7.4"], None, port);
    send_count(&outlet, 10, Rate::Max, probes(64));
    assert_all(&receive_count(&inlet, 10), 10, 64);
}

#[test]
fn a_port_in_use_says_so() {
    let holder = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = holder.local_addr().unwrap().port();
    let listen = Listen::Unicast { address: Some([127, 0, 0, 1].into()), port };
    let error = open_inlet(&InletSpec { listen, interface: None }).err().unwrap();
    assert!(error.to_string().contains(&format!("port {port} is in use")), "{error}");
}

#[test]
fn stop_ends_a_long_sleep_and_a_silent_wait() {
    let port = free_port();
    let inlet = unicast_inlet("127.0.0.1", port);
    let outlet = unicast_outlet(&[SocketAddr::from(([127, 0, 0, 1], port))]);
    let (stop, heard) = (AtomicBool::new(false), AtomicBool::new(false));
    let live = ReceiveLive::default();
    thread::scope(|scope| {
        // The next message would be due in a quarter of an hour.
        let plan = SendPlan {
            rate: Rate::PerSecond(0.001),
            burst: 1,
            count: None,
            duration: None,
            catches_up: true,
            payload: probes(64),
        };
        let sender = scope.spawn({
            let (outlet, stop) = (&outlet, &stop);
            move || send(outlet, &plan, stop, &SendLive::default()).unwrap()
        });
        let receiver = scope.spawn(|| receive(&inlet, &ReceivePlan::default(), &stop, &live));
        scope.spawn(|| {
            while live.messages_received.load(Ordering::Relaxed) == 0 {
                thread::yield_now();
            }
            heard.store(true, Ordering::Relaxed);
            stop.store(true, Ordering::Relaxed);
        });
        let sent = sender.join().unwrap();
        assert_eq!((sent.messages_sent, sent.copies_sent), (1, 1));
        assert_all(&receiver.join().unwrap(), 1, 64);
    });
    assert!(heard.load(Ordering::Relaxed));
}
