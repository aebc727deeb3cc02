//! A chat client of plain lines, which knows nothing of netlab's own.

#![allow(dead_code, unreachable_pub, reason = "each test file has it as a module of its own, and uses a part of it")]

use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use netlab::chat::server::{Counts, Relay, Server, ServerOptions};
use socket2::{Domain, SockRef, Socket, Type};

/// How long a line may take that is to come: only a failing test waits so long.
const PATIENCE: Duration = Duration::from_secs(60);

/// One connection.
pub struct Peer {
    lines: BufReader<TcpStream>,
}

impl Peer {
    /// Connects and reads nothing.
    #[track_caller]
    pub fn connect(to: SocketAddr) -> Peer {
        Peer::over(TcpStream::connect(to).expect("the server accepts"))
    }

    /// The same with a small receive buffer, and segments as on Ethernet: where the window has less than a segment, and
    /// loopback's are large, TCP waits to send more and only probes, five times a second (RFC 9293, section 3.8.6).
    #[track_caller]
    pub fn connect_small(to: SocketAddr) -> Peer {
        let socket = Socket::new(Domain::for_address(to), Type::STREAM, None).unwrap();
        socket.set_recv_buffer_size(8 << 10).unwrap();
        socket.set_tcp_mss(1448).unwrap();
        socket.connect(&to.into()).expect("the server accepts");
        Peer::over(socket.into())
    }

    fn over(stream: TcpStream) -> Peer {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Peer { lines: BufReader::new(stream) }
    }

    /// Connects and joins.
    #[track_caller]
    pub fn join(to: SocketAddr, name: &str) -> Peer {
        Peer::connect(to).joined(name)
    }

    /// Joins.
    #[track_caller]
    pub fn joined(mut self, name: &str) -> Peer {
        let hello = self.line();
        assert!(hello.starts_with("HELLO netlab-chat/1 "), "{hello}");
        self.say(&format!("JOIN {name}"));
        assert_eq!(self.line(), format!("OK JOIN {name}"));
        self
    }

    /// Sends a line.
    #[track_caller]
    pub fn say(&mut self, line: &str) {
        self.write(format!("{line}\n").as_bytes()).expect("the server takes it");
    }

    /// Sends bytes as they are.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.lines.get_mut().write_all(bytes)
    }

    /// The next line without its end.
    #[track_caller]
    pub fn line(&mut self) -> String {
        self.line_or_end().expect("a line, not the end of the stream")
    }

    /// The next line, or `None` at the end of the stream, a reset too.
    #[track_caller]
    pub fn line_or_end(&mut self) -> Option<String> {
        let mut line = Vec::new();
        match self.lines.read_until(b'\n', &mut line) {
            Ok(_) if line.is_empty() => None,
            Ok(_) => {
                assert_eq!(line.pop(), Some(b'\n'), "cut off: {}", String::from_utf8_lossy(&line));
                Some(String::from_utf8(line).expect("lines are UTF-8"))
            }
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => None,
            Err(error) => panic!("waiting for a line: {error}"),
        }
    }

    /// Reads until a line that starts so, and returns it.
    #[track_caller]
    pub fn line_with(&mut self, start: &str) -> String {
        loop {
            let line = self.line();
            if line.starts_with(start) {
                return line;
            }
        }
    }

    /// All lines up to the end of the stream.
    #[track_caller]
    pub fn rest(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.line_or_end()).collect()
    }

    /// The stream itself.
    pub fn stream(&self) -> &TcpStream {
        self.lines.get_ref()
    }

    /// What it reads from.
    pub fn reader(&mut self) -> &mut BufReader<TcpStream> {
        &mut self.lines
    }

    /// Closes so that the other end sees a reset.
    pub fn reset(self) {
        SockRef::from(self.stream()).set_linger(Some(Duration::ZERO)).unwrap();
    }

    /// A second handle, to write from another thread.
    pub fn writer(&self) -> TcpStream {
        self.stream().try_clone().unwrap()
    }
}

/// A server on any port of loopback.
#[track_caller]
pub fn server(relay: Relay) -> Server {
    serve(ServerOptions { relay, ..options() })
}

/// The options of a server on any port of loopback.
pub fn options() -> ServerOptions {
    ServerOptions { listen: "127.0.0.1:0".parse().unwrap(), ..ServerOptions::default() }
}

/// A server with these options.
#[track_caller]
pub fn serve(options: ServerOptions) -> Server {
    Server::start(&options).expect("it starts")
}

/// Waits until the server has counted that.
#[track_caller]
pub fn wait_for(server: &Server, what: &str, counted: impl Fn(&Counts) -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !counted(&server.counts()) {
        assert!(Instant::now() < deadline, "waited in vain until {what}: {:?}", server.counts());
        std::thread::sleep(Duration::from_millis(2));
    }
}
