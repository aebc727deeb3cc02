//! Lines over a factor or over time, with error bars, each line labelled at its end.

use maud::{Markup, html};

use super::axis::{Axis, is_drawable, tick_label};
use super::drawing::{Drawing, Num, TITLE, lines, marker, text_width, title_lines, wrap};
use super::metric::Figure;
use super::style::look;
use super::table::Table;
use crate::results::figure;
use crate::units::Mode;

/// One chart.
#[derive(Debug)]
pub(super) struct LineChart {
    /// Names its file.
    pub(super) name: String,
    /// What is shown.
    pub(super) title: String,
    /// What the figures are in.
    pub(super) unit: String,
    /// What it is shown over.
    pub(super) over: String,
    /// Whether that is time, which passes, and not points of a design.
    pub(super) in_time: bool,
    /// The lines, in the order of the modes.
    pub(super) series: Vec<Series>,
    /// Values in charts to be compared with this one, which then have the same scale.
    pub(super) beside: Vec<f64>,
}

/// One line.
#[derive(Debug)]
pub(super) struct Series {
    /// What it is called.
    pub(super) label: String,
    /// Whose colour and points it has.
    pub(super) mode: Mode,
    /// Which of several lines of its mode it is, from 0; `None` where it is the only one.
    pub(super) variant: Option<usize>,
    /// By ascending x.
    pub(super) points: Vec<Point>,
}

/// One point of a line.
#[derive(Debug)]
pub(super) struct Point {
    pub(super) x: f64,
    pub(super) figure: Figure,
    /// The figure as tables have it.
    pub(super) text: String,
}

impl Point {
    /// `None` for what cannot be drawn.
    pub(super) fn of(x: f64, figure: Figure, text: String) -> Option<Point> {
        (is_drawable(x) && is_drawable(figure.mean)).then_some(Point { x, figure, text })
    }
}

const WIDTH: f64 = 680.0;
const PLOT_HEIGHT: f64 = 270.0;
const LEADING: f64 = 18.0;
/// Room for the lines' labels, at most.
const LABELS: f64 = 190.0;
/// Dashes of several lines of one mode.
const VARIANTS: [&str; 5] = ["none", "8 4", "3 3", "12 3 3 3", "1 3"];
/// A whisker that goes beyond this many times the largest mean is cut off, lest it flatten everything else.
const LONGEST_WHISKER: f64 = 2.0;

/// Where things are.
struct Plot {
    x: Axis,
    y: Axis,
    left: f64,
    right: f64,
    top: f64,
    bottom: f64,
}

impl LineChart {
    /// Its figures: a row for each x, a column for each line.
    pub(super) fn table(&self) -> Table {
        let mut xs = self.xs();
        xs.sort_by(f64::total_cmp);
        xs.dedup();
        let mut table = Table::new(format!("{}: {}", self.title, self.unit))
            .columns([self.over.clone()].into_iter().chain(self.series.iter().map(|series| series.label.clone())));
        for x in xs {
            let cell = |series: &Series| {
                let point = series.points.iter().find(|point| point.x == x);
                point.map_or_else(|| figure::MISSING.to_owned(), |point| point.text.clone())
            };
            table.row([tick_label(x)].into_iter().chain(self.series.iter().map(cell)).collect());
        }
        table
    }

    /// Whether a point of it is doubtful, which it shows by being hollow.
    pub(super) fn has_doubt(&self) -> bool {
        self.series.iter().flat_map(|series| &series.points).any(|point| point.figure.doubtful)
    }

    /// As a picture.
    pub(super) fn drawing(&self) -> Drawing {
        let title = title_lines(&self.title, WIDTH - 8.0);
        let labels: Vec<Vec<String>> =
            self.series.iter().map(|series| wrap(&series.label, 16.0, LABELS - 34.0, 4)).collect();
        let widest = labels.iter().flatten().map(|line| text_width(line, 16.0)).fold(0.0, f64::max);
        let label_heights: Vec<f64> = labels.iter().map(|lines| LEADING * lines.len().max(1) as f64 + 4.0).collect();

        let top = 26.0 * title.len() as f64 + 46.0;
        let bottom = top + PLOT_HEIGHT.max(label_heights.iter().sum::<f64>() + 8.0);
        let y = Axis::of_amounts(&self.ys(), (bottom, top));
        let ticks = y.ticks().map(|(value, _)| text_width(&tick_label(value), 16.0)).fold(0.0, f64::max);
        let (left, right) = (ticks + 14.0, WIDTH - widest - 40.0);
        let of_x = if self.in_time { Axis::of_time } else { Axis::of_design };
        let plot = Plot { x: of_x(&self.xs(), (left, right)), y, left, right, top, bottom };

        let scale = |axis: &Axis| if axis.is_logarithmic() { " (logarithmic scale)" } else { "" };
        let label_places = self.label_places(&plot, &label_heights);
        let body = html! {
            (lines(&title, TITLE, (4.0, 24.0), 26.0))
            text class="small muted" x="4" y=(Num(top - 22.0)) { (self.unit) (scale(&plot.y)) }
            (plot.frame())
            @for (series, place) in self.series.iter().zip(&label_places) { (leader(&plot, series, *place)) }
            @for (index, series) in self.series.iter().enumerate() {
                (self.line(&plot, index, series))
            }
            @for ((series, label), place) in self.series.iter().zip(&labels).zip(&label_places) {
                (end_label(&plot, series, label, *place))
            }
            text class="muted mid" x=(Num(f64::midpoint(left, right))) y=(Num(bottom + 50.0)) {
                (self.over) (scale(&plot.x))
            }
        };
        Drawing {
            name: self.name.clone(),
            title: format!("{} over {}", self.title, self.over),
            desc: self.in_words(),
            width: WIDTH,
            height: bottom + 62.0,
            body,
        }
    }

    fn in_words(&self) -> String {
        let of = |series: &Series| match (series.points.first(), series.points.last()) {
            (Some(first), Some(last)) => format!(
                "{}: {} at {}, {} at {}.",
                series.label,
                first.text,
                tick_label(first.x),
                last.text,
                tick_label(last.x)
            ),
            _ => format!("{}: not measured.", series.label),
        };
        format!("In {}. {}", self.unit, self.series.iter().map(of).collect::<Vec<_>>().join(" "))
    }

    fn xs(&self) -> Vec<f64> {
        self.series.iter().flat_map(|series| &series.points).map(|point| point.x).collect()
    }

    /// All that has to have a place on the y axis.
    fn ys(&self) -> Vec<f64> {
        let points = || self.series.iter().flat_map(|series| &series.points);
        let mut values: Vec<f64> = points().map(|point| point.figure.mean).chain(self.beside.iter().copied()).collect();
        let largest = values.iter().copied().fold(0.0, f64::max);
        let highs = points().filter_map(|point| point.figure.interval).map(|(_, high)| high);
        values.extend(highs.map(|high| high.min(largest * LONGEST_WHISKER)));
        values
    }

    /// The lines stand a little beside each other, so that what is equal is not hidden.
    fn line(&self, plot: &Plot, index: usize, series: &Series) -> Markup {
        let apart: f64 = if self.in_time { 0.0 } else { 4.0 };
        let aside =
            (index as f64 - (self.series.len() as f64 - 1.0) / 2.0) * apart.min(30.0 / self.series.len() as f64);
        let places: Vec<(f64, f64, &Point)> = series
            .points
            .iter()
            .map(|point| {
                let x = (plot.x.at(point.x) + aside).clamp(plot.left, plot.right);
                (x, plot.y.at(point.figure.mean), point)
            })
            .collect();
        let path: Vec<String> = places.iter().map(|(x, y, _)| format!("{x:.1},{y:.1}")).collect();
        html! {
            polyline class={ "line s-" (series.mode) } stroke-dasharray=(dash(series)) points=(path.join(" ")) {}
            @for (x, y, point) in &places {
                @if let Some((low, high)) = point.figure.interval { (plot.whisker(series.mode, *x, low, high)) }
                @if !self.in_time { (marker(series.mode, (*x, *y), 5.5, point.figure.doubtful)) }
            }
        }
    }

    /// The middle of each line's label: as near its end as the others let it be.
    fn label_places(&self, plot: &Plot, heights: &[f64]) -> Vec<f64> {
        let end = |series: &Series| series.points.last().map_or(plot.bottom, |point| plot.y.at(point.figure.mean));
        let wanted: Vec<f64> = self.series.iter().map(end).collect();
        apart(&wanted, heights, plot.top, plot.bottom)
    }
}

impl Plot {
    fn frame(&self) -> Markup {
        html! {
            @for (value, y) in self.y.ticks() {
                line class="grid" x1=(Num(self.left)) x2=(Num(self.right)) y1=(Num(y)) y2=(Num(y)) {}
                text class="end" x=(Num(self.left - 8.0)) y=(Num(y + 5.5)) { (tick_label(value)) }
            }
            line class="axis" x1=(Num(self.left)) x2=(Num(self.right)) y1=(Num(self.bottom)) y2=(Num(self.bottom)) {}
            @for (_, x) in self.x.ticks() {
                line class="axis" x1=(Num(x)) x2=(Num(x)) y1=(Num(self.bottom)) y2=(Num(self.bottom + 5.0)) {}
            }
            @for (label, x) in self.x_labels() {
                text class="mid" x=(Num(x)) y=(Num(self.bottom + 24.0)) { (label) }
            }
        }
    }

    /// As many of the ticks' labels as there is room for.
    fn x_labels(&self) -> Vec<(String, f64)> {
        let mut taken = f64::NEG_INFINITY;
        let fits = |(value, x): (f64, f64)| {
            let label = tick_label(value);
            let half = text_width(&label, 16.0) / 2.0;
            (x - half > taken + 8.0).then(|| {
                taken = x + half;
                (label, x)
            })
        };
        self.x.ticks().filter_map(fits).collect()
    }

    /// From one end of an interval to the other, with a bar across at each end that is within the plot.
    fn whisker(&self, mode: Mode, x: f64, low: f64, high: f64) -> Markup {
        let (from, to) = (self.y.at(low), self.y.at(high));
        let ends = |value: f64, place: f64| value > 0.0 && place > self.top + 0.5 && place < self.bottom - 0.5;
        html! {
            @if low.is_finite() && high.is_finite() && from - to > 1.0 {
                line class={ "whisker s-" (mode) } x1=(Num(x)) x2=(Num(x)) y1=(Num(from)) y2=(Num(to)) {}
                @for (value, place) in [(low, from), (high, to)] {
                    @if ends(value, place) {
                        line class={ "whisker s-" (mode) } x1=(Num(x - 5.0)) x2=(Num(x + 5.0)) y1=(Num(place)) y2=(Num(place)) {}
                    }
                }
            }
        }
    }
}

fn dash(series: &Series) -> &'static str {
    series.variant.map_or(look(series.mode).dash, |variant| VARIANTS[variant % VARIANTS.len()])
}

/// A thin line from a line's end to its label.
fn leader(plot: &Plot, series: &Series, middle: f64) -> Markup {
    html! {
        @if let Some(last) = series.points.last() {
            line class="grid" x1=(Num(plot.x.at(last.x))) y1=(Num(plot.y.at(last.figure.mean)))
                x2=(Num(plot.right + 8.0)) y2=(Num(middle)) {}
        }
    }
}

/// A line's label right of the plot.
fn end_label(plot: &Plot, series: &Series, label: &[String], middle: f64) -> Markup {
    let first = middle - LEADING * (label.len() as f64 - 1.0) / 2.0 + 5.5;
    html! {
        line class={ "line s-" (series.mode) } stroke-dasharray=(dash(series))
            x1=(Num(plot.right + 6.0)) x2=(Num(plot.right + 26.0)) y1=(Num(middle)) y2=(Num(middle)) {}
        (marker(series.mode, (plot.right + 16.0, middle), 5.0, false))
        (lines(label, "", (plot.right + 32.0, first), LEADING))
    }
}

/// Places for things of these heights as near as can be to where they are wanted, one below the other in that order,
/// between `top` and `bottom`.
fn apart(wanted: &[f64], heights: &[f64], top: f64, bottom: f64) -> Vec<f64> {
    let mut order: Vec<usize> = (0..wanted.len()).collect();
    order.sort_by(|&a, &b| wanted[a].total_cmp(&wanted[b]));
    let mut places = wanted.to_vec();
    let mut free = top;
    for &index in &order {
        places[index] = places[index].max(free + heights[index] / 2.0);
        free = places[index] + heights[index] / 2.0;
    }
    let mut free = bottom + 8.0;
    for &index in order.iter().rev() {
        places[index] = places[index].min(free - heights[index] / 2.0);
        free = places[index] - heights[index] / 2.0;
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(x: f64, mean: f64, interval: Option<(f64, f64)>) -> Option<Point> {
        Point::of(x, Figure { mean, interval, doubtful: false }, figure::cost(Some(mean)))
    }

    fn chart(series: Vec<(Mode, Vec<Option<Point>>)>) -> LineChart {
        let series = series.into_iter().map(|(mode, points)| Series {
            label: mode.to_string(),
            mode,
            variant: None,
            points: points.into_iter().flatten().collect(),
        });
        LineChart {
            name: "cpu-over-receivers".to_owned(),
            title: "CPU time of the sender".to_owned(),
            unit: "µs per message".to_owned(),
            over: "receivers".to_owned(),
            in_time: false,
            series: series.collect(),
            beside: Vec::new(),
        }
    }

    fn known() -> LineChart {
        chart(vec![
            (Mode::Unicast, vec![point(1.0, 10.0, Some((8.0, 12.0))), point(4.0, 40.0, Some((30.0, 50.0)))]),
            (Mode::Multicast, vec![point(1.0, 10.0, Some((10.0, 10.0))), point(4.0, 10.0, None)]),
        ])
    }

    /// The y of each corner of the lines.
    fn heights(svg: &str) -> Vec<Vec<f64>> {
        let lines = svg.split("<polyline").skip(1).map(|rest| rest.split("points=\"").nth(1).unwrap());
        let of = |points: &str| {
            let corners = points.split('"').next().unwrap().split(' ');
            corners.filter_map(|corner| corner.split(',').nth(1)?.parse().ok()).collect()
        };
        lines.map(of).collect()
    }

    #[test]
    fn a_line_for_each_mode_with_its_intervals() {
        let svg = known().drawing().file();
        let heights = heights(&svg);
        // 270 for 0 to 50: 5.4 a unit; multicast is flat.
        assert_eq!(heights.len(), 2);
        assert!((heights[0][0] - heights[0][1] - 30.0 * 5.4).abs() < 0.11, "{heights:?}");
        assert_eq!(heights[1][0], heights[1][1]);
        assert_eq!(heights[0][0], heights[1][0]);
        // Unicast's whiskers: a line and two bars each, but for the upper bar at the very top of the plot.
        assert_eq!(svg.matches("class=\"whisker ").count(), 5, "{svg}");
        for label in [">unicast<", ">multicast<", ">receivers<", ">µs per message<", ">50<"] {
            assert!(svg.contains(label), "{label} in {svg}");
        }
        assert!(svg.contains("unicast: 10.0 at 1, 40.0 at 4. multicast: 10.0 at 1, 10.0 at 4."), "{svg}");
    }

    #[test]
    fn the_table_has_the_same_figures() {
        let text = known().table().markup().into_string();
        assert!(text.contains(r#"<th scope="row">4</th><td>40.0</td><td>10.0</td>"#), "{text}");
    }

    #[test]
    fn a_huge_interval_does_not_flatten_the_rest() {
        let chart = chart(vec![(Mode::Unicast, vec![point(1.0, 10.0, Some((-1e6, 1e6))), point(2.0, 20.0, None)])]);
        let heights = heights(&chart.drawing().file());
        assert!(heights[0][0] - heights[0][1] > 50.0, "{heights:?}");
    }

    #[test]
    fn weird_figures_are_left_out() {
        let weird = [f64::NAN, f64::INFINITY, 1e300];
        let mut points = Vec::from(weird.map(|value| point(value, value, Some((value, value)))));
        points.push(point(1.0, 2.0, Some((f64::NAN, f64::INFINITY))));
        for chart in [chart(vec![(Mode::Unicast, points)]), chart(vec![(Mode::Unicast, vec![])]), chart(vec![])] {
            let svg = chart.drawing().file();
            let body = svg.split("</style>").nth(1).unwrap();
            assert!(!body.contains("NaN") && !body.contains("inf"), "{body}");
            chart.table().markup();
        }
    }

    #[test]
    fn labels_keep_apart() {
        let places = apart(&[100.0, 100.0, 100.0, 20.0], &[20.0; 4], 0.0, 100.0);
        let mut sorted = places.clone();
        sorted.sort_by(f64::total_cmp);
        assert!(sorted.windows(2).all(|pair| pair[1] - pair[0] >= 20.0), "{places:?}");
        assert!(sorted[0] >= 10.0 && sorted[3] <= 98.0, "{places:?}");
    }
}
