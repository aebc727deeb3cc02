//! Joining a chat that has no server: what one types goes to a multicast group, and what others send to it is shown.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;

use super::super::running::{note, random_seed};
use super::console::{Console, Screen, Typed};
use super::input::{self, Input};
use super::join::How;
use crate::chat::event::Event;
use crate::chat::group::Group;
use crate::chat::peers::Peers;
use crate::delivery::watch::LinkWatch;
use crate::error::Result;
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
                note(&format!("{error:#}"));
            }
            screen.end();
        }
    })?;

    thread::Builder::new().name("watching".into()).spawn({
        let (shared, screen) = (Arc::clone(&shared), screen.clone());
        move || watch(&shared, &screen)
    })?;

    shared.group.send(cast::Event::Joined { name: how.name })?;
    loop {
        let name = lock(&shared.name).clone();
        let line = match console.next(&name)? {
            Typed::Line(line) => line,
            Typed::TooLong => {
                screen.show(&refused(Refusal::LineTooLong))?;
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
                Input::Ask(request) => ask(&request, &shared, &screen)?,
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
    shared.group.send(cast::Event::Left { name: &name })?;
    // One's own word comes back, after all that was said before; unless it is lost, which nobody would tell.
    let _ = heard.recv_timeout(ECHO);
    let peers = lock(&shared.peers);
    if peers.lost() + peers.late() > 0 {
        note(&format!("{} messages never came, {} came out of order", peers.lost(), peers.late()));
    }
    Ok(ExitCode::SUCCESS)
}

fn ask(request: &Request, shared: &Shared, screen: &Screen) -> anyhow::Result<()> {
    let name = lock(&shared.name).clone();
    match *request {
        // The interface may be back before the next line is typed.
        Request::Say { text } => match shared.group.send(cast::Event::Msg { name: &name, text }) {
            Ok(()) => {}
            Err(error) => screen.remark(&format!("! not said: {error}"))?,
        },
        Request::Rename { name: new } => match shared.group.send(cast::Event::Renamed { old: &name, new }) {
            Ok(()) => new.clone_into(&mut lock(&shared.name)),
            Err(error) => screen.remark(&format!("! not renamed: {error}"))?,
        },
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
    Ok(())
}

/// Shows what arrives, for ever, and tells when one's own farewell has.
fn hear(shared: &Shared, screen: &Screen, tell: &Sender<()>) -> anyhow::Result<()> {
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
            // Where that cannot leave, what comes is heard all the same.
            cast::Event::Joined { .. } if !own => drop(present(shared)),
            cast::Event::Left { .. } if own => {
                // It waits for this no longer than it likes.
                let _ = tell.send(());
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
