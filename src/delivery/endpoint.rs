//! Open endpoints: a socket, and what the loops need to know about it.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use nix::sys::socket::{setsockopt, sockopt};
use socket2::{Domain, SockAddr, Socket, Type};

use super::description::{InletDescription, OutletDescription};
use super::{ROOM_LATENCY, STOP_LATENCY};
use crate::error::{Error, Result};
use crate::sys::interface::Interface;
use crate::sys::mmsg::Received;
use crate::sys::{packet, socket};
use crate::wire::ethernet::FrameHeader;

/// Largest UDP payload over IPv4: 65,535 less the headers of IP (20) and UDP (8).
pub(super) const MAX_PAYLOAD_IPV4: usize = 65_507;

/// Largest UDP payload over IPv6: the length field counts what follows the IP header, of which UDP takes 8.
pub(super) const MAX_PAYLOAD_IPV6: usize = 65_527;

/// An open endpoint to send from.
pub struct Outlet {
    pub(super) socket: Socket,
    /// Where each message goes, a copy each; empty when the socket itself knows its one destination.
    pub(super) destinations: Vec<SockAddr>,
    /// What each message is preceded by on this socket: the Ethernet header of raw frames, else nothing.
    pub(super) frame_header: Vec<u8>,
    pub(super) max_payload: usize,
    pub(super) description: OutletDescription,
}

impl Outlet {
    /// The largest message that can leave here, in bytes.
    pub fn max_payload(&self) -> usize {
        self.max_payload
    }

    /// Copies that leave for each message.
    pub fn copies_per_message(&self) -> usize {
        self.destinations.len().max(1)
    }

    /// What this endpoint is, for a person.
    pub fn description(&self) -> &OutletDescription {
        &self.description
    }

    /// Refuses a message of `size` bytes that cannot leave here.
    ///
    /// # Errors
    /// A usage error that names the limit.
    pub fn check_size(&self, size: usize) -> Result<()> {
        if size <= self.max_payload {
            return Ok(());
        }
        let why = match self.frame_header.is_empty() {
            true => "the largest UDP datagram",
            false => "the interface's MTU",
        };
        Err(Error::usage(format!("--size {size}: at most {} bytes fit here ({why})", self.max_payload)))
    }
}

/// An open endpoint to receive at.
pub struct Inlet {
    pub(super) socket: Socket,
    pub(super) filter: Filter,
    /// The longest datagram or frame that can arrive, in bytes.
    pub(super) max_len: usize,
    pub(super) description: InletDescription,
    drops_told: AtomicU64,
    /// What sockets dropped that this one has [replaced](Self::replace_by), and nobody was told.
    drops_before: AtomicU64,
}

impl Inlet {
    /// An inlet over a socket that is set up already.
    pub(super) fn new(socket: Socket, filter: Filter, max_len: usize, description: InletDescription) -> Inlet {
        Inlet { socket, filter, max_len, description, drops_told: AtomicU64::new(0), drops_before: AtomicU64::new(0) }
    }

    /// What this endpoint listens for, as the kernel confirms it, for a person.
    pub fn description(&self) -> &InletDescription {
        &self.description
    }

    /// The groups it is for; none in other modes.
    pub fn groups(&self) -> &[IpAddr] {
        match &self.filter {
            Filter::Multicast { groups, .. } => groups,
            Filter::Unicast | Filter::Broadcast | Filter::RawBroadcast => &[],
        }
    }

    /// Gives it the receive buffer of a program that never asked for one, instead of the large one.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn use_usual_buffer(&mut self) -> Result<()> {
        let granted = socket::usual_receive_buffer(&self.socket);
        let granted = granted.map_err(|error| Error::failed("setting a receive buffer").because(error))?;
        self.description.receive_buffer_bytes = granted as u64;
        Ok(())
    }

    /// Has a receive loop's report leave out what the socket has dropped so far.
    pub fn forget_drops(&self) {
        self.take_drops(None);
    }

    /// Datagrams the socket dropped for want of buffer since it was opened or last asked. `dropped_before` is what came
    /// with the last datagram (`SO_RXQ_OVFL`): good enough where the socket does not tell. `None` when nobody does.
    pub(super) fn take_drops(&self, dropped_before: Option<u32>) -> Option<u64> {
        let before = self.drops_before.swap(0, Ordering::Relaxed);
        if self.filter.is_raw() {
            return Some(before + packet::take_drops(&self.socket)?);
        }
        let total = socket::drops(&self.socket).or(dropped_before.map(u64::from))?;
        Some(before + total.saturating_sub(self.drops_told.swap(total, Ordering::Relaxed)))
    }

    /// Listens as `other`, opened for the same, from now on, also in a loop that is receiving. The description stays.
    pub(super) fn replace_by(&self, other: Inlet) -> Result<()> {
        let failed = |error| Error::failed("taking the place of a socket").because(error);
        // A loop that waits looks whether it is to stop.
        other.socket.set_read_timeout(Some(STOP_LATENCY)).map_err(failed)?;
        let dropped = self.take_drops(None).unwrap_or(0);
        socket::replace(&self.socket, other.socket).map_err(failed)?;
        self.drops_before.store(dropped, Ordering::Relaxed);
        self.drops_told.store(0, Ordering::Relaxed);
        if let (Filter::Multicast { interface: own, .. }, Filter::Multicast { interface: new, .. }) =
            (&self.filter, &other.filter)
        {
            own.store(new.load(Ordering::Relaxed), Ordering::Relaxed);
        }
        Ok(())
    }
}

/// Which datagrams are for us. A socket gets more than the mode is about: whatever comes to its port.
pub(super) enum Filter {
    /// To an address of this host: neither to a group nor to a broadcast address.
    Unicast,
    /// To 255.255.255.255 or the broadcast address of a network.
    Broadcast,
    /// To one of these groups by the interface of this index.
    Multicast { groups: Vec<IpAddr>, interface: AtomicU32 },
    /// Frames to all stations.
    RawBroadcast,
}

impl Filter {
    /// Whether what is received are frames.
    pub(super) fn is_raw(&self) -> bool {
        matches!(self, Filter::RawBroadcast)
    }

    /// The message in what was received; `None` when it is not for us.
    #[inline]
    pub(super) fn message<'a>(&self, received: &Received<'a>) -> Option<&'a [u8]> {
        let for_us = match (self, received.destination) {
            (Filter::RawBroadcast, _) => {
                let (header, message) = FrameHeader::decode(received.bytes)?;
                return header.is_raw_broadcast().then_some(message);
            }
            (_, None) => false,
            (Filter::Unicast, Some((destination, _))) => !destination.is_multicast() && !received.broadcast,
            (Filter::Broadcast, Some(_)) => received.broadcast,
            (Filter::Multicast { groups, interface: joined }, Some((destination, interface))) => {
                interface == joined.load(Ordering::Relaxed) && groups.contains(&destination)
            }
        };
        for_us.then_some(received.bytes)
    }
}

/// The broadcast addresses of these interfaces' networks, each once.
pub(super) fn broadcast_addresses<'a>(interfaces: impl IntoIterator<Item = &'a Interface>) -> Vec<Ipv4Addr> {
    let mut found = Vec::new();
    for address in interfaces.into_iter().flat_map(|interface| &interface.ipv4).filter_map(|own| own.broadcast) {
        if !found.contains(&address) {
            found.push(address);
        }
    }
    found
}

/// Whether `address` is 255.255.255.255 or one of `broadcasts`.
pub(super) fn is_broadcast(address: IpAddr, broadcasts: &[Ipv4Addr]) -> bool {
    match address {
        IpAddr::V4(address) => address.is_broadcast() || broadcasts.contains(&address),
        IpAddr::V6(_) => false,
    }
}

/// A UDP socket to send from.
pub(super) fn sending_socket(ipv6: bool, dscp: Option<u8>) -> Result<Socket> {
    let open = || {
        let socket = Socket::new(if ipv6 { Domain::IPV6 } else { Domain::IPV4 }, Type::DGRAM, None)?;
        socket::bound_send_buffer(&socket)?;
        socket.set_write_timeout(Some(ROOM_LATENCY))?;
        match dscp.map(|dscp| u32::from(dscp) << 2) {
            Some(tclass) if ipv6 => socket.set_tclass_v6(tclass)?,
            Some(tos) => socket.set_tos_v4(tos)?,
            None => {}
        }
        Ok::<_, io::Error>(socket)
    };
    open().map_err(|error| Error::failed("opening a UDP socket").because(error))
}

/// Ties a socket to an interface, for both directions; where that is a privilege (before Linux 5.7), hints at it.
pub(super) fn tie_to_interface(socket: &Socket, interface: &Interface, ipv6: bool) -> Result<()> {
    socket
        .bind_device(Some(interface.name.as_bytes()))
        .or_else(|_| socket::set_unicast_interface(socket, interface.index, ipv6))
        .map_err(|error| Error::failed(format!("choosing interface {}", interface.name)).because(error))
}

/// A UDP socket to receive at, bound to `address`, with timestamps, drop counts and destinations told; returns the
/// receive buffer granted in bytes too.
pub(super) fn receiving_socket(
    address: SocketAddr,
    shared: bool,
    interface: Option<&Interface>,
) -> Result<(Socket, u64)> {
    let open = || {
        let socket = Socket::new(Domain::for_address(address), Type::DGRAM, None)?;
        if address.is_ipv6() {
            setsockopt(&socket, sockopt::Ipv6RecvPacketInfo, &true)?;
            socket.set_only_v6(!address.ip().is_unspecified() || shared)?;
            socket.set_multicast_all_v6(false)?;
        }
        // Of IPv4 datagrams that come to a dual-stack socket it tells whether they are broadcasts.
        setsockopt(&socket, sockopt::Ipv4PacketInfo, &true)?;
        socket.set_multicast_all_v4(false)?;
        socket.set_reuse_address(shared)?;
        socket::tell_times_and_drops(&socket)?;
        let granted = socket::enlarge_receive_buffer(&socket)?;
        Ok::<_, io::Error>((socket, granted as u64))
    };
    let (socket, granted) = open().map_err(|error| match error.raw_os_error() {
        Some(libc::EAFNOSUPPORT) => Error::failed("opening a UDP socket: this kernel has no IPv6"),
        _ => Error::failed("opening a UDP socket").because(error),
    })?;
    if let Some(interface) = interface {
        tie_to_interface(&socket, interface, address.is_ipv6())?;
    }
    socket.bind(&SockAddr::from(address)).map_err(|error| bind_error(address, error))?;
    Ok((socket, granted))
}

fn bind_error(address: SocketAddr, error: io::Error) -> Error {
    let port = address.port();
    match error.raw_os_error() {
        Some(libc::EADDRINUSE) => Error::failed(format!("port {port} is in use by another program"))
            .remedy(format!("Choose another with --port, or see who has it: ss -ulpn 'sport = :{port}'.")),
        Some(libc::EADDRNOTAVAIL) => {
            Error::usage(format!("{} is not an address of this host; see: ip address", address.ip()))
        }
        Some(libc::EACCES) => Error::not_permitted(
            format!("port {port} is reserved for privileged programs"),
            "Choose one from 1024 up with --port, or run it with sudo.",
        ),
        _ => Error::failed(format!("listening on {address}")).because(error),
    }
}

/// Fixes the one destination of a sending socket, which spares the kernel a look at the route table for each datagram: of
/// unicast and broadcast. A group's route is looked up each time all the same (`udp_sendmsg` takes no group for connected),
/// and costs little only where the look-up finds a cached one: with a route of /4 or longer to it (`ip route add
/// 224.0.0.0/4 dev X`, as a LAN's hosts have), on a host that has not joined the group (`out_slow_tot` in
/// `/proc/net/stat/rt_cache` counts the others).
pub(super) fn connect(socket: &Socket, to: SocketAddr) -> Result<()> {
    socket.connect(&SockAddr::from(to)).map_err(|error| {
        match error.raw_os_error() {
        Some(libc::EADDRNOTAVAIL) => {
            Error::failed(format!("no address to send to {} from", to.ip())).because(error).remedy(
                "See the addresses of this host: ip -6 address; one that is 'tentative' serves a second or two later.",
            )
        }
        Some(libc::ENETUNREACH | libc::EHOSTUNREACH) => Error::failed(format!(
            "no route to {}",
            to.ip()
        ))
        .because(error)
        .remedy(
            "See which networks this host reaches: ip route (IPv6: ip -6 route); --interface names another way out.",
        ),
        Some(libc::ENODEV) => Error::usage(format!("{to}: no such interface for the scope")).because(error),
        // Where broadcast must be allowed first, the kernel's route table has a broadcast address.
        Some(libc::EACCES) if socket.set_broadcast(true).is_ok() && socket.connect(&to.into()).is_ok() => {
            let address = to.ip();
            Error::usage(format!("--to {address}: this is a broadcast address; use netlab broadcast --to {address}"))
        }
        _ => Error::failed(format!("opening the way to {to}")).because(error),
    }
    })
}

/// Refuses a port of 0, which is no destination and nothing to listen on.
pub(super) fn check_port(port: u16) -> Result<()> {
    if port == 0 { Err(Error::usage("--port 0: a port is a number from 1 to 65535")) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(destination: &str) -> Received<'static> {
        Received { bytes: b"text", destination: Some((destination.parse().unwrap(), 7)), ..Received::default() }
    }

    #[test]
    fn each_mode_takes_its_own_destinations() {
        let group: IpAddr = "239.1.1.1".parse().unwrap();
        let (unicast, broadcast) = (Filter::Unicast, Filter::Broadcast);
        let multicast = Filter::Multicast { groups: vec![group, "ff02::77".parse().unwrap()], interface: 7.into() };
        let elsewhere = Filter::Multicast { groups: vec![group], interface: 8.into() };
        for (destination, taken) in [
            ("10.0.0.1", [true, false, false]),
            ("fe80::1", [true, false, false]),
            ("10.0.0.255", [false, true, false]),
            ("255.255.255.255", [false, true, false]),
            ("239.1.1.1", [false, false, true]),
            ("239.1.1.2", [false, false, false]),
            ("ff02::77", [false, false, true]),
            ("ff02::78", [false, false, false]),
        ] {
            let datagram = Received { broadcast: destination.ends_with(".255"), ..to(destination) };
            let by_mode = [&unicast, &broadcast, &multicast].map(|filter| filter.message(&datagram).is_some());
            assert_eq!(by_mode, taken, "{destination}");
            assert!(elsewhere.message(&datagram).is_none(), "{destination} by another interface");
        }
        assert_eq!(unicast.message(&Received::default()), None, "no destination told");
    }

    #[test]
    fn frames_are_taken_by_their_header() {
        let mut frame = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1, 0x88, 0xb5, b'h', b'i'];
        let message = |bytes: &[u8]| {
            let received = Received { bytes, ..Received::default() };
            Filter::RawBroadcast.message(&received).map(<[u8]>::to_vec)
        };
        assert_eq!(message(&frame), Some(b"hi".to_vec()));
        assert_eq!(message(&frame[..13]), None);
        frame[5] = 0xfe;
        assert_eq!(message(&frame), None);
    }
}
