//! A session with a server over the time of a trial: coming, going and coming back.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, mpsc};

use super::presence::{Presence, PresenceReport};
use super::protocol::Window;
use crate::delivery::receiver::{ReceivePlan, ReceiveReport};
use crate::delivery::stream::inlet::{Ending, Hearing};
use crate::delivery::stream::{Session, StreamSpec};
use crate::error::Result;
use crate::sys::clock;

/// How long to sleep or listen before looking whether the trial is over, or its window known.
const SLICE_NS: u64 = 100_000_000;

/// Somebody in session, or about to be.
pub(super) struct Attendance {
    spec: StreamSpec,
    plan: ReceivePlan,
    presence: Presence,
    /// From the beginning, for those who are there then.
    session: Option<Session>,
    /// Known once it opens.
    window: Arc<OnceLock<Window>>,
    answers: mpsc::Sender<u64>,
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
        window: Arc<OnceLock<Window>>,
        answers: mpsc::Sender<u64>,
    ) -> Result<Attendance> {
        let session = if presence.joins_at.is_none() { Some(Session::open(spec)?) } else { None };
        Ok(Attendance { spec: spec.clone(), plan: plan.clone(), presence, session, window, answers })
    }

    /// The session, for one who is there from the beginning.
    pub(super) fn session(&self) -> Option<&Session> {
        self.session.as_ref()
    }

    /// Goes through with it until `stop` is set. A server that goes away is not come back to.
    ///
    /// # Errors
    /// When what the server says cannot be understood, or it does not let somebody in who comes later.
    pub(super) fn attend(mut self, stop: &AtomicBool) -> Result<(ReceiveReport, PresenceReport)> {
        clock::wake_precisely();
        let mut hearing = Hearing::new(&self.plan, Some(self.answers.clone()));
        let mut report = PresenceReport::default();
        let mut coming = [self.presence.joins_at, self.presence.returns_at].into_iter().flatten();
        let mut going = self.presence.leaves_at;
        let mut next = if self.session.is_some() { None } else { coming.next() };
        while !stop.load(Ordering::Relaxed) {
            let slice_ns = clock::monotonic_ns().saturating_add(SLICE_NS);
            let time_of = |at: Option<_>| self.window.get().zip(at).map(|(window, at)| window.at_ns(at));
            match self.session.take() {
                Some(mut session) => {
                    let leaves_ns = time_of(going).unwrap_or(u64::MAX);
                    match hearing.hear(&mut session, leaves_ns.min(slice_ns), stop)? {
                        Ending::Stopped => self.session = Some(session),
                        Ending::Over if clock::monotonic_ns() >= leaves_ns => {
                            session.leave();
                            (going, next) = (None, coming.next());
                        }
                        Ending::Over => self.session = Some(session),
                        Ending::ServerGone => next = None,
                    }
                }
                None => {
                    let comes_ns = time_of(next).unwrap_or(u64::MAX);
                    clock::sleep_until(comes_ns.min(slice_ns));
                    if clock::monotonic_ns() >= comes_ns {
                        report.joined_ns.get_or_insert(clock::monotonic_ns());
                        self.session = Some(Session::open(&self.spec)?);
                    }
                }
            }
        }
        if let Some(session) = self.session {
            session.leave();
        }
        Ok((hearing.into_report(), report))
    }
}
