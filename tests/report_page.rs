//! The report of result folders of every kind: known figures, none at all, old ones, hostile ones, large ones.

use std::fs;
use std::path::Path;

use netlab::error::ExitClass;
use netlab::report::{self, Written};
use netlab::results::row::{ConditionRow, HostRow, PredictionRow, Row};
use netlab::units::Mode;

#[path = "support/run.rs"]
mod run;

use run::{Run, Setting, claims, predictions};

/// A result folder with its report.
struct Reported {
    folder: tempfile::TempDir,
    written: Written,
}

impl Reported {
    fn of(run: &Run) -> Reported {
        Reported::changed(run, |_| {})
    }

    /// With the folder changed before the report is drawn.
    fn changed(run: &Run, change: impl FnOnce(&Path)) -> Reported {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("run");
        run.write(&dir);
        change(&dir);
        let written = report::write(&dir).unwrap();
        Reported { folder, written }
    }

    fn page(&self) -> String {
        fs::read_to_string(&self.written.page).unwrap()
    }

    fn chart(&self, name: &str) -> String {
        fs::read_to_string(self.folder.path().join("run/charts").join(format!("{name}.svg"))).unwrap()
    }

    fn chart_names(&self) -> Vec<String> {
        let name = |path: &std::path::PathBuf| path.file_stem().unwrap().to_str().unwrap().to_owned();
        self.written.charts.iter().map(name).collect()
    }
}

fn lab() -> Run {
    Run {
        settings: vec![Setting::new(21, 4, 5), Setting::new(21, 16, 5)],
        title: Some("Who pays?".to_owned()),
        claims: claims(),
        predictions: predictions(),
        ..Run::default()
    }
}

fn one(setting: Setting) -> Run {
    Run { settings: vec![setting], ..Run::default() }
}

/// The text of a table's rows whose name is this, cells parted by `|`.
fn rows_named(page: &str, name: &str) -> Vec<String> {
    let text = |cell: &str| {
        let mut inside = false;
        let text: String = cell
            .chars()
            .filter(|&c| {
                match c {
                    '<' => inside = true,
                    '>' => inside = false,
                    _ => return !inside,
                }
                false
            })
            .collect();
        text.trim().to_owned()
    };
    let rows = page.split("<tr>").skip(1).map(|row| row.split("</tr>").next().unwrap());
    let cells = rows.map(|row| row.split_inclusive("</td>").flat_map(|cell| cell.split("</th>")).map(text).collect());
    cells
        .map(|cells: Vec<String>| cells.into_iter().filter(|cell| !cell.is_empty()).collect::<Vec<_>>())
        .filter(|cells| cells.first().is_some_and(|first| first == name))
        .map(|cells| cells.join("|"))
        .collect()
}

/// Fails unless every element of an XML text ends, in order.
fn assert_well_formed(xml: &str, what: &str) {
    let mut open: Vec<&str> = Vec::new();
    for rest in xml.split('<').skip(1) {
        let (tag, text) = rest.split_once('>').unwrap_or_else(|| panic!("{what}: a tag without an end: {rest}"));
        assert!(!text.contains('>') || open.last() == Some(&"style"), "{what}: {text}");
        let name = tag.split_whitespace().next().unwrap();
        if let Some(name) = name.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name), "{what}");
        } else {
            assert_eq!(tag.matches('"').count() % 2, 0, "{what}: {tag}");
            open.push(name);
        }
    }
    assert_eq!(open, [""; 0], "{what}");
    assert!(!xml.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\t')), "{what}");
}

#[test]
fn the_figures_of_a_known_run() {
    let reported = Reported::of(&lab());
    let page = reported.page();
    for part in [
        "<h1>Who pays?</h1>",
        "4 of 6 claims came out as the lab expects.",
        "1 sender · 4 receivers · 16 bystanders",
        "the same load of 2,000 messages/s kept the machine busy for 0.27 s",
        "unicast-4-1: other programs kept the machine busy in 1 repeat.",
        "Close other programs and measure again.",
        "netlab lab run 'who pays'",
        "Test CPU",
        r#"<a href="hosts.csv">"#,
        r#"<a href="claims.csv">"#,
    ] {
        assert!(page.contains(part), "{part}");
    }
    // Frames, exact: unicast 2 K, broadcast N, multicast 1 + K, for 4 and for 16 receivers.
    let frames = |mode: Mode| -> Vec<Vec<String>> {
        let rows = rows_named(&page, mode.as_str());
        let tables = rows.iter().filter(|row| row.ends_with("100 %"));
        tables.map(|row| row.split('|').skip(1).take(3).map(str::to_owned).collect()).collect()
    };
    assert_eq!(frames(Mode::Unicast), [["4.00", "8.00", "0.00"], ["16.00", "32.00", "0.00"]]);
    assert_eq!(frames(Mode::Broadcast), [["1.00", "21.00", "1.00"]; 2]);
    assert_eq!(frames(Mode::Multicast), [["1.00", "5.00", "0.00"], ["1.00", "17.00", "0.00"]]);
    // The same over the receivers, as the table of a chart.
    assert!(
        rows_named(&page, "16").contains(&"16|32.00|21.00|21.00|17.00".to_owned()),
        "{:?}",
        rows_named(&page, "16")
    );
    // Where packets ended: at each receiver and bystander, mode by mode.
    assert_eq!(rows_named(&page, "nobody listening"), ["nobody listening|0.00|0.00|0.00|1.00|0.00|0.00|0.00|0.00"; 2]);
    let guesses = rows_named(&page, "How many frames does the sender send by unicast to 4 receivers?");
    assert_eq!(
        guesses,
        ["How many frames does the sender send by unicast to 4 receivers?|8.00 frames|4.00 frames|2.00 times too high"]
    );
}

#[test]
fn each_chart_is_a_file_that_stands_alone() {
    let reported = Reported::of(&lab());
    let names = reported.chart_names();
    for expected in ["network-1", "network-2", "cost-1", "funnel-2", "delay-1", "receivers-all-link-frames"] {
        assert!(names.iter().any(|name| name == expected), "{expected} in {names:?}");
    }
    let page = reported.page();
    for name in &names {
        let svg = reported.chart(name);
        assert_well_formed(&svg, name);
        assert!(svg.contains("<title id=\"title\">") && svg.contains("<desc id=\"desc\">"), "{name}");
        assert!(!svg.contains("var(--") && !svg.contains("href"), "{name}");
        assert!(page.contains(&format!("href=\"charts/{name}.svg\"")), "{name} is linked");
    }
    // By unicast the sender's link is four times as thick as a receiver's, and 16 bystanders' links carry nothing.
    let network = reported.chart("network-1");
    let links = |width: &str| network.matches(&format!("class=\"s-unicast\" stroke-width=\"{width}\"")).count();
    assert_eq!((links("16"), links("4")), (1, 4));
    assert_eq!(network.matches("<line class=\"none\"").count(), 16 + 16 + 1, "unicast, multicast, key");
}

#[test]
fn a_second_report_leaves_nothing_of_the_first() {
    let reported = Reported::of(&lab());
    let dir = reported.written.page.parent().unwrap();
    fs::write(dir.join("charts/old.svg"), "old").unwrap();
    fs::write(dir.join("charts/notes.txt"), "mine").unwrap();
    let again = report::write(dir).unwrap();
    assert_eq!(again.charts, reported.written.charts);
    assert!(!dir.join("charts/old.svg").exists() && dir.join("charts/notes.txt").exists());
}

#[test]
fn an_older_run_has_its_report_too() {
    let run = Run { without_conditions: true, without_metadata: true, ..lab() };
    let reported = Reported::changed(&run, |dir| {
        for file in ["samples.csv", "summary.csv", "claims.csv", "predictions.csv"] {
            fs::remove_file(dir.join(file)).unwrap();
        }
        // Columns end with the fixed ones.
        let hosts = fs::read_to_string(dir.join(HostRow::FILE)).unwrap();
        let fixed = HostRow::COLUMNS.iter().position(|column| *column == "cpu_method").unwrap() + 1;
        let cut = |line: &str| line.split(',').take(fixed).collect::<Vec<_>>().join(",") + "\n";
        fs::write(dir.join(HostRow::FILE), hosts.lines().map(cut).collect::<String>()).unwrap();
    });
    let page = reported.page();
    for part in [
        "<h1>netlab measure</h1>",
        "1 sender · 4 receivers · 16 bystanders · 500 messages/s · 64 B · 5 repeats · switch not recorded",
        "There is no conditions.csv here",
        "There is no run.json here",
    ] {
        assert!(page.contains(part), "{part}");
    }
    assert_eq!(rows_named(&page, "multicast").iter().filter(|row| row.contains("|1.00|5.00|0.00|")).count(), 1);
    assert!(reported.chart_names().contains(&"receivers-all-link-frames".to_owned()));
    assert!(!page.contains("samples.csv"));
}

#[test]
fn what_was_not_measured_is_not_zero() {
    let reported = Reported::changed(&one(Setting::new(5, 2, 3)), |dir| {
        // No CPU time, no link counters.
        let hosts = fs::read_to_string(dir.join(HostRow::FILE)).unwrap();
        let column = |name: &str| HostRow::COLUMNS.iter().position(|column| *column == name).unwrap();
        let empty = ["cpu_total_ns", "link_rx_frames", "latency_p50_ns"].map(column);
        let without = |(index, line): (usize, &str)| {
            let keep = |(column, field): (usize, &str)| {
                if index > 0 && empty.contains(&column) { String::new() } else { field.to_owned() }
            };
            line.split(',').enumerate().map(keep).collect::<Vec<_>>().join(",") + "\n"
        };
        fs::write(dir.join(HostRow::FILE), hosts.lines().enumerate().map(without).collect::<String>()).unwrap();
    });
    let page = reported.page();
    assert!(rows_named(&page, "broadcast").contains(&"broadcast|1.00|–|–|–|–|–|–|100 %".to_owned()));
    assert!(page.contains("not measured"));
    assert!(reported.chart("funnel-1").contains(">–</text>"));
}

#[test]
fn nothing_little_and_odd_measured() {
    let mut alone = Setting { modes: vec![Mode::Multicast], ..Setting::new(2, 1, 1) };
    let page = Reported::of(&one(alone.clone())).page();
    let row = rows_named(&page, "multicast").into_iter().find(|row| row.starts_with("multicast|1.00|2.00|–|")).unwrap();
    assert!(row.ends_with("|–|–|100 %") && !row.contains('±'), "no bystander, and no interval from one trial: {row}");

    alone.rate = None;
    alone.trials = 0;
    let empty = Reported::of(&Run { without_conditions: true, ..one(alone.clone()) });
    assert!(empty.page().contains("No trial was finished"));
    assert_eq!(empty.written.charts.len(), 0);
    // Listed, but interrupted before its first trial.
    assert!(Reported::of(&one(alone)).page().contains("not measured"));

    let odd = Reported::changed(&lab(), |dir| {
        let conditions = fs::read_to_string(dir.join(ConditionRow::FILE)).unwrap();
        fs::write(
            dir.join(ConditionRow::FILE),
            conditions.replacen(",500.0,", ",NaN,", 1).replacen(",500.0,", ",inf,", 1),
        )
        .unwrap();
        let predictions = fs::read_to_string(dir.join(PredictionRow::FILE)).unwrap();
        fs::write(dir.join(PredictionRow::FILE), predictions.replacen(",8.0,", ",-inf,", 1)).unwrap();
        let samples = fs::read_to_string(dir.join("samples.csv")).unwrap();
        fs::write(dir.join("samples.csv"), samples.replace(",0.25,0.25,", ",NaN,-inf,")).unwrap();
        let hosts = fs::read_to_string(dir.join(HostRow::FILE)).unwrap();
        fs::write(dir.join(HostRow::FILE), hosts.replace(",2.0,64,", ",inf,18446744073709551615,")).unwrap();
    });
    for name in odd.chart_names() {
        let svg = odd.chart(&name);
        assert!(!svg.contains("=\"NaN") && !svg.contains("=\"inf") && !svg.contains("NaN,"), "{name}");
        assert_well_formed(&svg, &name);
    }
}

#[test]
fn a_silence_shows_over_time() {
    let quiet = Setting { silent_from: Some(0.5), ..Setting::new(9, 4, 3) };
    // Too many conditions to show what does not change.
    let many = |first: Setting| Run { settings: vec![first, Setting::new(9, 2, 3)], ..Run::default() };
    let names = Reported::of(&many(quiet)).chart_names();
    assert!(names.contains(&"time-1-receiver".to_owned()), "{names:?}");
    assert!(!names.contains(&"time-2-receiver".to_owned()), "{names:?}");
    let names = Reported::of(&many(Setting::new(9, 4, 3))).chart_names();
    assert!(!names.iter().any(|name| name.starts_with("time-")), "{names:?}");
}

#[test]
fn cases_are_compared_and_a_card_filters() {
    let hub = |case: &str, card_filters| Setting {
        case: case.to_owned(),
        switch: "hub",
        card_filters,
        ..Setting::new(6, 2, 3)
    };
    let reported = Reported::of(&Run { settings: vec![hub("plain", false), hub("filter", true)], ..Run::default() });
    assert!(reported.chart_names().contains(&"compare-bystander-cpu-total".to_owned()));
    // Unicast to 2 receivers: one of the two frames is for another at a receiver, both at a bystander.
    let page = reported.page();
    assert!(page.contains("<h3>plain</h3>") && page.contains("<h3>filter</h3>"));
    let rows = rows_named(&page, "filtered by the card");
    assert_eq!(rows.len(), 2);
    assert!(rows[0].starts_with("filtered by the card|–|–"), "{rows:?}");
    assert!(rows[1].starts_with("filtered by the card|1.00|2.00|0.00"), "{rows:?}");
    assert!(reported.chart("funnel-2").contains(">filtered by the card<"));
    assert!(!reported.chart("funnel-1").contains(">filtered by the card<"));
}

const HOSTILE: &str =
    "\"'><script>alert(1)</script></svg></title></style><img src=x onerror=alert(2)>&amp;\u{202e}\u{7}]]>";

#[test]
fn hostile_text_is_text() {
    let mut claims = claims();
    for claim in &mut claims {
        (claim.statement, claim.says, claim.judged) = (HOSTILE.to_owned(), HOSTILE.to_owned(), HOSTILE.to_owned());
        (claim.verdict, claim.figures, claim.remark) = (HOSTILE.to_owned(), HOSTILE.to_owned(), HOSTILE.to_owned());
        claim.expect = HOSTILE.to_owned();
    }
    let mut predictions = predictions();
    for prediction in &mut predictions {
        (prediction.ask, prediction.unit) = (HOSTILE.to_owned(), HOSTILE.to_owned());
    }
    let settings = [4, 8].map(|k| Setting { case: format!("{HOSTILE}{k}"), ..Setting::new(21, k, 3) }).to_vec();
    let run = Run { settings, title: Some(HOSTILE.to_owned()), claims, predictions, ..Run::default() };
    let reported = Reported::changed(&run, |dir| {
        let quoted = format!("\"{}\"", HOSTILE.replace('"', "\"\""));
        for (file, column, old) in [
            (HostRow::FILE, "cpu_method", "napi-threads"),
            (HostRow::FILE, "host", "h3"),
            (HostRow::FILE, "condition", "unicast-4-1"),
            ("conditions.csv", "condition", "unicast-4-1"),
        ] {
            let text = fs::read_to_string(dir.join(file)).unwrap();
            assert!(text.contains(&format!(",{old},")) || text.contains(&format!("\n{old},")), "{column}");
            let text = text.replace(&format!(",{old},"), &format!(",{quoted},"));
            fs::write(dir.join(file), text.replace(&format!("\n{old},"), &format!("\n{quoted},"))).unwrap();
        }
        let json = serde_json::to_string(HOSTILE).unwrap();
        let metadata = fs::read_to_string(dir.join("run.json")).unwrap();
        let metadata =
            metadata.replace("\"Test CPU\"", &json).replace("\"who pays\"", &json).replace("\"cpus_online\"", &json);
        fs::write(dir.join("run.json"), metadata.replace("\"Close other programs and measure again.\"", &json))
            .unwrap();
    });
    let page = reported.page();
    let (_, body) = page.split_once("<body>").unwrap();
    for markup in ["<script", "<img", "</style", "\u{202e}", "\u{7}", "&amp;amp;lt;"] {
        assert!(!body.contains(markup), "{markup:?} in the page");
    }
    let titles = page.matches("<title").count();
    assert_eq!(titles, page.matches("</title>").count());
    assert!(body.matches("&lt;script&gt;alert(1)&lt;/script&gt;").count() > 30);
    // Text stays within its attribute: no attribute but those that netlab writes.
    for tag in body.split('<').skip(1).map(|rest| rest.split('>').next().unwrap()) {
        assert!(!tag.contains("onerror") || tag.contains("&lt;img"), "{tag}");
    }
    for name in reported.chart_names() {
        assert!(name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-'), "{name}");
        assert_well_formed(&reported.chart(&name), &name);
    }
}

#[test]
fn a_large_run_is_small_on_the_page() {
    let run = one(Setting::served(201, 150, 30));
    let reported = Reported::of(&run);
    let page = reported.page();
    let charts = reported.chart_names().iter().map(|name| reported.chart(name).len()).sum::<usize>();
    assert!(page.len() < 500_000 && charts < 500_000, "{} bytes, and {charts} of charts", page.len());
    for mode in Mode::ALL {
        assert!(rows_named(&page, mode.as_str()).iter().any(|row| row.ends_with("100 %")), "{mode}");
    }
    // Every host is in the picture of each mode.
    assert_eq!(reported.chart("network-1").matches("<title>h").count(), 6 * 201);
}

/// How long it takes, in itself and against a third of the repeats: what it costs grows with them and no faster.
#[test]
#[ignore = "its times are for a machine at rest: cargo test --release --test report_page -- --ignored --nocapture"]
fn a_large_run_is_drawn_at_once() {
    let drawn = |repeats: u32| {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("run");
        one(Setting::served(201, 150, repeats)).write(&dir);
        let time = || {
            let start = std::time::Instant::now();
            report::write(&dir).unwrap();
            start.elapsed()
        };
        (0..5).map(|_| time()).min().unwrap()
    };
    let (few, many) = (drawn(10), drawn(30));
    eprintln!("201 hosts by 6 modes: 10 repeats {few:?}, 30 repeats {many:?}");
    assert!(many < few * 5, "10 repeats {few:?}, 30 repeats {many:?}");
}

#[test]
fn a_server_is_shown_as_a_detour() {
    let reported = Reported::of(&one(Setting::served(21, 16, 5)));
    let page = reported.page();
    // Sender's and server's frames, all links, each bystander; the server is one of the 21 and no bystander.
    let frames = |mode: Mode| {
        let rows = rows_named(&page, mode.as_str());
        let row = rows.iter().find(|row| row.ends_with("100 %")).unwrap();
        row.split('|').skip(1).take(4).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(frames(Mode::Unicast), "16.00 – 32.00 0.00");
    assert_eq!(frames(Mode::Chat), "1.00 16.50 51.00 0.00");
    assert_eq!(frames(Mode::Pubsub), "1.00 16.50 51.00 0.00");
    // What it had to do; the broker does not tell its threads.
    let rows = rows_named(&page, "chat");
    assert!(rows.contains(&"chat|17|17|18|90.0|0|0|9.00|16.50|0".to_owned()), "{rows:?}");
    let rows = rows_named(&page, "pubsub");
    assert!(rows.contains(&"pubsub|17|17|–|90.0|0|0|9.00|16.50|0".to_owned()), "{rows:?}");
    // The funnel has a column for the server in these modes alone: 4 times receiver and bystander, 2 times all three.
    let tcp = rows_named(&page, "to TCP");
    assert_eq!(tcp, ["to TCP|–|–|–|–|–|–|–|–|9.00|1.00|0.00|9.00|1.00|0.00"]);
    let funnel = reported.chart("funnel-1");
    assert!(funnel.contains(">at the server<") && funnel.contains(">to TCP<") && funnel.contains(">to the program<"));

    // In the picture: every host of each mode, the server on two lines with arrows, and what its badge means.
    let network = reported.chart("network-1");
    assert_eq!(network.matches("<title>h").count(), 6 * 21);
    assert_eq!(network.matches("<title>h21, server: 25.50 frames (9.00 in, 16.50 out), ").count(), 2);
    assert_eq!(network.matches("class=\"arrow f-chat\"").count(), 3);
    assert!(network.contains("Messages go from the sender to the server and from there to each receiver."));
    assert!(network.contains(">what a host does<"));
    let without = Reported::of(&one(Setting::new(21, 16, 5))).chart("network-1");
    assert!(!without.contains("arrow f-") && !without.contains(">what a host does<"));

    // Over the receivers, its CPU time; and a request's time. Direct modes have no line there.
    let swept = Run { settings: [2, 8, 16].map(|k| Setting::served(21, k, 3)).to_vec(), ..Run::default() };
    let reported = Reported::of(&swept);
    let chart = reported.chart("receivers-server-cpu-total");
    assert!(chart.contains(">chat<") && chart.contains(">pubsub<") && !chart.contains(">unicast<"), "{chart}");
    assert!(reported.chart("delay-1").contains(">from a request to its answer<"));
    for name in reported.chart_names() {
        let svg = reported.chart(&name);
        assert_well_formed(&svg, &name);
        for mode in Mode::ALL {
            let fills = svg.contains(&format!(".f-{mode}{{fill:#"));
            assert!(fills, "{name} has no colour for {mode}");
        }
    }
}

#[test]
fn what_is_no_result_folder_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let error = report::write(folder.path()).unwrap_err();
    assert_eq!(error.class(), ExitClass::Usage);
    assert!(error.to_string().contains("hosts.csv cannot be read; name the result folder of a run"), "{error}");
    assert!(!folder.path().join("charts").exists(), "nothing was written");

    for (file, old, new, expected) in [
        (HostRow::FILE, ",true,,2.0,", ",perhaps,,2.0,", "hosts.csv:2: valid: "),
        (ConditionRow::FILE, ",21,4,", ",many,4,", "conditions.csv:2: hosts: "),
        ("claims.csv", ",true,", ",so-so,", "claims.csv:2: as_expected: "),
        ("run.json", "\"plan\": {", "\"plan\": {,", "run.json:"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("run");
        lab().write(&dir);
        let text = fs::read_to_string(dir.join(file)).unwrap();
        assert!(text.contains(old), "{file}: {text}");
        fs::write(dir.join(file), text.replacen(old, new, 1)).unwrap();
        let error = report::write(&dir).unwrap_err();
        assert_eq!(error.class(), ExitClass::Usage);
        assert!(error.to_string().contains(expected), "{error}");
        assert!(!dir.join("report.html").exists());
    }
}
