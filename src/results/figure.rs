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

/// A cost and half the width of its 95 % interval: `3.41 ± 0.28`; the cost alone where there is no interval. A doubtful
/// one has `~` before it.
pub fn cost_with_interval(row: Option<&SummaryRow>) -> String {
    let doubt = if row.is_some_and(|row| row.doubtful > 0) { "~" } else { "" };
    let mean = row.and_then(|row| row.mean);
    let cost = cost(mean);
    let half = row.and_then(|row| Some((row.ci95_high? - row.ci95_low?) / 2.0));
    match (mean, half) {
        (Some(mean), Some(half)) if mean >= 0.005 => {
            let places = cost_decimals(mean);
            // A spread there is must not look like none.
            let smallest = if half > 0.0 { 0.1_f64.powi(places as i32) } else { 0.0 };
            format!("{doubt}{cost} ± {:.places$}", half.max(smallest))
        }
        _ => format!("{doubt}{cost}"),
    }
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
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

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
