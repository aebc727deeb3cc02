//! Which groups, and which of their sources, the hosts of one link want: a router's side of IGMP (RFC 3376 section 6).
//! Neither sockets nor clocks: reports and times go in, queries to send come out.
//!
//! It is simpler than the RFC in one thing: sources that a host wants *not* (an EXCLUDE with a list) count as wanted. More
//! may be sent on than need be, which the host's own filter then drops; never less.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Instant;

use super::plan::{QuerierPlan, ROBUSTNESS};
use crate::wire::igmp::{Record, RecordKind};

/// The most groups that are remembered of a link: as many as a host of netlab's LANs may join. More are not heard.
pub const MAX_GROUPS: usize = 4096;
/// The most sources that are remembered of a group. More are not heard.
pub const MAX_SOURCES: usize = 64;

/// The members on one link.
#[derive(Debug)]
pub struct Members {
    plan: QuerierPlan,
    groups: BTreeMap<Ipv4Addr, Group>,
}

/// A question to be asked now: who still wants this group, or these sources of it?
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The group.
    pub group: Ipv4Addr,
    /// The sources; none: whatever source.
    pub sources: Vec<Ipv4Addr>,
}

#[derive(Debug, Default)]
struct Group {
    /// Until when somebody wants the group, whatever the source.
    any: Option<Instant>,
    /// Until when somebody wants these sources.
    sources: BTreeMap<Ipv4Addr, Instant>,
    asking: Option<Asking>,
}

/// Somebody has left, and it is asked whether anybody stays.
#[derive(Debug)]
struct Asking {
    /// None: whatever source.
    sources: Vec<Ipv4Addr>,
    next: Instant,
    left: u8,
}

impl Members {
    /// Nobody, yet.
    #[must_use]
    pub fn new(plan: QuerierPlan) -> Members {
        Members { plan, groups: BTreeMap::new() }
    }

    /// Takes note of what a host said.
    pub fn hear(&mut self, record: &Record, now: Instant) {
        let stay = now + self.plan.membership_interval();
        let soon = now + self.plan.last_member_time();
        let wants_some = match record.kind {
            RecordKind::IsExclude | RecordKind::ToExclude => true,
            RecordKind::IsInclude | RecordKind::Allow | RecordKind::ToInclude => !record.sources.is_empty(),
            RecordKind::Block => false,
        };
        if wants_some && self.groups.len() < MAX_GROUPS {
            self.groups.entry(record.group).or_default();
        }
        let Some(group) = self.groups.get_mut(&record.group) else { return };
        match record.kind {
            RecordKind::IsExclude | RecordKind::ToExclude => group.want_any(stay),
            RecordKind::IsInclude | RecordKind::Allow => group.want(&record.sources, stay),
            RecordKind::ToInclude => {
                group.want(&record.sources, stay);
                let others: Vec<_> =
                    group.sources.keys().filter(|source| !record.sources.contains(source)).copied().collect();
                group.let_go(true, others, now, soon);
            }
            // Of a group somebody wants from all sources nothing is blocked: it is not known who else wants them.
            RecordKind::Block => {
                let named: Vec<_> =
                    record.sources.iter().filter(|source| group.sources.contains_key(source)).copied().collect();
                if group.any.is_none() && !named.is_empty() {
                    group.let_go(false, named, now, soon);
                }
            }
        }
    }

    /// The questions that are due.
    pub fn ask(&mut self, now: Instant) -> Vec<Question> {
        let mut due = Vec::new();
        for (&group, of) in &mut self.groups {
            let Some(asking) = of.asking.as_mut().filter(|asking| asking.next <= now) else { continue };
            due.push(Question { group, sources: asking.sources.clone() });
            asking.next = now + self.plan.last_member_interval;
            asking.left -= 1;
            if asking.left == 0 {
                of.asking = None;
            }
        }
        due
    }

    /// Forgets who has not answered in time; gives the groups of which something was forgotten.
    pub fn expire(&mut self, now: Instant) -> Vec<Ipv4Addr> {
        let mut changed = Vec::new();
        self.groups.retain(|&address, group| {
            let (any, sources) = (group.any.is_some(), group.sources.len());
            group.any = group.any.filter(|until| *until > now);
            group.sources.retain(|_, until| *until > now);
            if (any, sources) != (group.any.is_some(), group.sources.len()) {
                changed.push(address);
                group.stop_asking_of_the_gone();
            }
            group.any.is_some() || !group.sources.is_empty()
        });
        changed
    }

    /// When [`ask`](Self::ask) or [`expire`](Self::expire) next have something to do; `None`: not before something is
    /// heard.
    #[must_use]
    pub fn next(&self) -> Option<Instant> {
        let times = |group: &Group| {
            let asking = group.asking.as_ref().map(|asking| asking.next);
            group.any.into_iter().chain(group.sources.values().copied()).chain(asking).min()
        };
        self.groups.values().filter_map(times).min()
    }

    /// Whether somebody wants `group` from `source`.
    #[must_use]
    pub fn want(&self, group: Ipv4Addr, source: Ipv4Addr) -> bool {
        self.groups.get(&group).is_some_and(|group| group.any.is_some() || group.sources.contains_key(&source))
    }

    /// The groups that somebody wants, from some source at least.
    pub fn groups(&self) -> impl Iterator<Item = Ipv4Addr> {
        self.groups.keys().copied()
    }
}

impl Group {
    fn want_any(&mut self, until: Instant) {
        self.any = Some(until);
        self.asking = None;
    }

    fn want(&mut self, sources: &[Ipv4Addr], until: Instant) {
        for source in sources {
            if self.sources.len() < MAX_SOURCES || self.sources.contains_key(source) {
                self.sources.insert(*source, until);
            }
        }
        if let Some(asking) = &mut self.asking
            && !asking.sources.is_empty()
        {
            asking.sources.retain(|source| !sources.contains(source));
            if asking.sources.is_empty() {
                self.asking = None;
            }
        }
    }

    fn stop_asking_of_the_gone(&mut self) {
        let Some(asking) = &mut self.asking else { return };
        let everybody = asking.sources.is_empty();
        asking.sources.retain(|source| self.sources.contains_key(source));
        let gone = if everybody { self.any.is_none() } else { asking.sources.is_empty() };
        if gone {
            self.asking = None;
        }
    }

    /// Somebody no longer wants these sources, nor (`any`) all the others: whoever still does has until `soon` to say so.
    fn let_go(&mut self, any: bool, mut sources: Vec<Ipv4Addr>, now: Instant, soon: Instant) {
        for source in &sources {
            if let Some(until) = self.sources.get_mut(source) {
                *until = soon.min(*until);
            }
        }
        let any = any && self.any.is_some();
        if any {
            self.any = self.any.map(|until| soon.min(until));
            sources.clear();
        } else if sources.is_empty() {
            return;
        }
        // Hosts say everything twice: what is being asked already is not asked anew.
        match &self.asking {
            Some(asking) if asking.sources.is_empty() => return,
            Some(asking) if !any => {
                sources.retain(|source| !asking.sources.contains(source));
                if sources.is_empty() {
                    return;
                }
                sources.extend(&asking.sources);
            }
            _ => {}
        }
        self.asking = Some(Asking { sources, next: now, left: ROBUSTNESS });
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const GROUP: Ipv4Addr = Ipv4Addr::new(239, 1, 1, 1);
    const ONE: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
    const TWO: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 2);
    const ANOTHER: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 3);

    /// The usual plan, with seconds from the start as the clock: members last 260 s, 2 s after a leave.
    struct Link {
        members: Members,
        start: Instant,
    }

    impl Link {
        fn new() -> Link {
            Link { members: Members::new(QuerierPlan::default()), start: Instant::now() }
        }

        fn at(&self, seconds: f64) -> Instant {
            self.start + Duration::from_secs_f64(seconds)
        }

        fn hear(&mut self, seconds: f64, kind: RecordKind, sources: &[Ipv4Addr]) {
            let record = Record { group: GROUP, kind, sources: sources.to_vec() };
            self.members.hear(&record, self.at(seconds));
        }

        /// The sources of the questions asked now.
        fn asked(&mut self, seconds: f64) -> Vec<Vec<Ipv4Addr>> {
            let questions = self.members.ask(self.at(seconds));
            assert!(questions.iter().all(|question| question.group == GROUP));
            questions.into_iter().map(|question| question.sources).collect()
        }

        /// Whether one, two and another are wanted once what is over has been forgotten.
        fn wanted(&mut self, seconds: f64) -> [bool; 3] {
            self.members.expire(self.at(seconds));
            [ONE, TWO, ANOTHER].map(|source| self.members.want(GROUP, source))
        }

        fn next(&self) -> Option<f64> {
            self.members.next().map(|next| (next - self.start).as_secs_f64())
        }
    }

    /// A question for whoever wants the group, whatever the source.
    const EVERYBODY: [Ipv4Addr; 0] = [];
    const ALL: [bool; 3] = [true; 3];
    const NONE: [bool; 3] = [false; 3];

    #[test]
    fn a_member_that_says_nothing_more_is_forgotten() {
        let mut link = Link::new();
        assert_eq!((link.wanted(0.0), link.next()), (NONE, None));
        link.hear(0.0, RecordKind::ToExclude, &[]);
        assert_eq!((link.wanted(0.0), link.next()), (ALL, Some(260.0)));
        link.hear(125.0, RecordKind::IsExclude, &[]);
        assert_eq!((link.wanted(384.9), link.next()), (ALL, Some(385.0)));
        assert_eq!(link.members.expire(link.at(385.0)), [GROUP]);
        assert_eq!((link.wanted(385.0), link.next()), (NONE, None));
        assert_eq!(link.members.groups().count(), 0);
        assert!(link.asked(385.0).is_empty());
    }

    #[test]
    fn after_a_leave_it_asks_twice_and_forgets() {
        let mut link = Link::new();
        link.hear(0.0, RecordKind::ToExclude, &[]);
        link.hear(10.0, RecordKind::ToInclude, &[]);
        assert_eq!(link.next(), Some(10.0), "the first question is due at once");
        assert_eq!(link.asked(10.0), [EVERYBODY]);
        assert!(link.asked(10.9).is_empty());
        assert_eq!(link.asked(11.0), [EVERYBODY]);
        assert!(link.asked(11.9).is_empty());
        assert_eq!((link.wanted(11.9), link.next()), (ALL, Some(12.0)));
        assert_eq!(link.wanted(12.0), NONE);
    }

    #[test]
    fn a_leave_that_is_said_twice_is_one() {
        let mut link = Link::new();
        link.hear(0.0, RecordKind::ToExclude, &[]);
        for said in [10.0, 10.5] {
            link.hear(said, RecordKind::ToInclude, &[]);
        }
        assert_eq!((link.asked(10.5).len(), link.asked(11.5).len(), link.asked(13.0).len()), (1, 1, 0));
        assert_eq!(link.wanted(12.0), NONE);
        link.hear(20.0, RecordKind::Allow, &[ONE, TWO]);
        for said in [30.0, 30.5] {
            link.hear(said, RecordKind::Block, &[ONE]);
        }
        assert_eq!(link.asked(30.5), [[ONE]]);
        link.hear(31.0, RecordKind::Block, &[TWO]);
        assert_eq!(link.asked(31.0), [[TWO, ONE]], "a new one is asked with those that are");
    }

    #[test]
    fn a_member_that_stays_answers_and_is_asked_no_more() {
        let mut link = Link::new();
        link.hear(0.0, RecordKind::ToExclude, &[]);
        link.hear(10.0, RecordKind::ToInclude, &[]);
        assert_eq!(link.asked(10.0).len(), 1);
        link.hear(10.5, RecordKind::IsExclude, &[]);
        assert!(link.asked(11.0).is_empty());
        assert_eq!((link.wanted(12.0), link.next()), (ALL, Some(270.5)));
    }

    #[test]
    fn single_sources_come_and_go_singly() {
        let mut link = Link::new();
        link.hear(0.0, RecordKind::Allow, &[ONE]);
        link.hear(1.0, RecordKind::Allow, &[TWO]);
        assert_eq!(link.wanted(1.0), [true, true, false]);
        link.hear(5.0, RecordKind::Block, &[ONE, ANOTHER]);
        assert_eq!(link.asked(5.0), [vec![ONE]], "nobody wanted the other");
        assert_eq!(link.wanted(6.9), [true, true, false]);
        assert_eq!(link.members.expire(link.at(7.0)), [GROUP]);
        assert_eq!(link.wanted(7.0), [false, true, false]);
        link.hear(8.0, RecordKind::ToInclude, &[]);
        assert_eq!(link.asked(8.0), [vec![TWO]]);
        link.hear(8.1, RecordKind::IsInclude, &[TWO]);
        assert!(link.asked(9.0).is_empty());
        assert_eq!(link.wanted(10.0), [false, true, false]);
    }

    #[test]
    fn from_all_sources_to_one() {
        let mut link = Link::new();
        link.hear(0.0, RecordKind::ToExclude, &[ONE]);
        assert_eq!(link.wanted(0.0), ALL, "unwanted sources are not told apart");
        link.hear(1.0, RecordKind::Block, &[TWO]);
        assert!(link.asked(1.0).is_empty(), "others may want it");
        link.hear(2.0, RecordKind::ToInclude, &[TWO]);
        assert_eq!(link.asked(2.0), [EVERYBODY]);
        assert_eq!(link.wanted(4.0), [false, true, false]);
    }

    #[test]
    fn leaving_what_nobody_wanted_means_nothing() {
        let mut link = Link::new();
        for kind in [RecordKind::ToInclude, RecordKind::IsInclude, RecordKind::Allow, RecordKind::Block] {
            link.hear(0.0, kind, &[]);
        }
        link.hear(0.0, RecordKind::Block, &[ONE]);
        assert_eq!((link.members.groups().count(), link.next()), (0, None));
    }

    #[test]
    fn memory_is_bounded() {
        let mut members = Members::new(QuerierPlan::default());
        let now = Instant::now();
        let join = |number: u32, sources| Record {
            group: Ipv4Addr::from_bits(0xef00_0000 + number),
            kind: if number == 0 { RecordKind::Allow } else { RecordKind::ToExclude },
            sources,
        };
        for number in 0..1000 {
            members.hear(&join(0, vec![Ipv4Addr::from_bits(number)]), now);
        }
        for number in 0..10_000 {
            members.hear(&join(number, vec![]), now);
        }
        assert_eq!(members.groups().count(), MAX_GROUPS);
        let wanted = (0..1000).filter(|number| members.want(join(0, vec![]).group, Ipv4Addr::from_bits(*number)));
        assert_eq!(wanted.count(), MAX_SOURCES);
        members.hear(&join(1, vec![]), now + Duration::from_secs(100));
        members.expire(now + Duration::from_secs(300));
        assert_eq!(members.groups().count(), 1, "a known group is heard even when there is no room for another");
    }
}
