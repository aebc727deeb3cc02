//! What one condition is beside another, round by round: ratios, differences and slopes. Pure.
//!
//! A round is one trial of each condition, neighbours in time: the trials of one number. Each round gives one ratio (as
//! a logarithm), one difference or one line, in which what the machine did to all of them alike is no longer contained,
//! and the estimate is over the rounds. Figures of two conditions are never set beside each other as if they were
//! independent: a machine that drifts would widen them, and the rounds of one condition are correlated (by 0.3 from one
//! to the next, as measured on a virtual machine).
//!
//! # Which interval
//! From six rounds on it is that of Hodges and Lehmann: the estimate is the median of all averages of
//! two rounds, and the interval holds those values that Wilcoxon's signed-rank test does not reject. Below it is
//! Student's t about the mean: of five rounds no interval by ranks reaches 95 %.
//!
//! Chosen by coverage, simulated with 20,000 repeats for each of 4, 5, 8 and 15 rounds (known effects; a drift of the
//! whole round, linear, as a random walk, or with a memory; noise normal, log-normal, Student's with 3 degrees of freedom,
//! and normal with every 20th value 5 times as large): Student's t of log ratios covers in 95 to 96 % but with the
//! outliers, where it is 97 % with 4 and 5 rounds and grows to 98.2 % with 15. By ranks it is 95 to 96 % in all of
//! these, with 0.7 times the width where there are outliers, and 1.03 to 1.10 times where all is normal. Not taken: the variance of
//! successive differences (von Neumann), since pairing leaves it little drift to let out, and it widens five rounds by
//! 15 %. `coverage.rs` repeats the test in small.
//!
//! Differences and slopes of costs that vary by factors are skewed, and what ranks estimate then is the pseudomedian,
//! a little below the mean: with log-normal noise of σ = 0.3 their intervals hold the mean in 94 to 95 %; with σ = 0.6,
//! a slope's in 90 to 93 % (Student's t: 91 %). A machine that drifts changes a slope itself, which is then of the average machine.

use std::sync::LazyLock;

use super::stats::{self, mean};

/// Rounds from which ranks give an interval of 95 %.
const ENOUGH_FOR_RANKS: usize = 6;
/// More than these have so many averages of two, and so close to a normal distribution, that Student's t does.
const MOST_FOR_RANKS: usize = 100;

/// An effect, as the rounds show it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Effect {
    /// Number of rounds.
    pub n: usize,
    /// The estimate: the mean of few rounds, the Hodges–Lehmann estimate of more.
    pub value: f64,
    /// 95 % confidence interval; `None` below two rounds (or where it is beyond all numbers).
    pub ci95: Option<(f64, f64)>,
}

impl Effect {
    /// From its values in each round; `None` without rounds or with a value that is not finite.
    pub fn of(rounds: &[f64]) -> Option<Effect> {
        let n = rounds.len();
        if !(ENOUGH_FOR_RANKS..=MOST_FOR_RANKS).contains(&n) {
            let stats::Estimate { n, mean, ci95, .. } = stats::Estimate::of(rounds)?;
            return Some(Effect { n, value: mean, ci95 });
        }
        if !rounds.iter().all(|value| value.is_finite()) {
            return None;
        }
        let mut averages: Vec<f64> = (0..n)
            .flat_map(|first| (first..n).map(move |second| f64::midpoint(rounds[first], rounds[second])))
            .collect();
        averages.sort_by(f64::total_cmp);
        let rejected = SIGNED_RANK_CRITICAL[n];
        let ci95 = (averages[rejected], averages[averages.len() - 1 - rejected]);
        Some(Effect { n, value: stats::middle(&averages), ci95: Some(ci95) })
    }

    /// The same of something that grows with it.
    pub fn map(self, grows: impl Fn(f64) -> f64) -> Effect {
        let ci95 = self.ci95.map(|(low, high)| (grows(low), grows(high)));
        Effect { n: self.n, value: grows(self.value), ci95: ci95.filter(stats::is_finite) }
    }
}

/// By n: the largest k for which the sum of the positive ones among n signed ranks is at most k with a probability of no
/// more than 2.5 %, or 0.
static SIGNED_RANK_CRITICAL: LazyLock<Vec<usize>> = LazyLock::new(|| {
    let mut critical = vec![0];
    // The probability of each sum: every rank is in it or not, by a coin.
    let mut of_sum = vec![1.0];
    for rank in 1..=MOST_FOR_RANKS {
        let without = of_sum.iter().copied().chain(std::iter::repeat_n(0.0, rank));
        let with = std::iter::repeat_n(0.0, rank).chain(of_sum.iter().copied());
        of_sum = without.zip(with).map(|(without, with)| f64::midpoint(without, with)).collect();
        let mut within = 0.0;
        let too_many = of_sum.iter().position(|probability| {
            within += probability;
            within > 0.025
        });
        critical.push(too_many.map_or(0, |sum| sum.saturating_sub(1)));
    }
    critical
});

/// How many times one figure is another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ratio {
    /// The ratio.
    pub effect: Effect,
    /// Whether it is from logarithms, on whose scale the interval reaches equally far to both sides.
    pub by_logs: bool,
}

impl Ratio {
    /// Of the two figures of each round; `None` without rounds, or where the other is not above 0 in all of them.
    ///
    /// The rounds' logarithms are estimated where both are above 0 throughout, which is for what varies by factors, as
    /// costs and times do; the ratios themselves where some of the figures are 0 or less. Nothing but zeros is 0 times
    /// anything above 0, exactly.
    pub fn of(rounds: &[(f64, f64)]) -> Option<Ratio> {
        if rounds.iter().any(|(_, other)| *other <= 0.0) {
            return None;
        }
        let by_logs = rounds.iter().all(|(figure, _)| *figure > 0.0);
        let each = rounds.iter().map(|(figure, other)| if by_logs { figure.ln() - other.ln() } else { figure / other });
        let effect = Effect::of(&each.collect::<Vec<_>>())?;
        let never_below = rounds.iter().all(|(figure, _)| *figure >= 0.0);
        let effect = effect.map(|value| match (by_logs, never_below) {
            (true, _) => value.exp(),
            (false, true) => value.max(0.0),
            (false, false) => value,
        });
        effect.value.is_finite().then_some(Ratio { effect, by_logs })
    }
}

/// How much one figure is above another; `None` without rounds.
pub fn difference(rounds: &[(f64, f64)]) -> Option<Effect> {
    Effect::of(&rounds.iter().map(|(figure, other)| figure - other).collect::<Vec<_>>())
}

/// How a figure grows with another, a + b·x: the least-squares line of each round.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Line {
    /// b, the growth for one more x.
    pub slope: Effect,
    /// a, the figure at x = 0.
    pub intercept: Effect,
}

impl Line {
    /// Through the (x, y) points of each round; `None` without rounds, or unless at least two x differ in each and all
    /// values are finite.
    pub fn of(rounds: &[Vec<(f64, f64)>]) -> Option<Line> {
        let (slopes, intercepts): (Vec<f64>, Vec<f64>) =
            rounds.iter().map(|points| least_squares(points)).collect::<Option<Vec<_>>>()?.into_iter().unzip();
        Some(Line { slope: Effect::of(&slopes)?, intercept: Effect::of(&intercepts)? })
    }
}

/// Slope and intercept of the least-squares line; `None` unless at least two x differ and all values are finite.
pub fn least_squares(points: &[(f64, f64)]) -> Option<(f64, f64)> {
    let (xs, ys): (Vec<f64>, Vec<f64>) = points.iter().copied().unzip();
    let (x_mean, y_mean) = (mean(&xs)?, mean(&ys)?);
    let spread: f64 = xs.iter().map(|x| (x - x_mean).powi(2)).sum();
    if spread == 0.0 {
        return None;
    }
    let slope = points.iter().map(|(x, y)| (x - x_mean) * (y - y_mean)).sum::<f64>() / spread;
    let intercept = y_mean - slope * x_mean;
    (slope.is_finite() && intercept.is_finite()).then_some((slope, intercept))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(a: f64, b: f64, tolerance: f64) {
        assert!((a - b).abs() <= tolerance, "{a} is not {b}");
    }

    fn near(interval: Option<(f64, f64)>, (low, high): (f64, f64)) {
        let found = interval.unwrap();
        close(found.0, low, 1e-6);
        close(found.1, high, 1e-6);
    }

    /// The figures are those of the printed tables (two-sided 5 %; Wilcoxon 1945 and later).
    #[test]
    fn critical_values_of_signed_ranks() {
        for (n, critical) in [(6, 0), (7, 2), (8, 3), (9, 5), (10, 8), (11, 10), (12, 13), (15, 25), (20, 52), (25, 89)]
        {
            assert_eq!(SIGNED_RANK_CRITICAL[n], critical, "{n}");
        }
    }

    #[test]
    fn few_rounds_by_students_t_and_more_by_ranks() {
        let few = Effect::of(&[1.0, 2.0, 6.0]).unwrap();
        // Mean 3, sd √7; t for 2 degrees 4.302653.
        let half = 4.302_652_73 * (7.0_f64 / 3.0).sqrt();
        assert_eq!((few.n, few.value), (3, 3.0));
        near(few.ci95, (3.0 - half, 3.0 + half));

        // Six: the least and the greatest; the middle one of the 21 averages is that of 2 and 5, and others.
        let six = Effect::of(&[1.0, 2.0, 3.0, 4.0, 5.0, 100.0]).unwrap();
        assert_eq!((six.n, six.value, six.ci95), (6, 3.5, Some((1.0, 100.0))));
        // Seven: two averages are left out at each end: 1, 1.5 below; 7, 6.5 above.
        let seven = Effect::of(&[7.0, 1.0, 6.0, 2.0, 5.0, 3.0, 4.0]).unwrap();
        assert_eq!((seven.value, seven.ci95), (4.0, Some((2.0, 6.0))));
        // One of nine is far off, and makes no difference to where the others are.
        let outlier = Effect::of(&[1.0, 1.1, 0.9, 1.0, 1.2, 0.8, 1.0, 1.1, 50.0]).unwrap();
        assert!(outlier.value < 1.2 && outlier.ci95.unwrap().0 > 0.8, "{outlier:?}");
        assert_eq!(Effect::of(&[2.0; 15]).unwrap().ci95, Some((2.0, 2.0)), "exactly");
        assert_eq!(Effect::of(&[3.0]).unwrap().ci95, None);
        assert_eq!(Effect::of(&vec![3.0; 101]).unwrap().ci95, Some((3.0, 3.0)));
        for none in [&[][..], &[f64::NAN, 1.0], &[1.0, 1.0, 1.0, 1.0, 1.0, 1.0, f64::INFINITY]] {
            assert_eq!(Effect::of(none), None);
        }
    }

    #[test]
    fn ratios_by_round() {
        // The machine takes twice as long in the second round, and ten times in the third.
        let ratio = Ratio::of(&[(3.0, 1.0), (6.0, 2.0), (30.0, 10.0)]).unwrap();
        close(ratio.effect.value, 3.0, 1e-12);
        near(ratio.effect.ci95, (3.0, 3.0));
        let ratio = Ratio::of(&[(2.0, 1.0), (8.0, 1.0)]).unwrap();
        close(ratio.effect.value, 4.0, 1e-12);
        // Logarithms: mean ln 4, sd / √2 = ln 2; t for 1 degree 12.706205.
        let factor = (12.706_204_736 * 2_f64.ln()).exp();
        let (low, high) = ratio.effect.ci95.unwrap();
        close(low * factor, 4.0, 1e-4);
        close(high / factor, 4.0, 1e-4);
        assert!(ratio.by_logs);
    }

    #[test]
    fn ratios_at_zero() {
        let of = |rounds: &[(f64, f64)]| Ratio::of(rounds).map(|ratio| (ratio.effect.value, ratio.effect.ci95));
        assert_eq!(of(&[(0.0, 4.0), (0.0, 5.0), (0.0, 6.0)]), Some((0.0, Some((0.0, 0.0)))), "exactly");
        assert_eq!(of(&[(0.0, 1.0)]), Some((0.0, None)));
        for none in [&[][..], &[(0.0, 0.0), (0.0, 0.0)], &[(1.0, 0.0), (1.0, 2.0)], &[(1.0, -1.0)]] {
            assert_eq!(of(none), None);
        }
        // Some are 0: by the ratios themselves, 0 and 0.2; never below 0.
        let (value, interval) = of(&[(0.0, 5.0), (1.0, 5.0)]).unwrap();
        assert_eq!((value, interval.unwrap().0), (0.1, 0.0));
        close(interval.unwrap().1, 0.1 + 12.706_204_736 * 0.1, 1e-6);
        assert_eq!(Ratio::of(&[(1e308, 1e-308), (1e308, 1e-308)]), None, "beyond all numbers");
    }

    #[test]
    fn a_line_for_each_round() {
        // y = 2 + 3 x and y = 4 + 3 x: what the rounds have by themselves is in the intercept.
        let rounds = [vec![(1.0, 5.0), (2.0, 8.0), (4.0, 14.0)], vec![(1.0, 7.0), (2.0, 10.0), (4.0, 16.0)]];
        let line = Line::of(&rounds).unwrap();
        close(line.slope.value, 3.0, 1e-12);
        near(line.slope.ci95, (3.0, 3.0));
        close(line.intercept.value, 3.0, 1e-12);
        near(line.intercept.ci95, (3.0 - 12.706_204_736, 3.0 + 12.706_204_736));
        // By SciPy 1.17.1 (`linregress`).
        let points = [(1.0, 2.1), (2.0, 3.9), (3.0, 6.2), (4.0, 7.8), (5.0, 10.1)];
        let (slope, intercept) = least_squares(&points).unwrap();
        close(slope, 1.99, 1e-12);
        close(intercept, 0.05, 1e-12);
        for none in [&[][..], &[(1.0, 1.0)], &[(2.0, 1.0), (2.0, 5.0)], &[(1.0, 1.0), (2.0, f64::NAN)]] {
            assert_eq!(least_squares(none), None);
        }
        assert_eq!(Line::of(&[]), None);
        assert_eq!(Line::of(&[vec![(1.0, 1.0)]]), None);
    }

    #[test]
    fn differences_by_round() {
        let effect = difference(&[(5.0, 2.0), (55.0, 52.0)]).unwrap();
        assert_eq!((effect.value, effect.ci95), (3.0, Some((3.0, 3.0))));
        assert_eq!(difference(&[]), None);
    }
}
