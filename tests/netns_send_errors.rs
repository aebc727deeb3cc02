//! What the kernel refuses while `send` runs: a link that goes down and comes up again, a firewall for a moment, an
//! interface that is taken away. The run goes on where it can, and tells what it counted either way.

use serde_json::Value;

#[path = "support/mod.rs"]
mod support;

use support::{Who, everybody, lan_says, require_namespaces, require_program};

/// `start NAME FLAGS…` sends in the background on this host; `sends NAME yes|no` waits for a whole second in which it
/// did or did not; `finish NAME [SIGNAL]` waits for its end and prints its exit code and its summary.
const PRELUDE: &str = r#"
set -u
scratch=$(mktemp -d); trap 'rm -rf "$scratch"' EXIT; cd "$scratch"
start() {
    name=$1; shift
    netlab "$@" --json send >$name.out 2>$name.err &
    echo $! >$name.pid
}
await() {
    tries=0
    until "$@"; do
        tries=$((tries + 1))
        [ $tries -lt 400 ] || { echo "waited in vain: $*" >&2; cat *.out *.err >&2; exit 99; }
        sleep 0.05
    done
}
last_second() {
    tail -n 1 $1.out | grep -q '"event":"interval"' || return 1
    tail -n 1 $1.out | grep -q '"messages_sent":0' && said=no || said=yes
    [ $said = $2 ]
}
sends() { await last_second $1 $2; }
finish() {
    [ $# -lt 2 ] || kill -$2 $(cat $1.pid)
    wait $(cat $1.pid)
    echo "$1 $?"
    tail -n 1 $1.out
}
"#;

/// What `finish` printed of each sender: its name, exit code and summary.
fn run(who: Who, options: &[&str], script: &str) -> Vec<(String, i32, Value)> {
    let said = lan_says(who, options, &format!("{PRELUDE}{script}"));
    let lines: Vec<_> = said.lines().collect();
    let finished = lines.chunks(2).map(|pair| {
        let (name, code) = pair[0].split_once(' ').unwrap_or_else(|| panic!("{said}"));
        let summary: Value = serde_json::from_str(pair[1]).unwrap_or_else(|error| panic!("{error}: {said}"));
        assert_eq!(summary["event"], "summary", "{said}");
        (name.to_owned(), code.parse().unwrap(), summary)
    });
    finished.collect()
}

fn figure(summary: &Value, key: &str) -> u64 {
    summary[key].as_u64().unwrap_or_else(|| panic!("no {key}: {summary}"))
}

/// Every way of sending, by name. The link is that of host h1.
const WAYS: [(&str, &str); 7] = [
    ("unicast", "unicast --to 10.77.0.2"),
    ("tied", "unicast --to 10.77.0.2 -i h1"),
    ("fan", "unicast --to 10.77.0.2,10.77.0.3 -i h1"),
    ("broadcast", "broadcast -i h1"),
    ("raw", "broadcast --raw -i h1"),
    ("multicast", "multicast --group 239.77.1.1 -i h1"),
    ("multicast6", "multicast --group ff02::77 -i h1"),
];

fn for_all(ways: &[(&str, &str)], line: impl Fn(&str, &str) -> String) -> String {
    ways.iter().map(|(name, flags)| line(name, flags) + "\n").collect()
}

#[test]
fn a_link_that_goes_down_and_comes_up_again() {
    if !require_namespaces() {
        return;
    }
    for who in everybody() {
        // On h1, whose link it is; one of them as fast as it can, all until they are told to end.
        let script = format!(
            "{}start unpaced broadcast --raw -i h1 --rate max --duration 5m
             {}sends unpaced yes
             ip link set h1 down
             {}sends unpaced no
             ip link set h1 up
             {}sends unpaced yes
             {}finish unpaced INT",
            for_all(&WAYS, |name, flags| format!("start {name} {flags} --rate 200 --duration 5m")),
            for_all(&WAYS, |name, _| format!("sends {name} yes")),
            for_all(&WAYS, |name, _| format!("sends {name} no")),
            for_all(&WAYS, |name, _| format!("sends {name} yes")),
            for_all(&WAYS, |name, _| format!("finish {name} INT")),
        );
        let finished = on_h1(who, &["--hosts", "3", "--ipv6"], &script);
        assert_eq!(finished.len(), WAYS.len() + 1);
        for (name, code, summary) in finished {
            assert_eq!(code, 130, "{who:?} {name}: {summary}");
            assert!(
                figure(&summary, "messages_sent") > 0 && figure(&summary, "copies_failed") > 0,
                "{name}: {summary}"
            );
            let reason = summary["first_failure"].as_str().unwrap();
            assert!(reason.contains("Network is "), "{name}: {reason}");
        }
    }
}

#[test]
fn a_link_that_is_down_from_some_time_on() {
    if !require_namespaces() {
        return;
    }
    let script = "start raw broadcast --raw -i h1 --rate 500 --count 1500
                  sends raw yes
                  ip link set h1 down
                  finish raw";
    let [(_, code, summary)] = &on_h1(Who::Me, &["--hosts", "2"], script)[..] else { panic!("one sender") };
    let (sent, refused) = (figure(summary, "messages_sent"), figure(summary, "copies_failed"));
    // All were tried, and a copy that was refused is a failure.
    assert!(*code == 1 && sent > 0 && refused > 0 && sent + refused == 1500, "{code} {summary}");
    let error = summary["error"].as_str().unwrap();
    assert!(error.contains(" of 1,500 not sent: Network is down"), "{error}");
}

#[test]
fn a_firewall_for_a_moment_and_for_good() {
    if !require_namespaces() || !require_program("nft") {
        return;
    }
    let ways: Vec<_> = WAYS.into_iter().filter(|(name, _)| *name != "raw").collect();
    let script = format!(
        "{}{}
         nft 'add table inet netlab_test
              add chain inet netlab_test out {{ type filter hook output priority 0; policy drop; }}'
         {}
         start none unicast --to 10.77.0.2 --count 20
         finish none
         nft delete table inet netlab_test
         {}{}",
        for_all(&ways, |name, flags| format!("start {name} {flags} --rate 200 --duration 5m")),
        for_all(&ways, |name, _| format!("sends {name} yes")),
        for_all(&ways, |name, _| format!("sends {name} no")),
        for_all(&ways, |name, _| format!("sends {name} yes")),
        for_all(&ways, |name, _| format!("finish {name} INT")),
    );
    let mut finished = on_h1(Who::Me, &["--hosts", "3", "--ipv6"], &script);
    // Nothing at all was permitted.
    let (_, code, none) = finished.remove(0);
    assert_eq!((code, figure(&none, "messages_sent"), figure(&none, "copies_failed")), (4, 0, 20), "{none}");
    assert!(none["error"].as_str().unwrap().contains("nft list ruleset"), "{none}");
    for (name, code, summary) in finished {
        assert_eq!(code, 130, "{name}: {summary}");
        assert!(figure(&summary, "messages_sent") > 0 && figure(&summary, "copies_failed") > 0, "{name}: {summary}");
        let reason = summary["first_failure"].as_str().unwrap();
        assert!(reason.contains("Operation not permitted"), "{name}: {reason}");
    }
}

#[test]
fn an_interface_that_is_taken_away_ends_it_with_a_summary() {
    if !require_namespaces() {
        return;
    }
    for who in everybody() {
        let ways: Vec<_> = WAYS.into_iter().filter(|(_, flags)| flags.contains("-i h1")).collect();
        let script = format!(
            "{}start unpaced broadcast --raw -i h1 --rate max --duration 5m
             {}sends unpaced yes
             ip link delete h1
             {}finish unpaced",
            for_all(&ways, |name, flags| format!("start {name} {flags} --rate 200 --duration 5m")),
            for_all(&ways, |name, _| format!("sends {name} yes")),
            for_all(&ways, |name, _| format!("finish {name}")),
        );
        let finished = on_h1(who, &["--hosts", "3", "--ipv6"], &script);
        assert_eq!(finished.len(), ways.len() + 1);
        for (name, code, summary) in finished {
            assert_eq!(code, 1, "{who:?} {name}: {summary}");
            assert!(figure(&summary, "messages_sent") > 0, "{name}: {summary}");
            let error = summary["error"].as_str().unwrap_or_else(|| panic!("{name}: {summary}"));
            assert!(error.contains(" by h1") && error.contains("the interface is gone: "), "{name}: {error}");
        }
    }
}

/// Runs it on host h1.
fn on_h1(who: Who, options: &[&str], script: &str) -> Vec<(String, i32, Value)> {
    run(who, options, &format!("cat >script <<'END'\n{PRELUDE}{script}\nEND\non h1 sh script"))
}

#[test]
fn a_chat_without_a_server_goes_on() {
    if !require_namespaces() {
        return;
    }
    let script = format!(
        "{PRELUDE}mkfifo keys; exec 3<>keys
         on h1 netlab chat join --multicast 239.77.4.7 -i h1 --name ann --json <keys >ann 2>err &
         ann=$!
         await grep -q 'without a server' err
         on h1 ip link set h1 down
         echo lost >&3
         await grep -q not-sent ann
         on h1 ip link set h1 up
         speaks() {{ echo heard >&3; grep -q heard ann; }}
         await speaks
         echo /quit >&3
         wait $ann
         echo \"ended $?\"
         cat ann err"
    );
    let said = lan_says(Who::Me, &["--hosts", "2"], &script);
    assert!(said.starts_with("ended 1\n"), "{said}");
    assert!(said.contains(r#"{"event":"refused","code":"not-sent","text":"not sent: "#), "{said}");
    assert!(said.contains(r#"{"event":"message","from":"ann","text":"heard"}"#), "{said}");
    assert!(said.contains(" not sent: sending to the group by h1: Network is unreachable"), "{said}");
}
