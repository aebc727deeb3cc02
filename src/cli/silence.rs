//! Why nothing arrives: what the kernel counted while `recv` got nothing, which layer that points at, where to look.

use std::fs;
use std::time::Duration;

use super::address::interface_names;
use super::summary::counted;
use crate::counters::{self, HostCounters};
use crate::delivery::Listen;
use crate::error::Result;

/// Silence is explained after this long, and looked at again after as long.
const PATIENCE: Duration = Duration::from_secs(3);
/// Explanations at most.
const MOST: u32 = 5;

/// Watches over a `recv` that has got nothing so far.
pub(crate) struct Silence {
    listen: Listen,
    interfaces: Vec<String>,
    before: Snapshot,
    due: Duration,
    told: Vec<Vec<Finding>>,
    broken: bool,
}

impl Silence {
    /// Starts watching a listener on `interface` (`None`: on all): counters are compared with those of now.
    ///
    /// # Errors
    /// When the kernel's counters cannot be read.
    pub(crate) fn new(listen: &Listen, interface: Option<&str>) -> Result<Self> {
        let interfaces = interface.map_or_else(interface_names, |name| vec![name.to_owned()]);
        let before = Snapshot::take(&interfaces)?;
        Ok(Silence { listen: listen.clone(), interfaces, before, due: PATIENCE, told: Vec::new(), broken: false })
    }

    /// What to tell the user `now` (since the start), when `datagrams` have arrived: nothing once any has, nothing
    /// before it is time, and the same findings only once.
    pub(crate) fn explain(&mut self, now: Duration, datagrams: u64) -> Option<String> {
        if datagrams > 0 {
            self.broken = true;
        }
        if self.broken || now < self.due || self.told.len() as u32 >= MOST {
            return None;
        }
        self.due = now + PATIENCE;
        let evidence = Snapshot::take(&self.interfaces).ok()?.since(&self.before);
        let findings = diagnose(&self.listen, &evidence);
        if self.told.contains(&findings) {
            return None;
        }
        let place = match &self.interfaces[..] {
            [one] => one,
            _ => "all interfaces together",
        };
        let mut text =
            format!("nothing in {} s. Since the start the kernel counted {}.", now.as_secs(), evidence.in_words(place));
        for finding in &findings {
            text += "\n  - ";
            text += &finding.advice(&self.listen, &self.interfaces);
        }
        self.told.push(findings);
        Some(text)
    }
}

/// The counters at one moment.
struct Snapshot {
    hosts: Vec<HostCounters>,
    reverse_path: Option<u64>,
}

impl Snapshot {
    fn take(interfaces: &[String]) -> Result<Self> {
        let hosts = interfaces.iter().map(|name| counters::read(name)).collect::<Result<_>>()?;
        let netstat = fs::read_to_string("/proc/thread-self/net/netstat").unwrap_or_default();
        Ok(Snapshot { hosts, reverse_path: netstat_field(&netstat, "TcpExt:", "IPReversePathFilter") })
    }

    fn since(&self, earlier: &Snapshot) -> Evidence {
        let deltas: Vec<_> = self.hosts.iter().zip(&earlier.hosts).map(|(now, then)| now.since(then)).collect();
        // Links add up; IP and UDP are the host's, the same beside each link.
        let links = |field: fn(&HostCounters) -> Option<u64>| deltas.iter().map(field).sum::<Option<u64>>();
        let host = |field: fn(&HostCounters) -> Option<u64>| deltas.first().and_then(field);
        Evidence {
            frames: links(|host| host.link.rx_frames),
            other_host: links(|host| host.link.rx_other_host),
            ip: host(|host| host.ip.in_receives),
            vanished: host(|host| host.ip.not_joined),
            reverse_path: self.reverse_path.zip(earlier.reverse_path).and_then(|(now, then)| now.checked_sub(then)),
            udp: host(|host| host.udp.in_datagrams),
            no_ports: host(|host| host.udp.no_ports),
            ignored: host(|host| host.udp.ignored_multi),
            overflowed: host(|host| host.udp.rcvbuf_errors),
            errors: host(|host| host.udp.in_errors),
        }
    }
}

/// A field of a `/proc/…/net/netstat` block: a line of names, and below it one of values.
fn netstat_field(netstat: &str, block: &str, name: &str) -> Option<u64> {
    let mut lines = netstat.lines().filter_map(|line| line.strip_prefix(block));
    let column = lines.next()?.split_whitespace().position(|column| column == name)?;
    lines.next()?.split_whitespace().nth(column)?.parse().ok()
}

/// What the kernel counted during the silence; `None` where it has no such counter.
#[derive(Clone, Copy, Debug, Default)]
struct Evidence {
    frames: Option<u64>,
    other_host: Option<u64>,
    ip: Option<u64>,
    /// Reached IP and were neither delivered nor counted as an error.
    vanished: Option<u64>,
    /// Dropped by the reverse path filter.
    reverse_path: Option<u64>,
    udp: Option<u64>,
    no_ports: Option<u64>,
    ignored: Option<u64>,
    overflowed: Option<u64>,
    errors: Option<u64>,
}

impl Evidence {
    fn in_words(&self, place: &str) -> String {
        let mut words = Vec::new();
        let mut say = |count: Option<u64>, always: bool, one: &str, many: &str| {
            if let Some(count) = count.filter(|count| always || *count > 0) {
                words.push(counted(count, one, many));
            }
        };
        let (frame, frames) = (format!("frame in at {place}"), format!("frames in at {place}"));
        say(self.frames, true, &frame, &frames);
        say(self.other_host, false, "of them not for this MAC", "of them not for this MAC");
        say(self.ip, true, "IP packet", "IP packets");
        say(self.vanished, false, "of them neither delivered nor in error", "of them neither delivered nor in error");
        say(self.reverse_path, false, "dropped by rp_filter", "dropped by rp_filter");
        say(self.udp, true, "UDP datagram taken by a socket", "UDP datagrams taken by sockets");
        say(self.no_ports, false, "for a port nobody listens on", "for ports nobody listens on");
        say(self.ignored, false, "to a group or broadcast nobody wanted", "to groups or broadcasts nobody wanted");
        say(self.errors, false, "with an error", "with errors");
        if words.is_empty() { "nothing it would tell".to_owned() } else { words.join(", ") }
    }
}

/// Where the messages, if there were any, may have ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Finding {
    Overflow,
    BadDatagrams,
    ClosedPort,
    NobodyWanted,
    ReversePath,
    OtherMac,
    Vanished,
    OtherSockets,
    NothingForUs,
    NoIp,
    NoRawFrames,
    NothingOnLink,
}

/// What the counters point at. Each layer that saw something and did not hand it on, from the top of the stack down: any
/// of them may have been other traffic, as there nearly always is some. Where none did, how far up anything came.
fn diagnose(listen: &Listen, evidence: &Evidence) -> Vec<Finding> {
    let seen = |count: Option<u64>| count.is_some_and(|count| count > 0);
    if matches!(listen, Listen::RawBroadcast) {
        return vec![if seen(evidence.frames) { Finding::NoRawFrames } else { Finding::NothingOnLink }];
    }
    let to_many = matches!(listen, Listen::Broadcast { .. } | Listen::Multicast { .. });
    let layers = [
        (seen(evidence.overflowed), Finding::Overflow),
        (seen(evidence.errors), Finding::BadDatagrams),
        (seen(evidence.no_ports), Finding::ClosedPort),
        (to_many && seen(evidence.ignored), Finding::NobodyWanted),
        (seen(evidence.reverse_path), Finding::ReversePath),
        (!to_many && seen(evidence.other_host), Finding::OtherMac),
        (seen(evidence.vanished), Finding::Vanished),
        (seen(evidence.udp), Finding::OtherSockets),
    ];
    let findings: Vec<_> = layers.into_iter().filter(|layer| layer.0).map(|layer| layer.1).collect();
    match findings[..] {
        [] if seen(evidence.ip) => vec![Finding::NothingForUs],
        [] if seen(evidence.frames) => vec![Finding::NoIp],
        [] => vec![Finding::NothingOnLink],
        _ => findings,
    }
}

impl Finding {
    /// What it means here, and what to look at next.
    fn advice(self, listen: &Listen, interfaces: &[String]) -> String {
        let interface = match interfaces {
            [one] => one.as_str(),
            _ => "IF",
        };
        let port = match listen {
            Listen::Unicast { port, .. } | Listen::Broadcast { port } | Listen::Multicast { port, .. } => *port,
            Listen::RawBroadcast => 0,
        };
        match self {
            Finding::NothingOnLink => format!(
                "Not one frame reached this host: look at the cable or the Wi-Fi (`ip link show {interface}`), at the \
                 switch and its VLANs, and at whether the sender runs and leaves by the right interface."
            ),
            Finding::OtherMac => format!(
                "Frames for another MAC were dropped: the sender has an old neighbour entry (there: `ip neigh`), or \
                 this is other hosts' traffic. This host's MAC: `ip link show {interface}`."
            ),
            Finding::NoIp => {
                "Frames came, but none with an IP packet for this host (ARP, spanning tree and the like): \
                 look at the sender, at the addresses on both sides (`ip addr`), at the switch and the Wi-Fi."
                    .to_owned()
            }
            Finding::NoRawFrames => "Frames came, but none of EtherType 0x88B5 to ff:ff:ff:ff:ff:ff: does the sender \
                 run `netlab broadcast --raw send` on this very LAN? Routers pass no such frame, some Wi-Fi neither."
                .to_owned(),
            Finding::ReversePath => format!(
                "The reverse path filter dropped packets: their source address is not reached by the interface they \
                 came in at ({}). Give both ends addresses of one subnet, or `sysctl -w \
                 net.ipv4.conf.{interface}.rp_filter=2` (and the same for `all`).",
                reverse_path_settings(interfaces)
            ),
            Finding::ClosedPort => format!(
                "UDP datagrams came for a port nobody listens on here: is it port {port} that the sender sends to \
                 (its --port or ADDR:PORT)?"
            ),
            Finding::NobodyWanted => format!(
                "Group or broadcast datagrams reached UDP and no socket wanted them: compare group and port {port} \
                 with the sender's. Other programs' traffic counts here too."
            ),
            Finding::Overflow => {
                "UDP dropped datagrams for want of buffer: the host is too busy, or net.core.rmem_max too small."
                    .to_owned()
            }
            Finding::BadDatagrams => "UDP dropped datagrams as damaged (checksum): look at the network card's \
                 offloads (`ethtool -k`) and at the path."
                .to_owned(),
            Finding::Vanished => {
                "IP took packets in that reached no socket: to groups nobody here joined (compare the \
                 sender's; chatter such as IGMP and mDNS is in it), or stopped by a firewall (as root: `nft list \
                 ruleset`, `iptables -L -n -v`)."
                    .to_owned()
            }
            Finding::OtherSockets => format!(
                "UDP datagrams reached sockets, and none of them was {} port {port}: other programs' traffic, or does \
                 the sender send by another mode than this `recv`?",
                match listen {
                    Listen::Multicast { .. } => "to these groups and",
                    Listen::Broadcast { .. } => "a broadcast to",
                    _ => "to this host's own address and",
                }
            ),
            Finding::NothingForUs => match listen {
                Listen::Multicast { .. } => "IP is alive, and nothing for the group reached it: look at the sender \
                     (interface, TTL), at the Wi-Fi, and at the switch: one that snoops needs an IGMP querier."
                    .to_owned(),
                _ => "IP is alive, and nothing for this port reached it: look at the sender (address, interface), at \
                      the switch and the Wi-Fi."
                    .to_owned(),
            },
        }
    }
}

/// The settings in force (`/proc/sys` is of the calling thread's network namespace).
fn reverse_path_settings(interfaces: &[String]) -> String {
    let value = |name: &str| fs::read_to_string(format!("/proc/sys/net/ipv4/conf/{name}/rp_filter")).ok();
    let names = std::iter::once("all").chain(interfaces.iter().map(String::as_str));
    let settings: Vec<_> =
        names.filter_map(|name| Some(format!("{name}.rp_filter is {}", value(name)?.trim()))).collect();
    settings.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unicast() -> Listen {
        Listen::Unicast { address: None, port: 4747 }
    }

    fn multicast() -> Listen {
        Listen::Multicast { groups: vec![[239, 1, 1, 1].into()], source: None, port: 4747 }
    }

    #[test]
    fn each_layer_that_kept_something_is_named() {
        use Finding::*;
        let quiet = Evidence { frames: Some(0), other_host: Some(0), ip: Some(0), udp: Some(0), ..Evidence::default() };
        let chatter = Evidence { frames: Some(9), ip: Some(5), vanished: Some(0), ..quiet };
        let cases: [(Listen, Evidence, &[Finding]); 16] = [
            (unicast(), quiet, &[NothingOnLink]),
            (unicast(), Evidence::default(), &[NothingOnLink]),
            (unicast(), Evidence { frames: Some(9), other_host: Some(9), ..quiet }, &[OtherMac]),
            (multicast(), Evidence { frames: Some(9), other_host: Some(9), ..quiet }, &[NoIp]),
            (unicast(), Evidence { frames: Some(9), other_host: None, ..quiet }, &[NoIp]),
            (unicast(), chatter, &[NothingForUs]),
            (unicast(), Evidence { vanished: Some(2), ..chatter }, &[Vanished]),
            (multicast(), Evidence { udp: Some(2), ..chatter }, &[OtherSockets]),
            (multicast(), Evidence { reverse_path: Some(2), vanished: Some(2), ..chatter }, &[ReversePath, Vanished]),
            (multicast(), Evidence { ignored: Some(2), ..chatter }, &[NobodyWanted]),
            (unicast(), Evidence { ignored: Some(2), ..chatter }, &[NothingForUs]),
            (unicast(), Evidence { no_ports: Some(2), other_host: Some(1), ..chatter }, &[ClosedPort, OtherMac]),
            (unicast(), Evidence { errors: Some(2), ..chatter }, &[BadDatagrams]),
            (unicast(), Evidence { overflowed: Some(2), errors: Some(2), ..chatter }, &[Overflow, BadDatagrams]),
            (Listen::RawBroadcast, chatter, &[NoRawFrames]),
            (Listen::RawBroadcast, quiet, &[NothingOnLink]),
        ];
        for (listen, evidence, findings) in cases {
            assert_eq!(diagnose(&listen, &evidence), findings, "{listen:?} {evidence:?}");
        }
    }

    #[test]
    fn figures_in_words() {
        let evidence = Evidence { frames: Some(1), ip: Some(0), udp: None, no_ports: Some(2), ..Evidence::default() };
        assert_eq!(evidence.in_words("eth0"), "1 frame in at eth0, 0 IP packets, 2 for ports nobody listens on");
        assert_eq!(Evidence::default().in_words("eth0"), "nothing it would tell");
    }

    #[test]
    fn the_reverse_path_counter_is_found_by_name() {
        let netstat =
            "TcpExt: SyncookiesSent IPReversePathFilter TCPRenoRecovery\nTcpExt: 1 42 3\nIpExt: A\nIpExt: 1\n";
        assert_eq!(netstat_field(netstat, "TcpExt:", "IPReversePathFilter"), Some(42));
        assert_eq!(netstat_field(netstat, "TcpExt:", "Missing"), None);
        assert_eq!(netstat_field("", "TcpExt:", "IPReversePathFilter"), None);
    }
}
