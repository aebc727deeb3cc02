//! A result folder, written as trials end: `run.json`, `hosts.csv`, `samples.csv`, `summary.csv`.
//!
//! The rows of a trial go to the file in one unbuffered write, so an interrupted or killed run leaves whole trials. Only
//! a `kill -9` in the microseconds of that very write, or a power failure, can cut the last row off, and reading notices
//! that. `run.json` and `summary.csv` are replaced as a whole, through a temporary file beside them.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::Serialize;

use super::metadata::RunMetadata;
use super::read;
use super::row::{ClaimRow, ConditionRow, HostRow, PredictionRow, Row, SampleRow, SummaryRow};
use crate::error::{Error, Result};

/// The file with the run's metadata.
pub const METADATA_FILE: &str = "run.json";

/// The result folder of a run in progress.
#[derive(Debug)]
pub struct Store {
    dir: PathBuf,
    temporary: bool,
    hosts: File,
    samples: File,
}

impl Store {
    /// Makes the folder, with empty tables in it.
    ///
    /// With `out` exactly that folder (and those above it). Without: `results/TIME-RUN_ID` under the current directory,
    /// or, where that cannot be made, a new folder for temporary files, which the caller should name to the user
    /// ([`dir`](Self::dir), [`is_temporary`](Self::is_temporary)).
    ///
    /// # Errors
    /// Usage when `out` cannot be written or holds results already; failed when there is no place at all.
    pub fn create(out: Option<&Path>, run_id: &str) -> Result<Store> {
        match out {
            Some(dir) => Store::create_at(dir),
            None => Store::create_in(Path::new("results"), &std::env::temp_dir(), &folder_name(run_id)),
        }
    }

    /// Opens the folder of a run that has ended, for rows to be added to its tables.
    ///
    /// # Errors
    /// Usage, with file and line, when a table is missing, cut off or malformed, or cannot be written.
    pub fn reopen(dir: &Path) -> Result<Store> {
        Store::read::<SampleRow>(dir)?;
        Store::read::<HostRow>(dir)?;
        let table = |file: &str| {
            let path = dir.join(file);
            let opened = OpenOptions::new().append(true).open(&path);
            opened.map_err(|cause| Error::usage(format!("{} cannot be written", path.display())).because(cause))
        };
        Ok(Store {
            dir: dir.to_owned(),
            temporary: false,
            hosts: table(HostRow::FILE)?,
            samples: table(SampleRow::FILE)?,
        })
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Whether the folder is one for temporary files, because the usual place could not be written.
    pub fn is_temporary(&self) -> bool {
        self.temporary
    }

    /// Appends one trial's rows to `hosts.csv`, in one write.
    ///
    /// # Errors
    /// When they cannot be written; the file then ends with the trial before.
    pub fn append_hosts(&self, rows: &[HostRow]) -> Result<()> {
        append(&self.hosts, &self.dir, rows)
    }

    /// Appends one trial's rows to `samples.csv`, in one write.
    ///
    /// # Errors
    /// As for [`append_hosts`](Self::append_hosts).
    pub fn append_samples(&self, rows: &[SampleRow]) -> Result<()> {
        append(&self.samples, &self.dir, rows)
    }

    /// Replaces one of the tables that are written as a whole: `summary.csv`, `conditions.csv`, `claims.csv`,
    /// `predictions.csv`.
    ///
    /// # Errors
    /// When it cannot be written; the one before then remains.
    pub fn write<R: Row>(&self, rows: &[R]) -> Result<()> {
        let mut text = header::<R>();
        text.extend(csv_lines(rows).map_err(|cause| cannot_write(&self.dir, R::FILE).because(cause))?);
        replace(&self.dir, R::FILE, &text)
    }

    /// Replaces `run.json`.
    ///
    /// # Errors
    /// When it cannot be written; the one before then remains.
    pub fn write_metadata(&self, metadata: &RunMetadata) -> Result<()> {
        let mut text = serde_json::to_vec_pretty(metadata)
            .map_err(|cause| cannot_write(&self.dir, METADATA_FILE).because(cause))?;
        text.push(b'\n');
        replace(&self.dir, METADATA_FILE, &text)
    }

    /// Reads a table of a result folder. Columns it does not know are passed over; columns the table lacks, because an
    /// earlier netlab wrote it, are empty.
    ///
    /// # Errors
    /// Usage, with file and line, when the file is missing, or a row is cut off or malformed.
    pub fn read<R: Row>(dir: &Path) -> Result<Vec<R>> {
        read::rows(&dir.join(R::FILE))
    }

    /// The same for a table that a folder need not have: none without the file.
    ///
    /// # Errors
    /// As for [`read`](Self::read), but for a missing file.
    pub fn read_if_there<R: Row>(dir: &Path) -> Result<Option<Vec<R>>> {
        if dir.join(R::FILE).exists() { Store::read(dir).map(Some) } else { Ok(None) }
    }

    /// Reads the `run.json` of a result folder.
    ///
    /// # Errors
    /// Usage, with file and line, when the file is missing, malformed, or of a later netlab.
    pub fn read_metadata(dir: &Path) -> Result<RunMetadata> {
        read::metadata(&dir.join(METADATA_FILE))
    }

    /// In exactly this folder.
    fn create_at(dir: &Path) -> Result<Store> {
        let unusable = |reason: &str| {
            Error::usage(format!("--out {}: {reason}; name a new or empty folder that can be written", dir.display()))
        };
        let files = [
            METADATA_FILE,
            HostRow::FILE,
            SampleRow::FILE,
            SummaryRow::FILE,
            ConditionRow::FILE,
            ClaimRow::FILE,
            PredictionRow::FILE,
        ];
        if let Some(file) = files.into_iter().find(|file| dir.join(file).symlink_metadata().is_ok()) {
            return Err(unusable(&format!("it holds the {file} of another run")));
        }
        fs::create_dir_all(dir)
            .and_then(|()| Store::open(dir.to_owned(), false))
            .map_err(|cause| unusable(&format!("it cannot be written ({cause})")))
    }

    /// In a new folder `name` within `results`, or else within `fallback`.
    fn create_in(results: &Path, fallback: &Path, name: &str) -> Result<Store> {
        let usual = results.join(name);
        let made = fs::create_dir_all(results).and_then(|()| fs::create_dir(&usual));
        if let Ok(store) = made.and_then(|()| Store::open(usual, false)) {
            return Ok(store);
        }
        // create_dir, not create_dir_all: the folder for temporary files is everybody's, and this one must be new.
        let temporary = fallback.join(format!("netlab-{name}"));
        fs::create_dir(&temporary).and_then(|()| Store::open(temporary.clone(), true)).map_err(|cause| {
            Error::failed(format!("making a result folder in {} or {}", results.display(), temporary.display()))
                .because(cause)
                .remedy("Name a folder that can be written with --out.")
        })
    }

    /// With new files in a folder that exists.
    fn open(dir: PathBuf, temporary: bool) -> io::Result<Store> {
        let table = |file: &str, header: &[u8]| {
            let mut table = OpenOptions::new().append(true).create_new(true).open(dir.join(file))?;
            table.write_all(header).map(|()| table)
        };
        let hosts = table(HostRow::FILE, &header::<HostRow>())?;
        let samples = table(SampleRow::FILE, &header::<SampleRow>())?;
        Ok(Store { dir, temporary, hosts, samples })
    }
}

/// `2026-03-01T093000Z-RUN_ID`: sorts by time and is a file name everywhere.
fn folder_name(run_id: &str) -> String {
    let time = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    format!("{}-{run_id}", time.replace(':', ""))
}

fn header<R: Row>() -> Vec<u8> {
    let mut line = R::COLUMNS.join(",").into_bytes();
    line.push(b'\n');
    line
}

/// The rows without the header.
fn csv_lines<R: Serialize>(rows: &[R]) -> io::Result<Vec<u8>> {
    let mut writer = csv::WriterBuilder::new().has_headers(false).from_writer(Vec::new());
    for row in rows {
        writer.serialize(row)?;
    }
    writer.into_inner().map_err(|error| error.into_error())
}

fn append<R: Row>(mut file: &File, dir: &Path, rows: &[R]) -> Result<()> {
    let mut write = || {
        let lines = csv_lines(rows)?;
        let length = file.metadata()?.len();
        file.write_all(&lines).inspect_err(|_| {
            // A full disk takes part of it: better a trial less than half a row. The first failure is the one to tell.
            let _ = file.set_len(length);
        })
    };
    write().map_err(|cause| cannot_write(dir, R::FILE).because(cause))
}

/// Puts `contents` in place of a file, such that a reader sees either the old or the new one.
fn replace(dir: &Path, file: &str, contents: &[u8]) -> Result<()> {
    let temporary = dir.join(format!(".{file}.new"));
    fs::write(&temporary, contents).and_then(|()| fs::rename(&temporary, dir.join(file))).map_err(|cause| {
        let _ = fs::remove_file(&temporary);
        cannot_write(dir, file).because(cause)
    })
}

fn cannot_write(dir: &Path, file: &str) -> Error {
    Error::failed(format!("writing {}", dir.join(file).display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ExitClass;

    #[test]
    fn without_out_results_go_below_the_current_folder() {
        let base = tempfile::tempdir().unwrap();
        let results = base.path().join("results");
        let store = Store::create_in(&results, base.path(), "now-1f").unwrap();
        assert_eq!(store.dir(), results.join("now-1f"));
        assert!(!store.is_temporary());
    }

    #[test]
    fn without_a_place_below_the_current_folder_results_go_to_a_temporary_one() {
        let base = tempfile::tempdir().unwrap();
        let results = base.path().join("results");
        fs::write(&results, "in the way").unwrap();
        let store = Store::create_in(&results, base.path(), "now-1f").unwrap();
        assert_eq!(store.dir(), base.path().join("netlab-now-1f"));
        assert!(store.is_temporary());

        // The same name again, as if somebody had put it there: not taken.
        let error = Store::create_in(&results, base.path(), "now-1f").unwrap_err();
        assert_eq!(error.class(), ExitClass::Failed);
        assert!(error.to_string().contains("--out"), "{error}");
    }

    #[test]
    fn folder_names_sort_by_time_and_hold_no_colon() {
        let name = folder_name("1f");
        assert_eq!(name.len(), "2026-03-01T093000Z-1f".len(), "{name}");
        assert!(name.ends_with("Z-1f") && !name.contains(':'), "{name}");
    }
}
