//! What a server had to do: connections, threads, and TCP's segments for each message.

use super::data::Group;
use super::table::Table;
use crate::results::figure;
use crate::results::row::{ConditionRow, HostRow};
use crate::results::stats;
use crate::results::summary::Trials;
use crate::results::trial::Who;
use crate::units::Role;

/// One figure of a server.
struct Figure {
    title: &'static str,
    /// From the server's row and the number of messages.
    of: fn(&HostRow, f64) -> Option<f64>,
    write: fn(f64) -> String,
}

const FIGURES: [Figure; 9] = [
    Figure { title: "connections accepted", of: |row, _| whole(row.server_accepts), write: count },
    Figure { title: "clients", of: |row, _| whole(row.server_clients), write: count },
    Figure { title: "threads", of: |row, _| whole(row.server_threads), write: count },
    Figure { title: "CPU µs of accepting", of: |row, _| Some(row.server_accept_cpu_ns? as f64 / 1e3), write: cost },
    Figure { title: "dropped as slow", of: |row, _| whole(row.server_dropped), write: count },
    Figure { title: "handshakes", of: |row, _| whole(row.tcp_passive_opens), write: count },
    Figure { title: "in per message", of: |row, sent| Some(row.tcp_in_segs? as f64 / sent), write: amount },
    Figure { title: "out per message", of: |row, sent| Some(row.tcp_out_segs? as f64 / sent), write: amount },
    Figure { title: "sent again", of: |row, _| whole(row.tcp_retrans_segs), write: count },
];
/// Where those of TCP begin.
const TCP: usize = 5;

fn whole(value: Option<u64>) -> Option<f64> {
    value.map(|value| value as f64)
}

fn count(value: f64) -> String {
    if value.fract() == 0.0 { figure::count(value) } else { format!("{value:.1}") }
}

fn cost(value: f64) -> String {
    figure::cost(Some(value))
}

fn amount(value: f64) -> String {
    figure::amount(Some(value))
}

/// A row for each mode with a server, a column for each figure that was taken: means over the repeats. `None` where none
/// was.
pub(super) fn table(group: &Group, hosts: &[HostRow]) -> Option<Table> {
    let served: Vec<&ConditionRow> = group.conditions.iter().filter(|condition| condition.mode.has_server()).collect();
    let means: Vec<Vec<Option<f64>>> = served
        .iter()
        .map(|condition| {
            let rows = of_servers(condition, hosts);
            let mean = |figure: &Figure| {
                let values: Vec<f64> = rows.iter().filter_map(|(row, sent)| (figure.of)(row, *sent)).collect();
                stats::mean(&values).filter(|mean| mean.is_finite())
            };
            FIGURES.iter().map(mean).collect()
        })
        .collect();
    let taken = |index: &usize| means.iter().any(|means| means[*index].is_some());
    let columns: Vec<usize> = (0..FIGURES.len()).filter(taken).collect();
    if columns.is_empty() {
        return None;
    }
    let titles =
        |tcp: bool| columns.iter().filter(move |index| (**index >= TCP) == tcp).map(|index| FIGURES[*index].title);
    let mut table = Table::new("What the server had to do in a repeat, means over the repeats").group("", ["mode"]);
    for (heading, tcp) in [("the server", false), ("its TCP segments", true)] {
        if titles(tcp).next().is_some() {
            table = table.group(heading, titles(tcp));
        }
    }
    for (condition, means) in served.into_iter().zip(&means) {
        let cell = |index: &usize| means[*index].map_or_else(|| figure::MISSING.to_owned(), FIGURES[*index].write);
        let cells = columns.iter().map(cell);
        table.row_of(condition.mode, [condition.mode.to_string()].into_iter().chain(cells).collect());
    }
    Some(table)
}

/// The rows of a condition's servers in the trials that count, each with the messages of its trial.
fn of_servers<'a>(condition: &ConditionRow, hosts: &'a [HostRow]) -> Vec<(&'a HostRow, f64)> {
    let of_condition = |row: &&HostRow| row.condition == condition.condition && row.mode == condition.mode;
    let trials = Trials::of(hosts.iter().filter(of_condition));
    let servers = trials.all().filter_map(|(trial, _)| {
        let messages = trial.messages()?;
        Some(trial.hosts(Who::Role(Role::Server)).map(move |row| (row, messages)))
    });
    servers.flatten().collect()
}
