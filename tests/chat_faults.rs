//! Clients that are broken, hostile or gone: the chat server stays up and serves the others.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use netlab::chat::server::{Relay, Server, ServerOptions};

#[path = "support/chat.rs"]
mod chat;

use chat::{Peer, options, serve, server, wait_for};

/// Runs `body` while two clients talk to each other, message by message, and fails when one of them misses anything.
fn while_two_talk(server: &Server, body: impl FnOnce()) {
    let mut ann = Peer::join(server.local_addr(), "ann");
    let mut bob = Peer::join(server.local_addr(), "bob");
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let over = &over;
        let talk = scope.spawn(move || {
            let mut number = 0_u64;
            // At least one exchange after all is over.
            loop {
                let last = over.load(Ordering::Relaxed);
                for author in [&mut ann, &mut bob] {
                    author.say(&format!("SAY {number}"));
                }
                for peer in [&mut ann, &mut bob] {
                    let lines = std::iter::from_fn(|| Some(peer.line()));
                    let own = |line: &String| line.starts_with("MSG ann ") || line.starts_with("MSG bob ");
                    let mut heard: Vec<_> = lines.filter(own).take(2).collect();
                    heard.sort();
                    assert_eq!(heard, [format!("MSG ann {number}"), format!("MSG bob {number}")]);
                }
                number += 1;
                if last {
                    return number;
                }
            }
        });
        // Dropped on the way out of a failure as well, lest the two talk for ever.
        struct Over<'a>(&'a AtomicBool);
        impl Drop for Over<'_> {
            fn drop(&mut self) {
                self.0.store(true, Ordering::Relaxed);
            }
        }
        let ending = Over(over);
        body();
        drop(ending);
        assert!(talk.join().unwrap() > 0);
    });
}

#[test]
fn a_million_malformed_lines() {
    const LINES: u64 = 1_000_000;
    let server = server(Relay::Queued);
    while_two_talk(&server, || {
        let kinds: [&[u8]; 8] = [
            b"\n",
            b"hello\n",
            b"SAY\n",
            b"SAY \xff\xfe\n",
            b"say \x1b[2J\r\n",
            b"MSG ann I am not she\n",
            b"TELL \0 x\n",
            b"JOIN ann\n",
        ];
        let flood: Vec<u8> = kinds.concat().repeat(125);
        let mut stream = TcpStream::connect(server.local_addr()).unwrap();
        let mut answers = BufReader::with_capacity(1 << 16, stream.try_clone().unwrap());
        let reader = thread::spawn(move || {
            let (mut line, mut errors) = (Vec::new(), 0_u64);
            while answers.read_until(b'\n', &mut line).unwrap() > 0 {
                errors += u64::from(line.starts_with(b"ERROR "));
                line.clear();
            }
            errors
        });
        stream.write_all(b"JOIN eve\n").unwrap();
        for _ in 0..LINES / (125 * kinds.len() as u64) {
            stream.write_all(&flood).unwrap();
        }
        stream.write_all(b"LEAVE\n").unwrap();
        assert_eq!(reader.join().unwrap(), LINES, "an answer to each");
    });
    assert_eq!(server.counts().lines_refused, LINES);
}

/// Far more at once than queues hold: whoever says it waits, and who reads misses nothing.
#[test]
fn who_reads_is_not_dropped_for_what_others_say() {
    const LINES: usize = 400;
    for authors in [1, 4] {
        for queue_bytes in [256 << 10, 32 << 10] {
            let server = serve(ServerOptions { queue_bytes, ..options() });
            let peers: Vec<_> = (0..authors + 4)
                .map(|number| {
                    let idle = number >= authors;
                    let connect = if idle { Peer::connect_small } else { Peer::connect };
                    connect(server.local_addr()).joined(&format!("peer{number}"))
                })
                .collect();
            for author in &peers[..authors] {
                let mut writer = author.writer();
                let flood = format!("SAY {}\n", "x".repeat(3_986)).repeat(LINES);
                // Dropped, it could not be read for the rest of it.
                thread::spawn(move || drop(writer.write_all(flood.as_bytes())));
            }
            // Whoever reads fast enough needs no queue, and nothing would be tested.
            wait_for(&server, "a queue is needed", |counts| counts.lines_queued > 0);
            let readers = peers.into_iter().map(|mut peer| {
                thread::spawn(move || {
                    let lines = std::iter::from_fn(|| Some(peer.line())).filter(|line| line.starts_with("MSG "));
                    lines.take(authors * LINES).count()
                })
            });
            for reader in readers.collect::<Vec<_>>() {
                assert_eq!(reader.join().unwrap(), authors * LINES);
            }
            assert_eq!(server.counts().clients_dropped_slow, 0, "{authors}, {queue_bytes}");
        }
    }
}

/// It reads a byte now and then, so that its connection is alive: the others do not wait for it.
#[test]
fn who_drips_is_dropped_and_nobody_waits_for_it() {
    let server = serve(ServerOptions { queue_bytes: 16 << 10, ..options() });
    let mut ann = Peer::join(server.local_addr(), "ann");
    let mut dripping = Peer::connect_small(server.local_addr()).joined("drip");
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut byte = [0];
            while !over.load(Ordering::Relaxed) && matches!(dripping.reader().read(&mut byte), Ok(1)) {
                thread::sleep(Duration::from_millis(1));
            }
        });
        let mut writer = ann.writer();
        scope.spawn(move || {
            for _ in 0..8_000 {
                writeln!(writer, "SAY {}", "x".repeat(1_000)).unwrap();
            }
        });
        for _ in 0..8_000 {
            ann.line_with("MSG ann");
        }
        over.store(true, Ordering::Relaxed);
    });
    assert_eq!(server.counts().clients_dropped_slow, 1);
}

#[test]
fn lines_without_an_end() {
    let server = server(Relay::Queued);
    while_two_talk(&server, || {
        let mut eve = Peer::join(server.local_addr(), "eve");
        for _ in 0..1_000 {
            eve.write(&[b'x'; 10_000]).unwrap();
        }
        eve.write(b"\nPING over\n").unwrap();
        assert!(eve.line_with("ERROR ").starts_with("ERROR line-too-long "));
        assert_eq!(eve.line_with("PONG"), "PONG over", "10 MB without an end are one bad line");
    });
    assert_eq!(server.counts().lines_refused, 1);
}

/// What `printf … | nc -N` sends: the end of the stream ends its last line, or it is told why it is none.
#[test]
fn a_last_line_without_an_end() {
    for relay in Relay::ALL {
        let server = server(relay);
        let mut ann = Peer::join(server.local_addr(), "ann");
        let long = [b"SAY ".as_slice(), &[b'x'; 5_000]].concat();
        for (number, (last, answer)) in [
            (&b"SAY the end"[..], "MSG eve0 the end"),
            (b"SAY the end\r", "MSG eve1 the end"),
            (b"LEAVE", "OK LEAVE"),
            (b"SAY h\xc3", "ERROR not-utf-8 "),
            (&long, "ERROR line-too-long "),
        ]
        .into_iter()
        .enumerate()
        {
            let name = format!("eve{number}");
            let mut eve = Peer::join(server.local_addr(), &name);
            assert_eq!(ann.line(), format!("JOINED {name}"));
            eve.write(last).unwrap();
            eve.stream().shutdown(Shutdown::Write).unwrap();
            let rest = eve.rest();
            assert!(rest.len() == 1 && rest[0].starts_with(answer), "{relay}: {rest:?}");
            if answer.starts_with("MSG") {
                assert_eq!(ann.line(), answer);
            }
            let how = if last == b"LEAVE" { "leave" } else { "closed" };
            assert_eq!(ann.line(), format!("LEFT {name} {how}"));
        }
        // Not the stream's end: a server that stops has heard half a line.
        let mut bob = Peer::join(server.local_addr(), "bob");
        bob.write(b"PING 1\nSAY half a l").unwrap();
        assert_eq!(bob.line(), "PONG 1");
        assert_eq!(ann.line(), "JOINED bob");
        server.stop();
        assert_eq!(ann.rest(), ["DROPPED shutdown the server is closing"]);
    }
}

#[test]
fn connections_that_are_reset() {
    for relay in Relay::ALL {
        let server = server(relay);
        while_two_talk(&server, || {
            for number in 0..200 {
                let mut eve = Peer::join(server.local_addr(), &format!("eve{number}"));
                if number % 2 == 0 {
                    eve.say("SAY and away");
                }
                eve.reset();
            }
            // Some go before they have joined, or in the middle of it.
            for number in 0..100 {
                let mut stranger = Peer::connect(server.local_addr());
                if number % 2 == 0 {
                    stranger.write(b"JOIN str").unwrap();
                }
                stranger.reset();
            }
            wait_for(&server, "they are all gone", |counts| counts.connections_now == 2);
        });
        wait_for(&server, "all are gone", |counts| counts.client_threads_now == 0);
        let counts = server.counts();
        assert_eq!(counts.clients_joined, 202, "{relay}");
        assert!(counts.clients_lost > 0, "{relay}: {counts:?}");
    }
}

#[test]
fn a_stream_closed_by_half_is_served_to_its_end() {
    for relay in Relay::ALL {
        let server = server(relay);
        let mut ann = Peer::join(server.local_addr(), "ann");
        // What `printf … | nc -N` does.
        let mut piped = Peer::connect(server.local_addr());
        piped.write(b"JOIN piped\nSAY one\nSAY two\nLIST\n").unwrap();
        piped.stream().shutdown(Shutdown::Write).unwrap();
        let lines = piped.rest();
        assert_eq!(lines[1..], ["OK JOIN piped", "MSG piped one", "MSG piped two", "NAMES 0 ann piped"]);
        let heard: Vec<_> = (0..4).map(|_| ann.line()).collect();
        assert_eq!(heard, ["JOINED piped", "MSG piped one", "MSG piped two", "LEFT piped closed"]);
    }
}

#[test]
fn who_never_joins_is_sent_away() {
    for relay in Relay::ALL {
        let server = serve(ServerOptions { relay, join_within: Duration::from_millis(300), ..options() });
        while_two_talk(&server, || {
            let mut silent = Peer::connect(server.local_addr());
            let mut dripping = Peer::connect(server.local_addr());
            let mut busy = Peer::connect(server.local_addr());
            dripping.stream().set_read_timeout(Some(Duration::from_millis(20))).unwrap();
            let mut said = Vec::new();
            // A byte every now and then, and never a line.
            while !said.ends_with(b"no JOIN came in time\n") {
                let _ = dripping.write(b"J");
                let mut bytes = [0; 512];
                match dripping.reader().read(&mut bytes) {
                    Ok(count) => {
                        assert!(count > 0, "{}", String::from_utf8_lossy(&said));
                        said.extend_from_slice(&bytes[..count]);
                    }
                    Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
                }
                let _ = busy.write(b"PING 1\n");
            }
            assert!(silent.rest().last().unwrap().starts_with("ERROR too-late "));
            assert!(busy.rest().last().unwrap().starts_with("ERROR too-late "));
        });
        assert_eq!(server.counts().clients_too_late, 3, "{relay}");
    }
}

#[test]
fn who_has_joined_may_be_silent() {
    let server = serve(ServerOptions { join_within: Duration::from_millis(100), ..options() });
    let mut ann = Peer::join(server.local_addr(), "ann");
    let mut late = Peer::connect(server.local_addr());
    assert!(late.rest().last().unwrap().starts_with("ERROR too-late "), "the time to join is over");
    ann.say("SAY here I am");
    assert_eq!(ann.line(), "MSG ann here I am");
}

#[test]
fn a_full_table() {
    let server = serve(ServerOptions { max_clients: 4, ..options() });
    assert_eq!(server.max_clients(), 4);
    while_two_talk(&server, || {
        let held: Vec<_> = (0..2).map(|number| Peer::join(server.local_addr(), &format!("held{number}"))).collect();
        for _ in 0..50 {
            let mut refused = Peer::connect(server.local_addr());
            assert_eq!(refused.rest(), ["ERROR full no more clients can be served now; try again later"]);
        }
        drop(held);
        wait_for(&server, "there is room", |counts| counts.connections_now == 2);
        Peer::join(server.local_addr(), "again");
    });
    let counts = server.counts();
    assert_eq!((counts.connections_refused, counts.connections_accepted), (50, 55));
}

#[test]
fn the_limit_per_address_is_not_for_loopback() {
    let server = serve(ServerOptions { max_per_address: Some(1), ..options() });
    let _peers: Vec<_> = (0..5).map(|number| Peer::join(server.local_addr(), &format!("peer{number}"))).collect();
    assert_eq!(server.counts().connections_refused, 0);
}
