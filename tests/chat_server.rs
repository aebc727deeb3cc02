//! The chat server as a client sees it that speaks in plain lines: the lecture's promises, and the two relays'.

use std::io::{BufRead, ErrorKind, Write};
use std::thread;
use std::time::{Duration, Instant};

use netlab::chat::server::{Relay, ServerOptions};

#[path = "support/chat.rs"]
mod chat;

use chat::{Peer, options, serve, server, wait_for};

#[test]
fn a_conversation() {
    for relay in Relay::ALL {
        let server = server(relay);
        let mut ann = Peer::connect(server.local_addr());
        assert_eq!(ann.line(), format!("HELLO netlab-chat/1 max-line=4096 max-name=32 max-text=4000 relay={relay}"));
        ann.say("JOIN ann");
        assert_eq!(ann.line(), "OK JOIN ann");
        let mut bob = Peer::join(server.local_addr(), "bob");
        assert_eq!(ann.line(), "JOINED bob");

        ann.say("SAY hello,  bob ");
        assert_eq!(ann.line(), "MSG ann hello,  bob ", "the author gets it too");
        assert_eq!(bob.line(), "MSG ann hello,  bob ");
        bob.say("TELL ann just for you\r");
        assert_eq!(bob.line(), "OK TELL ann");
        assert_eq!(ann.line(), "PRIVATE bob just for you");

        bob.say("LIST");
        assert_eq!(bob.line(), "NAMES 0 ann bob");
        bob.say("RENAME Žofie");
        assert_eq!(bob.line(), "OK RENAME Žofie");
        assert_eq!(ann.line(), "RENAMED bob Žofie");
        bob.say("SAY it is me");
        assert_eq!(ann.line(), "MSG Žofie it is me");
        assert_eq!(bob.line(), "MSG Žofie it is me");
        ann.say("PING 17");
        assert_eq!(ann.line(), "PONG 17");

        bob.say("LEAVE");
        assert_eq!(bob.rest(), ["OK LEAVE"]);
        assert_eq!(ann.line(), "LEFT Žofie leave");
        let mut bob = Peer::join(server.local_addr(), "bob");
        assert_eq!(ann.line(), "JOINED bob", "the name is free again");
        drop(ann);
        assert_eq!(bob.line(), "LEFT ann closed");

        wait_for(&server, "one client is left", |counts| counts.connections_now == 1);
        let counts = server.counts();
        let seen = [counts.connections_accepted, counts.clients_joined, counts.clients_most, counts.clients_now];
        assert_eq!(seen, [3, 3, 2, 1], "{relay}");
        assert_eq!((counts.messages_read, counts.copies_written), (3, 5), "{relay}");
        assert_eq!((counts.lines_refused, counts.client_threads_now), (0, 1), "{relay}");
    }
}

#[test]
fn what_is_refused_changes_nothing() {
    let server = server(Relay::Queued);
    let mut ann = Peer::join(server.local_addr(), "ann");
    let mut bob = Peer::connect(server.local_addr());
    bob.line();
    let long = "x".repeat(5000);
    let asked = [
        ("SAY hello", "join-first"),
        ("LIST", "join-first"),
        ("JOIN ann", "name-taken"),
        ("JOIN", "bad-name"),
        ("JOIN two words", "bad-name"),
        ("hello?", "unknown-request"),
        ("", "unknown-request"),
        (&long, "line-too-long"),
    ];
    for (line, code) in asked {
        bob.say(line);
        assert!(bob.line().starts_with(&format!("ERROR {code} ")), "{line}");
    }
    bob.write(b"JOIN \xff\xfe\n").unwrap();
    assert!(bob.line().starts_with("ERROR not-utf-8 "));
    bob.say("JOIN bob");
    assert_eq!(bob.line(), "OK JOIN bob");
    assert_eq!(ann.line(), "JOINED bob");
    let long_text = format!("SAY {}", "x".repeat(4001));
    let asked = [
        ("JOIN bob2", "already-joined"),
        ("TELL eve hello", "no-such-name"),
        ("RENAME ann", "name-taken"),
        ("SAY \u{1b}[2J", "bad-text"),
        (&long_text, "bad-text"),
    ];
    for (line, code) in asked {
        bob.say(line);
        assert!(bob.line().starts_with(&format!("ERROR {code} ")), "{line}");
    }
    bob.say("SAY still here");
    assert_eq!(ann.line(), "MSG bob still here", "nobody else heard of it");
    assert_eq!(server.counts().lines_refused, 14);
}

#[test]
fn everybody_gets_everything_in_one_order() {
    const AUTHORS: usize = 4;
    const LISTENERS: usize = 4;
    const EACH: usize = 500;
    for relay in Relay::ALL {
        let server = server(relay);
        let join = |name: String| Peer::join(server.local_addr(), &name);
        let mut peers: Vec<_> = (0..AUTHORS).map(|index| join(format!("author{index}"))).collect();
        peers.extend((0..LISTENERS).map(|index| join(format!("listener{index}"))));
        for author in &peers[..AUTHORS] {
            let mut writer = author.writer();
            thread::spawn(move || {
                for number in 0..EACH {
                    writeln!(writer, "SAY {number}").unwrap();
                }
            });
        }
        let readers = peers.into_iter().map(|mut peer| {
            thread::spawn(move || -> Vec<_> {
                let lines = std::iter::from_fn(|| Some(peer.line())).filter(|line| line.starts_with("MSG "));
                lines.take(AUTHORS * EACH).collect()
            })
        });
        let heard: Vec<_> = readers.collect::<Vec<_>>().into_iter().map(|reader| reader.join().unwrap()).collect();
        for other in &heard[1..] {
            assert!(*other == heard[0], "{relay}: two clients heard different orders");
        }
        for author in 0..AUTHORS {
            let start = format!("MSG author{author} ");
            let said = heard[0].iter().filter_map(|line| line.strip_prefix(&start));
            let expected = (0..EACH).map(|number| number.to_string());
            assert!(said.eq(expected), "{relay}: author{author} was heard out of order, or not whole");
        }
        assert_eq!(server.counts().messages_read, (AUTHORS * EACH) as u64);
        let copies = (AUTHORS * EACH * (AUTHORS + LISTENERS)) as u64;
        wait_for(&server, "the last copy is counted", |counts| counts.copies_written == copies);
    }
}

#[test]
fn the_listening_socket_only_accepts() {
    let server = server(Relay::Queued);
    let mut peers: Vec<_> = (0..20).map(|index| Peer::join(server.local_addr(), &format!("peer{index}"))).collect();
    let before = server.counts();
    assert_eq!((before.connections_accepted, before.connections_now, before.client_threads_now), (20, 20, 20));
    assert!(before.accept_cpu_ns > 0);
    for number in 0..200 {
        for peer in &mut peers {
            peer.say(&format!("SAY {number}"));
        }
    }
    for peer in &mut peers {
        for _ in 0..200 * 20 {
            peer.line_with("MSG ");
        }
    }
    let after = server.counts();
    assert_eq!(after.messages_read, 200 * 20);
    assert_eq!(after.connections_accepted, 20, "a stream once opened serves for long");
    assert_eq!(after.accept_cpu_ns, before.accept_cpu_ns, "the accepting thread has slept through all of it");
}

#[test]
fn a_thousand_clients() {
    const CLIENTS: usize = 1_000;
    const MESSAGES: usize = 5;
    let server = server(Relay::Queued);
    let join = |number| Peer::join(server.local_addr(), &format!("peer{number}"));
    let mut peers: Vec<_> = (0..CLIENTS).map(join).collect();
    for (number, author) in peers.iter_mut().take(MESSAGES).enumerate() {
        author.say(&format!("SAY {number}"));
        // Its author has got it: so all others were sent it before the next is said.
        author.line_with(&format!("MSG peer{number} {number}"));
    }
    for (index, peer) in peers.iter_mut().enumerate() {
        for number in (0..MESSAGES).filter(|number| *number > index || index >= MESSAGES) {
            assert_eq!(peer.line_with("MSG "), format!("MSG peer{number} {number}"));
        }
    }
    wait_for(&server, "the last copy is counted", |counts| counts.copies_written == (CLIENTS * MESSAGES) as u64);
    let counts = server.counts();
    assert_eq!((counts.clients_now, counts.client_threads_now), (CLIENTS as u64, CLIENTS as u64));
    assert_eq!(counts.messages_read, MESSAGES as u64);
    assert_eq!((counts.clients_dropped_slow, counts.clients_lost), (0, 0));
    assert_eq!(server.stop().connections_now, 0);
}

/// Says so much that no buffer holds it, until a client that reads nothing has been given all it can take.
const FLOOD: usize = 8_000;

fn flood(mut author: impl Write) {
    for number in 0..FLOOD {
        if writeln!(author, "SAY {number} {}", "x".repeat(1_000)).is_err() {
            return;
        }
    }
}

fn number_of(line: &str) -> usize {
    line.split(' ').nth(2).and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("{line:.80}"))
}

#[test]
fn a_client_that_does_not_read_is_dropped_and_told_and_nobody_else_notices() {
    let server = server(Relay::Queued);
    let mut ann = Peer::join(server.local_addr(), "ann");
    let mut sloth = Peer::connect_small(server.local_addr()).joined("sloth");
    assert_eq!(ann.line(), "JOINED sloth");
    let writer = ann.writer();
    let author = thread::spawn(move || flood(writer));
    let mut next = 0;
    let mut left = false;
    while next < FLOOD {
        let line = ann.line();
        if line == "LEFT sloth slow" {
            left = true;
        } else {
            assert_eq!(number_of(&line), next);
            next += 1;
        }
    }
    author.join().unwrap();
    assert!(left, "ann was told why");

    // What the sloth was sent is whole and in order up to where it was dropped, and it is told.
    let mut lines = sloth.rest();
    assert_eq!(lines.pop().unwrap(), "DROPPED slow you read too slowly: your queue was full");
    assert!(lines.len() < FLOOD);
    for (number, line) in lines.iter().enumerate() {
        assert_eq!(number_of(line), number);
    }
    wait_for(&server, "its connection has ended", |counts| counts.connections_now == 1);
    let counts = server.counts();
    assert_eq!((counts.clients_dropped_slow, counts.clients_lost), (1, 0));
    assert!(counts.lines_queued > 0);
}

#[test]
fn a_client_that_reads_late_but_in_time_misses_nothing() {
    const MESSAGES: usize = 150;
    let server = serve(ServerOptions { queue_bytes: 4 << 20, ..options() });
    let mut ann = Peer::join(server.local_addr(), "ann");
    let mut late = Peer::connect_small(server.local_addr()).joined("late");
    assert_eq!(ann.line(), "JOINED late");
    for number in 0..MESSAGES {
        ann.say(&format!("SAY {number} {}", "x".repeat(1_000)));
    }
    for number in 0..MESSAGES {
        assert_eq!(number_of(&ann.line()), number);
    }
    assert!(server.counts().lines_queued > 0, "more than its socket takes");
    for number in 0..MESSAGES {
        assert_eq!(number_of(&late.line()), number);
    }
    ann.say("SAY 150 done");
    assert_eq!(late.line(), "MSG ann 150 done");
    assert_eq!(server.counts().clients_dropped_slow, 0);
}

#[test]
fn with_the_direct_relay_one_client_that_does_not_read_stalls_all() {
    let server = server(Relay::Direct);
    let mut ann = Peer::join(server.local_addr(), "ann");
    let mut sloth = Peer::connect_small(server.local_addr()).joined("sloth");
    assert_eq!(ann.line(), "JOINED sloth");
    let writer = ann.writer();
    let author = thread::spawn(move || flood(writer));
    // Nothing more comes to ann while there would be more.
    ann.stream().set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    let mut heard = 0;
    let mut line = Vec::new();
    let stalled = loop {
        match ann_reads(&mut ann, &mut line) {
            Ok(()) => heard += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(stalled.kind(), ErrorKind::WouldBlock);
    assert!(heard < FLOOD, "all {heard} came: nobody was stalled");
    ann.stream().set_read_timeout(Some(Duration::from_secs(60))).unwrap();

    // Once the sloth reads, all goes on, and nothing is lost.
    let reader = thread::spawn(move || {
        for number in 0..FLOOD {
            assert_eq!(number_of(&sloth.line()), number);
        }
        sloth
    });
    while heard < FLOOD {
        ann_reads(&mut ann, &mut line).unwrap();
        heard += 1;
    }
    author.join().unwrap();
    let _sloth = reader.join().unwrap();
    assert_eq!(server.counts().clients_dropped_slow, 0);
}

/// Reads a line, or the rest of one that was begun.
fn ann_reads(ann: &mut Peer, line: &mut Vec<u8>) -> std::io::Result<()> {
    ann.reader().read_until(b'\n', line)?;
    line.clear();
    Ok(())
}

#[test]
fn a_client_that_asks_for_more_than_it_reads_waits_and_loses_nothing() {
    let server = serve(ServerOptions { queue_bytes: 16 << 10, ..options() });
    let names: Vec<_> = (0..100).map(|index| format!("{index:0>30}")).collect();
    let _others: Vec<_> = names.iter().map(|name| Peer::join(server.local_addr(), name)).collect();
    let mut asker = Peer::connect_small(server.local_addr()).joined("zoe");
    let mut writer = asker.writer();
    let expected = format!("NAMES 0 {} zoe", names.join(" "));
    let asking = thread::spawn(move || (0..2_000).try_for_each(|_| writeln!(writer, "LIST")));
    for _ in 0..2_000 {
        assert_eq!(asker.line(), expected);
    }
    asking.join().unwrap().unwrap();
    let counts = server.counts();
    assert!(counts.lines_queued > 0 && counts.clients_dropped_slow == 0, "{counts:?}");
}

#[test]
fn who_says_more_than_it_may_waits_and_loses_nothing() {
    let server = serve(ServerOptions { messages_per_second: Some(100.0), ..options() });
    let mut ann = Peer::join(server.local_addr(), "ann");
    let mut bob = Peer::join(server.local_addr(), "bob");
    assert_eq!(ann.line(), "JOINED bob");
    let start = Instant::now();
    for number in 0..250 {
        ann.say(&format!("SAY {number}"));
    }
    bob.say("SAY I have not said a word yet");
    let mut next = 0;
    while next < 250 {
        let line = bob.line();
        if line.starts_with("MSG ann") {
            assert_eq!(number_of(&line), next);
            next += 1;
        }
    }
    assert!(start.elapsed() >= Duration::from_millis(1_400), "100 at once, then 100 a second");
}

#[test]
fn a_server_that_stops_tells_everybody_and_sends_what_waits() {
    for relay in Relay::ALL {
        let server = server(relay);
        let address = server.local_addr();
        let mut ann = Peer::join(address, "ann");
        let mut stranger = Peer::connect(address);
        stranger.line();
        // More than its socket takes, so that some of it waits where lines can.
        let mut late = Peer::connect_small(address).joined("late");
        let messages = if relay == Relay::Queued { 150 } else { 3 };
        for number in 0..messages {
            ann.say(&format!("SAY {number} {}", "x".repeat(1_000)));
        }
        for _ in 0..messages {
            ann.line_with("MSG ");
        }
        let reader = thread::spawn(move || late.rest());
        let counts = server.stop();
        assert_eq!((counts.connections_now, counts.client_threads_now, counts.clients_now), (0, 0, 0));
        assert_eq!(ann.rest(), ["DROPPED shutdown the server is closing"]);
        assert_eq!(stranger.rest(), ["DROPPED shutdown the server is closing"]);
        let lines = reader.join().unwrap();
        assert_eq!(lines.len(), messages + 1, "{relay}");
        assert_eq!(lines[messages], "DROPPED shutdown the server is closing");
        assert!(std::net::TcpStream::connect(address).is_err(), "{relay}: it listens no more");
        // The port is free at once.
        drop(serve(ServerOptions { listen: address, ..options() }));
    }
}

#[test]
fn a_server_stops_whoever_does_not_read() {
    for relay in Relay::ALL {
        let server = serve(ServerOptions { relay, grace: Duration::from_millis(200), ..options() });
        let ann = Peer::join(server.local_addr(), "ann");
        let _sloth = Peer::connect_small(server.local_addr()).joined("sloth");
        let writer = ann.writer();
        let author = thread::spawn(move || flood(writer));
        wait_for(&server, "messages are relayed", |counts| counts.messages_read > 20);
        assert_eq!(server.stop().client_threads_now, 0, "{relay}");
        drop(ann);
        author.join().unwrap();
    }
}

#[test]
fn a_server_that_is_killed_says_nothing() {
    for relay in Relay::ALL {
        let server = server(relay);
        let mut ann = Peer::join(server.local_addr(), "ann");
        let mut bob = Peer::join(server.local_addr(), "bob");
        assert_eq!(ann.line(), "JOINED bob");
        assert_eq!(server.kill().client_threads_now, 0);
        assert_eq!((ann.line_or_end(), bob.line_or_end()), (None, None));
    }
}

#[test]
fn a_port_in_use_is_told() {
    let server = server(Relay::Queued);
    let second = netlab::chat::server::Server::start(&ServerOptions { listen: server.local_addr(), ..options() });
    let error = second.err().expect("the port is in use");
    assert_eq!(error.class().code(), 1);
    assert!(
        error.to_string().starts_with(&format!("{} is in use by another program\n", server.local_addr())),
        "{error}"
    );
    let elsewhere = ServerOptions { listen: "192.0.2.1:0".parse().unwrap(), ..options() };
    let error = netlab::chat::server::Server::start(&elsewhere).err().expect("not ours");
    assert_eq!(error.class().code(), 2);
}
