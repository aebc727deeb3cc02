//! `send` and `recv` against each other over loopback: exact counts, output formats, signals.

use std::io::Read;
use std::net::UdpSocket;
use std::process::{Command, Stdio};
use std::time::Duration;

use netlab::wire::probe::Probe;
use nix::sys::signal::Signal;

#[path = "support/cli.rs"]
mod cli;

use cli::{Done, NETLAB, Running, ahead, free_port, netlab, netlab_with};

/// Starts `recv`, runs `send`, and gives both ends' results: sender first. `{port}` stands for a free port.
#[track_caller]
fn exchange(recv: &str, send: &str) -> (Done, Done) {
    let port = free_port().to_string();
    // The time limit is for the day something is lost: then the test fails, and does not hang.
    let receiver = Running::start(&format!("{} --duration 20s", recv.replace("{port}", &port)));
    assert!(receiver.first_line.starts_with("listening "), "{}", receiver.wait().err);
    let sent = netlab(&send.replace("{port}", &port)).expect(0);
    (sent, receiver.wait())
}

#[test]
fn every_message_is_counted_once() {
    let cases = [
        ("unicast recv --port {port}", "unicast --to 127.0.0.1:{port} send"),
        ("unicast recv --port {port}", "unicast --to [::1]:{port} send"),
        ("unicast recv --port {port} --interface lo", "unicast --to localhost --port {port} --interface lo send"),
        (
            "multicast --group 239.77.1.1 --interface lo recv --port {port}",
            "multicast --group 239.77.1.1 --interface lo send --port {port}",
        ),
        (
            "multicast --group 232.77.1.1 --source 127.0.0.1 --interface lo recv --port {port}",
            "multicast --group 232.77.1.1 --interface lo send --port {port}",
        ),
    ];
    for (recv, send) in cases {
        let (sent, received) =
            exchange(&format!("{recv} --count 300 --json"), &format!("{send} --count 300 --json --rate 5k"));
        let received = received.expect(0);
        assert_eq!((sent.figure("messages_sent"), sent.figure("copies_sent")), (300, 300), "{sent:?}");
        assert_eq!(received.figure("messages_received"), 300, "{received:?}");
        for none in ["messages_lost", "messages_duplicate", "messages_reordered", "messages_unrecognized"] {
            assert_eq!(received.figure(none), 0, "{none}: {received:?}");
        }
        // The kernel's list of sockets may lack a row while others open and close theirs: then it is null.
        assert_eq!(received.summary()["socket_dropped"].as_u64().unwrap_or(0), 0, "{received:?}");
        assert_eq!(received.figure("bytes"), 300 * 64, "{received:?}");
        // One machine, one clock.
        assert_eq!(received.summary()["streams"][0]["clock"], "same", "{received:?}");
        let (p50, max) = (received.figure("latency_p50_ns"), received.figure("latency_max_ns"));
        assert!(0 < p50 && p50 <= max, "{received:?}");
    }
}

#[test]
fn fan_out_sends_a_copy_to_each() {
    let ports = [free_port(), free_port()];
    let receivers =
        ports.map(|port| Running::start(&format!("unicast recv --port {port} --count 50 --json --duration 20s")));
    let to = ports.map(|port| format!("127.0.0.1:{port}")).join(",");
    let sent = netlab(&format!("unicast --to {to} send --count 50 --json")).expect(0);
    assert_eq!((sent.figure("messages_sent"), sent.figure("copies_sent")), (50, 100), "{sent:?}");
    for receiver in receivers {
        assert_eq!(receiver.wait().expect(0).figure("messages_received"), 50);
    }
}

#[test]
fn several_groups_get_a_copy_each_and_others_none() {
    let port = free_port();
    let recv = |groups: &str, count| {
        Running::start(&format!(
            "multicast --group {groups} -i lo recv --port {port} --count {count} --json --duration 20s"
        ))
    };
    let (both, one) = (recv("239.77.2.1,239.77.2.2", 60), recv("239.77.2.1", 30));
    // RFC 1112: 01:00:5e and the low 23 bits.
    assert!(
        both.first_line.contains("239.77.2.2") && both.first_line.contains("01:00:5e:4d:02:02"),
        "{}",
        both.first_line
    );
    let sent = netlab(&format!("multicast --group 239.77.2.1,239.77.2.2 -i lo --port {port} send --count 30 --json"))
        .expect(0);
    assert_eq!((sent.figure("messages_sent"), sent.figure("copies_sent")), (30, 60), "{sent:?}");
    let one = one.wait().expect(0);
    assert_eq!((one.figure("messages_received"), one.figure("messages_duplicate")), (30, 0), "{one:?}");
    // The same messages by two groups: the second copy of each is a duplicate.
    let both = both.wait().expect(0);
    assert_eq!((both.figure("messages_received"), both.figure("messages_duplicate")), (30, 30), "{both:?}");
}

#[test]
fn no_loop_keeps_messages_from_this_host() {
    let port = free_port();
    let receiver = Running::start(&format!(
        "multicast --group 239.77.3.1 -i lo recv --port {port} --count 5 --json --duration 20s"
    ));
    let send = format!("multicast --group 239.77.3.1 -i lo --port {port} send --count 5");
    netlab(&format!("{send} --no-loop")).expect(0);
    netlab(&send).expect(0);
    assert_eq!(receiver.wait().expect(0).summary()["streams"].as_array().unwrap().len(), 1);
}

#[test]
fn two_clocks_give_no_latency_and_the_summary_says_why() {
    let receiver = |more: &str, port| Running::start(&format!("unicast recv --port {port} --duration 20s {more}"));
    // The receiver's clock behind the sender's, and ahead by less than a minute, which looks like a latency.
    for (seconds, sender_is_ahead) in [(10, true), (10, false)] {
        let Some(mut ahead) = ahead(seconds, NETLAB) else { return };
        let port = free_port();
        let (recv, send) = (
            format!("unicast recv --port {port} --duration 20s --count 50"),
            format!("unicast --to 127.0.0.1:{port} send --count 50"),
        );
        let done = if sender_is_ahead {
            let receiver = Running::start(&recv);
            assert!(ahead.args(send.split(' ')).stdin(Stdio::null()).output().unwrap().status.success());
            receiver.wait()
        } else {
            ahead.args(recv.split(' '));
            let receiver = Running::start_command(ahead);
            netlab(&send).expect(0);
            receiver.wait()
        };
        let done = done.expect(0);
        assert!(done.out.contains("50 messages"), "{done:?}");
        assert!(done.out.contains("latency        not measured: the sender's clock is another one"), "{done:?}");
        assert!(done.out.contains("jitter "), "{done:?}");
    }
    // What an older netlab sends, with the send time of this very clock: who does not name it gives no evidence.
    let port = free_port();
    let [told, asked] = ["", "--json"].map(|more| {
        let receiver = receiver(&format!("--count 1 {more}"), port);
        let time = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC).unwrap();
        let send_time_ns = (time.tv_sec() * 1_000_000_000 + time.tv_nsec()) as u64;
        let old = [&b"NLAB\x01\0\0\0"[..], &[7; 8], &[0; 8], &send_time_ns.to_be_bytes()].concat();
        UdpSocket::bind("127.0.0.1:0").unwrap().send_to(&old, ("127.0.0.1", port)).unwrap();
        receiver.wait().expect(0)
    });
    assert!(told.out.contains("not measured: the sender does not say which clock it reads"), "{told:?}");
    let stream = &asked.summary()["streams"][0];
    assert_eq!((stream["clock"].as_str(), stream["run_id"].as_str()), (Some("untold"), Some("0707070707070707")));
    for key in ["latency_p50_ns", "latency_p99_ns", "latency_max_ns", "kernel_latency_p50_ns"] {
        assert!(stream[key].is_null() && asked.summary()[key].is_null(), "{key}: {asked:?}");
    }
}

#[test]
fn the_summary_has_the_promised_keys_and_null_for_what_was_not_measured() {
    let (sent, received) = exchange(
        "unicast recv --port {port} --count 2000 --json",
        "unicast --to 127.0.0.1:{port} send --count 2000 --json",
    );
    let keys = [
        "mode",
        "duration_s",
        "size_bytes",
        "offered_rate",
        "messages_sent",
        "copies_sent",
        "messages_received",
        "messages_lost",
        "messages_duplicate",
        "messages_reordered",
        "messages_stale",
        "messages_text",
        "messages_unrecognized",
        "error",
        "latency_p50_ns",
        "latency_p99_ns",
        "latency_max_ns",
        "jitter_ns",
        "socket_dropped",
        "lateness_p99_ns",
    ];
    for done in [&sent, &received] {
        let lines: Vec<serde_json::Value> = done.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let (last, intervals) = lines.split_last().unwrap();
        assert_eq!(last["event"], "summary");
        for key in keys {
            assert!(last.as_object().unwrap().contains_key(key), "no {key} in {last}");
        }
        assert!(!intervals.is_empty() && intervals.iter().all(|line| line["event"] == "interval"), "{done:?}");
    }
    assert!(sent.summary()["messages_received"].is_null() && received.summary()["messages_sent"].is_null());
    assert_eq!(sent.figure("size_bytes"), 64);
    assert_eq!((sent.figure("messages_sent"), received.figure("messages_received")), (2000, 2000));
    assert_eq!(sent.summary()["offered_rate"], 1000.0);
}

#[test]
fn csv_has_a_header_and_a_row_per_stream() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("recv.csv");
    let port = free_port();
    let receiver =
        Running::start(&format!("unicast --csv {} recv --port {port} --count 21 --duration 20s", file.display()));
    for count in [10, 10] {
        netlab(&format!("unicast --to 127.0.0.1:{port} send --count {count}")).expect(0);
    }
    UdpSocket::bind("127.0.0.1:0").unwrap().send_to(b"hello", ("127.0.0.1", port)).unwrap();
    let done = receiver.wait().expect(0);
    assert!(done.out.contains("20 messages from 2 senders and 1 text, "), "{done:?}");
    let mut csv = csv::Reader::from_path(&file).unwrap();
    let rows: Vec<std::collections::HashMap<String, String>> = csv.deserialize().map(Result::unwrap).collect();
    assert_eq!(rows.len(), 2, "{rows:?}");
    assert_ne!(rows[0]["run_id"], rows[1]["run_id"]);
    for row in rows {
        let value = |key: &str| row[key].as_str();
        assert_eq!(
            (value("mode"), value("messages_received"), value("messages_lost")),
            ("unicast", "10", "0"),
            "{row:?}"
        );
        assert_eq!((value("messages_text"), value("messages_unrecognized")), ("1", "0"), "{row:?}");
    }
}

#[test]
fn a_file_that_cannot_be_written_does_not_take_the_counts_along() {
    let done =
        netlab(&format!("unicast recv --port {} --duration 100ms --json --csv /dev/full", free_port())).expect(1);
    assert_eq!((done.figure("messages_received"), done.figure("bytes")), (0, 0), "{done:?}");
    assert!(done.summary()["error"].as_str().unwrap().starts_with("writing /dev/full: "), "{done:?}");
}

#[test]
fn a_text_arrives_as_it_is() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let to = socket.local_addr().unwrap().to_string();
    let done = netlab_with(&["unicast", "--to", &to, "--message", "Grüße, wie geht's?", "send", "--json"]).expect(0);
    assert_eq!((done.figure("messages_sent"), done.figure("size_bytes")), (1, 20), "{done:?}");
    let mut buffer = [0; 100];
    let (length, _) = socket.recv_from(&mut buffer).unwrap();
    assert_eq!(std::str::from_utf8(&buffer[..length]), Ok("Grüße, wie geht's?"));
}

#[test]
fn a_text_is_shown_with_its_sender() {
    let port = free_port();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let from = socket.local_addr().unwrap();
    let send = |flags: &str| {
        let receiver = Running::start(&format!("unicast recv --port {port} --count 4 --duration 20s {flags}"));
        for text in ["hello, all of you\n", "Grüße\r\n", "turned \u{202e}round\n\tand on"] {
            socket.send_to(text.as_bytes(), ("127.0.0.1", port)).unwrap();
        }
        let text = ["unicast", "--to", &format!("127.0.0.1:{port}"), "--message", "the same by netlab", "send"];
        netlab_with(&text).expect(0);
        receiver.wait().expect(0)
    };
    let shown = send("");
    let lines: Vec<_> = shown.out.lines().collect();
    assert_eq!(
        lines[..3],
        [
            format!("{from}: hello, all of you"),
            format!("{from}: Grüße"),
            format!("{from}: turned \\u{{202e}}round\\n\tand on")
        ]
    );
    assert!(lines[3].starts_with("127.0.0.1:") && lines[3].ends_with(": the same by netlab"), "{shown:?}");
    assert!(lines[4].starts_with("received       4 texts, 68 B of payload in "), "{shown:?}");

    let told = send("--json");
    let first: serde_json::Value = serde_json::from_str(told.out.lines().next().unwrap()).unwrap();
    assert_eq!(first, serde_json::json!({ "event": "message", "from": from, "text": "hello, all of you\n" }));
    let figures = ["messages_text", "messages_received", "messages_unrecognized", "bytes"].map(|key| told.figure(key));
    assert_eq!(figures, [4, 0, 0, 68], "{told:?}");
}

#[test]
fn a_flood_of_texts_is_counted_and_some_are_shown() {
    let (_, received) = exchange(
        "unicast recv --port {port} --count 1000",
        "unicast --to 127.0.0.1:{port} --message flood --count 1000 --rate 20k send",
    );
    let received = received.expect(0);
    let shown = received.out.lines().filter(|line| line.ends_with(": flood")).count() as u64;
    let not_shown =
        received.out.lines().filter_map(|line| line.strip_prefix("… and ")?.split(' ').next()?.parse::<u64>().ok());
    assert!((1..1000).contains(&shown) && shown + not_shown.sum::<u64>() == 1000, "{received:?}");
    assert!(received.out.contains("received       1,000 texts, "), "{received:?}");
}

#[test]
fn one_number_that_cannot_be_changes_nothing() {
    let port = free_port();
    let receiver = Running::start(&format!("unicast recv --port {port} --count 6 --duration 20s"));
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    for sequence in [0, 1, u64::MAX - 1, 2, 2, 3] {
        let mut message = [0; 64];
        Probe { run_id: 7, stream_id: 0, sequence, send_time_ns: 0, clock: None }.encode(&mut message);
        socket.send_to(&message, ("127.0.0.1", port)).unwrap();
    }
    let done = receiver.wait().expect(0);
    for line in ["received       4 messages, 256 B of", "lost           0 (", "duplicates     1", "unrecognized   1 "] {
        assert!(done.out.contains(line), "no {line:?} in {done:?}");
    }
    assert!(!done.out.contains("stale"), "{done:?}");
}

#[test]
fn a_count_that_is_not_reached_is_a_failure() {
    let port = free_port();
    let receiver = Running::start(&format!("unicast recv --port {port} --count 3 --duration 1s --json"));
    UdpSocket::bind("127.0.0.1:0").unwrap().send_to(b"one", ("127.0.0.1", port)).unwrap();
    let done = receiver.wait().expect(1);
    let error = done.summary()["error"].as_str().unwrap().to_owned();
    assert!(error.starts_with("1 of 3 datagrams asked for came in "), "{done:?}");
    assert!(done.err.contains(&format!("netlab: {error}")), "{done:?}");
    assert_eq!(done.figure("messages_text"), 1, "{done:?}");
    // Nothing was asked for but the time.
    let done = netlab(&format!("unicast recv --port {port} --duration 100ms --json")).expect(0);
    assert!(done.summary()["error"].is_null(), "{done:?}");
}

#[test]
fn a_rate_that_cannot_be_held_does_not_make_it_longer() {
    let done = netlab(&format!(
        "unicast --to 127.0.0.1:{} send --rate 100M --duration 300ms --json",
        UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
    ))
    .expect(0);
    let summary = done.summary();
    let figure = |key: &str| summary[key].as_f64().unwrap();
    assert!((1.0..30e6).contains(&figure("messages_sent")), "{done:?}");
    assert!(figure("achieved_rate") < figure("offered_rate"), "{done:?}");
}

#[test]
fn what_has_no_header_is_unrecognized() {
    let port = free_port();
    let receiver = Running::start(&format!("unicast recv --port {port} --count 8 --json --duration 20s"));
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    for datagram in [&b"\x1b[2J"[..], b"", b"NLA\0", &[0; 32], &[0xff; 1400]] {
        socket.send_to(datagram, ("127.0.0.1", port)).unwrap();
    }
    // Too small for the header.
    netlab(&format!("unicast --to 127.0.0.1:{port} --size 1 send --count 3")).expect(0);
    let done = receiver.wait().expect(0);
    assert_eq!((done.figure("messages_unrecognized"), done.figure("messages_received")), (8, 0), "{done:?}");
    assert_eq!((done.figure("bytes"), done.figure("messages_text")), (4 + 4 + 32 + 1400 + 3, 0), "{done:?}");
    assert!(done.summary()["latency_p50_ns"].is_null(), "{done:?}");
}

#[test]
fn sizes_up_to_the_largest_datagram() {
    for size in [32, 33, 1472, 65507] {
        let (sent, received) = exchange(
            "unicast recv --port {port} --count 3 --json",
            &format!("unicast --to 127.0.0.1:{{port}} send --count 3 --json --size {size}"),
        );
        assert_eq!(sent.figure("size_bytes"), size, "{sent:?}");
        assert_eq!((received.figure("messages_received"), received.figure("bytes")), (3, 3 * size), "{received:?}");
    }
}

#[test]
fn a_person_reads_a_block() {
    let (sent, received) =
        exchange("unicast recv --port {port} --count 10", "unicast --to 127.0.0.1:{port} send --count 10");
    assert!(sent.err.starts_with("sending unicast to 127.0.0.1:"), "{sent:?}");
    assert!(sent.err.contains("messages of 64 bytes, 1,000 a second, for 10 messages"), "{sent:?}");
    assert!(
        sent.out.contains("10 messages of 64 bytes") && sent.out.contains("messages/s of 1,000 asked for"),
        "{sent:?}"
    );
    let received = received.expect(0);
    for part in [
        "received       10 messages, 640 B",
        "lost           0 (0.00 %)",
        "duplicates     0",
        "reordered      0",
        "unrecognized   0",
        "jitter ",
        "latency        p50 ",
        "same clock",
        "socket drops   0",
    ] {
        assert!(received.out.contains(part), "no {part:?} in {received:?}");
    }
    // Nothing that moves where nobody looks.
    assert!(!received.err.contains('\r') && !received.err.contains('\x1b'), "{received:?}");
}

#[test]
fn signals_end_it_with_a_summary() {
    let recv = format!("unicast recv --port {} --json", free_port());
    let send = format!("unicast --to 127.0.0.1:{} send --json --rate 10", free_port());
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        // Without a limit that is how `recv` ends; all else is cut short.
        for (args, code) in [
            (recv.clone(), 0),
            (format!("{recv} --count 5"), 130),
            (format!("{recv} --duration 1m"), 130),
            (send.clone(), 130),
        ] {
            let running = Running::start(&args);
            running.signal(signal);
            let done = running.wait().expect(code);
            assert_eq!(done.summary()["event"], "summary", "{done:?}");
            assert_eq!(done.summary()["interrupted"], true, "{done:?}");
        }
    }
}

#[test]
fn nothing_received_is_no_failure_and_is_explained() {
    let port = free_port();
    let mut running = Running::start(&format!("unicast recv --port {port} --interface lo --duration 1m"));
    assert!(running.first_line.starts_with("listening "), "{}", running.first_line);
    assert!(
        running.first_line.contains("lo") && running.first_line.contains(&port.to_string()),
        "{}",
        running.first_line
    );
    let told = running.line_with("nothing in ").expect("silence is explained");
    assert!(told.contains("the kernel counted") && told.contains("at lo"), "{told}");
    running.signal(Signal::SIGTERM);
    let done = running.wait().expect(130);
    assert!(done.out.contains("received       0 messages"), "{done:?}");
}

#[test]
fn who_stops_reading_ends_recv_quietly() {
    let (mut reader, writer) = std::io::pipe().unwrap();
    let mut child = Command::new(NETLAB)
        .args(["unicast", "recv", "--json", "--port", &free_port().to_string()])
        .stdout(writer)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = [0; 1];
    reader.read_exact(&mut first).unwrap();
    drop(reader);
    let mut err = String::new();
    child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0), "{err}");
    assert!(!err.contains("panic") && !err.contains("netlab:"), "{err}");
}

#[test]
fn no_one_there_is_no_failure_of_the_sender() {
    // ICMP port unreachable answers each copy; what the kernel took is sent.
    let done = netlab(&format!("unicast --to 127.0.0.1:{} send --count 20 --json", free_port())).expect(0);
    assert_eq!((done.figure("messages_sent"), done.figure("copies_failed")), (20, 0), "{done:?}");
}
