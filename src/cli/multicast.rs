//! `netlab multicast --group … send|recv`.

use std::net::IpAddr;
use std::process::ExitCode;

use super::address::{WrittenAddress, interface_index, one_family};
use super::traffic::{Direction, RECEIVING, SENDING, TrafficArgs};
use super::{recv, send};
use crate::delivery::{InletSpec, Listen, OutletSpec, Target};
use crate::error::{Error, Result};
use crate::units::Mode;

/// Arguments of `netlab multicast`.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  netlab multicast --group 239.1.1.1 recv
  netlab multicast --group 239.1.1.1 send --count 1000
  netlab multicast --group 239.1.1.1,239.1.1.2 -i eth0 send --rate 10k -d 5s
  netlab multicast --group ff02::4:7%eth0 recv     IPv6, this link only
  netlab multicast --group 232.1.1.1 --source 192.168.1.7 recv
                                                   this sender only (RFC 4607)

Sending at a high rate is cheaper with a route to all groups: ip route add
224.0.0.0/4 dev eth0. Without one, or when this host is a member of the group,
Linux looks the route up anew for each datagram.")]
pub(crate) struct Args {
    /// Groups, parted by commas: 239.1.1.1, ff02::4:7%eth0
    #[arg(short, long, required = true, value_name = "GROUP", value_delimiter = ',')]
    group: Vec<WrittenAddress>,
    /// Hops a message may travel, 0 (this host) to 255; 1 stays on the link [default: 1]
    #[arg(long, value_name = "N", allow_negative_numbers = true, help_heading = SENDING)]
    ttl: Option<u8>,
    /// Do not deliver to members on this very host
    #[arg(long, help_heading = SENDING)]
    no_loop: bool,
    /// Receive from this sender only (source-specific multicast) [default: from any]
    #[arg(long, value_name = "ADDR", help_heading = RECEIVING)]
    source: Option<WrittenAddress>,
    #[command(flatten)]
    traffic: TrafficArgs,
}

/// Sends or receives, and gives the exit code.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    args.traffic
        .check(&[("--ttl", args.ttl.is_some()), ("--no-loop", args.no_loop)], &[("--source", args.source.is_some())])?;
    match args.traffic.direction {
        Direction::Send => send::run(Mode::Multicast, &args.outlet()?, &args.traffic),
        Direction::Recv => recv::run(Mode::Multicast, &args.inlet()?, &args.traffic),
    }
}

impl Args {
    fn outlet(&self) -> Result<OutletSpec> {
        let (groups, interface) = self.groups()?;
        let (port, ttl) = (self.traffic.port(), self.ttl.unwrap_or(1));
        let target = Target::Multicast { groups, port, ttl, loop_back: !self.no_loop };
        Ok(OutletSpec { target, interface, dscp: self.traffic.dscp })
    }

    fn inlet(&self) -> Result<InletSpec> {
        let (groups, interface) = self.groups()?;
        let source = self.source.as_ref().map(|source| source_of(source, groups[0])).transpose()?;
        Ok(InletSpec { listen: Listen::Multicast { groups, source, port: self.traffic.port() }, interface })
    }

    /// The groups, and the one interface that `--interface` and the groups' `%ZONE` agree on.
    fn groups(&self) -> Result<(Vec<IpAddr>, Option<String>)> {
        one_family("--group", &self.group)?;
        let mut interface = self.traffic.interface.clone();
        let mut groups = Vec::with_capacity(self.group.len());
        for group in &self.group {
            let ip = group.ip;
            let wrong = |what: &str| Err(Error::usage(format!("--group {ip} {what}")));
            if !ip.is_multicast() {
                return wrong("is not a multicast group; groups are 224.0.0.0 to 239.255.255.255, and ff00::/8");
            }
            if group.port.is_some() {
                return wrong("takes no port here; --port gives it for all groups");
            }
            if groups.contains(&ip) {
                return wrong("is given twice");
            }
            if let Some(zone) = &group.zone {
                interface_index("--group", zone)?;
                match &interface {
                    Some(other) if other != zone => {
                        return wrong(&format!("is meant on {zone}, but {other} was asked for too; one is possible"));
                    }
                    _ => interface = Some(zone.clone()),
                }
            }
            groups.push(ip);
        }
        Ok((groups, interface))
    }
}

fn source_of(source: &WrittenAddress, group: IpAddr) -> Result<IpAddr> {
    let ip = source.ip;
    let wrong = |what: &str| Err(Error::usage(format!("--source {ip} {what}")));
    if source.port.is_some() || source.zone.is_some() {
        return wrong("is an address alone, with no port and no interface");
    }
    if ip.is_multicast() || ip.is_unspecified() || ip == IpAddr::from([255, 255, 255, 255]) {
        return wrong("is not one host's address; give the address the sender sends from");
    }
    if ip.is_ipv4() != group.is_ipv4() {
        return wrong(&format!("and --group {group} are of different address families"));
    }
    Ok(ip)
}
