//! A measurement's half of the chat: a probe in a line of text.
//!
//! The text of a message is the probe header in hexadecimal digits, [`TEXT_LEN`] of them, and dots up to its size.

use std::ops::Range;

use super::{Session, Word};
use crate::error::{Error, Result};
use crate::wire::chat::{Answer, MAX_LINE, Request, as_msg, say};
use crate::wire::probe::{HEADER_LEN, Probe};

/// Length of a probe as text.
pub(super) const TEXT_LEN: usize = 2 * HEADER_LEN;

/// Joins the room by the session's name.
pub(super) fn enter(session: &mut Session) -> Result<()> {
    let name = session.spec.name.clone();
    session.write(&line(Request::Join { name: &name }))?;
    let server = session.spec.server;
    loop {
        let entered = session.await_word("let it in", |bytes| {
            let Some(range) = next_line(bytes)? else { return Ok(None) };
            let taken = range.end + 1;
            match Answer::decode(&bytes[range]) {
                Some(Answer::Ok { request: "JOIN", .. }) => Ok(Some((taken, true))),
                Some(Answer::Error { code, text }) => {
                    Err(Error::failed(format!("{server} does not let '{name}' in: {text} ({code})")))
                }
                // The greeting.
                _ => Ok(Some((taken, false))),
            }
        })?;
        if entered {
            return Ok(());
        }
    }
}

pub(super) fn farewell() -> Vec<u8> {
    line(Request::Leave)
}

pub(super) fn ping() -> Vec<u8> {
    line(Request::Ping { token: "netlab" })
}

fn line(request: Request<'_>) -> Vec<u8> {
    let mut line = Vec::new();
    request.encode(&mut line);
    line
}

/// The line of a message, and where its text stands.
pub(super) fn message(header: &[u8; HEADER_LEN], size: usize) -> (Vec<u8>, usize) {
    let mut text = vec![b'.'; size];
    write_hex(header, &mut text);
    let mut line = Vec::new();
    say(&text, &mut line);
    let at = line.len() - 1 - size;
    (line, at)
}

/// Writes a probe header over the text of a message.
pub(super) fn write_hex(header: &[u8; HEADER_LEN], text: &mut [u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for (byte, pair) in header.iter().zip(text.chunks_exact_mut(2)) {
        (pair[0], pair[1]) = (DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]);
    }
}

/// The probe in a text; `None` where there is none.
pub(super) fn probe(text: &[u8]) -> Option<Probe> {
    let digits = text.get(..TEXT_LEN)?;
    let mut header = [0; HEADER_LEN];
    for (byte, pair) in header.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = (digit(pair[0])? << 4) | digit(pair[1])?;
    }
    Probe::decode(&header)
}

fn digit(character: u8) -> Option<u8> {
    match character {
        b'0'..=b'9' => Some(character - b'0'),
        b'a'..=b'f' => Some(character - b'a' + 10),
        _ => None,
    }
}

/// The next thing the server said: how many bytes it takes, and what it is.
pub(super) fn next(bytes: &[u8]) -> Result<Option<(usize, Word)>> {
    let Some(range) = next_line(bytes)? else { return Ok(None) };
    let line = &bytes[range.clone()];
    let word = match as_msg(line) {
        Some((_, text)) => Word::Message(range.end - text.len()..range.end),
        None => match Answer::decode(line) {
            Some(Answer::Pong { .. }) => Word::Answer,
            Some(Answer::Dropped { reason, text }) => Word::Farewell(format!("{text} ({reason})")),
            _ => Word::Other,
        },
    };
    Ok(Some((range.end + 1, word)))
}

/// Where the next line stands, without its end.
fn next_line(bytes: &[u8]) -> Result<Option<Range<usize>>> {
    match bytes.iter().take(MAX_LINE).position(|byte| *byte == b'\n') {
        Some(end) => Ok(Some(0..end)),
        None if bytes.len() >= MAX_LINE => Err(Error::failed("the server sent a line longer than the protocol has")),
        None => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROBE: Probe = Probe { run_id: 7, clock: None, stream_id: 1, sequence: 0x0102, send_time_ns: 0xa0b0 };

    #[test]
    fn a_probe_survives_as_text() {
        let mut header = [0; HEADER_LEN];
        PROBE.encode(&mut header);
        let (line, at) = message(&header, 70);
        assert!(line.starts_with(b"SAY 4e4c4142"), "{}", String::from_utf8_lossy(&line));
        assert!(line.ends_with(b"a0b0......\n"));
        assert_eq!((at, line.len()), (4, 4 + 70 + 1));
        assert_eq!(probe(&line[at..]), Some(PROBE));
        for text in [&b"hello"[..], &[b'z'; TEXT_LEN], &[b'0'; TEXT_LEN]] {
            assert_eq!(probe(text), None);
        }
    }

    #[test]
    fn words_of_the_server() {
        let Ok(Some((taken, Word::Message(text)))) = next(b"MSG h1 hello, all\nMSG") else { panic!("no message") };
        assert_eq!((taken, text), (18, 7..17));
        assert!(matches!(next(b"PONG netlab\n"), Ok(Some((12, Word::Answer)))));
        assert!(matches!(next(b"JOINED h2\n"), Ok(Some((10, Word::Other)))));
        assert!(matches!(next(b"DROPPED slow you\n"), Ok(Some((17, Word::Farewell(_))))));
        assert!(matches!(next(b"MSG h1 hel"), Ok(None)));
        assert!(next(&[b'x'; MAX_LINE]).is_err());
    }
}
