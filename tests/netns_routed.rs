//! Measuring over a router, and with a querier that is not the switch's: counted exactly, as root and as an ordinary user.

#[path = "support/design.rs"]
mod design;
mod support;

use std::process::ExitCode;
use std::time::Duration;

use design::{run, tests};
use netlab::lan::{Igmp, SwitchKind};
use netlab::results::row::HostRow;
use netlab::run::condition::{HostGroup, Querier};
use netlab::run::{Case, Design};
use netlab::units::{Mode, Rate, Role};
use support::everybody;

fn main() -> ExitCode {
    design::main(tests![
        what_crosses_a_router_and_what_stays_home,
        a_querier_that_stops_leaves_silence_behind,
        one_that_goes_on_does_not
    ])
}

const MS: Duration = Duration::from_millis(1);

fn group(name: &str, role: Role, count: usize, lan: usize) -> HostGroup {
    HostGroup { name: name.to_owned(), lan, ..HostGroup::new(role, count) }
}

fn measured(case: Case) -> Design {
    Design { cases: vec![case], trials: 2, seed: 7, try_rates: Vec::new() }
}

fn what_crosses_a_router_and_what_stays_home() {
    let groups = vec![
        group("", Role::Sender, 1, 1),
        group("near", Role::Receiver, 1, 1),
        group("near bystander", Role::Bystander, 1, 1),
        group("far", Role::Receiver, 2, 2),
        group("far bystander", Role::Bystander, 1, 2),
    ];
    let case = Case {
        modes: vec![Mode::Unicast, Mode::Broadcast, Mode::Multicast],
        groups,
        rate: vec![Rate::PerSecond(500.0)],
        duration: 400 * MS,
        ttl: vec![1, 8],
        ..Case::default()
    };
    for who in everybody() {
        let ran = run(who, &measured(case.clone()));
        let rows = |mode: Mode, ttl: &str, which: &dyn Fn(&HostRow) -> bool| -> Vec<HostRow> {
            let ttl = format!("ttl{ttl}");
            let of =
                |row: &&HostRow| row.mode == mode && row.condition.ends_with(&ttl) && row.counts_valid && which(row);
            let found: Vec<HostRow> = ran.rows.iter().filter(of).cloned().collect();
            assert!(!found.is_empty(), "no valid rows of {mode} with {ttl}");
            found
        };
        let group = |name: &'static str| move |row: &HostRow| row.group == name;
        let router = |row: &HostRow| row.role == Role::Router;
        const SENT: u64 = 200;
        // A few frames more may be IGMP's.
        let about = |frames: Option<u64>, wanted: u64| frames.is_some_and(|f| (wanted..=wanted + 4).contains(&f));
        for (mode, ttl, far, forwarded) in [
            (Mode::Unicast, "1", SENT, 2 * SENT),
            (Mode::Broadcast, "8", 0, 0),
            (Mode::Multicast, "1", 0, 0),
            (Mode::Multicast, "8", SENT, SENT),
        ] {
            for row in rows(mode, ttl, &group("near")) {
                assert_eq!(row.messages_received, Some(SENT), "{who:?} {mode} {ttl}: {row:?}");
            }
            for row in rows(mode, ttl, &group("far")) {
                assert_eq!(row.messages_received, Some(far), "{who:?} {mode} {ttl}: {row:?}");
                assert_eq!(row.lan, 2);
            }
            for row in rows(mode, ttl, &group("far bystander")) {
                assert!(about(row.link_rx_frames, 0), "{who:?} {mode} {ttl}: {row:?}");
            }
            for row in rows(mode, ttl, &router) {
                assert!(about(row.link_tx_frames, forwarded), "{who:?} {mode} {ttl}: {row:?}");
                assert_eq!((row.host.as_str(), row.lan), ("r1", 0));
            }
        }
        for row in rows(Mode::Broadcast, "8", &router) {
            assert!(about(row.link_rx_frames, SENT), "the router is a device of the LAN too: {row:?}");
        }
    }
}

fn quiet(stops_at: Option<Duration>) -> Design {
    let case = Case {
        modes: vec![Mode::Multicast],
        hosts: vec![5],
        receivers: vec![2],
        switch: vec![SwitchKind::Quiet],
        igmp: vec![Igmp { membership_interval: Some(1000 * MS), ..Igmp::default() }],
        querier: Some(Querier { interval: 300 * MS, stops_at }),
        rate: vec![Rate::PerSecond(200.0)],
        duration: 3000 * MS,
        ..Case::default()
    };
    measured(case)
}

fn last_received(design: &Design) -> Vec<f64> {
    let mut last = Vec::new();
    for who in everybody() {
        let ran = run(who, design);
        let receivers = ran.rows.iter().filter(|row| row.role == Role::Receiver);
        last.extend(receivers.map(|row| row.last_received_s.expect("something arrived")));
    }
    assert!(!last.is_empty());
    last
}

fn a_querier_that_stops_leaves_silence_behind() {
    for last in last_received(&quiet(Some(500 * MS))) {
        // The last question was asked up to 0.3 s before; the switch believes in it for 1 s more.
        assert!((1.0..2.3).contains(&last), "the last message arrived after {last} s");
    }
}

fn one_that_goes_on_does_not() {
    for last in last_received(&quiet(None)) {
        assert!(last > 2.9, "the last message arrived after {last} s");
    }
}
