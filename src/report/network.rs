//! The picture of a network, mode by mode: the thickness of a link is its frames, the fill of a host is its CPU time.

use maud::{Markup, html};

use super::cell::{self, Cell, Style};
use super::data::Group;
use super::drawing::{Drawing, Num, lines, marker, wrap};
use super::scale::{Fill, Scale};
use super::table::Table;
use crate::results::figure;
use crate::results::row::HostRow;
use crate::results::summary::{HostMeans, each_host};
use crate::units::{Mode, Role};

/// The pictures of one setting, with one scale.
#[derive(Debug)]
pub(super) struct Pictures {
    /// One for each mode.
    pub(super) panels: Vec<Drawing>,
    /// What thickness and fill mean.
    pub(super) key: Drawing,
    /// All of them with the key, for a slide.
    pub(super) together: Drawing,
    /// The figures, role by role.
    pub(super) table: Table,
}

/// One mode's network.
struct Network {
    mode: Mode,
    hosts: Vec<HostMeans>,
    crews: Vec<Crew>,
}

/// Hosts that do the same on the same LAN: those of a role, or of a group of it that a lab named.
#[derive(Debug, PartialEq)]
struct Crew {
    role: Role,
    group: String,
    /// `None` where there is but one LAN.
    lan: Option<u32>,
    hosts: usize,
    /// On each one's link, for each message.
    frames: Option<f64>,
    /// Of each, in µs for each message: the mean, the lowest, the highest.
    cost: Option<(f64, f64, f64)>,
    doubtful: bool,
}

/// The fill of a host that stands for its role.
const PLAIN: Fill = Fill { ground: "f-cost0", letter: "on-low" };
const GAP: f64 = 24.0;
const ROW: f64 = 27.0;
/// Panels beside each other on a slide.
const ABREAST: usize = 4;

impl Pictures {
    /// Of the conditions of a group; `verdicts` says for each who paid.
    pub(super) fn of(group: &Group, hosts: &[HostRow], verdicts: &[&str]) -> Pictures {
        let network = |condition: &crate::results::row::ConditionRow| {
            let hosts = each_host(hosts, &condition.condition, condition.mode);
            let doubtful = |role: Role| {
                group.figures(condition.mode, role.as_str(), "cpu_total").is_some_and(|row| row.doubtful > 0)
            };
            Network { mode: condition.mode, crews: crews(&hosts, doubtful), hosts }
        };
        let networks: Vec<Network> = group.conditions.iter().map(network).collect();
        let all = || networks.iter().flat_map(|network| &network.hosts).filter(|host| host.role != Role::Switch);
        let scale = Scale::of(all().filter_map(frames), all().filter_map(|host| host.cpu_total));
        let hub = group.conditions.iter().all(|condition| condition.switch == "hub");
        let device = if hub { "hub" } else { "switch" };

        let name = |what: &str| format!("network-{}{what}", group.number);
        let verdicts: Vec<Vec<String>> = verdicts.iter().map(|verdict| wrap(verdict, 18.0, 340.0, 2)).collect();
        let verdict_lines = verdicts.iter().map(Vec::len).max().unwrap_or(0);
        let panels: Vec<Drawing> = networks
            .iter()
            .enumerate()
            .map(|(index, network)| {
                let name = name(&format!("-{}", network.mode));
                let verdict = verdicts.get(index).map_or(&[][..], Vec::as_slice);
                let top = 44.0 + 21.0 * verdict_lines as f64;
                Drawing { name, ..network.panel(&group.heading, verdict, top, &scale, device) }
            })
            .collect();
        let (width, height, body) = scale.key();
        let key = Drawing { name: name("-key"), title: "Key".to_owned(), desc: scale.in_words(), width, height, body };
        Pictures { together: together(name(""), &group.heading, &panels, &key), table: table(&networks), panels, key }
    }
}

/// Frames on a host's link for each message, both ways.
pub(super) fn frames(host: &HostMeans) -> Option<f64> {
    Some(host.link_tx_frames? + host.link_rx_frames?)
}

/// The letter that stands for a role.
pub(super) fn letter(role: Role) -> char {
    role.as_str().chars().next().unwrap_or('?').to_ascii_uppercase()
}

/// Hosts that do the same, put together, in the order of their roles.
fn crews(hosts: &[HostMeans], doubtful: impl Fn(Role) -> bool) -> Vec<Crew> {
    let several = hosts.iter().any(|host| host.lan > 1);
    let kind = |host: &HostMeans| (host.role, Some(host.lan).filter(|lan| several && *lan > 0), host.group.clone());
    let mut kinds: Vec<_> = hosts.iter().filter(|host| host.role != Role::Switch).map(kind).collect();
    kinds.sort();
    kinds.dedup();
    let crew = |(role, lan, group): (Role, Option<u32>, String)| {
        let of_kind = || hosts.iter().filter(|host| kind(host) == (role, lan, group.clone()));
        let costs: Vec<f64> = of_kind().filter_map(|host| host.cpu_total).collect();
        Crew {
            role,
            lan,
            hosts: of_kind().count(),
            frames: mean(&of_kind().filter_map(frames).collect::<Vec<_>>()),
            cost: mean(&costs).map(|mean| {
                let (low, high) = costs.iter().fold((f64::INFINITY, 0.0_f64), |(l, h), &c| (l.min(c), h.max(c)));
                (mean, low, high)
            }),
            doubtful: doubtful(role),
            group,
        }
    };
    kinds.into_iter().map(crew).collect()
}

fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

impl Crew {
    /// `sender`, `4 receivers`, `6 bystanders “far”`.
    fn name(&self) -> String {
        let role = self.role.as_str();
        let name = match self.hosts {
            1 => role.to_owned(),
            hosts => format!("{} {role}s", figure::count(hosts as f64)),
        };
        let group =
            if self.group.is_empty() || self.group == role { String::new() } else { format!(" “{}”", self.group) };
        let lan = self.lan.map_or_else(String::new, |lan| format!(", LAN {lan}"));
        format!("{name}{group}{lan}")
    }

    fn cost_text(&self) -> String {
        let doubt = if self.doubtful && self.cost.is_some() { "~" } else { "" };
        format!("{doubt}{}", figure::cost(self.cost.map(|(mean, ..)| mean)))
    }

    fn in_words(&self) -> String {
        let each = if self.hosts == 1 { "" } else { ", each" };
        format!("{}{each}: {} frames, {} µs of CPU time", self.name(), figure::amount(self.frames), self.cost_text())
    }
}

impl Network {
    /// The picture, without a name, under its verdict; the network begins at `top`.
    fn panel(&self, heading: &str, verdict: &[String], top: f64, scale: &Scale, device: &str) -> Drawing {
        let cell = self.cells(scale, device);
        let width = cell.width;
        let mut y = top + cell.height + 30.0;
        let (frames_end, cost_end) = (width - 112.0, width - 10.0);
        let mut rows = Vec::new();
        for crew in &self.crews {
            let label = wrap(&crew.name(), 18.0, frames_end - 78.0 - 38.0, 3);
            rows.push((crew, label.clone(), y + 27.0));
            y += ROW + 20.0 * (label.len().max(1) - 1) as f64;
        }
        let body = html! {
            (marker(self.mode, (16.0, 18.0), 8.0, false))
            text class="large bold" x="34" y="25" { (self.mode) }
            (lines(verdict, "row", (34.0, 50.0), 21.0))
            g transform={ "translate(0 " (Num(top)) ")" } { (cell.body) }
            @if self.crews.is_empty() {
                text class="muted mid" x=(Num(width / 2.0)) y=(Num(top + cell.height / 2.0)) { "not measured" }
            } @else {
                text class="small muted end" x=(Num(frames_end)) y=(Num(top + cell.height + 30.0)) { "frames" }
                text class="small muted end" x=(Num(cost_end)) y=(Num(top + cell.height + 30.0)) { "CPU µs" }
            }
            @for (crew, label, y) in rows {
                (cell::badge(crew.role, (17.0, y - 6.3), 10.0, PLAIN))
                (lines(&label, "row", (38.0, y), 20.0))
                text class="end bold row" x=(Num(frames_end)) y=(Num(y)) { (figure::amount(crew.frames)) }
                text class="end bold row" x=(Num(cost_end)) y=(Num(y)) { (crew.cost_text()) }
            }
        };
        let told: Vec<String> = self.crews.iter().map(Crew::in_words).collect();
        Drawing {
            name: String::new(),
            title: format!("{}: frames and CPU time of each host", self.mode),
            desc: format!(
                "{heading}. {}. For each message: {}.",
                verdict.join(" "),
                if told.is_empty() { "not measured".to_owned() } else { told.join("; ") }
            ),
            width,
            height: y + 18.0,
            body,
        }
    }

    /// The LANs beside each other, under the router where there is one.
    fn cells(&self, scale: &Scale, device: &str) -> Cell {
        let router = self.hosts.iter().find(|host| host.role == Role::Router);
        let mut lans: Vec<u32> = self.ends().map(|host| host.lan).collect();
        lans.sort_unstable();
        lans.dedup();
        let cells: Vec<Cell> = lans
            .iter()
            .enumerate()
            .map(|(index, lan)| {
                let mut hosts: Vec<&HostMeans> = self.ends().filter(|host| host.lan == *lan).collect();
                hosts.sort_by_key(|host| host.role);
                let name = (lans.len() > 1).then(|| format!("LAN {lan}"));
                // Where the router is, from the middle of all LANs.
                let aside = index as f64 - (lans.len() as f64 - 1.0) / 2.0;
                let router = router.map(|_| aside);
                cell::lan(&hosts, &Style { mode: self.mode, scale, device, router, name })
            })
            .collect();
        if cells.is_empty() {
            return cell::empty();
        }
        let Some(router) = router else { return beside(cells, 0.0, html! {}) };

        const ROUTER_Y: f64 = 22.0;
        let above = cell::ABOVE + ROUTER_Y;
        let width: f64 = cells.iter().map(|cell| cell.width).sum();
        let mut left = 0.0;
        let mut links = Vec::new();
        for (cell, lan) in cells.iter().zip(&lans) {
            links.push((left + cell.switch.0, above + cell.switch.1, self.frames_of_router(router, *lan, lans.len())));
            left += cell.width;
        }
        let middle = width / 2.0;
        let routed = html! {
            @for (x, y, frames) in &links {
                (scale.link((middle, ROUTER_Y), (*x, *y), *frames, self.mode))
            }
            (cell::device("router", (middle, ROUTER_Y), Some(scale.fill(router.cpu_total))))
        };
        beside(cells, above, routed)
    }

    /// Hosts at the ends of links.
    fn ends(&self) -> impl Iterator<Item = &HostMeans> {
        self.hosts.iter().filter(|host| !matches!(host.role, Role::Switch | Role::Router))
    }

    /// On the router's link to a LAN: what it got goes to the sender's LAN and what it sent to the other. Between more
    /// LANs its counts, which are of all links together, don't tell.
    fn frames_of_router(&self, router: &HostMeans, lan: u32, lans: usize) -> Option<f64> {
        let senders = self.ends().find(|host| host.role == Role::Sender).map(|host| host.lan);
        match lans {
            1 => frames(router),
            2 if senders == Some(lan) => router.link_rx_frames,
            2 => router.link_tx_frames,
            _ => None,
        }
    }
}

/// Cells beside each other; `under` is drawn before them.
fn beside(cells: Vec<Cell>, above: f64, under: Markup) -> Cell {
    let height = cells.iter().map(|cell| cell.height).fold(0.0, f64::max) + above;
    let width = cells.iter().map(|cell| cell.width).sum();
    let mut left = 0.0;
    let placed = cells.into_iter().map(|cell| {
        left += cell.width;
        (left - cell.width, cell.body)
    });
    let body = html! {
        (under)
        @for (left, body) in placed {
            g transform={ "translate(" (Num(left)) " " (Num(above)) ")" } { (body) }
        }
    };
    Cell { body, width, height, switch: (0.0, 0.0) }
}

/// All panels in rows, the key below.
fn together(name: String, heading: &str, panels: &[Drawing], key: &Drawing) -> Drawing {
    let row_width = |row: &[Drawing]| row.iter().map(|panel| panel.width + GAP).sum::<f64>();
    let width = panels.chunks(ABREAST).map(row_width).fold(key.width, f64::max) + GAP;
    let title = wrap(heading, 20.0, width - 2.0 * GAP, 3);
    let mut y = 26.0 * title.len() as f64 + 34.0;
    let mut placed = Vec::new();
    for row in panels.chunks(ABREAST) {
        let mut x = GAP;
        for panel in row {
            placed.push((x, y, &panel.body));
            x += panel.width + GAP;
        }
        y += row.iter().map(|panel| panel.height).fold(0.0, f64::max) + 10.0;
    }
    let body = html! {
        (lines(&title, "large bold", (GAP, 36.0), 26.0))
        @for (x, y, body) in placed {
            g transform={ "translate(" (Num(x)) " " (Num(y)) ")" } { (body) }
        }
        g transform={ "translate(" (Num(GAP)) " " (Num(y)) ")" } { (key.body) }
    };
    let told: Vec<String> = panels.iter().map(|panel| format!("{}. {}", panel.title, panel.desc)).collect();
    Drawing {
        name,
        title: "Who sends, who gets, who pays".to_owned(),
        desc: format!("{} {}", told.join(" "), key.desc),
        width,
        height: y + key.height + 12.0,
        body,
    }
}

fn table(networks: &[Network]) -> Table {
    let mut table = Table::new("Each host’s link and CPU time, for each message").columns([
        "mode",
        "hosts",
        "frames on each link",
        "CPU µs of each",
        "lowest",
        "highest",
    ]);
    for network in networks {
        for crew in &network.crews {
            table.row_of(
                network.mode,
                vec![
                    network.mode.to_string(),
                    crew.name(),
                    figure::amount(crew.frames),
                    crew.cost_text(),
                    figure::cost(crew.cost.map(|(_, low, _)| low)),
                    figure::cost(crew.cost.map(|(.., high)| high)),
                ],
            );
        }
    }
    table
}
