//! Joining a chat at a server: a thread that shows what arrives, while the person types.

use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::Context;

use super::super::running::note;
use super::console::{Console, Screen, Typed};
use super::input::{self, Input};
use super::join::How;
use crate::chat::client::{self, Hearing, Speaking};
use crate::chat::event::Event;
use crate::error::{Error, Result};
use crate::wire::chat::{Answer, Refusal, Request};

/// How long the server may take to answer a `LEAVE`.
const FAREWELL: Duration = Duration::from_secs(5);

/// How long a new name is waited for.
const ANSWER: Duration = Duration::from_secs(1);

/// What both threads know.
struct Shared {
    known: Mutex<Known>,
    /// Told when there is one answer more.
    answered: Condvar,
    leaving: AtomicBool,
    /// The person sees what they typed, so that their own messages need not be shown again.
    echoes: bool,
}

struct Known {
    name: String,
    /// Requests for a name that were answered, and others that were refused.
    answers: u64,
}

/// Joins, talks and leaves.
pub(super) fn run(server: SocketAddr, how: &How) -> anyhow::Result<ExitCode> {
    let (hearing, mut speaking) = client::join(server, how.name)?;
    let mut console = Console::open(how.json).context("reading from standard input")?;
    let shared = Arc::new(Shared {
        known: Mutex::new(Known { name: how.name.to_owned(), answers: 0 }),
        answered: Condvar::new(),
        leaving: AtomicBool::new(false),
        echoes: console.echoes(),
    });
    note(&format!(
        "joined the chat at {server} as {}{}",
        how.name,
        if shared.echoes { "; /help says what can be typed" } else { "" }
    ));

    let (tell, heard) = channel();
    let screen = console.screen();
    thread::Builder::new().name("hearing".into()).spawn({
        let (shared, screen) = (Arc::clone(&shared), screen.clone());
        move || hear(hearing, &shared, &screen, &tell)
    })?;

    let mut broken = None;
    loop {
        let name = lock(&shared.known).name.clone();
        let line = match console.next(&name)? {
            Typed::Line(line) => line,
            Typed::Refused(refusal) => {
                screen.show(&refused(refusal))?;
                continue;
            }
            Typed::End if how.stay => {
                console.wait();
                break;
            }
            Typed::End | Typed::Over => break,
        };
        // A paste may hold several.
        let mut asked = line.split('\n').map(input::read);
        let leave = loop {
            let Some(asked) = asked.next() else { break false };
            match asked {
                Input::Ask(Request::Leave) => break true,
                Input::Ask(request) => {
                    if let Err(error) = ask(request, &mut speaking, &shared) {
                        broken = Some(error);
                        break true;
                    }
                }
                Input::Nothing => {}
                Input::Help => screen.remark(input::HELP)?,
                Input::Refuse(refusal) => screen.show(&refused(refusal))?,
                Input::Unknown(verb) => screen.remark(&format!("! there is no /{verb}; /help says what there is"))?,
            }
        };
        if leave {
            break;
        }
    }
    console.close();
    // If the server has ended it already, nobody hears this, and that is told below.
    shared.leaving.store(true, Ordering::Relaxed);
    let _ = speaking.send(Request::Leave);
    farewell(&heard, &console, !shared.echoes)?;
    broken.map_or(Ok(ExitCode::SUCCESS), |error| Err(error.into()))
}

/// Sends a request, and waits for the answer to one that changes what is shown next.
fn ask(request: Request, speaking: &mut Speaking, shared: &Shared) -> Result<()> {
    let before = lock(&shared.known).answers;
    speaking.send(request)?;
    if shared.echoes && matches!(request, Request::Rename { .. }) {
        // Should it take longer, the name is shown a line later.
        let known = lock(&shared.known);
        drop(shared.answered.wait_timeout_while(known, ANSWER, |known| known.answers == before));
    }
    Ok(())
}

/// Waits for what the hearing thread has to tell at its end. Of a file, all is said before: the server may take its time
/// for that.
fn farewell(heard: &Receiver<anyhow::Result<()>>, console: &Console, patient: bool) -> anyhow::Result<()> {
    const STEP: Duration = Duration::from_millis(100);
    let mut waited = Duration::ZERO;
    while waited < FAREWELL {
        match heard.recv_timeout(STEP) {
            Ok(outcome) => return outcome,
            Err(_) if patient && !console.is_over() => {}
            Err(_) => waited += STEP,
        }
    }
    note("the server does not answer; left without a word");
    Ok(())
}

/// The thread that shows what arrives, up to the end.
fn hear(mut hearing: Hearing, shared: &Shared, screen: &Screen, tell: &Sender<anyhow::Result<()>>) {
    let outcome = hear_on(&mut hearing, shared, screen);
    // It waits for this no longer than it likes.
    let _ = tell.send(outcome);
    screen.end();
}

fn hear_on(hearing: &mut Hearing, shared: &Shared, screen: &Screen) -> anyhow::Result<()> {
    let mut dropped = None;
    let line = loop {
        match hearing.line() {
            Ok(Some(line)) => {
                let answer = Answer::decode(line.as_bytes());
                if matches!(answer, Some(Answer::Ok { request: "LEAVE", .. })) {
                    return Ok(());
                }
                if let Some(event) = answer.and_then(Event::of) {
                    if let Event::Dropped { text, .. } = &event {
                        dropped = Some(text.clone());
                    }
                    show(&event, shared, screen)?;
                }
            }
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    ended(line, dropped, shared.leaving.load(Ordering::Relaxed)).map_err(Into::into)
}

fn show(event: &Event, shared: &Shared, screen: &Screen) -> io::Result<()> {
    match event {
        Event::Message { from, .. } if shared.echoes && *from == lock(&shared.known).name => return Ok(()),
        Event::Name { name } => {
            let mut known = lock(&shared.known);
            name.clone_into(&mut known.name);
            known.answers += 1;
            shared.answered.notify_all();
        }
        Event::Refused { .. } => {
            lock(&shared.known).answers += 1;
            shared.answered.notify_all();
        }
        _ => {}
    }
    screen.show(event)
}

/// What the end of the stream means.
fn ended(end: Result<()>, dropped: Option<String>, leaving: bool) -> Result<()> {
    match (end, dropped) {
        (_, Some(why)) => Err(Error::failed("the server has ended this").because(why)),
        _ if leaving => Ok(()),
        (Ok(()), None) => Err(Error::failed("the server has closed the connection")),
        (Err(error), None) => Err(error),
    }
}

fn refused(refusal: Refusal) -> Event {
    Event::Refused { code: refusal.code().into(), text: refusal.explanation().into() }
}

fn lock(known: &Mutex<Known>) -> MutexGuard<'_, Known> {
    known.lock().unwrap_or_else(PoisonError::into_inner)
}
