//! What others make of it: tshark, socat, iperf 2, `ip`, `bridge` and `/proc` against netlab, on a virtual LAN.
//!
//! A tool that is missing is a loud skip, and a failure with `NETLAB_REQUIRE_PEERS=1`.

#[path = "support/cli.rs"]
mod cli;

use cli::{Done, have, in_lan};

/// Runs a script that has to end with code 0.
#[track_caller]
fn run(options: &str, script: &str) -> Option<Done> {
    in_lan(options, script).map(|done| done.expect(0))
}

/// What tshark reads of five messages of 100 bytes that h1 sends: a line of tab-separated fields for each frame.
#[track_caller]
fn seen_by_tshark(options: &str, send: &str, frames: u32, fields: &str) -> Option<Vec<Vec<String>>> {
    let fields: String = fields.split_whitespace().map(|field| format!(" -e {field}")).collect();
    let script = format!(
        "on h1 dumpcap -q -i h1 -f 'udp port 4747 or ether proto 0x88b5' -c {frames} -w sent.pcap 2>capture.err & capture=$!
         await 'File:' capture.err
         on h1 netlab {send} send --count 5 --size 100
         wait $capture
         echo ---
         tshark -r sent.pcap -T fields{fields} 2>tshark.err || {{ cat tshark.err >&2; exit 97; }}"
    );
    let done = run(options, &script)?;
    let (_, read) = done.out.split_once("---\n").unwrap_or_else(|| panic!("{done:?}"));
    Some(read.lines().map(|line| line.split('\t').map(str::to_owned).collect()).collect())
}

#[test]
fn tshark_sees_addresses_ttl_dscp_and_lengths() {
    if !have(&["tshark", "dumpcap"]) {
        return;
    }
    const IPV4: &str = "eth.dst ip.dst ip.ttl ip.dsfield.dscp ip.len udp.length udp.dstport frame.len";
    // 100 of payload, 8 of UDP, 20 of IP, 14 of Ethernet.
    let line = |mac: &str, ip: &str, ttl: &str, dscp: &str| -> Vec<String> {
        [mac, ip, ttl, dscp, "128", "108", "4747", "142"].map(str::to_owned).to_vec()
    };
    for (send, expected) in [
        ("unicast --to 10.77.0.2 --dscp 46", vec![line("02:4e:4c:00:00:02", "10.77.0.2", "64", "46")]),
        (
            "unicast --to 10.77.0.2,10.77.0.3",
            vec![line("02:4e:4c:00:00:02", "10.77.0.2", "64", "0"), line("02:4e:4c:00:00:03", "10.77.0.3", "64", "0")],
        ),
        ("broadcast --dscp 8", vec![line("ff:ff:ff:ff:ff:ff", "255.255.255.255", "64", "8")]),
        ("broadcast --to directed", vec![line("ff:ff:ff:ff:ff:ff", "10.77.255.255", "64", "0")]),
        ("multicast --group 239.129.1.1 --dscp 63", vec![line("01:00:5e:01:01:01", "239.129.1.1", "1", "63")]),
        (
            "multicast --group 239.77.1.1,239.77.1.2 --ttl 7",
            vec![line("01:00:5e:4d:01:01", "239.77.1.1", "7", "0"), line("01:00:5e:4d:01:02", "239.77.1.2", "7", "0")],
        ),
    ] {
        let frames = 5 * expected.len();
        let Some(seen) = seen_by_tshark("--hosts 3", send, frames as u32, IPV4) else { return };
        let five_times: Vec<_> = expected.iter().cycle().take(frames).cloned().collect();
        assert_eq!(seen, five_times, "{send}");
    }
}

#[test]
fn tshark_sees_raw_frames_without_ip() {
    if !have(&["tshark", "dumpcap"]) {
        return;
    }
    let fields = "eth.dst eth.type frame.len ip.dst";
    let Some(seen) = seen_by_tshark("--hosts 2", "broadcast --raw", 5, fields) else { return };
    assert_eq!(seen, vec![["ff:ff:ff:ff:ff:ff", "0x88b5", "114", ""].map(str::to_owned).to_vec(); 5]);
}

#[test]
fn tshark_sees_ipv6_groups() {
    if !have(&["tshark", "dumpcap"]) {
        return;
    }
    let fields = "eth.dst ipv6.dst ipv6.hlim ipv6.tclass.dscp ipv6.plen frame.len";
    let send = "multicast --group ff05::4:77 --interface h1 --ttl 9 --dscp 10";
    let Some(seen) = seen_by_tshark("--hosts 2 --ipv6", send, 5, fields) else { return };
    assert_eq!(seen, vec![["33:33:00:04:00:77", "ff05::4:77", "9", "10", "108", "162"].map(str::to_owned).to_vec(); 5]);
}

#[test]
fn socat_speaks_to_recv() {
    if !have(&["socat"]) {
        return;
    }
    for (recv, to) in [
        ("unicast", "UDP4-DATAGRAM:10.77.0.2:4747"),
        ("broadcast", "UDP4-DATAGRAM:10.77.255.255:4747,broadcast"),
        ("multicast --group 239.77.1.1", "UDP4-DATAGRAM:239.77.1.1:4747,ip-multicast-if=10.77.0.1"),
    ] {
        let script = format!(
            "on h2 netlab {recv} recv --count 3 --json >out 2>err & receiver=$!
             await listening err
             for word in one two three; do echo $word | on h1 socat -u - {to}; done
             wait $receiver
             cat out"
        );
        let Some(done) = run("--hosts 2", &script) else { return };
        let figures = ["messages_text", "messages_unrecognized", "messages_received"].map(|key| done.figure(key));
        assert_eq!(figures, [3, 0, 0], "{done:?}");
        for word in ["one", "two", "three"] {
            let object = format!("\"text\":\"{word}\\n\"}}");
            let from_socat = |line: &str| line.contains("\"from\":\"10.77.0.1:") && line.ends_with(&object);
            assert!(done.out.lines().any(from_socat), "{word}: {done:?}");
        }
        assert_eq!(done.figure("bytes"), "one\ntwo\nthree\n".len() as u64, "{done:?}");
    }
}

#[test]
fn socat_hears_send() {
    if !have(&["socat"]) {
        return;
    }
    for (hear, send) in [
        ("UDP4-RECVFROM:4747", "unicast --to 10.77.0.2"),
        ("UDP4-RECVFROM:4747,broadcast", "broadcast"),
        ("UDP4-RECVFROM:4747,ip-add-membership=239.77.1.1:h2", "multicast --group 239.77.1.1"),
    ] {
        let script = format!(
            "on h2 socat -d -d -u {hear} - >heard 2>err & socat=$!
             await 'receiving on' err
             on h1 netlab {send} --message 'hello socat' send
             wait $socat
             echo ---
             cat heard"
        );
        let Some(done) = run("--hosts 2", &script) else { return };
        assert!(done.out.ends_with("---\nhello socat"), "{hear}: {done:?}");
    }
}

/// What iperf 2 sent, the kernel's UDP took in, and netlab counted: all of it.
#[test]
fn iperf_speaks_to_recv() {
    if !have(&["iperf"]) {
        return;
    }
    for (recv, to) in [("unicast", "10.77.0.2"), ("multicast --group 239.77.1.1", "239.77.1.1 -T 1")] {
        let script = format!(
            "on h2 netlab {recv} recv --json >out 2>err & receiver=$!
             await listening err
             on h1 iperf -u -c {to} -p 4747 -l 200 -b 500pps -n 100000 >iperf.out 2>&1
             sed -n 's/.*Sent \\([0-9]*\\) datagrams.*/sent \\1/p' iperf.out
             on h2 awk '/^Udp: [0-9]/ {{ print \"udp\", $2 }}' /proc/net/snmp
             kill -INT $receiver
             wait $receiver
             cat out"
        );
        let Some(done) = run("--hosts 2", &script) else { return };
        let said = |word: &str| -> u64 {
            let line = done.out.lines().find_map(|line| line.strip_prefix(word));
            line.and_then(|figure| figure.trim().parse().ok()).unwrap_or_else(|| panic!("no {word}: {done:?}"))
        };
        // 100,000 bytes in datagrams of 200; the last ones, which only tell of the end, it counts in its own way.
        assert!(said("sent ") >= 500 && said("udp ") >= 500, "{done:?}");
        assert_eq!(done.figure("messages_unrecognized"), said("udp "), "{done:?}");
        assert_eq!(done.figure("messages_received"), 0, "{done:?}");
    }
}

/// An iperf 2 server makes little sense of the bytes, but takes the datagrams: half of them at the least, as it changes
/// sockets in between.
#[test]
fn iperf_hears_send() {
    if !have(&["iperf"]) {
        return;
    }
    for (hear, ready, send) in [
        ("", "", "unicast --to 10.77.0.2"),
        // It joins after it has bound its port; 239.77.1.1 as the kernel lists it.
        ("-B 239.77.1.1%h2", "&& on h2 grep -q 01014DEF /proc/net/igmp", "multicast --group 239.77.1.1"),
    ] {
        let script = format!(
            "on h2 iperf -s -u -p 4747 {hear} >heard 2>&1 & iperf=$!
             until on h2 grep -q :128B /proc/net/udp {ready}; do sleep 0.05; done
             on h1 netlab {send} --count 200 --rate 500 --size 200 send
             await 'connected with 10.77.0.1' heard
             until on h2 awk '/^Udp: [0-9]/ {{ exit $2 < 100 }}' /proc/net/snmp; do sleep 0.05; done
             echo taken
             kill $iperf"
        );
        let Some(done) = run("--hosts 2", &script) else { return };
        assert!(done.out.trim_end().ends_with("taken"), "{hear}: {done:?}");
    }
}

#[test]
fn the_links_carry_a_frame_for_each_copy() {
    if !have(&["ip"]) {
        return;
    }
    // Frames that h1 sent, and that h2 and h3 got, for 1,000 messages.
    for (send, expected) in [
        ("unicast --to 10.77.0.2,10.77.0.3", [2000, 1000, 1000]),
        ("unicast --to 10.77.0.2", [1000, 1000, 0]),
        ("broadcast", [1000, 1000, 1000]),
        ("broadcast --raw", [1000, 1000, 1000]),
    ] {
        let script = format!(
            "frames() {{ for h in 1 2 3; do on h$h ip -s -j link show h$h; done; }}
             on h1 netlab unicast --to 10.77.0.2,10.77.0.3 send --count 1 >warmup 2>&1
             frames >before
             on h1 netlab {send} send --count 1000 --rate 5k >sent 2>&1
             frames >after
             cat before after"
        );
        // Not a snooping switch, whose queries the links would count too.
        let Some(done) = run("--hosts 3 --switch flooding", &script) else { return };
        let links: Vec<serde_json::Value> = done.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let count = |host: usize, direction: &str| {
            let at = |snapshot: usize| links[snapshot * 3 + host][0]["stats64"][direction]["packets"].as_u64().unwrap();
            at(1) - at(0)
        };
        assert_eq!([count(0, "tx"), count(1, "rx"), count(2, "rx")], expected, "{send}: {done:?}");
    }
}

#[test]
fn a_join_shows_at_the_switch_and_in_the_hosts_list() {
    if !have(&["bridge"]) {
        return;
    }
    let script = "on h2 netlab multicast --group 239.77.1.9 recv --duration 30s >out 2>err & receiver=$!
         await listening err
         on h2 cat /proc/net/igmp >igmp
         joined() { bridge mdb show | grep 'grp 239.77.1.9'; }
         for try in 1 2 3 4 5 6 7 8 9 10; do joined >mdb && break; sleep 0.1; done
         kill -INT $receiver
         wait $receiver || [ $? = 130 ]
         cat err mdb igmp";
    let Some(done) = run("--hosts 3", script) else { return };
    assert!(done.out.contains("239.77.1.9 (MAC 01:00:5e:4d:01:09; the kernel confirms the membership)"), "{done:?}");
    assert!(done.out.contains("port p2 grp 239.77.1.9"), "{done:?}");
    assert!(!done.out.contains("port p3 grp 239.77.1.9"), "{done:?}");
    // As a little-endian machine writes it.
    let listed = format!("{:08X}", u32::from_ne_bytes([239, 77, 1, 9]));
    assert!(done.out.contains(&listed), "{done:?}");
}
