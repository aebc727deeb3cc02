//! The rtnetlink requests a LAN is made of, each with its flags: pure.

use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsRawFd, BorrowedFd};

use netlink_packet_core::{DefaultNla, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE};
use netlink_packet_route::address::{AddressAttribute, AddressFlags, AddressMessage};
use netlink_packet_route::link::{
    InfoBridge, InfoBridgePort, InfoData, InfoKind, InfoPortData, InfoPortKind, InfoVeth, LinkAttribute, LinkFlags,
    LinkInfo, LinkMessage,
};
use netlink_packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourFlags, NeighbourMessage, NeighbourState,
};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType,
};
use netlink_packet_route::tc::{TcAttribute, TcHandle, TcMessage, TcOption};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

/// A request and the netlink flags that go with it.
pub type Request = (RouteNetlinkMessage, u16);

/// An Ethernet address.
pub type Mac = [u8; 6];

/// One end of a cable to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// Interface name.
    pub name: String,
    /// Interface number; chosen, so that nothing has to be looked up.
    pub index: u32,
    /// Its Ethernet address.
    pub mac: Mac,
}

/// The index of every namespace's `lo`.
pub const LOOPBACK: u32 = 1;

/// Makes a bridge with these options.
#[must_use]
pub fn new_bridge(bridge: &End, options: Vec<InfoBridge>) -> Request {
    let mut link = link_of(bridge);
    link.attributes.push(LinkAttribute::LinkInfo(vec![
        LinkInfo::Kind(InfoKind::Bridge),
        LinkInfo::Data(InfoData::Bridge(options)),
    ]));
    (RouteNetlinkMessage::NewLink(link), NLM_F_CREATE | NLM_F_EXCL)
}

/// Changes options of a bridge.
#[must_use]
pub fn set_bridge(index: u32, options: Vec<InfoBridge>) -> Request {
    let mut link = numbered(index);
    link.attributes = vec![LinkAttribute::LinkInfo(vec![
        LinkInfo::Kind(InfoKind::Bridge),
        LinkInfo::Data(InfoData::Bridge(options)),
    ])];
    (RouteNetlinkMessage::NewLink(link), 0)
}

/// Changes options of a bridge's port.
#[must_use]
pub fn set_port(index: u32, options: Vec<InfoBridgePort>) -> Request {
    let mut link = numbered(index);
    link.attributes = vec![LinkAttribute::LinkInfo(vec![
        LinkInfo::PortKind(InfoPortKind::Bridge),
        LinkInfo::PortData(InfoPortData::BridgePort(options)),
    ])];
    (RouteNetlinkMessage::NewLink(link), 0)
}

/// Makes a veth pair with one queue each way: `port`, a port of the bridge and a member of the interface group, and
/// `host`, born in the namespace `netns` (to move it there later would cost an RCU barrier, some 20 ms).
#[must_use]
pub fn new_cable(port: &End, host: &End, netns: BorrowedFd<'_>, bridge: u32, group: u32) -> Request {
    let queues = || [LinkAttribute::NumTxQueues(1), LinkAttribute::NumRxQueues(1)];
    let mut peer = link_of(host);
    peer.attributes.extend(queues());
    peer.attributes.push(LinkAttribute::NetNsFd(netns.as_raw_fd()));
    let mut link = link_of(port);
    link.attributes.extend(queues());
    link.attributes.extend([
        LinkAttribute::Group(group),
        LinkAttribute::Controller(bridge),
        LinkAttribute::LinkInfo(vec![
            LinkInfo::Kind(InfoKind::Veth),
            LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(peer))),
        ]),
    ]);
    (RouteNetlinkMessage::NewLink(link), NLM_F_CREATE | NLM_F_EXCL)
}

/// Sets an interface up.
#[must_use]
pub fn up(index: u32) -> Request {
    let mut link = numbered(index);
    link.header.flags = LinkFlags::Up;
    link.header.change_mask = LinkFlags::Up;
    (RouteNetlinkMessage::SetLink(link), 0)
}

/// Keeps an interface from merging the segments of a TCP connection as they come in (`gro_max_size`, Linux 5.19 and
/// later, for IPv4 by itself since 6.3): to no size at all. Generic receive offload as such stays on, since a virtual
/// link has its receive thread by that.
#[must_use]
pub fn no_merging(index: u32) -> Request {
    let mut link = numbered(index);
    // The size IPv4 has of its own is set along with this one.
    link.attributes = vec![LinkAttribute::GroMaxSize(NOTHING_MERGED)];
    (RouteNetlinkMessage::SetLink(link), 0)
}

/// Two segments are merged when together they are shorter than this (`skb_gro_receive()`): never.
pub const NOTHING_MERGED: u32 = 1;

/// Deletes all interfaces of an interface group at once: the kernel then waits for its readers once, not once each.
#[must_use]
pub fn delete_group(group: u32) -> Request {
    let mut link = LinkMessage::default();
    link.attributes.push(LinkAttribute::Group(group));
    (RouteNetlinkMessage::DelLink(link), 0)
}

/// Deletes an interface.
#[must_use]
pub fn delete(index: u32) -> Request {
    (RouteNetlinkMessage::DelLink(numbered(index)), 0)
}

/// Gives an interface an address, with a broadcast address for IPv4 and without duplicate detection for IPv6.
#[must_use]
pub fn new_address(index: u32, address: IpAddr, prefix: u8, broadcast: Option<Ipv4Addr>) -> Request {
    let mut message = AddressMessage::default();
    message.header.index = index;
    message.header.prefix_len = prefix;
    message.header.family = family(address);
    message.attributes.extend([AddressAttribute::Local(address), AddressAttribute::Address(address)]);
    message.attributes.extend(broadcast.map(AddressAttribute::Broadcast));
    if address.is_ipv6() {
        message.attributes.push(AddressAttribute::Flags(AddressFlags::Nodad));
    }
    (RouteNetlinkMessage::NewAddress(message), NLM_F_CREATE | NLM_F_EXCL)
}

/// A route to a part of IPv4 that is on the link.
#[must_use]
pub fn new_link_route(index: u32, destination: Ipv4Addr, prefix: u8) -> Request {
    let mut message = RouteMessage::default();
    message.header.address_family = AddressFamily::Inet;
    message.header.destination_prefix_length = prefix;
    message.header.table = RouteHeader::RT_TABLE_MAIN;
    message.header.protocol = RouteProtocol::Static;
    message.header.scope = RouteScope::Link;
    message.header.kind = RouteType::Unicast;
    message.attributes = vec![RouteAttribute::Destination(RouteAddress::Inet(destination)), RouteAttribute::Oif(index)];
    (RouteNetlinkMessage::NewRoute(message), NLM_F_CREATE)
}

/// A route to everywhere else, by a router on the link.
#[must_use]
pub fn new_default_route(index: u32, router: IpAddr) -> Request {
    let mut message = RouteMessage::default();
    message.header.address_family = family(router);
    message.header.table = RouteHeader::RT_TABLE_MAIN;
    message.header.protocol = RouteProtocol::Static;
    message.header.scope = RouteScope::Universe;
    message.header.kind = RouteType::Unicast;
    let gateway = match router {
        IpAddr::V4(address) => RouteAddress::Inet(address),
        IpAddr::V6(address) => RouteAddress::Inet6(address),
    };
    message.attributes = vec![RouteAttribute::Gateway(gateway), RouteAttribute::Oif(index)];
    (RouteNetlinkMessage::NewRoute(message), NLM_F_CREATE)
}

/// Pins the Ethernet address behind an IP address, so that ARP or neighbour discovery need not ask.
#[must_use]
pub fn pin_neighbour(index: u32, address: IpAddr, mac: Mac) -> Request {
    let mut message = neighbour(index, family(address), NeighbourState::Permanent, mac);
    let destination = match address {
        IpAddr::V4(address) => NeighbourAddress::Inet(address),
        IpAddr::V6(address) => NeighbourAddress::Inet6(address),
    };
    message.attributes.push(NeighbourAttribute::Destination(destination));
    (RouteNetlinkMessage::NewNeighbour(message), NLM_F_CREATE | NLM_F_REPLACE)
}

/// Pins the port behind an Ethernet address in the bridge's table (`bridge fdb … master static`), so that frames to a
/// host that never speaks are not flooded.
#[must_use]
pub fn pin_port(port: u32, mac: Mac) -> Request {
    let mut message = neighbour(port, AddressFamily::Bridge, NeighbourState::Noarp, mac);
    message.header.flags = NeighbourFlags::Controller;
    (RouteNetlinkMessage::NewNeighbour(message), NLM_F_CREATE | NLM_F_REPLACE)
}

/// Gives an interface a first-in-first-out queue of `packets`: a full veth ring then holds the sender back (Linux 6.16
/// and later) where without a queue it would lose the packet.
#[must_use]
pub fn new_fifo(index: u32, packets: u32) -> Request {
    const TCA_OPTIONS: u16 = 2; // here a bare struct tc_fifo_qopt: the limit, u32
    let mut message = TcMessage::with_index(index.cast_signed());
    message.header.parent = TcHandle::ROOT;
    message.attributes = vec![
        TcAttribute::Kind("pfifo".to_owned()),
        TcAttribute::Other(DefaultNla::new(TCA_OPTIONS, packets.to_ne_bytes().to_vec())),
    ];
    (RouteNetlinkMessage::NewQueueDiscipline(message), NLM_F_CREATE | NLM_F_REPLACE)
}

/// Lets an interface send no faster than this (a token bucket filter, `tc-tbf(8)`). Its queue holds 50 ms, its bucket
/// 10 ms, and both at least two full frames: the bucket is what the filter can make up for when it is woken late, on a
/// busy machine by milliseconds, and what flows over is lost to the rate (with a bucket of two frames, 4 % of 10 Mbit/s).
#[must_use]
pub fn new_rate_limit(index: u32, bits_per_second: u64) -> Request {
    const TCA_TBF_PARMS: u16 = 1;
    const TCA_TBF_RATE64: u16 = 4;
    const TCA_TBF_BURST: u16 = 6;
    const TWO_FRAMES: u64 = 2 * 1514;
    let bytes_per_second = bits_per_second / 8;
    let share = |of_a_second: u64| saturated((bytes_per_second / of_a_second).max(TWO_FRAMES));
    // The rest of the structure is a peak rate, which there is none of, and figures TCA_TBF_BURST stands for.
    let mut parameters = [0; 36]; // struct tc_tbf_qopt
    parameters[1] = 1; // rate.linklayer: TC_LINKLAYER_ETHERNET
    parameters[8..12].copy_from_slice(&saturated(bytes_per_second).to_ne_bytes()); // rate.rate
    parameters[24..28].copy_from_slice(&share(20).to_ne_bytes()); // limit
    let option = |kind, value: &[u8]| TcOption::Other(DefaultNla::new(kind, value.to_vec()));
    let mut message = TcMessage::with_index(index.cast_signed());
    message.header.parent = TcHandle::ROOT;
    message.attributes = vec![
        TcAttribute::Kind("tbf".to_owned()),
        TcAttribute::Options(vec![
            option(TCA_TBF_PARMS, &parameters),
            option(TCA_TBF_RATE64, &bytes_per_second.to_ne_bytes()),
            option(TCA_TBF_BURST, &share(100).to_ne_bytes()),
        ]),
    ];
    (RouteNetlinkMessage::NewQueueDiscipline(message), NLM_F_CREATE | NLM_F_REPLACE)
}

fn saturated(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

fn numbered(index: u32) -> LinkMessage {
    let mut link = LinkMessage::default();
    link.header.index = index;
    link
}

fn link_of(end: &End) -> LinkMessage {
    let mut link = numbered(end.index);
    link.attributes = vec![LinkAttribute::IfName(end.name.clone()), LinkAttribute::Address(end.mac.to_vec())];
    link
}

fn neighbour(index: u32, family: AddressFamily, state: NeighbourState, mac: Mac) -> NeighbourMessage {
    let mut message = NeighbourMessage::default();
    message.header.ifindex = index;
    message.header.family = family;
    message.header.state = state;
    message.attributes = vec![NeighbourAttribute::LinkLayerAddress(mac.to_vec())];
    message
}

fn family(address: IpAddr) -> AddressFamily {
    match address {
        IpAddr::V4(_) => AddressFamily::Inet,
        IpAddr::V6(_) => AddressFamily::Inet6,
    }
}

#[cfg(test)]
#[cfg(target_endian = "little")]
mod tests {
    use netlink_packet_core::Emitable;

    use super::*;

    /// The attributes of a queue, after `struct tcmsg`.
    fn queue((message, _): &Request) -> Vec<u8> {
        let RouteNetlinkMessage::NewQueueDiscipline(message) = message else { panic!("no queue: {message:?}") };
        let mut bytes = vec![0; message.buffer_len()];
        message.emit(&mut bytes);
        bytes.split_off(20)
    }

    #[test]
    fn a_rate_limit_is_a_token_bucket_filter() {
        let bytes = queue(&new_rate_limit(7, 10_000_000));
        assert_eq!(
            bytes,
            *b"\x08\0\x01\0tbf\0\
               \x40\0\x02\0\
               \x28\0\x01\0\
               \0\x01\0\0\0\0\0\0\xd0\x12\x13\0\0\0\0\0\0\0\0\0\0\0\0\0\x24\xf4\0\0\0\0\0\0\0\0\0\0\
               \x0c\0\x04\0\xd0\x12\x13\0\0\0\0\0\
               \x08\0\x06\0\xd4\x30\0\0",
            "1,250,000 bytes a second, 62,500 to queue, 12,500 at once"
        );
        let slow = queue(&new_rate_limit(7, 10_000));
        assert_eq!(slow[slow.len() - 4..], 3028_u32.to_ne_bytes(), "never less than two frames");
    }

    #[test]
    fn a_rate_beyond_32_bits_is_not_cut() {
        let bytes = queue(&new_rate_limit(7, 80_000_000_000));
        let rate64 = &bytes[bytes.len() - 16..bytes.len() - 8];
        assert_eq!(rate64, 10_000_000_000_u64.to_ne_bytes());
    }
}
