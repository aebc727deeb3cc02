//! The summary of `send` and `recv`: one object for `--json`, a block for people, rows for `--csv`.

use std::fmt::Write as _;
use std::io;
use std::time::Duration;

use indicatif::{HumanBytes, HumanCount};
use serde::Serialize;

use crate::delivery::answers::Unreached;
use crate::delivery::receiver::ReceiveReport;
use crate::delivery::sender::{SendPlan, SendReport};
use crate::delivery::tally::{LatencySummary, SenderClock, StreamReport};
use crate::error::Error;
use crate::units::Mode;

/// Streams that get a line of their own in the block for people.
const STREAM_LINES: usize = 10;

/// What was sent or received, under the column names of the CSV files; `None` (null) is "not measured".
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Summary {
    event: &'static str,
    mode: &'static str,
    interrupted: bool,
    duration_s: f64,
    size_bytes: Option<usize>,
    offered_rate: Option<f64>,
    achieved_rate: Option<f64>,
    messages_sent: Option<u64>,
    copies_sent: Option<u64>,
    copies_failed: Option<u64>,
    first_failure: Option<String>,
    /// Receivers that messages did not reach, as far as the kernel knows; of unicast alone.
    receivers_unreached: Option<usize>,
    /// The first of them in words: which, and why.
    first_unreached: Option<String>,
    /// Why it failed: null where the exit code says that it did not.
    error: Option<String>,
    messages_received: Option<u64>,
    messages_lost: Option<u64>,
    messages_duplicate: Option<u64>,
    messages_reordered: Option<u64>,
    messages_stale: Option<u64>,
    messages_text: Option<u64>,
    messages_unrecognized: Option<u64>,
    messages_other_destination: Option<u64>,
    bytes: Option<u64>,
    socket_dropped: Option<u64>,
    receive_buffer_bytes: Option<u64>,
    /// How long the only interface listened on was gone, down or without a link.
    interface_outage_s: Option<f64>,
    jitter_ns: Option<u64>,
    latency_p50_ns: Option<u64>,
    latency_p99_ns: Option<u64>,
    latency_max_ns: Option<u64>,
    kernel_latency_p50_ns: Option<u64>,
    kernel_latency_p99_ns: Option<u64>,
    lateness_p50_ns: Option<u64>,
    lateness_p99_ns: Option<u64>,
    lateness_max_ns: Option<u64>,
    streams: Option<Vec<Stream>>,
}

/// One sender's stream: what the object holds in `streams`, and a row of the `--csv` file.
#[derive(Clone, Debug, Default, Serialize)]
struct Stream {
    /// In hexadecimal, as it names and does not count.
    run_id: String,
    stream_id: Option<u16>,
    messages_received: Option<u64>,
    messages_lost: Option<u64>,
    messages_duplicate: Option<u64>,
    messages_reordered: Option<u64>,
    messages_stale: Option<u64>,
    jitter_ns: Option<u64>,
    latency_p50_ns: Option<u64>,
    latency_p99_ns: Option<u64>,
    latency_max_ns: Option<u64>,
    kernel_latency_p50_ns: Option<u64>,
    kernel_latency_p99_ns: Option<u64>,
    clock: Option<SenderClock>,
}

/// What the whole socket saw, repeated in every row: no stream can be named for it.
#[derive(Serialize)]
struct SocketColumns {
    mode: Mode,
    duration_s: f64,
    messages_text: u64,
    messages_unrecognized: u64,
    socket_dropped: Option<u64>,
}

impl Summary {
    /// Of `send`.
    pub(crate) fn of_send(mode: Mode, plan: &SendPlan, report: &SendReport, interrupted: bool) -> Self {
        let duration_s = seconds(report.duration_ns);
        Summary {
            event: "summary",
            mode: mode.as_str(),
            interrupted,
            duration_s,
            size_bytes: Some(report.size_bytes),
            offered_rate: plan.rate.per_second(),
            achieved_rate: (report.duration_ns > 0).then(|| report.messages_sent as f64 / duration_s),
            messages_sent: Some(report.messages_sent),
            copies_sent: Some(report.copies_sent),
            copies_failed: Some(report.copies_failed),
            first_failure: report.first_failure.clone(),
            lateness_p50_ns: report.lateness_p50_ns,
            lateness_p99_ns: report.lateness_p99_ns,
            lateness_max_ns: report.lateness_max_ns,
            ..Summary::default()
        }
    }

    /// The same, of unicast, with those it did not reach.
    pub(crate) fn not_reaching(self, unreached: Option<&[Unreached]>) -> Self {
        Summary {
            receivers_unreached: unreached.map(<[_]>::len),
            first_unreached: unreached.and_then(|unreached| Some(unreached.first()?.to_string())),
            ..self
        }
    }

    /// Of `recv`. Percentiles of several streams cannot be put together, and stay with each stream.
    pub(crate) fn of_recv(mode: Mode, report: &ReceiveReport, outage: Option<Duration>, interrupted: bool) -> Self {
        let streams = &report.streams;
        let total = |field| Some(total(streams, field));
        let only = match &streams[..] {
            [one] => Stream::of(one),
            _ => Stream::default(),
        };
        Summary {
            event: "summary",
            mode: mode.as_str(),
            interrupted,
            duration_s: seconds(report.duration_ns),
            messages_received: total(|stream| stream.messages_received),
            messages_lost: total(|stream| stream.messages_lost),
            messages_duplicate: total(|stream| stream.messages_duplicate),
            messages_reordered: total(|stream| stream.messages_reordered),
            messages_stale: total(|stream| stream.messages_stale),
            messages_text: Some(report.messages_text),
            messages_unrecognized: Some(report.messages_unrecognized),
            messages_other_destination: Some(report.messages_other_destination),
            bytes: Some(report.bytes),
            socket_dropped: report.socket_dropped,
            receive_buffer_bytes: Some(report.receive_buffer_bytes),
            interface_outage_s: outage.map(|outage| outage.as_secs_f64()),
            jitter_ns: only.jitter_ns,
            latency_p50_ns: only.latency_p50_ns,
            latency_p99_ns: only.latency_p99_ns,
            latency_max_ns: streams.iter().filter_map(|stream| stream.latency).map(|latency| latency.max_ns).max(),
            kernel_latency_p50_ns: only.kernel_latency_p50_ns,
            kernel_latency_p99_ns: only.kernel_latency_p99_ns,
            streams: Some(streams.iter().map(Stream::of).collect()),
            ..Summary::default()
        }
    }

    /// The same of a run that failed.
    pub(crate) fn failed(self, why: Option<&Error>) -> Self {
        Summary { error: why.map(ToString::to_string), ..self }
    }
}

impl Stream {
    fn of(report: &StreamReport) -> Self {
        Stream {
            run_id: format!("{:016x}", report.run_id),
            stream_id: Some(report.stream_id),
            messages_received: Some(report.messages_received),
            messages_lost: Some(report.messages_lost),
            messages_duplicate: Some(report.messages_duplicate),
            messages_reordered: Some(report.messages_reordered),
            messages_stale: Some(report.messages_stale),
            jitter_ns: report.jitter_ns,
            latency_p50_ns: report.latency.map(|latency| latency.p50_ns),
            latency_p99_ns: report.latency.map(|latency| latency.p99_ns),
            latency_max_ns: report.latency.map(|latency| latency.max_ns),
            kernel_latency_p50_ns: report.kernel_latency.map(|latency| latency.p50_ns),
            kernel_latency_p99_ns: report.kernel_latency.map(|latency| latency.p99_ns),
            clock: Some(report.clock),
        }
    }
}

/// The block for people at the end of `send`.
pub(crate) fn sent(plan: &SendPlan, report: &SendReport) -> String {
    let mut out = String::new();
    let copies = match report.copies_sent {
        copies if copies == report.messages_sent => String::new(),
        copies => format!(" ({})", counted(copies, "copy", "copies")),
    };
    let _ = writeln!(
        out,
        "sent           {}{copies} of {} in {}",
        counted(report.messages_sent, "message", "messages"),
        counted(report.size_bytes as u64, "byte", "bytes"),
        nanos(report.duration_ns)
    );
    if report.messages_sent > 1 && report.duration_ns > 0 {
        let asked = plan.rate.per_second().map_or(String::new(), |rate| format!(" of {} asked for", rate_text(rate)));
        let achieved = report.messages_sent as f64 / seconds(report.duration_ns);
        let _ = writeln!(out, "rate           {} messages/s{asked}", rate_text(achieved));
    }
    if let (Some(p50), Some(p99), Some(max)) = (report.lateness_p50_ns, report.lateness_p99_ns, report.lateness_max_ns)
    {
        let _ = writeln!(out, "lateness       {}   (against the schedule)", percentiles(p50, p99, max));
    }
    if report.copies_failed > 0 {
        let reason = report.first_failure.as_deref().unwrap_or("reason unknown");
        let _ =
            writeln!(out, "refused        {}; the first: {reason}", counted(report.copies_failed, "copy", "copies"));
    }
    out
}

/// The line of that block about those whom messages did not reach, of so many receivers; nothing when there are none.
pub(crate) fn not_reached(unreached: Option<&[Unreached]>, receivers: usize) -> String {
    let Some([first, others @ ..]) = unreached else { return String::new() };
    match (others, receivers) {
        ([], 1) => format!("not reached    {first}\n"),
        _ => format!("not reached    {} of {receivers} receivers; the first: {first}\n", others.len() + 1),
    }
}

/// The block for people at the end of `recv`.
pub(crate) fn received(report: &ReceiveReport, outage: Option<Duration>) -> String {
    let mut out = String::new();
    let total = |field| total(&report.streams, field);
    let (distinct, lost) = (total(|stream| stream.messages_received), total(|stream| stream.messages_lost));
    let senders = match report.streams.len() {
        0 | 1 => String::new(),
        n => format!(" from {n} senders"),
    };
    let mut what = Vec::new();
    if distinct > 0 || report.messages_text == 0 {
        what.push(counted(distinct, "message", "messages") + &senders);
    }
    if report.messages_text > 0 {
        what.push(counted(report.messages_text, "text", "texts"));
    }
    let _ = writeln!(
        out,
        "received       {}, {} of payload in {}",
        what.join(" and "),
        HumanBytes(report.message_bytes),
        nanos(report.duration_ns)
    );
    let _ = writeln!(out, "lost           {} ({})", HumanCount(lost), percent(lost, distinct));
    let _ = writeln!(out, "duplicates     {}", HumanCount(total(|stream| stream.messages_duplicate)));
    let _ = writeln!(out, "reordered      {}", HumanCount(total(|stream| stream.messages_reordered)));
    let stale = total(|stream| stream.messages_stale);
    if stale > 0 {
        let _ = writeln!(out, "stale          {}   (so old: late or a duplicate, nobody can say)", HumanCount(stale));
    }
    let _ = writeln!(
        out,
        "unrecognized   {}   (neither netlab's messages nor text)",
        HumanCount(report.messages_unrecognized)
    );
    if report.messages_other_destination > 0 {
        let _ = writeln!(
            out,
            "not for us     {}   (to this port by another kind of address)",
            HumanCount(report.messages_other_destination)
        );
    }
    match &report.streams[..] {
        [] => {}
        [one] => {
            let _ = write!(out, "{}", timing(one));
        }
        several => {
            for stream in several.iter().take(STREAM_LINES) {
                let _ = writeln!(out, "{}", stream_line(stream));
            }
            if several.len() > STREAM_LINES {
                let _ = writeln!(out, "  … and {} more; --csv and --json have them all", several.len() - STREAM_LINES);
            }
        }
    }
    let dropped = report.socket_dropped.map_or("unknown".to_owned(), |count| HumanCount(count).to_string());
    let _ = writeln!(out, "socket drops   {dropped}   (buffer of {})", HumanBytes(report.receive_buffer_bytes));
    if let Some(outage) = outage.filter(|outage| !outage.is_zero()) {
        let _ = writeln!(out, "interface      gone, down or without a link for {}", nanos(outage.as_nanos() as u64));
    }
    out
}

/// Writes a header and one row per stream to a `--csv` file.
///
/// Columns: `mode`, `duration_s`, `messages_text`, `messages_unrecognized` and `socket_dropped` are of the whole socket, the same in
/// every row; the others are of the row's stream. Without any stream there is one row with those of the socket alone.
///
/// # Errors
/// When the file cannot be written to.
pub(crate) fn write_csv(out: impl io::Write, mode: Mode, report: &ReceiveReport) -> csv::Result<()> {
    let socket = SocketColumns {
        mode,
        duration_s: seconds(report.duration_ns),
        messages_text: report.messages_text,
        messages_unrecognized: report.messages_unrecognized,
        socket_dropped: report.socket_dropped,
    };
    let mut rows: Vec<_> = report.streams.iter().map(Stream::of).collect();
    if rows.is_empty() {
        rows.push(Stream::default());
    }
    let mut writer = csv::Writer::from_writer(out);
    for row in &rows {
        writer.serialize((row, &socket))?;
    }
    Ok(writer.flush()?)
}

/// The sum over all streams; forged sequences can make it no more than the largest number.
fn total(streams: &[StreamReport], field: fn(&StreamReport) -> u64) -> u64 {
    streams.iter().map(field).fold(0, u64::saturating_add)
}

/// Jitter and latency of the only stream.
fn timing(stream: &StreamReport) -> String {
    let mut out = String::new();
    if let Some(jitter) = stream.jitter_ns {
        let _ = writeln!(out, "jitter         {}   (RFC 3550)", nanos(jitter));
    }
    match stream.latency {
        Some(latency) => {
            let _ = writeln!(out, "latency        {}   (send to program, same clock)", spread(latency));
        }
        None => {
            let _ = writeln!(out, "latency        {}", no_latency(stream));
        }
    }
    if let Some(latency) = stream.kernel_latency {
        let _ = writeln!(out, "  to kernel    {}   (send to the kernel's timestamp)", spread(latency));
    }
    out
}

/// Why a stream has no latency, in words.
pub(crate) fn no_latency(stream: &StreamReport) -> &'static str {
    match stream.clock {
        SenderClock::Another => "not measured: the sender's clock is another one",
        SenderClock::Untold => "not measured: the sender does not say which clock it reads",
        SenderClock::Same => "not measured: the send times are none of this clock",
    }
}

/// One of several streams.
fn stream_line(stream: &StreamReport) -> String {
    let latency = stream.latency.map_or(String::new(), |latency| format!(" · latency {}", spread(latency)));
    let stale = match stream.messages_stale {
        0 => String::new(),
        stale => format!(" · {} stale", HumanCount(stale)),
    };
    format!(
        "  run {:016x}: {} · {} lost ({}) · {} duplicate · {} reordered{stale}{latency}",
        stream.run_id,
        counted(stream.messages_received, "message", "messages"),
        HumanCount(stream.messages_lost),
        percent(stream.messages_lost, stream.messages_received),
        HumanCount(stream.messages_duplicate),
        HumanCount(stream.messages_reordered),
    )
}

fn spread(latency: LatencySummary) -> String {
    percentiles(latency.p50_ns, latency.p99_ns, latency.max_ns)
}

fn percentiles(p50_ns: u64, p99_ns: u64, max_ns: u64) -> String {
    format!("p50 {} · p99 {} · max {}", nanos(p50_ns), nanos(p99_ns), nanos(max_ns))
}

fn seconds(ns: u64) -> f64 {
    ns as f64 / 1e9
}

/// A time in the unit that suits it.
pub(crate) fn nanos(ns: u64) -> String {
    match ns {
        0..1_000 => format!("{ns} ns"),
        1_000..1_000_000 => format!("{:.1} µs", ns as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} ms", ns as f64 / 1e6),
        _ => format!("{:.3} s", seconds(ns)),
    }
}

/// A rate with as many digits as it deserves.
pub(crate) fn rate_text(per_second: f64) -> String {
    if per_second < 100.0 { format!("{per_second:.1}") } else { HumanCount(per_second.round() as u64).to_string() }
}

/// A number with its noun.
pub(crate) fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{} {}", HumanCount(count), if count == 1 { one } else { many })
}

/// The share of `lost` in all there were.
fn percent(lost: u64, received: u64) -> String {
    match lost as f64 + received as f64 {
        0.0 => "–".to_owned(),
        all => format!("{:.2} %", 100.0 * lost as f64 / all),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::answers::Why;
    use crate::delivery::sender::Payload;
    use crate::units::Rate;

    fn stream(run_id: u64, max_ns: u64) -> StreamReport {
        let latency =
            LatencySummary { samples: 9, min_ns: 1, p50_ns: 2_000, p90_ns: 3, p99_ns: 4_000, p999_ns: 5, max_ns };
        StreamReport {
            run_id,
            clock: SenderClock::Same,
            messages_received: 9,
            messages_lost: 1,
            messages_duplicate: 2,
            messages_reordered: 3,
            jitter_ns: Some(500),
            latency: Some(latency),
            ..StreamReport::default()
        }
    }

    fn report(streams: Vec<StreamReport>) -> ReceiveReport {
        ReceiveReport { streams, messages_unrecognized: 4, duration_ns: 1_500_000_000, ..ReceiveReport::default() }
    }

    #[test]
    fn a_single_stream_is_the_summary() {
        let value =
            serde_json::to_value(Summary::of_recv(Mode::Multicast, &report(vec![stream(1, 70)]), None, false)).unwrap();
        assert_eq!((&value["event"], &value["mode"]), (&"summary".into(), &"multicast".into()));
        assert_eq!((&value["messages_received"], &value["messages_lost"]), (&9.into(), &1.into()));
        assert_eq!((&value["messages_unrecognized"], &value["latency_p50_ns"]), (&4.into(), &2000.into()));
        assert!(value["messages_sent"].is_null() && value["socket_dropped"].is_null());
        assert!(value.as_object().unwrap().contains_key("messages_sent"));
    }

    #[test]
    fn several_streams_add_up_where_they_can() {
        let report = report(vec![stream(1, 70), stream(2, 90)]);
        let value = serde_json::to_value(Summary::of_recv(Mode::Unicast, &report, None, false)).unwrap();
        assert_eq!((&value["messages_received"], &value["messages_reordered"]), (&18.into(), &6.into()));
        assert_eq!(value["latency_max_ns"], 90);
        assert!(value["latency_p50_ns"].is_null());
        assert_eq!(value["streams"].as_array().unwrap().len(), 2);
        let text = received(&report, None);
        assert!(
            text.contains("18 messages from 2 senders") && text.contains("run 0000000000000002: 9 messages"),
            "{text}"
        );
        assert!(text.contains("lost           2 (10.00 %)"), "{text}");
    }

    #[test]
    fn who_was_not_reached() {
        let unreached = |host: u8| Unreached { to: ([10, 9, 0, host], 4747).into(), why: Why::NoNeighbourAtFirst };
        let some = [unreached(2), unreached(3)];
        assert_eq!(not_reached(None, 1), "");
        assert_eq!(not_reached(Some(&[]), 2), "");
        let reason = "10.9.0.2 did not answer ARP for some of the time";
        assert_eq!(not_reached(Some(&some[..1]), 1), format!("not reached    {reason}\n"));
        assert_eq!(not_reached(Some(&some[..1]), 3), format!("not reached    1 of 3 receivers; the first: {reason}\n"));
        assert_eq!(not_reached(Some(&some), 3), format!("not reached    2 of 3 receivers; the first: {reason}\n"));
        let value = |unreached| serde_json::to_value(Summary::default().not_reaching(unreached)).unwrap();
        let (none, two, unknown) = (value(Some(&[])), value(Some(&some)), value(None));
        assert_eq!((&none["receivers_unreached"], &none["first_unreached"]), (&0.into(), &serde_json::Value::Null));
        assert_eq!((&two["receivers_unreached"], &two["first_unreached"]), (&2.into(), &reason.into()));
        assert!(unknown["receivers_unreached"].is_null());
    }

    #[test]
    fn an_outage_is_told() {
        let told = |outage| {
            let value = serde_json::to_value(Summary::of_recv(Mode::Unicast, &report(vec![]), outage, false)).unwrap();
            (
                value["interface_outage_s"].clone(),
                received(&report(vec![]), outage).contains("without a link for 1.500 s"),
            )
        };
        assert_eq!(told(Some(Duration::from_millis(1_500))), (1.5.into(), true));
        assert_eq!(told(Some(Duration::ZERO)), (0.0.into(), false));
        assert_eq!(told(None), (serde_json::Value::Null, false));
    }

    #[test]
    fn a_latency_that_was_not_measured_has_a_reason() {
        for (clock, why) in [
            (SenderClock::Another, "the sender's clock is another one"),
            (SenderClock::Untold, "the sender does not say which clock it reads"),
            (SenderClock::Same, "the send times are none of this clock"),
        ] {
            let text = received(&report(vec![StreamReport { clock, latency: None, ..stream(1, 0) }]), None);
            assert!(text.contains(&format!("\nlatency        not measured: {why}\n")), "{text}");
            assert!(text.contains("jitter         500 ns"), "{text}");
        }
    }

    #[test]
    fn what_is_shown_adds_up() {
        let stale = StreamReport { messages_stale: 1, ..stream(1, 70) };
        let mut report =
            ReceiveReport { messages_text: 1, bytes: 999, message_bytes: 200, ..report(vec![stale.clone()]) };
        let text = received(&report, None);
        assert!(text.contains("received       9 messages and 1 text, 200 B of payload in 1.500 s"), "{text}");
        assert!(text.contains("stale          1   ("), "{text}");
        report.streams.push(stale);
        let text = received(&report, None);
        assert!(text.contains("18 messages from 2 senders and 1 text, ") && text.contains(" · 1 stale"), "{text}");
        report.streams.clear();
        let text = received(&report, None);
        assert!(text.contains("received       1 text, 200 B") && !text.contains("stale"), "{text}");
        report.messages_text = 0;
        assert!(received(&report, None).contains("received       0 messages, "));
    }

    #[test]
    fn csv_has_a_row_per_stream() {
        let csv = |report: &ReceiveReport| {
            let mut out = Vec::new();
            write_csv(&mut out, Mode::Unicast, report).unwrap();
            String::from_utf8(out).unwrap()
        };
        let header = "run_id,stream_id,messages_received,messages_lost,messages_duplicate,messages_reordered,messages_stale,jitter_ns,\
                      latency_p50_ns,latency_p99_ns,latency_max_ns,kernel_latency_p50_ns,kernel_latency_p99_ns,clock,\
                      mode,duration_s,messages_text,messages_unrecognized,socket_dropped\n";
        assert_eq!(
            csv(&report(vec![stream(1, 70), stream(2, 90)])),
            format!(
                "{header}0000000000000001,0,9,1,2,3,0,500,2000,4000,70,,,same,unicast,1.5,0,4,\n\
                 0000000000000002,0,9,1,2,3,0,500,2000,4000,90,,,same,unicast,1.5,0,4,\n"
            )
        );
        assert_eq!(csv(&report(vec![])), format!("{header},,,,,,,,,,,,,,unicast,1.5,0,4,\n"));
    }

    #[test]
    fn what_was_sent() {
        let payload = Payload::Text("x".into());
        let plan = SendPlan {
            rate: Rate::PerSecond(1000.0),
            burst: 1,
            count: Some(10),
            duration: None,
            catches_up: true,
            payload,
        };
        let report = SendReport {
            messages_sent: 1000,
            copies_sent: 4000,
            copies_failed: 1,
            first_failure: Some("Network is unreachable".into()),
            size_bytes: 64,
            duration_ns: 1_000_000_000,
            ..SendReport::default()
        };
        let text = sent(&plan, &report);
        assert!(text.contains("1,000 messages (4,000 copies) of 64 bytes in 1.000 s"), "{text}");
        assert!(text.contains("1,000 messages/s of 1,000 asked for"), "{text}");
        assert!(text.contains("refused        1 copy; the first: Network is unreachable"), "{text}");
        let value = serde_json::to_value(Summary::of_send(Mode::Unicast, &plan, &report, true)).unwrap();
        assert_eq!((&value["copies_sent"], &value["interrupted"]), (&4000.into(), &true.into()));
        assert!(value["messages_received"].is_null() && value["lateness_p99_ns"].is_null());
        assert!(value["error"].is_null());
        let failed = Summary::of_send(Mode::Unicast, &plan, &report, false).failed(Some(&Error::failed("gone")));
        assert_eq!(serde_json::to_value(failed).unwrap()["error"], "gone");
    }
}
