//! What conditions can be told apart by, and how that is said in a few words. Pure.

use super::claim::{Factor, Selector};
use crate::lan::{Nic, SwitchKind};
use crate::results::figure;
use crate::run::Condition;
use crate::units::{Mode, Rate};

/// One of the things a [`Selector`] can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aspect {
    /// The lab's name for the case.
    Case,
    /// The mode.
    Mode,
    /// The kind of switch.
    Switch,
    /// The kind of card.
    Nic,
    /// A number.
    Number(Factor),
}

/// What a condition is in one aspect.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// Of [`Aspect::Case`].
    Case(&'a str),
    /// Of [`Aspect::Mode`].
    Mode(Mode),
    /// Of [`Aspect::Switch`].
    Switch(SwitchKind),
    /// Of [`Aspect::Nic`].
    Nic(Nic),
    /// Of [`Aspect::Number`]; `None` for the rate `max`.
    Number(Option<f64>),
}

impl Aspect {
    /// All of them, those first that tell most.
    pub const ALL: [Aspect; 10] = [
        Aspect::Case,
        Aspect::Mode,
        Aspect::Switch,
        Aspect::Nic,
        Aspect::Number(Factor::Receivers),
        Aspect::Number(Factor::Hosts),
        Aspect::Number(Factor::Rate),
        Aspect::Number(Factor::Size),
        Aspect::Number(Factor::Ttl),
        Aspect::Number(Factor::Distance),
    ];

    /// What a condition is in it.
    pub fn of(self, condition: &Condition) -> Value<'_> {
        match self {
            Aspect::Case => Value::Case(&condition.case),
            Aspect::Mode => Value::Mode(condition.mode),
            Aspect::Switch => Value::Switch(condition.network.switch),
            Aspect::Nic => Value::Nic(condition.network.nic),
            Aspect::Number(factor) => Value::Number(factor.of(condition)),
        }
    }

    /// Whether two conditions are the same in it.
    pub fn is_same(self, a: &Condition, b: &Condition) -> bool {
        self.of(a) == self.of(b)
    }

    /// The values a selector asks for; empty where it leaves the aspect open.
    pub fn named_by(self, selector: &Selector) -> Vec<Value<'_>> {
        let count = |values: &[usize]| values.iter().map(|value| Value::Number(Some(*value as f64))).collect();
        match self {
            Aspect::Case => selector.case.iter().map(|case| Value::Case(case)).collect(),
            Aspect::Mode => selector.mode.iter().copied().map(Value::Mode).collect(),
            Aspect::Switch => selector.switch.iter().copied().map(Value::Switch).collect(),
            Aspect::Nic => selector.nic.iter().copied().map(Value::Nic).collect(),
            Aspect::Number(Factor::Receivers) => count(&selector.receivers),
            Aspect::Number(Factor::Hosts) => count(&selector.hosts),
            Aspect::Number(Factor::Size) => count(&selector.size),
            Aspect::Number(Factor::Rate) => {
                selector.rate.iter().map(|rate: &Rate| Value::Number(rate.per_second())).collect()
            }
            Aspect::Number(Factor::Ttl) => {
                selector.ttl.iter().map(|ttl| Value::Number(Some(f64::from(*ttl)))).collect()
            }
            Aspect::Number(Factor::Distance) => {
                selector.distance.iter().map(|distance| Value::Number(Some(distance.as_secs_f64() * 1e3))).collect()
            }
        }
    }

    /// Its values in words: `unicast`, `hub`, `4 and 16 receivers`. Three numbers and more are written as a range unless
    /// one of `others` lies within.
    pub fn in_words(self, values: &[Value], others: &[Value]) -> String {
        let list = list(values, others);
        match self {
            Aspect::Case | Aspect::Mode | Aspect::Switch | Aspect::Nic => list,
            Aspect::Number(Factor::Receivers) => with_noun(&list, "receiver"),
            Aspect::Number(Factor::Hosts) => with_noun(&list, "host"),
            Aspect::Number(Factor::Rate) if values == [Value::Number(None)] => {
                "as many messages/s as can be".to_owned()
            }
            Aspect::Number(Factor::Rate) => format!("{list} messages/s"),
            Aspect::Number(Factor::Size) => format!("{list} B"),
            Aspect::Number(Factor::Ttl) => format!("TTL {list}"),
            Aspect::Number(Factor::Distance) => format!("{list} ms away"),
        }
    }
}

impl Value<'_> {
    fn text(self) -> String {
        match self {
            Value::Case("") => "the unnamed case".to_owned(),
            Value::Case(name) => format!("'{name}'"),
            Value::Mode(mode) => mode.to_string(),
            Value::Switch(SwitchKind::Snooping) => "snooping switch".to_owned(),
            Value::Switch(SwitchKind::Flooding) => "flooding switch".to_owned(),
            Value::Switch(SwitchKind::Hub) => "hub".to_owned(),
            Value::Switch(SwitchKind::NoQuerier) => "switch without a querier".to_owned(),
            Value::Switch(SwitchKind::Quiet) => "quiet switch without a querier".to_owned(),
            Value::Nic(Nic::Filter) => "cards that filter".to_owned(),
            Value::Nic(Nic::Promiscuous) => "cards that don't filter".to_owned(),
            Value::Number(Some(number)) => figure::count(number),
            Value::Number(None) => "max".to_owned(),
        }
    }

    fn number(self) -> Option<f64> {
        if let Value::Number(number) = self { number } else { None }
    }
}

/// The conditions a selector matches, in words; empty for all of them.
pub fn selector_in_words(selector: &Selector) -> String {
    let named = Aspect::ALL.into_iter().map(|aspect| (aspect, aspect.named_by(selector)));
    let words = named.filter(|(_, values)| !values.is_empty()).map(|(aspect, values)| aspect.in_words(&values, &[]));
    words.collect::<Vec<_>>().join(", ")
}

/// A condition in words, by these aspects alone; by its name without any.
pub fn condition_in_words(condition: &Condition, aspects: &[Aspect]) -> String {
    if aspects.is_empty() {
        return condition.name.clone();
    }
    aspects.iter().map(|aspect| aspect.in_words(&[aspect.of(condition)], &[])).collect::<Vec<_>>().join(", ")
}

/// The fewest aspects that tell all of the conditions from each other, without those `swept`; none where no aspect does.
pub fn telling(conditions: &[&Condition], swept: &[Aspect]) -> Vec<Aspect> {
    let tell = |aspects: &[Aspect]| {
        conditions
            .iter()
            .enumerate()
            .all(|(index, a)| conditions[..index].iter().all(|b| aspects.iter().any(|aspect| !aspect.is_same(a, b))))
    };
    let varying: Vec<Aspect> = Aspect::ALL
        .into_iter()
        .filter(|aspect| !swept.contains(aspect))
        .filter(|aspect| conditions.iter().any(|condition| !aspect.is_same(condition, conditions[0])))
        .collect();
    let few = up_to_two(&varying).into_iter().find(|aspects| tell(aspects));
    few.unwrap_or(if tell(&varying) { varying } else { Vec::new() })
}

/// What the conditions of `these` have in common that none of `others` has, in the fewest words: by their names where
/// no one or two aspects say it. `swept` are aspects of which each of them stands for all values.
pub fn in_common<'a>(these: &[&'a Condition], others: &[&'a Condition], swept: &[Aspect]) -> String {
    let separate = |aspects: &[Aspect]| {
        let has_all = |other: &Condition| aspects.iter().all(|aspect| these.iter().any(|c| aspect.is_same(c, other)));
        !others.iter().any(|other| has_all(other))
    };
    let say = |aspects: &[Aspect]| {
        let one = |aspect: &Aspect| {
            let of = |conditions: &[&'a Condition]| conditions.iter().map(|c| aspect.of(c)).collect::<Vec<_>>();
            aspect.in_words(&of(these), &of(others))
        };
        aspects.iter().map(one).collect::<Vec<_>>().join(", ")
    };
    let candidates: Vec<Aspect> = Aspect::ALL.into_iter().filter(|aspect| !swept.contains(aspect)).collect();
    let sayings = up_to_two(&candidates).into_iter().filter(|aspects| separate(aspects));
    let shortest =
        sayings.map(|aspects| (aspects.len(), say(&aspects))).min_by_key(|(n, say)| (*n, say.chars().count()));
    shortest.map_or_else(|| and(these.iter().map(|condition| condition.name.clone()).collect()), |(_, say)| say)
}

/// Each alone, then each pair.
fn up_to_two(aspects: &[Aspect]) -> Vec<Vec<Aspect>> {
    let pairs = aspects.iter().enumerate().flat_map(|(index, &a)| aspects[..index].iter().map(move |&b| vec![b, a]));
    aspects.iter().map(|&aspect| vec![aspect]).chain(pairs).collect()
}

fn list(values: &[Value], others: &[Value]) -> String {
    let mut once: Vec<Value> = Vec::new();
    for value in values {
        if !once.contains(value) {
            once.push(*value);
        }
    }
    let number = |value: &Value| value.number();
    if let Some(mut numbers) = once.iter().map(number).collect::<Option<Vec<f64>>>() {
        numbers.sort_by(f64::total_cmp);
        if let [first, _, .., last] = numbers[..]
            && !others.iter().filter_map(number).any(|other| (first..=last).contains(&other))
        {
            return format!("{} to {}", figure::count(first), figure::count(last));
        }
        once = numbers.into_iter().map(|number| Value::Number(Some(number))).collect();
    }
    and(once.into_iter().map(Value::text).collect())
}

fn and(mut words: Vec<String>) -> String {
    match words.pop() {
        Some(last) if words.is_empty() => last,
        Some(last) => format!("{} and {last}", words.join(", ")),
        None => String::new(),
    }
}

fn with_noun(numbers: &str, noun: &str) -> String {
    format!("{numbers} {noun}{}", if numbers == "1" { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::{Case, Design};
    use crate::units::Role;

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
        let selector = Selector {
            mode: vec![Mode::Unicast, Mode::Multicast],
            receivers: vec![1],
            hosts: vec![8, 4],
            switch: vec![SwitchKind::Hub],
            rate: vec![Rate::PerSecond(500.0), Rate::PerSecond(2000.0), Rate::PerSecond(1000.0)],
            ..Selector::default()
        };
        let words = "unicast and multicast, hub, 1 receiver, 4 and 8 hosts, 500 to 2,000 messages/s";
        assert_eq!(selector_in_words(&selector), words);
        let selector = Selector {
            case: vec!["old switch".to_owned()],
            nic: vec![Nic::Filter],
            rate: vec![Rate::Max],
            size: vec![64],
            ttl: vec![3],
            ..Selector::default()
        };
        let words = "'old switch', cards that filter, as many messages/s as can be, 64 B, TTL 3";
        assert_eq!(selector_in_words(&selector), words);
    }

    #[test]
    fn the_fewest_aspects_that_tell_conditions_apart() {
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

        // Where no one or two aspects tell them, their names do.
        let (these, others) = of(&all, |c| {
            c.count(Role::Receiver) == 1 && c.network.switch == SwitchKind::Hub || c.name == "unicast-2-hub-filter"
        });
        assert!(in_common(&these, &others, &[]).ends_with(" and unicast-2-hub-filter"));
        let (these, others) = of(&all, |c| c.count(Role::Receiver) == 1);
        let without = [Aspect::Number(Factor::Receivers)];
        assert!(in_common(&these, &others, &without).starts_with("unicast-1-snooping-promiscuous, "));
    }
}
