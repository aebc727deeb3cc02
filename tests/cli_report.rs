//! `netlab report` from outside.

use std::fs;

#[path = "support/cli.rs"]
mod cli;
#[path = "support/run.rs"]
mod run;

use cli::netlab_with;
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
