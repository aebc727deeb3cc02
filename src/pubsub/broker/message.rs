//! A message in the broker's hands.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::wire::mqtt::{Properties, Publish, Qos, Will, id};

/// Bytes that a message takes beside topic, payload and properties, about.
const OVERHEAD: usize = 64;

/// A message that somebody has to keep. Nobody changes it.
#[derive(Debug)]
pub(super) struct Message {
    pub topic: Box<str>,
    pub payload: Box<[u8]>,
    /// The properties that go with it unaltered.
    pub content: Box<[u8]>,
    pub qos: Qos,
    /// Its publisher wants it kept.
    pub retain: bool,
    /// Then it is not delivered any more.
    pub expires: Option<Instant>,
}

impl Message {
    pub(super) fn new(topic: &str, payload: &[u8], qos: Qos, retain: bool) -> Message {
        Message { topic: topic.into(), payload: payload.into(), content: Box::default(), qos, retain, expires: None }
    }

    /// A last will, which lives from the time of its publication.
    pub(super) fn of_will(will: &Will<'_>) -> Message {
        let content = will.properties.of_content().into();
        Message { content, ..Message::new(will.topic, will.payload, will.qos, will.retain) }
    }

    /// What it takes, in bytes.
    pub(super) fn size(&self) -> usize {
        self.topic.len() + self.payload.len() + self.content.len() + OVERHEAD
    }

    pub(super) fn is_over(&self, now: Instant) -> bool {
        self.expires.is_some_and(|end| end <= now)
    }

    pub(super) fn post(&self) -> Post<'_> {
        let Message { topic, payload, content, qos, retain, expires } = self;
        Post { topic, payload, content, qos: *qos, retain: *retain, expires: *expires }
    }
}

/// A message on its way, which nobody may have to keep.
#[derive(Clone, Copy, Debug)]
pub(super) struct Post<'a> {
    pub topic: &'a str,
    pub payload: &'a [u8],
    pub content: &'a [u8],
    pub qos: Qos,
    pub retain: bool,
    pub expires: Option<Instant>,
}

impl<'a> Post<'a> {
    /// What a client publishes; `content` is what of its properties goes with it.
    pub(super) fn of(publish: &Publish<'a>, topic: &'a str, content: &'a [u8], now: Instant) -> Post<'a> {
        let expires = expiry(publish.properties).map(|time| now + time);
        Post { topic, payload: publish.payload, content, qos: publish.qos, retain: publish.retain, expires }
    }

    pub(super) fn keep(&self) -> Arc<Message> {
        Arc::new(Message {
            content: self.content.into(),
            expires: self.expires,
            ..Message::new(self.topic, self.payload, self.qos, self.retain)
        })
    }
}

/// How long a message of these properties lives.
pub(super) fn expiry(properties: Properties<'_>) -> Option<Duration> {
    properties.number(id::MESSAGE_EXPIRY).map(|seconds| Duration::from_secs(seconds.into()))
}
