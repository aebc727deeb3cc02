//! Each host of a condition over its trials: what the picture of a network shows.

use std::collections::BTreeMap;

use super::row::HostRow;
use super::stats;
use super::summary::Trials;
use crate::units::{Mode, Role};

/// One host over the trials of a condition that count for it, as in the summary.
#[derive(Clone, Debug, PartialEq)]
pub struct HostMeans {
    /// `h1` …
    pub host: String,
    /// What it did.
    pub role: Role,
    /// The group of hosts a lab put it in; empty without one.
    pub group: String,
    /// The LAN it is on, from 1; 0 for what is on all of them.
    pub lan: u32,
    /// Frames it sent, for each message.
    pub link_tx_frames: Option<f64>,
    /// Frames it got, for each message.
    pub link_rx_frames: Option<f64>,
    /// CPU time in µs for each message; of the sender that of sending, where it is told apart.
    pub cpu: Option<f64>,
}

/// What each host of a condition had for each message, in the order of its first trial: means over the trials in which
/// it was measured, counts and times from the trials that count for them.
pub fn each_host(rows: &[HostRow], condition: &str, mode: Mode) -> Vec<HostMeans> {
    let trials = Trials::of(rows.iter().filter(|row| row.condition == condition && row.mode == mode));
    let mut counts: BTreeMap<&str, [Vec<f64>; 3]> = BTreeMap::new();
    for (trial, is_timed) in trials.all() {
        let Some(messages) = trial.messages() else { continue };
        for row in trial.rows() {
            let [sent, got, cpu] = counts.entry(&row.host).or_default();
            sent.extend(row.link_tx_frames.map(|frames| frames as f64 / messages));
            got.extend(row.link_rx_frames.map(|frames| frames as f64 / messages));
            cpu.extend(row.cost_ns().filter(|_| is_timed).map(|ns| ns as f64 / 1e3 / messages));
        }
    }
    let Some((first, _)) = trials.all().next() else { return Vec::new() };
    let host = |row: &&HostRow| {
        let mean = |which: usize| stats::mean(counts.get(row.host.as_str())?.get(which)?);
        HostMeans {
            host: row.host.clone(),
            role: row.role,
            group: row.group.clone(),
            lan: row.lan,
            link_tx_frames: mean(0),
            link_rx_frames: mean(1),
            cpu: mean(2),
        }
    };
    first.rows().iter().map(host).collect()
}
