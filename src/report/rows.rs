//! Horizontal bars, ranges and stacks: a row for each mode, in groups with a heading.

use maud::{Markup, html};

use super::axis::{Axis, is_drawable, tick_label};
use super::drawing::{BOLD, Drawing, Num, TITLE, lines, marker, text_width, title_lines, wrap};
use super::style;
use super::table::Table;
use crate::units::Mode;

/// One chart.
#[derive(Debug)]
pub(super) struct RowChart {
    /// Names its file.
    pub(super) name: String,
    /// What is shown.
    pub(super) title: String,
    /// What the figures are in.
    pub(super) unit: String,
    /// What the parts of stacks are called, in their order; empty without stacks.
    pub(super) parts: Vec<&'static str>,
    pub(super) groups: Vec<RowGroup>,
}

/// Rows with a heading.
#[derive(Debug)]
pub(super) struct RowGroup {
    pub(super) heading: String,
    pub(super) rows: Vec<Row>,
}

/// One row.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) mode: Mode,
    pub(super) mark: Mark,
    /// The figure as tables have it, at the row's end.
    pub(super) text: String,
}

/// What is drawn in a row.
#[derive(Debug)]
pub(super) enum Mark {
    /// Nothing: not measured.
    None,
    /// A bar from 0 with the ends of an interval.
    Bar {
        /// Its length.
        value: f64,
        /// From, to.
        interval: Option<(f64, f64)>,
    },
    /// From a usual value, which has the mode's point, to a rare one.
    Range {
        /// The usual one.
        from: f64,
        /// The rare one.
        to: f64,
    },
    /// Parts one after the other, each with its index in [`RowChart::parts`].
    Stack(Vec<(usize, f64)>),
}

const WIDTH: f64 = 680.0;
const ROW: f64 = 30.0;
const HEADING: f64 = 36.0;
/// An interval that goes beyond this many times the largest value is cut off, lest it flatten everything else.
const LONGEST_WHISKER: f64 = 2.0;

impl RowChart {
    /// Its figures: a row for each row of it, named by its group.
    pub(super) fn table(&self) -> Table {
        let mut table = Table::new(format!("{}: {}", self.title, self.unit)).columns(["mode", "figure", "in"]);
        for group in &self.groups {
            for row in &group.rows {
                table.row_of(row.mode, vec![row.mode.to_string(), row.text.clone(), group.heading.clone()]);
            }
        }
        table
    }

    /// As a picture.
    pub(super) fn drawing(&self) -> Drawing {
        let rows = || self.groups.iter().flat_map(|group| &group.rows);
        let labels = rows().map(|row| text_width(row.mode.as_str(), 16.0)).fold(0.0, f64::max);
        let texts = rows().map(|row| text_width(&row.text, 16.0)).fold(0.0, f64::max).min(220.0);
        let (left, right) = (labels + 38.0, WIDTH - texts - 16.0);

        let title = title_lines(&self.title, WIDTH - 8.0);
        let key = self.key();
        let key_top = 26.0 * title.len() as f64 + 16.0;
        let top = key_top + key.height + 14.0;
        let axis = self.axis((left, right));

        let mut y = top;
        let mut placed = Vec::new();
        for group in &self.groups {
            let heading = wrap(&group.heading, 16.0 * BOLD, WIDTH - 8.0, 3);
            let height = HEADING + 19.0 * (heading.len().max(1) - 1) as f64;
            placed.push((heading, y, y + height));
            y += height + ROW * group.rows.len() as f64;
        }
        let bottom = y + 6.0;
        let scale = if axis.is_logarithmic() { " (logarithmic scale)" } else { "" };
        let body = html! {
            (lines(&title, TITLE, (4.0, 24.0), 26.0))
            g transform={ "translate(4 " (Num(key_top)) ")" } { (key.body) }
            @for (value, x) in spaced(&axis) {
                line class="grid" x1=(Num(x)) x2=(Num(x)) y1=(Num(top + HEADING - 10.0)) y2=(Num(bottom)) {}
                text class="mid small" x=(Num(x)) y=(Num(bottom + 19.0)) { (value) }
            }
            text class="small muted mid" x=(Num(f64::midpoint(left, right))) y=(Num(bottom + 42.0)) {
                (self.unit) (scale)
            }
            @for (group, (heading, y, first)) in self.groups.iter().zip(placed) {
                @for (index, line) in heading.iter().enumerate() {
                    @let y = y + 22.0 + 19.0 * index as f64;
                    rect class="paper" x="0" y=(Num(y - 16.0)) width=(Num(text_width(line, 16.0 * BOLD) + 8.0)) height="21" {}
                    text class="bold" x="4" y=(Num(y)) { (line) }
                }
                @for (index, row) in group.rows.iter().enumerate() {
                    @let middle = first + ROW * (index as f64 + 0.5);
                    (marker(row.mode, (12.0, middle), 6.0, false))
                    text x="26" y=(Num(middle + 5.5)) { (row.mode) }
                    (self.row(&axis, row, middle, right))
                }
            }
        };
        Drawing {
            name: self.name.clone(),
            title: self.title.clone(),
            desc: self.in_words(),
            width: WIDTH,
            height: bottom + 54.0,
            body,
        }
    }

    fn in_words(&self) -> String {
        let group = |group: &RowGroup| {
            let rows: Vec<String> = group.rows.iter().map(|row| format!("{} {}", row.mode, row.text)).collect();
            format!("{}: {}.", group.heading, rows.join(", "))
        };
        format!("In {}. {}", self.unit, self.groups.iter().map(group).collect::<Vec<_>>().join(" "))
    }

    fn axis(&self, range: (f64, f64)) -> Axis {
        let marks = || self.groups.iter().flat_map(|group| &group.rows).map(|row| &row.mark);
        let largest = marks().filter_map(Mark::value).filter(|value| is_drawable(*value)).fold(0.0, f64::max);
        let mut values = Vec::new();
        let mut lengths = false;
        for mark in marks() {
            match mark {
                Mark::None => {}
                Mark::Range { from, to } => values.extend([*from, *to]),
                Mark::Bar { value, interval } => {
                    lengths = true;
                    values.push(*value);
                    values.extend(interval.map(|(_, high)| high.min(largest * LONGEST_WHISKER)));
                }
                Mark::Stack(_) => {
                    lengths = true;
                    values.extend(mark.value());
                }
            }
        }
        if lengths { Axis::from_zero(&values, range) } else { Axis::of_amounts(&values, range) }
    }

    fn row(&self, axis: &Axis, row: &Row, middle: f64, right: f64) -> Markup {
        let zero = axis.at(0.0);
        let text_at = |x: f64| x.min(right) + 10.0;
        let (markup, end) = match &row.mark {
            Mark::None => (html! {}, zero),
            Mark::Bar { value, interval } => {
                let end = axis.at(*value);
                let whisker = interval.filter(|(low, high)| low.is_finite() && high.is_finite());
                let (low, high) = whisker.map_or((end, end), |(low, high)| (axis.at(low), axis.at(high)));
                let markup = html! {
                    rect class={ "f-" (row.mode) } x=(Num(zero)) y=(Num(middle - 9.0))
                        width=(Num(end - zero)) height="18" rx="2" {}
                    // On a ground of its own, lest a dark bar hide it.
                    @for class in ["halo", "whisker"].into_iter().filter(|_| high - low > 1.5) {
                        line class=(class) x1=(Num(low)) x2=(Num(high)) y1=(Num(middle)) y2=(Num(middle)) {}
                        @for x in [low, high] {
                            @if x > zero + 0.5 && x < right - 0.5 {
                                line class=(class) x1=(Num(x)) x2=(Num(x)) y1=(Num(middle - 5.0)) y2=(Num(middle + 5.0)) {}
                            }
                        }
                    }
                };
                (markup, high.max(end))
            }
            Mark::Range { from, to } => {
                let (from, to) = (axis.at(*from), axis.at(*to));
                let markup = html! {
                    line class={ "line s-" (row.mode) } x1=(Num(from)) x2=(Num(to)) y1=(Num(middle)) y2=(Num(middle)) {}
                    line class={ "line s-" (row.mode) } x1=(Num(to)) x2=(Num(to)) y1=(Num(middle - 7.0)) y2=(Num(middle + 7.0)) {}
                    (marker(row.mode, (from, middle), 6.0, false))
                };
                (markup, to.max(from + 8.0))
            }
            Mark::Stack(parts) => self.stack(axis, parts, middle),
        };
        html! {
            (markup)
            text x=(Num(text_at(end))) y=(Num(middle + 5.5)) { (wrap(&row.text, 16.0, 220.0, 1).concat()) }
        }
    }

    /// What fills a part.
    fn class_of(&self, part: usize) -> &'static str {
        style::end(self.parts.get(part).copied().unwrap_or_default())
    }

    /// Parts with their amount in them where it fits; and where the last one ends.
    fn stack(&self, axis: &Axis, parts: &[(usize, f64)], middle: f64) -> (Markup, f64) {
        let mut from = 0.0;
        let mut boxes = Vec::new();
        for (part, value) in parts.iter().filter(|(_, value)| is_drawable(*value) && *value > 0.0) {
            let (start, end) = (axis.at(from), axis.at(from + value));
            from += value;
            let label = format!("{value:.2}");
            let fits = text_width(&label, 14.0) + 6.0 < end - start;
            boxes.push((*part, start, (end - start - 1.5).max(1.0), label, fits));
        }
        let markup = html! {
            @for (part, start, width, label, fits) in &boxes {
                rect class=(self.class_of(*part)) x=(Num(*start)) y=(Num(middle - 11.0)) width=(Num(*width)) height="22" rx="2" {}
                @if *fits {
                    text class="small mid on" x=(Num(start + width / 2.0)) y=(Num(middle + 5.0)) { (label) }
                }
            }
            @if boxes.is_empty() {
                line class="whisker" x1=(Num(axis.at(0.0))) x2=(Num(axis.at(0.0))) y1=(Num(middle - 11.0)) y2=(Num(middle + 11.0)) {}
            }
        };
        (markup, axis.at(from))
    }

    /// What the parts that occur are called.
    fn key(&self) -> Key {
        let occurs = |part: usize| {
            let marks = self.groups.iter().flat_map(|group| &group.rows).map(|row| &row.mark);
            let mut parts = marks.flat_map(|mark| if let Mark::Stack(parts) = mark { &parts[..] } else { &[] });
            parts.any(|(other, value)| *other == part && *value > 0.0)
        };
        let named = self.parts.iter().enumerate().filter(|(index, _)| occurs(*index));
        let (mut x, mut y) = (0.0, 0.0);
        let mut places = Vec::new();
        for (index, name) in named {
            let width = text_width(name, 16.0) + 44.0;
            if x > 0.0 && x + width > WIDTH - 8.0 {
                (x, y) = (0.0, y + 26.0);
            }
            places.push((index, *name, x, y));
            x += width;
        }
        let height = if places.is_empty() { 0.0 } else { y + 26.0 };
        let body = html! {
            @for (index, name, x, y) in places {
                rect class=(self.class_of(index)) x=(Num(x)) y=(Num(y + 2.0)) width="16" height="16" rx="2" {}
                text x=(Num(x + 23.0)) y=(Num(y + 16.0)) { (name) }
            }
        };
        Key { body, height }
    }
}

struct Key {
    body: Markup,
    height: f64,
}

impl Mark {
    /// The whole of it.
    fn value(&self) -> Option<f64> {
        match self {
            Mark::None => None,
            Mark::Bar { value, .. } => Some(*value),
            Mark::Range { to, .. } => Some(*to),
            Mark::Stack(parts) => {
                Some(parts.iter().map(|(_, value)| *value).filter(|value| is_drawable(*value) && *value > 0.0).sum())
            }
        }
    }
}

/// The ticks' labels with their places, as many as there is room for.
fn spaced(axis: &Axis) -> Vec<(String, f64)> {
    let mut taken = f64::NEG_INFINITY;
    let fits = |(value, x): (f64, f64)| {
        let label = tick_label(value);
        let half = text_width(&label, 14.0) / 2.0;
        (x - half > taken + 6.0).then(|| {
            taken = x + half;
            (label, x)
        })
    };
    axis.ticks().filter_map(fits).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(marks: Vec<(Mark, &str)>) -> RowChart {
        let rows = marks.into_iter().map(|(mark, text)| Row { mode: Mode::Broadcast, mark, text: text.to_owned() });
        RowChart {
            name: "cost-1".to_owned(),
            title: "CPU time".to_owned(),
            unit: "µs per message".to_owned(),
            parts: vec!["not my MAC", "to the program", "no such port"],
            groups: vec![RowGroup { heading: "each bystander".to_owned(), rows: rows.collect() }],
        }
    }

    fn widths(svg: &str, class: &str) -> Vec<f64> {
        let of = |rest: &str| rest.split("width=\"").nth(1)?.split('"').next()?.parse().ok();
        svg.split(&format!("<rect class=\"{class}\"")).skip(1).filter_map(of).collect()
    }

    #[test]
    fn bars_are_as_long_as_their_values() {
        let svg = chart(vec![
            (Mark::Bar { value: 5.0, interval: Some((4.0, 6.0)) }, "5.00 ± 1.00"),
            (Mark::Bar { value: 10.0, interval: None }, "10.0"),
            (Mark::Bar { value: 0.0, interval: Some((0.0, 0.0)) }, "0.00"),
            (Mark::None, "–"),
        ])
        .drawing()
        .file();
        let bars = widths(&svg, "f-broadcast");
        assert_eq!(bars.len(), 3);
        assert!((bars[1] / bars[0] - 2.0).abs() < 0.01 && bars[2] == 0.0, "{bars:?}");
        assert_eq!(svg.matches("class=\"whisker\"").count(), 3);
        assert!(svg.contains("each bystander: broadcast 5.00 ± 1.00, broadcast 10.0, broadcast 0.00, broadcast –."));
    }

    #[test]
    fn stacks_name_the_parts_that_occur() {
        let svg = chart(vec![(Mark::Stack(vec![(0, 3.0), (1, 1.0), (2, 0.0)]), "4.00"), (Mark::Stack(vec![]), "0.00")])
            .drawing()
            .file();
        let [foreign, own] = [widths(&svg, "f-end3"), widths(&svg, "f-end10")].map(|widths| widths[1]);
        assert!((foreign + 1.5) / (own + 1.5) > 2.98, "{foreign} {own}");
        assert!(svg.contains(">not my MAC<") && svg.contains(">to the program<") && !svg.contains(">no such port<"));
        assert!(svg.contains(">3.00<") && svg.contains(">1.00<"));
    }

    #[test]
    fn ranges_of_very_different_size_are_logarithmic() {
        let svg = chart(vec![
            (Mark::Range { from: 10.0, to: 20.0 }, "10.0 – 20.0"),
            (Mark::Range { from: 100.0, to: 5000.0 }, "100 – 5000"),
        ]);
        assert!(svg.drawing().file().contains("logarithmic scale"));
    }

    #[test]
    fn weird_figures_do_no_harm() {
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e300, -4.0] {
            let chart = chart(vec![
                (Mark::Bar { value, interval: Some((value, value)) }, "?"),
                (Mark::Range { from: value, to: 1.0 }, "?"),
                (Mark::Stack(vec![(0, value), (7, value)]), "?"),
            ]);
            let svg = chart.drawing().file();
            let body = svg.split("</style>").nth(1).unwrap();
            assert!(!body.contains("NaN") && !body.contains("inf") && !body.contains("=\"-"), "{value}: {body}");
        }
        let nothing = RowChart { groups: vec![], ..chart(vec![]) };
        nothing.drawing();
    }
}
