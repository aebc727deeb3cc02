//! How addresses are written on the command line: `10.0.0.7`, `10.0.0.7:4747`, `[::1]:4747`, `fe80::1%eth0`.

use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::str::FromStr;

use nix::net::if_::{if_indextoname, if_nameindex, if_nametoindex};

use crate::error::{Error, Result};

/// An address as written: perhaps with a port, perhaps (IPv6) with the interface it is meant on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WrittenAddress {
    /// The address; an IPv4 address mapped into IPv6 is the IPv4 address.
    pub ip: IpAddr,
    /// After the colon.
    pub port: Option<u16>,
    /// After the percent sign (RFC 4007 section 11): an interface, by its name even where its number was written.
    pub zone: Option<String>,
}

impl FromStr for WrittenAddress {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let wrong = || {
            format!(
                "'{text}' is not an address (names are not looked up); \
                 write one such as 192.168.1.7, 192.168.1.7:4747, ::1, [::1]:4747 or fe80::1%eth0"
            )
        };
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (host, after) = rest.split_once(']').ok_or_else(wrong)?;
                match after {
                    "" => (host, None),
                    _ => (host, Some(after.strip_prefix(':').ok_or_else(wrong)?)),
                }
            }
            // One colon parts host and port; more of them are an IPv6 address.
            None => match text.split_once(':') {
                Some((host, port)) if !port.contains(':') => (host, Some(port)),
                _ => (text, None),
            },
        };
        let (host, zone) = match host.split_once('%') {
            Some((_, "")) => return Err(wrong()),
            Some((host, zone)) => (host, Some(zone_name(zone))),
            None => (host, None),
        };
        let ip = match host {
            "localhost" => IpAddr::from([127, 0, 0, 1]),
            _ => host.parse::<IpAddr>().map_err(|_| wrong())?.to_canonical(),
        };
        if zone.is_some() && ip.is_ipv4() {
            return Err(format!("'{text}': only an IPv6 address takes %INTERFACE; use --interface"));
        }
        let port = match port.map(str::parse::<u16>) {
            None => None,
            Some(Ok(port)) if port > 0 => Some(port),
            Some(_) => return Err(format!("'{text}': a port is a number from 1 to 65535")),
        };
        Ok(WrittenAddress { ip, port, zone })
    }
}

impl WrittenAddress {
    /// The socket address, with `port` where none was written and `interface` as the zone where none was.
    ///
    /// # Errors
    /// Usage, naming `flag`: an unknown interface, or a link-local IPv6 address without one.
    pub(crate) fn to_socket(&self, flag: &str, port: u16, interface: Option<&str>) -> Result<SocketAddr> {
        let port = self.port.unwrap_or(port);
        let IpAddr::V6(ip) = self.ip else { return Ok((self.ip, port).into()) };
        let zone = self.zone.as_deref().or(interface.filter(|_| ip.is_unicast_link_local()));
        let scope = match zone {
            Some(zone) => interface_index(flag, zone)?,
            None if ip.is_unicast_link_local() => {
                return Err(Error::usage(format!(
                    "{flag} {ip}: a link-local address needs the interface it is meant on, such as {ip}%{}",
                    interface_names().first().map_or("eth0", String::as_str)
                )));
            }
            None => 0,
        };
        Ok(SocketAddrV6::new(ip, port, 0, scope).into())
    }
}

/// The name of the interface that a zone means: its number (RFC 4007 section 11.2), as addresses are printed with, or
/// its name. What is neither stays as it is.
pub(crate) fn zone_name(zone: &str) -> String {
    let of_number = || if_indextoname(zone.parse().ok()?).ok()?.into_string().ok();
    let is_name = if_nametoindex(zone).is_ok();
    // nix has an empty name for a number that no interface has.
    of_number().filter(|name| !is_name && !name.is_empty()).unwrap_or_else(|| zone.to_owned())
}

/// The index of an interface of this network namespace.
///
/// # Errors
/// Usage, naming `flag` and the interfaces there are.
pub(crate) fn interface_index(flag: &str, name: &str) -> Result<u32> {
    if_nametoindex(name).map_err(|_| {
        Error::usage(format!("{flag}: there is no interface '{name}' here; there are {}", interface_names().join(", ")))
    })
}

/// The names of the interfaces of this network namespace, loopback last.
pub(crate) fn interface_names() -> Vec<String> {
    let Ok(interfaces) = if_nameindex() else { return Vec::new() };
    let mut names: Vec<_> = interfaces.iter().map(|one| one.name().to_string_lossy().into_owned()).collect();
    names.sort_by_key(|name| name == "lo");
    names
}

/// Refuses a list that mixes IPv4 and IPv6.
///
/// # Errors
/// Usage, naming `flag` and one address of each family.
pub(crate) fn one_family(flag: &str, addresses: &[WrittenAddress]) -> Result<()> {
    let Some(first) = addresses.first() else { return Ok(()) };
    match addresses.iter().find(|other| other.ip.is_ipv4() != first.ip.is_ipv4()) {
        None => Ok(()),
        Some(other) => Err(Error::usage(format!(
            "{flag}: {} and {} are of different address families; send to each family on its own",
            first.ip, other.ip
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_as_people_write_them() {
        let written = |text: &str| {
            let address: WrittenAddress = text.parse().unwrap();
            (address.ip.to_string(), address.port, address.zone)
        };
        let zone = || Some("eth0".to_owned());
        assert_eq!(written("10.0.0.7"), ("10.0.0.7".into(), None, None));
        assert_eq!(written("10.0.0.7:9"), ("10.0.0.7".into(), Some(9), None));
        assert_eq!(written("localhost:9"), ("127.0.0.1".into(), Some(9), None));
        assert_eq!(written("::1"), ("::1".into(), None, None));
        assert_eq!(written("[::1]"), ("::1".into(), None, None));
        assert_eq!(written("[::1]:4747"), ("::1".into(), Some(4747), None));
        assert_eq!(written("fe80::1%eth0"), ("fe80::1".into(), None, zone()));
        assert_eq!(written("[fe80::1%eth0]:9"), ("fe80::1".into(), Some(9), zone()));
        assert_eq!(written("::ffff:8.8.8.8"), ("8.8.8.8".into(), None, None));
    }

    #[test]
    fn what_is_no_address_is_refused() {
        let bad = ["", "example.org", "10.0.0", "10.0.0.256", "10.0.0.7:", "10.0.0.7:0", "10.0.0.7:70000"];
        let bad6 = ["[::1", "[::1]4747", "[::1]:x", "::g", "fe80::1%", "10.0.0.7%eth0", "[10.0.0.7%eth0]:1"];
        for text in bad.into_iter().chain(bad6) {
            assert!(text.parse::<WrittenAddress>().is_err(), "{text:?} was taken for an address");
        }
    }

    #[test]
    fn a_link_local_address_takes_its_zone_or_the_interface() {
        let address = |text: &str| text.parse::<WrittenAddress>().unwrap();
        let lo = if_nametoindex("lo").unwrap();
        let scope = |socket: SocketAddr| match socket {
            SocketAddr::V6(v6) => v6.scope_id(),
            SocketAddr::V4(_) => panic!("{socket} is IPv4"),
        };
        assert_eq!(scope(address("fe80::1%lo").to_socket("--to", 1, None).unwrap()), lo);
        assert_eq!(scope(address("fe80::1").to_socket("--to", 1, Some("lo")).unwrap()), lo);
        assert_eq!(address(&format!("[fe80::1%{lo}]:9")), address("[fe80::1%lo]:9"), "as it is printed");
        assert!(address("fe80::1").to_socket("--to", 1, None).unwrap_err().to_string().contains("fe80::1%"));
        let unknown = address("fe80::1%nope0").to_socket("--to", 1, None).unwrap_err().to_string();
        assert!(unknown.contains("'nope0'") && unknown.contains("lo"), "{unknown}");
        for unknown in ["0", "4294967295", "4294967296", "-1"] {
            let error = address(&format!("fe80::1%{unknown}")).to_socket("--to", 1, None).unwrap_err().to_string();
            assert!(error.contains(&format!("'{unknown}'")), "{error}");
        }
    }

    #[test]
    fn families_are_not_mixed() {
        let list = |text: &str| text.split(',').map(|one| one.parse().unwrap()).collect::<Vec<WrittenAddress>>();
        assert!(one_family("--to", &list("10.0.0.1,10.0.0.2")).is_ok());
        assert!(one_family("--to", &list("::1,::2")).is_ok());
        assert!(
            one_family("--to", &list("10.0.0.1,::1")).unwrap_err().to_string().starts_with("--to: 10.0.0.1 and ::1")
        );
    }
}
