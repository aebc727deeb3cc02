//! `netlab router`: a multicast router's program, or a plain querier's, or that of a router at a distance, in the namespace
//! it is started in. The router of `netlab lan shell --lans` runs it.

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;

use crate::router::{Delay, DelayPlan, Forwarder, ForwarderPlan, QuerierPlan};
use crate::units::parse_duration;
use crate::wire::igmp::Version;

/// Forward multicast between interfaces, or ask on one of them who wants which groups; or forward unicast over a distance
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The interfaces; with one alone nothing is forwarded
    #[arg(long, value_delimiter = ',', required = true, value_name = "NAME,…")]
    interface: Vec<String>,
    /// Time between two general queries [default: a day]
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    query_interval: Option<Duration>,
    /// The longest a host may take to answer one, 100ms or more [default: 100ms]
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    max_response: Option<Duration>,
    /// Time between the two questions after a leave, 100ms or more [default: 100ms]
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    last_member_interval: Option<Duration>,
    /// The version of its queries, 2 or 3
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u8).range(2..=3))]
    igmp: u8,
    /// Instead, forward IPv4 unicast between the interfaces, each packet after this time, to hosts whose Ethernet addresses
    /// are pinned; the kernel's own forwarding has to be off
    #[arg(long, value_name = "TIME", value_parser = parse_duration,
        conflicts_with_all = ["query_interval", "max_response", "last_member_interval"])]
    distance: Option<Duration>,
}

impl Args {
    fn plan(&self) -> ForwarderPlan {
        let quiet = QuerierPlan::quiet();
        ForwarderPlan {
            interfaces: self.interface.clone(),
            querier: QuerierPlan {
                version: if self.igmp == 2 { Version::V2 } else { Version::V3 },
                query_interval: self.query_interval.unwrap_or(quiet.query_interval),
                max_response: self.max_response.unwrap_or(quiet.max_response),
                last_member_interval: self.last_member_interval.unwrap_or(quiet.last_member_interval),
            },
        }
    }
}

/// Runs until it is killed; a line on standard output tells when it has begun.
///
/// # Errors
/// As [`Forwarder::start`] or [`Delay::start`], and when it fails later.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let names = args.interface.join(", ");
    if let Some(distance) = args.distance {
        let delay = Delay::start(&DelayPlan { interfaces: args.interface.clone(), distance })?;
        say(&format!("forwarding unicast between {names}, after {distance:?}"))?;
        delay.wait()?;
        return Ok(ExitCode::SUCCESS);
    }
    let forwarder = Forwarder::start(&args.plan())?;
    let what = if args.interface.len() > 1 { "forwarding multicast between" } else { "asking for members on" };
    say(&format!("{what} {names}"))?;
    forwarder.wait()?;
    Ok(ExitCode::SUCCESS)
}

fn say(line: &str) -> anyhow::Result<()> {
    writeln!(io::stdout(), "{line}").context("writing to standard output")
}
