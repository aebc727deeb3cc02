//! How it was measured, what to mind, on which machine, and where the figures are.

use std::collections::{BTreeMap, BTreeSet};

use maud::{Markup, html};
use serde_json::Value;

use super::data::Run;
use super::facts::{Facts, Told};
use super::table::Table;
use crate::results::figure;
use crate::results::row::{ClaimRow, ConditionRow, HostRow, PredictionRow, Row, SampleRow, SummaryRow};
use crate::results::store::METADATA_FILE;
use crate::results::summary::{ALL, counted_trials, find, valid_trials};
use crate::units::{Mode, Role};

/// Reasons of one condition that are told; the others are in `hosts.csv`.
const REASONS: usize = 4;

/// In words, with what speaks for and against the figures.
pub(super) fn method(run: &Run) -> Markup {
    html! {
        ul.prose {
            li {
                strong { "Frames" }
                " are counts of the kernel’s own counters, over the whole trial, and exact."
            }
            @for method in methods(run) { li { strong { "CPU time" } " " (method) } }
            li {
                strong { "±" } " and whiskers are the 95 % confidence interval of the mean over the repeats (Student’s t). "
                strong { "~" } " marks figures that other load on the machine disturbed, "
                strong { "–" } " what was not measured; 0 is zero."
            }
            li {
                "The repeats of all conditions were taken in random order, so that a drift of the machine hits all alike. "
                "CPU time for each message depends on the rate: compare modes of one setting only."
            }
            @if let Some(calibration) = run.facts.as_ref().and_then(|facts| facts.calibration) {
                li {
                    "Telling hosts apart costs CPU time itself: the same load of "
                    (figure::count(calibration.rate)) " messages/s kept the machine busy for "
                    (seconds(calibration.threaded_busy_s)) " with a kernel thread for each link, and for "
                    (seconds(calibration.plain_busy_s)) " without, in " (seconds(calibration.window_s)) "."
                }
            }
            @if !run.conditions_known {
                li { "There is no conditions.csv here: the conditions are what hosts.csv shows of them." }
            }
            @if run.facts.is_none() {
                li { "There is no run.json here: machine, settings and warnings of the run are not known." }
            }
        }
        @let trials = trials(run);
        @if !trials.is_empty() { (trials.markup()) }
    }
}

fn seconds(value: f64) -> String {
    format!("{} s", figure::cost(Some(value)))
}

/// How CPU time was told, in words.
fn methods(run: &Run) -> Vec<String> {
    let methods: BTreeSet<&str> = run.hosts.iter().map(|row| row.cpu_method.as_str()).collect();
    let words = |method: &str| match method {
        "" => None,
        "napi-threads" => Some(
            "of a host is that of its program and of the kernel thread that takes in its frames, each timed by the \
             scheduler in nanoseconds. The switch is not in it: a hardware switch forwards without a CPU."
                .to_owned(),
        ),
        "app-only" => {
            Some("is that of each host’s program alone: the kernel’s share could not be told apart here.".to_owned())
        }
        "host-idle" => Some("of a host is the time its machine was busy, less what it was while idle.".to_owned()),
        other => Some(format!("was taken by the method “{other}”.")),
    };
    methods.into_iter().filter_map(words).collect()
}

/// How many repeats the figures of each condition are from, how much CPU time is accounted for, and what was marked.
fn trials(run: &Run) -> Table {
    let reasons = reasons(run);
    let mut table = Table::new("Repeats, and how much of the machine’s CPU time is accounted for")
        .of_words()
        .columns(["condition", "asked for", "counts used", "undisturbed", "accounted for", "marks"]);
    for (group, condition) in run.conditions() {
        let closure = find(&group.summary, condition.mode, ALL, "closure").and_then(|row| row.mean);
        let marks = reasons.get(&(condition.condition.as_str(), condition.mode)).map_or(&[][..], Vec::as_slice);
        let mut told = marks.iter().take(REASONS).cloned().collect::<Vec<_>>().join("; ");
        if marks.len() > REASONS {
            told += &format!("; {} more in hosts.csv", marks.len() - REASONS);
        }
        table.row_of(
            condition.mode,
            vec![
                condition_name(condition),
                condition.trials.to_string(),
                counted_trials(&group.summary, condition.mode).to_string(),
                valid_trials(&group.summary, condition.mode).to_string(),
                figure::share(closure),
                if told.is_empty() { "none".to_owned() } else { told },
            ],
        );
    }
    table
}

fn condition_name(condition: &ConditionRow) -> String {
    if condition.case.is_empty() {
        condition.condition.clone()
    } else {
        format!("{} ({})", condition.condition, condition.case)
    }
}

/// What is said of the trials of each condition, a trial each.
fn reasons(run: &Run) -> BTreeMap<(&str, Mode), Vec<String>> {
    let mut found: BTreeMap<(&str, Mode), BTreeMap<u32, BTreeSet<&str>>> = BTreeMap::new();
    for row in run.hosts.iter().filter(|row| !row.invalid_reason.is_empty()) {
        let trials = found.entry((row.condition.as_str(), row.mode)).or_default();
        trials.entry(row.trial).or_default().insert(row.invalid_reason.as_str());
    }
    let told = |(trial, reasons): (u32, BTreeSet<&str>)| {
        format!("{trial}: {}", reasons.into_iter().collect::<Vec<_>>().join(", "))
    };
    found.into_iter().map(|(key, trials)| (key, trials.into_iter().map(told).collect())).collect()
}

/// Warnings, those with the same advice together.
pub(super) fn warnings(warnings: &[Told]) -> Markup {
    let mut advice: Vec<(&str, Vec<&str>)> = Vec::new();
    for warning in warnings {
        match advice.iter_mut().find(|(advice, _)| *advice == warning.advice) {
            Some((_, messages)) => messages.push(&warning.message),
            None => advice.push((&warning.advice, vec![&warning.message])),
        }
    }
    html! {
        @if advice.is_empty() { p { "None." } }
        @else {
            ul.warnings {
                @for (advice, messages) in advice {
                    li {
                        @for message in messages { p { (message) } }
                        @if !advice.is_empty() { p.advice { (advice) } }
                    }
                }
            }
        }
    }
}

/// The program, its orders, and the machine.
pub(super) fn environment(facts: &Facts) -> Markup {
    let known = |text: &Option<String>| text.clone().unwrap_or_else(|| figure::MISSING.to_owned());
    let version = match &facts.git_commit {
        Some(commit) => format!("{} ({commit})", known(&facts.netlab_version)),
        None => known(&facts.netlab_version),
    };
    let command: Vec<String> = facts.command_line.iter().map(|word| quoted(word)).collect();
    let mut entries = vec![
        ("command".to_owned(), if command.is_empty() { figure::MISSING.to_owned() } else { command.join(" ") }),
        ("run".to_owned(), known(&facts.run_id)),
        ("started".to_owned(), known(&facts.started)),
        ("ended".to_owned(), known(&facts.ended)),
        ("status".to_owned(), known(&facts.status)),
        ("seed".to_owned(), facts.seed.map_or_else(|| figure::MISSING.to_owned(), |seed| seed.to_string())),
        ("netlab".to_owned(), version),
    ];
    entries.extend(in_words(&facts.environment));
    entries.extend(in_words(&facts.lan));
    html! {
        dl {
            @for (name, value) in entries { div { dt { (name) } dd { (value) } } }
        }
    }
}

/// A word of a command line as a shell would take it.
pub(crate) fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=+./:,@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// The fields of an object, named and written for a person.
fn in_words(object: &Value) -> Vec<(String, String)> {
    let value = |value: &Value| match value {
        Value::Null => figure::MISSING.to_owned(),
        Value::Bool(yes) => (if *yes { "yes" } else { "no" }).to_owned(),
        Value::Number(number) => match number.as_u64() {
            Some(whole) => figure::count(whole as f64),
            None => number.to_string(),
        },
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let fields = object.as_object().into_iter().flatten();
    fields.map(|(name, field)| (name.replace('_', " "), value(field))).collect()
}

/// Links to the tables beside the page, and to the charts.
pub(super) fn files(run: &Run, charts: &[String]) -> Markup {
    let says = |file: &str| match file {
        HostRow::FILE => "every host in every repeat, every layer",
        SampleRow::FILE => "the same over the time of each repeat: frames and CPU time",
        SummaryRow::FILE => "medians, means and intervals of every metric",
        ConditionRow::FILE => "what sets the conditions apart",
        ClaimRow::FILE => "claims, verdicts and their figures",
        PredictionRow::FILE => "guesses and what was measured",
        METADATA_FILE => "command, machine, settings, warnings",
        _ => "",
    };
    html! {
        ul.files {
            @for file in &run.files { li { a href=(file) { (file) } " – " (says(file)) } }
        }
        @if !charts.is_empty() {
            details {
                summary { "Charts for slides (SVG)" }
                ul.files { @for name in charts { li { a href={ "charts/" (name) ".svg" } { (name) ".svg" } } } }
            }
        }
    }
}

/// The number of trials of a run, over all conditions.
pub(super) fn trials_taken(run: &Run) -> usize {
    run.hosts.iter().filter(|row| row.role == Role::Sender).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_with_the_same_advice_are_together() {
        let told = |message: &str, advice: &str| Told { message: message.to_owned(), advice: advice.to_owned() };
        let text = warnings(&[told("a <", "rest"), told("b", "run"), told("c", "rest")]).into_string();
        assert!(text.contains(r#"<p>a &lt;</p><p>c</p><p class="advice">rest</p>"#), "{text}");
        assert_eq!(text.matches("<li>").count(), 2);
        assert!(warnings(&[]).into_string().contains("None."));
    }

    #[test]
    fn the_command_can_be_typed_again() {
        assert_eq!(quoted("--hosts=21"), "--hosts=21");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted(""), "''");
    }

    #[test]
    fn facts_are_written_for_a_person() {
        let object = serde_json::json!({"cpu_model": "X", "memory_bytes": 25_276_510_208_u64, "hybrid_cores": false,
            "governor": null, "rate": 0.5, "offloads": ["gro"]});
        let told = in_words(&object);
        let of = |name: &str| told.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str());
        assert_eq!(of("cpu model"), Some("X"));
        assert_eq!(of("memory bytes"), Some("25,276,510,208"));
        assert_eq!((of("hybrid cores"), of("governor")), (Some("no"), Some("–")));
        assert_eq!((of("rate"), of("offloads")), (Some("0.5"), Some(r#"["gro"]"#)));
        assert_eq!(in_words(&Value::Null), []);
    }
}
