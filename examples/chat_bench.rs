//! What the chat's relays cost, beside a bare loop of blocking writes to as many sockets. Run by `scripts/bench-chat.sh`.
//!
//! ```text
//! chat_bench NETLAB [--clients N] [--rate R] [--seconds S] [--rounds K] [--size B]
//! ```
//!
//! Each server is a process of its own: `netlab chat serve` with either relay, or this program as `chat_bench bare`. The
//! clients are all in this one: a thread sends messages at an even pace, each by another client in turn, and a thread
//! reads what all of them get. The servers take turns, round by round. What counts of a server is the CPU time of its
//! process between the first message and the last copy, by the copies that arrived; and of each copy how long it took
//! from before the message was sent until it was read. Every client must get every message, all in the same order.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use hdrhistogram::Histogram;
use netlab::chat::server::Counts;
use netlab::sys::{clock, cpu};
use netlab::wire::chat::lines::LineBuffer;
use netlab::wire::chat::{as_msg, msg, say};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use socket2::{Domain, SockRef, Socket, Type};

type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// What is run.
#[derive(Clone, Copy)]
struct Load {
    clients: usize,
    rate: f64,
    messages: usize,
    size: usize,
}

/// The servers compared.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Bare,
    Direct,
    Queued,
    /// Queued, with one client more that never reads.
    Stuck,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Bare => "bare writes",
            Kind::Direct => "direct",
            Kind::Queued => "queued",
            Kind::Stuck => "queued, one stuck",
        }
    }
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    let done = match words.first().map(String::as_str) {
        Some("bare") => bare(&words[1..]),
        Some(netlab) if !netlab.starts_with('-') => compare(netlab, &words[1..]),
        _ => Err("usage: chat_bench NETLAB [--clients N] [--rate R] [--seconds S] [--rounds K] [--size B]".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "chat_bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn compare(netlab: &str, words: &[String]) -> Outcome<()> {
    let value = |flag: &str, usual: f64| -> Outcome<f64> {
        let at = words.iter().position(|word| word == flag);
        at.map_or(Ok(usual), |at| Ok(words.get(at + 1).ok_or("a flag without its value")?.parse()?))
    };
    let (seconds, rounds) = (value("--seconds", 10.0)?, value("--rounds", 3.0)? as usize);
    let (clients, rate) = (value("--clients", 1000.0)? as usize, value("--rate", 100.0)?);
    let load = Load { clients, rate, messages: (rate * seconds) as usize, size: value("--size", 64.0)? as usize };
    // Ten times the bytes, so that the queue of the one that never reads overflows in time.
    let fat = Load { size: load.size.max(1_000), ..load };
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;

    let mut err = io::stderr();
    writeln!(
        err,
        "{clients} clients, {rate} messages/s of {} bytes to all of them, {rounds} rounds of {seconds} s",
        load.size
    )?;
    let kinds = [Kind::Bare, Kind::Direct, Kind::Queued];
    let mut measured: Vec<Vec<Measured>> = kinds.iter().map(|_| Vec::new()).collect();
    for round in 1..=rounds {
        for (kind, results) in kinds.iter().zip(&mut measured) {
            results.push(measure(netlab, *kind, load)?);
        }
        writeln!(err, "round {round} of {rounds}")?;
    }
    let mut out = io::stdout().lock();
    writeln!(
        out,
        "{:18} {:>10} {:>6} {:>11} {:>7} {:>9} {:>9} {:>9}",
        "server", "copies/s", "lost", "CPU µs/copy", "ratio", "p50 ms", "p99 ms", "max ms"
    )?;
    let base = median(measured[0].iter().map(Measured::cpu_us));
    for (kind, results) in kinds.iter().zip(&measured) {
        row(&mut out, *kind, results, Some(median(results.iter().map(Measured::cpu_us)) / base))?;
    }
    writeln!(out, "\nwith {} bytes a message, and at last one client more that never reads:", fat.size)?;
    for kind in [Kind::Queued, Kind::Stuck] {
        let results = [measure(netlab, kind, fat)?];
        row(&mut out, kind, &results, None)?;
        if kind == Kind::Stuck {
            writeln!(out, "clients dropped for not reading: {}", results[0].dropped)?;
        }
    }
    Ok(())
}

fn row(out: &mut impl Write, kind: Kind, results: &[Measured], ratio: Option<f64>) -> io::Result<()> {
    let middle = |of: fn(&Measured) -> f64| median(results.iter().map(of));
    let lost: u64 = results.iter().map(|result| result.lost).sum();
    writeln!(
        out,
        "{:18} {:>10.0} {:>6} {:>11.2} {:>7} {:>9.2} {:>9.2} {:>9.2}",
        kind.name(),
        middle(|result| result.copies as f64 / result.took_s),
        lost,
        middle(Measured::cpu_us),
        ratio.map_or_else(String::new, |ratio| format!("{ratio:.2}")),
        middle(|result| result.latency_ms[0]),
        middle(|result| result.latency_ms[1]),
        results.iter().map(|result| result.latency_ms[2]).fold(0.0, f64::max),
    )
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    let half = values.len() / 2;
    if values.len() % 2 == 1 { values[half] } else { (values[half - 1] + values[half]) / 2.0 }
}

/// What one run gave.
struct Measured {
    copies: u64,
    lost: u64,
    took_s: f64,
    cpu_ns: u64,
    latency_ms: [f64; 3],
    dropped: u64,
}

impl Measured {
    fn cpu_us(&self) -> f64 {
        self.cpu_ns as f64 / 1e3 / self.copies.max(1) as f64
    }
}

fn measure(netlab: &str, kind: Kind, load: Load) -> Outcome<Measured> {
    let mut command = match kind {
        Kind::Bare => {
            let mut own = Command::new(std::env::current_exe()?);
            own.args(["bare", &load.clients.to_string(), &load.rate.to_string()]);
            own.args([load.messages.to_string(), load.size.to_string()]);
            own
        }
        Kind::Direct | Kind::Queued | Kind::Stuck => {
            let relay = if kind == Kind::Direct { "direct" } else { "queued" };
            let mut served = Command::new(netlab);
            served.args(["chat", "serve", "--listen", "127.0.0.1:0", "--rate", "max", "--json", "--relay", relay]);
            served
        }
    };
    let mut server = Running::start(&mut command)?;
    let to = server.address()?;
    let mut crowd = Crowd::connect(to, load.clients)?;
    if kind != Kind::Bare {
        crowd.join()?;
    }
    let stuck = if kind == Kind::Stuck { Some(never_reads(to, &mut crowd)?) } else { None };

    let pid = server.0.id();
    let cpu_before_ns = cpu::process_cpu_ns_of(pid).ok_or("the server has no clock")?;
    let start_ns = clock::monotonic_ns();
    if kind == Kind::Bare {
        writeln!(server.0.stdin.as_mut().ok_or("no standard input")?, "go")?;
    } else {
        crowd.send(load)?;
    }
    let heard = crowd.hear(load.messages)?;
    let cpu_ns = cpu::process_cpu_ns_of(pid).ok_or("the server has ended")? - cpu_before_ns;
    let took_s = (heard.last_ns - start_ns) as f64 / 1e9;
    drop(crowd);
    let counts = if kind == Kind::Bare { Counts::default() } else { server.stop()? };
    drop(stuck);
    let quantile = |q: f64| heard.latency_us.value_at_quantile(q) as f64 / 1e3;
    Ok(Measured {
        copies: heard.copies,
        lost: (load.clients * load.messages) as u64 - heard.copies,
        took_s,
        cpu_ns,
        latency_ms: [quantile(0.5), quantile(0.99), heard.latency_us.max() as f64 / 1e3],
        dropped: counts.clients_dropped_slow,
    })
}

/// A server's process, killed when this is dropped.
struct Running(Child);

impl Running {
    fn start(command: &mut Command) -> Outcome<Running> {
        Ok(Running(command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?))
    }

    /// Its first line, `listening on ADDR…`.
    fn address(&mut self) -> Outcome<SocketAddr> {
        let mut lines = BufReader::new(self.0.stderr.take().ok_or("no standard error")?);
        let mut line = String::new();
        lines.read_line(&mut line)?;
        // What else it says is read, lest it wait for a reader.
        thread::spawn(move || io::copy(&mut lines, &mut io::sink()));
        let address = line.strip_prefix("listening on ").and_then(|rest| rest.split([',', '\n']).next());
        Ok(address.ok_or_else(|| line.clone())?.parse()?)
    }

    fn stop(&mut self) -> Outcome<Counts> {
        kill(Pid::from_raw(self.0.id() as i32), Signal::SIGINT)?;
        let mut text = String::new();
        self.0.stdout.take().ok_or("no standard output")?.read_to_string(&mut text)?;
        Ok(serde_json::from_str(&text)?)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// All clients.
struct Crowd {
    streams: Vec<TcpStream>,
    reading: mpsc::Receiver<Outcome<Heard>>,
    /// Lines that were heard so far, of any kind, by all clients together.
    lines: &'static AtomicU64,
    expected: &'static AtomicU64,
}

/// What all clients heard.
struct Heard {
    copies: u64,
    last_ns: u64,
    latency_us: Histogram<u64>,
}

impl Crowd {
    fn connect(to: SocketAddr, clients: usize) -> Outcome<Crowd> {
        let mut streams = Vec::with_capacity(clients);
        for _ in 0..clients {
            let stream = TcpStream::connect(to)?;
            stream.set_nodelay(true)?;
            streams.push(stream);
        }
        // A few numbers for the life of this program.
        let lines: &'static AtomicU64 = Box::leak(Box::default());
        let expected: &'static AtomicU64 = Box::leak(Box::new(AtomicU64::new(u64::MAX)));
        let ends = streams.iter().map(TcpStream::try_clone).collect::<io::Result<Vec<_>>>()?;
        let (tell, reading) = mpsc::channel();
        thread::spawn(move || tell.send(read_all(&ends, lines, expected)));
        Ok(Crowd { streams, reading, lines, expected })
    }

    fn join(&mut self) -> Outcome<()> {
        let clients = self.streams.len() as u64;
        for (index, stream) in self.streams.iter_mut().enumerate() {
            writeln!(stream, "JOIN c{index}")?;
        }
        // A greeting and an answer each, and everybody hears of those who come later.
        self.wait_for(2 * clients + clients * (clients - 1) / 2)
    }

    fn wait_for(&self, lines: u64) -> Outcome<()> {
        let deadline_ns = clock::monotonic_ns() + 120_000_000_000;
        while self.lines.load(Ordering::Relaxed) < lines {
            if let Ok(Err(error)) = self.reading.try_recv() {
                return Err(error);
            }
            if clock::monotonic_ns() > deadline_ns {
                return Err("the clients have not all joined".into());
            }
            thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    fn send(&mut self, load: Load) -> Outcome<()> {
        let interval_ns = 1e9 / load.rate;
        let start_ns = clock::monotonic_ns();
        let mut line = Vec::new();
        for number in 0..load.messages {
            clock::sleep_until(start_ns + (number as f64 * interval_ns) as u64);
            line.clear();
            say(&text(load.size), &mut line);
            let author = number % self.streams.len();
            self.streams[author].write_all(&line)?;
        }
        Ok(())
    }

    fn hear(&self, messages: usize) -> Outcome<Heard> {
        self.expected.store((messages * self.streams.len()) as u64, Ordering::Relaxed);
        self.reading.recv()?
    }
}

/// The moment, and padding.
fn text(size: usize) -> Vec<u8> {
    let mut text = format!("{:016x}", clock::monotonic_ns()).into_bytes();
    text.resize(size.max(16), b'.');
    text
}

/// Reads what all clients get until they have `expected` copies, or nothing has come for 5 s.
fn read_all(streams: &[TcpStream], lines: &AtomicU64, expected: &AtomicU64) -> Outcome<Heard> {
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
    for (index, stream) in streams.iter().enumerate() {
        stream.set_nonblocking(true)?;
        epoll.add(stream, EpollEvent::new(EpollFlags::EPOLLIN, index as u64))?;
    }
    let mut buffers: Vec<_> = streams.iter().map(|_| (LineBuffer::new(), DefaultHasher::new())).collect();
    let mut heard = Heard { copies: 0, last_ns: clock::monotonic_ns(), latency_us: Histogram::new(3)? };
    let mut events = [EpollEvent::empty(); 256];
    while heard.copies < expected.load(Ordering::Relaxed) {
        let ready = epoll.wait(&mut events, EpollTimeout::from(100_u8))?;
        let waited_ns = clock::monotonic_ns() - heard.last_ns;
        if ready == 0 && expected.load(Ordering::Relaxed) != u64::MAX && waited_ns > 5_000_000_000 {
            break;
        }
        for event in &events[..ready] {
            let index = event.data() as usize;
            let (buffer, order) = &mut buffers[index];
            match (&streams[index]).read(buffer.space()) {
                Ok(0) => return Err(format!("client {index} was sent away").into()),
                Ok(count) => buffer.filled(count),
                Err(error) if error.kind() == ErrorKind::WouldBlock => continue,
                Err(error) => return Err(error.into()),
            }
            while let Some(line) = buffer.next_line() {
                lines.fetch_add(1, Ordering::Relaxed);
                let Some((_, text)) = line.ok().and_then(as_msg) else { continue };
                text.hash(order);
                let sent_ns = text.get(..16).and_then(|stamp| std::str::from_utf8(stamp).ok());
                let sent_ns = sent_ns.and_then(|stamp| u64::from_str_radix(stamp, 16).ok()).ok_or("no moment in it")?;
                heard.last_ns = clock::monotonic_ns();
                heard.copies += 1;
                heard.latency_us.record(heard.last_ns.saturating_sub(sent_ns) / 1_000)?;
            }
        }
    }
    let mut orders = buffers.iter().map(|(_, order)| order.finish());
    let first = orders.next();
    if orders.any(|order| Some(order) != first) {
        return Err("not all clients heard the same in the same order".into());
    }
    Ok(heard)
}

/// Joins and never reads.
fn never_reads(to: SocketAddr, crowd: &mut Crowd) -> Outcome<TcpStream> {
    let socket = Socket::new(Domain::for_address(to), Type::STREAM, None)?;
    SockRef::from(&socket).set_recv_buffer_size(1)?;
    socket.connect(&to.into())?;
    let before = crowd.lines.load(Ordering::Relaxed);
    let mut stream = TcpStream::from(socket);
    writeln!(stream, "JOIN stuck")?;
    crowd.wait_for(before + crowd.streams.len() as u64)?;
    Ok(stream)
}

/// The bare loop: accepts `clients` connections, waits for a line on standard input, and then at an even pace writes a
/// message to each, one blocking write after the other.
fn bare(words: &[String]) -> Outcome<()> {
    let [clients, rate, messages, size] = words else { return Err("bare CLIENTS RATE MESSAGES SIZE".into()) };
    let (clients, rate): (usize, f64) = (clients.parse()?, rate.parse()?);
    let (messages, size): (usize, usize) = (messages.parse()?, size.parse()?);
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into())?;
    socket.listen(4096)?;
    let listener = TcpListener::from(socket);
    writeln!(io::stderr(), "listening on {}", listener.local_addr()?)?;
    let mut streams = Vec::with_capacity(clients);
    for _ in 0..clients {
        let (stream, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        streams.push(stream);
    }
    io::stdin().read_line(&mut String::new())?;
    let start_ns = clock::monotonic_ns();
    let mut line = Vec::new();
    for number in 0..messages {
        clock::sleep_until(start_ns + (number as f64 / rate * 1e9) as u64);
        line.clear();
        // As long as what the relays send.
        msg(format!("c{}", number % clients).as_bytes(), &text(size), &mut line);
        for stream in &mut streams {
            stream.write_all(&line)?;
        }
    }
    // Until the other end has read its clock.
    io::stdin().read_line(&mut String::new())?;
    Ok(())
}
