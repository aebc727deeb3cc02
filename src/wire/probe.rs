//! The probe header that every netlab message starts with.
//!
//! The first 32 bytes of a UDP payload, or of the payload of a raw frame (see [`ethernet`](super::ethernet)), in
//! network byte order; padding up to the message's size follows and means nothing.
//!
//! ```text
//!  0               1               2               3
//!  0 1 2 3 4 5 6 7 0 1 2 3 4 5 6 7 0 1 2 3 4 5 6 7 0 1 2 3 4 5 6 7
//! +---------------+---------------+---------------+---------------+
//! |      'N'      |      'L'      |      'A'      |      'B'      |   0  magic
//! +---------------+---------------+---------------+---------------+
//! |    version    |     flags     |           stream_id           |   4
//! +---------------+---------------+---------------+---------------+
//! |           clock, or the upper half of the run_id              |   8
//! |                            run_id                             |
//! +---------------+---------------+---------------+---------------+
//! |                           sequence                            |  16
//! |                                                               |
//! +---------------+---------------+---------------+---------------+
//! |                         send_time_ns                          |  24
//! |                                                               |
//! +---------------+---------------+---------------+---------------+
//! ```
//!
//! - `version` is [`VERSION`]. A message of another version is not recognized: its fields may mean anything.
//! - `flags`: bit 0 says that bytes 8 to 11 name the clock that `send_time_ns` is read from. Without it the sender says
//!   nothing about its clock, and these bytes are the upper half of a run id of 64 bits: so an older netlab writes them,
//!   and so it reads them. The other flags are reserved: 0 when sent, ignored when received, so that a later netlab can
//!   set one without becoming unreadable to this one.

use std::num::NonZeroU32;
use std::ops::Range;

/// Length of the header in bytes.
pub const HEADER_LEN: usize = 32;

/// The UDP port netlab uses unless told otherwise.
pub const DEFAULT_PORT: u16 = 4747;

/// The first four bytes of a header.
pub const MAGIC: [u8; 4] = *b"NLAB";

/// The version of the layout that this netlab speaks.
pub const VERSION: u8 = 1;

/// What a probe header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    /// Names the run (by hand: one `send` invocation; in a measurement: one trial). Random. Of 32 bits where the clock
    /// is named: the upper half is not sent then.
    pub run_id: u64,
    /// Names the sender's clock (`sys::clock::name`); `None`: it does not say which one it reads.
    pub clock: Option<NonZeroU32>,
    /// Tells the streams of a run apart (warm-up and measurement, say).
    pub stream_id: u16,
    /// Counts the messages of a stream from 0.
    pub sequence: u64,
    /// Nanoseconds of the sender's `CLOCK_MONOTONIC` at the moment the message was sent.
    pub send_time_ns: u64,
}

impl Probe {
    /// The first of a stream, before it is [stamped](Probe::stamp) with its time.
    pub fn first(run_id: u32, stream_id: u16, clock: Option<NonZeroU32>) -> Probe {
        Probe { run_id: run_id.into(), clock, stream_id, sequence: 0, send_time_ns: 0 }
    }

    /// Writes the header to the first [`HEADER_LEN`] bytes of `out`.
    ///
    /// # Panics
    /// When `out` is shorter than [`HEADER_LEN`].
    pub fn encode(&self, out: &mut [u8]) {
        out[field::MAGIC].copy_from_slice(&MAGIC);
        out[field::VERSION] = VERSION;
        out[field::FLAGS] = if self.clock.is_some() { NAMES_CLOCK } else { 0 };
        out[field::STREAM_ID].copy_from_slice(&self.stream_id.to_be_bytes());
        out[field::RUN_ID].copy_from_slice(&self.run_id.to_be_bytes());
        if let Some(clock) = self.clock {
            out[field::CLOCK].copy_from_slice(&clock.get().to_be_bytes());
        }
        Probe::stamp(out, self.sequence, self.send_time_ns);
    }

    /// Overwrites the two fields that differ from one message of a stream to the next, in a header that
    /// [`encode`](Probe::encode) wrote before: two stores, for the send loop.
    ///
    /// # Panics
    /// When `out` is shorter than [`HEADER_LEN`].
    #[inline]
    pub fn stamp(out: &mut [u8], sequence: u64, send_time_ns: u64) {
        out[field::SEQUENCE].copy_from_slice(&sequence.to_be_bytes());
        out[field::SEND_TIME_NS].copy_from_slice(&send_time_ns.to_be_bytes());
    }

    /// Reads the header of a message; `None` for anything that is not one: shorter than [`HEADER_LEN`], another magic
    /// or another version. Never panics.
    #[inline]
    pub fn decode(message: &[u8]) -> Option<Probe> {
        // Four words of eight bytes; magic and version are compared at once, as the upper 40 bits of the first.
        let (words, _) = message.first_chunk::<HEADER_LEN>()?.as_chunks::<8>();
        let [first, run_id, sequence, send_time_ns] = [0, 1, 2, 3].map(|word| u64::from_be_bytes(words[word]));
        let clock = NonZeroU32::new((run_id >> 32) as u32).filter(|_| (first >> 16) as u8 & NAMES_CLOCK != 0);
        let run_id = if clock.is_some() { u64::from(run_id as u32) } else { run_id };
        (first >> 24 == SIGNATURE).then_some(Probe { run_id, clock, stream_id: first as u16, sequence, send_time_ns })
    }
}

/// The flag of a header that names the sender's clock.
const NAMES_CLOCK: u8 = 1;

/// Magic and version as one number.
const SIGNATURE: u64 = (u32::from_be_bytes(MAGIC) as u64) << 8 | VERSION as u64;

/// Where each field stands, in bytes.
mod field {
    use super::Range;

    pub(super) const MAGIC: Range<usize> = 0..4;
    pub(super) const VERSION: usize = 4;
    pub(super) const FLAGS: usize = 5;
    pub(super) const STREAM_ID: Range<usize> = 6..8;
    pub(super) const RUN_ID: Range<usize> = 8..16;
    pub(super) const CLOCK: Range<usize> = 8..12;
    pub(super) const SEQUENCE: Range<usize> = 16..24;
    pub(super) const SEND_TIME_NS: Range<usize> = 24..32;
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROBE: Probe = Probe {
        run_id: 0x0102_0304_0506_0708,
        clock: None,
        stream_id: 0xbeef,
        sequence: 0x1112_1314_1516_1718,
        send_time_ns: 0x2122_2324_2526_2728,
    };

    #[rustfmt::skip]
    const BYTES: [u8; HEADER_LEN] = [
        b'N', b'L', b'A', b'B', 1, 0, 0xbe, 0xef,
        0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08,
        0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18,
        0x21, 0x22, 0x23, 0x24, 0x25, 0x26, 0x27, 0x28,
    ];

    #[test]
    fn encodes_to_these_bytes_and_touches_no_others() {
        let mut out = [0xaa; HEADER_LEN + 3];
        PROBE.encode(&mut out);
        assert_eq!(out[..HEADER_LEN], BYTES);
        assert_eq!(out[HEADER_LEN..], [0xaa; 3]);
    }

    #[test]
    fn decodes_these_bytes_with_or_without_padding() {
        assert_eq!(Probe::decode(&BYTES), Some(PROBE));
        assert_eq!(Probe::decode(&[&BYTES[..], &[0xff; 1400]].concat()), Some(PROBE));
    }

    #[test]
    fn stamps_sequence_and_time_alone() {
        let mut out = BYTES;
        Probe::stamp(&mut out, 7, u64::MAX);
        assert_eq!(out[..16], BYTES[..16]);
        assert_eq!(out[16..24], [0, 0, 0, 0, 0, 0, 0, 7]);
        assert_eq!(out[24..], [0xff; 8]);
        assert_eq!(Probe::decode(&out), Some(Probe { sequence: 7, send_time_ns: u64::MAX, ..PROBE }));
    }

    #[test]
    fn a_named_clock_takes_the_place_of_the_run_ids_upper_half() {
        let named = Probe { clock: NonZeroU32::new(0xc0c1_c2c3), ..PROBE };
        let mut out = [0; HEADER_LEN];
        named.encode(&mut out);
        assert_eq!((out[5], &out[8..16]), (1, &[0xc0, 0xc1, 0xc2, 0xc3, 5, 6, 7, 8][..]));
        assert_eq!((&out[..5], &out[6..8], &out[16..]), (&BYTES[..5], &BYTES[6..8], &BYTES[16..]), "as ever");
        assert_eq!(Probe::decode(&out), Some(Probe { run_id: 0x0506_0708, ..named }));
    }

    #[test]
    fn what_an_older_netlab_sends_names_no_clock() {
        assert_eq!(Probe::decode(&BYTES).unwrap().clock, None);
        // The flag alone, without a name.
        let mut bytes = BYTES;
        bytes[5] = 1;
        bytes[8..12].fill(0);
        assert_eq!(Probe::decode(&bytes), Some(Probe { run_id: 0x0506_0708, ..PROBE }));
    }

    #[test]
    fn other_flags_are_ignored() {
        for flags in (0..=u8::MAX).filter(|flags| flags & NAMES_CLOCK == 0) {
            let mut bytes = BYTES;
            bytes[5] = flags;
            assert_eq!(Probe::decode(&bytes), Some(PROBE), "flags {flags:#04x}");
        }
    }

    #[test]
    fn another_magic_or_version_is_no_probe() {
        for (byte, bit) in (0..=4).flat_map(|byte| (0..8).map(move |bit| (byte, bit))) {
            let mut bytes = BYTES;
            bytes[byte] ^= 1 << bit;
            assert_eq!(Probe::decode(&bytes), None, "bit {bit} of byte {byte} flipped");
        }
    }

    #[test]
    fn a_short_message_is_no_probe() {
        for len in 0..HEADER_LEN {
            assert_eq!(Probe::decode(&BYTES[..len]), None, "{len} bytes");
        }
    }
}
