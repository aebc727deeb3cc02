//! Joining a chat that has no server: what one types goes to a multicast group, and what others send to it is shown.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;

use super::super::running::{note, random_seed};
use super::super::summary::counted;
use super::console::{Console, Screen, Typed};
use super::input::{self, Input};
use super::join::How;
use crate::chat::event::Event;
use crate::chat::group::Group;
use crate::chat::peers::Peers;
use crate::delivery::watch::LinkWatch;
use crate::error::{Error, Result};
use crate::wire::chat::cast::{self, Cast, MAX_DATAGRAM};
use crate::wire::chat::{Refusal, Request};

/// How long one's own farewell may take to come back.
const ECHO: Duration = Duration::from_secs(1);

/// Between two looks at the interface.
const LOOK: Duration = Duration::from_millis(200);

/// What both threads know.
struct Shared {
    group: Group,
    sender: u64,
    name: Mutex<String>,
    peers: Mutex<Peers>,
    echoes: bool,
}

/// Joins, talks and leaves.
pub(super) fn run(to: SocketAddr, interface: Option<&str>, how: &How) -> anyhow::Result<ExitCode> {
    let sender = random_seed();
    let group = Group::join(to, interface, sender)?;
    let mut console = Console::open(how.json).context("reading from standard input")?;
    let shared = Arc::new(Shared {
        group,
        sender,
        name: Mutex::new(how.name.to_owned()),
        peers: Mutex::new(Peers::new(sender)),
        echoes: console.echoes(),
    });
    note(&format!("joined {to} on {} as {}, without a server", shared.group.interface, how.name));
    let screen = console.screen();
    let (tell, heard) = channel();
    // It waits in the kernel until the process ends.
    thread::Builder::new().name("hearing".into()).spawn({
        let (shared, screen) = (Arc::clone(&shared), screen.clone());
        move || {
            if let Err(error) = hear(&shared, &screen, &tell) {
                // It waits for this no longer than it likes.
                let _ = tell.send(Err(error));
            }
            screen.end();
        }
    })?;

    thread::Builder::new().name("watching".into()).spawn({
        let (shared, screen) = (Arc::clone(&shared), screen.clone());
        move || watch(&shared, &screen)
    })?;

    shared.group.send(cast::Event::Joined { name: how.name })?;
    let mut not_sent = NotSent::default();
    loop {
        let name = lock(&shared.name).clone();
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
        let mut leave = false;
        for asked in line.split('\n').map(input::read) {
            match asked {
                Input::Ask(Request::Leave) => leave = true,
                Input::Ask(request) => {
                    if let Err(error) = ask(&request, &shared, &screen)? {
                        screen.show(&Event::Refused { code: "not-sent".into(), text: format!("not sent: {error}") })?;
                        not_sent.add(error);
                    }
                }
                Input::Nothing => {}
                Input::Help => screen.remark(input::HELP)?,
                Input::Refuse(refusal) => screen.show(&refused(refusal))?,
                Input::Unknown(verb) => screen.remark(&format!("! there is no /{verb}; /help says what there is"))?,
            }
        }
        if leave {
            break;
        }
    }
    console.close();
    let name = lock(&shared.name).clone();
    let heard = match shared.group.send(cast::Event::Left { name: &name }) {
        // One's own word comes back, after all that was said before; unless it is lost, which nobody would tell.
        Ok(()) => heard.recv_timeout(ECHO).unwrap_or(Ok(())),
        // Who cannot speak any more goes without a word.
        Err(_) => heard.try_recv().unwrap_or(Ok(())),
    };
    let peers = lock(&shared.peers);
    if peers.lost() + peers.late() > 0 {
        note(&format!("{} messages never came, {} came out of order", peers.lost(), peers.late()));
    }
    heard?;
    not_sent.failure().map_or(Ok(ExitCode::SUCCESS), |error| Err(error.into()))
}

/// What could not be sent: whoever is told so may go on, and the exit code tells at the end.
#[derive(Default)]
struct NotSent {
    messages: u64,
    first: Option<Error>,
}

impl NotSent {
    fn add(&mut self, error: Error) {
        self.messages += 1;
        self.first.get_or_insert(error);
    }

    fn failure(self) -> Option<Error> {
        let messages = counted(self.messages, "message", "messages");
        self.first.map(|first| Error::failed(format!("{messages} not sent")).because(first))
    }
}

/// Does what is asked; within, whether what was to be sent was.
fn ask(request: &Request, shared: &Shared, screen: &Screen) -> anyhow::Result<Result<()>> {
    let name = lock(&shared.name).clone();
    match *request {
        Request::Say { text } => return Ok(shared.group.send(cast::Event::Msg { name: &name, text })),
        Request::Rename { name: new } => {
            let sent = shared.group.send(cast::Event::Renamed { old: &name, new });
            if sent.is_ok() {
                new.clone_into(&mut lock(&shared.name));
            }
            return Ok(sent);
        }
        Request::List => {
            let names = lock(&shared.peers).names().into_iter().map(str::to_owned).collect();
            screen.show(&Event::Here { names, more: 0 })?;
            screen.remark("* that is who was heard: one who went without a word is still in it")?;
        }
        Request::Tell { .. } => {
            screen.remark("! a group is all or nobody: a message to one alone needs a server (or unicast)")?;
        }
        Request::Join { .. } | Request::Ping { .. } | Request::Leave => {}
    }
    Ok(Ok(()))
}

/// Shows what arrives, for ever, and tells when one's own farewell has.
fn hear(shared: &Shared, screen: &Screen, tell: &Sender<anyhow::Result<()>>) -> anyhow::Result<()> {
    let mut datagram = [0; MAX_DATAGRAM];
    loop {
        let length = shared.group.receive(&mut datagram)?;
        // Whatever else comes to the group is no business of ours.
        let Some(cast) = Cast::decode(&datagram[..length]) else { continue };
        let own = cast.sender == shared.sender;
        let events = lock(&shared.peers).hear(&cast);
        for event in events {
            if !(own && shared.echoes && matches!(event, Event::Message { .. })) {
                screen.show(&event)?;
            }
        }
        match cast.event {
            // Who cannot be told now learns of this one when it speaks.
            cast::Event::Joined { .. } if !own => drop(present(shared)),
            cast::Event::Left { .. } if own => {
                // It waits for this no longer than it likes.
                let _ = tell.send(Ok(()));
            }
            _ => {}
        }
    }
}

/// Tells what becomes of the interface, for ever, and joins the group again where it is back.
fn watch(shared: &Shared, screen: &Screen) {
    let start = Instant::now();
    let Ok(mut links) = LinkWatch::new(&shared.group.interface, || shared.group.rejoin()) else { return };
    loop {
        thread::sleep(LOOK);
        if let Some(change) = links.look(start.elapsed())
            && screen.remark(&format!("! {}", change.text)).is_err()
        {
            return;
        }
    }
}

/// Tells one who has come who is here.
fn present(shared: &Shared) -> Result<()> {
    let name = lock(&shared.name).clone();
    shared.group.send(cast::Event::Here { name: &name })
}

fn refused(refusal: Refusal) -> Event {
    Event::Refused { code: refusal.code().into(), text: refusal.explanation().into() }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
