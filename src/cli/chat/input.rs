//! What a line means that somebody typed: pure.

use crate::wire::chat::{Refusal, Request, name, text};

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Input<'a> {
    /// Nothing: an empty line.
    Nothing,
    /// To ask this of the server.
    Ask(Request<'a>),
    /// To say what can be typed.
    Help,
    /// To say that this cannot be.
    Refuse(Refusal),
    /// To say that there is no such command.
    Unknown(&'a str),
}

/// What can be typed.
pub(super) const HELP: &str = "\
/msg NAME TEXT   to one alone       /name NAME   another name
/list            who is here        /quit        leave (Ctrl-D too)
anything else is said to all; //TEXT says /TEXT";

/// Reads a line.
pub(super) fn read(line: &str) -> Input<'_> {
    let line = line.strip_suffix('\r').unwrap_or(line);
    let asked = match line.strip_prefix('/') {
        None if line.trim().is_empty() => return Input::Nothing,
        None => text(line).map(|text| Request::Say { text }),
        Some(said) if said.starts_with('/') => text(said).map(|text| Request::Say { text }),
        Some(command) => {
            let (verb, rest) = command.split_once(' ').unwrap_or((command, ""));
            match verb {
                "msg" | "tell" => {
                    let (to, said) = rest.split_once(' ').unwrap_or((rest, ""));
                    name(to).and_then(|name| Ok(Request::Tell { name, text: text(said)? }))
                }
                "name" | "nick" => name(rest.trim()).map(|name| Request::Rename { name }),
                "list" | "who" => Ok(Request::List),
                "quit" | "exit" | "leave" => Ok(Request::Leave),
                "help" | "?" => return Input::Help,
                _ => return Input::Unknown(verb),
            }
        }
    };
    asked.map_or_else(Input::Refuse, Input::Ask)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        let say = |text| Input::Ask(Request::Say { text });
        assert_eq!(read("hello,  all "), say("hello,  all "));
        assert_eq!(read("hello\r"), say("hello"));
        assert_eq!(read("//quit is a command"), say("/quit is a command"));
        assert_eq!(read("  "), Input::Nothing);
        assert_eq!(read("/msg bob a b"), Input::Ask(Request::Tell { name: "bob", text: "a b" }));
        assert_eq!(read("/msg bob"), Input::Refuse(Refusal::BadText));
        assert_eq!(read("/msg"), Input::Refuse(Refusal::BadName));
        assert_eq!(read("/name  ann "), Input::Ask(Request::Rename { name: "ann" }));
        assert_eq!(read("/list"), Input::Ask(Request::List));
        assert_eq!(read("/quit"), Input::Ask(Request::Leave));
        assert_eq!(read("/help"), Input::Help);
        assert_eq!(read("/dance now"), Input::Unknown("dance"));
        assert_eq!(read("bell \x07"), Input::Refuse(Refusal::BadText));
    }
}
