//! Sending into a session, by the one send loop.

use std::io::{self, Write};
use std::net::{SocketAddr, TcpStream};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::{Language, Session, StreamSpec, chat, mqtt};
use crate::delivery::carrier::{Carrier, messages_in_batch};
use crate::delivery::sender::{self, Payload, SendLive, SendPlan, SendReport};
use crate::error::{Error, Result};
use crate::sys::clock;
use crate::wire::chat::MAX_TEXT;
use crate::wire::probe::{HEADER_LEN, Probe};

/// The half of a session that messages leave by.
#[derive(Debug)]
pub struct StreamOutlet {
    spec: StreamSpec,
    stream: Arc<TcpStream>,
    window: Option<u16>,
    acknowledged: Arc<AtomicU64>,
    /// Messages handed to the kernel so far, by any send.
    handed_over: AtomicU64,
}

impl Session {
    /// The half to send by. What the server answers has to be taken by an [`inlet::Hearing`](super::inlet::Hearing)
    /// meanwhile.
    pub fn outlet(&self) -> StreamOutlet {
        StreamOutlet {
            spec: self.spec.clone(),
            stream: Arc::clone(&self.stream),
            window: self.window,
            acknowledged: Arc::clone(&self.acknowledged),
            handed_over: AtomicU64::new(0),
        }
    }
}

impl Language {
    /// The sizes of a message with a probe in it, in bytes.
    pub fn sizes(&self) -> Range<usize> {
        match self {
            Language::Chat => chat::TEXT_LEN..MAX_TEXT + 1,
            Language::Mqtt(_) => HEADER_LEN..super::Input::SIZE / 2,
        }
    }
}

/// Sends by `plan`, as [`sender::send_timed`] does: once the server is gone, messages count as refused.
///
/// # Errors
/// A usage error for a size that does not fit.
pub fn send(outlet: &StreamOutlet, plan: &SendPlan, stop: &AtomicBool, live: &SendLive) -> Result<SendReport> {
    Ok(sender::send_timed_by(&mut Lines::new(outlet, &plan.payload)?, None, plan, stop, live))
}

/// Messages one behind the other, as the stream takes them.
struct Lines<'a> {
    outlet: &'a StreamOutlet,
    header: [u8; HEADER_LEN],
    bytes: Vec<u8>,
    /// Length of one message with what is around it.
    length: usize,
    /// Where in each its text or payload stands.
    payload_at: usize,
    /// Where in each an MQTT packet identifier stands.
    identifier_at: Option<usize>,
    messages: usize,
    /// A message that has begun to leave, and how many bytes of it have.
    begun: Option<(usize, usize)>,
    first: u64,
}

impl<'a> Lines<'a> {
    fn new(outlet: &'a StreamOutlet, payload: &Payload) -> Result<Self> {
        let Payload::Probe { run_id, stream_id, size } = *payload else {
            return Err(Error::failed("sending to a server: only probes are measured"));
        };
        let sizes = outlet.spec.language.sizes();
        if !sizes.contains(&size) {
            let (least, most) = (sizes.start, sizes.end - 1);
            return Err(Error::usage(format!(
                "size {size}: a message by {} has {least} to {most} bytes",
                outlet.spec.mode()
            )));
        }
        let mut header = [0; HEADER_LEN];
        Probe::first(run_id, stream_id, clock::name()).encode(&mut header);
        let (one, payload_at, identifier_at) = match &outlet.spec.language {
            Language::Chat => {
                let (line, at) = chat::message(&header, size);
                (line, at, None)
            }
            Language::Mqtt(topic) => mqtt::message(topic, &header, size)?,
        };
        let messages = messages_in_batch(one.len(), 1);
        Ok(Lines {
            outlet,
            header,
            bytes: one.repeat(messages),
            length: one.len(),
            payload_at,
            identifier_at,
            messages,
            begun: None,
            first: outlet.handed_over.load(Ordering::Relaxed),
        })
    }

    /// Whether the server may not be given more before it has acknowledged some.
    fn is_window_full(&self) -> bool {
        let open = |window: u16| {
            let handed_over = self.outlet.handed_over.load(Ordering::Relaxed);
            handed_over.saturating_sub(self.outlet.acknowledged.load(Ordering::Relaxed)) < u64::from(window)
        };
        !self.outlet.window.is_none_or(open)
    }
}

impl Carrier for Lines<'_> {
    fn messages(&self) -> usize {
        // A window is asked for each message.
        if self.outlet.window.is_some() { 1 } else { self.messages }
    }

    fn copies_per_message(&self) -> usize {
        1
    }

    fn stamp(&mut self, message: usize, sequence: u64, now_ns: u64) {
        if self.begun.is_some_and(|(begun, _)| begun == message) {
            return;
        }
        Probe::stamp(&mut self.header, sequence, now_ns);
        let at = message * self.length;
        let payload = &mut self.bytes[at + self.payload_at..at + self.length];
        match self.outlet.spec.language {
            Language::Chat => chat::write_hex(&self.header, payload),
            Language::Mqtt(_) => payload[..HEADER_LEN].copy_from_slice(&self.header),
        }
        if let Some(identifier_at) = self.identifier_at {
            let identifier = mqtt::identifier(self.first + sequence);
            self.bytes[at + identifier_at..][..2].copy_from_slice(&identifier.to_be_bytes());
        }
    }

    fn send(&mut self, copies: Range<usize>) -> io::Result<usize> {
        let begun = self.begun.map_or(0, |(_, bytes)| bytes);
        if begun == 0 && self.is_window_full() {
            return Err(io::Error::from_raw_os_error(libc::ENOBUFS));
        }
        let from = copies.start * self.length + begun;
        let written = (&*self.outlet.stream).write(&self.bytes[from..copies.end * self.length])?;
        let whole = (begun + written) / self.length;
        let rest = (begun + written) % self.length;
        self.begun = (rest > 0).then_some((copies.start + whole, rest));
        self.outlet.handed_over.fetch_add(whole as u64, Ordering::Relaxed);
        Ok(whole)
    }

    fn destination(&self, _: usize) -> Option<SocketAddr> {
        Some(self.outlet.spec.server)
    }

    fn is_gone(&self) -> bool {
        false
    }

    fn in_words(&self) -> String {
        format!("sending {} to {}", self.outlet.spec.mode(), self.outlet.spec.server)
    }
}
