//! `netlab lan shell`: a shell inside a virtual LAN, and `on`, which runs a command on one of its hosts.
//!
//! `on`, `counts` and `netlab` lie in a folder in memory that is attached nowhere and is reached through this process's
//! descriptor, as `/proc/PID/fd/N`; so do the hosts' namespaces, in its folder `hosts`. Nothing of it touches a disk, and
//! it all ends with this process.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, BufRead, BufReader, IsTerminal, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use clap::{Args, Subcommand};
use nix::sys::stat::{Mode, mkdirat};
use nix::unistd::symlinkat;

use super::paragraph::{columns_of, fitted};
use super::running::note;
use super::{counts, shell, spelled};
use crate::error::{Error, Result};
use crate::lan::plan::Plan;
use crate::lan::{Attribution, Lan, LanSpec, Nic, SwitchKind, check_room};
use crate::sys::netns;
use crate::sys::proc::own_pid;
use crate::units::parse_duration;

/// Arguments of `netlab lan`.
#[derive(Debug, Args)]
pub(super) struct LanArgs {
    #[command(subcommand)]
    command: LanCommand,
}

#[derive(Debug, Subcommand)]
enum LanCommand {
    /// Opens a shell inside a virtual LAN; there, `on h2 COMMAND…` runs a command on host h2.
    ///
    /// The LAN is gone when the shell ends. The exit code is the shell's own.
    Shell(ShellArgs),
}

#[derive(Debug, Args)]
struct ShellArgs {
    /// Number of hosts, 2 to 1023.
    #[arg(long, value_name = "N", default_value_t = 4)]
    hosts: usize,
    /// Number of LANs, 1 to 26: the hosts are spread over them, and router r1 joins them (`on r1 COMMAND…`).
    #[arg(long, value_name = "N", default_value_t = 1)]
    lans: usize,
    /// Has the router keep what it forwards from LAN to LAN for this time, each way, such as 20ms. It then forwards unicast
    /// alone, not groups.
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    distance: Option<Duration>,
    /// snooping (a group goes to its members), flooding (to every port), hub (everything goes to every port); snooping
    /// with nobody to ask who is a member: no-querier (a Linux bridge then floods), no-querier-quiet (groups reach nobody).
    #[arg(long, value_name = "KIND", default_value_t = SwitchKind::Snooping, value_parser = spelled::<SwitchKind, _>(SwitchKind::ALL.map(SwitchKind::as_str)))]
    switch: SwitchKind,
    /// What a host's network card does with unicast for others and with groups its host has not joined: promiscuous (the
    /// host's kernel has to drop it) or filter (the card drops it).
    #[arg(long, value_name = "CARD", default_value_t = Nic::Promiscuous, value_parser = spelled::<Nic, _>(Nic::ALL.map(Nic::as_str)))]
    nic: Nic,
    /// Gives the hosts IPv6 addresses as well.
    #[arg(long)]
    ipv6: bool,
    /// Runs this line with /bin/sh instead of an interactive shell.
    #[arg(short = 'c', value_name = "LINE", conflicts_with = "command")]
    line: Option<OsString>,
    /// Runs this command instead of an interactive shell.
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// Where `on` finds the LAN: the folder described above.
pub(super) const LAN_VARIABLE: &str = "NETLAB_LAN";

/// Runs `netlab lan …`. To be called before any thread exists.
///
/// # Errors
/// Usage for an impossible LAN; not permitted, with the remedy, where the kernel refuses.
pub(super) fn run(args: &LanArgs) -> Result<ExitCode> {
    let LanCommand::Shell(args) = &args.command;
    shell(args)
}

fn shell(args: &ShellArgs) -> Result<ExitCode> {
    let spec = LanSpec {
        lans: spread(args.hosts, args.lans)?,
        nic: args.nic,
        distance: args.distance.unwrap_or_default(),
        ..LanSpec::single(0, args.switch, args.ipv6)
    };
    Plan::new(&spec)?; // an impossible LAN is refused before anything is touched
    // The shell, and what the router runs.
    check_room(&spec, 3)?;
    netns::enter_private()?;
    let mut lan = Lan::build(&spec)?;
    start_forwarder(&mut lan)?;
    if let Some(why) = lan.nic_unavailable() {
        note(&format!("netlab: --nic filter: {why}; the cards are promiscuous"));
    }
    let folder = Folder::new(&lan)?;
    let mut command = match (&args.line, &args.command[..]) {
        (Some(line), _) => command_of(OsStr::new("/bin/sh"), &[OsString::from("-c"), line.clone()]),
        (None, [program, arguments @ ..]) => command_of(program, arguments),
        (None, []) => {
            write_banner(&lan).map_err(|cause| Error::failed("writing to standard error").because(cause))?;
            command_of(&shell::usual(), &[])
        }
    };
    command.env("PATH", folder.search_path()).env(LAN_VARIABLE, &folder.path);
    shell::at(
        &mut command,
        OsStr::new(if spec.lans.len() > 1 { "switches" } else { "switch" }),
        Path::new(&folder.path),
    );
    let interactive = args.line.is_none() && args.command.is_empty() && io::stdin().is_terminal();
    Ok(match netns::supervise(&mut command, interactive) {
        Ok(code) => ExitCode::from(code as u8),
        Err(cause) => not_started(&command, &cause),
    })
}

/// Hosts on each LAN, as even as can be.
fn spread(hosts: usize, lans: usize) -> Result<Vec<usize>> {
    match lans {
        0 => Err(Error::usage("--lans 0: it takes at least 1")),
        _ if lans > hosts => Err(Error::usage(format!("--lans {lans}: {hosts} hosts are too few; each LAN has one"))),
        _ => Ok((0..lans).map(|lan| hosts / lans + usize::from(lan < hosts % lans)).collect()),
    }
}

/// Has the router forward multicast, or unicast over a distance, by a process in its namespace. It ends with this one,
/// process 1.
fn start_forwarder(lan: &mut Lan) -> Result<()> {
    let Some(router) = lan.router() else { return Ok(()) };
    let failed = |cause: io::Error| Error::failed("starting the router's program").because(cause);
    let mut command = Command::new("/proc/self/exe");
    command.args(["router", "--interface", &router.interfaces().join(",")]);
    let LanSpec { distance, .. } = lan.spec();
    if !distance.is_zero() {
        command.args(["--distance", &format!("{}ns", distance.as_nanos())]);
    }
    // Ctrl-C on the terminal is for the shell.
    command.stdin(Stdio::null()).stdout(Stdio::piped()).process_group(0);
    let mut child = netns::spawn_in(&mut command, &router.netns).map_err(failed)?;
    let mut line = String::new();
    if let Some(stdout) = child.stdout.take() {
        BufReader::new(stdout).read_line(&mut line).map_err(failed)?;
    }
    if line.is_empty() {
        return Err(Error::failed("the router's program did not start"));
    }
    lan.settle()
}

/// Runs `on HOST [COMMAND [ARGUMENT…]]`, `args` being all but the program's name. `on all` runs the command on one host
/// after the other; the exit code is then the first that is not 0.
pub(super) fn on(mut args: impl Iterator<Item = OsString>) -> ExitCode {
    let (host, command) = (args.next(), args.collect::<Vec<_>>());
    match (host, &command[..]) {
        (None, _) => fail(
            "on",
            &Error::usage("usage: on HOST [COMMAND [ARGUMENT…]], HOST being h1, h2, …, r1 (the router) or all"),
        ),
        (Some(host), []) if host == "all" => fail("on", &Error::usage("usage: on all COMMAND [ARGUMENT…]")),
        (Some(host), [program, arguments @ ..]) if host == "all" => on_all(program, arguments),
        (Some(host), command) => {
            if let Err(error) = open_host(&host).and_then(|netns| netns::enter_with_sysfs(&netns)) {
                return fail("on", &error);
            }
            let mut command = match command {
                [] => {
                    if io::stdin().is_terminal() {
                        note(&format!("You are on {}; `exit` leads back.", host.display()));
                    }
                    command_of(&shell::usual(), &[])
                }
                [program, arguments @ ..] => command_of(program, arguments),
            };
            shell::at(&mut command, &host, Path::new(&env::var_os(LAN_VARIABLE).unwrap_or_default()));
            let cause = command.exec();
            not_started(&command, &cause)
        }
    }
}

fn on_all(program: &OsStr, arguments: &[OsString]) -> ExitCode {
    let folder = env::var_os(LAN_VARIABLE).unwrap_or_default();
    let count = count_hosts(&Path::new(&folder).join("hosts")).unwrap_or(0);
    let mut worst = ExitCode::SUCCESS;
    for host in (1..=count).map(|number| format!("h{number}")) {
        eprintln!("── {host}");
        let mut command = command_of(program, arguments);
        shell::at(&mut command, OsStr::new(&host), Path::new(&folder));
        let started = open_host(OsStr::new(&host)).map(|netns| netns::spawn_in(&mut command, &netns));
        let code = match started {
            Ok(Ok(mut child)) => match child.wait() {
                Ok(status) => ExitCode::from(exit_code(status)),
                Err(cause) => not_started(&command, &cause),
            },
            Ok(Err(cause)) => not_started(&command, &cause),
            Err(error) => return fail("on", &error),
        };
        if worst == ExitCode::SUCCESS {
            worst = code;
        }
    }
    if count == 0 {
        open_host(OsStr::new("all")).map_or_else(|error| fail("on", &error), |_| ExitCode::FAILURE)
    } else {
        worst
    }
}

/// Opens a host's namespace by the name `hosts/hN`.
pub(super) fn open_host(host: &OsStr) -> Result<OwnedFd> {
    let Some(folder) = env::var_os(LAN_VARIABLE) else {
        return Err(Error::usage("`on` works only inside a LAN: start one with `netlab lan shell`"));
    };
    open_host_in(Path::new(&folder), host)
}

/// The same of the LAN with this folder.
pub(super) fn open_host_in(folder: &Path, host: &OsStr) -> Result<OwnedFd> {
    let hosts = folder.join("hosts");
    let well_formed = host.to_str().is_some_and(|name| !name.contains('/') && name.starts_with(['h', 'r']));
    match fs::File::open(hosts.join(host)) {
        Ok(file) if well_formed => Ok(file.into()),
        _ => match count_hosts(&hosts) {
            Ok(count) => Err(Error::usage(format!("no host '{}'; the hosts are h1 to h{count}", host.display()))),
            Err(cause) => Err(Error::failed("this LAN is gone").because(cause)),
        },
    }
}

/// The hosts in the folder `hosts`, but for the router.
fn count_hosts(hosts: &Path) -> io::Result<usize> {
    let is_host = |entry: &fs::DirEntry| entry.file_name().as_encoded_bytes().starts_with(b"h");
    Ok(fs::read_dir(hosts)?.flatten().filter(is_host).count())
}

/// The folder in memory.
struct Folder {
    /// Keeps it alive.
    _mount: OwnedFd,
    /// `/proc/PID/fd/N`.
    path: OsString,
}

impl Folder {
    fn new(lan: &Lan) -> Result<Folder> {
        let failed = |cause: io::Error| Error::failed("making a folder in memory for `on`").because(cause);
        let mount = netns::detached_folder().map_err(failed)?;
        let process = own_pid()?;
        let of = |fd: i32| format!("/proc/{process}/fd/{fd}");
        let fill = || -> nix::Result<()> {
            let program = format!("/proc/{process}/exe");
            symlinkat(program.as_str(), &mount, "on")?;
            symlinkat(program.as_str(), &mount, "counts")?;
            symlinkat(program.as_str(), &mount, "netlab")?;
            mkdirat(&mount, "hosts", Mode::from_bits_truncate(0o755))?;
            let hosts = lan.hosts().iter().map(|host| (&host.name, &host.netns));
            for (name, netns) in hosts.chain(lan.router().map(|router| (&router.name, &router.netns))) {
                let link = format!("hosts/{name}");
                symlinkat(of(netns.as_raw_fd()).as_str(), &mount, link.as_str())?;
            }
            Ok(())
        };
        fill().map_err(|cause| failed(cause.into()))?;
        let path = OsString::from(of(mount.as_fd().as_raw_fd()));
        shell::prepare(Path::new(&path)).map_err(failed)?;
        counts::begin(Path::new(&path))?;
        Ok(Folder { path, _mount: mount })
    }

    fn search_path(&self) -> OsString {
        let mut path = self.path.clone();
        path.push(":");
        path.push(env::var_os("PATH").unwrap_or_else(|| "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin".into()));
        path
    }
}

fn write_banner(lan: &Lan) -> io::Result<()> {
    let mut err = Vec::new();
    let spec = lan.spec();
    let kind = spec.switch.in_words(spec.ipv6);
    let hosts = spec.hosts();
    let away = if spec.has_distance() { format!(", {:?} away (unicast only)", spec.distance) } else { String::new() };
    match spec.lans.len() {
        1 => writeln!(err, "A LAN of {hosts} hosts on a {kind}. You are at the switch; `exit` takes the LAN down.")?,
        lans => writeln!(
            err,
            "{lans} LANs of {hosts} hosts, each on a {kind}, and a router between them{away}.\n\
             You are at the switches; `exit` takes the LANs down."
        )?,
    }
    const SHOWN: usize = 8;
    for host in lan.hosts().iter().take(SHOWN) {
        let [a, b, c, d, e, f] = host.mac;
        let ipv6 = host.ipv6.map_or(String::new(), |address| format!("  {address}"));
        writeln!(
            err,
            "  {:<6}{:<13}{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}{ipv6}",
            host.name,
            host.ipv4.to_string()
        )?;
    }
    if let Some(last) = lan.hosts().get(SHOWN..).and_then(<[_]>::last) {
        writeln!(err, "  …     up to {} {}", last.name, last.ipv4)?;
    }
    for link in lan.router().into_iter().flat_map(|router| &router.links) {
        writeln!(err, "  {:<6}{:<13}router r1's link to {}", link.name, link.ipv4.to_string(), link.port)?;
    }
    if let Attribution::AppOnly(why) = lan.attribution() {
        writeln!(err, "  (no NAPI threads: {why})")?;
    }
    writeln!(err, "Try:")?;
    writeln!(err, "  on h2 netlab multicast --group 239.1.1.1 recv &     # h2 joins a group")?;
    writeln!(err, "  on h1 netlab multicast --group 239.1.1.1 send --count 10")?;
    writeln!(err, "  counts                                              # did h3 see any of it?")?;
    writeln!(err, "  on h3                                               # a shell on h3")?;
    let banner = fitted(&String::from_utf8_lossy(&err), columns_of(io::stderr()));
    io::stderr().write_all(banner.as_bytes())
}

fn command_of(program: &OsStr, arguments: &[OsString]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments);
    command
}

fn exit_code(status: std::process::ExitStatus) -> u8 {
    use std::os::unix::process::ExitStatusExt;
    status.code().or_else(|| status.signal().map(|signal| 128 + signal)).map_or(1, |code| code as u8)
}

/// As shells do: 127 for a name found nowhere on the search path (a folder on it may be closed to this user), 126 for a
/// file that cannot be run.
fn not_started(command: &Command, cause: &io::Error) -> ExitCode {
    let program = command.get_program();
    note(&format!("netlab: {}: {cause}", program.display()));
    let searched = !program.as_encoded_bytes().contains(&b'/');
    ExitCode::from(if searched || cause.kind() == io::ErrorKind::NotFound { 127 } else { 126 })
}

pub(super) fn fail(program: &str, error: &Error) -> ExitCode {
    note(&format!("{program}: {error}"));
    ExitCode::from(error.class().code())
}
