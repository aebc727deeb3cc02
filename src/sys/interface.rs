//! What the kernel says about the network interfaces of the calling thread's network namespace.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use nix::errno::Errno;
use nix::net::if_::InterfaceFlags;
use socket2::{Domain, Socket, Type};

use super::netlink::{Netlink, address_attribute, attribute, push_attribute, u32_attribute};
use crate::error::{Error, Result};

/// One network interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// `eth0`, `wlan0`, …
    pub name: String,
    /// Its number in this network namespace, from 1.
    pub index: u32,
    /// `IFF_…`, see netdevice(7).
    pub flags: InterfaceFlags,
    /// Largest IP packet (largest Ethernet payload) in bytes.
    pub mtu: u32,
    /// Its Ethernet address, where it is such an interface.
    pub mac: Option<[u8; 6]>,
    /// Its IPv4 addresses.
    pub ipv4: Vec<InterfaceIpv4>,
    /// Its IPv6 addresses.
    pub ipv6: Vec<InterfaceIpv6>,
}

/// An IPv4 address of an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InterfaceIpv4 {
    /// The address (`IFA_LOCAL`).
    pub address: Ipv4Addr,
    /// The other end of a point-to-point link (`ip address add A peer B`), in whose network the prefix is; elsewhere
    /// the address itself (`IFA_ADDRESS`).
    pub peer: Ipv4Addr,
    /// Length of the network's prefix in bits, 0 to 32.
    pub prefix_len: u8,
    /// The network's directed broadcast address (RFC 922), where it has one: `IFA_BROADCAST`, or without that the
    /// network's last address, as the kernel has it; none in networks of two addresses or one (RFC 3021).
    pub broadcast: Option<Ipv4Addr>,
}

/// An IPv6 address of an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InterfaceIpv6 {
    /// The address.
    pub address: Ipv6Addr,
    /// As [`InterfaceIpv4::peer`].
    pub peer: Ipv6Addr,
    /// Length of the network's prefix in bits, 0 to 128.
    pub prefix_len: u8,
}

impl Interface {
    /// All interfaces of the calling thread's network namespace, by index.
    ///
    /// # Errors
    /// When the kernel's list cannot be read.
    pub fn all() -> Result<Vec<Interface>> {
        read_all().map_err(|error| Error::failed("listing the network interfaces").because(error))
    }

    /// The interface of this name.
    ///
    /// # Errors
    /// A usage error that lists the interfaces there are.
    pub fn named(name: &str) -> Result<Interface> {
        let mut all = Interface::all()?;
        match all.iter().position(|interface| interface.name == name) {
            Some(index) => Ok(all.swap_remove(index)),
            None => Err(Error::usage(format!("--interface {name}: no such interface; there are {}", names(&all)))),
        }
    }

    /// Administratively up (`IFF_UP`).
    pub fn is_up(&self) -> bool {
        self.flags.contains(InterfaceFlags::IFF_UP)
    }

    /// Up and with a link to something (`IFF_RUNNING`).
    pub fn is_running(&self) -> bool {
        self.flags.contains(InterfaceFlags::IFF_RUNNING)
    }

    /// The host's own loopback interface (`IFF_LOOPBACK`).
    pub fn is_loopback(&self) -> bool {
        self.flags.contains(InterfaceFlags::IFF_LOOPBACK)
    }

    /// Knows broadcast (`IFF_BROADCAST`): loopback, tunnels and point-to-point links do not.
    pub fn can_broadcast(&self) -> bool {
        self.flags.contains(InterfaceFlags::IFF_BROADCAST)
    }

    /// Knows multicast (`IFF_MULTICAST`).
    pub fn can_multicast(&self) -> bool {
        self.flags.contains(InterfaceFlags::IFF_MULTICAST)
    }

    /// Whether `address` is one of its own.
    pub fn has(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(address) => self.ipv4.iter().any(|own| own.address == address),
            IpAddr::V6(address) => self.ipv6.iter().any(|own| own.address == address),
        }
    }

    /// Refuses it as the way out of messages when it has no address of the family to send from: IPv4 would take that of
    /// another interface.
    ///
    /// # Errors
    /// Usage.
    pub fn check_source(&self, ipv6: bool) -> Result<()> {
        let (family, example) = if ipv6 { ("IPv6", "fd00::7/64") } else { ("IPv4", "192.168.1.7/24") };
        if if ipv6 { self.ipv6.is_empty() } else { self.ipv4.is_empty() } {
            let name = &self.name;
            return Err(Error::usage(format!("--interface {name}: it has no {family} address to send from"))
                .remedy(format!("Give it one, such as: sudo ip address add {example} dev {name}")));
        }
        Ok(())
    }

    /// Whether `address` lies in a network this interface is directly connected to.
    pub fn is_on_link(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(address) => self.ipv4.iter().any(|own| {
                let mask = u32::MAX.checked_shl(32 - u32::from(own.prefix_len)).unwrap_or(0);
                own.prefix_len > 0 && (address.to_bits() ^ own.peer.to_bits()) & mask == 0
            }),
            IpAddr::V6(address) => self.ipv6.iter().any(|own| {
                let mask = u128::MAX.checked_shl(128 - u32::from(own.prefix_len)).unwrap_or(0);
                own.prefix_len > 0 && (address.to_bits() ^ own.peer.to_bits()) & mask == 0
            }),
        }
    }
}

/// The names of some interfaces, for a message.
pub fn names<'a>(interfaces: impl IntoIterator<Item = &'a Interface>) -> String {
    let names: Vec<_> = interfaces.into_iter().map(|interface| interface.name.as_str()).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

/// The interface the IPv4 default route leads to (`/proc/thread-self/net/route`); `None` without such a route.
pub fn of_default_route() -> Option<String> {
    default_route(&std::fs::read_to_string("/proc/thread-self/net/route").ok()?)
}

/// The local address the route table would send from to reach `to`, by a socket that sends nothing.
///
/// # Errors
/// What `connect(2)` says: `NetworkUnreachable` without a route.
pub fn source_address(to: SocketAddr) -> io::Result<IpAddr> {
    let socket = Socket::new(Domain::for_address(to), Type::DGRAM, None)?;
    socket.set_broadcast(true)?;
    socket.connect(&to.into())?;
    let local = socket.local_addr()?.as_socket().ok_or(io::ErrorKind::AddrNotAvailable)?;
    Ok(local.ip())
}

/// As getifaddrs(3) reads it too; but that puts the own or the peer's address where there is no broadcast address.
fn read_all() -> Result<Vec<Interface>> {
    const RTM_GETADDR: u16 = 22;
    /// `struct ifaddrmsg` of all families and interfaces.
    const ADDRESSES: [u8; 8] = [0; 8];
    let mut netlink = Netlink::route()?;
    let links = netlink.dump_raw(RTM_GETLINK, &link_request(0, None))?;
    let mut interfaces: Vec<_> = links.iter().filter_map(|(_, link)| read_link(link)).collect();
    for (_, message) in netlink.dump_raw(RTM_GETADDR, &ADDRESSES)? {
        add_address(&mut interfaces, &message);
    }
    interfaces.sort_by_key(|interface| interface.index);
    Ok(interfaces)
}

/// Asks about one interface at a time, again and again, of the network namespace it was opened in.
pub struct Links {
    netlink: Netlink,
}

impl Links {
    /// In the calling thread's network namespace.
    ///
    /// # Errors
    /// When the kernel refuses the socket.
    pub fn open() -> Result<Links> {
        Ok(Links { netlink: Netlink::route()? })
    }

    /// The interface of this index, without its addresses; `None` when there is none.
    ///
    /// # Errors
    /// When the kernel does not tell.
    pub fn indexed(&mut self, index: u32) -> Result<Option<Interface>> {
        self.ask(&link_request(index, None))
    }

    /// The same of this name.
    ///
    /// # Errors
    /// As [`indexed`](Self::indexed).
    pub fn named(&mut self, name: &str) -> Result<Option<Interface>> {
        self.ask(&link_request(0, Some(name)))
    }

    fn ask(&mut self, request: &[u8]) -> Result<Option<Interface>> {
        match self.netlink.ask_raw(RTM_GETLINK, request)? {
            Ok(reply) => Ok(read_link(&reply)),
            // Neither index nor name.
            Err(failure) if matches!(failure.errno, Errno::ENODEV | Errno::EINVAL) => Ok(None),
            Err(failure) => Err(Error::failed("asking about an interface").because(failure.errno)),
        }
    }
}

const RTM_GETLINK: u16 = 18;
/// Length of `struct ifinfomsg`: family u8, padding, type u16, index i32, flags u32, change u32.
const LINK_HEADER: usize = 16;
const IFLA_ADDRESS: u16 = 1;
const IFLA_IFNAME: u16 = 3;
const IFLA_MTU: u16 = 4;
const IFLA_EXT_MASK: u16 = 29;

/// Asks for all links, or (where it is no dump) for the one of this index or else this name; without their counters.
fn link_request(index: u32, name: Option<&str>) -> Vec<u8> {
    const RTEXT_FILTER_SKIP_STATS: u32 = 8;
    let mut request = vec![0; LINK_HEADER];
    request[4..8].copy_from_slice(&index.to_ne_bytes());
    push_attribute(&mut request, IFLA_EXT_MASK, &RTEXT_FILTER_SKIP_STATS.to_ne_bytes());
    if let Some(name) = name {
        push_attribute(&mut request, IFLA_IFNAME, &[name.as_bytes(), b"\0"].concat());
    }
    request
}

/// The interface an RTM_NEWLINK message describes, with no addresses.
fn read_link(message: &[u8]) -> Option<Interface> {
    let (header, attributes) = message.split_at_checked(LINK_HEADER)?;
    let name = attribute(attributes, IFLA_IFNAME)?;
    let ethernet = u16::from_ne_bytes([header[2], header[3]]) == libc::ARPHRD_ETHER;
    Some(Interface {
        name: String::from_utf8_lossy(name).trim_end_matches('\0').to_owned(),
        index: u32::from_ne_bytes(header[4..8].try_into().ok()?),
        flags: InterfaceFlags::from_bits_retain(i32::from_ne_bytes(header[8..12].try_into().ok()?)),
        mtu: u32_attribute(attributes, IFLA_MTU)?,
        mac: attribute(attributes, IFLA_ADDRESS).filter(|_| ethernet).and_then(|mac| mac.try_into().ok()),
        ipv4: Vec::new(),
        ipv6: Vec::new(),
    })
}

/// Adds the address of an RTM_NEWADDR message to its interface: `struct ifaddrmsg` (family u8, prefix length u8, flags
/// u8, scope u8, index u32), attributes.
fn add_address(interfaces: &mut [Interface], message: &[u8]) {
    const IFA_ADDRESS: u16 = 1;
    const IFA_LOCAL: u16 = 2;
    const IFA_BROADCAST: u16 = 4;
    let Some((&[_family, prefix_len, _flags, _scope, index @ ..], attributes)) = message.split_first_chunk::<8>()
    else {
        return;
    };
    let index = u32::from_ne_bytes(index);
    let Some(interface) = interfaces.iter_mut().find(|interface| interface.index == index) else { return };
    let local = address_attribute(attributes, IFA_LOCAL);
    // IPv6 has the one only where there is a peer.
    let Some(peer) = address_attribute(attributes, IFA_ADDRESS).or(local) else { return };
    match (local.unwrap_or(peer), peer) {
        (IpAddr::V4(address), IpAddr::V4(peer)) => {
            let told = match address_attribute(attributes, IFA_BROADCAST) {
                Some(IpAddr::V4(told)) if !told.is_broadcast() => Some(told),
                _ => None,
            };
            let broadcast = told.or_else(|| last_of_network(peer, prefix_len)).filter(|_| interface.can_broadcast());
            interface.ipv4.push(InterfaceIpv4 { address, peer, prefix_len, broadcast });
        }
        (IpAddr::V6(address), IpAddr::V6(peer)) => interface.ipv6.push(InterfaceIpv6 { address, peer, prefix_len }),
        _ => {}
    }
}

/// The network's last address, where that is nobody's: not in networks of two addresses or one (RFC 3021).
fn last_of_network(address: Ipv4Addr, prefix_len: u8) -> Option<Ipv4Addr> {
    let hosts = u32::MAX >> prefix_len.min(31);
    (1..=30).contains(&prefix_len).then(|| Ipv4Addr::from_bits(address.to_bits() | hosts))
}

fn default_route(table: &str) -> Option<String> {
    let routes = table.lines().skip(1).filter_map(|line| {
        let fields: Vec<_> = line.split_ascii_whitespace().collect();
        let [interface, destination, _gateway, _flags, _references, _use, metric, mask, ..] = fields[..] else {
            return None;
        };
        (destination == "00000000" && mask == "00000000").then(|| (metric.parse().unwrap_or(u32::MAX), interface))
    });
    routes.min().map(|(_metric, interface)| interface.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_as_everywhere() {
        let lo = Interface::named("lo").unwrap();
        assert!(lo.is_loopback() && !lo.can_broadcast());
        assert!(lo.index > 0 && lo.mtu > 0);
        assert_eq!(lo.mac, None);
        assert_eq!(names(&[lo.clone(), lo]), "lo, lo");
    }

    #[test]
    fn one_link_at_a_time() {
        let mut links = Links::open().unwrap();
        let lo = Interface { ipv4: Vec::new(), ipv6: Vec::new(), ..Interface::named("lo").unwrap() };
        assert_eq!(links.named("lo").unwrap(), Some(lo.clone()));
        assert_eq!(links.indexed(lo.index).unwrap(), Some(lo));
        assert_eq!((links.named("nonesuch0").unwrap(), links.indexed(i32::MAX as u32).unwrap()), (None, None));
        assert_eq!(links.indexed(0).unwrap(), None);
    }

    #[test]
    fn unknown_names_list_the_known_ones() {
        for name in ["nonesuch0", "", "a-name-much-too-long-for-an-interface"] {
            let error = Interface::named(name).unwrap_err().to_string();
            assert!(error.contains("there are") && error.contains("lo"), "{error}");
        }
    }

    #[test]
    fn on_link_is_by_prefix() {
        let mut interface = Interface::named("lo").unwrap();
        let own = Ipv4Addr::new(192, 0, 2, 129);
        interface.ipv4 = vec![InterfaceIpv4 { address: own, peer: own, prefix_len: 25, broadcast: None }];
        let own6 = "2001:db8::1".parse().unwrap();
        interface.ipv6 = vec![InterfaceIpv6 { address: own6, peer: own6, prefix_len: 64 }];
        for (address, on_link) in [
            ("192.0.2.200", true),
            ("192.0.2.127", false),
            ("2001:db8::ffff", true),
            ("2001:db8:0:1::1", false),
            ("::1", false),
        ] {
            assert_eq!(interface.is_on_link(address.parse().unwrap()), on_link, "{address}");
        }
        interface.ipv4[0].prefix_len = 0;
        interface.ipv6[0].prefix_len = 128;
        assert!(!interface.is_on_link("192.0.2.129".parse().unwrap()), "a prefix of 0 says nothing");
        assert!(interface.is_on_link("2001:db8::1".parse().unwrap()));
        interface.ipv4[0] = InterfaceIpv4 { peer: Ipv4Addr::new(192, 0, 2, 7), prefix_len: 32, ..interface.ipv4[0] };
        assert!(interface.is_on_link("192.0.2.7".parse().unwrap()), "the other end");
        assert!(!interface.is_on_link("192.0.2.8".parse().unwrap()));
    }

    #[test]
    fn the_broadcast_address_is_told_or_the_networks_last() {
        let broadcast = |attributes: &[(u16, [u8; 4])], prefix_len, flags| {
            let mut message = [[libc::AF_INET as u8, prefix_len, 0, 0], 7u32.to_ne_bytes()].concat();
            attributes.iter().for_each(|(kind, value)| push_attribute(&mut message, *kind, value));
            let mut interfaces = [Interface { index: 7, flags, ..Interface::named("lo").unwrap() }];
            interfaces[0].ipv4.clear();
            add_address(&mut interfaces, &message);
            let [InterfaceIpv4 { broadcast, .. }] = interfaces[0].ipv4[..] else { panic!("{:?}", interfaces[0]) };
            broadcast.map(|address| address.octets())
        };
        const ADDRESS: u16 = 1;
        const LOCAL: u16 = 2;
        const BROADCAST: u16 = 4;
        let own = [(ADDRESS, [10, 9, 0, 1]), (LOCAL, [10, 9, 0, 1])];
        let link = InterfaceFlags::IFF_BROADCAST;
        for (prefix_len, expected) in [
            (1, Some([127, 255, 255, 255])),
            (24, Some([10, 9, 0, 255])),
            (30, Some([10, 9, 0, 3])),
            (0, None),
            (31, None),
            (32, None),
            (99, None),
        ] {
            assert_eq!(broadcast(&own, prefix_len, link), expected, "/{prefix_len}");
        }
        let told = |address| [&own[..], &[(BROADCAST, address)]].concat();
        assert_eq!(broadcast(&told([10, 9, 0, 127]), 24, link), Some([10, 9, 0, 127]));
        assert_eq!(broadcast(&told([10, 9, 0, 1]), 31, link), Some([10, 9, 0, 1]), "told is told");
        assert_eq!(broadcast(&told([255; 4]), 24, link), Some([10, 9, 0, 255]));
        assert_eq!(broadcast(&own, 24, InterfaceFlags::IFF_POINTOPOINT), None);
        let peer = [(ADDRESS, [10, 9, 1, 2]), (LOCAL, [10, 9, 0, 1])];
        assert_eq!(broadcast(&peer, 24, link), Some([10, 9, 1, 255]), "of the peer's network");
        assert_eq!(broadcast(&peer, 32, link), None);
    }

    #[test]
    fn messages_cut_short_are_passed_over() {
        assert_eq!(read_link(&[0; LINK_HEADER]), None);
        assert_eq!(read_link(&[0; LINK_HEADER - 1]), None);
        add_address(&mut [Interface::named("lo").unwrap()], &[libc::AF_INET as u8, 8, 0]);
    }

    #[test]
    fn default_route_of_least_metric() {
        let header = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n";
        assert_eq!(default_route(header), None);
        let table = format!(
            "{header}wlan0\t00000000\t0101A8C0\t0003\t0\t0\t600\t00000000\t0\t0\t0\n\
             eth0\t00000000\t0100000A\t0003\t0\t0\t100\t00000000\t0\t0\t0\n\
             eth1\t0000000A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"
        );
        assert_eq!(default_route(&table).as_deref(), Some("eth0"));
    }
}
