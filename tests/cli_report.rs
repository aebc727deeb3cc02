//! `netlab report` from outside.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

#[path = "support/cli.rs"]
mod cli;
#[path = "support/run.rs"]
mod run;

use cli::netlab_with;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use run::{Run, Setting};

#[test]
fn the_path_of_the_report_is_printed() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("a run");
    Run { settings: vec![Setting::new(5, 2, 3)], ..Run::default() }.write(&dir);
    let done = netlab_with(&["report", dir.to_str().unwrap()]).expect(0);
    assert_eq!((done.out.trim_end(), done.err.as_str()), (dir.join("report.html").to_str().unwrap(), ""));
    assert!(fs::read_to_string(dir.join("report.html")).unwrap().starts_with("<!DOCTYPE html>"));
    assert!(dir.join("charts/network-1.svg").is_file());
}

#[test]
fn a_folder_without_results_is_wrong_usage() {
    let folder = tempfile::tempdir().unwrap();
    let done = netlab_with(&["report", folder.path().to_str().unwrap()]).expect(2);
    assert!(done.err.contains("hosts.csv cannot be read; name the result folder of a run"), "{done:?}");
    assert_eq!(done.out, "");
    netlab_with(&["report", "/nowhere/at/all"]).expect(2);
    netlab_with(&["report"]).expect(2);
}

#[test]
fn a_bad_row_is_named_by_file_and_line() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("run");
    Run { settings: vec![Setting::new(5, 2, 3)], ..Run::default() }.write(&dir);
    let hosts = fs::read_to_string(dir.join("hosts.csv")).unwrap();
    fs::write(dir.join("hosts.csv"), hosts.replacen(",receiver,", ",waiter,", 1)).unwrap();
    let done = netlab_with(&["report", dir.to_str().unwrap()]).expect(2);
    assert!(done.err.contains("hosts.csv:3: "), "{done:?}");
}

const TABLES: [&str; 7] =
    ["hosts.csv", "samples.csv", "summary.csv", "conditions.csv", "claims.csv", "predictions.csv", "run.json"];

/// A folder with all files a run may leave.
fn whole_run(dir: &Path) {
    let settings = vec![Setting::new(5, 2, 3)];
    Run { settings, claims: run::claims(), predictions: run::predictions(), ..Run::default() }.write(dir);
}

#[test]
fn what_is_no_file_is_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    for file in TABLES {
        let dir = folder.path().join(file);
        whole_run(&dir);
        let path = dir.join(file);
        let replaced: [&dyn Fn(); 3] =
            [&|| mkfifo(&path, Mode::S_IRWXU).unwrap(), &|| fs::create_dir(&path).unwrap(), &|| {
                symlink("/dev/zero", &path).unwrap()
            }];
        for replace in replaced {
            let _ = fs::remove_file(&path).or_else(|_| fs::remove_dir(&path));
            replace();
            let done = netlab_with(&["report", dir.to_str().unwrap()]).expect(2);
            assert!(done.err.contains(&format!("{file} is no regular file")), "{done:?}");
        }
    }
}

/// A spreadsheet in a country of decimal commas reads the tables and saves them again.
#[test]
fn tables_that_a_spreadsheet_saved_make_the_same_report() {
    let folder = tempfile::tempdir().unwrap();
    let (plain, saved) = (folder.path().join("plain"), folder.path().join("saved"));
    let page = |dir: &Path| {
        netlab_with(&["report", dir.to_str().unwrap()]).expect(0);
        fs::read_to_string(dir.join("report.html")).unwrap()
    };
    for dir in [&plain, &saved] {
        whole_run(dir);
    }
    let original = page(&plain);
    for file in TABLES.iter().filter(|file| file.ends_with(".csv")) {
        let mut rows = csv::ReaderBuilder::new().has_headers(false).from_path(plain.join(file)).unwrap();
        let mut text = Vec::from("\u{feff}");
        let mut writer = csv::WriterBuilder::new();
        let mut writer = writer.delimiter(b';').terminator(csv::Terminator::CRLF).from_writer(&mut text);
        for row in rows.records() {
            let field = |field: &str| match field {
                "true" | "false" => field.to_uppercase(),
                number if number.parse::<f64>().is_ok() => number.replace('.', ","),
                text => text.to_owned(),
            };
            writer.write_record(row.unwrap().iter().map(field)).unwrap();
        }
        drop(writer);
        fs::write(saved.join(file), text).unwrap();
    }
    assert!(page(&saved) == original, "another report");
}

#[test]
fn a_run_of_a_later_netlab_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("run");
    whole_run(&dir);
    let json = fs::read_to_string(dir.join("run.json")).unwrap();
    fs::write(dir.join("run.json"), json.replace("\"schema_version\": 1", "\"schema_version\": 2")).unwrap();
    let done = netlab_with(&["report", dir.to_str().unwrap()]).expect(2);
    assert!(done.err.contains("schema version 2") && done.err.contains("knows version 1"), "{done:?}");
}
