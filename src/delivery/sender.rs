//! The one send loop: paced by sleeping, in batches no larger than the clock forces.

use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use super::Outlet;
use super::STOP_LATENCY;
use super::carrier::{Carrier, Datagrams, Nowhere, Timed};
use super::rehearsal::Rehearsal;
use super::schedule::{Schedule, due_times_within};
use crate::error::Result;
use crate::sys::clock;
use crate::units::Rate;
use crate::wire::probe;

/// What to send, how much of it and how fast.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SendPlan {
    /// Due times a second, and so messages a second where a burst is of one.
    pub rate: Rate,
    /// Messages that leave at each due time, without a pause between them; 1 as a rule. Without a meaning at the rate `max`.
    pub burst: u64,
    /// Exactly this many messages; `None` for no such limit.
    pub count: Option<u64>,
    /// For this long; `None` for no such limit. The earlier of the two limits ends the loop. At a rate these are the
    /// messages that are due before the end: duration × rate, rounded up, × burst.
    pub duration: Option<Duration>,
    /// Whether a sender that cannot hold the rate goes on after the end of the duration, until all have left; it gives
    /// up after twice the duration, but not within [`GRACE`] of its end. Otherwise it ends with the duration.
    pub catches_up: bool,
    /// What each message holds.
    pub payload: Payload,
}

/// How long after the end of its duration a sender may still be catching up, at the least.
pub const GRACE: Duration = Duration::from_secs(5);

/// What a message holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Payload {
    /// A probe header, padded to `size` bytes; plain padding where `size` is too small for the header.
    Probe {
        /// See [`crate::wire::probe::Probe::run_id`].
        run_id: u32,
        /// See [`crate::wire::probe::Probe::stream_id`].
        stream_id: u16,
        /// UDP payload (or frame payload) in bytes.
        size: usize,
    },
    /// This text as it is.
    Text(String),
}

/// What a running [`send`] shows to others: updated once a batch.
#[derive(Debug, Default)]
pub struct SendLive {
    /// Messages sent so far.
    pub messages_sent: AtomicU64,
    /// Copies sent so far.
    pub copies_sent: AtomicU64,
}

/// What was sent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SendReport {
    /// Messages of which every copy was handed to the kernel.
    pub messages_sent: u64,
    /// Datagrams or frames handed to the kernel.
    pub copies_sent: u64,
    /// Copies the kernel refused (twice in a row: the first refusal may be about an earlier copy).
    pub copies_failed: u64,
    /// The first refusal in words: whither, and why.
    pub first_failure: Option<String>,
    /// Whether all refusals were of one kind: the system does not permit it (EPERM, EACCES).
    pub not_permitted: bool,
    /// What ended it before its limit, in words; `None` where nothing did but `stop`.
    pub error: Option<String>,
    /// Payload size in bytes.
    pub size_bytes: usize,
    /// From the first message's due time to the end of the last one's period, or to the last send if that was later, in
    /// ns; unpaced or stopped: to the end of the loop.
    pub duration_ns: u64,
    /// `CLOCK_MONOTONIC` of the first send, in ns.
    pub started_ns: u64,
    /// How late messages left against their schedule, in ns; `None` when unpaced.
    pub lateness_p50_ns: Option<u64>,
    /// 99th percentile of the same.
    pub lateness_p99_ns: Option<u64>,
    /// Maximum of the same.
    pub lateness_max_ns: Option<u64>,
    /// CPU time of the sending thread inside the calls that hand copies to the kernel, in ns, without what the clock
    /// itself costs; `None` where it was not taken.
    #[serde(default)]
    pub cpu_send_ns: Option<u64>,
}

impl Payload {
    /// Its length in bytes.
    pub fn size(&self) -> usize {
        match self {
            Payload::Probe { size, .. } => *size,
            Payload::Text(text) => text.len(),
        }
    }
}

/// Sends by `plan` until its limit, or until `stop` is set (noticed within 100 ms).
///
/// Every copy of a message carries the same send time, read right before the call that hands its first copy to the
/// kernel; messages that leave by one call share it.
///
/// A copy that the kernel refuses is counted, and the next one is tried: a link comes up again, a firewall changes its
/// mind. Where none can ever be sent any more (the interface is gone) it ends, and the report says why.
///
/// # Errors
/// A usage error for a size that does not fit.
pub fn send(outlet: &Outlet, plan: &SendPlan, stop: &AtomicBool, live: &SendLive) -> Result<SendReport> {
    outlet.check_size(plan.payload.size())?;
    Ok(send_by(&mut Datagrams::new(outlet, &plan.payload), plan, stop, live))
}

/// As [`send`], with the CPU time of sending taken.
///
/// # Errors
/// As [`send`].
pub fn send_timed(outlet: &Outlet, plan: &SendPlan, stop: &AtomicBool, live: &SendLive) -> Result<SendReport> {
    let size = plan.payload.size();
    outlet.check_size(size)?;
    let description = outlet.description();
    let ipv6 = description.to.first().is_some_and(|to| to.is_ipv6());
    let rehearsal = Rehearsal::open(description.interface.as_deref(), ipv6, size);
    Ok(send_timed_by(&mut Datagrams::new(outlet, &plan.payload), rehearsal, plan, stop, live))
}

/// Wakes and paces as for messages of this rate by this interface, and sends none: what is left of a sender's CPU time
/// without them.
pub fn pace(rate: Rate, duration: Duration, interface: &str) -> SendReport {
    let payload = Payload::Text(String::new());
    let plan = SendPlan { rate, burst: 1, count: None, duration: Some(duration), catches_up: true, payload };
    let rehearsal = Rehearsal::open(Some(interface), false, probe::HEADER_LEN);
    send_timed_by(&mut Nowhere, rehearsal, &plan, &AtomicBool::new(false), &SendLive::default())
}

/// The loop itself, with the CPU time of sending taken.
pub(super) fn send_timed_by(
    carrier: &mut dyn Carrier,
    rehearsal: Option<Rehearsal>,
    plan: &SendPlan,
    stop: &AtomicBool,
    live: &SendLive,
) -> SendReport {
    let mut timed = Timed::new(carrier, rehearsal);
    let report = send_by(&mut timed, plan, stop, live);
    SendReport { cpu_send_ns: Some(timed.cpu_ns()), ..report }
}

/// The loop itself, whatever carries the messages.
pub(super) fn send_by(carrier: &mut dyn Carrier, plan: &SendPlan, stop: &AtomicBool, live: &SendLive) -> SendReport {
    let mut sending = Sending::new(carrier, &plan.payload, stop, live);
    match plan.rate {
        Rate::PerSecond(rate) => sending.paced(rate, plan),
        Rate::Max => sending.unpaced(plan),
    }
    sending.report
}

/// How long to wait for a queue that was full and does not tell when it no longer is, in ns.
const FULL_QUEUE_NS: u64 = 100_000;

/// How long a sender without a pace waits when nothing of what it tried was taken, in ns.
const REFUSED_NS: u64 = 10_000_000;

/// A send loop at work.
struct Sending<'a> {
    carrier: &'a mut dyn Carrier,
    stop: &'a AtomicBool,
    live: &'a SendLive,
    lateness: Option<(Schedule, Histogram<u64>)>,
    /// When to give up, in ns.
    end_ns: u64,
    /// When to look whether the interface is gone, once copies are refused, in ns.
    look_ns: u64,
    report: SendReport,
}

impl<'a> Sending<'a> {
    fn new(carrier: &'a mut dyn Carrier, payload: &Payload, stop: &'a AtomicBool, live: &'a SendLive) -> Self {
        let report = SendReport { size_bytes: payload.size(), ..SendReport::default() };
        Sending { carrier, stop, live, lateness: None, end_ns: u64::MAX, look_ns: 0, report }
    }

    /// Each message at its time.
    fn paced(&mut self, rate: f64, plan: &SendPlan) {
        clock::wake_precisely();
        let of_duration = |duration| due_times_within(duration, rate).saturating_mul(plan.burst);
        let limit = plan.duration.map_or(u64::MAX, of_duration);
        let total = plan.count.unwrap_or(u64::MAX).min(limit);
        let start_ns = clock::monotonic_ns();
        if let Some(duration) = plan.duration {
            let longer = if plan.catches_up { duration.max(GRACE) } else { Duration::ZERO };
            self.end_ns = start_ns.saturating_add(nanos(duration)).saturating_add(nanos(longer));
        }
        let schedule = Schedule::new(start_ns, rate, plan.burst);
        self.lateness = Some((schedule, new_histogram()));
        let mut next = 0;
        while next < total && !self.stopped() {
            let now_ns = clock::monotonic_ns();
            let due = schedule.due_by(now_ns).min(total);
            if due <= next {
                self.rest(schedule.due_ns(next));
                continue;
            }
            next = self.emit_all(next, (due - next).min(schedule.most_at_once()));
            // What came due before the end has left by now, unless the sender is behind by more than a burst.
            if now_ns >= self.end_ns {
                break;
            }
            if due > next {
                self.rest(now_ns + schedule.catch_up_period_ns());
            }
        }
        // A single message in a long period does not make the run longer than was asked for.
        let last_period_ns = if next == total { schedule.due_ns(total).min(self.end_ns) } else { 0 };
        self.report.duration_ns = clock::monotonic_ns().max(last_period_ns) - start_ns;
        if let Some((_, lateness)) = self.lateness.as_ref().filter(|(_, lateness)| !lateness.is_empty()) {
            self.report.lateness_p50_ns = Some(lateness.value_at_quantile(0.5));
            self.report.lateness_p99_ns = Some(lateness.value_at_quantile(0.99));
            self.report.lateness_max_ns = Some(lateness.max());
        }
    }

    /// As fast as the kernel takes them: a full socket buffer makes the call wait.
    fn unpaced(&mut self, plan: &SendPlan) {
        let start_ns = clock::monotonic_ns();
        if let Some(duration) = plan.duration {
            self.end_ns = start_ns.saturating_add(nanos(duration));
        }
        let total = plan.count.unwrap_or(u64::MAX);
        let mut next = 0;
        while next < total && !self.over() {
            let messages = (total - next).min(self.carrier.messages() as u64);
            let (sent, failed) = (self.report.copies_sent, self.report.copies_failed);
            self.emit(next, messages as usize);
            next += messages;
            if self.report.copies_sent == sent && self.report.copies_failed > failed {
                self.rest(clock::monotonic_ns() + REFUSED_NS);
            }
        }
        self.report.duration_ns = clock::monotonic_ns() - start_ns;
    }

    /// Sends `count` messages from `first` on, or as many as there is time for; gives the next one.
    fn emit_all(&mut self, first: u64, count: u64) -> u64 {
        let capacity = self.carrier.messages() as u64;
        let mut next = first;
        while next < first + count && (next == first || !self.over()) {
            let messages = (first + count - next).min(capacity);
            self.emit(next, messages as usize);
            next += messages;
        }
        next
    }

    /// Sends `messages` messages from `first` on, as many as fit in the batch at the most.
    fn emit(&mut self, first: u64, messages: usize) {
        let copies_per_message = self.carrier.copies_per_message();
        let copies = messages * copies_per_message;
        let (mut next, mut refused, mut failed_messages) = (0, None, FailedMessages::default());
        while next < copies {
            let unsent = next.div_ceil(copies_per_message);
            let now_ns = clock::monotonic_ns();
            self.stamp(first, unsent..messages, now_ns);
            match self.carrier.send(next..copies) {
                Ok(sent) => {
                    next += sent;
                    self.report.copies_sent += sent as u64;
                    self.note_lateness(first, unsent..next.div_ceil(copies_per_message), now_ns);
                }
                Err(error) => match Verdict::on(&error) {
                    Verdict::Wait if self.over() => break,
                    Verdict::Wait => wait_for_room(&error),
                    Verdict::Again => {}
                    Verdict::End => {
                        self.end("nothing can be sent", &error);
                        break;
                    }
                    Verdict::Refused if refused != Some(next) => refused = Some(next),
                    Verdict::Refused => {
                        self.note_failure(next % copies_per_message, &error);
                        failed_messages.add(next / copies_per_message);
                        next += 1;
                        if self.is_gone(now_ns) {
                            self.end("the interface is gone", &error);
                            break;
                        }
                    }
                },
            }
        }
        self.report.messages_sent += failed_messages.others(next / copies_per_message);
        self.live.messages_sent.store(self.report.messages_sent, Ordering::Relaxed);
        self.live.copies_sent.store(self.report.copies_sent, Ordering::Relaxed);
    }

    /// Writes sequence and send time into those messages of the batch.
    fn stamp(&mut self, first: u64, messages: Range<usize>, now_ns: u64) {
        if self.report.started_ns == 0 {
            self.report.started_ns = now_ns;
        }
        for message in messages {
            self.carrier.stamp(message, first + message as u64, now_ns);
        }
    }

    fn note_lateness(&mut self, first: u64, messages: Range<usize>, sent_ns: u64) {
        let Some((schedule, histogram)) = &mut self.lateness else { return };
        for message in messages {
            histogram.saturating_record(sent_ns.saturating_sub(schedule.due_ns(first + message as u64)));
        }
    }

    fn note_failure(&mut self, destination: usize, error: &io::Error) {
        let not_permitted = matches!(error.raw_os_error(), Some(libc::EPERM | libc::EACCES));
        self.report.not_permitted = not_permitted && (self.report.copies_failed == 0 || self.report.not_permitted);
        self.report.copies_failed += 1;
        if self.report.first_failure.is_none() {
            self.report.first_failure = Some(match self.carrier.destination(destination) {
                Some(to) => format!("to {to}: {error}"),
                None => error.to_string(),
            });
        }
    }

    /// Whether no copy can be sent any more; looks now and then. What a copy is refused with does not tell: by an
    /// interface that is gone it is ENODEV, ENXIO, ENETDOWN or ENETUNREACH.
    fn is_gone(&mut self, now_ns: u64) -> bool {
        if now_ns < self.look_ns {
            return false;
        }
        self.look_ns = now_ns + STOP_LATENCY.as_nanos() as u64;
        self.carrier.is_gone()
    }

    fn end(&mut self, why: &str, error: &io::Error) {
        self.report.error = Some(format!("{}: {why}: {error}", self.carrier.in_words()));
    }

    /// Sleeps until then, or until it is to end.
    fn rest(&self, until_ns: u64) {
        let until_ns = until_ns.min(self.end_ns);
        let mut now_ns = clock::monotonic_ns();
        while now_ns < until_ns && !self.stopped() {
            clock::sleep_until(until_ns.min(now_ns + STOP_LATENCY.as_nanos() as u64));
            now_ns = clock::monotonic_ns();
        }
    }

    fn over(&self) -> bool {
        self.stopped() || clock::monotonic_ns() >= self.end_ns
    }

    fn stopped(&self) -> bool {
        self.report.error.is_some() || self.stop.load(Ordering::Relaxed)
    }
}

/// What an error of a send call means for the copy it is about.
enum Verdict {
    /// There is no room: the same copy later.
    Wait,
    /// A signal came: the same copy now.
    Again,
    /// This copy cannot be sent now (no route, the link is down, a firewall forbids it), or (so a connected socket
    /// reports what ICMP brought) an earlier one did not arrive, and this one was not tried.
    Refused,
    /// The socket is none that could ever send: a fault of this program.
    End,
}

impl Verdict {
    fn on(error: &io::Error) -> Verdict {
        match error.raw_os_error() {
            Some(libc::EAGAIN | libc::ENOBUFS | libc::ENOMEM) => Verdict::Wait,
            Some(libc::EINTR) => Verdict::Again,
            Some(libc::EBADF | libc::ENOTSOCK | libc::EDESTADDRREQ | libc::EFAULT) => Verdict::End,
            _ => Verdict::Refused,
        }
    }
}

/// Waits until it makes sense to try again.
fn wait_for_room(error: &io::Error) {
    // EAGAIN comes after the socket's own timeout: that was the wait.
    if error.raw_os_error() != Some(libc::EAGAIN) {
        clock::sleep_until(clock::monotonic_ns() + FULL_QUEUE_NS);
    }
}

/// Messages of a batch of which a copy failed, told in order.
#[derive(Default)]
struct FailedMessages {
    last: Option<usize>,
    count: u64,
}

impl FailedMessages {
    fn add(&mut self, message: usize) {
        if self.last != Some(message) {
            self.last = Some(message);
            self.count += 1;
        }
    }

    /// How many of the first `complete` messages did not fail.
    fn others(&self, complete: usize) -> u64 {
        let incomplete = self.last.is_some_and(|last| last >= complete);
        complete as u64 - (self.count - u64::from(incomplete))
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// For times up to a minute in ns, to three digits.
fn new_histogram() -> Histogram<u64> {
    const MINUTE_NS: u64 = 60_000_000_000;
    Histogram::new_with_bounds(1, MINUTE_NS, 3).expect("bounds and digits are within what the library allows")
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;

    #[test]
    fn a_message_fails_once_however_many_copies_do() {
        let mut failed = FailedMessages::default();
        assert_eq!(failed.others(3), 3);
        failed.add(1);
        failed.add(1);
        failed.add(4);
        assert_eq!(failed.others(5), 3);
        assert_eq!(failed.others(4), 3, "message 4 is not complete");
    }

    #[test]
    fn errors_mean_what_the_kernel_means() {
        let verdict = |errno| Verdict::on(&io::Error::from_raw_os_error(errno));
        assert!(matches!(verdict(libc::ENOBUFS), Verdict::Wait));
        assert!(matches!(verdict(libc::EINTR), Verdict::Again));
        assert!(matches!(verdict(libc::ECONNREFUSED), Verdict::Refused));
        assert!(matches!(verdict(libc::EMSGSIZE), Verdict::Refused));
        for passing in [libc::ENETDOWN, libc::ENETUNREACH, libc::EHOSTUNREACH, libc::EPERM, libc::ENODEV, libc::EPIPE] {
            assert!(matches!(verdict(passing), Verdict::Refused), "{passing}");
        }
        assert!(matches!(verdict(libc::EBADF), Verdict::End));
    }

    /// Takes what `answer` says; by the number of calls before.
    struct Fake<F> {
        copies: usize,
        calls: usize,
        /// After so many.
        gone_after: usize,
        answer: F,
    }

    impl<F: FnMut(usize, Range<usize>) -> Result<usize, i32>> Carrier for Fake<F> {
        fn messages(&self) -> usize {
            4
        }

        fn copies_per_message(&self) -> usize {
            self.copies
        }

        fn stamp(&mut self, _: usize, _: u64, _: u64) {}

        fn send(&mut self, copies: Range<usize>) -> io::Result<usize> {
            self.calls += 1;
            (self.answer)(self.calls - 1, copies).map_err(io::Error::from_raw_os_error)
        }

        fn destination(&self, _: usize) -> Option<SocketAddr> {
            None
        }

        fn is_gone(&self) -> bool {
            self.calls > self.gone_after
        }

        fn in_words(&self) -> String {
            "sending by a fake".into()
        }
    }

    fn send_to(
        copies: usize,
        plan: &SendPlan,
        answer: impl FnMut(usize, Range<usize>) -> Result<usize, i32>,
    ) -> SendReport {
        send_until_gone(copies, plan, usize::MAX, answer)
    }

    fn send_until_gone(
        copies: usize,
        plan: &SendPlan,
        gone_after: usize,
        answer: impl FnMut(usize, Range<usize>) -> Result<usize, i32>,
    ) -> SendReport {
        let mut fake = Fake { copies, calls: 0, gone_after, answer };
        send_by(&mut fake, plan, &AtomicBool::new(false), &SendLive::default())
    }

    fn plan(rate: Rate, count: Option<u64>, duration_ms: Option<u64>) -> SendPlan {
        let duration = duration_ms.map(Duration::from_millis);
        SendPlan { rate, burst: 1, count, duration, catches_up: false, payload: Payload::Text("x".into()) }
    }

    #[test]
    fn what_is_refused_is_counted_and_the_rest_goes_on() {
        for rate in [Rate::Max, Rate::PerSecond(1e6)] {
            // Two copies a message. The first seven calls are refused: three copies twice each, and the fourth once.
            let report = send_to(2, &plan(rate, Some(10), None), |call, copies| match call {
                0..7 => Err(libc::ENETDOWN),
                _ => Ok(copies.len()),
            });
            let counts = (report.messages_sent, report.copies_sent, report.copies_failed);
            assert_eq!(counts, (8, 17, 3), "{report:?}");
            assert!(report.first_failure.unwrap().contains("Network is down"));
            assert_eq!((report.error, report.not_permitted), (None, false));
        }
    }

    #[test]
    fn a_firewall_is_told_from_other_refusals() {
        let refused_by = |errno: fn(usize) -> i32| {
            send_to(1, &plan(Rate::Max, Some(3), None), |call, _| Err(errno(call))).not_permitted
        };
        assert!(refused_by(|_| libc::EPERM));
        assert!(!refused_by(|call| if call < 2 { libc::EHOSTUNREACH } else { libc::EPERM }));
        assert!(!refused_by(|call| if call < 2 { libc::EPERM } else { libc::EHOSTUNREACH }));
    }

    #[test]
    fn an_interface_that_is_gone_ends_it_with_what_was_counted() {
        let answer = |call, copies: Range<usize>| match call {
            0 => Ok(copies.len()),
            _ => Err(libc::ENODEV),
        };
        let report = send_until_gone(2, &plan(Rate::Max, Some(1_000), None), 1, answer);
        let counts = (report.messages_sent, report.copies_sent, report.copies_failed);
        assert_eq!(counts, (4, 8, 1), "{report:?}");
        let error = report.error.unwrap();
        assert!(error.starts_with("sending by a fake: the interface is gone: No such device"), "{error}");
        // It is asked for again a while after a refusal that was none of its.
        let report = send_until_gone(2, &plan(Rate::PerSecond(10_000.0), Some(100_000), None), 10, answer);
        assert!(report.error.is_some() && (6..100_000).contains(&report.copies_failed), "{report:?}");
    }

    #[test]
    fn the_duration_ends_what_cannot_hold_its_rate() {
        const PERIOD: Duration = Duration::from_millis(1);
        let one_a_millisecond = |_, _: Range<usize>| {
            std::thread::sleep(PERIOD);
            Ok(1)
        };
        let report = send_to(1, &plan(Rate::PerSecond(1e7), None, Some(50)), one_a_millisecond);
        // The batch that is under way at the end, and one more.
        assert!(report.messages_sent <= 50 + 2 * 4, "{report:?}");
        assert_eq!((report.copies_failed, report.error), (0, None));
        let report = send_to(
            1,
            &SendPlan { catches_up: true, ..plan(Rate::PerSecond(2_000.0), None, Some(50)) },
            one_a_millisecond,
        );
        assert_eq!(report.messages_sent, 100, "it catches up");
    }

    #[test]
    fn a_long_period_does_not_make_a_run_longer() {
        let all = |_, copies: Range<usize>| Ok(copies.len());
        let report = send_to(1, &plan(Rate::PerSecond(0.1), None, Some(20)), all);
        assert_eq!((report.messages_sent, report.duration_ns), (1, 20_000_000));
        let report = send_to(1, &plan(Rate::PerSecond(100.0), None, Some(50)), all);
        assert_eq!(report.messages_sent, 5);
    }
}
