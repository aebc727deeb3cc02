//! What conditions are called, and which of them belong to one table. Pure.

use std::collections::BTreeMap;

use super::condition::Condition;
use crate::results::factor::Factor;
use crate::units::Role;

/// Numbers the settings in the order in which they first appear.
pub(super) fn number_settings(conditions: &mut [Condition]) {
    let mut first_of: Vec<usize> = Vec::new();
    for index in 0..conditions.len() {
        let same = |&first: &usize| {
            let (a, b): (&Condition, &Condition) = (&conditions[first], &conditions[index]);
            let same_network = a.network == b.network && a.groups == b.groups && a.traffic == b.traffic;
            let same_network = same_network && a.attribution == b.attribution;
            same_network && a.case == b.case && a.flow == b.flow && a.querier == b.querier && a.server == b.server
        };
        let setting = first_of.iter().position(same).unwrap_or_else(|| {
            first_of.push(index);
            first_of.len() - 1
        });
        conditions[index].setting = setting;
    }
}

/// Names each condition by its mode, its receivers, and what else varies: `multicast-4`, `unicast-4-hub-filter`.
pub(super) fn name(conditions: &mut [Condition]) {
    let told = [Factor::Mode, Factor::Receivers, Factor::Case];
    let parts: Vec<Factor> = Factor::ALL.into_iter().filter(|factor| !told.contains(factor)).collect();
    // A case's name says what all of it has in common.
    let mut first_of: BTreeMap<&str, &Condition> = BTreeMap::new();
    for condition in conditions.iter() {
        first_of.entry(&condition.case).or_insert(condition);
    }
    let varies = |factor: &Factor| conditions.iter().any(|c| !factor.is_same(first_of[c.case.as_str()], c));
    let varying: Vec<Factor> = parts.into_iter().filter(varies).collect();
    for condition in conditions.iter_mut() {
        let mut name = format!("{}-{}", condition.mode, condition.count(Role::Receiver));
        let case = Some(condition.case.clone()).filter(|case| !case.is_empty());
        for part in case.into_iter().chain(varying.iter().map(|factor| factor.in_name(&factor.of(condition)))) {
            name += "-";
            name += &part.replace(' ', "-");
        }
        condition.name = name;
    }
}

/// A name that two conditions have.
pub(super) fn first_duplicate(conditions: &[Condition]) -> Option<String> {
    let mut names: Vec<&str> = conditions.iter().map(|condition| condition.name.as_str()).collect();
    names.sort_unstable();
    names.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0].to_owned())
}
