//! How long messages took: the distribution of one-way latencies, and the jitter.

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// Latencies from here on, in ns, are no latencies: the clocks are not the same one.
const LIMIT_NS: u64 = 60_000_000_000;

/// Significant decimal digits of the percentiles. Two make a histogram of 15 KiB, small enough to stay in the cache
/// beside the packets whose cost is being measured.
const DIGITS: u8 = 2;

/// A distribution of latencies in ns: percentiles within 1 %, the smallest and the largest exact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LatencySummary {
    /// Samples.
    pub samples: u64,
    /// Smallest.
    pub min_ns: u64,
    /// Median.
    pub p50_ns: u64,
    /// 90th percentile.
    pub p90_ns: u64,
    /// 99th percentile.
    pub p99_ns: u64,
    /// 99.9th percentile.
    pub p999_ns: u64,
    /// Largest.
    pub max_ns: u64,
}

/// Collects latencies.
#[derive(Default)]
pub(super) struct Latencies {
    distribution: Option<Distribution>,
    unusable: u64,
}

impl Latencies {
    /// Takes one sample; gives the latency in ns when the two times can be of one clock: not sent after it arrived,
    /// and less than 60 s before.
    #[inline]
    pub(super) fn record(&mut self, sent_ns: u64, arrived_ns: u64) -> Option<u64> {
        let latency_ns = arrived_ns.checked_sub(sent_ns).filter(|&latency_ns| latency_ns < LIMIT_NS);
        match latency_ns {
            Some(latency_ns) => self.distribution.get_or_insert_with(Distribution::new).record(latency_ns),
            None => self.unusable += 1,
        }
        latency_ns
    }

    /// Samples whose two times cannot be of one clock.
    pub(super) fn unusable(&self) -> u64 {
        self.unusable
    }

    /// The distribution; `None` without a sample, or when the usable ones are not the majority: then the few look
    /// like latencies by accident.
    pub(super) fn summary(&self) -> Option<LatencySummary> {
        self.distribution.as_ref().map(Distribution::summary).filter(|summary| summary.samples > self.unusable)
    }

    /// Heap memory in use, in bytes.
    pub(super) fn memory_bytes(&self) -> usize {
        let counts = |distribution: &Distribution| distribution.histogram.distinct_values() * size_of::<u32>();
        self.distribution.as_ref().map_or(0, counts)
    }
}

struct Distribution {
    histogram: Histogram<u32>,
    min_ns: u64,
    max_ns: u64,
}

impl Distribution {
    fn new() -> Distribution {
        let histogram = Histogram::new_with_bounds(1, LIMIT_NS, DIGITS).expect("valid constants");
        Distribution { histogram, min_ns: u64::MAX, max_ns: 0 }
    }

    #[inline]
    fn record(&mut self, latency_ns: u64) {
        self.histogram.saturating_record(latency_ns);
        self.min_ns = self.min_ns.min(latency_ns);
        self.max_ns = self.max_ns.max(latency_ns);
    }

    fn summary(&self) -> LatencySummary {
        // The histogram answers with the upper end of a bucket, which can lie above the largest sample.
        let at = |quantile| self.histogram.value_at_quantile(quantile).min(self.max_ns);
        LatencySummary {
            samples: self.histogram.len(),
            min_ns: self.min_ns,
            p50_ns: at(0.5),
            p90_ns: at(0.9),
            p99_ns: at(0.99),
            p999_ns: at(0.999),
            max_ns: self.max_ns,
        }
    }
}

/// Interarrival jitter as RFC 3550 section 6.4.1 estimates it: of the change in transit time from one arrival to the
/// next, D, a running mean, J += (|D| − J) / 16. The clocks need not agree: their difference cancels out.
#[derive(Default)]
pub(super) struct Jitter {
    transit_ns: Option<u64>,
    mean_ns: Option<f64>,
}

impl Jitter {
    /// Takes one arrival.
    #[inline]
    pub(super) fn record(&mut self, sent_ns: u64, arrived_ns: u64) {
        // Transit is negative when the receiver's clock is behind, so all arithmetic wraps.
        let transit_ns = arrived_ns.wrapping_sub(sent_ns);
        if let Some(previous_ns) = self.transit_ns.replace(transit_ns) {
            let change_ns = (transit_ns.wrapping_sub(previous_ns) as i64).unsigned_abs() as f64;
            let mean_ns = self.mean_ns.unwrap_or(0.0);
            self.mean_ns = Some(mean_ns + (change_ns - mean_ns) / 16.0);
        }
    }

    /// The estimate in ns; `None` below two arrivals.
    pub(super) fn estimate_ns(&self) -> Option<u64> {
        self.mean_ns.map(|mean_ns| mean_ns.round() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summarizes_a_distribution() {
        let mut latencies = Latencies::default();
        assert_eq!(latencies.summary(), None);
        for latency_ns in 1..=1_000 {
            assert_eq!(latencies.record(5_000, 5_000 + latency_ns * 1_000), Some(latency_ns * 1_000));
        }
        let summary = latencies.summary().unwrap();
        assert_eq!((summary.samples, summary.min_ns, summary.max_ns), (1_000, 1_000, 1_000_000));
        for (percentile_ns, true_ns) in [
            (summary.p50_ns, 500_000),
            (summary.p90_ns, 900_000),
            (summary.p99_ns, 990_000),
            (summary.p999_ns, 999_000),
        ] {
            assert!(percentile_ns.abs_diff(true_ns) <= true_ns / 100, "{percentile_ns} for {true_ns}");
        }
    }

    #[test]
    fn a_single_sample_is_every_percentile() {
        let mut latencies = Latencies::default();
        latencies.record(0, 1_234_567);
        let all = 1_234_567;
        let expected = LatencySummary {
            samples: 1,
            min_ns: all,
            p50_ns: all,
            p90_ns: all,
            p99_ns: all,
            p999_ns: all,
            max_ns: all,
        };
        assert_eq!(latencies.summary(), Some(expected));
    }

    #[test]
    fn times_of_two_clocks_are_no_latency() {
        for (sent_ns, arrived_ns, latency_ns) in [
            (10, 10, Some(0)),
            (10, 9, None),
            (0, LIMIT_NS - 1, Some(LIMIT_NS - 1)),
            (0, LIMIT_NS, None),
            (u64::MAX, 0, None),
            (0, u64::MAX, None),
            (u64::MAX, u64::MAX, Some(0)),
        ] {
            let mut latencies = Latencies::default();
            assert_eq!(latencies.record(sent_ns, arrived_ns), latency_ns, "from {sent_ns} to {arrived_ns}");
            assert_eq!(latencies.unusable(), u64::from(latency_ns.is_none()));
            assert_eq!(latencies.summary().is_some(), latency_ns.is_some());
        }
    }

    #[test]
    fn the_majority_decides_whether_the_clocks_agree() {
        let mut latencies = Latencies::default();
        latencies.record(0, 5);
        latencies.record(9, 5);
        assert_eq!(latencies.summary(), None);
        latencies.record(0, 6);
        assert_eq!((latencies.summary().unwrap().samples, latencies.unusable()), (2, 1));
    }

    #[test]
    fn jitter_follows_the_formula() {
        // Transit times in, jitter out. 160 / 16 = 10; 10 - 10 / 16 = 9.375; 9.375 + (80 - 9.375) / 16 = 13.789.
        for (transits_ns, jitter_ns) in [
            (&[][..], None),
            (&[1_000], None),
            (&[1_000, 1_000], Some(0)),
            (&[1_000, 1_160], Some(10)),
            (&[1_160, 1_000], Some(10)),
            (&[1_000, 1_160, 1_160], Some(9)),
            (&[1_000, 1_160, 1_160, 1_080], Some(14)),
            (&[80, -80], Some(10)),
            (&[i64::MIN, 0], Some(1 << 59)),
        ] {
            let mut jitter = Jitter::default();
            for (message, &transit_ns) in transits_ns.iter().enumerate() {
                let sent_ns = 1_000_000 * message as u64;
                jitter.record(sent_ns, sent_ns.wrapping_add_signed(transit_ns));
            }
            assert_eq!(jitter.estimate_ns(), jitter_ns, "{transits_ns:?}");
        }
    }
}
