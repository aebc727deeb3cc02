//! Text among what is received: told from what is neither a probe nor text, and kept for whoever shows it.

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};

use crate::wire::ethernet::MacAddress;

/// A message that is text, such as `send --message`, `nc -u` and `socat` send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    /// Who sent it.
    pub from: Sender,
    /// What it says. Anything but harmless to a terminal: see [`of`].
    pub text: String,
}

/// Who sent a message: an address and port, or the Ethernet address of a raw frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    /// Of a datagram.
    Address(SocketAddr),
    /// Of a frame.
    Station(MacAddress),
    /// The kernel did not tell.
    Unknown,
}

impl fmt::Display for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Sender::Address(address) => address.fmt(f),
            Sender::Station(mac) => mac.fmt(f),
            Sender::Unknown => f.pad("unknown"),
        }
    }
}

/// The text that a message is: UTF-8 without control characters, but for tabs and the ends of lines, and not empty.
///
/// (Characters that turn the direction of writing are text, and for whoever shows it to escape.)
pub fn of(message: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(message).ok().filter(|text| !text.is_empty())?;
    let is_text = |c: char| !c.is_control() || matches!(c, '\t' | '\n' | '\r');
    text.chars().all(is_text).then_some(text)
}

/// Memory that texts may take until they are shown, in bytes; what comes while there is no room is only counted.
const ROOM: usize = 1 << 20;

/// Texts that have come and are not shown yet: for two threads.
#[derive(Debug, Default)]
pub struct Texts(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    texts: Vec<Text>,
    bytes: usize,
    missed: u64,
}

impl Texts {
    /// Keeps a text, if there is room.
    pub(super) fn put(&self, from: Sender, text: &str) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = text.len() + size_of::<Text>();
        if waiting.bytes + bytes > ROOM {
            waiting.missed += 1;
            return;
        }
        waiting.bytes += bytes;
        waiting.texts.push(Text { from, text: text.to_owned() });
    }

    /// Takes what has come since it was last asked, and how many texts more there was no room for.
    pub fn take(&self) -> (Vec<Text>, u64) {
        let waiting = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        (waiting.texts, waiting.missed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_told_from_what_is_none() {
        for text in ["hello", "Gr\u{fc}\u{df}e, wie geht's?\n", "a\tb\r\n", "\u{1f600}", "\u{202e}abc", "NLAB", " "] {
            assert_eq!(of(text.as_bytes()), Some(text));
        }
        for other in [&b""[..], b"\0", b"a\0", b"\x1b[2J", b"\x7f", b"\xff", b"\xc3", "\u{9b}2J".as_bytes(), &[0; 32]] {
            assert_eq!(of(other), None, "{other:?}");
        }
    }

    #[test]
    fn what_waits_is_bounded() {
        let texts = Texts::default();
        let long = "x".repeat(65_000);
        for _ in 0..100 {
            texts.put(Sender::Unknown, &long);
        }
        let (kept, missed) = texts.take();
        assert_eq!((kept.len() as u64 + missed, kept.len()), (100, ROOM / (65_000 + size_of::<Text>())));
        texts.put(Sender::Unknown, "again");
        assert_eq!(texts.take(), (vec![Text { from: Sender::Unknown, text: "again".into() }], 0));
        assert_eq!(texts.take(), (vec![], 0));
    }
}
