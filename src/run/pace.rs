//! How fast the machine is, by a fixed piece of work: a yardstick that no figure of a run depends on. Pure.
//!
//! On a virtual machine, on a hyper-threaded CPU, or on a laptop that saves power, whole seconds pass in which the same
//! instructions take half as long again, though no program of this machine is to blame and no time is stolen: all CPU
//! times of a trial come out as much too high. The yardstick, measured beside each trial, tells such trials apart without
//! looking at what they brought, so that leaving them out censors nothing.

use crate::counters::cpu::yardstick_ns;

/// Readings of the yardstick so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Pace {
    /// In ascending order.
    readings_ns: Vec<u64>,
}

impl Pace {
    /// With some readings of now to begin with.
    pub(super) fn begin() -> Pace {
        let mut pace = Pace::default();
        for _ in 0..15 {
            pace.slowdown(yardstick_ns());
        }
        pace
    }

    /// Takes a reading in; how many times as long as usual it is: as the quarter of all readings so far that no more than
    /// a quarter fall short of.
    pub(super) fn slowdown(&mut self, reading_ns: u64) -> f64 {
        let at = self.readings_ns.partition_point(|&other| other < reading_ns);
        self.readings_ns.insert(at, reading_ns);
        reading_ns as f64 / self.readings_ns[self.readings_ns.len() / 4].max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usual_is_what_the_fast_readings_are() {
        let mut pace = Pace::default();
        assert_eq!(pace.slowdown(100), 1.0);
        assert_eq!(pace.slowdown(150), 1.5);
        assert_eq!(pace.slowdown(110), 1.1);
        assert_eq!(pace.slowdown(90), 90.0 / 100.0, "one reading that is fast by chance does not make the others slow");
        let slow = (0..100).map(|_| pace.slowdown(200)).collect::<Vec<_>>();
        assert_eq!((slow[0], slow[99]), (2.0, 1.0), "what lasts is usual in the end");
        assert!(Pace::default().slowdown(0) == 0.0);
    }

    #[test]
    fn the_yardstick_is_some_work() {
        assert!(Pace::begin().readings_ns[0] > 10_000);
    }
}
