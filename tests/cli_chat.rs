//! `netlab chat serve` and `join` as programs: through pipes, on a terminal, in a group; what they refuse, how they end.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use netlab::chat::server::{Counts, Relay};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

#[path = "support/chat.rs"]
mod chat;
#[path = "support/cli.rs"]
mod cli;
#[path = "support/terminal.rs"]
mod terminal;

use chat::{Peer, server};
use cli::{Done, NETLAB, Running, have, netlab};
use terminal::OnTerminal;

/// A server as a program, on any port of loopback.
#[track_caller]
fn served(options: &str) -> (Running, SocketAddr) {
    let running = Running::start(&format!("chat serve --listen 127.0.0.1:0 --json {options}"));
    let address = running.first_line.strip_prefix("listening on ").and_then(|rest| rest.split(',').next());
    let address = address.and_then(|address| address.parse().ok());
    (address.map(|address| (running, address))).unwrap_or_else(|| panic!("no address in its first line"))
}

/// Ends a server with Ctrl-C.
#[track_caller]
fn interrupted(server: Running) -> Counts {
    server.signal(Signal::SIGINT);
    serde_json::from_value(server.wait().expect(0).summary()).expect("the counts")
}

/// `netlab chat join` with pipes.
struct Piped {
    child: Child,
    input: Option<ChildStdin>,
}

impl Piped {
    #[track_caller]
    fn start(args: &str) -> Piped {
        let mut command = Command::new(NETLAB);
        command.args(["chat", "join"]).args(args.split_whitespace());
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("netlab starts");
        let input = child.stdin.take();
        Piped { child, input }
    }

    fn say(&mut self, lines: &str) {
        self.input.as_mut().expect("a pipe").write_all(lines.as_bytes()).expect("it reads");
    }

    /// Its events, one by one as they come.
    fn events(&mut self) -> impl FnMut() -> Value + use<> {
        let mut lines = BufReader::new(self.child.stdout.take().expect("a pipe")).lines();
        move || serde_json::from_str(&lines.next().expect("an event").expect("it is UTF-8")).expect("it is JSON")
    }

    /// Closes its input and waits for its end.
    fn done(mut self) -> Done {
        drop(self.input.take());
        self.child.wait_with_output().expect("it can be waited for").into()
    }
}

fn events(done: &Done) -> Vec<Value> {
    done.out.lines().map(|line| serde_json::from_str(line).expect("each line is JSON")).collect()
}

#[test]
fn through_pipes() {
    let (server, address) = served("");
    let mut bob = Peer::join(address, "bob");
    let mut ann = Piped::start(&format!("{address} --name ann"));
    assert_eq!(bob.line(), "JOINED ann");
    ann.say("hello\n\n/msg bob for you\n/list\n/dance\n/msg eve hello\n/name Ann\n//x\nno end");
    assert_eq!(bob.line(), "MSG ann hello");
    assert_eq!(bob.line(), "PRIVATE ann for you");
    assert_eq!(bob.line(), "RENAMED ann Ann");
    let done = ann.done().expect(0);
    assert_eq!(bob.line(), "MSG Ann /x");
    assert_eq!(bob.line(), "MSG Ann no end");
    assert_eq!(bob.line(), "LEFT Ann leave");
    let expected = "ann: hello\n* told bob alone\n* here: ann, bob\n\
                    ! nobody here has that name; LIST tells who is here\n* you are Ann\nAnn: /x\nAnn: no end\n";
    let (refused, heard): (Vec<_>, Vec<_>) = done.out.lines().partition(|line| line.contains("/dance"));
    assert_eq!(refused, ["! there is no /dance; /help says what there is"]);
    assert_eq!(heard.join("\n") + "\n", expected);
    assert!(done.err.starts_with(&format!("joined the chat at {address} as ann\n")), "{done:?}");

    let counts = interrupted(server);
    assert_eq!((counts.messages_read, counts.copies_written, counts.clients_most), (4, 7, 2));
    assert_eq!(bob.rest(), ["DROPPED shutdown the server is closing"]);
}

/// A line that cannot be said is told of, the last one too.
#[test]
fn lines_of_a_file_that_are_not_utf_8() {
    let (server, address) = served("");
    let mut ann = Piped::start(&format!("{address} --name ann"));
    let input = ann.input.as_mut().unwrap();
    input.write_all(b"gr\xfcn\nthen\nh\xc3").unwrap();
    let done = ann.done().expect(0);
    let (refused, heard): (Vec<_>, Vec<_>) = done.out.lines().partition(|line| line.starts_with('!'));
    assert_eq!((refused, heard), (vec!["! a line is UTF-8"; 2], vec!["ann: then"]));
    assert_eq!(interrupted(server).messages_read, 1);
}

/// More than the server takes at its usual rate: the client waits until all of it is said.
#[test]
fn a_long_file_is_said_to_its_end() {
    const LINES: usize = 2_500;
    let (server, address) = served("");
    let mut ann = Piped::start(&format!("{address} --name ann"));
    ann.say(&(0..LINES).map(|number| format!("line {number}\n")).collect::<String>());
    let done = ann.done().expect(0);
    let expected = (0..LINES).map(|number| format!("ann: line {number}"));
    assert!(done.out.lines().eq(expected), "{} lines", done.out.lines().count());
    assert_eq!(interrupted(server).messages_read, LINES as u64);
}

#[test]
fn events_as_json_and_a_listener_that_stays() {
    let server = server(Relay::Queued);
    let address = server.local_addr();
    let listener = Piped::start(&format!("{address} --name log --json --stay"));
    chat::wait_for(&server, "the listener has joined", |counts| counts.clients_now == 1);
    let log_pid = listener.child.id();
    let waiting = thread::spawn(move || listener.done());
    let mut ann = Peer::join(address, "ann");
    ann.say("TELL log \"quoted\"");
    ann.line_with("OK TELL");
    ann.say("SAY and\tout");
    ann.say("LEAVE");
    ann.rest();
    let mut eve = Peer::join(address, "eve");
    eve.say("PING 1");
    eve.line_with("PONG");
    kill(Pid::from_raw(log_pid as i32), Signal::SIGINT).unwrap();
    assert_eq!(eve.line(), "LEFT log leave");
    let done = waiting.join().unwrap().expect(0);
    let expected = [
        json!({"event": "joined", "name": "ann"}),
        json!({"event": "private", "from": "ann", "text": "\"quoted\""}),
        json!({"event": "message", "from": "ann", "text": "and\tout"}),
        json!({"event": "left", "name": "ann", "reason": "leave"}),
        json!({"event": "joined", "name": "eve"}),
    ];
    assert_eq!(events(&done), expected);
}

#[test]
fn what_is_refused() {
    for (args, words) in [
        ("chat", &["serve", "join", "SAY text"][..]),
        ("chat serve --listen example.org", &["--listen", "'example.org' is not an address"]),
        ("chat serve --relay shared", &["--relay", "direct, queued"]),
        ("chat serve --max-clients 0", &["--max-clients"]),
        ("chat serve --queue 4k", &["--queue", "8k or more"]),
        ("chat serve --dead-after 10ms", &["--dead-after", "1s to 1h"]),
        ("chat serve --rate 0", &["--rate"]),
        ("chat serve --listen 192.0.2.1", &["192.0.2.1 is not an address of this host"]),
        ("chat join 127.0.0.1", &["--name"]),
        ("chat join --name ann", &["ADDR", "--multicast"]),
        ("chat join 127.0.0.1 --name a!b", &["--name", "letters, digits"]),
        ("chat join 127.0.0.1:0 --name ann", &["1 to 65535"]),
        ("chat join 127.0.0.1 --name ann -i lo", &["--interface"]),
        ("chat join 127.0.0.1 --multicast 239.1.1.1 --name ann", &["--multicast"]),
        ("chat join --multicast 10.0.0.1 --name ann", &["--multicast 10.0.0.1", "not a group"]),
        ("chat join --multicast 239.1.1.1 -i nope0 --name ann", &["--interface nope0"]),
    ] {
        let done = netlab(args).expect(2);
        assert_eq!(done.out, "", "{args}");
        for word in words {
            assert!(done.err.contains(word), "{args}: no '{word}' in {}", done.err);
        }
    }
}

#[test]
fn a_server_that_cannot_be_had() {
    let taken = server(Relay::Queued);
    let address = taken.local_addr();
    let done = netlab(&format!("chat serve --listen {address}")).expect(1);
    assert!(done.err.contains(&format!("{address} is in use by another program")), "{done:?}");

    let _ann = Peer::join(address, "ann");
    let done = netlab(&format!("chat join {address} --name ann")).expect(1);
    assert!(done.err.contains("another at") && done.err.contains("has that name"), "{done:?}");

    taken.stop();
    let done = netlab(&format!("chat join {address} --name ann")).expect(1);
    assert!(
        done.err.contains(&format!("no chat server listens at {address}\nStart one there: netlab chat serve")),
        "{done:?}"
    );
}

#[test]
fn something_that_is_no_chat_server() {
    for (greeting, words) in [
        ("220 smtp ESMTP", "is no chat server of netlab: it begins with \"220 smtp ESMTP\""),
        ("SSH-2.0-OpenSSH_9.9\r\n", "is no chat server of netlab: it begins with \"SSH-2.0-OpenSSH_9.9\""),
        ("HELLO netlab-chat/2 x=y\n", "speaks \"netlab-chat/2\", this netlab netlab-chat/1"),
        ("ERROR full no more\n", "refuses: no more"),
        ("", "closed the connection before anybody had joined"),
    ] {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let other = thread::spawn(move || listener.accept().unwrap().0.write_all(greeting.as_bytes()));
        let done = netlab(&format!("chat join {address} --name ann")).expect(1);
        other.join().unwrap().unwrap();
        assert!(done.err.contains(words), "{done:?}");
    }
}

#[test]
fn a_client_whose_server_ends() {
    for orderly in [true, false] {
        let server = server(Relay::Queued);
        let address = server.local_addr();
        let ann = Piped::start(&format!("{address} --name ann --stay"));
        chat::wait_for(&server, "ann has joined", |counts| counts.clients_now == 1);
        let words = if orderly {
            server.stop();
            "the server has ended this: the server is closing"
        } else {
            server.kill();
            "the server has closed the connection"
        };
        // Its input is still open.
        let done = Done::from(ann.child.wait_with_output().unwrap()).expect(1);
        assert!(done.err.contains(words), "{done:?}");
    }
}

/// Any shell is a client, with nothing but a stream.
#[test]
fn other_programs_speak_it() {
    let (server, address) = served("");
    let port = address.port();
    let lines = r"JOIN ann\nSAY hello\nRENAME Žofie\nnonsense\nLEAVE\n";
    let expected = "OK JOIN ann\nMSG ann hello\nOK RENAME Žofie\n";
    let mut scripts = vec![("bash", format!("exec 3<>/dev/tcp/127.0.0.1/{port}; printf '{lines}' >&3; cat <&3"))];
    if have(&["nc"]) {
        scripts.push(("sh", format!("printf '{lines}' | nc 127.0.0.1 {port}")));
    }
    for (shell, script) in scripts {
        let done: Done = Command::new(shell).args(["-c", &script]).stdin(Stdio::null()).output().unwrap().into();
        let done = done.expect(0);
        let (hello, rest) = done.out.split_once('\n').unwrap();
        assert!(hello.starts_with("HELLO netlab-chat/1 "), "{done:?}");
        let (before, after) = rest.split_once("ERROR unknown-request ").unwrap_or_else(|| panic!("{done:?}"));
        assert_eq!(before, expected, "{shell}");
        assert!(after.ends_with("\nOK LEAVE\n"), "{done:?}");
    }
    interrupted(server);
}

/// Loops that wait cost nothing: nobody in an idle server runs.
#[test]
fn an_idle_server_sleeps() {
    for relay in Relay::ALL {
        let (server, address) = served(&format!("--relay {relay}"));
        let peers: Vec<_> = (0..50).map(|number| Peer::join(address, &format!("peer{number}"))).collect();
        let mut last = peers.into_iter().map(|mut peer| {
            // Whatever was to be told of the others has come.
            peer.say("PING 1");
            peer.line_with("PONG");
            peer
        });
        let peers: Vec<_> = last.by_ref().collect();
        let pid = server.pid();
        let switches = || -> u64 {
            let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
            let of = |task: fs::DirEntry| {
                let status = fs::read_to_string(task.path().join("status")).unwrap();
                let counts = status.lines().filter_map(|line| line.split_once("_ctxt_switches:\t"));
                counts.map(|(_, count)| count.parse::<u64>().unwrap()).sum::<u64>()
            };
            tasks.map(|task| of(task.unwrap())).sum()
        };
        // A thread may still be on its way from its last answer to its next wait.
        let deadline = Instant::now() + Duration::from_secs(20);
        let mut before = switches();
        loop {
            thread::sleep(Duration::from_millis(500));
            let after = switches();
            if after == before {
                break;
            }
            assert!(Instant::now() < deadline, "{relay}: its threads wake up for nothing");
            before = after;
        }
        // One that accepts, one for each client, the program's own, the one that tells who comes, and with the queued
        // relay the one that flushes.
        let threads = fs::read_dir(format!("/proc/{pid}/task")).unwrap().count();
        assert_eq!(threads, 53 + usize::from(relay == Relay::Queued));
        drop(peers);
        interrupted(server);
    }
}

#[test]
fn who_comes_and_goes_is_told() {
    let (mut server, address) = served("--max-clients 2");
    let at = |peer: &Peer| peer.stream().local_addr().unwrap();
    let mut told = |expected: String| assert_eq!(server.line_with(" here"), Some(expected));
    let mut ann = Peer::join(address, "ann");
    told(format!("ann has come from {}; 1 here", at(&ann)));
    let bob = Peer::join(address, "bob");
    told(format!("bob has come from {}; 2 here", at(&bob)));
    ann.say("RENAME Ann");
    told("ann is now Ann; 2 here".to_owned());
    bob.reset();
    told("bob was lost: the connection broke; 1 here".to_owned());
    ann.say("LEAVE");
    told("Ann has gone; 0 here".to_owned());
    ann.rest();
    let mut silent = Peer::connect(address);
    // What is closed with unread bytes is reset.
    silent.line();
    let (_second, mut third) = (Peer::join(address, "carl"), Peer::connect(address));
    assert!(third.line().starts_with("ERROR full "));
    let turned_away = format!("{} was turned away: no place left", at(&third));
    assert_eq!(server.line_with("turned away"), Some(turned_away));
    let never = format!("{} never joined: it closed the connection", at(&silent));
    drop(silent);
    assert_eq!(server.line_with("never joined"), Some(never));
    // All of them going at the end is not told.
    server.signal(Signal::SIGINT);
    let done = server.wait().expect(0);
    assert!(!done.err.contains("carl has gone"), "{done:?}");

    let (mut quiet, address) = served("--quiet");
    Peer::join(address, "ann").say("LEAVE");
    quiet.signal(Signal::SIGINT);
    assert_eq!(quiet.line_with("ann"), None);
    assert_eq!(interrupted(quiet).clients_joined, 1);
}

/// A terminal that is stopped, a pipe that is full: what is not told is counted, and nobody waits for it.
#[test]
fn nobody_waits_for_whoever_should_read_who_comes() {
    const JOINS: usize = 1_000;
    let came_and_gone = || {
        let (server, address) = served("--rate max");
        server.narrow();
        for number in 0..JOINS {
            let mut peer = Peer::join(address, &format!("peer{number}"));
            peer.say("LEAVE");
            assert_eq!(peer.rest(), ["OK LEAVE"]);
        }
        let mut ann = Peer::join(address, "ann");
        ann.say("PING still?");
        assert_eq!(ann.line(), "PONG still?");
        ann.say("SAY still");
        assert_eq!(ann.line(), "MSG ann still");
        (server, ann)
    };
    let (mut server, ann) = came_and_gone();
    let (told, missed) = server.comings(2 * JOINS + 1);
    assert!(missed > 0, "the pipe took all of it, so nothing was tested");
    assert_eq!(told + missed, 2 * JOINS + 1);
    // And from now on all is told again.
    drop(ann);
    assert_eq!(server.next_line().as_deref(), Some("ann has gone: it closed the connection; 0 here"));
    interrupted(server);

    let (server, _ann) = came_and_gone();
    server.signal(Signal::SIGINT);
    let done = server.wait_unread().expect(0);
    assert!(
        done.err.lines().filter(|line| line.ends_with(" here")).count() < JOINS,
        "it was read, so nothing was tested"
    );
}

#[test]
fn without_a_server() {
    let group = "--multicast 239.77.4.7 -i lo --json";
    let mut ann = Piped::start(&format!("{group} --name ann"));
    let mut ann_hears = ann.events();
    ann.say("alone\n");
    assert_eq!(ann_hears(), json!({"event": "message", "from": "ann", "text": "alone"}), "the author too");
    let mut bob = Piped::start(&format!("{group} --name bob"));
    let mut bob_hears = bob.events();
    assert_eq!(ann_hears(), json!({"event": "joined", "name": "bob"}));
    assert_eq!(bob_hears(), json!({"event": "present", "name": "ann"}), "who comes late has missed what was said");
    bob.say("hello\n/name ann\n");
    for hears in [&mut ann_hears, &mut bob_hears] {
        assert_eq!(hears(), json!({"event": "message", "from": "bob", "text": "hello"}));
        assert_eq!(hears(), json!({"event": "namesakes", "name": "ann"}), "nobody keeps them from it");
    }
    assert_eq!(ann_hears(), json!({"event": "renamed", "old": "bob", "new": "ann"}));
    assert_eq!(bob_hears(), json!({"event": "name", "name": "ann"}));
    bob.say("/list\n/msg ann secret\n");
    assert_eq!(bob_hears(), json!({"event": "here", "names": ["ann", "ann"], "more": 0}));
    let done = bob.done().expect(0);
    assert!(done.err.contains("needs a server"), "{done:?}");
    assert_eq!(ann_hears(), json!({"event": "left", "name": "ann", "reason": "leave"}));
    let done = ann.done().expect(0);
    assert!(done.err.starts_with("joined 239.77.4.7:4747 on lo as ann, without a server\n"), "{done:?}");
}

/// What one says is heard before one has gone, though nobody else is there.
#[test]
fn without_a_server_or_anybody() {
    let mut ann = Piped::start("--multicast 239.77.4.8 -i lo --name ann");
    ann.say(&(0..100).map(|number| format!("line {number}\n")).collect::<String>());
    let done = ann.done().expect(0);
    assert!(done.out.lines().eq((0..100).map(|number| format!("ann: line {number}"))), "{done:?}");
}

/// A client on a terminal.
fn ann_on_terminal(address: SocketAddr) -> OnTerminal {
    let terminal = OnTerminal::start(&format!("chat join {address} --name ann"));
    terminal.shows("ann> ");
    terminal
}

#[test]
fn on_a_terminal_what_arrives_does_not_tear_what_is_typed() {
    let server = server(Relay::Queued);
    let mut ann = ann_on_terminal(server.local_addr());
    let mut bob = Peer::join(server.local_addr(), "bob");
    ann.shows("* bob has come");
    ann.keys("helXlo");
    ann.shows("helXlo");
    bob.say("SAY hi \u{2713}");
    ann.shows("bob: hi \u{2713}");
    let screen = ann.screen();
    let after = screen.split("bob: hi \u{2713}").nth(1).unwrap();
    assert!(after.is_empty() || "\r\nann> helXlo".starts_with(&after[..after.len().min(2)]), "{after:?}");
    // Three to the left, delete the X, and send.
    ann.keys("\x1b[D\x1b[D\x7f\r");
    assert_eq!(bob.line(), "MSG bob hi \u{2713}");
    assert_eq!(bob.line(), "MSG ann hello");
    // The line stands there as it was typed; it is not shown twice.
    bob.say("SAY done");
    ann.shows("bob: done");
    let screen = ann.screen();
    assert!(screen.split("bob: hi").nth(1).unwrap().contains("ann> helXlo"), "drawn anew below: {screen:?}");
    assert!(!screen.contains("ann: hello"), "{screen:?}");
    ann.keys("/name Ann\r");
    ann.shows("Ann> ");
    ann.keys("/quit\r");
    assert_eq!(bob.line_with("LEFT"), "LEFT Ann leave");
    assert_eq!(ann.ended(), 0);
}

#[test]
fn on_a_terminal_it_ends_in_many_ways() {
    for way in ["Ctrl-C", "Ctrl-D", "the server stops", "the server is killed"] {
        let server = server(Relay::Queued);
        let mut ann = ann_on_terminal(server.local_addr());
        ann.keys("half a li");
        ann.shows("half a li");
        let code = match way {
            "Ctrl-C" => {
                ann.keys("\x03");
                0
            }
            "Ctrl-D" => {
                // The line is to be empty for that.
                ann.keys("\x15\x04");
                0
            }
            "the server stops" => {
                server.stop();
                1
            }
            _ => {
                server.kill();
                1
            }
        };
        assert_eq!(ann.ended(), code, "{way}");
    }
}
