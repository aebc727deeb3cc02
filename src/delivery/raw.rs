//! Opening the endpoints of raw delivery: Ethernet frames to all stations, with no IP in them, through pnet.

use std::io;

use super::ROOM_LATENCY;
use super::choice;
use super::description::{self, InletDescription, OutletDescription};
use super::endpoint::{Filter, Inlet, Outlet};
use crate::error::{Error, Result};
use crate::sys::interface::Interface;
use crate::sys::{packet, socket};
use crate::units::Mode;
use crate::wire::ethernet::{ETHER_TYPE, FrameHeader, HEADER_LEN, MacAddress};

/// Opens a packet socket that sends frames by one interface and receives nothing.
pub(super) fn outlet(interface: Option<&str>, dscp: Option<u8>) -> Result<Outlet> {
    if dscp.is_some() {
        return Err(Error::usage("--dscp: raw frames have no IP header to carry a code point"));
    }
    let (interface, mac) = choose(interface)?;
    let socket = packet::open(&interface, 0).map_err(|error| refused(&interface, error))?;
    socket::bound_send_buffer(&socket)
        .and_then(|()| socket.set_write_timeout(Some(ROOM_LATENCY)))
        .map_err(|error| Error::failed("setting up a packet socket").because(error))?;
    let mut frame_header = vec![0; HEADER_LEN];
    FrameHeader::raw_broadcast(mac).encode(&mut frame_header);
    Ok(Outlet {
        socket,
        destinations: Vec::new(),
        frame_header,
        max_payload: interface.mtu as usize,
        description: OutletDescription {
            mode: Mode::RawBroadcast,
            warnings: description::link_warnings(Some(&interface)),
            interface: Some(interface.name),
            to: Vec::new(),
            macs: vec![MacAddress::BROADCAST],
            ttl: None,
        },
    })
}

/// Opens a packet socket that takes frames of our EtherType from one interface, not promiscuous.
pub(super) fn inlet(interface: Option<&str>) -> Result<Inlet> {
    let (interface, _mac) = choose(interface)?;
    let socket = packet::open(&interface, ETHER_TYPE).map_err(|error| refused(&interface, error))?;
    let granted = socket::tell_times_and_drops(&socket)
        .and_then(|()| socket::enlarge_receive_buffer(&socket))
        .map_err(|error| Error::failed("setting up a packet socket").because(error))? as u64;
    let max_len = HEADER_LEN + interface.mtu as usize;
    let description = InletDescription {
        mode: Mode::RawBroadcast,
        warnings: description::warnings(Some(&interface), granted),
        interface: Some(interface.name),
        addresses: Vec::new(),
        port: None,
        groups: Vec::new(),
        source: None,
        receive_buffer_bytes: granted,
    };
    Ok(Inlet::new(socket, Filter::RawBroadcast, max_len, description))
}

fn choose(name: Option<&str>) -> Result<(Interface, MacAddress)> {
    let interface = choice::for_broadcast(name)?;
    match interface.mac {
        Some(mac) => Ok((interface, MacAddress(mac))),
        None => Err(Error::usage(format!("--interface {}: it has no Ethernet address", interface.name))),
    }
}

fn refused(interface: &Interface, error: io::Error) -> Error {
    let what = format!("opening a packet socket on {}", interface.name);
    match error.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => {
            let program = std::env::current_exe().map_or_else(|_| "netlab".into(), |path| path.display().to_string());
            Error::not_permitted(
                what,
                format!("Raw frames need a privilege: run it with sudo, or once: sudo setcap cap_net_raw+ep {program}"),
            )
            .because(error)
        }
        _ => Error::failed(what).because(error),
    }
}
