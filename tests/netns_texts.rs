//! Text by every mode between two hosts: shown at the receiver, with the address it came from.

#[path = "support/mod.rs"]
mod support;

use support::{everybody, lan_says, require_namespaces};

#[test]
fn every_mode_shows_texts_and_who_sent_them() {
    if !require_namespaces() {
        return;
    }
    let modes = [
        ("unicast", "unicast --to 10.77.0.2", "10.77.0.1:"),
        ("broadcast", "broadcast -i h1", "10.77.0.1:"),
        ("multicast --group 239.77.1.1", "multicast --group 239.77.1.1 -i h1", "10.77.0.1:"),
        ("multicast --group ff02::77 -i h2", "multicast --group ff02::77 -i h1", "[fe80::"),
        ("broadcast --raw", "broadcast --raw -i h1", "02:4e:4c:00:00:01: "),
    ];
    for who in everybody() {
        for (recv, send, from) in modes {
            let script = format!(
                "scratch=$(mktemp -d); trap 'rm -rf \"$scratch\"' EXIT; cd \"$scratch\"
                 on h2 netlab {recv} recv --count 2 --duration 20s >out 2>err & receiver=$!
                 until grep -q listening err; do sleep 0.05; done
                 on h1 netlab {send} --message 'hello, all of you' send >sent 2>&1 || cat sent
                 on h1 netlab {send} --size 10 --count 1 send >sent 2>&1 || cat sent
                 wait $receiver
                 echo \"ended $?\"
                 cat out"
            );
            let said = lan_says(who, &["--hosts", "2", "--ipv6"], &script);
            let lines: Vec<_> = said.lines().collect();
            assert_eq!(lines[0], "ended 0", "{who:?} {recv}: {said}");
            assert!(lines[1].starts_with(from) && lines[1].ends_with(": hello, all of you"), "{who:?} {recv}: {said}");
            assert!(lines[2].starts_with("received       1 text, 17 B of payload in "), "{who:?} {recv}: {said}");
            assert!(said.contains("unrecognized   1 "), "{who:?} {recv}: {said}");
        }
    }
}
