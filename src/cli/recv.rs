//! `… recv`: opens the inlet, says what it listens on, runs the receive loop, explains silence, shows what arrived.

use std::fs::File;
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::Ordering;

use indicatif::HumanCount;

use super::interrupt;
use super::screen::{Intervals, Screen, beside};
use super::silence::Silence;
use super::summary::{Summary, rate_text, received, write_csv};
use super::traffic::TrafficArgs;
use crate::delivery::receiver::{self, ReceiveLive};
use crate::delivery::{InletSpec, open_inlet};
use crate::error::{Error, ExitClass, Result};
use crate::units::Mode;

/// Receives by the flags, prints the summary, and gives the exit code.
///
/// # Errors
/// Usage for a `--csv` file that cannot be written; as [`open_inlet`] and [`receiver::receive`]; standard output's own.
pub(crate) fn run(mode: Mode, spec: &InletSpec, traffic: &TrafficArgs) -> anyhow::Result<ExitCode> {
    let plan = traffic.receive_plan();
    let csv = traffic.csv.as_deref().map(|path| create(path).map(|file| (path, file))).transpose()?;
    let stop = interrupt::stop_flag()?;
    let inlet = open_inlet(spec)?;
    let description = inlet.description();
    let mut silence = Silence::new(&spec.listen, description.interface.as_deref())?;
    let limited = plan.count.is_some() || plan.duration.is_some();
    let screen = Screen::new(traffic.json, limited);
    screen.note(&description.to_string());
    screen.warn(&description.warnings);

    let live = ReceiveLive::default();
    let mut intervals = Intervals::new(["messages_received", "messages_lost", "messages_unrecognized", "bytes"]);
    let mut output = Ok(());
    let mut rate = 0.0;
    let report = beside(
        || receiver::receive(&inlet, &plan, &stop, &live),
        |now| {
            let totals = [&live.messages_received, &live.messages_lost, &live.messages_unrecognized, &live.bytes]
                .map(|total| total.load(Ordering::Relaxed));
            if let Some(interval) = intervals.next(now, totals) {
                rate = interval.rate;
                if output.is_ok() {
                    output = screen.event(&interval);
                }
            }
            if output.is_err() {
                stop.store(true, Ordering::Relaxed);
            }
            let datagrams = live.datagrams.load(Ordering::Relaxed);
            if let Some(explanation) = silence.explain(now, datagrams) {
                screen.note(&explanation);
            }
            let by_count = plan.count.map_or(0.0, |count| datagrams as f64 / count as f64);
            let by_time = plan.duration.map_or(0.0, |duration| now.as_secs_f64() / duration.as_secs_f64());
            let [messages, lost, unrecognized, _] = totals.map(HumanCount);
            let text =
                format!("{messages} messages · {} /s · {lost} lost · {unrecognized} unrecognized", rate_text(rate));
            screen.progress(by_count.max(by_time).min(1.0), text);
        },
    )?;
    output?;

    let interrupted = stop.load(Ordering::Relaxed);
    if let Some((path, file)) = csv {
        write_csv(file, mode, &report)
            .map_err(|cause| Error::failed(format!("writing {}", path.display())).because(cause))?;
    }
    screen.result(&received(&report), &Summary::of_recv(mode, &report, interrupted))?;
    // Without a limit there is no other way to end than Ctrl-C.
    Ok(if interrupted && limited { ExitClass::Interrupted.code().into() } else { ExitCode::SUCCESS })
}

fn create(path: &Path) -> Result<File> {
    File::create(path).map_err(|cause| {
        Error::usage(format!("--csv {}: cannot be written; give a file in a folder you may write to", path.display()))
            .because(cause)
    })
}
