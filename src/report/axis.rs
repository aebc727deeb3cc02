//! From values to places on a line: linear from 0, or logarithmic where the values span more than two decades.

use crate::results::figure;

/// Values beyond this are not drawn: no measured figure is, and sums of such overflow.
const LARGEST: f64 = 1e15;
/// A logarithmic axis begins where the largest value is more than this many times the smallest.
const TWO_DECADES: f64 = 100.0;
/// What lies further below the largest value is drawn at the end of a logarithmic axis.
const MOST_DECADES: f64 = 9.0;
/// Steps between the ticks of a linear axis, at most.
const STEPS: f64 = 5.0;

/// A line from one place to another with values along it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Axis {
    /// Values at the two ends; of their logarithms on a logarithmic axis.
    domain: (f64, f64),
    /// Places of the two ends.
    range: (f64, f64),
    log: bool,
    /// Values to be marked, ascending.
    ticks: Vec<f64>,
}

impl Axis {
    /// For amounts: from 0 to a round number above the largest value; logarithmic where all are above 0 and span more
    /// than two decades.
    pub(super) fn of_amounts(values: &[f64], range: (f64, f64)) -> Axis {
        Axis::logarithmic(values, range).unwrap_or_else(|| Axis::from_zero(values, range))
    }

    /// For amounts whose length is drawn, as of bars: always from 0.
    pub(super) fn from_zero(values: &[f64], range: (f64, f64)) -> Axis {
        let largest = drawable(values).fold(0.0, f64::max);
        let largest = if largest > 0.0 { largest } else { 1.0 };
        let step = round_step(largest / STEPS);
        let steps = (largest / step - 1e-9).ceil().max(1.0);
        let ticks = (0..=steps as u32).map(|tick| f64::from(tick) * step).collect();
        Axis { domain: (0.0, steps * step), range, log: false, ticks }
    }

    /// For the points of a design, which are marked themselves: from the smallest to the largest with some room at both
    /// ends; from 0 where that is near.
    pub(super) fn of_design(values: &[f64], range: (f64, f64)) -> Axis {
        let mut ticks: Vec<f64> = drawable(values).collect();
        ticks.sort_by(f64::total_cmp);
        ticks.dedup();
        let (low, high) = (ticks.first().copied().unwrap_or(0.0), ticks.last().copied().unwrap_or(1.0));
        if low > 0.0 && high / low > TWO_DECADES {
            let (low, high) = (low.log10(), high.log10());
            let room = (high - low) * 0.04;
            return Axis { domain: (low - room, high + room), range, log: true, ticks };
        }
        let (low, high) = if low >= 0.0 && low < high * 0.3 { (0.0, high) } else { (low, high) };
        let room = if high > low { (high - low) * 0.04 } else { high.abs().max(1.0) * 0.5 };
        let low = if low == 0.0 { 0.0 } else { low - room };
        Axis { domain: (low, high + room), range, log: false, ticks }
    }

    /// For a time that passes: from 0, with ticks at round values.
    pub(super) fn of_time(values: &[f64], range: (f64, f64)) -> Axis {
        let mut axis = Axis::from_zero(values, range);
        let last = drawable(values).fold(0.0, f64::max);
        if last > 0.0 {
            axis.domain.1 = last;
            axis.ticks.retain(|tick| *tick <= last * 1.001);
        }
        axis
    }

    fn logarithmic(values: &[f64], range: (f64, f64)) -> Option<Axis> {
        let low = drawable(values).fold(f64::INFINITY, f64::min);
        let high = drawable(values).fold(0.0, f64::max);
        if low <= 0.0 || !low.is_finite() || high / low <= TWO_DECADES {
            return None;
        }
        let to = high.log10().ceil();
        let from = low.log10().floor().max(to - MOST_DECADES);
        let ticks = (from as i32..=to as i32).map(|decade| 10_f64.powi(decade)).collect();
        Some(Axis { domain: (from, to), range, log: true, ticks })
    }

    /// The place of a value; what lies beyond an end is put there.
    pub(super) fn at(&self, value: f64) -> f64 {
        let (low, high) = self.domain;
        let value = if self.log { value.max(f64::MIN_POSITIVE).log10() } else { value };
        let part = ((value - low) / (high - low)).clamp(0.0, 1.0);
        let part = if part.is_finite() { part } else { 0.0 };
        self.range.0 + part * (self.range.1 - self.range.0)
    }

    /// The values to be marked, each with its place.
    pub(super) fn ticks(&self) -> impl Iterator<Item = (f64, f64)> {
        self.ticks.iter().map(|&tick| (tick, self.at(tick)))
    }

    /// Whether equal distances are equal ratios.
    pub(super) fn is_logarithmic(&self) -> bool {
        self.log
    }
}

/// How a tick's value is written: as many decimals as it needs, thousands apart.
pub(super) fn tick_label(value: f64) -> String {
    if value.fract() == 0.0 || value.abs() >= 1000.0 {
        return figure::count(value);
    }
    let places = (2 - value.abs().log10().floor() as i32).clamp(0, 12) as usize;
    let text = format!("{value:.places$}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Whether a value can be drawn at all.
pub(super) fn is_drawable(value: f64) -> bool {
    value.is_finite() && value.abs() <= LARGEST
}

fn drawable(values: &[f64]) -> impl Iterator<Item = f64> {
    values.iter().copied().filter(|value| is_drawable(*value))
}

/// The smallest of 1, 2, 2.5, 5 and 10 times a power of ten that is not below this.
fn round_step(at_least: f64) -> f64 {
    let power = 10_f64.powf(at_least.log10().floor());
    let step =
        [1.0, 2.0, 2.5, 5.0, 10.0].into_iter().map(|factor| factor * power).find(|step| *step >= at_least * 0.999);
    step.unwrap_or(10.0 * power)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: (f64, f64) = (0.0, 100.0);

    fn ticks(axis: &Axis) -> Vec<f64> {
        axis.ticks().map(|(value, _)| value).collect()
    }

    #[test]
    fn amounts_begin_at_zero() {
        let axis = Axis::of_amounts(&[3.0, 4.7], LINE);
        assert_eq!(ticks(&axis), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
        assert_eq!((axis.at(0.0), axis.at(2.5), axis.at(5.0), axis.at(9.0)), (0.0, 50.0, 100.0, 100.0));
        assert_eq!(ticks(&Axis::of_amounts(&[183.0], LINE)), [0.0, 50.0, 100.0, 150.0, 200.0]);
        // A flat line is flat, wherever it is.
        let flat = Axis::of_amounts(&[7.0, 7.0001], LINE);
        assert!((flat.at(7.0) - flat.at(7.0001)).abs() < 0.01);
    }

    #[test]
    fn more_than_two_decades_are_logarithmic() {
        let axis = Axis::of_amounts(&[3.0, 302.0], LINE);
        assert!(axis.is_logarithmic());
        assert_eq!(ticks(&axis), [1.0, 10.0, 100.0, 1000.0]);
        assert!((axis.at(10.0) - 100.0 / 3.0).abs() < 1e-9);
        assert!(!Axis::of_amounts(&[3.0, 300.0], LINE).is_logarithmic());
        assert!(!Axis::of_amounts(&[0.0, 3.0, 302.0], LINE).is_logarithmic(), "0 has no place on it");
        assert!(!Axis::from_zero(&[3.0, 302.0], LINE).is_logarithmic());
    }

    #[test]
    fn points_of_a_design_are_its_ticks() {
        let axis = Axis::of_design(&[4.0, 1.0, 32.0, 4.0], LINE);
        assert_eq!(ticks(&axis), [1.0, 4.0, 32.0]);
        assert_eq!(axis.at(0.0), 0.0);
        assert!(axis.at(32.0) < 100.0);
        assert!(Axis::of_design(&[100.0, 100_000.0], LINE).is_logarithmic());
        let one = Axis::of_design(&[4.0], LINE);
        assert!((one.at(4.0) - 50.0).abs() < 1.0);
    }

    #[test]
    fn weird_values_have_a_place() {
        let weird = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e300, -1e300, -5.0];
        for values in [&weird[..], &[], &[0.0], &[f64::MIN_POSITIVE, 1e15], &[-3.0, 5.0]] {
            for axis in
                [Axis::of_amounts, Axis::from_zero, Axis::of_design, Axis::of_time].map(|axis| axis(values, LINE))
            {
                for value in weird.iter().chain(values) {
                    assert!((0.0..=100.0).contains(&axis.at(*value)), "{value} on {axis:?}");
                }
                assert!(axis.ticks().count() <= 11 && axis.ticks().all(|(_, place)| place.is_finite()));
            }
        }
    }

    #[test]
    fn labels_of_ticks() {
        assert_eq!(
            [0.0, 0.25, 2.5, 7.0, 2000.0, 1e6, 0.001].map(tick_label),
            ["0", "0.25", "2.5", "7", "2,000", "1,000,000", "0.001"]
        );
    }
}
