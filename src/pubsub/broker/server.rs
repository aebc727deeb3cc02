//! The broker's one thread: it waits for its sockets, has the core take what they bring, and sends what the core gives.
//!
//! All that comes by one look at the sockets is taken before anything is sent: many messages leave by one system call.

use std::collections::HashMap;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::eventfd::{EfdFlags, EventFd};

use super::core::{Core, Step};
use super::slab::Key;
use crate::pubsub::news::Gone;
use crate::sys::clock;

/// Bytes read from a socket before the others have their turn.
const CHUNK: usize = 64 << 10;
/// Pieces handed to the kernel at once.
const PIECES: usize = 64;
/// Sockets looked at, and connections accepted, in a turn.
const TURN: usize = 256;
/// Chunks that are read from a connection that another replaces.
const LAST_CHUNKS: usize = 64;
/// Before the next accept after one failed and there was nobody to displace.
const BREATH: Duration = Duration::from_millis(50);
/// How long the peer's kernel may leave data unacknowledged, a full window included, before the connection is given up.
const PEER_STALLS: Duration = Duration::from_secs(30);
/// How long clients have to go when the broker stops in order.
const FAREWELL: Duration = Duration::from_secs(2);
/// Keys of the two that are no connections; connections have others.
const LISTENER: Key = 0;
const SIGN: Key = 1;

/// A core for the thread that serves it and those who look at its figures.
pub(super) type Shared = Arc<Mutex<Core>>;

/// Held for a turn or a look, never across a wait.
pub(super) fn lock(core: &Shared) -> MutexGuard<'_, Core> {
    core.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How the thread is told to end.
#[derive(Debug)]
pub(super) struct Sign {
    wanted: AtomicU8,
    bell: EventFd,
}

/// What a [`Sign`] says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Nothing: it goes on.
    Nothing = 0,
    /// All are told, and have some time.
    Stop = 1,
    /// At once and without a word.
    Kill = 2,
}

impl Sign {
    pub(super) fn new() -> io::Result<Sign> {
        let bell = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
        Ok(Sign { wanted: AtomicU8::new(Wanted::Nothing as u8), bell })
    }

    pub(super) fn give(&self, wanted: Wanted) {
        self.wanted.store(wanted as u8, Ordering::Release);
        // A full counter wakes as well.
        let _ = self.bell.write(1);
    }

    fn says(&self, wanted: Wanted) -> bool {
        self.wanted.load(Ordering::Acquire) == wanted as u8
    }
}

/// The sockets.
pub(super) struct Server {
    core: Shared,
    sign: Arc<Sign>,
    epoll: Epoll,
    listener: Option<TcpListener>,
    /// When to accept again, after it failed.
    pause: Option<Instant>,
    streams: HashMap<Key, Stream>,
    chunk: Box<[u8]>,
    /// What a reading of the clock costs, in ns, where the CPU time of sending is taken.
    reading_ns: Option<u64>,
}

struct Stream {
    socket: TcpStream,
    interest: EpollFlags,
    /// The kernel takes no more now.
    blocked: bool,
    /// Nothing more is sent.
    shut: bool,
}

impl Server {
    pub(super) fn new(listener: TcpListener, core: Shared, sign: Arc<Sign>, timed: bool) -> io::Result<Server> {
        listener.set_nonblocking(true)?;
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        epoll.add(&listener, EpollEvent::new(EpollFlags::EPOLLIN, LISTENER))?;
        epoll.add(&sign.bell, EpollEvent::new(EpollFlags::EPOLLIN, SIGN))?;
        let (streams, chunk) = (HashMap::new(), vec![0; CHUNK].into());
        let reading_ns = timed.then(clock::thread_cpu_reading_ns);
        Ok(Server { core, sign, epoll, listener: Some(listener), pause: None, streams, chunk, reading_ns })
    }

    /// Serves until it is told to end.
    pub(super) fn run(mut self) {
        let core = Arc::clone(&self.core);
        let mut events = [EpollEvent::empty(); TURN];
        let mut end = None;
        while !self.sign.says(Wanted::Kill) && end.is_none_or(|end| Instant::now() < end) {
            let due = [lock(&core).next_due(), self.pause, end].into_iter().flatten().min();
            let count = match self.epoll.wait(&mut events, timeout(due)) {
                Ok(count) => count,
                Err(nix::errno::Errno::EINTR) => continue,
                // It has no other cause here.
                Err(_) => return,
            };
            let now = Instant::now();
            let core = &mut *lock(&core);
            if end.is_none() && self.sign.says(Wanted::Stop) {
                end = Some(now + FAREWELL);
                self.listener = None;
                let _ = self.sign.bell.read();
                core.say_farewell(now);
            }
            for event in &events[..count] {
                match event.data() {
                    LISTENER => self.accept(core, now),
                    SIGN => {}
                    key => self.attend(core, key, event.events(), now),
                }
            }
            if self.pause.is_some_and(|pause| pause <= now) {
                self.pause = None;
                self.listen_again();
                self.accept(core, now);
            }
            for key in core.tick(now) {
                self.close(core, key);
            }
            self.send_all(core, now);
            self.resume(core, now);
            if end.is_some() && core.connections() == 0 {
                return;
            }
        }
    }

    fn accept(&mut self, core: &mut Core, now: Instant) {
        for _ in 0..TURN {
            let Some(listener) = self.listener.as_ref().filter(|_| self.pause.is_none()) else { return };
            let error = match listener.accept() {
                Ok((socket, peer)) => {
                    if let Some(endangered) = core.endangered() {
                        self.receive(core, endangered, now);
                    }
                    let (key, displaced) = core.enter(peer, now);
                    if let Some(displaced) = displaced {
                        self.close(core, displaced);
                    }
                    if self.welcome(socket, key).is_err() {
                        core.lost(key, Gone::Lost, now);
                        core.remove(key);
                    }
                    continue;
                }
                Err(error) => error,
            };
            match error.raw_os_error() {
                Some(libc::EAGAIN) => return,
                // The connection was over before it was accepted (accept(2)).
                Some(libc::ECONNABORTED | libc::EINTR) => continue,
                // Somebody who only waits has to go.
                Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM) => {
                    if let Some(displaced) = core.displace() {
                        self.close(core, displaced);
                        continue;
                    }
                }
                _ => {}
            }
            // It would be ready again at once.
            let _ = self.epoll.delete(listener);
            self.pause = Some(now + BREATH);
        }
    }

    fn listen_again(&self) {
        if let Some(listener) = &self.listener {
            let _ = self.epoll.add(listener, EpollEvent::new(EpollFlags::EPOLLIN, LISTENER));
        }
    }

    fn welcome(&mut self, socket: TcpStream, key: Key) -> io::Result<()> {
        socket.set_nonblocking(true)?;
        socket.set_nodelay(true)?;
        socket2::SockRef::from(&socket).set_tcp_user_timeout(Some(PEER_STALLS))?;
        let interest = EpollFlags::EPOLLIN;
        self.epoll.add(&socket, EpollEvent::new(interest, key))?;
        self.streams.insert(key, Stream { socket, interest, blocked: false, shut: false });
        Ok(())
    }

    /// Something has happened at a socket.
    fn attend(&mut self, core: &mut Core, key: Key, what: EpollFlags, now: Instant) {
        if what.contains(EpollFlags::EPOLLOUT) {
            self.send(core, key, now);
        }
        if what.intersects(EpollFlags::EPOLLIN | EpollFlags::EPOLLHUP | EpollFlags::EPOLLERR) {
            self.receive(core, key, now);
        }
    }

    /// Takes what a connection brings, one chunk of it. False when there was nothing, or the connection is over.
    fn receive(&mut self, core: &mut Core, key: Key, now: Instant) -> bool {
        let Some(stream) = self.streams.get_mut(&key) else { return false };
        match stream.socket.read(&mut self.chunk) {
            Ok(0) => {
                core.lost(key, Gone::Closed, now);
                self.close(core, key);
                false
            }
            Ok(length) => {
                core.feed(key, &self.chunk[..length], now);
                self.take(core, key, now);
                true
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => false,
            Err(error) => {
                let silent = error.kind() == ErrorKind::TimedOut;
                core.lost(key, if silent { Gone::Silent } else { Gone::Lost }, now);
                self.close(core, key);
                false
            }
        }
    }

    /// Has the core take the packets that have come.
    fn take(&mut self, core: &mut Core, key: Key, now: Instant) {
        loop {
            match core.step(key, now) {
                Step::Done => return self.listen(core, key),
                Step::Pressed => self.send_all(core, now),
                Step::Drain(other) => {
                    // What came before the new connection counts before it.
                    for _ in 0..LAST_CHUNKS {
                        if !self.receive(core, other, now) {
                            break;
                        }
                    }
                    core.drained(key);
                }
            }
        }
    }

    /// Sends what all connections have, as far as the kernel takes it.
    fn send_all(&mut self, core: &mut Core, now: Instant) {
        while !core.changed.is_empty() {
            for key in std::mem::take(&mut core.changed) {
                self.send(core, key, now);
            }
        }
    }

    /// Goes on with connections that had to wait for others.
    fn resume(&mut self, core: &mut Core, now: Instant) {
        while !core.resumed.is_empty() {
            for key in std::mem::take(&mut core.resumed) {
                self.take(core, key, now);
            }
            self.send_all(core, now);
        }
    }

    fn send(&mut self, core: &mut Core, key: Key, now: Instant) {
        let Some(stream) = self.streams.get_mut(&key) else { return };
        let mut blocked = false;
        while let Some(output) = core.output(key).filter(|output| !output.is_empty() && !blocked) {
            let mut slices: Vec<IoSlice<'_>> = Vec::with_capacity(4);
            output.slices(&mut slices, PIECES);
            let mut write = || stream.socket.write_vectored(&slices);
            let (written, cpu_ns) = match self.reading_ns {
                Some(reading_ns) => clock::with_thread_cpu_ns(reading_ns, write),
                None => (write(), 0),
            };
            let taken = match written {
                Ok(taken) => taken,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    blocked = true;
                    0
                }
                // The next read tells why; till then nothing is sent.
                Err(_) => {
                    core.lost(key, Gone::Lost, now);
                    return self.close(core, key);
                }
            };
            core.wrote(key, taken, blocked, now);
            core.spent_sending(cpu_ns);
        }
        if !blocked {
            core.wrote(key, 0, false, now);
        }
        if core.is_over(key) && !stream.shut {
            // What is closed with unread bytes is reset, and a reset may overtake what was sent last.
            stream.shut = true;
            let _ = stream.socket.shutdown(Shutdown::Write);
        }
        stream.blocked = blocked;
        self.listen(core, key);
    }

    /// Waits for what a connection is to bring, and for the kernel to take what it is to get.
    fn listen(&mut self, core: &Core, key: Key) {
        let Some(stream) = self.streams.get_mut(&key) else { return };
        let mut interest = EpollFlags::empty();
        interest.set(EpollFlags::EPOLLIN, core.listens_to(key));
        interest.set(EpollFlags::EPOLLOUT, stream.blocked);
        if interest != stream.interest {
            stream.interest = interest;
            let mut event = EpollEvent::new(interest, key);
            // It is there until it is closed.
            let _ = self.epoll.modify(&stream.socket, &mut event);
        }
    }

    fn close(&mut self, core: &mut Core, key: Key) {
        core.remove(key);
        // Closing takes it off the list of what is waited for.
        self.streams.remove(&key);
    }
}

/// Until then, rounded up: a wait that ends early would be a busy loop.
fn timeout(due: Option<Instant>) -> EpollTimeout {
    let Some(due) = due else { return EpollTimeout::NONE };
    let millis = due.saturating_duration_since(Instant::now()).as_nanos().div_ceil(1_000_000);
    EpollTimeout::try_from(millis.min(i32::MAX as u128) as i32).unwrap_or(EpollTimeout::ZERO)
}
