//! The one receive loop: blocking, in batches, counting into a tally.

use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Inlet;
use super::tally::StreamReport;
use crate::error::Result;

/// How long to listen and what to keep.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceivePlan {
    /// Ends after this many datagrams for us (recognized or not, duplicates too); `None` for no such limit.
    pub count: Option<u64>,
    /// Ends after this long; `None` for no such limit.
    pub duration: Option<Duration>,
    /// Keeps the latency of each of the first `trace` messages of every stream.
    pub trace: usize,
}

/// What a running [`receive`] shows to others: updated once a batch.
#[derive(Debug, Default)]
pub struct ReceiveLive {
    /// Datagrams that reached the socket and were for us, so far.
    pub datagrams: AtomicU64,
    /// Distinct messages so far.
    pub messages_received: AtomicU64,
    /// Messages missing so far.
    pub messages_lost: AtomicU64,
    /// Datagrams that are no probe so far.
    pub messages_unrecognized: AtomicU64,
    /// Payload bytes so far.
    pub bytes: AtomicU64,
}

/// What was received.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ReceiveReport {
    /// One for each (run, stream) seen, in order of first arrival.
    pub streams: Vec<StreamReport>,
    /// Datagrams for us that are no probe.
    pub messages_unrecognized: u64,
    /// Datagrams the socket got that were sent to another kind of address (another group, a broadcast, …).
    pub messages_other_destination: u64,
    /// Payload bytes of all datagrams for us.
    pub bytes: u64,
    /// Datagrams the socket dropped for want of buffer (`SO_RXQ_OVFL` and the socket's row in `/proc`); `None` when unknown.
    pub socket_dropped: Option<u64>,
    /// Receive buffer granted, in bytes as `SO_RCVBUF` reports it.
    pub receive_buffer_bytes: u64,
    /// From opening the loop to its end, in ns.
    pub duration_ns: u64,
}

/// Receives by `plan` until its limit, or until `stop` is set (noticed within 100 ms).
///
/// # Errors
/// When the socket fails for good.
pub fn receive(inlet: &Inlet, plan: &ReceivePlan, stop: &AtomicBool, live: &ReceiveLive) -> Result<ReceiveReport> {
    let _ = (inlet, plan, stop, live);
    todo!()
}
