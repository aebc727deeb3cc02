//! The interface of a receiver while it receives: noticing that it goes down or away, and listening on it again when it is
//! back. A socket that is tied to an interface, or a member of groups on it, hears nothing of this from the kernel, and
//! nothing by an interface of the same name that comes later.

use std::time::Duration;

use serde::Serialize;

use super::{Inlet, InletSpec, open_inlet};
use crate::error::Result;
use crate::sys::interface::{Interface, Links};

/// What an interface is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LinkState {
    /// There is none of that index or name.
    Gone,
    /// Administratively down.
    Down,
    /// Up, with no link to anything (`IFF_RUNNING` is not set).
    NoCarrier,
    /// Up.
    Up,
}

impl LinkState {
    fn of(interface: &Interface) -> LinkState {
        match (interface.is_up(), interface.is_running()) {
            (false, _) => LinkState::Down,
            (true, false) => LinkState::NoCarrier,
            (true, true) => LinkState::Up,
        }
    }
}

/// What has happened to the interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LinkChange {
    /// Its name.
    pub interface: String,
    /// What it has become.
    pub state: LinkState,
    /// The same in words, and what is done about it.
    #[serde(skip)]
    pub text: String,
}

/// Between two attempts to listen again, where one failed.
const RETRY: Duration = Duration::from_secs(1);

/// Looks after the interface of a receiver.
pub struct LinkWatch<'a> {
    /// Has the receiver listen on the interface again; gives what it listens for, in words.
    again: Box<dyn FnMut() -> Result<String> + 'a>,
    name: String,
    index: u32,
    links: Links,
    state: LinkState,
    /// Since when, counted from the start.
    since: Duration,
    /// How long it was anything else than up before that.
    outage: Duration,
    retry_at: Duration,
    /// Why it could not be listened on again, if that was told.
    complained: Option<String>,
}

impl<'a> LinkWatch<'a> {
    /// Of the one interface that `inlet`, opened by `spec`, listens on; `None` where that is all of them. To be called,
    /// and used, in the network namespace of the inlet.
    ///
    /// # Errors
    /// When the kernel does not tell about its interfaces.
    pub fn of_inlet(inlet: &'a Inlet, spec: &InletSpec) -> Result<Option<LinkWatch<'a>>> {
        let Some(name) = inlet.description().interface.clone() else { return Ok(None) };
        let spec = InletSpec { interface: Some(name.clone()), ..spec.clone() };
        let again = move || {
            // An IPv6 socket hears a group it is a member of by whatever interface, and would hear it twice for a moment.
            inlet.forget_groups();
            let again = open_inlet(&spec)?;
            let description = again.description().to_string();
            inlet.replace_by(again).map(|()| description)
        };
        LinkWatch::new(&name, again).map(Some)
    }

    /// Of the interface called `name`. When it is back, `again` has its receiver listen on it again, and gives what it
    /// listens for in words.
    ///
    /// # Errors
    /// When the kernel does not tell about its interfaces.
    pub fn new(name: &str, again: impl FnMut() -> Result<String> + 'a) -> Result<LinkWatch<'a>> {
        let mut links = Links::open()?;
        let found = links.named(name)?;
        Ok(LinkWatch {
            again: Box::new(again),
            name: name.to_owned(),
            index: found.as_ref().map_or(0, |interface| interface.index),
            state: found.as_ref().map_or(LinkState::Gone, LinkState::of),
            links,
            since: Duration::ZERO,
            outage: Duration::ZERO,
            retry_at: Duration::ZERO,
            complained: None,
        })
    }

    /// What has happened since the last look, `now` since the start. Where the interface is back, the receiver listens on
    /// it again, as a member of its groups.
    pub fn look(&mut self, now: Duration) -> Option<LinkChange> {
        // What cannot be asked at the moment is no news.
        let mut state = self.links.indexed(self.index).ok()?.as_ref().map_or(LinkState::Gone, LinkState::of);
        let mut listening = None;
        if state == LinkState::Gone
            && let Some(other) = self.links.named(&self.name).ok()?.filter(Interface::is_up)
        {
            match self.listen_again(&other, now) {
                Ok(description) => (state, listening) = (LinkState::of(&other), description),
                Err(complaint) => return complaint.map(|text| self.change(state, text)),
            }
        }
        if state == self.state && listening.is_none() {
            return None;
        }
        self.outage = self.outage(now);
        let text = self.in_words(state, listening.as_deref());
        (self.state, self.since) = (state, now);
        Some(self.change(state, text))
    }

    /// For how long it was gone, down or without a link, until `now` since the start.
    pub fn outage(&self, now: Duration) -> Duration {
        self.outage + if self.state == LinkState::Up { Duration::ZERO } else { now.saturating_sub(self.since) }
    }

    /// Gives what is listened for again, or what is to be told of a failure.
    fn listen_again(&mut self, interface: &Interface, now: Duration) -> Result<Option<String>, Option<String>> {
        if now < self.retry_at {
            return Err(None);
        }
        match (self.again)() {
            Ok(description) => {
                (self.index, self.complained) = (interface.index, None);
                Ok(Some(description))
            }
            Err(error) => {
                self.retry_at = now + RETRY;
                let why = format!("{} is back, but cannot be listened on: {error}", self.name);
                Err((self.complained.replace(why.clone()).as_ref() != Some(&why)).then_some(why))
            }
        }
    }

    fn in_words(&self, state: LinkState, listening: Option<&str>) -> String {
        let name = &self.name;
        match (state, listening) {
            (_, Some(description)) => format!("{name} is back: {description}"),
            (LinkState::Gone, _) => format!(
                "{name} is gone: nothing can arrive any more; waiting for an interface of this name, Ctrl-C ends it"
            ),
            (LinkState::Down, _) => {
                format!("{name} is down: nothing arrives until it is up again (sudo ip link set {name} up)")
            }
            (LinkState::NoCarrier, _) => format!("{name} has no link (no carrier): nothing arrives until it has one"),
            (LinkState::Up, _) => format!("{name} is up again"),
        }
    }

    fn change(&self, state: LinkState, text: String) -> LinkChange {
        LinkChange { interface: self.name.clone(), state, text }
    }
}
