//! What one can know of the others in a chat without a server: what was heard of them, and what must have been missed.

use std::collections::{BTreeMap, BTreeSet};

use super::event::Event;
use crate::wire::chat::cast;

/// The most datagrams of one sender that are waited for; older ones count as lost.
const MISSING_KEPT: usize = 1024;

/// The most senders that are remembered: anybody can invent them.
const SENDERS_KEPT: usize = 4096;

/// How far the number of a datagram may be from the one that is expected to be believed at once. One further off may be
/// corrupt or forged: what it says is shown, but nobody counts from it unless the next one of its sender has a number
/// near it.
const PLAUSIBLE: u64 = 1 << 20;

/// The others, as far as they were heard. Pure.
#[derive(Debug)]
pub struct Peers {
    own: u64,
    known: BTreeMap<u64, Peer>,
    /// Datagrams of all senders that have not come, though later ones have.
    lost: u64,
    late: u64,
}

#[derive(Debug)]
struct Peer {
    name: String,
    /// The sequence of the next datagram.
    next: u64,
    missing: BTreeSet<u64>,
    /// The last one that was not believed.
    doubted: Option<u64>,
}

impl Peers {
    /// Nobody yet, for the sender `own`.
    pub fn new(own: u64) -> Peers {
        Peers { own, known: BTreeMap::new(), lost: 0, late: 0 }
    }

    /// Those heard so far, by name.
    pub fn names(&self) -> Vec<&str> {
        let mut names: Vec<_> = self.known.values().map(|peer| peer.name.as_str()).collect();
        names.sort_unstable();
        names
    }

    /// Datagrams that were sent and have not come.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// Datagrams that came after later ones.
    pub fn late(&self) -> u64 {
        self.late
    }

    /// What a datagram tells.
    pub fn hear(&mut self, datagram: &cast::Cast) -> Vec<Event> {
        let mut events = Vec::new();
        let name = name_of(&datagram.event);
        if !self.known.contains_key(&datagram.sender) {
            if self.known.len() >= SENDERS_KEPT {
                return events;
            }
            self.meet(datagram, name, &mut events);
        } else if !self.take(datagram, &mut events) {
            return events;
        }
        match datagram.event {
            cast::Event::Joined { .. } | cast::Event::Here { .. } => {}
            cast::Event::Msg { text, .. } => events.push(Event::Message { from: name.into(), text: text.into() }),
            cast::Event::Renamed { old, new } => {
                self.check_name(datagram.sender, new, &mut events);
                if datagram.sender == self.own {
                    events.push(Event::Name { name: new.into() });
                } else {
                    events.push(Event::Renamed { old: old.into(), new: new.into() });
                }
                self.rename(datagram.sender, new);
            }
            cast::Event::Left { .. } => {
                self.known.remove(&datagram.sender);
                if datagram.sender != self.own {
                    events.push(Event::Left { name: name.into(), reason: "leave".into() });
                }
            }
        }
        events
    }

    /// One that was not heard before.
    fn meet(&mut self, datagram: &cast::Cast, name: &str, events: &mut Vec<Event>) {
        self.check_name(datagram.sender, name, events);
        let next = datagram.sequence.saturating_add(1);
        let peer = Peer { name: name.into(), next, missing: BTreeSet::new(), doubted: None };
        self.known.insert(datagram.sender, peer);
        if datagram.sender == self.own {
            return;
        }
        match datagram.event {
            cast::Event::Joined { .. } => events.push(Event::Joined { name: name.into() }),
            cast::Event::Left { .. } => {}
            _ => events.push(Event::Present { name: name.into() }),
        }
    }

    /// Where a datagram of one who is known stands among the others of that sender; whether it is new.
    fn take(&mut self, datagram: &cast::Cast, events: &mut Vec<Event>) -> bool {
        let Some(peer) = self.known.get_mut(&datagram.sender) else { return false };
        let sequence = datagram.sequence;
        if sequence.abs_diff(peer.next) > PLAUSIBLE {
            let near = |doubted: u64| (1..=PLAUSIBLE).contains(&doubted.abs_diff(sequence));
            if peer.doubted.replace(sequence).is_some_and(near) {
                (peer.next, peer.doubted) = (sequence.saturating_add(1), None);
                peer.missing.clear();
            }
            return true;
        }
        if sequence >= peer.next {
            let missed = sequence - peer.next;
            if missed > 0 {
                self.lost = self.lost.saturating_add(missed);
                events.push(Event::Missed { from: peer.name.clone(), messages: missed });
                peer.missing.extend((peer.next..sequence).rev().take(MISSING_KEPT));
                while peer.missing.len() > MISSING_KEPT {
                    peer.missing.pop_first();
                }
            }
            peer.next = sequence.saturating_add(1);
            return true;
        }
        // Otherwise it came twice.
        let late = peer.missing.remove(&sequence);
        if late {
            self.lost = self.lost.saturating_sub(1);
            self.late += 1;
            events.push(Event::Late { from: peer.name.clone() });
        }
        late
    }

    /// Tells when another has that name.
    fn check_name(&self, sender: u64, name: &str, events: &mut Vec<Event>) {
        if self.known.iter().any(|(other, peer)| *other != sender && peer.name == name) {
            events.push(Event::Namesakes { name: name.into() });
        }
    }

    fn rename(&mut self, sender: u64, name: &str) {
        if let Some(peer) = self.known.get_mut(&sender) {
            peer.name = name.into();
        }
    }
}

fn name_of<'a>(event: &cast::Event<'a>) -> &'a str {
    match *event {
        cast::Event::Joined { name }
        | cast::Event::Here { name }
        | cast::Event::Msg { name, .. }
        | cast::Event::Left { name } => name,
        cast::Event::Renamed { old, .. } => old,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::chat::cast::{Cast, Event as Said};

    const OWN: u64 = 1;
    const BOB: u64 = 2;

    fn peers() -> Peers {
        let mut peers = Peers::new(OWN);
        let own = Cast { sender: OWN, sequence: 0, event: Said::Joined { name: "ann" } };
        assert_eq!(peers.hear(&own), [], "one's own coming is no news");
        peers
    }

    fn bob(sequence: u64, text: &str) -> Cast<'_> {
        Cast { sender: BOB, sequence, event: Said::Msg { name: "bob", text } }
    }

    fn message(text: &str) -> Event {
        Event::Message { from: "bob".into(), text: text.into() }
    }

    #[test]
    fn comings_and_goings() {
        let mut peers = peers();
        let joined = Cast { sender: BOB, sequence: 0, event: Said::Joined { name: "bob" } };
        assert_eq!(peers.hear(&joined), [Event::Joined { name: "bob".into() }]);
        assert_eq!(peers.hear(&joined), [], "it came twice");
        let here = Cast { sender: 3, sequence: 9, event: Said::Here { name: "eve" } };
        assert_eq!(peers.hear(&here), [Event::Present { name: "eve".into() }]);
        assert_eq!(peers.names(), ["ann", "bob", "eve"]);
        let renamed = Cast { sender: BOB, sequence: 1, event: Said::Renamed { old: "bob", new: "rob" } };
        assert_eq!(peers.hear(&renamed), [Event::Renamed { old: "bob".into(), new: "rob".into() }]);
        let left = Cast { sender: BOB, sequence: 2, event: Said::Left { name: "rob" } };
        assert_eq!(peers.hear(&left), [Event::Left { name: "rob".into(), reason: "leave".into() }]);
        assert_eq!(peers.names(), ["ann", "eve"]);
        assert_eq!(peers.lost(), 0);
    }

    #[test]
    fn who_comes_late_learns_of_the_others_as_they_speak() {
        let mut peers = peers();
        assert_eq!(peers.hear(&bob(40, "as I said")), [Event::Present { name: "bob".into() }, message("as I said")]);
        assert_eq!(peers.lost(), 0, "what was before is nobody's loss");
    }

    #[test]
    fn gaps_are_told_and_late_ones_too() {
        let mut peers = peers();
        peers.hear(&bob(0, "a"));
        assert_eq!(peers.hear(&bob(3, "d")), [Event::Missed { from: "bob".into(), messages: 2 }, message("d")]);
        assert_eq!(peers.hear(&bob(1, "b")), [Event::Late { from: "bob".into() }, message("b")]);
        assert_eq!(peers.hear(&bob(1, "b")), [], "twice");
        assert_eq!(peers.hear(&bob(4, "e")), [message("e")]);
        assert_eq!((peers.lost(), peers.late()), (1, 1));
    }

    #[test]
    fn nothing_keeps_two_from_one_name() {
        let mut peers = peers();
        let other = Cast { sender: BOB, sequence: 0, event: Said::Joined { name: "ann" } };
        let events = peers.hear(&other);
        assert_eq!(events, [Event::Namesakes { name: "ann".into() }, Event::Joined { name: "ann".into() }]);
    }

    #[test]
    fn one_number_that_cannot_be_changes_nothing() {
        let mut peers = peers();
        peers.hear(&bob(0, "a"));
        assert_eq!(peers.hear(&bob(u64::MAX - 1, "b")), [message("b")], "nothing is missed, and it is shown");
        assert_eq!(peers.hear(&bob(2, "d")), [Event::Missed { from: "bob".into(), messages: 1 }, message("d")]);
        assert_eq!(peers.hear(&bob(u64::MAX - 1, "b")), [message("b")], "twice the same bears out nothing");
        assert_eq!(peers.hear(&bob(3, "e")), [message("e")]);
        // Who was heard first by such a number, or counts anew, is believed at the second word.
        let mut peers = self::peers();
        peers.hear(&bob(1 << 60, "a"));
        assert_eq!(peers.hear(&bob(7, "b")), [message("b")]);
        assert_eq!(peers.hear(&bob(8, "c")), [message("c")]);
        assert_eq!(peers.hear(&bob(8, "c")), [], "twice");
        assert_eq!(peers.hear(&bob(10, "e")), [Event::Missed { from: "bob".into(), messages: 1 }, message("e")]);
    }

    #[test]
    fn inventions_are_bounded() {
        let mut peers = peers();
        peers.hear(&bob(0, "a"));
        peers.hear(&bob(PLAUSIBLE, "z"));
        assert_eq!(peers.lost(), PLAUSIBLE - 1);
        assert_eq!(peers.known[&BOB].missing.len(), MISSING_KEPT);
        for sender in 10..10 + 2 * SENDERS_KEPT as u64 {
            peers.hear(&Cast { sender, sequence: 0, event: Said::Here { name: "x" } });
        }
        assert_eq!(peers.known.len(), SENDERS_KEPT);
    }
}
