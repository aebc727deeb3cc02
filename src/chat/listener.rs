//! The listening socket, whose options the sockets that it accepts inherit.

use std::io;
use std::net::{SocketAddr, TcpListener};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use socket2::{Domain, SockAddr, Socket, TcpKeepalive, Type};

use super::options::{Relay, ServerOptions};
use crate::error::{Error, Result};

/// What the kernel keeps of what was sent to a client, in bytes as `SO_SNDBUF` reports it: enough for a far one, and
/// little enough that a slow one shows soon.
const SEND_BUFFER: usize = 64 << 10;

/// The largest segment in bytes: several go into the send buffer.
const LARGEST_SEGMENT: u32 = 8 << 10;

/// How many connections may wait to be accepted; the kernel cuts it at `net.core.somaxconn`.
const BACKLOG: i32 = 4096;

/// Files the process may need beside the clients' sockets.
const OTHER_FILES: u64 = 64;

/// Opens it.
///
/// # Errors
/// Usage for an address that is not this host's; when the port is in use; not permitted for a privileged port.
pub(super) fn open(options: &ServerOptions) -> Result<TcpListener> {
    let address = options.listen;
    let open = || {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
        socket.set_reuse_address(true)?;
        if address.is_ipv6() {
            socket.set_only_v6(false)?;
        }
        set_up(&socket, options)?;
        socket.bind(&SockAddr::from(address))?;
        socket.listen(BACKLOG)?;
        Ok::<_, io::Error>(socket.into())
    };
    open().map_err(|error| listen_error(address, error))
}

fn set_up(socket: &Socket, options: &ServerOptions) -> io::Result<()> {
    // The kernel doubles what it is given.
    socket.set_send_buffer_size(SEND_BUFFER / 2)?;
    // Loopback's segments have 64 KiB: two of them are more than that, and one waits 40 ms to be acknowledged (RFC 1122,
    // section 4.2.3.2). Ethernet's, jumbo frames too, are smaller anyhow.
    socket.set_tcp_mss(LARGEST_SEGMENT)?;
    // A line goes out when it is written, not when the one before is acknowledged (RFC 896).
    socket.set_tcp_nodelay(true)?;
    // Probes on an idle connection: three of them, spread over `dead_after`, after as long a silence.
    let every = (options.dead_after / 3).max(std::time::Duration::from_secs(1));
    socket
        .set_tcp_keepalive(&TcpKeepalive::new().with_time(options.dead_after).with_interval(every).with_retries(3))?;
    if options.relay == Relay::Queued {
        // The same for a connection that is not idle (RFC 5482), which else takes a quarter of an hour.
        socket.set_tcp_user_timeout(Some(options.dead_after))?;
    }
    Ok(())
}

fn listen_error(address: SocketAddr, error: io::Error) -> Error {
    let port = address.port();
    match error.raw_os_error() {
        Some(libc::EADDRINUSE) => Error::failed(format!("{address} is in use by another program"))
            .remedy(format!("Choose another port with --listen, or see who has it: ss -tlpn 'sport = :{port}'.")),
        Some(libc::EADDRNOTAVAIL) => {
            Error::usage(format!("{} is not an address of this host; see: ip address", address.ip()))
        }
        Some(libc::EACCES) => Error::not_permitted(
            format!("port {port} is reserved for privileged programs"),
            "Choose one from 1024 up with --listen, or run it with sudo.",
        ),
        _ => Error::failed(format!("listening on {address}")).because(error),
    }
}

/// Lets the process open the files that `wanted` clients need, as far as it may, and says how many clients that gives.
pub(super) fn make_room(wanted: usize) -> usize {
    let needed = wanted as u64 + OTHER_FILES;
    let Ok((mut soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return wanted };
    if soft < needed && setrlimit(Resource::RLIMIT_NOFILE, needed.min(hard), hard).is_ok() {
        soft = needed.min(hard);
    }
    usize::try_from(soft.saturating_sub(OTHER_FILES)).unwrap_or(wanted).clamp(1, wanted)
}
