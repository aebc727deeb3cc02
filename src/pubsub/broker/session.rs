//! What the broker keeps for a client beyond a connection: what waits for it, what is under way to it, what it has half
//! sent. Pure.

use std::collections::{BTreeSet, HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::message::Message;
use super::slab::Key;
use super::topics::Subscription;
use crate::wire::mqtt::{AckKind, Qos, Reason};

/// One client's.
#[derive(Debug)]
pub(super) struct Session {
    pub id: Arc<str>,
    pub account: Key,
    /// Its connection while it is there.
    pub connection: Option<Key>,
    /// How long it is to outlive the connection.
    pub expiry: Duration,
    /// When the connection ended.
    pub away_since: Instant,
    pub filters: BTreeSet<Box<str>>,
    /// QoS 1 and 2, not sent yet.
    pub queue: VecDeque<Waiting>,
    /// QoS 1 and 2, sent and not acknowledged to the end, in the order of their sending.
    pub flight: VecDeque<Flight>,
    last_id: u16,
    /// QoS 2 messages that came, and that are not released.
    pub incoming: HashSet<u16>,
    /// What is published when it goes without leave, and how long after.
    pub will: Option<(Arc<Message>, WillTerms)>,
    /// When that is due, after it has gone.
    pub will_due: Option<Instant>,
    /// Retained messages that it is still to get.
    pub replays: VecDeque<Replay>,
    /// Bytes of the messages in `queue` and `flight`.
    pub bytes: usize,
    /// When it last acknowledged something, or came.
    pub acknowledged: Instant,
    /// Connections of publishers that wait for it.
    pub holds: Vec<Key>,
    /// When the clock is to look at it.
    pub timer: Option<Instant>,
}

/// How long a last will waits, and then lives.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct WillTerms {
    pub delay: Duration,
    pub lives: Option<Duration>,
}

/// A copy of a message.
#[derive(Clone, Debug)]
pub(super) struct Waiting {
    pub message: Arc<Message>,
    pub terms: Terms,
}

/// How a copy is to be sent.
#[derive(Clone, Debug, Default)]
pub(super) struct Terms {
    pub qos: Qos,
    /// With the mark that it is or was kept.
    pub retain: bool,
    /// Numbers of the subscriptions it is for.
    pub ids: Vec<u32>,
}

/// A copy on its way.
#[derive(Debug)]
pub(super) struct Flight {
    pub id: u16,
    /// By this connection.
    pub sent: bool,
    pub stage: Stage,
}

#[derive(Debug)]
pub(super) enum Stage {
    /// PUBLISH is out: PUBACK or PUBREC is to come.
    Published(Waiting),
    /// PUBREL is out: PUBCOMP is to come.
    Released,
}

/// Retained messages for a new subscription, given as there is room for them.
#[derive(Debug)]
pub(super) struct Replay {
    pub filter: Box<str>,
    pub subscription: Subscription,
    /// The topic of the last that was given.
    pub behind: Option<Box<str>>,
}

/// What an acknowledgement led to.
#[derive(Debug)]
pub(super) enum Acknowledged {
    /// The client has this copy.
    Delivered(Waiting),
    /// It has been told before, or belongs to an earlier session.
    Nothing,
    /// It does not go with what is under way.
    Wrong,
}

impl Session {
    pub(super) fn new(id: Arc<str>, account: Key, now: Instant) -> Session {
        Session {
            id,
            account,
            connection: None,
            expiry: Duration::ZERO,
            away_since: now,
            filters: BTreeSet::new(),
            queue: VecDeque::new(),
            flight: VecDeque::new(),
            last_id: 0,
            incoming: HashSet::new(),
            will: None,
            will_due: None,
            replays: VecDeque::new(),
            bytes: 0,
            acknowledged: now,
            holds: Vec::new(),
            timer: None,
        }
    }

    /// Copies that wait or are under way.
    pub(super) fn waiting(&self) -> u64 {
        let published = self.flight.iter().filter(|flight| matches!(flight.stage, Stage::Published(_)));
        (self.queue.len() + published.count()) as u64
    }

    /// Has a copy wait behind all others.
    pub(super) fn enqueue(&mut self, waiting: Waiting) {
        self.bytes += waiting.message.size();
        self.queue.push_back(waiting);
    }

    /// The first that waits.
    pub(super) fn dequeue(&mut self) -> Option<Waiting> {
        let waiting = self.queue.pop_front()?;
        self.bytes -= waiting.message.size();
        Some(waiting)
    }

    /// A copy is sent by the identifier that is returned, and under way from now on.
    pub(super) fn depart(&mut self, waiting: Waiting) -> u16 {
        self.bytes += waiting.message.size();
        let taken = |id| self.flight.iter().any(|flight| flight.id == id);
        // The window is below 65,535, so there is one.
        let mut id = self.last_id;
        loop {
            id = id.checked_add(1).unwrap_or(1);
            if !taken(id) {
                break;
            }
        }
        self.last_id = id;
        self.flight.push_back(Flight { id, sent: true, stage: Stage::Published(waiting) });
        id
    }

    /// A copy that could not be sent is not under way any more.
    pub(super) fn forget(&mut self, id: u16) {
        let Some(at) = self.flight.iter().position(|flight| flight.id == id) else { return };
        if let Some(Flight { stage: Stage::Published(waiting), .. }) = self.flight.remove(at) {
            self.bytes -= waiting.message.size();
        }
    }

    /// Takes PUBACK, PUBREC or PUBCOMP.
    pub(super) fn acknowledge(&mut self, kind: AckKind, id: u16, reason: Reason) -> Acknowledged {
        let Some(at) = self.flight.iter().position(|flight| flight.id == id) else { return Acknowledged::Nothing };
        let qos = match &self.flight[at].stage {
            Stage::Published(waiting) => Some(waiting.terms.qos),
            Stage::Released => None,
        };
        let ended = match (kind, qos) {
            (AckKind::PubAck, Some(Qos::AtLeastOnce)) => self.flight.remove(at).map(|flight| flight.stage),
            (AckKind::PubRec, Some(Qos::ExactlyOnce)) if reason.is_error() => {
                self.flight.remove(at).map(|flight| flight.stage)
            }
            (AckKind::PubRec, Some(Qos::ExactlyOnce)) => {
                Some(std::mem::replace(&mut self.flight[at].stage, Stage::Released))
            }
            (AckKind::PubRec, None) => return Acknowledged::Nothing,
            (AckKind::PubComp, None) => {
                self.flight.remove(at);
                return Acknowledged::Nothing;
            }
            _ => return Acknowledged::Wrong,
        };
        match ended {
            Some(Stage::Published(waiting)) => {
                self.bytes -= waiting.message.size();
                Acknowledged::Delivered(waiting)
            }
            _ => Acknowledged::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session() -> Session {
        Session::new("me".into(), 0, Instant::now())
    }

    fn copy(qos: Qos) -> Waiting {
        let message = Arc::new(Message::new("t", b"text", qos, false));
        Waiting { message, terms: Terms { qos, ..Terms::default() } }
    }

    #[test]
    fn qos_1_is_under_way_until_it_is_acknowledged() {
        let mut session = session();
        let id = session.depart(copy(Qos::AtLeastOnce));
        assert!(session.bytes > 0);
        let mut acknowledge = |kind, id| session.acknowledge(kind, id, Reason::SUCCESS);
        assert!(matches!(acknowledge(AckKind::PubAck, id + 1), Acknowledged::Nothing));
        assert!(matches!(acknowledge(AckKind::PubRec, id), Acknowledged::Wrong));
        assert!(matches!(acknowledge(AckKind::PubComp, id), Acknowledged::Wrong));
        assert!(matches!(acknowledge(AckKind::PubAck, id), Acknowledged::Delivered(_)));
        assert!(matches!(acknowledge(AckKind::PubAck, id), Acknowledged::Nothing));
        assert_eq!((session.waiting(), session.bytes), (0, 0));
    }

    #[test]
    fn qos_2_is_delivered_once_and_under_way_to_the_end() {
        let mut session = session();
        let id = session.depart(copy(Qos::ExactlyOnce));
        let mut acknowledge = |kind| session.acknowledge(kind, id, Reason::SUCCESS);
        assert!(matches!(acknowledge(AckKind::PubAck), Acknowledged::Wrong));
        assert!(matches!(acknowledge(AckKind::PubComp), Acknowledged::Wrong));
        assert!(matches!(acknowledge(AckKind::PubRec), Acknowledged::Delivered(_)));
        assert!(matches!(acknowledge(AckKind::PubRec), Acknowledged::Nothing), "once more");
        assert!(matches!(acknowledge(AckKind::PubAck), Acknowledged::Wrong));
        assert_eq!((session.waiting(), session.flight.len(), session.bytes), (0, 1, 0));
        let _ = session.acknowledge(AckKind::PubComp, id, Reason::SUCCESS);
        assert!(session.flight.is_empty());
        let id = session.depart(copy(Qos::ExactlyOnce));
        let refused = session.acknowledge(AckKind::PubRec, id, Reason::QUOTA);
        assert!(
            matches!(refused, Acknowledged::Delivered(_)) && session.flight.is_empty(),
            "and that is the end of it"
        );
    }

    #[test]
    fn identifiers_are_not_used_twice_at_a_time() {
        let mut session = session();
        session.last_id = u16::MAX - 2;
        let mut ids: Vec<_> = (0..100).map(|_| session.depart(copy(Qos::AtLeastOnce))).collect();
        session.last_id = u16::MAX - 1;
        ids.extend((0..10).map(|_| session.depart(copy(Qos::AtLeastOnce))));
        ids.sort_unstable();
        ids.dedup();
        assert!(ids.len() == 110 && !ids.contains(&0));
    }
}
