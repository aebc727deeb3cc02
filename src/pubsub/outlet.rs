//! A client's socket as the protocol engine writes to it: what a slow reader does not take waits here, within a budget.
//!
//! The engine's own queues are bounded in messages alone, and a message may have a few bytes or as many as a packet may.
//! So it is never kept waiting for a socket: what the kernel does not take at once is queued here, up to so many messages
//! *and* bytes, and QoS 0 messages beyond that are dropped. All clients together have a budget as well: none may take
//! more than is left of it, so that however many stand still, something is left for the next (dynamic thresholds,
//! Choudhury and Hahne 1998).

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use mqtt5::broker::transport::WebSocketTransport;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// Bytes that a waiting packet takes beside its own.
const OVERHEAD: usize = 64;
/// Packets handed to the kernel at once.
const AT_ONCE: usize = 64;
/// First byte of a PUBLISH packet without its flags, and the bits that hold its QoS (MQTT 5.0 section 3.3.1).
const PUBLISH: u8 = 0x30;
const QOS_BITS: u8 = 0b110;

/// What may wait for one client.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    pub messages: usize,
    pub bytes: usize,
}

/// What waits for all clients, and what has not been sent.
#[derive(Debug)]
pub(super) struct Backlogs {
    budget: usize,
    bytes: AtomicUsize,
    unsent: AtomicU64,
    unsent_payload: AtomicU64,
    dropped: AtomicU64,
}

/// A client's socket and what waits for it.
#[derive(Debug)]
pub(super) struct Outlet {
    stream: TcpStream,
    packets: VecDeque<Packet>,
    /// How much of the first of them the kernel has.
    begun: usize,
    /// What they take.
    bytes: usize,
    room: Room,
    all: Arc<Backlogs>,
    /// Whether packets have properties (MQTT 5.0); known once one was written.
    properties: Option<bool>,
}

#[derive(Debug)]
struct Packet {
    bytes: Box<[u8]>,
    /// Bytes of payload, of a message.
    payload: Option<u64>,
}

impl Backlogs {
    /// With a budget in bytes.
    pub(super) fn new(budget: usize) -> Backlogs {
        let (bytes, counter) = (AtomicUsize::new(0), || AtomicU64::new(0));
        Backlogs { budget, bytes, unsent: counter(), unsent_payload: counter(), dropped: counter() }
    }

    /// Messages, and bytes of payload, that the engine has sent and the kernel has not got, or not yet.
    pub(super) fn unsent(&self) -> (u64, u64) {
        (self.unsent.load(Ordering::Relaxed), self.unsent_payload.load(Ordering::Relaxed))
    }

    /// Messages dropped for want of room.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    fn left(&self) -> usize {
        self.budget.saturating_sub(self.bytes.load(Ordering::Relaxed))
    }

    fn is_unsent(&self, payload: Option<u64>) {
        if let Some(payload) = payload {
            self.unsent.fetch_add(1, Ordering::Relaxed);
            self.unsent_payload.fetch_add(payload, Ordering::Relaxed);
        }
    }

    fn is_sent(&self, payload: Option<u64>) {
        if let Some(payload) = payload {
            self.unsent.fetch_sub(1, Ordering::Relaxed);
            self.unsent_payload.fetch_sub(payload, Ordering::Relaxed);
        }
    }
}

impl Outlet {
    pub(super) fn new(stream: TcpStream, room: Room, all: Arc<Backlogs>) -> Outlet {
        Outlet { stream, packets: VecDeque::new(), begun: 0, bytes: 0, room, all, properties: None }
    }

    /// Hands the kernel what it takes of what waits. Pending: something still does, and the task is woken when it may
    /// be taken.
    fn poll_backlog(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.packets.is_empty() {
            let begun = self.begun;
            let packets = self.packets.iter().take(AT_ONCE).enumerate();
            let slices: Vec<_> =
                packets.map(|(at, packet)| IoSlice::new(&packet.bytes[if at == 0 { begun } else { 0 }..])).collect();
            match ready!(Pin::new(&mut self.stream).poll_write_vectored(cx, &slices))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                taken => self.advance(taken),
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Takes off what the kernel has.
    fn advance(&mut self, taken: usize) {
        self.begun += taken;
        while self.packets.front().is_some_and(|packet| packet.bytes.len() <= self.begun) {
            let Some(packet) = self.packets.pop_front() else { break };
            self.begun -= packet.bytes.len();
            self.give_back(packet.bytes.len() + OVERHEAD);
            self.all.is_sent(packet.payload);
        }
    }

    /// Has a packet wait, of which the kernel has the beginning.
    fn keep(&mut self, packet: &[u8], begun: usize, payload: Option<u64>) {
        if self.packets.is_empty() {
            self.begun = begun;
        }
        let size = packet.len() + OVERHEAD;
        self.bytes += size;
        self.all.bytes.fetch_add(size, Ordering::Relaxed);
        self.all.is_unsent(payload);
        self.packets.push_back(Packet { bytes: packet.into(), payload });
    }

    fn give_back(&mut self, size: usize) {
        self.bytes -= size;
        self.all.bytes.fetch_sub(size, Ordering::Relaxed);
    }

    fn has_room_for(&self, packet: &[u8]) -> bool {
        let bytes = self.bytes + packet.len() + OVERHEAD;
        self.packets.len() < self.room.messages && bytes <= self.room.bytes.min(self.all.left())
    }
}

impl Drop for Outlet {
    fn drop(&mut self) {
        self.give_back(self.bytes);
    }
}

impl AsyncWrite for Outlet {
    /// Takes a packet whole, or waits with it. The engine calls this with a packet at a time, and with the same one until
    /// it is taken or the connection is over.
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, packet: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        // The first is a CONNACK; that of MQTT 3.1.1 has two bytes after its header.
        let properties = *this.properties.get_or_insert_with(|| packet.get(1).is_some_and(|length| *length != 2));
        let payload = || payload_of(packet, properties);
        let taken = match this.poll_backlog(cx)? {
            Poll::Pending => None,
            Poll::Ready(()) => match Pin::new(&mut this.stream).poll_write(cx, packet)? {
                Poll::Ready(taken) if taken == packet.len() => return Poll::Ready(Ok(taken)),
                Poll::Ready(taken) => Some(taken),
                Poll::Pending => None,
            },
        };
        match taken {
            // What is begun has to be ended.
            Some(begun) => this.keep(packet, begun, payload()),
            None if this.has_room_for(packet) => this.keep(packet, 0, payload()),
            None if packet.first().is_some_and(|first| first & (0xf0 | QOS_BITS) == PUBLISH) => {
                this.all.is_unsent(payload());
                this.all.dropped.fetch_add(1, Ordering::Relaxed);
            }
            // Whatever else is due has to reach the client. The kernel wakes this task.
            None => return Poll::Pending,
        }
        Poll::Ready(Ok(packet.len()))
    }

    /// Nothing waits for the socket: see the module.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

impl AsyncRead for Outlet {
    /// While the engine waits for what the client says, what waits for the client goes out.
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let _ = this.poll_backlog(cx)?;
        Pin::new(&mut this.stream).poll_read(cx, into)
    }
}

/// The one kind of transport that the engine takes from others.
impl WebSocketTransport for Outlet {
    fn peer_addr(&self) -> mqtt5::error::Result<SocketAddr> {
        Ok(self.stream.peer_addr()?)
    }
}

/// Bytes of payload of a PUBLISH packet; `None` for any other.
fn payload_of(packet: &[u8], properties: bool) -> Option<u64> {
    let (first, rest) = packet.split_first()?;
    if first & 0xf0 != PUBLISH {
        return None;
    }
    let (_, rest) = length(rest)?;
    let topic = usize::from(u16::from_be_bytes(*rest.first_chunk()?));
    let id = if first & QOS_BITS == 0 { 0 } else { 2 };
    let rest = rest.get(2 + topic + id..)?;
    let payload = if properties {
        let (properties, rest) = length(rest)?;
        rest.get(properties..)?
    } else {
        rest
    };
    Some(payload.len() as u64)
}

/// A variable byte integer, and what follows it (MQTT 5.0 section 1.5.5).
fn length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut value = 0;
    for (at, byte) in bytes.iter().take(4).enumerate() {
        value |= usize::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return Some((value, &bytes[at + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    /// A PUBLISH packet of MQTT 3.1.1 to `t`.
    fn publish(qos: u8, payload: &[u8]) -> Vec<u8> {
        let mut body = vec![0, 1, b't'];
        if qos > 0 {
            body.extend([0, 7]);
        }
        body.extend(payload);
        let mut packet = vec![PUBLISH | qos << 1];
        packet.extend([(body.len() % 128) as u8 | 0x80, (body.len() / 128 % 128) as u8 | 0x80]);
        packet.push((body.len() / 16_384) as u8);
        packet.extend(body);
        packet
    }

    #[test]
    fn payloads_are_measured() {
        assert_eq!(payload_of(&publish(0, b"12345"), false), Some(5));
        assert_eq!(payload_of(&publish(1, &[0; 20_000]), false), Some(20_000));
        // Properties of two bytes.
        assert_eq!(payload_of(&publish(2, &[2, 1, 1, 9, 9, 9]), true), Some(3));
        assert_eq!(payload_of(&[0xd0, 0], false), None);
        for cut in [&[PUBLISH][..], &[PUBLISH, 5], &[PUBLISH, 5, 0, 9, b't'], &[PUBLISH, 0xff, 0xff, 0xff, 0xff, 1]] {
            assert_eq!(payload_of(cut, true), None);
        }
    }

    fn within(test: impl Future<Output = ()>) {
        tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap().block_on(test);
    }

    async fn connection(room: Room, all: &Arc<Backlogs>) -> (Outlet, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let mut outlet = Outlet::new(listener.accept().await.unwrap().0, room, Arc::clone(all));
        outlet.write_all(&[0x20, 2, 0, 0]).await.unwrap();
        (outlet, client)
    }

    /// Writes until the kernel has no more room and this many messages wait.
    async fn fill(outlet: &mut Outlet, all: &Backlogs, size: usize, until: impl Fn(&Outlet) -> bool) {
        let packet = publish(0, &vec![0; size]);
        while !until(outlet) && all.dropped() == 0 {
            outlet.write_all(&packet).await.unwrap();
        }
    }

    #[test]
    fn what_waits_is_bounded_in_messages_and_in_bytes() {
        within(async {
            for room in [Room { messages: 3, bytes: 1 << 30 }, Room { messages: 1 << 30, bytes: 250_000 }] {
                let all = Arc::new(Backlogs::new(1 << 30));
                let (mut outlet, _client) = connection(room, &all).await;
                fill(&mut outlet, &all, 60_000, |_| false).await;
                assert!(all.dropped() == 1 && outlet.packets.len() <= 4 && outlet.bytes <= 250_000, "{outlet:?}");
                assert_eq!(all.unsent(), (outlet.packets.len() as u64 + 1, (outlet.packets.len() as u64 + 1) * 60_000));
                assert_eq!(all.bytes.load(Ordering::Relaxed), outlet.bytes);
                drop(outlet);
                assert_eq!(all.bytes.load(Ordering::Relaxed), 0);
            }
        });
    }

    #[test]
    fn those_who_stand_still_leave_room_for_the_next() {
        within(async {
            const BUDGET: usize = 1 << 20;
            let all = Arc::new(Backlogs::new(BUDGET));
            let room = Room { messages: 1 << 20, bytes: BUDGET };
            let mut still = Vec::new();
            for number in 1..=8 {
                let (mut outlet, client) = connection(room, &all).await;
                let before = all.dropped();
                let packet = publish(0, &[0; 1_000]);
                while all.dropped() == before {
                    outlet.write_all(&packet).await.unwrap();
                }
                assert!(outlet.bytes > 1_000, "the {number}th got nothing");
                still.push((outlet, client));
            }
            let waiting = all.bytes.load(Ordering::Relaxed);
            assert!(waiting < BUDGET, "{waiting}");
            assert_eq!(waiting, still.iter().map(|(outlet, _)| outlet.bytes).sum::<usize>());
        });
    }

    #[test]
    fn what_is_no_message_of_qos_0_waits_and_all_comes_in_order() {
        within(async {
            let all = Arc::new(Backlogs::new(1 << 30));
            let (mut outlet, mut client) = connection(Room { messages: 2, bytes: 1 << 20 }, &all).await;
            fill(&mut outlet, &all, 60_000, |outlet| outlet.packets.len() == 2).await;
            let acknowledged = publish(1, b"once at least");
            let (writing, mut read) = tokio::join!(
                async {
                    outlet.write_all(&acknowledged).await.unwrap();
                    // As the engine does, which goes on reading.
                    assert_eq!(outlet.read(&mut [0; 16]).await.unwrap(), 0);
                    outlet
                },
                async {
                    let mut read = Vec::new();
                    while !read.ends_with(b"once at least") {
                        assert!(client.read_buf(&mut read).await.unwrap() > 0);
                    }
                    client.shutdown().await.unwrap();
                    read
                }
            );
            assert!(writing.packets.is_empty() && all.dropped() == 0);
            assert_eq!((writing.bytes, all.unsent()), (0, (0, 0)));
            let message = publish(0, &[0; 60_000]);
            let mut rest = read.split_off(4);
            while rest.len() > acknowledged.len() {
                assert_eq!(&rest[..message.len()], message);
                rest.drain(..message.len());
            }
            assert_eq!(rest, acknowledged);
        });
    }
}
