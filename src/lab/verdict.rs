//! Whether a figure bears a claim out: the decision by its interval, and the verdict over all conditions. Pure.

use super::claim::{Expect, Tolerance};
use crate::results::figure::Scale;
use crate::results::paired::{Effect, Ratio};
use crate::results::stats;
use crate::results::summary::{ENOUGH, TrialValues};

/// Where a figure has to be for a claim to hold.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Range {
    low: f64,
    high: f64,
    /// How far beyond its ends still counts: what the computer's rounding may do.
    slack: f64,
}

/// Where an interval is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Position {
    /// All of it within the range.
    Inside,
    /// All of it beyond.
    Outside,
    /// It reaches over an end of the range.
    Across,
}

/// What one condition, or one line through several, says of a claim.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// It bears the claim out.
    Holds,
    /// It refutes it.
    Fails,
    /// Its interval is too wide: this many more repeats would probably do; `None`: no number of them would.
    Noisy(Option<usize>),
    /// There is no interval; this many more repeats would give one.
    TooFew(usize),
    /// It cannot be judged, and why.
    Unknown(String),
    /// This machine does not let it be measured, and why.
    NotHere(String),
}

/// An outcome with the figure it rests on.
#[derive(Clone, Debug)]
pub struct Finding {
    /// Whether it bears the claim out.
    pub outcome: Outcome,
    /// In words; empty where there is none.
    pub figure: String,
    /// How far on the right side the figure is, to find the worst by.
    pub margin: f64,
    /// Trials it is from.
    pub trials: usize,
    /// Of so many there were.
    pub run: usize,
    /// Trials it is from that were disturbed.
    pub doubtful: usize,
}

/// What a run says of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Everywhere.
    Holds,
    /// Nowhere, as far as can be told.
    DoesNotHold,
    /// In some conditions, and not in others.
    HoldsOnlyOn,
    /// The figures don't tell.
    Undecided,
    /// The machine lacks something.
    CannotBeShown,
}

/// What rounding may do to a figure, in proportion.
const ROUNDING: f64 = 1e-9;

impl Range {
    /// Not above `bound`.
    pub fn at_most(bound: f64) -> Range {
        Range { low: f64::NEG_INFINITY, high: bound, slack: bound.abs() * ROUNDING }
    }

    /// Not below `bound`.
    pub fn at_least(bound: f64) -> Range {
        Range { low: bound, high: f64::INFINITY, slack: bound.abs() * ROUNDING }
    }

    /// Within the tolerance of `bound`; one that is not a number above 0 is taken for 0.
    pub fn about(bound: f64, tolerance: Tolerance) -> Range {
        let off = match tolerance {
            Tolerance::Relative(share) => share.max(0.0) * bound.abs(),
            Tolerance::Absolute(amount) => amount.max(0.0),
        };
        Range { low: bound - off, high: bound + off, slack: bound.abs().max(off) * ROUNDING }
    }

    /// Above `bound`, by more than rounding does to figures of this size.
    pub fn above(bound: f64, size: f64) -> Range {
        Range { low: bound, high: f64::INFINITY, slack: -bound.abs().max(size) * ROUNDING }
    }

    /// Where an interval is in relation to it; across where any of them is not a number.
    pub fn position(&self, (low, high): (f64, f64)) -> Position {
        let (lowest, highest) = (self.low - self.slack, self.high + self.slack);
        if low >= lowest && high <= highest {
            Position::Inside
        } else if high < lowest || low > highest {
            Position::Outside
        } else {
            Position::Across
        }
    }

    /// The same in another unit, of which `times` make one.
    pub fn scaled(&self, times: f64) -> Range {
        Range { low: self.low * times, high: self.high * times, slack: self.slack * times }
    }

    /// What a figure must not look like: the ends of its interval and those of the range.
    pub fn not_to_look_like(&self, interval: Option<(f64, f64)>) -> Vec<f64> {
        let ends = interval.map(|(low, high)| [low, high]);
        ends.into_iter().flatten().chain(self.ends()).collect()
    }

    /// Its finite ends.
    fn ends(&self) -> impl Iterator<Item = f64> {
        [self.low, self.high].into_iter().filter(|end| end.is_finite())
    }

    /// How far inside a figure is, below 0 where it is outside; in proportion to the range's own numbers where those
    /// are not 0.
    pub fn margin(&self, value: f64) -> f64 {
        let margin = (value - self.low).min(self.high - value);
        let size = self.ends().fold(0.0, |size: f64, end| size.max(end.abs()));
        if size > 0.0 { margin / size } else { margin }
    }
}

impl Finding {
    /// Where there is none.
    pub fn without_figure(outcome: Outcome) -> Finding {
        Finding { outcome, figure: String::new(), margin: f64::INFINITY, trials: 0, run: 0, doubtful: 0 }
    }

    /// What an effect says of its range, `figure` being it in words.
    pub fn of_effect(range: &Range, effect: Effect, figure: String) -> Finding {
        Finding::on(range, effect, |value| value, figure)
    }

    /// What a ratio says, told in `unit` (a ratio's), of what the other figure is in words.
    pub fn of_ratio(range: &Range, Ratio { effect, by_logs }: Ratio, unit: &str, other: &str) -> Finding {
        let scale = Scale::of(unit, effect.value, &range.not_to_look_like(effect.ci95));
        let of = if unit == "ratio" { " of" } else { "" };
        let figure = scale.with_interval(format!("{}{of} {other}", scale.with_unit(effect.value)), effect.ci95);
        Finding::on(range, effect, if by_logs { f64::ln } else { |value| value }, figure)
    }

    fn on(range: &Range, Effect { n, value, ci95 }: Effect, scale: fn(f64) -> f64, figure: String) -> Finding {
        let outcome = match ci95 {
            Some(interval) => Outcome::of(range, value, interval, n, scale),
            None => Outcome::too_few(n),
        };
        Finding { outcome, figure, margin: range.margin(value), trials: 0, run: 0, doubtful: 0 }
    }

    /// With the trials it is from: those of so many rounds of these conditions.
    pub fn from(self, conditions: &[&TrialValues], rounds: usize) -> Finding {
        let each = |of: &&TrialValues| rounds.min(of.values.len());
        let trials = conditions.iter().map(each).sum();
        let doubtful: usize = conditions.iter().map(|of| of.doubtful).sum();
        let run = conditions.iter().map(|of| of.run).sum();
        Finding { trials, run, doubtful: doubtful.min(trials), ..self }
    }
}

impl Outcome {
    /// By a figure and its interval, from so many rounds. `on` is the scale on which the interval reaches about equally far
    /// to both sides.
    fn of(range: &Range, value: f64, interval: (f64, f64), rounds: usize, on: fn(f64) -> f64) -> Outcome {
        match range.position(interval) {
            Position::Inside => Outcome::Holds,
            Position::Outside => Outcome::Fails,
            Position::Across => {
                let half = (on(interval.1) - on(interval.0)) / 2.0;
                let distance = range.ends().map(|end| (on(value) - on(end)).abs()).fold(f64::INFINITY, f64::min);
                Outcome::Noisy(stats::more_trials(rounds, half, distance))
            }
        }
    }

    /// Where so many trials give no interval.
    pub fn too_few(trials: usize) -> Outcome {
        Outcome::TooFew(ENOUGH.saturating_sub(trials).max(1))
    }
}

impl Verdict {
    /// Over all conditions (or lines) of a claim.
    pub fn of<'a>(outcomes: impl IntoIterator<Item = &'a Outcome>) -> Verdict {
        let (mut holds, mut fails, mut open, mut not_here) = (0, 0, 0, 0);
        for outcome in outcomes {
            match outcome {
                Outcome::Holds => holds += 1,
                Outcome::Fails => fails += 1,
                Outcome::Noisy(_) | Outcome::TooFew(_) | Outcome::Unknown(_) => open += 1,
                Outcome::NotHere(_) => not_here += 1,
            }
        }
        match (holds, fails, open, not_here) {
            (0, 1.., ..) => Verdict::DoesNotHold,
            (_, 1.., ..) => Verdict::HoldsOnlyOn,
            (_, _, 1.., _) | (0, 0, 0, 0) => Verdict::Undecided,
            (.., 1..) => Verdict::CannotBeShown,
            _ => Verdict::Holds,
        }
    }

    /// The spelling in `claims.csv`.
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Holds => "holds",
            Verdict::DoesNotHold => "does-not-hold",
            Verdict::HoldsOnlyOn => "holds-only-on",
            Verdict::Undecided => "undecided",
            Verdict::CannotBeShown => "cannot-be-shown",
        }
    }

    /// Whether it is what the lab expects. That it can't be shown here speaks against neither lab nor claim.
    pub fn is_as_expected(self, expect: Expect) -> bool {
        match self {
            Verdict::CannotBeShown => true,
            Verdict::Holds => expect != Expect::Fails,
            Verdict::DoesNotHold => expect == Expect::Fails,
            Verdict::Undecided => expect == Expect::HoldsIfDecided,
            Verdict::HoldsOnlyOn => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(range: Range, value: f64, half: f64) -> Outcome {
        Outcome::of(&range, value, (value - half, value + half), 5, |value| value)
    }

    #[test]
    fn the_whole_interval_decides() {
        assert_eq!(outcome(Range::at_most(2.0), 1.5, 0.5), Outcome::Holds, "up to the bound");
        assert_eq!(outcome(Range::at_most(2.0), 3.0, 0.9), Outcome::Fails);
        assert!(matches!(outcome(Range::at_most(2.0), 1.5, 0.6), Outcome::Noisy(Some(_))));
        assert_eq!(outcome(Range::at_least(2.0), 2.5, 0.5), Outcome::Holds);
        assert_eq!(outcome(Range::at_least(2.0), 1.0, 0.9), Outcome::Fails);
        let about = Range::about(10.0, Tolerance::Relative(0.1));
        assert_eq!(outcome(about, 10.5, 0.5), Outcome::Holds);
        assert_eq!(outcome(about, 8.0, 0.9), Outcome::Fails);
        assert_eq!(outcome(about, 12.0, 0.9), Outcome::Fails);
        assert!(matches!(outcome(about, 10.0, 1.5), Outcome::Noisy(Some(_))));
        let of_zero = Range::about(0.0, Tolerance::Relative(0.1));
        assert_eq!(outcome(of_zero, 0.0, 0.0), Outcome::Holds);
        assert_eq!(outcome(of_zero, 0.001, 0.0), Outcome::Fails);
        assert_eq!(outcome(Range::about(0.0, Tolerance::Absolute(0.01)), 0.005, 0.005), Outcome::Holds);
    }

    #[test]
    fn rounding_decides_nothing() {
        let third = 1.0 / 3.0;
        assert_eq!(outcome(Range::at_most(1.0), third + third + third + 1e-15, 0.0), Outcome::Holds);
        assert_eq!(outcome(Range::about(0.3, Tolerance::Relative(0.0)), 0.1 + 0.2, 0.0), Outcome::Holds);
        assert_eq!(outcome(Range::above(0.0, 4.0), 1e-16, 0.0), Outcome::Fails, "no growth");
        assert_eq!(outcome(Range::above(0.0, 4.0), 1e-3, 0.0), Outcome::Holds);
        assert_eq!(outcome(Range::above(1.0, 4.0), 1.0, 0.0), Outcome::Fails, "above, not at");
    }

    #[test]
    fn how_many_more_repeats() {
        // By SciPy: t(0.975, 4 + m) × √(5 / (5 + m)) has to fall to the needed part of what it is for m = 0.
        assert_eq!(outcome(Range::at_most(2.0), 1.5, 0.6), Outcome::Noisy(Some(2)));
        assert_eq!(outcome(Range::at_most(2.0), 1.5, 1.0), Outcome::Noisy(Some(8)));
        assert_eq!(outcome(Range::at_most(2.0), 2.0, 1.0), Outcome::Noisy(None));
        assert_eq!(outcome(Range::at_most(2.0), 1.999_999, 1.0), Outcome::Noisy(None));
    }

    #[test]
    fn what_is_not_a_number_decides_nothing() {
        for (low, high) in [(f64::NAN, 1.0), (0.0, f64::NAN), (f64::NEG_INFINITY, f64::INFINITY)] {
            assert_eq!(Range::at_most(0.5).position((low, high)), Position::Across);
        }
        assert_eq!(Range::at_most(f64::NAN).position((0.0, 1.0)), Position::Across);
        let about = Range::about(1.0, Tolerance::Relative(f64::NAN));
        assert_eq!(about, Range::about(1.0, Tolerance::Absolute(-3.0)), "taken for 0");
        assert_eq!(outcome(Range::at_most(f64::NAN), 1.0, f64::NAN), Outcome::Noisy(None));
    }

    #[test]
    fn a_wider_range_never_turns_against_the_claim() {
        // Numbers that are scattered and always the same ones.
        let mut state = 1_u64;
        let mut random = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 11) as f64 / (1_u64 << 53) as f64
        };
        let rank = |position| match position {
            Position::Outside => 0,
            Position::Across => 1,
            Position::Inside => 2,
        };
        for _ in 0..20_000 {
            let (value, half) = ((random() - 0.5) * 10.0, random().powi(4) * 3.0);
            let interval = (value - half, value + half);
            let (bound, wider) = ((random() - 0.5) * 10.0, random());
            let tolerance = random();
            for (narrow, wide) in [
                (Range::at_most(bound), Range::at_most(bound + wider)),
                (Range::at_least(bound), Range::at_least(bound - wider)),
                (Range::above(bound, 1.0), Range::above(bound - wider, 1.0)),
                (
                    Range::about(bound, Tolerance::Absolute(tolerance)),
                    Range::about(bound, Tolerance::Absolute(tolerance + wider)),
                ),
                (
                    Range::about(bound, Tolerance::Relative(tolerance)),
                    Range::about(bound, Tolerance::Relative(tolerance + wider)),
                ),
            ] {
                let (before, after) = (narrow.position(interval), wide.position(interval));
                assert!(rank(after) >= rank(before), "{interval:?} in {narrow:?}: {before:?}, in {wide:?}: {after:?}");
            }
        }
    }

    #[test]
    fn verdicts_over_conditions() {
        use Outcome::{Fails, Holds, Noisy, NotHere, TooFew, Unknown};
        let of = |outcomes: &[Outcome]| Verdict::of(outcomes).as_str();
        assert_eq!(of(&[Holds, Holds]), "holds");
        assert_eq!(of(&[Fails, Fails]), "does-not-hold");
        assert_eq!(of(&[Holds, Fails]), "holds-only-on");
        assert_eq!(of(&[Holds, Fails, Noisy(None)]), "holds-only-on");
        assert_eq!(of(&[Fails, Noisy(Some(1))]), "does-not-hold");
        assert_eq!(of(&[Holds, Noisy(Some(1))]), "undecided");
        assert_eq!(of(&[Holds, TooFew(2)]), "undecided");
        assert_eq!(of(&[Holds, Unknown(String::new()), NotHere(String::new())]), "undecided");
        assert_eq!(of(&[Holds, NotHere(String::new())]), "cannot-be-shown");
        assert_eq!(of(&[Fails, NotHere(String::new())]), "does-not-hold");
        assert_eq!(of(&[]), "undecided");
    }

    #[test]
    fn what_is_expected() {
        let all =
            [Verdict::Holds, Verdict::DoesNotHold, Verdict::HoldsOnlyOn, Verdict::Undecided, Verdict::CannotBeShown];
        let expected = |expect| all.map(|verdict| verdict.is_as_expected(expect));
        assert_eq!(expected(Expect::Holds), [true, false, false, false, true]);
        assert_eq!(expected(Expect::Fails), [false, true, false, false, true]);
        assert_eq!(expected(Expect::HoldsIfDecided), [true, false, false, true, true]);
    }
}
