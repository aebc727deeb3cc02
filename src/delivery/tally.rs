//! Counting what arrived, by sequence set: pure, no sockets and no clocks.

use serde::{Deserialize, Serialize};

/// What one stream of one run brought.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StreamReport {
    /// The run it belongs to.
    pub run_id: u64,
    /// The stream within the run.
    pub stream_id: u16,
    /// Distinct messages.
    pub messages_received: u64,
    /// Holes below the highest sequence seen (the tail is unknown to a receiver).
    pub messages_lost: u64,
    /// Arrivals of a message that had arrived before.
    pub messages_duplicate: u64,
    /// Distinct messages that arrived after one with a higher sequence.
    pub messages_reordered: u64,
    /// Interarrival jitter (RFC 3550 section 6.4.1), in ns; `None` below two messages.
    pub jitter_ns: Option<u64>,
    /// Send to application, one way, when both clocks are the same one; `None` without any sample.
    pub latency: Option<LatencySummary>,
    /// Send to the receiving kernel's timestamp, likewise.
    pub kernel_latency: Option<LatencySummary>,
    /// Latency in ns of messages 0, 1, 2 …, as far as the plan asked; 0 where one did not arrive.
    pub trace_ns: Vec<u32>,
}

/// A distribution of latencies in ns.
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
