//! Addresses and interfaces as people have them: without a broadcast attribute, with a peer, in networks of two or one,
//! coming and going while `recv` runs; interfaces that go down and away and come back; senders whose receivers are not
//! there. Two hosts on a link, each in a network namespace of its own, as root and as an ordinary user.

#[path = "support/cli.rs"]
mod cli;
mod support;

use std::fs;
use std::process::{Child, Command, Stdio};

use cli::{Done, NETLAB, Running, netlab};
use nix::sys::signal::Signal;
use serde_json::Value;
use support::{everybody_inside, wait_until};

/// The namespace on the other side of the link. This side is the test's own.
struct Other {
    holder: Child,
}

impl Other {
    /// Joined by `va` here and `vb` there, up and without addresses.
    fn connect() -> Other {
        ip("link set lo up");
        let holder = Command::new("unshare").args(["--net", "--", "sleep", "600"]).stdin(Stdio::null()).spawn();
        let other = Other { holder: holder.expect("unshare (util-linux) is installed") };
        let namespace = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/net")).ok();
        let there = other.holder.id().to_string();
        wait_until("the other namespace is there", || {
            namespace(&there).is_some_and(|other| Some(other) != namespace("thread-self"))
        });
        other.ip("link set lo up");
        other.plug_in();
        other
    }

    /// A new link, where there is none.
    fn plug_in(&self) {
        // IPv6 addresses are the test's own: usable at once.
        ip("link add va type veth peer name vb");
        for side in ["va", "vb"] {
            ip(&format!("link set {side} addrgenmode none"));
        }
        ip(&format!("link set vb netns {}", self.holder.id()));
        ip("link set va up");
        self.ip("link set vb up");
        wait_until_linked();
    }

    fn command(&self, program: &str, arguments: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/proc/{}/ns/net", self.holder.id())).arg(program);
        command.args(arguments.split_whitespace());
        command
    }

    fn ip(&self, arguments: &str) {
        succeed(self.command("ip", arguments));
    }

    /// Sets `net.…` there.
    fn set(&self, name: &str, value: &str) {
        let mut shell = self.command("sh", "-c");
        shell.arg(format!("echo {value} >/proc/sys/net/{name}"));
        succeed(shell);
    }

    /// A receiver that listens.
    fn listen(&self, arguments: &str) -> Running {
        let running = Running::start_command(self.command(NETLAB, arguments));
        assert!(running.first_line.starts_with("listening"), "{}", running.first_line);
        running
    }

    /// Datagrams that programs there have taken.
    fn taken(&self) -> u64 {
        let table = |name: &str| fs::read_to_string(format!("/proc/{}/net/{name}", self.holder.id())).unwrap();
        let (ipv4, ipv6) = (table("snmp"), table("snmp6"));
        let ipv4 = ipv4.lines().filter(|line| line.starts_with("Udp:")).nth(1).unwrap();
        let ipv6 = ipv6.lines().find(|line| line.starts_with("Udp6InDatagrams")).unwrap();
        [ipv4, ipv6].map(|line| line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap()).iter().sum()
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

fn succeed(mut command: Command) {
    succeed_with(&mut command);
}

fn succeed_with(command: &mut Command) {
    let output = command.output().expect("it starts");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn ip(arguments: &str) {
    let mut command = Command::new("ip");
    command.args(arguments.split(' '));
    succeed(command);
}

fn wait_until_linked() {
    wait_until("va has its link", || {
        let shown = Command::new("ip").args(["link", "show", "va"]).output().unwrap();
        String::from_utf8_lossy(&shown.stdout).contains("LOWER_UP")
    });
}

/// Sends ten messages; all of them leave.
fn send(arguments: &str) -> Done {
    let done = netlab(&format!("{arguments} send --count 10 --json")).expect(0);
    assert_eq!((done.figure("messages_sent"), done.figure("copies_failed")), (10, 0), "{done:?}");
    done
}

/// Ten messages arrive at `recv`, started on the other side with these arguments, and nothing else does.
fn deliver(other: &Other, recv: &str, to: &str) {
    let running = other.listen(&format!("{recv} recv --count 10 --duration 60s --json"));
    send(to);
    let done = running.wait().expect(0);
    let figures = ["messages_received", "messages_other_destination"].map(|key| done.figure(key));
    assert_eq!(figures, [10, 0], "{recv}, {to}: {done:?}");
}

#[test]
fn addresses_without_a_broadcast_attribute() {
    everybody_inside("addresses_without_a_broadcast_attribute", || {
        let other = Other::connect();
        ip("addr add 10.9.0.1/24 dev va");
        other.ip("addr add 10.9.0.2/24 dev vb");
        deliver(&other, "unicast", "unicast --to 10.9.0.2");
        deliver(&other, "broadcast", "broadcast -i va --to directed");
        deliver(&other, "broadcast -i vb", "broadcast --to 10.9.0.255");
        deliver(&other, "broadcast", "broadcast -i va");
        let directed = send("broadcast -i va --to directed");
        assert!(directed.err.starts_with("sending broadcast to 10.9.0.255:4747"), "{}", directed.err);
        let refused = netlab("unicast --to 10.9.0.255 send").expect(2);
        assert!(refused.err.contains("use netlab broadcast --to 10.9.0.255"), "{refused:?}");
        // One's own address is no broadcast address either.
        send("unicast --to 10.9.0.1");

        // An attribute is what counts where there is one.
        ip("addr flush dev va");
        other.ip("addr flush dev vb");
        ip("addr add 10.9.0.1/24 brd 10.9.0.127 dev va");
        other.ip("addr add 10.9.0.2/24 brd 10.9.0.127 dev vb");
        let directed = send("broadcast -i va --to directed");
        assert!(directed.err.starts_with("sending broadcast to 10.9.0.127:4747"), "{}", directed.err);
        deliver(&other, "broadcast", "broadcast -i va --to directed");
    });
}

#[test]
fn networks_of_two_addresses_and_of_one() {
    everybody_inside("networks_of_two_addresses_and_of_one", || {
        let other = Other::connect();
        for (own, there, to, from) in [
            ("10.9.1.0/31", "10.9.1.1/31", "10.9.1.1", "10.9.1.0"),
            ("10.9.2.1 peer 10.9.2.2", "10.9.2.2 peer 10.9.2.1", "10.9.2.2", "10.9.2.1"),
            ("10.9.3.1 peer 10.9.4.2/24", "10.9.4.2 peer 10.9.3.1/24", "10.9.4.2", "10.9.3.1"),
        ] {
            ip(&format!("addr add {own} dev va"));
            other.ip(&format!("addr add {there} dev vb"));
            deliver(&other, "unicast", &format!("unicast --to {to}"));
            deliver(&other, "unicast -i vb", &format!("unicast -i va --to {to}"));
            send(&format!("unicast --to {from}"));
            // It may have a public address, too: it is on the link.
            let directed = netlab("broadcast -i va --to directed send --count 1");
            match own.ends_with("/24") {
                true => assert!(directed.expect(0).err.contains(" 10.9.4.255:4747")),
                false => assert!(directed.expect(2).err.contains("no broadcast address of its own")),
            }
            ip("addr flush dev va");
            other.ip("addr flush dev vb");
        }
        // The other end of a link is on the link, wherever its address is from.
        ip("addr add 192.0.2.1 peer 203.0.113.2 dev va");
        other.ip("addr add 203.0.113.2 peer 192.0.2.1 dev vb");
        deliver(&other, "unicast", "unicast --to 203.0.113.2");

        // A single address, reached by a route alone.
        ip("addr flush dev va");
        other.ip("addr flush dev vb");
        ip("addr add 10.9.5.1/32 dev va");
        other.ip("addr add 10.9.6.1/32 dev vb");
        ip("route add 10.9.6.1 dev va");
        other.ip("route add 10.9.5.1 dev vb");
        deliver(&other, "unicast", "unicast --to 10.9.6.1");
    });
}

#[test]
fn addresses_come_and_go_while_receiving() {
    everybody_inside("addresses_come_and_go_while_receiving", || {
        let other = Other::connect();
        ip("addr add 10.9.0.1/24 dev va");
        other.ip("addr add 10.9.0.2/24 dev vb");
        let unicast = other.listen("unicast --port 4747 recv --json");
        let broadcast = other.listen("broadcast --port 4748 recv --json");
        let mut sent = 0;
        let mut both = |to: &str| {
            for port in [4747, 4748] {
                send(&format!("{to} --port {port}"));
                sent += 10;
                // What comes next changes what these are.
                wait_until("they have arrived", || other.taken() == sent);
            }
        };
        both("unicast --to 10.9.0.2");
        both("broadcast -i va --to 10.9.0.255");

        // A network that was not there.
        ip("addr add 10.9.7.1/24 dev va");
        other.ip("addr add 10.9.7.2/24 dev vb");
        both("unicast --to 10.9.7.2");
        both("broadcast -i va --to 10.9.7.255");

        // What was its broadcast address is a host's now, and that of its host a broadcast address.
        ip("addr flush dev va");
        other.ip("addr flush dev vb");
        ip("addr add 10.9.7.1/23 brd 10.9.7.2 dev va");
        other.ip("addr add 10.9.6.255/23 brd 10.9.7.2 dev vb");
        both("unicast --to 10.9.6.255");
        both("broadcast -i va --to 10.9.7.2");
        for running in [unicast, broadcast] {
            running.signal(Signal::SIGINT);
            let done = running.wait().expect(0);
            let figures = ["messages_received", "messages_other_destination"].map(|key| done.figure(key));
            assert_eq!(figures, [30, 30], "{done:?}");
        }
    });
}

#[test]
fn an_interface_goes_and_comes_back() {
    everybody_inside("an_interface_goes_and_comes_back", || {
        let other = Other::connect();
        let address_both = || {
            for (side, host) in [("va", 1), ("vb", 2)] {
                for address in [format!("10.9.0.{host}/24"), format!("fe80::{host}/64 nodad")] {
                    let (address, nodad) = address.split_once(' ').unwrap_or((&address, ""));
                    let arguments = format!("addr add {address} dev {side} {nodad}");
                    if side == "va" { ip(arguments.trim()) } else { other.ip(arguments.trim()) }
                }
            }
        };
        address_both();
        for (recv, to) in [
            ("multicast --group 239.1.1.1 -i vb", "multicast --group 239.1.1.1 -i va"),
            ("multicast --group 232.1.1.1 --source 10.9.0.1 -i vb", "multicast --group 232.1.1.1 -i va"),
            ("multicast --group ff02::77 -i vb", "multicast --group ff02::77 -i va"),
            ("unicast -i vb", "unicast --to 10.9.0.2"),
            ("broadcast -i vb", "broadcast -i va"),
            ("broadcast --raw -i vb", "broadcast --raw -i va"),
        ] {
            let mut running = other.listen(&format!("{recv} recv --count 30 --duration 60s --json"));
            let mut says = |what: &str| {
                let line = running.line_with(what).unwrap_or_else(|| panic!("{recv} never says that vb {what}"));
                assert!(line.starts_with("vb "), "{line}");
                line
            };
            send(to);

            other.ip("link set vb down");
            says("is down");
            other.ip("link set vb up");
            says("is up again");
            wait_until_linked();
            send(to);

            ip("link del va");
            says("is gone");
            other.plug_in();
            address_both();
            let back = says("is back");
            assert!(!recv.starts_with("multicast") || back.contains("the kernel confirms the membership"), "{back}");
            send(to);

            let done = running.wait().expect(0);
            assert_eq!(done.figure("messages_received"), 30, "{recv}: {done:?}");
            assert!(done.summary()["interface_outage_s"].as_f64().unwrap() > 0.0, "{done:?}");
            let states: Vec<_> = events(&done, "interface").map(|event| event["state"].clone()).collect();
            // The link of a veth pair is there a moment after it is up.
            let expected = ["down", "up", "gone", "up"];
            let told: Vec<_> = states.iter().filter(|state| *state != "no-carrier").collect();
            assert_eq!(told, expected, "{recv}: {done:?}");
        }
    });
}

#[test]
fn a_chat_without_a_server_goes_on_when_its_interface_is_back() {
    everybody_inside("a_chat_without_a_server_goes_on_when_its_interface_is_back", || {
        let other = Other::connect();
        let address_both = || {
            for (address, nodad) in [("10.9.0", ""), ("fe80:", " nodad")] {
                let (dot, length) = if nodad.is_empty() { (".", 24) } else { (":", 64) };
                ip(&format!("addr add {address}{dot}1/{length} dev va{nodad}"));
                other.ip(&format!("addr add {address}{dot}2/{length} dev vb{nodad}"));
            }
        };
        address_both();
        for group in ["239.1.1.1", "ff02::77"] {
            let join = format!("chat join --multicast {group} -i vb --name bob --stay --json");
            let mut bob = Running::start_command(other.command(NETLAB, &join));
            assert!(bob.first_line.contains("on vb as bob"), "{}", bob.first_line);
            let ann_says = |text: &str| {
                let before = other.taken();
                let pipe = format!("echo {text} | \"$0\" chat join --multicast {group} -i va --name ann");
                let mut shell = Command::new("sh");
                succeed_with(shell.args(["-c", &pipe, NETLAB]));
                // Her coming, what bob answers to that, what she says, and her going: in this order, but for his answer.
                wait_until("bob has heard her", || other.taken() >= before + 4);
            };
            ann_says("first");
            ip("link del va");
            assert!(bob.line_with("vb is gone").is_some());
            other.plug_in();
            address_both();
            assert!(bob.line_with("vb is back: joined").is_some());
            ann_says("again");
            bob.signal(Signal::SIGINT);
            let said = bob.wait().out;
            for text in ["first", "again"] {
                assert_eq!(said.matches(&format!("\"text\":\"{text}\"")).count(), 1, "{group}: {said}");
            }
        }
    });
}

#[test]
fn a_link_is_lost_and_a_short_wait_ends() {
    everybody_inside("a_link_is_lost_and_a_short_wait_ends", || {
        let other = Other::connect();
        other.ip("addr add 10.9.0.2/24 dev vb");
        let mut running = other.listen("multicast --group 239.1.1.1 -i vb recv --duration 3s");
        ip("link set va down");
        assert_eq!(
            running.line_with("has no link").as_deref(),
            Some("vb has no link (no carrier): nothing arrives until it has one")
        );
        ip("link del va");
        assert!(running.line_with("is gone").is_some());
        // It is not there when the time is over: that is no failure, and told.
        let done = running.wait().expect(0);
        assert!(done.out.contains("interface      gone, down or without a link for "), "{done:?}");

        let watched = netlab("unicast -i lo recv --duration 300ms --json").expect(0);
        assert_eq!(watched.summary()["interface_outage_s"], 0.0, "{watched:?}");
        let all = netlab("unicast recv --duration 300ms --json").expect(0);
        assert_eq!(all.summary()["interface_outage_s"], Value::Null, "no one interface to watch: {all:?}");
    });
}

fn events<'a>(done: &'a Done, name: &'a str) -> impl Iterator<Item = Value> + 'a {
    let objects = done.out.lines().map(|line| serde_json::from_str::<Value>(line).expect("objects only"));
    objects.filter(move |object| object["event"] == name)
}

#[test]
fn nothing_leaves_with_the_address_of_another_interface_unnoticed() {
    everybody_inside("nothing_leaves_with_the_address_of_another_interface_unnoticed", || {
        let other = Other::connect();
        // Another interface, which has addresses.
        ip("link add vc type veth peer name vd");
        ip("addr add 10.9.8.1/24 dev vc");
        ip("link set vc up");
        ip("link set vd up");
        let chat = || {
            let mut chat = Command::new(NETLAB);
            chat.args("chat join --multicast 239.1.1.1 -i va --name ann".split(' ')).stdin(Stdio::null());
            Done::from(chat.output().unwrap())
        };
        for (done, family) in [
            (netlab("multicast --group 239.1.1.1 -i va send --count 1"), "IPv4"),
            (netlab("multicast --group 239.1.1.1,239.1.1.2 -i va send --count 1"), "IPv4"),
            (netlab("broadcast -i va send --count 1"), "IPv4"),
            (chat(), "IPv4"),
            (netlab("multicast --group ff02::77 -i va send --count 1"), "IPv6"),
            (netlab("multicast --group ff05::77 -i va send --count 1"), "IPv6"),
        ] {
            let message = format!("--interface va: it has no {family} address to send from");
            assert!(done.err.contains(&message) && done.code == Some(2), "{done:?}");
        }
        let unicast = netlab("unicast -i va --to 10.9.0.2 send --count 1");
        let source = "warning: messages leave by va with the source 10.9.8.1, which is no address of va";
        assert!(unicast.err.contains(source), "{unicast:?}");

        // An address that is not yet to be used.
        fs::write("/proc/sys/net/ipv6/conf/va/dad_transmits", "100").unwrap();
        ip("addr add fe80::1/64 dev va");
        let tentative = netlab("multicast --group ff02::77 -i va send --count 1").expect(1);
        assert!(tentative.err.contains("no address to send to ff02::77 from") && tentative.err.contains("tentative"));

        // A zone as it is printed.
        ip("addr flush dev va");
        ip("addr add fe80::1/64 dev va nodad");
        other.ip("addr add fe80::2/64 dev vb nodad");
        let shown = Command::new("ip").args(["-o", "link", "show", "va"]).output().unwrap().stdout;
        let index = String::from_utf8(shown).unwrap().split(':').next().unwrap().to_owned();
        for to in [
            format!("unicast --to fe80::2%{index}"),
            format!("unicast --to [fe80::2%{index}]:4747 -i va"),
            format!("multicast --group ff02::77%{index}"),
            format!("multicast --group ff02::77%{index} -i va"),
        ] {
            let recv = if to.starts_with("unicast") { "unicast" } else { "multicast --group ff02::77%vb" };
            deliver(&other, recv, &to);
        }
        let sent = send(&format!("unicast --to fe80::2%{index}"));
        assert!(sent.err.contains(&format!("[fe80::2%{index}]:4747")), "as it is taken: {}", sent.err);
    });
}

#[test]
fn a_sender_says_whom_it_did_not_reach() {
    everybody_inside("a_sender_says_whom_it_did_not_reach", || {
        let other = Other::connect();
        for address in ["10.9.0.1/24", "fd09::1/64"] {
            ip(&format!("addr add {address} dev va{}", if address.contains("::") { " nodad" } else { "" }));
        }
        for address in ["10.9.0.2/24", "fd09::2/64"] {
            other.ip(&format!("addr add {address} dev vb{}", if address.contains("::") { " nodad" } else { "" }));
        }
        ip("route add 10.20.0.0/16 via 10.9.0.254");
        ip("route add 10.21.0.0/16 via 10.9.0.2");
        other.ip("route add unreachable 10.21.0.0/16");
        other.set("ipv4/ip_forward", "1");
        // The kernel would send one ICMP error a second.
        other.set("ipv4/icmp_ratelimit", "0");
        other.set("ipv6/icmp/ratelimit", "0");
        let _listener = other.listen("unicast recv");
        let unreached = |to: &str| {
            // Slowly, so that the first answer is back long before the end.
            let done = netlab(&format!("unicast --to {to} send --count 10 --rate 20 --json")).expect(0);
            assert_eq!(done.figure("messages_sent"), 10, "{done:?}");
            let first = done.summary()["first_unreached"].as_str().unwrap_or_default().to_owned();
            (done.figure("receivers_unreached"), first)
        };
        let port = "answers that nobody listens on that port (ICMP port unreachable)";
        for (to, expected) in [
            ("10.9.0.2", String::new()),
            ("fd09::2", String::new()),
            ("10.9.0.2:9", format!("10.9.0.2:9 {port}")),
            ("[fd09::2]:9", format!("[fd09::2]:9 {port}")),
            ("127.0.0.1:9", format!("127.0.0.1:9 {port}")),
            ("10.9.0.9", "10.9.0.9 does not answer ARP on va".to_owned()),
            ("fd09::9", "fd09::9 does not answer Neighbour Discovery on va".to_owned()),
            ("10.20.0.1", "10.20.0.1:4747: the router 10.9.0.254 does not answer ARP on va".to_owned()),
            (
                "10.21.0.1",
                "10.21.0.1:4747: 10.9.0.2 answers that the host cannot be reached (ICMP host unreachable)".to_owned(),
            ),
        ] {
            assert_eq!(unreached(to), (u64::from(!expected.is_empty()), expected), "{to}");
        }
        let (count, first) = unreached("10.9.0.2,10.9.0.9,10.9.0.2:9,10.9.0.8,10.9.0.2");
        assert_eq!((count, first.as_str()), (3, "10.9.0.9 does not answer ARP on va"));

        let said = netlab("unicast --to 10.9.0.2,10.9.0.9 send --count 2").expect(0).out;
        let line = "not reached    1 of 2 receivers; the first: 10.9.0.9 does not answer ARP on va\n";
        assert!(said.contains(line), "{said}");
        let said = netlab("unicast --to 10.9.0.9 -i va send --count 2").expect(0).out;
        assert!(said.contains("not reached    10.9.0.9 does not answer ARP on va\n"), "{said}");
        assert!(!netlab("unicast --to 10.9.0.2 send --count 2").expect(0).out.contains("not reached"));
        let broadcast = netlab("broadcast -i va send --count 2 --json").expect(0);
        assert_eq!(broadcast.summary()["receivers_unreached"], Value::Null, "nobody can know: {broadcast:?}");
    });
}
