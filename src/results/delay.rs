//! How long a message took to its receivers, and how far apart the first and the last of them were.

use super::figure;
use super::grid::{Grid, wrapped};
use super::row::SummaryRow;
use super::setting::Setting;
use super::summary::find;
use super::table::Paint;

/// The table, its heading first, with a line end after each line. Times are medians over the trials of what the median
/// receiver (skew: the median message, and one in a hundred) saw; where there is a server, how long it took to answer the
/// sender before the messages too. `summary` and `columns` as for [`table`](super::table::table).
pub fn delays(setting: &Setting, summary: &[SummaryRow], paint: Paint, columns: usize) -> String {
    let mut grid = Grid::default()
        .group("", &["mode"])
        .group("send to program", &["median", "99 %"])
        .group("send to its kernel", &["median", "99 %"])
        .group("first to last receiver", &["median", "99 %"]);
    let asks = setting.modes.iter().any(|&mode| find(summary, mode, "sender", "request_p50").is_some());
    if asks {
        grid = grid.group("request to answer", &["median"]);
    }
    for &mode in &setting.modes {
        let time = |role, metric| {
            let row = find(summary, mode, role, metric);
            let doubt = if row.is_some_and(|row| row.doubtful > 0) { "~" } else { "" };
            let micros = row.and_then(|row| row.median).map(|ns| ns / 1e3);
            format!("{doubt}{}", figure::cost(micros))
        };
        let mut row = vec![
            mode.to_string(),
            time("receiver", "latency_p50"),
            time("receiver", "latency_p99"),
            time("receiver", "kernel_latency_p50"),
            time("receiver", "kernel_latency_p99"),
            time("sender", "skew_p50"),
            time("sender", "skew_p99"),
        ];
        if asks {
            row.push(time("sender", "request_p50"));
        }
        grid.row(row);
    }
    let heading = "How long a message took, in µs (all hosts share this machine's cores and its clock)";
    let heading: Vec<String> = wrapped(heading, columns, "", "").iter().map(|line| paint.bold(line) + "\n").collect();
    heading.concat() + &grid.fitted(paint, columns)
}

#[cfg(test)]
mod tests {
    use super::super::example::{rows, setting};
    use super::*;
    use crate::units::Mode;

    #[test]
    fn medians_in_microseconds_and_what_is_missing() {
        let mut summary = rows(
            Mode::Unicast,
            0.05,
            &[
                ("receiver", "latency_p50", 88_100.0),
                ("receiver", "latency_p99", 1_003_000.0),
                ("receiver", "kernel_latency_p50", 57_000.0),
                ("receiver", "kernel_latency_p99", 807_000.0),
                ("sender", "skew_p50", 9_870.0),
                ("sender", "skew_p99", 42_000.0),
            ],
        );
        summary[5].doubtful = 2;
        let setting = Setting { modes: vec![Mode::Unicast, Mode::Multicast], ..setting() };
        assert_eq!(
            delays(&setting, &summary, Paint::Plain, usize::MAX).lines().collect::<Vec<_>>(),
            [
                "How long a message took, in µs (all hosts share this machine's cores and its clock)",
                "            send to program   send to its kernel   first to last receiver",
                "mode        median  99 %      median  99 %         median  99 %",
                "unicast     88.1    1003      57.0    807          9.87    ~42.0",
                "multicast   –       –         –       –            –       –",
            ]
        );
    }

    #[test]
    fn a_server_answers_requests() {
        let values = [("receiver", "latency_p50", 225_000.0), ("sender", "request_p50", 140_000.0)];
        let setting = Setting { modes: vec![Mode::Multicast, Mode::Chat], ..setting() };
        let text = delays(&setting, &rows(Mode::Chat, 0.05, &values), Paint::Plain, usize::MAX);
        assert_eq!(
            text.lines().skip(1).collect::<Vec<_>>(),
            [
                "            send to program   send to its kernel   first to last receiver   request to answer",
                "mode        median  99 %      median  99 %         median  99 %             median",
                "multicast   –       –         –       –            –       –                –",
                "chat        225     –         –       –            –       –                140",
            ]
        );
    }
}
