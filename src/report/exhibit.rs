//! What the page shows of one setting: the main table and its charts, each with its figures as a table.

use maud::{Markup, html};

use super::data::Group;
use super::drawing::Drawing;
use super::metric::{COSTS, Metric};
use super::rows::{Mark, Row, RowChart, RowGroup};
use super::table::Table;
use crate::results::figure;
use crate::results::funnel::LAYERS;
use crate::results::row::SummaryRow;
use crate::results::summary::{ALL, mean};
use crate::units::{Mode, Role};

/// Largest UDP payload that goes into one frame of 1500 bytes (IPv4).
const ONE_FRAME: usize = 1472;

/// A picture with its caption and its figures.
#[derive(Debug)]
pub(super) struct Exhibit {
    /// The picture, and what goes to a file.
    pub(super) drawing: Drawing,
    /// Words under it; empty for none.
    pub(super) caption: String,
    /// Its figures.
    pub(super) table: Table,
}

impl Exhibit {
    /// A `<figure>`.
    pub(super) fn markup(&self) -> Markup {
        figure_of(&html! { (self.drawing.inline()) }, &self.caption, &self.table, &self.drawing.name)
    }
}

/// A `<figure>` of a picture whose file has this name.
pub(super) fn figure_of(picture: &Markup, caption: &str, table: &Table, name: &str) -> Markup {
    html! {
        figure {
            (picture)
            @if !caption.is_empty() { figcaption { (caption) } }
            div.below {
                details { summary { "Figures" } (table.markup()) }
                a href={ "charts/" (name) ".svg" } { "SVG" }
            }
        }
    }
}

/// The main table of a setting: the same as on the terminal.
pub(super) fn main_table(group: &Group) -> Table {
    let mut table = Table::new("Frames, exact, and CPU time with 95 % confidence intervals")
        .group("", ["mode"])
        .group("frames per message", ["sender", "all links", "each bystander"])
        .group("CPU µs per message [95 %]", ["sender", "each receiver", "each bystander"])
        .group("spent on", ["bystanders"])
        .group("", ["delivered"]);
    for &mode in &group.setting.modes {
        let mean = |role, metric| mean(&group.summary, mode, role, metric);
        let cpu = |role| figure::cost_with_interval(group.figures(mode, role, "cpu_total"));
        table.row_of(
            mode,
            vec![
                mode.to_string(),
                figure::amount(mean("sender", "link_tx_frames")),
                figure::amount(mean(ALL, "link_frames")),
                figure::amount(mean("bystander", "link_rx_frames")),
                cpu("sender"),
                cpu("receiver"),
                cpu("bystander"),
                figure::share(mean("bystander", "cpu_share")),
                figure::delivered(mean("receiver", "delivered")),
            ],
        );
    }
    table
}

/// What a message costs each role.
pub(super) fn costs(group: &Group) -> Exhibit {
    let measured = |metric: &&Metric| {
        group.setting.modes.iter().any(|&mode| group.figures(mode, metric.role, metric.name).is_some())
    };
    let row = |metric: &Metric, mode: Mode| {
        let row = group.figures(mode, metric.role, metric.name);
        let mark =
            metric.figure(row).map_or(Mark::None, |figure| Mark::Bar { value: figure.mean, interval: figure.interval });
        Row { mode, mark, text: metric.with_interval(row) }
    };
    let metrics: Vec<&Metric> = COSTS.iter().filter(measured).collect();
    let groups = metrics
        .iter()
        .map(|metric| RowGroup {
            heading: metric.title.to_owned(),
            rows: group.setting.modes.iter().map(|&mode| row(metric, mode)).collect(),
        })
        .collect();
    let mut table = Table::new("CPU time for each message, in µs, with 95 % confidence intervals")
        .columns(["mode"].into_iter().chain(metrics.iter().map(|metric| metric.title)).chain(["repeats"]));
    for &mode in &group.setting.modes {
        let cells = metrics.iter().map(|m| m.with_interval(group.figures(mode, m.role, m.name)));
        let repeats =
            group.figures(mode, "sender", "cpu_total").map_or(figure::MISSING.to_owned(), |r| r.n.to_string());
        table.row_of(mode, [mode.to_string()].into_iter().chain(cells).chain([repeats]).collect());
    }
    let chart = RowChart {
        name: format!("cost-{}", group.number),
        title: "What a message costs: CPU time".to_owned(),
        unit: "µs per message".to_owned(),
        parts: Vec::new(),
        groups,
    };
    Exhibit {
        drawing: chart.drawing(),
        caption: "Bars: mean over the repeats. Whiskers: 95 % confidence interval. ~: disturbed by other load."
            .to_owned(),
        table,
    }
}

/// Where packets ended.
pub(super) fn funnel(group: &Group) -> Exhibit {
    let ends: Vec<&str> = LAYERS.iter().filter(|layer| !layer.passed).map(|layer| layer.title).collect();
    let rest = if group.setting.size_bytes > ONE_FRAME { "other pieces of a message" } else { "not told apart" };
    let row = |mode, role| {
        let (mark, text) = match ended(&group.summary, mode, role) {
            Some(parts) => {
                let all = parts.iter().fold(0.0, |all, (_, amount)| all + amount);
                (Mark::Stack(parts), figure::amount(Some(all)))
            }
            None => (Mark::None, figure::MISSING.to_owned()),
        };
        Row { mode, mark, text }
    };
    let groups = group
        .listeners()
        .into_iter()
        .map(|role| RowGroup {
            heading: format!("at each {role}"),
            rows: group.setting.modes.iter().map(|&mode| row(mode, role)).collect(),
        })
        .collect();
    let chart = RowChart {
        name: format!("funnel-{}", group.number),
        title: "Where packets ended".to_owned(),
        unit: "frames per message".to_owned(),
        parts: ends.into_iter().chain(["to the program", rest]).collect(),
        groups,
    };
    Exhibit {
        drawing: chart.drawing(),
        caption: "Each frame on a host’s link, by the kernel’s counter of the layer at which it ended.".to_owned(),
        table: funnel_table(group),
    }
}

/// The layers at which a message's packets ended at each host of a role, as parts of the chart; `None` where it was not
/// measured what reached the link.
fn ended(summary: &[SummaryRow], mode: Mode, role: Role) -> Option<Vec<(usize, f64)>> {
    let amount = |title: &str| LAYERS.iter().find(|layer| layer.title == title)?.amount(summary, mode, role);
    let reached = amount("reached link")?;
    let before = amount("filtered by the card").unwrap_or(0.0) + amount("link ring full").unwrap_or(0.0);
    let ends = LAYERS.iter().filter(|layer| !layer.passed).map(|layer| layer.title).chain(["to the program"]);
    let mut parts: Vec<(usize, f64)> =
        ends.enumerate().filter_map(|(index, title)| Some((index, amount(title)?))).collect();
    let told: f64 = parts.iter().map(|(_, amount)| amount).sum();
    let rest = before + reached - told;
    if rest >= 0.005 {
        parts.push((LAYERS.iter().filter(|layer| !layer.passed).count() + 1, rest));
    }
    parts.retain(|(_, amount)| *amount > 0.0);
    Some(parts)
}

fn funnel_table(group: &Group) -> Table {
    let roles = group.listeners();
    let mut table = Table::new("Where packets ended, per message").group("", ["at each"]);
    for mode in &group.setting.modes {
        table = table.group(mode.as_str(), roles.iter().map(|role| role.as_str()));
    }
    for layer in LAYERS {
        let places = group.setting.modes.iter().flat_map(|&mode| roles.iter().map(move |&role| (mode, role)));
        let amounts = places.map(|(mode, role)| figure::amount(layer.amount(&group.summary, mode, role)));
        table.row([layer.title.to_owned()].into_iter().chain(amounts).collect());
    }
    table
}

/// How long a message took; `None` where no time was measured.
pub(super) fn delays(group: &Group) -> Option<Exhibit> {
    const SPANS: [(&str, &str, &str, &str); 3] = [
        ("from sending to the receiving program", "receiver", "latency_p50", "latency_p99"),
        ("from sending to the receiver’s kernel", "receiver", "kernel_latency_p50", "kernel_latency_p99"),
        ("from the first receiver to the last", "sender", "skew_p50", "skew_p99"),
    ];
    let time = |mode, role, metric| {
        let row = group.figures(mode, role, metric);
        let micros = row.and_then(|row| row.median).map(|ns| ns / 1e3);
        let doubt = if row.is_some_and(|row| row.doubtful > 0) { "~" } else { "" };
        (micros, format!("{doubt}{}", figure::cost(micros)))
    };
    let row = |mode, (_, role, usual, rare): &(&str, &'static str, &'static str, &'static str)| {
        let ((from, from_text), (to, to_text)) = (time(mode, role, usual), time(mode, role, rare));
        match from {
            None => Row { mode, mark: Mark::None, text: figure::MISSING.to_owned() },
            Some(from) => Row {
                mode,
                mark: Mark::Range { from, to: to.unwrap_or(from) },
                text: format!("{from_text} … {to_text}"),
            },
        }
    };
    let groups: Vec<RowGroup> = SPANS
        .iter()
        .map(|span| RowGroup {
            heading: span.0.to_owned(),
            rows: group.setting.modes.iter().map(|&mode| row(mode, span)).collect(),
        })
        .filter(|spans| spans.rows.iter().any(|row| !matches!(row.mark, Mark::None)))
        .collect();
    if groups.is_empty() {
        return None;
    }
    let mut table = Table::new("How long a message took, in µs").group("", ["mode"]);
    for (title, ..) in SPANS {
        table = table.group(title, ["median", "99 %"]);
    }
    for &mode in &group.setting.modes {
        let cells =
            SPANS.iter().flat_map(|(_, role, usual, rare)| [usual, rare].map(|metric| time(mode, role, metric).1));
        table.row_of(mode, [mode.to_string()].into_iter().chain(cells).collect());
    }
    let chart = RowChart {
        name: format!("delay-{}", group.number),
        title: "How long a message took".to_owned(),
        unit: "µs, from the median to the 99th percentile".to_owned(),
        parts: Vec::new(),
        groups,
    };
    Some(Exhibit {
        drawing: chart.drawing(),
        caption: "Medians over the repeats; all hosts share one machine’s cores and clock.".to_owned(),
        table,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(mode: Mode, values: &[(&str, f64)]) -> Vec<SummaryRow> {
        let row = |(metric, value): &(&str, f64)| SummaryRow::of("c", mode, "bystander", metric, "", &[*value]);
        values.iter().filter_map(row).collect()
    }

    #[test]
    fn every_frame_has_an_end() {
        let of = |values: &[(&str, f64)]| ended(&summary(Mode::Unicast, values), Mode::Unicast, Role::Bystander);
        // A card that filters, a full ring, then the layers above; 0.5 of what reached the link no counter tells of.
        let all = of(&[
            ("nic_filtered", 3.0),
            ("link_ring_dropped", 0.25),
            ("link_rx_frames", 2.0),
            ("link_rx_other_host", 1.0),
            ("udp_ignored_multi", 0.5),
            ("udp_no_ports", 0.0),
        ]);
        assert_eq!(all, Some(vec![(0, 3.0), (2, 0.25), (3, 1.0), (7, 0.5), (11, 0.5)]));
        assert_eq!(of(&[("link_rx_frames", 0.0)]), Some(vec![]));
        assert_eq!(of(&[("udp_no_ports", 1.0)]), None, "what reached the link was not measured");
        let received = of(&[("link_rx_frames", 1.0), ("udp_in_datagrams", 1.0)]);
        assert_eq!(received, Some(vec![(10, 1.0)]));
    }
}
