//! `netlab lab run` on real virtual LANs: what it leaves on disk and says. As root and, where this is root, as an
//! ordinary user too.

mod support;

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use netlab::results::metadata::Status;
use netlab::results::row::{ClaimRow, ConditionRow, HostRow};
use netlab::results::store::Store;
use serde_json::Value;
use support::{Who, everybody, require_namespaces};

/// A tiny lab of two conditions, quickly measured.
const TINY: &str = "title = \"Tiny\"\nlecture = \"One is enough.\"\n[measure]\nmodes = [\"unicast\", \"multicast\"]\n\
                    hosts = 4\nreceivers = 2\nrate = 500\nduration = \"200ms\"\ntrials = 2\n[quick]\ntrials = 1\n";

/// A folder for everybody, with a lab file in it.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new(lab: &str) -> Place {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
        fs::write(folder.path().join("tiny.toml"), lab).unwrap();
        Place { folder }
    }

    fn results(&self) -> PathBuf {
        self.folder.path().join("run")
    }

    /// Runs the lab with `stdin`.
    fn run(&self, who: Who, flags: &[&str], stdin: &str) -> Output {
        let mut command = support::netlab(who);
        command.args(["lab", "run"]).arg(self.folder.path().join("tiny.toml")).args(flags);
        command.arg("--out").arg(self.results());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // One that does not ask may be gone before it is answered.
        let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
        child.wait_with_output().unwrap()
    }
}

fn said(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (text(&output.stdout), text(&output.stderr))
}

/// Done, or all measured on a machine too busy for any trial's times to count.
#[track_caller]
fn assert_ran(output: &Output) {
    let code = output.status.code();
    let (out, err) = said(output);
    assert!(code == Some(0) || code == Some(3) && err.contains("had no valid trial"), "{code:?}: {out}\n{err}");
}

#[test]
fn a_lab_leaves_tables_and_says_where_it_is_from() {
    if !require_namespaces() {
        return;
    }
    for who in everybody() {
        let place = Place::new(TINY);
        let output = place.run(who, &["--seed", "7"], "");
        assert_ran(&output);
        let dir = place.results();
        let metadata = Store::read_metadata(&dir).unwrap();
        assert_eq!((metadata.status, metadata.seed), (Status::Complete, 7));
        let lab = &metadata.plan["lab"];
        assert_eq!((&lab["name"], &lab["title"], &lab["quick"]), (&"tiny".into(), &"Tiny".into(), &false.into()));
        assert_eq!(lab["toml"], TINY);
        assert_eq!(metadata.plan["conditions"].as_array().unwrap().len(), 2);
        let conditions: Vec<_> =
            Store::read::<ConditionRow>(&dir).unwrap().into_iter().map(|row| row.condition).collect();
        assert_eq!(conditions, ["unicast-2", "multicast-2"]);
        assert!(Store::read::<HostRow>(&dir).unwrap().len() >= 2 * 2 * 5);
        assert_eq!(Store::read::<ClaimRow>(&dir).unwrap(), []);
        assert!(!dir.join("predictions.csv").exists(), "nobody guessed");
        let (out, err) = said(&output);
        assert!(
            out.contains("1 sender · 2 receivers · 1 bystander") && out.contains("The lab claims nothing."),
            "{out}"
        );
        assert!(err.contains("Tiny: 2 conditions, 2 repeats each, about ") && err.contains("Results are in "), "{err}");
    }
}

#[test]
fn quick_and_flags_change_what_is_measured() {
    if !require_namespaces() {
        return;
    }
    let place = Place::new(TINY);
    let output = place.run(Who::Me, &["--quick", "--json"], "");
    assert_ran(&output);
    let metadata = Store::read_metadata(&place.results()).unwrap();
    assert_eq!((&metadata.plan["trials"], &metadata.plan["lab"]["quick"]), (&1.into(), &true.into()));
    let (out, _) = said(&output);
    let lines: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let events: Vec<&str> = lines.iter().map(|line| line["event"].as_str().unwrap()).collect();
    assert_eq!(events, ["condition", "condition", "summary"]);
    assert_eq!(lines[2]["folder"], place.results().display().to_string());

    let place = Place::new(TINY);
    assert_ran(&place.run(Who::Me, &["--quick", "--trials", "3"], ""));
    assert_eq!(Store::read_metadata(&place.results()).unwrap().plan["trials"], 3);
}

#[test]
fn a_file_that_is_wrong_makes_nothing() {
    let place = Place::new(&TINY.replace("receivers = 2", "receivers = 4"));
    let output = place.run(Who::Me, &[], "");
    let (out, err) = said(&output);
    assert_eq!((output.status.code(), out.as_str()), (Some(2), ""));
    assert!(err.contains("tiny.toml:6:13: receivers 4: with 4 hosts"), "{err}");
    assert!(!place.results().exists());
}

#[test]
fn another_runs_folder_is_not_taken() {
    if !require_namespaces() {
        return;
    }
    let place = Place::new(TINY);
    fs::create_dir(place.results()).unwrap();
    fs::write(place.results().join("claims.csv"), "").unwrap();
    let output = place.run(Who::Me, &[], "");
    let (_, err) = said(&output);
    assert_eq!(output.status.code(), Some(2), "{err}");
    assert!(err.contains("it holds the claims.csv of another run"), "{err}");
    assert_eq!(fs::read_dir(Path::new(&place.results())).unwrap().count(), 1);
}
