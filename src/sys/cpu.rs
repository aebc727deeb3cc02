//! CPU time of tasks and of the machine: the process clock, `schedstat`, `/proc/uptime`, and steal time.
//!
//! All of it in ns and none of it from ticks: with tick accounting and paced traffic the user, system and softirq
//! columns of `/proc/stat` are off by a factor of 10 in either direction.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Write as _;
use std::fs::File;
use std::io::Read;
use std::os::fd::AsFd;

use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::stat::{Mode, fstatat};
use nix::time::{ClockId, clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;

use super::proc::ProcFile;
use crate::error::{Error, Result};

/// CPU time this process has used (all its threads, ended ones too), in ns: `CLOCK_PROCESS_CPUTIME_ID`.
///
/// # Errors
/// When the kernel has no such clock.
pub fn process_cpu_ns() -> Result<u64> {
    clock_ns(ClockId::CLOCK_PROCESS_CPUTIME_ID)
}

/// CPU time the process `pid` of this PID namespace has used (all its threads, ended ones too), in ns:
/// `clock_getcpuclockid`. `None` when there is no such process.
pub fn process_cpu_ns_of(pid: u32) -> Option<u64> {
    let clock = clock_getcpuclockid(Pid::from_raw(i32::try_from(pid).ok()?)).ok()?;
    clock_ns(clock).ok()
}

/// CPU time of one task (a process's main thread, another thread, or a kernel thread) in ns: field 1 of
/// `/proc/TID/schedstat`. `None` when there is no such task.
///
/// Of a task that is on a CPU at the moment the figure is up to a tick old.
pub fn task_cpu_ns(tid: u32) -> Option<u64> {
    parse_schedstat(&std::fs::read_to_string(format!("/proc/{tid}/schedstat")).ok()?)
}

/// CPU time of all living threads of the process `pid` in ns: the sum over `/proc/PID/task/*/schedstat`.
/// `None` when there is no such process.
pub fn process_tasks_cpu_ns(pid: u32) -> Option<u64> {
    let mut sum = None;
    for thread in std::fs::read_dir(format!("/proc/{pid}/task")).ok()?.flatten() {
        // A thread that ends between the listing and the reading is left out, as all ended threads are.
        if let Ok(text) = std::fs::read_to_string(thread.path().join("schedstat")) {
            sum = Some(sum.unwrap_or(0) + parse_schedstat(&text)?);
        }
    }
    sum
}

/// Whether a thread of the process `pid` runs or waits for a CPU: state `R` in `/proc/PID/task/*/stat` (proc(5)).
pub fn is_runnable(pid: u32) -> bool {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    threads
        .filter_map(|thread| std::fs::read_to_string(thread.path().join("stat")).ok())
        .any(|stat| state(&stat) == Some('R'))
}

/// The third field of a `stat` line; the second, a name in brackets, may hold anything.
fn state(stat: &str) -> Option<char> {
    stat.rsplit_once(") ")?.1.chars().next()
}

/// The `schedstat` files of a fixed set of tasks, kept open so that reading hundreds of them often is cheap
/// (one file descriptor and about 2 µs each).
#[derive(Debug, Default)]
pub struct TaskClocks {
    files: Vec<Option<ProcFile>>,
}

impl TaskClocks {
    /// Opens the files of `tids`; of a task that does not exist the time will be `None`.
    ///
    /// # Errors
    /// When a file that is there cannot be opened, as for want of file descriptors.
    pub fn open(tids: impl IntoIterator<Item = u32>) -> Result<TaskClocks> {
        let files = tids.into_iter().map(|tid| ProcFile::open(&format!("/proc/{tid}/schedstat")));
        Ok(TaskClocks { files: files.collect::<Result<_>>()? })
    }

    /// CPU time in ns of each task, in the order of [`open`](Self::open); `None` for one that has ended.
    pub fn read(&mut self) -> impl Iterator<Item = Option<u64>> {
        self.files.iter_mut().map(|file| parse_schedstat(file.as_mut()?.read().ok()?))
    }
}

/// Idle and stolen time of the whole machine at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MachineCpu {
    /// `CLOCK_MONOTONIC`, in ns.
    pub at_ns: u64,
    /// Idle time of all CPUs in ns, in steps of 10 ms: the second field of `/proc/uptime`.
    pub idle_ns: u64,
    /// Time in which tasks waited for a disk and the CPU had nothing else to do, in ns, in steps of 10 ms. The kernel
    /// keeps it beside the idle time and by the same exact clock, not by ticks (on a tickless kernel).
    pub iowait_ns: Option<u64>,
    /// Time the hypervisor gave to others, of all CPUs, in ns; `None` where the kernel does not say.
    pub steal_ns: Option<u64>,
    /// CPUs online.
    pub cpus_online: usize,
}

impl MachineCpu {
    /// Reads `/proc/uptime` and, of `/proc/stat`, the CPUs and the two columns that ticks do not count.
    ///
    /// # Errors
    /// When they cannot be read or make no sense.
    pub fn read() -> Result<MachineCpu> {
        // The three are read at nearly one moment; `/proc/stat` is the slow one and its figures are the least urgent.
        let stat = read_text("/proc/stat")?;
        let uptime = read_text("/proc/uptime")?;
        let at_ns = clock_ns(ClockId::CLOCK_MONOTONIC)?;
        let idle_ns = parse_uptime_idle(&uptime)
            .ok_or_else(|| Error::failed("reading /proc/uptime: its second field is no number of seconds"))?;
        let stat = parse_stat(&stat, ticks_per_second()?);
        if stat.cpus_online == 0 {
            return Err(Error::failed("reading /proc/stat: it names no CPU"));
        }
        Ok(MachineCpu {
            at_ns,
            idle_ns,
            iowait_ns: stat.iowait_ns,
            steal_ns: stat.steal_ns,
            cpus_online: stat.cpus_online,
        })
    }
}

/// CPU time of every process of the machine (kernel threads are processes too) at one moment: the `schedstat` of each of
/// its threads, and from `/proc/PID/stat` what ended threads and ended children had used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProcessSweep {
    processes: HashMap<ProcessKey, ProcessCpu>,
}

/// A process ID may be used again; with the start time (in ticks since boot) it is unique.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct ProcessKey {
    pid: u32,
    start: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ProcessCpu {
    /// Whether it is a kernel thread that does others' network work.
    is_helper: bool,
    /// All its threads, ended ones too.
    own_ns: u64,
    /// All its children that ended and were waited for, and theirs.
    reaped_ns: u64,
}

impl ProcessSweep {
    /// Reads them all: about 20 µs a process.
    ///
    /// # Errors
    /// When `/proc` cannot be listed, or this kernel keeps no `schedstat` (all of them are 0).
    pub fn take() -> Result<ProcessSweep> {
        let failed = |error: std::io::Error| Error::failed("listing the processes in /proc").because(error);
        let ticks_per_second = ticks_per_second()?;
        let proc = File::open("/proc").map_err(failed)?;
        let mut files = ProcFolder { proc: &proc, path: String::new(), content: [0; 512] };
        let mut processes = HashMap::new();
        let mut threads_ns = 0_u64;
        for pid in numeric_entries("/proc").map_err(failed)? {
            // One that ends meanwhile has no files any more.
            let stat = files.read(format_args!("{pid}/stat")).and_then(|stat| parse_pid_stat(stat, ticks_per_second));
            let (Some(stat), Some(living_ns)) = (stat, files.living_threads_ns(pid)) else { continue };
            threads_ns += living_ns;
            // The exact figure, unless ended threads are missing from it.
            let own_ns = living_ns.max(stat.own_ns);
            let key = ProcessKey { pid, start: stat.start };
            processes.insert(key, ProcessCpu { is_helper: stat.is_helper, own_ns, reaped_ns: stat.reaped_ns });
        }
        if threads_ns == 0 {
            return Err(Error::failed("this kernel keeps no CPU time in /proc/PID/schedstat (CONFIG_SCHED_INFO)"));
        }
        Ok(ProcessSweep { processes })
    }

    /// Number of processes seen.
    pub fn len(&self) -> usize {
        self.processes.len()
    }

    /// Whether no process was seen.
    pub fn is_empty(&self) -> bool {
        self.processes.is_empty()
    }

    /// CPU time since `earlier` of the kernel threads that do network work for whoever causes it, in ns: `ksoftirqd/N`
    /// (receive work that did not fit elsewhere) and `rcu*` (freeing the route entry that each frame to 255.255.255.255
    /// gets). While a LAN is measured on a machine at rest that is the LAN's.
    pub fn helpers_since(&self, earlier: &ProcessSweep) -> u64 {
        let helpers = self.processes.iter().filter(|(_, now)| now.is_helper);
        helpers
            .map(|(key, now)| now.own_ns - earlier.processes.get(key).map_or(0, |before| before.own_ns).min(now.own_ns))
            .sum()
    }

    /// What all processes but `known`, and but the kernel's [helpers](Self::helpers_since), used since `earlier`; `known`
    /// holds process IDs as `/proc` knows them.
    pub fn foreign_since(&self, earlier: &ProcessSweep, known: &BTreeSet<u32>) -> ForeignCpu {
        let foreign_only = |(key, now): &(&ProcessKey, &ProcessCpu)| !known.contains(&key.pid) && !now.is_helper;
        let mut foreign = ForeignCpu::default();
        let mut credited_ns = 0;
        for (key, now) in self.processes.iter().filter(foreign_only) {
            let before = earlier.processes.get(key);
            foreign.processes_born += u64::from(before.is_none());
            let before = before.copied().unwrap_or(ProcessCpu { is_helper: false, own_ns: 0, reaped_ns: 0 });
            foreign.cpu_ns += now.own_ns.saturating_sub(before.own_ns);
            credited_ns += now.reaped_ns.saturating_sub(before.reaped_ns);
        }
        // The parent of one that ended (or whoever inherited it) was credited with all it ever used.
        let mut used_before_ns = 0;
        for (key, before) in earlier.processes.iter().filter(foreign_only) {
            if !self.processes.contains_key(key) {
                foreign.processes_ended += 1;
                used_before_ns += before.own_ns + before.reaped_ns;
            }
        }
        foreign.cpu_ns += credited_ns.saturating_sub(used_before_ns);
        foreign
    }
}

/// What processes other than our own used between two sweeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ForeignCpu {
    /// In ns. Processes born in between count whole; those that ended in between in the 10 ms steps of their parents'
    /// `cutime` and `cstime`. What one used that ended while its parent ignored it (`SIGCHLD`) or was one of the known
    /// is not in here, nor is anything of processes that `/proc` hides from this user (`hidepid`).
    pub cpu_ns: u64,
    /// Processes there at the end and not at the start.
    pub processes_born: u64,
    /// Processes there at the start and not at the end: where there are many, `cpu_ns` is less sure.
    pub processes_ended: u64,
}

struct ProcFolder<'a> {
    proc: &'a File,
    path: String,
    content: [u8; 512],
}

impl ProcFolder<'_> {
    /// CPU time of the living threads of a process, in ns.
    fn living_threads_ns(&mut self, pid: u32) -> Option<u64> {
        // The link count of a task folder is 2 + threads. Most processes have one thread; it need not be looked up.
        self.set_path(format_args!("{pid}/task"));
        let folder = fstatat(self.proc.as_fd(), self.path.as_str(), AtFlags::empty()).ok()?;
        let mut of = |file: std::fmt::Arguments<'_>| parse_schedstat(std::str::from_utf8(self.read(file)?).ok()?);
        if folder.st_nlink == 3 {
            return of(format_args!("{pid}/schedstat"));
        }
        let threads = numeric_entries(&format!("/proc/{pid}/task")).ok()?;
        let schedstat = |tid| of(format_args!("{pid}/task/{tid}/schedstat"));
        Some(threads.filter_map(schedstat).sum())
    }

    /// The first 512 bytes of a file in `/proc`.
    fn read(&mut self, path: std::fmt::Arguments<'_>) -> Option<&[u8]> {
        self.set_path(path);
        let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC;
        let mut file = File::from(openat(self.proc.as_fd(), self.path.as_str(), flags, Mode::empty()).ok()?);
        let length = file.read(&mut self.content).ok()?;
        Some(&self.content[..length])
    }

    fn set_path(&mut self, path: std::fmt::Arguments<'_>) {
        self.path.clear();
        self.path.write_fmt(path).expect("writing to a string does not fail");
    }
}

fn numeric_entries(folder: &str) -> std::io::Result<impl Iterator<Item = u32> + use<>> {
    let entries = std::fs::read_dir(folder)?;
    Ok(entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()))
}

fn read_text(path: &str) -> Result<String> {
    std::fs::read_to_string(path).map_err(|error| Error::failed(format!("reading {path}")).because(error))
}

fn clock_ns(clock: ClockId) -> Result<u64> {
    let failed = || Error::failed(format!("reading the clock {clock}"));
    let time = clock_gettime(clock).map_err(|error| failed().because(error))?;
    u64::try_from(i128::from(time.tv_sec()) * 1_000_000_000 + i128::from(time.tv_nsec()))
        .map_err(|e| failed().because(e))
}

/// `USER_HZ`, the unit of `/proc/stat`.
fn ticks_per_second() -> Result<u64> {
    let ticks = nix::unistd::sysconf(nix::unistd::SysconfVar::CLK_TCK);
    ticks
        .ok()
        .flatten()
        .and_then(|ticks| u64::try_from(ticks).ok())
        .filter(|ticks| (1..=1_000_000_000).contains(ticks))
        .ok_or_else(|| Error::failed("asking for the clock ticks a second of /proc/stat (_SC_CLK_TCK)"))
}

/// `CPU-ns WAITING-ns TIMESLICES`.
fn parse_schedstat(text: &str) -> Option<u64> {
    text.split_ascii_whitespace().next()?.parse().ok()
}

#[derive(Debug, PartialEq, Eq)]
struct PidStat {
    is_helper: bool,
    own_ns: u64,
    reaped_ns: u64,
    start: u64,
}

/// `PID (NAME) STATE PPID …`; the name may hold anything. Field 9 is `flags`, 14 to 17 are `utime`, `stime`, `cutime` and
/// `cstime`, and 22 is `starttime`. The kernel scales the times of each kind so that their sum is the scheduler's exact
/// one, and prints them in ticks.
fn parse_pid_stat(stat: &[u8], ticks_per_second: u64) -> Option<PidStat> {
    const PF_KTHREAD: u64 = 0x0020_0000;
    let bracket = stat.iter().rposition(|&byte| byte == b')')?;
    let name = &stat[stat.iter().position(|&byte| byte == b'(')? + 1..bracket];
    let text = std::str::from_utf8(&stat[bracket + 1..]).ok()?;
    let mut fields = text.split_ascii_whitespace().skip(9 - 3).map(|field| field.parse::<u64>().ok());
    let is_kernel_thread = fields.next()?? & PF_KTHREAD != 0;
    let is_helper = is_kernel_thread && (name.starts_with(b"ksoftirqd/") || name.starts_with(b"rcu"));
    let mut fields = fields.skip(14 - 10);
    let mut next = || fields.next().flatten();
    let own = next()?.checked_add(next()?)?;
    let reaped = next()?.checked_add(next()?)?;
    let start = fields.nth(22 - 18).flatten()?;
    let ns = |ticks: u64| ticks.checked_mul(1_000_000_000 / ticks_per_second);
    Some(PidStat { is_helper, own_ns: ns(own)?, reaped_ns: ns(reaped)?, start })
}

/// `UPTIME IDLE`, both in s with two decimals; the idle time in ns.
fn parse_uptime_idle(text: &str) -> Option<u64> {
    let (seconds, hundredths) = text.split_ascii_whitespace().nth(1)?.split_once('.')?;
    if hundredths.len() != 2 {
        return None;
    }
    let seconds: u64 = seconds.parse().ok()?;
    let hundredths: u64 = hundredths.parse().ok()?;
    seconds.checked_mul(1_000_000_000)?.checked_add(hundredths * 10_000_000)
}

#[derive(Debug, PartialEq, Eq)]
struct Stat {
    iowait_ns: Option<u64>,
    steal_ns: Option<u64>,
    cpus_online: usize,
}

/// `cpu USER NICE SYSTEM IDLE IOWAIT IRQ SOFTIRQ STEAL …` for all CPUs together, then `cpuN …` for each one online.
fn parse_stat(text: &str, ticks_per_second: u64) -> Stat {
    let mut stat = Stat { iowait_ns: None, steal_ns: None, cpus_online: 0 };
    for line in text.lines() {
        let mut fields = line.split_ascii_whitespace();
        match fields.next().and_then(|name| name.strip_prefix("cpu")) {
            Some("") => {
                let ns: Vec<_> = fields
                    .map(|ticks| ticks.parse::<u64>().ok()?.checked_mul(1_000_000_000 / ticks_per_second))
                    .collect();
                stat.iowait_ns = ns.get(4).copied().flatten();
                stat.steal_ns = ns.get(7).copied().flatten();
            }
            Some(_) => stat.cpus_online += 1,
            None => break,
        }
    }
    stat
}

#[cfg(test)]
mod tests {
    use nix::sys::resource::{UsageWho, getrusage};
    use nix::sys::time::TimeValLike;

    use super::*;

    #[test]
    fn who_runs_is_runnable_and_who_sleeps_is_not() {
        assert_eq!(state("12 (a) R (b) S 1 2 3"), Some('S'));
        assert_eq!(state(""), None);
        assert!(is_runnable(std::process::id()), "this very thread runs");
        let mut sleeper = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let asleep = (0..1000).any(|_| {
            std::thread::yield_now();
            std::thread::sleep(std::time::Duration::from_millis(1));
            !is_runnable(sleeper.id())
        });
        sleeper.kill().unwrap();
        sleeper.wait().unwrap();
        assert!(asleep);
        assert!(!is_runnable(u32::MAX), "nobody is not");
    }

    #[test]
    fn schedstat() {
        assert_eq!(parse_schedstat("221913825 14494429 403\n"), Some(221_913_825));
        assert_eq!(parse_schedstat(""), None);
        assert_eq!(parse_schedstat("-"), None);
    }

    #[test]
    fn uptime() {
        assert_eq!(parse_uptime_idle("1375.18 2164.93\n"), Some(2_164_930_000_000));
        assert_eq!(parse_uptime_idle("1375.18 0.07\n"), Some(70_000_000));
        for bad in ["", "1375.18", "1375.18 2164", "1375.18 2164.9", "1375.18 x.yz", "1 99999999999999999999.00"] {
            assert_eq!(parse_uptime_idle(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn stat() {
        let text = "cpu  44085 0 10909 216493 1242 0 158 2329 0 0\ncpu0 1 0 1 1 1 0 1 1 0 0\ncpu3 1 0 1 1\nintr 5 0\n";
        let expected = Stat { iowait_ns: Some(12_420_000_000), steal_ns: Some(23_290_000_000), cpus_online: 2 };
        assert_eq!(parse_stat(text, 100), expected);
        // Linux 2.4 ended after the idle column.
        let old = Stat { iowait_ns: None, steal_ns: None, cpus_online: 1 };
        assert_eq!(parse_stat("cpu 1 2 3 4\ncpu0 1 2 3 4\n", 100), old);
    }

    #[test]
    fn pid_stat() {
        let fields = "S 1 77 77 0 -1 4194304 100 200 0 0 11 12 13 14 20 -5 1 0 4321 1000 200\n";
        let parse = |stat: &str| parse_pid_stat(stat.as_bytes(), 100);
        let expected = PidStat { is_helper: false, own_ns: 230_000_000, reaped_ns: 270_000_000, start: 4321 };
        assert_eq!(parse(&format!("77 (a) (b) {fields}")), Some(expected));
        for bad in ["", "77 (a) S 1", fields, &format!("77 (a) {fields}")[..50]] {
            assert_eq!(parse(bad), None, "{bad:?}");
        }
        // 2129984 has PF_KTHREAD in it; 69238880 as well.
        let is_helper =
            |name, flags| parse(&format!("9 ({name}) {}", fields.replace("4194304", flags))).unwrap().is_helper;
        assert!(is_helper("ksoftirqd/1", "69238848") && is_helper("rcu_preempt", "2129984"));
        assert!(!is_helper("kworker/0:1", "2129984"));
        assert!(!is_helper("ksoftirqd/1", "4194304"), "a program of that name");
    }

    /// Processes of `(pid, start, own_ns, reaped_ns)`.
    fn sweep<const N: usize>(processes: [(u32, u64, u64, u64); N]) -> ProcessSweep {
        let process = |(pid, start, own_ns, reaped_ns)| {
            (ProcessKey { pid, start }, ProcessCpu { is_helper: false, own_ns, reaped_ns })
        };
        ProcessSweep { processes: processes.map(process).into() }
    }

    #[test]
    fn foreign_is_what_others_used() {
        // Ours, a NAPI thread of ours, a foreign one, one that is born.
        let before = sweep([(10, 1, 5, 0), (20, 1, 100, 0), (30, 1, 1, 0)]);
        let after = sweep([(10, 1, 9, 0), (20, 1, 300, 0), (30, 1, 4, 0), (60, 9, 8, 0)]);
        let known = BTreeSet::from([10, 20]);
        let expected = ForeignCpu { cpu_ns: 3 + 8, processes_born: 1, processes_ended: 0 };
        assert_eq!(after.foreign_since(&before, &known), expected);
        assert_eq!(after.foreign_since(&after, &BTreeSet::new()), ForeignCpu::default());
    }

    #[test]
    fn a_process_id_used_again_is_another_process() {
        let foreign = sweep([(50, 7, 20, 0)]).foreign_since(&sweep([(50, 1, 15, 0)]), &BTreeSet::new());
        assert_eq!(foreign, ForeignCpu { cpu_ns: 20, processes_born: 1, processes_ended: 1 });
    }

    #[test]
    fn ended_processes_count_by_their_parents() {
        let known = BTreeSet::from([10]);
        // 30 is a shell. Its child 40 had used 50 and reaped 5; it ends at 70. Children of our own 10 are not foreign.
        let before = sweep([(10, 1, 1, 0), (30, 1, 1, 1000), (40, 1, 50, 5)]);
        let after = sweep([(10, 1, 1, 900), (30, 1, 1, 1075)]);
        assert_eq!(after.foreign_since(&before, &known).cpu_ns, 70 - 50);
        // A child that was born and ended in between counts whole.
        let later = sweep([(10, 1, 1, 900), (30, 1, 1, 1175)]);
        assert_eq!(later.foreign_since(&after, &known).cpu_ns, 100);
        // A parent that ignores its children's end is credited with nothing.
        let ignored = sweep([(10, 1, 1, 0), (30, 1, 1, 1000)]);
        assert_eq!(ignored.foreign_since(&before, &known).cpu_ns, 0);
    }

    #[test]
    fn children_that_ended_are_seen() {
        let used_by_children_ns = || {
            let usage = getrusage(UsageWho::RUSAGE_CHILDREN).unwrap();
            [usage.user_time(), usage.system_time()]
                .map(|time| time.num_microseconds() as u64 * 1000)
                .iter()
                .sum::<u64>()
        };
        let (before, start_ns) = (ProcessSweep::take().unwrap(), used_by_children_ns());
        while used_by_children_ns() < start_ns + 100_000_000 {
            let burn = "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done";
            assert!(std::process::Command::new("sh").args(["-c", burn]).status().unwrap().success());
        }
        let foreign = ProcessSweep::take().unwrap().foreign_since(&before, &BTreeSet::new());
        assert!(foreign.cpu_ns >= 80_000_000, "100 ms less two roundings to 10 ms: {foreign:?}");
    }

    #[test]
    fn time_of_threads_counts_while_they_live_and_after() {
        let pid = super::super::proc::own_pid().unwrap();
        let own_ns = move || {
            let sweep = ProcessSweep::take().unwrap();
            sweep.processes.iter().find(|(key, _)| key.pid == pid).unwrap().1.own_ns
        };
        let before_ns = own_ns();
        let burn = move || {
            let thread_ns = || clock_ns(ClockId::CLOCK_THREAD_CPUTIME_ID).unwrap();
            while thread_ns() < 60_000_000 {}
            own_ns()
        };
        let burnt_ns = std::thread::spawn(burn).join().unwrap();
        assert!(burnt_ns >= before_ns + 40_000_000, "60 ms less what a tick may hide: {before_ns} {burnt_ns}");
        assert!(own_ns() + 20_000_000 >= burnt_ns, "the thread has ended, its time (in steps of 10 ms now) has not");
    }

    #[test]
    fn tasks_that_are_not_there() {
        assert_eq!(task_cpu_ns(u32::MAX), None);
        assert_eq!(process_tasks_cpu_ns(u32::MAX), None);
        assert!(process_tasks_cpu_ns(super::super::proc::own_pid().unwrap()).is_some());
    }

    #[test]
    fn clocks_of_one_task_agree() {
        let pid = super::super::proc::own_pid().unwrap();
        let mut clocks = TaskClocks::open([pid, u32::MAX]).unwrap();
        let first: Vec<_> = clocks.read().collect();
        let second: Vec<_> = clocks.read().collect();
        assert!(first[0].is_some() && second[0] >= first[0], "{first:?} {second:?}");
        assert_eq!(first[1], None);
    }

    #[test]
    fn burnt_time_shows_in_the_process_clock() {
        let before = process_cpu_ns().unwrap();
        let machine = MachineCpu::read().unwrap();
        while process_cpu_ns().unwrap() < before + 2_000_000 {}
        let after = MachineCpu::read().unwrap();
        assert!(after.at_ns > machine.at_ns && after.idle_ns >= machine.idle_ns);
        assert!(after.cpus_online >= 1);
    }
}
