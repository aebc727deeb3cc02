//! `netlab measure` on real virtual LANs: exact frame counts against what the kind of switch must do, rows that add up,
//! and runs that are interrupted or lose a host. As root and, where this is root, as an ordinary user too.

mod support;

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use netlab::results::metadata::Status;
use netlab::results::row::{HostRow, SummaryRow};
use netlab::results::store::Store;
use netlab::results::summary::find;
use netlab::units::{Mode, Role};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use support::{Who, everybody, require_namespaces, wait_until};

/// Measuring needs the machine to itself: one test at a time. `None` where namespaces cannot be made.
fn the_machine() -> Option<MutexGuard<'static, ()>> {
    static MACHINE: Mutex<()> = Mutex::new(());
    require_namespaces().then(|| MACHINE.lock().unwrap_or_else(PoisonError::into_inner))
}

/// A temporary folder that anybody may write to.
fn open_folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
    folder
}

/// `measure` with eight hosts of which four want the messages, quickly, but for what `other` says.
fn small(other: &[&str]) -> Vec<String> {
    let usual = [
        ("--hosts", "8"),
        ("--receivers", "4"),
        ("--rate", "1000"),
        ("--duration", "400ms"),
        ("--trials", "2"),
        ("--seed", "7"),
    ];
    let usual = usual.into_iter().filter(|(flag, _)| !other.contains(flag)).flat_map(|(flag, value)| [flag, value]);
    ["measure"].into_iter().chain(usual).chain(other.iter().copied()).map(str::to_owned).collect()
}

/// Runs `measure` to its end; gives its rows and its last line of JSON.
fn measured(who: Who, extra: &[&str]) -> (Vec<HostRow>, Value) {
    let out = open_folder();
    let dir = out.path().join("run");
    let mut command = support::netlab(who);
    command.args(small(extra)).args(["--json", "--out"]).arg(&dir);
    let output = command.stdin(Stdio::null()).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    // 3: all is measured, but a busy machine let no trial's CPU times count; counts are right all the same.
    let code = output.status.code();
    assert!(code == Some(0) || code == Some(3), "{code:?}: {}", String::from_utf8_lossy(&output.stderr));
    let summary = serde_json::from_str(text.lines().last().expect("a summary")).unwrap();
    (Store::read::<HostRow>(&dir).unwrap(), summary)
}

/// Rows of a mode, by role.
fn of(rows: &[HostRow], mode: Mode, role: Role) -> Vec<&HostRow> {
    rows.iter().filter(|row| row.mode == mode && row.role == role).collect()
}

/// Frames on a link for each message the trial's sender sent.
fn per_message(rows: &[HostRow], row: &HostRow, frames: Option<u64>) -> f64 {
    let sender = rows
        .iter()
        .find(|r| r.condition == row.condition && r.trial == row.trial && r.role == Role::Sender)
        .expect("each trial has a sender");
    frames.expect("a link counter") as f64 / sender.messages_sent.expect("messages sent") as f64
}

#[track_caller]
fn assert_close(value: f64, expected: f64, what: &str) {
    assert!((value - expected).abs() <= 0.005 * expected.max(1.0), "{what}: {value}, not {expected}");
}

/// What must be true on any switch: the sender's frames, everything delivered, nothing lost unaccounted for.
fn assert_common(rows: &[HostRow], modes: &[Mode]) {
    // Two trials of eight hosts and a switch for each mode, and more of a mode that a busy machine disturbed.
    assert!(rows.len() >= modes.len() * 2 * 9 && rows.len().is_multiple_of(9), "{} rows", rows.len());
    for &mode in modes {
        for sender in of(rows, mode, Role::Sender) {
            let copies = if mode == Mode::Unicast { 4.0 } else { 1.0 };
            assert_eq!(sender.messages_sent, Some(400));
            assert_eq!(sender.copies_sent, Some(400 * copies as u64));
            assert_close(per_message(rows, sender, sender.link_tx_frames), copies, "frames on the sender's link");
        }
        for receiver in of(rows, mode, Role::Receiver) {
            let (received, lost) = (receiver.messages_received.unwrap(), receiver.messages_lost.unwrap());
            assert_eq!(received + lost, 400, "{mode} to {}", receiver.host);
            assert!(lost == 0 || !receiver.counts_valid, "{mode}: {lost} lost to {}, and no mark", receiver.host);
            assert_eq!(receiver.messages_duplicate, Some(0));
            assert_eq!(receiver.messages_unrecognized, Some(0));
            assert!(receiver.latency_p50_ns.unwrap() <= receiver.latency_p99_ns.unwrap());
        }
        for bystander in of(rows, mode, Role::Bystander) {
            assert_eq!(bystander.messages_received, None, "a bystander counts no messages");
        }
        // What left the switch's ports arrived at the hosts' links: both ends of every cable agree.
        for switch in of(rows, mode, Role::Switch) {
            let hosts = rows
                .iter()
                .filter(|r| r.role != Role::Switch && r.condition == switch.condition && r.trial == switch.trial);
            let (mut sent, mut received) = (0, 0);
            for host in hosts {
                sent += host.link_tx_frames.unwrap();
                received += host.link_rx_frames.unwrap();
            }
            assert_eq!((switch.link_rx_frames, switch.link_tx_frames), (Some(sent), Some(received)), "{mode}");
        }
    }
}

fn assert_bystanders(rows: &[HostRow], expected: &[(Mode, f64)]) {
    for &(mode, frames) in expected {
        let bystanders = of(rows, mode, Role::Bystander);
        assert!(bystanders.len() >= 2 * 3);
        for bystander in bystanders {
            // On a busy machine a link's ring may overflow, which is counted.
            let sent_to_it = bystander.link_rx_frames.zip(bystander.link_ring_dropped).map(|(got, not)| got + not);
            let sent_to_it = per_message(rows, bystander, sent_to_it);
            assert_close(sent_to_it, frames, &format!("{mode} frames at {}", bystander.host));
        }
    }
}

#[test]
fn bursts_are_counted_exactly_with_threads_and_without() {
    let Some(_machine) = the_machine() else { return };
    for who in everybody() {
        let bursts = ["--rate", "200", "--burst", "1,16,64", "--attribution", "threads,plain"];
        let (rows, _) = measured(who, &[&["--modes", "broadcast,multicast"], &bursts[..]].concat());
        for mode in [Mode::Broadcast, Mode::Multicast] {
            for (burst, attribution) in [1, 16, 64].into_iter().flat_map(|burst| [(burst, "threads"), (burst, "plain")])
            {
                let name = format!("{mode}-4-burst{burst}-{attribution}");
                let rows: Vec<HostRow> = rows.iter().filter(|row| row.condition == name).cloned().collect();
                let senders = of(&rows, mode, Role::Sender);
                assert!(senders.len() >= 2, "{name}");
                for sender in senders {
                    // 400 ms at 200 wake-ups a second.
                    assert_eq!((sender.wake_ups, sender.messages_sent), (Some(80), Some(80 * burst)), "{name}");
                    assert_eq!(sender.offered_rate, Some(200.0 * burst as f64));
                    assert_close(per_message(&rows, sender, sender.link_tx_frames), 1.0, "frames on the sender's link");
                    assert!(sender.machine_busy_ns.is_none_or(|busy| busy > 0), "{name}");
                }
                for host in rows.iter().filter(|row| row.role != Role::Switch) {
                    let told = host.cpu_method != "napi-threads" || attribution == "plain";
                    assert!(!told || host.cpu_total_ns.is_none(), "{name}: {} on plain links", host.host);
                }
                for receiver in of(&rows, mode, Role::Receiver) {
                    let (received, lost) = (receiver.messages_received.unwrap(), receiver.messages_lost.unwrap());
                    assert_eq!(received + lost, 80 * burst, "{name}");
                    assert!(lost == 0 || !receiver.counts_valid, "{name}: {lost} lost, and no mark");
                    if receiver.counts_valid {
                        assert_close(per_message(&rows, receiver, receiver.link_rx_frames), 1.0, "frames received");
                    }
                }
                let wanted = if mode == Mode::Broadcast { 1.0 } else { 0.0 };
                for bystander in of(&rows, mode, Role::Bystander).into_iter().filter(|row| row.counts_valid) {
                    assert_close(per_message(&rows, bystander, bystander.link_rx_frames), wanted, "frames for nobody");
                }
            }
        }
    }
}

#[test]
fn both_broadcast_addresses_reach_everybody() {
    let Some(_machine) = the_machine() else { return };
    for who in everybody() {
        let (rows, _) = measured(who, &["--modes", "broadcast", "--broadcast-address", "limited,directed"]);
        assert_bystanders(&rows, &[(Mode::Broadcast, 1.0)]);
        for address in ["limited", "directed"] {
            let condition = format!("broadcast-4-{address}");
            let rows: Vec<HostRow> = rows.iter().filter(|row| row.condition == condition).cloned().collect();
            assert_common(&rows, &[Mode::Broadcast]);
        }
    }
}

#[test]
fn a_snooping_switch_spares_bystanders_from_unicast_and_multicast() {
    let Some(_machine) = the_machine() else { return };
    for who in everybody() {
        let (rows, summary) = measured(who, &[]);
        assert_common(&rows, &Mode::OF_THE_NETWORK);
        assert_bystanders(
            &rows,
            &[(Mode::Unicast, 0.0), (Mode::Broadcast, 1.0), (Mode::RawBroadcast, 1.0), (Mode::Multicast, 0.0)],
        );
        assert_eq!(summary["event"], "summary");
        // A bystander of a multicast it did not join pays nothing at all in its kernel's receive path.
        for bystander in of(&rows, Mode::Multicast, Role::Bystander) {
            assert_eq!(bystander.cpu_kernel_rx_ns, Some(0), "{}", bystander.host);
        }
        for bystander in of(&rows, Mode::Broadcast, Role::Bystander) {
            assert!(bystander.cpu_kernel_rx_ns > Some(0), "broadcast costs {} nothing?", bystander.host);
            assert_eq!(bystander.udp_ignored_multi, Some(400), "a broadcast nobody listens to");
        }
        for bystander in of(&rows, Mode::RawBroadcast, Role::Bystander) {
            assert_eq!(bystander.ip_in_receives, Some(0), "a raw frame is not for IP");
            assert_eq!(bystander.link_rx_dropped, Some(400), "nobody handles its EtherType");
        }
    }
}

#[test]
fn a_flooding_switch_brings_multicast_to_everybody() {
    let Some(_machine) = the_machine() else { return };
    for who in everybody() {
        let (rows, _) = measured(who, &["--switch", "flooding"]);
        assert_common(&rows, &Mode::OF_THE_NETWORK);
        assert_bystanders(&rows, &[(Mode::Unicast, 0.0), (Mode::Broadcast, 1.0), (Mode::Multicast, 1.0)]);
        for bystander in of(&rows, Mode::Multicast, Role::Bystander) {
            assert_eq!(bystander.ip_not_joined, Some(400), "a group {} did not join ends at IP", bystander.host);
        }
    }
}

#[test]
fn a_hub_brings_everything_to_everybody() {
    let Some(_machine) = the_machine() else { return };
    for who in everybody() {
        let (rows, _) = measured(who, &["--switch", "hub"]);
        assert_common(&rows, &Mode::OF_THE_NETWORK);
        assert_bystanders(
            &rows,
            &[(Mode::Unicast, 4.0), (Mode::Broadcast, 1.0), (Mode::RawBroadcast, 1.0), (Mode::Multicast, 1.0)],
        );
        for bystander in of(&rows, Mode::Unicast, Role::Bystander) {
            let dropped = bystander.link_ring_dropped.unwrap();
            assert_eq!(bystander.link_rx_other_host, Some(4 * 400 - dropped), "all of them are not my MAC");
        }
        for receiver in of(&rows, Mode::Unicast, Role::Receiver).into_iter().filter(|r| r.link_ring_dropped == Some(0))
        {
            assert_eq!(receiver.link_rx_other_host, Some(3 * 400), "the copies for the three others");
        }
    }
}

#[test]
fn ipv6_has_everything_but_broadcast() {
    let Some(_machine) = the_machine() else { return };
    let (rows, summary) = measured(Who::Me, &["--ipv6"]);
    assert_common(&rows, &[Mode::Unicast, Mode::RawBroadcast, Mode::Multicast]);
    assert_bystanders(&rows, &[(Mode::Unicast, 0.0), (Mode::RawBroadcast, 1.0), (Mode::Multicast, 0.0)]);
    let codes: Vec<_> = summary["warnings"].as_array().unwrap().iter().map(|w| w["code"].clone()).collect();
    assert!(codes.contains(&Value::from("broadcast-skipped-ipv6")), "{codes:?}");
}

/// The lines of standard output from the one that begins so.
fn lines_from<'a>(text: &'a str, start: &str) -> Vec<&'a str> {
    text.lines().skip_while(|line| !line.starts_with(start)).collect()
}

#[test]
fn a_server_is_in_all_that_is_printed() {
    let Some(_machine) = the_machine() else { return };
    let out = open_folder();
    let mut command = support::netlab(Who::Me);
    command.args(small(&["--modes", "multicast,chat"])).arg("--out").arg(out.path().join("run"));
    let output = command.stdin(Stdio::null()).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let code = output.status.code();
    assert!(code == Some(0) || code == Some(3), "{code:?}: {}", String::from_utf8_lossy(&output.stderr));
    assert!(text.starts_with("1 sender · 4 receivers · 3 bystanders or 2 and a server · "), "{text}");
    // Its frames are the second figure; by multicast there is none.
    let table = lines_from(&text, "mode");
    let server = |line: &str| line.split_whitespace().nth(2).map(str::to_owned);
    assert_eq!(server(table[1]).as_deref(), Some("–"), "{text}");
    assert!(server(table[2]).unwrap().parse::<f64>().unwrap() > 0.0, "{text}");
    assert!(
        text.contains("\nchat: the server paid for the copies, the bystanders nothing. ")
            && text.contains("; the server, which makes the copies, sent ")
    );
    assert!(text.contains("   request to answer\n"), "{text}");
    let funnel = lines_from(&text, "at each");
    let places: Vec<&str> = funnel[0].split_whitespace().collect();
    assert_eq!(places, ["at", "each", "receiver", "bystander", "server", "receiver", "bystander"], "{text}");
    let tcp = funnel.iter().find(|line| line.starts_with("to TCP")).unwrap();
    let tcp: Vec<&str> = tcp.split_whitespace().skip(2).collect();
    assert_eq!((&tcp[..2], tcp[4]), (&["–", "–"][..], "0.00"), "{text}");
    assert!(tcp[2..4].iter().all(|amount| amount.parse::<f64>().unwrap() > 0.0), "{text}");
}

#[test]
fn the_seed_decides_the_order_of_the_trials() {
    let Some(_machine) = the_machine() else { return };
    let order = |seed: &str| {
        let (rows, _) = measured(Who::Me, &["--duration", "50ms", "--seed", seed]);
        let trials = rows.iter().filter(|r| r.role == Role::Switch).map(|r| (r.condition.clone(), r.trial));
        // Those that were planned; a busy machine gets more.
        trials.take(4 * 2).collect::<Vec<_>>()
    };
    let first = order("1");
    assert_eq!(first, order("1"));
    assert_ne!(first, order("2"));
}

/// A run in the background, long enough to be disturbed.
struct Disturbed {
    child: Child,
    _out: tempfile::TempDir,
    dir: PathBuf,
}

impl Disturbed {
    /// Started, and its first trial on disk.
    fn start(trials: &str) -> Disturbed {
        let out = open_folder();
        let dir = out.path().join("run");
        let mut command = support::netlab(Who::Me);
        command.args(small(&["--trials", trials])).arg("--out").arg(&dir);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let run = Disturbed { child, _out: out, dir };
        // Read while it is written, the file may for a moment end in half a row.
        let rows = || Store::read::<HostRow>(&run.dir).unwrap_or_default();
        wait_until("the first trial is on disk", || !rows().is_empty());
        run
    }

    /// Waits for the end; gives the exit code and what was said.
    fn end(self) -> (Option<i32>, String, PathBuf, tempfile::TempDir) {
        let output = self.child.wait_with_output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap(), self.dir, self._out)
    }
}

#[test]
fn an_interrupted_run_leaves_whole_trials() {
    let Some(_machine) = the_machine() else { return };
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let run = Disturbed::start("20");
        kill(Pid::from_raw(run.child.id() as i32), signal).unwrap();
        let (code, said, dir, _out) = run.end();
        assert_eq!(code, Some(130), "{said}");
        assert_whole(&dir, Status::Interrupted);
    }
}

#[test]
fn a_killed_run_leaves_whole_trials_and_nothing_else() {
    let Some(_machine) = the_machine() else { return };
    let run = Disturbed::start("20");
    let agents = agents_of(&run);
    assert_eq!(agents.len(), 8);
    kill(Pid::from_raw(run.child.id() as i32), Signal::SIGKILL).unwrap();
    let (code, said, dir, _out) = run.end();
    assert_eq!(code, None, "{said}");
    wait_until("the agents are gone", || agents.iter().all(|pid| !Path::new(&format!("/proc/{pid}")).exists()));
    assert_whole(&dir, Status::Running);
}

#[test]
fn a_trial_that_lost_a_host_is_left_out_and_the_next_has_all_hosts_again() {
    let Some(_machine) = the_machine() else { return };
    let run = Disturbed::start("4");
    // The last host is a bystander, the third a receiver.
    for host in ["h8", "h3"] {
        let (pid, _) =
            agents_of(&run).into_iter().map(|pid| (pid, interface_of(pid))).find(|(_, i)| i == host).unwrap();
        kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
    }
    let (code, said, dir, _out) = run.end();
    assert!(code == Some(0) || code == Some(3), "{code:?}: {said}");
    assert!(said.contains("h8 was lost") && said.contains("h3 was lost"), "{said}");
    let rows = assert_whole(&dir, Status::Complete);
    assert!(rows.len() >= 4 * 4 * 9);
    let mut lost: Vec<&str> = Vec::new();
    let trials: Vec<&[HostRow]> = rows.chunks(9).collect();
    for trial in &trials {
        for row in *trial {
            let is_lost = row.invalid_reason.contains(&format!("{} was lost", row.host));
            assert_eq!(is_lost, row.link_rx_frames.is_none(), "{row:?}");
            lost.extend(is_lost.then_some(row.host.as_str()));
        }
        if trial.iter().any(|row| row.link_rx_frames.is_none()) {
            assert!(trial.iter().all(|row| !row.counts_valid && !row.valid), "{trial:?}");
        }
    }
    lost.sort_unstable();
    assert_eq!(lost, ["h3", "h8"], "each once: the trial after had all hosts again");

    // Each figure is of trials with all four receivers and three bystanders.
    let summary = Store::read::<SummaryRow>(&dir).unwrap();
    for mode in Mode::OF_THE_NETWORK {
        let counted = trials.iter().filter(|trial| trial[0].mode == mode && trial.iter().all(|row| row.counts_valid));
        let counted = counted.count() as u64;
        for (role, metric) in [("receiver", "delivered"), ("bystander", "link_rx_frames"), ("all", "link_frames")] {
            let row = find(&summary, mode, role, metric);
            assert_eq!(row.map_or(0, |row| row.n), counted, "{mode} {role} {metric}");
        }
    }
}

/// Whole trials only, and a `run.json` that says how the run ended.
fn assert_whole(dir: &Path, status: Status) -> Vec<HostRow> {
    let rows = Store::read::<HostRow>(dir).unwrap();
    assert!(!rows.is_empty() && rows.len().is_multiple_of(9), "{} rows", rows.len());
    assert_eq!(Store::read_metadata(dir).unwrap().status, status);
    rows
}

/// Process IDs of a run's agents.
fn agents_of(run: &Disturbed) -> Vec<i32> {
    let guard = run.child.id();
    let children = |pid: u32| -> Vec<u32> {
        let text = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        text.split_whitespace().map(|pid| pid.parse().unwrap()).collect()
    };
    children(guard).into_iter().flat_map(children).map(|pid| pid as i32).collect()
}

fn interface_of(pid: i32) -> String {
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap();
    String::from_utf8(line).unwrap().split('\0').nth(3).unwrap_or_default().to_owned()
}

#[test]
fn a_folder_whose_name_is_no_text_is_as_good_as_any() {
    let Some(_machine) = the_machine() else { return };
    let out = open_folder();
    let dir = out.path().join(OsStr::from_bytes(b"q\xff"));
    let mut command = support::netlab(Who::Me);
    command.args(small(&["--hosts", "3", "--receivers", "1", "--trials", "1", "--modes", "unicast"])).arg("--out");
    let output = command.arg(&dir).stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(matches!(output.status.code(), Some(0 | 3)), "{said}");
    assert!(dir.join("report.html").exists(), "{said}");
    let command_line = Store::read_metadata(&dir).unwrap().command_line;
    assert!(command_line.last().is_some_and(|out| out.ends_with("/q\\xff")), "{command_line:?}");
}

#[test]
fn impossible_plans_are_refused_before_anything_is_made() {
    for (args, named) in [
        ("--receivers 8", "--receivers 8"),
        ("--hosts 1 --receivers 1", "--hosts 1"),
        ("--hosts 2000", "--hosts 2000"),
        ("--size 8", "--size 8"),
        ("--size 9000", "--size 9000"),
        ("--rate 0", "--rate"),
        ("--trials 0", "--trials 0"),
        ("--burst 0", "--burst 0"),
        ("--burst 1,65 --modes unicast", "--burst 65"),
        ("--burst 257 --modes broadcast", "256 messages at once"),
        ("--burst 16 --rate max", "--burst 16"),
        ("--modes anycast", "anycast"),
        ("--switch router", "router"),
        ("--out /proc/nowhere/run", "--out"),
    ] {
        let mut command = support::netlab(Who::Me);
        let output = command.args(small(&args.split(' ').collect::<Vec<_>>())).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{args}: {said}");
        assert!(said.contains(named), "{args}: {said}");
    }
}

#[test]
fn where_namespaces_are_refused_both_remedies_are_named() {
    // In a user namespace of its own this test may forbid network namespaces, as an administrator would.
    let mut command = std::process::Command::new("unshare");
    command.args(["--user", "--map-root-user", "sh", "-c"]);
    command.arg("echo 0 > /proc/sys/user/max_net_namespaces && exec \"$0\" \"$@\"");
    command.arg(support::program()).args(small(&[]));
    if !require_namespaces() {
        return;
    }
    let output = command.stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(4), "{said}");
    assert!(said.contains("sudo") && said.contains("sysctl"), "{said}");
    assert!(output.stdout.is_empty());
}
