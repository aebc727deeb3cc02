//! `scripts/netns-lan.sh`: the LAN in iproute2 commands does what the built-in one does, and cleans up only what it made.
//! It needs root and iproute2; without them the tests say so and are skipped (with NETLAB_REQUIRE_NETNS=1 they fail).

mod support;

use std::process::{Command, Output};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/netns-lan.sh");

fn script(arguments: &str) -> Output {
    Command::new("sh").arg(SCRIPT).args(arguments.split_whitespace()).output().expect("there is a shell")
}

fn succeeds(arguments: &str) -> String {
    let output = script(arguments);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{arguments}: {said}\n{}", String::from_utf8_lossy(&output.stderr));
    said
}

/// The named namespaces there are.
fn namespaces() -> Vec<String> {
    let output = Command::new("ip").args(["netns", "list"]).output().expect("ip is installed");
    let listed = String::from_utf8(output.stdout).unwrap();
    let mut names: Vec<_> = listed.lines().filter_map(|line| Some(line.split(' ').next()?.to_owned())).collect();
    names.sort();
    names
}

fn on(host: &str, command: &str) -> Command {
    let mut run = Command::new("ip");
    run.args(["netns", "exec", host, "sh", "-c", command]);
    run
}

/// Takes the LAN down even when the test fails.
struct Down;

impl Drop for Down {
    fn drop(&mut self) {
        script("down");
    }
}

/// One test, as there is one such LAN a machine.
#[test]
fn it_makes_the_lan_and_removes_no_more_than_it_made() {
    if !nix::unistd::geteuid().is_root() || !support::require_program("bridge") {
        let required = std::env::var_os("NETLAB_REQUIRE_NETNS").is_some_and(|value| value == "1");
        assert!(!required, "NETLAB_REQUIRE_NETNS=1, and this is not root with iproute2");
        eprintln!("\n*** SKIPPED: scripts/netns-lan.sh needs root and iproute2\n");
        return;
    }
    let before = namespaces();
    assert!(!before.iter().any(|name| name.starts_with("netlab-")), "a LAN of the script is up already");
    for (kind, bystander_frames) in [("snooping", 0), ("flooding", 20), ("hub", 20)] {
        let _down = Down;
        let said = succeeds(&format!("up --hosts 3 --switch {kind}"));
        assert!(said.contains("netlab-h3") && said.contains("10.77.0.3"), "{said}");
        assert_eq!(namespaces().len(), before.len() + 4);
        succeeds("status");
        assert!(succeeds("up").contains("up already"), "a second time changes nothing");

        let netlab = support::program().display().to_string();
        let frames = || -> u64 {
            let output = on("netlab-h3", "ip -s -j link show dev h3").output().unwrap();
            let links: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
            links[0]["stats64"]["rx"]["packets"].as_u64().unwrap()
        };
        let mut receiver = support::listening(on(
            "netlab-h2",
            &format!("exec {netlab} multicast --group 239.1.1.1 --interface h2 recv --count 20 --duration 20s --json"),
        ));
        let quiet = frames();
        let sent = on("netlab-h1", &format!("{netlab} multicast --group 239.1.1.1 --interface h1 send --count 20"));
        assert!({ sent }.output().unwrap().status.success());
        assert!(receiver.wait().unwrap().success());
        // Membership reports may come on top, fewer of them than messages.
        let got = frames() - quiet;
        assert!((bystander_frames..bystander_frames + 10).contains(&got), "{kind}: {got} frames at the bystander");

        succeeds("down");
        assert_eq!(namespaces(), before);
    }
    // A namespace of somebody else is left alone, and what was made before it was met is gone again.
    assert!(Command::new("ip").args(["netns", "add", "netlab-h2"]).status().unwrap().success());
    let output = script("up --hosts 3");
    let left = namespaces();
    assert!(Command::new("ip").args(["netns", "delete", "netlab-h2"]).status().unwrap().success());
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("netlab-h2"));
    assert_eq!(left.len(), before.len() + 1, "{left:?}");
    assert_eq!(namespaces(), before);
}
