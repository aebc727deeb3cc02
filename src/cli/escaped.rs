//! What came from elsewhere, as text that a terminal shows and does not obey.

use std::fmt::Write;

/// Whether a terminal might obey it: a control character, or one that turns the direction of writing.
pub(crate) fn steers(c: char) -> bool {
    c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Text as it is, but for control characters, for those that turn the direction of writing, and for what is no text.
pub(crate) fn escaped(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            if steers(c) {
                out.extend(c.escape_default());
            } else {
                out.push(c);
            }
        }
        for byte in chunk.invalid() {
            let _ = write!(out, "\\x{byte:02x}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_is_not_obeyed() {
        assert_eq!(escaped("grün 1\u{1b}[31m\n\tx".as_bytes()), "grün 1\\u{1b}[31m\\n\\tx");
        assert_eq!(escaped("\u{9b}2J\u{202e}".as_bytes()), "\\u{9b}2J\\u{202e}");
        assert_eq!(escaped(b"a\xff\xfeb"), "a\\xff\\xfeb");
    }
}
