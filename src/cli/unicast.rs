//! `netlab unicast … send|recv`.

use std::process::ExitCode;

use super::address::{WrittenAddress, one_family};
use super::traffic::{Direction, SENDING, TrafficArgs};
use super::{recv, send};
use crate::delivery::{InletSpec, Listen, OutletSpec, Target};
use crate::error::{Error, Result};
use crate::units::Mode;

/// Arguments of `netlab unicast`.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  netlab unicast recv                              port 4747, IPv4 and IPv6
  netlab unicast --to 192.168.1.7 send             1,000 messages/s for 60 s
  netlab unicast --to 10.0.0.2,10.0.0.3 send --count 100    two copies of each
  netlab unicast --to '[fe80::1%eth0]:5000' send --rate 10k --duration 5s
  netlab unicast --to 127.0.0.1 send --message hello        `nc -ul 4747` shows it")]
pub(crate) struct Args {
    // Not as a doc comment: rustdoc takes the brackets for a link.
    #[arg(
        long,
        value_name = "ADDR[:PORT]",
        value_delimiter = ',',
        help_heading = SENDING,
        help = "Receivers, parted by commas; a copy for each: 192.168.1.7, 192.168.1.7:5000, [::1]:4747, fe80::1%eth0"
    )]
    to: Vec<WrittenAddress>,
    #[command(flatten)]
    traffic: TrafficArgs,
}

/// Sends or receives, and gives the exit code.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    args.traffic.check(&[("--to", !args.to.is_empty())], &[])?;
    match args.traffic.direction {
        Direction::Send => send::run(Mode::Unicast, &args.outlet()?, &args.traffic),
        Direction::Recv => recv::run(Mode::Unicast, &args.inlet(), &args.traffic),
    }
}

impl Args {
    fn outlet(&self) -> Result<OutletSpec> {
        if self.to.is_empty() {
            return Err(Error::usage("send needs a receiver: --to ADDR, such as --to 192.168.1.7"));
        }
        one_family("--to", &self.to)?;
        for address in &self.to {
            refuse_what_is_not_one_host(address)?;
        }
        let interface = self.traffic.interface.as_deref();
        let to =
            self.to.iter().map(|one| one.to_socket("--to", self.traffic.port(), interface)).collect::<Result<_>>()?;
        Ok(OutletSpec {
            target: Target::Unicast { to },
            interface: self.traffic.interface.clone(),
            dscp: self.traffic.dscp,
        })
    }

    fn inlet(&self) -> InletSpec {
        InletSpec {
            listen: Listen::Unicast { address: None, port: self.traffic.port() },
            interface: self.traffic.interface.clone(),
        }
    }
}

fn refuse_what_is_not_one_host(address: &WrittenAddress) -> Result<()> {
    let ip = address.ip;
    let reason = match ip {
        _ if ip.is_multicast() => format!("is a group; write netlab multicast --group {ip} send"),
        _ if ip.is_unspecified() => "is no host's address; 127.0.0.1 or ::1 is this machine".to_owned(),
        std::net::IpAddr::V4(v4) if v4.is_broadcast() => "is all hosts; write netlab broadcast send".to_owned(),
        _ => return Ok(()),
    };
    Err(Error::usage(format!("--to {ip} {reason}")))
}
