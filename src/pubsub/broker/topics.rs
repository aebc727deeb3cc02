//! Who subscribes to what, and what is kept for those who subscribe later. Pure.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::Arc;
use std::time::Instant;

use super::message::Message;
use super::slab::Key;
use crate::wire::mqtt::{Wish, topic};

/// A subscription: how messages are to come, and the number they are to bear (MQTT 5.0 section 3.8.2.1.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Subscription {
    pub wish: Wish,
    pub id: Option<u32>,
}

/// All subscriptions, as a tree of levels.
#[derive(Debug, Default)]
pub(super) struct Subscriptions {
    root: Node,
}

#[derive(Debug, Default)]
struct Node {
    plain: HashMap<Box<str>, Node>,
    /// Behind a +.
    any: Option<Box<Node>>,
    /// Of the filter that ends here.
    here: Subscribers,
    /// Of that with a # behind.
    below: Subscribers,
}

#[derive(Debug, Default)]
struct Subscribers {
    each: BTreeMap<Key, Subscription>,
    groups: BTreeMap<Box<str>, Group>,
}

/// One of them gets a message, in turn.
#[derive(Debug, Default)]
struct Group {
    members: Vec<(Key, Subscription)>,
    next: usize,
}

impl Subscriptions {
    /// Adds a subscription, or replaces that of the same filter. Whether it is new.
    pub(super) fn insert(&mut self, filter: &str, subscriber: Key, subscription: Subscription) -> bool {
        let (group, filter) = parted(filter);
        let subscribers = self.root.at(filter);
        let Some(group) = group else { return subscribers.each.insert(subscriber, subscription).is_none() };
        let members = &mut subscribers.groups.entry(group.into()).or_default().members;
        match members.iter_mut().find(|(member, _)| *member == subscriber) {
            Some((_, old)) => *old = subscription,
            None => {
                members.push((subscriber, subscription));
                return true;
            }
        }
        false
    }

    /// Takes a subscription away. Whether there was one.
    pub(super) fn remove(&mut self, filter: &str, subscriber: Key) -> bool {
        let (group, filter) = parted(filter);
        self.root.remove(&mut filter.split('/'), group, subscriber)
    }

    /// Calls `found` with each subscription to this topic. Of a group it is one that is `there`, if there is one.
    pub(super) fn find(&mut self, topic: &str, there: &dyn Fn(Key) -> bool, found: &mut dyn FnMut(Key, &Subscription)) {
        self.root.find(topic.split('/'), topic.starts_with('$'), there, found);
    }
}

fn parted(filter: &str) -> (Option<&str>, &str) {
    topic::shared(filter).map_or((None, filter), |(group, filter)| (Some(group), filter))
}

impl Node {
    fn at(&mut self, filter: &str) -> &mut Subscribers {
        let mut node = self;
        for level in filter.split('/') {
            node = match level {
                "#" => return &mut node.below,
                "+" => node.any.get_or_insert_default(),
                level => node.plain.entry(level.into()).or_default(),
            };
        }
        &mut node.here
    }

    fn remove(&mut self, levels: &mut std::str::Split<'_, char>, group: Option<&str>, subscriber: Key) -> bool {
        match levels.next() {
            None => self.here.remove(group, subscriber),
            Some("#") => self.below.remove(group, subscriber),
            Some("+") => {
                let Some(node) = &mut self.any else { return false };
                let removed = node.remove(levels, group, subscriber);
                if node.is_empty() {
                    self.any = None;
                }
                removed
            }
            Some(level) => {
                let Some(node) = self.plain.get_mut(level) else { return false };
                let removed = node.remove(levels, group, subscriber);
                if node.is_empty() {
                    self.plain.remove(level);
                }
                removed
            }
        }
    }

    fn is_empty(&self) -> bool {
        let none = |subscribers: &Subscribers| subscribers.each.is_empty() && subscribers.groups.is_empty();
        self.plain.is_empty() && self.any.is_none() && none(&self.here) && none(&self.below)
    }

    /// `own`: the next level begins with $, for which a wildcard does not stand.
    fn find(
        &mut self,
        mut levels: std::str::Split<'_, char>,
        own: bool,
        there: &dyn Fn(Key) -> bool,
        found: &mut dyn FnMut(Key, &Subscription),
    ) {
        if !own {
            self.below.each(there, found);
        }
        let Some(level) = levels.next() else { return self.here.each(there, found) };
        if let Some(node) = self.any.as_mut().filter(|_| !own) {
            node.find(levels.clone(), false, there, found);
        }
        if let Some(node) = self.plain.get_mut(level) {
            node.find(levels, false, there, found);
        }
    }
}

impl Subscribers {
    fn each(&mut self, there: &dyn Fn(Key) -> bool, found: &mut dyn FnMut(Key, &Subscription)) {
        for (subscriber, subscription) in &self.each {
            found(*subscriber, subscription);
        }
        for group in self.groups.values_mut() {
            let turns = group.members.len();
            let turn = (group.next..group.next + turns).find(|turn| there(group.members[turn % turns].0));
            let turn = turn.unwrap_or(group.next) % turns;
            group.next = (turn + 1) % turns;
            let (subscriber, subscription) = &group.members[turn];
            found(*subscriber, subscription);
        }
    }

    fn remove(&mut self, group: Option<&str>, subscriber: Key) -> bool {
        let Some(name) = group else { return self.each.remove(&subscriber).is_some() };
        let Some(group) = self.groups.get_mut(name) else { return false };
        let before = group.members.len();
        group.members.retain(|(member, _)| *member != subscriber);
        let left = group.members.len();
        if left == 0 {
            self.groups.remove(name);
        }
        left < before
    }
}

/// The last message of each topic whose publisher wanted it kept.
#[derive(Debug)]
pub(super) struct Retained {
    messages: BTreeMap<Box<str>, Arc<Message>>,
    bytes: usize,
    most: usize,
    most_bytes: usize,
}

impl Retained {
    /// Room for so many messages and bytes.
    pub(super) fn new(most: usize, most_bytes: usize) -> Retained {
        Retained { messages: BTreeMap::new(), bytes: 0, most, most_bytes }
    }

    /// Keeps a message in the place of its topic's last; an empty one takes that away. False when there is no room.
    pub(super) fn keep(&mut self, message: Arc<Message>) -> bool {
        if let Some(old) = self.messages.remove(&message.topic) {
            self.bytes -= old.size();
        }
        if message.payload.is_empty() {
            return true;
        }
        let bytes = self.bytes + message.size();
        let has_room = self.messages.len() < self.most && bytes <= self.most_bytes;
        if has_room {
            self.bytes = bytes;
            self.messages.insert(message.topic.clone(), message);
        }
        has_room
    }

    pub(super) fn len(&self) -> usize {
        self.messages.len()
    }

    /// The first message that a filter stands for, of those behind a topic in the order of topics.
    pub(super) fn next(&mut self, filter: &str, behind: Option<&str>, now: Instant) -> Option<Arc<Message>> {
        let plain = filter.find(['#', '+']).unwrap_or(filter.len());
        // `a/#` stands for `a` as well.
        let prefix = filter[..plain].trim_end_matches('/');
        let mut from = behind.map_or(Bound::Included(prefix), Bound::Excluded);
        loop {
            let range = self.messages.range::<str, _>((from, Bound::Unbounded));
            let mut candidates = range.take_while(|(topic, _)| topic.starts_with(prefix));
            let found = Arc::clone(candidates.find(|(topic, _)| topic::matches(filter, topic))?.1);
            if !found.is_over(now) {
                return Some(found);
            }
            if let Some(old) = self.messages.remove(&found.topic) {
                self.bytes -= old.size();
            }
            from = Bound::Included(prefix);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::mqtt::Qos;

    fn found(subscriptions: &mut Subscriptions, topic: &str) -> Vec<Key> {
        let mut found = Vec::new();
        subscriptions.find(topic, &|key| key != 9, &mut |key, _| found.push(key));
        found.sort_unstable();
        found
    }

    #[test]
    fn the_tree_finds_what_its_filters_stand_for() {
        let filters = ["#", "a", "a/#", "a/+", "+/b", "a/b", "/", "+/+", "$SYS/#", "$SYS/x", "a//b", "+//+"];
        let mut tree = Subscriptions::default();
        for (key, filter) in filters.iter().enumerate() {
            assert!(tree.insert(filter, key as Key, Subscription::default()));
            assert!(!tree.insert(filter, key as Key, Subscription::default()), "it is there");
        }
        for topic in ["a", "a/b", "a/b/c", "/", "b", "x/b", "$SYS/x", "$SYS", "a//b", "//"] {
            let matching = filters.iter().enumerate().filter(|(_, filter)| topic::matches(filter, topic));
            assert_eq!(found(&mut tree, topic), matching.map(|(key, _)| key as Key).collect::<Vec<_>>(), "{topic}");
        }
        for (key, filter) in filters.iter().enumerate() {
            assert!(!tree.remove(filter, 77) && tree.remove(filter, key as Key) && !tree.remove(filter, key as Key));
        }
        assert!(tree.root.is_empty(), "nothing is left behind");
    }

    #[test]
    fn a_group_takes_turns_and_passes_over_those_who_are_away() {
        let mut tree = Subscriptions::default();
        for key in [7, 8, 9] {
            tree.insert("$share/g/a/+", key, Subscription::default());
        }
        tree.insert("$share/other/a/+", 1, Subscription::default());
        let mut turns: Vec<_> = (0..4).map(|_| found(&mut tree, "a/b")).collect();
        turns.sort();
        assert_eq!(turns, [[1, 7], [1, 7], [1, 8], [1, 8]]);
        assert!(tree.remove("$share/g/a/+", 7) && tree.remove("$share/g/a/+", 8));
        assert_eq!(found(&mut tree, "a/b"), [1, 9], "nobody else is left");
        assert!(tree.remove("$share/g/a/+", 9) && tree.remove("$share/other/a/+", 1));
        assert!(tree.root.is_empty());
    }

    #[test]
    fn what_is_kept_has_a_limit_and_is_found_in_order() {
        let now = Instant::now();
        let message = |topic: &str, payload: &[u8]| Arc::new(Message::new(topic, payload, Qos::AtMostOnce, true));
        let mut kept = Retained::new(4, 1_000);
        for topic in ["a", "a/x", "a/y", "ab"] {
            assert!(kept.keep(message(topic, b"1")));
        }
        assert!(!kept.keep(message("b", b"1")), "it is full");
        assert!(kept.keep(message("a/x", b"2")), "but for a topic it has");
        let all = |kept: &mut Retained, filter: &str| {
            let mut all: Vec<String> = Vec::new();
            while let Some(message) = kept.next(filter, all.last().map(String::as_str), now) {
                all.push(message.topic.to_string());
            }
            all
        };
        assert_eq!(all(&mut kept, "#"), ["a", "a/x", "a/y", "ab"]);
        assert_eq!(all(&mut kept, "a/#"), ["a", "a/x", "a/y"]);
        assert_eq!(all(&mut kept, "a/+"), ["a/x", "a/y"]);
        assert_eq!(all(&mut kept, "+"), ["a", "ab"]);
        assert_eq!(all(&mut kept, "a/y"), ["a/y"]);
        assert!(all(&mut kept, "c/#").is_empty());
        assert!(kept.keep(message("a/x", b"")));
        assert_eq!((kept.len(), all(&mut kept, "a/+")), (3, vec!["a/y".to_owned()]));
        assert!(!kept.keep(message("b", &[0; 1_000])), "no room for its bytes");
        let mut short = Message::new("b", b"1", Qos::AtMostOnce, true);
        short.expires = Some(now);
        assert!(kept.keep(Arc::new(short)));
        assert!(all(&mut kept, "b").is_empty(), "its time is over");
        assert_eq!(kept.len(), 3);
    }
}
