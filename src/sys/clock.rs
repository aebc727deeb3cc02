//! Clocks: `CLOCK_MONOTONIC`, its distance to `CLOCK_REALTIME`, a thread's CPU time, sleeping until a moment.

use std::io::ErrorKind;
use std::num::NonZeroU32;
use std::os::unix::thread::JoinHandleExt;
use std::path::Path;
use std::thread::JoinHandle;

use nix::sys::time::TimeSpec;
use nix::time::{ClockId, ClockNanosleepFlags, clock_gettime, clock_nanosleep};

const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// How far `CLOCK_REALTIME` is ahead of `CLOCK_MONOTONIC`, to bring kernel timestamps to the latter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RealtimeOffset {
    ns: u64,
}

impl RealtimeOffset {
    /// Reads both clocks. The figure is good until the wall clock is set or slewed; it drifts by 500 µs a second at the
    /// most (adjtimex), so read it anew from time to time.
    pub fn read() -> RealtimeOffset {
        // A pause between the readings would make it wrong by as much: the closest pair of readings counts.
        let readings = [(); 3].map(|()| {
            let before_ns = monotonic_ns();
            let realtime_ns = read(ClockId::CLOCK_REALTIME);
            (monotonic_ns() - before_ns, realtime_ns.saturating_sub(before_ns))
        });
        let [first, others @ ..] = readings;
        RealtimeOffset { ns: others.into_iter().fold(first, |best, other| best.min(other)).1 }
    }

    /// A `CLOCK_REALTIME` reading in ns as `CLOCK_MONOTONIC` in ns.
    pub fn to_monotonic(self, realtime_ns: u64) -> u64 {
        realtime_ns.saturating_sub(self.ns)
    }
}

/// `CLOCK_MONOTONIC` in ns.
pub fn monotonic_ns() -> u64 {
    read(ClockId::CLOCK_MONOTONIC)
}

/// Names the `CLOCK_MONOTONIC` that this process reads; `None` where the kernel does not tell which one it is.
///
/// Two processes that are given the same name read the same clock: the name is a hash of the boot
/// (`/proc/sys/kernel/random/boot_id`, 122 random bits) and of the time namespace, whose offset the clock has
/// (`/proc/self/ns/time`, time_namespaces(7)). Two clocks have the same name by chance once in 2³² times, and by
/// something other than chance where machines run on from one snapshot. Two names may stand for one clock: of two time
/// namespaces with the same offset, or where a sandbox makes up a boot of its own.
pub fn name() -> Option<NonZeroU32> {
    let boot = std::fs::read("/proc/sys/kernel/random/boot_id").ok()?;
    name_by(boot.trim_ascii(), &time_namespace(Path::new("/proc/self/ns/time"))?)
}

/// What the kernel calls a time namespace: nothing before Linux 5.6, which has one clock a boot.
fn time_namespace(link: &Path) -> Option<Vec<u8>> {
    match std::fs::read_link(link) {
        Ok(name) => Some(name.into_os_string().into_encoded_bytes()),
        Err(error) if error.kind() == ErrorKind::NotFound => Some(Vec::new()),
        Err(_) => None,
    }
}

/// FNV-1a, 32 bits.
fn name_by(boot: &[u8], time_namespace: &[u8]) -> Option<NonZeroU32> {
    let hash = |hash: u32, byte: &u8| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193);
    (!boot.is_empty()).then(|| boot.iter().chain(time_namespace).fold(0x811c_9dc5, hash)).and_then(NonZeroU32::new)
}

/// CPU time the calling thread has used, in ns (`CLOCK_THREAD_CPUTIME_ID`: a system call, some 0.2 µs).
pub fn thread_cpu_ns() -> u64 {
    read(ClockId::CLOCK_THREAD_CPUTIME_ID)
}

/// What one [`thread_cpu_ns`] costs the thread that reads it, in ns: the median of 101 readings right after another.
pub fn thread_cpu_reading_ns() -> u64 {
    let mut costs = [0; 101];
    for cost in &mut costs {
        let before_ns = thread_cpu_ns();
        *cost = thread_cpu_ns().saturating_sub(before_ns);
    }
    costs.sort_unstable();
    costs[costs.len() / 2]
}

/// What `act` gives, and the CPU time the calling thread used in it, in ns, less `reading_ns` for the clock
/// ([`thread_cpu_reading_ns`]).
pub fn with_thread_cpu_ns<T>(reading_ns: u64, act: impl FnOnce() -> T) -> (T, u64) {
    let before_ns = thread_cpu_ns();
    let result = act();
    (result, thread_cpu_ns().saturating_sub(before_ns).saturating_sub(reading_ns))
}

/// CPU time that `thread` has used so far, in ns (`pthread_getcpuclockid(3)`); `None` when it has ended.
pub fn thread_cpu_ns_of<T>(thread: &JoinHandle<T>) -> Option<u64> {
    let mut clock: libc::clockid_t = 0;
    // SAFETY: the handle stands for a thread that was not joined, so that its number is valid; the kernel writes one
    // integer, which outlives the call.
    let result = unsafe { libc::pthread_getcpuclockid(thread.as_pthread_t() as libc::pthread_t, &mut clock) };
    if result != 0 {
        return None;
    }
    let time = clock_gettime(ClockId::from_raw(clock)).ok()?;
    Some(time.tv_sec() as u64 * NANOS_PER_SECOND + time.tv_nsec() as u64)
}

/// Sleeps until `CLOCK_MONOTONIC` reads `deadline_ns`, or until a signal arrives: look at the clock again.
pub fn sleep_until(deadline_ns: u64) {
    let deadline = TimeSpec::new((deadline_ns / NANOS_PER_SECOND) as i64, (deadline_ns % NANOS_PER_SECOND) as i64);
    // The only errors are EINTR, which the contract allows, and EINVAL, which a value so made cannot cause.
    let _ = clock_nanosleep(ClockId::CLOCK_MONOTONIC, ClockNanosleepFlags::TIMER_ABSTIME, &deadline);
}

/// Lets the calling thread's sleeps end within 1 ns of their time instead of the usual 50 µs (`PR_SET_TIMERSLACK`).
pub fn wake_precisely() {
    // Refused nowhere; without it sleeps are merely less precise, which lateness shows.
    let _ = nix::sys::prctl::set_timerslack(1);
}

fn read(clock: ClockId) -> u64 {
    let time = clock_gettime(clock).expect("these clocks exist on every Linux");
    time.tv_sec() as u64 * NANOS_PER_SECOND + time.tv_nsec() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn converts_between_the_clocks() {
        let offset = RealtimeOffset { ns: 995_000 };
        assert_eq!(offset.to_monotonic(1_000_000), 5_000);
        assert_eq!(offset.to_monotonic(0), 0, "before the machine started");
        let (before_ns, offset) = (monotonic_ns(), RealtimeOffset::read());
        let now_ns = offset.to_monotonic(read(ClockId::CLOCK_REALTIME));
        // The machine may pause anywhere, but both ends see the same time pass.
        assert!(now_ns + 1_000_000 > before_ns && now_ns < monotonic_ns() + 1_000_000);
    }

    #[test]
    fn a_clock_is_named_by_its_boot_and_its_time_namespace() {
        let name = |boot: &str, namespace: &str| name_by(boot.as_bytes(), namespace.as_bytes()).map(NonZeroU32::get);
        // A netlab of another version has to find the same: FNV-1a as its authors publish it.
        assert_eq!(name("foo", "bar"), Some(0xbf9c_f968));
        let (boot, namespace) = ("5a3e4c37-8a8b-4d25-9d0f-9d0b8a6f8f10", "time:[4026531834]");
        let others =
            [name("5a3e4c37-8a8b-4d25-9d0f-9d0b8a6f8f11", namespace), name(boot, "time:[4026532201]"), name(boot, "")];
        assert!(others.iter().all(|other| other.is_some() && *other != name(boot, namespace)), "{others:x?}");
        assert_eq!(name("", namespace), None, "a kernel that does not tell");
    }

    #[test]
    fn a_process_names_its_clock_the_same_each_time() {
        assert!(super::name().is_some());
        assert_eq!(super::name(), super::name());
        assert_eq!(time_namespace(Path::new("/proc/self/ns/no-such")), Some(Vec::new()));
        assert_eq!(time_namespace(Path::new("/proc/self/stat")), None, "no name of a namespace");
    }

    #[test]
    fn a_thread_is_timed_from_another() {
        let (tell, hear) = std::sync::mpsc::channel();
        let (release, held) = std::sync::mpsc::channel::<()>();
        let thread = std::thread::spawn(move || {
            while thread_cpu_ns() < 2_000_000 {}
            tell.send(thread_cpu_ns()).unwrap();
            held.recv()
        });
        let own_ns = hear.recv().unwrap();
        let ns = thread_cpu_ns_of(&thread).unwrap();
        assert!(own_ns >= 2_000_000 && ns >= own_ns, "{own_ns} {ns}");
        release.send(()).unwrap();
        thread.join().unwrap().unwrap();
    }

    #[test]
    fn what_is_timed_is_the_act_without_the_clock() {
        let reading_ns = thread_cpu_reading_ns();
        assert!(reading_ns > 0 && reading_ns < 1_000_000, "{reading_ns}");
        let (own_ns, ns) = with_thread_cpu_ns(reading_ns, || {
            let start_ns = thread_cpu_ns();
            while thread_cpu_ns() < start_ns + 2_000_000 {}
            thread_cpu_ns() - start_ns
        });
        assert!(ns + reading_ns >= own_ns && own_ns >= 2_000_000, "{own_ns} {ns}");
        let (_, asleep_ns) = with_thread_cpu_ns(reading_ns, || sleep_until(monotonic_ns() + 20_000_000));
        assert!(asleep_ns < 10_000_000, "{asleep_ns} ns of 20 ms asleep");
    }

    #[test]
    fn sleeps_no_shorter_than_asked() {
        let deadline = monotonic_ns() + 1_000_000;
        while monotonic_ns() < deadline {
            sleep_until(deadline);
        }
        sleep_until(0);
        assert!(monotonic_ns() >= deadline);
    }
}
