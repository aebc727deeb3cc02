//! What a [`Factor`] is in a case, and in a condition. Pure.

use std::net::IpAddr;
use std::time::Duration;

use super::condition::{Attribution, Condition};
use super::design::Case;
use crate::chat::options::Relay;
use crate::delivery::BroadcastAddress;
use crate::lan::{Igmp, Nic, SwitchKind};
use crate::results::factor::{Factor, MAX, Value};
use crate::units::{Rate, Role};

impl Factor {
    /// What a condition is in it, whether or not that is anything to its mode.
    pub fn of(self, condition: &Condition) -> Value {
        let Condition { network, traffic, server, .. } = condition;
        match self {
            Factor::Case => condition.case.as_str().into(),
            Factor::Mode => condition.mode.into(),
            Factor::Switch => network.switch.into(),
            Factor::Nic => network.nic.into(),
            Factor::Receivers => condition.count(Role::Receiver).into(),
            Factor::Hosts => condition.hosts().into(),
            Factor::Igmp => network.igmp.into(),
            Factor::Rate => traffic.rate.into(),
            Factor::Burst => traffic.burst.into(),
            Factor::Size => traffic.size.into(),
            Factor::Ttl => traffic.ttl.into(),
            Factor::Group => traffic.group.into(),
            Factor::BroadcastAddress => traffic.broadcast_address.into(),
            Factor::Relay => server.relay.into(),
            Factor::Qos => server.qos.into(),
            Factor::Distance => network.distance.into(),
            Factor::Attribution => condition.attribution.into(),
        }
    }

    /// Whether two conditions are the same in it.
    pub fn is_same(self, a: &Condition, b: &Condition) -> bool {
        self.of(a) == self.of(b)
    }

    /// The values a case has of it.
    pub fn values(self, case: &Case) -> Vec<Value> {
        fn all<T: Clone + Into<Value>>(values: &[T]) -> Vec<Value> {
            values.iter().cloned().map(Into::into).collect()
        }
        match self {
            Factor::Case => vec![case.name.as_str().into()],
            Factor::Mode => all(&case.modes),
            Factor::Switch => all(&case.switch),
            Factor::Nic => all(&case.nic),
            Factor::Receivers => all(&case.receivers),
            Factor::Hosts => all(&case.hosts),
            Factor::Igmp => all(&case.igmp),
            Factor::Rate => all(&case.rate),
            Factor::Burst => all(&case.burst),
            Factor::Size => all(&case.size),
            Factor::Ttl => all(&case.ttl),
            Factor::Group => all(&case.multicast_groups()),
            Factor::BroadcastAddress => all(&case.broadcast_address),
            Factor::Relay => all(&case.relay),
            Factor::Qos => all(&case.qos),
            Factor::Distance => all(&case.distance),
            Factor::Attribution => all(&case.attributions()),
        }
    }

    /// Each of the conditions with each value a case has of it.
    pub(super) fn vary(self, case: &Case, conditions: Vec<Condition>) -> Vec<Condition> {
        match self {
            Factor::Mode => each(conditions, &case.measured_modes(), |c, &mode| c.mode = mode),
            Factor::Switch => each(conditions, &case.switch, |c, &switch| c.network.switch = switch),
            Factor::Nic => each(conditions, &case.nic, |c, &nic| c.network.nic = nic),
            Factor::Igmp => each(conditions, &case.igmp, |c, &igmp| c.network.igmp = igmp),
            Factor::Rate => each(conditions, &case.rate, |c, &rate| c.traffic.rate = rate),
            Factor::Burst => each(conditions, &case.burst, |c, &burst| c.traffic.burst = burst),
            Factor::Size => each(conditions, &case.size, |c, &size| c.traffic.size = size),
            Factor::Ttl => each(conditions, &case.ttl, |c, &ttl| c.traffic.ttl = ttl),
            Factor::Group => each(conditions, &case.multicast_groups(), |c, &group| c.traffic.group = group),
            Factor::BroadcastAddress => {
                each(conditions, &case.broadcast_address, |c, &to| c.traffic.broadcast_address = to)
            }
            Factor::Relay => each(conditions, &case.relay, |c, &relay| c.server.relay = relay),
            Factor::Qos => each(conditions, &case.qos, |c, &qos| c.server.qos = qos),
            Factor::Distance => each(conditions, &case.distance, |c, &distance| c.network.distance = distance),
            Factor::Attribution => {
                each(conditions, &case.attributions(), |c, &attribution| c.attribution = attribution)
            }
            // These are there before: a case has one name, and who the hosts are makes the network.
            Factor::Case | Factor::Hosts | Factor::Receivers => conditions,
        }
    }
}

fn each<T>(conditions: Vec<Condition>, values: &[T], set: impl Fn(&mut Condition, &T)) -> Vec<Condition> {
    let mut all = Vec::with_capacity(conditions.len() * values.len());
    for condition in conditions {
        for value in values {
            let mut condition = condition.clone();
            set(&mut condition, value);
            all.push(condition);
        }
    }
    all
}

/// Words by their spelling.
macro_rules! words {
    ($($type:ty),*) => {
        $(impl From<$type> for Value {
            fn from(value: $type) -> Value {
                Value::Word(value.to_string())
            }
        })*
    };
}

words!(SwitchKind, Nic, BroadcastAddress, Relay, Attribution, IpAddr);

impl From<Rate> for Value {
    fn from(rate: Rate) -> Value {
        rate.per_second().map_or(Value::from(MAX), Value::Number)
    }
}

/// In ms.
impl From<Duration> for Value {
    fn from(duration: Duration) -> Value {
        Value::Number(duration.as_secs_f64() * 1e3)
    }
}

/// The version, and what else is not as usual: `3`, `2-500ms`.
impl From<Igmp> for Value {
    fn from(igmp: Igmp) -> Value {
        let usual = Igmp::default();
        let mut word = igmp.version.to_string();
        let last_member = Some(igmp.last_member_interval).filter(|interval| *interval != usual.last_member_interval);
        for interval in last_member.into_iter().chain(igmp.membership_interval) {
            word += &format!("-{}ms", interval.as_millis());
        }
        Value::Word(word)
    }
}
