//! Which conditions of a plan belong together: counterparts for a ratio, series for a line. Pure.

use super::claim::Selector;
use crate::results::factor::Factor;
use crate::run::Condition;

/// The condition that one (by its index) is compared with: it is matched by `against`, and the same in every factor that
/// neither selector names and that matters in every mode. Of several, the one that is most like it.
///
/// # Errors
/// Why there is none.
pub fn counterpart(
    conditions: &[Condition],
    of: usize,
    select: &Selector,
    against: &Selector,
) -> Result<usize, String> {
    let own = &conditions[of];
    let strict = || Factor::ALL.into_iter().filter(|factor| factor.matters_to_all());
    let named = |factor: Factor| select.names(factor) || against.names(factor);
    let is_like = |other: &Condition| strict().all(|factor| named(factor) || factor.is_same(own, other));
    let matching = (0..conditions.len())
        .filter(|&index| index != of && against.matches(&conditions[index]) && is_like(&conditions[index]));
    let likeness = |index: usize| likeness(own, &conditions[index]);
    let matching: Vec<usize> = matching.collect();
    let most = matching.iter().map(|index| likeness(*index)).max();
    let best: Vec<usize> = matching.into_iter().filter(|index| Some(likeness(*index)) == most).collect();
    match best[..] {
        [only] => Ok(only),
        [] => Err(format!("{} has no condition to be compared with", own.name)),
        [first, second, ..] => {
            let (first, second) = (&conditions[first].name, &conditions[second].name);
            Err(format!("{} could be compared with {first} and with {second}", own.name))
        }
    }
}

/// In how many respects two conditions are the same.
fn likeness(a: &Condition, b: &Condition) -> usize {
    let factors = Factor::ALL.iter().filter(|factor| factor.is_same(a, b)).count();
    let others = [
        a.network.ipv6 == b.network.ipv6,
        a.network.lans == b.network.lans,
        a.network.limit == b.network.limit,
        a.groups == b.groups,
        a.traffic.source_specific == b.traffic.source_specific,
        a.traffic.duration == b.traffic.duration,
        a.flow == b.flow,
        a.querier == b.querier,
    ];
    factors + others.into_iter().filter(|same| *same).count()
}

/// Conditions through which lines over a factor go.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// By their indexes, each series in the order of the plan.
    pub lines: Vec<Vec<usize>>,
    /// The factors that vary along the lines.
    pub swept: Vec<Factor>,
}

/// The selected conditions (by their indexes) in series that differ in the factor alone. Where that leaves one without a
/// second value, they may differ as well in what follows from the factor (receivers and hosts from each other, with a
/// fixed number of bystanders), in the case (a lab that names each number of hosts), or in both.
pub fn series(conditions: &[Condition], selected: &[usize], factor: Factor) -> Series {
    let follows = match factor {
        Factor::Receivers => Some(Factor::Hosts),
        Factor::Hosts => Some(Factor::Receivers),
        _ => None,
    };
    let follows = follows.as_slice();
    let case = [factor, Factor::Case];
    let swept = [vec![factor], [&[factor], follows].concat(), case.to_vec(), [&case, follows].concat()];
    let tries = swept.map(|swept| Series { lines: lines(conditions, selected, &swept), swept });
    let [strict, ..] = &tries;
    let fits = |series: &&Series| series.lines.iter().all(|line| varies(conditions, line, factor));
    tries.iter().find(fits).unwrap_or(strict).clone()
}

/// Whether a factor has at least two values over these conditions.
pub fn varies(conditions: &[Condition], line: &[usize], factor: Factor) -> bool {
    let mut values = line.iter().filter_map(|&index| factor.of(&conditions[index]).number());
    values.next().is_some_and(|first| values.any(|other| other != first))
}

fn lines(conditions: &[Condition], selected: &[usize], swept: &[Factor]) -> Vec<Vec<usize>> {
    let on_one = |a: &Condition, b: &Condition| {
        let same = Factor::ALL.iter().all(|factor| swept.contains(factor) || factor.is_same(a, b));
        same && a.network.ipv6 == b.network.ipv6
    };
    let mut lines: Vec<Vec<usize>> = Vec::new();
    for &index in selected {
        match lines.iter_mut().find(|line| on_one(&conditions[line[0]], &conditions[index])) {
            Some(line) => line.push(index),
            None => lines.push(vec![index]),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lan::{Igmp, SwitchKind};
    use crate::run::{Case, Design};
    use crate::units::Mode;
    use std::time::Duration;

    fn conditions(cases: Vec<Case>) -> Vec<Condition> {
        Design { cases, trials: 1, seed: 1, try_rates: Vec::new() }.plan().unwrap().conditions
    }

    fn modes(modes: &[Mode]) -> Selector {
        Selector::default().and(Factor::Mode, modes.to_vec())
    }

    fn name_of(conditions: &[Condition], of: &str, select: &Selector, against: &Selector) -> Result<String, String> {
        let index = conditions.iter().position(|condition| condition.name == of).unwrap();
        counterpart(conditions, index, select, against).map(|index| conditions[index].name.clone())
    }

    #[test]
    fn a_counterpart_is_the_same_in_what_neither_selector_names() {
        let all = conditions(vec![Case {
            modes: vec![Mode::Unicast, Mode::Multicast],
            receivers: vec![4, 16],
            switch: vec![SwitchKind::Snooping, SwitchKind::Hub],
            ..Case::default()
        }]);
        let (multicast, unicast) = (modes(&[Mode::Multicast]), modes(&[Mode::Unicast]));
        let found = name_of(&all, "multicast-16-hub", &multicast, &unicast);
        assert_eq!(found.as_deref(), Ok("unicast-16-hub"));

        // Named by the claim's own selector alone: several would do, the most like it is meant.
        let select = multicast.clone().and(Factor::Receivers, [4usize, 16]);
        assert_eq!(name_of(&all, "multicast-16-hub", &select, &unicast).as_deref(), Ok("unicast-16-hub"));

        let snooping = Selector::default().and(Factor::Switch, [SwitchKind::Snooping]);
        let hub = Selector::default().and(Factor::Switch, [SwitchKind::Hub]);
        assert_eq!(name_of(&all, "multicast-4-hub", &hub, &snooping).as_deref(), Ok("multicast-4-snooping"));
        let cross = unicast.clone().and(Factor::Switch, [SwitchKind::Snooping]);
        assert_eq!(name_of(&all, "multicast-4-hub", &multicast, &cross).as_deref(), Ok("unicast-4-snooping"));

        let none = name_of(&all, "unicast-4-hub", &unicast, &unicast).unwrap_err();
        assert_eq!(none, "unicast-4-hub has no condition to be compared with", "never itself");
        let either =
            unicast.and(Factor::Receivers, [16usize]).and(Factor::Switch, [SwitchKind::Snooping, SwitchKind::Hub]);
        let several = name_of(&all, "multicast-4-hub", &multicast, &either);
        assert_eq!(several.as_deref(), Ok("unicast-16-hub"), "the most like it");
    }

    #[test]
    fn two_that_are_equally_like_it_are_one_too_many() {
        let quick = Igmp { last_member_interval: Duration::from_millis(10), ..Igmp::default() };
        let slow = Igmp { last_member_interval: Duration::from_millis(500), ..Igmp::default() };
        let case = |modes: Vec<Mode>, igmp| Case { modes, igmp, ..Case::default() };
        let all = conditions(vec![
            Case { name: "a".to_owned(), ..case(vec![Mode::Multicast], vec![Igmp::default()]) },
            Case { name: "b".to_owned(), ..case(vec![Mode::Unicast], vec![quick, slow]) },
        ]);
        let b = modes(&[Mode::Unicast]).and(Factor::Case, ["b"]);
        let several = name_of(&all, "multicast-4-a-igmp3", &modes(&[Mode::Multicast]), &b).unwrap_err();
        assert_eq!(
            several,
            "multicast-4-a-igmp3 could be compared with unicast-4-b-igmp3-10ms and with unicast-4-b-igmp3-500ms"
        );
    }

    #[test]
    fn series_differ_in_the_factor_alone() {
        let all = conditions(vec![Case {
            modes: vec![Mode::Unicast, Mode::Multicast],
            receivers: vec![1, 4, 16],
            hosts: vec![21, 31],
            ..Case::default()
        }]);
        let selected: Vec<usize> = (0..all.len()).collect();
        let over = series(&all, &selected, Factor::Receivers);
        assert_eq!((over.lines.len(), over.swept.as_slice()), (4, [Factor::Receivers].as_slice()));
        for line in &over.lines {
            assert_eq!(line.len(), 3);
            assert!(line.iter().all(|&index| all[index].mode == all[line[0]].mode));
            assert!(line.iter().all(|&index| all[index].hosts() == all[line[0]].hosts()));
        }
        assert_eq!(series(&all, &selected, Factor::Hosts).lines.len(), 6);
        // A rate that never varies makes no line, and the conditions stay apart.
        let over = series(&all, &selected, Factor::Rate);
        assert_eq!(over.lines.len(), all.len());
        assert!(!varies(&all, &over.lines[0], Factor::Rate));
    }

    #[test]
    fn what_follows_from_the_factor_may_vary_along_the_line() {
        let case = |name: &str, hosts, receivers| Case {
            name: name.to_owned(),
            modes: vec![Mode::Unicast, Mode::Multicast],
            hosts: vec![hosts],
            receivers: vec![receivers],
            ..Case::default()
        };
        let all = conditions(vec![case("few", 3, 2), case("many", 11, 10)]);
        let selected: Vec<usize> = (0..all.len()).collect();
        let over = series(&all, &selected, Factor::Hosts);
        assert_eq!(over.lines, [[0, 2], [1, 3]]);
        assert!(over.swept.contains(&Factor::Case) && over.swept.contains(&Factor::Receivers));
        let all = conditions(vec![case("few", 11, 2), case("many", 11, 10)]);
        assert_eq!(series(&all, &selected, Factor::Receivers).swept, [Factor::Receivers, Factor::Case]);
    }
}
