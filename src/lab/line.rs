//! Lines through the figures of several conditions, one for each round: whether something grows with a factor, how
//! much, and beside what else; or stays as it is.

use super::claim::{Comparison, Growth, Tolerance};
use super::verdict::{Finding, Outcome, Range};
use super::words;
use crate::results::factor::Factor;
use crate::results::figure::Scale;
use crate::results::paired::{self, Effect, Line, Ratio};
use crate::results::stats;
use crate::results::summary::TrialValues;

/// What lines go through: the values of each condition, at its value of the factor.
#[derive(Clone, Debug)]
pub struct Points {
    factor: Factor,
    unit: &'static str,
    xs: Vec<f64>,
    of: Vec<TrialValues>,
}

/// A figure that is less than this part of what it could be is the computer's rounding.
const ROUNDING: f64 = 1e-9;

/// What a slope is set beside: of the same rounds.
pub struct Beside<'a> {
    /// The points of the other line.
    pub points: &'a Points,
    /// How the two are compared.
    pub by: Comparison,
    /// Says of an amount that it is the other's.
    pub whose: &'a dyn Fn(&str) -> String,
}

impl Points {
    /// None yet, of a figure in this unit.
    pub fn over(factor: Factor, unit: &'static str) -> Points {
        Points { factor, unit, xs: Vec::new(), of: Vec::new() }
    }

    /// Adds the trials of one of the conditions.
    pub fn add(&mut self, x: f64, of_condition: TrialValues) {
        self.xs.push(x);
        self.of.push(of_condition);
    }

    /// What the slope says of a claim about growth, by itself or beside another's.
    ///
    /// # Errors
    /// Why there is no line.
    pub fn grow(&self, growth: Growth, beside: Option<&Beside<'_>>, unit: &str) -> Result<Finding, Outcome> {
        let Some(beside) = beside else {
            return self.slope(growth);
        };
        let all: Vec<&TrialValues> = self.of.iter().chain(&beside.points.of).collect();
        let rounds = TrialValues::by_round(&all);
        let slopes = |round: &Vec<f64>| {
            let (own, others) = round.split_at_checked(self.of.len())?;
            Some((self.slope_through(own)?, beside.points.slope_through(others)?))
        };
        let slopes = rounds.iter().map(slopes).collect::<Option<Vec<_>>>().ok_or_else(no_line)?;
        let other = Effect::of(&slopes.iter().map(|(_, other)| *other).collect::<Vec<_>>());
        let other = other.ok_or_else(no_round)?.value;
        let (step, noun) = self.factor.step();
        let whose = || {
            let scale = Scale::of(beside.points.unit, other * step, &[]);
            (beside.whose)(&format!("{} per {noun}", scale.with_unit(other * step)))
        };
        let finding = match beside.by {
            Comparison::Ratio => {
                let range = growth.range(0.0);
                let ratio = Ratio::of(&slopes);
                let ratio = ratio.ok_or_else(|| Outcome::Unknown(format!("{} may as well be 0", whose())))?;
                Finding::of_ratio(&range, ratio, unit, &whose())
            }
            Comparison::Difference => {
                let range = growth.range(self.size().max(beside.points.size()));
                let effect = paired::difference(&slopes).ok_or_else(no_round)?;
                let (told, others) = (effect.map(|value| value * step), range.scaled(step));
                let scale = Scale::of(unit, told.value, &others.not_to_look_like(told.ci95));
                let figure = scale.with_interval(format!("{} per {noun}", scale.change(told.value)), told.ci95);
                Finding::of_effect(&range, effect, format!("{figure} against {}", whose()))
            }
        };
        Ok(finding.from(&all, rounds.len()))
    }

    /// What the slope itself says of it.
    fn slope(&self, growth: Growth) -> Result<Finding, Outcome> {
        let (line, rounds) = self.line()?;
        let range = growth.range(self.size());
        let (step, noun) = self.factor.step();
        let told = line.slope.map(|slope| slope * step);
        let scale = Scale::of(self.unit, told.value, &range.scaled(step).not_to_look_like(told.ci95));
        let slope = scale.with_interval(format!("{} per {noun}", scale.change(told.value)), told.ci95);
        // Cost is a + b·x.
        let Effect { value, ci95, .. } = line.intercept;
        // Near 0, its interval decides the unit.
        let ends = ci95.into_iter().flat_map(|(low, high)| [low, high]);
        let largest = ends.fold(value, |largest, end| if end.abs() > largest.abs() { end } else { largest });
        let scale = Scale::of(self.unit, largest, &[]);
        let figure = format!("{slope}, on top of {}", scale.with_interval(scale.with_unit(value), ci95));
        Ok(Finding::of_effect(&range, line.slope, figure).from(&self.all(), rounds))
    }

    /// Whether the figure changes by no more than the tolerance over the factor.
    ///
    /// # Errors
    /// Why there is no line.
    pub fn stay(&self, tolerance: Tolerance) -> Result<Finding, Outcome> {
        let (line, rounds) = self.line()?;
        let (first, last) = self.ends();
        let change = line.slope.map(|slope| slope * (last - first));
        let average = self.average().ok_or_else(no_round)?;
        let off = match tolerance {
            Tolerance::Relative(share) => share.max(0.0) * average.abs(),
            Tolerance::Absolute(amount) => amount,
        };
        let range = Range::about(0.0, Tolerance::Absolute(off));

        // Told as the tolerance is.
        let is_relative = matches!(tolerance, Tolerance::Relative(_)) && average != 0.0;
        let (told_in, size) = if is_relative { ("ratio", average.abs()) } else { (self.unit, 1.0) };
        let told = change.map(|change| change / size);
        let others = range.scaled(1.0 / size).not_to_look_like(told.ci95);
        let scale = Scale::of(told_in, told.value, &others);
        let change_in_words = scale.with_interval(scale.change(told.value), told.ci95);
        let average = Scale::of(self.unit, average, &[]).with_unit(average);
        let from_to = words::from_to(self.factor, first, last);
        let figure = format!("{change_in_words} {from_to}, {average} on average");
        Ok(Finding::of_effect(&range, change, figure).from(&self.all(), rounds))
    }

    /// The line of the rounds that have all conditions, and how many rounds that are.
    fn line(&self) -> Result<(Line, usize), Outcome> {
        let rounds = TrialValues::by_round(&self.all());
        if rounds.is_empty() {
            return Err(no_round());
        }
        let points = |round: &Vec<f64>| self.xs.iter().copied().zip(round.iter().copied()).collect();
        let line = Line::of(&rounds.iter().map(points).collect::<Vec<_>>()).ok_or_else(no_line)?;
        let (first, last) = self.ends();
        let tidy = |effect: Effect, size| effect.map(|value| tidy(value, size));
        let size = self.size();
        let intercept = tidy(line.intercept, size * (last - first));
        Ok((Line { slope: tidy(line.slope, size), intercept }, rounds.len()))
    }

    fn slope_through(&self, round: &[f64]) -> Option<f64> {
        let points: Vec<(f64, f64)> = self.xs.iter().copied().zip(round.iter().copied()).collect();
        paired::least_squares(&points).map(|(slope, _)| tidy(slope, self.size()))
    }

    fn all(&self) -> Vec<&TrialValues> {
        self.of.iter().collect()
    }

    /// The least and the greatest value of the factor.
    fn ends(&self) -> (f64, f64) {
        (
            self.xs.iter().copied().fold(f64::INFINITY, f64::min),
            self.xs.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        )
    }

    /// The steepest the figures could be.
    fn size(&self) -> f64 {
        let (first, last) = self.ends();
        self.of.iter().flat_map(|of| &of.values).fold(0.0, |size: f64, y| size.max(y.abs())) / (last - first)
    }

    fn average(&self) -> Option<f64> {
        stats::mean(&self.of.iter().flat_map(|of| of.values.iter().copied()).collect::<Vec<_>>())
    }
}

impl Growth {
    /// Where a slope has to be; `size` is that of the steepest it could be.
    fn range(self, size: f64) -> Range {
        match self {
            Growth::MoreThan(least) => Range::above(least, size),
            Growth::AtMost(most) => Range::at_most(most),
            Growth::About(growth, tolerance) => Range::about(growth, tolerance),
        }
    }
}

fn tidy(value: f64, size: f64) -> f64 {
    if value.abs() <= size * ROUNDING { 0.0 } else { value }
}

fn no_line() -> Outcome {
    Outcome::Unknown("no line can be drawn through it".to_owned())
}

/// Where each condition was measured, but never in one round.
pub(super) fn no_round() -> Outcome {
    Outcome::Unknown("no round has a repeat that counts of all that is compared".to_owned())
}
