//! Receiving from a session: blocking, counted into a tally.

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;

use super::{Language, Session, Word, chat, is_timeout, mqtt};
use crate::delivery::receiver::{ReceivePlan, ReceiveReport, compute};
use crate::delivery::tally::{Arrival, Tally};
use crate::error::{Error, Result};
use crate::sys::clock;
use crate::wire::probe::Probe;

/// What has come by one session or several, one after the other.
pub struct Hearing {
    tally: Tally,
    plan: ReceivePlan,
    answers: Option<mpsc::Sender<u64>>,
    started_ns: u64,
    warnings: Vec<String>,
}

impl Hearing {
    /// Nothing has come yet. Of `plan` the trace and the busy time count. When the server answers what
    /// [`Session::asker`] asked, `answers` is told the time, `CLOCK_MONOTONIC` in ns.
    pub fn new(plan: &ReceivePlan, answers: Option<mpsc::Sender<u64>>) -> Hearing {
        let started_ns = clock::monotonic_ns();
        let tally = Tally::new(plan.trace, clock::name());
        Hearing { tally, plan: plan.clone(), answers, started_ns, warnings: Vec::new() }
    }

    /// Takes what comes until the stream ends, by whichever side; a busy program looks at `stop` as well.
    ///
    /// A busy program takes one message at a time, and a message has arrived when the program comes to it.
    ///
    /// # Errors
    /// When what comes cannot be understood.
    pub fn hear(&mut self, session: &mut Session, stop: &AtomicBool) -> Result<()> {
        let busy = !self.plan.busy.is_zero();
        loop {
            let arrived_ns = clock::monotonic_ns();
            while let Some((length, word)) = next(session)? {
                let now_ns = if busy { clock::monotonic_ns() } else { arrived_ns };
                self.take(session, word, now_ns, stop)?;
                session.input.consume(length);
                if busy && stop.load(Ordering::Relaxed) {
                    return Ok(());
                }
            }
            match session.input.fill(&session.stream) {
                Ok(0) => return Ok(()),
                Ok(_) => {}
                Err(error) if is_timeout(&error) => {}
                Err(error) if is_gone(&error) => return Ok(()),
                Err(error) => {
                    return Err(Error::failed(format!("receiving from {}", session.spec.server)).because(error));
                }
            }
        }
    }

    /// What has come, all in all.
    pub fn into_report(self) -> ReceiveReport {
        ReceiveReport {
            messages_unrecognized: self.tally.messages_unrecognized(),
            bytes: self.tally.bytes(),
            message_bytes: self.tally.message_bytes(),
            duration_ns: clock::monotonic_ns() - self.started_ns,
            warnings: self.warnings,
            streams: self.tally.into_streams(),
            ..ReceiveReport::default()
        }
    }

    fn take(&mut self, session: &Session, word: Word, now_ns: u64, stop: &AtomicBool) -> Result<()> {
        let bytes = session.input.bytes();
        let payload = match word {
            Word::Message(at) => &bytes[at],
            Word::ToAcknowledge(at, identifier) => {
                // Whoever is gone needs no answer; the next read tells.
                let _ = (&*session.stream).write_all(&mqtt::acknowledgement(identifier)?);
                &bytes[at]
            }
            Word::Acknowledged(messages) => {
                session.acknowledge(messages);
                return Ok(());
            }
            Word::Answer => {
                if let Some(answers) = &self.answers {
                    // Nobody may be waiting any more.
                    let _ = answers.send(now_ns);
                }
                return Ok(());
            }
            Word::Farewell(why) => {
                self.warnings.push(format!("{} ended the session: {why}", session.spec.server));
                return Ok(());
            }
            Word::Other => return Ok(()),
        };
        let probe = match session.spec.language {
            Language::Chat => chat::probe(payload),
            Language::Mqtt(_) => Probe::decode(payload),
        };
        match probe {
            Some(probe) => self.tally.probe(&probe, payload.len(), Arrival { app_ns: now_ns, kernel_ns: None }),
            None => self.tally.unrecognized(payload.len()),
        }
        if !self.plan.busy.is_zero() {
            compute(self.plan.busy.as_nanos() as u64, stop);
        }
        Ok(())
    }
}

fn next(session: &Session) -> Result<Option<(usize, Word)>> {
    match session.spec.language {
        Language::Chat => chat::next(session.input.bytes()),
        Language::Mqtt(_) => mqtt::next(session.input.bytes()),
    }
}

fn is_gone(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(
            libc::ECONNRESET
                | libc::ECONNABORTED
                | libc::EPIPE
                | libc::ETIMEDOUT
                | libc::EHOSTUNREACH
                | libc::ENETUNREACH
                | libc::ENETDOWN
        )
    )
}
