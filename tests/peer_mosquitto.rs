//! Others' MQTT against ours: mosquitto's clients with our broker, our clients with mosquitto, and the same conversation
//! with both brokers.
//!
//! A tool that is missing is a loud skip, and a failure with `NETLAB_REQUIRE_PEERS=1`.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use netlab::pubsub::broker::{Broker, BrokerOptions};
use netlab::pubsub::secret::{Login, Password};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

#[path = "support/cli.rs"]
mod cli;
#[path = "support/mqtt.rs"]
mod mqtt;

use cli::{Done, Running, have, netlab, netlab_with};
use mqtt::Mosquitto;

fn broker(login: Option<Login>) -> (Broker, String) {
    let broker =
        Broker::start(&BrokerOptions { listen: ([127, 0, 0, 1], 0).into(), login, ..BrokerOptions::default() })
            .unwrap();
    let port = broker.local_addr().port().to_string();
    (broker, port)
}

fn mosquitto() -> (Mosquitto, String) {
    let mosquitto = Mosquitto::start("allow_anonymous true", tempfile::tempdir().unwrap());
    let url = format!("mqtt://127.0.0.1:{}", mosquitto.port);
    (mosquitto, url)
}

/// A mosquitto_sub that has subscribed, its output read as it comes.
struct Subscriber {
    child: Child,
    lines: std::io::Lines<BufReader<ChildStdout>>,
}

impl Subscriber {
    /// `-d` tells when the subscription stands.
    fn start(port: &str, flags: &str) -> Subscriber {
        let mut child = Command::new("timeout")
            // Into a pipe it would print at its end alone.
            .args(["20", "stdbuf", "-oL", "mosquitto_sub", "-d", "-h", "127.0.0.1", "-p", port])
            .args(flags.split_whitespace())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("timeout starts");
        let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        let subscribed = lines.by_ref().map_while(Result::ok).any(|line| line.starts_with("Subscribed "));
        assert!(subscribed, "{flags}: it ended without a subscription");
        Subscriber { child, lines }
    }

    /// What it prints until it ends, its own remarks left out.
    fn messages(mut self) -> Vec<String> {
        let printed = self.lines.by_ref().map_while(Result::ok);
        let messages: Vec<_> = printed.filter_map(|line| line.strip_prefix('>').map(str::to_owned)).collect();
        assert!(self.child.wait().unwrap().success(), "{messages:?}");
        messages
    }

    /// Kills it as `kill -9` does.
    fn kill(&self) {
        // `timeout` is its parent.
        let parent = self.child.id();
        let children = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).expect("it runs");
        for child in children.split_whitespace() {
            kill(Pid::from_raw(child.parse().expect("a number")), Signal::SIGKILL).expect("it runs");
        }
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn mosquitto_pub(port: &str, flags: &[&str]) -> Done {
    Command::new("mosquitto_pub")
        .args(["-h", "127.0.0.1", "-p", port])
        .args(flags)
        .stdin(Stdio::null())
        .output()
        .expect("mosquitto_pub starts")
        .into()
}

/// How mosquitto_sub is to print a message.
const FORMAT: &str = "-F >%t,%p,%q,%r";

#[test]
fn mosquittos_clients_and_our_broker() {
    if !have(&["mosquitto_pub", "mosquitto_sub"]) {
        return;
    }
    for version in ["mqttv311", "mqttv5"] {
        let (broker, port) = broker(None);
        for qos in ["0", "1", "2"] {
            let flags = |rest: &str| format!("-V {version} -q {qos} {} {rest}", FORMAT);
            let subscribe = |rest: &str| Subscriber::start(&port, &flags(rest));
            let plain = subscribe(&format!("-t lab/{qos}/door -C 2"));
            let one_level = subscribe(&format!("-t lab/{qos}/+ -C 2"));
            let all = subscribe("-t lab/# -C 3");
            for (topic, text) in [("door", "open"), ("deep/er", "no"), ("door", "shut")] {
                let topic = format!("lab/{qos}/{topic}");
                mosquitto_pub(&port, &["-V", version, "-q", qos, "-t", &topic, "-m", text]).expect(0);
            }
            let line = |topic: &str, text: &str| format!("lab/{qos}/{topic},{text},{qos},0");
            let doors = [line("door", "open"), line("door", "shut")];
            assert_eq!(plain.messages(), doors, "{version}, QoS {qos}");
            assert_eq!(one_level.messages(), doors, "{version}, QoS {qos}");
            assert_eq!(all.messages(), [line("door", "open"), line("deep/er", "no"), line("door", "shut")]);

            // Retained, and taken away again.
            let topic = format!("kept/{qos}");
            let publish = |more: &[&str]| {
                mosquitto_pub(&port, &[&["-V", version, "-q", qos, "-r", "-t", &topic][..], more].concat()).expect(0)
            };
            publish(&["-m", "old"]);
            publish(&["-m", "new"]);
            assert_eq!(subscribe(&format!("-t {topic} -C 1")).messages(), [format!("{topic},new,{qos},1")]);
            publish(&["-n"]);
            let late = Command::new("mosquitto_sub")
                .args(["-h", "127.0.0.1", "-p", &port, "-V", version, "-t", &topic, "-W", "1"])
                .output()
                .unwrap();
            assert_eq!(String::from_utf8_lossy(&late.stdout), "", "{version}");

            // A last will.
            let mourner = subscribe("-t wills -C 1");
            let mortal = subscribe(&format!("-t nothing --will-topic wills --will-payload gone --will-qos {qos}"));
            mortal.kill();
            assert_eq!(mourner.messages(), [format!("wills,gone,{qos},0")]);
        }
        broker.stop();
    }
}

#[test]
fn mosquittos_clients_and_our_passwords() {
    if !have(&["mosquitto_pub"]) {
        return;
    }
    let (broker, port) = broker(Some(Login { user: "ann".into(), password: Password::new("secret") }));
    for version in ["mqttv311", "mqttv5"] {
        let publish =
            |login: &[&str]| mosquitto_pub(&port, &[&["-V", version, "-t", "a", "-m", "b"][..], login].concat());
        publish(&["-u", "ann", "-P", "secret"]).expect(0);
        for wrong in [&["-u", "ann", "-P", "wrong"][..], &["-u", "bob", "-P", "secret"], &[]] {
            let refused = publish(wrong);
            assert_ne!(refused.code, Some(0), "{refused:?}");
            assert!(refused.err.to_lowercase().contains("user name or password"), "{refused:?}");
        }
    }
    assert_eq!(broker.stop().clients_refused, 6);
}

#[test]
fn our_clients_and_mosquitto() {
    if !have(&["mosquitto", "mosquitto_pub", "mosquitto_sub"]) {
        return;
    }
    let (mosquitto, url) = mosquitto();
    let port = mosquitto.port.to_string();
    for qos in ["0", "1", "2"] {
        let flags = format!("-q {qos} -t from/ours -C 1 {}", FORMAT);
        let theirs = Subscriber::start(&port, &flags);
        let ours = Running::start(&format!(
            "pubsub subscribe --broker {url} --topic from/# --qos {qos} --count 2 --duration 20s"
        ));
        assert!(ours.first_line.starts_with("subscribed to "), "{}", ours.wait().err);
        netlab(&format!("pubsub publish --broker {url} --topic from/ours --message hello --qos {qos}")).expect(0);
        mosquitto_pub(&port, &["-q", qos, "-t", "from/theirs", "-m", "hello"]).expect(0);
        assert_eq!(theirs.messages(), [format!("from/ours,hello,{qos},0")]);
        assert_eq!(ours.wait().expect(0).out, "from/ours hello\nfrom/theirs hello\n");
    }
}

#[test]
fn the_same_conversation_with_both_brokers() {
    if !have(&["mosquitto"]) {
        return;
    }
    let (mosquitto, theirs) = mosquitto();
    let (broker, port) = broker(None);
    let with_theirs = conversation(&theirs);
    let with_ours = conversation(&format!("mqtt://127.0.0.1:{port}"));
    drop(mosquitto);
    broker.stop();
    assert_eq!(with_ours, with_theirs);
    // Messages, and a summary each.
    assert_eq!(with_ours.len(), 14 + 10 + 2 + 3, "{with_ours:#?}");
}

/// All that three subscribers print while others publish, each to its end.
fn conversation(url: &str) -> Vec<String> {
    let subscribe = |flags: &str| {
        let running = Running::start(&format!("pubsub subscribe --broker {url} --json --duration 20s {flags}"));
        assert!(running.first_line.starts_with("subscribed to "), "{}", running.first_line);
        running
    };
    let publish = |args: &[&str]| {
        netlab_with(&[&["pubsub", "publish", "--broker", url][..], args].concat()).expect(0);
    };
    publish(&["-t", "kept/a", "-m", "kept", "--retain", "-q", "1"]);
    publish(&["-t", "kept/b", "-m", "taken away", "--retain", "-q", "1"]);
    publish(&["-t", "kept/b", "-m", "", "--retain", "-q", "1"]);
    // A session with what it missed.
    let mut away = subscribe("--topic post/# --qos 2 --client-id away --session 5m");
    away.signal(Signal::SIGINT);
    let _ = away.line_with("received");
    away.wait().expect(130);
    for qos in ["0", "1", "2"] {
        publish(&["-t", &format!("post/{qos}"), "-m", "for you", "-q", qos]);
    }
    let all = subscribe("--topic # --qos 2 --count 13");
    let some = subscribe("--topic a/+ --topic a/b/c --qos 1 --count 9");
    let none = subscribe("--topic nothing/here --qos 0 --count 1");
    let doomed = subscribe("--topic x --will-topic a/will --will-message gone --will-qos 1");
    for qos in ["0", "1", "2"] {
        publish(&["-t", "a/b", "-m", "plain text, gr\u{fc}n", "-q", qos]);
        publish(&["-t", "a/b/c", "-m", "deeper", "-q", qos, "--retain"]);
        publish(&["-t", "a/c", "-m", "", "-q", qos]);
        publish(&["-t", "/", "-m", "an empty level on both sides", "-q", qos]);
    }
    doomed.signal(Signal::SIGKILL);
    doomed.wait();
    let back = subscribe("--topic post/# --qos 2 --client-id away --session 5m --count 2");
    publish(&["-t", "nothing/here", "-m", "end"]);
    // Times and rates are each broker's own.
    let own = ["duration_s", "rate", "latency_p50_ns", "latency_p99_ns", "latency_max_ns", "kernel_latency_p50_ns"];
    let mut said = Vec::new();
    for (name, running) in [("all", all), ("some", some), ("none", none), ("back", back)] {
        let done = running.wait().expect(0);
        for line in done.out.lines() {
            let mut object: serde_json::Value = serde_json::from_str(line).unwrap();
            own.iter().for_each(|key| drop(object.as_object_mut().unwrap().remove(*key)));
            said.push(format!("{name}: {object}"));
        }
    }
    said
}

#[test]
fn mosquitto_refuses_a_wrong_password() {
    if !have(&["mosquitto", "mosquitto_passwd"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let users = folder.path().join("users");
    let made =
        Command::new("mosquitto_passwd").args(["-c", "-b"]).arg(&users).args(["ann", "secret"]).output().unwrap();
    assert!(made.status.success(), "{made:?}");
    let (right, wrong) = (folder.path().join("right"), folder.path().join("wrong"));
    fs::write(&right, "secret\n").unwrap();
    fs::write(&wrong, "hunter2\n").unwrap();
    let configuration = format!("allow_anonymous false\npassword_file {}", users.display());
    let mosquitto = Mosquitto::start(&configuration, folder);
    let publish = |file: &Path| {
        let url = format!("mqtt://ann@127.0.0.1:{}", mosquitto.port);
        let file = file.display().to_string();
        netlab_with(&["pubsub", "publish", "-b", &url, "--password-file", &file, "-t", "a", "-m", "b"])
    };
    publish(&right).expect(0);
    let refused = publish(&wrong).expect(1);
    assert!(refused.err.contains("refuses the user or the password"), "{refused:?}");
    assert!(!refused.err.contains("hunter2"), "{refused:?}");
}

#[test]
fn tls_with_mosquitto_and_certificates_that_do_not_verify() {
    if !have(&["mosquitto", "openssl"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let script = r#"
        set -eu
        for ca in ca other; do
            openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj "/CN=netlab test $ca" -keyout $ca.key -out $ca.pem
        done
        openssl req -newkey rsa:2048 -nodes -subj /CN=broker -keyout server.key -out server.csr
        printf 'subjectAltName=DNS:localhost\n' >names
        openssl x509 -req -days 2 -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -extfile names -out server.pem
    "#;
    let made = Command::new("sh").args(["-c", script]).current_dir(folder.path()).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let at = |name: &str| folder.path().join(name).display().to_string();
    let (ca, other) = (at("ca.pem"), at("other.pem"));
    let configuration = format!("allow_anonymous true\ncertfile {}\nkeyfile {}", at("server.pem"), at("server.key"));
    let mosquitto = Mosquitto::start(&configuration, folder);
    let url = |scheme: &str, host: &str| format!("{scheme}://{host}:{}", mosquitto.port);

    // More than one TLS record.
    let subscriber = Running::start(&format!(
        "pubsub subscribe --broker {} --ca {ca} --topic a --quiet --json --qos 1 --count 200 --duration 20s",
        url("mqtts", "localhost")
    ));
    assert!(subscriber.first_line.starts_with("subscribed to "), "{}", subscriber.first_line);
    let load = "--topic a --size 40k --qos 1 --count 200 --rate max";
    netlab(&format!("pubsub publish --broker {} --ca {ca} {load}", url("mqtts", "localhost"))).expect(0);
    let received = subscriber.wait().expect(0);
    assert_eq!((received.figure("messages_received"), received.figure("messages_lost")), (200, 0), "{received:?}");

    let publish =
        |url: &str, more: &str| netlab(&format!("pubsub publish --broker {url} --topic a --message b {more}"));
    for (url, more, says) in [
        (url("mqtts", "localhost"), format!("--ca {other}"), "does not verify: nobody trusted here vouches for it"),
        (url("mqtts", "127.0.0.1"), format!("--ca {ca}"), "does not verify: it is for another name"),
        // TLS is expected there.
        (url("mqtt", "localhost"), String::new(), "mqtts://"),
    ] {
        let refused = publish(&url, &more).expect(1);
        assert!(refused.err.contains(says), "{says}: {refused:?}");
    }
    // TLS where there is none.
    let (plain, _) = self::mosquitto();
    let refused = publish(&format!("mqtts://127.0.0.1:{}", plain.port), &format!("--ca {ca}")).expect(1);
    assert!(refused.err.contains("try mqtt://") || refused.err.contains("closed the connection"), "{refused:?}");
}

#[test]
fn each_certificate_that_does_not_verify_has_its_remedy() {
    if !have(&["mosquitto", "openssl"]) {
        return;
    }
    let script = r#"
        set -eu
        openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj "/CN=netlab test" -keyout ca.key -out ca.pem
        openssl req -newkey rsa:2048 -nodes -subj /CN=broker -keyout server.key -out server.csr
        printf 'subjectAltName=DNS:localhost\n' >names
        sign() { openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial "$@"; }
        sign -days -1 -extfile names -out expired.pem
        sign -days 2 -out old.pem
        openssl req -x509 -key server.key -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost -out own.pem
    "#;
    for (certificate, ca, says, remedy) in [
        ("expired.pem", "ca.pem", "it has expired", "renew"),
        ("own.pem", "own.pem", "of an authority (CA:TRUE)", "sign another one"),
        ("old.pem", "ca.pem", "version 1", "subjectAltName"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let made = Command::new("sh").args(["-c", script]).current_dir(folder.path()).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let at = |name: &str| folder.path().join(name).display().to_string();
        let (certificate, ca, key) = (at(certificate), at(ca), at("server.key"));
        let mosquitto =
            Mosquitto::start(&format!("allow_anonymous true\ncertfile {certificate}\nkeyfile {key}"), folder);
        let url = format!("mqtts://localhost:{}", mosquitto.port);
        let refused = netlab_with(&["pubsub", "publish", "-b", &url, "--ca", &ca, "-t", "a", "-m", "b"]).expect(1);
        assert!(refused.err.contains(says) && refused.err.contains(remedy), "{says}: {refused:?}");
    }
}
