//! `… send`: opens the outlet, runs the send loop, shows how it goes and what was sent.

use std::process::ExitCode;
use std::sync::atomic::Ordering;

use anyhow::Context;
use indicatif::HumanCount;

use super::interrupt;
use super::screen::{Limits, Look, Screen};
use super::summary::{Summary, counted, not_reached, rate_text, sent};
use super::traffic::TrafficArgs;
use crate::delivery::answers::Answers;
use crate::delivery::policy::check_reach;
use crate::delivery::sender::{self, Payload, SendLive, SendPlan, SendReport};
use crate::delivery::{Outlet, OutletDescription, OutletSpec, open_outlet};
use crate::error::{Error, ExitClass};
use crate::sys::interface::Interface;
use crate::units::{Mode, Rate};

/// Sends by the flags, prints the summary, and gives the exit code.
///
/// # Errors
/// As [`open_outlet`] and [`sender::send`]; failed when the kernel refused a copy or none could be sent any more, not
/// permitted when the system forbade all of them; standard output's own.
pub(crate) fn run(mode: Mode, spec: &OutletSpec, traffic: &TrafficArgs) -> anyhow::Result<ExitCode> {
    let plan = traffic.send_plan();
    let stop = interrupt::stop_flag()?;
    check_reach(&spec.target, traffic.allow_public, &Interface::all()?)?;
    let outlet = open_outlet(spec)?;
    check_size(&outlet, &plan.payload)?;
    let limits = Limits { count: plan.count, duration: plan.duration };
    let screen = Screen::new(traffic.json, limits);
    screen.note(&announcement(outlet.description(), &plan));
    screen.warn(&outlet.description().warnings);

    let answers = Answers::hear(&outlet);
    let live = SendLive::default();
    let send = || sender::send(&outlet, &plan, &stop, &live);
    let report = screen.watch(send, &stop, limits, ["messages_sent", "copies_sent"], |_| {
        let totals = [&live.messages_sent, &live.copies_sent].map(|total| total.load(Ordering::Relaxed));
        Look { totals, counted: totals[0], text: format!("{} messages", HumanCount(totals[0])) }
    })?;

    let interrupted = stop.load(Ordering::Relaxed);
    let unreached = answers.map(|answers| answers.collect(&stop));
    let failure = failure(&report).filter(|_| !interrupted);
    let summary = Summary::of_send(mode, &plan, &report, interrupted);
    let summary = summary.not_reaching(unreached.as_deref()).failed(failure.as_ref());
    let text = sent(&plan, &report) + &not_reached(unreached.as_deref(), outlet.copies_per_message());
    screen.result(&text, &summary).context("writing to standard output")?;
    if interrupted {
        return Ok(ExitClass::Interrupted.code().into());
    }
    failure.map_or(Ok(ExitCode::SUCCESS), |error| Err(error.into()))
}

/// What makes a run that came to its end a failure: exit code 0 says that the kernel took every copy.
fn failure(report: &SendReport) -> Option<Error> {
    if let Some(why) = &report.error {
        return Some(Error::failed(why));
    }
    let reason = report.first_failure.as_ref()?;
    let copies = counted(report.copies_failed, "copy", "copies");
    let what = format!("{copies} of {} not sent: {reason}", HumanCount(report.copies_failed + report.copies_sent));
    const REMEDY: &str = "A firewall rule or a security policy of this host forbids it; see: sudo nft list ruleset";
    Some(match (report.not_permitted, report.copies_sent) {
        (true, 0) => Error::not_permitted(what, REMEDY),
        (true, _) => Error::failed(what).remedy(REMEDY),
        (false, _) => Error::failed(what),
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_copy_is_a_failure() {
        let report = |copies_sent, copies_failed, not_permitted| SendReport {
            copies_sent,
            copies_failed,
            not_permitted,
            first_failure: (copies_failed > 0).then(|| "to 10.0.0.1:4747: no".to_owned()),
            ..SendReport::default()
        };
        let outcome = |report: SendReport| failure(&report).map(|error| (error.class(), error.to_string()));
        assert_eq!(outcome(report(9, 0, false)), None);
        let some = outcome(report(9_000, 1, false)).unwrap();
        assert_eq!(some, (ExitClass::Failed, "1 copy of 9,001 not sent: to 10.0.0.1:4747: no".to_owned()));
        assert_eq!(outcome(report(0, 5, false)).unwrap().0, ExitClass::Failed);
        let for_a_moment = outcome(report(9, 5, true)).unwrap();
        assert!(for_a_moment.0 == ExitClass::Failed && for_a_moment.1.contains("nft list ruleset"), "{for_a_moment:?}");
        assert_eq!(outcome(report(0, 5, true)).unwrap().0, ExitClass::NotPermitted);
        let ended = SendReport { error: Some("the interface is gone".into()), ..report(9, 1, false) };
        assert_eq!(outcome(ended), Some((ExitClass::Failed, "the interface is gone".to_owned())));
    }
}
