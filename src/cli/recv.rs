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
use super::summary::{Summary, counted, nanos, received, write_csv};
use super::texts::TextView;
use super::traffic::TrafficArgs;
use crate::delivery::receiver::{self, ReceiveLive, ReceivePlan, ReceiveReport};
use crate::delivery::watch::LinkWatch;
use crate::delivery::{InletSpec, open_inlet};
use crate::error::{Error, ExitClass, Result};
use crate::units::Mode;

/// Receives by the flags, prints the summary, and gives the exit code.
///
/// # Errors
/// Usage for a `--csv` file that cannot be written; as [`open_inlet`]; failed when nothing can be received any more, or
/// fewer than `--count` were in time; standard output's own.
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
    let names = ["messages_received", "messages_lost", "messages_text", "messages_unrecognized", "bytes"];
    let mut view = TextView::default();
    let report = screen.watch(receive, &stop, limits, names, |now| {
        if view.show(now, &live.texts, &screen).is_err() {
            // The error is met again when the result is printed.
            stop.store(true, Ordering::Relaxed);
        }
        let totals = [
            &live.messages_received,
            &live.messages_lost,
            &live.messages_text,
            &live.messages_unrecognized,
            &live.bytes,
        ];
        let totals = totals.map(|total| total.load(Ordering::Relaxed));
        let counted = live.datagrams.load(Ordering::Relaxed);
        if let Some(change) = links.as_mut().and_then(|links| links.look(now)) {
            screen.tell(now, "interface", &change, &change.text);
        }
        if let Some(explanation) = silence.as_mut().and_then(|silence| silence.explain(now, counted)) {
            screen.note(&explanation);
        }
        let [messages, lost, texts, unrecognized, _] = totals.map(HumanCount);
        let texts = if texts.0 > 0 { format!(" · {texts} texts") } else { String::new() };
        let text = format!("{messages} messages · {lost} lost{texts} · {unrecognized} unrecognized");
        Look { totals, counted, text }
    });

    let interrupted = stop.load(Ordering::Relaxed);
    let outage = links.map(|links| links.outage(Duration::from_nanos(report.duration_ns)));
    let written = csv.map_or(Ok(()), |(path, file)| {
        let failed = |cause| Error::failed(format!("writing {}", path.display())).because(cause);
        write_csv(file, mode, &report).map_err(failed)
    });
    let failure = failure(&report, &plan, &live).filter(|_| !interrupted).or(written.err());
    let summary = Summary::of_recv(mode, &report, outage, interrupted).failed(failure.as_ref());
    let printed = view.end(&live.texts, &screen).and_then(|()| screen.result(&received(&report, outage), &summary));
    printed.context("writing to standard output")?;
    screen.warn(&report.warnings);
    if let Some(error) = failure {
        return Err(error.into());
    }
    // Without a limit there is no other way to end than Ctrl-C.
    Ok(if interrupted && limits.any() { ExitClass::Interrupted.code().into() } else { ExitCode::SUCCESS })
}

/// What makes a run that was not interrupted a failure.
fn failure(report: &ReceiveReport, plan: &ReceivePlan, live: &ReceiveLive) -> Option<Error> {
    if let Some(why) = &report.error {
        return Some(Error::failed(why));
    }
    let (asked, came) = (plan.count?, live.datagrams.load(Ordering::Relaxed));
    (came < asked).then(|| {
        let asked = counted(asked, "datagram", "datagrams");
        Error::failed(format!("{} of {asked} asked for came in {}", HumanCount(came), nanos(report.duration_ns)))
    })
}

fn create(path: &Path) -> Result<File> {
    File::create(path).map_err(|cause| {
        Error::usage(format!("--csv {}: cannot be written; give a file in a folder you may write to", path.display()))
            .because(cause)
    })
}
