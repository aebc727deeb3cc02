//! The threads that keep what a router sends on for as long as its distance says: one for each link it comes by.

use std::fs;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::time::TimeSpec;
use serde::{Deserialize, Serialize};
use socket2::Socket;

use super::distance::{DelayPlan, Fate, Routes};
use super::queue::{Held, Queue};
use crate::error::{Error, Result};
use crate::sys::clock::{self, RealtimeOffset};
use crate::sys::interface::Interface;
use crate::sys::mmsg::ReceiveBatch;
use crate::sys::netns::refused;
use crate::sys::{packet, socket};
use crate::wire::ethernet::{HEADER_LEN, MacAddress};

/// Bytes of frames that may be on their way by each link they came by.
pub const QUEUE_BYTES: usize = 4 << 20;
/// Frames received, or sent, before the other is looked after again.
const BATCH: usize = 64;

/// A router's program that forwards over a distance, running until it is dropped or told to [`stop`](Delay::stop). What
/// is then still on its way is lost.
#[derive(Debug)]
pub struct Delay {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<Result<()>>>,
}

/// What it has done so far, with all frames that were given to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DelayCounts {
    /// Frames it has sent on.
    pub forwarded: u64,
    /// Frames it should have sent on and has not: no room left among those on their way, none in a socket's buffer, one
    /// the outgoing link did not take, one longer than its link allows.
    pub dropped: u64,
    /// Frames whose time to live was over.
    pub expired: u64,
    /// Frames for nobody it knows, and those whose IP header was not in order.
    pub unroutable: u64,
    /// The longest that a frame has left after its time, in ns.
    pub latest_ns: u64,
}

impl DelayCounts {
    /// What it has done since `earlier`; but for the lateness, which is that since it started.
    #[must_use]
    pub fn since(&self, earlier: &DelayCounts) -> DelayCounts {
        DelayCounts {
            forwarded: self.forwarded.saturating_sub(earlier.forwarded),
            dropped: self.dropped.saturating_sub(earlier.dropped),
            expired: self.expired.saturating_sub(earlier.expired),
            unroutable: self.unroutable.saturating_sub(earlier.unroutable),
            latest_ns: self.latest_ns,
        }
    }
}

impl Delay {
    /// Starts it in the calling thread's network namespace. When this returns, it forwards.
    ///
    /// # Errors
    /// As [`DelayPlan::check`]; usage when there is no such interface, the kernel forwards as well, or nobody is pinned;
    /// not permitted, with the remedies, where the kernel refuses.
    pub fn start(plan: &DelayPlan) -> Result<Delay> {
        plan.check()?;
        let shared = Arc::new(Shared::open(plan)?);
        // From here on dropping the value ends the threads there are.
        let mut delay = Delay { shared, threads: Vec::new() };
        for (index, link) in delay.shared.links.iter().enumerate() {
            let worker = Worker {
                shared: Arc::clone(&delay.shared),
                link: index,
                distance_ns: plan.distance_ns(),
                queue: Queue::new(QUEUE_BYTES),
                empty_at_ns: 0,
            };
            let thread =
                std::thread::Builder::new()
                    .name(format!("delay {}", link.name))
                    .spawn(move || worker.run())
                    .map_err(|cause| Error::failed(format!("starting a thread for {}", link.name)).because(cause))?;
            delay.threads.push(thread);
        }
        Ok(delay)
    }

    /// What it has done so far.
    #[must_use]
    pub fn counts(&self) -> DelayCounts {
        let Tally { forwarded, dropped, expired, unroutable, latest_ns } = &self.shared.tally;
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let overflowed: u64 = self.shared.links.iter().filter_map(|link| socket::drops(&link.socket)).sum();
        DelayCounts {
            forwarded: of(forwarded),
            dropped: of(dropped) + overflowed,
            expired: of(expired),
            unroutable: of(unroutable),
            latest_ns: of(latest_ns),
        }
    }

    /// Frames it should have sent on and has not; see [`DelayCounts::dropped`].
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.counts().dropped
    }

    /// Waits until it fails: by itself it does not end.
    ///
    /// # Errors
    /// Why it failed.
    pub fn wait(mut self) -> Result<()> {
        self.join()
    }

    /// Ends it: nothing is forwarded any more.
    ///
    /// # Errors
    /// When it had failed before: why.
    pub fn stop(mut self) -> Result<()> {
        self.shared.end();
        self.join()
    }

    fn join(&mut self) -> Result<()> {
        let results: Vec<_> = self.threads.drain(..).map(JoinHandle::join).collect();
        results.into_iter().try_for_each(|result| match result {
            Ok(result) => result,
            Err(_) => Err(Error::failed("a thread of the router's program panicked")),
        })
    }
}

impl Drop for Delay {
    fn drop(&mut self) {
        self.shared.end();
        // Whoever wants to know asks `stop`.
        let _ = self.join();
    }
}

/// What the threads and their owner share.
#[derive(Debug)]
struct Shared {
    links: Vec<Link>,
    routes: Routes,
    stop: AtomicBool,
    /// Written to once, at the end, and read by nobody: from then on it wakes all.
    wake: EventFd,
    tally: Tally,
}

/// One interface.
#[derive(Debug)]
struct Link {
    name: String,
    /// Its thread receives by it, and all send by it.
    socket: Socket,
    /// The longest frame.
    frame_bytes: usize,
}

#[derive(Debug, Default)]
struct Tally {
    forwarded: AtomicU64,
    dropped: AtomicU64,
    expired: AtomicU64,
    unroutable: AtomicU64,
    latest_ns: AtomicU64,
}

impl Shared {
    fn open(plan: &DelayPlan) -> Result<Shared> {
        let mut interfaces = Vec::new();
        for name in &plan.interfaces {
            let interface = Interface::named(name)?;
            let mac = interface.mac.ok_or_else(|| Error::usage(format!("{name} is no Ethernet interface")))?;
            refuse_a_second_router(name)?;
            interfaces.push((interface, MacAddress(mac)));
        }
        let routes = Routes::read(&interfaces)?;
        let links = interfaces.iter().map(|(interface, mac)| Link::open(interface, *mac)).collect::<Result<_>>()?;
        let wake = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)
            .map_err(|cause| Error::failed("making an event counter").because(cause))?;
        Ok(Shared { links, routes, stop: AtomicBool::new(false), wake, tally: Tally::default() })
    }

    /// Has all threads end.
    fn end(&self) {
        self.stop.store(true, Ordering::Relaxed);
        // The only failure is an event counter that is full: it wakes them as well.
        let _ = self.wake.write(1);
    }
}

impl Link {
    fn open(interface: &Interface, mac: MacAddress) -> Result<Link> {
        let name = &interface.name;
        let open = || {
            let opened = packet::open_unicast(interface, mac.0)?;
            socket::tell_times_and_drops(&opened)?;
            socket::enlarge_receive_buffer(&opened)?;
            socket::bound_send_buffer(&opened)?;
            Ok(opened)
        };
        let socket = open().map_err(|cause: std::io::Error| {
            let operation = format!("opening a packet socket on {name}");
            match cause.raw_os_error() {
                Some(code) => refused(&operation, Errno::from_raw(code)),
                None => Error::failed(operation).because(cause),
            }
        })?;
        Ok(Link { name: name.clone(), socket, frame_bytes: HEADER_LEN + interface.mtu as usize })
    }
}

/// What the kernel forwarded as well would cross twice, once without a delay.
fn refuse_a_second_router(interface: &str) -> Result<()> {
    let path = format!("/proc/sys/net/ipv4/conf/{interface}/forwarding");
    let is = fs::read_to_string(&path).map_err(|cause| Error::failed(format!("reading {path}")).because(cause))?;
    match is.trim() {
        "0" => Ok(()),
        _ => Err(Error::usage(format!("the kernel forwards what comes by {interface} itself, and at once"))
            .remedy("Switch that off in the router's namespace: sysctl -w net.ipv4.ip_forward=0")),
    }
}

/// The side of the thread for what comes by one link.
struct Worker {
    shared: Arc<Shared>,
    link: usize,
    distance_ns: u64,
    queue: Queue,
    /// A moment at which the socket held nothing any more, in ns of `CLOCK_MONOTONIC`: what it has held since came later.
    empty_at_ns: u64,
}

impl Worker {
    fn run(mut self) -> Result<()> {
        clock::wake_precisely();
        self.empty_at_ns = clock::monotonic_ns();
        let mut batch = ReceiveBatch::new(BATCH, self.shared.links[self.link].frame_bytes);
        let result = loop {
            let received = self.wait().and_then(|ready| if ready { self.receive(&mut batch) } else { Ok(()) });
            if self.shared.stop.load(Ordering::Relaxed) {
                return Ok(());
            }
            if received.is_err() {
                break received;
            }
            self.send_due();
        };
        // A router that forwards one way only would be a riddle.
        self.shared.end();
        result
    }

    /// Sleeps until something comes in, a frame is due, or somebody wakes it; tells whether something came in.
    fn wait(&self) -> Result<bool> {
        let nap = self.queue.next_ns().map(|due_ns| {
            let nap_ns = due_ns.saturating_sub(clock::monotonic_ns());
            TimeSpec::new((nap_ns / 1_000_000_000) as i64, (nap_ns % 1_000_000_000) as i64)
        });
        let mut ready = [
            PollFd::new(self.socket().as_fd(), PollFlags::POLLIN),
            PollFd::new(self.shared.wake.as_fd(), PollFlags::POLLIN),
        ];
        match ppoll(&mut ready, nap, None) {
            Ok(_) => Ok(ready[0].any().unwrap_or(true)),
            Err(Errno::EINTR) => Ok(false),
            Err(cause) => Err(Error::failed("waiting on a packet socket").because(cause)),
        }
    }

    fn receive(&mut self, batch: &mut ReceiveBatch) -> Result<()> {
        use std::io::ErrorKind::{Interrupted, NetworkDown, WouldBlock};
        let before_ns = clock::monotonic_ns();
        let received = match batch.receive_ready(self.socket().as_fd(), BATCH) {
            Ok(received) => received,
            // A link that is down may come up again. One that is gone never does, and wakes nobody.
            Err(cause) if matches!(cause.kind(), Interrupted | WouldBlock | NetworkDown) => return Ok(()),
            Err(cause) => {
                let name = &self.shared.links[self.link].name;
                return Err(Error::failed(format!("receiving by {name}")).because(cause));
            }
        };
        // The kernel tells by the wall clock when it received a frame. Should that be set in between, the frame came at
        // any rate after the socket was last empty, and before now.
        let (offset, now_ns) = (RealtimeOffset::read(), clock::monotonic_ns());
        for arrived in batch.datagrams() {
            let arrived_ns = arrived.kernel_realtime_ns.map_or(now_ns, |ns| offset.to_monotonic(ns));
            let due_ns = arrived_ns.clamp(self.empty_at_ns, now_ns).saturating_add(self.distance_ns);
            let mut frame: Box<[u8]> = arrived.bytes.into();
            let tally = &self.shared.tally;
            let counter = match self.shared.routes.rewrite(&mut frame) {
                _ if arrived.truncated => &tally.dropped,
                Fate::Leaves(link) if self.queue.push(Held { due_ns, link, frame }) => continue,
                Fate::Leaves(_) => &tally.dropped,
                Fate::Arrived => continue,
                Fate::Expired => &tally.expired,
                Fate::Unroutable => &tally.unroutable,
            };
            counter.fetch_add(1, Ordering::Relaxed);
        }
        if received < BATCH {
            self.empty_at_ns = before_ns;
        }
        Ok(())
    }

    /// Sends frames whose time has come. Each waits for room on its link, as a sender's would.
    fn send_due(&mut self) {
        let tally = &self.shared.tally;
        for _ in 0..BATCH {
            let now_ns = clock::monotonic_ns();
            let Some(held) = self.queue.pop(now_ns) else { return };
            let counter = match self.shared.links[held.link].send(&held.frame) {
                Ok(()) => &tally.forwarded,
                Err(_) => &tally.dropped,
            };
            counter.fetch_add(1, Ordering::Relaxed);
            tally.latest_ns.fetch_max(now_ns - held.due_ns, Ordering::Relaxed);
        }
    }

    fn socket(&self) -> &Socket {
        &self.shared.links[self.link].socket
    }
}

impl Link {
    fn send(&self, frame: &[u8]) -> std::io::Result<()> {
        loop {
            match self.socket.send(frame) {
                Err(cause) if cause.kind() == std::io::ErrorKind::Interrupted => {}
                result => return result.map(drop),
            }
        }
    }
}
