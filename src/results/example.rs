//! Invented figures for the tests of what is shown.

use super::row::SummaryRow;
use super::setting::Setting;
use crate::units::{Mode, Rate};

/// 21 hosts, 4 receivers, all modes.
pub(super) fn setting() -> Setting {
    Setting {
        case: String::new(),
        hosts: 21,
        receivers: 4,
        rate: Rate::PerSecond(2000.0),
        size_bytes: 64,
        trials: 5,
        switch: "switch with IGMP snooping".to_owned(),
        modes: Mode::OF_THE_NETWORK.to_vec(),
    }
}

/// Rows of one mode, each from 5 trials that spread by `spread` about the value: −1, −½, 0, ½ and 1 times it.
pub(super) fn rows(mode: Mode, spread: f64, values: &[(&str, &str, f64)]) -> Vec<SummaryRow> {
    values
        .iter()
        .filter_map(|(role, metric, value)| {
            let trials = [-1.0, -0.5, 0.0, 0.5, 1.0].map(|part| value * (1.0 + spread * part));
            SummaryRow::of(mode.as_str(), mode, role, metric, "", &trials)
        })
        .collect()
}

/// What a snooping switch does.
pub(super) fn snooping() -> Vec<SummaryRow> {
    let exact = |mode, sent, links, bystander, raw| {
        let ip = if raw { 0.0 } else { 1.0 };
        let mut values = vec![
            ("sender", "link_tx_frames", sent),
            ("sender", "rate", 2000.0),
            ("all", "link_frames", links),
            ("receiver", "delivered", 1.0),
        ];
        for (role, frames) in [("receiver", 1.0), ("bystander", bystander)] {
            values.extend([
                (role, "link_rx_frames", frames),
                (role, "link_ring_dropped", 0.0),
                (role, "link_rx_other_host", 0.0),
                (role, "link_rx_dropped", if raw && role == "bystander" { frames } else { 0.0 }),
                (role, "ip_in_receives", frames * ip),
                (role, "ip_in_discards", 0.0),
                (role, "ip_not_joined", 0.0),
                (role, "udp_ignored_multi", if role == "bystander" { frames * ip } else { 0.0 }),
                (role, "udp_no_ports", 0.0),
                (role, "udp_rcvbuf_errors", 0.0),
            ]);
        }
        values.extend([("receiver", "socket_dropped", 0.0), ("bystander", "udp_in_datagrams", 0.0)]);
        rows(mode, 0.0, &values)
    };
    let cost = |mode, sender, receiver, bystander, share, switch| {
        rows(
            mode,
            0.05,
            &[
                ("sender", "cpu_total", sender),
                ("receiver", "cpu_total", receiver),
                ("bystander", "cpu_total", bystander),
                ("bystander", "cpu_share", share),
                ("switch", "cpu_total", switch),
            ],
        )
    };
    [
        exact(Mode::Unicast, 4.0, 8.0, 0.0, false),
        cost(Mode::Unicast, 14.2, 8.1, 0.0, 0.0, 9.3),
        exact(Mode::Broadcast, 1.0, 21.0, 1.0, false),
        cost(Mode::Broadcast, 6.3, 7.9, 5.21, 0.68, 24.6),
        exact(Mode::RawBroadcast, 1.0, 21.0, 1.0, true),
        cost(Mode::RawBroadcast, 4.4, 7.7, 4.02, 0.64, 24.1),
        exact(Mode::Multicast, 1.0, 5.0, 0.0, false),
        cost(Mode::Multicast, 4.7, 7.9, 0.0, 0.0, 7.2),
    ]
    .concat()
}
