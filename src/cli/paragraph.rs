//! Text that fits the terminal.

use crate::results::grid::width;

/// Columns of the terminal; of a page where it is none, and never more than a line is well read at.
pub(crate) fn columns() -> usize {
    const PAGE: u16 = 100;
    const LEAST: u16 = 40;
    let terminal = terminal_size::terminal_size().map_or(PAGE, |(terminal_size::Width(columns), _)| columns);
    terminal.clamp(LEAST, PAGE).into()
}

/// The words of `text` in lines of at most `columns`, the first after `first`, the others after `others`. A word that is
/// longer than a line has one of its own.
pub(crate) fn wrapped(text: &str, columns: usize, first: &str, others: &str) -> Vec<String> {
    let mut lines = vec![first.to_owned()];
    let mut is_empty = true;
    for word in text.split_whitespace() {
        let line = &lines[lines.len() - 1];
        if !is_empty && width(line) + 1 + width(word) > columns {
            lines.push(others.to_owned());
            is_empty = true;
        }
        if let Some(line) = lines.last_mut() {
            if !is_empty {
                line.push(' ');
            }
            line.push_str(word);
        }
        is_empty = false;
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_as_long_as_can_be() {
        assert_eq!(wrapped("one two  three\nfour", 9, "", ""), ["one two", "three", "four"]);
        assert_eq!(wrapped("one two three", 10, "1. ", "   "), ["1. one two", "   three"]);
        assert_eq!(wrapped("µµµ ✓✓✓ xx", 7, "", ""), ["µµµ ✓✓✓", "xx"]);
        assert_eq!(wrapped("a verylongwordindeed b", 6, "", ""), ["a", "verylongwordindeed", "b"]);
        assert_eq!(wrapped(" ", 6, "- ", "  "), ["- "]);
    }
}
