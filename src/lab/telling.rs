//! By which factors conditions are told apart, and how that is said in a few words. Pure.

use super::claim::Selector;
use crate::results::factor::{Factor, and};
use crate::run::Condition;

/// The conditions a selector matches, in words; empty for all of them.
pub fn selector_in_words(selector: &Selector) -> String {
    let words = selector.factors().map(|factor| factor.in_words(selector.values(factor), &[]));
    words.collect::<Vec<_>>().join(", ")
}

/// A condition in words, by these factors alone; by its name without any.
pub fn condition_in_words(condition: &Condition, factors: &[Factor]) -> String {
    if factors.is_empty() {
        return condition.name.clone();
    }
    factors.iter().map(|factor| factor.in_words(&[factor.of(condition)], &[])).collect::<Vec<_>>().join(", ")
}

/// The fewest factors that tell all of the conditions from each other, without those `swept`; none where no factor does.
pub fn telling(conditions: &[&Condition], swept: &[Factor]) -> Vec<Factor> {
    let tell = |factors: &[Factor]| {
        conditions
            .iter()
            .enumerate()
            .all(|(index, a)| conditions[..index].iter().all(|b| factors.iter().any(|factor| !factor.is_same(a, b))))
    };
    let varying: Vec<Factor> = Factor::ALL
        .into_iter()
        .filter(|factor| !swept.contains(factor))
        .filter(|factor| conditions.iter().any(|condition| !factor.is_same(condition, conditions[0])))
        .collect();
    let few = up_to_two(&varying).into_iter().find(|factors| tell(factors));
    few.unwrap_or(if tell(&varying) { varying } else { Vec::new() })
}

/// What the conditions of `these` have in common that none of `others` has, in the fewest words: by their names where
/// no one or two factors say it. `swept` are factors of which each of them stands for all values.
pub fn in_common<'a>(these: &[&'a Condition], others: &[&'a Condition], swept: &[Factor]) -> String {
    let separate = |factors: &[Factor]| {
        let has_all = |other: &Condition| factors.iter().all(|factor| these.iter().any(|c| factor.is_same(c, other)));
        !others.iter().any(|other| has_all(other))
    };
    let say = |factors: &[Factor]| {
        let one = |factor: &Factor| {
            let of = |conditions: &[&'a Condition]| conditions.iter().map(|c| factor.of(c)).collect::<Vec<_>>();
            factor.in_words(&of(these), &of(others))
        };
        factors.iter().map(one).collect::<Vec<_>>().join(", ")
    };
    let candidates: Vec<Factor> = Factor::ALL.into_iter().filter(|factor| !swept.contains(factor)).collect();
    let sayings = up_to_two(&candidates).into_iter().filter(|factors| separate(factors));
    let shortest =
        sayings.map(|factors| (factors.len(), say(&factors))).min_by_key(|(n, say)| (*n, say.chars().count()));
    shortest.map_or_else(|| and(these.iter().map(|condition| condition.name.clone()).collect()), |(_, say)| say)
}

/// Each alone, then each pair.
fn up_to_two(factors: &[Factor]) -> Vec<Vec<Factor>> {
    let pairs = factors.iter().enumerate().flat_map(|(index, &a)| factors[..index].iter().map(move |&b| vec![b, a]));
    factors.iter().map(|&factor| vec![factor]).chain(pairs).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lan::{Nic, SwitchKind};
    use crate::run::{Case, Design};
    use crate::units::{Mode, Rate, Role};

    fn conditions(case: Case) -> Vec<Condition> {
        let design = Design { cases: vec![case], trials: 1, seed: 1, try_rates: Vec::new() };
        design.plan().unwrap().conditions
    }

    fn of(all: &[Condition], which: fn(&Condition) -> bool) -> (Vec<&Condition>, Vec<&Condition>) {
        all.iter().partition(|condition| which(condition))
    }

    #[test]
    fn selectors_in_words() {
        assert_eq!(selector_in_words(&Selector::default()), "");
        let selector = Selector::default()
            .and(Factor::Mode, [Mode::Unicast, Mode::Multicast])
            .and(Factor::Receivers, [1usize])
            .and(Factor::Hosts, [8usize, 4])
            .and(Factor::Switch, [SwitchKind::Hub])
            .and(Factor::Rate, [500.0, 2000.0, 1000.0].map(Rate::PerSecond));
        let words = "unicast and multicast, hub, 1 receiver, 4 and 8 hosts, 500 to 2,000 messages/s";
        assert_eq!(selector_in_words(&selector), words);
        let selector = Selector::default()
            .and(Factor::Case, ["old switch"])
            .and(Factor::Nic, [Nic::Filter])
            .and(Factor::Rate, [Rate::Max])
            .and(Factor::Size, [64usize])
            .and(Factor::Ttl, [3u8]);
        let words = "'old switch', cards that filter, as many messages/s as can be, 64 B, TTL 3";
        assert_eq!(selector_in_words(&selector), words);
    }

    #[test]
    fn the_fewest_factors_that_tell_conditions_apart() {
        let all = conditions(Case {
            modes: vec![Mode::Unicast, Mode::Multicast],
            receivers: vec![1, 4],
            switch: vec![SwitchKind::Snooping, SwitchKind::Hub],
            ..Case::default()
        });
        let all: Vec<&Condition> = all.iter().collect();
        let words = |conditions: &[&Condition]| condition_in_words(conditions[0], &telling(conditions, &[]));
        assert_eq!(words(&all), "unicast, snooping switch, 1 receiver");
        assert_eq!(words(&all[..4]), "unicast, snooping switch");
        assert_eq!(words(&all[..2]), "unicast", "not the mode of both in addition");
        assert_eq!(words(&[all[0], all[0]]), all[0].name, "nothing tells them apart");
        assert_eq!(words(&all[..1]), all[0].name);
    }

    #[test]
    fn what_some_conditions_have_in_common() {
        let all = conditions(Case {
            modes: vec![Mode::Unicast, Mode::Multicast],
            receivers: vec![1, 2, 4, 8, 16],
            switch: vec![SwitchKind::Snooping, SwitchKind::Flooding, SwitchKind::Hub],
            nic: Nic::ALL.to_vec(),
            ..Case::default()
        });
        let say = |which| {
            let (these, others) = of(&all, which);
            in_common(&these, &others, &[])
        };
        assert_eq!(say(|c| c.network.switch == SwitchKind::Snooping), "snooping switch");
        assert_eq!(say(|c| c.network.switch != SwitchKind::Snooping), "flooding switch and hub");
        assert_eq!(say(|c| c.count(Role::Receiver) <= 4), "1 to 4 receivers");
        assert_eq!(say(|c| c.count(Role::Receiver) != 2), "1, 4, 8 and 16 receivers");
        let filtered_hub = |c: &Condition| c.network.switch == SwitchKind::Hub && c.network.nic == Nic::Filter;
        assert_eq!(say(filtered_hub), "hub, cards that filter");

        // Where no one or two factors tell them, their names do.
        let (these, others) = of(&all, |c| {
            c.count(Role::Receiver) == 1 && c.network.switch == SwitchKind::Hub || c.name == "unicast-2-hub-filter"
        });
        assert!(in_common(&these, &others, &[]).ends_with(" and unicast-2-hub-filter"));
        let (these, others) = of(&all, |c| c.count(Role::Receiver) == 1);
        let without = [Factor::Receivers];
        assert!(in_common(&these, &others, &without).starts_with("unicast-1-snooping-promiscuous, "));
    }
}
