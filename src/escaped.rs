//! What came from elsewhere (a network, a file, a name that somebody gave an interface) as text that a terminal shows and
//! does not obey. Whatever a program writes for people goes through one of these, on either output.
//!
//! Escaped are, as `\n` or `\u{1b}`:
//!
//! - control characters, C0 (ESC and CR among them), DEL and C1 (U+0080–U+009F, which are escape sequences in one
//!   character); but for TAB, which moves the cursor on and does no more;
//! - what turns the direction of writing round, so that text poses as other text (U+202A–U+202E, U+2066–U+2069);
//! - what ends a line or a paragraph (U+2028, U+2029), and what cannot be seen at all (U+200B, U+2060, U+FEFF).
//!
//! Left as they are: the joiners U+200C and U+200D and the marks U+200E, U+200F and U+061C, by which whole scripts (and
//! emoji) are written. A backslash is not escaped: to be shown and to be read back are two things, and `--json` is for the
//! second.

use std::borrow::Cow;
use std::fmt::Write;

/// Whether a character is one of those that are escaped.
pub fn steers(c: char) -> bool {
    c.is_control() && c != '\t'
        || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}')
        || matches!(c, '\u{200b}' | '\u{2060}' | '\u{feff}')
}

/// A field, in one line; bytes that are no UTF-8 as `\xff`.
pub fn escaped(bytes: &[u8]) -> String {
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

/// Lines of our own, in which there may be words of others.
pub fn lines(text: &str) -> Cow<'_, str> {
    replaced(text, |c| c != '\n' && steers(c), |c, out| out.extend(c.escape_default()))
}

/// The same for JSON that has been written: what it says stays what it was.
pub fn json(text: &str) -> Cow<'_, str> {
    // Of these, JSON itself has only LF, and all of them have four digits.
    replaced(
        text,
        |c| c != '\n' && steers(c),
        |c, out| {
            let _ = write!(out, "\\u{:04x}", c as u32);
        },
    )
}

fn replaced(text: &str, is_meant: impl Fn(char) -> bool, put: impl Fn(char, &mut String)) -> Cow<'_, str> {
    if !text.contains(&is_meant) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_meant(c) { put(c, &mut out) } else { out.push(c) }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_is_not_obeyed() {
        assert_eq!(escaped("grün 1\u{1b}[31m\n\tx".as_bytes()), "grün 1\\u{1b}[31m\\n\tx");
        assert_eq!(escaped("\u{9b}2J\u{202e}".as_bytes()), "\\u{9b}2J\\u{202e}");
        assert_eq!(escaped("a\u{2028}b\u{200b}\u{feff}".as_bytes()), "a\\u{2028}b\\u{200b}\\u{feff}");
        assert_eq!(escaped(b"a\xff\xfeb"), "a\\xff\\xfeb");
        // What is no more than text.
        for text in ["\u{1f469}\u{200d}\u{1f52c} می\u{200c}خواهم", "שלום\u{200f}", "C:\\new"] {
            assert_eq!(escaped(text.as_bytes()), text);
        }
    }

    #[test]
    fn lines_stay_lines() {
        assert!(matches!(lines("one\n\ttwo\n"), Cow::Borrowed("one\n\ttwo\n")));
        assert_eq!(lines("one\r\n\u{7f}\u{1b}]0;x\u{7}\n"), "one\\r\n\\u{7f}\\u{1b}]0;x\\u{7}\n");
    }

    #[test]
    fn json_says_what_it_said() {
        let value = serde_json::json!({"text": "\u{1b}[2J \u{7f} \u{9b}2J \u{202e} \u{2028} \u{feff} \"\\ ✓"});
        let text = value.to_string() + "\n";
        let shown = json(&text);
        assert!(!shown.trim_end().contains(steers), "{shown}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap(), value);
    }
}
