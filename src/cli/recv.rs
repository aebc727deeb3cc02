//! `… recv`: opens the inlet, says what it listens on, runs the receive loop, explains silence, shows what arrived.

use std::fs::File;
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Context;
use indicatif::HumanCount;

use super::interrupt;
use super::screen::{Limits, Look, Screen};
use super::silence::Silence;
use super::summary::{Summary, received, write_csv};
use super::traffic::TrafficArgs;
use crate::delivery::receiver::{self, ReceiveLive};
use crate::delivery::watch::LinkWatch;
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
    // Without the kernel's counters there is nothing to explain silence by, and still much to receive.
    let mut links = LinkWatch::of_inlet(&inlet, spec).ok().flatten();
    let mut silence = Silence::new(&spec.listen, description.interface.as_deref()).ok();
    let limits = Limits { count: plan.count, duration: plan.duration };
    let screen = Screen::new(traffic.json, limits);
    screen.note(&description.to_string());
    screen.warn(&description.warnings);

    let live = ReceiveLive::default();
    let receive = || receiver::receive(&inlet, &plan, &stop, &live);
    let names = ["messages_received", "messages_lost", "messages_unrecognized", "bytes"];
    let report = screen.watch(receive, &stop, limits, names, |now| {
        let totals = [&live.messages_received, &live.messages_lost, &live.messages_unrecognized, &live.bytes]
            .map(|total| total.load(Ordering::Relaxed));
        let counted = live.datagrams.load(Ordering::Relaxed);
        if let Some(change) = links.as_mut().and_then(|links| links.look(now)) {
            screen.tell(now, "interface", &change, &change.text);
        }
        if let Some(explanation) = silence.as_mut().and_then(|silence| silence.explain(now, counted)) {
            screen.note(&explanation);
        }
        let [messages, lost, unrecognized, _] = totals.map(HumanCount);
        Look { totals, counted, text: format!("{messages} messages · {lost} lost · {unrecognized} unrecognized") }
    })?;

    let interrupted = stop.load(Ordering::Relaxed);
    let outage = links.map(|links| links.outage(Duration::from_nanos(report.duration_ns)));
    if let Some((path, file)) = csv {
        write_csv(file, mode, &report)
            .map_err(|cause| Error::failed(format!("writing {}", path.display())).because(cause))?;
    }
    screen
        .result(&received(&report, outage), &Summary::of_recv(mode, &report, outage, interrupted))
        .context("writing to standard output")?;
    // Without a limit there is no other way to end than Ctrl-C.
    Ok(if interrupted && limits.any() { ExitClass::Interrupted.code().into() } else { ExitCode::SUCCESS })
}

fn create(path: &Path) -> Result<File> {
    File::create(path).map_err(|cause| {
        Error::usage(format!("--csv {}: cannot be written; give a file in a folder you may write to", path.display()))
            .because(cause)
    })
}
