//! The paced publish loop: the same messages over and over, numbered and stamped for those who count them.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::client::Client;
use super::message::Delivery;
use crate::error::Result;
use crate::sys::clock;
use crate::units::Rate;
use crate::wire::probe::{HEADER_LEN, Probe};

/// The shortest sleep: messages that come due within it leave together.
const NAP_NS: u64 = 1_000_000;
/// How often what the broker says is looked at, when nothing depends on it.
const LOOK_NS: u64 = 50_000_000;

/// The most messages before time, acknowledgements and the wish to stop are looked at.
const TURN: u64 = 256;

/// What to publish, how often, for how long.
#[derive(Clone, Debug, PartialEq)]
pub struct PublishPlan {
    /// Where.
    pub topic: String,
    /// What.
    pub payload: Payload,
    /// How.
    pub delivery: Delivery,
    /// Messages a second.
    pub rate: Rate,
    /// So many messages; `None`: no limit.
    pub count: Option<u64>,
    /// So long; `None`: no limit.
    pub duration: Option<Duration>,
}

/// What a message says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload {
    /// The same each time.
    Same(Vec<u8>),
    /// A [`Probe`] header and padding, this many bytes; below the header's length, padding alone.
    Probe {
        /// Names the run.
        run_id: u32,
        /// The length in bytes.
        size: usize,
    },
}

impl Payload {
    /// Messages of this size of a run of their own.
    #[must_use]
    pub fn probe(size: usize) -> Payload {
        // The standard library seeds its hashers from the kernel.
        Payload::Probe { run_id: RandomState::new().hash_one(std::process::id()) as u32, size }
    }

    /// Its length in bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        match self {
            Payload::Same(bytes) => bytes.len(),
            Payload::Probe { size, .. } => *size,
        }
    }
}

/// What a running [`publish`] shows to others.
#[derive(Debug, Default)]
pub struct PublishLive {
    /// Messages given to the connection.
    pub messages_sent: AtomicU64,
    /// Of them acknowledged by the broker (QoS 1 and 2).
    pub messages_acknowledged: AtomicU64,
}

/// Publishes by `plan` until its limit or until `stop` is set. Returns how long it took, in ns, acknowledgements that
/// are still to come left out.
///
/// Message *i* is due at start + *i* / rate, whatever became of those before it; what has come due meanwhile is sent at
/// once. The end of the duration ends it also where the broker takes nothing.
///
/// # Errors
/// As [`Client::publish`].
pub fn publish(client: &mut Client, plan: &PublishPlan, stop: &AtomicBool, live: &PublishLive) -> Result<u64> {
    let start_ns = clock::monotonic_ns();
    let end_ns = plan.duration.map_or(u64::MAX, |time| start_ns.saturating_add(nanos(time)));
    client.end_at(plan.duration.and_then(|time| Instant::now().checked_add(time)));
    let count = plan.limit();
    let mut payload = first_payload(&plan.payload);
    let stamped = matches!(plan.payload, Payload::Probe { .. }) && payload.len() >= HEADER_LEN;
    let (mut next, mut looked_ns, mut now_ns) = (0, start_ns, start_ns);
    while next < count && !stop.load(Ordering::Relaxed) {
        let over = now_ns >= end_ns;
        let due = due_by(plan.rate, now_ns.min(end_ns) - start_ns).min(count).min(next.saturating_add(TURN));
        while next < due {
            if stamped {
                Probe::stamp(&mut payload, next, clock::monotonic_ns());
            }
            if !client.publish(&plan.topic, &payload, plan.delivery)? {
                break;
            }
            next += 1;
        }
        client.flush()?;
        if now_ns - looked_ns >= LOOK_NS {
            client.idle(Duration::ZERO)?;
            looked_ns = now_ns;
        }
        live.show(client);
        if over {
            break;
        }
        if next < count {
            rest(client, start_ns.saturating_add(due_ns(plan.rate, next)).min(end_ns))?;
        }
        now_ns = clock::monotonic_ns();
    }
    live.show(client);
    Ok(clock::monotonic_ns() - start_ns)
}

impl PublishPlan {
    /// The most messages: of those due before the end of the duration, where there is a rate.
    fn limit(&self) -> u64 {
        let within = self.duration.zip(self.rate.per_second()).map(|(time, rate)| {
            // A product that is whole but for the last digits is meant to be whole.
            (time.as_secs_f64() * rate - 1e-6).ceil() as u64
        });
        self.count.unwrap_or(u64::MAX).min(within.unwrap_or(u64::MAX))
    }
}

impl PublishLive {
    fn show(&self, client: &Client) {
        let counts = client.counts();
        self.messages_sent.store(counts.published, Ordering::Relaxed);
        self.messages_acknowledged.store(counts.acknowledged, Ordering::Relaxed);
    }
}

/// Sleeps until then, or a little longer. Long times are spent with the connection.
fn rest(client: &mut Client, until_ns: u64) -> Result<()> {
    let now_ns = clock::monotonic_ns();
    match until_ns.saturating_sub(now_ns) {
        0 => {}
        left_ns if left_ns > 2 * LOOK_NS => client.idle(Duration::from_nanos(left_ns - LOOK_NS))?,
        _ => clock::sleep_until(until_ns.max(now_ns + NAP_NS)),
    }
    Ok(())
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

fn first_payload(payload: &Payload) -> Vec<u8> {
    match payload {
        Payload::Same(bytes) => bytes.clone(),
        Payload::Probe { run_id, size } => {
            let mut bytes = vec![0; *size];
            if *size >= HEADER_LEN {
                Probe::first(*run_id, 0, clock::name()).encode(&mut bytes);
            }
            bytes
        }
    }
}

/// How many messages are due so long after the start: the first at once.
fn due_by(rate: Rate, elapsed_ns: u64) -> u64 {
    match rate.per_second() {
        Some(rate) => (elapsed_ns as f64 * rate / 1e9) as u64 + 1,
        None => u64::MAX,
    }
}

/// How long after the start a message is due, in ns.
fn due_ns(rate: Rate, message: u64) -> u64 {
    rate.per_second().map_or(0, |rate| (message as f64 / rate * 1e9) as u64)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{SocketAddr, TcpListener, TcpStream};
    use std::sync::Arc;
    use std::thread;

    use super::*;
    use crate::pubsub::client::ClientOptions;

    #[test]
    fn messages_are_due_by_the_rate_from_the_start() {
        let rate = Rate::PerSecond(50_000.0);
        assert_eq!(due_by(rate, 0), 1);
        assert_eq!(due_by(rate, 1_000_000), 51);
        assert_eq!(due_ns(rate, 50), 1_000_000);
        for message in [1, 7, 49_999, 1_000_003] {
            let due = due_ns(rate, message);
            assert!(due_by(rate, due + 1) > message, "message {message}");
            assert!(due_by(rate, due - 20_000) <= message, "message {message}");
        }
    }

    #[test]
    fn a_duration_holds_whole_messages() {
        let plan = |rate, count, duration_ms| {
            let duration = Some(Duration::from_millis(duration_ms));
            let payload = Payload::Same(vec![1]);
            PublishPlan { topic: "t".into(), payload, delivery: Delivery::default(), rate, count, duration }.limit()
        };
        assert_eq!(plan(Rate::PerSecond(1_000.0), None, 2_000), 2_000);
        assert_eq!(plan(Rate::PerSecond(0.2), None, 5_001), 2);
        assert_eq!(plan(Rate::PerSecond(1_000.0), Some(5), 2_000), 5);
        assert_eq!(plan(Rate::Max, None, 2_000), u64::MAX);
    }

    /// A broker that admits everybody and then reads nothing, until it is dropped.
    fn broker_that_stalls() -> (SocketAddr, thread::JoinHandle<TcpStream>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let admits = thread::spawn(move || {
            let (mut client, _) = listener.accept().unwrap();
            assert!(client.read(&mut [0; 1024]).unwrap() > 0);
            // CONNACK of MQTT 5.0 (section 3.2): admitted, no properties.
            client.write_all(&[0x20, 3, 0, 0, 0]).unwrap();
            client
        });
        (address, admits)
    }

    #[test]
    fn a_broker_that_takes_nothing_does_not_make_it_longer() {
        let (address, admits) = broker_that_stalls();
        let options = ClientOptions::new(format!("mqtt://{address}").parse().unwrap());
        let mut client = Client::connect(options, Arc::default(), Box::new(|_| ())).unwrap();
        let _kept = admits.join().unwrap();
        let plan = PublishPlan {
            topic: "t".into(),
            payload: Payload::Same(vec![1; 60_000]),
            delivery: Delivery::default(),
            rate: Rate::Max,
            count: None,
            duration: Some(Duration::from_millis(200)),
        };
        let live = PublishLive::default();
        publish(&mut client, &plan, &AtomicBool::new(false), &live).unwrap();
        assert!(live.messages_sent.load(Ordering::Relaxed) > 0);
        assert!(!client.settle(Instant::now() + Duration::from_millis(50)).unwrap(), "it has not taken all");
    }

    #[test]
    fn a_probe_has_a_header_where_there_is_room() {
        let bytes = first_payload(&Payload::Probe { run_id: 7, size: 64 });
        assert_eq!((bytes.len(), Probe::decode(&bytes).unwrap().run_id), (64, 7));
        assert_eq!(first_payload(&Payload::Probe { run_id: 7, size: 8 }), [0; 8]);
    }
}
