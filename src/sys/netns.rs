//! Namespaces: stage 0 of the program, creating and entering network namespaces.
//!
//! Stage 0 makes two processes of one. The *guard* is the process the user started: it makes the namespaces, forks, and
//! from then on only waits. The *child* is process 1 of a PID namespace of its own and goes on as netlab. Whichever of
//! the two is killed, the other goes too: the guard sees its child end; the child has asked the kernel to be killed
//! with the guard, and when process 1 of a PID namespace dies the kernel kills every other process in it, those that
//! called `setsid` as well. All namespaces are anonymous, so the kernel then removes them with everything inside.

use std::ffi::CStr;
use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};

use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, kill, raise};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork, getegid, geteuid, getpgrp, pipe2};

use super::proc;
use crate::error::{Error, Result};

/// Proof that stage 0 is done: this process is process 1 of private namespaces.
#[derive(Debug)]
pub struct Entered {
    /// Whether a user namespace was needed (not run as root).
    pub rootless: bool,
    /// Why `/sys` still shows the machine's own interfaces; `None` when it shows this namespace's.
    pub sysfs_refused: Option<String>,
}

/// Moves the program into private user (where not root), mount, network and PID namespaces; the network namespace is to
/// be the switch. Returns in the child. The guard never returns: it ends with the child's exit code, or 128 + the
/// signal that killed the child. To be called before any thread exists.
///
/// What is sent to the guard alone reaches the child: SIGTERM and SIGHUP always, SIGINT and SIGQUIT unless the terminal
/// sent them, which sends them to the child as well. Ctrl-Z stops both. As process 1 the child ignores every signal it
/// has no handler for.
///
/// # Errors
/// Not permitted, with the remedies, where the kernel refuses. All operations the LAN needs are tried here.
pub fn enter_private() -> Result<Entered> {
    // A LAN holds a descriptor or more for each host.
    proc::raise_open_file_limit();
    let rootless = unshare_all()?;
    let failed =
        |what: &str, cause: Errno| Error::failed(format!("starting the guarded process: {what}")).because(cause);
    let (guard_lives, guard_end) = pipe2(nix::fcntl::OFlag::O_CLOEXEC).map_err(|e| failed("pipe", e))?;
    // Blocked before the fork, so that no signal falls between the fork and the guard's first wait.
    let before = guarded_signals().thread_swap_mask(SigmaskHow::SIG_BLOCK).map_err(|e| failed("signal mask", e))?;
    // SAFETY: this process has one thread (or unshare would have failed), so the child may do anything.
    match unsafe { fork() }.map_err(|cause| refused("starting a process in a new PID namespace", cause))? {
        ForkResult::Parent { child } => {
            let code = guard(child);
            drop(guard_end);
            std::process::exit(code)
        }
        ForkResult::Child => {
            drop(guard_end);
            nix::sys::prctl::set_pdeathsig(Signal::SIGKILL).map_err(|e| failed("parent-death signal", e))?;
            end_if_hung_up(&guard_lives);
            before.thread_set_mask().map_err(|e| failed("signal mask", e))?;
            try_operations()?;
            let sysfs_refused = mount_sysfs().err().map(|cause| format!("mounting sysfs: {cause}"));
            Ok(Entered { rootless, sysfs_refused })
        }
    }
}

/// The calling thread's network namespace.
///
/// # Errors
/// When `/proc` is not mounted or too many files are open.
pub fn current() -> Result<OwnedFd> {
    let file = fs::File::open("/proc/thread-self/ns/net")
        .map_err(|cause| Error::failed("opening /proc/thread-self/ns/net").because(cause))?;
    Ok(file.into())
}

/// Creates a network namespace, **leaves the calling thread in it**, and gives the descriptor that keeps it alive.
///
/// # Errors
/// Not permitted, with the remedies, where the kernel refuses.
pub fn create() -> Result<OwnedFd> {
    unshare(CloneFlags::CLONE_NEWNET).map_err(|cause| refused("making a network namespace", cause))?;
    current()
}

/// Moves the calling thread into `netns`.
///
/// # Errors
/// Not permitted, with the remedies, where the kernel refuses.
pub fn enter(netns: &impl AsFd) -> Result<()> {
    setns(netns, CloneFlags::CLONE_NEWNET).map_err(|cause| refused("entering a network namespace", cause))
}

/// Moves a single-threaded process into `netns`, with a `/sys` that shows its interfaces where the kernel permits.
///
/// # Errors
/// As [`enter`].
pub fn enter_with_sysfs(netns: &impl AsFd) -> Result<()> {
    enter(netns)?;
    // A program that asks sysfs for its interfaces is better off with the right ones; few ask.
    let _ = unshare(CloneFlags::CLONE_NEWNS).map_err(io::Error::from).and_then(|()| mount_sysfs());
    Ok(())
}

/// Runs `work` on a thread of its own, which it may move from namespace to namespace; the caller stays where it is.
pub fn aside<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| match scope.spawn(work).join() {
        Ok(result) => result,
        Err(panic) => std::panic::resume_unwind(panic),
    })
}

/// Starts `command` inside `netns`.
///
/// # Errors
/// As [`Command::spawn`], and when the namespace cannot be entered.
pub fn spawn_in(command: &mut Command, netns: &OwnedFd) -> io::Result<Child> {
    // A descriptor of its own: the closure stays with the command and must not outlive what it refers to.
    let netns = netns.try_clone()?;
    // SAFETY: between fork and exec the closure makes one system call and allocates nothing.
    unsafe { command.pre_exec(move || Ok(setns(&netns, CloneFlags::CLONE_NEWNET)?)) };
    command.spawn()
}

/// A sysfs of the calling thread's network namespace, attached nowhere: it lasts as long as the descriptor.
///
/// # Errors
/// As the kernel gives them: EPERM where a container hides parts of its own `/sys`, ENOSYS before Linux 5.2.
pub fn detached_sysfs() -> io::Result<OwnedFd> {
    detached_mount(c"sysfs")
}

/// Gives the calling thread a mount namespace of its own, which ends with it: for [`stacked_sysfs`].
///
/// # Errors
/// As the kernel gives them: EPERM without the privilege.
pub fn private_mounts() -> io::Result<()> {
    unshare(CloneFlags::CLONE_NEWNS)?;
    Ok(mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)?)
}

/// As [`detached_sysfs`], but stacked on `/sys` in the thread's [`private_mounts`]: many of these all end at once with the
/// thread and their descriptors, where each detached one would make the kernel wait for its readers.
///
/// # Errors
/// As [`detached_sysfs`].
pub fn stacked_sysfs() -> io::Result<OwnedFd> {
    mount_sysfs()?;
    Ok(fs::File::open("/sys")?.into())
}

/// An empty folder in memory, attached nowhere: it lasts as long as the descriptor, and is reached by others as
/// `/proc/PID/fd/N`.
///
/// # Errors
/// As [`detached_sysfs`].
pub fn detached_folder() -> io::Result<OwnedFd> {
    detached_mount(c"tmpfs")
}

/// An error for a refused system call: not permitted and with the remedies where privilege or a limit is the cause.
#[must_use]
pub fn refused(operation: &str, cause: Errno) -> Error {
    match cause {
        Errno::EPERM | Errno::EACCES | Errno::ENOSPC | Errno::EUSERS => {
            Error::not_permitted(operation, remedy(&Restrictions::read())).because(cause)
        }
        _ => Error::failed(operation).because(cause),
    }
}

/// Settings that take user namespaces away from ordinary users.
#[derive(Debug, Default)]
struct Restrictions {
    apparmor: bool,
    clone_disabled: bool,
    no_user_namespaces: bool,
}

impl Restrictions {
    fn read() -> Restrictions {
        let is = |file: &str, value: &str| fs::read_to_string(file).is_ok_and(|text| text.trim() == value);
        Restrictions {
            apparmor: is("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1"),
            clone_disabled: is("/proc/sys/kernel/unprivileged_userns_clone", "0"),
            no_user_namespaces: is("/proc/sys/user/max_user_namespaces", "0"),
        }
    }
}

fn remedy(restrictions: &Restrictions) -> String {
    let settings = [
        (restrictions.apparmor, "kernel.apparmor_restrict_unprivileged_userns=0"),
        (restrictions.clone_disabled, "kernel.unprivileged_userns_clone=1"),
        (restrictions.no_user_namespaces, "user.max_user_namespaces=10000"),
    ];
    let in_force: Vec<_> = settings.iter().filter(|(on, _)| *on).map(|(_, setting)| *setting).collect();
    let setting = if in_force.is_empty() {
        "sudo sysctl -w user.max_user_namespaces=10000 (or what your system uses to restrict user namespaces)"
            .to_owned()
    } else {
        format!("sudo sysctl -w {}", in_force.join(" "))
    };
    format!(
        "Either run netlab with sudo, or let ordinary users make user namespaces: {setting}.\n\
         In a container: start it with --privileged, or with --cap-add SYS_ADMIN --cap-add NET_ADMIN and without the \
         default seccomp and AppArmor profiles."
    )
}

/// Makes the namespaces; says whether a user namespace was needed.
fn unshare_all() -> Result<bool> {
    let private = CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWPID;
    let (uid, gid) = (geteuid(), getegid());
    if uid.is_root() {
        match unshare(private) {
            Ok(()) => return Ok(false),
            Err(Errno::EPERM) => {} // root without the capability, in a container: a user namespace may still do
            Err(cause) => return Err(refused("making private namespaces", cause)),
        }
    }
    unshare(CloneFlags::CLONE_NEWUSER | private).map_err(|cause| refused("making a user namespace", cause))?;
    let write = |file: &str, text: String| {
        fs::write(file, text).map_err(|cause| match cause.raw_os_error() {
            Some(errno) => refused(&format!("writing {file}"), Errno::from_raw(errno)),
            None => Error::failed(format!("writing {file}")).because(cause),
        })
    };
    write("/proc/self/setgroups", "deny".to_owned())?;
    write("/proc/self/uid_map", format!("0 {uid} 1"))?;
    write("/proc/self/gid_map", format!("0 {gid} 1"))?;
    Ok(true)
}

/// What a security module may refuse even where it let the namespaces be made.
fn try_operations() -> Result<()> {
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)
        .map_err(|cause| refused("making the mounts private", cause))?;
    let switch = current()?;
    create()?;
    enter(&switch)
}

fn mount_sysfs() -> io::Result<()> {
    let quiet = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    Ok(mount(Some("sysfs"), "/sys", Some("sysfs"), quiet, None::<&str>)?)
}

fn detached_mount(kind: &CStr) -> io::Result<OwnedFd> {
    const FSCONFIG_CMD_CREATE: libc::c_uint = 6;
    const CLOEXEC: libc::c_uint = 1; // FSOPEN_CLOEXEC and FSMOUNT_CLOEXEC alike
    let owned = |result: libc::c_long| match result {
        ..0 => Err(io::Error::last_os_error()),
        // SAFETY: the system call has just returned this descriptor to us alone.
        fd => Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) }),
    };
    // SAFETY: the name is terminated and the call keeps no reference to it.
    let context = owned(unsafe { libc::syscall(libc::SYS_fsopen, kind.as_ptr(), CLOEXEC) })?;
    let null = std::ptr::null::<libc::c_char>();
    // SAFETY: FSCONFIG_CMD_CREATE takes neither key nor value.
    let created = unsafe { libc::syscall(libc::SYS_fsconfig, context.as_raw_fd(), FSCONFIG_CMD_CREATE, null, null, 0) };
    if created < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: takes numbers only.
    owned(unsafe { libc::syscall(libc::SYS_fsmount, context.as_raw_fd(), CLOEXEC, 0) })
}

/// Ends this process if the guard was killed before the parent-death signal was armed.
fn end_if_hung_up(guard_lives: &OwnedFd) {
    let mut fds = [PollFd::new(guard_lives.as_fd(), PollFlags::empty())];
    let hung_up = poll(&mut fds, PollTimeout::ZERO).is_ok_and(|ready| ready > 0);
    if hung_up {
        std::process::exit(128 + Signal::SIGKILL as i32);
    }
}

fn guarded_signals() -> SigSet {
    use Signal::{SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP, SIGTTIN, SIGTTOU};
    [SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP, SIGTTIN, SIGTTOU].into_iter().collect()
}

/// Waits for the child and passes signals on; gives the exit code. The guarded signals are blocked.
fn guard(child: Pid) -> i32 {
    let terminal = Terminal::of_this_process();
    let code = attend(child, |event| match event {
        Event::Signal { signal: Signal::SIGTSTP, .. } => {
            // Process 1 of a PID namespace ignores SIGTSTP, but not a SIGSTOP from outside.
            let _ = kill(child, Signal::SIGSTOP);
            let _ = raise(Signal::SIGSTOP);
            let _ = kill(child, Signal::SIGCONT);
        }
        event => event.pass_on(child),
    });
    terminal.take_back();
    code
}

/// Waits for `command` as process 1 of a PID namespace should: passes on what other processes (not the terminal, which
/// does it itself) send to this one, and reaps orphans. Gives its exit code, or 128 + the signal that killed it. An
/// interactive shell is hung up by SIGTERM, which shells ignore, and goes on when it tries to suspend itself: nobody
/// outside could resume it. To be called from the only thread.
///
/// # Errors
/// When the signal mask cannot be changed, or the command cannot be started (the cause tells why).
pub fn supervise(command: &mut Command, interactive: bool) -> io::Result<i32> {
    // Blocked first, so that no signal gets lost; the command must not inherit that.
    guarded_signals().thread_block()?;
    // SAFETY: between fork and exec the closure makes one system call and allocates nothing.
    unsafe { command.pre_exec(|| Ok(SigSet::empty().thread_set_mask()?)) };
    let child = Pid::from_raw(command.spawn()?.id().cast_signed());
    Ok(attend(child, |event| match event {
        Event::Signal { signal: Signal::SIGTERM | Signal::SIGHUP, .. } if interactive => {
            let _ = kill(child, Signal::SIGHUP);
            let _ = kill(child, Signal::SIGCONT);
        }
        Event::Stopped if interactive => {
            let _ = kill(child, Signal::SIGCONT);
        }
        event => event.pass_on(child),
    }))
}

/// What happens while a child is waited for.
enum Event {
    Signal {
        signal: Signal,
        from_terminal: bool,
    },
    /// The child was stopped.
    Stopped,
}

impl Event {
    fn pass_on(self, child: Pid) {
        match self {
            Event::Signal { signal: signal @ (Signal::SIGTERM | Signal::SIGHUP), .. } => {
                let _ = kill(child, signal);
            }
            Event::Signal { signal: signal @ (Signal::SIGINT | Signal::SIGQUIT), from_terminal: false } => {
                let _ = kill(child, signal);
            }
            _ => {}
        }
    }
}

/// Reports events until `child` has ended; gives its exit code. The guarded signals are blocked.
fn attend(child: Pid, mut report: impl FnMut(Event)) -> i32 {
    let signals = guarded_signals();
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG | WaitPidFlag::WUNTRACED)) {
            Ok(WaitStatus::Exited(pid, code)) if pid == child => return code,
            Ok(WaitStatus::Signaled(pid, signal, _)) if pid == child => return 128 + signal as i32,
            Ok(WaitStatus::Stopped(pid, _)) if pid == child => report(Event::Stopped),
            Ok(WaitStatus::StillAlive) => {
                if let Some((signal, from_terminal)) = next(&signals) {
                    report(Event::Signal { signal, from_terminal });
                }
            }
            Ok(_) | Err(Errno::EINTR) => {} // an orphan, reaped
            Err(_) => return 1,             // no child: cannot happen, and must not become a loop
        }
    }
}

/// Waits for one of the blocked `signals`; says whether the terminal sent it (a key) rather than a process.
fn next(signals: &SigSet) -> Option<(Signal, bool)> {
    // SAFETY: all-zero bytes are a valid siginfo_t.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are to live values of the right types.
    let number = unsafe { libc::sigwaitinfo(signals.as_ref(), &mut info) };
    Signal::try_from(number).ok().map(|signal| (signal, info.si_code == libc::SI_KERNEL))
}

/// Whether this process was in the foreground of its terminal when it started.
struct Terminal {
    foreground: bool,
}

impl Terminal {
    fn of_this_process() -> Terminal {
        Terminal { foreground: foreground_group() == Some(getpgrp()) }
    }

    /// A shell in the LAN made itself the terminal's foreground, and from inside its PID namespace could not give that
    /// back to a process group it does not see.
    fn take_back(&self) {
        let abandoned = |group: Pid| kill(Pid::from_raw(-group.as_raw()), None) == Err(Errno::ESRCH);
        if self.foreground && foreground_group().is_some_and(abandoned) {
            // SAFETY: takes numbers only.
            unsafe { libc::tcsetpgrp(libc::STDIN_FILENO, getpgrp().as_raw()) };
        }
    }
}

/// The foreground process group of the terminal on standard input, where that is one.
fn foreground_group() -> Option<Pid> {
    // SAFETY: takes a number only.
    let group = unsafe { libc::tcgetpgrp(libc::STDIN_FILENO) };
    (group > 1).then(|| Pid::from_raw(group))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_remedy_names_sudo_and_the_setting_in_force() {
        let restrictions = Restrictions { apparmor: true, ..Restrictions::default() };
        let text = remedy(&restrictions);
        assert!(text.contains("sudo,") && text.contains("kernel.apparmor_restrict_unprivileged_userns=0"), "{text}");
        assert!(!text.contains("unprivileged_userns_clone") && text.contains("--privileged"), "{text}");
        let restrictions = Restrictions { clone_disabled: true, no_user_namespaces: true, ..Restrictions::default() };
        let text = remedy(&restrictions);
        assert!(text.contains("kernel.unprivileged_userns_clone=1 user.max_user_namespaces="), "{text}");
        assert!(remedy(&Restrictions::default()).contains("sysctl"));
    }

    #[test]
    fn a_refusal_is_not_a_failure() {
        assert_eq!(refused("x", Errno::EPERM).class().code(), 4);
        assert_eq!(refused("x", Errno::ENOSPC).class().code(), 4);
        assert_eq!(refused("x", Errno::EINVAL).class().code(), 1);
    }
}
