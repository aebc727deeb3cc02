//! Network cards that filter, switches without a querier, slower links, IGMP versions: counted by the kernel, as root and
//! as an ordinary user.

mod support;

use std::fs;
use std::io::Read as _;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6, UdpSocket};
use std::time::{Duration, Instant};

use netlab::counters::link::{LinkCounters, LinkReader};
use netlab::lan::{Host, Igmp, Lan, LanSpec, LinkLimit, Nic, SwitchKind};
use netlab::sys::cpu::task_cpu_ns;
use netlab::sys::netns;
use socket2::{Domain, Protocol, Socket, Type};
use support::{everybody_inside, wait_until};

const PORT: u16 = 4747;
const GROUP: Ipv4Addr = Ipv4Addr::new(239, 1, 2, 3);

/// A LAN with the counters of both ends of each cable.
struct Bench {
    lan: Lan,
    ports: LinkReader,
    hosts: Vec<LinkReader>,
}

impl Bench {
    fn new(spec: &LanSpec) -> Bench {
        let lan = Lan::build(spec).unwrap();
        let hosts = lan.hosts().iter().map(|host| on(host, || LinkReader::open().unwrap())).collect();
        Bench { lan, ports: LinkReader::open().unwrap(), hosts }
    }

    fn host(&self, number: usize) -> &Host {
        &self.lan.hosts()[number - 1]
    }

    /// A socket on a host, at its own address.
    fn socket(&self, number: usize, port: u16) -> UdpSocket {
        let host = self.host(number);
        let socket = on(host, || UdpSocket::bind((host.ipv4, port)).unwrap());
        socket.set_broadcast(true).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        socket
    }

    /// Has a host join the group; it stays a member as long as the socket.
    fn member(&self, number: usize) -> UdpSocket {
        self.member_of(number, GROUP)
    }

    /// The same of any group.
    fn member_of(&self, number: usize, group: Ipv4Addr) -> UdpSocket {
        let host = self.host(number);
        on(host, || {
            let socket = UdpSocket::bind((group, PORT)).unwrap();
            socket.join_multicast_v4(&group, &host.ipv4).unwrap();
            socket
        })
    }

    /// What each host's link counts.
    fn links(&mut self) -> Vec<LinkCounters> {
        let of = |(host, reader): (&Host, &mut LinkReader)| reader.read(host.ifindex).unwrap();
        self.lan.hosts().iter().zip(&mut self.hosts).map(of).collect()
    }

    /// Frames that each host's link has received since `before`.
    fn received(&mut self, before: &[LinkCounters]) -> Vec<u64> {
        let now = self.links();
        now.iter().zip(before).map(|(now, before)| now.since(before).rx_frames.unwrap()).collect()
    }

    fn port(&mut self, number: usize) -> LinkCounters {
        let index = self.host(number).port_ifindex;
        self.ports.read(index).unwrap()
    }

    fn filtered(&mut self) -> Vec<u64> {
        self.lan.nic_filtered().unwrap().expect("cards that filter")
    }

    /// Which of h2, h3, … get a datagram of h1 to the group: a long one, and a short broadcast after it tells when to
    /// look. Reports and queries on the way are shorter still.
    fn reached(&mut self, sender: &UdpSocket) -> Vec<usize> {
        const LONG: usize = 1000;
        const SHORT: usize = 300;
        let before = self.links();
        sender.send_to(&[0; LONG], (GROUP, PORT)).unwrap();
        sender.send_to(&[0; SHORT], (Ipv4Addr::BROADCAST, PORT)).unwrap();
        let has_long = |bytes: u64| bytes >= LONG as u64;
        let mut bytes = Vec::new();
        wait_until("a broadcast has reached everybody", || {
            let now = self.links();
            bytes = now.iter().zip(&before).map(|(now, before)| now.since(before).rx_bytes.unwrap()).collect();
            let wanted = |bytes| (SHORT + if has_long(bytes) { LONG } else { 0 }) as u64;
            bytes[1..].iter().all(|bytes| *bytes >= wanted(*bytes))
        });
        (2..=bytes.len()).filter(|number| has_long(bytes[number - 1])).collect()
    }
}

/// Runs `action` inside a host.
fn on<T: Send>(host: &Host, action: impl FnOnce() -> T + Send) -> T {
    netns::aside(|| {
        netns::enter(&host.netns).unwrap();
        action()
    })
}

/// Sends `count` datagrams, a few at a time: a veth holds 256 frames. `arrived`: how many have.
fn send(socket: &UdpSocket, count: u64, to: impl Into<SocketAddr>, mut arrived: impl FnMut() -> u64) {
    const AT_ONCE: u64 = 50;
    let (to, before) = (to.into(), arrived());
    for sent in (0..count).step_by(AT_ONCE as usize) {
        let until = count.min(sent + AT_ONCE);
        for _ in sent..until {
            socket.send_to(&[0; 100], to).unwrap();
        }
        wait_until("what was sent has arrived", || arrived() - before >= until);
    }
}

fn spec(hosts: usize, switch: SwitchKind, nic: Nic) -> LanSpec {
    LanSpec { nic, ..LanSpec::single(hosts, switch, false) }
}

#[test]
fn a_card_keeps_foreign_unicast_from_its_host_and_counts_it() {
    everybody_inside("a_card_keeps_foreign_unicast_from_its_host_and_counts_it", || {
        const COUNT: u64 = 400;
        let mut bench = Bench::new(&spec(5, SwitchKind::Hub, Nic::Filter));
        assert_eq!(bench.lan.nic_unavailable(), None);
        assert_eq!(bench.filtered(), [0; 5]);
        let (sender, receiver) = (bench.socket(1, 0), bench.socket(3, PORT));
        let threads: Vec<u32> = bench
            .lan
            .napi_threads()
            .unwrap()
            .iter()
            .filter(|thread| ![0, 2].contains(&thread.host))
            .map(|thread| thread.pid)
            .collect();
        assert_eq!(threads.len(), 2 * 3, "of both ends of the bystanders' cables");
        let cpu = || threads.iter().map(|thread| task_cpu_ns(*thread).unwrap()).collect::<Vec<_>>();

        let (before, cpu_before) = (bench.links(), cpu());
        let to = (bench.host(3).ipv4, PORT);
        for _ in 0..COUNT / 50 {
            send(&sender, 50, to, || bench.filtered()[1]);
            for _ in 0..50 {
                receiver.recv(&mut [0; 128]).expect("the receiver gets every message");
            }
        }
        wait_until("all are decided on", || bench.filtered()[3..] == [COUNT; 2]);
        assert_eq!(bench.filtered(), [0, COUNT, 0, COUNT, COUNT], "each bystander's card, and no other");
        assert_eq!(bench.received(&before), [0, 0, COUNT, 0, 0]);
        assert_eq!(cpu(), cpu_before, "bystanders' receive threads had nothing to do");

        let before = bench.links();
        send(&sender, 70, (Ipv4Addr::BROADCAST, PORT + 1), || bench.received(&before)[4]);
        send(&sender, 30, (Ipv4Addr::new(224, 0, 0, 1), PORT), || bench.received(&before)[4]);
        wait_until("all have arrived", || bench.received(&before)[1..] == [100; 4]);
        assert_eq!(bench.filtered(), [0, COUNT, 0, COUNT, COUNT], "what is for all passes");
        assert!(bench.links().iter().all(|link| link.rx_other_host == Some(0)));
    });
}

#[test]
fn a_card_keeps_groups_its_host_has_not_joined_from_it() {
    everybody_inside("a_card_keeps_groups_its_host_has_not_joined_from_it", || {
        const COUNT: u64 = 400;
        // A group whose Ethernet address is the same.
        const TWIN: Ipv4Addr = Ipv4Addr::new(239, 129, 2, 3);
        for switch in [SwitchKind::Flooding, SwitchKind::Hub, SwitchKind::NoQuerier] {
            let mut bench = Bench::new(&spec(5, switch, Nic::Filter));
            assert_eq!(bench.lan.nic_unavailable(), None);
            let sender = bench.socket(1, 0);
            let (_member, _twin) = (bench.member(2), bench.member_of(4, TWIN));
            wait_until("the members' cards know", || bench.reached(&sender) == [2, 4]);
            let (links, filtered) = (bench.links(), bench.filtered());
            let threads: Vec<u32> = {
                let all = bench.lan.napi_threads().unwrap();
                all.iter()
                    .filter(|thread| !thread.is_port && [2, 4].contains(&thread.host))
                    .map(|thread| thread.pid)
                    .collect()
            };
            let cpu = || threads.iter().map(|pid| task_cpu_ns(*pid).unwrap()).collect::<Vec<_>>();
            let cpu_before = cpu();
            send(&sender, COUNT, (GROUP, PORT), || bench.received(&links)[1]);
            wait_until("the other member has all", || bench.received(&links)[3] == COUNT);
            assert_eq!(bench.received(&links), [0, COUNT, 0, COUNT, 0], "{switch}");
            assert_eq!(cpu(), cpu_before, "{switch}: the bystanders' receive threads had nothing to do");
            let dropped: Vec<u64> = bench.filtered().iter().zip(&filtered).map(|(now, before)| now - before).collect();
            // Reports of the others are for routers, and end in the card as well.
            let expected = dropped.iter().zip([0, 0, COUNT, 0, COUNT]).all(|(n, of)| (of..of + 20).contains(n));
            assert!(expected, "{switch}: {dropped:?}");

            // Who joins gets it from then on, and who leaves no more.
            let late = bench.member(5);
            wait_until("the late member's card knows", || bench.reached(&sender) == [2, 4, 5]);
            drop(late);
            wait_until("its card has forgotten", || bench.reached(&sender) == [2, 4]);
        }
    });
}

#[test]
fn a_card_follows_who_leaves_without_a_word() {
    everybody_inside("a_card_follows_who_leaves_without_a_word", || {
        let mut spec = spec(4, SwitchKind::Flooding, Nic::Filter);
        spec.igmp.version = 2;
        let mut bench = Bench::new(&spec);
        let sender = bench.socket(1, 0);
        let first = bench.member(2);
        wait_until("its card knows", || bench.reached(&sender) == [2]);
        let _second = bench.member(3);
        wait_until("both cards know", || bench.reached(&sender) == [2, 3]);
        // In version 2 who was not the last to report need not say that he leaves.
        drop(first);
        bench.lan.program_cards().unwrap();
        assert_eq!(bench.reached(&sender), [3]);
    });
}

#[test]
fn a_card_does_the_same_with_groups_of_ipv6() {
    everybody_inside("a_card_does_the_same_with_groups_of_ipv6", || {
        const COUNT: u64 = 100;
        let group: Ipv6Addr = "ff12::4e4c:1".parse().unwrap();
        let spec = LanSpec { nic: Nic::Filter, ..LanSpec::single(4, SwitchKind::Flooding, true) };
        let mut bench = Bench::new(&spec);
        let v6 = |bench: &Bench, number: usize, port: u16| {
            let host = bench.host(number);
            on(host, || UdpSocket::bind((host.ipv6.unwrap(), port)).unwrap())
        };
        let to = |group: Ipv6Addr, bench: &Bench| SocketAddrV6::new(group, PORT, 0, bench.host(1).ifindex);
        let sender = v6(&bench, 1, 0);
        let member = v6(&bench, 3, PORT);
        member.join_multicast_v6(&group, bench.host(3).ifindex).unwrap();
        bench.lan.program_cards().unwrap();
        let (links, filtered) = (bench.links(), bench.filtered());
        let (one, all) = (to(group, &bench), to("ff02::1".parse().unwrap(), &bench));
        send(&sender, COUNT, one, || bench.received(&links)[2]);
        send(&sender, COUNT, all, || bench.received(&links)[3]);
        // MLD has frames of its own.
        wait_until("all have arrived", || {
            bench.received(&links)[1..].iter().zip([1, 2, 1]).all(|(n, of)| *n >= of * COUNT)
        });
        let received = bench.received(&links);
        assert!(received[1..].iter().zip([1, 2, 1]).all(|(n, of)| *n < of * COUNT + 20), "{received:?}");
        let dropped: Vec<u64> = bench.filtered().iter().zip(&filtered).map(|(now, before)| now - before).collect();
        assert!(dropped[1] >= COUNT && dropped[2] < 20 && dropped[3] >= COUNT, "{dropped:?}");
        // A question for an address goes to a group that the one who has it has joined.
        let unicast = v6(&bench, 2, PORT);
        unicast.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        v6(&bench, 4, 0).send_to(b"hello", (bench.host(2).ipv6.unwrap(), PORT)).unwrap();
        assert_eq!(unicast.recv_from(&mut [0; 16]).unwrap().0, 5);
    });
}

#[test]
fn a_promiscuous_card_leaves_foreign_unicast_to_its_host() {
    everybody_inside("a_promiscuous_card_leaves_foreign_unicast_to_its_host", || {
        const COUNT: u64 = 200;
        let mut bench = Bench::new(&spec(4, SwitchKind::Hub, Nic::Promiscuous));
        let (sender, _receiver) = (bench.socket(1, 0), bench.socket(2, PORT));
        let before = bench.links();
        let to = (bench.host(2).ipv4, PORT);
        send(&sender, COUNT, to, || bench.received(&before)[3]);
        wait_until("all have arrived", || bench.received(&before)[1..] == [COUNT; 3]);
        let dropped: Vec<_> = bench.links().iter().map(|link| link.rx_other_host).collect();
        assert_eq!(dropped, [0, 0, COUNT, COUNT].map(Some));
        assert_eq!(bench.lan.nic_filtered().unwrap(), None);
        assert_eq!(bench.lan.nic_unavailable(), None);
    });
}

#[test]
fn cards_on_a_switch_have_nothing_to_drop_and_go_with_their_lan() {
    everybody_inside("cards_on_a_switch_have_nothing_to_drop_and_go_with_their_lan", || {
        // Twice in one namespace: the second LAN's rules have the first one's names.
        for _ in 0..2 {
            let mut bench = Bench::new(&spec(3, SwitchKind::Snooping, Nic::Filter));
            let (sender, _receiver) = (bench.socket(1, 0), bench.socket(2, PORT));
            let before = bench.links();
            let to = (bench.host(2).ipv4, PORT);
            send(&sender, 20, to, || bench.received(&before)[1]);
            assert_eq!(bench.filtered(), [0; 3]);
        }
    });
}

/// An IGMPv3 general query (RFC 3376 section 4.1), to be answered within 0.1 s.
const QUERY: [u8; 12] = [0x11, 1, 0xec, 0xfd, 0, 0, 0, 0, 2, 1, 0, 0];

/// A host asks who is a member of what.
fn query(host: &Host) {
    on(host, || {
        let socket = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::from(libc::IPPROTO_IGMP))).unwrap();
        socket.set_multicast_if_v4(&host.ipv4).unwrap();
        socket.send_to(&QUERY, &SocketAddr::from((Ipv4Addr::new(224, 0, 0, 1), 0)).into()).unwrap();
    });
}

#[test]
fn without_a_querier_a_bridge_floods_until_somebody_asks() {
    everybody_inside("without_a_querier_a_bridge_floods_until_somebody_asks", || {
        let mut spec = spec(4, SwitchKind::NoQuerier, Nic::Promiscuous);
        spec.igmp.membership_interval = Some(Duration::from_secs(2));
        let mut bench = Bench::new(&spec);
        let sender = bench.socket(1, 0);
        let _member = bench.member(3);
        assert_eq!(bench.reached(&sender), [2, 3, 4]);
        query(bench.host(4));
        // Who asks is taken for a router, and gets all groups.
        wait_until("the switch snoops", || bench.reached(&sender) == [3, 4]);
        wait_until("the switch floods again", || bench.reached(&sender) == [2, 3, 4]);
    });
}

#[test]
fn a_quiet_switch_keeps_groups_from_members_too_unless_somebody_asks() {
    everybody_inside("a_quiet_switch_keeps_groups_from_members_too_unless_somebody_asks", || {
        let mut spec = spec(4, SwitchKind::Quiet, Nic::Promiscuous);
        spec.igmp.membership_interval = Some(Duration::from_secs(2));
        let mut bench = Bench::new(&spec);
        let sender = bench.socket(1, 0);
        assert!(bench.reached(&sender).is_empty());
        let _member = bench.member(3);
        wait_until("the switch knows its member", || bench.lan.members(GROUP.into()).unwrap() == [2].into());
        assert!(bench.reached(&sender).is_empty(), "nobody asks");
        query(bench.host(4));
        // Who asks is taken for a router, and gets all groups.
        wait_until("the member is served", || bench.reached(&sender) == [3, 4]);
        wait_until("the querier is forgotten", || bench.reached(&sender).is_empty());
        assert_eq!(bench.lan.members(GROUP.into()).unwrap(), [2].into());
    });
}

#[test]
fn switches_without_a_querier_do_the_same_with_ipv6() {
    everybody_inside("switches_without_a_querier_do_the_same_with_ipv6", || {
        // Building tries it out, with a group of each family.
        for switch in [SwitchKind::NoQuerier, SwitchKind::Quiet] {
            netns::aside(|| {
                netns::create().unwrap();
                assert_eq!(Lan::build(&LanSpec::single(3, switch, true)).unwrap().hosts().len(), 3);
            });
        }
    });
}

#[test]
fn a_slower_link_carries_its_rate_and_every_frame_is_accounted_for() {
    everybody_inside("a_slower_link_carries_its_rate_and_every_frame_is_accounted_for", || {
        const RATE: u64 = 4_000_000;
        const WINDOW: Duration = Duration::from_millis(1500);
        let mut spec = spec(3, SwitchKind::Snooping, Nic::Promiscuous);
        spec.limit = Some(LinkLimit { hosts: vec![1], bits_per_second: RATE });
        let mut bench = Bench::new(&spec);
        assert_eq!(bench.lan.limit_dropped().unwrap(), [None, Some(0), None]);
        let sender = bench.socket(1, 0);
        let (slow, fast) = ((bench.host(2).ipv4, PORT), (bench.host(3).ipv4, PORT));
        let _receivers = [bench.socket(2, PORT), bench.socket(3, PORT)];
        let before = [bench.port(2), bench.port(3)];

        // Both get four times what the slower link carries.
        let pause = Duration::from_nanos(1_000_000_000 * 8 * 1042 / (4 * RATE));
        let start = Instant::now();
        let (mut sent, mut first) = (0_u64, None);
        let (bytes, elapsed) = loop {
            for to in [slow, fast] {
                sender.send_to(&[0; 1000], to).unwrap();
            }
            sent += 1;
            if let Some((at, counted)) = first {
                let elapsed = Instant::now() - at;
                if elapsed >= WINDOW {
                    let carried = bench.port(2).since(&counted);
                    // Some kernels' counters leave the Ethernet header out.
                    break (carried.tx_frames.unwrap() * (1000 + 8 + 20 + 14), elapsed);
                }
            } else if start.elapsed() > WINDOW / 5 {
                first = Some((Instant::now(), bench.port(2)));
            }
            std::thread::sleep((start + pause * sent as u32).saturating_duration_since(Instant::now()));
        };
        let share = bytes as f64 * 8.0 / elapsed.as_secs_f64() / RATE as f64;
        assert!((0.95..1.03).contains(&share), "{share} of the rate");

        let [mut at_slow, mut at_fast, mut dropped] = [0; 3];
        wait_until("every frame to the slow host is accounted for", || {
            at_slow = bench.port(2).since(&before[0]).tx_frames.unwrap();
            dropped = bench.lan.limit_dropped().unwrap()[1].unwrap();
            at_slow + dropped >= sent
        });
        wait_until("the other has all", || {
            at_fast = bench.port(3).since(&before[1]).tx_frames.unwrap();
            at_fast >= sent
        });
        assert_eq!((at_slow + dropped, at_fast), (sent, sent));
        assert!(dropped > sent / 2, "{dropped} of {sent}");
        assert_eq!(bench.port(2).tx_dropped, before[0].tx_dropped, "the link itself has lost none");
    });
}

/// `ETH_P_ALL`, in network byte order.
fn all_frames() -> Protocol {
    Protocol::from(i32::from((libc::ETH_P_ALL as u16).to_be()))
}

#[test]
fn hosts_and_switch_speak_the_igmp_they_are_told_to() {
    everybody_inside("hosts_and_switch_speak_the_igmp_they_are_told_to", || {
        for (version, shown, report) in [(2, "V2", 0x16), (3, "V3", 0x22)] {
            let mut spec = spec(3, SwitchKind::Snooping, Nic::Promiscuous);
            spec.igmp = Igmp { version, last_member_interval: Duration::from_millis(200), ..Igmp::default() };
            let mut bench = Bench::new(&spec);
            let host = bench.host(2);
            let mut listener = on(host, || Socket::new(Domain::PACKET, Type::DGRAM, Some(all_frames())).unwrap());
            listener.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
            let member = bench.member(2);
            let table = on(bench.host(2), || fs::read_to_string("/proc/thread-self/net/igmp").unwrap());
            let line = table.lines().find(|line| line.contains("h2")).expect("the host's interface");
            assert!(line.trim_end().ends_with(shown), "version {version}:\n{table}");
            let kind = loop {
                let mut packet = [0; 128];
                let length = listener.read(&mut packet).unwrap();
                let igmp = usize::from(packet[0] & 15) * 4;
                if length > igmp && packet[9] == libc::IPPROTO_IGMP as u8 && packet[igmp] != QUERY[0] {
                    break packet[igmp];
                }
            };
            assert_eq!(kind, report, "the type of a report in version {version}");
            wait_until("the switch knows its member", || bench.lan.members(GROUP.into()).unwrap() == [1].into());
            drop(member);
            wait_until("the member has left", || bench.lan.members(GROUP.into()).unwrap().is_empty());
        }
    });
}
