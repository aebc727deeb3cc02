//! The metrics that are drawn: how they are called, and how their figures are written.

use crate::results::figure;
use crate::results::row::SummaryRow;
use crate::results::summary::ALL;
use crate::units::{Mode, Role};

/// A metric of the summary.
#[derive(Debug)]
pub(super) struct Metric {
    /// Its role in the summary.
    pub(super) role: &'static str,
    /// Its name in the summary.
    pub(super) name: &'static str,
    /// A heading.
    pub(super) title: &'static str,
    /// What its figures are in.
    pub(super) unit: &'static str,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    /// Frames and the like for each message: exact.
    Count,
    /// µs.
    Cost,
    /// Kept in ns, shown in µs.
    Nanos,
    /// Kept as a ratio, shown in percent.
    Share,
    /// Things a second.
    Rate,
}

const fn metric(role: &'static str, name: &'static str, title: &'static str, unit: &'static str, kind: Kind) -> Metric {
    Metric { role, name, title, unit, kind }
}

/// Frames over all links.
pub(super) const ALL_LINKS: Metric =
    metric(ALL, "link_frames", "Frames on all links together", "frames per message", Kind::Count);
/// CPU time of the roles that are told apart.
pub(super) const COSTS: [Metric; 4] = [
    metric("sender", "cpu_total", "CPU time of the sender", "µs per message", Kind::Cost),
    metric("server", "cpu_total", "CPU time of the server", "µs per message", Kind::Cost),
    metric("receiver", "cpu_total", "CPU time of each receiver", "µs per message", Kind::Cost),
    metric("bystander", "cpu_total", "CPU time of each bystander", "µs per message", Kind::Cost),
];

/// All that a sweep may show, in this order.
pub(super) const SWEPT: &[Metric] = &[
    ALL_LINKS,
    metric("sender", "link_tx_frames", "Frames the sender sends", "frames per message", Kind::Count),
    metric("server", "link_tx_frames", "Frames the server sends", "frames per message", Kind::Count),
    metric("bystander", "link_rx_frames", "Frames at each bystander", "frames per message", Kind::Count),
    metric("sender", "cpu_total", "CPU time of the sender", "µs per message", Kind::Cost),
    metric("server", "cpu_total", "CPU time of the server", "µs per message", Kind::Cost),
    metric("receiver", "cpu_total", "CPU time of each receiver", "µs per message", Kind::Cost),
    metric("bystander", "cpu_total", "CPU time of each bystander", "µs per message", Kind::Cost),
    metric("bystander", "cpu_share", "Spent on bystanders, of the PCs’ CPU time", "percent", Kind::Share),
    metric("receiver", "delivered", "Delivered to each receiver", "percent of the messages", Kind::Share),
    metric("receiver", "latency_p50", "From sending to the program, median", "µs", Kind::Nanos),
    metric("receiver", "latency_p99", "From sending to the program, 99 %", "µs", Kind::Nanos),
    metric("sender", "skew_p50", "From the first to the last receiver, median", "µs", Kind::Nanos),
    metric("sender", "request_p50", "From a request to its answer, median", "µs", Kind::Nanos),
    metric("receiver", "join_delay", "From joining to the first message", "µs", Kind::Nanos),
    metric("receiver", "leave_delay", "From leaving to the last message", "µs", Kind::Nanos),
    metric("sender", "rate", "Messages a second, as sent", "messages/s", Kind::Rate),
    metric("bystander", "work", "Unrelated work on a bystander", "pieces/s", Kind::Rate),
    metric("bystander", "flow_delivered", "Delivered of an unrelated flow", "percent", Kind::Share),
];

/// A figure to be drawn: the mean over the trials and its 95 % confidence interval, in the unit it is shown in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Figure {
    pub(super) mean: f64,
    /// Missing with a single trial.
    pub(super) interval: Option<(f64, f64)>,
    pub(super) doubtful: bool,
}

impl Metric {
    /// Whether there is such a thing in a mode.
    pub(super) fn is_of(&self, mode: Mode) -> bool {
        mode.has_server() || (self.role != Role::Server.as_str() && self.name != "request_p50")
    }

    /// The figure of a row; `None` where it was not measured.
    pub(super) fn figure(&self, row: Option<&SummaryRow>) -> Option<Figure> {
        let row = row?;
        let factor = self.factor();
        Some(Figure {
            mean: row.mean? * factor,
            interval: row.ci95_low.zip(row.ci95_high).map(|(low, high)| (low * factor, high * factor)),
            doubtful: row.doubtful > 0,
        })
    }

    /// The mean of a row as a person reads it: `–` where it was not measured, `~` before what is doubtful.
    pub(super) fn short(&self, row: Option<&SummaryRow>) -> String {
        let doubt = if row.is_some_and(|row| row.doubtful > 0) { "~" } else { "" };
        let mean = row.and_then(|row| row.mean);
        let text = match self.kind {
            Kind::Count => figure::amount(mean),
            Kind::Cost => figure::cost(mean),
            Kind::Nanos => figure::cost(mean.map(|ns| ns / 1e3)),
            Kind::Share if self.name == "delivered" => figure::delivered(mean),
            Kind::Share => figure::share(mean),
            Kind::Rate => mean.map_or_else(|| figure::MISSING.to_owned(), |rate| figure::count(rate.round())),
        };
        format!("{doubt}{text}")
    }

    /// The mean with half the width of its interval, where that is not 0.
    pub(super) fn with_interval(&self, row: Option<&SummaryRow>) -> String {
        let scaled = |row: &SummaryRow| SummaryRow {
            mean: row.mean.map(|value| value * self.factor()),
            ci95_low: row.ci95_low.map(|value| value * self.factor()),
            ci95_high: row.ci95_high.map(|value| value * self.factor()),
            ..row.clone()
        };
        if matches!(self.kind, Kind::Cost | Kind::Nanos) {
            return figure::cost_with_interval(row.map(scaled).as_ref());
        }
        let half = row.and_then(|row| Some((row.ci95_high? - row.ci95_low?) / 2.0 * self.factor()));
        let short = self.short(row);
        let half = match (half, self.kind) {
            (Some(half), Kind::Count) if half >= 0.005 => format!("{half:.2}"),
            (Some(half), Kind::Share) if half >= 0.5 => format!("{half:.0}"),
            (Some(half), Kind::Rate) if half >= 0.5 => figure::count(half.round()),
            _ => return short,
        };
        format!("{short} ± {half}")
    }

    /// Whether there is a difference to be seen between some of these means.
    pub(super) fn differ(&self, means: &[f64]) -> bool {
        let (low, high) = means.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), &m| (l.min(m), h.max(m)));
        // A sender is hardly ever on the dot.
        let same = if self.kind == Kind::Rate { 0.02 } else { 1e-3 };
        high - low > high.abs() * same
    }

    fn factor(&self) -> f64 {
        match self.kind {
            Kind::Count | Kind::Cost | Kind::Rate => 1.0,
            Kind::Nanos => 1e-3,
            Kind::Share => 100.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(values: &[f64]) -> Option<SummaryRow> {
        SummaryRow::of("c", Mode::Unicast, "sender", "m", "u", values)
    }

    fn of(kind: Kind) -> Metric {
        metric("sender", "m", "t", "u", kind)
    }

    #[test]
    fn figures_are_written_as_on_the_terminal() {
        let row = row(&[0.3, 0.5, 0.4]);
        let both = |kind| (of(kind).short(row.as_ref()), of(kind).with_interval(row.as_ref()));
        assert_eq!(both(Kind::Count), ("0.40".to_owned(), "0.40 ± 0.25".to_owned()));
        assert_eq!(both(Kind::Cost), ("0.40".to_owned(), "0.40 ± 0.25".to_owned()));
        assert_eq!(both(Kind::Share), ("40 %".to_owned(), "40 % ± 25".to_owned()));
        assert_eq!(both(Kind::Nanos), ("<0.01".to_owned(), "<0.01".to_owned()));
        assert_eq!(of(Kind::Count).with_interval(None), "–");
        assert_eq!(of(Kind::Rate).short(None), "–");
    }

    #[test]
    fn drawn_figures_are_in_the_unit_that_is_shown() {
        let doubtful = row(&[2000.0, 4000.0]).map(|row| SummaryRow { doubtful: 1, ..row });
        let figure = of(Kind::Nanos).figure(doubtful.as_ref()).unwrap();
        assert_eq!((figure.mean, figure.doubtful), (3.0, true));
        assert!(figure.interval.unwrap().0 < 0.0);
        assert_eq!(of(Kind::Nanos).short(doubtful.as_ref()), "~3.00");
        assert_eq!(of(Kind::Count).figure(row(&[1.0]).as_ref()).unwrap().interval, None);
        assert_eq!(of(Kind::Count).figure(None), None);
    }
}
