//! Whatever others send, name or write, no terminal obeys it: each field of each protocol, files, and names of interfaces.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::thread;

use netlab::escaped::steers;
use socket2::{Domain, Socket, Type};

#[path = "support/cli.rs"]
mod cli;

#[path = "support/terminal.rs"]
mod terminal;

use terminal::OnTerminal;

use cli::{Done, NETLAB, Running, in_lan, netlab_with};

/// A title, a colour, a C1 control, a text that runs backwards, what cannot be seen, and a line over a line.
const HOSTILE: &str = "\x1b]0;owned\x07\x1b[31m\u{9b}2J\u{85}\u{202e}\u{2066}\u{2028}\u{200b}\u{7f}\rover";

/// Neither output steers a terminal.
#[track_caller]
fn harmless(done: &Done) {
    for text in [&done.out, &done.err] {
        let found: Vec<_> = text.lines().filter(|line| line.contains(steers)).collect();
        assert!(found.is_empty(), "{found:?}");
    }
}

/// `chat join` at a server that says these lines.
#[track_caller]
fn joined(lines: &str, more: &[&str]) -> Done {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let lines = lines.to_owned();
    let server = thread::spawn(move || {
        let mut stream = listener.accept().unwrap().0;
        stream.write_all(lines.as_bytes()).unwrap();
        // What it asks is read, lest its words be lost to a reset.
        BufReader::new(stream.try_clone().unwrap()).read_line(&mut String::new()).unwrap();
    });
    let done = netlab_with(&[&["chat", "join", &address, "--name", "ann", "--stay"], more].concat());
    server.join().unwrap();
    done
}

#[test]
fn what_a_chat_server_says() {
    const HELLO: &str = "HELLO netlab-chat/1 x=y\n";
    let h = HOSTILE;
    // All that `Answer` can be, and lines that are none.
    let events = [
        format!("MSG bob {h}"),
        format!("PRIVATE bob {h}"),
        format!("JOINED {h}"),
        format!("LEFT bob {h}"),
        format!("RENAMED {h} {h}"),
        format!("OK TELL {h}"),
        format!("OK JOIN {h}"),
        format!("OK {h} {h}"),
        format!("NAMES 0 {h} {h}"),
        format!("NAMES 7 {h}"),
        format!("PONG {h}"),
        format!("ERROR {h} {h}"),
        format!("HELLO {h} {h}"),
        format!("{h} {h}"),
        format!("DROPPED {h} {h}"),
    ];
    for more in [&[][..], &["--json"]] {
        let done = joined(&format!("{HELLO}OK JOIN ann\n{}\n", events.join("\n")), more).expect(1);
        assert!(done.err.contains("\\u{1b}]0;owned") && done.out.contains("0;owned"), "{done:?}");
        harmless(&done);
        for greeting in [
            format!("{h}\n"),
            format!("HELLO {h} {h}\n"),
            format!("ERROR {h} {h}\n"),
            format!("{HELLO}ERROR {h} {h}\n"),
            format!("{HELLO}DROPPED {h} {h}\n"),
        ] {
            let done = joined(&greeting, more).expect(1);
            assert!(done.err.contains("u{1b}"), "{done:?}");
            harmless(&done);
        }
    }
}

/// On a terminal there is also a prompt, with the name that the server says one has.
#[test]
fn what_a_chat_server_says_to_a_terminal() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let terminal = OnTerminal::start(&format!("chat join {} --name ann", listener.local_addr().unwrap()));
    let mut stream = listener.accept().unwrap().0;
    let lines = format!("HELLO netlab-chat/1 x=y\nOK JOIN ann\nOK RENAME {HOSTILE}\nMSG bob {HOSTILE}\nMSG bob 1\n");
    stream.write_all(lines.as_bytes()).unwrap();
    terminal.shows("bob: 1");
    // The next prompt has the name.
    let mut terminal = terminal;
    terminal.keys("/help\r");
    terminal.shows("over> ");
    let screen = terminal.screen();
    for obeyed in ["\x1b]0", "\x1b[31m", "\u{9b}", "\u{202e}", "\rover"] {
        assert!(!screen.contains(obeyed), "{screen:?}");
    }
}

#[test]
fn what_comes_to_a_chat_without_a_server() {
    let group: SocketAddr = "239.77.4.9:4747".parse().unwrap();
    for more in [&[][..], &["--json"]] {
        let mut command = Command::new(NETLAB);
        command.args(["chat", "join", "--multicast", "239.77.4.9", "-i", "lo", "--name", "ann"]).args(more);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("netlab starts");
        let mut err = BufReader::new(child.stderr.take().unwrap());
        let mut first = String::new();
        err.read_line(&mut first).unwrap();
        assert!(first.starts_with("joined "), "{first}");
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, None).unwrap();
        socket.set_multicast_if_v4(&Ipv4Addr::LOCALHOST).unwrap();
        // With control characters it is none of the chat; the rest is text.
        let text: String = HOSTILE.chars().filter(|c| !c.is_control()).collect();
        let events = [
            format!("MSG bob {HOSTILE}"),
            format!("JOINED {text}"),
            format!("HERE {text}"),
            format!("RENAMED bob {text}"),
            format!("LEFT bob {text}"),
            format!("MSG bob {text}"),
            format!("{text} {text}"),
            "MSG bob the last".to_owned(),
        ];
        for (number, event) in events.iter().enumerate() {
            let datagram = format!("netlab-chat/1 00000000000000b0 {number} {event}");
            socket.send_to(datagram.as_bytes(), &group.into()).unwrap();
        }
        let mut out = String::new();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        while !out.contains("the last") {
            assert!(lines.read_line(&mut out).unwrap() > 0, "it ended: {out}");
        }
        drop(child.stdin.take());
        let code = child.wait().unwrap().code();
        let done = Done { code, out, err: first }.expect(0);
        assert!(done.out.contains("over"), "{done:?}");
        harmless(&done);
    }
}

fn publish<'a>(url: &'a str, topic: &'a str) -> [&'a str; 7] {
    ["pubsub", "publish", "--broker", url, "--topic", topic, "--message"]
}

#[test]
fn what_comes_by_a_broker() {
    let broker = Running::start("pubsub broker --listen 127.0.0.1:0");
    let port = broker.first_line.split([':', ' ']).find_map(|word| word.parse::<u16>().ok()).expect("a port");
    let url = format!("mqtt://127.0.0.1:{port}");
    // A topic with control characters is no MQTT to our broker (MQTT 5.0, 1.5.4); whoever tries is told so.
    let printed: String = HOSTILE.chars().filter(|c| !c.is_control()).collect();
    let topic = format!("lab/{printed}");
    harmless(&netlab_with(&[&publish(&url, HOSTILE)[..], &["over"]].concat()));
    for more in [&[][..], &["--json"]] {
        let mut command = Command::new(NETLAB);
        command.args(["pubsub", "subscribe", "--broker", &url, "--topic", "lab/#", "--topic", &topic]);
        command.args(["--count", "2", "--duration", "20s"]).args(more);
        let subscriber = Running::start_command(command);
        for message in [HOSTILE, "two\nlines"] {
            harmless(&netlab_with(&[&publish(&url, &topic)[..], &[message]].concat()).expect(0));
        }
        let done = subscriber.wait().expect(0);
        assert!(done.out.contains("owned"), "{done:?}");
        harmless(&done);
    }
    // Whether a broker lets such a name in is its affair.
    let named = |name: &str| {
        harmless(&netlab_with(&[&publish(&url, &topic)[..], &["over", "--client-id", name]].concat()));
    };
    named(HOSTILE);
    named(&printed);
    broker.signal(nix::sys::signal::Signal::SIGINT);
    let done = broker.wait().expect(0);
    assert!(done.err.contains("has come"), "{done:?}");
    harmless(&done);
}

#[test]
fn what_stands_in_files_and_arguments() {
    let folder = tempfile::tempdir().unwrap();
    let lab = folder.path().join(HOSTILE);
    let shown = |args: &[&str]| {
        let done = netlab_with(args);
        assert!(done.code != Some(0) && done.err.contains("over"), "{args:?}: {done:?}");
        harmless(&done);
    };
    let path = lab.to_str().unwrap();
    shown(&["lab", "show", path]);
    // What TOML does not allow, and what it does.
    let printed: String = HOSTILE.chars().filter(|c| !c.is_ascii_control()).collect();
    for text in [HOSTILE, &printed] {
        for file in [
            format!("title = \"{text}\""),
            format!("\"{text}\" = 1"),
            format!("[measure]\nmodes = [\"{text}\"]"),
            text.to_owned(),
        ] {
            std::fs::write(&lab, file).unwrap();
            shown(&["lab", "check", path]);
            shown(&["lab", "run", path]);
        }
    }
    shown(&["report", path]);
    let results = folder.path().join("results");
    std::fs::create_dir(&results).unwrap();
    std::fs::write(results.join("run.json"), format!("{{\"over{printed}\": \"{printed}\"}}")).unwrap();
    let done = netlab_with(&["report", results.to_str().unwrap()]);
    assert_ne!(done.code, Some(0));
    harmless(&done);

    shown(&["--over", HOSTILE]);
    shown(&[HOSTILE]);
    shown(&["unicast", "--to", HOSTILE, "send"]);
    shown(&["unicast", "--interface", HOSTILE, "recv"]);
    shown(&["chat", "join", HOSTILE, "--name", "ann"]);
    shown(&["pubsub", "publish", "--broker", HOSTILE, "--topic", "a", "--message", "b"]);
    let mut on = Command::new(NETLAB);
    let done: Done = on.arg0("on").arg(HOSTILE).env("NETLAB_LAN", folder.path()).output().unwrap().into();
    harmless(&done);
}

#[test]
fn what_interfaces_are_called() {
    // At most 15 bytes.
    let name = "\x1b[31m\u{9b}\u{202e}over";
    let script = format!(
        "on h1 ip link set h1 down
         on h1 ip link set h1 name '{name}'
         on h1 ip link set '{name}' up
         on h1 netlab unicast --interface nothere recv || :
         on h1 netlab broadcast --interface '{name}' recv --duration 100ms
         on h1 netlab broadcast --raw --interface '{name}' recv --duration 100ms
         on h1 netlab multicast --group 239.1.1.1 --interface '{name}' send --count 1 || :"
    );
    let Some(done) = in_lan("--hosts 2", &script) else { return };
    let done = done.expect(0);
    assert!(done.err.contains("31m"), "{done:?}");
    harmless(&done);
}
