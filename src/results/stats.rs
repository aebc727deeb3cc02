//! Median, mean, 95 % confidence interval, coefficient of variation, slopes and ratios: pure.
//!
//! What is not defined (an interval from one value, a slope through one point) is `None`; nothing here gives NaN.

use std::f64::consts::PI;

/// What repeated measurements say of one figure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// Number of values.
    pub n: usize,
    /// Middle value, or the mean of the two in the middle.
    pub median: f64,
    /// Arithmetic mean.
    pub mean: f64,
    /// 95 % confidence interval of the mean (Student's t); `None` below two values (or where it is beyond all numbers).
    pub ci95: Option<(f64, f64)>,
    /// Coefficient of variation, sample standard deviation / mean; `None` below two values or where the mean is 0.
    pub cv: Option<f64>,
}

impl Estimate {
    /// From the values of independent trials; `None` without values or with one that is not finite.
    pub fn of(values: &[f64]) -> Option<Estimate> {
        let median = median(values)?;
        let mean = mean(values)?;
        let sd = variance(values, mean).map(f64::sqrt);
        let n = values.len();
        let ci95 = sd.map(|sd| {
            let half = t95(n - 1) * sd / (n as f64).sqrt();
            (mean - half, mean + half)
        });
        let ci95 = ci95.filter(is_finite);
        let cv = sd.map(|sd| sd / mean).filter(|cv| cv.is_finite());
        Some(Estimate { n, median, mean, ci95, cv })
    }
}

/// How much a figure grows with another: the least-squares line through points.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Slope {
    /// Number of points.
    pub n: usize,
    /// Growth of y for one more x.
    pub slope: f64,
    /// y at x = 0.
    pub intercept: f64,
    /// 95 % confidence interval of the slope (Student's t, n − 2 degrees of freedom); `None` below three points.
    pub ci95: Option<(f64, f64)>,
}

impl Slope {
    /// Through (x, y) points; `None` unless at least two x differ and all values are finite.
    pub fn of(points: &[(f64, f64)]) -> Option<Slope> {
        let (xs, ys): (Vec<f64>, Vec<f64>) = points.iter().copied().unzip();
        let (x_mean, y_mean) = (mean(&xs)?, mean(&ys)?);
        let spread: f64 = xs.iter().map(|x| (x - x_mean).powi(2)).sum();
        if spread == 0.0 {
            return None;
        }
        let slope = points.iter().map(|(x, y)| (x - x_mean) * (y - y_mean)).sum::<f64>() / spread;
        let intercept = y_mean - slope * x_mean;
        let n = points.len();
        let ci95 = n.checked_sub(2).filter(|df| *df > 0).map(|df| {
            let residual: f64 = points.iter().map(|(x, y)| (y - intercept - slope * x).powi(2)).sum();
            let half = t95(df) * (residual / df as f64 / spread).sqrt();
            (slope - half, slope + half)
        });
        let ci95 = ci95.filter(is_finite);
        (slope.is_finite() && intercept.is_finite()).then_some(Slope { n, slope, intercept, ci95 })
    }
}

/// How many times one figure is another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ratio {
    /// Mean of the one / mean of the other, arithmetic or geometric.
    pub ratio: f64,
    /// 95 % confidence interval, on the logarithmic scale (so it stays above 0); `None` where either side has fewer
    /// than two values, or where that of the other reaches down to 0.
    pub ci95: Option<(f64, f64)>,
}

impl Ratio {
    /// Of the means of two independent sets of values that are not below 0; `None` where the other mean is not above 0.
    ///
    /// The interval is the delta method's for log(mean) with the degrees of freedom of Welch and Satterthwaite,
    /// rounded down. It is meant for means well away from 0: near 0 it becomes very wide, as it should. Nothing but
    /// zeros is 0 times anything above 0, exactly.
    pub fn of(numerator: &[f64], denominator: &[f64]) -> Option<Ratio> {
        let (above, below) = (mean(numerator)?, Estimate::of(denominator)?);
        if numerator.iter().any(|value| *value < 0.0) || below.mean <= 0.0 {
            return None;
        }
        let ratio = above / below.mean;
        // Variance of log(mean): relative variance of the mean.
        let of_log = |values: &[f64], mean: f64| Some(variance(values, mean)? / (values.len() as f64 * mean * mean));
        let ci95 = of_log(numerator, above).zip(of_log(denominator, below.mean)).map(|(a, b)| {
            if above == 0.0 {
                return (0.0, 0.0);
            }
            let factor = (welch_t(a, numerator.len(), b, denominator.len()) * (a + b).sqrt()).exp();
            (ratio / factor, ratio * factor)
        });
        let ci95 = ci95.filter(is_finite).filter(|_| below.ci95.is_some_and(|(low, _)| low > 0.0));
        ratio.is_finite().then_some(Ratio { ratio, ci95 })
    }

    /// Of the geometric means of two independent sets of values above 0; `None` where there is another value, or none.
    ///
    /// It is for what varies by factors, as times of messages do: on the logarithmic scale one slow trial among five
    /// does not decide the mean. The interval is Welch's t on that scale.
    pub fn of_logs(numerator: &[f64], denominator: &[f64]) -> Option<Ratio> {
        let (above, below) = (logs(numerator), logs(denominator));
        let (mean_above, mean_below) = (mean(&above)?, mean(&below)?);
        let of_mean = |logs: &[f64], mean| Some(variance(logs, mean)? / logs.len() as f64);
        let half = of_mean(&above, mean_above)
            .zip(of_mean(&below, mean_below))
            .map(|(a, b)| welch_t(a, above.len(), b, below.len()) * (a + b).sqrt());
        let ratio = (mean_above - mean_below).exp();
        let ci95 = half.map(|half| (ratio / half.exp(), ratio * half.exp())).filter(is_finite);
        ratio.is_finite().then_some(Ratio { ratio, ci95 })
    }
}

/// The t for the sum of two variances of means, from `n_a` and `n_b` ≥ 2 values, with the degrees of freedom of Welch and
/// Satterthwaite, rounded down.
fn welch_t(a: f64, n_a: usize, b: f64, n_b: usize) -> f64 {
    let df = (a + b).powi(2) / (a * a / (n_a as f64 - 1.0) + b * b / (n_b as f64 - 1.0));
    // Both sides constant: 0 / 0, and the interval is a point whatever the quantile.
    t95(if df.is_finite() { (df as usize).max(1) } else { 1 })
}

/// The geometric mean; `None` without values or with one that is not above 0.
pub fn geometric_mean(values: &[f64]) -> Option<f64> {
    mean(&logs(values)).map(f64::exp)
}

fn logs(values: &[f64]) -> Vec<f64> {
    values.iter().map(|value| value.ln()).collect()
}

/// How many more trials would probably narrow an interval to `needed` on each side, if the spread stays as it is: at
/// least 1; `None` for more than anybody would wait for.
///
/// The interval reaches `half` to each side now; it is from `trials` trials with `df` ≥ 1 degrees of freedom, and each
/// trial more brings `df_per_trial` of them.
pub fn more_trials(trials: usize, df: usize, df_per_trial: usize, half: f64, needed: f64) -> Option<usize> {
    const MOST: usize = 200;
    (1..=MOST).find(|more| {
        let narrower = t95(df + more * df_per_trial) / t95(df) * (trials as f64 / (trials + more) as f64).sqrt();
        half * narrower <= needed
    })
}

/// The middle value, or the mean of the two in the middle; `None` without values or with one that is not finite.
pub fn median(values: &[f64]) -> Option<f64> {
    if values.is_empty() || !values.iter().all(|value| value.is_finite()) {
        return None;
    }
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    Some(if sorted.len() % 2 == 1 { sorted[middle] } else { f64::midpoint(sorted[middle - 1], sorted[middle]) })
}

/// The arithmetic mean; `None` without values or where it is not finite.
pub fn mean(values: &[f64]) -> Option<f64> {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    mean.is_finite().then_some(mean)
}

fn is_finite((low, high): &(f64, f64)) -> bool {
    low.is_finite() && high.is_finite()
}

/// The sample variance about `mean`; `None` below two values.
fn variance(values: &[f64], mean: f64) -> Option<f64> {
    let df = values.len().checked_sub(1).filter(|df| *df > 0)?;
    Some(values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / df as f64)
}

/// The t for which Student's distribution with `df` ≥ 1 degrees of freedom has 95 % of its mass within ±t.
fn t95(df: usize) -> f64 {
    // The mass within ±t grows with the angle atan(t / √df): bisect on that, which is bounded.
    let (mut low, mut high) = (0.0, PI / 2.0);
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if mass_within(middle, df) < 0.95 {
            low = middle;
        } else {
            high = middle;
        }
    }
    low.tan() * (df as f64).sqrt()
}

/// The mass of Student's distribution within ±t, where `angle` = atan(t / √df): the finite series for whole `df`
/// (Abramowitz and Stegun, 26.7.3 and 26.7.4).
fn mass_within(angle: f64, df: usize) -> f64 {
    let (sin, cos) = angle.sin_cos();
    let odd = df % 2 == 1;
    // cos + 2/3 cos³ + (2·4)/(3·5) cos⁵ …, up to cos^(df−2); for even df 1 + 1/2 cos² + (1·3)/(2·4) cos⁴ …
    let (mut term, mut power) = if odd { (cos, 1) } else { (1.0, 0) };
    let mut sum = 0.0;
    while power + 2 <= df {
        sum += term;
        term *= cos * cos * (power + 1) as f64 / (power + 2) as f64;
        power += 2;
    }
    if odd { (angle + sin * sum) * 2.0 / PI } else { sin * sum }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(a: f64, b: f64, tolerance: f64) {
        assert!((a - b).abs() <= tolerance, "{a} is not {b}");
    }

    #[test]
    fn t_quantiles_are_those_of_the_printed_tables() {
        let table = [
            (1, 12.706_204_7),
            (2, 4.302_652_7),
            (3, 3.182_446_3),
            (4, 2.776_445_1),
            (5, 2.570_581_8),
            (9, 2.262_157_2),
            (10, 2.228_138_9),
            (29, 2.045_229_6),
            (30, 2.042_272_5),
            (100, 1.983_971_5),
            (1000, 1.962_339_1),
        ];
        for (df, t) in table {
            close(t95(df), t, 1e-6);
        }
    }

    #[test]
    fn estimate_of_five_values() {
        let estimate = Estimate::of(&[2.0, 4.0, 4.0, 5.0, 10.0]).unwrap();
        assert_eq!((estimate.n, estimate.median, estimate.mean), (5, 4.0, 5.0));
        // Sum of squares 9+1+1+0+25 = 36, variance 9, sd 3; t for 4 degrees 2.776445.
        let (low, high) = estimate.ci95.unwrap();
        let half = 2.776_445 * 3.0 / 5_f64.sqrt();
        close(low, 5.0 - half, 1e-5);
        close(high, 5.0 + half, 1e-5);
        close(estimate.cv.unwrap(), 0.6, 1e-12);
    }

    #[test]
    fn estimate_is_none_where_undefined() {
        assert_eq!(Estimate::of(&[]), None);
        assert_eq!(Estimate::of(&[1.0, f64::NAN]), None);
        assert_eq!(Estimate::of(&[1.0, f64::INFINITY]), None);
        let one = Estimate::of(&[7.0]).unwrap();
        assert_eq!((one.median, one.mean, one.ci95, one.cv), (7.0, 7.0, None, None));
        let zeros = Estimate::of(&[0.0, 0.0]).unwrap();
        assert_eq!((zeros.ci95, zeros.cv), (Some((0.0, 0.0)), None));
        assert_eq!(Estimate::of(&[1.0, 3.0, 2.0, 10.0]).unwrap().median, 2.5);
    }

    #[test]
    fn slope_with_interval() {
        // x mean 3, spread 10; Σ(x−3)(y−ȳ) = 19.9 → 1.99; residuals give s² = 0.107/3 (worked by hand).
        let points = [(1.0, 2.1), (2.0, 3.9), (3.0, 6.2), (4.0, 7.8), (5.0, 10.1)];
        let slope = Slope::of(&points).unwrap();
        close(slope.slope, 1.99, 1e-12);
        close(slope.intercept, 0.05, 1e-12);
        let (low, high) = slope.ci95.unwrap();
        let half = 3.182_446_3 * (0.107_f64 / 3.0 / 10.0).sqrt();
        close(low, 1.99 - half, 1e-6);
        close(high, 1.99 + half, 1e-6);
    }

    #[test]
    fn slope_is_none_where_undefined() {
        assert_eq!(Slope::of(&[]), None);
        assert_eq!(Slope::of(&[(1.0, 1.0)]), None);
        assert_eq!(Slope::of(&[(2.0, 1.0), (2.0, 5.0), (2.0, 9.0)]), None);
        assert_eq!(Slope::of(&[(1.0, 1.0), (2.0, f64::NAN)]), None);
        let line = Slope::of(&[(1.0, 1.0), (3.0, 5.0)]).unwrap();
        assert_eq!((line.slope, line.intercept, line.ci95), (2.0, -1.0, None));
    }

    #[test]
    fn ratio_of_two_means() {
        let ratio = Ratio::of(&[9.0, 10.0, 11.0], &[4.0, 5.0, 6.0]).unwrap();
        close(ratio.ratio, 2.0, 1e-12);
        // Variances 1 and 1: relative variances of the means 1/300 and 1/75, sum 1/60;
        // df = (1/60)² / ((1/300)²/2 + (1/75)²/2) = 2.94 → 2, t = 4.302653.
        let factor = (4.302_652_7_f64 / 60_f64.sqrt()).exp();
        let (low, high) = ratio.ci95.unwrap();
        close(low, 2.0 / factor, 1e-6);
        close(high, 2.0 * factor, 1e-6);
        assert_eq!(Ratio::of(&[4.0, 4.0], &[2.0, 2.0]).unwrap().ci95, Some((2.0, 2.0)));
        assert_eq!(Ratio::of(&[4.0], &[2.0, 2.0]).unwrap().ci95, None);
        assert_eq!(Ratio::of(&[4.0], &[0.0]), None);
        assert_eq!(Ratio::of(&[], &[1.0]), None);
        assert_eq!(Ratio::of(&[-1.0, 3.0], &[1.0]), None);
    }

    #[test]
    fn ratio_of_two_geometric_means() {
        let ratio = Ratio::of_logs(&[1.0, 4.0], &[1.0, 1.0]).unwrap();
        close(ratio.ratio, 2.0, 1e-12);
        // Logs 0 and ln 4: variance of their mean (ln 2)²; 1 degree of freedom, t = 12.706205.
        let (low, high) = ratio.ci95.unwrap();
        let factor = (12.706_204_7 * 2_f64.ln()).exp();
        close(low * factor, 2.0, 1e-5);
        close(high / factor, 2.0, 1e-5);
        assert_eq!(Ratio::of_logs(&[4.0, 4.0], &[2.0, 2.0]).unwrap().ci95, Some((2.0, 2.0)));
        assert_eq!(Ratio::of_logs(&[4.0], &[2.0, 2.0]).unwrap().ci95, None);
        for (above, below) in [(&[0.0, 1.0][..], &[1.0][..]), (&[1.0], &[0.0]), (&[-1.0], &[1.0]), (&[], &[1.0])] {
            assert_eq!(Ratio::of_logs(above, below), None);
        }
        close(geometric_mean(&[1.0, 10.0, 100.0]).unwrap(), 10.0, 1e-12);
        assert_eq!((geometric_mean(&[]), geometric_mean(&[0.0, 1.0])), (None, None));
    }

    #[test]
    fn ratio_at_zero() {
        let zero = |denominator: &[f64]| Ratio::of(&[0.0, 0.0], denominator).map(|ratio| (ratio.ratio, ratio.ci95));
        assert_eq!(zero(&[4.0, 5.0, 6.0]), Some((0.0, Some((0.0, 0.0)))), "exactly");
        assert_eq!(zero(&[1.0]), Some((0.0, None)));
        assert_eq!(zero(&[0.0, 0.0]), None);
        // Mean 1, half width 12.7 × 1.41 / 1.41: from below 0.
        assert_eq!(zero(&[0.0, 2.0]), Some((0.0, None)), "the other may be 0 itself");
        assert_eq!(Ratio::of(&[3.0, 3.1], &[0.0, 2.0]).unwrap().ci95, None);
    }

    /// The figures are from SciPy 1.17.1 (`ttest_1samp`, `linregress`, `t.ppf`).
    #[test]
    fn intervals_are_those_of_another_program() {
        let near = |(low, high): (f64, f64), (expected_low, expected_high): (f64, f64)| {
            close(low, expected_low, 1e-9);
            close(high, expected_high, 1e-9);
        };
        let a = [3.41, 3.77, 2.98, 3.62, 4.10, 3.33, 3.58];
        let estimate = Estimate::of(&a).unwrap();
        near(estimate.ci95.unwrap(), (3.214_645_585_639_803, 3.868_211_557_217_34));
        close(estimate.cv.unwrap(), 0.099_772_681_713_364_52, 1e-12);

        let ys = [14.1, 15.0, 13.2, 24.9, 23.0, 26.1, 44.2, 47.5, 45.0, 88.8, 84.1, 90.3];
        let xs = [4.0, 4.0, 4.0, 8.0, 8.0, 8.0, 16.0, 16.0, 16.0, 32.0, 32.0, 32.0];
        let slope = Slope::of(&xs.into_iter().zip(ys).collect::<Vec<_>>()).unwrap();
        close(slope.slope, 2.628_840_579_710_144_6, 1e-9);
        close(slope.intercept, 3.584_057_971_014_488, 1e-9);
        near(slope.ci95.unwrap(), (2.519_242_438_378_416, 2.738_438_721_041_873_2));

        let ratio = Ratio::of(&a, &[5.21, 4.88, 5.60, 5.05]).unwrap();
        close(ratio.ratio, 0.683_014_189_282_270_3, 1e-12);
        near(ratio.ci95.unwrap(), (0.611_465_405_359_600_3, 0.762_935_038_796_782_6));

        // `ttest_ind` of the logarithms, with 8 degrees of freedom.
        let ratio = Ratio::of_logs(&a, &[5.21, 4.88, 5.60, 5.05]).unwrap();
        close(ratio.ratio, 0.680_957_940_102_578_6, 1e-12);
        near(ratio.ci95.unwrap(), (0.609_542_469_207_565_6, 0.760_740_620_405_964_7));
    }

    #[test]
    fn how_many_more_trials() {
        // By a search with SciPy's t.ppf: 7 trials, their interval reaches 0.32678 to each side.
        let more = |needed| more_trials(7, 6, 1, 0.326_782_985_788_768_47, needed);
        assert_eq!(more(0.058_571_428_571_428_72), Some(136));
        assert_eq!(more(0.241_428_571_428_571_55), Some(4));
        assert_eq!(more(0.5), Some(1), "at least one");
        assert_eq!(more(0.008_571_428_571), None);
        assert_eq!(more(0.0), None);
    }

    #[test]
    fn what_is_beyond_all_numbers_is_none() {
        assert_eq!(Estimate::of(&[1e308, -1e308]).unwrap().ci95, None);
        assert_eq!(Slope::of(&[(0.0, 1e200), (1.0, -1e200), (2.0, 1e200)]).unwrap().ci95, None);
        assert_eq!(Ratio::of(&[1e308, 1e307], &[1e-308, 1e-308]), None);
    }
}
