//! What somebody in a chat comes to know, with a server or without.

use serde::Serialize;

use crate::wire::chat::Answer;

/// One thing. As JSON its kind is `event`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// Somebody said something to all.
    Message {
        /// Who.
        from: String,
        /// What.
        text: String,
    },
    /// Somebody said something to this one alone.
    Private {
        /// Who.
        from: String,
        /// What.
        text: String,
    },
    /// What this one said to another alone is on its way.
    Told {
        /// The other.
        name: String,
    },
    /// Somebody has come.
    Joined {
        /// Who.
        name: String,
    },
    /// Somebody was here before.
    Present {
        /// Who.
        name: String,
    },
    /// Somebody has gone.
    Left {
        /// Who.
        name: String,
        /// Why, in a word.
        reason: String,
    },
    /// Somebody has another name.
    Renamed {
        /// The one before.
        old: String,
        /// The one from now on.
        new: String,
    },
    /// This one's own name now.
    Name {
        /// It.
        name: String,
    },
    /// Who is here, or some of them.
    Here {
        /// Names.
        names: Vec<String>,
        /// How many names are still to come.
        more: usize,
    },
    /// A request was refused.
    Refused {
        /// For programs.
        code: String,
        /// For people.
        text: String,
    },
    /// Without a server: messages of somebody that have not come.
    Missed {
        /// Whose.
        from: String,
        /// How many.
        messages: u64,
    },
    /// Without a server: what comes next is older than what came before it.
    Late {
        /// Whose.
        from: String,
    },
    /// Without a server: two have one name.
    Namesakes {
        /// It.
        name: String,
    },
    /// The server ends with this one.
    Dropped {
        /// Why, in a word.
        reason: String,
        /// For people.
        text: String,
    },
}

impl Event {
    /// What a server's line means to its client; `None` where it means nothing by itself.
    pub fn of(answer: Answer) -> Option<Event> {
        let owned = str::to_owned;
        Some(match answer {
            Answer::Msg { from, text } => Event::Message { from: owned(from), text: owned(text) },
            Answer::Private { from, text } => Event::Private { from: owned(from), text: owned(text) },
            Answer::Joined { name } => Event::Joined { name: owned(name) },
            Answer::Left { name, reason } => Event::Left { name: owned(name), reason: owned(reason) },
            Answer::Renamed { old, new } => Event::Renamed { old: owned(old), new: owned(new) },
            Answer::Ok { request: "TELL", name } => Event::Told { name: owned(name) },
            Answer::Ok { request: "JOIN" | "RENAME", name } => Event::Name { name: owned(name) },
            Answer::Names { more, names } => Event::Here { names: names.split_whitespace().map(owned).collect(), more },
            Answer::Error { code, text } => Event::Refused { code: owned(code), text: owned(text) },
            Answer::Dropped { reason, text } => Event::Dropped { reason: owned(reason), text: owned(text) },
            Answer::Hello { .. } | Answer::Ok { .. } | Answer::Pong { .. } => return None,
        })
    }
}
