//! Reading lines from somebody while showing what happens: on a terminal, where a line that is being typed is not torn by
//! what arrives; or through pipes, a line in and a line out.

use std::io::{self, IsTerminal, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rustyline::error::ReadlineError;
use rustyline::{DefaultEditor, ExternalPrinter};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::{flag, low_level};

use super::super::running::note;
use super::display;
use crate::chat::event::Event;
use crate::cli::escaped;
use crate::wire::chat::Refusal;
use crate::wire::chat::lines::{LineBuffer, TooLong};

/// What comes from the person.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Typed {
    /// A line without its end.
    Line(String),
    /// One that cannot be anything: too long, or not UTF-8.
    Refused(Refusal),
    /// The end of the input.
    End,
    /// Ctrl-C, or the chat is over.
    Over,
}

/// Reads what is typed.
pub(super) struct Console {
    input: Input,
    shared: Arc<Shared>,
}

/// Shows events, and ends the reading; for any thread.
#[derive(Clone)]
pub(super) struct Screen {
    shared: Arc<Shared>,
}

struct Shared {
    output: Mutex<Output>,
    json: bool,
    /// The reading is to end.
    over: Arc<AtomicBool>,
    /// It has.
    ended: AtomicBool,
    /// Ends the waiting for a line from a pipe.
    wake: UnixStream,
}

enum Input {
    Terminal(Box<DefaultEditor>),
    Pipe { buffer: LineBuffer, woken: UnixStream },
}

enum Output {
    Terminal(Box<dyn ExternalPrinter + Send>),
    Pipe,
}

impl Console {
    /// Opens it. Whether standard input and output are a terminal decides which it is; with `json` it is pipes.
    ///
    /// # Errors
    /// When a signal handler or a descriptor is refused.
    pub(super) fn open(json: bool) -> io::Result<Console> {
        let over = Arc::new(AtomicBool::new(false));
        let (wake, woken) = UnixStream::pair()?;
        wake.set_nonblocking(true)?;
        let terminal =
            if json || !io::stdin().is_terminal() || !io::stdout().is_terminal() { None } else { terminal() };
        let is_terminal = terminal.is_some();
        let (input, output) = match terminal {
            Some((editor, printer)) => (Input::Terminal(editor), Output::Terminal(printer)),
            None => (Input::Pipe { buffer: LineBuffer::new(), woken }, Output::Pipe),
        };
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            flag::register(signal, Arc::clone(&over))?;
            low_level::pipe::register(signal, wake.try_clone()?)?;
        }
        let shared = Arc::new(Shared { output: Mutex::new(output), json, over, ended: AtomicBool::new(false), wake });
        let console = Console { input, shared };
        if is_terminal {
            // The editor knows of SIGINT alone.
            let (screen, mut signals) = (console.screen(), Signals::new([SIGTERM, SIGHUP])?);
            thread::Builder::new().name("signals".into()).spawn(move || {
                if signals.forever().next().is_some() {
                    screen.end();
                }
            })?;
        }
        Ok(console)
    }

    pub(super) fn screen(&self) -> Screen {
        Screen { shared: Arc::clone(&self.shared) }
    }

    /// Whether a person sees their own line already.
    pub(super) fn echoes(&self) -> bool {
        matches!(self.input, Input::Terminal(_))
    }

    /// Waits for a line.
    ///
    /// # Errors
    /// When the input cannot be read.
    pub(super) fn next(&mut self, name: &str) -> io::Result<Typed> {
        let shared = &self.shared;
        let over = || shared.over.load(Ordering::Relaxed);
        match &mut self.input {
            _ if over() => Ok(Typed::Over),
            // The server may have given the name.
            Input::Terminal(editor) => match editor.readline(&format!("{}> ", escaped::escaped(name.as_bytes()))) {
                _ if over() => Ok(Typed::Over),
                Ok(line) => {
                    // Only a line that is there already is refused.
                    let _ = editor.add_history_entry(&line);
                    Ok(Typed::Line(line))
                }
                Err(ReadlineError::Eof) => Ok(Typed::End),
                Err(ReadlineError::Interrupted) => Ok(Typed::Over),
                Err(ReadlineError::Io(error)) => Err(error),
                Err(error) => Err(io::Error::other(error)),
            },
            Input::Pipe { buffer, woken } => loop {
                if let Some(line) = buffer.next_line() {
                    return Ok(typed(line));
                }
                if over() {
                    return Ok(Typed::Over);
                }
                let stdin = io::stdin();
                let mut files =
                    [PollFd::new(stdin.as_fd(), PollFlags::POLLIN), PollFd::new(woken.as_fd(), PollFlags::POLLIN)];
                // Interrupted: whoever did that has set the flag.
                let _ = poll(&mut files, PollTimeout::NONE);
                let ready = files[0].revents().is_some_and(|events| !events.is_empty());
                if over() || !ready {
                    continue;
                }
                // Past the standard library's own buffer, which `poll` would know nothing of.
                match nix::unistd::read(stdin.as_fd(), buffer.space())? {
                    // The last line of a file may lack its end.
                    0 => return Ok(buffer.last_line().map_or(Typed::End, typed)),
                    count => buffer.filled(count),
                }
            },
        }
    }

    /// Waits until the chat is over, or Ctrl-C.
    pub(super) fn wait(&mut self) {
        if let Input::Pipe { woken, .. } = &mut self.input {
            while !self.shared.over.load(Ordering::Relaxed) && !matches!(woken.read(&mut [0]), Ok(0)) {}
        }
    }

    /// Whether the chat is over, or somebody pressed Ctrl-C.
    pub(super) fn is_over(&self) -> bool {
        self.shared.over.load(Ordering::Relaxed)
    }

    /// No more lines are wanted.
    pub(super) fn close(&self) {
        self.shared.ended.store(true, Ordering::Relaxed);
    }
}

fn typed(line: std::result::Result<&[u8], TooLong>) -> Typed {
    match line.map(std::str::from_utf8) {
        Ok(Ok(line)) => Typed::Line(line.to_owned()),
        Ok(Err(_)) => Typed::Refused(Refusal::NotUtf8),
        Err(TooLong) => Typed::Refused(Refusal::LineTooLong),
    }
}

fn terminal() -> Option<(Box<DefaultEditor>, Box<dyn ExternalPrinter + Send>)> {
    // A terminal that cannot move its cursor (TERM=dumb) is as good as a pipe.
    let mut editor = DefaultEditor::new().ok()?;
    let printer = editor.create_external_printer().ok()?;
    Some((Box::new(editor), Box::new(printer)))
}

impl Screen {
    /// Shows an event.
    ///
    /// # Errors
    /// When whoever read it has gone.
    pub(super) fn show(&self, event: &Event) -> io::Result<()> {
        self.print(if self.shared.json { display::json(event) } else { display::line(event) })
    }

    /// Says something that is no event; with JSON, on standard error.
    ///
    /// # Errors
    /// As [`show`](Self::show).
    pub(super) fn remark(&self, text: &str) -> io::Result<()> {
        if self.shared.json {
            note(text);
            return Ok(());
        }
        self.print(escaped::lines(text).into_owned())
    }

    fn print(&self, mut line: String) -> io::Result<()> {
        line.push('\n');
        match &mut *self.shared.output.lock().unwrap_or_else(PoisonError::into_inner) {
            Output::Terminal(printer) => printer.print(line).map_err(io::Error::other),
            Output::Pipe => {
                let mut out = io::stdout().lock();
                out.write_all(line.as_bytes())?;
                out.flush()
            }
        }
    }

    /// The chat is over: ends the reading of lines.
    pub(super) fn end(&self) {
        self.shared.over.store(true, Ordering::Relaxed);
        // The only failure is a full buffer, which wakes as well.
        let _ = (&self.shared.wake).write(b"!");
        let is_terminal =
            matches!(*self.shared.output.lock().unwrap_or_else(PoisonError::into_inner), Output::Terminal(_));
        // The editor waits for keys and for SIGINT. It may be about to begin to wait: until it has ended, once more.
        while is_terminal && !self.shared.ended.load(Ordering::Relaxed) {
            let _ = kill(Pid::this(), Signal::SIGINT);
            thread::sleep(Duration::from_millis(20));
        }
    }
}
