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
use netlink_packet_route::tc::{TcAttribute, TcHandle, TcMessage};
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
