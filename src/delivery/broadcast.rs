//! Opening the endpoints of broadcast delivery: one IPv4 datagram to all hosts of the link (RFC 919, RFC 922).

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::BroadcastAddress;
use super::choice;
use super::description::{self, InletDescription, OutletDescription};
use super::endpoint::{
    Filter, Inlet, MAX_PAYLOAD_IPV4, Outlet, broadcast_addresses, check_port, connect, receiving_socket,
    sending_socket, tie_to_interface,
};
use crate::error::{Error, Result};
use crate::sys::interface::{self, Interface};
use crate::units::Mode;
use crate::wire::ethernet::MacAddress;

/// Opens a socket that sends to a broadcast address by one interface, whatever the route table says.
pub(super) fn outlet(to: BroadcastAddress, port: u16, interface: Option<&str>, dscp: Option<u8>) -> Result<Outlet> {
    check_port(port)?;
    let owner = match (to, interface) {
        (BroadcastAddress::Address(address), None) if !address.is_broadcast() => owner(address)?,
        _ => choice::for_broadcast(interface)?,
    };
    let address = address(to, &owner)?;
    let socket = sending_socket(false, dscp)?;
    socket
        .set_broadcast(true)
        .map_err(|error| Error::failed("allowing broadcast on a socket (SO_BROADCAST)").because(error))?;
    tie_to_interface(&socket, &owner, false)?;
    let to = SocketAddr::from((address, port));
    connect(&socket, to)?;
    Ok(Outlet {
        socket,
        destinations: Vec::new(),
        frame_header: Vec::new(),
        max_payload: MAX_PAYLOAD_IPV4,
        description: OutletDescription {
            mode: Mode::Broadcast,
            warnings: description::link_warnings(Some(&owner)),
            interface: Some(owner.name),
            to: vec![to],
            macs: vec![MacAddress::BROADCAST],
            ttl: None,
        },
    })
}

/// Opens a socket that takes what is sent to a broadcast address of `interface`, or of any.
pub(super) fn inlet(port: u16, interface: Option<&str>) -> Result<Inlet> {
    check_port(port)?;
    let interface = interface.map(|name| choice::for_broadcast(Some(name))).transpose()?;
    let broadcasts = match &interface {
        Some(interface) => broadcast_addresses([interface]),
        None => broadcast_addresses(&Interface::all()?),
    };
    let any = SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
    let (socket, granted) = receiving_socket(any, true, interface.as_ref())?;
    let description = InletDescription {
        mode: Mode::Broadcast,
        warnings: description::warnings(interface.as_ref(), granted),
        addresses: [Ipv4Addr::BROADCAST].iter().chain(&broadcasts).map(|address| IpAddr::V4(*address)).collect(),
        interface: interface.map(|interface| interface.name),
        port: Some(port),
        groups: Vec::new(),
        source: None,
        receive_buffer_bytes: granted,
    };
    Ok(Inlet::new(socket, Filter::Broadcast, MAX_PAYLOAD_IPV4, description))
}

/// The interface one of whose networks has this broadcast address.
fn owner(address: Ipv4Addr) -> Result<Interface> {
    let all = Interface::all()?;
    match all.iter().find(|interface| broadcast_addresses([*interface]).contains(&address)) {
        Some(interface) => choice::for_broadcast(Some(&interface.name)),
        None => Err(no_such_broadcast(address, &all)),
    }
}

fn address(to: BroadcastAddress, interface: &Interface) -> Result<Ipv4Addr> {
    interface.check_source(false)?;
    let own = broadcast_addresses([interface]);
    match to {
        BroadcastAddress::Limited => Ok(Ipv4Addr::BROADCAST),
        BroadcastAddress::Directed => own.first().copied().ok_or_else(|| {
            Error::usage(format!("--interface {}: its network has no broadcast address of its own", interface.name))
        }),
        BroadcastAddress::Address(address) if address.is_broadcast() || own.contains(&address) => Ok(address),
        BroadcastAddress::Address(address) => Err(no_such_broadcast(address, [interface])),
    }
}

fn no_such_broadcast<'a>(address: Ipv4Addr, interfaces: impl IntoIterator<Item = &'a Interface>) -> Error {
    let interfaces: Vec<_> = interfaces.into_iter().collect();
    let known: Vec<_> =
        broadcast_addresses(interfaces.iter().copied()).iter().map(|address| address.to_string()).collect();
    Error::usage(format!(
        "--to {address}: no broadcast address of {}; write limited (255.255.255.255), directed{}{}",
        interface::names(interfaces),
        if known.is_empty() { "" } else { ", or one of these: " },
        known.join(", "),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::interface::InterfaceIpv4;

    #[test]
    fn addresses_are_the_interfaces_own() {
        let directed = Ipv4Addr::new(10, 0, 0, 255);
        let mut eth0 = Interface {
            name: "eth0".into(),
            ipv4: vec![InterfaceIpv4 {
                address: Ipv4Addr::new(10, 0, 0, 1),
                peer: Ipv4Addr::new(10, 0, 0, 1),
                prefix_len: 24,
                broadcast: Some(directed),
            }],
            ..Interface::named("lo").unwrap()
        };
        assert_eq!(address(BroadcastAddress::Limited, &eth0).unwrap(), Ipv4Addr::BROADCAST);
        assert_eq!(address(BroadcastAddress::Directed, &eth0).unwrap(), directed);
        assert_eq!(address(BroadcastAddress::Address(directed), &eth0).unwrap(), directed);
        let error = address(BroadcastAddress::Address(Ipv4Addr::new(10, 0, 1, 255)), &eth0).unwrap_err().to_string();
        assert!(error.starts_with("--to 10.0.1.255") && error.ends_with("10.0.0.255"), "{error}");
        eth0.ipv4[0].broadcast = None;
        assert!(address(BroadcastAddress::Directed, &eth0).is_err());
        eth0.ipv4.clear();
        assert!(address(BroadcastAddress::Limited, &eth0).unwrap_err().to_string().contains("no IPv4 address"));
    }
}
