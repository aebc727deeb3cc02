//! The lecture's relay: whoever has read a message writes it to every socket.
//!
//! The write blocks until the kernel has taken all of it. A client that does not read fills its own receive buffer, then
//! the server's send buffer, and then the thread that writes to it stands still, and with it all who wait for their turn.

use std::io::Write;
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::connection::{Line, Outbox, lock};
use super::counts::Counters;

/// See the module.
pub(super) struct Direct {
    stream: Arc<TcpStream>,
    /// Lines of two threads do not mix.
    turn: Mutex<()>,
    broken: AtomicBool,
    counters: Arc<Counters>,
}

impl Direct {
    pub(super) fn new(stream: Arc<TcpStream>, counters: Arc<Counters>) -> Direct {
        Direct { stream, turn: Mutex::new(()), broken: AtomicBool::new(false), counters }
    }
}

impl Outbox for Direct {
    fn send(&self, line: &Arc<Line>) {
        if !self.write(line) {
            self.broken.store(true, Ordering::Relaxed);
            // Its own thread, which reads, finds the stream ended and clears up.
            let _ = self.stream.shutdown(Shutdown::Both);
        }
    }

    fn wait_for_room(&self) {
        // Each write has waited for it.
    }

    fn is_open(&self) -> bool {
        !self.broken.load(Ordering::Relaxed)
    }

    fn is_too_slow(&self) -> bool {
        false
    }

    fn finish(&self, last: Option<&Arc<Line>>, grace: Duration) -> bool {
        // Nobody else writes to it any more. Where that cannot be set, the end of the stream is what it was anyhow.
        let _ = self.stream.set_write_timeout(Some(grace));
        last.is_none_or(|last| self.write(last))
    }
}

impl Direct {
    /// Writes a line, however long that takes; whether the kernel has it then.
    fn write(&self, line: &Line) -> bool {
        let _turn = lock(&self.turn);
        let written = (&*self.stream).write_all(&line.bytes).is_ok();
        if written {
            self.counters.lines_written.add(1);
            self.counters.copies_written.add(line.is_copy.into());
        }
        written
    }
}
