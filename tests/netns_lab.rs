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

/// Cannot be decided by one repeat, and by three it holds.
const NEEDS_MORE: &str = "[[claim]]\nsays = \"It costs less than a second.\"\nmetric = \"cpu_app\"\nrole = \"sender\"\n\
                          at_most = 1000000\nwhere = { mode = \"multicast\" }\n";

#[test]
fn trials_are_added_to_a_run_and_decide_a_claim() {
    if !require_namespaces() {
        return;
    }
    for who in everybody() {
        let place = Place::new(&format!("{TINY}{NEEDS_MORE}"));
        let output = place.run(who, &["--trials", "1", "--seed", "7"], "");
        let (out, err) = said(&output);
        let dir = place.results();
        let before = fs::read_to_string(dir.join("hosts.csv")).unwrap();
        let rounds = Store::read::<HostRow>(&dir).unwrap().iter().map(|row| row.trial).max().unwrap();
        // Where the machine was busy, there may have been more rounds.
        if rounds == 1 {
            assert_eq!(output.status.code(), Some(3), "{out}\n{err}");
            let claim = &Store::read::<ClaimRow>(&dir).unwrap()[0];
            assert_eq!((claim.verdict.as_str(), claim.more_trials), ("undecided", Some(2)));
            let file = place.folder.path().join("tiny.toml");
            let command = format!("netlab lab run {} --more 2 --out {}", file.display(), dir.display());
            assert!(claim.remark.ends_with(&format!("2 more repeats would do ({command})")), "{}", claim.remark);
            assert!(err.ends_with("The claim did not come out as expected.\n"), "{err}");
        }

        let output = place.run(who, &["--more", "2"], "");
        assert_ran(&output);
        let rows = fs::read_to_string(dir.join("hosts.csv")).unwrap();
        assert!(rows.starts_with(&before) && rows.len() > before.len(), "rows are added, and none is changed");
        let hosts: Vec<HostRow> = Store::read(&dir).unwrap();
        assert_eq!(hosts.iter().filter(|row| row.trial == 1 && row.condition == "multicast-2").count(), 5);
        assert!(hosts.iter().map(|row| row.trial).max() >= Some(rounds + 2));
        assert!(hosts.iter().all(|row| row.run_id == hosts[0].run_id));
        let metadata = Store::read_metadata(&dir).unwrap();
        assert_eq!((metadata.status, metadata.seed, &metadata.plan["trials"]), (Status::Complete, 7, &3.into()));
        assert_eq!((metadata.added.len(), metadata.added[0].trials), (1, 2));
        assert_eq!(Store::read::<ClaimRow>(&dir).unwrap()[0].verdict, "holds");
        let rate: Vec<_> = Store::read::<netlab::results::row::SummaryRow>(&dir).unwrap();
        assert!(rate.iter().any(|row| row.metric == "link_tx_frames" && row.role == "sender" && row.n >= 3));
    }
}

#[test]
fn trials_are_not_added_to_what_is_another_run() {
    if !require_namespaces() {
        return;
    }
    let place = Place::new(TINY);
    let refused = |why: &str| {
        let before = fs::read(place.results().join("hosts.csv")).unwrap_or_default();
        let output = place.run(Who::Me, &["--more", "1"], "");
        let (out, err) = said(&output);
        assert_eq!((output.status.code(), out.as_str()), (Some(2), ""), "{err}");
        assert!(err.contains(why), "{err}");
        assert_eq!(fs::read(place.results().join("hosts.csv")).unwrap_or_default(), before);
    };
    refused("run.json cannot be read; name the result folder of a run");
    assert_ran(&place.run(Who::Me, &["--trials", "1"], ""));
    let file = place.results().join("run.json");
    let written = fs::read_to_string(&file).unwrap();
    let change = |key: &[&str], value: Value| {
        let mut metadata: Value = serde_json::from_str(&written).unwrap();
        *key.iter().fold(&mut metadata, |value, key| &mut value[*key]) = value;
        fs::write(&file, metadata.to_string()).unwrap();
    };
    for (key, value, why) in [
        (&["plan", "lab"][..], Value::Null, "holds no run of a lab; repeats can be added to labs alone"),
        (&["plan", "lab", "name"], "other".into(), "holds a run of other, not of tiny"),
        (&["plan", "lab", "toml"], "title = \"T\"".into(), "holds a run of tiny as it was before it was changed"),
        (&["status"], "running".into(), "holds a run that has not ended, or was killed"),
        (&["status"], "failed".into(), "holds a run that failed"),
        (&["netlab_version"], "0.0.1".into(), "was measured by netlab 0.0.1"),
        (&["environment", "cpu_model"], "Z80".into(), "was measured on another machine (cpu_model \"Z80\", here"),
        (&["account"], serde_json::json!({"marks": 7}), "its account cannot be read"),
        (&["plan", "conditions"], "none".into(), "its plan cannot be read"),
    ] {
        change(key, value);
        refused(why);
    }
    fs::write(&file, &written).unwrap();
    assert_ran(&place.run(Who::Me, &["--more", "1"], ""));
    let output = place.run(Who::Me, &["--more", "1", "--seed", "7"], "");
    assert_eq!(output.status.code(), Some(2), "the seed is that of the run");
}

#[test]
fn the_last_line_says_what_the_exit_code_says() {
    if !require_namespaces() {
        return;
    }
    // No machine sends so many, so that no trial counts, and the frames of each message are as expected all the same.
    let lab = TINY
        .replace("rate = 500", "rate = 50000000")
        .replace("\"200ms\"", "\"50ms\"")
        .replace("hosts = 4", "hosts = 3");
    let claim = "[[claim]]\nsays = \"One.\"\nmetric = \"rate\"\nrole = \"sender\"\nat_least = 0\nexpect = \"holds-if-decided\"\n";
    let place = Place::new(&format!("{lab}{claim}"));
    let output = place.run(Who::Me, &["--trials", "1"], "");
    let (out, err) = said(&output);
    assert_eq!(output.status.code(), Some(3), "{out}\n{err}");
    let last = err.lines().last().unwrap();
    assert!(last.contains("The claim came out as expected, but unicast-2 had no valid trial: "), "{out}\n{err}");
    assert!(out.contains(last.strip_prefix("netlab: ").unwrap_or(last)), "{out}\n{err}");
}
