//! What the lab claims and whether it held, and what was guessed beforehand.

use maud::{Markup, html};

use super::table::Table;
use crate::results::figure;
use crate::results::row::{ClaimRow, PredictionRow};

/// The claims with their verdicts.
pub(super) fn claims(claims: &[ClaimRow]) -> Markup {
    let expected = claims.iter().filter(|claim| claim.as_expected).count();
    html! {
        p.lead { (tally(claims.len(), expected)) }
        ol.claims {
            @for claim in claims { (item(claim)) }
        }
        @if let Some(chance) = ClaimRow::chance(claims) { p.remark { (chance) } }
    }
}

fn tally(claims: usize, expected: usize) -> String {
    match (claims, expected) {
        (1, 1) => "The claim came out as the lab expects.".to_owned(),
        (1, _) => "The claim did not come out as the lab expects.".to_owned(),
        (all, expected) if all == expected => format!("All {all} claims came out as the lab expects."),
        (all, expected) => format!("{expected} of {all} claims came out as the lab expects."),
    }
}

fn item(claim: &ClaimRow) -> Markup {
    let verdict = Verdict::of(&claim.verdict);
    html! {
        li {
            p.verdict {
                span class={ "pill " (verdict.class) } { span aria-hidden="true" { (verdict.sign) } " " (verdict.words) }
                @if !claim.as_expected { span.pill.bad { span aria-hidden="true" { "!" } " not as expected" } }
                @else if matches!((&*claim.expect, &*claim.verdict), ("fails", _) | ("holds-if-decided", "undecided")) { span.remark { "as expected" } }
                @if !claim.statement.is_empty() { span.tag { (claim.statement) } }
            }
            p.says { (claim.says) }
            @if !claim.lecture.is_empty() { p.remark { "The lecture: " (claim.lecture) } }
            @if !claim.figures.is_empty() { p.figures { (claim.figures) } }
            @if !claim.remark.is_empty() { p.remark { (claim.remark) } }
            @if !claim.judged.is_empty() {
                details { summary { "What was judged" } p.remark { (claim.judged) } }
            }
        }
    }
}

/// How a verdict is shown.
struct Verdict {
    sign: &'static str,
    words: String,
    class: &'static str,
}

impl Verdict {
    fn of(name: &str) -> Verdict {
        let (sign, words, class) = match name {
            "holds" => ("✓", "holds", "good"),
            "does-not-hold" => ("✗", "does not hold", "bad"),
            "holds-only-on" => ("◐", "holds in part", "fair"),
            "undecided" => ("?", "undecided", "fair"),
            "cannot-be-shown" => ("–", "cannot be shown here", "plain"),
            other => ("?", other, "plain"),
        };
        Verdict { sign, words: words.to_owned(), class }
    }
}

/// Guesses beside what was measured.
pub(super) fn predictions(predictions: &[PredictionRow]) -> Table {
    let mut table = Table::new("Guessed before the run, and measured").columns([
        "question",
        "guess",
        "measured",
        "so the guess was",
    ]);
    for row in predictions {
        let unit = |text: String| if text == figure::MISSING { text } else { format!("{text} {}", row.unit) };
        let mut measured = figure::cost(row.measured.filter(|value| value.is_finite()));
        if let (Some(low), Some(high)) = (row.ci95_low, row.ci95_high)
            && figure::cost(Some(low)) != figure::cost(Some(high))
        {
            measured += &format!(" ({} to {})", figure::cost(Some(low)), figure::cost(Some(high)));
        }
        table.row(vec![row.ask.clone(), unit(figure::cost(row.guess)), unit(measured), judged(row)]);
    }
    table
}

/// Within this part of what was measured a guess is as good as right.
const CLOSE: f64 = 0.1;

fn judged(row: &PredictionRow) -> String {
    let Some(guess) = row.guess.filter(|guess| guess.is_finite()) else { return "not made".to_owned() };
    let Some(measured) = row.measured.filter(|measured| measured.is_finite()) else {
        return "not put to the test".to_owned();
    };
    let within = row.ci95_low.zip(row.ci95_high).is_some_and(|(low, high)| (low..=high).contains(&guess));
    let off = (guess - measured).abs();
    if within || off <= measured.abs() * CLOSE {
        return "right".to_owned();
    }
    let high = guess > measured;
    let times = if high { guess / measured } else { measured / guess };
    let direction = if high { "too high" } else { "too low" };
    if guess > 0.0 && measured > 0.0 {
        format!("{} times {direction}", figure::cost(Some(times)))
    } else {
        direction.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(verdict: &str, expect: &str, as_expected: bool) -> ClaimRow {
        ClaimRow {
            claim: 1,
            statement: "L3".to_owned(),
            says: "Broadcast reaches <all>".to_owned(),
            judged: String::new(),
            expect: expect.to_owned(),
            verdict: verdict.to_owned(),
            as_expected,
            figures: "1.00".to_owned(),
            remark: String::new(),
            lecture: "So total traffic <grows>.".to_owned(),
            more_trials: None,
        }
    }

    #[test]
    fn every_verdict_is_in_words() {
        for (verdict, words) in [
            ("holds", "holds"),
            ("does-not-hold", "does not hold"),
            ("holds-only-on", "holds in part"),
            ("undecided", "undecided"),
            ("cannot-be-shown", "cannot be shown here"),
            ("of-tomorrow<", "of-tomorrow&lt;"),
        ] {
            let text = item(&claim(verdict, "holds", true)).into_string();
            assert!(text.contains(&format!("</span> {words}</span>")), "{text}");
            assert!(text.contains("Broadcast reaches &lt;all&gt;"));
            assert!(text.contains("The lecture: So total traffic &lt;grows&gt;."), "{text}");
            assert!(!text.contains("expected"), "{text}");
        }
        let surprise = item(&claim("does-not-hold", "holds", false)).into_string();
        assert!(surprise.contains("not as expected"), "{surprise}");
        for (verdict, expect) in [("does-not-hold", "fails"), ("undecided", "holds-if-decided")] {
            assert!(item(&claim(verdict, expect, true)).into_string().contains(">as expected"), "{verdict}");
        }
        assert!(!item(&claim("holds", "holds-if-decided", true)).into_string().contains("expected"));
    }

    #[test]
    fn claims_are_counted() {
        assert_eq!(tally(6, 4), "4 of 6 claims came out as the lab expects.");
        assert_eq!(tally(6, 6), "All 6 claims came out as the lab expects.");
        assert_eq!(tally(1, 0), "The claim did not come out as the lab expects.");
    }

    #[test]
    fn guesses_are_judged() {
        let row = |guess, measured, interval: Option<(f64, f64)>| PredictionRow {
            question: 1,
            ask: "How many?".to_owned(),
            unit: "frames".to_owned(),
            guess,
            measured,
            ci95_low: interval.map(|(low, _)| low),
            ci95_high: interval.map(|(_, high)| high),
        };
        let of = |guess, measured, interval| judged(&row(guess, measured, interval));
        assert_eq!(of(Some(10.0), Some(5.0), Some((4.0, 6.0))), "2.00 times too high");
        assert_eq!(of(Some(1.0), Some(150.0), None), "150 times too low");
        assert_eq!(of(Some(5.9), Some(5.0), Some((4.0, 6.0))), "right");
        assert_eq!(of(Some(0.0), Some(0.0), None), "right");
        assert_eq!(of(Some(3.0), Some(0.0), None), "too high");
        assert_eq!(of(None, Some(5.0), None), "not made");
        assert_eq!(of(Some(5.0), None, None), "not put to the test");
        assert_eq!(of(Some(f64::NAN), Some(f64::INFINITY), None), "not made");
        let text = predictions(&[row(Some(10.0), Some(5.0), Some((4.0, 6.0))), row(None, None, None)]);
        let text = text.markup().into_string();
        assert!(text.contains("<td>10.0 frames</td><td>5.00 (4.00 to 6.00) frames</td>"), "{text}");
        assert!(text.contains("<td>–</td><td>–</td><td>not made</td>"), "{text}");
    }
}
