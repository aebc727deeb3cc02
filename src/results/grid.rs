//! Text in columns, under headings that span several of them.

use std::ops::Range;

use super::table::Paint;

/// Columns in groups; all rows have one cell for each column.
#[derive(Debug, Default)]
pub struct Grid {
    groups: Vec<Group>,
    rows: Vec<Vec<String>>,
}

#[derive(Clone, Debug)]
struct Group {
    title: String,
    columns: Vec<String>,
}

/// Columns of one group.
#[derive(Clone, Debug)]
struct Picked<'a> {
    title: &'a str,
    columns: Range<usize>,
}

impl Grid {
    /// Adds a group of columns to the right. The heading of a column may have several lines.
    #[must_use]
    pub fn group(mut self, title: &str, columns: &[&str]) -> Grid {
        let columns = columns.iter().map(|&column| column.to_owned()).collect();
        self.groups.push(Group { title: title.to_owned(), columns });
        self
    }

    /// Adds a row at the bottom.
    pub fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// The lines: those of the headings (the groups' titles, if any, before the columns'), then the rows, without spaces
    /// at their ends.
    pub fn lines(&self) -> Vec<String> {
        let widths = self.widths();
        let mut lines = self.headings(&widths);
        lines.extend(self.rows.iter().map(|row| self.line(&widths, row.iter().map(String::as_str))));
        lines
    }

    /// Them as text, the headings bold, with a line end after each line.
    pub fn painted(&self, paint: Paint) -> String {
        let headings = self.headings(&self.widths()).len();
        let painted = |(index, line): (usize, String)| if index < headings { paint.bold(&line) } else { line };
        self.lines().into_iter().enumerate().map(|line| painted(line) + "\n").collect()
    }

    /// As [`painted`](Self::painted), but at most `columns` wide where words let it: what has no room goes below, where the
    /// first group, which names the rows, stands again.
    pub fn fitted(&self, paint: Paint, columns: usize) -> String {
        let mut parts: Vec<Vec<Picked>> = Vec::new();
        let fits = |picked: &[Picked]| self.of(picked, columns).width() <= columns;
        for (group, first) in self.groups.iter().zip(self.firsts()).skip(1) {
            let whole = Picked { title: &group.title, columns: first..first + group.columns.len() };
            let single = |column| Picked { title: &group.title, columns: column..column + 1 };
            let pieces = match fits(std::slice::from_ref(&whole)) {
                true => vec![whole],
                false => whole.columns.map(single).collect(),
            };
            for piece in pieces {
                let beside = parts.last().map(|part| part.iter().cloned().chain([piece.clone()]).collect::<Vec<_>>());
                match (parts.last_mut(), beside) {
                    (Some(last), Some(beside)) if fits(&beside) => *last = beside,
                    _ => parts.push(vec![piece]),
                }
            }
        }
        let parts: Vec<String> = parts.iter().map(|part| self.of(part, columns).painted(paint)).collect();
        parts.join("\n")
    }

    /// By group: the index of its first column.
    fn firsts(&self) -> impl Iterator<Item = usize> {
        self.groups.iter().scan(0, |next, group| {
            let first = *next;
            *next += group.columns.len();
            Some(first)
        })
    }

    /// The first group and others, with titles that leave the lines `columns` wide.
    fn of(&self, picked: &[Picked], columns: usize) -> Grid {
        let Some(names) = self.groups.first() else { return Grid::default() };
        let named = span(&self.widths()[..names.columns.len()]) + BETWEEN_GROUPS;
        let mut grid = Grid { groups: vec![names.clone()], rows: Vec::new() };
        let all: Vec<&String> = self.groups.iter().flat_map(|group| &group.columns).collect();
        for Picked { title, columns: of_group } in picked {
            let title = wrapped(title, columns.saturating_sub(named), "", "").join("\n");
            let columns = all[of_group.clone()].iter().map(|&column| column.clone()).collect();
            grid.groups.push(Group { title, columns });
        }
        let cells = || (0..names.columns.len()).chain(picked.iter().flat_map(|picked| picked.columns.clone()));
        let row = |row: &Vec<String>| cells().map(|index| row.get(index).cloned().unwrap_or_default()).collect();
        grid.rows = self.rows.iter().map(row).collect();
        grid
    }

    /// Columns the widest line takes.
    pub fn width(&self) -> usize {
        self.lines().iter().map(|line| width(line)).max().unwrap_or(0)
    }

    fn headings(&self, widths: &[usize]) -> Vec<String> {
        let mut lines = Vec::new();
        if self.groups.iter().any(|group| !group.title.is_empty()) {
            let height = self.groups.iter().map(|group| group.title.lines().count()).max().unwrap_or(0);
            lines.extend((0..height).rev().map(|below| self.title_line(widths, below)));
        }
        let columns = || self.groups.iter().flat_map(|group| &group.columns);
        let height = columns().map(|column| column.lines().count()).max().unwrap_or(0);
        // Short ones stand at the bottom.
        for below in (0..height).rev() {
            lines.push(self.line(widths, columns().map(|column| column.lines().rev().nth(below).unwrap_or(""))));
        }
        lines
    }

    /// Of each column; the last of a group is widened where its title needs it.
    fn widths(&self) -> Vec<usize> {
        let mut widths = Vec::new();
        for group in &self.groups {
            let first = widths.len();
            for (index, column) in group.columns.iter().enumerate() {
                let cells = self.rows.iter().filter_map(|row| row.get(first + index));
                let cells = cells.map(String::as_str).chain(column.lines());
                widths.push(cells.map(width).max().unwrap_or(0));
            }
            let spanned = span(&widths[first..]);
            if let Some(last) = widths[first..].last_mut() {
                let title = group.title.lines().map(width).max().unwrap_or(0);
                *last += title.saturating_sub(spanned);
            }
        }
        widths
    }

    /// The line of the titles with so many others below it; short ones stand at the bottom.
    fn title_line(&self, widths: &[usize], below: usize) -> String {
        let mut rest = widths;
        let mut line = String::new();
        for group in &self.groups {
            let (own, others) = rest.split_at(group.columns.len());
            let title = group.title.lines().rev().nth(below).unwrap_or("");
            push_cell(&mut line, title, span(own) + BETWEEN_GROUPS);
            rest = others;
        }
        line.trim_end().to_owned()
    }

    fn line<'a>(&self, widths: &[usize], mut cells: impl Iterator<Item = &'a str>) -> String {
        let mut widths = widths.iter();
        let mut line = String::new();
        for group in &self.groups {
            for index in 1..=group.columns.len() {
                let gap = if index == group.columns.len() { BETWEEN_GROUPS } else { WITHIN_GROUP };
                let cell = cells.next().unwrap_or("");
                push_cell(&mut line, cell, widths.next().unwrap_or(&0) + gap);
            }
        }
        line.trim_end().to_owned()
    }
}

/// Columns `text` takes on a terminal: netlab's own words and signs (`µ · – ±` among them) take one each.
pub fn width(text: &str) -> usize {
    text.chars().count()
}

/// The words of `text` in lines of at most `columns`, the first after `first`, the others after `others`. A word that is
/// longer than a line has one of its own.
pub fn wrapped(text: &str, columns: usize, first: &str, others: &str) -> Vec<String> {
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

const WITHIN_GROUP: usize = 2;
const BETWEEN_GROUPS: usize = 3;

/// The width of neighbouring columns of one group.
fn span(widths: &[usize]) -> usize {
    widths.iter().sum::<usize>() + WITHIN_GROUP * widths.len().saturating_sub(1)
}

fn push_cell(line: &mut String, cell: &str, to: usize) {
    line.push_str(cell);
    line.extend(std::iter::repeat_n(' ', to.saturating_sub(width(cell))));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_span_their_columns_and_signs_take_one_place() {
        let mut grid = Grid::default().group("", &["mode"]).group("CPU µs per message", &["a", "b"]).group("x", &["c"]);
        grid.row(["m", "1.0 ± 0.1", "–", "3"].map(str::to_owned).to_vec());
        grid.row(["longer", "–", "12", "4"].map(str::to_owned).to_vec());
        assert_eq!(
            grid.lines(),
            [
                "         CPU µs per message   x",
                "mode     a          b         c",
                "m        1.0 ± 0.1  –         3",
                "longer   –          12        4",
            ]
        );
    }

    #[test]
    fn headings_of_several_lines_stand_at_the_bottom() {
        let mut grid = Grid::default().group("", &["mode"]).group("CPU", &["sender", "each\nreceiver"]);
        grid.row(["m", "1.0", "2.0"].map(str::to_owned).to_vec());
        assert_eq!(
            grid.lines(),
            ["       CPU", "               each", "mode   sender  receiver", "m      1.0     2.0",]
        );
        assert_eq!(grid.width(), "mode   sender  receiver".len());
        assert_eq!(grid.painted(Paint::Plain).lines().collect::<Vec<_>>(), grid.lines());
        assert_eq!(grid.painted(Paint::Ansi).matches("\x1b[1m").count(), 3, "of the headings alone");
    }

    #[test]
    fn without_titles_there_is_no_line_for_them() {
        let mut grid = Grid::default().group("", &["a", "b"]);
        grid.row(vec!["1".to_owned(), "2".to_owned()]);
        assert_eq!(grid.lines(), ["a  b", "1  2"]);
    }

    #[test]
    fn lines_are_as_long_as_can_be() {
        assert_eq!(wrapped("one two  three\nfour", 9, "", ""), ["one two", "three", "four"]);
        assert_eq!(wrapped("one two three", 10, "1. ", "   "), ["1. one two", "   three"]);
        assert_eq!(wrapped("µµµ ✓✓✓ xx", 7, "", ""), ["µµµ ✓✓✓", "xx"]);
        assert_eq!(wrapped("a verylongwordindeed b", 6, "", ""), ["a", "verylongwordindeed", "b"]);
        assert_eq!(wrapped(" ", 6, "- ", "  "), ["- "]);
    }

    #[test]
    fn what_is_too_wide_goes_below_with_the_names_of_its_rows() {
        let mut grid = Grid::default().group("", &["mode"]).group("CPU µs per message", &["sender", "each\nreceiver"]);
        grid = grid.group("spent on", &["bystanders"]);
        grid.row(["unicast", "1.0 ± 0.1", "2.0", "0 %"].map(str::to_owned).to_vec());
        grid.row(["multicast", "3.0", "–", "40 %"].map(str::to_owned).to_vec());
        assert_eq!(grid.fitted(Paint::Plain, 80), grid.painted(Paint::Plain));
        assert_eq!(
            grid.fitted(Paint::Plain, 40).lines().collect::<Vec<_>>(),
            [
                "            CPU µs per message",
                "                       each",
                "mode        sender     receiver",
                "unicast     1.0 ± 0.1  2.0",
                "multicast   3.0        –",
                "",
                "            spent on",
                "mode        bystanders",
                "unicast     0 %",
                "multicast   40 %",
            ]
        );
        let narrow = grid.fitted(Paint::Plain, 22);
        assert_eq!(
            narrow.lines().take(6).collect::<Vec<_>>(),
            [
                "            CPU µs per",
                "            message",
                "mode        sender",
                "unicast     1.0 ± 0.1",
                "multicast   3.0",
                "",
            ]
        );
        for columns in 20..60 {
            assert!(grid.fitted(Paint::Plain, columns).lines().all(|line| width(line) <= columns.max(22)), "{columns}");
        }
    }
}
