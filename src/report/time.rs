//! Frames over the time of a trial, where that tells something: few conditions, or something that changes in time.

use std::collections::{BTreeMap, HashSet};

use super::chart::{LineChart, Point, Series};
use super::data::{Group, Run, each};
use super::metric::Figure;
use crate::results::figure;
use crate::results::row::{ConditionRow, HostRow, SampleRow};
use crate::results::setting::LISTENERS;
use crate::results::stats;
use crate::units::{Mode, Role};

/// With more conditions than this, lines that are flat are left out.
const FEW_CONDITIONS: usize = 4;
/// Fewer points than this make no line worth looking at.
const FEW_POINTS: usize = 4;
/// A receiver that got nothing after this part of the window fell silent.
const TO_THE_END: f64 = 0.9;
/// A rate that differs by more than this part of itself within a trial changes in time.
const STEADY: f64 = 0.25;
/// Fewer frames than this are no difference.
const FEW_FRAMES: f64 = 3.0;

/// A chart for each setting and role of which there is something to be seen.
pub(super) fn charts(run: &Run) -> Vec<LineChart> {
    let few = run.conditions().count() <= FEW_CONDITIONS;
    // As in the summary: those in which every host's counts are valid.
    let trials = |which: fn(&HostRow) -> bool| -> HashSet<(&str, Mode, u32)> {
        let rows = run.hosts.iter().filter(|row| which(row));
        rows.map(|row| (row.condition.as_str(), row.mode, row.trial)).collect()
    };
    let (counted, spoilt) = (trials(|row| row.role == Role::Sender), trials(|row| !row.counts_valid));
    let mut samples: BTreeMap<(&str, Mode), Vec<&SampleRow>> = BTreeMap::new();
    for row in &run.samples {
        let trial = (row.condition.as_str(), row.mode, row.trial);
        if counted.contains(&trial) && !spoilt.contains(&trial) {
            samples.entry((row.condition.as_str(), row.mode)).or_default().push(row);
        }
    }
    let mut charts = Vec::new();
    for group in &run.groups {
        let silent = group.conditions.iter().any(|condition| falls_silent(run, condition));
        for role in LISTENERS {
            let modes = group.modes_of(role);
            let lines: Vec<(Mode, Vec<Interval>)> = group
                .conditions
                .iter()
                .filter(|condition| modes.contains(&condition.mode))
                .map(|condition| {
                    let key = (condition.condition.as_str(), condition.mode);
                    (condition.mode, samples.get(&key).map_or_else(Vec::new, |rows| over_time(rows, role)))
                })
                .collect();
            let long = lines.iter().any(|(_, intervals)| intervals.len() >= FEW_POINTS);
            let changes = lines.iter().any(|(_, intervals)| change(intervals));
            if long && (few || silent || changes) {
                charts.push(chart(group, role, lines, run.groups.len() == 1));
            }
        }
    }
    charts
}

/// What happened in one interval, over the hosts of a role and the trials.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Interval {
    /// Its middle, in s.
    time_s: f64,
    length_s: f64,
    /// At each host.
    frames: f64,
}

/// `alone`: it is the only setting.
fn chart(group: &Group, role: Role, lines: Vec<(Mode, Vec<Interval>)>, alone: bool) -> LineChart {
    let series = |(mode, intervals): (Mode, Vec<Interval>)| {
        let point = |interval: Interval| {
            let rate = interval.frames / interval.length_s;
            let text = figure::count(rate.round());
            Point::of(interval.time_s, Figure { mean: rate, interval: None, doubtful: false }, text)
        };
        Series {
            label: mode.to_string(),
            mode,
            variant: None,
            points: intervals.into_iter().filter_map(point).collect(),
        }
    };
    LineChart {
        name: format!("time-{}-{role}", group.number),
        title: if alone {
            format!("Frames at {}", each(role))
        } else {
            format!("Frames at {}: {}", each(role), group.heading)
        },
        unit: "frames/s".to_owned(),
        over: "seconds from the start".to_owned(),
        in_time: true,
        series: lines.into_iter().map(series).collect(),
        beside: Vec::new(),
    }
}

/// A trial's intervals are those of its samples of the same time; over the trials, the first of each go together, the
/// second ones, and so on.
fn over_time(rows: &[&SampleRow], role: Role) -> Vec<Interval> {
    // Times as bits: those of one sweep over the hosts are the same, and positive ones sort as they should.
    let mut trials: BTreeMap<u32, BTreeMap<u64, (f64, Vec<f64>)>> = BTreeMap::new();
    for row in rows.iter().filter(|row| row.role == role) {
        let usable = row.time_s.is_finite() && row.time_s >= 0.0 && row.interval_s.is_finite() && row.interval_s > 0.0;
        if let Some(frames) = row.link_rx_frames.filter(|_| usable) {
            let interval = trials.entry(row.trial).or_default().entry(row.time_s.to_bits()).or_default();
            interval.0 = row.interval_s;
            interval.1.push(frames as f64);
        }
    }
    let mut steps: Vec<Vec<Interval>> = Vec::new();
    for trial in trials.into_values() {
        for (index, (time, (length_s, frames))) in trial.into_iter().enumerate() {
            if steps.len() <= index {
                steps.push(Vec::new());
            }
            let time_s = f64::from_bits(time) - length_s / 2.0;
            steps[index].extend(stats::mean(&frames).map(|frames| Interval { time_s, length_s, frames }));
        }
    }
    let mean = |step: &[Interval], of: fn(&Interval) -> f64| stats::mean(&step.iter().map(of).collect::<Vec<_>>());
    let interval = |step: Vec<Interval>| {
        Some(Interval {
            time_s: mean(&step, |interval| interval.time_s)?,
            length_s: mean(&step, |interval| interval.length_s)?,
            frames: mean(&step, |interval| interval.frames)?,
        })
    };
    steps.into_iter().filter_map(interval).collect()
}

/// Whether the rate differs between intervals; short ones, as the last one often is, say little.
fn change(intervals: &[Interval]) -> bool {
    let longest = intervals.iter().map(|interval| interval.length_s).fold(0.0, f64::max);
    let whole = intervals.iter().filter(|interval| interval.length_s > longest / 2.0);
    let rates: Vec<f64> = whole.map(|interval| interval.frames / interval.length_s).collect();
    let (low, high) = rates.iter().fold((f64::INFINITY, 0.0_f64), |(l, h), &rate| (l.min(rate), h.max(rate)));
    high - low > high * STEADY && (high - low) * longest >= FEW_FRAMES
}

/// Whether messages stopped arriving well before the window's end.
fn falls_silent(run: &Run, condition: &ConditionRow) -> bool {
    run.hosts.iter().any(|row| {
        row.condition == condition.condition
            && row.mode == condition.mode
            && row.counts_valid
            && row.last_received_s.is_some_and(|last| last < condition.duration_s * TO_THE_END)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(trial: u32, host: &str, time_s: f64, interval_s: f64, frames: u64) -> SampleRow {
        SampleRow {
            run_id: "1f".to_owned(),
            condition: "c".to_owned(),
            mode: Mode::Multicast,
            trial,
            host: host.to_owned(),
            role: Role::Receiver,
            time_s,
            interval_s,
            link_tx_frames: None,
            link_rx_frames: Some(frames),
            cpu_kernel_rx_ns: None,
            cpu_app_ns: None,
        }
    }

    #[test]
    fn intervals_are_means_over_hosts_and_trials() {
        let rows = [
            sample(1, "h2", 0.25, 0.25, 100),
            sample(1, "h3", 0.25, 0.25, 0),
            sample(1, "h2", 0.5, 0.25, 80),
            sample(1, "h3", 0.5, 0.25, 80),
            sample(2, "h2", 0.27, 0.27, 70),
            sample(2, "h3", 0.27, 0.27, 70),
            sample(2, "h3", f64::NAN, 0.27, 70),
        ];
        let intervals = over_time(&rows.iter().collect::<Vec<_>>(), Role::Receiver);
        assert_eq!(intervals.len(), 2);
        assert_eq!((intervals[0].frames, intervals[0].length_s), (60.0, 0.26));
        assert_eq!(intervals[1], Interval { time_s: 0.375, length_s: 0.25, frames: 80.0 });
    }

    #[test]
    fn a_steady_rate_is_no_change() {
        let of = |frames: &[f64]| {
            let intervals = frames.iter().enumerate().map(|(index, &frames)| {
                // The last one is short.
                let length_s = if index + 1 == frames as usize { 0.1 } else { 0.25 };
                Interval { time_s: index as f64, length_s, frames }
            });
            change(&intervals.collect::<Vec<_>>())
        };
        assert!(!of(&[500.0, 499.0, 501.0]));
        assert!(of(&[500.0, 250.0, 0.0]));
        assert!(!of(&[0.0, 1.0, 0.0]), "a query is no change");
        assert!(!of(&[]));
    }
}
