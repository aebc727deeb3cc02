//! What a server tells of itself, as lines on standard error, written by a thread of its own: a terminal that is stopped
//! (Ctrl-S) or a pipe that nobody reads stops that thread, and nothing else.

use std::io;
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use crate::error::{Error, Result};
use crate::feed::{Feed, Told, feed};

/// Events that may wait to be written; those beyond are counted.
const WAITING: usize = 1024;
/// How long the last lines may take when the program ends.
const GRACE: Duration = Duration::from_secs(1);

/// The thread.
pub(crate) struct Reporter {
    ended: Receiver<()>,
}

impl Reporter {
    /// Starts it, unless nothing is to be told. `line` puts an event into words, `write` writes the line and may block.
    ///
    /// # Errors
    /// When the thread is refused.
    pub(crate) fn unless<T: Send + 'static>(
        quiet: bool,
        line: impl Fn(T) -> String + Send + 'static,
        write: impl Fn(&str) + Send + 'static,
    ) -> Result<(Option<Feed<T>>, Option<Reporter>)> {
        if quiet {
            return Ok((None, None));
        }
        let (feed, reporter) = Reporter::start(line, write)
            .map_err(|cause| Error::failed("starting the thread that tells who comes").because(cause))?;
        Ok((Some(feed), Some(reporter)))
    }

    fn start<T: Send + 'static>(
        line: impl Fn(T) -> String + Send + 'static,
        write: impl Fn(&str) + Send + 'static,
    ) -> io::Result<(Feed<T>, Reporter)> {
        let (feed, reader) = feed(WAITING);
        // Dropped when the thread ends: that is the sign.
        let (running, ended) = mpsc::channel();
        thread::Builder::new().name("reporter".into()).spawn(move || {
            let _running: mpsc::Sender<()> = running;
            for told in reader {
                match told {
                    Told::Event(event) => write(&line(event)),
                    Told::Missed(missed) => write(&format!("… and {missed} more")),
                }
            }
        })?;
        Ok((feed, Reporter { ended }))
    }

    /// Waits until all is written, when nobody tells any more. Who does not read in time misses the rest.
    pub(crate) fn finish(self) {
        let _ = self.ended.recv_timeout(GRACE);
    }
}
