//! A result folder from outside: what is in it while a run goes on, after it was killed, and when it can't be written.

use std::fs;
use std::io::{BufRead, BufReader, Write, stdin, stdout};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use netlab::error::ExitClass;
use netlab::results::metadata::{RunMetadata, Status, Warning};
use netlab::results::row::{HostRow, Row, SampleRow, SummaryRow};
use netlab::results::store::Store;
use netlab::results::summary::summarize;
use netlab::units::{Mode, Role};

const HOSTS: usize = 201;

/// One trial of a large LAN; the reason has everything in it that CSV has to quote.
fn trial(number: u32) -> Vec<HostRow> {
    (1..=HOSTS)
        .map(|host| {
            let role = if host == 1 { Role::Sender } else { Role::Bystander };
            let mut row = HostRow::new("1f", "multicast-k0", Mode::Multicast, number, &format!("h{host}"), role);
            row.messages_sent = (role == Role::Sender).then_some(1000);
            row.duration_s = Some(0.1);
            row.link_tx_frames = Some(u64::MAX);
            row.link_rx_frames = Some(0);
            row.invalid_reason = "so \"so\", or\nso: µ".to_owned();
            row.cpu_method = "napi-threads".to_owned();
            row
        })
        .collect()
}

fn sample(time_s: f64) -> SampleRow {
    SampleRow {
        run_id: "1f".to_owned(),
        condition: "multicast-k0".to_owned(),
        mode: Mode::Multicast,
        trial: 1,
        host: "switch".to_owned(),
        role: Role::Switch,
        time_s,
        interval_s: 0.1,
        link_tx_frames: Some(1),
        link_rx_frames: None,
        cpu_kernel_rx_ns: Some(0),
        cpu_app_ns: None,
    }
}

#[test]
fn a_run_from_start_to_end() {
    let base = tempfile::tempdir().unwrap();
    let dir = base.path().join("new/folder");
    let store = Store::create(Some(&dir), "1f").unwrap();
    assert_eq!((store.dir(), store.is_temporary()), (dir.as_path(), false));

    let mut metadata = RunMetadata::start("1f", 7, vec!["netlab".to_owned(), "measure".to_owned()]);
    store.write_metadata(&metadata).unwrap();
    assert_eq!(Store::read_metadata(&dir).unwrap().status, Status::Running);
    assert_eq!(Store::read::<HostRow>(&dir).unwrap(), [], "a table without rows is one");
    assert_eq!(Store::read::<SampleRow>(&dir).unwrap(), []);

    for number in 1..=2 {
        store.append_hosts(&trial(number)).unwrap();
        store.append_samples(&[sample(0.1), sample(0.2)]).unwrap();
    }
    let hosts = Store::read::<HostRow>(&dir).unwrap();
    assert_eq!(hosts, [trial(1), trial(2)].concat());
    assert_eq!(Store::read::<SampleRow>(&dir).unwrap().len(), 4);

    store.write::<SummaryRow>(&[]).unwrap();
    assert_eq!(fs::read_to_string(dir.join(SummaryRow::FILE)).unwrap(), SummaryRow::COLUMNS.join(",") + "\n");
    let summary = summarize(&hosts);
    store.write(&summary).unwrap();
    assert_eq!(Store::read::<SummaryRow>(&dir).unwrap(), summary);
    assert!(!summary.is_empty());

    metadata.warn(Warning::BroadcastSkippedIpv6);
    metadata.end(Status::Complete);
    store.write_metadata(&metadata).unwrap();
    assert_eq!(Store::read_metadata(&dir).unwrap(), metadata);

    let mut files: Vec<_> = fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    files.sort();
    assert_eq!(files, ["hosts.csv", "run.json", "samples.csv", "summary.csv"], "and no temporary ones");
}

#[test]
fn the_folder_of_another_run_is_left_alone() {
    for file in ["run.json", "hosts.csv", "samples.csv", "summary.csv"] {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(file), "precious").unwrap();
        let error = Store::create(Some(dir.path()), "1f").unwrap_err();
        assert_eq!(error.class(), ExitClass::Usage);
        assert!(error.to_string().contains("--out") && error.to_string().contains(file), "{error}");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        assert_eq!(fs::read_to_string(dir.path().join(file)).unwrap(), "precious");
    }
}

#[test]
fn a_folder_that_cannot_be_written_is_wrong_usage() {
    let base = tempfile::tempdir().unwrap();
    let file = base.path().join("file");
    fs::write(&file, "").unwrap();
    // Not even root makes a folder in a file or in /proc.
    for dir in [file.as_path(), &file.join("below"), Path::new("/proc/netlab-results")] {
        let error = Store::create(Some(dir), "1f").unwrap_err();
        assert_eq!(error.class(), ExitClass::Usage, "{error}");
        let start = format!("--out {}: it cannot be written (", dir.display());
        assert!(error.to_string().starts_with(&start), "{error}");
    }
}

#[test]
fn bad_files_are_named_with_line_and_column() {
    let read = |text: &str| {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(HostRow::FILE), text).unwrap();
        let error = Store::read::<HostRow>(dir.path()).unwrap_err();
        assert_eq!(error.class(), ExitClass::Usage, "{error}");
        error.to_string().replace(dir.path().to_str().unwrap(), "DIR")
    };
    let header = HostRow::COLUMNS.join(",");
    // Nothing measured; what is known of a row without measuring is there all the same.
    let rest = HostRow::COLUMNS[8..].iter().map(|&column| match column {
        "counts_valid" => "true",
        "lan" => "1",
        _ => "",
    });
    let rest = rest.collect::<Vec<_>>().join(",");

    let good = format!("1f,c,unicast,1,h1,sender,true,,{rest}\n");
    assert_eq!(
        read(&format!("{header}\n{good}1f,c,anycast,1,h1,sender,true,,{rest}\n")),
        "DIR/hosts.csv:3: mode: unknown variant `anycast`, expected one of `unicast`, `broadcast`, `raw-broadcast`, \
         `multicast`, `chat`, `pubsub`"
    );
    assert_eq!(
        read(&format!("{header}\n1f,c,unicast,one,h1,sender,true,,{rest}\n")),
        "DIR/hosts.csv:2: trial: 'one' is no whole number"
    );
    assert_eq!(
        read(&format!("{header}\n{good}1f,c\n")),
        format!("DIR/hosts.csv:3: 2 fields where the header names {}", HostRow::COLUMNS.len())
    );
    assert_eq!(
        read(&format!("{header}\n{good}{}", good.trim_end())),
        "DIR/hosts.csv:3: the last row is cut off; complete it with a line end, or delete it"
    );
    assert!(read("").starts_with("DIR/hosts.csv:1: the file is empty"));
    assert_eq!(read("a,b\n1,2\n"), "DIR/hosts.csv:1: 'a' begins no hosts.csv; right is run_id,condition,mode,…");

    let error = Store::read::<HostRow>(Path::new("/nonexistent")).unwrap_err();
    assert!(error.to_string().starts_with("/nonexistent/hosts.csv cannot be read"), "{error}");
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("run.json"), "{\n\"schema_version\": x").unwrap();
    let error = Store::read_metadata(dir.path()).unwrap_err();
    assert!(error.to_string().contains("run.json:2: "), "{error}");
}

#[test]
fn what_kill_9_leaves_are_whole_trials() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let mut child = writer(Command::new(std::env::current_exe().unwrap()), &out);
    let mut orders = child.stdin.take().unwrap();
    let mut answers = BufReader::new(child.stdout.take().unwrap()).lines();
    for number in 1..=3 {
        orders.write_all(b"\n").unwrap();
        let expected = format!("written {number}");
        assert!(answers.any(|line| line.unwrap() == expected), "the writer ended early");
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(Store::read::<HostRow>(&out).unwrap(), [trial(1), trial(2), trial(3)].concat());
    assert_eq!(Store::read_metadata(&out).unwrap().status, Status::Running);
}

#[test]
fn a_full_disk_leaves_whole_trials() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    // A limit on file size fails like a full disk: part of a write is done, the rest refused.
    let mut shell = Command::new("sh");
    shell.args(["-c", "trap '' XFSZ; ulimit -f 200; exec \"$0\" \"$@\""]).arg(std::env::current_exe().unwrap());
    let mut child = writer(shell, &out);
    child.stdin.take().unwrap().write_all(&[b'\n'; 100]).unwrap();
    let answers: Vec<String> = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap).collect();
    child.wait().unwrap();

    let failure = answers.iter().find(|answer| answer.starts_with("failed")).expect("100 trials fitted in the limit");
    assert!(failure.contains("out/hosts.csv: File too large"), "{failure}");
    let written = answers.iter().filter(|answer| answer.starts_with("written")).count();
    assert!(written > 0);
    assert_eq!(Store::read::<HostRow>(&out).unwrap().len(), written * HOSTS);
}

/// Starts [`write_a_trial_for_each_line_read`] in a process of its own, through `command`.
fn writer(mut command: Command, out: &Path) -> Child {
    command
        .args(["--exact", "write_a_trial_for_each_line_read", "--ignored", "--nocapture"])
        .env("NETLAB_TEST_OUT", out)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
#[ignore = "the process that other tests start and kill"]
fn write_a_trial_for_each_line_read() {
    let out = PathBuf::from(std::env::var_os("NETLAB_TEST_OUT").expect("started by another test"));
    let store = Store::create(Some(&out), "1f").unwrap();
    store.write_metadata(&RunMetadata::start("1f", 7, Vec::new())).unwrap();
    // The test harness has not ended its own line yet.
    writeln!(stdout()).unwrap();
    for (number, _) in (1..).zip(stdin().lines()) {
        match store.append_hosts(&trial(number)) {
            Ok(()) => writeln!(stdout(), "written {number}").unwrap(),
            Err(error) => return writeln!(stdout(), "failed: {error}").unwrap(),
        }
    }
}
