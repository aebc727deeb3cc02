//! MQTT packets as bytes, and brokers to talk to, for tests that look from outside.

#![allow(dead_code, unreachable_pub, reason = "each test file has it as a module of its own, and uses a part of it")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use netlab::pubsub::broker::{Broker, BrokerOptions};
use netlab::pubsub::client::{Client, ClientOptions, Subscription};
use netlab::pubsub::message::Qos;
use netlab::pubsub::url::BrokerUrl;
use netlab::wire::mqtt::{
    self, AckKind, Connect, Disconnect, Packet, Properties, PropertyList, Publish, Reason, Side, Subscribe, Version,
    Will, Wish,
};

/// A broker on loopback, with the usual options but for what is changed; and where it listens.
pub fn broker(change: impl FnOnce(&mut BrokerOptions)) -> (Broker, SocketAddr) {
    let mut options = BrokerOptions { listen: ([127, 0, 0, 1], 0).into(), ..BrokerOptions::default() };
    change(&mut options);
    let broker = Broker::start(&options).expect("a broker starts");
    let address = broker.local_addr();
    (broker, address)
}

/// Longer than anything here may take.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// CONNECT of MQTT 3.1.1, a clean session (section 3.1).
pub fn connect(client_id: &str, keep_alive_s: u16) -> Vec<u8> {
    let mut body = vec![0, 4, b'M', b'Q', b'T', b'T', 4, 0b10];
    body.extend(keep_alive_s.to_be_bytes());
    body.extend(text(client_id));
    packet(0x10, &body)
}

/// SUBSCRIBE by QoS 0 (section 3.8).
pub fn subscribe(filter: &str) -> Vec<u8> {
    let mut body = vec![0, 1];
    body.extend(text(filter));
    body.push(0);
    packet(0x82, &body)
}

/// PUBLISH by QoS 0 (section 3.3).
pub fn publish(topic: &str, payload: &[u8]) -> Vec<u8> {
    let mut body = text(topic);
    body.extend(payload);
    packet(0x30, &body)
}

/// CONNACK, accepted, no session.
pub const ACCEPTED: [u8; 4] = [0x20, 2, 0, 0];
/// SUBACK of [`subscribe`].
pub const SUBSCRIBED: [u8; 5] = [0x90, 3, 0, 1, 0];

/// A packet of these first byte and rest, of less than 16 KiB.
pub fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match body.len() {
        short @ 0..128 => bytes.push(short as u8),
        long => bytes.extend([(long % 128) as u8 | 0x80, (long / 128) as u8]),
    }
    bytes.extend(body);
    bytes
}

fn text(text: &str) -> Vec<u8> {
    let mut bytes = (text.len() as u16).to_be_bytes().to_vec();
    bytes.extend(text.as_bytes());
    bytes
}

/// A connection that has said nothing.
pub fn open(broker: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(broker).expect("the broker accepts connections");
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// A connection that has been accepted as a client.
pub fn introduce(broker: SocketAddr, client_id: &str, keep_alive_s: u16) -> TcpStream {
    let mut stream = open(broker);
    stream.write_all(&connect(client_id, keep_alive_s)).unwrap();
    let mut answer = [0; 4];
    stream.read_exact(&mut answer).expect("an answer");
    assert_eq!(answer, ACCEPTED);
    stream
}

/// The same, subscribed by this QoS; it reads nothing more by itself.
pub fn subscribed(broker: SocketAddr, client_id: &str, filter: &str, qos: u8) -> TcpStream {
    let mut stream = introduce(broker, client_id, 60);
    let mut request = subscribe(filter);
    *request.last_mut().expect("it is the QoS") = qos;
    stream.write_all(&request).unwrap();
    let mut answer = [0; 5];
    stream.read_exact(&mut answer).expect("an answer");
    assert_eq!(answer, [0x90, 3, 0, 1, qos]);
    stream
}

/// Ends a connection by a reset instead of a farewell.
pub fn reset(stream: TcpStream) {
    socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
}

/// A client of netlab that does not come back after a break.
pub fn client(broker: SocketAddr) -> Client {
    let url: BrokerUrl = format!("mqtt://{broker}").parse().unwrap();
    let options = ClientOptions { reconnect: Duration::ZERO, ..ClientOptions::new(url) };
    Client::connect(options, Arc::new(AtomicBool::new(false)), Box::new(|_| {})).expect("the broker serves a client")
}

/// The same, subscribed.
pub fn subscriber(broker: SocketAddr, filter: &str, qos: Qos) -> Client {
    let mut client = client(broker);
    client.subscribe(&[Subscription { filter: filter.to_owned(), qos }]).expect("the broker takes a subscription");
    client
}

/// The next message's topic and text.
#[track_caller]
pub fn next(client: &mut Client) -> (String, String) {
    let message = client.next(Some(Instant::now() + PATIENCE)).expect("the connection holds").expect("a message");
    (message.topic.clone(), String::from_utf8_lossy(message.payload()).into_owned())
}

/// Waits until a condition holds.
#[track_caller]
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Resident memory of a process, in bytes (`VmRSS` of `/proc/PID/status`).
pub fn resident(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a line");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1024
}

/// A mosquitto, which ends when this is dropped.
pub struct Mosquitto {
    child: Child,
    folder: tempfile::TempDir,
    /// Where it listens.
    pub port: u16,
}

impl Mosquitto {
    /// Starts one on a free port with these lines of configuration, and waits until it runs.
    pub fn start(configuration: &str, folder: tempfile::TempDir) -> Mosquitto {
        use std::io::{BufRead, BufReader};
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let path = folder.path().join("mosquitto.conf");
        // As root it would become another user, who may not read the folder.
        let user = if nix::unistd::geteuid().is_root() { "user root\n" } else { "" };
        std::fs::write(&path, format!("{user}listener {port} 127.0.0.1\n{configuration}\n")).unwrap();
        let mut child = Command::new("mosquitto")
            .arg("-v")
            .arg("-c")
            .arg(&path)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("mosquitto starts");
        let mut lines = BufReader::new(child.stderr.take().expect("a pipe")).lines().map_while(Result::ok);
        let said: Vec<_> = lines.by_ref().take_while(|line| !line.ends_with(" running")).collect();
        // What else it says is read, lest it wait for a reader.
        std::thread::spawn(move || lines.for_each(drop));
        if let Some(status) = child.try_wait().unwrap() {
            panic!("mosquitto ended, {status}: {said:#?}");
        }
        Mosquitto { child, folder, port }
    }

    /// Its folder.
    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A client that says what it is told to, right or wrong, and takes packet by packet what comes.
pub struct Peer {
    pub stream: TcpStream,
    pub version: Version,
    input: Vec<u8>,
}

/// A message as a [`Peer`] got it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Got {
    pub topic: String,
    pub payload: String,
    pub qos: Qos,
    pub id: u16,
    pub retain: bool,
    pub dup: bool,
    pub properties: Vec<u8>,
}

/// How a [`Peer`] comes. `Default` is a clean session without anything else.
#[derive(Clone, Copy, Default)]
pub struct Coming<'a> {
    pub kept: bool,
    pub keep_alive: u16,
    pub will: Option<Will<'a>>,
    pub properties: Properties<'a>,
}

impl Peer {
    /// A connection that has said nothing.
    pub fn open(broker: SocketAddr, version: Version) -> Peer {
        Peer { stream: open(broker), version, input: Vec::new() }
    }

    /// One that has been let in.
    #[track_caller]
    pub fn come(broker: SocketAddr, version: Version, id: &str) -> Peer {
        Peer::come_as(broker, version, id, Coming::default()).0
    }

    /// The same; whether there was a session, and the properties of the consent.
    #[track_caller]
    pub fn come_as(broker: SocketAddr, version: Version, id: &str, coming: Coming<'_>) -> (Peer, bool, Vec<u8>) {
        let mut peer = Peer::open(broker, version);
        let (reason, present, properties) = peer.introduce(id, coming);
        assert_eq!(reason, Reason::SUCCESS, "{id}");
        (peer, present, properties)
    }

    /// CONNECT, and what CONNACK says.
    #[track_caller]
    pub fn introduce(&mut self, id: &str, coming: Coming<'_>) -> (Reason, bool, Vec<u8>) {
        let connect = Connect {
            version: self.version,
            clean: !coming.kept,
            keep_alive: coming.keep_alive,
            client_id: id,
            will: coming.will,
            user: None,
            password: None,
            properties: coming.properties,
        };
        self.say(&Packet::Connect(connect));
        self.hear("CONNACK", |packet| match packet {
            Packet::ConnAck(ack) => Some((ack.reason, ack.session_present, ack.properties.bytes().to_vec())),
            _ => None,
        })
    }

    pub fn say(&mut self, packet: &Packet<'_>) {
        let mut bytes = Vec::new();
        packet.write(self.version, &mut bytes).expect("it can be written");
        self.stream.write_all(&bytes).expect("the broker listens");
    }

    /// The next packet, which has to be this one.
    #[track_caller]
    pub fn hear<T>(&mut self, what: &str, read: impl FnOnce(&Packet<'_>) -> Option<T>) -> T {
        loop {
            if let Some((frame, length)) = mqtt::frame(&self.input, usize::MAX).expect("a packet") {
                let packet = mqtt::read(self.version, Side::Broker, frame).expect("a packet");
                let taken = read(&packet).unwrap_or_else(|| panic!("{what} was expected: {packet:?}"));
                self.input.drain(..length);
                return taken;
            }
            assert!(self.fill(), "{what} was expected, and the connection is closed");
        }
    }

    /// False: it is closed.
    fn fill(&mut self) -> bool {
        let mut chunk = [0; 16 << 10];
        let length = self.stream.read(&mut chunk).expect("it comes in time");
        self.input.extend(&chunk[..length]);
        length > 0
    }

    #[track_caller]
    pub fn subscribe(&mut self, filter: &str, qos: Qos) -> u8 {
        self.subscribe_by(filter, Wish { qos, ..Wish::default() }, Properties::default())
    }

    #[track_caller]
    pub fn subscribe_by(&mut self, filter: &str, wish: Wish, properties: Properties<'_>) -> u8 {
        self.say(&Packet::Subscribe(Subscribe { id: 77, properties, filters: vec![(filter, wish)] }));
        self.hear("SUBACK", |packet| match packet {
            Packet::Granted(granted) => granted.codes.first().copied(),
            _ => None,
        })
    }

    /// PUBLISH; by QoS 1 and 2 of this identifier.
    pub fn publish(
        &mut self,
        topic: &str,
        payload: &[u8],
        qos: Qos,
        id: u16,
        retain: bool,
        properties: Properties<'_>,
    ) {
        self.say(&Packet::Publish(Publish { dup: false, qos, retain, topic, id, properties, payload }));
    }

    /// The next packet is a message.
    #[track_caller]
    pub fn message(&mut self) -> Got {
        self.hear("PUBLISH", |packet| match packet {
            Packet::Publish(publish) => Some(Got {
                topic: publish.topic.to_owned(),
                payload: String::from_utf8_lossy(publish.payload).into_owned(),
                qos: publish.qos,
                id: publish.id,
                retain: publish.retain,
                dup: publish.dup,
                properties: publish.properties.bytes().to_vec(),
            }),
            _ => None,
        })
    }

    /// The next packet is this acknowledgement: identifier and reason.
    #[track_caller]
    pub fn acknowledged(&mut self, kind: AckKind) -> (u16, Reason) {
        self.hear("an acknowledgement", |packet| match packet {
            Packet::Ack(ack) if ack.kind == kind => Some((ack.id, ack.reason)),
            _ => None,
        })
    }

    /// Publishes by QoS 1 and takes the answer.
    #[track_caller]
    pub fn post(&mut self, topic: &str, payload: &[u8]) -> Reason {
        self.publish(topic, payload, Qos::AtLeastOnce, 1, false, Properties::default());
        self.acknowledged(AckKind::PubAck).1
    }

    /// Nothing has come before the answer to a PINGREQ: the broker has taken all before that.
    #[track_caller]
    pub fn nothing(&mut self) {
        self.say(&Packet::PingReq);
        self.hear("PINGRESP and nothing else", |packet| matches!(packet, Packet::PingResp).then_some(()));
    }

    /// The connection is closed; the reason of the DISCONNECT before, where there was one.
    #[track_caller]
    pub fn farewell(&mut self) -> Option<Reason> {
        while self.fill() {}
        let (frame, length) = mqtt::frame(&self.input, usize::MAX).expect("a packet")?;
        assert_eq!(length, self.input.len(), "more than one packet");
        match mqtt::read(self.version, Side::Broker, frame) {
            Ok(Packet::Disconnect(farewell)) => Some(farewell.reason),
            other => panic!("{other:?}"),
        }
    }

    /// DISCONNECT, and the end of the connection.
    pub fn leave(mut self) {
        self.say(&Packet::Disconnect(Disconnect::default()));
        assert_eq!(self.farewell(), None);
    }
}

/// One property.
pub fn property(id: u8, number: u32) -> PropertyList {
    let mut list = PropertyList::new();
    list.number(id, number);
    list
}
