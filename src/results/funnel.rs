//! Where the packets of a message ended, layer by layer, at each host of the roles that get any.

use super::figure;
use super::grid::{Grid, wrapped};
use super::row::SummaryRow;
use super::setting::Setting;
use super::summary::mean;
use super::table::Paint;
use crate::units::{Mode, Role};

/// The table, its heading first, with a line end after each line: a layer a row, from the link up to the program, the
/// ends of packets indented. Layers at which nothing ended anywhere are left out. Modes that have no room beside the
/// others follow below, with the layers that are theirs. `summary` and `columns` as for [`table`](super::table::table).
pub fn funnel(setting: &Setting, summary: &[SummaryRow], paint: Paint, columns: usize) -> String {
    let grids = |modes: &[Mode]| grid(setting, summary, modes);
    let mut text = paint.bold("Where packets ended, per message") + "\n";
    let mut modes = setting.modes.as_slice();
    while !modes.is_empty() {
        let fitting = (2..=modes.len()).take_while(|&count| grids(&modes[..count]).width() <= WIDEST.min(columns));
        let (beside, below) = modes.split_at(fitting.last().unwrap_or(1));
        text += &grids(beside).fitted(paint, columns);
        modes = below;
        if !modes.is_empty() {
            text.push('\n');
        }
    }
    let measured = |layer: &Layer| setting.modes.iter().any(|&mode| layer.is_measured(setting, summary, mode));
    let missing = LAYERS.iter().filter(|layer| !layer.seldom && !measured(layer));
    let missing: Vec<&str> = missing.map(|layer| layer.title).collect();
    if !missing.is_empty() {
        for line in wrapped(&format!("not measured: {}", missing.join(", ")), columns, "", "  ") {
            text += &format!("{}\n", paint.dim(&line));
        }
    }
    text
}

/// Columns that many terminals have.
const WIDEST: usize = 120;

/// Some of the modes, beside each other.
fn grid(setting: &Setting, summary: &[SummaryRow], modes: &[Mode]) -> Grid {
    let mut grid = Grid::default().group("", &["at each"]);
    for &mode in modes {
        let roles: Vec<&str> = setting.listeners(mode).iter().map(|role| role.as_str()).collect();
        grid = grid.group(mode.as_str(), &roles);
    }
    for layer in LAYERS.iter().filter(|layer| modes.iter().any(|&mode| layer.is_measured(setting, summary, mode))) {
        let amounts: Vec<Option<f64>> = modes.iter().flat_map(|&mode| layer.amounts(setting, summary, mode)).collect();
        if layer.passed || amounts.iter().any(|amount| *amount != Some(0.0)) {
            let title = if layer.passed { layer.title.to_owned() } else { format!("  {}", layer.title) };
            grid.row([title].into_iter().chain(amounts.into_iter().map(figure::amount)).collect());
        }
    }
    grid
}

/// One stage on the way of a packet from the link up to the program.
#[derive(Debug)]
pub struct Layer {
    /// In words.
    pub title: &'static str,
    /// Whether it tells what got this far, and not what ended here; shown even where it is 0.
    pub passed: bool,
    /// Whether only some set-ups have it, so that its absence is nothing to tell.
    pub seldom: bool,
    /// Whether the metric is per second, and not per message.
    per_second: bool,
    metric: fn(Mode, Role) -> Option<&'static str>,
}

/// What the receiving program was given: of the messages, whatever they came in.
pub const TO_PROGRAM: &str = "to the program";
/// What TCP was given: segments, as the kernel took them in.
pub const TO_TCP: &str = "to TCP";
/// What was of a flow beside the messages.
pub const OTHER_FLOW: &str = "of another flow";

/// All of them, from the link up.
pub const LAYERS: &[Layer] = &[
    Layer { seldom: true, ..ends("filtered by the card", |_, _| Some("nic_filtered")) },
    Layer { seldom: true, ..ends("slow link full", |_, _| Some("link_limit_dropped")) },
    ends("link ring full", |_, _| Some("link_ring_dropped")),
    passes("reached link", |_, _| Some("link_rx_frames")),
    ends("not my MAC", |_, _| Some("link_rx_other_host")),
    ends("dropped by link", |_, _| Some("link_rx_dropped")),
    passes("reached IP", |_, _| Some("ip_in_receives")),
    ends("discarded by IP", |_, _| Some("ip_in_discards")),
    ends("group not joined", |_, _| Some("ip_not_joined")),
    ends("nobody listening", |_, _| Some("udp_ignored_multi")),
    ends("no such port", |_, _| Some("udp_no_ports")),
    // A raw frame meets no UDP: its socket counts for itself.
    ends("socket buffer full", |mode, role| match (mode, role) {
        (Mode::RawBroadcast, Role::Receiver) => Some("socket_dropped"),
        _ => Some("udp_rcvbuf_errors"),
    }),
    // Counted in all modes, but of a message in these alone.
    Layer { seldom: true, ..passes(TO_TCP, |mode, _| mode.has_server().then_some("tcp_in_segs")) },
    // A bystander has no program that counts; what UDP handed on would be for one. A server has one that does not count
    // messages, and they come by TCP.
    passes(TO_PROGRAM, |_, role| match role {
        Role::Receiver => Some("delivered"),
        Role::Server => None,
        _ => Some("udp_in_datagrams"),
    }),
    Layer { seldom: true, per_second: true, ..passes(OTHER_FLOW, |_, _| Some("flow_received")) },
];

const fn ends(title: &'static str, metric: fn(Mode, Role) -> Option<&'static str>) -> Layer {
    Layer { title, passed: false, seldom: false, per_second: false, metric }
}

const fn passes(title: &'static str, metric: fn(Mode, Role) -> Option<&'static str>) -> Layer {
    Layer { passed: true, ..ends(title, metric) }
}

impl Layer {
    /// How much of a message got to it or ended at it, at each host of a role; `summary` as for
    /// [`table`](super::table::table).
    pub fn amount(&self, summary: &[SummaryRow], mode: Mode, role: Role) -> Option<f64> {
        let amount = mean(summary, mode, role.as_str(), (self.metric)(mode, role)?)?;
        if !self.per_second {
            return Some(amount);
        }
        let rate = mean(summary, mode, Role::Sender.as_str(), "rate").filter(|rate| *rate > 0.0)?;
        Some(amount / rate)
    }

    /// For each role of a mode that packets may end at.
    pub fn amounts<'a>(
        &'a self,
        setting: &Setting,
        summary: &'a [SummaryRow],
        mode: Mode,
    ) -> impl Iterator<Item = Option<f64>> + use<'a> {
        setting.listeners(mode).into_iter().map(move |role| self.amount(summary, mode, role))
    }

    fn is_measured(&self, setting: &Setting, summary: &[SummaryRow], mode: Mode) -> bool {
        self.amounts(setting, summary, mode).any(|amount| amount.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::super::example::{rows, setting, snooping};
    use super::*;

    #[test]
    fn layers_at_which_nothing_ended_are_left_out() {
        let text = funnel(&setting(), &snooping(), Paint::Plain, usize::MAX);
        assert_eq!(
            text.lines().collect::<Vec<_>>(),
            [
                "Where packets ended, per message",
                "                     unicast               broadcast             raw-broadcast         multicast",
                "at each              receiver  bystander   receiver  bystander   receiver  bystander   receiver  bystander",
                "reached link         1.00      0.00        1.00      1.00        1.00      1.00        1.00      0.00",
                "  dropped by link    0.00      0.00        0.00      0.00        0.00      1.00        0.00      0.00",
                "reached IP           1.00      0.00        1.00      1.00        0.00      0.00        1.00      0.00",
                "  nobody listening   0.00      0.00        0.00      1.00        0.00      0.00        0.00      0.00",
                "to the program       1.00      0.00        1.00      0.00        1.00      0.00        1.00      0.00",
            ]
        );
    }

    #[test]
    fn hub_and_losses() {
        let setting = Setting { modes: vec![Mode::Unicast, Mode::RawBroadcast], hosts: 6, ..setting() };
        let unicast = rows(
            Mode::Unicast,
            0.0,
            &[
                ("receiver", "link_rx_frames", 4.0),
                ("receiver", "link_rx_other_host", 3.0),
                ("receiver", "ip_in_receives", 1.0),
                ("receiver", "udp_rcvbuf_errors", 0.002),
                ("receiver", "delivered", 0.998),
                ("bystander", "link_rx_frames", 4.0),
                ("bystander", "link_rx_other_host", 4.0),
                ("bystander", "ip_in_receives", 0.0),
                ("bystander", "udp_in_datagrams", 0.0),
            ],
        );
        // For a raw frame the socket's own count is the one that tells.
        let raw = rows(
            Mode::RawBroadcast,
            0.0,
            &[
                ("receiver", "socket_dropped", 0.25),
                ("receiver", "udp_rcvbuf_errors", 0.0),
                ("receiver", "delivered", 0.75),
            ],
        );
        let text = funnel(&setting, &[unicast, raw].concat(), Paint::Plain, usize::MAX);
        assert_eq!(
            text.lines().collect::<Vec<_>>(),
            [
                "Where packets ended, per message",
                "                       unicast               raw-broadcast",
                "at each                receiver  bystander   receiver  bystander",
                "reached link           4.00      4.00        –         –",
                "  not my MAC           3.00      4.00        –         –",
                "reached IP             1.00      0.00        –         –",
                "  socket buffer full   <0.01     –           0.25      –",
                "to the program         1.00      0.00        0.75      –",
                "not measured: link ring full, dropped by link, discarded by IP, group not joined, nobody listening, no such port",
            ]
        );
    }

    #[test]
    fn a_card_that_filters_is_a_layer_before_the_link() {
        let setting = Setting { modes: vec![Mode::Unicast], hosts: 6, ..setting() };
        let values = [
            ("receiver", "link_rx_frames", 1.0),
            ("bystander", "nic_filtered", 4.0),
            ("bystander", "link_rx_frames", 0.0),
        ];
        let text = funnel(&setting, &rows(Mode::Unicast, 0.0, &values), Paint::Plain, usize::MAX);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[3], "  filtered by the card   –         4.00");
        assert_eq!(lines[4], "reached link             1.00      0.00");
    }

    #[test]
    fn without_bystanders_there_are_no_lines_for_them() {
        let setting = Setting { hosts: 5, ..setting() };
        let text = funnel(&setting, &snooping(), Paint::Plain, usize::MAX);
        assert!(!text.contains("bystander") && text.contains("receiver"), "{text}");
    }

    /// What chat does with 4 receivers, 2,000 messages a second.
    fn chat() -> Vec<SummaryRow> {
        let layers = |role, link, tcp| {
            let ends =
                ["link_ring_dropped", "link_rx_other_host", "link_rx_dropped", "ip_in_discards", "ip_not_joined"];
            let of_udp = ["udp_ignored_multi", "udp_no_ports", "udp_rcvbuf_errors", "udp_in_datagrams"];
            let none = ends.into_iter().chain(of_udp).map(|metric| (metric, 0.0));
            let some = [("link_rx_frames", link), ("ip_in_receives", link), ("tcp_in_segs", tcp)];
            none.chain(some).map(move |(metric, value)| (role, metric, value))
        };
        let values: Vec<_> = layers("server", 3.5, 3.4)
            .chain(layers("receiver", 0.89, 0.88))
            .chain(layers("bystander", 0.0, 0.0))
            .chain([("receiver", "delivered", 1.0)])
            .collect();
        rows(Mode::Chat, 0.0, &values)
    }

    #[test]
    fn a_server_has_a_column_and_tcp_a_row() {
        let setting = Setting { modes: vec![Mode::Multicast, Mode::Chat], ..setting() };
        let mut summary = [snooping(), chat()].concat();
        // Something else on the host spoke TCP meanwhile: nothing of the message.
        summary.extend(rows(Mode::Multicast, 0.0, &[("bystander", "tcp_in_segs", 0.1)]));
        let text = funnel(&setting, &summary, Paint::Plain, usize::MAX);
        assert_eq!(
            text.lines().collect::<Vec<_>>(),
            [
                "Where packets ended, per message",
                "                 multicast             chat",
                "at each          receiver  bystander   server  receiver  bystander",
                "reached link     1.00      0.00        3.50    0.89      0.00",
                "reached IP       1.00      0.00        3.50    0.89      0.00",
                "to TCP           –         –           3.40    0.88      0.00",
                "to the program   1.00      0.00        –       1.00      0.00",
            ]
        );
        // Where the server took the one bystander's place, no column is left of it.
        let text = funnel(&Setting { hosts: 6, ..setting }, &summary, Paint::Plain, usize::MAX);
        assert_eq!(text.lines().nth(2), Some("at each          receiver  bystander   server  receiver"));
    }

    #[test]
    fn modes_without_room_beside_the_others_follow_below() {
        let setting = Setting { modes: [&Mode::OF_THE_NETWORK[..], &[Mode::Chat]].concat(), ..setting() };
        let text = funnel(&setting, &[snooping(), chat()].concat(), Paint::Plain, usize::MAX);
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines.iter().all(|line| super::super::grid::width(line) <= WIDEST), "{text}");
        let direct = funnel(&super::super::example::setting(), &snooping(), Paint::Plain, usize::MAX);
        assert!(text.starts_with(&direct), "{text}");
        assert_eq!(
            lines[direct.lines().count()..],
            [
                "",
                "                 chat",
                "at each          server  receiver  bystander",
                "reached link     3.50    0.89      0.00",
                "reached IP       3.50    0.89      0.00",
                "to TCP           3.40    0.88      0.00",
                "to the program   –       1.00      0.00",
            ]
        );
    }

    #[test]
    fn another_flow_is_told_for_each_message() {
        let setting = Setting { modes: vec![Mode::Multicast], hosts: 6, ..setting() };
        let values = [("sender", "rate", 500.0), ("bystander", "flow_received", 1000.0)];
        let text = funnel(&setting, &rows(Mode::Multicast, 0.0, &values), Paint::Plain, usize::MAX);
        assert!(text.lines().any(|line| line == "of another flow   –         2.00"), "{text}");
    }
}
