//! The one send loop: paced by sleeping, in batches no larger than the clock forces.

use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Outlet;
use crate::error::Result;
use crate::units::Rate;

/// What to send, how much of it and how fast.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SendPlan {
    /// Messages a second.
    pub rate: Rate,
    /// Exactly this many messages; `None` for no such limit.
    pub count: Option<u64>,
    /// For this long; `None` for no such limit. The earlier of the two limits ends the loop.
    pub duration: Option<Duration>,
    /// What each message holds.
    pub payload: Payload,
}

/// What a message holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Payload {
    /// A probe header, padded to `size` bytes; plain padding where `size` is too small for the header.
    Probe {
        /// See [`crate::wire::probe::Probe::run_id`].
        run_id: u64,
        /// See [`crate::wire::probe::Probe::stream_id`].
        stream_id: u16,
        /// UDP payload (or frame payload) in bytes.
        size: usize,
    },
    /// This text as it is.
    Text(String),
}

/// What a running [`send`] shows to others: updated once a batch.
#[derive(Debug, Default)]
pub struct SendLive {
    /// Messages sent so far.
    pub messages_sent: AtomicU64,
    /// Copies sent so far.
    pub copies_sent: AtomicU64,
}

/// What was sent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SendReport {
    /// Messages of which every copy was handed to the kernel.
    pub messages_sent: u64,
    /// Datagrams or frames handed to the kernel.
    pub copies_sent: u64,
    /// Copies the kernel refused, and why, most frequent first.
    pub copies_failed: u64,
    /// The first refusal in words.
    pub first_failure: Option<String>,
    /// Payload size in bytes.
    pub size_bytes: usize,
    /// From the first message's due time to the end of the last period, in ns.
    pub duration_ns: u64,
    /// `CLOCK_MONOTONIC` of the first send, in ns.
    pub started_ns: u64,
    /// How late messages left against their schedule, in ns; `None` when unpaced.
    pub lateness_p50_ns: Option<u64>,
    /// 99th percentile of the same.
    pub lateness_p99_ns: Option<u64>,
    /// Maximum of the same.
    pub lateness_max_ns: Option<u64>,
}

/// Sends by `plan` until its limit, or until `stop` is set.
///
/// # Errors
/// When the socket fails for good (interface gone, not permitted); a refused copy alone is counted, not an error.
pub fn send(outlet: &Outlet, plan: &SendPlan, stop: &AtomicBool, live: &SendLive) -> Result<SendReport> {
    let _ = (outlet, plan, stop, live);
    todo!()
}
