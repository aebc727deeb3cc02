//! What is wrong with a lab file, where, and what would be right.

use std::fmt;

use super::value::Span;
use crate::escaped;

/// Something that is wrong. Prints as `line:column: what is wrong, and what would be right`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
    /// What is wrong and what would be right.
    pub what: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.line, self.column, self.what)
    }
}

/// What has been found so far.
#[derive(Debug, Default)]
pub struct Found(Vec<(Span, String)>);

/// More than these are not told at once.
const MOST: usize = 20;
/// Characters of a problem; the file's own words are part of it.
const LONGEST: usize = 300;
/// How serde begins to say that a key is missing.
const MISSING: &str = "missing field ";

impl Found {
    /// Adds a problem with what stands at `span`.
    pub fn add(&mut self, span: &Span, what: impl Into<String>) {
        self.0.push((span.clone(), what.into()));
    }

    /// Adds an error of the TOML reader. `taken` are keys that were taken out since they are wrong: they are not missing.
    pub fn add_error(&mut self, text: &str, error: &toml::de::Error, taken: &[String]) {
        let missing = error.message().strip_prefix(MISSING).and_then(|rest| quoted(rest).next());
        if missing.is_some_and(|missing| taken.iter().any(|key| key == missing)) {
            return;
        }
        let span = error.span().unwrap_or(0..0);
        let what = reworded(error.message(), text.get(span.clone()).unwrap_or_default());
        self.0.push((span, what));
    }

    /// How many so far.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing is wrong so far.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether it is not worth looking for more.
    pub fn is_enough(&self) -> bool {
        self.0.len() >= MOST
    }

    /// All of them in the order of the file, each once.
    pub fn problems(mut self, text: &str) -> Vec<Problem> {
        self.0.sort_by_key(|(span, _)| span.start);
        self.0.dedup();
        self.0.iter().take(MOST).map(|(span, what)| problem_at(text, span, what)).collect()
    }
}

fn problem_at(text: &str, span: &Span, what: &str) -> Problem {
    let start = (0..=span.start.min(text.len())).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
    let before = &text[..start];
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    // Words of the file must not reach the terminal as anything but words.
    let mut shown: String =
        what.chars().take(LONGEST).map(|c| if escaped::steers(c) || c == '\t' { ' ' } else { c }).collect();
    if what.chars().nth(LONGEST).is_some() {
        shown.push('…');
    }
    Problem { line: before.matches('\n').count() + 1, column: before[line_start..].chars().count() + 1, what: shown }
}

/// The reader's message in the words of this program. `there` is what stands at its place.
fn reworded(message: &str, there: &str) -> String {
    if let Some(rest) = message.strip_prefix("unknown field ") {
        let mut names = quoted(rest);
        let unknown = names.next().unwrap_or(there);
        return unknown_key(unknown, &names.collect::<Vec<_>>());
    }
    if let Some(rest) = message.strip_prefix(MISSING) {
        return format!("{} is missing here", quoted(rest).next().unwrap_or(rest));
    }
    if let Some((got, expected)) =
        message.strip_prefix("invalid type: ").and_then(|rest| rest.split_once(", expected "))
    {
        let got = match got {
            "sequence" => "a list",
            "map" => "a table",
            _ => there,
        };
        let expected = if expected == "a sequence" { "a list of tables" } else { expected };
        return format!("{got} stands here instead of {expected}");
    }
    message.to_owned()
}

/// The names between backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

fn unknown_key(unknown: &str, known: &[&str]) -> String {
    match nearest(unknown, known.iter().copied()) {
        Some(name) => format!("unknown key '{unknown}'; did you mean '{name}'?"),
        None => format!("unknown key '{unknown}'; the keys here are {}", known.join(", ")),
    }
}

/// The one of `known` that somebody who wrote `word` may have meant.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    /// From here on two words look alike.
    const ALIKE: f64 = 0.8;
    // Long words are nobody's typing error, and take long to compare.
    let known = known.into_iter().filter(|_| word.len() <= 100);
    let scores = known.map(|name| (name, strsim::jaro_winkler(word, name))).filter(|(_, score)| *score >= ALIKE);
    scores.max_by(|(_, a), (_, b)| a.total_cmp(b)).map(|(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_in_lines_and_characters() {
        let text = "a = 1\nbö = 2\nc";
        let at = |offset: usize| {
            let problem = problem_at(text, &(offset..offset), "x");
            (problem.line, problem.column)
        };
        assert_eq!((at(0), at(4), at(6)), ((1, 1), (1, 5), (2, 1)));
        assert_eq!(at(text.find("= 2").unwrap()), (2, 4));
        assert_eq!(at(text.find('ö').unwrap() + 1), (2, 2), "within a character");
        assert_eq!(at(999), (3, 2));
    }

    #[test]
    fn no_problem_can_write_anything_but_words() {
        let problem = problem_at("", &(0..0), &format!("\u{1b}[2J{}", "x".repeat(1000)));
        assert!(!problem.what.contains('\u{1b}') && problem.what.chars().count() == LONGEST + 1, "{problem}");
    }

    #[test]
    fn keys_that_look_alike() {
        assert_eq!(nearest("recievers", ["hosts", "receivers", "rate"]), Some("receivers"));
        assert_eq!(nearest("zzz", ["hosts", "receivers"]), None);
    }
}
