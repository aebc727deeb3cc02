//! `--predict`: guesses before a run, and how near they were after it.

use std::io::{self, BufRead, Read, Write};

use crate::cli::paragraph::wrapped;
use crate::lab::Question;
use crate::results::figure;
use crate::results::row::PredictionRow;

/// Asks each question; `None` for "don't know". A guess that cannot be read is explained and asked for again; where the
/// input ends, nothing more is known. With `echo` the answers are shown, as a terminal does by itself.
///
/// # Errors
/// When the questions cannot be written or the answers cannot be read.
pub(super) fn ask(
    questions: &[Question],
    columns: usize,
    echo: bool,
    input: &mut impl BufRead,
    out: &mut impl Write,
) -> io::Result<Vec<Option<f64>>> {
    writeln!(out, "Guess first: a number for each question, or nothing for \"don't know\".")?;
    let mut guesses = Vec::new();
    for (number, question) in (1..).zip(questions) {
        for line in wrapped(&question.ask, columns, &format!("{number}. "), "   ") {
            writeln!(out, "{line}")?;
        }
        guesses.push(one(echo, input, out)?);
    }
    Ok(guesses)
}

/// One guess.
fn one(echo: bool, input: &mut impl BufRead, out: &mut impl Write) -> io::Result<Option<f64>> {
    /// Whoever answers so often without a number has none.
    const TRIES: usize = 5;
    for _ in 0..TRIES {
        write!(out, "   > ")?;
        out.flush()?;
        let Some(answer) = line(input)? else {
            writeln!(out)?;
            return Ok(None);
        };
        if echo {
            writeln!(out, "{}", answer.trim().replace(char::is_control, " "))?;
        }
        match guess(&answer) {
            Ok(guess) => return Ok(guess),
            Err(why) => writeln!(out, "   {why}")?,
        }
    }
    writeln!(out, "   Taken for \"don't know\".")?;
    Ok(None)
}

/// A line of the input, cut off where no guess is as long; `None` at its end.
fn line(input: &mut impl BufRead) -> io::Result<Option<String>> {
    const LONGEST: u64 = 1000;
    let mut bytes = Vec::new();
    input.take(LONGEST).read_until(b'\n', &mut bytes)?;
    Ok((!bytes.is_empty()).then(|| String::from_utf8_lossy(&bytes).into_owned()))
}

/// Reads a guess: a number from 0 up, one with a % for a share, nothing for "don't know".
fn guess(answer: &str) -> Result<Option<f64>, &'static str> {
    let answer = answer.trim();
    if answer.is_empty() || answer == "?" {
        return Ok(None);
    }
    let (digits, whole) = match answer.strip_suffix('%') {
        Some(percent) => (percent.trim_end(), 100.0),
        None => (answer, 1.0),
    };
    let number = Some(digits).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.'));
    match number.and_then(|digits| digits.parse::<f64>().ok()).filter(|number| number.is_finite()) {
        Some(number) => Ok(Some(number / whole)),
        None => Err("That is no number. Write one such as 4, 0.5 or 30 %, or nothing for \"don't know\"."),
    }
}

/// The guesses beside what was measured.
pub(super) fn compared(rows: &[PredictionRow], columns: usize) -> String {
    let mut text = String::new();
    for row in rows {
        for line in wrapped(&row.ask, columns, &format!("{}. ", row.question), "   ") {
            text += &format!("{line}\n");
        }
        for line in wrapped(&beside(row), columns, "   ", "   ") {
            text += &format!("{line}\n");
        }
    }
    text
}

/// `guessed 1.00, measured 4.00: off by a factor of 4`
fn beside(row: &PredictionRow) -> String {
    let guessed = row.guess.map_or("not guessed".to_owned(), |guess| format!("guessed {}", in_unit(&row.unit, guess)));
    let Some(measured) = row.measured else { return format!("{guessed}, not measured") };
    let interval = match row.ci95_low.zip(row.ci95_high) {
        Some((low, high)) if high - low > 0.005 * measured.abs() => {
            format!(" [{}, {}]", in_unit(&row.unit, low), in_unit(&row.unit, high))
        }
        _ => String::new(),
    };
    let judged = row.guess.map_or(String::new(), |guess| format!(": {}", how_near(guess, measured, row)));
    format!("{guessed}, measured {}{interval}{judged}", in_unit(&row.unit, measured))
}

fn how_near(guess: f64, measured: f64, row: &PredictionRow) -> String {
    /// So near is right, whatever the interval.
    const EXACT: f64 = 0.01;
    let off = (guess - measured).abs();
    if off <= EXACT * measured.abs() || off < 1e-9 {
        return "exactly right".to_owned();
    }
    let interval = row.ci95_low.zip(row.ci95_high);
    if interval.is_some_and(|(low, high)| (low..=high).contains(&guess)) {
        return "right, as far as can be told".to_owned();
    }
    if guess <= 0.0 || measured <= 0.0 {
        return format!("off by {}", in_unit(&row.unit, off));
    }
    match (guess / measured).max(measured / guess) {
        factor if factor < 1.095 => format!("off by {:.0} %", (factor - 1.0) * 100.0),
        factor if factor < 9.95 => format!("off by a factor of {}", tidy(factor)),
        factor => format!("off by a factor of {}", figure::count(factor.round())),
    }
}

/// With one decimal, unless that is 0.
fn tidy(factor: f64) -> String {
    format!("{factor:.1}").trim_end_matches(".0").to_owned()
}

/// A figure with its unit as people write it.
fn in_unit(unit: &str, value: f64) -> String {
    match unit {
        "us/message" | "us/wake-up" => format!("{} µs", figure::cost(Some(value))),
        "ns" => crate::cli::summary::nanos(value.max(0.0) as u64),
        "ratio" => figure::share(Some(value)),
        _ => figure::cost(Some(value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::claim::{Figure, Selector};

    fn asked(answers: &[u8]) -> (Vec<Option<f64>>, String) {
        let question = |ask: &str| Question {
            ask: ask.to_owned(),
            figure: Figure { metric: "link_tx_frames".to_owned(), role: "sender".to_owned() },
            select: Selector::default(),
        };
        let (mut input, mut out) = (answers, Vec::new());
        let guesses = ask(&[question("How many?"), question("And then?")], 60, true, &mut input, &mut out).unwrap();
        (guesses, String::from_utf8(out).unwrap())
    }

    #[test]
    fn answers_through_a_pipe() {
        assert_eq!(asked(b"4\n0.5\n").0, [Some(4.0), Some(0.5)]);
        assert_eq!(asked(b"\n 30 % \r\n").0, [None, Some(0.3)]);
        assert_eq!(asked(b"7").0, [Some(7.0), None], "the input ends");
        assert_eq!(asked(b"").0, [None, None]);
        let (guesses, said) = asked(b"many\n-1\nnan\n1e3\n3\n?\n");
        assert_eq!(guesses, [Some(3.0), None]);
        assert_eq!(said.matches("That is no number").count(), 4, "{said}");
        assert!(said.contains("1. How many?\n   > many\n   That is no"), "{said}");
        assert!(said.contains("   > 3\n2. And then?\n   > ?\n"), "{said}");
    }

    #[test]
    fn nobody_is_asked_for_ever() {
        let (guesses, said) = asked(&b"y\n".repeat(10_000));
        assert_eq!(guesses, [None, None]);
        assert_eq!(said.matches("Taken for").count(), 2);
        assert_eq!(asked(&[0xff; 5000]).0, [None, None]);
    }

    #[test]
    fn how_near_a_guess_was() {
        let row = |guess: Option<f64>, measured: Option<f64>, half: f64| PredictionRow {
            question: 1,
            ask: "Q".to_owned(),
            unit: "us/message".to_owned(),
            guess,
            measured,
            ci95_low: measured.map(|measured| measured - half),
            ci95_high: measured.map(|measured| measured + half),
        };
        for (guess, measured, half, told) in [
            (4.0, 4.0, 0.0, "guessed 4.00 µs, measured 4.00 µs: exactly right"),
            (1.0, 4.0, 0.0, "guessed 1.00 µs, measured 4.00 µs: off by a factor of 4"),
            (9.0, 6.0, 0.5, "guessed 9.00 µs, measured 6.00 µs [5.50 µs, 6.50 µs]: off by a factor of 1.5"),
            (6.2, 6.0, 0.5, "guessed 6.20 µs, measured 6.00 µs [5.50 µs, 6.50 µs]: right, as far as can be told"),
            (6.3, 6.0, 0.0, "guessed 6.30 µs, measured 6.00 µs: off by 5 %"),
            (0.0, 0.0, 0.0, "guessed 0.00 µs, measured 0.00 µs: exactly right"),
            (2.0, 0.0, 0.0, "guessed 2.00 µs, measured 0.00 µs: off by 2.00 µs"),
            (1.0, 2000.0, 0.0, "guessed 1.00 µs, measured 2000 µs: off by a factor of 2,000"),
        ] {
            assert_eq!(beside(&row(Some(guess), Some(measured), half)), told);
        }
        assert_eq!(beside(&row(None, Some(4.0), 0.0)), "not guessed, measured 4.00 µs");
        assert_eq!(beside(&row(Some(4.0), None, 0.0)), "guessed 4.00 µs, not measured");
    }
}
