//! Text in columns, under headings that span several of them.

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
    /// Adds a group of columns to the right.
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

    /// The lines: two of headings (one when no group has a title), then the rows, without spaces at their ends.
    pub fn lines(&self) -> Vec<String> {
        let widths = self.widths();
        let mut lines = Vec::new();
        if self.groups.iter().any(|group| !group.title.is_empty()) {
            lines.push(self.title_line(&widths));
        }
        lines.push(self.line(&widths, self.groups.iter().flat_map(|group| &group.columns)));
        lines.extend(self.rows.iter().map(|row| self.line(&widths, row.iter())));
        lines
    }

    /// Of each column; the last of a group is widened where its title needs it.
    fn widths(&self) -> Vec<usize> {
        let mut widths = Vec::new();
        for group in &self.groups {
            let first = widths.len();
            for (index, column) in group.columns.iter().enumerate() {
                let cells = self.rows.iter().filter_map(|row| row.get(first + index));
                widths.push(cells.chain([column]).map(|cell| width(cell)).max().unwrap_or(0));
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

    fn line<'a>(&self, widths: &[usize], mut cells: impl Iterator<Item = &'a String>) -> String {
        let mut widths = widths.iter();
        let mut line = String::new();
        for group in &self.groups {
            for index in 1..=group.columns.len() {
                let gap = if index == group.columns.len() { BETWEEN_GROUPS } else { WITHIN_GROUP };
                let cell = cells.next().map_or("", String::as_str);
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
    fn without_titles_there_is_no_line_for_them() {
        let mut grid = Grid::default().group("", &["a", "b"]);
        grid.row(vec!["1".to_owned(), "2".to_owned()]);
        assert_eq!(grid.lines(), ["a  b", "1  2"]);
    }
}
