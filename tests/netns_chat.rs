//! The chat on a virtual LAN: hosts that vanish, limits by address, and the group that a switch delivers to.

#[path = "support/cli.rs"]
mod cli;

use cli::{Done, in_lan};
use netlab::chat::server::Counts;

/// Runs a script that has to end with code 0.
#[track_caller]
fn run(options: &str, script: &str) -> Option<Done> {
    in_lan(options, script).map(|done| done.expect(0))
}

/// A host is unplugged: its connection stands half open. The server finds out, with something under way to it or not,
/// and goes on with the others.
#[test]
fn half_open_connections() {
    // What the direct relay has under way to a dead client waits for as long as the kernel likes, as in the lecture.
    let said = "echo hello >&3; await 'ann: hello' ann";
    for (relay, said) in [("queued", said), ("queued", ""), ("direct", "")] {
        let script = format!(
            "on h1 netlab chat serve --listen 10.77.0.1 --relay {relay} --dead-after 1s --json >server 2>err & server=$!
             await listening err
             mkfifo keys; exec 3<>keys
             on h2 netlab chat join 10.77.0.1 --name gone --stay </dev/null >gone 2>&1 & gone=$!
             await 'joined the chat' gone
             on h3 netlab chat join 10.77.0.1 --name ann <keys >ann 2>&1 & ann=$!
             await 'joined the chat' ann
             on h2 ip link set h2 down
             {said}
             await 'gone was lost' ann
             echo 'still here' >&3
             await 'ann: still here' ann
             echo /quit >&3
             wait $ann
             kill -INT $server; wait $server
             kill -KILL $gone
             cat server"
        );
        let Some(done) = run("--hosts 3", &script) else { return };
        let counts: Counts = serde_json::from_value(done.summary()).unwrap();
        assert_eq!((counts.clients_joined, counts.clients_lost, counts.clients_dropped_slow), (2, 1, 0), "{relay}");
        assert_eq!(counts.connections_now, 0, "{relay}");
    }
}

#[test]
fn connections_from_one_address() {
    let Some(done) = run(
        "--hosts 3",
        "on h1 netlab chat serve --listen 10.77.0.1 --max-per-address 2 --json >server 2>err & server=$!
         await 'no passwords' err
         mkfifo keys; exec 3<>keys
         for name in one two; do
             on h2 netlab chat join 10.77.0.1 --name $name --stay <keys >$name 2>&1 &
             await 'joined the chat' $name
         done
         if on h2 netlab chat join 10.77.0.1 --name three </dev/null 2>refused; then exit 50; fi
         grep -q 'no more clients are served from your address' refused
         echo 'from another host' | on h3 netlab chat join 10.77.0.1 --name ann
         kill -INT $server; wait $server
         cat server",
    ) else {
        return;
    };
    let counts: Counts = serde_json::from_value(done.summary()).unwrap();
    assert_eq!((counts.clients_joined, counts.connections_refused), (3, 1));
}

#[test]
fn a_server_that_does_not_answer() {
    let Some(done) = run(
        "--hosts 2",
        "if on h1 netlab chat join 10.77.0.9 --name ann </dev/null; then exit 50; fi
         if on h1 netlab chat join 10.99.0.1 --name ann </dev/null; then exit 51; fi",
    ) else {
        return;
    };
    assert!(done.err.contains("no way to 10.77.0.9") && done.err.contains("no way to 10.99.0.1"), "{done:?}");
}

/// A group's datagrams reach its members only, and nobody but they: the chat needs no server on a LAN.
#[test]
fn a_group_without_a_server() {
    for (options, group, of) in [("--hosts 3", "239.77.4.7", ""), ("--hosts 3 --ipv6", "ff02::4:7", "-i ")] {
        let interface = |host: &str| if of.is_empty() { String::new() } else { format!("{of}{host}") };
        let script = format!(
            "mkfifo keys; exec 3<>keys
             on h1 netlab chat join --multicast {group} {} --name ann <keys >ann 2>&1 & ann=$!
             await 'without a server' ann
             # Until the switch has heard of it, nothing of the group gets there.
             await_member {group}
             echo 'hello all' | on h2 netlab chat join --multicast {group} {} --name bob >bob 2>&1
             await 'bob: hello all' ann
             await 'bob has gone' ann
             echo /quit >&3
             wait $ann
             cat bob ann",
            interface("h1"),
            interface("h2")
        );
        let Some(done) = run(options, &script) else { return };
        assert!(done.out.contains("* bob has come"), "{done:?}");
    }
}
