//! What the page shows of one setting: the main table and its charts, each with its figures as a table.

use maud::{Markup, html};

use super::data::{Group, each};
use super::drawing::Drawing;
use super::metric::{COSTS, Metric};
use super::rows::{Mark, Row, RowChart, RowGroup};
use super::table::Table;
use crate::results::figure;
use crate::results::funnel::{LAYERS, OTHER_FLOW, TO_PROGRAM, TO_TCP};
use crate::results::row::SummaryRow;
use crate::results::setting::LISTENERS;
use crate::results::summary::{ALL, mean, sender_cost};
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
    // A column for a server where there is one.
    let served = group.setting.has_server().then_some("server");
    let mut table = Table::new("Frames, exact, and CPU time with 95 % confidence intervals")
        .group("", ["mode"])
        .group("frames per message", ["sender"].into_iter().chain(served).chain(["all links", "each bystander"]))
        .group(
            "CPU µs per message [95 %]",
            ["sender"].into_iter().chain(served).chain(["each receiver", "each bystander"]),
        )
        .group("spent on", ["bystanders"])
        .group("", ["delivered"]);
    for &mode in &group.setting.modes {
        let mean = |role, metric| mean(&group.summary, mode, role, metric);
        let cpu = |role| figure::cost_with_interval(group.figures(mode, role, "cpu_total"));
        let mut cells = vec![mode.to_string(), figure::amount(mean("sender", "link_tx_frames"))];
        cells.extend(served.map(|server| figure::amount(mean(server, "link_tx_frames"))));
        cells.extend([figure::amount(mean(ALL, "link_frames")), figure::amount(mean("bystander", "link_rx_frames"))]);
        cells.push(figure::cost_with_interval(group.figures(mode, "sender", sender_cost(&group.summary))));
        cells.extend(served.map(cpu));
        cells.extend([
            cpu("receiver"),
            cpu("bystander"),
            figure::share(mean("bystander", "cpu_share")),
            figure::delivered(mean("receiver", "delivered")),
        ]);
        table.row_of(mode, cells);
    }
    table
}

/// What a message costs each role; `None` where no CPU time was measured.
pub(super) fn costs(group: &Group) -> Option<Exhibit> {
    let measured = |metric: &&Metric| {
        group.setting.modes.iter().any(|&mode| group.figures(mode, &metric.role, metric.name).is_some())
    };
    let row = |metric: &Metric, mode: Mode| {
        let row = group.figures(mode, &metric.role, metric.name);
        let mark =
            metric.figure(row).map_or(Mark::None, |figure| Mark::Bar { value: figure.mean, interval: figure.interval });
        Row { mode, mark, text: metric.with_interval(row) }
    };
    let is_told = |metric: &&Metric| {
        metric.role != "sender" || metric.name != "cpu_total" || sender_cost(&group.summary) == metric.name
    };
    let metrics: Vec<&Metric> = COSTS.iter().filter(measured).filter(is_told).collect();
    if metrics.is_empty() {
        return None;
    }
    let groups = metrics
        .iter()
        .map(|metric| RowGroup {
            heading: metric.title.to_string(),
            rows: group
                .setting
                .modes
                .iter()
                .filter(|mode| metric.is_of(**mode))
                .map(|&mode| row(metric, mode))
                .collect(),
        })
        .collect();
    let mut table = Table::new("CPU time for each message, in µs, with 95 % confidence intervals")
        .columns(["mode"].into_iter().chain(metrics.iter().map(|metric| metric.title.as_ref())).chain(["repeats"]));
    for &mode in &group.setting.modes {
        let cells = metrics.iter().map(|m| m.with_interval(group.figures(mode, &m.role, m.name)));
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
    Some(Exhibit {
        drawing: chart.drawing(),
        caption: "Bars: mean over the repeats. Whiskers: 95 % confidence interval. ~: disturbed by other load."
            .to_owned(),
        table,
    })
}

/// Where packets ended.
pub(super) fn funnel(group: &Group) -> Exhibit {
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
    let groups = LISTENERS
        .into_iter()
        .map(|role| RowGroup {
            heading: format!("at {}", each(role)),
            rows: group.modes_of(role).into_iter().map(|mode| row(mode, role)).collect(),
        })
        .filter(|group: &RowGroup| !group.rows.is_empty())
        .collect();
    let chart = RowChart {
        name: format!("funnel-{}", group.number),
        title: "Where packets ended".to_owned(),
        unit: "frames per message".to_owned(),
        parts: ends().chain([TO_PROGRAM, TO_TCP, OTHER_FLOW, rest]).collect(),
        groups,
    };
    Exhibit {
        drawing: chart.drawing(),
        caption: format!(
            "Each frame on a host’s link, by the kernel’s counter of the layer at which it ended.{}",
            if group.setting.has_server() {
                " TCP’s frames are data and acknowledgements; the kernel may take in several as one."
            } else {
                ""
            }
        ),
        table: funnel_table(group),
    }
}

/// The layers at which packets end, from the link up.
fn ends() -> impl Iterator<Item = &'static str> {
    LAYERS.iter().filter(|layer| !layer.passed).map(|layer| layer.title)
}

/// The layers at which a message's packets ended at each host of a role, as parts of the chart; `None` where it was not
/// measured what reached the link. What goes through a server comes by TCP, which is not of one frame a message.
fn ended(summary: &[SummaryRow], mode: Mode, role: Role) -> Option<Vec<(usize, f64)>> {
    let amount = |title: &str| LAYERS.iter().find(|layer| layer.title == title)?.amount(summary, mode, role);
    let reached = amount("reached link")?;
    let before: f64 = ["filtered by the card", "slow link full", "link ring full"].into_iter().filter_map(amount).sum();
    let mut parts: Vec<(usize, f64)> =
        ends().enumerate().filter_map(|(index, title)| Some((index, amount(title)?))).collect();
    let [program, tcp, other, untold] = [0, 1, 2, 3].map(|after| ends().count() + after);
    if !mode.has_server() {
        parts.extend(amount(TO_PROGRAM).map(|amount| (program, amount)));
    }
    parts.extend(amount(TO_TCP).map(|amount| (tcp, amount)));
    parts.extend(amount(OTHER_FLOW).map(|amount| (other, amount)));
    let told: f64 = parts.iter().map(|(_, amount)| amount).sum();
    let rest = before + reached - told;
    if rest >= 0.005 {
        parts.push((untold, rest));
    }
    parts.retain(|(_, amount)| *amount > 0.0);
    Some(parts)
}

fn funnel_table(group: &Group) -> Table {
    let setting = &group.setting;
    let mut table = Table::new("Where packets ended, per message").group("", ["at each"]);
    for &mode in &setting.modes {
        table = table.group(mode.as_str(), setting.listeners(mode).iter().map(|role| role.as_str()));
    }
    for layer in LAYERS {
        let amounts: Vec<Option<f64>> =
            setting.modes.iter().flat_map(|&mode| layer.amounts(setting, &group.summary, mode)).collect();
        // All places where packets can end are listed; what gets to TCP or is of another flow, where there is such a thing.
        if !(layer.passed && layer.seldom) || amounts.iter().any(Option::is_some) {
            let amounts = amounts.into_iter().map(figure::amount);
            table.row([layer.title.to_owned()].into_iter().chain(amounts).collect());
        }
    }
    table
}

/// A stretch of a message's way that time was measured for.
struct Span {
    title: &'static str,
    /// Whose metrics:
    role: &'static str,
    /// its median,
    usual: &'static str,
    /// and its 99th percentile.
    rare: Option<&'static str>,
    /// Only by the modes with a server.
    by_server: bool,
}

const SPANS: [Span; 4] = [
    Span {
        title: "from sending to the receiving program",
        role: "receiver",
        usual: "latency_p50",
        rare: Some("latency_p99"),
        by_server: false,
    },
    Span {
        title: "from sending to the receiver’s kernel",
        role: "receiver",
        usual: "kernel_latency_p50",
        rare: Some("kernel_latency_p99"),
        by_server: false,
    },
    Span {
        title: "from the first receiver to the last",
        role: "sender",
        usual: "skew_p50",
        rare: Some("skew_p99"),
        by_server: false,
    },
    Span { title: "from a request to its answer", role: "sender", usual: "request_p50", rare: None, by_server: true },
];

/// How long a message took; `None` where no time was measured.
pub(super) fn delays(group: &Group) -> Option<Exhibit> {
    let time = |mode, role, metric| {
        let row = group.figures(mode, role, metric);
        let micros = row.and_then(|row| row.median).map(|ns| ns / 1e3);
        let doubt = if row.is_some_and(|row| row.doubtful > 0) { "~" } else { "" };
        (micros, format!("{doubt}{}", figure::cost(micros)))
    };
    let row = |mode, span: &Span| {
        let (from, from_text) = time(mode, span.role, span.usual);
        let (to, to_text) = span.rare.map(|rare| time(mode, span.role, rare)).unwrap_or_default();
        match from {
            None => Row { mode, mark: Mark::None, text: figure::MISSING.to_owned() },
            Some(from) => Row {
                mode,
                mark: Mark::Range { from, to: to.unwrap_or(from) },
                text: if to.is_some() { format!("{from_text} … {to_text}") } else { from_text },
            },
        }
    };
    let modes = &group.setting.modes;
    let measured = |span: &&Span| {
        modes.iter().any(|&mode| group.figures(mode, span.role, span.usual).is_some_and(|row| row.median.is_some()))
    };
    let spans: Vec<&Span> = SPANS.iter().filter(measured).collect();
    if spans.is_empty() {
        return None;
    }
    let groups = spans.iter().map(|span| RowGroup {
        heading: span.title.to_owned(),
        rows: modes.iter().filter(|mode| !span.by_server || mode.has_server()).map(|&mode| row(mode, span)).collect(),
    });
    let mut table = Table::new("How long a message took, in µs").group("", ["mode"]);
    for span in &spans {
        table = table.group(span.title, ["median"].into_iter().chain(span.rare.map(|_| "99 %")));
    }
    for &mode in modes {
        let metrics =
            spans.iter().flat_map(|span| [Some(span.usual), span.rare].into_iter().flatten().map(|m| (span.role, m)));
        let cells = metrics.map(|(role, metric)| time(mode, role, metric).1);
        table.row_of(mode, [mode.to_string()].into_iter().chain(cells).collect());
    }
    let chart = RowChart {
        name: format!("delay-{}", group.number),
        title: "How long a message took".to_owned(),
        unit: "µs, from the median to the 99th percentile".to_owned(),
        parts: Vec::new(),
        groups: groups.collect(),
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
        assert_eq!(all, Some(vec![(0, 3.0), (2, 0.25), (3, 1.0), (7, 0.5), (13, 0.5)]));
        assert_eq!(of(&[("link_rx_frames", 0.0)]), Some(vec![]));
        assert_eq!(of(&[("udp_no_ports", 1.0)]), None, "what reached the link was not measured");
        let received = of(&[("link_rx_frames", 1.0), ("udp_in_datagrams", 1.0)]);
        assert_eq!(received, Some(vec![(10, 1.0)]));
    }

    #[test]
    fn what_comes_by_tcp_ends_there() {
        let rows = summary(Mode::Chat, &[("link_rx_frames", 5.0), ("tcp_in_segs", 3.0), ("udp_in_datagrams", 0.0)]);
        assert_eq!(ended(&rows, Mode::Chat, Role::Bystander), Some(vec![(11, 3.0), (13, 2.0)]));
    }

    #[test]
    fn another_flow_is_told_apart() {
        let mut rows = summary(Mode::Multicast, &[("link_rx_frames", 2.5), ("flow_received", 1000.0)]);
        rows.extend(SummaryRow::of("c", Mode::Multicast, "sender", "rate", "", &[500.0]));
        assert_eq!(ended(&rows, Mode::Multicast, Role::Bystander), Some(vec![(12, 2.0), (13, 0.5)]));
    }

    #[test]
    fn every_end_has_a_colour_of_its_own() {
        let mut classes: Vec<&str> =
            ends().chain([TO_PROGRAM, TO_TCP, OTHER_FLOW, "rest"]).map(crate::report::style::end).collect();
        let all = classes.len();
        classes.sort_unstable();
        classes.dedup();
        assert_eq!(classes.len(), all, "{classes:?}");
    }
}
