//! The set of sequence numbers seen in one stream: exact for the newest million, in bounded memory.

/// Sequences a page holds: 4 KiB of bits.
const PAGE_SEQUENCES: u64 = 1 << 15;

/// Pages kept.
const PAGES: u64 = 32;

/// Sequences of which each is known to have been seen or not: that many below the highest one, at the least.
///
/// (The page of the highest sequence and the 31 before it are kept, so it is between this and 2^20.)
pub const WINDOW: u64 = (PAGES - 1) * PAGE_SEQUENCES;

/// A set of sequence numbers. Takes the same few steps for any number, however far it jumps.
///
/// A sequence belongs to page `sequence / PAGE_SEQUENCES`, and a page to slot `page % PAGES`. A slot remembers which
/// page it holds, so a jump has nothing to clear: what an outdated page holds is swept when its slot is next needed.
#[derive(Default)]
pub(super) struct Sequences {
    slots: [Option<Box<Page>>; PAGES as usize],
    span: Option<Span>,
    distinct: u64,
}

/// What a sequence number turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// New, and the highest so far.
    InOrder,
    /// New, after a higher one (RFC 4737 section 3).
    Reordered,
    /// Seen before.
    Duplicate,
    /// Below the window: late or seen before, nobody knows. Not in the set.
    Stale,
    /// Further above the highest one than the window is long. Not in the set.
    Ahead,
}

impl Sequences {
    /// Adds `sequence`, unless it is too far from those seen so far, and says what it was.
    #[inline]
    pub(super) fn insert(&mut self, sequence: u64) -> Seen {
        if self.span.is_some_and(|span| sequence.saturating_sub(span.highest) > WINDOW) {
            return Seen::Ahead;
        }
        self.insert_ahead(sequence)
    }

    /// Adds `sequence`, however far ahead it is.
    #[inline]
    pub(super) fn insert_ahead(&mut self, sequence: u64) -> Seen {
        let number = sequence / PAGE_SEQUENCES;
        if self.span.is_some_and(|span| number + PAGES <= span.highest / PAGE_SEQUENCES) {
            return Seen::Stale;
        }
        let slot = &mut self.slots[(number % PAGES) as usize];
        if !slot.get_or_insert_with(|| Box::new(Page::empty(number))).insert(number, sequence % PAGE_SEQUENCES) {
            return Seen::Duplicate;
        }
        self.distinct += 1;
        let span = self.span.get_or_insert(Span { lowest: sequence, highest: sequence });
        let in_order = sequence >= span.highest;
        *span = Span { lowest: span.lowest.min(sequence), highest: span.highest.max(sequence) };
        if in_order { Seen::InOrder } else { Seen::Reordered }
    }

    /// Numbers in the set.
    pub(super) fn distinct(&self) -> u64 {
        self.distinct
    }

    /// Numbers missing between the lowest and the highest of the set.
    pub(super) fn holes(&self) -> u64 {
        // Not (highest - lowest + 1) - distinct: 0 to 2^64 - 1 are 2^64 numbers.
        self.span.map_or(0, |span| span.highest - span.lowest - (self.distinct - 1))
    }

    /// The lowest number in the set.
    pub(super) fn lowest(&self) -> Option<u64> {
        self.span.map(|span| span.lowest)
    }

    /// The highest number in the set.
    pub(super) fn highest(&self) -> Option<u64> {
        self.span.map(|span| span.highest)
    }

    /// Heap memory in use, in bytes.
    pub(super) fn memory_bytes(&self) -> usize {
        self.slots.iter().flatten().count() * size_of::<Page>()
    }
}

/// From the lowest to the highest sequence seen.
#[derive(Clone, Copy)]
struct Span {
    lowest: u64,
    highest: u64,
}

/// A bit for each sequence of one page.
struct Page {
    number: u64,
    bits: [u64; (PAGE_SEQUENCES / 64) as usize],
}

impl Page {
    fn empty(number: u64) -> Page {
        Page { number, bits: [0; (PAGE_SEQUENCES / 64) as usize] }
    }

    /// Sets the bit at `offset` of page `number`, forgetting any other page held so far; whether it was unset.
    #[inline]
    fn insert(&mut self, number: u64, offset: u64) -> bool {
        if self.number != number {
            *self = Page::empty(number);
        }
        let word = &mut self.bits[(offset / 64) as usize];
        let bit = 1 << (offset % 64);
        let unset = *word & bit == 0;
        *word |= bit;
        unset
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn agrees_with_a_plain_set_while_the_window_slides() {
        let mut sequences = Sequences::default();
        let mut plain = HashSet::new();
        let (mut highest, mut kinds, mut random) = (0, HashSet::new(), 0x9e37_79b9_7f4a_7c15_u64);
        for step in 0..300_000_u64 {
            // Forward by 13 on average, back and forth over 4,000 (xorshift64).
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let sequence = step * 13 + random % 4_000;
            let expected = match (plain.insert(sequence), step == 0 || sequence > highest) {
                (false, _) => Seen::Duplicate,
                (true, true) => Seen::InOrder,
                (true, false) => Seen::Reordered,
            };
            highest = highest.max(sequence);
            assert_eq!(sequences.insert(sequence), expected, "sequence {sequence} at step {step}");
            kinds.insert(format!("{expected:?}"));
        }
        assert!(highest > 3 * WINDOW && kinds.len() == 3, "{highest} {kinds:?}");
        let lowest = *plain.iter().min().unwrap();
        assert_eq!((sequences.lowest(), sequences.highest()), (Some(lowest), Some(highest)));
        assert_eq!(sequences.distinct(), plain.len() as u64);
        assert_eq!(sequences.holes(), highest - lowest + 1 - plain.len() as u64);
    }

    #[test]
    fn knows_the_whole_window_and_nothing_below_it() {
        for highest in [WINDOW, WINDOW + 12_345, (1 << 63) - 1, 1 << 63, u64::MAX] {
            let mut sequences = Sequences::default();
            assert_eq!(sequences.insert(highest), Seen::InOrder);
            assert_eq!(sequences.insert(highest - WINDOW), Seen::Reordered);
            assert_eq!(sequences.insert(highest - WINDOW), Seen::Duplicate);
            assert_eq!(sequences.insert(highest), Seen::Duplicate);
            if let Some(below) = highest.checked_sub(PAGES * PAGE_SEQUENCES) {
                assert_eq!(sequences.insert(below), Seen::Stale);
            }
            assert_eq!((sequences.distinct(), sequences.holes()), (2, WINDOW - 1));
        }
    }

    #[test]
    fn a_page_that_left_the_window_is_forgotten() {
        let mut sequences = Sequences::default();
        let same_slot = PAGES * PAGE_SEQUENCES;
        assert_eq!(sequences.insert(5), Seen::InOrder);
        assert_eq!(sequences.insert(same_slot + 5), Seen::Ahead);
        assert_eq!(sequences.insert_ahead(same_slot + 5), Seen::InOrder);
        assert_eq!(sequences.insert(5), Seen::Stale);
        assert_eq!(sequences.insert(same_slot + 5), Seen::Duplicate);
        assert_eq!(sequences.insert(PAGE_SEQUENCES), Seen::Reordered);
        assert_eq!(sequences.distinct(), 3);
    }

    #[test]
    fn every_number_fits() {
        let mut sequences = Sequences::default();
        assert_eq!((sequences.lowest(), sequences.highest(), sequences.holes()), (None, None, 0));
        assert_eq!(sequences.insert(0), Seen::InOrder);
        assert_eq!(sequences.insert(WINDOW + 1), Seen::Ahead);
        assert_eq!((sequences.distinct(), sequences.highest()), (1, Some(0)));
        assert_eq!(sequences.insert_ahead(u64::MAX), Seen::InOrder);
        assert_eq!(sequences.holes(), u64::MAX - 1);
    }

    #[test]
    fn memory_is_bounded() {
        let mut sequences = Sequences::default();
        for page in 0..1_000 {
            sequences.insert(page * PAGE_SEQUENCES);
        }
        assert_eq!(sequences.memory_bytes(), PAGES as usize * size_of::<Page>());
    }
}
