//! Bytes for a client, until the kernel has taken them. Pure.

use std::collections::VecDeque;
use std::io::IoSlice;

use crate::wire::mqtt::{Publish, Version};

/// Packets gather in pieces of about this many bytes, each freed when it is sent.
const PIECE: usize = 64 << 10;
/// What a piece has room for at first.
const SMALL: usize = 1 << 10;
/// Bytes that the note of a waiting message takes.
const NOTE: usize = 24;

/// What waits for one socket.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    pieces: VecDeque<Vec<u8>>,
    /// How much of the first piece the kernel has.
    begun: usize,
    len: usize,
    /// All that was ever put in, in bytes, and all that the kernel has taken.
    put: u64,
    taken: u64,
    /// Messages of QoS 0: where they end, and bytes of payload. They are delivered when the kernel has them.
    messages: VecDeque<(u64, u32)>,
    /// Bytes of other packets since it was last empty.
    pub answers: usize,
}

impl Outbox {
    /// Bytes that it takes.
    pub(super) fn size(&self) -> usize {
        self.len + self.messages.len() * NOTE
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Messages of QoS 0 in it.
    pub(super) fn messages(&self) -> usize {
        self.messages.len()
    }

    /// Puts a message in. `noted`: the kernel's taking it is its delivery.
    pub(super) fn publish(&mut self, version: Version, publish: &Publish<'_>, noted: bool) {
        let piece = self.room_for(publish.written_len(version));
        let before = piece.len();
        // Its topic has been read, so it is not too long to be written.
        let _ = publish.write(version, piece);
        let written = piece.len() - before;
        self.count(written);
        if noted {
            self.messages.push_back((self.put, publish.payload.len() as u32));
        }
    }

    /// Puts another packet in.
    pub(super) fn packet(&mut self, bytes: &[u8]) {
        self.room_for(bytes.len()).extend_from_slice(bytes);
        self.count(bytes.len());
        self.answers += bytes.len();
    }

    fn room_for(&mut self, bytes: usize) -> &mut Vec<u8> {
        match self.pieces.pop_back() {
            Some(piece) if piece.len() + bytes <= PIECE => self.pieces.push_back(piece),
            full => {
                self.pieces.extend(full);
                self.pieces.push_back(Vec::with_capacity(bytes.max(SMALL)));
            }
        }
        let last = self.pieces.len() - 1;
        &mut self.pieces[last]
    }

    fn count(&mut self, bytes: usize) {
        self.len += bytes;
        self.put += bytes as u64;
    }

    /// What is next to be sent.
    pub(super) fn slices<'a>(&'a self, slices: &mut Vec<IoSlice<'a>>, most: usize) {
        slices.extend(self.pieces.iter().take(most).map(|piece| IoSlice::new(piece)));
        if let Some(first) = slices.first_mut() {
            first.advance(self.begun);
        }
    }

    /// The kernel has taken so many bytes; `delivered` gets the payload of each message that it has now.
    pub(super) fn sent(&mut self, bytes: usize, mut delivered: impl FnMut(u64)) {
        self.len -= bytes;
        self.taken += bytes as u64;
        self.begun += bytes;
        while let Some(first) = self.pieces.front().filter(|first| first.len() <= self.begun) {
            self.begun -= first.len();
            self.pieces.pop_front();
        }
        while let Some((_, payload)) = self.messages.front().filter(|(end, _)| *end <= self.taken) {
            delivered((*payload).into());
            self.messages.pop_front();
        }
        if self.is_empty() {
            self.answers = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::mqtt::{Properties, Qos};

    #[test]
    fn all_comes_out_in_order_and_a_message_is_delivered_with_its_last_byte() {
        let mut outbox = Outbox::default();
        let mut expected = Vec::new();
        let payload = vec![b'x'; 30_000];
        for number in 0..10usize {
            let publish = Publish {
                dup: false,
                qos: Qos::AtMostOnce,
                retain: false,
                topic: "t",
                id: 0,
                properties: Properties::default(),
                payload: &payload[..number * 3_000],
            };
            outbox.publish(Version::Five, &publish, true);
            outbox.packet(&[0xd0, 0]);
            publish.write(Version::Five, &mut expected).unwrap();
            expected.extend([0xd0, 0]);
        }
        assert_eq!((outbox.len, outbox.messages(), outbox.answers), (expected.len(), 10, 20));
        let (mut sent, mut delivered) = (Vec::new(), Vec::new());
        while !outbox.is_empty() {
            let mut slices = Vec::new();
            outbox.slices(&mut slices, 2);
            let bytes: Vec<u8> = slices.iter().flat_map(|slice| slice.iter().copied()).take(7_001).collect();
            outbox.sent(bytes.len(), |payload| delivered.push(payload));
            sent.extend(bytes);
            let whole = (0..10u64).map(|number| number * 3_000).scan(0, |end, payload| {
                *end += payload as usize
                    + if payload < 122 {
                        6
                    } else if payload < 16_379 {
                        7
                    } else {
                        8
                    };
                let at = *end;
                *end += 2;
                Some((at, payload))
            });
            let whole: Vec<_> = whole.filter(|(end, _)| *end <= sent.len()).map(|(_, payload)| payload).collect();
            assert_eq!(delivered, whole);
        }
        assert_eq!(sent, expected);
        assert_eq!((outbox.size(), outbox.answers, outbox.begun), (0, 0, 0));
    }
}
