//! The probe header that every netlab message starts with.

/// Length of the header in bytes.
pub const HEADER_LEN: usize = 32;

/// The UDP port netlab uses unless told otherwise.
pub const DEFAULT_PORT: u16 = 4747;

/// What a probe header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    /// Names the run (by hand: one `send` invocation; in a measurement: one trial). Random.
    pub run_id: u64,
    /// Tells the streams of a run apart (warm-up and measurement, say).
    pub stream_id: u16,
    /// Counts the messages of a stream from 0.
    pub sequence: u64,
    /// Nanoseconds of the sender's `CLOCK_MONOTONIC` at the moment the message was sent.
    pub send_time_ns: u64,
}

impl Probe {
    /// Writes the header to the first [`HEADER_LEN`] bytes of `out`.
    ///
    /// # Panics
    /// When `out` is shorter than [`HEADER_LEN`].
    pub fn encode(&self, out: &mut [u8]) {
        let _ = out;
        todo!()
    }

    /// Reads the header of a message; `None` for anything that is not one. Never panics.
    pub fn decode(message: &[u8]) -> Option<Probe> {
        let _ = message;
        todo!()
    }
}
