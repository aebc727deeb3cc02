//! What the broker makes of messages: to whom they go, what waits, what is kept, what is dropped and counted.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use netlab::pubsub::broker::{Broker, Tally};
use netlab::pubsub::client::{Client, ClientOptions, Subscription};
use netlab::pubsub::message::Delivery;
use netlab::wire::mqtt::{
    AckKind, Disconnect, Packet, Properties, PropertyList, Qos, Reason, Unsubscribe, Version, Will, Wish, id,
};

#[path = "support/mqtt.rs"]
mod mqtt;

use mqtt::{Coming, PATIENCE, Peer, broker, property, until};

const NONE: Properties<'static> = Properties::of(&[]);
const VERSIONS: [Version; 2] = [Version::Old, Version::Five];

/// What a session kept for an hour is asked for with.
fn for_an_hour() -> PropertyList {
    property(id::SESSION_EXPIRY, 3600)
}

/// Each copy is accounted for, in the sum and for each client, and the sum is that of all clients.
#[track_caller]
fn assert_accounted(broker: &Broker) -> Tally {
    let adds_up = |tally: &Tally, who: &str| {
        let Tally { copies_due, messages_sent, messages_waiting, messages_dropped, .. } = *tally;
        assert_eq!(copies_due, messages_sent + messages_waiting + messages_dropped, "{who}: {tally:?}");
        let reasons = [
            tally.dropped_away,
            tally.dropped_queue_full,
            tally.dropped_slow,
            tally.dropped_too_large,
            tally.dropped_expired,
            tally.dropped_gone,
        ];
        assert_eq!(messages_dropped, reasons.iter().sum::<u64>(), "{who}: {tally:?}");
    };
    let (total, accounts) = (broker.counts().messages, broker.accounts());
    adds_up(&total, "all");
    accounts.iter().for_each(|account| adds_up(&account.messages, &account.client));
    for of in [
        |tally: &Tally| tally.messages_received,
        |tally: &Tally| tally.copies_due,
        |tally: &Tally| tally.messages_sent,
        |tally: &Tally| tally.messages_dropped,
        |tally: &Tally| tally.messages_waiting,
    ] {
        assert_eq!(accounts.iter().map(|account| of(&account.messages)).sum::<u64>(), of(&total));
    }
    total
}

fn will<'a>(topic: &'a str, properties: Properties<'a>) -> Option<Will<'a>> {
    Some(Will { topic, payload: b"gone", qos: Qos::AtLeastOnce, retain: false, properties })
}

#[test]
fn quick_reconnects_by_one_name_lose_nothing_and_no_will_is_published() {
    const TIMES: usize = 500;
    for version in VERSIONS {
        let (broker, address) = broker(|_| {});
        let mut watcher = Peer::come(address, Version::Five, "watcher");
        watcher.subscribe("#", Qos::AtMostOnce);
        for number in 0..TIMES {
            let coming = Coming { will: will("wills", NONE), ..Coming::default() };
            let mut peer = Peer::open(address, version);
            peer.introduce("same", coming);
            peer.publish("numbers", number.to_string().as_bytes(), Qos::AtMostOnce, 0, false, NONE);
            peer.say(&Packet::Disconnect(Disconnect::default()));
            // Nobody waits for the broker to notice.
        }
        for number in 0..TIMES {
            let got = watcher.message();
            assert_eq!((got.topic.as_str(), got.payload), ("numbers", number.to_string()), "{version:?}");
        }
        watcher.nothing();
        assert_eq!(broker.counts().wills_published, 0);
        assert_accounted(&broker);
    }
}

#[test]
fn who_comes_by_a_name_that_is_there_takes_it_over() {
    let (broker, address) = broker(|_| {});
    let mut watcher = Peer::come(address, Version::Five, "watcher");
    watcher.subscribe("wills", Qos::AtMostOnce);
    let coming = Coming { will: will("wills", NONE), ..Coming::default() };
    let (mut first, ..) = Peer::come_as(address, Version::Five, "same", coming);
    let mut old = Peer::come_as(address, Version::Old, "old", Coming::default()).0;
    Peer::come(address, Version::Old, "same");
    Peer::come(address, Version::Five, "old");
    assert_eq!(first.farewell(), Some(Reason::TAKEN_OVER));
    assert_eq!(old.farewell(), None);
    assert_eq!(watcher.message().payload, "gone", "it has not taken leave");
    broker.stop();
}

#[test]
fn a_last_will_waits_for_its_delay_and_not_beyond_the_session() {
    let (broker, address) = broker(|_| {});
    let mut watcher = Peer::come(address, Version::Five, "watcher");
    watcher.subscribe("wills/#", Qos::AtMostOnce);
    let mut delay = property(id::WILL_DELAY, 3600);
    delay.number(id::MESSAGE_EXPIRY, 60);
    let session = for_an_hour();
    let come = |name: &str, topic: &str, properties: Properties<'_>| {
        let coming = Coming { will: will(topic, delay.get()), properties, ..Coming::default() };
        Peer::come_as(address, Version::Five, name, coming).0
    };
    // One comes back in time; another's session ends with the connection; a third wants it published.
    drop(come("back", "wills/back", session.get()));
    until("it has gone", || broker.counts().clients == 1);
    let kept = Coming { kept: true, properties: session.get(), ..Coming::default() };
    let (back, present, _) = Peer::come_as(address, Version::Five, "back", kept);
    assert!(present);
    back.leave();
    drop(come("short", "wills/short", NONE));
    let got = watcher.message();
    assert_eq!(got.topic, "wills/short");
    assert_eq!(got.properties, property(id::MESSAGE_EXPIRY, 60).get().bytes(), "the delay is the broker's alone");
    let mut wanted = come("wanted", "wills/wanted", NONE);
    wanted.say(&Packet::Disconnect(Disconnect { reason: Reason::WITH_WILL, properties: NONE }));
    assert_eq!(watcher.message().topic, "wills/wanted");
    let one = property(id::WILL_DELAY, 1);
    let coming = Coming { will: will("wills/late", one.get()), properties: session.get(), ..Coming::default() };
    let left = Instant::now();
    drop(Peer::come_as(address, Version::Five, "late", coming));
    assert_eq!(watcher.message().topic, "wills/late");
    assert!(left.elapsed() >= Duration::from_secs(1), "{:?}", left.elapsed());
    watcher.nothing();
    assert_eq!(broker.counts().wills_published, 3);
    broker.stop();
}

#[test]
fn a_will_to_no_topic_is_refused() {
    let (broker, address) = broker(|options| options.deny_publish = vec!["secret/#".to_owned()]);
    for (topic, reason) in
        [("", Reason::TOPIC_INVALID), ("$SYS/x", Reason::NOT_AUTHORIZED), ("secret/x", Reason::NOT_AUTHORIZED)]
    {
        let coming = Coming { will: will(topic, NONE), ..Coming::default() };
        assert_eq!(Peer::open(address, Version::Five).introduce("a", coming).0, reason, "{topic}");
    }
    broker.stop();
}

#[test]
fn a_session_lives_as_long_as_was_agreed() {
    let (broker, address) = broker(|options| options.max_session = Duration::from_secs(100));
    let (second, hour) = (property(id::SESSION_EXPIRY, 1), for_an_hour());
    let come = |properties: Properties<'_>| {
        Peer::come_as(address, Version::Five, "a", Coming { kept: true, properties, ..Coming::default() })
    };
    let (peer, present, granted) = come(hour.get());
    assert!(!present);
    assert_eq!(Properties::of(&granted).number(id::SESSION_EXPIRY), Some(100), "no more is granted");
    peer.leave();
    let (mut peer, present, _) = come(second.get());
    assert!(present);
    peer.subscribe("t", Qos::AtLeastOnce);
    peer.leave();
    // Its second has to be over.
    thread::sleep(Duration::from_millis(1_100));
    assert!(!come(second.get()).1);
    // Taking leave may change it, but not from nothing.
    let (mut peer, ..) = come(hour.get());
    let properties = property(id::SESSION_EXPIRY, 0);
    peer.say(&Packet::Disconnect(Disconnect { reason: Reason::SUCCESS, properties: properties.get() }));
    assert_eq!(peer.farewell(), None);
    let (mut peer, present, _) = come(NONE);
    assert!(!present);
    peer.say(&Packet::Disconnect(Disconnect { reason: Reason::SUCCESS, properties: hour.get() }));
    assert_eq!(peer.farewell(), Some(Reason::PROTOCOL_ERROR));
    // MQTT 3.1.1 has no number for it.
    let kept = Coming { kept: true, ..Coming::default() };
    let (old, present, _) = Peer::come_as(address, Version::Old, "old", kept);
    assert!(!present);
    old.leave();
    assert!(Peer::come_as(address, Version::Old, "old", kept).1);
    assert!(!Peer::come_as(address, Version::Old, "old", Coming::default()).1);
    broker.stop();
}

#[test]
fn messages_wait_for_who_is_away_in_order_and_each_that_does_not_is_counted() {
    const SENT: u64 = 6_000;
    let (broker, address) = broker(|_| {});
    let hour = for_an_hour();
    let coming = Coming { kept: true, properties: hour.get(), ..Coming::default() };
    let (mut away, ..) = Peer::come_as(address, Version::Five, "away", coming);
    away.subscribe("post", Qos::AtLeastOnce);
    away.leave();
    let mut publisher = Peer::come(address, Version::Old, "publisher");
    publisher.publish("post", b"lost", Qos::AtMostOnce, 0, false, NONE);
    for number in 0..SENT {
        publisher.post("post", number.to_string().as_bytes());
    }
    let tally = assert_accounted(&broker);
    assert_eq!((tally.copies_due, tally.messages_waiting), (SENT + 1, 4_096));
    assert_eq!((tally.dropped_away, tally.dropped_queue_full), (1, SENT - 4_096));
    let (mut back, present, _) = Peer::come_as(address, Version::Five, "away", coming);
    assert!(present);
    for number in SENT - 4_096..SENT {
        let got = back.message();
        assert_eq!((got.payload, got.dup), (number.to_string(), false));
        back.say(&Packet::ack(AckKind::PubAck, got.id, Reason::SUCCESS));
    }
    back.nothing();
    let tally = assert_accounted(&broker);
    assert_eq!((tally.messages_sent, tally.messages_waiting), (4_096, 0));
    broker.stop();
}

#[test]
fn what_was_not_acknowledged_comes_again_in_order() {
    let (broker, address) = broker(|_| {});
    for version in VERSIONS {
        let hour = for_an_hour();
        let properties = if version == Version::Five { hour.get() } else { NONE };
        let coming = Coming { kept: true, properties, ..Coming::default() };
        let (mut peer, ..) = Peer::come_as(address, version, "again", coming);
        peer.subscribe("t/#", Qos::ExactlyOnce);
        let mut publisher = Peer::come(address, version, "publisher");
        publisher.post("t/one", b"1");
        for number in [2u16, 3] {
            publisher.publish("t/two", number.to_string().as_bytes(), Qos::ExactlyOnce, number, false, NONE);
            publisher.acknowledged(AckKind::PubRec);
            publisher.say(&Packet::ack(AckKind::PubRel, number, Reason::SUCCESS));
            publisher.acknowledged(AckKind::PubComp);
        }
        let first = [peer.message(), peer.message(), peer.message()];
        peer.say(&Packet::ack(AckKind::PubRec, first[1].id, Reason::SUCCESS));
        peer.acknowledged(AckKind::PubRel);
        drop(peer);
        let (mut peer, present, _) = Peer::come_as(address, version, "again", coming);
        assert!(present);
        let again = peer.message();
        assert_eq!((again.id, again.payload.as_str(), again.dup), (first[0].id, "1", true));
        assert_eq!(peer.acknowledged(AckKind::PubRel).0, first[1].id);
        let again = peer.message();
        assert_eq!((again.id, again.payload.as_str(), again.dup), (first[2].id, "3", true));
        peer.say(&Packet::ack(AckKind::PubAck, first[0].id, Reason::SUCCESS));
        peer.say(&Packet::ack(AckKind::PubComp, first[1].id, Reason::SUCCESS));
        peer.say(&Packet::ack(AckKind::PubRec, first[2].id, Reason::SUCCESS));
        peer.acknowledged(AckKind::PubRel);
        peer.say(&Packet::ack(AckKind::PubComp, first[2].id, Reason::SUCCESS));
        peer.nothing();
        peer.leave();
        assert!(!Peer::come_as(address, version, "again", Coming::default()).1);
        let tally = assert_accounted(&broker);
        assert_eq!((tally.messages_waiting, tally.messages_dropped), (0, 0));
    }
    broker.stop();
}

#[test]
fn a_message_expires_and_says_how_long_it_has_left() {
    let (broker, address) = broker(|_| {});
    let hour = for_an_hour();
    let coming = Coming { kept: true, properties: hour.get(), ..Coming::default() };
    let (mut away, ..) = Peer::come_as(address, Version::Five, "away", coming);
    away.subscribe("t", Qos::AtLeastOnce);
    away.leave();
    let mut publisher = Peer::come(address, Version::Five, "publisher");
    for (number, seconds) in [(1, 1), (2, 1000)] {
        let expiry = property(id::MESSAGE_EXPIRY, seconds);
        publisher.publish("t", seconds.to_string().as_bytes(), Qos::AtLeastOnce, number, true, expiry.get());
        publisher.acknowledged(AckKind::PubAck);
    }
    // The time of the first has to be over.
    thread::sleep(Duration::from_millis(1_100));
    let (mut back, ..) = Peer::come_as(address, Version::Five, "away", coming);
    let got = back.message();
    assert_eq!(got.payload, "1000");
    let left = Properties::of(&got.properties).number(id::MESSAGE_EXPIRY).unwrap();
    assert!((900..1000).contains(&left), "{left}");
    back.say(&Packet::ack(AckKind::PubAck, got.id, Reason::SUCCESS));
    back.nothing();
    assert_eq!(assert_accounted(&broker).dropped_expired, 1);
    broker.stop();
}

#[test]
fn topics_have_aliases_both_ways_for_one_connection() {
    let (broker, address) = broker(|_| {});
    let aliases = property(id::ALIAS_MAXIMUM, 1);
    let coming = Coming { properties: aliases.get(), ..Coming::default() };
    let (mut peer, ..) = Peer::come_as(address, Version::Five, "a", coming);
    peer.subscribe("#", Qos::AtMostOnce);
    let alias = property(id::ALIAS, 16);
    for (topic, payload) in [("one", "1"), ("", "2"), ("two", "3"), ("", "4")] {
        peer.publish(topic, payload.as_bytes(), Qos::AtMostOnce, 0, false, alias.get());
    }
    let heard: Vec<_> = (0..4)
        .map(|_| {
            let got = peer.message();
            (got.topic, got.payload, Properties::of(&got.properties).number(id::ALIAS))
        })
        .collect();
    let expected = [("one", "1", Some(1)), ("", "2", Some(1)), ("two", "3", None), ("two", "4", None)];
    assert_eq!(heard, expected.map(|(topic, payload, alias)| (topic.to_owned(), payload.to_owned(), alias)));
    let mut again = Peer::come(address, Version::Five, "a");
    again.publish("", b"5", Qos::AtMostOnce, 0, false, alias.get());
    assert_eq!(again.farewell(), Some(Reason::ALIAS_INVALID));
    broker.stop();
}

#[test]
fn no_more_is_under_way_than_either_side_takes() {
    let (broker, address) = broker(|options| options.max_half_done = 3);
    let window = property(id::RECEIVE_MAXIMUM, 2);
    let coming = Coming { properties: window.get(), ..Coming::default() };
    let (mut peer, _, granted) = Peer::come_as(address, Version::Five, "narrow", coming);
    assert_eq!(Properties::of(&granted).number(id::RECEIVE_MAXIMUM), Some(3));
    peer.subscribe("t", Qos::ExactlyOnce);
    let mut publisher = Peer::come(address, Version::Five, "publisher");
    for _ in 0..5 {
        publisher.post("t", b"x");
    }
    let (first, _) = (peer.message(), peer.message());
    peer.nothing();
    peer.say(&Packet::ack(AckKind::PubAck, first.id, Reason::SUCCESS));
    peer.message();
    peer.nothing();
    for number in 1..=4 {
        publisher.publish("u", b"x", Qos::ExactlyOnce, number, false, NONE);
    }
    for _ in 0..3 {
        publisher.acknowledged(AckKind::PubRec);
    }
    assert_eq!(publisher.farewell(), Some(Reason::TOO_MANY_AT_A_TIME));
    assert_eq!(assert_accounted(&broker).messages_waiting, 4);
    broker.stop();
}

#[test]
fn what_is_longer_than_a_client_takes_is_not_sent_and_counted() {
    let (broker, address) = broker(|_| {});
    let limit = property(id::MAXIMUM_PACKET_SIZE, 50);
    let coming = Coming { properties: limit.get(), ..Coming::default() };
    let (mut peer, ..) = Peer::come_as(address, Version::Five, "short", coming);
    for qos in [Qos::AtMostOnce, Qos::AtLeastOnce] {
        peer.subscribe("t", qos);
        let mut publisher = Peer::come(address, Version::Old, "publisher");
        publisher.post("t", &[b'x'; 100]);
        publisher.post("t", b"y");
        let got = peer.message();
        assert_eq!((got.payload.as_str(), got.qos), ("y", qos));
        peer.say(&Packet::ack(AckKind::PubAck, got.id.max(1), Reason::SUCCESS));
        peer.nothing();
    }
    let tally = assert_accounted(&broker);
    assert_eq!((tally.dropped_too_large, tally.messages_sent), (2, 2));
    broker.stop();
}

#[test]
fn properties_of_content_go_with_a_message_unaltered() {
    let (broker, address) = broker(|_| {});
    let mut peer = Peer::come(address, Version::Five, "a");
    let numbered = |number| property(id::SUBSCRIPTION_ID, number);
    peer.subscribe_by("ask/#", Wish::default(), numbered(7).get());
    peer.subscribe_by("ask/+", Wish { qos: Qos::AtLeastOnce, ..Wish::default() }, numbered(300).get());
    let mut content = PropertyList::new();
    content.number(id::PAYLOAD_FORMAT, 1);
    content.text(id::RESPONSE_TOPIC, "answers/a");
    content.bytes(&[0x09, 0, 3, 0, 1, 2]);
    for (name, value) in [("b", "1"), ("a", "2"), ("b", "1")] {
        content.text(id::USER, name);
        content.bytes(&[0, 1, value.as_bytes()[0]]);
    }
    let mut sent = content.clone();
    sent.number(id::ALIAS, 3);
    let mut asking = Peer::come(address, Version::Five, "b");
    asking.publish("ask/a", b"?", Qos::ExactlyOnce, 1, false, sent.get());
    let got = peer.message();
    assert_eq!(got.qos, Qos::AtLeastOnce, "one copy, by the better of both");
    let mut expected = content;
    expected.bytes(numbered(7).get().bytes());
    expected.bytes(numbered(300).get().bytes());
    assert_eq!(got.properties, expected.get().bytes());
    peer.say(&Packet::ack(AckKind::PubAck, got.id, Reason::SUCCESS));
    peer.nothing();
    broker.stop();
}

#[test]
fn a_group_shares_what_comes() {
    let (broker, address) = broker(|_| {});
    let mut members = ["a", "b", "c"].map(|name| Peer::come(address, Version::Five, name));
    for member in &mut members {
        assert_eq!(member.subscribe("$share/g/t/+", Qos::AtLeastOnce), 1);
    }
    let mut all = Peer::come(address, Version::Old, "all");
    all.subscribe("t/#", Qos::AtMostOnce);
    let mut publisher = Peer::come(address, Version::Five, "publisher");
    for number in 0..9 {
        publisher.publish("t/x", number.to_string().as_bytes(), Qos::AtLeastOnce, 1, true, NONE);
        publisher.acknowledged(AckKind::PubAck);
    }
    let mut seen = BTreeSet::new();
    for member in &mut members {
        for _ in 0..3 {
            let got = member.message();
            assert!(seen.insert(got.payload), "each goes to one of them");
            member.say(&Packet::ack(AckKind::PubAck, got.id, Reason::SUCCESS));
        }
        member.nothing();
    }
    (0..9).for_each(|_| drop(all.message()));
    // Who goes is passed over; what is kept is not for groups.
    let [first, second, mut third] = members;
    first.leave();
    second.leave();
    assert_eq!(publisher.post("t/x", b"last"), Reason::SUCCESS);
    assert_eq!(third.message().payload, "last");
    assert_eq!(third.subscribe("$share/new/t/+", Qos::AtMostOnce), 0);
    third.nothing();
    broker.stop();
}

#[test]
fn a_subscription_says_how_messages_are_to_come() {
    let (broker, address) = broker(|_| {});
    let mut publisher = Peer::come(address, Version::Five, "publisher");
    publisher.publish("t", b"kept", Qos::AtMostOnce, 0, true, NONE);
    publisher.nothing();
    let mut peer = Peer::come(address, Version::Five, "a");
    let wish = |retained| Wish { retained, ..Wish::default() };
    peer.subscribe_by("t", wish(2), NONE);
    peer.nothing();
    peer.subscribe_by("t", wish(1), NONE);
    peer.nothing();
    peer.subscribe_by("t", wish(0), NONE);
    assert!(peer.message().retain);
    peer.say(&Packet::Unsubscribe(Unsubscribe { id: 1, properties: NONE, filters: vec!["t"] }));
    peer.hear("UNSUBACK", |packet| matches!(packet, Packet::Granted(_)).then_some(()));
    peer.subscribe_by("t", wish(1), NONE);
    assert!(peer.message().retain, "it is new");
    publisher.publish("t", b"live", Qos::AtMostOnce, 0, true, NONE);
    assert!(!peer.message().retain);
    peer.subscribe_by("t", Wish { as_published: true, no_local: true, retained: 2, ..Wish::default() }, NONE);
    publisher.publish("t", b"live", Qos::AtMostOnce, 0, true, NONE);
    assert!(peer.message().retain);
    peer.publish("t", b"own", Qos::AtMostOnce, 0, false, NONE);
    peer.nothing();
    broker.stop();
}

#[test]
fn a_full_store_keeps_no_more_and_live_subscribers_get_all() {
    let (broker, address) = broker(|options| options.max_retained = 10);
    let mut peer = Peer::come(address, Version::Old, "a");
    peer.subscribe("#", Qos::AtMostOnce);
    let mut publisher = Peer::come(address, Version::Five, "publisher");
    for number in 0..50 {
        publisher.publish(&format!("t/{number}"), b"x", Qos::AtLeastOnce, 1, true, NONE);
        publisher.acknowledged(AckKind::PubAck);
        assert_eq!(peer.message().topic, format!("t/{number}"));
    }
    let counts = broker.counts();
    assert_eq!((counts.retained, counts.retained_refused), (10, 40));
    assert_accounted(&broker);
    broker.stop();
}

#[test]
fn a_hundred_thousand_retained_topics_reach_who_subscribes_to_all() {
    const TOPICS: u32 = 100_000;
    let (broker, address) = broker(|_| {});
    let mut publisher = Peer::come(address, Version::Old, "publisher");
    for number in 0..TOPICS {
        publisher.publish(&format!("t/{number}"), b"x", Qos::AtMostOnce, 0, true, NONE);
    }
    publisher.nothing();
    assert_eq!(broker.counts().retained, u64::from(TOPICS));
    for qos in [Qos::AtMostOnce, Qos::AtLeastOnce] {
        let mut peer = Peer::come(address, Version::Old, "reader");
        // QoS 1 is what they were published by, at most.
        peer.subscribe("t/+", qos);
        let seen: BTreeSet<_> = (0..TOPICS).map(|_| peer.message().topic).collect();
        assert_eq!(seen.len(), TOPICS as usize);
        peer.nothing();
    }
    assert_eq!(assert_accounted(&broker).messages_dropped, 0);
    broker.stop();
}

#[test]
fn what_the_options_deny_is_refused_and_reaches_nobody() {
    let (broker, address) = broker(|options| {
        options.deny_publish = vec!["read/only".to_owned()];
        options.deny_subscribe = vec!["secret/#".to_owned()];
    });
    let mut peer = Peer::come(address, Version::Five, "a");
    assert_eq!(peer.subscribe("secret/x", Qos::AtMostOnce), Reason::NOT_AUTHORIZED.0);
    assert_eq!(Peer::come(address, Version::Old, "old").subscribe("secret/#", Qos::AtMostOnce), 0x80);
    peer.subscribe("#", Qos::AtMostOnce);
    assert_eq!(peer.post("read/only", b"x"), Reason::NOT_AUTHORIZED);
    assert_eq!(peer.post("secret/x", b"x"), Reason::NOBODY_SUBSCRIBES);
    assert_eq!(peer.post("$SYS/broker/x", b"x"), Reason::NOT_AUTHORIZED);
    assert_eq!(peer.post("other", b"x"), Reason::SUCCESS);
    assert_eq!(peer.message().topic, "other");
    let tally = assert_accounted(&broker);
    assert_eq!((tally.messages_received, tally.messages_refused, tally.messages_unsubscribed), (4, 2, 1));
    broker.stop();
}

#[test]
fn names_are_given_and_long_or_odd_ones_taken() {
    let (broker, address) = broker(|options| options.max_keep_alive = Duration::from_secs(60));
    let keep_alive = Coming { keep_alive: 120, ..Coming::default() };
    let (first, _, granted) = Peer::come_as(address, Version::Five, "", keep_alive);
    let granted = Properties::of(&granted);
    let name = granted.text(id::ASSIGNED_CLIENT_ID).expect("a name").to_owned();
    assert_eq!(granted.number(id::SERVER_KEEP_ALIVE), Some(60));
    let (second, _, granted) =
        Peer::come_as(address, Version::Five, "", Coming { keep_alive: 10, ..Coming::default() });
    assert_ne!(Properties::of(&granted).text(id::ASSIGNED_CLIENT_ID), Some(&*name));
    assert_eq!(Properties::of(&granted).number(id::SERVER_KEEP_ALIVE), None);
    for name in ["a/b", "a\\b", "a+#", "\u{17e}", &"x".repeat(60_000)] {
        Peer::come(address, Version::Old, name).leave();
    }
    first.leave();
    second.leave();
    broker.stop();
}

/// All are there before the first of them has said who it is.
#[test]
fn clients_without_a_name_that_come_at_once_get_one_each() {
    let (broker, address) = broker(|_| {});
    let mut peers: Vec<_> = (0..100).map(|_| Peer::open(address, Version::Old)).collect();
    until("all are there", || broker.counts().connections_accepted == 100);
    for peer in &mut peers {
        peer.introduce("", Coming::default());
    }
    peers.iter_mut().for_each(Peer::nothing);
    assert_eq!(broker.counts().clients, 100);
    broker.stop();
}

#[test]
fn many_who_speak_at_once_all_come_in() {
    let (broker, address) = broker(|options| options.max_waiting = 4);
    let bytes = |number: usize| mqtt::connect(&format!("c{number}"), 60);
    let mut streams: Vec<_> = (0..500)
        .map(|number| {
            let mut stream = mqtt::open(address);
            stream.write_all(&bytes(number)).unwrap();
            stream
        })
        .collect();
    // The first has nothing more to say than the last; none is displaced but by the time between its coming and its
    // speaking, which here is none to speak of.
    let let_in = streams.iter_mut().filter_map(|stream| stream.read_exact(&mut [0; 4]).ok()).count();
    assert!(let_in >= 490, "{let_in}");
    broker.stop();
}

/// Between a client and the broker: it can be cut.
struct Wire {
    address: SocketAddr,
    /// Bytes of which it is cut, in either direction, and how often that is to be done yet.
    cuts: Arc<AtomicU64>,
}

impl Wire {
    fn to(broker: SocketAddr, every: usize, cuts: u64) -> Wire {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let cuts = Arc::new(AtomicU64::new(cuts));
        let left = Arc::clone(&cuts);
        thread::spawn(move || {
            for near in listener.incoming().map_while(Result::ok) {
                let Ok(far) = TcpStream::connect(broker) else { return };
                let (passed, over) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
                for (mut from, mut to) in [
                    (near.try_clone().unwrap(), far.try_clone().unwrap()),
                    (far.try_clone().unwrap(), near.try_clone().unwrap()),
                ] {
                    let (left, passed, over) = (Arc::clone(&left), Arc::clone(&passed), Arc::clone(&over));
                    thread::spawn(move || {
                        let mut chunk = [0; 1500];
                        while let Ok(length @ 1..) = from.read(&mut chunk) {
                            let sum = passed.fetch_add(length as u64, Ordering::Relaxed) + length as u64;
                            // Both directions go by one cut.
                            let cut = sum >= every as u64
                                && !over.swap(true, Ordering::Relaxed)
                                && left
                                    .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1))
                                    .is_ok();
                            // In the midst of a packet, as likely as not.
                            if to.write_all(&chunk[..if cut { length / 2 } else { length }]).is_err() || cut {
                                break;
                            }
                        }
                        let _ = from.shutdown(Shutdown::Both);
                        let _ = to.shutdown(Shutdown::Both);
                    });
                }
            }
        });
        Wire { address, cuts }
    }

    fn client(&self, name: &str) -> Client {
        let options = ClientOptions {
            client_id: name.to_owned(),
            session: Some(Duration::from_secs(600)),
            ..ClientOptions::new(format!("mqtt://{}", self.address).parse().unwrap())
        };
        Client::connect(options, Arc::new(AtomicBool::new(false)), Box::new(|_| {})).expect("the broker is there")
    }
}

#[test]
fn by_qos_2_over_links_that_are_cut_nothing_is_lost_and_nothing_comes_twice() {
    const MESSAGES: usize = 2_000;
    const CUTS: u64 = 5;
    let (broker, address) = broker(|_| {});
    let (left, right) = (Wire::to(address, 12_000, CUTS), Wire::to(address, 12_000, CUTS));
    let mut subscriber = right.client("subscriber");
    subscriber.subscribe(&[Subscription { filter: "t".to_owned(), qos: Qos::ExactlyOnce }]).unwrap();
    let seen = thread::scope(|scope| {
        scope.spawn(|| {
            let mut publisher = left.client("publisher");
            let delivery = Delivery { qos: Qos::ExactlyOnce, retain: false };
            for number in 0..MESSAGES {
                assert!(publisher.publish("t", format!("{number:020}").as_bytes(), delivery).unwrap());
            }
            assert!(publisher.settle(Instant::now() + PATIENCE).unwrap());
            assert_eq!(publisher.close().reconnected, CUTS);
        });
        let next =
            |_| String::from_utf8(subscriber.next(Some(Instant::now() + PATIENCE)).unwrap()?.payload().to_vec()).ok();
        let seen: Vec<_> = (0..MESSAGES).map_while(next).collect();
        let more = subscriber.next(Some(Instant::now() + Duration::from_millis(200))).unwrap();
        assert!(more.is_none(), "{more:?}");
        seen
    });
    let expected: Vec<_> = (0..MESSAGES).map(|number| format!("{number:020}")).collect();
    assert!(seen == expected, "{} of {MESSAGES}", seen.len());
    assert_eq!((left.cuts.load(Ordering::Relaxed), right.cuts.load(Ordering::Relaxed)), (0, 0), "all cuts were made");
    assert_eq!(subscriber.close().reconnected, CUTS);
    let tally = assert_accounted(&broker);
    assert_eq!((tally.messages_received, tally.messages_dropped), (MESSAGES as u64, 0));
    broker.stop();
}
