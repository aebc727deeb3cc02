//! Lines through the figures of several conditions: whether something grows with a factor, or stays as it is.

use super::claim::Tolerance;
use super::verdict::{Finding, Outcome, Precision, Range};
use super::words;
use crate::results::factor::Factor;
use crate::results::figure::Scale;
use crate::results::stats::{self, Slope};
use crate::results::summary::TrialValues;

/// What a line goes through: a point for each trial.
#[derive(Clone, Debug)]
pub struct Points {
    /// Value of the factor, value of the figure.
    points: Vec<(f64, f64)>,
    trials: usize,
    doubtful: usize,
    conditions: usize,
}

/// The line.
struct Line {
    slope: f64,
    interval: Option<(f64, f64)>,
    first: f64,
    last: f64,
    average: f64,
    /// The steepest the figures could be.
    size: f64,
    precision: Precision,
}

/// A slope that is less than this part of what it could be is the computer's rounding.
const ROUNDING: f64 = 1e-9;

impl Points {
    /// None yet, of so many conditions.
    pub fn of(conditions: usize) -> Points {
        Points { points: Vec::new(), trials: 0, doubtful: 0, conditions }
    }

    /// Adds the trials of one of the conditions.
    pub fn add(&mut self, x: f64, of_condition: &TrialValues) {
        let TrialValues { values, is_count, doubtful, .. } = of_condition;
        // Two points show no spread; of counts, which are exact, they are enough.
        let times = if *is_count && self.conditions == 2 && values.len() == 1 { 2 } else { 1 };
        self.points.extend(values.repeat(times).into_iter().map(|y| (x, y)));
        self.trials += values.len();
        self.doubtful += doubtful;
    }

    /// Whether the figure grows with the factor by more than `least` for each one more; `None` without a line.
    pub fn grow(&self, factor: Factor, least: f64, unit: &str) -> Option<Finding> {
        let line = self.line()?;
        let range = Range::above(least, line.size);
        let (step, noun) = factor.step();
        let (slope, interval) = (line.slope * step, line.scaled(step));
        let mut others = vec![least * step];
        others.extend(interval.into_iter().flat_map(|(low, high)| [low, high]));
        let scale = Scale::of(unit, slope, &others);
        let figure = scale.with_interval(format!("{} per {noun}", scale.change(slope)), interval);
        Some(self.finding(&line, &range, line.slope, line.interval, figure))
    }

    /// Whether the figure changes by no more than the tolerance over the factor; `None` without a line.
    pub fn stay(&self, factor: Factor, tolerance: Tolerance, unit: &str) -> Option<Finding> {
        let line = self.line()?;
        let span = line.last - line.first;
        let (change, interval) = (line.slope * span, line.scaled(span));
        let off = match tolerance {
            Tolerance::Relative(share) => share.max(0.0) * line.average.abs(),
            Tolerance::Absolute(amount) => amount,
        };
        let range = Range::about(0.0, Tolerance::Absolute(off));

        // Told as the tolerance is.
        let is_relative = matches!(tolerance, Tolerance::Relative(_)) && line.average != 0.0;
        let (told_in, size) = if is_relative { ("ratio", line.average.abs()) } else { (unit, 1.0) };
        let others: Vec<f64> = range.not_to_look_like(interval).iter().map(|other| other / size).collect();
        let scale = Scale::of(told_in, change / size, &others);
        let change_in_words =
            scale.with_interval(scale.change(change / size), interval.map(|(low, high)| (low / size, high / size)));
        let average = Scale::of(unit, line.average, &[]).with_unit(line.average);
        let from_to = words::from_to(factor, line.first, line.last);
        let figure = format!("{change_in_words} {from_to}, {average} on average");
        Some(self.finding(&line, &range, change, interval, figure))
    }

    fn finding(&self, line: &Line, range: &Range, value: f64, interval: Option<(f64, f64)>, figure: String) -> Finding {
        let outcome = match interval {
            Some(interval) => Outcome::of(range, value, interval, line.precision, |value| value),
            None => Outcome::too_few(line.precision.trials),
        };
        Finding { outcome, figure, margin: range.margin(value), trials: self.trials, doubtful: self.doubtful }
    }

    fn line(&self) -> Option<Line> {
        let line = Slope::of(&self.points)?;
        let (xs, ys): (Vec<f64>, Vec<f64>) = self.points.iter().copied().unzip();
        let first = xs.iter().copied().reduce(f64::min)?;
        let last = xs.iter().copied().reduce(f64::max)?;
        let size = ys.iter().fold(0.0, |size: f64, y| size.max(y.abs())) / (last - first);
        let tidy = |slope: f64| if slope.abs() <= size * ROUNDING { 0.0 } else { slope };
        let precision = Precision {
            trials: self.trials / self.conditions,
            df: line.n.saturating_sub(2).max(1),
            df_per_trial: self.conditions,
        };
        let interval = line.ci95.map(|(low, high)| (tidy(low), tidy(high)));
        Some(Line { slope: tidy(line.slope), interval, first, last, average: stats::mean(&ys)?, size, precision })
    }
}

impl Line {
    fn scaled(&self, factor: f64) -> Option<(f64, f64)> {
        self.interval.map(|(low, high)| (low * factor, high * factor))
    }
}
