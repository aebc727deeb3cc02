//! What the kernel says about the network interfaces of the calling thread's network namespace.

use std::io;
use std::mem;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsRawFd;

use nix::ifaddrs::getifaddrs;
use nix::net::if_::InterfaceFlags;
use nix::sys::socket::SockaddrStorage;
use socket2::{Domain, Socket, Type};

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
    /// The address.
    pub address: Ipv4Addr,
    /// Length of the network's prefix in bits, 0 to 32.
    pub prefix_len: u8,
    /// The network's directed broadcast address (RFC 922), where it has one.
    pub broadcast: Option<Ipv4Addr>,
}

/// An IPv6 address of an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InterfaceIpv6 {
    /// The address.
    pub address: Ipv6Addr,
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

    /// Whether `address` lies in a network this interface is directly connected to.
    pub fn is_on_link(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(address) => self.ipv4.iter().any(|own| {
                let mask = u32::MAX.checked_shl(32 - u32::from(own.prefix_len)).unwrap_or(0);
                own.prefix_len > 0 && (address.to_bits() ^ own.address.to_bits()) & mask == 0
            }),
            IpAddr::V6(address) => self.ipv6.iter().any(|own| {
                let mask = u128::MAX.checked_shl(128 - u32::from(own.prefix_len)).unwrap_or(0);
                own.prefix_len > 0 && (address.to_bits() ^ own.address.to_bits()) & mask == 0
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

fn read_all() -> io::Result<Vec<Interface>> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, None)?;
    let mut interfaces: Vec<Interface> = Vec::new();
    let entries: Vec<_> = getifaddrs()?.collect();
    // Each interface has one link-level entry; those of its addresses follow all of these.
    for entry in &entries {
        let Some(link) = entry.address.as_ref().and_then(SockaddrStorage::as_link_addr) else { continue };
        let mtu = match mtu(&socket, &entry.interface_name) {
            // Gone since it was listed.
            Err(error) if error.raw_os_error() == Some(libc::ENODEV) => continue,
            result => result?,
        };
        interfaces.push(Interface {
            name: entry.interface_name.clone(),
            index: link.ifindex() as u32,
            flags: entry.flags,
            mtu,
            mac: link.addr().filter(|_| link.hatype() == libc::ARPHRD_ETHER && link.halen() == 6),
            ipv4: Vec::new(),
            ipv6: Vec::new(),
        });
    }
    for entry in &entries {
        // An address may carry a label such as eth0:1.
        let name = entry.interface_name.split(':').next().unwrap_or_default();
        let Some(interface) = interfaces.iter_mut().find(|interface| interface.name == name) else { continue };
        let Some(address) = &entry.address else { continue };
        if let Some(address) = address.as_sockaddr_in() {
            let mask = entry.netmask.as_ref().and_then(|mask| mask.as_sockaddr_in().map(|mask| mask.ip()));
            let broadcast = entry.broadcast.as_ref().and_then(|to| to.as_sockaddr_in().map(|to| to.ip()));
            interface.ipv4.push(InterfaceIpv4 {
                address: address.ip(),
                prefix_len: mask.map_or(32, |mask| mask.to_bits().count_ones() as u8),
                broadcast: broadcast.filter(|_| entry.flags.contains(InterfaceFlags::IFF_BROADCAST)),
            });
        } else if let Some(address) = address.as_sockaddr_in6() {
            let mask = entry.netmask.as_ref().and_then(|mask| mask.as_sockaddr_in6().map(|mask| mask.ip()));
            interface.ipv6.push(InterfaceIpv6 {
                address: address.ip(),
                prefix_len: mask.map_or(128, |mask| mask.to_bits().count_ones() as u8),
            });
        }
    }
    interfaces.sort_by_key(|interface| interface.index);
    Ok(interfaces)
}

/// `SIOCGIFMTU`.
fn mtu(socket: &Socket, name: &str) -> io::Result<u32> {
    // SAFETY: a structure of integers, characters and unions of such, for which all zeros are valid.
    let mut request: libc::ifreq = unsafe { mem::zeroed() };
    if name.len() >= request.ifr_name.len() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = from as libc::c_char;
    }
    // SAFETY: the request is a whole `ifreq` with a name that ends in a zero, and lives through the call.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCGIFMTU, &mut request) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: SIOCGIFMTU fills this member.
    Ok(unsafe { request.ifr_ifru.ifru_mtu } as u32)
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
    fn unknown_names_list_the_known_ones() {
        for name in ["nonesuch0", "", "a-name-much-too-long-for-an-interface"] {
            let error = Interface::named(name).unwrap_err().to_string();
            assert!(error.contains("there are") && error.contains("lo"), "{error}");
        }
    }

    #[test]
    fn on_link_is_by_prefix() {
        let mut interface = Interface::named("lo").unwrap();
        interface.ipv4 =
            vec![InterfaceIpv4 { address: Ipv4Addr::new(192, 0, 2, 129), prefix_len: 25, broadcast: None }];
        interface.ipv6 = vec![InterfaceIpv6 { address: "2001:db8::1".parse().unwrap(), prefix_len: 64 }];
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
