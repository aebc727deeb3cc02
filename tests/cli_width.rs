//! What a terminal is shown, at several widths: no line is longer than the terminal, so that it breaks none within a word.

use std::fs::File;
use std::io::Read;
use std::process::Command;

use nix::libc;
use nix::pty::{Winsize, openpty};

const NETLAB: &str = env!("CARGO_BIN_EXE_netlab");

/// What `netlab` writes, to both outputs, on a terminal of so many columns; without colours.
fn on_terminal(args: &str, columns: u16) -> String {
    let size = Winsize { ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    let terminal = openpty(&size, None).unwrap();
    let mut command = Command::new(NETLAB);
    command.args(args.split_whitespace()).env("TERM", "dumb").env_remove("COLUMNS");
    let (out, err) = (terminal.slave.try_clone().unwrap(), terminal.slave.try_clone().unwrap());
    let mut child = command.stdin(terminal.slave).stdout(out).stderr(err).spawn().unwrap();
    // This end's own copies, lest the terminal never end.
    drop(command);
    let (mut shown, mut bytes) = (Vec::new(), [0; 4096]);
    let mut reader = File::from(terminal.master);
    loop {
        match reader.read(&mut bytes) {
            Ok(0) => break,
            Ok(count) => shown.extend_from_slice(&bytes[..count]),
            // Nobody has it open any more.
            Err(error) if error.raw_os_error() == Some(libc::EIO) => break,
            Err(error) => panic!("{error}"),
        }
    }
    child.wait().unwrap();
    anstream::adapter::strip_bytes(&shown).into_vec().utf8_chunks().map(|chunk| chunk.valid().to_owned()).collect()
}

#[test]
fn no_line_is_longer_than_the_terminal() {
    let commands = ["unicast", "broadcast", "multicast", "chat serve", "chat join", "pubsub broker", "pubsub publish"];
    let others = ["pubsub subscribe", "measure", "report", "lab run", "lab list", "lan shell", "completions", "lab"];
    let helps = commands.into_iter().chain(others).map(|command| format!("{command} --help"));
    let labs = on_terminal("lab list", 160);
    let labs = labs.lines().filter_map(|line| line.split(' ').next()).filter(|name| name.contains('-'));
    let shown = labs.map(|name| format!("lab show {name}")).collect::<Vec<_>>();
    assert!(shown.len() > 10, "{shown:?}");
    let more = [
        "",
        "--help",
        "lab list",
        "lab show nonesuch",
        "report /nowhere/at/all",
        "unicast --to example.org send",
        "chat serve --duration 1s",
        "measure --hosts 2000",
        "unicast recv --port 4799 --duration 10ms",
        "unicast --to 127.0.0.1 send --count 2",
    ];
    let lines: Vec<String> = helps.chain(shown).chain(more.map(str::to_owned)).collect();
    for columns in [40, 80, 100, 160] {
        for args in &lines {
            for line in on_terminal(args, columns).lines() {
                // A progress line is drawn over itself.
                let line = line.rsplit('\r').find(|part| !part.is_empty()).unwrap_or_default();
                let is_word = !line.trim().contains(' ');
                let is_too_long = line.chars().count() > columns.into();
                assert!(is_word || !is_too_long, "netlab {args}, {columns} columns: {line}");
            }
        }
    }
}
