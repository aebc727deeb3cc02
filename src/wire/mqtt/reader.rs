//! The values that packets consist of (MQTT 5.0 section 1.5), taken from the front of a buffer.

use super::reason::Reason;

/// Why bytes are no packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// What the sender is told.
    pub reason: Reason,
    /// What is wrong, as a noun.
    pub what: &'static str,
}

impl Wrong {
    pub(super) fn malformed(what: &'static str) -> Wrong {
        Wrong { reason: Reason::MALFORMED, what }
    }

    pub(super) fn protocol(what: &'static str) -> Wrong {
        Wrong { reason: Reason::PROTOCOL_ERROR, what }
    }
}

/// Bytes to read.
#[derive(Clone, Debug)]
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader(bytes)
    }

    pub(super) fn rest(&self) -> &'a [u8] {
        self.0
    }

    pub(super) fn take(&mut self, length: usize) -> Result<&'a [u8], Wrong> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or_else(|| Wrong::malformed("a packet cut short"))?;
        self.0 = rest;
        Ok(taken)
    }

    pub(super) fn byte(&mut self) -> Result<u8, Wrong> {
        Ok(self.take(1)?[0])
    }

    pub(super) fn two(&mut self) -> Result<u16, Wrong> {
        let bytes = self.take(2)?;
        Ok(u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    pub(super) fn four(&mut self) -> Result<u32, Wrong> {
        let bytes = self.take(4)?;
        Ok(u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    /// A number of one to four bytes (section 1.5.5).
    pub(super) fn varying(&mut self) -> Result<u32, Wrong> {
        let (number, length) = varying(self.0)?.ok_or_else(|| Wrong::malformed("a packet cut short"))?;
        self.0 = &self.0[length..];
        Ok(number)
    }

    /// A packet identifier, which is never 0 (section 2.2.1).
    pub(super) fn identifier(&mut self) -> Result<u16, Wrong> {
        match self.two()? {
            0 => Err(Wrong::protocol("packet identifier 0")),
            id => Ok(id),
        }
    }

    pub(super) fn binary(&mut self) -> Result<&'a [u8], Wrong> {
        let length = self.two()?;
        self.take(length.into())
    }

    /// UTF-8 without control characters, which a receiver may refuse (section 1.5.4).
    pub(super) fn text(&mut self) -> Result<&'a str, Wrong> {
        let bytes = self.binary()?;
        let text = str::from_utf8(bytes).map_err(|_| Wrong::malformed("a text that is not UTF-8"))?;
        // U+0080 to U+009F are c2 80 to c2 9f.
        let is_control = |at: usize, byte: u8| byte < 0x20 || byte == 0x7f || (byte == 0xc2 && bytes[at + 1] < 0xa0);
        if bytes.iter().enumerate().any(|(at, byte)| is_control(at, *byte)) {
            return Err(Wrong::malformed("a text with control characters"));
        }
        Ok(text)
    }

    /// A topic to publish to; empty ones are judged elsewhere.
    pub(super) fn topic(&mut self) -> Result<&'a str, Wrong> {
        let topic = self.text()?;
        match topic.bytes().any(|byte| matches!(byte, b'#' | b'+')) {
            true => Err(Wrong::malformed("a topic with wildcards")),
            false => Ok(topic),
        }
    }
}

/// The number at the front, and its length; `None` where there is not all of it yet.
pub(super) fn varying(bytes: &[u8]) -> Result<Option<(u32, usize)>, Wrong> {
    let mut number = 0;
    for (at, byte) in bytes.iter().take(4).enumerate() {
        number |= u32::from(byte & 0x7f) << (7 * at);
        if at > 0 && *byte == 0 {
            return Err(Wrong::malformed("a number of more bytes than it needs"));
        }
        if byte & 0x80 == 0 {
            return Ok(Some((number, at + 1)));
        }
    }
    if bytes.len() < 4 { Ok(None) } else { Err(Wrong::malformed("a length of more than four bytes")) }
}
