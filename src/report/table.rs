//! Figures as an HTML table.

use maud::{Markup, html};

use super::drawing::swatch;
use crate::units::Mode;

/// With more columns than this it is set closer.
const WIDE: usize = 9;

/// A table whose first column names its rows.
#[derive(Debug, Default)]
pub(super) struct Table {
    caption: String,
    /// Headings over several columns, and over how many; none for one line of headings.
    spans: Vec<(String, usize)>,
    columns: Vec<String>,
    rows: Vec<(Option<Mode>, Vec<String>)>,
    /// Whether the cells are words and not figures.
    words: bool,
}

impl Table {
    /// An empty one. The caption says what it is of.
    pub(super) fn new(caption: impl Into<String>) -> Table {
        Table { caption: caption.into(), ..Table::default() }
    }

    /// The heading of each column, that of the rows' names first.
    pub(super) fn columns<S: Into<String>>(mut self, columns: impl IntoIterator<Item = S>) -> Table {
        self.columns.extend(columns.into_iter().map(Into::into));
        self
    }

    /// Adds columns under a common heading.
    pub(super) fn group<S: Into<String>>(mut self, title: &str, columns: impl IntoIterator<Item = S>) -> Table {
        let before = self.columns.len();
        self = self.columns(columns);
        self.spans.push((title.to_owned(), self.columns.len() - before));
        self
    }

    /// Its cells are words.
    pub(super) fn of_words(mut self) -> Table {
        self.words = true;
        self
    }

    /// Adds a row, its name first.
    pub(super) fn row(&mut self, cells: Vec<String>) {
        self.rows.push((None, cells));
    }

    /// Adds a row that belongs to a mode, its name first.
    pub(super) fn row_of(&mut self, mode: Mode, cells: Vec<String>) {
        self.rows.push((Some(mode), cells));
    }

    /// Whether there is anything in it.
    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// As HTML.
    pub(super) fn markup(&self) -> Markup {
        html! {
            div.scroll {
                table.words[self.words].wide[self.columns.len() > WIDE] {
                    caption { (self.caption) }
                    thead {
                        @if !self.spans.is_empty() {
                            tr {
                                @for (title, columns) in &self.spans {
                                    @if title.is_empty() { td colspan=(columns) {} }
                                    @else { th scope="colgroup" colspan=(columns) { (title) } }
                                }
                            }
                        }
                        tr { @for column in &self.columns { th scope="col" { (column) } } }
                    }
                    tbody {
                        @for (mode, cells) in &self.rows {
                            tr {
                                @for (index, cell) in cells.iter().enumerate() {
                                    @if index == 0 {
                                        th scope="row" { @if let Some(mode) = mode { (swatch(*mode)) " " } (cell) }
                                    } @else {
                                        td { (cell) }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headings_and_cells_are_text() {
        let mut table = Table::new("a & b").group("", ["mode"]).group("<b>", ["x", "y"]);
        table.row_of(Mode::Unicast, vec!["unicast".to_owned(), "<1".to_owned(), "–".to_owned()]);
        let text = table.markup().into_string();
        for part in [
            "<caption>a &amp; b</caption>",
            r#"<td colspan="1"></td><th scope="colgroup" colspan="2">&lt;b&gt;</th>"#,
            r#"<th scope="col">mode</th>"#,
            "unicast</th><td>&lt;1</td><td>–</td>",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }
}
