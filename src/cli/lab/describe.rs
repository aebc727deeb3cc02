//! What a lab measures and claims, in words.

use std::time::Duration;

use humantime::format_duration;

use super::{counted, roughly};
use crate::lab::Claim;
use crate::lab::claim::Expect;
use crate::lab::words::judged;
use crate::lan::{Igmp, Nic};
use crate::results::factor::Factor;
use crate::results::figure;
use crate::run::condition::{Flow, HostGroup, Querier};
use crate::run::{Case, Design, MeasurePlan};
use crate::units::Rate;

/// A word and what there is to say of it.
pub(super) type Fact = (&'static str, String);

/// What a design measures: first what all cases have in common, then each case with what is its own.
pub(super) fn facts(design: &Design) -> (Vec<Fact>, Vec<(String, Vec<Fact>)>) {
    let of_cases: Vec<Vec<Fact>> = design.cases.iter().map(|case| facts_of(case, &design.try_rates)).collect();
    let (first, others) = of_cases.split_first().map_or((&[][..], &[][..]), |(first, others)| (&first[..], others));
    let is_common = |fact: &Fact| others.iter().all(|case| case.contains(fact));
    let common: Vec<Fact> = first.iter().filter(|fact| is_common(fact)).cloned().collect();
    let own = |facts: &[Fact]| facts.iter().filter(|fact| !common.contains(fact)).cloned().collect();
    let named = design.cases.iter().zip(&of_cases).filter(|(case, _)| !case.name.is_empty());
    let cases = named.map(|(case, facts)| (case.name.clone(), own(facts))).collect();
    (common, cases)
}

/// `18 conditions, 5 repeats each, about 50 s`
pub(super) fn extent(plan: &MeasurePlan) -> String {
    format!(
        "{}, {} each, about {}",
        counted(plan.conditions.len(), "condition"),
        counted(plan.trials as usize, "repeat"),
        roughly(plan.expected_time())
    )
}

/// Hosts in the conditions: `41`, or from the fewest to the most.
pub(super) fn hosts(plan: &MeasurePlan) -> String {
    let hosts = || plan.conditions.iter().map(|condition| condition.hosts());
    match (hosts().min(), hosts().max()) {
        (Some(fewest), Some(most)) if fewest < most => format!("{fewest}–{most}"),
        (_, most) => most.unwrap_or(0).to_string(),
    }
}

/// A claim's sentence, and what is judged by which test.
pub(super) fn claim(claim: &Claim) -> (String, String) {
    let expected = match claim.expect {
        Expect::Holds => "",
        Expect::Fails => " (the lab expects this to fail)",
        Expect::HoldsIfDecided => " (the lab accepts that this cannot be decided)",
    };
    (format!("{}{expected}", claim.says), judged(claim))
}

fn facts_of(case: &Case, try_rates: &[f64]) -> Vec<Fact> {
    let usual = Case::default();
    let mut facts: Vec<Fact> = Vec::new();
    for factor in Factor::ALL {
        let values = factor.values(case);
        let text = match factor {
            // The name of the case stands above all this.
            Factor::Case => continue,
            Factor::Receivers if !case.groups.is_empty() => continue,
            Factor::Hosts if !case.groups.is_empty() => {
                case.groups.iter().map(group_in_words).collect::<Vec<_>>().join("; ")
            }
            Factor::Mode | Factor::Receivers | Factor::Hosts | Factor::Size => factor.listed(&values),
            Factor::Switch => {
                case.switch.iter().map(|switch| switch.in_words(case.ipv6)).collect::<Vec<_>>().join(", ")
            }
            Factor::Rate => rate_in_words(&case.rate, try_rates),
            Factor::Group if case.group.is_empty() => continue,
            _ if values == factor.values(&usual) => continue,
            Factor::Nic => {
                let words = |nic: &Nic| match nic {
                    Nic::Promiscuous => "let every frame through to the kernel",
                    Nic::Filter => "drop what is for another MAC, or for a group their host has not joined",
                };
                case.nic.iter().map(words).collect::<Vec<_>>().join(", ")
            }
            Factor::Igmp => case.igmp.iter().map(igmp_in_words).collect::<Vec<_>>().join("; "),
            _ => factor.listed(&values),
        };
        facts.push((factor.about().label, text));
    }
    facts.push(("time", format!("{} of sending in each repeat", format_duration(case.duration))));
    if case.retain {
        facts.push(("broker", "retains the last message for those who come later".to_owned()));
    }
    if let Some(time) = case.server_dies_at {
        facts.push(("server", format!("dies after {}", format_duration(time))));
    }
    if case.source_specific {
        facts.push(("joins", "for the sender alone (source-specific)".to_owned()));
    }
    facts.extend(case.flow.as_ref().map(|flow| ("flow", flow_in_words(flow))));
    facts.extend(case.querier.as_ref().map(|querier| ("querier", querier_in_words(querier))));
    if case.ipv6 {
        facts.push(("IP", "IPv6, which has no broadcast".to_owned()));
    }
    if case.loss_expected {
        facts.push(("loss", "is looked for".to_owned()));
    }
    facts
}

fn rate_in_words(rates: &[Rate], try_rates: &[f64]) -> String {
    let counts = |rates: &[f64]| rates.iter().map(|rate| figure::count(*rate)).collect::<Vec<_>>().join(", ");
    if !try_rates.is_empty() {
        return format!("the highest of {} messages/s at which nothing is lost", counts(try_rates));
    }
    let words = |rate: &Rate| rate.per_second().map_or("as many as can be".to_owned(), figure::count);
    format!("{} messages/s", rates.iter().map(words).collect::<Vec<_>>().join(", "))
}

fn group_in_words(group: &HostGroup) -> String {
    let mut words = counted(group.count, group.role.as_str());
    if !group.name.is_empty() {
        words += &format!(" '{}'", group.name);
    }
    let mut also = |text: String| words += &format!(", {text}");
    if group.lan > 1 {
        also(format!("on LAN {}", group.lan));
    }
    if group.busy > Duration::ZERO {
        also(format!("busy for {} with each message", format_duration(group.busy)));
    }
    if let Some(time) = group.joins_at {
        also(format!("joining after {}", format_duration(time)));
    }
    if let Some(time) = group.leaves_at {
        also(format!("leaving after {}", format_duration(time)));
    }
    if let Some(time) = group.returns_at {
        also(format!("back after {}", format_duration(time)));
    }
    if let Some(address) = group.member_of {
        also(format!("in the group {address}"));
    }
    if group.works {
        also("with work of their own to do".to_owned());
    }
    if let Some(bits) = group.link_limit {
        also(format!("on links of {} bits/s", figure::count(bits as f64)));
    }
    words
}

fn igmp_in_words(igmp: &Igmp) -> String {
    let mut words =
        format!("version {}, queries after a leave {} apart", igmp.version, format_duration(igmp.last_member_interval));
    if let Some(interval) = igmp.membership_interval {
        words += &format!(", memberships last {}", format_duration(interval));
    }
    words
}

fn flow_in_words(flow: &Flow) -> String {
    let to = flow.to.as_ref().map_or("the measured messages' own group".to_owned(), |to| format!("'{to}'"));
    let rate = rate_in_words(&[flow.rate], &[]);
    format!("from '{}' to {to}, {rate} of {} B", flow.from, flow.size)
}

fn querier_in_words(querier: &Querier) -> String {
    let stops = querier.stops_at.map_or(String::new(), |time| format!(", until {}", format_duration(time)));
    format!("a router that asks every {}{stops}", format_duration(querier.interval))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab;

    fn design(keys: &str) -> Design {
        lab::read("x", format!("title = \"T\"\nlecture = \"L\"\n[measure]\nduration = \"1200ms\"\n{keys}").as_bytes())
            .unwrap()
            .design
    }

    #[test]
    fn what_cases_have_in_common_is_said_once() {
        let design = design(
            "hosts = 9\nreceivers = [2, 4]\nrate = [500, \"max\"]\n[[measure.case]]\nname = \"a\"\n\
             [[measure.case]]\nname = \"b\"\nswitch = \"hub\"\nnic = \"filter\"\n",
        );
        let (common, cases) = facts(&design);
        let text = |facts: &[Fact]| facts.iter().map(|(word, text)| format!("{word}: {text}")).collect::<Vec<_>>();
        assert_eq!(
            text(&common),
            [
                "modes: unicast, broadcast, raw-broadcast, multicast",
                "receivers: 2, 4",
                "hosts: 9",
                "rate: 500, as many as can be messages/s",
                "size: 64 B",
                "time: 1s 200ms of sending in each repeat",
            ]
        );
        assert_eq!(cases[0].0, "a");
        assert_eq!(text(&cases[0].1), ["switch: switch with IGMP snooping"]);
        assert_eq!(
            text(&cases[1].1),
            ["switch: hub", "cards: drop what is for another MAC, or for a group their host has not joined"]
        );
        assert_eq!(extent(&design.plan().unwrap()), "32 conditions, 12 repeats each, about 10 min");
    }

    #[test]
    fn groups_flows_and_the_rest() {
        let design = design(
            r#"
            rate = "sustainable"
            try = [500, 2000]
            igmp = { version = 2, membership_interval = "3s" }
            source_specific = true
            loss_expected = true
            [[measure.groups]]
            role = "sender"
            [[measure.groups]]
            name = "slow"
            role = "receiver"
            count = 3
            busy = "50us"
            [[measure.groups]]
            name = "a"
            role = "bystander"
            lan = 2
            works = true
            [[measure.groups]]
            name = "b"
            role = "bystander"
            lan = 2
            link_limit = "10M"
            [measure.flow]
            from = "a"
            to = "b"
            rate = 100
            size = 64
            [measure.querier]
            interval = "1s"
            stops_at = "600ms"
            "#,
        );
        let (common, cases) = facts(&design);
        let of =
            |word: &str| common.iter().find(|(fact, _)| *fact == word).unwrap_or_else(|| panic!("{word}")).1.clone();
        assert_eq!(
            of("hosts"),
            "1 sender; 3 receivers 'slow', busy for 50us with each message; 1 bystander 'a', on LAN 2, with work of their \
             own to do; 1 bystander 'b', on LAN 2, on links of 10,000,000 bits/s"
        );
        assert_eq!(of("rate"), "the highest of 2,000, 500 messages/s at which nothing is lost");
        assert_eq!(of("IGMP"), "version 2, queries after a leave 100ms apart, memberships last 3s");
        assert_eq!(of("flow"), "from 'a' to 'b', 100 messages/s of 64 B");
        assert_eq!(of("querier"), "a router that asks every 1s, until 600ms");
        assert_eq!(
            (of("loss"), of("joins")),
            ("is looked for".into(), "for the sender alone (source-specific)".into())
        );
        assert!(cases.is_empty());
    }

    #[test]
    fn every_factor_is_shown() {
        for factor in Factor::ALL {
            let lab = crate::lab::factors::tests::lab_of(factor);
            let (common, cases) = facts(&lab.design);
            if factor == Factor::Case {
                assert_eq!(cases.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
                continue;
            }
            let label = factor.about().label;
            let text = common.iter().find(|(word, _)| *word == label).map(|(_, text)| text.as_str());
            let values = factor.values(&lab.design.cases[0]);
            assert!(text.is_some_and(|text| text.contains([',', ';'])), "{label}: {text:?} of {values:?}");
        }
    }

    #[test]
    fn what_a_server_does_is_shown() {
        let design = design("modes = \"chat\"\nhosts = 9\nserver_dies_at = \"1s\"\nretain = true\nqos = 1\n");
        let (common, _) = facts(&design);
        let words: Vec<&str> = common.iter().map(|(word, _)| *word).collect();
        assert_eq!(words, ["modes", "switch", "receivers", "hosts", "rate", "size", "QoS", "time", "broker", "server"]);
    }
}
