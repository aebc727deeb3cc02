//! The picture of a network, mode by mode: the thickness of a link is its frames, the fill of a host is its CPU time.

use maud::{Markup, html};

use super::cell::{self, Cell, Style};
use super::data::Group;
use super::drawing::{BOLD, Drawing, Num, TITLE, lines, marker, text_width, title_lines, wrap};
use super::scale::{Fill, Scale};
use super::table::Table;
use crate::results::figure;
use crate::results::host::{HostMeans, each_host};
use crate::results::row::HostRow;
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
    /// Of a server: what it gets and what it sends, in words.
    ways: Option<String>,
    /// Of each, in µs for each message: the mean, the lowest, the highest.
    cost: Option<(f64, f64, f64)>,
    doubtful: bool,
}

/// The fill of a host that stands for its role.
const PLAIN: Fill = Fill { ground: "f-cost0", letter: "on-low" };
const GAP: f64 = 24.0;
const ROW: f64 = 27.0;
/// Panels beside each other on a slide, at most.
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
        let scale = Scale::of(all().filter_map(frames), all().filter_map(|host| host.cpu));
        let hub = group.conditions.iter().all(|condition| condition.switch == "hub");
        let device = if hub { "hub" } else { "switch" };

        let heading = group.full_heading();
        let name = |what: &str| format!("network-{}{what}", group.number);
        let verdicts: Vec<Vec<String>> = verdicts.iter().map(|verdict| wrap(verdict, 18.0, 340.0, 4)).collect();
        let verdict_lines = verdicts.iter().map(Vec::len).max().unwrap_or(0);
        let panels: Vec<Drawing> = networks
            .iter()
            .enumerate()
            .map(|(index, network)| {
                let name = name(&format!("-{}", network.mode));
                let verdict = verdicts.get(index).map_or(&[][..], Vec::as_slice);
                let top = 44.0 + 21.0 * verdict_lines as f64;
                Drawing { name, ..network.panel(&heading, verdict, top, &scale, device) }
            })
            .collect();
        let served = networks.iter().any(|network| network.hosts.iter().any(|host| host.role == Role::Server));
        let roles = if served { &[Role::Sender, Role::Server, Role::Receiver, Role::Bystander][..] } else { &[] };
        let (width, height, body) = scale.key(roles);
        let key = Drawing { name: name("-key"), title: "Key".to_owned(), desc: scale.in_words(), width, height, body };
        Pictures { together: together(name(""), &heading, &panels, &key), table: table(&networks), panels, key }
    }
}

/// Frames on a host's link for each message, both ways.
pub(super) fn frames(host: &HostMeans) -> Option<f64> {
    Some(host.link_tx_frames? + host.link_rx_frames?)
}

/// The letter that stands for a role: its first, but for a server, which is no sender.
pub(super) fn letter(role: Role) -> char {
    if role == Role::Server {
        return 'V';
    }
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
        // Of all of them, or not known.
        let costs = of_kind().map(|host| host.cpu).collect::<Option<Vec<f64>>>().unwrap_or_default();
        Crew {
            role,
            lan,
            hosts: of_kind().count(),
            frames: mean(&of_kind().map(frames).collect::<Option<Vec<_>>>().unwrap_or_default()),
            ways: of_kind().find(|host| host.role == Role::Server).map(cell::ways),
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

    fn frames_text(&self) -> String {
        format!("{}{}", figure::amount(self.frames), self.ways_text())
    }

    fn ways_text(&self) -> String {
        self.ways.as_ref().map_or_else(String::new, |ways| format!(" ({ways})"))
    }

    fn in_words(&self) -> String {
        let each = if self.hosts == 1 { "" } else { ", each" };
        let (frames, ways) = (figure::amount(self.frames), self.ways_text());
        format!("{}{each}: {frames} frames{ways}, {} µs of CPU time", self.name(), self.cost_text())
    }
}

impl Network {
    /// The picture, without a name, under its verdict; the network begins at `top`.
    fn panel(&self, heading: &str, verdict: &[String], top: f64, scale: &Scale, device: &str) -> Drawing {
        let cell = self.cells(scale, device);
        let width = cell.width;
        let mut y = top + cell.height + 30.0;
        let widest = |text: fn(&Crew) -> String, heading: &str| {
            let texts = self.crews.iter().map(|crew| text_width(&text(crew), 18.0 * BOLD));
            texts.fold(text_width(heading, 14.0), f64::max)
        };
        let cost_end = width - 10.0;
        let frames_end = cost_end - widest(Crew::cost_text, "CPU µs").max(78.0) - 20.0;
        let label_width = frames_end - widest(|crew| figure::amount(crew.frames), "frames") - 12.0 - 38.0;
        let mut rows = Vec::new();
        for crew in &self.crews {
            let label = wrap(&crew.name(), 18.0, label_width, 3);
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
        let detour = if self.hosts.iter().any(|host| host.role == Role::Server) {
            " Messages go from the sender to the server and from there to each receiver."
        } else {
            ""
        };
        Drawing {
            name: String::new(),
            title: format!("{}: frames and CPU time of each host", self.mode),
            desc: format!(
                "{heading}. {}.{detour} For each message: {}.",
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
        let served = self.hosts.iter().any(|host| host.role == Role::Server);
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
                cell::lan(&hosts, &Style { mode: self.mode, scale, device, router, served, name })
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
            (cell::device("router", (middle, ROUTER_Y), Some(scale.fill(router.cpu))))
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
    // As many in each row, as far as can be.
    let abreast = panels.len().div_ceil(panels.len().div_ceil(ABREAST).max(1)).max(1);
    let width = panels.chunks(abreast).map(row_width).fold(key.width, f64::max) + GAP;
    let title = title_lines(heading, width - 2.0 * GAP);
    let mut y = 26.0 * title.len() as f64 + 34.0;
    let mut placed = Vec::new();
    for row in panels.chunks(abreast) {
        let mut x = GAP;
        for panel in row {
            placed.push((x, y, &panel.body));
            x += panel.width + GAP;
        }
        y += row.iter().map(|panel| panel.height).fold(0.0, f64::max) + 10.0;
    }
    let body = html! {
        (lines(&title, TITLE, (GAP, 36.0), 26.0))
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
                    crew.frames_text(),
                    crew.cost_text(),
                    figure::cost(crew.cost.map(|(_, low, _)| low)),
                    figure::cost(crew.cost.map(|(.., high)| high)),
                ],
            );
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(name: &str, role: Role, lan: u32, sent: f64, got: f64, cost: Option<f64>) -> HostMeans {
        HostMeans {
            host: name.to_owned(),
            role,
            group: String::new(),
            lan,
            link_tx_frames: Some(sent),
            link_rx_frames: Some(got),
            cpu: cost,
        }
    }

    fn network(hosts: Vec<HostMeans>) -> Network {
        Network { mode: Mode::Unicast, crews: crews(&hosts, |role| role == Role::Sender), hosts }
    }

    fn drawn(network: &Network) -> String {
        let hosts = || network.hosts.iter().filter(|host| host.role != Role::Switch);
        let scale = Scale::of(hosts().filter_map(frames), hosts().filter_map(|host| host.cpu));
        network.panel("heading", &["the sender paid".to_owned()], 60.0, &scale, "switch").file()
    }

    fn body(svg: &str) -> &str {
        svg.split("</style>").nth(1).unwrap()
    }

    /// The values of an attribute of the elements of a class.
    fn of_class(svg: &str, class: &str, attribute: &str) -> Vec<f64> {
        let elements = body(svg).split('<').filter(|element| element.contains(&format!("class=\"{class}\"")));
        let value = |element: &str| element.split(&format!(" {attribute}=\"")).nth(1)?.split('"').next()?.parse().ok();
        elements.filter_map(value).collect()
    }

    fn small() -> Vec<HostMeans> {
        vec![
            host("h1", Role::Sender, 1, 2.0, 0.0, Some(80.0)),
            host("h2", Role::Receiver, 1, 0.0, 1.0, Some(30.0)),
            host("h3", Role::Receiver, 1, 0.0, 1.0, Some(10.0)),
            host("h4", Role::Bystander, 1, 0.0, 0.0, Some(0.0)),
            host("h5", Role::Bystander, 1, 0.0, 0.0, None),
            host("switch", Role::Switch, 0, 0.0, 0.0, Some(500.0)),
        ]
    }

    #[test]
    fn thickness_is_frames_and_fill_is_cpu_time() {
        let svg = drawn(&network(small()));
        // Four pixels a frame where there are few; two for the sender.
        assert_eq!(of_class(&svg, "s-unicast", "stroke-width"), [8.0, 4.0, 4.0]);
        assert_eq!(of_class(&svg, "none", "x1").len(), 2, "two links carry nothing");
        let count = |class: &str| of_class(&svg, class, "r").len();
        assert_eq!(of_class(&svg, "host f-cost5", "rx").len(), 1, "the sender, which is square");
        assert_eq!((count("host f-cost4 wants"), count("host f-cost3 wants")), (1, 1), "{svg}");
        assert_eq!(count("host unknown"), 1);
        assert!(svg.contains("<title>h2, receiver: 1.00 frames, 30.0 µs</title>"));
        assert!(svg.contains("<title>h5, bystander: 0.00 frames, – µs</title>"));
        // The table under it, and in words.
        assert!(svg.contains(">2 receivers<") && svg.contains(">20.0<") && svg.contains(">~80.0<"), "{svg}");
        assert!(svg.contains("sender: 2.00 frames, ~80.0 µs of CPU time; 2 receivers, each: 1.00 frames, 20.0 µs"));
    }

    #[test]
    fn groups_and_lans_are_told_apart() {
        let mut hosts = small();
        hosts[3].group = "far".to_owned();
        let names: Vec<String> = network(hosts.clone()).crews.iter().map(Crew::name).collect();
        assert_eq!(names, ["sender", "2 receivers", "bystander", "bystander “far”"]);

        hosts[2].lan = 2;
        hosts.push(host("router", Role::Router, 0, 1.5, 0.5, None));
        let routed = network(hosts);
        let names: Vec<String> = routed.crews.iter().map(Crew::name).collect();
        assert_eq!(
            names,
            [
                "sender, LAN 1",
                "receiver, LAN 1",
                "receiver, LAN 2",
                "bystander, LAN 1",
                "bystander “far”, LAN 1",
                "router"
            ]
        );
        let svg = drawn(&routed);
        assert!(svg.contains(">LAN 1<") && svg.contains(">LAN 2<") && svg.contains(">router<"));
        // What the router got is on its link to the sender's LAN, what it sent on the other.
        let router = routed.hosts.last().unwrap();
        assert_eq!([1, 2].map(|lan| routed.frames_of_router(router, lan, 2)), [Some(0.5), Some(1.5)]);
        assert_eq!(routed.frames_of_router(router, 1, 3), None);
    }

    #[test]
    fn a_server_is_a_detour() {
        let mut hosts = small();
        hosts[0] = host("h1", Role::Sender, 1, 1.0, 0.5, Some(40.0));
        hosts[3] = host("h4", Role::Server, 1, 2.0, 3.0, Some(200.0));
        let svg = drawn(&network(hosts.clone()));
        // Two lines of it, 3 frames to it and 2 back; an arrow on each, and one on the sender's link.
        assert_eq!(of_class(&svg, "s-unicast", "stroke-width"), [4.8, 9.6, 6.4, 3.2, 3.2]);
        assert_eq!(body(&svg).matches("class=\"arrow f-unicast\"").count(), 3, "{svg}");
        assert!(svg.contains("<title>h4, server: 5.00 frames (3.00 in, 2.00 out), 200 µs</title>"));
        assert!(svg.contains("Messages go from the sender to the server and from there to each receiver."));
        assert!(svg.contains("; server: 5.00 frames (3.00 in, 2.00 out), 200 µs of CPU time"), "{svg}");
        assert_eq!(body(&svg).matches(">V</text>").count(), 1, "in the list");
        assert_eq!(body(&svg).matches(">server</text>").count(), 2, "in the picture and in the list");

        // Many hosts: still one sender, one server and the others in blocks.
        hosts.extend((6..60).map(|index| host(&format!("h{index}"), Role::Receiver, 1, 0.0, 1.0, Some(1.0))));
        let svg = drawn(&network(hosts));
        assert_eq!(body(&svg).matches("class=\"arrow f-unicast\"").count(), 3, "{svg}");
        assert_eq!(body(&svg).matches("<title>h4, server").count(), 1);
        assert!(!svg.contains("servers<"), "no block of servers");
    }

    #[test]
    fn any_number_of_hosts_has_a_picture() {
        for count in [0, 1, 2, 41, 42, 200, 1000, 5000] {
            let role = |index| if index == 0 { Role::Sender } else { Role::Bystander };
            let hosts = (0..count).map(|index| host("h", role(index), 1, f64::NAN, f64::INFINITY, Some(1e300)));
            let svg = drawn(&network(hosts.collect()));
            assert!(!body(&svg).contains("\"NaN") && !body(&svg).contains("\"inf"), "{count}");
            assert_eq!(body(&svg).matches("<title>h, ").count(), count, "each host is there");
            assert!(svg.contains("not measured") == (count == 0));
        }
    }

    #[test]
    fn all_modes_are_on_one_slide_with_the_key() {
        let panel = |name: &str| {
            let scale = Scale::of([2.0].into_iter(), [1.0].into_iter());
            Drawing { name: name.to_owned(), ..network(small()).panel("h", &[], 44.0, &scale, "hub") }
        };
        let (width, height, body) = Scale::of([2.0].into_iter(), [1.0].into_iter()).key(&[]);
        let key = Drawing { name: "key".to_owned(), title: "Key".to_owned(), desc: String::new(), width, height, body };
        let slide =
            together("all".to_owned(), "four", &[panel("a"), panel("b"), panel("c"), panel("d"), panel("e")], &key);
        assert_eq!(slide.body.clone().into_string().matches(">hub<").count(), 5);
        assert!(slide.body.into_string().contains("link: frames per message"));
        assert!(slide.width < 5.0 * 384.0, "four beside each other, the fifth below");
    }
}
