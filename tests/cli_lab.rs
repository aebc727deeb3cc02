//! `netlab lab` as far as it measures nothing: the menu, the handouts, whether a file is right.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

#[path = "support/cli.rs"]
mod cli;

use cli::{Done, NETLAB, netlab, netlab_with};

/// The labs there are: the files in `labs/`.
fn names() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("labs");
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let labs = files.filter(|path| path.extension().is_some_and(|extension| extension == "toml"));
    let mut names: Vec<String> = labs.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect();
    names.sort();
    names
}

/// A lab file in a folder of its own.
struct LabFile {
    folder: tempfile::TempDir,
}

impl LabFile {
    fn new(text: &str) -> LabFile {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("mine.toml"), text).unwrap();
        LabFile { folder }
    }

    /// Runs `netlab` where the file is.
    fn netlab(&self, args: &[&str]) -> Done {
        let mut command = Command::new(NETLAB);
        command.args(args).current_dir(self.folder.path()).stdin(Stdio::null());
        command.output().expect("netlab starts").into()
    }
}

const RIGHT: &str = "title = \"Mine\"\nlecture = \"What I say.\"\n[measure]\nhosts = 4\nreceivers = [1, 2]\n\
                     modes = [\"unicast\", \"multicast\"]\nduration = \"400ms\"\n[[claim]]\nsays = \"It sends one.\"\n\
                     metric = \"link_tx_frames\"\nrole = \"sender\"\nwhere = { mode = \"multicast\" }\nabout = 1\n";

#[test]
fn the_menu_names_every_lab() {
    let done = netlab("lab list").expect(0);
    for name in names() {
        assert!(done.out.lines().any(|line| line.starts_with(&format!("{name} "))), "{name}: {}", done.out);
    }
    assert!(done.out.lines().all(|line| line.chars().count() <= 100), "{}", done.out);
    assert!(!done.out.contains('\u{1b}'), "no colours where there is no terminal");
}

#[test]
fn the_menu_for_machines() {
    let done = netlab("lab list --json").expect(0);
    let labs: Vec<Value> = done.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let mut listed: Vec<&str> = labs.iter().map(|lab| lab["name"].as_str().unwrap()).collect();
    listed.sort_unstable();
    assert_eq!(listed, names());
    for lab in &labs {
        let number = |key: &str| lab[key].as_f64().unwrap_or_else(|| panic!("no {key}: {lab}"));
        assert!(number("hosts") >= 2.0 && number("conditions") >= 1.0 && number("claims") >= 1.0, "{lab}");
        assert!(number("quick_expected_s") < number("expected_s"), "{lab}");
        assert!(!lab["title"].as_str().unwrap().is_empty() && !lab["lecture"].as_str().unwrap().is_empty());
    }
}

#[test]
fn every_lab_is_shown_and_right() {
    for name in names() {
        let shown = netlab(&format!("lab show {name}")).expect(0).out;
        for heading in ["The sentence of the lecture", "What is measured", "What is claimed"] {
            assert!(shown.lines().any(|line| line == heading), "{name} has no '{heading}': {shown}");
        }
        let checked = netlab(&format!("lab check {name}")).expect(0);
        let line = checked.out.strip_suffix('\n').unwrap();
        assert!(
            line.starts_with(&format!("{name}: ")) && line.contains(" claim") && line.contains(", about "),
            "{line}"
        );
    }
}

#[test]
fn a_lab_can_be_copied_changed_and_shown() {
    let toml = netlab("lab show one-to-many --toml").expect(0).out;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("labs");
    assert_eq!(toml, fs::read_to_string(folder.join("one-to-many.toml")).unwrap());
    let title = toml.lines().find(|line| line.starts_with("title = ")).unwrap();
    let mine = LabFile::new(&toml.replace(title, "title = \"My own\""));
    let shown = mine.netlab(&["lab", "show", "mine.toml"]).expect(0).out;
    assert!(shown.starts_with("My own\n"), "{shown}");
    assert_eq!(
        mine.netlab(&["lab", "show", "--toml", "./mine.toml"]).expect(0).out,
        toml.replace(title, "title = \"My own\"")
    );
}

#[test]
fn a_right_file_is_one_line() {
    let done = LabFile::new(RIGHT).netlab(&["lab", "check", "mine.toml"]).expect(0);
    assert!(done.out.starts_with("mine.toml: 4 conditions, 1 claim, about "), "{done:?}");
    assert_eq!((done.out.lines().count(), done.err.as_str()), (1, ""));
}

#[test]
fn all_that_is_wrong_is_told_with_its_place() {
    let text = RIGHT.replace("hosts = 4", "hosts = 2").replace("role =", "rule =");
    let file = LabFile::new(&text);
    for command in ["check", "show", "run"] {
        let done = file.netlab(&["lab", command, "mine.toml"]).expect(2);
        assert_eq!(done.out, "");
        for told in [
            "mine.toml:5:17: receivers 2: with 2 hosts there can be 1 to 1 receivers",
            "mine.toml:11:1: unknown key 'rule'; did you mean 'role'?",
        ] {
            assert!(done.err.lines().any(|line| line.starts_with(told)), "{command}: no '{told}' in {}", done.err);
        }
    }
    // The files that are right are told all the same.
    let both = file.netlab(&["lab", "check", "one-to-many", "mine.toml"]).expect(2);
    assert!(both.out.starts_with("one-to-many: ") && both.err.contains("mine.toml:5:17: "), "{both:?}");
}

#[test]
fn labs_that_are_not_there() {
    let done = netlab("lab run one-to-mny").expect(2);
    assert!(done.err.contains("did you mean one-to-many?") && done.err.contains("netlab lab list"), "{done:?}");
    let done = netlab("lab show zzz").expect(2);
    assert!(done.err.contains("there is no lab 'zzz'") && !done.err.contains("did you mean"), "{done:?}");
    let done = netlab("lab check nowhere.toml").expect(2);
    assert!(done.err.contains("nowhere.toml cannot be read: No such file"), "{done:?}");
    let done = netlab("lab check /dev/zero").expect(2);
    assert!(done.err.contains("larger than 1 MiB"), "{done:?}");
    // A file of a lab's name comes first.
    let file = LabFile::new(RIGHT);
    fs::rename(file.folder.path().join("mine.toml"), file.folder.path().join("one-to-many")).unwrap();
    assert!(file.netlab(&["lab", "show", "one-to-many"]).expect(0).out.starts_with("Mine\n"));
}

#[test]
fn flags_that_cannot_be() {
    let file = LabFile::new(RIGHT);
    for (args, told) in [
        (&["lab", "run", "mine.toml", "--trials", "0"][..], "--trials 0: measures nothing"),
        (&["lab", "run", "mine.toml", "--trials", "many"], "invalid digit"),
        (&["lab", "run"], "<NAME|FILE>"),
        (&["lab", "check"], "<FILE>"),
        (&["lab"], "Usage"),
    ] {
        let done = file.netlab(args).expect(2);
        assert!(done.err.contains(told), "{args:?}: {}", done.err);
    }
}

#[test]
fn help_and_completions_know_labs() {
    let help = netlab("lab run --help").expect(0).out;
    for flag in ["--quick", "--predict", "--out", "--seed", "--trials", "--json", "Exit codes: 0", "3 some"] {
        assert!(help.contains(flag), "{help}");
    }
    assert!(netlab("--help").expect(0).out.contains("\n  lab "));
    let script = netlab_with(&["completions", "bash"]).expect(0).out;
    for name in names() {
        assert!(script.contains(&name), "{name}");
    }
}
