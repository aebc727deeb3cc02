//! `netlab measure`: flags to plan.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::builder::{PossibleValuesParser, TypedValueParser};

use super::running::{Detail, Order, carry_out, random_seed};
use super::spelled;
use crate::error::Error;
use crate::lan::{Nic, SwitchKind};
use crate::run::design::{USUAL_TRIALS, usual_receivers};
use crate::run::{Attribution, BroadcastAddress, Case, Design};
use crate::units::{Bytes, Mode, Rate, parse_duration};

/// Measure who pays for each mode of delivery, on a virtual LAN
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Modes to compare
    #[arg(
        long,
        value_delimiter = ',',
        value_name = "MODE,…",
        default_value = "unicast,broadcast,raw-broadcast,multicast"
    )]
    modes: Vec<Mode>,
    /// Hosts on the LAN: the sender, the receivers and the bystanders
    #[arg(long, value_name = "N", default_value_t = 21)]
    hosts: usize,
    /// How many hosts want the messages; several numbers make several tables [default: 4,16 as far as there are hosts]
    #[arg(long, value_delimiter = ',', value_name = "K,…")]
    receivers: Vec<usize>,
    /// The switch: snooping keeps multicast to the members, flooding does not, a hub sends every frame everywhere
    #[arg(long, value_name = "KIND", default_value = "snooping", value_parser = spelled::<SwitchKind, _>(SwitchKind::ALL.map(SwitchKind::as_str)))]
    switch: SwitchKind,
    /// The hosts' network cards: promiscuous lets every frame through to the kernel, filter drops what is for
    /// another MAC, or for a group the host has not joined
    #[arg(long, value_name = "KIND", default_value = "promiscuous", value_parser = spelled::<Nic, _>(Nic::ALL.map(Nic::as_str)))]
    nic: Nic,
    /// Where broadcast goes: limited is 255.255.255.255, directed the subnet's own address, which costs Linux hosts less
    #[arg(
        long,
        value_delimiter = ',',
        value_name = "limited|directed",
        default_value = "limited",
        value_parser = broadcast_address()
    )]
    broadcast_address: Vec<BroadcastAddress>,
    /// Messages a second: 500, 10k, max
    #[arg(long, value_name = "RATE", default_value = "2000")]
    rate: Rate,
    /// Messages that leave at each wake-up of the sender; --rate then counts the wake-ups. Several numbers make several
    /// tables, and tell the price of a frame from that of waking
    #[arg(long, value_delimiter = ',', value_name = "N,…", default_value = "1")]
    burst: Vec<u32>,
    /// Size of a message in bytes of UDP payload, 32 or more: 64, 1400, 8k
    #[arg(long, value_name = "BYTES", default_value = "64")]
    size: Bytes,
    /// How long each trial sends: 500ms, 5s, 2m
    #[arg(long, value_name = "TIME", default_value = "400ms", value_parser = parse_duration)]
    duration: Duration,
    /// How often each condition is repeated
    #[arg(long, value_name = "N", default_value_t = USUAL_TRIALS)]
    trials: u32,
    /// Orders the trials; the same seed gives the same order [default: random]
    #[arg(long, value_name = "SEED")]
    seed: Option<u64>,
    /// Who does the receive work of the virtual links: threads, so that each host's CPU time can be told, or plain: whoever is
    /// on the CPU; both can be compared
    #[arg(long, value_delimiter = ',', value_name = "threads|plain", default_value = "threads", value_parser = spelled::<Attribution, _>(Attribution::ALL.map(Attribution::as_str)))]
    attribution: Vec<Attribution>,
    /// IPv6 instead of IPv4; leaves broadcast out, since IPv6 has none
    #[arg(long)]
    ipv6: bool,
    /// Folder for the results; must not hold another run [default: a new one under results/]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Print one JSON object a line: one for each condition, the summary last
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  netlab measure                                       the main comparison, under 90 seconds
  netlab measure --switch flooding                     multicast on a switch that does not know who wants it
  netlab measure --hosts 41 --receivers 1,2,4,8,16,32  how the cost grows with the receivers
  netlab measure --hosts 8 --rate 500 --burst 1,4,16   a frame's price, apart from that of waking for it
  netlab measure --hosts 201 --receivers 150 --rate 500 --modes broadcast,multicast";

/// Reads one of the two that a virtual LAN has.
fn broadcast_address() -> impl TypedValueParser<Value = BroadcastAddress> {
    PossibleValuesParser::new(["limited", "directed"]).map(|text| match text.as_str() {
        "directed" => BroadcastAddress::Directed,
        _ => BroadcastAddress::Limited,
    })
}

impl Args {
    fn design(&self) -> Design {
        let receivers = if self.receivers.is_empty() { usual_receivers(self.hosts) } else { self.receivers.clone() };
        let case = Case {
            modes: self.modes.clone(),
            hosts: vec![self.hosts],
            receivers,
            switch: vec![self.switch],
            nic: vec![self.nic],
            rate: vec![self.rate],
            size: vec![self.size.0],
            duration: self.duration,
            burst: self.burst.clone(),
            attribution: self.attribution.clone(),
            broadcast_address: self.broadcast_address.clone(),
            ipv6: self.ipv6,
            ..Case::default()
        };
        let seed = self.seed.unwrap_or_else(random_seed);
        Design { cases: vec![case], trials: self.trials, seed, try_rates: Vec::new() }
    }
}

/// Runs it.
///
/// # Errors
/// Wrong usage, a machine that does not permit the LAN, a failure while running, an interruption.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let design = args.design();
    let plan = design.plan().map_err(|refused| Error::usage(format!("--{refused}")))?;
    let leaves_out_broadcast = design.leaves_out_broadcast();
    let run = carry_out(Order { plan, leaves_out_broadcast, out: args.out.as_deref(), lab: None })?;
    let shown = if args.json { run.print_json(&[]) } else { run.print(Detail::All).and_then(|()| run.print_bursts()) };
    shown.context("writing to standard output")?;
    run.conclude()?;
    run.shortfall().map_or(Ok(ExitCode::SUCCESS), |what| Err(Error::not_shown(what).into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    /// What is said by flags can be said by a lab file: the conditions are the same.
    #[test]
    fn a_lab_file_can_say_what_flags_say() {
        for (flags, keys) in [
            ("", ""),
            ("--hosts 41 --receivers 1,2,4,8,16,32", "hosts = 41\nreceivers = [1, 2, 4, 8, 16, 32]"),
            ("--hosts 8 --switch flooding", "hosts = 8\nswitch = \"flooding\""),
            ("--hosts 3 --nic filter --switch hub", "hosts = 3\nnic = \"filter\"\nswitch = \"hub\""),
            (
                "--rate max --size 1400 --modes unicast,multicast",
                "rate = \"max\"\nsize = 1400\nmodes = [\"multicast\", \"unicast\"]",
            ),
            (
                "--rate 10k --size 1k --duration 2s --trials 7",
                "rate = \"10k\"\nsize = \"1k\"\nduration = \"2s\"\ntrials = 7",
            ),
            ("--ipv6 --rate 0.5", "ipv6 = true\nrate = 0.5"),
            ("--burst 1,16 --attribution threads,plain", "burst = [1, 16]\nattribution = [\"threads\", \"plain\"]"),
            ("--broadcast-address directed", "broadcast_address = \"directed\""),
        ] {
            let line = format!("measure --seed 0 {flags}");
            let of_flags = Line::try_parse_from(line.split_whitespace()).unwrap().args.design();
            let file = format!("title = \"T\"\nlecture = \"L\"\n[measure]\n{keys}\n");
            let of_file = lab::read("t", file.as_bytes()).unwrap().design;
            assert_eq!(of_file.leaves_out_broadcast(), of_flags.leaves_out_broadcast());
            assert_eq!(of_file.plan().unwrap(), of_flags.plan().unwrap(), "{flags}");
        }
    }
}
