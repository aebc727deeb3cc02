//! What the thickness of a link and the fill of a host mean, the same in all pictures of one setting.

use maud::{Markup, html};

use super::axis::{is_drawable, tick_label};
use super::cell::badge;
use super::drawing::{Num, text_width};
use crate::units::{Mode, Role};

/// Frames to thickness, CPU time to fill.
#[derive(Debug)]
pub(super) struct Scale {
    /// The most frames on a link, for each message.
    most: f64,
    /// From each of these on, the next fill is used; ascending. Empty where all cost nothing.
    steps: Vec<f64>,
    /// Whether any CPU time was measured.
    measured: bool,
}

/// Thickness of the link with the most frames.
const THICKEST: f64 = 16.0;
/// Thickness of a link with few frames: thinner would not be seen.
const THINNEST: f64 = 1.6;
/// With fewer frames than this on every link, one frame is still no thicker than with this many.
const FEW: f64 = 4.0;
/// Below this it is no more than a query or so in the whole trial, and figures show 0.00.
const STRAY: f64 = 0.005;
/// Where arrows of a link's two ways are, so that they don't meet.
const NEARER_THE_END: f64 = 0.62;
/// From the second fill above the one for nothing on.
const STEPS: usize = 4;
/// Between one step and the next, at least.
const LEAST_RATIO: f64 = 2.1;

/// The classes of a host's fill and of a letter on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fill {
    pub(super) ground: &'static str,
    pub(super) letter: &'static str,
}

impl Scale {
    /// For these frames on links and costs of hosts.
    pub(super) fn of(frames: impl Iterator<Item = f64>, costs: impl Iterator<Item = f64>) -> Scale {
        let most = frames.filter(|frames| is_drawable(*frames)).fold(0.0, f64::max);
        let costs: Vec<f64> = costs.filter(|cost| is_drawable(*cost)).collect();
        let steps = steps(costs.iter().copied().filter(|cost| *cost >= STRAY));
        Scale { most, steps, measured: !costs.is_empty() }
    }

    /// How thick a link with this many frames is.
    fn thickness(&self, frames: f64) -> f64 {
        (frames * THICKEST / self.most.max(FEW)).clamp(THINNEST, THICKEST)
    }

    /// A link from one place to another.
    pub(super) fn link(&self, from: (f64, f64), to: (f64, f64), frames: Option<f64>, mode: Mode) -> Markup {
        let frames = frames.filter(|frames| is_drawable(*frames));
        let class = match frames {
            Some(frames) if frames >= STRAY => format!("s-{mode}"),
            Some(_) => "none".to_owned(),
            None => "grid".to_owned(),
        };
        let width = frames.filter(|frames| *frames >= STRAY).map(|frames| Num(self.thickness(frames)));
        html! {
            line class=(class) stroke-width=[width] x1=(Num(from.0)) y1=(Num(from.1)) x2=(Num(to.0)) y2=(Num(to.1)) {}
        }
    }

    /// A link drawn as two, one for each way, with arrows: `away` is what goes from the first place to the other, `back`
    /// what comes from there.
    pub(super) fn both_ways(
        &self,
        (from, to): ((f64, f64), (f64, f64)),
        (away, back): (Option<f64>, Option<f64>),
        mode: Mode,
    ) -> Markup {
        let half = |frames: Option<f64>| frames.filter(|f| is_drawable(*f)).map_or(0.6, |f| self.thickness(f) / 2.0);
        let (x, y) = (to.0 - from.0, to.1 - from.1);
        let length = x.hypot(y).max(1.0);
        // Across the link, so that there is room between the two.
        let beside = |(px, py): (f64, f64), by: f64| (px - y / length * by, py + x / length * by);
        let (left, right) = (-half(away) - 2.5, half(back) + 2.5);
        let there = (beside(from, left), beside(to, left));
        let home = (beside(to, right), beside(from, right));
        html! {
            (self.link(there.0, there.1, away, mode))
            (self.link(home.0, home.1, back, mode))
            (self.arrow(there, NEARER_THE_END, away, mode))
            (self.arrow(home, NEARER_THE_END, back, mode))
        }
    }

    /// An arrow's head on a link, at this part of its length.
    pub(super) fn arrow(
        &self,
        (from, to): ((f64, f64), (f64, f64)),
        part: f64,
        frames: Option<f64>,
        mode: Mode,
    ) -> Markup {
        let (x, y) = (to.0 - from.0, to.1 - from.1);
        let length = x.hypot(y).max(1.0);
        let (x, y) = (x / length, y / length);
        let frames = frames.filter(|frames| is_drawable(*frames) && *frames >= STRAY);
        let half = frames.map_or(0.0, |frames| self.thickness(frames) / 2.0 + 4.5);
        let at = (from.0 + x * length * part, from.1 + y * length * part);
        let corner = |along: f64, aside: f64| (at.0 + x * along - y * aside, at.1 + y * along + x * aside);
        let points = [corner(half, 0.0), corner(-half * 0.6, half), corner(-half * 0.6, -half)];
        let points = points.map(|(x, y)| format!("{x:.1},{y:.1}")).join(" ");
        html! { @if frames.is_some() { polygon class={ "arrow f-" (mode) } points=(points) {} } }
    }

    /// The fill of a host with this CPU time.
    pub(super) fn fill(&self, cost: Option<f64>) -> Fill {
        match cost.filter(|cost| is_drawable(*cost)) {
            None => Fill { ground: "unknown", letter: "on-low" },
            Some(cost) if cost < STRAY => fill_of(0),
            Some(cost) => fill_of(1 + self.steps.iter().filter(|step| cost >= **step).count()),
        }
    }

    /// Width, height and elements of the key, with the badges of these roles.
    pub(super) fn key(&self, roles: &[Role]) -> (f64, f64, Markup) {
        const TITLES: f64 = 250.0;
        const BETWEEN: f64 = 22.0;
        /// So that its text is about as large as that of other keys.
        const LEAST_WIDTH: f64 = 600.0;
        let mut samples = vec![0.0, 1.0];
        samples.extend(Some(self.most).filter(|most| *most >= 1.5));
        let mut links_end = TITLES;
        let mut links = Vec::new();
        for frames in samples {
            let label = tick_label(to_hundredths(frames));
            let x = links_end;
            links_end += 58.0 + text_width(&label, 16.0) + BETWEEN;
            links.push((x, frames, label));
        }
        let mut fills_end = TITLES;
        let mut fills = Vec::new();
        for (step, label) in self.fill_labels().into_iter().enumerate() {
            let x = fills_end;
            fills_end += 30.0 + text_width(&label, 16.0) + BETWEEN;
            fills.push((x, fill_of(step).ground, label));
        }
        let mut roles_end = TITLES;
        let mut badges = Vec::new();
        for role in roles {
            let x = roles_end;
            roles_end += 34.0 + text_width(role.as_str(), 16.0) + BETWEEN;
            badges.push((x, *role));
        }
        let body = html! {
            text x="0" y="22" { "link: frames per message" }
            @for (x, frames, label) in links {
                @if frames < STRAY {
                    line class="none" x1=(Num(x)) x2=(Num(x + 48.0)) y1="17" y2="17" {}
                } @else {
                    line class="sample" stroke-width=(Num(self.thickness(frames)))
                        x1=(Num(x)) x2=(Num(x + 48.0)) y1="17" y2="17" {}
                }
                text x=(Num(x + 58.0)) y="22" { (label) }
            }
            text x="0" y="54" { "host: CPU µs per message" }
            @if fills.is_empty() {
                text class="muted" x=(Num(TITLES)) y="54" { "not measured" }
            }
            @for (x, ground, label) in fills {
                rect class={ "host " (ground) } x=(Num(x)) y="38" width="22" height="22" rx="4" {}
                text x=(Num(x + 30.0)) y="54" { (label) }
            }
            @if !badges.is_empty() {
                text x="0" y="88" { "what a host does" }
            }
            @for (x, role) in &badges {
                (badge(*role, (x + 12.0, 82.5), 12.0, fill_of(0)))
                text x=(Num(x + 34.0)) y="88" { (role) }
            }
        };
        let height = if badges.is_empty() { 66.0 } else { 100.0 };
        (links_end.max(fills_end).max(roles_end).max(LEAST_WIDTH), height, body)
    }

    /// What the key says.
    pub(super) fn in_words(&self) -> String {
        let fills = self.fill_labels();
        let fills =
            if fills.is_empty() { "not measured".to_owned() } else { format!("{} µs per message", fills.join(", ")) };
        format!(
            "The thicker a link, the more frames: up to {} per message; a dotted one carries none. \
             The stronger a host's fill, the more CPU time: {fills}.",
            tick_label(to_hundredths(self.most))
        )
    }

    /// The costs that each fill is for.
    fn fill_labels(&self) -> Vec<String> {
        let mut labels = Vec::new();
        if self.measured {
            labels.push("0".to_owned());
        }
        if let Some((first, last)) = self.steps.first().zip(self.steps.last()) {
            labels.push(format!("<{}", tick_label(*first)));
            let between = self.steps.windows(2).map(|pair| format!("{}–{}", tick_label(pair[0]), tick_label(pair[1])));
            labels.extend(between);
            labels.push(format!("≥{}", tick_label(*last)));
        }
        labels
    }
}

/// Round numbers, ascending, that part costs from the lowest to the highest of these into equal ratios; with costs that
/// are much alike, those next below the highest.
fn steps(costs: impl Iterator<Item = f64>) -> Vec<f64> {
    let (low, high) = costs.fold((f64::INFINITY, 0.0_f64), |(low, high), cost| (low.min(cost), high.max(cost)));
    if high == 0.0 {
        return Vec::new();
    }
    let ratio = (high / low).powf(1.0 / (STEPS + 1) as f64).max(LEAST_RATIO);
    let mut steps: Vec<f64> = (1..=STEPS).map(|step| round(high / ratio.powi(step as i32))).collect();
    steps.reverse();
    steps.dedup();
    steps
}

/// The nearest of 1, 2 and 5 times powers of ten, by ratio.
fn round(value: f64) -> f64 {
    let power = 10_f64.powf(value.log10().floor());
    let factor = value / power;
    let nearest = [1.0, 2.0, 5.0, 10.0].into_iter().min_by(|a: &f64, b: &f64| {
        let off = |step: f64| (factor / step).ln().abs();
        off(*a).total_cmp(&off(*b))
    });
    nearest.unwrap_or(1.0) * power
}

/// The fill for nothing, and the ones above it.
fn fill_of(step: usize) -> Fill {
    const GROUNDS: [&str; STEPS + 2] = ["f-cost0", "f-cost1", "f-cost2", "f-cost3", "f-cost4", "f-cost5"];
    let step = step.min(STEPS + 1);
    Fill { ground: GROUNDS[step], letter: if step >= STEPS { "on-high" } else { "on-low" } }
}

fn to_hundredths(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(frames: &[f64], costs: &[f64]) -> Scale {
        Scale::of(frames.iter().copied(), costs.iter().copied())
    }

    #[test]
    fn thickness_is_in_proportion() {
        let scale = of(&[1.0, 16.0], &[]);
        assert_eq!((scale.thickness(16.0), scale.thickness(8.0)), (16.0, 8.0));
        assert_eq!(scale.thickness(0.01), THINNEST, "seen, however little");
        assert_eq!(of(&[1.0], &[]).thickness(1.0), 4.0, "one frame is not much");
    }

    #[test]
    fn fills_are_in_steps_of_1_2_and_5() {
        let scale = of(&[], &[0.0, 6.5, 80.0]);
        assert_eq!(scale.fill_labels(), ["0", "<5", "5–10", "10–20", "20–50", "≥50"]);
        let grounds = [Some(0.0), Some(0.1), Some(5.0), Some(19.9), Some(49.0), Some(80.0), None, Some(f64::NAN)];
        assert_eq!(
            grounds.map(|cost| scale.fill(cost).ground),
            ["f-cost0", "f-cost1", "f-cost2", "f-cost3", "f-cost4", "f-cost5", "unknown", "unknown"]
        );
        assert_eq!(of(&[], &[100.0]).fill_labels(), ["0", "<5", "5–10", "10–20", "20–50", "≥50"]);
        // From few to very many: each in a fill of its own.
        let wide = of(&[], &[6.0, 30.0, 620.0]);
        assert_eq!(wide.fill_labels(), ["0", "<20", "20–50", "50–100", "100–200", "≥200"]);
        assert_eq!(of(&[], &[0.0]).fill_labels(), ["0"]);
    }

    #[test]
    fn without_measurements_the_key_says_so() {
        let scale = of(&[f64::NAN, f64::INFINITY], &[f64::INFINITY]);
        assert!(scale.key(&[]).2.into_string().contains("not measured"));
        assert!(scale.in_words().contains("CPU time: not measured."));
    }
}
