//! How much one client may say.

use std::time::{Duration, Instant};

/// The bytes of a line for which it counts as one message.
const BYTES: usize = 128;

/// Messages at a rate in the long run, up to a second's worth of them (one at least) at once. A long one counts as
/// several, so that bytes have a limit, too. Pure: it is told the time.
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

    /// Takes a message of `bytes`, and says how long to wait before the next.
    pub(super) fn take(&mut self, bytes: usize, now: Instant) -> Duration {
        let messages = bytes.div_ceil(BYTES).max(1);
        // What was not said in the past is saved up for one second's worth.
        self.due = self.due.max(now) + self.between * messages as u32;
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
        let waits: Vec<_> = (0..12).map(|_| pace.take(1, start).as_millis()).collect();
        assert_eq!(waits, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 100, 200]);
        // Having waited, one more is free at each beat.
        let later = start + Duration::from_millis(300);
        assert_eq!(pace.take(1, later).as_millis(), 0);
        assert_eq!(pace.take(1, later).as_millis(), 100);
        // A long silence saves up no more than a second's worth.
        let much_later = start + Duration::from_secs(1000);
        let waits: Vec<_> = (0..11).map(|_| pace.take(1, much_later).as_millis()).collect();
        assert_eq!(waits, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 100]);
    }

    #[test]
    fn slow_paces_let_one_through() {
        let start = Instant::now();
        let mut pace = Pace::new(0.5, start);
        assert_eq!(pace.take(1, start), Duration::ZERO);
        assert_eq!(pace.take(1, start), Duration::from_secs(2));
    }
    #[test]
    fn long_messages_count_as_several() {
        let start = Instant::now();
        let mut pace = Pace::new(10.0, start);
        let waits: Vec<_> = [BYTES, BYTES + 1, 7 * BYTES, 0].map(|bytes| pace.take(bytes, start).as_millis()).into();
        assert_eq!(waits, [0, 0, 0, 100]);
    }
}
