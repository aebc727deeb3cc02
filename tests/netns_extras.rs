//! What hosts do in a measurement beside sending, receiving and standing by, on real virtual LANs: counted exactly, as root
//! and as an ordinary user.

#[path = "support/design.rs"]
mod design;
mod support;

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Duration;

use design::{group, once, run, sender, tests, watched};
use netlab::lan::SwitchKind;
use netlab::results::row::HostRow;
use netlab::run::condition::{Flow, HostGroup};
use netlab::run::{Case, Design};
use netlab::units::{Mode, Rate, Role};
use support::{everybody, require_namespaces};

fn main() -> ExitCode {
    design::main(tests![
        a_busy_receiver_loses_in_its_socket_buffer,
        a_flow_between_bystanders_is_counted_apart,
        a_flow_into_the_group_reaches_whom_it_may,
        a_guest_gets_what_is_sent_while_it_is_a_member,
        where_leaving_takes_no_effect_there_is_no_leave_delay,
        joining_means_nothing_where_there_is_no_group,
        another_group_with_the_same_mac_is_another_group,
        the_last_message_arrives_at_the_end,
        a_worker_has_a_cpu_of_its_own,
    ])
}

/// Messages a second, and the length of the window: 500 messages.
const RATE: f64 = 1000.0;
const WINDOW: Duration = Duration::from_millis(500);
const MESSAGES: u64 = 500;
/// Of a flow: 150 datagrams.
const FLOW_RATE: f64 = 300.0;
const FLOW: u64 = 150;

fn case(modes: &[Mode], groups: Vec<HostGroup>) -> Case {
    Case { modes: modes.to_vec(), groups, rate: vec![Rate::PerSecond(RATE)], duration: WINDOW, ..Case::default() }
}

/// What a receiver of all messages lost, it lost at a layer that says so.
#[track_caller]
fn assert_accounted(sent: u64, row: &HostRow) {
    let (received, lost) = (row.messages_received.unwrap(), row.messages_lost.unwrap());
    assert_eq!(received + lost, sent, "{}", row.host);
    assert_eq!(lost, row.socket_dropped.unwrap() + row.link_ring_dropped.unwrap(), "{} lost somewhere else", row.host);
    assert_eq!((row.messages_unrecognized, row.messages_duplicate), (Some(0), Some(0)), "{}", row.host);
}

fn a_busy_receiver_loses_in_its_socket_buffer() {
    const BUSY: Duration = Duration::from_millis(5);
    if !require_namespaces() {
        return;
    }
    for who in everybody() {
        let slow = HostGroup { busy: BUSY, ..group("slow", Role::Receiver, 1) };
        let groups = vec![sender(), slow, group("quick", Role::Receiver, 1), group("", Role::Bystander, 1)];
        let modes = [Mode::Unicast, Mode::Multicast];
        let rate = vec![Rate::PerSecond(2.0 * RATE)];
        let ran = run(who, &once([Case { rate, loss_expected: true, ..case(&modes, groups) }]));
        for condition in ["unicast-2", "multicast-2"] {
            for row in ran.some_of(condition, "slow") {
                let sent = ran.sent(row);
                // 5 ms each: some 100 within the window, and a usual buffer (277 small frames) full of others.
                assert_accounted(sent, row);
                assert!(row.socket_dropped > Some(0), "{row:?}");
                assert!(!row.invalid_reason.contains("overflow"), "it was expected: {}", row.invalid_reason);
                let received = row.messages_received.unwrap();
                assert!(row.cpu_app_ns.unwrap() >= received * BUSY.as_nanos() as u64, "{row:?}");
                // Layer by layer.
                assert_eq!(row.link_rx_frames.unwrap() + row.link_ring_dropped.unwrap(), sent);
                assert_eq!(row.ip_in_delivers, row.link_rx_frames);
                assert_eq!(row.udp_rcvbuf_errors, row.socket_dropped);
                assert_eq!(row.udp_in_datagrams, Some(received));
            }
            for row in ran.some_of(condition, "quick") {
                assert_accounted(ran.sent(row), row);
            }
        }
    }
}

fn a_flow_between_bystanders_is_counted_apart() {
    if !require_namespaces() {
        return;
    }
    for who in everybody() {
        let groups = vec![
            sender(),
            group("", Role::Receiver, 2),
            group("talker", Role::Bystander, 2),
            group("listener", Role::Bystander, 2),
        ];
        let flow =
            Flow { from: "talker".into(), to: Some("listener".into()), rate: Rate::PerSecond(FLOW_RATE), size: 200 };
        let modes = [Mode::Unicast, Mode::Broadcast, Mode::Multicast];
        let ran = run(who, &once([Case { flow: Some(flow), ..case(&modes, groups) }]));
        for (condition, at_bystanders) in [("unicast-2", 0), ("broadcast-2", MESSAGES), ("multicast-2", 0)] {
            for row in ran.some_of(condition, "receiver") {
                assert_eq!(row.messages_received, Some(MESSAGES), "{condition}");
                assert_accounted(MESSAGES, row);
                assert_eq!((row.flow_sent, row.flow_received), (None, None));
            }
            for row in ran.some_of(condition, "talker") {
                let talks = row.host == "h4";
                assert_eq!(
                    (row.flow_sent, row.flow_received),
                    (talks.then_some(FLOW), None),
                    "{condition} {}",
                    row.host
                );
                assert_eq!(row.link_tx_frames, Some(if talks { FLOW } else { 0 }));
            }
            for row in ran.some_of(condition, "listener") {
                let listens = row.host == "h6";
                assert_eq!(
                    (row.flow_sent, row.flow_received),
                    (None, listens.then_some(FLOW)),
                    "{condition} {}",
                    row.host
                );
                let of_flow = if listens { FLOW } else { 0 };
                assert_eq!(row.link_rx_frames, Some(at_bystanders + of_flow), "{condition} {}", row.host);
                assert_eq!(row.messages_received, None, "a bystander counts no messages");
            }
        }
    }
}

fn a_flow_into_the_group_reaches_whom_it_may() {
    if !require_namespaces() {
        return;
    }
    let groups = || vec![sender(), group("", Role::Receiver, 2), group("intruder", Role::Bystander, 1)];
    let flow = || Some(Flow { from: "intruder".into(), to: None, rate: Rate::PerSecond(FLOW_RATE), size: 64 });
    let named = |name: &str, source_specific| Case {
        name: name.to_owned(),
        flow: flow(),
        source_specific,
        group: vec!["232.1.1.1".parse().unwrap()],
        ..case(&[Mode::Multicast], groups())
    };
    for who in everybody() {
        let cases = vec![named("any", false), named("specific", true)];
        let ran = run(who, &once(cases));
        for (condition, flow) in [("multicast-2-any", FLOW), ("multicast-2-specific", 0)] {
            for row in ran.some_of(condition, "receiver") {
                assert_eq!(row.messages_received, Some(MESSAGES), "{condition}");
                assert_accounted(MESSAGES, row);
                assert_eq!(row.flow_received, Some(flow), "{condition}");
                // With IGMPv3 the switch knows from whom it is wanted.
                assert_eq!(row.link_rx_frames, Some(MESSAGES + flow), "{condition}");
            }
            for row in ran.some_of(condition, "intruder") {
                assert_eq!((row.flow_sent, row.flow_received), (Some(FLOW), None), "{condition}");
            }
        }
    }
}

/// One that stays, and one that comes after a fifth of the window and goes after two fifths.
fn guests(modes: &[Mode], switch: SwitchKind) -> Case {
    let duration = 3 * WINDOW;
    let guest = HostGroup {
        joins_at: Some(duration / 5),
        leaves_at: Some(2 * duration / 5),
        ..group("guest", Role::Receiver, 1)
    };
    let leaver = HostGroup { leaves_at: Some(duration / 5), ..group("leaver", Role::Receiver, 1) };
    let groups = vec![sender(), group("steady", Role::Receiver, 1), guest, leaver, group("", Role::Bystander, 1)];
    Case { duration, switch: vec![switch], ..case(modes, groups) }
}

fn a_guest_gets_what_is_sent_while_it_is_a_member() {
    if !require_namespaces() {
        return;
    }
    for who in everybody() {
        for ipv6 in [false, true] {
            let guests = Case { ipv6, ..guests(&[Mode::Multicast], SwitchKind::Snooping) };
            // Before the second trial those of the first must have left.
            let ran = run(who, &Design { trials: 2, ..once([guests]) });
            for steady in ran.some_of("multicast-3", "steady") {
                let sent = ran.sent(steady);
                assert_eq!(sent, 3 * MESSAGES);
                assert_accounted(sent, steady);
                assert_eq!(steady.messages_lost, Some(0));
                assert_eq!((steady.join_delay_ns, steady.leave_delay_ns), (None, None));
                for (name, joins) in [("guest", true), ("leaver", false)] {
                    let of_trial = |row: &&&HostRow| row.trial == steady.trial;
                    let rows = ran.some_of("multicast-3", name);
                    let row = rows.iter().find(of_trial).unwrap();
                    let received = row.messages_received.unwrap();
                    assert!(received > 0 && received < sent, "{who:?} {name}: {row:?}");
                    assert_eq!(row.messages_lost, None, "it did not want them all");
                    assert_eq!(row.join_delay_ns.is_some(), joins, "{who:?} {name}: {row:?}");
                    assert!(row.leave_delay_ns > Some(0), "{who:?} {name}: {row:?}");
                    assert!(row.last_received_s < steady.last_received_s);
                    // Frames came for a while after it had left, and then no more.
                    let frames = row.link_rx_frames.unwrap();
                    assert!(frames > received && frames < sent, "{who:?} {name}: {row:?}");
                }
            }
        }
    }
}

fn where_leaving_takes_no_effect_there_is_no_leave_delay() {
    if !require_namespaces() {
        return;
    }
    let ran = run(everybody()[0], &once([guests(&[Mode::Multicast], SwitchKind::Flooding)]));
    for name in ["guest", "leaver"] {
        for row in ran.some_of("multicast-3", name) {
            assert!(row.link_rx_frames.unwrap() >= ran.sent(row), "the switch does not ask who wants it");
            assert!(row.messages_received.unwrap() < ran.sent(row));
            assert_eq!(row.leave_delay_ns, None, "nobody knows how long they would have come");
            assert_eq!(row.join_delay_ns.is_some(), name == "guest");
        }
    }
}

fn joining_means_nothing_where_there_is_no_group() {
    if !require_namespaces() {
        return;
    }
    let ran = run(everybody()[0], &once([guests(&[Mode::Unicast, Mode::Broadcast], SwitchKind::Snooping)]));
    for condition in ["unicast-3", "broadcast-3"] {
        for name in ["steady", "guest", "leaver"] {
            for row in ran.some_of(condition, name) {
                assert_accounted(ran.sent(row), row);
                assert_eq!((row.join_delay_ns, row.leave_delay_ns), (None, None), "{condition} {name}");
            }
        }
    }
}

fn another_group_with_the_same_mac_is_another_group() {
    if !require_namespaces() {
        return;
    }
    for who in everybody() {
        let other = "239.129.1.1".parse().unwrap();
        let groups = vec![
            sender(),
            group("", Role::Receiver, 2),
            HostGroup { member_of: Some(other), ..group("same MAC", Role::Bystander, 2) },
            group("no group", Role::Bystander, 1),
        ];
        let switch = vec![SwitchKind::Snooping, SwitchKind::Flooding];
        let modes = [Mode::Broadcast, Mode::Multicast];
        let group = vec!["239.1.1.1".parse().unwrap()];
        let ran = run(who, &once([Case { switch, group, ..case(&modes, groups) }]));
        for name in ["same MAC", "no group"] {
            for row in ran.some_of("multicast-2-snooping", name) {
                assert_eq!((row.link_rx_frames, row.ip_in_receives), (Some(0), Some(0)), "{who:?} {}", row.host);
            }
            for row in ran.some_of("multicast-2-flooding", name) {
                assert_eq!((row.link_rx_frames, row.ip_not_joined), (Some(MESSAGES), Some(MESSAGES)), "{}", row.host);
            }
            for row in ran.some_of("broadcast-2-snooping", name) {
                assert_eq!(row.udp_ignored_multi, Some(MESSAGES), "nobody listens at that port of {}", row.host);
            }
        }
        for row in ran.rows.iter().filter(|row| row.role == Role::Receiver) {
            assert_accounted(MESSAGES, row);
        }
    }
}

fn the_last_message_arrives_at_the_end() {
    if !require_namespaces() {
        return;
    }
    for who in everybody() {
        let groups = vec![sender(), group("", Role::Receiver, 2), group("", Role::Bystander, 1)];
        let ran = run(who, &once([case(&Mode::OF_THE_NETWORK, groups)]));
        for mode in Mode::OF_THE_NETWORK {
            for row in ran.some_of(&format!("{mode}-2"), "receiver") {
                let last_s = row.last_received_s.expect("it received some");
                // The last of 500 is due 499 ms after the first; it may be late, but not early.
                assert!(last_s > 0.4985, "{mode}: {last_s}");
            }
            for role in ["sender", "bystander", "switch"] {
                assert!(ran.some_of(&format!("{mode}-2"), role).iter().all(|row| row.last_received_s.is_none()));
            }
        }
    }
}

fn a_worker_has_a_cpu_of_its_own() {
    if !require_namespaces() {
        return;
    }
    for who in everybody() {
        let worker = HostGroup { works: true, ..group("worker", Role::Bystander, 1) };
        let groups = vec![sender(), group("", Role::Receiver, 2), worker, group("idle", Role::Bystander, 1)];
        let mut cpus = BTreeMap::new();
        let ran = watched(who, &once([case(&[Mode::Broadcast, Mode::Multicast], groups)]), |event, child| {
            if event.starts_with("ended") {
                cpus = cpus_of_agents(child.id());
            }
        });
        let has_two = netlab::sys::affinity::allowed().unwrap().len() > 1;
        let limits = &ran.outcome.limits;
        assert!(limits.iter().all(|limit| limit.starts_with("work: ")), "{limits:?}");
        for (condition, frames) in [("broadcast-2", MESSAGES), ("multicast-2", 0)] {
            for row in ran.some_of(condition, "worker") {
                assert_eq!(row.work_per_s.is_some(), limits.is_empty(), "{who:?}: {limits:?}");
                assert!(row.work_per_s.is_none_or(|pieces| pieces > 0.0));
                assert_eq!(row.link_rx_frames, Some(frames), "{condition}");
                assert_eq!(row.cpu_kernel_rx_ns, None, "no thread does its receive work");
            }
            for row in ran.some_of(condition, "idle") {
                assert_eq!((row.work_per_s, row.link_rx_frames), (None, Some(frames)));
            }
            for row in ran.some_of(condition, "receiver") {
                assert_eq!(row.messages_received, Some(MESSAGES));
            }
        }
        if limits.is_empty() {
            let worker = cpus.remove("h4").expect("the worker's agent");
            assert_eq!(cpus.len(), 4, "{cpus:?}");
            assert!(!worker.contains(['-', ',']), "one CPU: {worker}");
            assert!(cpus.values().all(|others| *others != worker), "{cpus:?}, and the worker {worker}");
        } else {
            assert!(!has_two || std::fs::metadata("/proc/sys/net/core/rps_default_mask").is_err(), "{limits:?}");
        }
    }
}

/// By host: the CPUs its agent may run on. `guard` is the process that guards the run.
fn cpus_of_agents(guard: u32) -> BTreeMap<String, String> {
    let children = |pid: u32| -> Vec<u32> {
        let text = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        text.split_whitespace().map(|pid| pid.parse().unwrap()).collect()
    };
    let of = |pid: u32| {
        let words = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap();
        let host = words.split('\0').nth(3).unwrap_or_default().to_owned();
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
        (host, line.unwrap().trim().to_owned())
    };
    children(guard).into_iter().flat_map(children).map(of).collect()
}
