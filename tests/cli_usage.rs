//! What the command line refuses, with which exit code and words, and the flags it knows.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::net::UdpSocket;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use nix::ifaddrs::getifaddrs;
use nix::net::if_::InterfaceFlags;
use nix::unistd::geteuid;

#[path = "support/cli.rs"]
mod cli;

use cli::{Done, NETLAB, netlab, netlab_with};

/// Arguments, and what the message has to say. All of them end with code 2 and nothing on standard output.
const REFUSED: &[(&str, &[&str])] = &[
    ("", &["Usage"]),
    ("anycast", &["anycast"]),
    ("unicast", &["send|recv"]),
    ("unicast both", &["both", "send, recv"]),
    ("unicast send", &["--to ADDR"]),
    ("multicast send", &["--group"]),
    // Addresses.
    ("unicast --to example.org send", &["--to", "'example.org' is not an address", "192.168.1.7"]),
    ("unicast --to 10.0.0.256 send", &["--to", "not an address"]),
    ("unicast --to 10.0.0.1:0 send", &["--to", "1 to 65535"]),
    ("unicast --to 127.0.0.1,::1 send", &["--to", "different address families"]),
    ("unicast --to 239.1.1.1 send", &["--to 239.1.1.1", "netlab multicast --group 239.1.1.1"]),
    ("unicast --to 255.255.255.255 send", &["--to", "netlab broadcast"]),
    ("unicast --to 0.0.0.0 send", &["--to 0.0.0.0"]),
    ("unicast --to fe80::1 send", &["--to fe80::1", "link-local", "%"]),
    ("unicast --to fe80::1%nope0 send", &["--to", "'nope0'", "lo"]),
    ("broadcast --to ::1 send", &["--to", "IPv6 has no broadcast"]),
    ("broadcast --to 239.1.1.1 send", &["--to", "is a group"]),
    ("broadcast --to 10.0.0.255:9 send", &["--to", "--port"]),
    ("multicast --group 10.0.0.1 send", &["--group 10.0.0.1", "not a multicast group", "224.0.0.0"]),
    ("multicast --group 10.0.0.1 recv", &["--group 10.0.0.1", "not a multicast group"]),
    ("multicast --group nonsense recv", &["--group", "not an address"]),
    ("multicast --group 239.1.1.1,ff02::1 send", &["--group", "different address families"]),
    ("multicast --group 239.1.1.1,239.1.1.1 send", &["--group 239.1.1.1", "twice"]),
    ("multicast --group 239.1.1.1:9 send", &["--group", "--port"]),
    ("multicast --group ff02::1%nope0 recv", &["--group", "'nope0'", "lo"]),
    ("multicast --group 239.1.1.1 --source ::1 recv", &["--source ::1", "different address families"]),
    ("multicast --group 232.1.1.1 --source 232.1.1.2 recv", &["--source", "not one host's address"]),
    // Interfaces.
    ("unicast --interface nope0 --to 127.0.0.1 send", &["--interface", "'nope0'", "there are", "lo"]),
    ("multicast --interface nope0 --group 239.1.1.1 recv", &["--interface", "'nope0'", "there are", "lo"]),
    ("broadcast --interface lo send --count 1", &["lo", "broadcast"]),
    ("broadcast --to directed --interface lo send --count 1", &["lo", "broadcast"]),
    // Numbers.
    ("unicast --to 127.0.0.1 --rate 0 send", &["--rate", "a rate of 0 sends nothing", "max"]),
    ("unicast --to 127.0.0.1 --rate fast send", &["--rate", "'fast' is not a rate"]),
    ("unicast --to 127.0.0.1 --rate -5 send", &["--rate", "'-5' is not a rate"]),
    ("unicast --to 127.0.0.1 --size 0 send", &["--size", "at least 1 byte"]),
    ("unicast --to 127.0.0.1 --size 65508 send --count 1", &["--size", "65507"]),
    ("unicast --to ::1 --size 65528 send --count 1", &["--size", "65527"]),
    ("unicast --to 127.0.0.1 --count 0 send", &["--count", "1.."]),
    ("unicast --to 127.0.0.1 --count -1 send", &["--count", "-1"]),
    ("unicast --to 127.0.0.1 --count 1 send --count 2", &["--count", "multiple times"]),
    ("unicast --to 127.0.0.1 --duration 5 send", &["--duration", "500ms"]),
    ("unicast --to 127.0.0.1 --duration 0s send", &["--duration", "500ms"]),
    ("unicast --to 127.0.0.1 --dscp 64 send", &["--dscp", "64"]),
    ("unicast --to 127.0.0.1 --port 0 send", &["--port", "1..=65535"]),
    ("multicast --group 239.1.1.1 --ttl -1 send", &["--ttl", "-1"]),
    ("multicast --group 239.1.1.1 --ttl 256 send", &["--ttl", "256"]),
    // Beyond this site.
    ("unicast --to 8.8.8.8 send --count 1", &["8.8.8.8", "--allow-public"]),
    ("unicast --to 127.0.0.1,8.8.8.8 send --count 1", &["8.8.8.8", "--allow-public"]),
    ("unicast --to ::ffff:8.8.8.8 send --count 1", &["8.8.8.8", "--allow-public"]),
    ("unicast --to 2001:4860:4860::8888 send --count 1", &["2001:4860:4860::8888", "--allow-public"]),
    // Flags that do not go together.
    ("unicast --to 127.0.0.1 --csv x send", &["--csv goes with recv"]),
    ("unicast recv --to 127.0.0.1", &["--to goes with send"]),
    ("unicast recv --rate 10", &["--rate goes with send"]),
    ("unicast recv --size 10", &["--size goes with send"]),
    ("unicast recv --message hi", &["--message goes with send"]),
    ("unicast recv --dscp 1", &["--dscp goes with send"]),
    ("unicast recv --allow-public", &["--allow-public goes with send"]),
    ("broadcast recv --to limited", &["--to goes with send"]),
    ("multicast --group 239.1.1.1 recv --ttl 2", &["--ttl goes with send"]),
    ("multicast --group 239.1.1.1 --no-loop recv", &["--no-loop goes with send"]),
    ("multicast --group 232.1.1.1 send --source 10.0.0.1", &["--source goes with recv"]),
    ("unicast --to 127.0.0.1 --message hi --size 9 send", &["--message", "--size"]),
    ("broadcast --raw --to directed send", &["--to", "--raw"]),
    ("broadcast --raw --port 5000 recv", &["--port", "--raw"]),
    ("broadcast --raw --dscp 5 send", &["--dscp", "--raw"]),
    // Files.
    ("unicast recv --csv /nonexistent/file.csv", &["--csv /nonexistent/file.csv", "No such file"]),
    ("unicast recv --csv /", &["--csv /"]),
    ("completions tcsh", &["tcsh", "bash"]),
];

#[test]
fn bad_usage_ends_with_code_2_and_says_what_would_be_right() {
    for (args, words) in REFUSED {
        let done = netlab(args);
        assert_eq!((done.code, done.out.as_str()), (Some(2), ""), "netlab {args}: {done:?}");
        for word in *words {
            assert!(unwrapped(&done.err).contains(word), "netlab {args}: no {word:?} in: {}", done.err);
        }
    }
    let empty = netlab_with(&["unicast", "--to", "127.0.0.1", "send", "--message", ""]).expect(2);
    assert!(empty.err.contains("--message is empty"), "{empty:?}");
}

/// Messages are wrapped to the terminal's width: one line again.
fn unwrapped(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Every subcommand with arguments that are no UTF-8, each `?` a byte that none has.
#[test]
fn arguments_that_are_no_text_are_refused_or_taken() {
    for line in [
        "?",
        "unicast --to ? send",
        "unicast --to 127.0.0.1 --message ? send",
        "unicast --csv /nonexistent/? --duration 10ms recv",
        "unicast --interface ? --duration 10ms recv",
        "broadcast --to ? send",
        "broadcast --raw --interface ? --count 1 send",
        "multicast --group ? recv",
        "multicast --group 239.1.1.1 --source ? recv",
        "chat serve --listen ?",
        "chat join ? --name ann",
        "chat join 127.0.0.1:1 --name ?",
        "pubsub broker --listen ?",
        "pubsub broker --user ann --password-file /nonexistent/?",
        "pubsub publish --topic ? --message x",
        "pubsub publish --broker 127.0.0.1:1 --reconnect 0s --topic t --message ?",
        "pubsub subscribe --topic ?",
        "pubsub subscribe --broker mqtts://127.0.0.1:1 --ca /nonexistent/? --topic t",
        "measure --modes ?",
        "measure --hosts 1 --out ?",
        "measure --out /proc/nowhere/?",
        "report /nonexistent/?",
        "lab list ?",
        "lab show ?",
        "lab show ?.toml",
        "lab check ?.toml",
        "lab run ?",
        "lab run ?.toml",
        "lab run one-to-many --out /proc/nowhere/?",
        "lan shell --switch ?",
        "agent --interface ?",
        "router --forward ?",
        "completions ?",
    ] {
        let no_text = |byte: u8| if byte == b'?' { 0xff } else { byte };
        let args = line.split(' ').map(|word| OsString::from_vec(word.bytes().map(no_text).collect()));
        let output = Command::new(NETLAB).args(args).stdin(Stdio::null()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(matches!(output.status.code(), Some(1 | 2 | 4)), "netlab {line}: {:?}: {said}", output.status);
        assert!(!said.is_empty() && !said.contains("panicked"), "netlab {line}: {said}");
    }
}

#[test]
fn an_environment_that_is_no_text_is_no_obstacle() {
    for args in [&["--help"][..], &["lab", "list"], &["pubsub", "publish", "--topic", "t", "--broker", "127.0.0.1:1"]] {
        let mut command = Command::new(NETLAB);
        for name in ["TERM", "LANG", "COLUMNS", "LINES", "HOME", "TMPDIR", "PATH", "NETLAB_PASSWORD", "NO_COLOR"] {
            command.env(name, OsStr::from_bytes(b"\xff"));
        }
        let output = command.args(args).stdin(Stdio::null()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code().is_some_and(|code| code < 3) && !said.contains("panicked"), "{args:?}: {said}");
    }
}

/// Before anything is made, and with the figure that is needed.
#[test]
fn a_lan_for_which_there_are_too_few_open_files_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    for (args, files) in [
        (vec!["measure", "--hosts", "101", "--out", out.to_str().unwrap()], 4 * 101 + 32),
        (vec!["lab", "run", "two-hundred-users", "--quick", "--out", out.to_str().unwrap()], 4 * 201 + 32),
        (vec!["lan", "shell", "--hosts", "101", "--", "true"], 4 * 101 + 32),
        (vec!["lan", "shell", "--hosts", "100", "--lans", "2", "--", "true"], 4 * 102 + 32),
    ] {
        let mut shell = Command::new("sh");
        shell.args(["-c", "ulimit -n 64; exec \"$0\" \"$@\"", NETLAB]).args(&args);
        let done = Done::from(shell.stdin(Stdio::null()).output().unwrap()).expect(4);
        for words in [format!("take {files} open files"), format!("--nofile={files}:{files}"), "8 at most".to_owned()] {
            assert!(done.err.contains(&words), "{args:?}: {done:?}");
        }
    }
    assert!(!out.exists(), "no half-made folder");
}

#[test]
fn a_port_in_use_is_explained() {
    let taken = UdpSocket::bind("0.0.0.0:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let done = netlab_with(&["unicast", "recv", "--port", &port, "--duration", "1s"]).expect(1);
    assert!(done.err.contains(&port) && done.err.contains("in use") && done.err.contains("--port"), "{done:?}");
}

#[test]
fn raw_frames_need_a_privilege() {
    let Some(interface) = interface_with_broadcast() else {
        eprintln!("SKIPPED: no interface here knows broadcast");
        return;
    };
    // As nobody; the build folder may be out of nobody's reach, so from a copy.
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let copy = folder.path().join("netlab");
    // By `cp`: a file that this process had open for writing might be in the hands of another test's fork, and busy.
    assert!(Command::new("cp").arg(NETLAB).arg(&copy).status().unwrap().success());
    for direction in ["recv", "send"] {
        let mut command = Command::new(&copy);
        command.args(["broadcast", "--raw", "--interface", &interface, "--count", "1", direction]).stdin(Stdio::null());
        if geteuid().is_root() {
            command.uid(65534).gid(65534);
        }
        let done = Done::from(command.output().unwrap()).expect(4);
        assert!(done.err.contains("sudo") && done.err.contains("cap_net_raw"), "{done:?}");
    }
}

/// One that is up: which frames could leave by, if they were permitted.
fn interface_with_broadcast() -> Option<String> {
    let wanted = InterfaceFlags::IFF_UP | InterfaceFlags::IFF_BROADCAST;
    getifaddrs().ok()?.find(|interface| interface.flags.contains(wanted)).map(|interface| interface.interface_name)
}

#[test]
fn help_and_version_are_no_failure() {
    assert!(netlab("--version").expect(0).out.starts_with("netlab 0."));
    let help = netlab("--help").expect(0).out;
    for command in ["unicast", "broadcast", "multicast", "completions"] {
        assert!(help.contains(&format!("\n  {command} ")), "{help}");
    }
    assert!(help.contains("netlab multicast --group 239.1.1.1 recv"), "{help}");
}

/// Every flag with its unit or default in its help, flag names as promised.
#[test]
fn the_flags_are_those_promised() {
    let shared =
        "--allow-public --count --csv --dscp --duration --help --interface --json --message --port --rate --size";
    for (mode, own) in
        [("unicast", "--to"), ("broadcast", "--raw --to"), ("multicast", "--group --no-loop --source --ttl")]
    {
        let promised: BTreeSet<&str> = shared.split(' ').chain(own.split(' ')).collect();
        let help = netlab(&format!("{mode} --help")).expect(0).out;
        assert_eq!(promised, flags_listed(&help), "{help}");
        assert!(help.contains("Examples:"), "{help}");
        // The same help from behind the direction.
        assert_eq!(netlab(&format!("{mode} send --help")).expect(0).out, help);
    }
}

/// The flags that start a line of a help text.
fn flags_listed(help: &str) -> BTreeSet<&str> {
    help.lines()
        .map(str::trim_start)
        .filter(|line| line.starts_with('-'))
        .filter_map(|line| line.split([' ', ',']).find(|word| word.starts_with("--")))
        .collect()
}

#[test]
fn completions_know_the_flags() {
    for (shell, mark) in [("bash", "complete -F"), ("zsh", "#compdef netlab"), ("fish", "complete -c netlab")] {
        let script = netlab(&format!("completions {shell}")).expect(0).out;
        assert!(script.contains(mark) && script.contains("allow-public"), "{shell}");
    }
}

#[test]
fn output_that_cannot_be_written_is_a_failure() {
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let done = Command::new(NETLAB).args(["completions", "fish"]).stdout(full).stderr(Stdio::piped()).output().unwrap();
    let done = Done::from(done).expect(1);
    assert!(done.err.contains("writing to standard output: No space left"), "{done:?}");
}

/// A reader that goes away early (`netlab … | head -1`) is no failure and no panic.
#[test]
fn a_closed_pipe_ends_quietly() {
    for args in [&["--help"][..], &["completions", "bash"], &["unicast", "--help"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let done = Command::new(NETLAB).args(args).stdout(writer).stderr(Stdio::piped()).output().unwrap();
        let done = Done::from(done).expect(0);
        assert_eq!(done.err, "", "{args:?}");
    }
}
