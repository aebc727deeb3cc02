//! When each message is due: pure.
//!
//! Message *i* is due at start + ⌊*i* / burst⌋ / rate exactly, whatever happened to those before it, so that no error adds
//! up: at each due time a burst of messages, of one message unless told otherwise.
//! What has come due while the sender slept, it sends at once, up to a burst. A sender that is further behind than that
//! was held up; it sends bursts with pauses between them, at twice the rate, until it has caught up: a virtual Ethernet
//! link holds 256 frames, and loses what comes faster than it is emptied.

use std::time::Duration;

const NANOS_PER_SECOND: f64 = 1e9;

/// What may be late without being held up, in s: some times the precision of a sleep.
const SLACK_S: f64 = 200e-6;

/// How much faster than its rate a sender catches up.
const CATCH_UP: f64 = 2.0;

/// The moments at which messages are due.
#[derive(Clone, Copy, Debug)]
pub(super) struct Schedule {
    start_ns: u64,
    /// Due times a second.
    rate: f64,
    /// Messages at each.
    burst: u64,
}

impl Schedule {
    /// The first `burst` (above 0) messages are due at `start_ns`, and as many `rate` (finite, above 0) times a second from
    /// then on.
    pub(super) fn new(start_ns: u64, rate: f64, burst: u64) -> Schedule {
        Schedule { start_ns, rate, burst: burst.max(1) }
    }

    /// When `message` is due, in ns on the clock of `start_ns`.
    pub(super) fn due_ns(&self, message: u64) -> u64 {
        self.due_time_ns(message / self.burst)
    }

    /// The due time of this number, from 0.
    fn due_time_ns(&self, number: u64) -> u64 {
        self.start_ns.saturating_add((number as f64 / self.rate * NANOS_PER_SECOND) as u64)
    }

    /// How many messages are due at `now_ns` in all.
    pub(super) fn due_by(&self, now_ns: u64) -> u64 {
        let Some(elapsed_ns) = now_ns.checked_sub(self.start_ns) else { return 0 };
        let mut due = (elapsed_ns as f64 / NANOS_PER_SECOND * self.rate) as u64 + 1;
        // The estimate may be one off, for want of digits; `due_time_ns` decides.
        if self.due_time_ns(due) <= now_ns {
            due += 1;
        } else if self.due_time_ns(due - 1) > now_ns {
            due -= 1;
        }
        due.saturating_mul(self.burst)
    }

    /// The most messages to send after one wake-up: what comes due within the slack at twice the rate, one due time's at
    /// the least.
    pub(super) fn most_at_once(&self) -> u64 {
        self.due_times_at_once().saturating_mul(self.burst)
    }

    /// The time from one such lot to the next while catching up, in ns.
    pub(super) fn catch_up_period_ns(&self) -> u64 {
        (self.due_times_at_once() as f64 / (CATCH_UP * self.rate) * NANOS_PER_SECOND) as u64
    }

    fn due_times_at_once(&self) -> u64 {
        (CATCH_UP * self.rate * SLACK_S).ceil().max(1.0) as u64
    }
}

/// How many due times there are within `duration`, the moment of its end excluded: duration × rate, rounded up.
pub(super) fn due_times_within(duration: Duration, rate: f64) -> u64 {
    // A product that is whole but for the last digits is meant to be whole.
    const ROUNDING: f64 = 1e-6;
    (duration.as_nanos() as f64 * rate / NANOS_PER_SECOND - ROUNDING).ceil() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATES: [f64; 9] = [0.001, 0.3, 1.0, 3.0, 1_000.0, 10_000.0, 50_000.0, 333_333.3, 1e9];

    #[test]
    fn no_error_adds_up() {
        let schedule = Schedule::new(5, 3.0, 1);
        assert_eq!(schedule.due_ns(0), 5);
        assert_eq!(schedule.due_ns(1), 5 + 333_333_333);
        assert_eq!(schedule.due_ns(3_000_000_000), 5 + 1_000_000_000_000_000_000);
        assert_eq!(Schedule::new(0, 50_000.0, 1).due_ns(50_000 * 3600), 3_600_000_000_000);
        assert!(Schedule::new(u64::MAX, 0.001, 1).due_ns(u64::MAX) == u64::MAX, "no overflow");
    }

    #[test]
    fn a_message_is_due_from_its_moment_on() {
        for rate in RATES {
            let schedule = Schedule::new(1_000, rate, 1);
            assert_eq!(schedule.due_by(999), 0, "before the start");
            for message in [0, 1, 2, 3, 7, 1_000, 999_999] {
                let due_ns = schedule.due_ns(message);
                assert!(schedule.due_by(due_ns) > message, "message {message} at {rate}/s, at its time");
                assert!(schedule.due_by(due_ns - 1) <= message, "message {message} at {rate}/s, before its time");
            }
        }
    }

    #[test]
    fn durations_hold_whole_messages() {
        for (ms, rate, messages) in [
            (1_000, 1_000.0, 1_000),
            (100, 30.0, 3),
            (100, 31.0, 4),
            (1, 1.0, 1),
            (5_000, 0.2, 1),
            (5_001, 0.2, 2),
            (60_000, 50_000.0, 3_000_000),
            (300, 0.1 * 30.0 / 0.3, 3),
        ] {
            assert_eq!(due_times_within(Duration::from_millis(ms), rate), messages, "{ms} ms at {rate}/s");
        }
    }

    /// A sender that was held up for `stall_ns`, and whose wake-ups are exact: when did each message leave?
    fn catch_up(rate: f64, stall_ns: u64, messages: u64) -> Vec<u64> {
        let schedule = Schedule::new(0, rate, 1);
        let (mut now, mut left) = (stall_ns, Vec::new());
        while (left.len() as u64) < messages {
            let next = left.len() as u64;
            let due = schedule.due_by(now);
            if due <= next {
                now = schedule.due_ns(next);
                continue;
            }
            let burst = (due - next).min(schedule.most_at_once());
            left.extend((0..burst).map(|_| now));
            if due > next + burst {
                now += schedule.catch_up_period_ns();
            }
        }
        left
    }

    #[test]
    fn catches_up_at_twice_the_rate_and_no_faster() {
        for rate in [10.0, 1_000.0, 2_000.0, 10_000.0, 50_000.0] {
            let schedule = Schedule::new(0, rate, 1);
            let stall_ns = (200.0 / rate * NANOS_PER_SECOND) as u64;
            let left = catch_up(rate, stall_ns, 1_000);
            // Within any stretch of time there are no more than twice the messages, and a burst.
            for (first, first_ns) in left.iter().enumerate() {
                let within = left[first..].iter().take_while(|left_ns| *left_ns - first_ns < 10_000_000).count() as f64;
                let allowed = CATCH_UP * rate * 10e-3 + schedule.most_at_once() as f64;
                assert!(within <= allowed.max(1.0), "{within} messages in 10 ms at {rate}/s");
            }
            // Some 200 messages behind, it has caught up after 200 more.
            let late = |message: usize| left[message] - schedule.due_ns(message as u64);
            assert!(
                late(0) == stall_ns && late(450) <= schedule.catch_up_period_ns(),
                "{} late at {rate}/s",
                late(450)
            );
            assert_eq!(late(999), 0);
        }
    }

    #[test]
    fn bursts_stay_within_what_a_link_holds() {
        assert_eq!(Schedule::new(0, 1.0, 1).most_at_once(), 1);
        assert_eq!(Schedule::new(0, 1_000.0, 1).most_at_once(), 1);
        assert_eq!(Schedule::new(0, 10_000.0, 1).most_at_once(), 4);
        assert_eq!(Schedule::new(0, 50_000.0, 1).most_at_once(), 20);
        for rate in RATES.into_iter().filter(|rate| *rate >= 2_500.0) {
            assert!(Schedule::new(0, rate, 1).catch_up_period_ns() >= 200_000, "{rate}/s");
        }
    }

    #[test]
    fn a_burst_is_due_at_once() {
        let schedule = Schedule::new(1_000, 500.0, 64);
        let due: Vec<u64> = [0, 63, 64, 127, 128].map(|message| schedule.due_ns(message)).to_vec();
        assert_eq!(due, [1_000, 1_000, 2_001_000, 2_001_000, 4_001_000]);
        assert_eq!([999, 1_000, 2_000_999, 2_001_000].map(|now| schedule.due_by(now)), [0, 64, 64, 128]);
        assert_eq!((schedule.most_at_once(), schedule.catch_up_period_ns()), (64, 1_000_000), "no faster than twice");
        assert_eq!(Schedule::new(u64::MAX, 1e9, u64::MAX).due_by(u64::MAX), u64::MAX, "no overflow");
    }
}
