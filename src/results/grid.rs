//! Text in columns, under headings that span several of them.

use super::table::Paint;

/// Columns in groups; all rows have one cell for each column.
#[derive(Debug, Default)]
pub struct Grid {
    groups: Vec<Group>,
    rows: Vec<Vec<String>>,
}

#[derive(Debug)]
struct Group {
    title: String,
    columns: Vec<String>,
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

    /// Columns the widest line takes.
    pub fn width(&self) -> usize {
        self.lines().iter().map(|line| width(line)).max().unwrap_or(0)
    }

    fn headings(&self, widths: &[usize]) -> Vec<String> {
        let mut lines = Vec::new();
        if self.groups.iter().any(|group| !group.title.is_empty()) {
            lines.push(self.title_line(widths));
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
                *last += width(&group.title).saturating_sub(spanned);
            }
        }
        widths
    }

    fn title_line(&self, widths: &[usize]) -> String {
        let mut rest = widths;
        let mut line = String::new();
        for group in &self.groups {
            let (own, others) = rest.split_at(group.columns.len());
            push_cell(&mut line, &group.title, span(own) + BETWEEN_GROUPS);
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
}
