//! What conditions are called, and which of them belong to one table. Pure.

use super::condition::Condition;
use crate::units::Role;

/// Numbers the settings in the order in which they first appear.
pub(super) fn number_settings(conditions: &mut [Condition]) {
    let mut first_of: Vec<usize> = Vec::new();
    for index in 0..conditions.len() {
        let same = |&first: &usize| {
            let (a, b): (&Condition, &Condition) = (&conditions[first], &conditions[index]);
            let same_network = a.network == b.network && a.groups == b.groups && a.traffic == b.traffic;
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
    let parts = |condition: &Condition| {
        let Condition { network, traffic, .. } = condition;
        let rate = traffic.rate.per_second().map_or("max".to_owned(), |rate| format!("{rate}ps"));
        [
            network.switch.to_string(),
            network.nic.to_string(),
            format!("{}hosts", condition.hosts()),
            format!("igmp{}", network.igmp.version),
            format!("{}ms", network.igmp.last_member_interval.as_millis()),
            rate,
            format!("{}B", traffic.size),
            format!("ttl{}", traffic.ttl),
            traffic.group.to_string(),
            format!("{}ms-away", network.distance.as_millis()),
        ]
    };
    let all: Vec<_> = conditions.iter().map(|condition| (condition.case.clone(), parts(condition))).collect();
    // A case's name says what all of it has in common.
    let varies = |part: usize| {
        let within = all
            .iter()
            .any(|(case, values)| all.iter().any(|(other, others)| case == other && values[part] != others[part]));
        within || (all[0].0.is_empty() && all.iter().any(|(_, values)| values[part] != all[0].1[part]))
    };
    let varying: Vec<usize> =
        if all.is_empty() { Vec::new() } else { (0..all[0].1.len()).filter(|&p| varies(p)).collect() };
    for (condition, (case, values)) in conditions.iter_mut().zip(&all) {
        let mut name = format!("{}-{}", condition.mode, condition.count(Role::Receiver));
        for part in std::iter::once(case).filter(|case| !case.is_empty()).chain(varying.iter().map(|&p| &values[p])) {
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
