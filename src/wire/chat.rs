//! The chat protocol: lines of text between the clients of a chat and its server, over TCP. `nc ADDR 4747` is a client.
//!
//! A **line** is UTF-8, ended by LF (CR LF is taken as well, and the end of the stream), and has at most [`MAX_LINE`]
//! bytes with its end. It is a
//! verb in capitals and what the verb needs, parted by one space each; text comes last and is the rest of the line.
//! A **name** has 1 to [`MAX_NAME`] bytes: letters and digits of any script, `-`, `_` and `.`; names differ when their
//! bytes do. A **text** has 1 to [`MAX_TEXT`] bytes and no control characters but TAB.
//!
//! The server speaks first: `HELLO netlab-chat/1` and words `key=value`, of which a client may ignore those it does not
//! know. Then the client asks, and the server answers each request in turn:
//!
//! | request | answer | and to others |
//! |---|---|---|
//! | `JOIN name`, first of all and in time | `OK JOIN name` | `JOINED name` to all |
//! | `SAY text` | none of its own | `MSG from text` to all, **the author too** |
//! | `TELL name text` | `OK TELL name` | `PRIVATE from text` to that one |
//! | `LIST` | `NAMES more name name …`: `more` names follow in further such lines, 0 in the last | |
//! | `RENAME name` | `OK RENAME name` | `RENAMED old new` to all |
//! | `PING token` | `PONG token` | |
//! | `LEAVE` | `OK LEAVE`, and the end of the stream | `LEFT name leave` to all |
//! | anything else, or one that cannot be | `ERROR code text` | |
//!
//! Events come at any time, between answers: `MSG`, `PRIVATE`, `JOINED`, `RENAMED`, and
//!
//! | event | |
//! |---|---|
//! | `LEFT name reason` | `leave`: it said so; `closed`: it closed its stream; `lost`: its connection broke or went silent; `slow`: the server dropped it |
//! | `DROPPED reason text` | the last line to a client that the server ends with: `slow`, or `shutdown` |
//!
//! Everybody gets the same messages and events of others in the same order, from its own `OK JOIN` on. A request that is
//! refused (the codes are those of [`Refusal`]) changes nothing, and the client may go on; only a refusal before the
//! client has joined may end the stream: `full`, `too-many`, `too-late`. A client that meets a verb it does not know
//! ignores the line: later versions may have more. A version that this one could not be spoken to with would have
//! another number.
//!
//! ```text
//! S: HELLO netlab-chat/1 max-line=4096 max-name=32 max-text=4000 relay=queued
//! C: JOIN ann
//! S: OK JOIN ann
//! S: JOINED bob
//! C: SAY hello, bob
//! S: MSG ann hello, bob
//! S: PRIVATE bob hello yourself
//! C: TELL eve are you there?
//! S: ERROR no-such-name nobody here has that name; LIST tells who is here
//! C: LEAVE
//! S: OK LEAVE
//! ```
//!
//! Without a server the same events go from each to all in datagrams: see [`cast`].

use std::str;

pub mod cast;
pub mod lines;

pub use super::probe::DEFAULT_PORT;

/// What the protocol calls itself, with its version, as `HELLO` says it.
pub const PROTOCOL: &str = "netlab-chat/1";

/// The longest line in bytes, with its end.
pub const MAX_LINE: usize = 4096;

/// The longest name in bytes.
pub const MAX_NAME: usize = 32;

/// The longest text in bytes: a `PRIVATE` line of it with the longest name still fits.
pub const MAX_TEXT: usize = 4000;

/// What a client asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request<'a> {
    /// To be let in by this name.
    Join {
        /// The name.
        name: &'a str,
    },
    /// To have this said to all, itself too.
    Say {
        /// What.
        text: &'a str,
    },
    /// To have this said to one.
    Tell {
        /// To whom.
        name: &'a str,
        /// What.
        text: &'a str,
    },
    /// Who is here?
    List,
    /// Another name.
    Rename {
        /// The new one.
        name: &'a str,
    },
    /// An answer, to see that there is one and how long it takes.
    Ping {
        /// Comes back.
        token: &'a str,
    },
    /// To go.
    Leave,
}

impl<'a> Request<'a> {
    /// Reads a line, its end taken off.
    ///
    /// # Errors
    /// What the server is to answer.
    pub fn decode(line: &'a [u8]) -> Result<Request<'a>, Refusal> {
        let line = str::from_utf8(line).map_err(|_| Refusal::NotUtf8)?;
        let (verb, rest) = word(line);
        match verb {
            "SAY" => Ok(Request::Say { text: text(rest)? }),
            "TELL" => {
                let (to, said) = word(rest);
                Ok(Request::Tell { name: name(to)?, text: text(said)? })
            }
            "JOIN" => Ok(Request::Join { name: name(rest)? }),
            "RENAME" => Ok(Request::Rename { name: name(rest)? }),
            "PING" => Ok(Request::Ping { token: text(rest)? }),
            "LIST" if rest.is_empty() => Ok(Request::List),
            "LEAVE" if rest.is_empty() => Ok(Request::Leave),
            _ => Err(Refusal::UnknownRequest),
        }
    }

    /// Appends the line, with its end.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match *self {
            Request::Join { name } => put(out, &["JOIN", name]),
            Request::Say { text } => say(text.as_bytes(), out),
            Request::Tell { name, text } => put(out, &["TELL", name, text]),
            Request::List => put(out, &["LIST"]),
            Request::Rename { name } => put(out, &["RENAME", name]),
            Request::Ping { token } => put(out, &["PING", token]),
            Request::Leave => put(out, &["LEAVE"]),
        }
    }
}

/// What a server says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer<'a> {
    /// Its first line.
    Hello {
        /// Protocol and version: [`PROTOCOL`].
        protocol: &'a str,
        /// Words `key=value`.
        details: &'a str,
    },
    /// A request was carried out.
    Ok {
        /// Its verb.
        request: &'a str,
        /// The name in it, if it had one.
        name: &'a str,
    },
    /// Some of those who are here.
    Names {
        /// How many names further such lines hold.
        more: usize,
        /// Names, parted by spaces.
        names: &'a str,
    },
    /// To a `PING`.
    Pong {
        /// The same.
        token: &'a str,
    },
    /// A request was not carried out.
    Error {
        /// One of [`Refusal::code`], for programs.
        code: &'a str,
        /// For people.
        text: &'a str,
    },
    /// Somebody said something to all.
    Msg {
        /// Who.
        from: &'a str,
        /// What.
        text: &'a str,
    },
    /// Somebody said something to this client alone.
    Private {
        /// Who.
        from: &'a str,
        /// What.
        text: &'a str,
    },
    /// Somebody has come.
    Joined {
        /// Who.
        name: &'a str,
    },
    /// Somebody has gone.
    Left {
        /// Who.
        name: &'a str,
        /// Why, in a word: `leave`, `closed`, `lost`, `slow`.
        reason: &'a str,
    },
    /// Somebody has another name.
    Renamed {
        /// The one before.
        old: &'a str,
        /// The one from now on.
        new: &'a str,
    },
    /// The server ends with this client.
    Dropped {
        /// Why, in a word: `slow`, `shutdown`.
        reason: &'a str,
        /// For people.
        text: &'a str,
    },
}

impl<'a> Answer<'a> {
    /// Reads a line, its end taken off; `None` for one that this version does not know, which is to be ignored.
    pub fn decode(line: &'a [u8]) -> Option<Answer<'a>> {
        let (verb, rest) = word(str::from_utf8(line).ok()?);
        let (first, then) = word(rest);
        Some(match verb {
            "MSG" => Answer::Msg { from: name(first).ok()?, text: then },
            "PRIVATE" => Answer::Private { from: name(first).ok()?, text: then },
            "JOINED" => Answer::Joined { name: name(rest).ok()? },
            "LEFT" => Answer::Left { name: name(first).ok()?, reason: then },
            "RENAMED" => Answer::Renamed { old: name(first).ok()?, new: name(then).ok()? },
            "HELLO" => Answer::Hello { protocol: first, details: then },
            "OK" => Answer::Ok { request: first, name: then },
            "NAMES" => Answer::Names { more: first.parse().ok()?, names: then },
            "PONG" => Answer::Pong { token: rest },
            "ERROR" => Answer::Error { code: first, text: then },
            "DROPPED" => Answer::Dropped { reason: first, text: then },
            _ => return None,
        })
    }

    /// Appends the line, with its end.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match *self {
            Answer::Hello { protocol, details } => put(out, &["HELLO", protocol, details]),
            Answer::Ok { request, name: "" } => put(out, &["OK", request]),
            Answer::Ok { request, name } => put(out, &["OK", request, name]),
            Answer::Names { more, names } => put(out, &["NAMES", &more.to_string(), names]),
            Answer::Pong { token } => put(out, &["PONG", token]),
            Answer::Error { code, text } => put(out, &["ERROR", code, text]),
            Answer::Msg { from, text } => msg(from.as_bytes(), text.as_bytes(), out),
            Answer::Private { from, text } => put(out, &["PRIVATE", from, text]),
            Answer::Joined { name } => put(out, &["JOINED", name]),
            Answer::Left { name, reason } => put(out, &["LEFT", name, reason]),
            Answer::Renamed { old, new } => put(out, &["RENAMED", old, new]),
            Answer::Dropped { reason, text } => put(out, &["DROPPED", reason, text]),
        }
    }
}

/// Why a request is not carried out, or a connection not served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// More than [`MAX_LINE`] bytes without an end.
    LineTooLong,
    /// Not UTF-8.
    NotUtf8,
    /// No such verb, or not with these words.
    UnknownRequest,
    /// Not a name.
    BadName,
    /// Not a text.
    BadText,
    /// Another has the name.
    NameTaken,
    /// Nobody has the name.
    NoSuchName,
    /// Everything else needs a `JOIN` before.
    JoinFirst,
    /// A second `JOIN`.
    AlreadyJoined,
    /// No `JOIN` in time; the stream ends.
    TooLate,
    /// No more connections; the stream ends.
    Full,
    /// No more connections from this address; the stream ends.
    TooMany,
}

impl Refusal {
    /// All of them.
    pub const ALL: [Refusal; 12] = [
        Refusal::LineTooLong,
        Refusal::NotUtf8,
        Refusal::UnknownRequest,
        Refusal::BadName,
        Refusal::BadText,
        Refusal::NameTaken,
        Refusal::NoSuchName,
        Refusal::JoinFirst,
        Refusal::AlreadyJoined,
        Refusal::TooLate,
        Refusal::Full,
        Refusal::TooMany,
    ];

    /// A word for programs.
    pub fn code(self) -> &'static str {
        match self {
            Refusal::LineTooLong => "line-too-long",
            Refusal::NotUtf8 => "not-utf-8",
            Refusal::UnknownRequest => "unknown-request",
            Refusal::BadName => "bad-name",
            Refusal::BadText => "bad-text",
            Refusal::NameTaken => "name-taken",
            Refusal::NoSuchName => "no-such-name",
            Refusal::JoinFirst => "join-first",
            Refusal::AlreadyJoined => "already-joined",
            Refusal::TooLate => "too-late",
            Refusal::Full => "full",
            Refusal::TooMany => "too-many",
        }
    }

    /// A sentence for people.
    pub fn explanation(self) -> &'static str {
        match self {
            Refusal::LineTooLong => "a line has at most 4096 bytes with its end; this one was thrown away",
            Refusal::NotUtf8 => "a line is UTF-8",
            Refusal::UnknownRequest => {
                "requests are: JOIN name, SAY text, TELL name text, LIST, RENAME name, PING token, LEAVE"
            }
            Refusal::BadName => "a name has 1 to 32 bytes: letters, digits, and - _ .",
            Refusal::BadText => "a text has 1 to 4000 bytes and no control characters",
            Refusal::NameTaken => "another here has that name; choose a different one",
            Refusal::NoSuchName => "nobody here has that name; LIST tells who is here",
            Refusal::JoinFirst => "say who you are first: JOIN name",
            Refusal::AlreadyJoined => "you have joined already; RENAME gives you another name",
            Refusal::TooLate => "no JOIN came in time",
            Refusal::Full => "no more clients can be served now; try again later",
            Refusal::TooMany => "no more clients are served from your address",
        }
    }

    /// The line that tells.
    pub fn answer(self) -> Answer<'static> {
        Answer::Error { code: self.code(), text: self.explanation() }
    }
}

/// Appends a `SAY` line, as it is: for a sender that knows its text to be one.
#[inline]
pub fn say(text: &[u8], out: &mut Vec<u8>) {
    for part in [b"SAY ", text, b"\n"] {
        out.extend_from_slice(part);
    }
}

/// Appends a `MSG` line, as it is.
#[inline]
pub fn msg(from: &[u8], text: &[u8], out: &mut Vec<u8>) {
    for part in [b"MSG ", from, b" ", text, b"\n"] {
        out.extend_from_slice(part);
    }
}

/// Who said what, of a `MSG` line without its end: for a receiver that counts and does not look at whether it is UTF-8.
/// `None` for any other line.
#[inline]
pub fn as_msg(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let rest = line.strip_prefix(b"MSG ")?;
    let space = rest.iter().take(MAX_NAME + 1).position(|byte| *byte == b' ')?;
    Some((&rest[..space], &rest[space + 1..]))
}

/// Takes a name for one.
///
/// # Errors
/// [`Refusal::BadName`].
pub fn name(text: &str) -> Result<&str, Refusal> {
    let allowed = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
    let ok = (1..=MAX_NAME).contains(&text.len()) && text.chars().all(allowed);
    if ok { Ok(text) } else { Err(Refusal::BadName) }
}

/// Takes a text for one.
///
/// # Errors
/// [`Refusal::BadText`].
pub fn text(text: &str) -> Result<&str, Refusal> {
    let ok = (1..=MAX_TEXT).contains(&text.len()) && !text.chars().any(|c| c.is_control() && c != '\t');
    if ok { Ok(text) } else { Err(Refusal::BadText) }
}

/// The `NAMES` lines that hold these names: as many as they take, one at least.
pub fn names<'a>(names: impl ExactSizeIterator<Item = &'a str>, out: &mut Vec<u8>) {
    // Verb, a count of up to 20 digits, a space after each, the end.
    const ROOM: usize = MAX_LINE - "NAMES ".len() - 20 - 1 - 1;
    let mut more = names.len();
    let mut line = String::new();
    for name in names {
        if line.len() + 1 + name.len() > ROOM {
            Answer::Names { more, names: &line }.encode(out);
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(name);
        more -= 1;
    }
    Answer::Names { more: 0, names: &line }.encode(out);
}

/// The first word, and what follows the space after it.
fn word(line: &str) -> (&str, &str) {
    line.split_once(' ').unwrap_or((line, ""))
}

/// Appends a line of words.
fn put(out: &mut Vec<u8>, words: &[&str]) {
    for (index, word) in words.iter().enumerate() {
        if index > 0 {
            out.push(b' ');
        }
        out.extend_from_slice(word.as_bytes());
    }
    out.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each request, and its line.
    const REQUESTS: &[(Request, &[u8])] = &[
        (Request::Join { name: "ann" }, b"JOIN ann\n"),
        (Request::Say { text: "hello,  bob " }, b"SAY hello,  bob \n"),
        (Request::Say { text: " " }, b"SAY  \n"),
        (Request::Tell { name: "bob", text: "a b" }, b"TELL bob a b\n"),
        (Request::List, b"LIST\n"),
        (Request::Rename { name: "Ann-2" }, b"RENAME Ann-2\n"),
        (Request::Ping { token: "17" }, b"PING 17\n"),
        (Request::Leave, b"LEAVE\n"),
    ];

    /// Each answer, and its line.
    const ANSWERS: &[(Answer, &[u8])] = &[
        (
            Answer::Hello { protocol: PROTOCOL, details: "max-line=4096 relay=queued" },
            b"HELLO netlab-chat/1 max-line=4096 relay=queued\n",
        ),
        (Answer::Ok { request: "JOIN", name: "ann" }, b"OK JOIN ann\n"),
        (Answer::Ok { request: "LEAVE", name: "" }, b"OK LEAVE\n"),
        (Answer::Names { more: 0, names: "ann bob" }, b"NAMES 0 ann bob\n"),
        (Answer::Pong { token: "17" }, b"PONG 17\n"),
        (Answer::Error { code: "full", text: "no more" }, b"ERROR full no more\n"),
        (Answer::Msg { from: "ann", text: "a b" }, b"MSG ann a b\n"),
        (Answer::Private { from: "ann", text: "a b" }, b"PRIVATE ann a b\n"),
        (Answer::Joined { name: "ann" }, b"JOINED ann\n"),
        (Answer::Left { name: "ann", reason: "leave" }, b"LEFT ann leave\n"),
        (Answer::Renamed { old: "ann", new: "bob" }, b"RENAMED ann bob\n"),
        (Answer::Dropped { reason: "slow", text: "you read too slowly" }, b"DROPPED slow you read too slowly\n"),
    ];

    fn without_end(line: &[u8]) -> &[u8] {
        line.strip_suffix(b"\n").unwrap()
    }

    #[test]
    fn requests_are_these_bytes() {
        for (request, line) in REQUESTS {
            let mut out = Vec::new();
            request.encode(&mut out);
            assert_eq!(out, *line, "{request:?}");
            assert_eq!(Request::decode(without_end(line)), Ok(*request));
        }
    }

    #[test]
    fn answers_are_these_bytes() {
        for (answer, line) in ANSWERS {
            let mut out = Vec::new();
            answer.encode(&mut out);
            assert_eq!(out, *line, "{answer:?}");
            assert_eq!(Answer::decode(without_end(line)), Some(*answer));
        }
    }

    #[test]
    fn what_is_no_request_is_refused_by_its_reason() {
        let long = format!("SAY {}", "x".repeat(MAX_TEXT + 1));
        let long_name = format!("JOIN {}", "x".repeat(MAX_NAME + 1));
        for (line, refusal) in [
            (&b""[..], Refusal::UnknownRequest),
            (b"say hello", Refusal::UnknownRequest),
            (b" SAY hello", Refusal::UnknownRequest),
            (b"SAYhello", Refusal::UnknownRequest),
            (b"LIST all", Refusal::UnknownRequest),
            (b"LEAVE now", Refusal::UnknownRequest),
            (b"MSG ann hello", Refusal::UnknownRequest),
            (b"SAY \xff", Refusal::NotUtf8),
            (b"SAY \xc0\x80", Refusal::NotUtf8),
            (b"SAY", Refusal::BadText),
            (b"SAY ", Refusal::BadText),
            (b"SAY \x1b[2J", Refusal::BadText),
            (b"SAY a\rb", Refusal::BadText),
            (b"SAY a\0b", Refusal::BadText),
            ("SAY \u{9b}2J".as_bytes(), Refusal::BadText),
            (long.as_bytes(), Refusal::BadText),
            (b"PING", Refusal::BadText),
            (b"JOIN", Refusal::BadName),
            (b"JOIN ann bob", Refusal::BadName),
            (b"JOIN  ann", Refusal::BadName),
            (b"JOIN ann\t", Refusal::BadName),
            ("JOIN \u{202e}ann".as_bytes(), Refusal::BadName),
            ("JOIN a\u{200b}nn".as_bytes(), Refusal::BadName),
            (long_name.as_bytes(), Refusal::BadName),
            (b"TELL", Refusal::BadName),
            (b"TELL bob", Refusal::BadText),
        ] {
            assert_eq!(Request::decode(line), Err(refusal), "{:?}", String::from_utf8_lossy(line));
        }
    }

    #[test]
    fn names_and_texts_of_any_script() {
        for good in ["ann", "Ann_B.-2", "Žofie", "ゆき", "оля", "7"] {
            assert_eq!(name(good), Ok(good));
        }
        assert_eq!(text("tab\tand ✓ and \u{1f600}"), Ok("tab\tand ✓ and \u{1f600}"));
    }

    #[test]
    fn the_longest_lines_fit() {
        let (name, text) = ("n".repeat(MAX_NAME), "t".repeat(MAX_TEXT));
        for line in [Answer::Private { from: &name, text: &text }, Answer::Msg { from: &name, text: &text }] {
            let mut out = Vec::new();
            line.encode(&mut out);
            assert!(out.len() < MAX_LINE, "and a CR as well");
        }
        for refusal in Refusal::ALL {
            assert!(!refusal.code().contains(' ') && refusal.explanation().len() < MAX_LINE / 2);
        }
        assert!(Refusal::LineTooLong.explanation().contains(&MAX_LINE.to_string()));
        assert!(Refusal::BadName.explanation().contains(&MAX_NAME.to_string()));
        assert!(Refusal::BadText.explanation().contains(&MAX_TEXT.to_string()));
    }

    #[test]
    fn many_names_take_several_lines() {
        let many: Vec<_> = (0..1000).map(|i| format!("{i:0>32}")).collect();
        let mut out = Vec::new();
        names(many.iter().map(String::as_str), &mut out);
        let mut seen = Vec::new();
        for line in out.split_inclusive(|byte| *byte == b'\n') {
            assert!(line.len() <= MAX_LINE);
            let Some(Answer::Names { more, names }) = Answer::decode(without_end(line)) else { panic!("{line:?}") };
            seen.extend(names.split(' ').map(str::to_owned));
            assert_eq!(more, many.len() - seen.len());
        }
        assert_eq!(seen, many);

        out.clear();
        names([].into_iter(), &mut out);
        assert_eq!(out, b"NAMES 0 \n");
    }

    #[test]
    fn lines_of_later_versions_are_none_of_ours() {
        for line in [&b""[..], b"TOPIC chat", b"NAMES many ann", b"JOINED", b"JOINED a b", b"MSG \x1b[2J x", b"\xff"] {
            assert_eq!(Answer::decode(line), None, "{:?}", String::from_utf8_lossy(line));
        }
    }

    #[test]
    fn the_fast_ways_are_the_same_lines() {
        let mut out = Vec::new();
        say(b"00ff", &mut out);
        msg(b"ann", b"00ff", &mut out);
        assert_eq!(out, b"SAY 00ff\nMSG ann 00ff\n");
        assert_eq!(as_msg(b"MSG ann a b"), Some((&b"ann"[..], &b"a b"[..])));
        for other in [&b"MSG"[..], b"MSG ", b"MSG ann", b"MSGS ann x", b"PRIVATE ann x", b""] {
            assert_eq!(as_msg(other), None);
        }
    }
}
