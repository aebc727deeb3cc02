//! What tests with a virtual LAN share.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// Who runs netlab.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    /// Whoever runs the tests.
    Me,
    /// An ordinary user, when the tests run as root.
    Nobody,
}

const NOBODY: u32 = 65534;

/// Everybody netlab is to work for.
pub(crate) fn everybody() -> Vec<Who> {
    if nix::unistd::geteuid().is_root() { vec![Who::Me, Who::Nobody] } else { vec![Who::Me] }
}

/// The program under test: a copy that anybody may execute, wherever the build folder is.
pub(crate) fn program() -> PathBuf {
    static COPY: OnceLock<tempfile::TempDir> = OnceLock::new();
    let folder = COPY.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a temporary folder");
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        fs::copy(env!("CARGO_BIN_EXE_netlab"), folder.path().join("netlab")).expect("a copy of netlab");
        folder
    });
    folder.path().join("netlab")
}

/// A command that runs netlab, with signals as at a prompt: tests that run in the background start with some ignored.
pub(crate) fn netlab(who: Who) -> Command {
    started_by(who, &program())
}

/// The same of another program, which anybody may execute.
pub(crate) fn started_by(who: Who, program: &Path) -> Command {
    let mut command = Command::new("env");
    command.arg("--default-signal=INT,QUIT,HUP,TERM").arg(program).current_dir("/").stdin(Stdio::null());
    if who == Who::Nobody {
        // As root, `uid` also drops the supplementary groups.
        command.uid(NOBODY).gid(NOBODY);
    }
    command
}

/// Whether namespaces can be made here. Where they cannot, this says so loudly, and the caller is to return; with
/// NETLAB_REQUIRE_NETNS=1 it fails instead.
pub(crate) fn require_namespaces() -> bool {
    everybody().into_iter().all(|who| {
        let output = lan(who, &["--hosts", "2"], "true");
        if output.status.code() != Some(4) {
            return true;
        }
        let why = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            std::env::var_os("NETLAB_REQUIRE_NETNS").is_none_or(|value| value != "1"),
            "NETLAB_REQUIRE_NETNS=1, and {who:?} cannot make namespaces: {why}"
        );
        eprintln!("\n*** SKIPPED: {who:?} cannot make namespaces here: {why}\n");
        false
    })
}

/// Whether a program is installed; where it is not, this says so, and the caller is to return.
pub(crate) fn require_program(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).any(|folder| folder.join(name).is_file());
    if !found {
        eprintln!("\n*** SKIPPED: this test needs {name}\n");
    }
    found
}

/// Runs a shell script inside a LAN.
pub(crate) fn lan(who: Who, options: &[&str], script: &str) -> Output {
    netlab(who).args(["lan", "shell"]).args(options).args(["-c", script]).output().expect("netlab starts")
}

/// Runs a shell script inside a LAN and gives its standard output.
pub(crate) fn lan_says(who: Who, options: &[&str], script: &str) -> String {
    let output = lan(who, options, script);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{who:?} {options:?}: {}\n{said}\n{complaints}", output.status);
    said
}

/// Waits until `condition` holds, and fails with `what` when it does not within 20 s.
pub(crate) fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The processes that have `marker` in their environment.
pub(crate) fn processes_marked(marker: &str) -> Vec<i32> {
    processes()
        .filter(|pid| {
            let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            environment.windows(marker.len()).any(|window| window == marker.as_bytes())
        })
        .collect()
}

/// The NAPI threads of interfaces called as those of a LAN.
pub(crate) fn napi_threads() -> Vec<i32> {
    processes()
        .filter(|pid| {
            let comm = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
            comm.starts_with("napi/h") || comm.starts_with("napi/p")
        })
        .collect()
}

/// The processes in a network namespace (`net:[…]`).
pub(crate) fn processes_in(netns: &str) -> Vec<i32> {
    let is_in = |pid: &i32| fs::read_link(format!("/proc/{pid}/ns/net")).is_ok_and(|link| link == Path::new(netns));
    processes().filter(is_in).collect()
}

fn processes() -> impl Iterator<Item = i32> {
    fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// Starts a receiver and waits for its first line, from which on it listens.
pub(crate) fn listening(mut command: Command) -> std::process::Child {
    use std::io::{BufRead, BufReader};
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it starts");
    let mut lines = BufReader::new(child.stderr.take().expect("a pipe")).lines();
    let first = lines.next().expect("a first line").expect("it is text");
    assert!(first.starts_with("listening"), "{first}");
    // What else it says is read, lest it wait for a reader.
    std::thread::spawn(move || lines.for_each(drop));
    child
}

/// Runs `body`, the test called `name`, for everybody: this program again, for the one test, in network and mount
/// namespaces of its own.
pub(crate) fn everybody_inside(name: &str, body: fn()) {
    const INSIDE: &str = "NETLAB_TEST_INSIDE";
    if std::env::var_os(INSIDE).is_some() {
        return body();
    }
    if !require_namespaces() {
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let this = folder.path().join("test");
    fs::copy(std::env::current_exe().unwrap(), &this).expect("a copy of this program");
    for who in everybody() {
        let mut inside = Command::new("unshare");
        if who == Who::Nobody {
            inside.uid(NOBODY).gid(NOBODY);
        }
        if who == Who::Nobody || !nix::unistd::geteuid().is_root() {
            inside.args(["--user", "--map-root-user"]);
        }
        inside.args(["--net", "--mount"]).arg(&this).args(["--exact", name, "--nocapture"]);
        let output = inside.env(INSIDE, "1").current_dir("/").output().expect("unshare (util-linux) is installed");
        let said = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
        assert!(output.status.success(), "{who:?}, inside the namespaces:\n{said}");
        assert!(said.contains("1 passed"), "{who:?}: no test of the name {name}:\n{said}");
    }
}
