//! `netlab chat join`.

use std::process::ExitCode;

use super::super::address::zone_name;
use super::{join_group, join_server, socket_address};
use crate::error::Error;
use crate::wire::chat;

/// Arguments of `netlab chat join`.
#[derive(clap::Args)]
#[command(after_help = "\
On a terminal, lines are edited as in a shell, and what arrives does not tear
them. Through a pipe each line of the input is said; it leaves at the end of the
input, with --stay at Ctrl-C. Either way lines that begin with / are commands:
  /msg NAME TEXT   to one alone       /name NAME   another name
  /list            who is here        /quit        leave

With --multicast there is no server, and so nobody who sees to order, to names
that differ, to those who come late, and to knowing who is here.")]
pub(crate) struct Args {
    /// The server, with port 4747 unless another is written
    #[arg(value_name = "ADDR[:PORT]")]
    server: Option<String>,
    /// By this name: 1 to 32 bytes, letters, digits, and - _ .
    #[arg(long, required = true, value_parser = name)]
    name: String,
    /// Without a server, in this group: 239.1.1.1, ff02::4:7%eth0
    #[arg(long, value_name = "GROUP[:PORT]", conflicts_with = "server")]
    multicast: Option<String>,
    /// The interface of the group [default: that of the route to it]
    #[arg(short, long, value_name = "NAME", requires = "multicast", conflicts_with = "server")]
    interface: Option<String>,
    /// Go on listening when the input ends
    #[arg(long)]
    stay: bool,
    /// Print each event as a JSON object
    #[arg(long)]
    json: bool,
}

fn name(text: &str) -> Result<String, String> {
    chat::name(text).map(str::to_owned).map_err(|refusal| refusal.explanation().to_owned())
}

/// What both ways of joining need.
pub(super) struct How<'a> {
    pub(super) name: &'a str,
    pub(super) stay: bool,
    pub(super) json: bool,
}

/// Joins, and gives the exit code when it has left.
///
/// # Errors
/// Usage; a server that is not there or refuses, or ends; a group that cannot be joined.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let how = How { name: &args.name, stay: args.stay, json: args.json };
    match (&args.multicast, &args.server) {
        (Some(text), _) => {
            let (text, interface) = interface_of(text, args.interface.as_deref())?;
            let group = socket_address(&text, "--multicast", false)?;
            if !group.ip().is_multicast() {
                let what = format!(
                    "--multicast {}: not a group; groups are 224.0.0.0 to 239.255.255.255 and ff00::/8",
                    group.ip()
                );
                return Err(Error::usage(what).into());
            }
            join_group::run(group, interface.as_deref(), &how)
        }
        (None, Some(text)) => join_server::run(socket_address(text, "ADDR", false)?, &how),
        (None, None) => {
            Err(Error::usage("give the server's ADDR[:PORT], such as 127.0.0.1, or --multicast GROUP").into())
        }
    }
}

/// The group without its `%ZONE`, and the one interface that it and `--interface` agree on.
fn interface_of(text: &str, interface: Option<&str>) -> crate::error::Result<(String, Option<String>)> {
    let Some((before, rest)) = text.split_once('%') else { return Ok((text.to_owned(), interface.map(str::to_owned))) };
    let (zone, after) = rest.split_once(']').map_or((rest, String::new()), |(zone, after)| (zone, format!("]{after}")));
    let zone = zone_name(zone);
    match interface {
        Some(other) if other != zone => {
            Err(Error::usage(format!("--multicast {text}: meant on {zone}, but --interface asks for {other}")))
        }
        _ => Ok((format!("{before}{after}"), Some(zone))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_and_interfaces() {
        let own = |text: &str, interface| interface_of(text, interface).map_err(|error| error.to_string());
        let eth0 = || Some("eth0".to_owned());
        assert_eq!(own("239.1.1.1:9", Some("eth0")), Ok(("239.1.1.1:9".into(), eth0())));
        assert_eq!(own("ff02::1%eth0", None), Ok(("ff02::1".into(), eth0())));
        assert_eq!(own("[ff02::1%eth0]:9", Some("eth0")), Ok(("[ff02::1]:9".into(), eth0())));
        assert!(own("ff02::1%eth0", Some("lo")).unwrap_err().contains("lo"));
    }
}
