//! What no LAN can be.

use std::time::Duration;

use super::plan::MAX_HOSTS;
use super::router::MAX_LANS;
use super::spec::{Igmp, LanSpec, LinkLimit, SwitchKind};
use crate::error::{Error, Result};

/// Looks whether a LAN can be like this.
///
/// # Errors
/// As [`Plan::new`](super::plan::Plan::new).
pub(super) fn check(spec: &LanSpec) -> Result<()> {
    check_size(spec)?;
    check_igmp(&spec.igmp, spec.switch)?;
    check_distance(spec)?;
    spec.limit.as_ref().map_or(Ok(()), |limit| check_limit(limit, spec.hosts()))
}

fn check_size(spec: &LanSpec) -> Result<()> {
    let (hosts, lans) = (spec.hosts(), spec.lans.len());
    if hosts < 2 {
        return Err(Error::usage(format!("{hosts} hosts make no LAN; it takes at least 2")));
    }
    if lans > MAX_LANS {
        return Err(Error::usage(format!("{lans} LANs are too many: the router's interfaces are r1a to r1z")));
    }
    if let Some(empty) = spec.lans.iter().position(|hosts| *hosts == 0) {
        return Err(Error::usage(format!("LAN {} has no hosts", empty + 1)));
    }
    if hosts > MAX_HOSTS {
        let on_all = if lans > 1 { " on all LANs together" } else { "" };
        return Err(Error::usage(format!(
            "{hosts} hosts are too many: a Linux bridge has {MAX_HOSTS} ports, so at most {MAX_HOSTS} hosts{on_all}"
        )));
    }
    if spec.has_router() && spec.lans.contains(&MAX_HOSTS) {
        return Err(Error::usage(format!(
            "{MAX_HOSTS} hosts leave the router no port: a Linux bridge has {MAX_HOSTS}"
        )));
    }
    Ok(())
}

fn check_igmp(igmp: &Igmp, switch: SwitchKind) -> Result<()> {
    const LAST_MEMBER: std::ops::RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_millis(12_700);
    // A bridge asks at most once a second: twice, and the time to answer.
    const SHORTEST_ASKED: Duration = Duration::from_millis(2100);
    const SHORTEST: Duration = Duration::from_millis(10);
    if ![2, 3].contains(&igmp.version) {
        return Err(Error::usage(format!("IGMP version {}: it is 2 or 3", igmp.version)));
    }
    if !LAST_MEMBER.contains(&igmp.last_member_interval) {
        let given = igmp.last_member_interval;
        return Err(Error::usage(format!("a last member interval of {given:?}: it is 100ms to 12.7s")));
    }
    let shortest = if switch == SwitchKind::Snooping { SHORTEST_ASKED } else { SHORTEST };
    match igmp.membership_interval {
        Some(given) if given < shortest => Err(Error::usage(format!(
            "a membership interval of {given:?}: on a switch of the kind {switch} it is at least {shortest:?}"
        ))),
        _ => Ok(()),
    }
}

fn check_distance(spec: &LanSpec) -> Result<()> {
    const LONGEST: Duration = Duration::from_secs(10);
    let wrong = match spec.distance {
        distance if distance.is_zero() => return Ok(()),
        _ if !spec.forwards() => "lies between several LANs; there is one",
        _ if spec.ipv6 => "is made in IPv4 alone; the router would send IPv6 on without one",
        distance if distance > LONGEST => "is too far: 10s are the most",
        _ => return Ok(()),
    };
    Err(Error::usage(format!("a distance of {:?} {wrong}", spec.distance)))
}

fn check_limit(limit: &LinkLimit, hosts: usize) -> Result<()> {
    const SLOWEST: u64 = 10_000;
    if limit.bits_per_second < SLOWEST {
        let given = limit.bits_per_second;
        return Err(Error::usage(format!("a link of {given} bit/s: the slowest is one of {SLOWEST}")));
    }
    match limit.hosts.iter().find(|host| **host >= hosts) {
        Some(host) => Err(Error::usage(format!("a slower link to host h{}: there are {hosts} hosts", host + 1))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::plan::Plan;
    use super::*;

    fn lans(lans: &[usize], switch: SwitchKind) -> Result<Plan> {
        Plan::new(&LanSpec { lans: lans.to_vec(), ..LanSpec::single(0, switch, true) })
    }

    #[test]
    fn the_number_of_hosts_is_bounded_and_says_why() {
        let of = |hosts| Plan::new(&LanSpec::single(hosts, SwitchKind::Hub, false));
        assert!(of(2).is_ok() && of(MAX_HOSTS).is_ok());
        for hosts in [0, 1] {
            assert_eq!(of(hosts).unwrap_err().class().code(), 2);
        }
        let error = of(1024).unwrap_err();
        assert!(error.to_string().contains("a Linux bridge has 1023 ports"), "{error}");
        assert_eq!(error.class().code(), 2);
    }

    #[test]
    fn impossible_lans_are_wrong_usage() {
        let single = LanSpec { router: true, ..LanSpec::single(MAX_HOSTS, SwitchKind::Hub, false) };
        for (refused, why) in [
            (lans(&[1; MAX_LANS + 1], SwitchKind::Hub), "27 LANs are too many"),
            (lans(&[], SwitchKind::Hub), "0 hosts make no LAN"),
            (lans(&[2, 0, 1], SwitchKind::Hub), "LAN 2 has no hosts"),
            (lans(&[1000, 24], SwitchKind::Hub), "at most 1023 hosts on all LANs together"),
            (lans(&[usize::MAX, 1], SwitchKind::Hub), "too many"),
            (Plan::new(&single), "leave the router no port"),
        ] {
            let error = refused.unwrap_err();
            assert_eq!(error.class().code(), 2);
            assert!(error.to_string().contains(why), "{error}");
        }
        assert!(lans(&[1, 1], SwitchKind::Hub).is_ok());
    }

    #[test]
    fn what_no_switch_can_do_is_wrong_usage() {
        let spec = LanSpec::single(3, SwitchKind::Snooping, false);
        let limit = |hosts, bits_per_second| Some(LinkLimit { hosts, bits_per_second });
        let igmp = |version, last_member_ms, membership_ms| Igmp {
            version,
            last_member_interval: Duration::from_millis(last_member_ms),
            membership_interval: Some(Duration::from_millis(membership_ms)),
        };
        for (wrong, named) in [
            (LanSpec { igmp: igmp(1, 100, 3000), ..spec.clone() }, "IGMP version 1"),
            (LanSpec { igmp: igmp(3, 90, 3000), ..spec.clone() }, "90ms"),
            (LanSpec { igmp: igmp(3, 12_800, 3000), ..spec.clone() }, "12.8s"),
            (LanSpec { igmp: igmp(3, 100, 2000), ..spec.clone() }, "at least 2.1s"),
            (LanSpec { limit: limit(vec![0, 3], 1_000_000), ..spec.clone() }, "host h4"),
            (LanSpec { limit: limit(vec![0], 9_999), ..spec.clone() }, "9999 bit/s"),
        ] {
            let error = Plan::new(&wrong).unwrap_err();
            assert!(error.to_string().contains(named), "{error}");
            assert_eq!(error.class().code(), 2);
        }
        let right = LanSpec { igmp: igmp(2, 100, 2100), limit: limit(vec![0, 2], 10_000), ..spec };
        assert_eq!(Plan::new(&right).unwrap().port_requests().len(), 2);
    }

    #[test]
    fn a_distance_lies_between_lans() {
        let of = |lans: &[usize], ipv6, ms| {
            let distance = Duration::from_millis(ms);
            Plan::new(&LanSpec { lans: lans.to_vec(), distance, ..LanSpec::single(0, SwitchKind::Hub, ipv6) })
        };
        assert!(of(&[1, 1], false, 10_000).is_ok() && of(&[2], true, 0).is_ok() && of(&[1, 1], true, 0).is_ok());
        for (refused, why) in [
            (of(&[2], false, 20), "20ms lies between several LANs"),
            (of(&[1, 1], true, 20), "IPv4 alone"),
            (of(&[1, 1], false, 10_001), "10s are the most"),
        ] {
            let error = refused.unwrap_err();
            assert_eq!(error.class().code(), 2);
            assert!(error.to_string().contains(why), "{error}");
        }
    }
}
