//! How a figure is written for a person: sensible digits, 0 only for zero, `–` for what was not measured.

use super::row::SummaryRow;

/// Stands for a figure that was not measured.
pub const MISSING: &str = "–";

/// An amount for each message, to 2 decimals; `<0.01` for what would look like 0.
pub fn amount(value: Option<f64>) -> String {
    value.map_or_else(|| MISSING.to_owned(), |value| decimals(value, 2))
}

/// A cost in µs, with digits after its size: `3.41`, `12.3`, `140`.
pub fn cost(value: Option<f64>) -> String {
    value.map_or_else(|| MISSING.to_owned(), |value| decimals(value, cost_decimals(value)))
}

/// The mean cost of a row with half the width of its 95 % interval, as [`cost_and_half`]. A doubtful one has `~` before
/// it.
pub fn cost_with_interval(row: Option<&SummaryRow>) -> String {
    let Some((row, mean)) = row.and_then(|row| Some((row, row.mean?))) else { return MISSING.to_owned() };
    let doubt = if row.doubtful > 0 { "~" } else { "" };
    let half = row.ci95_low.zip(row.ci95_high).map(|(low, high)| (high - low) / 2.0);
    format!("{doubt}{}", cost_and_half(mean, half))
}

/// A cost and half the width of its 95 % interval: `3.41 ± 0.28`; the cost alone where there is no interval.
pub fn cost_and_half(mean: f64, half: Option<f64>) -> String {
    let cost = cost(Some(mean));
    let Some(half) = half.filter(|_| mean >= 0.005) else { return cost };
    let places = cost_decimals(mean);
    // A spread there is must not look like none.
    let smallest = if half > 0.0 { 0.1_f64.powi(places as i32) } else { 0.0 };
    format!("{cost} ± {:.places$}", half.max(smallest))
}

/// The least and the largest of some figures, `3.41 to 12.3`, or the one that all of them are; `None` of none.
pub fn range(figures: impl Iterator<Item = f64> + Clone, write: fn(Option<f64>) -> String) -> Option<String> {
    let (least, largest) = (figures.clone().reduce(f64::min)?, figures.reduce(f64::max)?);
    let (low, high) = (write(Some(least)), write(Some(largest)));
    Some(if low == high { low } else { format!("{low} to {high}") })
}

/// A part of a whole, in whole percent; `<1 %` and `>99 %` for what would look like none or all.
pub fn share(value: Option<f64>) -> String {
    match value {
        None => MISSING.to_owned(),
        Some(value) if value > 0.0 && value < 0.005 => "<1 %".to_owned(),
        Some(value) if (0.995..1.0).contains(&value) => ">99 %".to_owned(),
        Some(value) => format!("{:.0} %", value * 100.0),
    }
}

/// What part arrived: `100 %` for all and nothing less.
pub fn delivered(value: Option<f64>) -> String {
    match value {
        None => MISSING.to_owned(),
        Some(value) if value > 0.0 && value < 1.0 => format!("{:.2} %", (value * 100.0).clamp(0.01, 99.99)),
        Some(value) => format!("{:.0} %", value * 100.0),
    }
}

/// A whole number with its thousands apart: `2,000`. A fraction, as in 2.5 messages/s, is kept below 100.
pub fn count(value: f64) -> String {
    if value.fract() != 0.0 && value < 100.0 {
        return value.to_string();
    }
    apart(&format!("{value:.0}"))
}

/// Digits with the thousands apart.
fn apart(digits: &str) -> String {
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// How figures of a metric's unit are written beside each other: in a unit people know, with as many digits as it takes
/// to tell them apart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scale {
    factor: f64,
    places: usize,
    suffix: &'static str,
}

impl Scale {
    /// For a figure and those it must not look like, 0 among them. `unit` is a metric's; figures per message lose that
    /// word, and shares are in percent.
    pub fn of(unit: &str, value: f64, others: &[f64]) -> Scale {
        let size =
            if value == 0.0 { others.iter().fold(0.0, |size: f64, other| size.max(other.abs())) } else { value.abs() };
        let (factor, suffix) = match unit {
            "us/message" | "us/wake-up" => (1.0, " µs"),
            "ns" => match size {
                ..1e3 => (1.0, " ns"),
                ..1e6 => (1e-3, " µs"),
                ..1e9 => (1e-6, " ms"),
                _ => (1e-9, " s"),
            },
            "s" => (1.0, " s"),
            "ratio" | "messages/message" => (100.0, " %"),
            "messages/s" => (1.0, " messages/s"),
            "datagrams/s" => (1.0, " datagrams/s"),
            "pieces/s" => (1.0, " pieces/s"),
            "times" => (1.0, " times"),
            _ => (1.0, ""),
        };
        let mut scale = Scale { factor, places: cost_decimals(value * factor), suffix };
        let looks_like = |scale: &Scale, other: f64| {
            let rounded = |value: f64| (value * factor * 10_f64.powi(scale.places as i32)).round();
            (value - other).abs() > SAME * value.abs().max(other.abs()) && rounded(value) == rounded(other)
        };
        while scale.places < MOST_PLACES && others.iter().chain([&0.0]).any(|other| looks_like(&scale, *other)) {
            scale.places += 1;
        }
        scale
    }

    /// As a number alone.
    pub fn number(self, value: f64) -> String {
        let scaled = value * self.factor;
        let digits = format!("{:.*}", self.places, scaled.abs());
        let whole = digits.find('.').unwrap_or(digits.len());
        let is_zero = !digits.bytes().any(|digit| digit.is_ascii_digit() && digit != b'0');
        let sign = if scaled < 0.0 && !is_zero { "−" } else { "" };
        if value == 0.0 { "0".to_owned() } else { format!("{sign}{}{}", apart(&digits[..whole]), &digits[whole..]) }
    }

    /// With its unit.
    pub fn with_unit(self, value: f64) -> String {
        format!("{}{}", self.number(value), self.suffix)
    }

    /// With its unit and its sign: `+2.56 µs`.
    pub fn change(self, value: f64) -> String {
        let number = self.with_unit(value);
        if value > 0.0 { format!("+{number}") } else { number }
    }

    /// The figure with its unit, then the interval: `3.41 µs [3.13, 3.69]`; without one that is no wider than the figure.
    pub fn with_interval(self, value: String, interval: Option<(f64, f64)>) -> String {
        let wide = interval.filter(|(low, high)| high - low > SAME * low.abs().max(high.abs()));
        let end = |end| if self.suffix == " %" { self.with_unit(end) } else { self.number(end) };
        wide.map_or(value.clone(), |(low, high)| format!("{value} [{}, {}]", end(low), end(high)))
    }
}

/// A number somebody chose, such as a bound, in a metric's unit: with no more digits than it has.
pub fn chosen(unit: &str, value: f64) -> String {
    let scale = Scale { places: MOST_PLACES, ..Scale::of(unit, value, &[]) };
    let number = scale.number(value);
    let number = if number.contains('.') { number.trim_end_matches('0').trim_end_matches('.') } else { &number };
    format!("{number}{}", scale.suffix)
}

/// Figures that differ by less, in proportion, differ by the computer's rounding alone.
const SAME: f64 = 1e-9;
const MOST_PLACES: usize = 6;

fn cost_decimals(value: f64) -> usize {
    match value.abs() {
        ..9.995 => 2,
        ..99.95 => 1,
        _ => 0,
    }
}

fn decimals(value: f64, places: usize) -> String {
    if value > 0.0 && value < 0.005 { "<0.01".to_owned() } else { format!("{value:.places$}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Mode;

    #[test]
    fn zero_is_zero_only() {
        assert_eq!([0.0, 0.001, 0.005, 1.0, 21.0].map(|v| amount(Some(v))), ["0.00", "<0.01", "0.01", "1.00", "21.00"]);
        assert_eq!([0.0, 0.001, 0.3, 0.999, 1.0].map(|v| share(Some(v))), ["0 %", "<1 %", "30 %", ">99 %", "100 %"]);
        assert_eq!(
            [0.0, 1e-9, 0.98, 0.999_999, 1.0].map(|v| delivered(Some(v))),
            ["0 %", "0.01 %", "98.00 %", "99.99 %", "100 %"]
        );
        assert_eq!([amount(None), cost(None), share(None), delivered(None)], ["–"; 4]);
    }

    #[test]
    fn digits_follow_the_size() {
        assert_eq!(
            [0.5, 3.406, 9.996, 12.34, 99.96, 140.4].map(|v| cost(Some(v))),
            ["0.50", "3.41", "10.0", "12.3", "100", "140"]
        );
        assert_eq!(
            [7.0, 2.5, 999.0, 2000.0, 12_345.6, 1e6].map(count),
            ["7", "2.5", "999", "2,000", "12,346", "1,000,000"]
        );
    }

    #[test]
    fn in_units_people_know() {
        let write = |unit, value| Scale::of(unit, value, &[]).with_unit(value);
        assert_eq!(write("frames/message", 4.0), "4.00");
        assert_eq!(write("frames/message", 1001.0), "1,001");
        assert_eq!(write("us/message", 3.406), "3.41 µs");
        assert_eq!(write("ns", 88_100.0), "88.1 µs");
        assert_eq!(
            [("ns", 999.0), ("ns", 1.5e6), ("ns", 2e9)].map(|(u, v)| write(u, v)),
            ["999 ns", "1.50 ms", "2.00 s"]
        );
        assert_eq!(write("ratio", 0.123), "12.3 %");
        assert_eq!(write("messages/message", 0.9993), "99.9 %");
        assert_eq!(write("messages/s", 2000.4), "2,000 messages/s");
        assert_eq!(write("us/message", -0.5), "−0.50 µs");
        assert_eq!(write("us/message", 0.0), "0 µs");
        assert_eq!(write("frames/message", 0.0004), "0.0004", "not as 0");
        assert_eq!(Scale::of("us/message", 2.56, &[]).change(2.56), "+2.56 µs");
    }

    #[test]
    fn as_many_digits_as_tell_figures_apart() {
        let write = |value: f64, others: &[f64]| Scale::of("frames/message", value, others).number(value);
        assert_eq!(write(1.002, &[1.0]), "1.002");
        assert_eq!(write(1.002, &[2.0]), "1.00");
        assert_eq!(write(1.0, &[1.0 + 1e-15]), "1.00", "rounding of the computer");
        assert_eq!(write(150.4, &[150.0]), "150.4");
        assert_eq!(write(1e-12, &[]), "0.000000", "there is an end to it");
        let interval = |value: f64, low, high| {
            let scale = Scale::of("us/message", value, &[low, high]);
            scale.with_interval(scale.with_unit(value), Some((low, high)))
        };
        assert_eq!(interval(3.41, 3.13, 3.69), "3.41 µs [3.13, 3.69]");
        assert_eq!(interval(140.0, 139.96, 140.04), "140.00 µs [139.96, 140.04]");
        assert_eq!(interval(4.0, 4.0, 4.0), "4.00 µs");
        let share = Scale::of("ratio", 0.003, &[0.001, 0.006]);
        assert_eq!(share.with_interval(share.with_unit(0.003), Some((0.001, 0.006))), "0.30 % [0.10 %, 0.60 %]");
    }

    #[test]
    fn what_somebody_chose_has_no_more_digits_than_it_has() {
        let write = |unit, value| chosen(unit, value);
        assert_eq!(write("frames/message", 4.0), "4");
        assert_eq!(write("frames/message", 0.02), "0.02");
        assert_eq!(write("ratio", 0.29), "29 %");
        assert_eq!(write("us/message", 2000.5), "2,000.5 µs");
        assert_eq!(write("ns", 1_500_000.0), "1.5 ms");
        assert_eq!(write("frames/message", 100.0), "100");
        assert_eq!(write("frames/message", 0.0), "0");
    }

    #[test]
    fn intervals() {
        let of = |values: &[f64]| SummaryRow::of("c", Mode::Unicast, "sender", "cpu_total", "us/message", values);
        // sd 0.1, n 3: half width 4.302653 × 0.1 / √3 = 0.248.
        assert_eq!(cost_with_interval(of(&[3.3, 3.4, 3.5]).as_ref()), "3.40 ± 0.25");
        assert_eq!(cost_with_interval(of(&[33.0, 34.0, 35.0]).as_ref()), "34.0 ± 2.5");
        assert_eq!(cost_with_interval(of(&[140.0, 140.01]).as_ref()), "140 ± 1");
        assert_eq!(cost_with_interval(of(&[3.4]).as_ref()), "3.40");
        assert_eq!(cost_with_interval(of(&[0.0, 0.0]).as_ref()), "0.00");
        assert_eq!(cost_with_interval(None), "–");
        let doubtful = of(&[3.3, 3.4, 3.5]).map(|row| SummaryRow { doubtful: 1, ..row });
        assert_eq!(cost_with_interval(doubtful.as_ref()), "~3.40 ± 0.25");
    }
}
