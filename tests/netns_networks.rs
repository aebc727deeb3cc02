//! What hosts do in a measurement beside sending, receiving and standing by, on real virtual LANs: counted exactly, as root
//! and as an ordinary user.

#[path = "support/design.rs"]
mod design;
mod support;

use std::process::ExitCode;
use std::time::Duration;

use design::{Ran, run, tests};
use netlab::run::condition::{Flow, HostGroup};
use netlab::run::{Case, Design};
use netlab::units::{Mode, Rate, Role};
use support::{everybody, require_namespaces};

fn main() -> ExitCode {
    design::main(tests![plain])
}

const MS: Duration = Duration::from_millis(1);

fn group(name: &str, role: Role, count: usize) -> HostGroup {
    HostGroup { name: name.to_owned(), ..HostGroup::new(role, count) }
}

fn one(case: Case) -> Design {
    Design { cases: vec![case], trials: 2, seed: 7, try_rates: Vec::new() }
}

fn plain() {
    for who in everybody() {
        let groups = vec![group("", Role::Sender, 1), group("r", Role::Receiver, 2), group("b", Role::Bystander, 2)];
        let case = Case {
            modes: vec![Mode::Multicast],
            groups,
            rate: vec![Rate::PerSecond(1000.0)],
            duration: 500 * MS,
            ..Case::default()
        };
        let ran = run(who, &one(case));
        for row in &ran.rows {
            println!(
                "{} {} {:?} {:?} {:?} last={:?} valid {} {}",
                row.host,
                row.role,
                row.messages_sent,
                row.messages_received,
                row.link_rx_frames,
                row.last_received_s,
                row.valid,
                row.invalid_reason
            );
        }
        println!("{:?} {:?}", ran.outcome.limits, ran.outcome.networks);
    }
}
