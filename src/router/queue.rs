//! Frames on their way over a distance: each leaves when its time has come, in the order in which they came. Pure.

use std::collections::VecDeque;

/// What is on its way, up to a number of bytes.
#[derive(Debug)]
pub(super) struct Queue {
    frames: VecDeque<Held>,
    bytes: usize,
    limit: usize,
}

/// A frame on its way.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Held {
    /// When it is to leave, in ns of `CLOCK_MONOTONIC`.
    pub(super) due_ns: u64,
    /// The index of the link it leaves by.
    pub(super) link: usize,
    /// The frame itself.
    pub(super) frame: Box<[u8]>,
}

impl Queue {
    /// An empty one that holds frames of `limit` bytes in all.
    pub(super) fn new(limit: usize) -> Queue {
        Queue { frames: VecDeque::new(), bytes: 0, limit }
    }

    /// Takes a frame; `false` when there is no room for it. One that would overtake another leaves together with it.
    #[must_use]
    pub(super) fn push(&mut self, held: Held) -> bool {
        let bytes = self.bytes + held.frame.len();
        if bytes > self.limit {
            return false;
        }
        self.bytes = bytes;
        let due_ns = self.frames.back().map_or(held.due_ns, |last| held.due_ns.max(last.due_ns));
        self.frames.push_back(Held { due_ns, ..held });
        true
    }

    /// When the next frame is to leave.
    pub(super) fn next_ns(&self) -> Option<u64> {
        self.frames.front().map(|held| held.due_ns)
    }

    /// Gives out the next frame if its time has come.
    pub(super) fn pop(&mut self, now_ns: u64) -> Option<Held> {
        if self.next_ns()? > now_ns {
            return None;
        }
        let held = self.frames.pop_front()?;
        self.bytes -= held.frame.len();
        Some(held)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(due_ns: u64, frame: &[u8]) -> Held {
        Held { due_ns, link: 0, frame: frame.into() }
    }

    #[test]
    fn frames_leave_at_their_time_and_in_order() {
        let mut queue = Queue::new(100);
        assert_eq!((queue.next_ns(), queue.pop(u64::MAX)), (None, None));
        assert!(queue.push(held(10, b"one")) && queue.push(held(30, b"two")) && queue.push(held(20, b"three")));
        assert_eq!((queue.next_ns(), queue.pop(9)), (Some(10), None));
        assert_eq!(queue.pop(10), Some(held(10, b"one")));
        assert_eq!((queue.next_ns(), queue.pop(29)), (Some(30), None));
        assert_eq!(queue.pop(31), Some(held(30, b"two")));
        assert_eq!(queue.pop(31), Some(held(30, b"three")), "it does not overtake");
        assert_eq!(queue.next_ns(), None);
    }

    #[test]
    fn what_does_not_fit_is_not_taken_and_room_comes_back() {
        let mut queue = Queue::new(10);
        assert!(queue.push(held(1, &[0; 6])) && !queue.push(held(1, &[0; 5])) && queue.push(held(1, &[0; 4])));
        assert!(!queue.push(held(1, &[0; 1])));
        assert!(queue.pop(1).is_some());
        assert!(queue.push(held(2, &[0; 6])) && !queue.push(held(2, &[0; 1])));
        let rest: Vec<_> = std::iter::from_fn(|| queue.pop(2)).map(|held| held.frame.len()).collect();
        assert_eq!(rest, [4, 6]);
    }
}
