//! What a sender by unicast can know of its receivers without a word from them: who answers no ARP or Neighbour
//! Discovery, and what ICMP brings back. UDP itself tells nothing: what was sent may have reached nobody.
//!
//! The send loop is not disturbed by it. ICMP comes to sockets of their own, one for each receiver, connected to it from
//! the sender's port: the kernel hands each error to the socket that is nearest to what it is about.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};

use super::Outlet;
use super::endpoint::tie_to_interface;
use crate::sys::interface::{Interface, Links};
use crate::sys::neighbour::{Hop, Neighbours};
use crate::sys::socket::{self, IcmpError};
use crate::units::Mode;

/// The most receivers whose ICMP is heard.
const EARS: usize = 256;
/// Descriptors left to the rest of the program where they are few.
const SPARE: usize = 8;
/// How long after the last message ICMP may take to come back. Whoever listens answers nothing.
const ECHO: Duration = Duration::from_millis(50);
/// How long a neighbour that is being asked may take to answer; one that is there needs a small part of it.
const PATIENCE: Duration = Duration::from_secs(1);
/// The same when the person wants to end.
const IMPATIENCE: Duration = Duration::from_millis(200);
/// Between two looks.
const TICK: Duration = Duration::from_millis(10);

/// A receiver that messages did not reach, as far as the kernel knows. Displays as a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreached {
    /// Which.
    pub to: SocketAddr,
    /// Why not.
    pub why: Why,
}

/// Why messages did not reach a receiver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// The first one on the way, the receiver itself or a router, does not answer ARP or Neighbour Discovery.
    NoNeighbour {
        /// Its address.
        hop: IpAddr,
        /// The interface it is looked for on; `None` when that is gone.
        interface: Option<String>,
    },
    /// So it was, and is no longer.
    NoNeighbourAtFirst,
    /// Somebody said so by ICMP.
    Icmp(IcmpError),
}

impl fmt::Display for Unreached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let to = self.to;
        let protocol = if to.is_ipv4() { "ARP" } else { "Neighbour Discovery" };
        match &self.why {
            Why::NoNeighbour { hop, interface } => {
                if *hop == to.ip() {
                    write!(f, "{hop} does not answer {protocol}")?;
                } else {
                    let protocol = if hop.is_ipv4() { "ARP" } else { "Neighbour Discovery" };
                    write!(f, "{to}: the router {hop} does not answer {protocol}")?;
                }
                interface.as_ref().map_or(Ok(()), |name| write!(f, " on {name}"))
            }
            Why::NoNeighbourAtFirst => write!(f, "{} did not answer {protocol} for some of the time", to.ip()),
            Why::Icmp(error) => match error.from {
                Some(from) if from != to.ip() => write!(f, "{to}: {from} answers that {}", in_words(error)),
                _ => write!(f, "{to} answers that {}", in_words(error)),
            },
        }
    }
}

/// What an ICMP error says (RFC 792, RFC 1812 section 5.2.7.1, RFC 4443 section 3).
fn in_words(error: &IcmpError) -> String {
    let words = match (error.ipv6, error.kind, error.code) {
        (false, 3, 3) | (true, 1, 4) => "nobody listens on that port (ICMP port unreachable)",
        (false, 3, 9 | 10 | 13) | (true, 1, 1 | 5 | 6) => "it is prohibited (ICMP, a firewall)",
        (false, 3, 0 | 6 | 11) | (true, 1, 0) => "there is no route (ICMP network unreachable)",
        (false, 3, _) | (true, 1, _) => "the host cannot be reached (ICMP host unreachable)",
        (false, 11, _) | (true, 3, _) => "it took too many hops (ICMP time exceeded)",
        _ => return format!("it failed (ICMP type {}, code {})", error.kind, error.code),
    };
    words.to_owned()
}

/// Hears what comes back while a loop sends.
pub struct Answers<'a> {
    outlet: &'a Outlet,
    /// Of the first receivers, in their order.
    ears: Vec<Ear>,
}

struct Ear {
    socket: Socket,
    heard: Option<IcmpError>,
}

impl<'a> Answers<'a> {
    /// Of the receivers of `outlet`; `None` where it is not for unicast. An ear that cannot be had hears nothing.
    pub fn hear(outlet: &'a Outlet) -> Option<Answers<'a>> {
        if outlet.description().mode != Mode::Unicast {
            return None;
        }
        let port = local_port(outlet);
        let wanted = outlet.description().to.iter().take(EARS);
        let mut ears: Vec<_> = wanted.map_while(|to| ear(outlet, *to, port?).ok()).collect();
        if ears.len() < outlet.description().to.len().min(EARS) {
            ears.truncate(ears.len().saturating_sub(SPARE));
        }
        Some(Answers { outlet, ears })
    }

    /// Who was not reached, in the order of the receivers. Waits a moment for what is still on its way, longer for
    /// neighbours that are being asked, but not long when `stop` is set.
    pub fn collect(mut self, stop: &AtomicBool) -> Vec<Unreached> {
        let start = Instant::now();
        let mut neighbours = Neighbours::open().ok();
        let to = &self.outlet.description().to;
        let index =
            self.outlet.description().interface.as_deref().and_then(|name| Some(Interface::named(name).ok()?.index));
        let hops: Vec<_> = to.iter().map(|to| first_hop(neighbours.as_mut()?, *to, index)).collect();
        let near = hops.iter().all(Option::is_none);
        loop {
            self.ears.iter_mut().for_each(Ear::listen);
            let silent = neighbours.as_mut().and_then(|known| known.silent().ok()).unwrap_or_default();
            let of = |hop: &Option<Hop>| silent.iter().find(|silent| Some(silent.hop) == *hop);
            let asked = hops.iter().filter_map(of).any(|silent| !silent.failed);
            let patience = match (asked, stop.load(Ordering::Relaxed)) {
                (true, false) => PATIENCE,
                (true, true) => IMPATIENCE,
                // What this host sends to itself is answered before the call returns.
                (false, _) if near => Duration::ZERO,
                (false, _) => ECHO,
            };
            if start.elapsed() < patience {
                thread::sleep(TICK);
                continue;
            }
            let gone: Vec<_> = hops.iter().map(|hop| of(hop).is_some()).collect();
            return self.unreached(&hops, &gone);
        }
    }

    fn unreached(&self, hops: &[Option<Hop>], silent: &[bool]) -> Vec<Unreached> {
        let mut links = Links::open().ok();
        let mut name = |index| Some(links.as_mut()?.indexed(index).ok()??.name);
        let receivers = self.outlet.description().to.iter().enumerate();
        receivers
            .filter_map(|(place, &to)| {
                let why = match (hops[place], silent[place], self.ears.get(place)) {
                    (Some(hop), true, _) => Why::NoNeighbour { hop: hop.address, interface: name(hop.interface) },
                    (_, _, Some(ear)) => ear.why()?,
                    _ => return None,
                };
                Some(Unreached { to, why })
            })
            .collect()
    }
}

impl Ear {
    fn listen(&mut self) {
        while self.heard.is_none() {
            match socket::take_icmp(&self.socket) {
                Some(error) => self.heard = Some(error).filter(|error| !error.is_too_long()),
                None => return,
            }
        }
    }

    fn why(&self) -> Option<Why> {
        let error = self.heard?;
        let own = self.socket.local_addr().ok()?.as_socket()?.ip();
        // This host itself says of the neighbour that it did not answer; of itself it says that nobody listens.
        let by_itself = error.from == Some(own) && !error.is_port();
        Some(if by_itself { Why::NoNeighbourAtFirst } else { Why::Icmp(error) })
    }
}

/// The port messages leave from; one is chosen where none is yet.
fn local_port(outlet: &Outlet) -> Option<u16> {
    let port = || outlet.socket.local_addr().ok()?.as_socket().map(|own| own.port());
    if port()? == 0 {
        outlet.socket.bind(&any(outlet.description().to.first()?.is_ipv6(), 0).into()).ok()?;
    }
    // Only now, lest the kernel choose a port that somebody else shares.
    outlet.socket.set_reuse_address(true).ok()?;
    port()
}

fn ear(outlet: &Outlet, to: SocketAddr, port: u16) -> crate::error::Result<Ear> {
    let failed = |error| crate::error::Error::failed("opening a socket for ICMP").because(error);
    let socket = Socket::new(Domain::for_address(to), Type::DGRAM, None).map_err(failed)?;
    if let Some(name) = &outlet.description().interface {
        tie_to_interface(&socket, &Interface::named(name)?, to.is_ipv6())?;
    }
    let set_up = || {
        socket.set_reuse_address(true)?;
        if to.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        socket::hear_icmp(&socket, to.is_ipv6())?;
        socket.bind(&any(to.is_ipv6(), port).into())?;
        socket.connect(&to.into())
    };
    set_up().map_err(failed)?;
    Ok(Ear { socket, heard: None })
}

fn any(ipv6: bool, port: u16) -> SocketAddr {
    if ipv6 { (Ipv6Addr::UNSPECIFIED, port).into() } else { (Ipv4Addr::UNSPECIFIED, port).into() }
}

fn first_hop(neighbours: &mut Neighbours, to: SocketAddr, interface: Option<u32>) -> Option<Hop> {
    let scope = match to {
        SocketAddr::V6(to) if to.scope_id() > 0 => Some(to.scope_id()),
        _ => interface,
    };
    neighbours.first_hop(to.ip(), scope).ok()?
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::super::unicast;
    use super::*;

    #[test]
    fn reasons_in_words() {
        let to: SocketAddr = "10.20.0.1:4747".parse().unwrap();
        let text = |to, why| Unreached { to, why }.to_string();
        let no_neighbour =
            |hop: &str| Why::NoNeighbour { hop: hop.parse().unwrap(), interface: Some("eth0".to_owned()) };
        assert_eq!(text(to, no_neighbour("10.20.0.1")), "10.20.0.1 does not answer ARP on eth0");
        assert_eq!(
            text(to, no_neighbour("10.9.0.254")),
            "10.20.0.1:4747: the router 10.9.0.254 does not answer ARP on eth0"
        );
        let far: SocketAddr = "[fd00::2]:4747".parse().unwrap();
        assert_eq!(text(far, no_neighbour("fd00::2")), "fd00::2 does not answer Neighbour Discovery on eth0");
        let icmp =
            |from: &str, ipv6, kind, code| Why::Icmp(IcmpError { ipv6, kind, code, from: Some(from.parse().unwrap()) });
        assert_eq!(
            text(to, icmp("10.20.0.1", false, 3, 3)),
            "10.20.0.1:4747 answers that nobody listens on that port (ICMP port unreachable)"
        );
        assert!(text(far, icmp("fd00::2", true, 1, 4)).ends_with("that port (ICMP port unreachable)"));
        assert_eq!(
            text(to, icmp("10.9.0.254", false, 3, 1)),
            "10.20.0.1:4747: 10.9.0.254 answers that the host cannot be reached (ICMP host unreachable)"
        );
        assert!(text(to, icmp("10.9.0.254", false, 3, 13)).contains("prohibited"));
        assert!(text(to, icmp("10.9.0.254", false, 11, 0)).contains("too many hops"));
        assert!(text(to, icmp("10.9.0.254", false, 12, 7)).contains("type 12, code 7"));
    }

    #[test]
    fn a_port_nobody_listens_on_is_told_of() {
        let never = AtomicBool::new(false);
        for own in ["127.0.0.1", "::1"] {
            let (Ok(open), Ok(closed)) = (UdpSocket::bind((own, 0)), UdpSocket::bind((own, 0))) else { continue };
            let to = [open.local_addr().unwrap(), closed.local_addr().unwrap()];
            drop(closed);
            let outlet = unicast::outlet(&to, None, None).unwrap();
            let answers = Answers::hear(&outlet).unwrap();
            for destination in &outlet.destinations {
                // Neither call hears of the other one's refusal.
                outlet.socket.send_to(b"x", destination).unwrap();
                outlet.socket.send_to(b"x", destination).unwrap();
            }
            let unreached = answers.collect(&never);
            let [Unreached { to: which, why: Why::Icmp(error) }] = unreached[..] else { panic!("{unreached:?}") };
            assert_eq!((which, error.from, error.is_port()), (to[1], Some(to[1].ip()), true));

            // The same of one receiver alone, which the sending socket is connected to.
            let alone = unicast::outlet(&to[1..], None, None).unwrap();
            let answers = Answers::hear(&alone).unwrap();
            (0..3).for_each(|_| assert_eq!(alone.socket.send(b"x").unwrap(), 1));
            assert_eq!(answers.collect(&never).len(), 1);
        }
    }
}
