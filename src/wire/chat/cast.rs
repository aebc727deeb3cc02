//! The chat without a server: each sends the same events to all, in datagrams to a multicast group.
//!
//! A datagram is one line without an end, `netlab-chat/1 SENDER SEQUENCE EVENT`: 16 hexadecimal digits that the sender
//! drew by lot, a count of its datagrams from 0, and one of
//!
//! | event | |
//! |---|---|
//! | `JOINED name` | its first. Whoever hears it answers `HERE` |
//! | `HERE name` | "I am here, too" |
//! | `MSG name text` | as with a server |
//! | `RENAMED old new` | |
//! | `LEFT name leave` | its last |
//!
//! What a server does for its clients nobody does here. There is no one order: each hears the others as their datagrams
//! come. What is lost stays lost; the sequence tells that it was. Nothing keeps two from having one name: `SENDER` tells
//! them apart. Who is here is hearsay: one who went without a word is never missed, and one who comes late knows only
//! who answers. And there is no `PRIVATE`: a group is all or nobody.

use std::str;

use super::{Answer, PROTOCOL, name, text, word};

/// The longest datagram in bytes.
pub const MAX_DATAGRAM: usize = PROTOCOL.len() + 1 + 16 + 1 + 20 + 1 + super::MAX_LINE;

/// One datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cast<'a> {
    /// Whose it is.
    pub sender: u64,
    /// The how manieth of that sender, from 0.
    pub sequence: u64,
    /// What it says.
    pub event: Event<'a>,
}

/// What a datagram says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// The sender has come.
    Joined {
        /// Its name.
        name: &'a str,
    },
    /// The sender was here before somebody else came.
    Here {
        /// Its name.
        name: &'a str,
    },
    /// The sender says something.
    Msg {
        /// Its name.
        name: &'a str,
        /// What.
        text: &'a str,
    },
    /// The sender has another name.
    Renamed {
        /// The one before.
        old: &'a str,
        /// The one from now on.
        new: &'a str,
    },
    /// The sender goes.
    Left {
        /// Its name.
        name: &'a str,
    },
}

impl<'a> Cast<'a> {
    /// Reads a datagram; `None` for one that is not of this chat. Unlike a server's lines these come from anybody, so
    /// names and texts are looked at.
    pub fn decode(datagram: &'a [u8]) -> Option<Cast<'a>> {
        let (protocol, rest) = word(str::from_utf8(datagram).ok()?);
        let (sender, rest) = word(rest);
        let (sequence, rest) = word(rest);
        let hexadecimal = sender.len() == 16 && sender.bytes().all(|digit| digit.is_ascii_hexdigit());
        let decimal = sequence.bytes().all(|digit| digit.is_ascii_digit());
        if protocol != PROTOCOL || !hexadecimal || !decimal {
            return None;
        }
        let event = match rest.strip_prefix("HERE ") {
            Some(here) => Event::Here { name: name(here).ok()? },
            None => match Answer::decode(rest.as_bytes())? {
                Answer::Joined { name } => Event::Joined { name },
                Answer::Msg { from, text: said } => Event::Msg { name: from, text: text(said).ok()? },
                Answer::Renamed { old, new } => Event::Renamed { old, new },
                Answer::Left { name, reason: "leave" } => Event::Left { name },
                _ => return None,
            },
        };
        Some(Cast { sender: u64::from_str_radix(sender, 16).ok()?, sequence: sequence.parse().ok()?, event })
    }

    /// Appends the datagram.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(format!("{PROTOCOL} {:016x} {} ", self.sender, self.sequence).as_bytes());
        match self.event {
            Event::Joined { name } => Answer::Joined { name }.encode(out),
            Event::Here { name } => super::put(out, &["HERE", name]),
            Event::Msg { name, text } => Answer::Msg { from: name, text }.encode(out),
            Event::Renamed { old, new } => Answer::Renamed { old, new }.encode(out),
            Event::Left { name } => Answer::Left { name, reason: "leave" }.encode(out),
        }
        // A datagram ends by itself.
        out.pop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::chat::{MAX_NAME, MAX_TEXT};

    const CASTS: &[(Cast, &[u8])] = &[
        (
            Cast { sender: 0x1f, sequence: 0, event: Event::Joined { name: "ann" } },
            b"netlab-chat/1 000000000000001f 0 JOINED ann",
        ),
        (
            Cast { sender: u64::MAX, sequence: 10, event: Event::Here { name: "ann" } },
            b"netlab-chat/1 ffffffffffffffff 10 HERE ann",
        ),
        (
            Cast { sender: 1, sequence: 2, event: Event::Msg { name: "ann", text: "a  b" } },
            b"netlab-chat/1 0000000000000001 2 MSG ann a  b",
        ),
        (
            Cast { sender: 1, sequence: 3, event: Event::Renamed { old: "ann", new: "bob" } },
            b"netlab-chat/1 0000000000000001 3 RENAMED ann bob",
        ),
        (
            Cast { sender: 1, sequence: u64::MAX, event: Event::Left { name: "bob" } },
            b"netlab-chat/1 0000000000000001 18446744073709551615 LEFT bob leave",
        ),
    ];

    #[test]
    fn datagrams_are_these_bytes() {
        for (cast, bytes) in CASTS {
            let mut out = Vec::new();
            cast.encode(&mut out);
            assert_eq!(out, *bytes, "{cast:?}");
            assert_eq!(Cast::decode(bytes), Some(*cast));
        }
    }

    #[test]
    fn anything_else_is_none_of_this_chat() {
        for bytes in [
            &b""[..],
            b"netlab-chat/1",
            b"netlab-chat/2 0000000000000001 2 MSG ann x",
            b"netlab-chat/1 1 2 MSG ann x",
            b"netlab-chat/1 +000000000000001 2 MSG ann x",
            b"netlab-chat/1 0000000000000001 +2 MSG ann x",
            b"netlab-chat/1 0000000000000001  MSG ann x",
            b"netlab-chat/1 0000000000000001 99999999999999999999 MSG ann x",
            b"netlab-chat/1 0000000000000001 2 MSG ann \x1b[2J",
            b"netlab-chat/1 0000000000000001 2 MSG a\x07 x",
            b"netlab-chat/1 0000000000000001 2 MSG ann",
            b"netlab-chat/1 0000000000000001 2 PRIVATE ann x",
            b"netlab-chat/1 0000000000000001 2 LEFT ann slow",
            b"netlab-chat/1 0000000000000001 2 HERE ",
            b"netlab-chat/1 0000000000000001 2 MSG ann \xff",
        ] {
            assert_eq!(Cast::decode(bytes), None, "{:?}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn the_longest_fits() {
        let (name, text) = ("n".repeat(MAX_NAME), "t".repeat(MAX_TEXT));
        let mut out = Vec::new();
        let event = Event::Msg { name: &name, text: &text };
        Cast { sender: u64::MAX, sequence: u64::MAX, event }.encode(&mut out);
        assert!(out.len() <= MAX_DATAGRAM && Cast::decode(&out).is_some());
    }
}
