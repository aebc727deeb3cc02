//! A client: one stream to the server, of which one end hears and the other speaks, each for a thread of its own.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use socket2::{SockRef, TcpKeepalive};

use crate::error::{Error, Result};
use crate::wire::chat::lines::LineBuffer;
use crate::wire::chat::{Answer, PROTOCOL, Request};

/// How long the server may take to answer at the beginning.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long it may then be silent until it is asked whether it is still there (by the kernel).
const SILENCE: Duration = Duration::from_secs(30);

/// The end that hears.
pub struct Hearing {
    stream: TcpStream,
    lines: LineBuffer,
    server: SocketAddr,
}

/// The end that speaks.
pub struct Speaking {
    stream: TcpStream,
    line: Vec<u8>,
    server: SocketAddr,
}

/// Connects to a server and joins by `name`.
///
/// # Errors
/// When nobody listens there, nothing answers, or what answers is no chat server of this version; when the server
/// refuses the name, or any more clients.
pub fn join(server: SocketAddr, name: &str) -> Result<(Hearing, Speaking)> {
    let stream = TcpStream::connect_timeout(&server, PATIENCE).map_err(|error| connect_error(server, error))?;
    let prepare = || {
        stream.set_nodelay(true)?;
        SockRef::from(&stream).set_tcp_keepalive(&TcpKeepalive::new().with_time(SILENCE))?;
        stream.try_clone()
    };
    let second = prepare().map_err(|cause| Error::failed("preparing the connection").because(cause))?;
    let mut hearing = Hearing { stream, lines: LineBuffer::new(), server };
    let mut speaking = Speaking { stream: second, line: Vec::new(), server };
    greet(&mut hearing, &mut speaking, name)?;
    let endless = hearing.stream.set_read_timeout(None);
    endless.map_err(|cause| Error::failed("preparing the connection").because(cause))?;
    Ok((hearing, speaking))
}

fn greet(hearing: &mut Hearing, speaking: &mut Speaking, name: &str) -> Result<()> {
    let server = hearing.server;
    let deadline = Instant::now() + PATIENCE;
    let heard = |hearing: &mut Hearing| {
        let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        let _ = hearing.stream.set_read_timeout(Some(left));
        hearing
            .line()?
            .ok_or_else(|| Error::failed(format!("{server} closed the connection before anybody had joined")))
    };
    let hello = heard(hearing)?;
    match Answer::decode(hello.as_bytes()) {
        Some(Answer::Hello { protocol: PROTOCOL, .. }) => {}
        Some(Answer::Hello { protocol, .. }) => {
            return Err(Error::failed(format!("{server} speaks {protocol:?}, this netlab {PROTOCOL}"))
                .remedy("Use the same version of netlab at both ends."));
        }
        Some(Answer::Error { text, .. }) => return Err(Error::failed(format!("{server} refuses: {text}"))),
        _ => {
            let begin: String = hello.chars().take(60).collect();
            return Err(Error::failed(format!("{server} is no chat server of netlab: it begins with {begin:?}")));
        }
    }
    speaking.send(Request::Join { name })?;
    loop {
        let line = heard(hearing)?;
        match Answer::decode(line.as_bytes()) {
            Some(Answer::Ok { request: "JOIN", .. }) => return Ok(()),
            Some(Answer::Error { code: "name-taken", .. }) => {
                return Err(Error::failed(format!("--name {name}: another at {server} has that name"))
                    .remedy("Choose a different one."));
            }
            Some(Answer::Error { text, .. } | Answer::Dropped { text, .. }) => {
                return Err(Error::failed(format!("{server} refuses: {text}")));
            }
            _ => {}
        }
    }
}

impl Hearing {
    /// The next line without its end; `None` when the server has closed the stream.
    ///
    /// # Errors
    /// When the connection breaks, or the server sends what are no lines.
    pub fn line(&mut self) -> Result<Option<String>> {
        loop {
            match self.lines.next_line() {
                Some(Ok(line)) => return Ok(Some(String::from_utf8_lossy(line).into_owned())),
                // Nothing this version knows is so long.
                Some(Err(_)) => continue,
                None => {}
            }
            match self.stream.read(self.lines.space()) {
                Ok(0) => {
                    let last = self.lines.last_line().and_then(std::result::Result::ok);
                    return Ok(last.map(|line| String::from_utf8_lossy(line).into_owned()));
                }
                Ok(count) => self.lines.filled(count),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    return Err(Error::failed(format!("{} does not answer as a chat server would", self.server)));
                }
                Err(error) => {
                    return Err(Error::failed(format!("the connection to {} broke", self.server)).because(error));
                }
            }
        }
    }
}

impl Speaking {
    /// Sends a request.
    ///
    /// # Errors
    /// When the connection breaks.
    pub fn send(&mut self, request: Request) -> Result<()> {
        self.line.clear();
        request.encode(&mut self.line);
        let sent = self.stream.write_all(&self.line);
        sent.map_err(|cause| Error::failed(format!("the connection to {} broke", self.server)).because(cause))
    }
}

fn connect_error(server: SocketAddr, error: std::io::Error) -> Error {
    let listen = format!("Start one there: netlab chat serve --listen {server}");
    match (error.kind(), error.raw_os_error()) {
        (ErrorKind::ConnectionRefused, _) => {
            Error::failed(format!("no chat server listens at {server}")).remedy(listen)
        }
        (ErrorKind::TimedOut, _) => Error::failed(format!("{} does not answer", server.ip()))
            .remedy("See whether it is up and reachable from here (ping), and whether a firewall is between."),
        (_, Some(libc::ENETUNREACH | libc::EHOSTUNREACH)) => Error::failed(format!("no way to {}", server.ip()))
            .because(error)
            .remedy("See which networks this host reaches: ip route (IPv6: ip -6 route)."),
        _ => Error::failed(format!("connecting to {server}")).because(error),
    }
}
