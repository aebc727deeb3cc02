//! CPU time: what each part of a trial used, what the machine used, what everybody else used, and whether that adds up.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{grown, sum};
use crate::error::Result;
use crate::sys::clock;
use crate::sys::cpu::{MachineCpu, ProcessSweep, process_cpu_ns};
use crate::sys::proc::own_pid;

/// CPU time of one window by who spent it, in ns. `None`: not measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CpuComponents {
    /// The sender's program.
    pub sender_app: Option<u64>,
    /// The programs of all other hosts.
    pub hosts_app: Option<u64>,
    /// The kernel's receive work for all hosts: their NAPI threads.
    pub hosts_kernel_rx: Option<u64>,
    /// The switch: the NAPI threads of all its ports.
    pub switch: Option<u64>,
    /// netlab's own process, which runs the trial.
    pub runner: Option<u64>,
    /// Kernel threads that do network work for all: see [`MachineUse::helpers_ns`].
    pub helpers: Option<u64>,
}

impl CpuComponents {
    /// All that was measured, together; `None` when nothing was.
    pub fn attributed_ns(&self) -> Option<u64> {
        let parts = [self.sender_app, self.hosts_app, self.hosts_kernel_rx, self.switch, self.runner, self.helpers];
        parts.into_iter().flatten().reduce(u64::saturating_add)
    }
}

/// What the machine as a whole did in one window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MachineUse {
    /// Length of the window in ns.
    pub wall_ns: u64,
    /// CPUs online.
    pub cpus_online: usize,
    /// CPU time in which any CPU was not idle: CPUs × wall − Δidle (− Δiowait), in ns, within some 10 ms; time stolen by
    /// the hypervisor is in it. `None` when CPUs came or went, or the idle counter ran backwards.
    pub busy_ns: Option<u64>,
    /// Time the hypervisor gave to others, of all CPUs, in ns.
    pub steal_ns: Option<u64>,
    /// CPU time of all processes that are neither netlab's own nor in the set that was named, in ns: this window's part
    /// of what they used from the first sweep to the second, and never more than all CPUs had.
    /// See [`crate::sys::cpu::ForeignCpu::cpu_ns`] for what cannot be seen.
    pub foreign_ns: Option<u64>,
    /// Foreign processes that ended in the window: where there are many, `foreign_ns` is less sure.
    pub foreign_processes_ended: u64,
    /// CPU time of netlab's own process, in ns.
    pub runner_ns: Option<u64>,
    /// CPU time of the kernel threads that do others' network work, in ns: see [`ProcessSweep::helpers_since`]. It is no
    /// part of `foreign_ns`.
    pub helpers_ns: Option<u64>,
    /// CPU time a fixed piece of work took right before and right after the window (the mean), in ns: how fast the CPU is.
    pub yardstick_ns: u64,
}

impl MachineUse {
    /// Stolen time as a share (0 to 1) of the time all CPUs had; `None` when unknown.
    pub fn steal_share(&self) -> Option<f64> {
        self.share(self.steal_ns)
    }

    /// Foreign CPU time as a share (0 to 1) of the time all CPUs had; `None` when unknown.
    pub fn foreign_share(&self) -> Option<f64> {
        self.share(self.foreign_ns)
    }

    /// Busy time that is neither foreign nor the runner's, in ns: what the measured traffic cost the machine, whoever was on
    /// the CPU. `None` where one of them is unknown, or steps of the idle counter are more than all of it.
    pub fn own_ns(&self) -> Option<u64> {
        self.busy_ns?.checked_sub(self.foreign_ns?)?.checked_sub(self.runner_ns?)
    }

    /// Foreign CPU time for each ns of `ours_ns`, where it is more than 15 % of one CPU: below that it is what any
    /// machine does besides, however little is measured. `None` when unknown.
    pub fn foreign_beside(&self, ours_ns: Option<u64>) -> Option<f64> {
        const ALWAYS: f64 = 0.15;
        let foreign_ns = self.foreign_ns? as f64;
        let ours_ns = ours_ns.or_else(|| self.busy_ns?.checked_sub(self.foreign_ns?))? as f64;
        let is_worth_a_word = foreign_ns > ALWAYS * self.wall_ns as f64;
        Some(if is_worth_a_word { foreign_ns / ours_ns.max(1.0) } else { 0.0 })
    }

    fn share(&self, part_ns: Option<u64>) -> Option<f64> {
        let all_ns = self.wall_ns as f64 * self.cpus_online as f64;
        (all_ns > 0.0).then_some(part_ns? as f64 / all_ns)
    }
}

/// A window being measured: started just before, finished just after.
///
/// The sweeps of all processes lie outside the window that idle time is taken over, so that their own cost (some 10 ms of
/// CPU, and far more time on a busy machine) falls into neither side of the account.
#[derive(Debug)]
pub struct MachineMeter {
    /// Before the first sweep, by `CLOCK_MONOTONIC`.
    began_ns: u64,
    /// `None`: no `schedstat` to be had here.
    sweep: Option<ProcessSweep>,
    runner_ns: Option<u64>,
    machine: MachineCpu,
    yardstick_ns: u64,
}

impl MachineMeter {
    /// Begins a window.
    ///
    /// # Errors
    /// When `/proc/uptime` or `/proc/stat` cannot be read.
    pub fn start() -> Result<MachineMeter> {
        let yardstick_ns = yardstick_ns();
        let began_ns = clock::monotonic_ns();
        let sweep = ProcessSweep::take().ok();
        Ok(MachineMeter {
            began_ns,
            sweep,
            runner_ns: process_cpu_ns().ok(),
            machine: MachineCpu::read()?,
            yardstick_ns,
        })
    }

    /// Ends it. `attributed` holds what is accounted for elsewhere: the IDs of processes and kernel threads, as the
    /// mounted `/proc` knows them. netlab's own process need not be named.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn finish(self, attributed: &BTreeSet<u32>) -> Result<MachineUse> {
        let machine = MachineCpu::read()?;
        let runner_ns = grown(process_cpu_ns().ok(), self.runner_ns);
        let sweeps = ProcessSweep::take().ok().zip(self.sweep.as_ref());
        let known = own_pid().ok().map(|own| attributed.iter().copied().chain([own]).collect());
        let foreign = sweeps.as_ref().zip(known).map(|((now, before), known)| now.foreign_since(before, &known));
        let helpers_ns = sweeps.as_ref().map(|(now, before)| now.helpers_since(before));
        let swept_ns = clock::monotonic_ns().saturating_sub(self.began_ns);
        let wall_ns = machine.at_ns.saturating_sub(self.machine.at_ns);
        let in_window = |used_ns| part_in_window(used_ns, swept_ns, wall_ns, machine.cpus_online);
        Ok(MachineUse {
            wall_ns,
            cpus_online: machine.cpus_online,
            busy_ns: busy_ns(&self.machine, &machine),
            steal_ns: grown(machine.steal_ns, self.machine.steal_ns),
            foreign_ns: foreign.map(|foreign| in_window(foreign.cpu_ns)),
            foreign_processes_ended: foreign.map_or(0, |foreign| foreign.processes_ended),
            runner_ns,
            helpers_ns: helpers_ns.map(in_window),
            yardstick_ns: u64::midpoint(self.yardstick_ns, yardstick_ns()),
        })
    }
}

/// CPU time of the calling thread for a fixed piece of work, in ns: system calls, and memory beyond the nearest cache. A
/// CPU whose other half (SMT) or whose host is busy, or which is clocked down, takes longer.
pub fn yardstick_ns() -> u64 {
    const CALLS: usize = 500;
    const BYTES: usize = 256 << 10;
    let memory = vec![1_u8; BYTES];
    let started_ns = clock::thread_cpu_ns();
    for _ in 0..CALLS {
        std::hint::black_box(nix::unistd::getppid());
    }
    for _ in 0..4 {
        std::hint::black_box(memory.iter().map(|byte| u64::from(*byte)).sum::<u64>());
    }
    clock::thread_cpu_ns() - started_ns
}

/// Of what was used within `swept_ns`, the part of the `wall_ns` in its middle. What ended processes used is known in
/// steps of 10 ms, so it may come out above what the CPUs had: it is that then.
fn part_in_window(used_ns: u64, swept_ns: u64, wall_ns: u64, cpus: usize) -> u64 {
    let part = u128::from(used_ns) * u128::from(wall_ns) / u128::from(swept_ns.max(1));
    part.min(u128::from(wall_ns) * cpus as u128) as u64
}

/// CPUs × wall − Δidle − Δiowait. Idle moves in steps of 10 ms, so the figure of a window in which nothing happened may
/// come out below 0: it is 0 then.
fn busy_ns(from: &MachineCpu, to: &MachineCpu) -> Option<u64> {
    if from.cpus_online != to.cpus_online {
        return None;
    }
    let wall_ns = to.at_ns.checked_sub(from.at_ns)?;
    let idle_ns = to.idle_ns.checked_sub(from.idle_ns)?;
    // Of CPUs that wait for a disk the kernel may take some of it back: such a step counts as none.
    let iowait_ns = grown(to.iowait_ns, from.iowait_ns).unwrap_or(0);
    Some(wall_ns.checked_mul(to.cpus_online as u64)?.saturating_sub(idle_ns).saturating_sub(iowait_ns))
}

/// How much of the machine's CPU time is accounted for, over the windows (trials) added: attributed / (busy − foreign).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CpuClosure {
    /// Sum of the components, in ns.
    pub attributed_ns: u64,
    /// Sum of the machine's busy time, in ns.
    pub busy_ns: u64,
    /// Sum of what others used, in ns.
    pub foreign_ns: u64,
    /// Windows added.
    pub windows: u64,
    /// Windows left out since one of the three was not known.
    pub windows_unknown: u64,
}

impl CpuClosure {
    /// Below this much busy time that is not foreign (in ns) no ratio is given: idle time, read twice a window in steps
    /// of 10 ms, would decide it.
    pub const MIN_DENOMINATOR_NS: u64 = 100_000_000;

    /// Adds one window.
    pub fn add(&mut self, components: &CpuComponents, machine: &MachineUse) {
        let (attributed, busy, foreign) = (components.attributed_ns(), machine.busy_ns, machine.foreign_ns);
        match (
            sum([Some(self.attributed_ns), attributed]),
            sum([Some(self.busy_ns), busy]),
            sum([Some(self.foreign_ns), foreign]),
        ) {
            (Some(attributed_ns), Some(busy_ns), Some(foreign_ns)) => {
                *self = CpuClosure { attributed_ns, busy_ns, foreign_ns, windows: self.windows + 1, ..*self };
            }
            _ => self.windows_unknown += 1,
        }
    }

    /// The same where enough was used to be sure of it to some 5 %.
    pub fn sure_ratio(&self) -> Option<f64> {
        self.ratio().filter(|_| self.busy_ns.saturating_sub(self.foreign_ns) >= 4 * Self::MIN_DENOMINATOR_NS)
    }

    /// Attributed / (busy − foreign), 1 when all is accounted for. `None` when too little was used to tell.
    pub fn ratio(&self) -> Option<f64> {
        let ours_ns = self.busy_ns.checked_sub(self.foreign_ns)?;
        (ours_ns >= Self::MIN_DENOMINATOR_NS).then(|| self.attributed_ns as f64 / ours_ns as f64)
    }
}

impl std::iter::Sum for CpuClosure {
    fn sum<I: Iterator<Item = CpuClosure>>(parts: I) -> CpuClosure {
        parts.fold(CpuClosure::default(), |sum, part| CpuClosure {
            attributed_ns: sum.attributed_ns + part.attributed_ns,
            busy_ns: sum.busy_ns + part.busy_ns,
            foreign_ns: sum.foreign_ns + part.foreign_ns,
            windows: sum.windows + part.windows,
            windows_unknown: sum.windows_unknown + part.windows_unknown,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn machine(at_ms: u64, idle_ms: u64) -> MachineCpu {
        MachineCpu { at_ns: at_ms * MS, idle_ns: idle_ms * MS, iowait_ns: Some(0), steal_ns: Some(0), cpus_online: 2 }
    }

    #[test]
    fn busy_is_what_was_not_idle() {
        let start = machine(1_000, 500);
        assert_eq!(busy_ns(&start, &machine(2_000, 1_700)), Some(800 * MS));
        assert_eq!(busy_ns(&start, &machine(2_000, 2_510)), Some(0), "steps of idle time may exceed the window");
        assert_eq!(busy_ns(&start, &machine(2_000, 400)), None, "idle time ran backwards");
        assert_eq!(busy_ns(&start, &MachineCpu { cpus_online: 3, ..machine(2_000, 1_700) }), None);
        let waited = MachineCpu { iowait_ns: Some(300 * MS), ..machine(2_000, 1_700) };
        assert_eq!(busy_ns(&start, &waited), Some(500 * MS), "a CPU that waits for a disk is not busy");
    }

    #[test]
    fn shares_are_of_all_cpus() {
        let machine = MachineUse {
            wall_ns: 1_000 * MS,
            cpus_online: 2,
            steal_ns: Some(100 * MS),
            foreign_ns: Some(1_000 * MS),
            ..MachineUse::default()
        };
        assert_eq!((machine.steal_share(), machine.foreign_share()), (Some(0.05), Some(0.5)));
        assert_eq!(MachineUse::default().steal_share(), None);
        assert_eq!(machine.foreign_beside(Some(500 * MS)), Some(2.0));
        assert_eq!(
            MachineUse { foreign_ns: Some(140 * MS), ..machine }.foreign_beside(Some(1)),
            Some(0.0),
            "14 % of a CPU"
        );
        assert_eq!(MachineUse { busy_ns: Some(1_250 * MS), ..machine }.foreign_beside(None), Some(4.0));
        assert_eq!(machine.foreign_beside(None), None);
        assert_eq!(MachineUse { wall_ns: 1, cpus_online: 1, ..MachineUse::default() }.steal_share(), None);
    }

    #[test]
    fn what_was_used_while_sweeping_is_not_the_windows() {
        // Two CPUs, busy with something else all the time: a window of 400 ms between two sweeps of 50 ms.
        assert_eq!(part_in_window(2 * 500 * MS, 500 * MS, 400 * MS, 2), 2 * 400 * MS);
        assert_eq!(part_in_window(250 * MS, 500 * MS, 400 * MS, 2), 200 * MS);
        assert_eq!(part_in_window(1010 * MS, 500 * MS, 400 * MS, 2), 2 * 400 * MS, "a step of 10 ms too many");
        assert_eq!(part_in_window(0, 0, 0, 2), 0);
    }

    #[test]
    fn others_never_take_more_than_the_machine() {
        let cpus = MachineCpu::read().unwrap().cpus_online;
        let spin = || std::process::Command::new("sh").args(["-c", "while :; do :; done"]).spawn().unwrap();
        let mut spinners: Vec<_> = (0..cpus).map(|_| spin()).collect();
        // Shorter than a sweep takes.
        let shares = [(); 20].map(|()| {
            let meter = MachineMeter::start().unwrap();
            std::thread::sleep(std::time::Duration::from_millis(5));
            meter.finish(&BTreeSet::new()).unwrap().foreign_share().unwrap()
        });
        for spinner in &mut spinners {
            spinner.kill().unwrap();
            spinner.wait().unwrap();
        }
        assert!(shares.iter().all(|share| (0.0..=1.0).contains(share)), "{shares:?}");
        assert!(shares.iter().any(|share| *share > 0.0), "{shares:?}");
    }

    #[test]
    fn closure_is_over_the_sum_of_windows() {
        let components = |ms: u64| CpuComponents { sender_app: Some(ms * MS), ..CpuComponents::default() };
        let window = |busy_ms: u64, foreign_ms: u64| MachineUse {
            busy_ns: Some(busy_ms * MS),
            foreign_ns: Some(foreign_ms * MS),
            ..MachineUse::default()
        };
        let mut closure = CpuClosure::default();
        closure.add(&components(50), &window(120, 60));
        assert_eq!(closure.ratio(), None, "60 ms are too few");
        closure.add(&components(40), &window(60, 20));
        assert_eq!(closure.ratio(), Some(0.9));
        closure.add(&CpuComponents::default(), &window(1_000, 0));
        closure.add(&components(9), &MachineUse { busy_ns: Some(1), ..MachineUse::default() });
        assert_eq!((closure.ratio(), closure.windows, closure.windows_unknown), (Some(0.9), 2, 2));
        closure.add(&components(1), &window(0, 500));
        assert_eq!(closure.ratio(), None, "more foreign than busy");
    }

    #[test]
    fn components_add_up() {
        assert_eq!(CpuComponents::default().attributed_ns(), None);
        let some = CpuComponents { hosts_app: Some(3), runner: Some(4), ..CpuComponents::default() };
        assert_eq!(some.attributed_ns(), Some(7));
    }

    #[test]
    fn a_window_sees_its_own_process_as_the_runner() {
        let meter = MachineMeter::start().unwrap();
        let start = process_cpu_ns().unwrap();
        while process_cpu_ns().unwrap() < start + 3 * MS {}
        let used = meter.finish(&BTreeSet::new()).unwrap();
        assert!(used.runner_ns >= Some(3 * MS), "{used:?}");
        assert!(used.wall_ns > 0 && used.cpus_online > 0 && used.foreign_ns.is_some(), "{used:?}");
    }
}
