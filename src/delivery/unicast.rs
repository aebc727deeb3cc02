//! Opening the endpoints of unicast delivery: one datagram to each receiver's own address.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use socket2::{SockAddr, Socket};

use super::choice;
use super::description::{self, InletDescription, OutletDescription};
use super::endpoint::{
    Filter, Inlet, MAX_PAYLOAD_IPV4, MAX_PAYLOAD_IPV6, Outlet, broadcast_addresses, check_port, connect, is_broadcast,
    receiving_socket, sending_socket, tie_to_interface,
};
use crate::error::{Error, Result};
use crate::sys::interface::{self, Interface};
use crate::units::Mode;

/// Opens a socket that sends a copy to each of `to`.
pub(super) fn outlet(to: &[SocketAddr], interface: Option<&str>, dscp: Option<u8>) -> Result<Outlet> {
    let interface = interface.map(choice::named).transpose()?;
    let to = to.iter().map(|to| destination(*to, interface.as_ref())).collect::<Result<Vec<SocketAddr>>>()?;
    let Some(first) = to.first() else {
        return Err(Error::usage("--to: at least one address is needed"));
    };
    let ipv6 = first.is_ipv6();
    if let Some(other) = to.iter().find(|other| other.is_ipv6() != ipv6) {
        return Err(Error::usage(format!("--to: {first} and {other} are IPv4 and IPv6; name addresses of one family")));
    }
    let open = || {
        let socket = sending_socket(ipv6, dscp)?;
        if let Some(interface) = &interface {
            tie_to_interface(&socket, interface, ipv6)?;
        }
        Ok::<_, Error>(socket)
    };
    let socket = open()?;
    let destinations = match &to[..] {
        [only] => {
            connect(&socket, *only)?;
            Vec::new()
        }
        several => {
            // Better to hear of a missing route now than from every copy; these sockets send nothing.
            several.iter().try_for_each(|to| connect(&open()?, *to))?;
            several.iter().map(|to| SockAddr::from(*to)).collect()
        }
    };
    let mut warnings = description::link_warnings(interface.as_ref());
    if let Some(interface) = &interface {
        let like_it = open()?;
        connect(&like_it, *first)?;
        warnings.extend(foreign_source(interface, &like_it)?);
    }
    Ok(Outlet {
        socket,
        destinations,
        frame_header: Vec::new(),
        max_payload: if ipv6 { MAX_PAYLOAD_IPV6 } else { MAX_PAYLOAD_IPV4 },
        description: OutletDescription {
            mode: Mode::Unicast,
            warnings,
            interface: interface.map(|interface| interface.name),
            to,
            macs: Vec::new(),
            ttl: None,
        },
    })
}

/// Opens a socket on `address`, or on all addresses of both families.
pub(super) fn inlet(address: Option<IpAddr>, port: u16, interface: Option<&str>) -> Result<Inlet> {
    check_port(port)?;
    let interface = interface.map(choice::named).transpose()?;
    let (socket, granted) = match address {
        Some(address) if address.is_multicast() || is_broadcast(address, &broadcast_addresses(&Interface::all()?)) => {
            return Err(Error::usage(format!("{address} is no unicast address: listen by multicast or broadcast")));
        }
        Some(address) => {
            let address = scoped(SocketAddr::new(address.to_canonical(), port), interface.as_ref())?;
            receiving_socket(address, false, interface.as_ref())?
        }
        None => {
            let both = SocketAddr::from((Ipv6Addr::UNSPECIFIED, port));
            match receiving_socket(both, false, interface.as_ref()) {
                // A kernel without IPv6.
                Err(_) if !has_ipv6() => {
                    receiving_socket((Ipv4Addr::UNSPECIFIED, port).into(), false, interface.as_ref())?
                }
                result => result?,
            }
        }
    };
    let description = InletDescription {
        mode: Mode::Unicast,
        warnings: description::warnings(interface.as_ref(), granted),
        addresses: address.map_or_else(|| description::addresses(interface.as_ref()), |address| vec![address]),
        interface: interface.map(|interface| interface.name),
        port: Some(port),
        groups: Vec::new(),
        source: None,
        receive_buffer_bytes: granted,
    };
    Ok(Inlet::new(socket, Filter::Unicast, MAX_PAYLOAD_IPV6, description))
}

/// `to` in its plain form, if it is one host's address.
fn destination(to: SocketAddr, interface: Option<&Interface>) -> Result<SocketAddr> {
    let mut to = to;
    if let IpAddr::V4(mapped) = to.ip().to_canonical() {
        to = SocketAddr::new(mapped.into(), to.port());
    }
    let address = to.ip();
    if to.port() == 0 {
        return Err(Error::usage(format!("--to {to}: a port is a number from 1 to 65535")));
    }
    if address.is_multicast() {
        return Err(Error::usage(format!("--to {address}: this is a group; use netlab multicast --group {address}")));
    }
    if is_broadcast(address, &[]) {
        return Err(Error::usage(format!("--to {address}: this is all hosts; use netlab broadcast")));
    }
    if address.is_unspecified() {
        return Err(Error::usage(format!("--to {address}: this is no host's address")));
    }
    scoped(to, interface)
}

/// Link-local IPv6 addresses mean something on a link only: fills in the interface, or asks for it.
fn scoped(address: SocketAddr, interface: Option<&Interface>) -> Result<SocketAddr> {
    let SocketAddr::V6(address) = address else { return Ok(address) };
    let ip = *address.ip();
    if !ip.is_unicast_link_local() {
        return Ok(address.into());
    }
    let scope = match (address.scope_id(), interface) {
        (0, Some(interface)) => interface.index,
        (0, None) => {
            let all = Interface::all()?;
            let able = all.iter().filter(|interface| !interface.ipv6.is_empty() && !interface.is_loopback());
            return Err(Error::usage(format!(
                "{ip} is an address on each link: say which, as {ip}%INTERFACE or by --interface; there are {}",
                interface::names(able)
            )));
        }
        (scope, Some(interface)) if scope != interface.index => {
            return Err(Error::usage(format!("{address}: --interface {} is another one", interface.name)));
        }
        (scope, _) => scope,
    };
    Ok(SocketAddrV6::new(ip, address.port(), address.flowinfo(), scope).into())
}

/// What is to be known about a connected socket whose messages leave by `interface` with the address of another one;
/// refuses it where there is no address at all.
fn foreign_source(interface: &Interface, connected: &Socket) -> Result<Option<String>> {
    let local =
        connected.local_addr().map_err(|error| Error::failed("asking a socket for its address").because(error))?;
    let Some(source) = local.as_socket().map(|local| local.ip()) else { return Ok(None) };
    if source.is_unspecified() {
        interface.check_source(source.is_ipv6())?;
    }
    let name = &interface.name;
    Ok((!interface.has(source)).then(|| {
        format!("messages leave by {name} with the source {source}, which is no address of {name}: answers may not come back")
    }))
}

fn has_ipv6() -> bool {
    let probe = socket2::Socket::new(socket2::Domain::IPV6, socket2::Type::DGRAM, None);
    !matches!(probe.map_err(|error: io::Error| error.raw_os_error()), Err(Some(libc::EAFNOSUPPORT)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(to: &str) -> String {
        match destination(to.parse().unwrap(), None) {
            Ok(to) => format!("took {to}"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn refuses_what_is_no_single_host() {
        for (to, why) in [
            ("239.1.1.1:4747", "use netlab multicast --group 239.1.1.1"),
            ("[ff02::1]:4747", "use netlab multicast --group ff02::1"),
            ("255.255.255.255:4747", "use netlab broadcast"),
            ("0.0.0.0:4747", "no host's address"),
            ("10.0.0.1:0", "a port is a number"),
            ("[fe80::1]:4747", "--interface"),
            ("[::ffff:10.0.0.1]:4747", "took 10.0.0.1:4747"),
            ("[fe80::1%7]:4747", "took [fe80::1%7]:4747"),
        ] {
            assert!(refusal(to).contains(why), "{to}: {}", refusal(to));
        }
    }

    #[test]
    fn the_kernel_knows_the_broadcast_addresses() {
        let error = outlet(&["127.255.255.255:4747".parse().unwrap()], None, None).err().unwrap();
        assert_eq!(
            error.to_string(),
            "--to 127.255.255.255: this is a broadcast address; use netlab broadcast --to 127.255.255.255"
        );
        for own in ["127.0.0.1:4747", "127.255.255.254:4747"] {
            assert!(outlet(&[own.parse().unwrap()], None, None).is_ok(), "{own}");
        }
    }

    #[test]
    fn families_do_not_mix() {
        let to = ["127.0.0.1:4747".parse().unwrap(), "[::1]:4747".parse().unwrap()];
        let error = outlet(&to, None, None).err().unwrap().to_string();
        assert!(error.contains("one family"), "{error}");
        assert!(outlet(&[], None, None).err().unwrap().to_string().contains("--to"));
    }
}
