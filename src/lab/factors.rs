//! From the tables of a lab file to the cases of a design, and back from a refusal to its place in the file.

use super::file::{Factors, Flow, Group, Querier};
use super::problem::Found;
use super::value::{Distance, Qos, SUSTAINABLE, Several, Span, Spot, Table, WantedRate};
use crate::run::Refused;
use crate::run::condition;
use crate::run::condition::{HostGroup, ServerPlan};
use crate::run::design::{Case, usual_receivers};
use crate::units::Rate;

impl Factors {
    /// These with the keys of `over` in their place, where it has them. Who the hosts are is one thing: groups replace
    /// hosts and receivers, and the other way round.
    #[must_use]
    pub fn under(self, over: &Factors) -> Factors {
        let (groups, hosts, receivers) = if over.groups.is_some() {
            (over.groups.clone(), None, None)
        } else if over.hosts.is_some() || over.receivers.is_some() {
            (None, over.hosts.clone().or(self.hosts), over.receivers.clone().or(self.receivers))
        } else {
            (self.groups, self.hosts, self.receivers)
        };
        Factors {
            modes: over.modes.clone().or(self.modes),
            hosts,
            receivers,
            groups,
            switch: over.switch.clone().or(self.switch),
            nic: over.nic.clone().or(self.nic),
            rate: over.rate.clone().or(self.rate),
            size: over.size.clone().or(self.size),
            duration: over.duration.clone().or(self.duration),
            ipv6: over.ipv6.clone().or(self.ipv6),
            ttl: over.ttl.clone().or(self.ttl),
            group: over.group.clone().or(self.group),
            source_specific: over.source_specific.clone().or(self.source_specific),
            igmp: over.igmp.clone().or(self.igmp),
            relay: over.relay.clone().or(self.relay),
            qos: over.qos.clone().or(self.qos),
            retain: over.retain.clone().or(self.retain),
            server_dies_at: over.server_dies_at.clone().or(self.server_dies_at),
            distance: over.distance.clone().or(self.distance),
            loss_expected: over.loss_expected.clone().or(self.loss_expected),
            flow: over.flow.clone().or(self.flow),
            querier: over.querier.clone().or(self.querier),
        }
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
            size: self.size.as_ref().map_or(usual.size, |size| size.values().iter().map(|bytes| bytes.0).collect()),
            ttl: self.ttl.as_ref().map_or(usual.ttl, Several::values),
            group: self.group.as_ref().map_or(usual.group, Several::values),
            igmp: self.igmp.as_ref().map_or(usual.igmp, Several::values),
            duration: value(&self.duration).unwrap_or(usual.duration),
            ipv6: value(&self.ipv6).unwrap_or(usual.ipv6),
            source_specific: value(&self.source_specific).unwrap_or(usual.source_specific),
            flow: self.flow.as_ref().map(|flow| run_flow(&flow.value)).or(usual.flow),
            querier: self.querier.as_ref().map(|querier| run_querier(&querier.value)).or(usual.querier),
            server: ServerPlan {
                relay: value(&self.relay).unwrap_or(usual.server.relay),
                qos: value(&self.qos).map_or(usual.server.qos, |Qos(qos)| qos),
                retain: value(&self.retain).unwrap_or(usual.server.retain),
                dies_at: value(&self.server_dies_at),
            },
            distance: self
                .distance
                .as_ref()
                .map_or(usual.distance, |several| several.values().into_iter().map(|Distance(delay)| delay).collect()),
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
        each_once(&self.modes, found);
        each_once(&self.hosts, found);
        each_once(&self.receivers, found);
        each_once(&self.switch, found);
        each_once(&self.nic, found);
        each_once(&self.rate, found);
        each_once(&self.size, found);
        each_once(&self.ttl, found);
        each_once(&self.group, found);
        each_once(&self.igmp, found);
        each_once(&self.distance, found);
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
        let value = refused.value.as_str();
        match refused.factor {
            "modes" => place(&self.modes, value),
            "hosts" => place(&self.hosts, value),
            "receivers" => place(&self.receivers, value).or_else(|| place(&self.hosts, "")),
            "switch" => place(&self.switch, value),
            "nic" => place(&self.nic, value),
            "size" => self.size.as_ref().and_then(|size| at(size, |bytes| bytes.0.to_string() == value)),
            "ttl" => place(&self.ttl, value),
            "group" => place(&self.group, value),
            "igmp" => self.igmp.as_ref().and_then(|igmp| at(igmp, |igmp| igmp.version.to_string() == value)),
            "rate" => self.rate.as_ref().and_then(|rate| at(rate, |_| false)),
            "duration" => self.duration.as_ref().map(|duration| duration.span.clone()),
            "flow" => self.flow.as_ref().map(|flow| flow.span.clone()),
            "querier" => self.querier.as_ref().map(|querier| querier.span.clone()),
            "qos" => self.qos.as_ref().map(|qos| qos.span.clone()),
            "server_dies_at" => self.server_dies_at.as_ref().map(|dies| dies.span.clone()),
            "distance" => place(&self.distance, value),
            "groups" => self.place_of_group(value),
            _ => None,
        }
    }

    /// Where the group of this name stands; the first, where it has none.
    fn place_of_group(&self, name: &str) -> Option<Span> {
        let groups = self.groups.as_ref()?;
        let named = |group: &&Table<Group>| group.value.name.as_ref().is_some_and(|n| n.value.0 == name);
        let group = if name.is_empty() { None } else { groups.iter().rfind(named) };
        group.or(groups.first()).map(|group| group.span.clone())
    }
}

/// A value said twice would only be measured twice.
pub(super) fn each_once<T: PartialEq>(several: &Option<Several<T>>, found: &mut Found) {
    let Some(Several(spots)) = several else { return };
    for (index, spot) in spots.iter().enumerate() {
        if spots[..index].iter().any(|earlier| earlier.value == spot.value) {
            found.add(&spot.span, "this value is in the list twice; leave it out");
            return;
        }
    }
}

fn value<T: Clone>(spot: &Option<Spot<T>>) -> Option<T> {
    spot.as_ref().map(|spot| spot.value.clone())
}

/// Where a value stands in the list, by its spelling; the first, where it does not.
fn place<T: std::fmt::Display>(several: &Option<Several<T>>, value: &str) -> Option<Span> {
    at(several.as_ref()?, |one| one.to_string() == value)
}

fn at<T>(several: &Several<T>, is: impl Fn(&T) -> bool) -> Option<Span> {
    let spots = &several.0;
    spots.iter().find(|spot| is(&spot.value)).or(spots.first()).map(|spot| spot.span.clone())
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
