//! The broker among clients that do it wrong, on purpose or by accident: it stays up, serves the well-behaved, and keeps
//! nothing of the others.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use netlab::pubsub::broker::{Broker, BrokerOptions};
use netlab::pubsub::message::{Delivery, Qos};

#[path = "support/mqtt.rs"]
mod mqtt;

use mqtt::{broker, client, connect, introduce, next, open, packet, publish, reset, subscribe, subscriber, until};

/// A publisher and a subscriber that exchange numbered messages for as long as `trouble` runs, and for 100 of them at
/// least: none may be lost, nor another come. Returns how many there were.
fn exchange_during(address: SocketAddr, trouble: impl FnOnce() + Send) -> u64 {
    let mut subscriber = subscriber(address, "well/behaved", Qos::AtLeastOnce);
    let mut publisher = client(address);
    let over = AtomicBool::new(false);
    let delivery = Delivery { qos: Qos::AtLeastOnce, retain: false };
    thread::scope(|scope| {
        scope.spawn(|| {
            trouble();
            over.store(true, Ordering::Relaxed);
        });
        let mut number = 0;
        while number < 100 || !over.load(Ordering::Relaxed) {
            assert!(publisher.publish("well/behaved", number.to_string().as_bytes(), delivery).unwrap());
            publisher.flush().unwrap();
            assert_eq!(next(&mut subscriber), ("well/behaved".to_owned(), number.to_string()));
            number += 1;
        }
        assert!(publisher.settle(Instant::now() + mqtt::PATIENCE).unwrap());
        publisher.close();
        subscriber.close();
        number
    })
}

/// Marsaglia's xorshift64*: the same numbers each time.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }
}

/// A packet that is wrong somewhere: its kind, its flags, its length, its inside.
fn malformed(random: &mut Random) -> Vec<u8> {
    let mut bytes = match random.below(4) {
        0 => connect("x", 60),
        1 => subscribe("a/#"),
        2 => publish("a/b", b"payload"),
        _ => {
            let body: Vec<u8> = (0..random.below(40)).map(|_| random.next() as u8).collect();
            packet(random.next() as u8, &body)
        }
    };
    for _ in 0..1 + random.below(3) {
        let at = random.below(bytes.len());
        bytes[at] = random.next() as u8;
    }
    if random.below(8) == 0 {
        // A length that has no end (section 2.2.3).
        bytes.splice(1..2, [0xff, 0xff, 0xff, 0xff, 0x7f]);
    }
    bytes
}

#[test]
fn a_million_malformed_packets() {
    const CONNECTIONS: usize = 4_000;
    const PACKETS: usize = 250;
    let (broker, address) = broker(|_| {});
    exchange_during(address, || {
        let mut random = Random(0x6e65_746c_6162_4d51);
        for number in 0..CONNECTIONS {
            let mut bytes = Vec::new();
            // Every other one is let in first.
            if number % 2 == 0 {
                bytes.extend(connect(&format!("wrong{number}"), 60));
            }
            for _ in 0..PACKETS {
                bytes.extend(malformed(&mut random));
            }
            let mut stream = open(address);
            // It may be closed at the first of them.
            let _ = stream.write_all(&bytes);
            let _ = stream.shutdown(std::net::Shutdown::Write);
            let mut answer = [0; 4096];
            while stream.read(&mut answer).is_ok_and(|len| len > 0) {}
            reset(stream);
        }
    });
    until("only they are gone", || broker.counts().clients == 0 && broker.counts().connections_waiting == 0);
    assert_eq!(broker.counts().connections_accepted, CONNECTIONS as u64 + 2);
    broker.stop();
}

#[test]
fn a_packet_of_more_than_the_limit_ends_that_connection_alone() {
    let (broker, address) = broker(|options| options.max_packet = 2048);
    exchange_during(address, || {
        for announced in [2048, 1 << 20, 256 << 20] {
            let mut stream = introduce(address, "long", 60);
            let mut bytes = vec![0x30];
            let mut left: u32 = announced - 1;
            while left > 0 {
                bytes.push((left % 128) as u8 | if left >= 128 { 0x80 } else { 0 });
                left /= 128;
            }
            stream.write_all(&bytes).unwrap();
            assert_closed(&mut stream);
        }
    });
    broker.stop();
}

#[test]
fn connections_that_say_nothing_keep_nobody_out() {
    let (broker, address) = broker(|options| options.max_waiting = 20);
    let silent: Vec<_> = (0..200).map(|_| open(address)).collect();
    exchange_during(address, || {});
    let counts = broker.counts();
    assert!(counts.connections_waiting <= 20, "{counts:?}");
    assert!(counts.connections_displaced >= 180, "{counts:?}");
    // The oldest went, the latest wait still.
    assert_closed(&mut &silent[0]);
    let mut last = silent.last().unwrap();
    last.set_nonblocking(true).unwrap();
    assert_eq!(last.read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
    broker.stop();
}

#[test]
fn connections_that_speak_a_byte_at_a_time_keep_nobody_out() {
    let (broker, address) = broker(|options| options.max_waiting = 20);
    let bytes = connect("slow", 60);
    exchange_during(address, || {
        let mut slow: Vec<TcpStream> = Vec::new();
        let start = Instant::now();
        let mut at = 0;
        while start.elapsed() < Duration::from_secs(3) {
            while slow.len() < 60 {
                slow.push(open(address));
            }
            // Never the last byte. Who was displaced tries again.
            slow.retain_mut(|stream| stream.write_all(&bytes[at % (bytes.len() - 1)..][..1]).is_ok());
            at += 1;
            thread::sleep(Duration::from_millis(20));
        }
    });
    assert!(broker.counts().connections_displaced > 0);
    broker.stop();
}

#[test]
fn resets_at_every_stage_leave_nothing_behind() {
    let (broker, address) = broker(|_| {});
    exchange_during(address, || {
        for number in 0..2_000 {
            let mut stream = open(address);
            let id = format!("reset{number}");
            match number % 4 {
                0 => {}
                1 => stream.write_all(&connect(&id, 60)[..5]).unwrap(),
                2 => stream.write_all(&connect(&id, 60)).unwrap(),
                _ => {
                    stream.write_all(&[connect(&id, 60), subscribe("#"), publish("noise", b"x")].concat()).unwrap();
                }
            }
            reset(stream);
        }
    });
    until("they are gone", || broker.counts().clients == 0 && broker.counts().connections_waiting == 0);
    broker.stop();
}

#[test]
fn a_client_that_vanishes_is_missed_and_its_last_will_published() {
    let (broker, address) = broker(|_| {});
    let mut mourner = subscriber(address, "wills/#", Qos::AtMostOnce);
    // CONNECT with a will (section 3.1.2.5), to be heard of every second.
    let mut body = vec![0, 4, b'M', b'Q', b'T', b'T', 4, 0b110, 0, 1, 0, 1, b'v'];
    body.extend([0, 7]);
    body.extend(b"wills/v");
    body.extend([0, 4]);
    body.extend(b"gone");
    let mut vanished = open(address);
    vanished.write_all(&packet(0x10, &body)).unwrap();
    let mut answer = [0; 4];
    vanished.read_exact(&mut answer).unwrap();
    assert_eq!(answer, mqtt::ACCEPTED);
    // It says nothing any more; the connection stays open.
    assert_eq!(next(&mut mourner), ("wills/v".to_owned(), "gone".to_owned()));
    until("it is no client any more", || broker.counts().clients == 1);
    assert_closed(&mut vanished);
    broker.stop();
}

#[test]
fn a_full_table_serves_those_in_it_and_tells_the_others() {
    let (broker, address) = broker(|options| options.max_clients = 3);
    let seated = introduce(address, "seated", 60);
    exchange_during(address, || {
        // Three are there.
        let url = format!("mqtt://{address}").parse().unwrap();
        let options = netlab::pubsub::client::ClientOptions::new(url);
        let refused = netlab::pubsub::client::Client::connect(options, AtomicBool::new(false).into(), Box::new(|_| {}));
        let error = refused.err().expect("there is no place").to_string();
        assert!(error.contains("busy"), "{error}");
        let mut old = open(address);
        old.write_all(&connect("fourth", 60)).unwrap();
        let mut answer = [0; 4];
        old.read_exact(&mut answer).unwrap();
        assert_eq!(answer, [0x20, 2, 0, 3], "server unavailable, as MQTT 3.1.1 has it");
        assert_closed(&mut old);
        // One that comes back takes its own place.
        introduce(address, "seated", 60);
    });
    drop(seated);
    until("there is a place", || broker.counts().clients < 3);
    client(address).close();
    assert_eq!(broker.counts().clients_turned_away, 2);
    broker.stop();
}

#[test]
fn a_subscriber_that_does_not_read_costs_no_more_than_its_queue() {
    const MESSAGES: u64 = 5_000;
    const SIZE: usize = 16_000;
    let (broker, address) = broker(|options| options.queue = 100);
    let mut stalled = introduce(address, "stalled", 60);
    stalled.write_all(&subscribe("flood")).unwrap();
    let mut answer = [0; 5];
    stalled.read_exact(&mut answer).unwrap();
    assert_eq!(answer, mqtt::SUBSCRIBED);
    let mut publisher = client(address);
    let before = mqtt::resident(std::process::id());
    for _ in 0..MESSAGES {
        publisher.publish("flood", &[b'x'; SIZE], Delivery::default()).unwrap();
    }
    publisher.flush().unwrap();
    until("all have come", || broker.counts().messages.messages_received == MESSAGES);
    // 80 MB were published; 1.6 MB may wait here, and some in the kernel, which are not the process's.
    let grown = mqtt::resident(std::process::id()).saturating_sub(before);
    assert!(grown < 20 << 20, "{grown} bytes more");
    assert!(broker.counts().messages.messages_sent < MESSAGES, "the kernel took it all, so nothing was tested");
    publisher.close();
    broker.stop();
}

#[test]
fn stopping_takes_leave_and_killing_does_not() {
    let (stopped, address) = broker(|_| {});
    let mut there = client(address);
    let mut old = introduce(address, "old", 60);
    let counts = stopped.stop();
    assert_eq!((counts.clients_admitted, counts.connections_accepted), (2, 2));
    let error = there.next(Some(Instant::now() + mqtt::PATIENCE)).unwrap_err().to_string();
    assert!(error.contains("shutting down"), "{error}");
    assert_closed(&mut old);
    assert!(TcpStream::connect(address).is_err(), "nobody listens any more");

    let (killed, address) = broker(|_| {});
    let mut there = client(address);
    killed.kill();
    let error = there.next(Some(Instant::now() + mqtt::PATIENCE)).unwrap_err().to_string();
    assert!(!error.contains("shutting down"), "{error}");
    assert!(TcpStream::connect(address).is_err(), "nobody listens any more");
    // The port is free at once.
    let options = BrokerOptions { listen: address, ..BrokerOptions::default() };
    Broker::start(&options).expect("the port is free").stop();
}

#[test]
fn a_port_in_use_is_named() {
    let (first, address) = broker(|_| {});
    let error =
        Broker::start(&BrokerOptions { listen: address, ..BrokerOptions::default() }).err().expect("it is in use");
    assert!(error.to_string().starts_with(&format!("TCP port {} of 127.0.0.1 is in use", address.port())), "{error}");
    assert_eq!(error.class().code(), 1);
    first.stop();
}

/// The broker has closed this connection.
#[track_caller]
fn assert_closed(stream: &mut (impl Read + ?Sized)) {
    let mut rest = [0; 1024];
    loop {
        match stream.read(&mut rest) {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}");
                return;
            }
        }
    }
}
