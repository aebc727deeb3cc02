//! The metrics that are drawn: how they are called, and how their figures are written.

use std::borrow::Cow;

use crate::results::figure;
use crate::results::row::SummaryRow;
use crate::results::summary::ALL;
use crate::results::trial::Who;
use crate::units::{Mode, Role};

/// A metric of the summary.
#[derive(Clone, Debug)]
pub(super) struct Metric {
    /// Its role in the summary, or a group of hosts there.
    pub(super) role: Cow<'static, str>,
    /// Its name in the summary.
    pub(super) name: &'static str,
    /// A heading.
    pub(super) title: Cow<'static, str>,
    /// What its figures are in.
    pub(super) unit: &'static str,
    kind: Kind,
    /// Of a group: its number, as names of files hold no text from elsewhere.
    group: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    /// Frames and the like for each message: exact.
    Count,
    /// µs.
    Cost,
    /// Kept in ns, shown in µs.
    Nanos,
    /// Kept in ns, shown in ms.
    Millis,
    /// Kept as a ratio, shown in percent.
    Share,
    /// Things a second.
    Rate,
}

const fn metric(role: &'static str, name: &'static str, title: &'static str, unit: &'static str, kind: Kind) -> Metric {
    Metric { role: Cow::Borrowed(role), name, title: Cow::Borrowed(title), unit, kind, group: None }
}

/// Frames over all links.
pub(super) const ALL_LINKS: Metric =
    metric(ALL, "link_frames", "Frames on all links together", "frames per message", Kind::Count);
/// CPU time of the roles that are told apart.
pub(super) static COSTS: [Metric; 6] = [
    metric("sender", "cpu_send", "Sending: CPU time of the sender", "µs per message", Kind::Cost),
    metric("sender", "cpu_wake", "Waking the sender, the same in any mode", "µs per message", Kind::Cost),
    // Where sending and waking are not told apart.
    metric("sender", "cpu_total", "CPU time of the sender", "µs per message", Kind::Cost),
    metric("server", "cpu_total", "CPU time of the server", "µs per message", Kind::Cost),
    metric("receiver", "cpu_total", "CPU time of each receiver", "µs per message", Kind::Cost),
    metric("bystander", "cpu_total", "CPU time of each bystander", "µs per message", Kind::Cost),
];

/// All that a sweep may show, in this order.
pub(super) const SWEPT: &[Metric] = &[
    // Few labs have these, which are then about them.
    metric("receiver", "join_delay", "From joining to the first message", "ms", Kind::Millis),
    metric("receiver", "leave_delay", "From leaving to the last message", "ms", Kind::Millis),
    metric("receiver", "flow_received", "Datagrams of an unrelated flow at each receiver", "datagrams/s", Kind::Rate),
    metric("bystander", "work", "Unrelated work on a bystander", "pieces/s", Kind::Rate),
    ALL_LINKS,
    metric("sender", "link_tx_frames", "Frames the sender sends", "frames per message", Kind::Count),
    metric("server", "link_tx_frames", "Frames the server sends", "frames per message", Kind::Count),
    metric("bystander", "link_rx_frames", "Frames at each bystander", "frames per message", Kind::Count),
    metric("sender", "cpu_send", "Sending: CPU time of the sender", "µs per message", Kind::Cost),
    metric("server", "cpu_total", "CPU time of the server", "µs per message", Kind::Cost),
    metric("receiver", "cpu_total", "CPU time of each receiver", "µs per message", Kind::Cost),
    metric("bystander", "cpu_total", "CPU time of each bystander", "µs per message", Kind::Cost),
    metric("bystander", "cpu_share", "Spent on bystanders, of the PCs’ CPU time", "percent", Kind::Share),
    metric("receiver", "delivered", "Delivered to each receiver", "percent of the messages", Kind::Share),
    metric("receiver", "latency_p50", "From sending to the program, median", "µs", Kind::Nanos),
    metric("receiver", "latency_p99", "From sending to the program, 99 %", "µs", Kind::Nanos),
    metric("sender", "skew_p50", "From the first to the last receiver, median", "µs", Kind::Nanos),
    metric("sender", "request_p50", "From a request to its answer, median", "µs", Kind::Nanos),
    metric("sender", "rate", "Messages a second, as sent", "messages/s", Kind::Rate),
];

/// What is shown of a group that a lab named: of what it alone has, and of what differs between the groups of a role.
static OF_GROUPS: [Metric; 6] = [
    metric("receiver", "delivered", "Delivered to each host of", "percent of the messages", Kind::Share),
    metric("", "cpu_total", "CPU time of each host of", "µs per message", Kind::Cost),
    metric("", "join_delay", "From joining to the first message, hosts of", "ms", Kind::Millis),
    metric("", "leave_delay", "From leaving to the last message, hosts of", "ms", Kind::Millis),
    metric("", "work", "Unrelated work at each host of", "pieces/s", Kind::Rate),
    metric("", "flow_received", "Datagrams of an unrelated flow at each host of", "datagrams/s", Kind::Rate),
];
/// Groups of a role that differ by less than this part are as good as alike; CPU times scatter more.
const ALIKE: f64 = 0.2;
const ALIKE_IN_COST: f64 = 0.5;

/// The metrics of named groups that the role's figures do not tell already. `summaries` are those of the settings.
pub(super) fn of_groups(summaries: &[&[SummaryRow]]) -> Vec<Metric> {
    let rows = || summaries.iter().flat_map(|summary| summary.iter());
    let mut groups: Vec<&str> = Vec::new();
    for row in rows() {
        if matches!(Who::named(&row.role), Some(Who::Group(_))) && !groups.contains(&row.role.as_str()) {
            groups.push(&row.role);
        }
    }
    let tells = |metric: &Metric, group: &str| {
        let mut of_group = rows().filter(|row| row.metric == metric.name && row.role == group);
        of_group.any(|row| {
            let of_role = |role: &&SummaryRow| {
                role.metric == row.metric
                    && role.condition == row.condition
                    && role.mode == row.mode
                    && [Role::Server, Role::Receiver, Role::Bystander].iter().any(|one| one.as_str() == role.role)
            };
            let alike = if metric.kind == Kind::Cost { ALIKE_IN_COST } else { ALIKE };
            let mut roles = rows().filter(of_role).filter_map(|role| role.mean).peekable();
            let mean = row.mean.unwrap_or(0.0);
            // What a role as a whole has is told by it, where some role's figure is this one's.
            roles.peek().is_none() || roles.all(|role| (role - mean).abs() > alike * role.abs().max(mean.abs()))
        })
    };
    let of_group = |metric: &'static Metric, index: usize, group: &str| Metric {
        role: Cow::Owned(group.to_owned()),
        title: Cow::Owned(format!("{} “{group}”", metric.title)),
        group: Some(index + 1),
        ..metric.clone()
    };
    let of_metric = |metric: &'static Metric| {
        let telling = groups.iter().enumerate().filter(|(_, group)| tells(metric, group)).collect::<Vec<_>>();
        telling.into_iter().map(|(index, group)| of_group(metric, index, group)).collect::<Vec<_>>()
    };
    OF_GROUPS.iter().flat_map(of_metric).collect()
}

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

    /// Whether it is of a group that a lab named.
    pub(super) fn is_of_group(&self) -> bool {
        self.group.is_some()
    }

    /// Whether no role has it as a whole, so that a lab that has it is about it.
    pub(super) fn is_of_group_alone(&self) -> bool {
        self.is_of_group() && !matches!(self.name, "delivered" | "cpu_total")
    }

    /// Its name in names of files.
    pub(super) fn slug(&self) -> String {
        match self.group {
            Some(number) => format!("group-{number}-{}", self.name),
            None => format!("{}-{}", self.role, self.name),
        }
        .replace('_', "-")
    }

    /// The figure of a row; `None` where it was not measured.
    pub(super) fn figure(&self, row: Option<&SummaryRow>) -> Option<Figure> {
        let row = row?;
        let factor = self.factor();
        Some(Figure {
            mean: row.mean? * factor,
            interval: row.ci95_low.zip(row.ci95_high).map(|(low, high)| match self.kind {
                // No share is below nothing or above all.
                Kind::Share => {
                    ((low * factor).max(0.0), (high * factor).min(row.mean.unwrap_or(0.0).max(1.0) * factor))
                }
                _ => (low * factor, high * factor),
            }),
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
            Kind::Nanos | Kind::Millis => figure::cost(mean.map(|ns| ns * self.factor())),
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
        if matches!(self.kind, Kind::Cost | Kind::Nanos | Kind::Millis) {
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
        // A sender is hardly ever on the dot, and a query or so in a whole trial is no difference.
        let (same, least) = match self.kind {
            Kind::Rate => (0.02, 0.0),
            Kind::Count => (1e-3, 0.005),
            Kind::Cost => (1e-3, 0.05),
            Kind::Share if self.name == "delivered" => (1e-3, 0.1),
            Kind::Share => (1e-3, 0.5),
            Kind::Nanos | Kind::Millis => (1e-3, 0.0),
        };
        high - low > (high.abs() * same).max(least)
    }

    fn factor(&self) -> f64 {
        match self.kind {
            Kind::Count | Kind::Cost | Kind::Rate => 1.0,
            Kind::Nanos => 1e-3,
            Kind::Millis => 1e-6,
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
    fn a_share_is_drawn_between_nothing_and_all() {
        let figure = of(Kind::Share).figure(row(&[1.0, 0.7, 1.0]).as_ref()).unwrap();
        assert_eq!(figure.interval.map(|(_, high)| high), Some(100.0));
        let figure = of(Kind::Share).figure(row(&[0.0, 0.3, 0.0]).as_ref()).unwrap();
        assert_eq!(figure.interval.map(|(low, _)| low), Some(0.0));
    }

    #[test]
    fn groups_are_shown_where_their_role_does_not_tell() {
        let row =
            |role: &str, metric: &str, value: f64| SummaryRow::of("c", Mode::Multicast, role, metric, "u", &[value]);
        let rows: Vec<SummaryRow> = [
            row("receiver", "delivered", 0.6),
            row("slow", "delivered", 0.2),
            row("quick", "delivered", 0.62),
            row("slow", "join_delay", 5e6),
            row("receiver", "rate", 1.0),
            row("slow", "rate", 2.0),
        ]
        .into_iter()
        .flatten()
        .collect();
        let metrics = of_groups(&[&rows]);
        let told: Vec<_> = metrics.iter().map(|metric| (metric.title.as_ref(), metric.slug())).collect();
        assert_eq!(
            told,
            [
                ("Delivered to each host of “slow”", "group-1-delivered".to_owned()),
                ("From joining to the first message, hosts of “slow”", "group-1-join-delay".to_owned()),
            ]
        );
        assert_eq!(metrics[1].short(Some(&rows[3])), "5.00");
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
