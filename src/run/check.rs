//! What stands against measuring a case. Pure.

use std::time::Duration;

use super::condition::{Condition, HostGroup, Traffic};
use super::design::Case;
use super::refused::{Refused, refuse};
use crate::delivery::stream::Language;
use crate::lan::plan::MAX_HOSTS;
use crate::results::factor::Value;
use crate::units::{Mode, Rate, Role};
use crate::wire::probe;

/// Largest payload of a raw frame on the LAN's links (their MTU), in bytes.
const LARGEST_RAW: usize = 1500;
/// Largest payload of an IPv4 UDP datagram, in bytes (RFC 791, RFC 768).
const LARGEST_DATAGRAM: usize = 65_507;
/// As the router has it.
const FARTHEST: Duration = Duration::from_secs(10);
/// Longer windows nobody wants to wait for.
const LONGEST: Duration = Duration::from_secs(3600);

/// Frames that the ring of a veth link holds (`VETH_RING_SIZE` in the kernel's `drivers/net/veth.c`).
const RING_FRAMES: usize = 256;
/// What IP and UDP need of a frame, in bytes.
const HEADERS: usize = 28;

/// Whether what leaves at once has room on the way: a link's ring loses what it cannot hold.
pub(super) fn check_burst(condition: &Condition) -> Result<(), Refused> {
    let Traffic { rate, burst, size, .. } = condition.traffic;
    if burst == 0 {
        return refuse("burst", 0, "sends nothing; 1 is one message at each due time");
    }
    if burst > 1 && rate == Rate::Max {
        return refuse("burst", burst, "leaves at each due time, and at the rate max there is none; give a rate");
    }
    // A stream has a queue of its own before the link's.
    if burst == 1 || condition.mode.has_server() {
        return Ok(());
    }
    let copies = if condition.mode == Mode::Unicast { condition.count(Role::Receiver) } else { 1 };
    let frames_of_one = (size + HEADERS).div_ceil(LARGEST_RAW);
    if burst as usize * copies * frames_of_one > RING_FRAMES {
        let most = RING_FRAMES / (copies * frames_of_one);
        let frames = copies * frames_of_one;
        let why = format!(
            "a virtual link holds {RING_FRAMES} frames and loses what is more; with {frames} for each message ({}) {}",
            condition.mode,
            if most < 2 {
                "there can be no bursts".to_owned()
            } else {
                format!("{most} messages at once are the most")
            }
        );
        return refuse("burst", burst, why);
    }
    Ok(())
}

impl Case {
    /// Who does what.
    pub(super) fn check_groups(&self, with_server: bool) -> Result<(), Refused> {
        let first = &self.groups[0];
        if first.role != Role::Sender || first.count != 1 || first.lan != 1 {
            return refuse("groups", &first.name, "the first is the one sender, on LAN 1");
        }
        let mut names: Vec<&str> = Vec::new();
        for (index, group) in self.groups.iter().enumerate() {
            let refuse = |why: &str| refuse("groups", &group.name, why);
            match group.role {
                Role::Sender if index > 0 => return refuse("there is one sender; what others send is a flow"),
                Role::Switch | Role::Router => return refuse("a host is a sender, receiver, bystander or server"),
                _ => {}
            }
            if group.count == 0 {
                return refuse("a group has at least 1 host");
            }
            let last = if index == 0 { 1 } else { self.groups[index - 1].lan };
            if group.lan < last || group.lan > last + 1 {
                return refuse("groups go LAN by LAN, counted from 1, with none left out");
            }
            let is = |role| group.role == role;
            if !group.busy.is_zero() && !is(Role::Receiver) {
                return refuse("receivers alone are busy with messages");
            }
            let moves = [group.joins_at, group.leaves_at, group.returns_at];
            if moves.iter().any(Option::is_some) && !is(Role::Receiver) {
                return refuse("receivers alone join and leave");
            }
            if group.returns_at.is_some() && group.returns_at <= group.leaves_at.or(group.returns_at) {
                return refuse("who returns has left before: set leaves_at to a time before returns_at");
            }
            if (group.works || group.member_of.is_some()) && !is(Role::Bystander) {
                return refuse("bystanders alone work or are members of another group");
            }
            if group.member_of.is_some_and(|address| !address.is_multicast() || address.is_ipv6() != self.ipv6) {
                return refuse("member_of is a group address of the IP version measured");
            }
            if moves.into_iter().flatten().any(|time| time >= self.duration) {
                return refuse("joining and leaving happen within the duration");
            }
            if group.joins_at.zip(group.leaves_at).is_some_and(|(joins, leaves)| joins >= leaves) {
                return refuse("leaving comes after joining");
            }
            if group.link_limit == Some(0) {
                return refuse("a link carries more than 0 bits a second");
            }
            if !group.name.is_empty() && names.contains(&group.name.as_str()) {
                return refuse("is the name of two groups; give each its own");
            }
            names.push(&group.name);
        }
        if !self.groups.iter().any(|group| group.role == Role::Receiver) {
            return refuse("groups", "", "at least one group has the role receiver");
        }
        let servers = self.groups.iter().filter(|group| group.role == Role::Server).map(|group| group.count).sum();
        match (with_server, servers) {
            (true, 1) | (false, 0) => {}
            (true, 0) => return refuse("groups", "", "chat and pubsub need a group of one host with the role server"),
            (true, _) => return refuse("groups", "", "there is one server; make that group's count 1"),
            (false, _) => return refuse("groups", "", "of these modes none has a server; leave that group out"),
        }
        let hosts: usize = self.groups.iter().map(|group| group.count).sum();
        if hosts > MAX_HOSTS {
            return refuse(
                "groups",
                "",
                format!("{hosts} hosts are more than the {MAX_HOSTS} ports of a Linux bridge"),
            );
        }
        Ok(())
    }

    /// How long a message is.
    pub(super) fn check_sizes(&self, modes: &[Mode]) -> Result<(), Refused> {
        for &size in &self.size {
            if size < probe::HEADER_LEN {
                let why = format!("a measured message needs at least {} bytes for its probe header", probe::HEADER_LEN);
                return refuse("size", size, why);
            }
            if size > LARGEST_DATAGRAM {
                return refuse("size", size, format!("a UDP datagram holds at most {LARGEST_DATAGRAM} bytes"));
            }
            let line = Language::Chat.sizes();
            if modes.contains(&Mode::Chat) && !line.contains(&size) {
                let (least, most) = (line.start, line.end - 1);
                let why =
                    format!("a chat message is a line of text, {least} to {most} bytes; leave chat out of the modes");
                return refuse("size", size, why);
            }
            if modes.contains(&Mode::RawBroadcast) && size > LARGEST_RAW {
                let why = format!(
                    "a raw Ethernet frame holds at most {LARGEST_RAW} bytes; choose a smaller size or leave \
                     raw-broadcast out of the modes"
                );
                return refuse("size", size, why);
            }
        }
        Ok(())
    }

    /// What is sent, and what goes on beside.
    pub(super) fn check_traffic(&self) -> Result<(), Refused> {
        if self.duration.is_zero() {
            return refuse("duration", "0s", "leaves no time to measure");
        }
        if self.duration > LONGEST {
            let longest = humantime::format_duration(LONGEST);
            return refuse("duration", humantime::format_duration(self.duration), format!("{longest} is the longest"));
        }
        if self.ttl.contains(&0) {
            return refuse("ttl", 0, "a hop limit is a number from 1 to 255");
        }
        for group in &self.group {
            if !group.is_multicast() {
                return refuse("group", group, "is no group address; those are 224.0.0.0/4 and ff00::/8");
            }
            if group.is_ipv6() != self.ipv6 {
                return refuse("group", group, "is not of the IP version measured; set ipv6 = true for IPv6");
            }
        }
        if let Some(igmp) = self.igmp.iter().find(|igmp| !(2..=3).contains(&igmp.version)) {
            return refuse("igmp", Value::from(*igmp), "IGMP is measured in versions 2 and 3");
        }
        if let Some(flow) = &self.flow {
            for name in std::iter::once(&flow.from).chain(&flow.to) {
                match self.groups.iter().find(|group| group.name == *name && !name.is_empty()) {
                    Some(group) if group.role == Role::Bystander => {}
                    Some(_) => return refuse("flow", name, "is between bystanders"),
                    None => return refuse("flow", name, "is the name of no group of hosts"),
                }
            }
            if flow.to.as_ref() == Some(&flow.from) {
                return refuse("flow", &flow.from, "has its first host send to itself; name two groups");
            }
            if flow.size < probe::HEADER_LEN || flow.size > LARGEST_DATAGRAM {
                return refuse(
                    "flow",
                    flow.size,
                    format!("a size is {} to {LARGEST_DATAGRAM} bytes", probe::HEADER_LEN),
                );
            }
        }
        if let Some(qos) = self.qos.iter().find(|qos| **qos > 1) {
            return refuse("qos", qos, "is measured as 0 (at most once) or 1 (at least once)");
        }
        if self.server_dies_at.is_some_and(|dies| dies >= self.duration) {
            return refuse("server_dies_at", "", "it dies within the duration");
        }
        if self.distance.iter().any(|distance| !distance.is_zero()) && self.groups.iter().all(|group| group.lan == 1) {
            return refuse("distance", "", "is between LANs; put groups of hosts on a second one with lan = 2");
        }
        if self.distance.iter().any(|distance| !distance.is_zero()) {
            let refuse = |why: &str| refuse("distance", "", why);
            if self.ipv6 {
                return refuse("is measured in IPv4 only");
            }
            if self.querier.is_some() {
                return refuse("keeps the router from asking for members; leave the querier out");
            }
            let far = |group: &&HostGroup| group.role == Role::Receiver && group.lan > 1;
            if self.modes.contains(&Mode::Multicast) && self.groups.iter().any(|group| far(&group)) {
                return refuse("is not crossed by groups; leave multicast out, or its receivers on LAN 1");
            }
            if self.distance.iter().any(|distance| *distance > FARTHEST) {
                return refuse("is at most 10 s");
            }
        }
        if let Some(querier) = &self.querier {
            if querier.interval.is_zero() {
                return refuse("querier", "0s", "an interval is longer than 0");
            }
            if querier.stops_at.is_some_and(|stops| stops >= self.duration) {
                return refuse("querier", "", "it stops within the duration");
            }
        }
        Ok(())
    }
}
