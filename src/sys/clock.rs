//! Clocks: `CLOCK_MONOTONIC`, its distance to `CLOCK_REALTIME`, sleeping until a moment.

use nix::sys::time::TimeSpec;
use nix::time::{ClockId, ClockNanosleepFlags, clock_gettime, clock_nanosleep};

const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// One moment on both clocks, to bring a kernel timestamp (`CLOCK_REALTIME`) to `CLOCK_MONOTONIC`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// `CLOCK_MONOTONIC` in ns: one clock for all network namespaces of a machine.
    pub monotonic_ns: u64,
    /// `CLOCK_REALTIME` in ns, read right after.
    pub realtime_ns: u64,
}

impl Moment {
    /// Reads both clocks, some 20 ns apart.
    pub fn now() -> Moment {
        Moment { monotonic_ns: monotonic_ns(), realtime_ns: read(ClockId::CLOCK_REALTIME) }
    }

    /// A recent `CLOCK_REALTIME` reading in ns as `CLOCK_MONOTONIC` in ns, exact unless the wall clock was set since.
    pub fn to_monotonic(self, realtime_ns: u64) -> u64 {
        self.monotonic_ns.saturating_add(realtime_ns).saturating_sub(self.realtime_ns)
    }
}

/// `CLOCK_MONOTONIC` in ns.
pub fn monotonic_ns() -> u64 {
    read(ClockId::CLOCK_MONOTONIC)
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
    let time = clock_gettime(clock).expect("both clocks exist on every Linux");
    time.tv_sec() as u64 * NANOS_PER_SECOND + time.tv_nsec() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn converts_between_the_clocks() {
        let now = Moment { monotonic_ns: 5_000, realtime_ns: 1_000_000 };
        assert_eq!(now.to_monotonic(1_000_000), 5_000);
        assert_eq!(now.to_monotonic(999_000), 4_000);
        assert_eq!(now.to_monotonic(0), 0, "before the machine started");
        assert!(now.to_monotonic(u64::MAX) > 0);
    }

    #[test]
    fn sleeps_no_shorter_than_asked() {
        let deadline = monotonic_ns() + 1_000_000;
        while monotonic_ns() < deadline {
            sleep_until(deadline);
        }
        sleep_until(0);
        assert!(Moment::now().monotonic_ns >= deadline);
    }
}
