//! The chat without a server: one UDP socket that sends to a multicast group and hears what others send to it.

use std::io;
use std::net::{IpAddr, Shutdown, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use socket2::{Domain, SockAddr, SockRef, Socket, Type};

use crate::error::{Error, Result};
use crate::sys::interface::{self, Interface};
use crate::sys::socket;
use crate::wire::chat::cast::{Cast, Event};

/// Between two looks at a socket that has trouble.
const PAUSE: Duration = Duration::from_millis(10);

/// A member of the group.
pub struct Group {
    socket: std::net::UdpSocket,
    to: Mutex<SocketAddr>,
    sender: u64,
    sequence: AtomicU64,
    /// The interface it is a member on.
    pub interface: String,
}

impl Group {
    /// Joins `group`, on the interface named or the one the route table has for it. `sender` is drawn by lot. What it
    /// sends stays on the link (TTL 1), and comes back to it as well.
    ///
    /// # Errors
    /// Usage for an unknown interface, or when none can be chosen; when the port is in use by a program that shares it
    /// with nobody; what the kernel refuses.
    pub fn join(group: SocketAddr, interface: Option<&str>, sender: u64) -> Result<Group> {
        let interface = match interface {
            Some(name) => Interface::named(name)?,
            None => choose(group)?,
        };
        let (socket, to) = open_on(&interface, group)?;
        let (socket, to) = (socket.into(), Mutex::new(to));
        Ok(Group { socket, to, sender, sequence: AtomicU64::new(0), interface: interface.name })
    }

    /// Joins the group again, on an interface of the same name that has come in the place of the first one, and gives
    /// what it did in words. Whoever is waiting in [`receive`](Self::receive) goes on when the old socket is woken.
    ///
    /// # Errors
    /// As [`join`](Self::join).
    pub fn rejoin(&self) -> Result<String> {
        let mut to = self.to.lock().unwrap_or_else(PoisonError::into_inner);
        let (socket, again) = open_on(&Interface::named(&self.interface)?, *to)?;
        let own = SockRef::from(&self.socket);
        // Duplicated, as the descriptor is about to stand for the new socket.
        let old = own.try_clone().map_err(|error| Error::failed("joining the group again").because(error))?;
        socket::replace(&own, socket).map_err(|error| Error::failed("joining the group again").because(error))?;
        let _ = old.shutdown(Shutdown::Both);
        *to = again;
        Ok(format!("joined {} again", again.ip()))
    }

    /// Sends an event to all.
    ///
    /// # Errors
    /// When it cannot leave this host.
    pub fn send(&self, event: Event) -> Result<()> {
        let sequence = self.sequence.fetch_add(1, Ordering::Relaxed);
        let mut datagram = Vec::new();
        Cast { sender: self.sender, sequence, event }.encode(&mut datagram);
        let to = SockAddr::from(*self.to.lock().unwrap_or_else(PoisonError::into_inner));
        let sent = SockRef::from(&self.socket).send_to(&datagram, &to);
        sent.map_err(|cause| Error::failed(format!("sending to the group by {}", self.interface)).because(cause))?;
        Ok(())
    }

    /// Waits for a datagram, of whatever content, and returns its length.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn receive(&self, datagram: &mut [u8]) -> Result<usize> {
        loop {
            match self.socket.recv(datagram) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // So a wait ends whose socket another one has replaced; a datagram of a chat is never empty.
                Ok(0) => {}
                Err(error) if is_passing(&error) => thread::sleep(PAUSE),
                Err(error) => return Err(Error::failed("receiving from the group").because(error)),
                Ok(count) => return Ok(count),
            }
        }
    }
}

/// A member of `group` on `interface`, which has an address to send from, and what is sent to.
fn open_on(interface: &Interface, group: SocketAddr) -> Result<(Socket, SocketAddr)> {
    interface.check_source(group.is_ipv6())?;
    let address = match group {
        SocketAddr::V6(mut v6) => {
            v6.set_scope_id(interface.index);
            v6.into()
        }
        v4 => v4,
    };
    let socket = open(address, interface).map_err(|error| {
        let what = Error::failed(format!("joining {} on {}", group.ip(), interface.name));
        match error.raw_os_error() {
            Some(libc::EADDRINUSE) => Error::failed(format!("UDP port {} is in use", group.port()))
                .remedy(format!("Choose another one, or see who has it: ss -ulpn 'sport = :{}'.", group.port())),
            _ => what.because(error),
        }
    })?;
    Ok((socket, address))
}

/// Whether what it is about may be over soon: the link is down, memory is short, ICMP told something of the past.
fn is_passing(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(
            libc::ENETDOWN | libc::ENETUNREACH | libc::EHOSTUNREACH | libc::ECONNREFUSED | libc::ENOMEM | libc::ENOBUFS
        )
    )
}

fn open(group: SocketAddr, interface: &Interface) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(group), Type::DGRAM, None)?;
    // Several on one host hear the group, each by a socket of its own.
    socket.set_reuse_address(true)?;
    if group.is_ipv6() {
        socket.set_multicast_if_v6(interface.index)?;
        socket.set_multicast_hops_v6(1)?;
        socket.set_multicast_all_v6(false)?;
    } else {
        let source = interface.ipv4.first().map(|own| own.address);
        socket::set_multicast_interface_v4(&socket, interface.index, source)?;
        socket.set_multicast_ttl_v4(1)?;
        socket.set_multicast_all_v4(false)?;
    }
    // Bound to the group itself it hears what is sent to the group, and nothing else that comes to the port.
    socket.bind(&group.into())?;
    socket::join_group(&socket, interface.index, group.ip(), None)?;
    Ok(socket)
}

/// The interface of the route to the group, or that of the default route, or the only possible one.
fn choose(group: SocketAddr) -> Result<Interface> {
    let all = Interface::all()?;
    let by_route = match group.ip() {
        IpAddr::V4(_) => interface::source_address(group).ok(),
        IpAddr::V6(_) => None,
    };
    let default = interface::of_default_route();
    let possible: Vec<_> = all.iter().filter(|one| one.is_up() && !one.is_loopback() && one.can_multicast()).collect();
    let chosen = all
        .iter()
        .find(|one| by_route.is_some_and(|source| one.has(source)))
        .or_else(|| possible.iter().copied().find(|one| Some(&one.name) == default.as_ref()))
        .or(if let [only] = possible[..] { Some(only) } else { None });
    chosen.cloned().ok_or_else(|| {
        Error::usage(format!("multicast could leave by several interfaces or none; name one with --interface: {}", {
            interface::names(&all)
        }))
    })
}
