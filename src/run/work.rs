//! A fixed kind of work that a bystander does all the while: so many pieces in the window.

use std::hint::black_box;

use serde::{Deserialize, Serialize};

use super::protocol::Window;
use crate::sys::clock;

/// How much was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkReport {
    /// Whole pieces.
    pub pieces: u64,
    /// Time they took, in ns.
    pub duration_ns: u64,
}

impl WorkReport {
    /// Pieces a second; `None` when there was no time for any.
    pub fn per_second(&self) -> Option<f64> {
        (self.duration_ns > 0).then(|| self.pieces as f64 * 1e9 / self.duration_ns as f64)
    }
}

/// Works from the start of the window to its end; a piece that is begun is done.
pub(super) fn work(window: Window) -> WorkReport {
    let mut block = [0x5a; BLOCK];
    while clock::monotonic_ns() < window.start_ns {
        clock::sleep_until(window.start_ns);
    }
    let started_ns = clock::monotonic_ns();
    let end_ns = window.at_ns(window.duration);
    let mut pieces = 0;
    let mut now_ns = started_ns;
    while now_ns < end_ns {
        piece(black_box(&mut block));
        pieces += 1;
        now_ns = clock::monotonic_ns();
    }
    WorkReport { pieces, duration_ns: now_ns - started_ns }
}

/// Fits in the nearest cache, beside what the kernel needs there.
const BLOCK: usize = 4096;

/// Some 50 µs of arithmetic: FNV-1a over a block, several times, each time mixed into it. Every step needs the one before,
/// so its length is that of the multiplications alone, whatever a compiler makes of it.
#[inline(never)]
fn piece(block: &mut [u8; BLOCK]) {
    const ROUNDS: usize = 8;
    const OFFSET_BASIS: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0100_0000_01b3;
    for round in 0..ROUNDS {
        let hash = block.iter().fold(OFFSET_BASIS, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(PRIME));
        block[round] ^= hash as u8;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_piece_is_the_same_for_everybody() {
        let mut block = [0x5a; BLOCK];
        piece(&mut block);
        let first = block;
        assert_ne!(first, [0x5a; BLOCK]);
        let mut again = [0x5a; BLOCK];
        piece(&mut again);
        assert_eq!(first, again);
    }

    #[test]
    fn works_for_the_window() {
        let duration = Duration::from_millis(20);
        let window = Window { start_ns: clock::monotonic_ns() + 1_000_000, duration };
        let report = work(window);
        assert!(clock::monotonic_ns() >= window.at_ns(duration));
        assert!(report.pieces > 0 && report.per_second() > Some(0.0), "{report:?}");
        let over = Window { start_ns: 0, duration };
        assert_eq!(work(over).pieces, 0, "that window is long over");
        assert_eq!(WorkReport::default().per_second(), None);
    }
}
