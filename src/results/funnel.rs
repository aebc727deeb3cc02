//! Where the packets of a message ended, layer by layer, at each receiver and at each bystander.

use super::figure;
use super::grid::Grid;
use super::row::SummaryRow;
use super::setting::Setting;
use super::summary::mean;
use super::table::Paint;
use crate::units::{Mode, Role};

/// The table, its heading first, with a line end after each line. Layers at which nothing ended anywhere are left out.
/// `summary` as for [`table`](super::table::table).
pub fn funnel(setting: &Setting, summary: &[SummaryRow], paint: Paint) -> String {
    let roles: &[Role] = if setting.bystanders() == 0 { &[Role::Receiver] } else { &[Role::Receiver, Role::Bystander] };
    let places: Vec<(Mode, Role)> =
        setting.modes.iter().flat_map(|&mode| roles.iter().map(move |&role| (mode, role))).collect();
    let layers: Vec<(&Layer, Vec<Option<f64>>)> = LAYERS
        .iter()
        .map(|layer| (layer, places.iter().map(|&(mode, role)| layer.amount(summary, mode, role)).collect::<Vec<_>>()))
        .filter(|(layer, amounts)| layer.always || amounts.iter().any(|amount| *amount != Some(0.0)))
        .collect();

    let heads: Vec<&str> = layers.iter().map(|(layer, _)| layer.title).collect();
    let mut grid = Grid::default().group("", &["mode", "at each"]).group("", &heads);
    for (index, (mode, role)) in places.iter().enumerate() {
        let mut cells = vec![mode.to_string(), role.to_string()];
        cells.extend(layers.iter().map(|(_, amounts)| figure::amount(amounts[index])));
        grid.row(cells);
    }

    let mut text = paint.bold("Where packets ended, per message") + "\n";
    for (index, line) in grid.lines().iter().enumerate() {
        text += &if index == 0 { paint.bold(line) } else { line.clone() };
        text.push('\n');
    }
    text
}

/// One stage on the way up.
struct Layer {
    title: &'static str,
    /// Shown even where it is 0 everywhere: what got that far, not what ended there.
    always: bool,
    metric: fn(Mode, Role) -> &'static str,
}

const LAYERS: &[Layer] = &[
    Layer { title: "link ring full", always: false, metric: |_, _| "link_ring_dropped" },
    Layer { title: "reached link", always: true, metric: |_, _| "link_rx_frames" },
    Layer { title: "not my MAC", always: false, metric: |_, _| "link_rx_other_host" },
    Layer { title: "dropped by link", always: false, metric: |_, _| "link_rx_dropped" },
    Layer { title: "reached IP", always: true, metric: |_, _| "ip_in_receives" },
    Layer { title: "discarded by IP", always: false, metric: |_, _| "ip_in_discards" },
    Layer { title: "group not joined", always: false, metric: |_, _| "ip_not_joined" },
    Layer { title: "nobody listening", always: false, metric: |_, _| "udp_ignored_multi" },
    Layer { title: "no such port", always: false, metric: |_, _| "udp_no_ports" },
    Layer {
        title: "socket buffer full",
        always: false,
        // A raw frame meets no UDP: its socket counts for itself.
        metric: |mode, role| match (mode, role) {
            (Mode::RawBroadcast, Role::Receiver) => "socket_dropped",
            _ => "udp_rcvbuf_errors",
        },
    },
    Layer {
        title: "to the program",
        always: true,
        // A bystander has no program that counts; what UDP handed on would be for one.
        metric: |_, role| if role == Role::Receiver { "delivered" } else { "udp_in_datagrams" },
    },
];

impl Layer {
    fn amount(&self, summary: &[SummaryRow], mode: Mode, role: Role) -> Option<f64> {
        mean(summary, mode, role.as_str(), (self.metric)(mode, role))
    }
}

#[cfg(test)]
mod tests {
    use super::super::example::{rows, setting, snooping};
    use super::*;

    #[test]
    fn layers_at_which_nothing_ended_are_left_out() {
        assert_eq!(funnel(&setting(), &snooping(), Paint::Plain), "");
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
        assert_eq!(funnel(&setting, &[unicast, raw].concat(), Paint::Plain), "");
    }

    #[test]
    fn without_bystanders_there_are_no_lines_for_them() {
        let setting = Setting { hosts: 5, ..setting() };
        let text = funnel(&setting, &snooping(), Paint::Plain);
        assert!(!text.contains("bystander") && text.contains("receiver"), "{text}");
    }
}
