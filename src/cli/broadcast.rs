//! `netlab broadcast … send|recv`, over UDP or as raw Ethernet frames.

use std::net::IpAddr;
use std::process::ExitCode;

use super::address::WrittenAddress;
use super::traffic::{Direction, Given, SENDING, TrafficArgs};
use super::{recv, send};
use crate::delivery::{BroadcastAddress, InletSpec, Listen, OutletSpec, Target};
use crate::error::{Error, Result};
use crate::units::Mode;

/// Arguments of `netlab broadcast`.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  netlab broadcast recv
  netlab broadcast --interface eth0 send           255.255.255.255, for 60 s
  netlab broadcast --to directed send -i eth0      the subnet's own address
  sudo netlab broadcast --raw -i eth0 recv         EtherType 0x88B5, no IP
  sudo netlab broadcast --raw -i eth0 send --count 100

255.255.255.255 is Linux's slow path: each host that gets one looks its route up
and makes one. The directed address of a subnet is cached.")]
pub(crate) struct Args {
    /// Broadcast address: limited (255.255.255.255), directed (the interface's own), or one as it is [default: limited]
    #[arg(long, value_name = "limited|directed|ADDR", value_parser = parse_broadcast, help_heading = SENDING)]
    to: Option<BroadcastAddress>,
    /// Ethernet frames to ff:ff:ff:ff:ff:ff with EtherType 0x88B5 in place of UDP; needs CAP_NET_RAW (sudo)
    #[arg(long)]
    raw: bool,
    #[command(flatten)]
    traffic: TrafficArgs,
}

/// Sends or receives, and gives the exit code.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    args.traffic.check(&[("--to", args.to.is_some())], &[])?;
    args.check_raw()?;
    let mode = if args.raw { Mode::RawBroadcast } else { Mode::Broadcast };
    match args.traffic.direction {
        Direction::Send => send::run(mode, &args.outlet(), &args.traffic),
        Direction::Recv => recv::run(mode, &args.inlet(), &args.traffic),
    }
}

impl Args {
    /// Without IP and UDP there is nothing for their flags to say.
    fn check_raw(&self) -> Result<()> {
        let of_udp: [Given; 3] = [
            ("--to", self.to.is_some()),
            ("--port", self.traffic.port.is_some()),
            ("--dscp", self.traffic.dscp.is_some()),
        ];
        match of_udp.iter().find(|flag| self.raw && flag.1) {
            Some((flag, _)) => Err(Error::usage(format!("{flag} is of IP and UDP, and --raw frames have neither"))),
            None => Ok(()),
        }
    }

    fn outlet(&self) -> OutletSpec {
        let target = if self.raw {
            Target::RawBroadcast
        } else {
            Target::Broadcast { to: self.to.unwrap_or(BroadcastAddress::Limited), port: self.traffic.port() }
        };
        OutletSpec { target, interface: self.traffic.interface.clone(), dscp: self.traffic.dscp }
    }

    fn inlet(&self) -> InletSpec {
        let listen = if self.raw { Listen::RawBroadcast } else { Listen::Broadcast { port: self.traffic.port() } };
        InletSpec { listen, interface: self.traffic.interface.clone() }
    }
}

fn parse_broadcast(text: &str) -> std::result::Result<BroadcastAddress, String> {
    match text {
        "limited" => return Ok(BroadcastAddress::Limited),
        "directed" => return Ok(BroadcastAddress::Directed),
        _ => {}
    }
    let form = "write limited, directed, or an IPv4 broadcast address such as 192.168.1.255";
    match text.parse::<WrittenAddress>() {
        Err(_) => Err(format!("'{text}' is not a broadcast address; {form}")),
        Ok(address) if address.port.is_some() => Err(format!("'{text}': the port is given by --port")),
        Ok(address) => match address.ip {
            IpAddr::V6(_) => Err("IPv6 has no broadcast; write netlab multicast --group ff02::1%eth0 send".to_owned()),
            IpAddr::V4(ip) if ip.is_broadcast() => Ok(BroadcastAddress::Limited),
            IpAddr::V4(ip) if ip.is_multicast() => Err(format!("{ip} is a group; use netlab multicast --group {ip}")),
            IpAddr::V4(ip) => Ok(BroadcastAddress::Address(ip)),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broadcast_addresses() {
        assert_eq!(parse_broadcast("limited"), Ok(BroadcastAddress::Limited));
        assert_eq!(parse_broadcast("255.255.255.255"), Ok(BroadcastAddress::Limited));
        assert_eq!(parse_broadcast("directed"), Ok(BroadcastAddress::Directed));
        assert_eq!(parse_broadcast("10.77.255.255"), Ok(BroadcastAddress::Address([10, 77, 255, 255].into())));
        assert!(parse_broadcast("ff02::1").unwrap_err().contains("IPv6 has no broadcast"));
        assert!(parse_broadcast("239.1.1.1").unwrap_err().contains("is a group"));
        assert!(parse_broadcast("10.77.255.255:9").unwrap_err().contains("--port"));
        assert!(parse_broadcast("everyone").unwrap_err().contains("limited, directed"));
    }
}
