//! Texts that `recv` gets, shown as they come: a line each for a person, at most so many a second; an object each for a
//! program.

use std::io;
use std::time::Duration;

use serde::Serialize;

use super::escaped::escaped;
use super::screen::Screen;
use super::summary::counted;
use crate::delivery::text::{Text, Texts};

/// Lines a second that a person can follow; what comes beyond is counted.
const A_SECOND: u64 = 20;
/// Characters of a text that are shown to a person.
const SHOWN: usize = 500;

/// Shows them.
#[derive(Default)]
pub(crate) struct TextView {
    second: u64,
    /// In this second.
    shown: u64,
    not_shown: u64,
}

impl TextView {
    /// Shows what has come, `now` (since the start).
    ///
    /// # Errors
    /// When standard output cannot be written to.
    pub(crate) fn show(&mut self, now: Duration, texts: &Texts, screen: &Screen) -> io::Result<()> {
        let (texts, missed) = texts.take();
        if screen.is_json() {
            texts.iter().try_for_each(|text| screen.event(&Object::of(text)))?;
            self.not_shown += missed;
            return self.not_shown_object(screen);
        }
        self.lines(now, &texts, missed).iter().try_for_each(|line| screen.line(line))
    }

    /// Shows the last of them, and how many were not shown.
    ///
    /// # Errors
    /// As [`show`](Self::show).
    pub(crate) fn end(&mut self, texts: &Texts, screen: &Screen) -> io::Result<()> {
        self.show(Duration::from_secs(self.second), texts, screen)?;
        self.rest().map_or(Ok(()), |line| screen.line(&line))
    }

    fn not_shown_object(&mut self, screen: &Screen) -> io::Result<()> {
        match std::mem::take(&mut self.not_shown) {
            0 => Ok(()),
            messages => screen.event(&NotShown { event: "not-shown", messages }),
        }
    }

    /// The lines for a person.
    fn lines(&mut self, now: Duration, texts: &[Text], missed: u64) -> Vec<String> {
        let mut lines = Vec::new();
        if now.as_secs() != self.second {
            lines.extend(self.rest());
            (self.second, self.shown) = (now.as_secs(), 0);
        }
        for text in texts {
            if self.shown < A_SECOND {
                self.shown += 1;
                lines.push(line(text));
            } else {
                self.not_shown += 1;
            }
        }
        self.not_shown += missed;
        lines
    }

    /// How many were not shown, if any.
    fn rest(&mut self) -> Option<String> {
        let not_shown = std::mem::take(&mut self.not_shown);
        (not_shown > 0).then(|| format!("… and {} more not shown", counted(not_shown, "text", "texts")))
    }
}

/// A text as a line: its own last line end left out.
fn line(Text { from, text }: &Text) -> String {
    let whole = text.strip_suffix('\n').map_or(text.as_str(), |text| text.strip_suffix('\r').unwrap_or(text));
    let end = whole.char_indices().nth(SHOWN).map_or(whole.len(), |(end, _)| end);
    let more = if end < whole.len() { format!(" … ({} bytes in all)", text.len()) } else { String::new() };
    format!("{from}: {}{more}", escaped(&whole.as_bytes()[..end]))
}

/// A text as an object, under the names of the chat's.
#[derive(Serialize)]
struct Object<'a> {
    event: &'static str,
    from: String,
    text: &'a str,
}

impl<'a> Object<'a> {
    fn of(text: &'a Text) -> Object<'a> {
        Object { event: "message", from: text.from.to_string(), text: &text.text }
    }
}

/// Texts that there was no room for.
#[derive(Serialize)]
struct NotShown {
    event: &'static str,
    messages: u64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::text::Sender;

    fn text(text: &str) -> Text {
        Text { from: Sender::Address("10.9.0.1:48012".parse().unwrap()), text: text.into() }
    }

    #[test]
    fn a_text_is_a_line() {
        assert_eq!(line(&text("hello, all of you\r\n")), "10.9.0.1:48012: hello, all of you");
        assert_eq!(line(&text("two\nlines\t\u{202e}")), "10.9.0.1:48012: two\\nlines\t\\u{202e}");
        let long = line(&text(&"ü".repeat(600)));
        assert_eq!(long, format!("10.9.0.1:48012: {} … (1200 bytes in all)", "ü".repeat(500)));
        let object = serde_json::to_string(&Object::of(&text("hi\n\u{202e}\""))).unwrap();
        assert_eq!(object, "{\"event\":\"message\",\"from\":\"10.9.0.1:48012\",\"text\":\"hi\\n\u{202e}\\\"\"}");
    }

    #[test]
    fn a_flood_is_cut_to_what_can_be_followed() {
        let mut view = TextView::default();
        let many: Vec<_> = (0..15).map(|number| text(&number.to_string())).collect();
        let at = Duration::from_millis;
        assert_eq!(view.lines(at(100), &many, 0).len(), 15);
        assert_eq!(view.lines(at(200), &many, 7).len(), 5, "as many as are left in this second");
        let next = view.lines(at(1_000), &many[..1], 0);
        assert_eq!(next, ["… and 17 texts more not shown", "10.9.0.1:48012: 0"]);
        assert_eq!(view.lines(at(2_000), &[], 1), [""; 0]);
        assert_eq!(view.rest().as_deref(), Some("… and 1 text more not shown"));
        assert_eq!(view.rest(), None);
    }
}
