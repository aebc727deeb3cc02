//! The broker and the rules of MQTT, packet by packet: `data/mqtt.txt`, and each property in each packet.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr};

use netlab::pubsub::broker::{Broker, BrokerOptions};

#[path = "support/mqtt.rs"]
mod mqtt;

use mqtt::open;

fn broker() -> (Broker, SocketAddr) {
    let options = BrokerOptions { listen: ([127, 0, 0, 1], 0).into(), ..BrokerOptions::default() };
    let broker = Broker::start(&options).expect("a broker starts");
    let address = broker.local_addr();
    (broker, address)
}

/// CONNECT of each version, and its answer.
const INTRODUCTION: [(&str, &str, &str); 2] = [
    ("4", "10{ \"MQTT\" 04 02 003c \"c\" }", "20 02 00 00"),
    // Aliases, Receive Maximum and the longest packet are this broker's own.
    ("5", "10{ \"MQTT\" 05 02 003c 00 \"c\" }", "20 0e 00 00 0b 220010 210400 2700010000"),
];

/// Bytes as `data/mqtt.txt` writes them.
fn bytes(text: &str) -> Vec<u8> {
    let (mut out, mut open) = (Vec::new(), Vec::new());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        match first {
            ' ' => rest = &rest[1..],
            '{' => {
                open.push(out.len());
                rest = &rest[1..];
            }
            '}' => {
                let begin: usize = open.pop().expect("a { before");
                out.insert(begin, u8::try_from(out.len() - begin).expect("a short one"));
                rest = &rest[1..];
            }
            '"' | '\'' => {
                let (inner, after) = rest[1..].split_once(first).expect("a second quote");
                if first == '"' {
                    out.extend((inner.len() as u16).to_be_bytes());
                }
                out.extend(inner.as_bytes());
                rest = after;
            }
            _ => {
                out.push(u8::from_str_radix(&rest[..2], 16).unwrap_or_else(|_| panic!("{text}: {rest}")));
                rest = &rest[2..];
            }
        }
    }
    out
}

/// Steps of a line: each its sign and what follows.
fn steps(text: &str) -> Vec<(&str, &str)> {
    let mut steps = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let length = rest.find(' ').unwrap_or(rest.len());
        let sign = &rest[..length];
        rest = &rest[length..];
        let mut end = 0;
        if matches!(sign, ">" | "<") {
            let mut quote = None;
            end = rest.len();
            for (at, c) in rest.char_indices() {
                match (quote, c) {
                    (None, '"' | '\'') => quote = Some(c),
                    (Some(q), c) if c == q => quote = None,
                    (None, '>' | '<') => end = end.min(at),
                    (None, _) if [" alive", " closed", " told:"].iter().any(|word| rest[at..].starts_with(word)) => {
                        end = end.min(at);
                    }
                    _ => {}
                }
            }
        }
        steps.push((sign, &rest[..end]));
        rest = rest[end..].trim_start();
    }
    steps
}

/// What becomes of a conversation; else what was seen.
fn converse(address: SocketAddr, version: &str, text: &str) -> Result<(), String> {
    let mut stream = open(address);
    let mut conversation = Vec::new();
    if let Some((_, connect, answer)) = INTRODUCTION.iter().find(|(known, ..)| *known == version) {
        conversation.extend([(">", *connect), ("<", *answer)]);
    }
    conversation.extend(steps(text));
    for (sign, what) in conversation {
        let expected = match (sign, sign.strip_prefix("told:")) {
            (">", _) => {
                stream.write_all(&bytes(what)).map_err(|error| error.to_string())?;
                continue;
            }
            ("<", _) => bytes(what),
            ("alive", _) => {
                stream.write_all(&[0xc0, 0]).map_err(|error| error.to_string())?;
                vec![0xd0, 0]
            }
            ("closed", _) => Vec::new(),
            (_, Some(reason)) => bytes(&format!("e0 01 {reason}")),
            _ => panic!("{sign}: no step"),
        };
        let mut seen = vec![0; expected.len()];
        stream.read_exact(&mut seen).map_err(|error| format!("{error} instead of {expected:02x?}"))?;
        if seen != expected {
            return Err(format!("{seen:02x?} instead of {expected:02x?}"));
        }
        if sign == "closed" || sign.starts_with("told:") {
            let mut more = Vec::new();
            match stream.read_to_end(&mut more) {
                Ok(0) => {}
                Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
                other => return Err(format!("{other:?} {more:02x?} instead of its end")),
            }
        }
    }
    Ok(())
}

#[test]
fn packets_right_and_wrong() {
    let (broker, address) = broker();
    let lines = include_str!("data/mqtt.txt").lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let mut wrong = Vec::new();
    let mut count = 0;
    for line in lines {
        let (statement, rest) = line.split_once(' ').expect("a statement");
        let (version, text) = rest.trim_start().split_once(' ').expect("a version");
        count += 1;
        if let Err(seen) = converse(address, version, text) {
            wrong.push(format!("{statement} by {version}: {}: {seen}", text.trim()));
        }
    }
    assert!(count > 100, "{count}");
    assert!(wrong.is_empty(), "{} of {count}:\n{}", wrong.len(), wrong.join("\n"));
    broker.stop();
}

/// Table 2-4 of MQTT 5.0: identifier, a value that it can have, and into which of [`PACKETS`] it may go.
const PROPERTIES: [(u8, &str, &str); 27] = [
    (0x01, "01", "pw"),
    (0x02, "00000001", "pw"),
    (0x03, "\"t\"", "pw"),
    (0x08, "\"t\"", "pw"),
    (0x09, "\"t\"", "pw"),
    (0x0b, "01", "s"),
    (0x11, "00000000", "cd"),
    (0x12, "\"t\"", ""),
    (0x13, "0001", ""),
    (0x15, "\"t\"", "cx"),
    (0x16, "\"t\"", "cx"),
    (0x17, "01", "c"),
    (0x18, "00000001", "w"),
    (0x19, "01", "c"),
    (0x1a, "\"t\"", ""),
    // A client may not send a Server Reference either; mosquitto takes one, and so does this broker.
    (0x1c, "\"t\"", "d"),
    (0x1f, "\"t\"", "akdx"),
    (0x21, "0001", "c"),
    (0x22, "0001", "c"),
    (0x23, "0001", "p"),
    (0x24, "01", ""),
    (0x25, "01", ""),
    (0x26, "\"t\" \"u\"", "pwsuakcdx"),
    (0x27, "00000400", "c"),
    (0x28, "01", ""),
    (0x29, "01", ""),
    (0x2a, "01", ""),
];

/// Packets of clients, with a letter for [`PROPERTIES`]; the properties go to the place of the P, and then comes this.
const PACKETS: [(char, &str, &str); 11] = [
    ('c', "10{ \"MQTT\" 05 02 003c P \"a\" }", "< 20"),
    ('w', "10{ \"MQTT\" 05 06 003c 00 \"a\" P \"t\" \"gone\" }", "< 20"),
    ('p', "32{ \"t\" 0009 P }", "< 40 03 0009 10 alive"),
    ('a', "40{ 0009 00 P }", "alive"),
    ('a', "50{ 0009 00 P }", "< 62 02 0009 alive"),
    ('a', "62{ 0009 00 P }", "< 70 02 0009 alive"),
    ('k', "70{ 0009 00 P }", "alive"),
    ('s', "82{ 0009 P \"t\" 00 }", "< 90 04 0009 00 00 alive"),
    ('u', "a2{ 0009 P \"t\" }", "< b0 04 0009 00 11 alive"),
    ('d', "e0{ 00 P }", "closed"),
    // There is no method that it could go on with.
    ('x', "f0{ 18 P }", "told:82"),
];

#[test]
fn each_property_in_each_packet_once_twice_and_cut_short() {
    let (broker, address) = broker();
    let mut wrong = Vec::new();
    let mut count = 0;
    for (id, value, places) in PROPERTIES {
        let once = bytes(&format!("{id:02x} {value}"));
        let twice = [&once[..], &once].concat();
        let short = &once[..once.len() - 1];
        for (letter, packet, right) in PACKETS {
            // Data without their method are wrong, and a method is none of ours.
            if matches!(id, 0x15 | 0x16) && "cx".contains(letter) {
                continue;
            }
            let allowed = places.contains(letter);
            for (properties, holds) in [(&once[..], allowed), (&twice, allowed && id == 0x26), (short, false)] {
                let hex: String = properties.iter().map(|byte| format!("{byte:02x}")).collect();
                let sent = packet.replace('P', &format!("{:02x} {hex}", properties.len()));
                let connects = "cw".contains(letter);
                let version = if connects { "-" } else { "5" };
                let outcomes: &[String] = match (holds, connects) {
                    (true, _) => &[right.to_owned()],
                    (false, true) => &["closed".to_owned()],
                    // Either is allowed (section 4.13).
                    (false, false) => &["told:81".to_owned(), "told:82".to_owned()],
                };
                let seen: Vec<_> =
                    outcomes.iter().map(|outcome| converse(address, version, &format!("> {sent} {outcome}"))).collect();
                count += 1;
                if seen.iter().all(Result::is_err) {
                    wrong.push(format!("{sent}: {}", seen[0].as_ref().unwrap_err()));
                }
            }
        }
    }
    assert!(count > 800, "{count}");
    assert!(wrong.is_empty(), "{} of {count}:\n{}", wrong.len(), wrong.join("\n"));
    broker.stop();
}

/// The first byte of a packet: its lower half is fixed for all but PUBLISH (section 2.1.3).
#[test]
fn each_first_byte() {
    let (broker, address) = broker();
    for version in ["4", "5"] {
        for first in (0..=0xffu8).filter(|first| first >> 4 != 3) {
            if matches!(first, 0x40 | 0x50 | 0x62 | 0x70 | 0x82 | 0xa2 | 0xc0 | 0xe0) {
                continue;
            }
            let told = ["closed", "told:81", "told:82"].map(|end| {
                // Whatever stands in it.
                converse(address, version, &format!("> {first:02x} 02 0009 {end}"))
            });
            let right = if version == "4" { told[0].is_ok() } else { told[1].is_ok() || told[2].is_ok() };
            assert!(right, "{first:02x} by version {version}: {told:?}");
        }
    }
    broker.stop();
}

#[test]
fn a_packet_may_come_a_byte_at_a_time_and_many_at_once() {
    let (broker, address) = broker();
    let (_, connect, answer) = INTRODUCTION[1];
    let all =
        [bytes(connect), bytes("82{ 0001 00 \"t\" 00 }"), bytes("30{ \"t\" 00 'x' }").repeat(100), bytes("e0 00")];
    let expected = [bytes(answer), bytes("90 04 0001 00 00"), bytes("30{ \"t\" 00 'x' }").repeat(100)].concat();
    for size in [1, 2, 7, 4096] {
        let mut stream = open(address);
        for piece in all.concat().chunks(size) {
            stream.write_all(piece).unwrap();
        }
        let _ = stream.shutdown(Shutdown::Write);
        let mut seen = Vec::new();
        stream.read_to_end(&mut seen).unwrap();
        assert_eq!(seen, expected, "{size} at a time");
    }
    broker.stop();
}
