//! Known traffic between two network namespaces, and what netlab's counters make of it: exact figures at every layer,
//! the same as `ip -s link` shows.
//!
//! Each test runs itself again inside a namespace of its own (`unshare`), rootless where need be. Where that is
//! impossible the test says so and passes, or fails when `NETLAB_REQUIRE_NETNS=1`.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::process::Command;
use std::time::{Duration, Instant};

use netlab::counters::ip::IpCounters;
use netlab::counters::link::{self, LinkCounters};
use netlab::counters::tcp::TcpCounters;
use netlab::counters::udp::UdpCounters;
use netlab::counters::{HostCounters, Reader};
use nix::sched::{CloneFlags, setns, unshare};
use pnet::datalink;
use socket2::{Domain, SockRef, Socket, Type};

const PAYLOAD: [u8; 100] = [0x5a; 100];
/// Ethernet, IPv4 and UDP headers.
const HEADERS: u64 = 14 + 20 + 8;
const OPEN_PORT: u16 = 4747;
const CLOSED_PORT: u16 = 4748;
const SENDER: Ipv4Addr = Ipv4Addr::new(10, 11, 0, 1);
/// A second address of the sender, to which the receiver has no route.
const SENDER_UNROUTED: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const RECEIVER: Ipv4Addr = Ipv4Addr::new(10, 11, 0, 2);
/// Resolves to an Ethernet address that nobody has.
const FOREIGN: Ipv4Addr = Ipv4Addr::new(10, 11, 0, 9);
const BROADCAST: Ipv4Addr = Ipv4Addr::new(10, 11, 0, 255);
const GROUP: Ipv4Addr = Ipv4Addr::new(239, 11, 0, 1);
const OTHER_GROUP: Ipv4Addr = Ipv4Addr::new(239, 11, 0, 2);

#[test]
fn each_kind_of_traffic_counts_where_it_should() {
    in_own_namespace("each_kind_of_traffic_counts_where_it_should", || {
        let pair = Pair::new();
        let receiver = pair.receiver.inside(|| UdpSocket::bind((RECEIVER, OPEN_PORT)).unwrap());
        let sender = pair.sender.inside(|| udp_sender(SENDER));
        let mut count = Count::new(&pair);

        let mut open = udp(7);
        open.udp.in_datagrams = Some(7);
        count.expect("unicast to an open port", open, || {
            send(&sender, 7, (RECEIVER, OPEN_PORT));
            receive(&receiver, 7);
        });

        let mut closed = udp(5);
        closed.udp.no_ports = Some(5);
        count.expect("unicast to a closed port", closed, || send(&sender, 5, (RECEIVER, CLOSED_PORT)));

        let mut broadcast = udp(11);
        broadcast.ip.in_bcast = Some(11);
        broadcast.udp.ignored_multi = Some(11);
        count.expect("broadcast nobody listens to", broadcast, || send(&sender, 11, (BROADCAST, CLOSED_PORT)));

        let mut not_joined = udp(13);
        not_joined.ip.in_delivers = Some(0);
        not_joined.ip.not_joined = Some(13);
        count.expect("a group nobody joined", not_joined, || send(&sender, 13, (GROUP, OPEN_PORT)));

        let member = pair.receiver.inside(|| {
            let member = UdpSocket::bind((OTHER_GROUP, OPEN_PORT)).unwrap();
            member.join_multicast_v4(&OTHER_GROUP, &RECEIVER).unwrap();
            member
        });
        let mut joined = udp(4);
        joined.ip.in_mcast = Some(4);
        joined.udp.in_datagrams = Some(4);
        count.expect("a group a program joined", joined, || {
            send(&sender, 4, (OTHER_GROUP, OPEN_PORT));
            receive(&member, 4);
        });

        let mut unknown = frames(3, 3 * 60);
        unknown.link.rx_dropped = Some(3);
        count.expect("frames of an EtherType nobody handles", unknown, || {
            pair.sender.inside(|| send_raw_broadcast("v0", 3));
        });

        let mut foreign = frames(9, 9 * (HEADERS + 100));
        foreign.link.rx_other_host = Some(9);
        count.expect("frames for another MAC", foreign, || send(&sender, 9, (FOREIGN, OPEN_PORT)));

        // 4,000 bytes and a UDP header take 3 fragments of at most 1,480 bytes.
        let mut fragments = frames(6, 2 * (4000 + 8 + 3 * 34));
        fragments.ip.in_receives = Some(6);
        fragments.ip.in_delivers = Some(2);
        fragments.ip.reassembled = Some(4);
        fragments.udp.in_datagrams = Some(2);
        count.expect("datagrams in fragments", fragments, || {
            for _ in 0..2 {
                sender.send_to(&[0; 4000], (RECEIVER, OPEN_PORT)).unwrap();
            }
            receive(&receiver, 2);
        });

        let mut filtered = udp(6);
        filtered.ip.in_delivers = Some(0);
        filtered.ip.in_errors = Some(6);
        count.expect("a source the reverse path filter refuses", filtered, || {
            let spoofer = pair.sender.inside(|| udp_sender(SENDER_UNROUTED));
            send(&spoofer, 6, (RECEIVER, OPEN_PORT));
        });

        let total = count.current.since(&count.first);
        assert_eq!(total.link.rx_frames, Some(7 + 5 + 11 + 13 + 4 + 3 + 9 + 6 + 6), "frames of the whole test");
        assert_eq!(total.ip.not_joined, Some(13), "over the whole test");
    });
}

#[test]
fn a_full_socket_buffer_counts_what_it_dropped() {
    in_own_namespace("a_full_socket_buffer_counts_what_it_dropped", || {
        let pair = Pair::new();
        let receiver = pair.receiver.inside(|| UdpSocket::bind((RECEIVER, OPEN_PORT)).unwrap());
        SockRef::from(&receiver).set_recv_buffer_size(0).unwrap(); // the kernel's minimum, a few datagrams
        let sender = pair.sender.inside(|| udp_sender(SENDER));
        let mut reader = pair.receiver.inside(|| Reader::open(&["v1"]).unwrap());
        let before = reader.read().unwrap();
        send(&sender, 50, (RECEIVER, OPEN_PORT));
        wait_until("50 datagrams to be delivered to UDP", || {
            reader.read().unwrap().since(&before).ip.in_delivers == Some(50)
        });
        receiver.set_nonblocking(true).unwrap();
        let received = (0..50).take_while(|_| receiver.recv(&mut [0; 128]).is_ok()).count() as u64;
        assert!((1..50).contains(&received), "{received} of 50 fitted the smallest buffer");
        let mut expected = udp(50);
        expected.udp.in_datagrams = Some(received);
        expected.udp.rcvbuf_errors = Some(50 - received);
        expected.udp.in_errors = Some(50 - received);
        let delta = reader.read().unwrap().since(&before);
        assert_eq!(delta, with_tx_of(&delta, expected));
    });
}

#[test]
fn ipv6_is_counted_too() {
    in_own_namespace("ipv6_is_counted_too", || {
        ip("link set lo up");
        let Ok(receiver) = UdpSocket::bind("[::1]:4747") else {
            return skip("this kernel has no IPv6");
        };
        let sender = UdpSocket::bind("[::1]:0").unwrap();
        let mut reader = Reader::open(&["lo"]).unwrap();
        let before = reader.read().unwrap();
        for _ in 0..5 {
            sender.send_to(&PAYLOAD, "[::1]:4747").unwrap();
        }
        receive(&receiver, 5);
        for _ in 0..3 {
            sender.send_to(&PAYLOAD, "[::1]:4748").unwrap();
        }
        // Each of the 3 is answered by ICMPv6, over the same interface.
        wait_until("8 datagrams and 3 answers", || {
            reader.read().unwrap().since(&before).ip.in_delivers == Some(5 + 3 + 3)
        });
        let delta = reader.read().unwrap().since(&before);
        assert_eq!((delta.udp.in_datagrams, delta.udp.no_ports, delta.udp.in_errors), (Some(5), Some(3), Some(0)));
        assert_eq!((delta.ip.in_receives, delta.ip.not_joined, delta.ip.in_errors), (Some(11), Some(0), Some(0)));
        assert_eq!((delta.link.rx_frames, delta.link.tx_frames), (Some(11), Some(11)));
    });
}

#[test]
fn link_counters_are_those_of_ip_link() {
    in_own_namespace("link_counters_are_those_of_ip_link", || {
        let pair = Pair::new();
        let sender = pair.sender.inside(|| udp_sender(SENDER));
        send(&sender, 21, (RECEIVER, CLOSED_PORT));
        send(&sender, 22, (FOREIGN, CLOSED_PORT));
        for (end, name, namespace) in [("sender", "v0", &pair.sender), ("receiver", "v1", &pair.receiver)] {
            namespace.inside(|| {
                let mut reader = link::LinkReader::open().unwrap();
                // Nothing may move between the readings: the closed port is answered by ICMP.
                let mut ours = reader.read_all().unwrap();
                let mut theirs = ip_statistics();
                let deadline = Instant::now() + Duration::from_secs(5);
                while reader.read_all().unwrap() != ours && Instant::now() < deadline {
                    (ours, theirs) = (reader.read_all().unwrap(), ip_statistics());
                }
                assert_eq!(ours.keys().collect::<Vec<_>>(), theirs.keys().collect::<Vec<_>>(), "{end}");
                assert!(ours.contains_key(name) && ours.contains_key("lo"), "{end}: {ours:?}");
                for (interface, counters) in ours {
                    let theirs = theirs[&interface];
                    // An `ip` or a kernel that does not print it leaves it out; one that does prints the same.
                    let rx_other_host = counters.rx_other_host.filter(|_| theirs.rx_other_host.is_some());
                    assert_eq!(LinkCounters { rx_other_host, ..counters }, theirs, "{end}: {interface}");
                }
            });
        }
        let received = pair.receiver.inside(|| link::read_all().unwrap()["v1"]);
        assert_eq!((received.rx_frames, received.rx_other_host), (Some(43), Some(22)));
    });
}

/// What a host sees of traffic: the difference from the previous case must be exactly what that traffic should cause.
struct Count {
    reader: Reader,
    first: HostCounters,
    current: HostCounters,
}

impl Count {
    fn new(pair: &Pair) -> Count {
        let mut reader = pair.receiver.inside(|| Reader::open(&["v1"]).unwrap());
        let first = reader.read().unwrap();
        Count { reader, first, current: first }
    }

    fn expect(&mut self, what: &str, expected: HostCounters, traffic: impl FnOnce()) {
        traffic();
        let deadline = Instant::now() + Duration::from_secs(5);
        loop {
            let now = self.reader.read().unwrap();
            let delta = now.since(&self.current);
            let expected = with_tx_of(&delta, expected);
            if delta == expected || Instant::now() > deadline {
                assert_eq!(delta, expected, "{what}");
                self.current = now;
                return;
            }
            std::thread::yield_now();
        }
    }
}

/// What the receiver sends (ICMP, IGMP) depends on rate limits and timers: taken as it was.
fn with_tx_of(measured: &HostCounters, mut expected: HostCounters) -> HostCounters {
    expected.link.tx_frames = measured.link.tx_frames;
    expected.link.tx_bytes = measured.link.tx_bytes;
    expected
}

/// `count` frames that got no further than the link.
fn frames(count: u64, bytes: u64) -> HostCounters {
    let zero = Some(0);
    HostCounters {
        link: LinkCounters {
            tx_frames: zero,
            tx_bytes: zero,
            tx_dropped: zero,
            rx_frames: Some(count),
            rx_bytes: Some(bytes),
            rx_dropped: zero,
            rx_other_host: zero,
        },
        ip: IpCounters {
            in_receives: zero,
            in_delivers: zero,
            in_mcast: zero,
            in_bcast: zero,
            in_discards: zero,
            in_errors: zero,
            forwarded: zero,
            reassembled: zero,
            not_joined: zero,
        },
        udp: UdpCounters {
            in_datagrams: zero,
            no_ports: zero,
            rcvbuf_errors: zero,
            ignored_multi: zero,
            in_errors: zero,
        },
        tcp: TcpCounters { in_segs: zero, out_segs: zero, retrans_segs: zero, active_opens: zero, passive_opens: zero },
    }
}

/// `count` datagrams of [`PAYLOAD`] that IP delivered.
fn udp(count: u64) -> HostCounters {
    let mut counters = frames(count, count * (HEADERS + PAYLOAD.len() as u64));
    counters.ip.in_receives = Some(count);
    counters.ip.in_delivers = Some(count);
    counters
}

/// A network namespace that lives as long as this value.
struct Namespace(File);

impl Namespace {
    fn current() -> Namespace {
        Namespace(File::open("/proc/thread-self/ns/net").unwrap())
    }

    fn new() -> Namespace {
        let made = || {
            unshare(CloneFlags::CLONE_NEWNET).unwrap();
            Namespace::current()
        };
        std::thread::scope(|scope| scope.spawn(made).join().unwrap())
    }

    /// Runs `action` in a thread that entered this namespace.
    fn inside<T: Send>(&self, action: impl FnOnce() -> T + Send) -> T {
        let entered = || {
            setns(&self.0, CloneFlags::CLONE_NEWNET).unwrap();
            action()
        };
        std::thread::scope(|scope| scope.spawn(entered).join().unwrap())
    }

    /// A path by which another process can open it.
    fn path(&self) -> String {
        format!("/proc/{}/fd/{}", std::process::id(), self.0.as_raw_fd())
    }
}

/// Two namespaces, joined by a veth pair `v0` (sender) and `v1` (receiver), with nothing on it but what a test sends.
struct Pair {
    sender: Namespace,
    receiver: Namespace,
}

impl Pair {
    fn new() -> Pair {
        let pair = Pair { sender: Namespace::current(), receiver: Namespace::new() };
        for namespace in [&pair.sender, &pair.receiver] {
            namespace.inside(|| {
                for name in ["all", "default"] {
                    // Not there on a kernel without IPv6.
                    let _ = std::fs::write(format!("/proc/sys/net/ipv6/conf/{name}/disable_ipv6"), "1");
                }
                ip("link set lo up");
            });
        }
        ip("link add v0 address 02:00:00:00:00:01 type veth peer name v1 address 02:00:00:00:00:02");
        ip(&format!("link set v1 netns {}", pair.receiver.path()));
        pair.receiver.inside(|| {
            std::fs::write("/proc/sys/net/ipv4/conf/v1/rp_filter", "1").unwrap();
            ip(&format!("address add {RECEIVER}/24 brd + dev v1"));
            ip("link set v1 up");
            ip(&format!("neighbour replace {SENDER} lladdr 02:00:00:00:00:01 dev v1 nud permanent"));
        });
        ip(&format!("address add {SENDER}/24 brd + dev v0"));
        ip(&format!("address add {SENDER_UNROUTED}/32 dev v0"));
        ip("link set v0 up");
        ip(&format!("neighbour replace {RECEIVER} lladdr 02:00:00:00:00:02 dev v0 nud permanent"));
        ip(&format!("neighbour replace {FOREIGN} lladdr 02:00:00:00:00:99 dev v0 nud permanent"));
        // "up" comes at once, the queue to send by a little later: until then the device drops what it should send.
        for (namespace, name) in [(&pair.sender, "v0"), (&pair.receiver, "v1")] {
            let is_up = || namespace.inside(|| ip(&format!("-br link show {name}"))).contains(" UP ");
            wait_until(&format!("{name} to be operational"), is_up);
        }
        pair
    }
}

fn udp_sender(address: Ipv4Addr) -> UdpSocket {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, None).unwrap();
    socket.bind(&SocketAddr::from((address, 0)).into()).unwrap();
    socket.set_broadcast(true).unwrap();
    socket.set_multicast_if_v4(&SENDER).unwrap();
    socket.into()
}

fn send(socket: &UdpSocket, count: usize, to: (Ipv4Addr, u16)) {
    for _ in 0..count {
        assert_eq!(socket.send_to(&PAYLOAD, to).unwrap(), PAYLOAD.len());
    }
}

fn receive(socket: &UdpSocket, count: usize) {
    socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    for number in 1..=count {
        let received = socket.recv(&mut [0; 8192]);
        assert!(received.is_ok(), "datagram {number} of {count}: {received:?}");
    }
}

/// Frames of 60 bytes to all stations, EtherType 0x88B5.
fn send_raw_broadcast(interface: &str, count: usize) {
    let interface = datalink::interfaces().into_iter().find(|one| one.name == interface).unwrap();
    let config = datalink::Config { promiscuous: false, ..datalink::Config::default() };
    let Ok(datalink::Channel::Ethernet(mut sender, _)) = datalink::channel(&interface, config) else {
        panic!("no packet socket on {interface}");
    };
    let mut frame = [0; 60];
    frame[0..6].fill(0xff);
    frame[6..12].copy_from_slice(&[2, 0, 0, 0, 0, 1]);
    frame[12..14].copy_from_slice(&0x88b5_u16.to_be_bytes());
    for _ in 0..count {
        sender.send_to(&frame, None).unwrap().unwrap();
    }
}

/// What `ip` prints of the interfaces of the calling thread's namespace.
fn ip_statistics() -> BTreeMap<String, LinkCounters> {
    let links: serde_json::Value = serde_json::from_str(&ip("-s -s -j link show")).unwrap();
    let counters = |link: &serde_json::Value| {
        let (rx, tx) = (&link["stats64"]["rx"], &link["stats64"]["tx"]);
        LinkCounters {
            tx_frames: tx["packets"].as_u64(),
            tx_bytes: tx["bytes"].as_u64(),
            tx_dropped: tx["dropped"].as_u64(),
            rx_frames: rx["packets"].as_u64(),
            rx_bytes: rx["bytes"].as_u64(),
            rx_dropped: rx["dropped"].as_u64(),
            rx_other_host: rx["otherhost_dropped"].as_u64(),
        }
    };
    let named = |link: &serde_json::Value| (link["ifname"].as_str().unwrap().to_owned(), counters(link));
    links.as_array().unwrap().iter().map(named).collect()
}

fn ip(arguments: &str) -> String {
    let output = Command::new("ip").args(arguments.split(' ')).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ip {arguments}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(5);
    while !condition() {
        assert!(Instant::now() < deadline, "waited 5 s for {what}");
        std::thread::yield_now();
    }
}

/// Runs `body` in a process of its own, in a network namespace of its own: this program again, for the one test.
fn in_own_namespace(test: &str, body: fn()) {
    const INSIDE: &str = "NETLAB_TEST_INSIDE_NETNS";
    if std::env::var_os(INSIDE).is_some() {
        return body();
    }
    let is_root = nix::unistd::geteuid().is_root();
    let namespaces: &[&str] = if is_root { &["--net"] } else { &["--user", "--map-root-user", "--net"] };
    match Command::new("unshare").args(namespaces).args(["ip", "link"]).output() {
        Ok(output) if output.status.success() => {}
        Ok(output) => return skip(String::from_utf8_lossy(&output.stderr).trim()),
        Err(error) => return skip(&format!("unshare (util-linux): {error}")),
    }
    let this = std::env::current_exe().unwrap();
    let mut inside = Command::new("unshare");
    inside.args(namespaces).arg(this).args(["--exact", test, "--nocapture"]).env(INSIDE, "1");
    let output = inside.output().unwrap();
    let said = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
    assert!(output.status.success(), "inside the namespace:\n{said}");
    assert!(said.contains("1 passed"), "no test of the name {test}:\n{said}");
    if let Some(skipped) = said.lines().find(|line| line.starts_with("SKIPPED")) {
        let _ = writeln!(std::io::stderr(), "\n{skipped}");
    }
}

fn skip(reason: &str) {
    assert!(std::env::var_os("NETLAB_REQUIRE_NETNS").is_none_or(|value| value != "1"), "nothing was tested: {reason}");
    // Past the harness, which keeps what a passing test prints to itself.
    let _ = writeln!(std::io::stderr(), "\nSKIPPED, nothing was tested: {reason}");
}
