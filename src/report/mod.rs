//! A run as a page to look at: one HTML file and the charts as SVG files, from the tables of a result folder alone.
//!
//! | Where is … | in |
//! |---|---|
//! | what is read, and conditions put together into settings | `data.rs` (tables), `facts.rs` (`run.json`) |
//! | the page, section by section | `page.rs`; `claims.rs`, `exhibit.rs` (one setting), `about.rs` (method, environment) |
//! | which charts a run deserves | `sweep.rs` (over a factor), `time.rs` (over time) |
//! | what a server had to do | `server.rs` |
//! | how a chart is drawn | `chart.rs` (lines), `rows.rs` (horizontal bars), `axis.rs` (scales and ticks) |
//! | the picture of the network | `network.rs` (a mode), `cell.rs` (one LAN of it), `scale.rs` (thickness and fill) |
//! | colours, style sheets | `style.rs`, `page.css`, `drawing.css` |
//!
//! The page has no script and asks for nothing from anywhere. What came from a file is text in it, whatever it holds.

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::escaped;

mod about;
mod axis;
mod cell;
mod chart;
mod claims;
mod data;
mod drawing;
mod exhibit;
mod facts;
mod metric;
mod network;
mod page;
mod rows;
mod scale;
mod server;
mod style;
mod sweep;
mod table;
mod time;

pub(crate) use about::quoted;

/// The page's file in the result folder.
pub const PAGE_FILE: &str = "report.html";
/// The folder in it for the charts.
pub const CHARTS_FOLDER: &str = "charts";

/// What was written.
#[derive(Debug)]
pub struct Written {
    /// The page.
    pub page: PathBuf,
    /// The charts, each an SVG file.
    pub charts: Vec<PathBuf>,
}

/// Draws the report of a result folder into it, in place of an earlier one. SVG files in its `charts` folder that an
/// earlier report left are removed.
///
/// # Errors
/// Usage, with file and line, when it is no result folder or a table is malformed; failed when the report cannot be
/// written.
pub fn write(dir: &Path) -> Result<Written> {
    let page = page::of(&data::Run::read(dir)?);
    let folder = dir.join(CHARTS_FOLDER);
    let cannot = |path: &Path, cause| Error::failed(format!("writing {}", path.display())).because(cause);
    fs::create_dir_all(&folder).map_err(|cause| cannot(&folder, cause))?;
    remove_charts(&folder).map_err(|cause| cannot(&folder, cause))?;
    let mut charts = Vec::new();
    for drawing in &page.drawings {
        let path = folder.join(format!("{}.svg", drawing.name));
        fs::write(&path, printable(drawing.file())).map_err(|cause| cannot(&path, cause))?;
        charts.push(path);
    }
    let path = dir.join(PAGE_FILE);
    fs::write(&path, printable(page.html.into_string())).map_err(|cause| cannot(&path, cause))?;
    Ok(Written { page: path, charts })
}

fn remove_charts(folder: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "svg") {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

/// The text without what is no text: characters that XML does not allow, and those that turn the direction of writing
/// around, by which text could pose as other text.
fn printable(text: String) -> String {
    let is_none = |c: char| (escaped::steers(c) && c != '\n') || matches!(c, '\u{fffe}' | '\u{ffff}');
    if text.contains(is_none) { text.replace(is_none, "\u{fffd}") } else { text }
}
