//! The one thread that empties queues, of those clients alone whose sockets were full.
//!
//! It waits in the kernel (`epoll(7)`) until one of these sockets has room: while nobody is slow, it has nothing to do.

use std::collections::HashMap;
use std::os::fd::BorrowedFd;
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::eventfd::{EfdFlags, EventFd};

use super::connection::lock;
use super::queued::Backlog;
use crate::error::{Error, Result};

/// Stands for the order to stop; connections are numbered from 0.
const STOP: u64 = u64::MAX;

/// How much stack its thread has, in bytes.
const STACK: usize = 128 << 10;

/// The thread, which ends when this is dropped.
pub(super) struct Flusher {
    watch: Arc<Watch>,
    stop: EventFd,
    thread: Option<JoinHandle<()>>,
}

/// Which clients' sockets are waited for.
pub(super) struct Watch {
    epoll: Epoll,
    clogged: Mutex<HashMap<u64, Arc<Backlog>>>,
}

impl Flusher {
    /// Starts it.
    ///
    /// # Errors
    /// When the kernel refuses a descriptor or the thread.
    pub(super) fn start() -> Result<Flusher> {
        let failed = |cause: Errno| Error::failed("preparing to wait for slow clients").because(cause);
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).map_err(failed)?;
        let stop = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK).map_err(failed)?;
        epoll.add(&stop, EpollEvent::new(EpollFlags::EPOLLIN, STOP)).map_err(failed)?;
        let watch = Arc::new(Watch { epoll, clogged: Mutex::default() });
        let thread = thread::Builder::new().name("chat-flusher".into()).stack_size(STACK).spawn({
            let watch = Arc::clone(&watch);
            move || watch.flush_until_stopped()
        });
        let thread = thread.map_err(|cause| Error::failed("starting the flushing thread").because(cause))?;
        Ok(Flusher { watch, stop, thread: Some(thread) })
    }

    pub(super) fn watch(&self) -> Arc<Watch> {
        Arc::clone(&self.watch)
    }
}

impl Drop for Flusher {
    fn drop(&mut self) {
        // The only failure is a counter that is full: it wakes the thread as well.
        let _ = self.stop.write(1);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Watch {
    /// Has a client's queue flushed whenever its socket has room.
    pub(super) fn begin(&self, backlog: &Arc<Backlog>) -> Result<(), Errno> {
        lock(&self.clogged).insert(backlog.id, Arc::clone(backlog));
        self.epoll.add(backlog.socket(), EpollEvent::new(EpollFlags::EPOLLOUT, backlog.id))
    }

    /// Ends that; it need not have begun.
    pub(super) fn end(&self, id: u64, socket: BorrowedFd<'_>) {
        if lock(&self.clogged).remove(&id).is_some() {
            // Refused only where adding it was refused.
            let _ = self.epoll.delete(socket);
        }
    }

    /// A client that an author, of whose words `pending` bytes wait, has to wait for; and whether for that one alone: at
    /// least half of the `clients` have taken all.
    pub(super) fn awaited(&self, pending: usize, clients: usize) -> Option<(Arc<Backlog>, bool)> {
        // A queue tells of its beginning and its end while it is locked: so none is looked at under this lock.
        let clogged: Vec<_> = lock(&self.clogged).values().cloned().collect();
        let alone = clogged.len() * 2 <= clients;
        clogged.into_iter().find(|backlog| backlog.is_waited_for(pending)).map(|backlog| (backlog, alone))
    }

    fn flush_until_stopped(&self) {
        let mut events = [EpollEvent::empty(); 64];
        loop {
            let count = match self.epoll.wait(&mut events, EpollTimeout::NONE) {
                Ok(count) => count,
                Err(Errno::EINTR) => continue,
                // A descriptor of our own does not go bad.
                Err(_) => return,
            };
            for event in &events[..count] {
                if event.data() == STOP {
                    return;
                }
                let clogged = lock(&self.clogged).get(&event.data()).cloned();
                if let Some(backlog) = clogged {
                    backlog.flush();
                }
            }
        }
    }
}
