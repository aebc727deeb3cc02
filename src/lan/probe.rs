//! Probes of a switch: datagrams to groups that nobody joins.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use socket2::{Domain, Protocol, Socket, Type};

use crate::error::{Error, Result};

/// An IPv4 group nobody joins.
pub(super) const UNJOINED_V4: Ipv4Addr = Ipv4Addr::new(239, 255, 78, 76);
/// An IPv6 group nobody joins.
pub(super) const UNJOINED_V6: Ipv6Addr = Ipv6Addr::new(0xff12, 0, 0, 0, 0, 0, 0x4e, 0x4c);

/// A socket of the calling thread's namespace that sends to a group by this interface (by the bridge: as a host on an extra
/// port would).
pub(super) fn probe_socket(group: IpAddr, interface: &str, index: u32) -> Result<Socket> {
    let open = || {
        let socket = Socket::new(Domain::for_address(SocketAddr::new(group, 0)), Type::DGRAM, Some(Protocol::UDP))?;
        socket.bind_device(Some(interface.as_bytes()))?;
        match group {
            IpAddr::V4(_) => socket.set_multicast_loop_v4(false)?,
            IpAddr::V6(_) => {
                socket.set_multicast_if_v6(index)?;
                socket.set_multicast_loop_v6(false)?;
            }
        }
        Ok(socket)
    };
    open().map_err(|cause: io::Error| Error::failed(format!("opening a socket on {interface}")).because(cause))
}
