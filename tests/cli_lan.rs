//! The three modes by hand on a virtual LAN, and what `recv` says when nothing arrives.

use std::thread;

#[path = "support/cli.rs"]
mod cli;
#[path = "support/terminal.rs"]
mod terminal;

use cli::{Done, have, in_lan};
use terminal::OnTerminal;

/// Runs a script that has to end with code 0.
#[track_caller]
fn run(options: &str, script: &str) -> Option<Done> {
    in_lan(options, script).map(|done| done.expect(0))
}

/// A `recv` on h2 hears a `send` on h1, to the last message.
#[test]
fn each_mode_crosses_the_switch() {
    for (mode, recv, send) in [
        ("unicast", "unicast", "unicast --to 10.77.0.2"),
        ("broadcast", "broadcast", "broadcast"),
        ("broadcast", "broadcast --interface h2", "broadcast --interface h1 --to directed"),
        ("raw-broadcast", "broadcast --raw", "broadcast --raw"),
        ("multicast", "multicast --group 239.77.1.1", "multicast --group 239.77.1.1"),
        ("multicast", "multicast --group 232.77.1.1 --source 10.77.0.1", "multicast --group 232.77.1.1"),
    ] {
        let script = format!(
            "on h2 netlab {recv} recv --count 200 --json >out 2>err & receiver=$!
             await listening err
             on h1 netlab {send} send --count 200 --json
             wait $receiver
             cat err >&2; cat out"
        );
        let Some(done) = run("--hosts 2", &script) else { return };
        assert!(done.err.contains(&format!("listening for {mode} on ")), "{done:?}");
        assert_eq!(done.summary()["mode"], mode, "{done:?}");
        assert_eq!((done.figure("messages_received"), done.figure("messages_lost")), (200, 0), "{done:?}");
    }
}

#[test]
fn ipv6_crosses_the_switch() {
    for (recv, send) in [
        ("unicast", "unicast --to fd77::2"),
        ("multicast --group ff02::4:77%h2", "multicast --group ff02::4:77 --interface h1"),
    ] {
        let script = format!(
            "on h2 netlab {recv} recv --count 50 --json >out 2>err & receiver=$!
             await listening err
             on h1 netlab {send} send --count 50 --json
             wait $receiver
             cat out"
        );
        let Some(done) = run("--hosts 2 --ipv6", &script) else { return };
        assert_eq!((done.figure("messages_received"), done.figure("messages_lost")), (50, 0), "{done:?}");
    }
}

#[test]
fn a_frame_holds_no_more_than_the_mtu() {
    let Some(done) = in_lan("--hosts 2", "on h1 netlab broadcast --raw --size 1501 send --count 1") else { return };
    let done = done.expect(2);
    assert!(done.err.contains("--size 1501") && done.err.contains("1500"), "{done:?}");
    run("--hosts 2", "on h1 netlab broadcast --raw --size 1500 send --count 1");
}

/// What `recv` on h2 says after 3 s while `traffic` goes on.
#[track_caller]
fn explanation(options: &str, recv: &str, traffic: &str) -> Option<String> {
    let script = format!(
        "on h2 netlab {recv} recv >out 2>err & receiver=$!
         await listening err
         {{ {traffic}
         }} >traffic.out 2>&1 || {{ cat traffic.out >&2; exit 98; }}
         await 'nothing in' err
         kill -INT $receiver
         wait $receiver
         cat out err"
    );
    let done = run(options, &script)?;
    assert!(done.out.contains("received       0 messages"), "{done:?}");
    Some(unwrapped(&done.out))
}

fn unwrapped(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn silence_is_explained_by_the_layer_it_comes_from() {
    let multicast = "multicast --group 239.77.1.1";
    // A hub brings everything to h2, and no querier or snooping switch adds to it.
    let cases = [
        ("unicast", ":", &["0 frames in at", "Not one frame reached this host"][..]),
        (
            "unicast",
            "on h1 netlab unicast --to 10.77.0.2:5000 send --count 5",
            &["5 for ports nobody listens on", "is it port 4747 that the sender sends to"],
        ),
        (
            "unicast --interface h2",
            "on h1 netlab unicast --to 10.77.0.3 send --count 5",
            &["of them not for this MAC", "an old neighbour entry"],
        ),
        (
            multicast,
            "on h1 netlab multicast --group 239.77.1.2 send --count 5",
            &["5 frames in at h2, 5 IP packets, 5 of them neither delivered nor in error", "groups nobody here joined"],
        ),
        (
            multicast,
            "on h1 netlab multicast --group 239.77.1.1 --port 5000 send --count 5",
            &["5 to groups or broadcasts nobody wanted", "compare group and port 4747"],
        ),
        (
            "broadcast",
            "on h1 netlab broadcast --raw send --count 5",
            &["5 frames in at", "0 IP packets", "none with an IP packet"],
        ),
        (
            "broadcast --raw",
            "on h1 netlab broadcast send --count 5",
            &["5 frames in at h2", "none of EtherType 0x88B5"],
        ),
        (
            "broadcast",
            "on h1 netlab unicast --to 10.77.0.2 send --count 5",
            &["5 UDP datagrams taken by sockets", "none of them was a broadcast to port 4747"],
        ),
    ];
    // Most of the time each of them waits: all at once.
    thread::scope(|scope| {
        for (recv, traffic, words) in cases {
            scope.spawn(move || {
                let Some(told) = explanation("--hosts 3 --switch hub", recv, traffic) else { return };
                for word in words {
                    assert!(told.contains(word), "{recv} while {traffic}: no {word:?} in: {told}");
                }
            });
        }
    });
}

#[test]
fn a_firewall_is_suspected() {
    if !have(&["nft"]) {
        return;
    }
    let traffic = "on h2 nft add table ip t
        on h2 nft 'add chain ip t in { type filter hook input priority 0; policy drop; }'
        on h1 netlab unicast --to 10.77.0.2 send --count 5";
    let Some(told) = explanation("--hosts 2 --switch hub", "unicast", traffic) else { return };
    assert!(told.contains("5 of them neither delivered nor in error"), "{told}");
    assert!(told.contains("stopped by a firewall"), "{told}");
}

#[test]
fn the_reverse_path_filter_is_found_out() {
    if !have(&["ip", "socat"]) {
        return;
    }
    let traffic = "on h2 ip route del default 2>/dev/null || :
        on h2 ip route del 224.0.0.0/4 2>/dev/null || :
        on h2 sh -c 'echo 1 > /proc/sys/net/ipv4/conf/all/rp_filter'
        on h1 ip address add 192.0.2.1/24 dev h1
        on h1 ip neigh replace 10.77.0.2 lladdr $(on h2 cat /sys/class/net/h2/address) dev h1
        on h1 socat - UDP4-DATAGRAM:10.77.0.2:4747,bind=192.0.2.1 < /proc/version";
    let Some(told) = explanation("--hosts 2", "unicast", traffic) else { return };
    assert!(told.contains("1 dropped by rp_filter") && told.contains("all.rp_filter is 1"), "{told}");
}

/// The prompt says where one is, with the person's own files read before, whatever the shell.
#[test]
fn the_prompt_says_where_one_is() {
    if run("--hosts 2", ":").is_none() {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let path = home.path().display();
    for (file, text) in [
        // As some do, the prompt is set each time.
        (".bashrc", "mine=yes; PROMPT_COMMAND='PS1=\"mine> \"'\n"),
        (".zshrc", "mine=yes; PS1='mine> '\n"),
        ("env", "mine=yes; PS1='mine> '\n"),
    ] {
        std::fs::write(home.path().join(file), text).unwrap();
    }
    std::fs::create_dir_all(home.path().join(".config/fish")).unwrap();
    std::fs::write(
        home.path().join(".config/fish/config.fish"),
        "set mine yes\nfunction fish_prompt\n echo -n 'mine> '\nend\n",
    )
    .unwrap();
    for shell in ["bash", "zsh", "fish", "dash"] {
        if !have(&[shell]) {
            continue;
        }
        let environment =
            format!("HOME={path} ZDOTDIR={path} XDG_CONFIG_HOME={path}/.config ENV={path}/env SHELL={shell}");
        let mut terminal = OnTerminal::start_with(&environment, "lan shell --hosts 2");
        terminal.shows("[switch] mine> ");
        terminal.keys("on h2\r");
        terminal.shows("You are on h2; `exit` leads back.");
        terminal.shows("[h2] mine> ");
        terminal.keys("echo $mine $NETLAB_HERE\r");
        terminal.shows("yes h2");
        terminal.keys("exit\r");
        // Once more.
        terminal.keys("echo back at $NETLAB_HERE\r");
        terminal.shows("back at switch");
        terminal.keys("exit\r");
        let screen = terminal.screen();
        // Dash cannot give the terminal back to a process group outside of its namespace, and says so.
        let code = if shell == "dash" { 2 } else { 0 };
        assert_eq!(terminal.ended(), code, "{shell}: {screen:?}");
    }
}

#[test]
fn counts_tell_what_came_since_the_last_look() {
    let script = "counts >first
        on h1 netlab broadcast send --count 20 >sent
        counts h3 >second
        counts h3 >third
        counts h9 && exit 1
        cat first second third";
    let Some(done) = run("--hosts 3 --switch hub", script) else { return };
    let rows: Vec<Vec<&str>> = done.out.lines().map(|line| line.split_whitespace().collect()).collect();
    let names: Vec<_> = rows.iter().map(|row| row[0]).collect();
    assert_eq!(names, ["since", "h1", "h2", "h3", "since", "h3", "since", "h3"], "{done:?}");
    assert_eq!(rows[5], ["h3", "20", "0", "0"], "{done:?}");
    assert_eq!(rows[7], ["h3", "0", "0", "0"], "{done:?}");
    assert!(done.err.contains("no host 'h9'; the hosts are h1 to h3"), "{done:?}");
}

#[test]
fn programs_at_the_switch_talk_to_each_other() {
    let script = "netlab chat serve 2>err & server=$!
        await listening err
        echo hello | netlab chat join 127.0.0.1 --name ann
        kill -INT $server
        wait $server";
    let Some(done) = run("--hosts 2", script) else { return };
    assert!(done.out.starts_with("ann: hello\n"), "{done:?}");
}

/// In the background the terminal is the shell's: lines, and no progress over the prompt.
#[test]
fn in_the_background_no_progress_is_drawn() {
    if run("--hosts 2", ":").is_none() {
        return;
    }
    let mut terminal = OnTerminal::start_with("SHELL=/bin/bash", "lan shell --hosts 2");
    terminal.shows("[switch] ");
    terminal.keys("on h2 netlab unicast recv --duration 2s & wait; echo all is over\r");
    terminal.shows("\nall is over");
    let screen = terminal.screen();
    let from = screen.find("listening for").expect("a line");
    let shown = &screen[from..];
    assert!(shown.contains("received       0 messages"), "{shown:?}");
    assert!(!shown.contains("0 messages ·") && !shown.contains(" % · "), "{shown:?}");
    // In the foreground it is.
    terminal.keys("on h2 netlab unicast recv --duration 2s\r");
    terminal.shows(" % · ");
    terminal.keys("exit\r");
    assert_eq!(terminal.ended(), 0);
}
