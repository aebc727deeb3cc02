//! From the tables of a lab file to the cases of a design, and back from a refusal to its place in the file.

use super::file::{Factors, Flow, Group, Querier, Selector};
use super::problem::Found;
use super::value::{Distance, Key, Qos, SUSTAINABLE, Several, Span, Spot, Table, WantedRate};
use crate::results::factor::{Factor, Value};
use crate::run::Refused;
use crate::run::condition;
use crate::run::condition::HostGroup;
use crate::run::design::{Case, usual_receivers};
use crate::units::Rate;

impl Factors {
    /// These with the keys of `over` in their place, where it has them. Who the hosts are is one thing: groups replace
    /// hosts and receivers, and the other way round.
    #[must_use]
    pub fn under(mut self, over: &Factors) -> Factors {
        if over.groups.is_some() {
            (self.hosts, self.receivers) = (None, None);
        } else if over.hosts.is_some() || over.receivers.is_some() {
            self.groups = None;
        }
        self.replaced_by(over)
    }

    /// The case they describe; what they don't say is as usual.
    pub fn case(&self, name: &str) -> Case {
        let usual = Case::default();
        let values = |several: &Option<Several<usize>>| several.as_ref().map(Several::values);
        let hosts = values(&self.hosts).unwrap_or(usual.hosts);
        let receivers =
            values(&self.receivers).unwrap_or_else(|| usual_receivers(hosts.iter().copied().min().unwrap_or(0)));
        Case {
            name: name.to_owned(),
            modes: self.modes.as_ref().map_or(usual.modes, Several::values),
            hosts,
            receivers,
            groups: self.groups.iter().flatten().map(|group| host_group(&group.value)).collect(),
            switch: self.switch.as_ref().map_or(usual.switch, Several::values),
            nic: self.nic.as_ref().map_or(usual.nic, Several::values),
            rate: self.rate.as_ref().map_or(usual.rate, given),
            burst: self.burst.as_ref().map_or(usual.burst, Several::values),
            size: self.size.as_ref().map_or(usual.size, |size| size.values().iter().map(|bytes| bytes.0).collect()),
            ttl: self.ttl.as_ref().map_or(usual.ttl, Several::values),
            group: self.group.as_ref().map_or(usual.group, Several::values),
            igmp: self.igmp.as_ref().map_or(usual.igmp, Several::values),
            duration: value(&self.duration).unwrap_or(usual.duration),
            ipv6: value(&self.ipv6).unwrap_or(usual.ipv6),
            source_specific: value(&self.source_specific).unwrap_or(usual.source_specific),
            flow: self.flow.as_ref().map(|flow| run_flow(&flow.value)).or(usual.flow),
            querier: self.querier.as_ref().map(|querier| run_querier(&querier.value)).or(usual.querier),
            broadcast_address: self.broadcast_address.as_ref().map_or(usual.broadcast_address, Several::values),
            relay: self.relay.as_ref().map_or(usual.relay, Several::values),
            qos: self.qos.as_ref().map_or(usual.qos, |qos| qos.values().into_iter().map(|Qos(qos)| qos).collect()),
            retain: value(&self.retain).unwrap_or(usual.retain),
            server_dies_at: value(&self.server_dies_at).or(usual.server_dies_at),
            distance: self
                .distance
                .as_ref()
                .map_or(usual.distance, |several| several.values().into_iter().map(|Distance(delay)| delay).collect()),
            attribution: self.attribution.as_ref().map_or(usual.attribution, Several::values),
            loss_expected: value(&self.loss_expected).unwrap_or(usual.loss_expected),
        }
    }

    /// Whether the rate is to be found out.
    pub fn is_sustainable(&self) -> bool {
        self.rates().any(|rate| rate.value == WantedRate::Sustainable)
    }

    /// Where the rate is said.
    pub fn rates(&self) -> impl Iterator<Item = &Spot<WantedRate>> {
        self.rate.iter().flat_map(|rate| &rate.0)
    }

    /// What cannot be in one table, whatever the others say.
    pub fn check(&self, found: &mut Found) {
        if let (Some(_), Some(Several(other))) = (&self.groups, self.hosts.as_ref().or(self.receivers.as_ref())) {
            found.add(
                &other[0].span,
                "groups say already who the hosts are; leave out either them, or hosts and receivers",
            );
        }
        if self.is_sustainable() && self.rates().count() > 1 {
            let first = self.rates().next().map_or(0..0, |rate| rate.span.clone());
            found.add(&first, format!("{SUSTAINABLE} stands alone; the rates to try go into the key try"));
        }
        for (_, key) in self.keys() {
            each_once(key, found);
        }
        for group in self.groups.iter().flatten() {
            /// What a claim's `role` means where it is no group's name.
            const TAKEN: [&str; 7] = ["sender", "server", "receiver", "bystander", "router", "switch", "all"];
            if let Some(name) = group.value.name.as_ref().filter(|name| TAKEN.contains(&name.value.0.as_str())) {
                let what = format!("'{}' has a meaning of its own in claims; choose another name", name.value.0);
                found.add(&name.span, what);
            }
        }
    }

    /// Where the key stands that was refused, as near to the very value as possible; `None` where it is not said.
    pub fn place_of(&self, refused: &Refused) -> Option<Span> {
        let of = |name: &str| self.keys().into_iter().find(|(key, _)| *key == name)?.1.place(&refused.value);
        match refused.factor {
            // Of the numbers of hosts there can be none of receivers.
            "receivers" => of("receivers").or_else(|| of("hosts")),
            key => of(key),
        }
    }
}

impl Key for Vec<Table<Group>> {
    /// Where the group of this name stands; the first, where it has none.
    fn place(&self, name: &str) -> Option<Span> {
        let named = |group: &&Table<Group>| group.value.name.as_ref().is_some_and(|n| n.value.0 == name);
        let group = if name.is_empty() { None } else { self.iter().rfind(named) };
        group.or(self.first()).map(|group| group.span.clone())
    }
}

impl Selector {
    /// The values it asks for of a factor, and where they stand; none where it leaves it open.
    pub fn spots(&self, factor: Factor) -> Vec<Spot<Value>> {
        fn spots<T: Clone + Into<Value>>(several: &Option<Several<T>>) -> Vec<Spot<Value>> {
            let spots = several.iter().flat_map(|several| &several.0);
            spots.map(|spot| Spot { value: spot.value.clone().into(), span: spot.span.clone() }).collect()
        }
        match factor {
            Factor::Case => spots(&self.case),
            Factor::Mode => spots(&self.mode),
            Factor::Switch => spots(&self.switch),
            Factor::Nic => spots(&self.nic),
            Factor::Receivers => spots(&self.receivers),
            Factor::Hosts => spots(&self.hosts),
            Factor::Igmp => spots(&self.igmp),
            Factor::Rate => spots(&self.rate),
            Factor::Burst => spots(&self.burst),
            Factor::Attribution => spots(&self.attribution),
            Factor::Size => spots(&self.size),
            Factor::Ttl => spots(&self.ttl),
            Factor::Group => spots(&self.group),
            Factor::BroadcastAddress => spots(&self.broadcast_address),
            Factor::Relay => spots(&self.relay),
            Factor::Qos => spots(&self.qos),
            Factor::Distance => spots(&self.distance),
        }
    }
}

/// A value said twice would only be measured twice.
pub(super) fn each_once(key: &dyn Key, found: &mut Found) {
    if let Some(span) = key.twice() {
        found.add(span, "this value is in the list twice; leave it out");
    }
}

fn value<T: Clone>(spot: &Option<Spot<T>>) -> Option<T> {
    spot.as_ref().map(|spot| spot.value.clone())
}

/// The rates that are known; one to be found out is filled in by the design.
fn given(rates: &Several<WantedRate>) -> Vec<Rate> {
    let given = |spot: &Spot<WantedRate>| match spot.value {
        WantedRate::Given(rate) => Some(rate),
        WantedRate::Sustainable => None,
    };
    rates.0.iter().filter_map(given).collect()
}

fn host_group(group: &Group) -> HostGroup {
    let usual = HostGroup::new(group.role.value, value(&group.count).unwrap_or(1));
    HostGroup {
        name: value(&group.name).map_or(usual.name, |name| name.0),
        lan: value(&group.lan).unwrap_or(usual.lan),
        busy: value(&group.busy).unwrap_or(usual.busy),
        joins_at: value(&group.joins_at),
        leaves_at: value(&group.leaves_at),
        returns_at: value(&group.returns_at),
        member_of: value(&group.member_of),
        works: value(&group.works).unwrap_or(usual.works),
        link_limit: value(&group.link_limit).map(|bits| bits.0),
        ..usual
    }
}

fn run_flow(flow: &Flow) -> condition::Flow {
    condition::Flow {
        from: flow.from.value.0.clone(),
        to: value(&flow.to).map(|name| name.0),
        rate: flow.rate.value,
        size: flow.size.value.0,
    }
}

fn run_querier(querier: &Querier) -> condition::Querier {
    condition::Querier { interval: querier.interval.value, stops_at: value(&querier.stops_at) }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::lab::{self, Lab};
    use crate::units::Mode;

    /// Two values of a factor as a lab file has them, with what else it takes to measure it.
    fn two_values(factor: Factor) -> ([&'static str; 2], &'static str) {
        match factor {
            Factor::Case => (["\"a\"", "\"b\""], ""),
            Factor::Mode => (["\"unicast\"", "\"multicast\""], ""),
            Factor::Switch => (["\"snooping\"", "\"hub\""], ""),
            Factor::Nic => (["\"promiscuous\"", "\"filter\""], ""),
            Factor::Receivers => (["3", "5"], ""),
            Factor::Hosts => (["7", "9"], ""),
            Factor::Igmp => (["3", "2"], ""),
            Factor::Rate => (["500", "\"1k\""], ""),
            Factor::Burst => (["1", "16"], ""),
            Factor::Attribution => (["\"threads\"", "\"plain\""], ""),
            Factor::Size => (["64", "\"1k\""], ""),
            Factor::Ttl => (["1", "9"], ""),
            Factor::Group => (["\"239.1.1.1\"", "\"239.2.2.2\""], ""),
            Factor::BroadcastAddress => (["\"limited\"", "\"directed\""], ""),
            Factor::Relay => (["\"queued\"", "\"direct\""], ""),
            Factor::Qos => (["0", "1"], ""),
            Factor::Distance => (
                ["\"0ms\"", "\"20ms\""],
                "[[measure.groups]]\nrole = \"sender\"\n[[measure.groups]]\nrole = \"receiver\"\nlan = 2\n",
            ),
        }
    }

    /// A lab that measures both values, with a claim about each, and of numbers one about the line through them.
    pub(crate) fn lab_of(factor: Factor) -> Lab {
        let ([a, b], rest) = two_values(factor);
        let mode = Mode::ALL.into_iter().find(|mode| factor.matters_to(*mode)).unwrap();
        let measured = match factor {
            Factor::Case => format!("modes = \"{mode}\"\n[[measure.case]]\nname = {a}\n[[measure.case]]\nname = {b}\n"),
            Factor::Mode => format!("modes = [{a}, {b}]\n"),
            _ => format!("modes = \"{mode}\"\n{factor} = [{a}, {b}]\n"),
        };
        let hosts = if rest.is_empty() && factor != Factor::Hosts { "hosts = 9\n" } else { "" };
        let receivers = if rest.is_empty() && factor != Factor::Receivers { "receivers = 3\n" } else { "" };
        let claim = "\n[[claim]]\nsays = \"s\"\nmetric = \"link_tx_frames\"\nrole = \"sender\"\n";
        let mut claims: String = [a, b].map(|v| format!("{claim}at_most = 1\nwhere = {{ {factor} = {v} }}\n")).concat();
        if factor.about().number.is_some() {
            claims += &format!("{claim}grows_with = \"{factor}\"\n{claim}at_least = \"2 * {factor}\"\n");
        }
        let text = format!("title = \"T\"\nlecture = \"L\"\n[measure]\n{hosts}{receivers}{measured}{rest}{claims}");
        lab::read("t", text.as_bytes()).unwrap_or_else(|problems| panic!("{factor}: {problems:?}\n{text}"))
    }

    #[test]
    fn every_factor_is_in_the_lab_file_the_plan_names_headings_and_rows() {
        for factor in Factor::ALL {
            let lab = lab_of(factor);
            let plan = lab.design.plan().unwrap();
            let [a, b] = &plan.conditions[..] else { panic!("{factor}: {} conditions", plan.conditions.len()) };
            assert!(!factor.is_same(a, b), "{factor}");
            for other in Factor::ALL.into_iter().filter(|other| *other != factor) {
                assert!(other.is_same(a, b), "{other} varies with {factor}");
            }
            let chosen = |claim: usize| -> Vec<_> {
                plan.conditions.iter().filter(|c| lab.claims[claim].select.matches(c)).collect()
            };
            assert_eq!((chosen(0), chosen(1)), (vec![a], vec![b]), "{factor}");

            assert!(b.name.contains(&factor.in_name(&factor.of(b))), "{factor}: {}", b.name);
            let headings: Vec<String> = plan.settings().iter().map(ToString::to_string).collect();
            assert_eq!(headings.len(), if factor == Factor::Mode { 1 } else { 2 }, "{factor}");
            assert!(factor == Factor::Mode || headings[0] != headings[1], "{factor}: {headings:?}");
            let told: Vec<_> = plan.rows().iter().map(factor.about().of_row).collect();
            assert_eq!(told, [Some(factor.of(a)), Some(factor.of(b))], "{factor}");
        }
    }
}
