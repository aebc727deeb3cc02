//! How an event is shown: a line for people, or a JSON object for programs. Pure.

use crate::chat::event::Event;
use crate::chat::news::{Gone, News};
use crate::cli::escaped::{self, escaped};
use crate::wire::chat::Refusal;

/// The line for people.
pub(super) fn line(event: &Event) -> String {
    let line = match event {
        Event::Message { from, text } => format!("{from}: {text}"),
        Event::Private { from, text } => format!("{from}, to you alone: {text}"),
        Event::Told { name } => format!("* told {name} alone"),
        Event::Joined { name } => format!("* {name} has come"),
        Event::Present { name } => format!("* {name} is here"),
        Event::Left { name, reason } => match reason.as_str() {
            "leave" | "closed" => format!("* {name} has gone"),
            "lost" => format!("* {name} was lost: the connection broke"),
            "slow" => format!("* {name} was dropped for reading too slowly"),
            other => format!("* {name} has gone: {other}"),
        },
        Event::Renamed { old, new } => format!("* {old} is now {new}"),
        Event::Name { name } => format!("* you are {name}"),
        Event::Here { names, more: 0 } => format!("* here: {}", names.join(", ")),
        Event::Here { names, more } => format!("* here: {}, and {more} more:", names.join(", ")),
        Event::Refused { text, .. } => format!("! {text}"),
        Event::Missed { from, messages: 1 } => format!("! a message from {from} has not come"),
        Event::Missed { from, messages } => format!("! {messages} messages from {from} have not come"),
        Event::Late { from } => format!("! out of order, from {from}:"),
        Event::Namesakes { name } => format!("! there are two called {name}, and no server to tell them apart"),
        Event::Dropped { text, .. } => format!("! the server ends this: {text}"),
    };
    escaped(line.as_bytes())
}

/// What a server tells of those who come and go.
pub(super) fn news(news: &News) -> String {
    let line = match news {
        News::Joined { name, peer, clients } => format!("{name} has come from {peer}; {clients} here"),
        News::Renamed { old, new, clients } => format!("{old} is now {new}; {clients} here"),
        News::Left { name, why, clients } => {
            let how = match why {
                Gone::Leave => "has gone",
                Gone::Closed => "has gone: it closed the connection",
                Gone::Lost | Gone::TooLate => "was lost: the connection broke",
                Gone::Slow => "was dropped for reading too slowly",
            };
            format!("{name} {how}; {clients} here")
        }
        News::NeverJoined { peer, why } => {
            let how = match why {
                Gone::Leave => "it took leave",
                Gone::Closed => "it closed the connection",
                Gone::Lost => "the connection broke",
                Gone::Slow => "it read too slowly",
                Gone::TooLate => "its time was over",
            };
            format!("{peer} never joined: {how}")
        }
        News::TurnedAway { peer, why: Refusal::TooMany } => {
            format!("{peer} was turned away: too many from that address")
        }
        News::TurnedAway { peer, .. } => format!("{peer} was turned away: no place left"),
    };
    escaped(line.as_bytes())
}

/// The JSON object.
pub(super) fn json(event: &Event) -> String {
    // Strings and numbers always go into JSON.
    escaped::json(&serde_json::to_string(event).unwrap_or_default()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_as_lines_and_as_json() {
        let message = Event::Message { from: "ann".into(), text: "hello \"all\"".into() };
        assert_eq!(line(&message), "ann: hello \"all\"");
        assert_eq!(json(&message), r#"{"event":"message","from":"ann","text":"hello \"all\""}"#);
        let left = Event::Left { name: "bob".into(), reason: "slow".into() };
        assert_eq!(line(&left), "* bob was dropped for reading too slowly");
        let here = Event::Here { names: vec!["ann".into(), "bob".into()], more: 0 };
        assert_eq!(line(&here), "* here: ann, bob");
        assert_eq!(json(&here), r#"{"event":"here","names":["ann","bob"],"more":0}"#);
    }

    #[test]
    fn who_comes_and_goes() {
        let peer = "[2001:db8::1]:5000".parse().unwrap();
        let came = News::Joined { name: "ann".into(), peer, clients: 2 };
        assert_eq!(news(&came), "ann has come from [2001:db8::1]:5000; 2 here");
        let left = News::Left { name: "ann".into(), why: Gone::Slow, clients: 0 };
        assert_eq!(news(&left), "ann was dropped for reading too slowly; 0 here");
        let silent = News::NeverJoined { peer, why: Gone::TooLate };
        assert_eq!(news(&silent), "[2001:db8::1]:5000 never joined: its time was over");
    }

    #[test]
    fn nobody_steers_the_terminal() {
        let message = Event::Message { from: "ann".into(), text: "\x1b]0;x\x07 \u{9b}2J \u{202e}abc\ttab".into() };
        assert_eq!(line(&message), "ann: \\u{1b}]0;x\\u{7} \\u{9b}2J \\u{202e}abc\ttab");
        assert!(json(&message).contains(r"\u001b"));
        let named = News::Renamed { old: "\x1b[2J".into(), new: "a\nb".into(), clients: 1 };
        assert_eq!(news(&named), "\\u{1b}[2J is now a\\nb; 1 here");
    }
}
