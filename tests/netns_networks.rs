//! Several networks in one run, one after the other: what is left of one when the next is built, lost hosts, interruptions,
//! and trying rates.

#[path = "support/design.rs"]
mod design;
mod support;

use std::path::Path;
use std::process::{Child, ExitCode};
use std::time::Duration;

use design::{run, tests, watched};
use netlab::lan::SwitchKind;
use netlab::run::{Case, Design};
use netlab::units::{Mode, Rate, Role};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use support::{everybody, require_namespaces};

fn main() -> ExitCode {
    design::main(tests![
        each_network_carries_what_its_kind_does,
        nothing_of_a_network_is_left_in_the_next,
        a_host_that_is_lost_is_back_on_the_next_network,
        an_interruption_between_networks_leaves_whole_trials,
        a_rate_is_found,
        the_lowest_rate_is_taken_where_none_is_sustained,
    ])
}

const MESSAGES: u64 = 300;

/// 300 messages to one receiver, beside one bystander.
fn case(switch: SwitchKind) -> Case {
    Case {
        name: switch.to_string(),
        modes: vec![Mode::Multicast],
        hosts: vec![3],
        receivers: vec![1],
        switch: vec![switch],
        rate: vec![Rate::PerSecond(1000.0)],
        duration: Duration::from_millis(300),
        ..Case::default()
    }
}

/// Two networks, each with one condition.
fn two(trials: u32) -> Design {
    let cases = vec![case(SwitchKind::Snooping), case(SwitchKind::Flooding)];
    Design { cases, trials, seed: 7, try_rates: Vec::new() }
}

const CONDITIONS: [(&str, u64); 2] = [("multicast-1-snooping", 0), ("multicast-1-flooding", MESSAGES)];

fn each_network_carries_what_its_kind_does() {
    if !require_namespaces() {
        return;
    }
    for who in everybody() {
        let ran = run(who, &two(2));
        assert_eq!(ran.outcome.networks, 2);
        assert!(!ran.outcome.interrupted && ran.outcome.lost.is_empty() && ran.outcome.limits.is_empty());
        for (condition, at_bystander) in CONDITIONS {
            let of = |role: Role| ran.of(condition, role.as_str());
            // Two trials, and more where the machine disturbed them.
            assert!(of(Role::Sender).len() >= 2, "{who:?} {condition}");
            for row in of(Role::Sender) {
                assert_eq!((row.messages_sent, row.link_tx_frames), (Some(MESSAGES), Some(MESSAGES)), "{condition}");
            }
            for row in of(Role::Receiver) {
                assert_eq!(row.messages_received.unwrap() + row.link_ring_dropped.unwrap(), MESSAGES, "{condition}");
            }
            for row in of(Role::Bystander) {
                let frames = row.link_rx_frames.unwrap() + row.link_ring_dropped.unwrap();
                assert_eq!(frames, at_bystander, "{who:?} {condition} trial {}", row.trial);
            }
        }
    }
}

fn nothing_of_a_network_is_left_in_the_next() {
    if !require_namespaces() {
        return;
    }
    for who in everybody() {
        let mut larger = case(SwitchKind::Hub);
        larger.hosts = vec![5];
        let mut design = two(2);
        design.cases.push(larger);
        let (mut built, mut process) = (0, 0);
        watched(who, &design, |event, child| {
            process = only_child(child);
            let hosts = || agents(process).len();
            match event {
                "lan up" => {
                    built += 1;
                    assert_eq!(hosts(), 0, "{who:?}: the agents of the network before are gone");
                    let ports = interfaces(process).into_iter().filter(|name| name.starts_with('p')).count();
                    assert!(ports == 3 || ports == 5, "{who:?}: {:?}", interfaces(process));
                    let bridges = interfaces(process).into_iter().filter(|name| name.starts_with("br")).count();
                    assert_eq!(bridges, 1, "{who:?}: {:?}", interfaces(process));
                }
                "agents ready" => {
                    let ports = interfaces(process).into_iter().filter(|name| name.starts_with('p')).count();
                    assert_eq!(hosts(), ports, "{who:?}: an agent for each host");
                }
                _ => {}
            }
        });
        assert!(built >= 4, "{built} networks for two rounds of three");
        assert!(process > 0 && !Path::new(&format!("/proc/{process}")).exists(), "{who:?}: the run has ended");
    }
}

fn a_host_that_is_lost_is_back_on_the_next_network() {
    if !require_namespaces() {
        return;
    }
    for who in everybody() {
        let (mut built, mut started) = (0, Vec::new());
        let ran = watched(who, &two(1), |event, child| {
            built += u32::from(event == "lan up");
            if built == 1 && event == "agents ready" {
                let agents = agents(only_child(child));
                let (pid, _) = agents.into_iter().find(|(_, host)| host == "h3").expect("h3's agent");
                kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
            }
            started.extend(event.strip_prefix("started ").map(|of| of.rsplit_once(' ').unwrap().0.to_owned()));
        });
        assert_eq!(ran.outcome.lost, ["h3"]);
        // One trial of each of the two conditions, and another round for the one that lost a host.
        assert_eq!(started.len(), 4, "{started:?}");
        for (index, condition) in started.iter().enumerate() {
            let trial = started[..=index].iter().filter(|other| *other == condition).count();
            let trial_rows =
                || ran.rows.iter().filter(|row| row.condition == *condition && row.trial as usize == trial);
            // All hosts and the switch, whoever is lost.
            assert_eq!(trial_rows().count(), 4, "{condition} {trial}");
            let h3 = trial_rows().find(|row| row.host == "h3").unwrap();
            assert_eq!(h3.invalid_reason.starts_with("h3 was lost"), index == 0, "{who:?} {condition} {trial}");
            assert_eq!(h3.link_rx_frames.is_none(), index == 0);
            let receiver = trial_rows().find(|row| row.host == "h2").unwrap();
            assert_eq!(receiver.messages_received.unwrap() + receiver.link_ring_dropped.unwrap(), MESSAGES);
        }
    }
}

fn an_interruption_between_networks_leaves_whole_trials() {
    if !require_namespaces() {
        return;
    }
    for who in everybody() {
        let (mut built, mut ended) = (0, 0);
        let ran = watched(who, &two(2), |event, child| {
            built += u32::from(event == "lan up");
            ended += usize::from(event.starts_with("ended"));
            if built == 2 && event == "lan up" {
                // Not by way of its guard: it has the signal before it goes on.
                kill(Pid::from_raw(only_child(child)), Signal::SIGINT).unwrap();
            }
        });
        assert!(ran.outcome.interrupted);
        assert_eq!(built, 2, "no third network");
        assert!(ended >= 1 && ran.rows.len() == ended * 4, "{ended} trials, {} rows", ran.rows.len());
        let first = &ran.rows[0].condition;
        assert!(ran.rows.iter().all(|row| row.condition == *first), "nothing was measured on the second");
    }
}

fn a_rate_is_found() {
    if !require_namespaces() {
        return;
    }
    let mut tried = Vec::new();
    let design = Design { try_rates: vec![1e9, 200.0, 100.0], ..two(1) };
    let ran = watched(everybody()[0], &design, |event, _| {
        tried.extend(event.strip_prefix("trying ").map(|rate| rate.parse::<f64>().unwrap()));
    });
    // A machine that is too busy for 200 messages a second in time goes on to the last.
    assert!(tried == [1e9, 200.0] || tried == [1e9, 200.0, 100.0], "{tried:?}");
    let found = tried.last().copied();
    assert!(ran.rows.iter().all(|row| row.offered_rate == found), "{found:?}");
    assert!(ran.outcome.plan.conditions.iter().all(|condition| condition.traffic.rate.per_second() == found));
    for (condition, _) in CONDITIONS {
        assert!(!ran.of(condition, "receiver").is_empty(), "{condition} was measured");
    }
}

fn the_lowest_rate_is_taken_where_none_is_sustained() {
    if !require_namespaces() {
        return;
    }
    let mut tried = Vec::new();
    let cases = vec![Case { modes: vec![Mode::Unicast], ..case(SwitchKind::Snooping) }];
    let design = Design { cases, try_rates: vec![1e9, 9e8], ..two(1) };
    let ran = watched(everybody()[0], &design, |event, _| {
        tried.extend(event.strip_prefix("trying ").map(|rate| rate.parse::<f64>().unwrap()));
    });
    assert_eq!(tried, [1e9, 9e8]);
    let senders = ran.of("unicast-1-snooping", "sender");
    assert!(!senders.is_empty());
    for row in senders {
        assert_eq!(row.offered_rate, Some(9e8));
        assert!(row.invalid_reason.contains("behind schedule"), "{}", row.invalid_reason);
        assert!(row.messages_sent.unwrap() > 0);
    }
}

/// The process that measures; the one the test started guards it.
fn only_child(guard: &Child) -> i32 {
    let [child] = children(guard.id() as i32)[..] else { panic!("a guard has one child") };
    child
}

/// The agents of the process that measures: process ID and host.
fn agents(process: i32) -> Vec<(i32, String)> {
    let host = |pid: &i32| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8(line).unwrap().split('\0').nth(3).unwrap_or_default().to_owned()
    };
    children(process).into_iter().map(|pid| (pid, host(&pid))).collect()
}

fn children(pid: i32) -> Vec<i32> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    text.split_whitespace().map(|pid| pid.parse().unwrap()).collect()
}

/// The interfaces in a process's network namespace.
fn interfaces(process: i32) -> Vec<String> {
    let table = std::fs::read_to_string(format!("/proc/{process}/net/dev")).unwrap();
    table.lines().filter_map(|line| Some(line.split_once(':')?.0.trim().to_owned())).collect()
}
