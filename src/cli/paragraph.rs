//! Text that fits the terminal.

use std::os::fd::AsFd;

use crate::results::grid::width;
pub(crate) use crate::results::grid::wrapped;

/// Columns of the terminal; of a page where it is none, and never more than a line is well read at.
pub(crate) fn columns() -> usize {
    const PAGE: u16 = 100;
    const LEAST: u16 = 40;
    let terminal = terminal_size::terminal_size().map_or(PAGE, |(terminal_size::Width(columns), _)| columns);
    terminal.clamp(LEAST, PAGE).into()
}

/// Columns of the terminal that `stream` goes to; where it is none, a line may have any length.
pub(crate) fn columns_of(stream: impl AsFd) -> usize {
    terminal_size::terminal_size_of(stream).map_or(usize::MAX, |(terminal_size::Width(columns), _)| columns.into())
}

/// The text with each line that has more columns in several, lest the terminal break it within a word.
pub(crate) fn fitted(text: &str, columns: usize) -> String {
    let fit = |line: &str| {
        if width(line) <= columns {
            return line.to_owned();
        }
        let indent = &line[..line.len() - line.trim_start().len()];
        wrapped(line, columns, indent, indent).join("\n")
    };
    let lines: Vec<String> = text.split('\n').map(fit).collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lines_that_are_too_long_change() {
        let text = "rate   1 message/s\n  a line that is longer than that\n\nend\n";
        assert_eq!(fitted(text, usize::MAX), text);
        assert_eq!(fitted(text, 18), "rate   1 message/s\n  a line that is\n  longer than that\n\nend\n");
        assert_eq!(fitted(text, 1).lines().filter(|line| line.trim().contains(' ')).count(), 0);
    }
}
