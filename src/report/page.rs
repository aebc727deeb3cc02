//! The page: sections in the order in which they are of use before an audience.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::about;
use super::claims;
use super::data::{Group, Run};
use super::drawing::Drawing;
use super::exhibit::{self, Exhibit, figure_of};
use super::network::Pictures;
use super::server;
use super::style;
use super::sweep::{Sweep, comparisons, sweeps};
use super::table::Table;
use super::time;
use crate::results::burst::{self, BurstCosts, burst_costs};
use crate::results::figure;
use crate::results::row::ConditionRow;
use crate::results::sentence::sentences;
use crate::results::table::{remark_on_frames, remark_on_rate, remark_on_repeats, remark_on_waking};

/// With more settings than this, those in the middle are folded away.
const OPEN_SETTINGS: usize = 3;

/// A report.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) html: Markup,
    /// What is to be a file of its own.
    pub(super) drawings: Vec<Drawing>,
}

/// A section of the page, as the list of contents names it.
struct Section {
    id: String,
    title: &'static str,
    body: Markup,
}

/// The report of a run.
pub(super) fn of(run: &Run) -> Page {
    let mut drawings = Vec::new();
    let mut sections = Vec::new();
    let mut section = |id: &str, title: &'static str, body: Markup| {
        sections.push(Section { id: id.to_owned(), title, body });
    };
    if !run.claims.is_empty() {
        section("claims", "Claims", claims::claims(&run.claims));
    }
    section("modes", "Who pays", settings(run, &mut drawings));
    let bursts = bursts(run);
    if !bursts.is_empty() {
        section("bursts", "A wake-up and a frame", html! { @for costs in &bursts { (costs) } });
    }
    let sweeps = sweeps(run);
    if !sweeps.is_empty() {
        section("sweeps", "What changes", html! { @for sweep in &sweeps { (swept(sweep, &mut drawings)) } });
    }
    let compared = comparisons(run, &sweeps);
    if !compared.is_empty() {
        let exhibits = compared.into_iter().map(|chart| Exhibit {
            table: chart.table(),
            drawing: chart.drawing(),
            caption: String::new(),
        });
        section("settings", "Settings side by side", shown("charts", exhibits, &mut drawings));
    }
    let over_time = time::charts(run);
    if !over_time.is_empty() {
        let exhibits = over_time.iter().map(|chart| Exhibit {
            table: chart.table(),
            drawing: chart.drawing(),
            caption: "Means over the hosts and the repeats.".to_owned(),
        });
        section("time", "Over time", shown("charts", exhibits, &mut drawings));
    }
    if !run.predictions.is_empty() {
        section("predictions", "Guessed and measured", claims::predictions(&run.predictions).of_words().markup());
    }
    section("method", "How it was measured", about::method(run));
    if let Some(facts) = &run.facts {
        section("warnings", "Warnings", about::warnings(&facts.warnings));
        section("environment", "Environment", about::environment(facts));
    }
    let names: Vec<String> = drawings.iter().map(|drawing| drawing.name.clone()).collect();
    section("files", "Files", about::files(run, &names));
    Page { html: document(run, &sections), drawings }
}

/// What bursts cost: a table for each list of conditions that differ in them alone.
fn bursts(run: &Run) -> Vec<Markup> {
    let conditions: Vec<ConditionRow> = run.conditions().map(|(_, condition)| condition.clone()).collect();
    let calibration = run.facts.as_ref().and_then(|facts| facts.calibration);
    let shown = |costs: &BurstCosts| {
        let mut table = Table::new(costs.title()).columns(burst::COLUMNS);
        costs.lines.iter().for_each(|line| table.row(line.cells().to_vec()));
        html! { (table.markup()) @for remark in costs.remarks(calibration.as_ref()) { p { (remark) } } }
    };
    burst_costs(&conditions, &run.hosts).iter().map(shown).collect()
}

fn document(run: &Run, sections: &[Section]) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta http-equiv="Content-Security-Policy"
                    content="default-src 'none'; style-src 'unsafe-inline'; img-src data:";
                link rel="icon" href="data:,";
                title { (run.title()) " – netlab report" }
                style { (PreEscaped(style::of_page())) }
            }
            body {
                a.skip href="#results" { "Skip to the results" }
                header {
                    h1 { (run.title()) }
                    p.subtitle { (subtitle(run)) }
                    nav aria-label="Contents" {
                        ul { @for section in sections { li { a href={ "#" (section.id) } { (section.title) } } } }
                    }
                }
                main id="results" {
                    @for section in sections {
                        section id=(section.id) aria-labelledby={ (section.id) "-heading" } {
                            h2 id={ (section.id) "-heading" } { (section.title) }
                            (section.body)
                        }
                    }
                }
            }
        }
    }
}

/// How much was measured, and when.
fn subtitle(run: &Run) -> String {
    let count = |number: usize, noun: &str| {
        format!("{} {noun}{}", figure::count(number as f64), if number == 1 { "" } else { "s" })
    };
    let mut parts = vec![
        count(run.groups.len(), "setting"),
        count(run.modes().len(), "mode"),
        count(about::trials_taken(run), "trial"),
    ];
    if let Some(facts) = &run.facts {
        parts.extend(facts.started.clone());
        parts.extend(facts.status.clone().filter(|status| status != "complete"));
    }
    parts.join(" · ")
}

/// Each setting: who paid, the table, the networks, and where time and packets went.
fn settings(run: &Run, drawings: &mut Vec<Drawing>) -> Markup {
    if run.groups.is_empty() {
        return html! { p.lead { "No trial was finished: there is nothing to show." } };
    }
    let last = run.groups.len() - 1;
    let open = |index: usize| index == 0 || index == last || run.groups.len() <= OPEN_SETTINGS;
    html! {
        @for (index, group) in run.groups.iter().enumerate() {
            details.setting open[open(index)] id={ "setting-" (group.number) } {
                summary { h3 { (group.heading) } }
                @if let Some(label) = &group.label { p.subtitle { (label) } }
                (setting(run, group, drawings))
            }
        }
    }
}

fn setting(run: &Run, group: &Group, drawings: &mut Vec<Drawing>) -> Markup {
    let sentences = sentences(&group.setting, &group.summary);
    let verdicts: Vec<&str> = sentences.iter().map(|sentence| verdict(sentence)).collect();
    let pictures = Pictures::of(group, &run.hosts, &verdicts);
    let networks = html! {
        div.panels.many[pictures.panels.len() > 4] { @for panel in &pictures.panels { (panel.inline()) } }
        div.key { (pictures.key.inline()) }
    };
    let name = pictures.together.name.clone();
    drawings.push(pictures.together);
    let exhibits = exhibit::costs(group).into_iter().chain([exhibit::funnel(group)]).chain(exhibit::delays(group));
    html! {
        (exhibit::main_table(group).markup())
        @let remarks = remarks(run, group);
        @if !remarks.is_empty() { p.remark { (remarks.join("; ")) } }
        (figure_of(
            &networks,
            "Thickness of a link: frames. Fill of a host: CPU time. The same scale in all of them.",
            &pictures.table,
            &name,
        ))
        details.words {
            summary { "In words" }
            @for sentence in &sentences { p { (sentence) } }
        }
        @if let Some(table) = server::table(group, &run.hosts) { (table.markup()) }
        (shown("packed", exhibits, drawings))
    }
}

/// The first part of a sentence on who paid, without the mode: `the sender paid for one copy, the bystanders nothing`.
fn verdict(sentence: &str) -> &str {
    let verdict = sentence.split_once(": ").map_or(sentence, |(_, rest)| rest);
    verdict.split(". ").next().unwrap_or(verdict)
}

/// What limits the main table.
fn remarks(run: &Run, group: &Group) -> Vec<String> {
    let of_conditions = |role: &'static str, metric: &'static str| {
        group.setting.modes.iter().filter_map(move |&mode| group.figures(mode, role, metric)?.mean)
    };
    let mut remarks = Vec::new();
    if let Some(accounted) = figure::range(of_conditions("all", "closure"), figure::share) {
        remarks.push(format!("{accounted} of the machine’s CPU time accounted for"));
    }
    if let Some(switch) = figure::range(of_conditions("switch", "cpu_total"), figure::cost) {
        remarks.push(format!("switch {switch} µs/message (hardware switches forward without a CPU)"));
    }
    let control = run.facts.as_ref().and_then(|facts| facts.control.as_ref());
    remarks.extend(remark_on_waking(&group.setting, &group.summary, control));
    let modes = &group.setting.modes;
    remarks.extend(remark_on_frames(&group.setting));
    remarks.extend(remark_on_rate(&group.setting, &group.summary));
    remarks.extend(modes.iter().filter_map(|&mode| remark_on_repeats(&group.setting, &group.summary, mode)));
    remarks
}

fn swept(sweep: &Sweep, drawings: &mut Vec<Drawing>) -> Markup {
    let exhibits = sweep.charts.iter().map(|chart| Exhibit {
        table: chart.table(),
        drawing: chart.drawing(),
        caption: if chart.has_doubt() { "Hollow: disturbed by other load.".to_owned() } else { String::new() },
    });
    html! {
        h3 { "With " (sweep.over) }
        p.remark {
            "Points: means over the repeats. Whiskers: 95 % confidence intervals."
            @if !sweep.along.is_empty() { " Along with it changes: " (sweep.along.join(", ")) "." }
        }
        (shown("charts", exhibits, drawings))
    }
}

/// Exhibits beside each other, in rows (`charts`) or closely packed (`packed`); their drawings are kept.
fn shown(class: &str, exhibits: impl Iterator<Item = Exhibit>, drawings: &mut Vec<Drawing>) -> Markup {
    html! {
        div class=(class) {
            @for exhibit in exhibits {
                (exhibit.markup())
                ({ drawings.push(exhibit.drawing); "" })
            }
        }
    }
}
