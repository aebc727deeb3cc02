//! `counts` in a shell of `netlab lan shell`: what each host's link has carried since the last look, so that "did h3 see any
//! of it?" has an answer. What came before, from the LAN's own start as well, is not in it.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::{env, fs};

use super::lan::{LAN_VARIABLE, fail, open_host_in};
use crate::counters::link::{self, LinkCounters};
use crate::counters::udp::UdpCounters;
use crate::counters::{self, HostCounters};
use crate::error::{Error, Result};
use crate::sys::netns;

/// The file in the LAN's folder with what was counted at the last look.
const FILE: &str = "counted";

/// By host.
type Looks = BTreeMap<String, HostCounters>;

/// Runs `counts [HOST…]`, all hosts unless some are named.
pub(super) fn counts(names: impl Iterator<Item = OsString>) -> ExitCode {
    match show(names.collect()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail("counts", &error),
    }
}

fn show(named: Vec<OsString>) -> Result<()> {
    let Some(folder) = env::var_os(LAN_VARIABLE) else {
        return Err(Error::usage("`counts` works only inside a LAN: start one with `netlab lan shell`"));
    };
    let folder = Path::new(&folder);
    let names = if named.is_empty() { all(folder)? } else { named };
    let mut before = fs::read(folder.join(FILE))
        .ok()
        .and_then(|text| serde_json::from_slice::<Looks>(&text).ok())
        .unwrap_or_default();
    let mut text = String::from("since the last look   frames in   frames out   datagrams a program took\n");
    for name in names {
        let now = look(folder, &name)?;
        let name = name.to_string_lossy().into_owned();
        let grown = now.since(&before.get(&name).copied().unwrap_or_default());
        let shown = |count: Option<u64>| count.map_or_else(|| "-".to_owned(), |count| count.to_string());
        let HostCounters {
            link: LinkCounters { rx_frames, tx_frames, .. }, udp: UdpCounters { in_datagrams, .. }, ..
        } = grown;
        let [rx, tx, taken] = [rx_frames, tx_frames, in_datagrams].map(shown);
        text += &format!("{name:<19}{rx:>12}{tx:>13}{taken:>26}\n");
        before.insert(name, now);
    }
    let failed = |cause: io::Error| Error::failed("writing to standard output").because(cause);
    io::stdout().write_all(text.as_bytes()).map_err(failed)?;
    remember(folder, &before)
}

/// Takes the first look.
pub(super) fn begin(folder: &Path) -> Result<()> {
    let looks = all(folder)?.into_iter().map(|name| Ok((name.to_string_lossy().into_owned(), look(folder, &name)?)));
    remember(folder, &looks.collect::<Result<_>>()?)
}

fn remember(folder: &Path, looks: &Looks) -> Result<()> {
    let failed = |cause: io::Error| Error::failed("remembering what was counted").because(cause);
    fs::write(folder.join(FILE), serde_json::to_vec(looks).unwrap_or_default()).map_err(failed)
}

/// The hosts and the router, `h2` before `h10`.
fn all(folder: &Path) -> Result<Vec<OsString>> {
    let gone = |cause: io::Error| Error::failed("this LAN is gone").because(cause);
    let mut names: Vec<_> =
        fs::read_dir(folder.join("hosts")).map_err(gone)?.flatten().map(|entry| entry.file_name()).collect();
    names.sort_by_key(|name| (name.as_encoded_bytes().first().copied(), name.len(), name.clone()));
    Ok(names)
}

/// The counters of a host's links together, and of its programs.
fn look(folder: &Path, host: &OsStr) -> Result<HostCounters> {
    let netns = open_host_in(folder, host)?;
    netns::aside(|| {
        netns::enter(&netns)?;
        let links = link::read_all()?.into_keys().filter(|name| name != "lo").collect::<Vec<_>>();
        counters::Reader::open(&links)?.read()
    })
}
