//! How much one client may say.

use std::time::{Duration, Instant};

/// Messages at a rate in the long run, up to a second's worth of them (one at least) at once. Pure: it is told the time.
#[derive(Debug)]
pub(super) struct Pace {
    between: Duration,
    at_once: Duration,
    /// When the messages taken so far would have been said at the rate.
    due: Instant,
}

impl Pace {
    /// A pace of `rate` messages a second, above 0.
    pub(super) fn new(rate: f64, now: Instant) -> Pace {
        // No longer than a day, so that moments can be reckoned with.
        let between = Duration::try_from_secs_f64(1.0 / rate).unwrap_or_default().min(Duration::from_secs(86_400));
        Pace { between, at_once: Duration::from_secs(1).max(between), due: now }
    }

    /// Takes a message, and says how long to wait before the next.
    pub(super) fn take(&mut self, now: Instant) -> Duration {
        // What was not said in the past is saved up for one second's worth.
        self.due = self.due.max(now) + self.between;
        self.due.saturating_duration_since(now).saturating_sub(self.at_once)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_worth_at_once_and_then_the_rate() {
        let start = Instant::now();
        let mut pace = Pace::new(10.0, start);
        let waits: Vec<_> = (0..12).map(|_| pace.take(start).as_millis()).collect();
        assert_eq!(waits, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 100, 200]);
        // Having waited, one more is free at each beat.
        let later = start + Duration::from_millis(300);
        assert_eq!(pace.take(later).as_millis(), 0);
        assert_eq!(pace.take(later).as_millis(), 100);
        // A long silence saves up no more than a second's worth.
        let much_later = start + Duration::from_secs(1000);
        let waits: Vec<_> = (0..11).map(|_| pace.take(much_later).as_millis()).collect();
        assert_eq!(waits, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 100]);
    }

    #[test]
    fn slow_paces_let_one_through() {
        let start = Instant::now();
        let mut pace = Pace::new(0.5, start);
        assert_eq!(pace.take(start), Duration::ZERO);
        assert_eq!(pace.take(start), Duration::from_secs(2));
    }
}
