//! Which interface, when the person named none.

use std::net::{IpAddr, SocketAddr};

use crate::error::{Error, Result};
use crate::sys::interface::{self, Interface};

/// The interface called `name`, which must be up.
pub(super) fn named(name: &str) -> Result<Interface> {
    let interface = Interface::named(name)?;
    if !interface.is_up() {
        return Err(Error::failed(format!("interface {name} is down"))
            .remedy(format!("Bring it up: sudo ip link set {name} up")));
    }
    Ok(interface)
}

/// The interface to broadcast on: the one called `name`, or the only possible one, or that of the default route.
pub(super) fn for_broadcast(name: Option<&str>) -> Result<Interface> {
    if let Some(name) = name {
        let interface = named(name)?;
        return match interface.can_broadcast() {
            true => Ok(interface),
            false => Err(Error::usage(format!(
                "--interface {name}: this interface knows no broadcast (loopback, tunnels and point-to-point links do \
                 not); those that do: {}",
                interface::names(Interface::all()?.iter().filter(|other| other.can_broadcast()))
            ))),
        };
    }
    only_or_default("broadcast", |interface| interface.can_broadcast())
}

/// The interface for `group`: the one called `name`, or that of the route to the group, or the only possible one, or
/// that of the default route.
pub(super) fn for_multicast(name: Option<&str>, group: IpAddr) -> Result<Interface> {
    if let Some(name) = name {
        let interface = named(name)?;
        // Loopback lacks the flag, but delivers to members on this host.
        return match interface.can_multicast() || interface.is_loopback() {
            true => Ok(interface),
            false => Err(Error::usage(format!(
                "--interface {name}: this interface knows no multicast; those that do: {}",
                interface::names(Interface::all()?.iter().filter(|other| other.can_multicast()))
            ))),
        };
    }
    // Any port will do. IPv6 has a multicast route on every interface: the first of them is nobody's choice.
    if let (IpAddr::V4(_), Ok(source)) = (group, interface::source_address(SocketAddr::new(group, 9)))
        && let Some(interface) = Interface::all()?.into_iter().find(|interface| interface.has(source))
    {
        return Ok(interface);
    }
    only_or_default("multicast", |interface| interface.can_multicast())
}

fn only_or_default(purpose: &str, possible: impl Fn(&Interface) -> bool) -> Result<Interface> {
    let mut candidates = Interface::all()?;
    candidates.retain(|interface| interface.is_up() && !interface.is_loopback() && possible(interface));
    choose(candidates, interface::of_default_route().as_deref(), purpose)
}

fn choose(candidates: Vec<Interface>, default_route: Option<&str>, purpose: &str) -> Result<Interface> {
    match &candidates[..] {
        [] => Err(Error::usage(format!(
            "no interface that is up can do {purpose}; name one with --interface (see: ip link)"
        ))),
        [only] => Ok(only.clone()),
        _ => candidates.iter().find(|candidate| Some(candidate.name.as_str()) == default_route).cloned().ok_or_else(
            || {
                let names = interface::names(&candidates);
                Error::usage(format!("{purpose} could leave by {names}: name one with --interface"))
            },
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_only_one_then_the_default_route_then_a_question() {
        let like = |name: &str| Interface { name: name.into(), ..Interface::named("lo").unwrap() };
        let (eth0, wlan0) = (like("eth0"), like("wlan0"));
        let both = vec![eth0.clone(), wlan0.clone()];
        assert_eq!(choose(vec![eth0.clone()], Some("wlan0"), "broadcast").unwrap(), eth0);
        assert_eq!(choose(both.clone(), Some("wlan0"), "broadcast").unwrap(), wlan0);
        for default_route in [None, Some("tun0")] {
            let error = choose(both.clone(), default_route, "broadcast").unwrap_err().to_string();
            assert_eq!(error, "broadcast could leave by eth0, wlan0: name one with --interface");
        }
        assert!(choose(Vec::new(), None, "multicast").unwrap_err().to_string().contains("can do multicast"));
    }

    #[test]
    fn loopback_knows_no_broadcast() {
        let error = for_broadcast(Some("lo")).unwrap_err().to_string();
        assert!(error.starts_with("--interface lo: this interface knows no broadcast"), "{error}");
        assert!(for_multicast(Some("lo"), "239.1.1.1".parse().unwrap()).unwrap().is_loopback());
    }
}
