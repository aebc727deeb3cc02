//! Messages that go through a server, on real virtual LANs: nothing is lost but what is meant to be, and the kernel's counters
//! agree with the programs', as root and as an ordinary user.

#[path = "support/design.rs"]
mod design;
mod support;

use std::process::ExitCode;
use std::time::Duration;

use design::{group, once, run, sender, tests};
use netlab::chat::options::Relay;
use netlab::results::row::HostRow;
use netlab::run::Case;
use netlab::run::condition::HostGroup;
use netlab::units::{Mode, Rate, Role};
use support::{everybody, require_namespaces};

fn main() -> ExitCode {
    design::main(tests![
        everything_reaches_everybody_through_the_server,
        letters_wait_for_who_is_away,
        a_retained_message_waits_for_who_comes_late,
        another_topic_is_another_box,
        nothing_comes_from_a_server_that_has_died,
        a_slow_client_stalls_all_or_is_dropped,
        a_request_takes_twice_the_distance,
    ])
}

const RATE: f64 = 500.0;
const WINDOW: Duration = Duration::from_millis(400);
const MESSAGES: u64 = 200;
const SIZE: usize = 100;

fn server() -> HostGroup {
    HostGroup::new(Role::Server, 1)
}

fn case(modes: &[Mode], groups: Vec<HostGroup>) -> Case {
    Case {
        modes: modes.to_vec(),
        groups,
        rate: vec![Rate::PerSecond(RATE)],
        size: vec![SIZE],
        duration: WINDOW,
        ..Case::default()
    }
}

fn everything_reaches_everybody_through_the_server() {
    if !require_namespaces() {
        return;
    }
    for who in everybody() {
        let groups = vec![sender(), group("", Role::Receiver, 3), group("", Role::Bystander, 2), server()];
        let ran = run(who, &once([case(&[Mode::Unicast, Mode::Chat, Mode::Pubsub], groups)]));
        // The author of a chat is a client like any other and gets its own messages; what surrounds a message has at
        // least this many bytes.
        for (condition, copies, around) in [("chat-3", 4, "MSG h1 \n".len()), ("pubsub-3", 3, 4)] {
            for row in ran.some_of(condition, "receiver") {
                let sent = ran.sent(row);
                assert_eq!(sent, MESSAGES, "{condition}");
                assert_eq!(row.messages_received, Some(sent), "{condition} {}", row.host);
                assert_eq!((row.messages_lost, row.messages_reordered), (Some(0), Some(0)), "{row:?}");
                assert_eq!((row.messages_duplicate, row.messages_unrecognized), (Some(0), Some(0)), "{row:?}");
                assert!(row.latency_p50_ns > Some(0), "{row:?}");
                assert_eq!(row.kernel_latency_p50_ns, None, "a stream has no arrival times of its messages");
                let least = sent * (SIZE + around) as u64;
                assert!(row.link_rx_bytes >= Some(least), "{row:?}");
            }
            for row in ran.some_of(condition, "server") {
                let sent = ran.sent(row);
                let least = sent * copies * (SIZE + around) as u64;
                assert!(row.link_tx_bytes >= Some(least), "the server's copies: {row:?}");
                assert!(row.link_rx_bytes >= Some(sent * (SIZE + around) as u64), "{row:?}");
                assert_eq!((row.server_accepts, row.server_clients), (Some(4), Some(4)), "{condition}");
                assert_eq!((row.tcp_passive_opens, row.tcp_active_opens), (Some(0), Some(0)), "no handshake meanwhile");
                assert!(row.tcp_in_segs > Some(0) && row.tcp_out_segs > Some(0), "{row:?}");
                assert!(row.cpu_send_ns > Some(0) && row.cpu_wake_ns > Some(0), "{row:?}");
                assert_eq!(row.cpu_send_ns.unwrap() + row.cpu_wake_ns.unwrap(), row.cpu_app_ns.unwrap());
            }
            for row in ran.some_of(condition, "sender") {
                assert_eq!(row.copies_sent, Some(MESSAGES), "one, to the server");
                assert!(row.request_p50_ns > Some(0), "{row:?}");
                assert!(row.cpu_send_ns > Some(0) && row.cpu_send_ns < row.cpu_app_ns, "{row:?}");
            }
            for row in ran.some_of(condition, "bystander") {
                assert_eq!(row.link_rx_frames, Some(0), "{condition} {}", row.host);
            }
        }
        for row in ran.some_of("chat-3", "server") {
            assert_eq!((row.server_threads, row.server_dropped), (Some(4), Some(0)));
            assert_eq!(row.server_accept_cpu_ns, Some(0), "nobody came meanwhile");
        }
        // Without a server the host that would be it wants nothing.
        assert_eq!(ran.some_of("unicast-3", "bystander").len() % 3, 0);
        assert!(ran.of("unicast-3", "server").is_empty());
        for row in ran.some_of("unicast-3", "receiver") {
            assert_eq!((row.messages_received, row.server_accepts), (Some(ran.sent(row)), None));
        }
    }
}

fn letters_wait_for_who_is_away() {
    if !require_namespaces() {
        return;
    }
    for who in everybody() {
        let (leaves_at, returns_at) = (Some(Duration::from_millis(100)), Some(Duration::from_millis(300)));
        let away = HostGroup { leaves_at, returns_at, ..group("away", Role::Receiver, 1) };
        let groups = || vec![sender(), group("there", Role::Receiver, 1), away.clone(), server()];
        let waiting = Case { name: "waiting".to_owned(), qos: vec![1], ..case(&[Mode::Pubsub], groups()) };
        let as_it_comes =
            Case { name: "once".to_owned(), ..case(&[Mode::Pubsub, Mode::Multicast, Mode::Chat], groups()) };
        let ran = run(who, &once([waiting, as_it_comes]));
        for row in ran.some_of("pubsub-2-waiting", "away") {
            assert_eq!(row.messages_received, Some(ran.sent(row)), "what came meanwhile has waited: {row:?}");
        }
        for mode in ["pubsub", "multicast", "chat"] {
            let condition = format!("{mode}-2-once");
            for row in ran.some_of(&condition, "away") {
                let (received, sent) = (row.messages_received.unwrap(), ran.sent(row));
                assert!(received > 0 && received < sent, "{condition}: {received} of {sent}");
                assert_eq!(row.messages_lost, None, "who is away has not lost what it could not get");
            }
            for row in ran.some_of(&condition, "there") {
                assert_eq!(row.messages_received, Some(ran.sent(row)), "{condition}");
            }
        }
    }
}

fn a_retained_message_waits_for_who_comes_late() {
    if !require_namespaces() {
        return;
    }
    for who in everybody() {
        // Messages leave at 0 and 500 ms, or not much later.
        let late = HostGroup { joins_at: Some(Duration::from_millis(900)), ..group("late", Role::Receiver, 1) };
        let groups = vec![sender(), group("early", Role::Receiver, 1), late, server()];
        let case = |retain: bool| Case {
            name: if retain { "retained" } else { "gone" }.to_owned(),
            rate: vec![Rate::PerSecond(2.0)],
            duration: Duration::from_millis(1000),
            retain,
            ..case(&[Mode::Pubsub], groups.clone())
        };
        let ran = run(who, &once([case(true), case(false)]));
        for row in ran.some_of("pubsub-2-retained", "late") {
            assert_eq!(row.messages_received, Some(1), "the last one");
            assert!(row.join_delay_ns > Some(0), "{row:?}");
        }
        for row in ran.some_of("pubsub-2-gone", "late") {
            assert_eq!((row.messages_received, row.join_delay_ns), (Some(0), None));
        }
    }
}

fn another_topic_is_another_box() {
    if !require_namespaces() {
        return;
    }
    for who in everybody() {
        let member_of = Some("239.2.2.2".parse().unwrap());
        let elsewhere = HostGroup { member_of, ..group("elsewhere", Role::Bystander, 2) };
        let groups = vec![sender(), group("", Role::Receiver, 1), elsewhere, server()];
        let ran = run(who, &once([case(&[Mode::Pubsub], groups)]));
        for row in ran.some_of("pubsub-1", "elsewhere") {
            assert_eq!(row.link_rx_frames, Some(0), "{row:?}");
        }
        for row in ran.some_of("pubsub-1", "server") {
            assert_eq!(row.server_clients, Some(4), "they are clients all the same");
        }
    }
}

fn nothing_comes_from_a_server_that_has_died() {
    if !require_namespaces() {
        return;
    }
    for who in everybody() {
        let groups = vec![sender(), group("", Role::Receiver, 2), server()];
        let dying = Case {
            server_dies_at: Some(Duration::from_millis(100)),
            loss_expected: true,
            ..case(&[Mode::Chat, Mode::Pubsub, Mode::Multicast], groups)
        };
        let ran = run(who, &once([dying]));
        assert!(ran.outcome.lost.is_empty(), "a server may die, its host does not: {:?}", ran.outcome.lost);
        for condition in ["chat-2", "pubsub-2"] {
            for row in ran.some_of(condition, "receiver") {
                let received = row.messages_received.unwrap();
                assert!(received > 0 && received < MESSAGES, "{condition}: {received}");
            }
            for row in ran.some_of(condition, "server") {
                assert_eq!(row.server_accepts, Some(3), "counted before it died");
            }
        }
        for row in ran.some_of("multicast-2", "receiver") {
            assert_eq!(row.messages_received, Some(MESSAGES));
        }
    }
}

fn a_slow_client_stalls_all_or_is_dropped() {
    if !require_namespaces() {
        return;
    }
    for who in everybody() {
        let slow = HostGroup { busy: Duration::from_millis(5), ..group("slow", Role::Receiver, 1) };
        let groups = vec![sender(), group("quick", Role::Receiver, 2), slow, server()];
        // 400 lines of 4 KB: more than the buffers on the way to the slow one and its queue hold.
        let of_relay = |relay: Relay| Case {
            name: relay.to_string(),
            size: vec![4000],
            rate: vec![Rate::PerSecond(1000.0)],
            relay: vec![relay],
            loss_expected: true,
            ..case(&[Mode::Chat], groups.clone())
        };
        let cases = vec![of_relay(Relay::Direct), of_relay(Relay::Queued)];
        let ran = run(who, &once(cases));
        // The slow one takes 200 a second, and the buffers on the way to it some dozens; a thousand are offered.
        for row in ran.some_of("chat-3-direct", "quick") {
            let pace = row.messages_received.unwrap() as f64 / row.last_received_s.unwrap();
            assert!(pace < 500.0, "all wait for the slow one: {row:?}");
        }
        for row in ran.some_of("chat-3-direct", "server") {
            assert_eq!(row.server_dropped, Some(0));
        }
        for row in ran.some_of("chat-3-queued", "server") {
            assert_eq!(row.server_dropped, Some(1));
        }
        for row in ran.some_of("chat-3-queued", "quick") {
            assert_eq!(row.messages_received, Some(ran.sent(row)), "{row:?}");
        }
        for row in ran.some_of("chat-3-queued", "slow") {
            assert!(row.messages_received < Some(ran.sent(row)), "{row:?}");
        }
    }
}

fn a_request_takes_twice_the_distance() {
    if !require_namespaces() {
        return;
    }
    for who in everybody() {
        let far = HostGroup { lan: 2, ..server() };
        let groups = vec![sender(), group("", Role::Receiver, 2), far];
        let distance = [0, 10].map(Duration::from_millis).to_vec();
        let ran = run(who, &once([Case { distance, ..case(&[Mode::Chat, Mode::Pubsub], groups) }]));
        for mode in ["chat", "pubsub"] {
            let there_and_back_ns = 2 * 10_000_000;
            let far = format!("{mode}-2-10ms-away");
            for row in ran.some_of(&far, "sender") {
                assert!(row.request_p50_ns >= Some(there_and_back_ns), "{row:?}");
            }
            for row in ran.some_of(&far, "receiver") {
                assert!(row.latency_p50_ns >= Some(there_and_back_ns), "{row:?}");
                assert_eq!(row.messages_received, Some(ran.sent(row)), "{row:?}");
            }
            let near = |row: &&HostRow| row.request_p50_ns.unwrap();
            let near = ran.some_of(&format!("{mode}-2-0ms-away"), "sender").iter().map(near).min().unwrap();
            let far = ran.some_of(&far, "sender").iter().map(|row| row.request_p50_ns.unwrap()).min().unwrap();
            assert!(far >= near + there_and_back_ns / 2, "{mode}: {near} ns near, {far} ns far");
        }
    }
}
