//! Asking a person for a secret: what is typed is not shown. The terminal is silent before the question stands there, so
//! that nobody is quick enough to be seen.

use std::io::{self, Write};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr};

/// The longest that is taken, in bytes: more than MQTT has room for.
const LONGEST: usize = 1 << 16;

/// What came of the question.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Given {
    /// A line.
    Line(Vec<u8>),
    /// Ctrl-C, or Ctrl-D before anything, or a signal to end.
    Nothing,
}

/// How long a signal to end may go unnoticed, in ms.
const NOTICE_MS: u8 = 100;

/// Asks at the terminal that standard input is. The question goes to standard error. `stop` ends it without an answer.
///
/// # Errors
/// When the terminal cannot be set, or read.
pub(super) fn secret(question: &str, stop: &AtomicBool) -> io::Result<Given> {
    let silence = Silence::begin()?;
    let mut out = io::stderr();
    out.write_all(question.as_bytes())?;
    let mut line = Vec::new();
    let given = loop {
        if stop.load(Ordering::Relaxed) {
            break Given::Nothing;
        }
        let stdin = io::stdin();
        match poll(&mut [PollFd::new(stdin.as_fd(), PollFlags::POLLIN)], PollTimeout::from(NOTICE_MS)) {
            Ok(0) | Err(Errno::EINTR) => continue,
            Ok(_) => {}
            Err(errno) => return Err(errno.into()),
        }
        let mut key = [0];
        // One at a time: what comes after the line is somebody else's.
        match nix::unistd::read(stdin.as_fd(), &mut key) {
            Ok(0) => break Given::Nothing,
            Ok(_) => {}
            Err(Errno::EINTR) => continue,
            Err(errno) => return Err(errno.into()),
        }
        if let Some(given) = press(&mut line, key[0]) {
            break given;
        }
    };
    out.write_all(b"\n")?;
    drop(silence);
    Ok(given)
}

/// What a key does to the line; the answer when it is complete.
fn press(line: &mut Vec<u8>, key: u8) -> Option<Given> {
    match key {
        b'\n' | b'\r' => return Some(Given::Line(std::mem::take(line))),
        // Ctrl-C.
        3 => return Some(Given::Nothing),
        // Ctrl-D.
        4 if line.is_empty() => return Some(Given::Nothing),
        // Backspace takes a character, which may be several bytes.
        8 | 127 => while line.pop().is_some_and(|byte| byte & 0xc0 == 0x80) {},
        // Ctrl-U.
        21 => line.clear(),
        0..32 => {}
        _ if line.len() < LONGEST => line.push(key),
        _ => {}
    }
    None
}

/// A terminal that shows nothing and makes no signals of keys, until this is dropped.
struct Silence {
    before: Termios,
}

impl Silence {
    fn begin() -> io::Result<Silence> {
        let before = tcgetattr(io::stdin())?;
        let mut silent = before.clone();
        let loud = LocalFlags::ECHO | LocalFlags::ECHONL | LocalFlags::ICANON | LocalFlags::ISIG | LocalFlags::IEXTEN;
        silent.local_flags.remove(loud);
        // What was typed before the question is no answer to it.
        tcsetattr(io::stdin(), SetArg::TCSAFLUSH, &silent)?;
        Ok(Silence { before })
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        // The terminal may be gone.
        let _ = tcsetattr(io::stdin(), SetArg::TCSADRAIN, &self.before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(keys: &[u8]) -> Option<Given> {
        let mut line = Vec::new();
        keys.iter().find_map(|key| press(&mut line, *key))
    }

    #[test]
    fn keys_make_a_line() {
        let line = |text: &str| Some(Given::Line(text.as_bytes().to_vec()));
        assert_eq!(typed(b"secret\r"), line("secret"));
        assert_eq!(typed(b"secret\nmore"), line("secret"));
        assert_eq!(typed("a\u{17e}\x7f\x7f\x7fž\x08b\n".as_bytes()), line("b"));
        assert_eq!(typed(b"wrong\x15right\t\n"), line("right"));
        assert_eq!(typed(b"\n"), line(""));
        assert_eq!(typed(b"x\x03"), Some(Given::Nothing));
        assert_eq!((typed(b"\x04"), typed(b"x\x04\n")), (Some(Given::Nothing), line("x")));
        assert_eq!(typed(b"not yet"), None);
    }
}
