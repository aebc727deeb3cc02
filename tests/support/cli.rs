//! Runs the built `netlab`: to its end, or as a receiver that is known to listen before anything is sent.

#![allow(dead_code, unreachable_pub, reason = "each test file has it as a module of its own, and uses a part of it")]

use std::io::{BufRead, BufReader, Read};
use std::net::UdpSocket;
use std::process::{Child, ChildStderr, Command, Output, Stdio};
use std::thread::{self, JoinHandle};

use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

/// The program under test.
pub const NETLAB: &str = env!("CARGO_BIN_EXE_netlab");

/// What a run of `netlab` left.
#[derive(Debug)]
pub struct Done {
    /// `None`: killed by a signal.
    pub code: Option<i32>,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Done {
    /// The last line of standard output as JSON.
    pub fn summary(&self) -> Value {
        let last = self.out.lines().last().unwrap_or_else(|| panic!("no output: {self:?}"));
        serde_json::from_str(last).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// A whole number of the summary.
    pub fn figure(&self, key: &str) -> u64 {
        self.summary()[key].as_u64().unwrap_or_else(|| panic!("no {key}: {self:?}"))
    }

    /// Fails the test unless the exit code is this one.
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:?}");
        self
    }
}

impl From<Output> for Done {
    fn from(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("output is UTF-8");
        Done { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }
}

/// Runs `netlab` with these arguments, parted by blanks, to its end.
pub fn netlab(args: &str) -> Done {
    netlab_with(&args.split_whitespace().collect::<Vec<_>>())
}

/// Runs `netlab` with these arguments to its end.
pub fn netlab_with(args: &[&str]) -> Done {
    Command::new(NETLAB).args(args).stdin(Stdio::null()).output().expect("netlab starts").into()
}

/// A running `netlab` whose first line on standard error has been read: what it opened is open.
pub struct Running {
    child: Child,
    /// That line.
    pub first_line: String,
    stderr: BufReader<ChildStderr>,
    stdout: Option<JoinHandle<String>>,
}

impl Drop for Running {
    /// A test that fails leaves nothing running.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Running {
    /// Starts `netlab` with these arguments and waits for its first line.
    #[track_caller]
    pub fn start(args: &str) -> Running {
        let mut command = Command::new(NETLAB);
        command.args(args.split_whitespace());
        Running::start_command(command)
    }

    /// The same with a command made elsewhere.
    #[track_caller]
    pub fn start_command(mut command: Command) -> Running {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("netlab starts");
        let mut stdout = child.stdout.take().expect("stdout is a pipe");
        let stdout = thread::spawn(move || {
            let mut text = String::new();
            stdout.read_to_string(&mut text).expect("output is UTF-8");
            text
        });
        let mut stderr = BufReader::new(child.stderr.take().expect("stderr is a pipe"));
        let mut first_line = String::new();
        stderr.read_line(&mut first_line).expect("output is UTF-8");
        Running { child, first_line, stderr, stdout: Some(stdout) }
    }

    /// Reads standard error on until a line holds `text`, and returns that line; `None` when it ends without.
    pub fn line_with(&mut self, text: &str) -> Option<String> {
        self.stderr.by_ref().lines().map_while(Result::ok).find(|line| line.contains(text))
    }

    /// Lets standard error hold as little unread as a pipe can: whoever writes more waits for a reader.
    pub fn narrow(&self) {
        fcntl(self.stderr.get_ref(), FcntlArg::F_SETPIPE_SZ(1)).expect("it is a pipe");
    }

    /// The next line of standard error; `None` at its end.
    pub fn next_line(&mut self) -> Option<String> {
        self.stderr.by_ref().lines().next().map(|line| line.expect("output is UTF-8"))
    }

    /// Reads who comes and goes, until so many are told of or counted as not told; how many of each.
    pub fn comings(&mut self, all: usize) -> (usize, usize) {
        let (mut told, mut missed) = (0, 0);
        while told + missed < all {
            let line = self.next_line().expect("it tells all, or how many more there were");
            match line.strip_prefix("… and ").and_then(|rest| rest.strip_suffix(" more")) {
                Some(more) => missed += more.parse::<usize>().unwrap(),
                None => told += usize::from(line.ends_with(" here")),
            }
        }
        (told, missed)
    }

    /// Waits for its end and reads standard error only then.
    pub fn wait_unread(mut self) -> Done {
        self.child.wait().expect("it can be waited for");
        self.wait()
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id() as i32), signal).expect("it still runs");
    }

    /// Waits for its end.
    pub fn wait(mut self) -> Done {
        let mut err = self.first_line.clone();
        self.stderr.read_to_string(&mut err).expect("output is UTF-8");
        let code = self.child.wait().expect("it can be waited for").code();
        let stdout = self.stdout.take().expect("it is waited for once");
        Done { code, out: stdout.join().expect("the reader ends"), err }
    }
}

/// A UDP port that was free a moment ago, in both families.
pub fn free_port() -> u16 {
    let socket = UdpSocket::bind("[::]:0").or_else(|_| UdpSocket::bind("0.0.0.0:0")).expect("there are free ports");
    socket.local_addr().expect("it is bound").port()
}

/// What every script starts with: `await TEXT FILE` waits until the file has the text, 30 s at most.
const PRELUDE: &str = r#"
set -eu
cd "$SCRATCH"
await() {
    tries=0
    until grep -q -- "$1" "$2" 2>/dev/null; do
        tries=$((tries + 1))
        [ "$tries" -lt 600 ] || { echo "never saw '$1' in $2:" >&2; cat "$2" >&2; exit 99; }
        sleep 0.05
    done
}
# Until the switch knows a member of a group.
await_member() {
    until bridge mdb show >members && grep -q "$1" members; do
        tries=$((tries + 1))
        [ "$tries" -lt 600 ] || { echo "the switch never heard of $1" >&2; exit 99; }
        sleep 0.05
    done
}
"#;

/// Runs a shell script inside a virtual LAN of its own (`on h2 COMMAND` runs a command on host h2; `await TEXT FILE` and
/// `await_member GROUP` wait), in an empty folder,
/// for 60 s at most. `None`, said aloud, where namespaces cannot be made; a failure with `NETLAB_REQUIRE_NETNS=1`.
#[track_caller]
pub fn in_lan(options: &str, script: &str) -> Option<Done> {
    let scratch = tempfile::tempdir().expect("there is a temporary folder");
    let done: Done = Command::new("timeout")
        .args(["60", NETLAB, "lan", "shell"])
        .args(options.split_whitespace())
        .args(["--", "sh", "-c", &format!("{PRELUDE}{script}")])
        .env("SCRATCH", scratch.path())
        .stdin(Stdio::null())
        .output()
        .expect("timeout starts")
        .into();
    if done.code == Some(4) {
        assert!(std::env::var_os("NETLAB_REQUIRE_NETNS").is_none(), "namespaces are required here: {done:?}");
        eprintln!("SKIPPED: no namespaces can be made here: {}", done.err);
        return None;
    }
    Some(done)
}

/// A command in a time namespace whose clock is so many seconds ahead; `None`, said aloud, where none can be made.
pub fn ahead(seconds: i32, program: &str) -> Option<Command> {
    let command = |program: &str| {
        let mut command = Command::new("unshare");
        if !nix::unistd::geteuid().is_root() {
            command.args(["--user", "--map-root-user"]);
        }
        command.args(["--time", "--fork", "--monotonic", &seconds.to_string(), program]);
        command
    };
    let possible = command("true").status().is_ok_and(|status| status.success());
    if !possible {
        assert!(std::env::var_os("NETLAB_REQUIRE_NETNS").is_none(), "time namespaces are required here");
        eprintln!("SKIPPED: no time namespaces can be made here");
    }
    possible.then(|| command(program))
}

/// Whether all of these programs are there: if not, it is said aloud, and a failure with `NETLAB_REQUIRE_PEERS=1`.
pub fn have(tools: &[&str]) -> bool {
    let missing: Vec<_> = tools
        .iter()
        .filter(|tool| {
            let found = Command::new("sh").args(["-c", "command -v \"$0\"", tool]).stdout(Stdio::null()).status();
            !found.is_ok_and(|status| status.success())
        })
        .collect();
    if missing.is_empty() {
        return true;
    }
    assert!(std::env::var_os("NETLAB_REQUIRE_PEERS").is_none(), "required here: {missing:?}");
    eprintln!("SKIPPED: not installed: {missing:?}");
    false
}
