//! `… send`: opens the outlet, runs the send loop, shows how it goes and what was sent.

use std::process::ExitCode;
use std::sync::atomic::Ordering;

use indicatif::HumanCount;

use super::interrupt;
use super::screen::{Intervals, Screen, beside};
use super::summary::{Summary, counted, rate_text, sent};
use super::traffic::TrafficArgs;
use crate::delivery::sender::{self, Payload, SendLive, SendPlan};
use crate::delivery::{Outlet, OutletDescription, OutletSpec, open_outlet};
use crate::error::{Error, ExitClass};
use crate::units::{Mode, Rate};

/// Sends by the flags, prints the summary, and gives the exit code.
///
/// # Errors
/// As [`open_outlet`] and [`sender::send`]; failed when the kernel refused a copy; standard output's own.
pub(crate) fn run(mode: Mode, spec: &OutletSpec, traffic: &TrafficArgs) -> anyhow::Result<ExitCode> {
    let plan = traffic.send_plan();
    let stop = interrupt::stop_flag()?;
    let outlet = open_outlet(spec)?;
    check_size(&outlet, &plan.payload)?;
    let screen = Screen::new(traffic.json, true);
    screen.note(&announcement(outlet.description(), &plan));
    screen.warn(&outlet.description().warnings);

    let live = SendLive::default();
    let mut intervals = Intervals::new(["messages_sent", "copies_sent"]);
    let mut output = Ok(());
    let mut rate = 0.0;
    let report = beside(
        || sender::send(&outlet, &plan, &stop, &live),
        |now| {
            let totals = [&live.messages_sent, &live.copies_sent].map(|total| total.load(Ordering::Relaxed));
            if let Some(interval) = intervals.next(now, totals) {
                rate = interval.rate;
                if output.is_ok() {
                    output = screen.event(&interval);
                }
            }
            if output.is_err() {
                stop.store(true, Ordering::Relaxed);
            }
            let by_count = plan.count.map_or(0.0, |count| totals[0] as f64 / count as f64);
            let by_time = plan.duration.map_or(0.0, |duration| now.as_secs_f64() / duration.as_secs_f64());
            let text = format!("{} messages · {} /s", HumanCount(totals[0]), rate_text(rate));
            screen.progress(by_count.max(by_time).min(1.0), text);
        },
    )?;
    output?;

    let interrupted = stop.load(Ordering::Relaxed);
    screen.result(&sent(&plan, &report), &Summary::of_send(mode, &plan, &report, interrupted))?;
    if interrupted {
        return Ok(ExitClass::Interrupted.code().into());
    }
    match report.first_failure {
        Some(reason) if report.copies_failed > 0 => Err(Error::failed(format!(
            "{} of {} not sent: {reason}",
            counted(report.copies_failed, "copy", "copies"),
            report.copies_failed + report.copies_sent
        ))
        .into()),
        _ => Ok(ExitCode::SUCCESS),
    }
}

/// Refuses what is longer than the way out takes, before anything is sent.
fn check_size(outlet: &Outlet, payload: &Payload) -> Result<(), Error> {
    match payload {
        Payload::Probe { size, .. } => outlet.check_size(*size),
        Payload::Text(text) if text.len() > outlet.max_payload() => Err(Error::usage(format!(
            "--message is {} long; at most {} fit here",
            counted(text.len() as u64, "byte", "bytes"),
            outlet.max_payload()
        ))),
        Payload::Text(_) => Ok(()),
    }
}

/// What is about to be sent, and how to end it.
fn announcement(outlet: &OutletDescription, plan: &SendPlan) -> String {
    let what = match &plan.payload {
        Payload::Text(text) => format!("a text of {}", counted(text.len() as u64, "byte", "bytes")),
        Payload::Probe { size, .. } => format!("messages of {}", counted(*size as u64, "byte", "bytes")),
    };
    let pace = match plan.rate {
        Rate::Max => "as fast as possible".to_owned(),
        Rate::PerSecond(rate) => format!("{} a second", rate_text(rate)),
    };
    let count = plan.count.map(|count| counted(count, "message", "messages"));
    let until: Vec<_> = count.into_iter().chain(plan.duration.map(|time| format!("{time:?}"))).collect();
    format!("{outlet}: {what}, {pace}, for {}; Ctrl-C ends it", until.join(" or "))
}
