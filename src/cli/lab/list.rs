//! `netlab lab list`: a menu.

use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::Context;
use serde_json::{Value, json};

use super::describe::hosts;
use super::{roughly, wrong};
use crate::cli::paragraph::{columns, fitted, wrapped};
use crate::error::{Error, Result};
use crate::lab::Lab;
use crate::lab::library::LABS;
use crate::results::grid::width;
use crate::results::table::Paint;
use crate::run::{Design, MeasurePlan};

/// Arguments of `netlab lab list`.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Print one JSON object a line, a lab each
    #[arg(long)]
    json: bool,
}

/// Prints the labs.
pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let items = LABS.iter().map(|built_in| {
        let lab = built_in.lab().map_err(|problems| wrong(&format!("{}.toml", built_in.name), &problems))?;
        Item::of(lab)
    });
    let items = items.collect::<Result<Vec<Item>>>()?;
    let shown = if args.json {
        let mut out = io::stdout().lock();
        items.iter().try_for_each(|item| writeln!(out, "{}", item.json()))
    } else {
        write!(anstream::stdout().lock(), "{}", menu(&items, columns(), Paint::Ansi))
    };
    shown.context("writing to standard output")?;
    Ok(ExitCode::SUCCESS)
}

/// A lab with what it measures.
struct Item {
    lab: Lab,
    plan: MeasurePlan,
    quick: MeasurePlan,
}

impl Item {
    fn of(lab: Lab) -> Result<Item> {
        let plan = |design: &Design| design.plan().map_err(|refused| Error::usage(refused.to_string()));
        Ok(Item { plan: plan(&lab.design)?, quick: plan(&lab.quick)?, lab })
    }

    fn json(&self) -> Value {
        let Item { lab, plan, quick } = self;
        json!({
            "name": lab.name,
            "title": lab.title,
            "lecture": lab.lecture,
            "hosts": plan.conditions.iter().map(|condition| condition.hosts()).max(),
            "conditions": plan.conditions.len(),
            "expected_s": plan.expected_time().as_secs_f64(),
            "quick_conditions": quick.conditions.len(),
            "quick_expected_s": quick.expected_time().as_secs_f64(),
            "claims": lab.claims.len(),
            "questions": lab.questions.len(),
        })
    }
}

/// The labs below each other, in lines of at most `columns`.
fn menu(items: &[Item], columns: usize, paint: Paint) -> String {
    const HEAD: [&str; 6] = ["lab", "what it is about", "hosts", "conditions", "time", "--quick"];
    let cells: Vec<[String; 6]> = items
        .iter()
        .map(|Item { lab, plan, quick }| {
            let (name, title) = (lab.name.clone(), lab.title.clone());
            let conditions = plan.conditions.len().to_string();
            [name, title, hosts(plan), conditions, roughly(plan.expected_time()), roughly(quick.expected_time())]
        })
        .collect();
    let widest = |column: usize| cells.iter().map(|row| width(&row[column])).fold(width(HEAD[column]), usize::max);
    let name = widest(0);
    let numbers = [2, 3, 4, 5].map(widest);
    let rest = columns.saturating_sub(name + 2 + numbers.iter().map(|width| width + 2).sum::<usize>());
    let closing = "`netlab lab show NAME` tells more, `netlab lab run NAME` runs it, with --quick for a first look.";
    let closing = format!("\n{}\n", fitted(closing, columns));
    if rest < NARROWEST_TITLE {
        return items.iter().zip(&cells).map(|(item, row)| entry(item, row, columns, paint)).collect::<String>()
            + &closing;
    }
    let title = rest.min(widest(1));
    let line = |row: [&str; 6]| {
        let mut line = format!("{}  {}", padded(row[0], name), padded(row[1], title));
        for (cell, width) in row[2..].iter().zip(numbers) {
            line += &format!("  {cell:>width$}");
        }
        line.trim_end().to_owned()
    };
    let mut text = paint.bold(&line(HEAD)) + "\n";
    let indent = " ".repeat(name + 2);
    for (item, row) in items.iter().zip(&cells) {
        for (index, part) in wrapped(&row[1], title, "", "").iter().enumerate() {
            text += &match index {
                0 => line([&row[0], part, &row[2], &row[3], &row[4], &row[5]]),
                _ => format!("{indent}{part}"),
            };
            text.push('\n');
        }
        for part in wrapped(&item.lab.lecture, columns, &indent, &indent) {
            text += &paint.dim(&part);
            text.push('\n');
        }
    }
    text + &closing
}

/// With less room, what a lab has stands below its name.
const NARROWEST_TITLE: usize = 20;

/// A lab in a paragraph.
fn entry(item: &Item, row: &[String; 6], columns: usize, paint: Paint) -> String {
    let [name, title, hosts, conditions, time, quick] = row;
    let figures = format!("{hosts} hosts · {conditions} conditions · {time} · --quick {quick}");
    let indented = |text: &str| wrapped(text, columns, "  ", "  ");
    let lecture = indented(&item.lab.lecture).into_iter().map(|line| paint.dim(&line));
    let lines: Vec<String> = [paint.bold(name)].into_iter().chain(indented(title)).chain(indented(&figures)).collect();
    lines.into_iter().chain(lecture).map(|line| line + "\n").collect()
}

fn padded(text: &str, to: usize) -> String {
    format!("{text}{}", " ".repeat(to.saturating_sub(width(text))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items() -> Vec<Item> {
        let lab = |name: &str, title: &str, keys: &str| {
            let text = format!(
                "title = \"{title}\"\nlecture = \"Broadcast is one to all, and every PC that gets the frame has to look at it.\"\n[measure]\n{keys}"
            );
            Item::of(crate::lab::read(name, text.as_bytes()).unwrap()).unwrap()
        };
        vec![
            lab("short", "Who pays?", "hosts = 9\nreceivers = 2\n"),
            lab(
                "a-longer-name",
                "One to many: who pays, and how does that grow with those who want it?",
                "hosts = [9, 41]\n",
            ),
        ]
    }

    #[test]
    fn a_menu_in_columns() {
        let menu = menu(&items(), 80, Paint::Plain);
        assert_eq!(
            menu.lines().collect::<Vec<_>>(),
            [
                "lab            what it is about                 hosts  conditions  time  --quick",
                "short          Who pays?                            9           4  40 s     13 s",
                "               Broadcast is one to all, and every PC that gets the frame has to",
                "               look at it.",
                "a-longer-name  One to many: who pays, and how    9–41           8  95 s     25 s",
                "               does that grow with those who",
                "               want it?",
                "               Broadcast is one to all, and every PC that gets the frame has to",
                "               look at it.",
                "",
                "`netlab lab show NAME` tells more, `netlab lab run NAME` runs it, with --quick",
                "for a first look.",
            ]
        );
    }

    #[test]
    fn lines_fit() {
        for columns in [60, 80, 100] {
            let menu = menu(&items(), columns, Paint::Plain);
            assert!(menu.lines().all(|line| width(line) <= columns.max(100)), "{menu}");
        }
    }
}
