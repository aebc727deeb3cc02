//! Verdicts on claims for the terminal: a sign, the sentence, and what it rests on; and what the lecture says of it.

use crate::cli::paragraph::wrapped;
use crate::lab::statement::sentence;
use crate::results::row::ClaimRow;
use crate::results::table::{Colour, Paint};

/// Under the sign and the statement.
const INDENT: &str = "           ";

/// All verdicts below each other, in lines of at most `columns`, and how far they can be relied on.
pub(super) fn verdicts(rows: &[ClaimRow], columns: usize, paint: Paint) -> String {
    let mut text = String::new();
    let mut lecture = Lecture::default();
    for row in rows {
        for line in lecture.introduced(&row.statement, columns) {
            text += &format!("{}\n", paint.dim(&line));
        }
        let (sign, colour) = sign(row);
        let first = format!("{sign} {:<8} ", row.statement);
        // The sign alone is painted, and after the line was broken: colours take no columns.
        for (index, line) in wrapped(&row.says, columns, &first, INDENT).iter().enumerate() {
            match line.strip_prefix(sign).filter(|_| index == 0) {
                Some(rest) => text += &format!("{}{rest}\n", paint.coloured(colour, sign)),
                None => text += &format!("{line}\n"),
            }
        }
        for line in wrapped(&in_words(row), columns, INDENT, INDENT) {
            text += &format!("{line}\n");
        }
    }
    for line in ClaimRow::chance(rows).iter().flat_map(|chance| wrapped(chance, columns, "", "")) {
        text += &format!("{line}\n");
    }
    text
}

/// Says what each statement of the lecture is, once.
#[derive(Default)]
pub(super) struct Lecture(Vec<&'static str>);

impl Lecture {
    /// The sentences of the statements a claim names that have not been said yet, in lines of at most `columns`.
    pub(super) fn introduced(&mut self, statement: &str, columns: usize) -> Vec<String> {
        let mut lines = Vec::new();
        for key in statement.split_whitespace() {
            if let Some(sentence) = sentence(key).filter(|sentence| !self.0.contains(sentence)) {
                self.0.push(sentence);
                lines.extend(wrapped(sentence, columns, &format!("{key}: "), "    "));
            }
        }
        lines
    }
}

/// What the exit code rests on, in one sentence: how many claims came out, and what else fell short, if anything.
pub(super) fn outcome(rows: &[ClaimRow], shortfall: Option<&str>) -> String {
    let count = count(rows);
    match shortfall {
        None => count,
        Some(shortfall) => format!("{}, but {shortfall}", count.trim_end_matches('.')),
    }
}

fn count(rows: &[ClaimRow]) -> String {
    let expected = rows.iter().filter(|row| row.as_expected).count();
    match rows.len() {
        0 => "The lab claims nothing.".to_owned(),
        1 if expected == 1 => "The claim came out as expected.".to_owned(),
        1 => "The claim did not come out as expected.".to_owned(),
        all if all == expected => format!("All {all} claims came out as expected."),
        all => format!("{expected} of {all} claims came out as expected."),
    }
}

fn sign(row: &ClaimRow) -> (&'static str, Colour) {
    let as_expected = if row.as_expected { Colour::Green } else { Colour::Red };
    match row.verdict.as_str() {
        "holds" => ("✓", as_expected),
        "does-not-hold" | "holds-only-on" => ("✗", as_expected),
        "undecided" => ("?", Colour::Yellow),
        _ => ("–", Colour::Plain),
    }
}

/// The verdict, the figures and the remark.
fn in_words(row: &ClaimRow) -> String {
    let is_to_fail = row.expect == "fails";
    let (verdict, rest) = match row.verdict.as_str() {
        "holds" if is_to_fail => ("holds, though the lab expects it to fail".to_owned(), &row.remark),
        "holds" => ("holds".to_owned(), &row.remark),
        "does-not-hold" if is_to_fail => ("does not hold, as the lab expects".to_owned(), &row.remark),
        "does-not-hold" => ("does not hold".to_owned(), &row.remark),
        "holds-only-on" => (format!("holds only on {}", row.remark), &String::new()),
        "undecided" => ("undecided".to_owned(), &row.remark),
        _ => ("cannot be shown here".to_owned(), &row.remark),
    };
    let parts = [row.figures.as_str(), rest.as_str()].into_iter().filter(|part| !part.is_empty());
    let parts: Vec<&str> = parts.collect();
    if parts.is_empty() { verdict } else { format!("{verdict}: {}", parts.join(" · ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(verdict: &str, expect: &str, as_expected: bool, remark: &str) -> ClaimRow {
        ClaimRow {
            claim: 1,
            statement: "L3 L8".to_owned(),
            says: "By unicast the sender sends a copy for each receiver.".to_owned(),
            judged: String::new(),
            expect: expect.to_owned(),
            verdict: verdict.to_owned(),
            as_expected,
            figures: "4.00 with 4 receivers".to_owned(),
            remark: remark.to_owned(),
            lecture: String::new(),
            more_trials: None,
        }
    }

    #[test]
    fn verdicts_in_words() {
        let of = |verdict, expect, as_expected, remark| in_words(&row(verdict, expect, as_expected, remark));
        assert_eq!(of("holds", "holds", true, ""), "holds: 4.00 with 4 receivers");
        assert_eq!(of("holds", "fails", false, ""), "holds, though the lab expects it to fail: 4.00 with 4 receivers");
        assert_eq!(of("does-not-hold", "fails", true, ""), "does not hold, as the lab expects: 4.00 with 4 receivers");
        assert_eq!(of("holds-only-on", "holds", false, "hub"), "holds only on hub: 4.00 with 4 receivers");
        assert_eq!(of("undecided", "holds", false, "too noisy"), "undecided: 4.00 with 4 receivers · too noisy");
        let nothing = ClaimRow { figures: String::new(), ..row("cannot-be-shown", "holds", true, "no threads") };
        assert_eq!(in_words(&nothing), "cannot be shown here: no threads");
    }

    #[test]
    fn lines_fit_and_colours_say_what_is_expected() {
        let rows = [row("holds", "holds", true, ""), row("does-not-hold", "holds", false, "")];
        assert_eq!(
            verdicts(&rows, 50, Paint::Plain).lines().collect::<Vec<_>>(),
            [
                "L3: Broadcast reaches all nodes, so total traffic",
                "    grows.",
                "L8: Multicast solves what is wrong with both",
                "    broadcast and unicast.",
                "✓ L3 L8    By unicast the sender sends a copy for",
                "           each receiver.",
                "           holds: 4.00 with 4 receivers",
                "✗ L3 L8    By unicast the sender sends a copy for",
                "           each receiver.",
                "           does not hold: 4.00 with 4 receivers",
            ]
        );
        assert_eq!(outcome(&rows, None), "1 of 2 claims came out as expected.");
        assert_eq!(outcome(&rows[..1], None), "The claim came out as expected.");
        let all = [rows[0].clone(), rows[0].clone()];
        let but = outcome(&all, Some("uni had no valid trial: late"));
        assert_eq!(but, "All 2 claims came out as expected, but uni had no valid trial: late");
        let measured = [ClaimRow {
            statement: "M4".to_owned(),
            figures: "4.00 µs [3.9, 4.1]".to_owned(),
            ..row("holds", "holds", true, "")
        }];
        let text = verdicts(&measured, 50, Paint::Plain);
        let below: Vec<&str> = text.lines().skip(3).collect();
        assert!(below[0].starts_with("[…] is a 95 % interval: one in twenty"), "{text}");
        assert!(below.iter().all(|line| line.chars().count() <= 50), "{text}");
        let painted = verdicts(&rows, 50, Paint::Ansi);
        assert!(painted.contains("\n\u{1b}[32m✓\u{1b}[0m L3 L8") && painted.contains("\u{1b}[31m✗\u{1b}[0m L3"));
        let own = ClaimRow { statement: "M4".to_owned(), ..row("does-not-hold", "fails", true, "") };
        let broken = verdicts(&[own], 50, Paint::Ansi);
        assert!(broken.starts_with("\u{1b}[32m✗"), "as the lab expects, and of another lecture");
    }
}
