//! Where the packets of a message ended, layer by layer, at each receiver and at each bystander.

use super::figure;
use super::grid::Grid;
use super::row::SummaryRow;
use super::setting::Setting;
use super::summary::mean;
use super::table::Paint;
use crate::units::{Mode, Role};

/// The table, its heading first, with a line end after each line: a layer a row, from the link up to the program, the
/// ends of packets indented. Layers at which nothing ended anywhere are left out. `summary` as for
/// [`table`](super::table::table).
pub fn funnel(setting: &Setting, summary: &[SummaryRow], paint: Paint) -> String {
    let roles: &[Role] = if setting.bystanders() == 0 { &[Role::Receiver] } else { &[Role::Receiver, Role::Bystander] };
    let role_names: Vec<&str> = roles.iter().map(|role| role.as_str()).collect();
    let mut grid = Grid::default().group("", &["at each"]);
    for mode in &setting.modes {
        grid = grid.group(mode.as_str(), &role_names);
    }
    let mut not_measured = Vec::new();
    for layer in LAYERS {
        let places = setting.modes.iter().flat_map(|&mode| roles.iter().map(move |&role| (mode, role)));
        let amounts: Vec<Option<f64>> = places.map(|(mode, role)| layer.amount(summary, mode, role)).collect();
        if amounts.iter().all(Option::is_none) {
            if !layer.seldom {
                not_measured.push(layer.title);
            }
        } else if layer.passed || amounts.iter().any(|amount| *amount != Some(0.0)) {
            let title = if layer.passed { layer.title.to_owned() } else { format!("  {}", layer.title) };
            grid.row([title].into_iter().chain(amounts.into_iter().map(figure::amount)).collect());
        }
    }

    let mut text = paint.bold("Where packets ended, per message") + "\n";
    for (index, line) in grid.lines().iter().enumerate() {
        text += &if index < 2 { paint.bold(line) } else { line.clone() };
        text.push('\n');
    }
    if !not_measured.is_empty() {
        text += &format!("{}\n", paint.dim(&format!("not measured: {}", not_measured.join(", "))));
    }
    text
}

/// One stage on the way of a packet from the link up to the program.
#[derive(Debug)]
pub struct Layer {
    /// In words.
    pub title: &'static str,
    /// Whether it tells what got this far, and not what ended here; shown even where it is 0.
    pub passed: bool,
    /// Whether only some set-ups have it, so that its absence is nothing to tell.
    seldom: bool,
    metric: fn(Mode, Role) -> &'static str,
}

/// All of them, from the link up.
pub const LAYERS: &[Layer] = &[
    Layer { seldom: true, ..ends("filtered by the card", |_, _| "nic_filtered") },
    Layer { seldom: true, ..ends("slow link full", |_, _| "link_limit_dropped") },
    ends("link ring full", |_, _| "link_ring_dropped"),
    passes("reached link", |_, _| "link_rx_frames"),
    ends("not my MAC", |_, _| "link_rx_other_host"),
    ends("dropped by link", |_, _| "link_rx_dropped"),
    passes("reached IP", |_, _| "ip_in_receives"),
    ends("discarded by IP", |_, _| "ip_in_discards"),
    ends("group not joined", |_, _| "ip_not_joined"),
    ends("nobody listening", |_, _| "udp_ignored_multi"),
    ends("no such port", |_, _| "udp_no_ports"),
    // A raw frame meets no UDP: its socket counts for itself.
    ends("socket buffer full", |mode, role| match (mode, role) {
        (Mode::RawBroadcast, Role::Receiver) => "socket_dropped",
        _ => "udp_rcvbuf_errors",
    }),
    // A bystander has no program that counts; what UDP handed on would be for one.
    passes("to the program", |_, role| if role == Role::Receiver { "delivered" } else { "udp_in_datagrams" }),
];

const fn ends(title: &'static str, metric: fn(Mode, Role) -> &'static str) -> Layer {
    Layer { title, passed: false, seldom: false, metric }
}

const fn passes(title: &'static str, metric: fn(Mode, Role) -> &'static str) -> Layer {
    Layer { passed: true, ..ends(title, metric) }
}

impl Layer {
    /// How much of a message got to it or ended at it, at each host of a role; `summary` as for
    /// [`table`](super::table::table).
    pub fn amount(&self, summary: &[SummaryRow], mode: Mode, role: Role) -> Option<f64> {
        mean(summary, mode, role.as_str(), (self.metric)(mode, role))
    }
}

#[cfg(test)]
mod tests {
    use super::super::example::{rows, setting, snooping};
    use super::*;

    #[test]
    fn layers_at_which_nothing_ended_are_left_out() {
        let text = funnel(&setting(), &snooping(), Paint::Plain);
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
        let text = funnel(&setting, &[unicast, raw].concat(), Paint::Plain);
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
        let text = funnel(&setting, &rows(Mode::Unicast, 0.0, &values), Paint::Plain);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[3], "  filtered by the card   –         4.00");
        assert_eq!(lines[4], "reached link             1.00      0.00");
    }

    #[test]
    fn without_bystanders_there_are_no_lines_for_them() {
        let setting = Setting { hosts: 5, ..setting() };
        let text = funnel(&setting, &snooping(), Paint::Plain);
        assert!(!text.contains("bystander") && text.contains("receiver"), "{text}");
    }
}
