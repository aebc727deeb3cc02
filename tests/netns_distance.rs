//! A router at a distance from its LANs: what crosses takes its time, loses nothing and is counted by the kernel, as root
//! and as an ordinary user.

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::mem::MaybeUninit;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use netlab::counters::link::{LinkCounters, LinkReader};
use netlab::lan::{Host, Lan, LanSpec, SwitchKind};
use netlab::router::{Delay, DelayCounts, DelayPlan, ForwarderPlan, QuerierPlan};
use netlab::run::agent;
use netlab::run::protocol::{Forward, Line, Order, Part, Reply};
use netlab::sys::interface::Interface;
use netlab::sys::{netns, packet};
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use support::{everybody, everybody_inside, lan, lan_says, require_namespaces, wait_until};

const PORT: u16 = 4747;
/// A veth holds 256 frames.
const AT_ONCE: u64 = 50;

/// LANs with a router at a distance, which forwards, and the counters of its links.
struct Bench {
    delay: Delay,
    links: LinkReader,
    lan: Lan,
}

impl Bench {
    fn new(lans: &[usize], distance: Duration) -> Bench {
        let spec = LanSpec { lans: lans.to_vec(), distance, ..LanSpec::single(0, SwitchKind::Snooping, false) };
        let lan = Lan::build(&spec).unwrap();
        let router = lan.router().unwrap();
        let plan = DelayPlan { interfaces: router.interfaces(), distance };
        let (delay, links) = inside(&router.netns, || (Delay::start(&plan).unwrap(), LinkReader::open().unwrap()));
        Bench { delay, links, lan }
    }

    /// Host `h1`, `h2`, …
    fn host(&self, number: usize) -> &Host {
        &self.lan.hosts()[number - 1]
    }

    /// A socket on a host, at its own address.
    fn socket(&self, number: usize) -> UdpSocket {
        let host = self.host(number);
        let socket = on(host, || UdpSocket::bind((host.ipv4, PORT)).unwrap());
        socket.set_broadcast(true).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        socket
    }

    fn address(&self, number: usize) -> SocketAddr {
        (self.host(number).ipv4, PORT).into()
    }

    /// What the router's links count, the first LAN's first.
    fn links(&mut self) -> Vec<LinkCounters> {
        let links = self.lan.router().unwrap().links.clone();
        links.iter().map(|link| self.links.read(link.ifindex).unwrap()).collect()
    }

    /// Frames received and sent by each of the router's links since `before`.
    fn crossed(&mut self, before: &[LinkCounters]) -> Vec<(u64, u64)> {
        let now = self.links();
        let grown = now.iter().zip(before).map(|(now, before)| now.since(before));
        grown.map(|grown| (grown.rx_frames.unwrap(), grown.tx_frames.unwrap())).collect()
    }

    /// What it has done with all that was given to it, but for what is not due.
    fn counts(&self) -> DelayCounts {
        wait_until("its threads sleep", all_asleep);
        self.delay.counts()
    }

    /// Voluntary and other context switches of each of its threads, and its CPU time in ns.
    fn threads(&self) -> BTreeMap<String, (u64, u64, u64)> {
        let mut found = BTreeMap::new();
        for task in fs::read_dir("/proc/self/task").unwrap().flatten() {
            let read = |file| fs::read_to_string(task.path().join(file)).unwrap_or_default();
            let (comm, status) = (read("comm"), read("status"));
            let figure = |key| status.lines().find_map(|line| line.strip_prefix(key)?.trim().parse::<u64>().ok());
            if comm.starts_with("delay ") {
                let switches = figure("voluntary_ctxt_switches:").zip(figure("nonvoluntary_ctxt_switches:")).unwrap();
                let cpu_ns = read("schedstat").split_whitespace().next().unwrap().parse().unwrap();
                found.insert(comm.trim().to_owned(), (switches.0, switches.1, cpu_ns));
            }
        }
        assert_eq!(found.len(), self.lan.spec().lans.len(), "{found:?}");
        found
    }
}

/// Runs `action` in a network namespace.
fn inside<T: Send>(namespace: &std::os::fd::OwnedFd, action: impl FnOnce() -> T + Send) -> T {
    netns::aside(|| {
        netns::enter(namespace).unwrap();
        action()
    })
}

/// Runs `action` on a host.
fn on<T: Send>(host: &Host, action: impl FnOnce() -> T + Send) -> T {
    inside(&host.netns, action)
}

/// The shortest of some times.
fn shortest(mut take: impl FnMut() -> Duration) -> Duration {
    (0..5).map(|_| take()).min().unwrap()
}

/// How long a datagram and its echo take.
fn udp_echo(bench: &Bench) -> Duration {
    let (near, far) = (bench.socket(1), bench.socket(3));
    shortest(|| {
        let mut bytes = [0; 100];
        let start = Instant::now();
        near.send_to(&[7; 64], bench.address(3)).unwrap();
        let (len, from) = far.recv_from(&mut bytes).unwrap();
        assert_eq!((len, from), (64, bench.address(1)));
        far.send_to(&bytes[..len], from).unwrap();
        assert_eq!(near.recv_from(&mut bytes).unwrap(), (64, bench.address(3)));
        start.elapsed()
    })
}

/// How long the kernel of another host takes to answer an ICMP echo request.
fn icmp_echo(bench: &Bench) -> Duration {
    const REQUEST: [u8; 8] = [8, 0, 0xf7, 0xff, 0, 0, 0, 0];
    let socket = on(bench.host(1), || Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::ICMPV4)).unwrap());
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    shortest(|| {
        let start = Instant::now();
        socket.send_to(&REQUEST, &SocketAddr::from((bench.host(3).ipv4, 0)).into()).unwrap();
        let mut bytes = [MaybeUninit::uninit(); 100];
        let (len, from) = socket.recv_from(&mut bytes).unwrap();
        assert_eq!((len, *from.as_socket_ipv4().unwrap().ip()), (20 + REQUEST.len(), bench.host(3).ipv4));
        start.elapsed()
    })
}

/// A connection on which nothing waits for ever.
fn patient(stream: TcpStream) -> TcpStream {
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.set_write_timeout(Some(Duration::from_secs(20))).unwrap();
    stream
}

/// Listens on a host, for no longer than that.
fn listen(bench: &Bench, number: usize) -> TcpListener {
    let listener = on(bench.host(number), || TcpListener::bind(bench.address(number)).unwrap());
    SockRef::from(&listener).set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    listener
}

/// How long a TCP connection takes to stand, and then a request and its answer.
fn tcp_request(bench: &Bench) -> (Duration, Duration) {
    let listener = listen(bench, 3);
    let answer = || {
        let mut stream = patient(listener.accept().unwrap().0);
        let mut request = [0; 16];
        stream.read_exact(&mut request).unwrap();
        stream.write_all(&request).unwrap();
    };
    let ask = || {
        on(bench.host(1), || {
            let start = Instant::now();
            let mut stream = patient(TcpStream::connect(bench.address(3)).unwrap());
            stream.set_nodelay(true).unwrap();
            let connected = start.elapsed();
            stream.write_all(&[1; 16]).unwrap();
            stream.read_exact(&mut [0; 16]).unwrap();
            (connected, start.elapsed() - connected)
        })
    };
    let once = || {
        std::thread::scope(|scope| {
            scope.spawn(answer);
            ask()
        })
    };
    let (connected, answered): (Vec<_>, Vec<_>) = (0..5).map(|_| once()).unzip();
    (connected.into_iter().min().unwrap(), answered.into_iter().min().unwrap())
}

/// An exchange takes the distance there and back, and what else it takes is less than as much again.
#[test]
fn an_exchange_takes_twice_the_distance() {
    everybody_inside("an_exchange_takes_twice_the_distance", || {
        let near = Duration::from_millis(30);
        let exchanges = |distance| {
            let bench = Bench::new(&[2, 2], distance);
            let (connected, answered) = tcp_request(&bench);
            let times = [udp_echo(&bench), icmp_echo(&bench), connected, answered];
            assert!(times.iter().all(|time| *time >= 2 * distance), "{distance:?} away: {times:?}");
            assert_eq!((bench.delay.dropped(), bench.delay.counts().unroutable), (0, 0));
            times
        };
        let (of_near, of_far) = (exchanges(near), exchanges(2 * near));
        for (near_took, far_took) in of_near.into_iter().zip(of_far) {
            assert!(near_took < 4 * near && near_took < far_took, "{of_near:?}, {of_far:?}");
            assert!(far_took < 8 * near, "{of_near:?}, {of_far:?}");
        }
    });
}

#[test]
fn two_thousand_frames_cross_each_way_in_order_and_the_kernel_counts_them() {
    everybody_inside("two_thousand_frames_cross_each_way_in_order_and_the_kernel_counts_them", || {
        const COUNT: u64 = 2_000;
        let mut bench = Bench::new(&[1, 1], Duration::from_millis(2));
        let sockets = [bench.socket(1), bench.socket(2)];
        let before = bench.links();
        for first in (0..COUNT).step_by(AT_ONCE as usize) {
            let numbers = || first..first + AT_ONCE;
            for number in numbers() {
                for (from, to) in [(0, 2), (1, 1)] {
                    sockets[from].send_to(&number.to_be_bytes(), bench.address(to)).unwrap();
                }
            }
            for (socket, from) in sockets.iter().zip([2, 1]) {
                for number in numbers() {
                    let mut bytes = [0; 100];
                    assert_eq!(socket.recv_from(&mut bytes).unwrap(), (8, bench.address(from)));
                    assert_eq!(bytes[..8], number.to_be_bytes());
                }
            }
        }
        assert_eq!(bench.crossed(&before), [(COUNT, COUNT), (COUNT, COUNT)]);
        let DelayCounts { forwarded, dropped, expired, unroutable, .. } = bench.counts();
        assert_eq!((forwarded, dropped, expired, unroutable), (2 * COUNT, 0, 0, 0));
        for socket in sockets {
            socket.set_nonblocking(true).unwrap();
            assert!(socket.recv(&mut [0]).is_err(), "nothing arrives twice");
        }
    });
}

/// Many segments follow each other at once here. The kernel would gladly hand them to the router as one of 64 KiB, and
/// leaves their checksums to a card that there is none of.
#[test]
fn a_long_tcp_transfer_crosses_in_frames_of_the_wire() {
    everybody_inside("a_long_tcp_transfer_crosses_in_frames_of_the_wire", || {
        const BYTES: usize = 4 << 20;
        let mut bench = Bench::new(&[1, 1], Duration::from_millis(1));
        let before = bench.links();
        let listener = listen(&bench, 2);
        let sent: Vec<u8> = (0..BYTES).map(|at| (at / 997) as u8).collect();
        let received = std::thread::scope(|scope| {
            let reader = scope.spawn(|| {
                let (stream, mut received) = (patient(listener.accept().unwrap().0), Vec::new());
                // A frame longer than its link allows is dropped. It would come again, and again.
                while (&stream).take(64 << 10).read_to_end(&mut received).unwrap() > 0 {
                    assert_eq!(bench.delay.dropped(), 0, "after {} bytes", received.len());
                }
                received
            });
            let stream = on(bench.host(1), || TcpStream::connect(bench.address(2)).unwrap());
            patient(stream).write_all(&sent).unwrap();
            reader.join().unwrap()
        });
        assert!(received == sent, "{} bytes of {BYTES}", received.len());
        let now = bench.links();
        let (came, left) = (now[0].since(&before[0]), now[1].since(&before[1]));
        assert!(came.rx_frames.unwrap() as usize > BYTES / 1500, "{came:?}");
        assert!(left.tx_frames.unwrap() as usize > BYTES / 1500, "{left:?}");
        let counts = bench.counts();
        assert_eq!((counts.dropped, counts.unroutable), (0, 0));
    });
}

/// The frame that leaves differs from the one that came in its addresses, and by one in its time to live.
#[test]
fn a_frame_leaves_one_link_older_and_otherwise_as_it_came() {
    everybody_inside("a_frame_leaves_one_link_older_and_otherwise_as_it_came", || {
        let bench = Bench::new(&[1, 1], Duration::from_millis(1));
        let far = bench.host(2);
        let wire = on(far, || packet::open_unicast(&Interface::named(&far.name).unwrap(), far.mac).unwrap());
        wire.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let (sender, receiver) = (bench.socket(1), bench.socket(2));
        sender.set_ttl(9).unwrap();
        sender.send_to(b"hello, far away", bench.address(2)).unwrap();
        let mut bytes = [0; 100];
        let len = (&wire).read(&mut bytes).unwrap();
        let links = &bench.lan.router().unwrap().links;
        let (ethernet, ip) = bytes[..len].split_at(14);
        assert_eq!((&ethernet[..6], &ethernet[6..12]), (&far.mac[..], &links[1].mac[..]));
        assert_eq!((ip[8], &ip[12..16]), (8, &bench.host(1).ipv4.octets()[..]));
        assert_eq!(&ip[28..], b"hello, far away");
        // Their checksums are right, or the host would not have it.
        assert_eq!(receiver.recv(&mut bytes).unwrap(), 15);
    });
}

#[test]
fn broadcasts_groups_and_old_packets_stay_at_home() {
    everybody_inside("broadcasts_groups_and_old_packets_stay_at_home", || {
        let mut bench = Bench::new(&[2, 1], Duration::from_millis(1));
        let (sender, neighbour, far) = (bench.socket(1), bench.socket(2), bench.socket(3));
        let all = on(bench.host(2), || UdpSocket::bind((Ipv4Addr::UNSPECIFIED, PORT + 1)).unwrap());
        all.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let before = bench.links();
        let mut bytes = [0; 100];
        let directed = Ipv4Addr::new(10, 77, 255, 255);
        for to in [Ipv4Addr::BROADCAST, directed] {
            sender.send_to(&[1; 10], (to, PORT + 1)).unwrap();
            assert_eq!(all.recv(&mut bytes).unwrap(), 10);
        }
        sender.set_multicast_ttl_v4(5).unwrap();
        sender.send_to(&[2; 10], (Ipv4Addr::new(239, 1, 1, 1), PORT)).unwrap();
        // The other LAN's broadcast address, and nobody's: these are given to the router, which declines.
        for to in [[10, 78, 255, 255], [10, 78, 9, 9], [192, 0, 2, 1]] {
            sender.send_to(&[3; 10], (Ipv4Addr::from(to), PORT)).unwrap();
        }
        sender.set_ttl(1).unwrap();
        sender.send_to(&[4; 10], bench.address(3)).unwrap();
        // It does not pass the router by, either: this is for itself.
        sender.set_ttl(64).unwrap();
        sender.send_to(&[5; 10], (Ipv4Addr::new(10, 78, 255, 254), PORT)).unwrap();
        sender.send_to(&[6; 10], bench.address(2)).unwrap();
        assert_eq!((neighbour.recv(&mut bytes).unwrap(), bytes[0]), (10, 6));
        // What would have crossed would have crossed before this.
        sender.send_to(&[7; 10], bench.address(3)).unwrap();
        assert_eq!((far.recv(&mut bytes).unwrap(), bytes[0]), (10, 7));
        assert_eq!(bench.crossed(&before)[1], (0, 1));
        let DelayCounts { forwarded, dropped, expired, unroutable, .. } = bench.counts();
        assert_eq!((forwarded, dropped, expired, unroutable), (1, 0, 1, 3));
    });
}

#[test]
fn each_of_several_lans_gets_its_own() {
    everybody_inside("each_of_several_lans_gets_its_own", || {
        let mut bench = Bench::new(&[1, 1, 1], Duration::from_millis(1));
        let before = bench.links();
        let sockets: Vec<_> = (1..=3).map(|number| bench.socket(number)).collect();
        for (from, to) in [(1, 2), (1, 3), (2, 3), (3, 1)] {
            sockets[from - 1].send_to(&[0; 10], bench.address(to)).unwrap();
            assert_eq!(sockets[to - 1].recv_from(&mut [0; 100]).unwrap(), (10, bench.address(from)));
        }
        assert_eq!(bench.crossed(&before), [(2, 1), (1, 1), (1, 2)]);
        // With receive threads and without, as a run's calibration has it.
        for on in [false, true] {
            bench.lan.set_attribution(on).unwrap();
            sockets[0].send_to(&[1; 10], bench.address(2)).unwrap();
            assert_eq!(sockets[1].recv_from(&mut [0; 100]).unwrap(), (10, bench.address(1)));
        }
    });
}

/// What there is no room for is lost, and said to be.
#[test]
fn what_is_too_much_to_be_on_its_way_is_dropped_and_counted() {
    everybody_inside("what_is_too_much_to_be_on_its_way_is_dropped_and_counted", || {
        const PAYLOAD: usize = 1_472;
        const FITTING: u64 = ((4 << 20) / (PAYLOAD + 42)) as u64;
        const COUNT: u64 = 3_000;
        let mut bench = Bench::new(&[1, 1], Duration::from_secs(10));
        // So far away that nothing leaves in this test's time.
        let router = bench.lan.router().unwrap();
        let plan = DelayPlan { interfaces: router.interfaces(), distance: Duration::from_secs(3600) };
        bench.delay = inside(&router.netns, || Delay::start(&plan).unwrap());
        let (sender, before) = (bench.socket(1), bench.links());
        for sent in 1..=COUNT {
            sender.send_to(&[0; PAYLOAD], bench.address(2)).unwrap();
            if sent % AT_ONCE == 0 {
                wait_until("the router has it", || {
                    bench.crossed(&before)[0].0 == sent && bench.counts().dropped == sent.saturating_sub(FITTING)
                });
            }
        }
        let counts = bench.counts();
        assert_eq!((counts.forwarded, counts.dropped), (0, COUNT - FITTING));
    });
}

/// It sleeps while there is nothing to forward, whatever happens on the LANs, and while what is on its way is not due.
#[test]
fn it_does_nothing_while_there_is_nothing_to_do() {
    everybody_inside("it_does_nothing_while_there_is_nothing_to_do", || {
        let distance = Duration::from_millis(200);
        let bench = Bench::new(&[2, 1], distance);
        let (sender, neighbour, far) = (bench.socket(1), bench.socket(2), bench.socket(3));
        let mut bytes = [0; 100];
        let echo = || {
            let mut bytes = [0; 100];
            sender.send_to(&[0; 10], bench.address(3)).unwrap();
            far.recv(&mut bytes).unwrap();
        };
        echo();
        wait_until("its threads sleep", all_asleep);
        let before = bench.threads();
        let all = on(bench.host(2), || UdpSocket::bind((Ipv4Addr::UNSPECIFIED, PORT + 1)).unwrap());
        all.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        for _ in 0..200 {
            sender.send_to(&[1; 10], bench.address(2)).unwrap();
            neighbour.recv(&mut bytes).unwrap();
            sender.send_to(&[2; 10], (Ipv4Addr::BROADCAST, PORT + 1)).unwrap();
            all.recv(&mut bytes).unwrap();
        }
        assert_eq!(bench.threads(), before, "not a wake, not a nanosecond");
        let start = Instant::now();
        echo();
        let took = start.elapsed();
        wait_until("its threads sleep", all_asleep);
        let after = bench.threads();
        let grown = |name: &str| {
            let (before, after) = (before[name], after[name]);
            (after.0 - before.0, after.2 - before.2)
        };
        assert_eq!(grown("delay r1b"), (0, 0), "nothing came by that link");
        let (switches, cpu_ns) = grown("delay r1a");
        // It wakes when the frame comes, sleeps, wakes when it is due, sleeps.
        assert!((2..=4).contains(&switches), "{switches} switches");
        assert!(Duration::from_nanos(cpu_ns) < took / 20, "{cpu_ns} ns of {took:?}");
    });
}

/// Whether all of the router's threads sleep.
fn all_asleep() -> bool {
    fs::read_dir("/proc/self/task").unwrap().flatten().all(|task| {
        let read = |file| fs::read_to_string(task.path().join(file)).unwrap_or_default();
        !read("comm").starts_with("delay ") || read("status").contains("State:\tS")
    })
}

/// What a run does with it: a router's agent starts it, and says what it did between beginning and end.
#[test]
fn an_agent_forwards_over_a_distance_and_says_what_crossed() {
    everybody_inside("an_agent_forwards_over_a_distance_and_says_what_crossed", || {
        let distance = Duration::from_millis(3);
        let spec = LanSpec { lans: vec![1, 1], distance, ..LanSpec::single(0, SwitchKind::Flooding, false) };
        let lan = Lan::build(&spec).unwrap();
        let router = lan.router().unwrap();
        let (stream, agents_end) = UnixStream::pair().unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| inside(&router.netns, || agent::serve(agents_end, &router.interfaces()).unwrap()));
            let mut line = Line::new(stream);
            let mut order = |order: Option<Order>| {
                order.inspect(|order| line.send(order).unwrap());
                line.receive::<Reply>(Some(Duration::from_secs(20))).unwrap()
            };
            assert!(matches!(order(None), Reply::Ready { .. }));
            let plan = ForwarderPlan { interfaces: router.interfaces(), querier: QuerierPlan::quiet() };
            let forward = Some(Forward { plan, stops_asking: None, distance });
            let part = || Some(Order::Prepare(Box::new(Part { forward: forward.clone(), ..Part::default() })));
            let hosts = lan.hosts();
            let sockets = [0, 1].map(|host| on(&hosts[host], || UdpSocket::bind((hosts[host].ipv4, PORT)).unwrap()));
            sockets[1].set_read_timeout(Some(Duration::from_secs(20))).unwrap();
            let send = |count| {
                for _ in 0..count {
                    let start = Instant::now();
                    sockets[0].send_to(&[0; 10], (hosts[1].ipv4, PORT)).unwrap();
                    assert_eq!(sockets[1].recv(&mut [0; 100]).unwrap(), 10);
                    assert!(start.elapsed() >= distance);
                }
            };
            // The second time it goes on as it is.
            for crossing in [5, 7] {
                assert!(matches!(order(part()), Reply::Prepared { .. }));
                send(1);
                wait_until("its threads sleep", all_asleep);
                assert!(matches!(order(Some(Order::Begin)), Reply::Begun));
                send(crossing);
                wait_until("its threads sleep", all_asleep);
                assert!(matches!(order(Some(Order::End)), Reply::Ended));
                send(1);
                let Reply::Collected(collected) = order(Some(Order::Collect)) else { panic!("not collected") };
                let DelayCounts { forwarded, dropped, .. } = collected.delayed.unwrap();
                assert_eq!((forwarded, dropped), (crossing, 0));
            }
            drop(line);
        });
    });
}

#[test]
fn it_ends_and_starts_anew_and_the_kernel_must_not_forward_as_well() {
    everybody_inside("it_ends_and_starts_anew_and_the_kernel_must_not_forward_as_well", || {
        let distance = Duration::from_millis(1);
        let bench = Bench::new(&[1, 1], distance);
        let router = bench.lan.router().unwrap();
        let plan = DelayPlan { interfaces: router.interfaces(), distance };
        bench.delay.stop().unwrap();
        let none: Vec<_> = fs::read_dir("/proc/self/task").unwrap().flatten().collect();
        let comms: Vec<_> = none.iter().map(|task| fs::read_to_string(task.path().join("comm")).unwrap()).collect();
        assert!(!comms.iter().any(|comm| comm.starts_with("delay ")), "{comms:?}");
        inside(&router.netns, || {
            Delay::start(&plan).unwrap().stop().unwrap();
            let unknown = DelayPlan { interfaces: vec!["r1a".into(), "h1".into()], ..plan.clone() };
            let error = Delay::start(&unknown).unwrap_err();
            assert!(error.to_string().contains("there are lo, r1a, r1b"), "{error}");
            fs::write("/proc/sys/net/ipv4/ip_forward", "1").unwrap();
            let error = Delay::start(&plan).unwrap_err();
            assert!(error.class().code() == 2 && error.to_string().contains("itself, and at once"), "{error}");
        });
    });
}

#[test]
fn the_shell_has_a_router_at_a_distance() {
    if !require_namespaces() {
        return;
    }
    for who in everybody() {
        let script = r#"
            set -e; cd $(mktemp -d); trap 'rm -r $PWD' EXIT
            on h4 netlab unicast recv --count 20 --duration 30s --json >out 2>err & receiver=$!
            tries=0; until grep -q listening err; do tries=$((tries+1)); [ $tries -lt 2000 ] || exit 9; done
            on h1 netlab unicast --to 10.78.0.4 send --count 20 >/dev/null 2>&1
            wait $receiver; tail -n 1 out
            on r1 cat /proc/sys/net/ipv4/ip_forward"#;
        let said = lan_says(who, &["--hosts", "4", "--lans", "2", "--distance", "20ms"], script);
        let mut lines = said.lines();
        let summary: serde_json::Value = serde_json::from_str(lines.next().unwrap()).unwrap();
        assert_eq!((&summary["messages_received"], &summary["messages_lost"]), (&20.into(), &0.into()), "{said}");
        assert!(summary["latency_p50_ns"].as_u64().unwrap() >= 20_000_000, "{said}");
        assert_eq!(lines.next(), Some("0"), "{said}");
    }
    for (options, why) in [
        (&["--distance", "20ms"][..], "lies between several LANs"),
        (&["--lans", "2", "--distance", "20ms", "--ipv6"], "IPv4 alone"),
        (&["--lans", "2", "--distance", "11s"], "10s are the most"),
    ] {
        let output = lan(support::Who::Me, options, "true");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(2) && said.contains(why), "{said}");
    }
}
