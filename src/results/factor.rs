//! What conditions of a run can differ in: the one table that a lab file's keys, selectors and claims, the plan, the
//! conditions' names, `conditions.csv`, the report and the handout draw from.
//!
//! Here is how each is spelled and read out, and where a row of `conditions.csv` has it;
//! [`run::factor`](crate::run::factor) has what it is in a case and in a condition, and
//! [`lab::factors`](crate::lab::factors) its key in a lab file. All three are matches without a rest, so that a new one is
//! not forgotten in any.

use std::fmt;
use std::time::Duration;

use super::figure;
use super::row::ConditionRow;
use crate::units::Mode;

/// Something that conditions can differ in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Factor {
    /// The lab's name for the case.
    Case,
    /// How messages are delivered.
    Mode,
    /// The kind of switch.
    Switch,
    /// The kind of network card.
    Nic,
    /// Receivers of each message.
    Receivers,
    /// Hosts without router and switch.
    Hosts,
    /// How membership is kept.
    Igmp,
    /// Due times a second asked for, and so messages a second where a burst is of one.
    Rate,
    /// Messages that leave at each due time.
    Burst,
    /// Payload in bytes.
    Size,
    /// Hop limit of group messages.
    Ttl,
    /// The group.
    Group,
    /// Which broadcast address.
    BroadcastAddress,
    /// How the chat server passes messages on.
    Relay,
    /// MQTT quality of service.
    Qos,
    /// One-way delay of the router between LANs, in ms.
    Distance,
    /// Whether each host's receive work is done by threads of its own, or on plain veth.
    Attribution,
}

/// What a condition is in a factor.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A number, in the factor's unit.
    Number(f64),
    /// Anything else, as lab files and `conditions.csv` spell it.
    Word(String),
}

/// How a factor is spelled and read out.
#[derive(Clone, Copy, Debug)]
pub struct About {
    /// What selectors and claims, refusals and flags call it.
    pub key: &'static str,
    /// A value of it, in a sentence: `the number of receivers 4`.
    pub noun: &'static str,
    /// What it is called where its values are listed.
    pub label: &'static str,
    /// How its values are read out.
    says: Says,
    /// What stands before and after a number of it in the name of a condition, and before a word.
    in_name: (&'static str, &'static str),
    /// Of a number, along which figures can grow.
    pub number: Option<Number>,
    /// What it is in a row of `conditions.csv`; `None` where the row does not tell, or it is nothing to the mode.
    pub of_row: fn(&ConditionRow) -> Option<Value>,
}

/// What is said of a number along which figures can grow.
#[derive(Clone, Copy, Debug)]
pub struct Number {
    /// As the title of an axis.
    pub axis: &'static str,
    /// In a sentence: `flat over the size`.
    pub in_words: &'static str,
    /// For how much more of it a slope is told, and how that is called.
    pub step: (f64, &'static str),
}

/// How values are read out.
#[derive(Clone, Copy, Debug)]
enum Says {
    /// `4 receivers`
    Noun(&'static str),
    /// `64 B`
    Before(&'static str),
    /// `TTL 3`
    After(&'static str),
    /// Each by words of its own.
    Each(fn(&str) -> String),
}

impl Factor {
    /// All of them, those first that tell most.
    pub const ALL: [Factor; 17] = [
        Factor::Case,
        Factor::Mode,
        Factor::Switch,
        Factor::Nic,
        Factor::Receivers,
        Factor::Hosts,
        Factor::Igmp,
        Factor::Rate,
        Factor::Burst,
        Factor::Size,
        Factor::Ttl,
        Factor::Group,
        Factor::BroadcastAddress,
        Factor::Relay,
        Factor::Qos,
        Factor::Distance,
        Factor::Attribution,
    ];

    /// Those along which figures can grow.
    pub fn numbers() -> impl Iterator<Item = Factor> {
        Factor::ALL.into_iter().filter(|factor| factor.about().number.is_some())
    }

    /// The table.
    pub fn about(self) -> About {
        let number = |axis, in_words, step| Some(Number { axis, in_words, step });
        match self {
            Factor::Case => About {
                key: "case",
                noun: "case",
                label: "case",
                says: Says::Each(
                    |case| if case.is_empty() { "the unnamed case".to_owned() } else { format!("'{case}'") },
                ),
                in_name: ("", ""),
                number: None,
                of_row: |row| Some(Value::from(row.case.as_str())),
            },
            Factor::Mode => About {
                key: "mode",
                noun: "mode",
                label: "modes",
                says: Says::Each(str::to_owned),
                in_name: ("", ""),
                number: None,
                of_row: |row| Some(Value::from(row.mode)),
            },
            Factor::Switch => About {
                key: "switch",
                noun: "switch",
                label: "switch",
                says: Says::Each(|switch| match switch {
                    "snooping" => "snooping switch".to_owned(),
                    "flooding" => "flooding switch".to_owned(),
                    "no-querier" => "switch without a querier".to_owned(),
                    "no-querier-quiet" => "quiet switch without a querier".to_owned(),
                    other => other.to_owned(),
                }),
                in_name: ("", ""),
                number: None,
                of_row: |row| Value::told(&row.switch),
            },
            Factor::Nic => About {
                key: "nic",
                noun: "network card",
                label: "cards",
                says: Says::Each(|nic| match nic {
                    "filter" => "cards that filter".to_owned(),
                    _ => "cards that don't filter".to_owned(),
                }),
                in_name: ("", ""),
                number: None,
                of_row: |row| Value::told(&row.nic),
            },
            Factor::Receivers => About {
                key: "receivers",
                noun: "number of receivers",
                label: "receivers",
                says: Says::Noun("receiver"),
                in_name: ("", ""),
                number: number("receivers", "receivers", (1.0, "receiver")),
                of_row: |row| Some(Value::from(row.receivers)),
            },
            Factor::Hosts => About {
                key: "hosts",
                noun: "number of hosts",
                label: "hosts",
                says: Says::Noun("host"),
                in_name: ("", "hosts"),
                number: number("hosts", "hosts", (1.0, "host")),
                of_row: |row| Some(Value::from(row.hosts)),
            },
            Factor::Igmp => About {
                key: "igmp",
                noun: "IGMP",
                label: "IGMP",
                says: Says::After("IGMPv"),
                in_name: ("igmp", ""),
                number: None,
                of_row: |row| Value::told(&row.igmp),
            },
            Factor::Rate => About {
                key: "rate",
                noun: "rate",
                label: "rate",
                says: Says::Before(" messages/s"),
                in_name: ("", "ps"),
                number: number("messages/s asked for", "the rate", (1000.0, "1,000 messages/s")),
                of_row: |row| {
                    let due_times = row.offered_rate.map(|rate| rate / f64::from(row.burst.max(1)));
                    Some(due_times.map_or(Value::from(MAX), Value::Number))
                },
            },
            Factor::Burst => About {
                key: "burst",
                noun: "burst",
                label: "burst",
                says: Says::After("bursts of "),
                in_name: ("burst", ""),
                number: number("messages at once", "the burst", (1.0, "message in the burst")),
                of_row: |row| Some(Value::from(row.burst)),
            },
            Factor::Size => About {
                key: "size",
                noun: "size",
                label: "size",
                says: Says::Before(" B"),
                in_name: ("", "B"),
                number: number("message size in bytes", "the size", (100.0, "100 B")),
                of_row: |row| Some(Value::from(row.size_bytes)),
            },
            Factor::Ttl => About {
                key: "ttl",
                noun: "hop limit",
                label: "TTL",
                says: Says::After("TTL "),
                in_name: ("ttl", ""),
                number: number("hop limit (TTL)", "the TTL", (1.0, "hop")),
                of_row: |row| row.ttl.map(Value::from),
            },
            Factor::Group => About {
                key: "group",
                noun: "group",
                label: "group",
                says: Says::After("group "),
                in_name: ("", ""),
                number: None,
                of_row: |row| Value::told(&row.group_address),
            },
            Factor::BroadcastAddress => About {
                key: "broadcast_address",
                noun: "broadcast address",
                label: "broadcast",
                says: Says::Before(" broadcast"),
                in_name: ("", ""),
                number: None,
                of_row: |row| Value::told(&row.broadcast_address),
            },
            Factor::Relay => About {
                key: "relay",
                noun: "relay",
                label: "relay",
                says: Says::Before(" relay"),
                in_name: ("", ""),
                number: None,
                of_row: |row| Value::told(&row.relay),
            },
            Factor::Qos => About {
                key: "qos",
                noun: "quality of service",
                label: "QoS",
                says: Says::After("QoS "),
                in_name: ("qos", ""),
                number: None,
                of_row: |row| row.qos.map(Value::from),
            },
            Factor::Distance => About {
                key: "distance",
                noun: "distance",
                label: "distance",
                says: Says::Before(" ms away"),
                in_name: ("", "ms-away"),
                number: number("ms of distance to the other LAN", "the distance", (1.0, "ms of distance")),
                of_row: |row| Some(Value::Number(row.distance_s * 1e3)),
            },
            Factor::Attribution => About {
                key: "attribution",
                noun: "attribution",
                label: "links",
                says: Says::Each(|word| match word {
                    "plain" => "plain veth".to_owned(),
                    _ => "a thread for each link".to_owned(),
                }),
                in_name: ("", ""),
                number: None,
                of_row: |row| Value::told(&row.attribution),
            },
        }
    }

    /// For how much more of it a slope is told, and how that is called.
    pub fn step(self) -> (f64, &'static str) {
        self.about().number.map_or((1.0, self.about().key), |number| number.step)
    }

    /// Whether it is something to a mode at all.
    pub fn matters_to(self, mode: Mode) -> bool {
        match self {
            Factor::Ttl | Factor::Group | Factor::Igmp => mode == Mode::Multicast,
            Factor::BroadcastAddress => mode == Mode::Broadcast,
            Factor::Relay => mode == Mode::Chat,
            Factor::Qos => mode == Mode::Pubsub,
            Factor::Case
            | Factor::Mode
            | Factor::Switch
            | Factor::Nic
            | Factor::Receivers
            | Factor::Hosts
            | Factor::Rate
            | Factor::Burst
            | Factor::Attribution
            | Factor::Size
            | Factor::Distance => true,
        }
    }

    /// Whether it is something to every mode.
    pub fn matters_to_all(self) -> bool {
        Mode::ALL.into_iter().all(|mode| self.matters_to(mode))
    }

    /// A value as lab files spell it.
    pub fn spelled(self, value: &Value) -> String {
        match (self, value.number()) {
            (Factor::Distance, Some(ms)) => {
                humantime::format_duration(Duration::try_from_secs_f64(ms / 1e3).unwrap_or_default()).to_string()
            }
            _ => value.to_string(),
        }
    }

    /// A value in the name of a condition: `hub`, `500ps`, `ttl3`.
    pub fn in_name(self, value: &Value) -> String {
        let (before, after) = self.about().in_name;
        match value {
            Value::Number(number) => format!("{before}{number}{after}"),
            Value::Word(word) => format!("{before}{word}"),
        }
    }

    /// Values where the factor is named before them: `64, 1400 B`.
    pub fn listed(self, values: &[Value]) -> String {
        let text = |value: &Value| match self.about().says {
            Says::Each(words) => words(&value.to_string()),
            _ => self.spelled(value),
        };
        let list = values.iter().map(text).collect::<Vec<_>>().join(", ");
        match self.about().says {
            Says::Before(unit) if self.about().number.is_some() && self != Factor::Distance => list + unit,
            _ => list,
        }
    }

    /// Values in words: `unicast`, `hub`, `4 and 16 receivers`. Three numbers and more are written as a range unless one of
    /// `others` lies within.
    pub fn in_words(self, values: &[Value], others: &[Value]) -> String {
        let says = self.about().says;
        let text = |value: &Value| match (value, says) {
            (Value::Number(number), _) => figure::count(*number),
            (Value::Word(word), Says::Each(words)) => words(word),
            (Value::Word(word), _) => word.clone(),
        };
        let list = list(values, others, text);
        match says {
            Says::Noun(noun) => format!("{list} {noun}{}", if list == "1" { "" } else { "s" }),
            Says::Before(unit) if values == [Value::from(MAX)] => format!("as many{unit} as can be"),
            Says::Before(unit) => format!("{list}{unit}"),
            Says::After(what) => format!("{what}{list}"),
            Says::Each(_) => list,
        }
    }
}

impl fmt::Display for Factor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.about().key)
    }
}

/// The rate without a limit.
pub const MAX: &str = "max";

impl Value {
    /// What a row tells in words; nothing where it is empty.
    fn told(text: &str) -> Option<Value> {
        (!text.is_empty()).then(|| Value::from(text))
    }

    /// Of a number; `None` of a word.
    pub fn number(&self) -> Option<f64> {
        if let Value::Number(number) = self { Some(*number) } else { None }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Number(number) => write!(f, "{number}"),
            Value::Word(word) => f.write_str(word),
        }
    }
}

impl From<&str> for Value {
    fn from(word: &str) -> Value {
        Value::Word(word.to_owned())
    }
}

impl From<Mode> for Value {
    fn from(mode: Mode) -> Value {
        Value::from(mode.as_str())
    }
}

/// Whole numbers, which are exact as far as anything can be counted here.
macro_rules! numbers {
    ($($type:ty),*) => {
        $(impl From<$type> for Value {
            fn from(number: $type) -> Value {
                Value::Number(number as f64)
            }
        })*
    };
}

numbers!(u8, u32, u64, usize);

fn list(values: &[Value], others: &[Value], text: impl Fn(&Value) -> String) -> String {
    let mut once: Vec<&Value> = Vec::new();
    for value in values {
        if !once.contains(&value) {
            once.push(value);
        }
    }
    if let Some(numbers) = once.iter().map(|value| value.number()).collect::<Option<Vec<f64>>>() {
        once.sort_by(|a, b| a.number().unwrap_or(0.0).total_cmp(&b.number().unwrap_or(0.0)));
        let (first, last) = numbers.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), n| (a.min(*n), b.max(*n)));
        let within = |other: &Value| other.number().is_some_and(|other| (first..=last).contains(&other));
        if numbers.len() > 2 && !others.iter().any(within) {
            return format!("{} to {}", text(once[0]), text(once[once.len() - 1]));
        }
    }
    and(once.into_iter().map(text).collect())
}

/// `a, b and c`
pub fn and(mut words: Vec<String>) -> String {
    match words.pop() {
        Some(last) if words.is_empty() => last,
        Some(last) => format!("{} and {last}", words.join(", ")),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_a_key_of_its_own() {
        for (index, factor) in Factor::ALL.into_iter().enumerate() {
            let found = Factor::ALL.iter().position(|other| other.about().key == factor.about().key);
            assert_eq!(found, Some(index), "{factor} is the key of two");
            assert_eq!(factor as usize, index, "the order is that of the list");
        }
    }

    #[test]
    fn in_words() {
        let numbers = |numbers: &[u64]| numbers.iter().copied().map(Value::from).collect::<Vec<_>>();
        assert_eq!(Factor::Receivers.in_words(&numbers(&[1]), &[]), "1 receiver");
        assert_eq!(Factor::Receivers.in_words(&numbers(&[16, 4, 8]), &[]), "4 to 16 receivers");
        assert_eq!(Factor::Receivers.in_words(&numbers(&[16, 4, 8]), &numbers(&[5])), "4, 8 and 16 receivers");
        assert_eq!(Factor::Rate.in_words(&[MAX.into()], &[]), "as many messages/s as can be");
        assert_eq!(Factor::Rate.in_words(&[500u64.into(), MAX.into()], &[]), "500 and max messages/s");
        assert_eq!(Factor::Relay.in_words(&["direct".into(), "queued".into()], &[]), "direct and queued relay");
        assert_eq!(Factor::Distance.listed(&[Value::Number(0.0), Value::Number(20.0)]), "0s, 20ms");
        assert_eq!(Factor::Size.listed(&numbers(&[64, 1400])), "64, 1400 B");
        assert_eq!(Factor::Ttl.in_name(&3u8.into()), "ttl3");
    }
}
