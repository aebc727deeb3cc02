//! A session with a server over the time of a trial: coming, going and coming back.
//!
//! Nobody in it wakes up unless something comes or is due: a trial is over only when nothing moves.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};

use super::presence::{self, Presence, PresenceReport};
use super::protocol::Window;
use crate::delivery::receiver::{ReceivePlan, ReceiveReport};
use crate::delivery::stream::inlet::Hearing;
use crate::delivery::stream::{Leaver, Session, StreamSpec};
use crate::error::Result;
use crate::sys::clock;

/// Somebody in session, or about to be.
pub(super) struct Attendance {
    spec: StreamSpec,
    plan: ReceivePlan,
    presence: Presence,
    /// From the beginning, for those who are there then.
    session: Option<Session>,
    /// Told when it opens.
    window: mpsc::Receiver<Window>,
    answers: mpsc::Sender<u64>,
    door: Arc<Door>,
}

/// By which somebody in session is made to go.
#[derive(Default)]
pub(super) struct Door {
    over: AtomicBool,
    leaver: Mutex<Option<Leaver>>,
}

impl Door {
    /// The trial is over.
    pub(super) fn close(&self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(leaver) = &*self.leaver() {
            leaver.hear_no_more();
        }
    }

    /// Goes, to come back or not.
    pub(super) fn leave(&self) {
        if let Some(leaver) = self.leaver().take() {
            leaver.leave();
        }
    }

    fn enter(&self, session: &Session) {
        *self.leaver() = Some(session.leaver());
        if self.is_over() {
            self.close();
        }
    }

    /// Whether whoever was in session has gone by himself.
    fn has_left(&self) -> bool {
        self.leaver().is_none()
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    fn leaver(&self) -> std::sync::MutexGuard<'_, Option<Leaver>> {
        self.leaver.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Attendance {
    /// Enters now, unless `presence` says later.
    ///
    /// # Errors
    /// As [`Session::open`].
    pub(super) fn begin(
        spec: &StreamSpec,
        plan: &ReceivePlan,
        presence: Presence,
        window: mpsc::Receiver<Window>,
        answers: mpsc::Sender<u64>,
    ) -> Result<Attendance> {
        let session = if presence.joins_at.is_none() { Some(Session::open(spec)?) } else { None };
        let door = Arc::new(Door::default());
        if let Some(session) = &session {
            door.enter(session);
        }
        Ok(Attendance { spec: spec.clone(), plan: plan.clone(), presence, session, window, answers, door })
    }

    /// The session, for one who is there from the beginning.
    pub(super) fn session(&self) -> Option<&Session> {
        self.session.as_ref()
    }

    /// What makes him go.
    pub(super) fn door(&self) -> Arc<Door> {
        Arc::clone(&self.door)
    }

    /// Goes through with it until the door is closed. A server that goes away is not come back to.
    ///
    /// # Errors
    /// When what the server says cannot be understood, or it does not let somebody in who comes later.
    pub(super) fn attend(mut self) -> Result<(ReceiveReport, PresenceReport)> {
        clock::wake_precisely();
        let mut hearing = Hearing::new(&self.plan, Some(self.answers.clone()));
        let mut report = PresenceReport::default();
        let mut coming = [self.presence.joins_at, self.presence.returns_at].into_iter().flatten();
        let mut window = None;
        loop {
            if let Some(mut session) = self.session.take() {
                hearing.hear(&mut session, &self.door.over)?;
                if self.door.is_over() {
                    session.leaver().leave();
                }
                if self.door.is_over() || !self.door.has_left() {
                    break;
                }
            }
            let Some(comes_at) = coming.next() else { break };
            window = window.or_else(|| self.window.recv().ok());
            // It is over before it began.
            let Some(window) = window else { break };
            presence::sleep_until(window.at_ns(comes_at));
            if self.door.is_over() {
                break;
            }
            report.joined_ns.get_or_insert(clock::monotonic_ns());
            let session = Session::open(&self.spec)?;
            self.door.enter(&session);
            self.session = Some(session);
        }
        Ok((hearing.into_report(), report))
    }
}
