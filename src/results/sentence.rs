//! One plain sentence or two a mode: what arrived, and who paid how much, by the figures of this run.

use super::figure;
use super::row::SummaryRow;
use super::setting::Setting;
use super::summary::{mean, sender_cost};
use crate::units::Mode;

/// A text for each mode of the setting, in its order. `summary` as for [`table`](super::table::table).
pub fn sentences(setting: &Setting, summary: &[SummaryRow]) -> Vec<String> {
    setting.modes.iter().map(|&mode| Payers::of(setting, summary, mode).sentence(mode)).collect()
}

/// The means that decide who paid, all for each message.
struct Payers {
    /// Copies the sender has to make.
    copies: usize,
    size_bytes: usize,
    delivered: Option<f64>,
    bystanders: usize,
    sender_frames: Option<f64>,
    sender_cpu: Option<f64>,
    server_frames: Option<f64>,
    server_cpu: Option<f64>,
    server_share: Option<f64>,
    bystander_frames: Option<f64>,
    bystander_cpu: Option<f64>,
    bystander_not_my_mac: Option<f64>,
    bystander_filtered: Option<f64>,
    bystander_share: Option<f64>,
}

impl Payers {
    fn of(setting: &Setting, summary: &[SummaryRow], mode: Mode) -> Payers {
        let mean = |role, metric| mean(summary, mode, role, metric);
        Payers {
            copies: if mode == Mode::Unicast { setting.receivers } else { 1 },
            size_bytes: setting.size_bytes,
            delivered: mean("receiver", "delivered"),
            bystanders: setting.bystanders(mode),
            sender_frames: mean("sender", "link_tx_frames"),
            sender_cpu: mean("sender", sender_cost(summary)),
            server_frames: mean("server", "link_tx_frames"),
            server_cpu: mean("server", "cpu_total"),
            server_share: mean("server", "cpu_share"),
            bystander_frames: mean("bystander", "link_rx_frames"),
            bystander_cpu: mean("bystander", "cpu_total"),
            bystander_not_my_mac: mean("bystander", "link_rx_other_host"),
            bystander_filtered: mean("bystander", "nic_filtered"),
            bystander_share: mean("bystander", "cpu_share"),
        }
    }

    fn sentence(&self, mode: Mode) -> String {
        let Some(sender_frames) = self.sender_frames else {
            return format!("{mode}: not measured, so nobody can say who paid.");
        };
        let server = if mode.has_server() { self.server() } else { String::new() };
        format!(
            "{mode}: {}{}{}. {}{server}; {}.",
            self.arrived(),
            self.makers(mode),
            self.others(),
            self.sender(sender_frames, mode),
            self.bystanders()
        )
    }

    /// What did not arrive comes first: who pays for nothing has not spared anybody anything.
    fn arrived(&self) -> String {
        match self.delivered {
            Some(none) if none <= 0.0 => "no message arrived; ".to_owned(),
            Some(some) if some < 1.0 => format!("{} of the messages arrived; ", figure::share(Some(some))),
            Some(_) | None => String::new(),
        }
    }

    /// Who makes the copies. A datagram that leaves as several frames is no more than one.
    fn makers(&self, mode: Mode) -> String {
        let is_server_known = self.server_frames.or(self.server_cpu).is_some();
        match (mode.has_server(), is_server_known, self.copies) {
            (true, true, _) => "the server paid for the copies".to_owned(),
            (true, false, _) => "what the server paid was not measured".to_owned(),
            (false, _, 1) => "the sender paid for one copy".to_owned(),
            (false, _, copies) => format!("the sender paid for {copies} copies"),
        }
    }

    /// What those paid who want nothing.
    fn others(&self) -> String {
        match (self.bystanders, self.bystanders_hit(), self.bystander_share) {
            (0, ..) => String::new(),
            (_, None, _) => ", what the bystanders paid was not measured".to_owned(),
            (_, Some(false), _) => ", the bystanders nothing".to_owned(),
            (_, Some(true), Some(share)) => {
                format!(", the bystanders {} of the PCs' CPU time", figure::share(Some(share)))
            }
            (_, Some(true), None) => ", the bystanders for frames they do not want".to_owned(),
        }
    }

    /// Whether more than stray frames reached the bystanders; `None` where that was not measured.
    fn bystanders_hit(&self) -> Option<bool> {
        if self.bystanders == 0 { Some(false) } else { self.bystander_frames.map(|frames| frames >= STRAY) }
    }

    fn sender(&self, frames: f64, mode: Mode) -> String {
        let mut text = format!("The sender sent {} for each message", frames_in_words(frames));
        // Of a stream TCP makes frames as it sees fit, and acknowledgements are frames as well.
        let per_copy = frames / self.copies.max(1) as f64;
        if !mode.has_server() && per_copy >= FRAGMENTED {
            let (each, bytes) = (figure::amount(Some(per_copy)), figure::count(self.size_bytes as f64));
            text += &format!(" ({each} a copy: {bytes} bytes do not fit into one)");
        }
        if let Some(cpu) = self.sender_cpu {
            text += &format!(" and spent {} µs of CPU time on sending it", figure::cost(Some(cpu)));
            match mode {
                Mode::Broadcast => text += " (with its own copy, which its kernel loops back)",
                Mode::Chat => text += " (with its own copy, which the server sends back)",
                Mode::Unicast | Mode::RawBroadcast | Mode::Multicast | Mode::Pubsub => {}
            }
        }
        text
    }

    fn server(&self) -> String {
        let frames = self.server_frames.map(|frames| format!("sent {}", frames_in_words(frames)));
        let cpu = self.server_cpu.map(|cpu| format!("spent {} µs", figure::cost(Some(cpu))));
        let costs: Vec<String> = frames.into_iter().chain(cpu).collect();
        if costs.is_empty() {
            return String::new();
        }
        let share = self.server_share.map(|share| format!(", {} of the PCs' CPU time", figure::share(Some(share))));
        format!("; the server, which makes the copies, {}{}", costs.join(" and "), share.unwrap_or_default())
    }

    fn bystanders(&self) -> String {
        if self.bystanders == 0 {
            return "there was no bystander".to_owned();
        }
        let Some(frames) = self.bystander_frames else {
            return "what reached the bystanders is not known".to_owned();
        };
        let mut text = if frames == 0.0 {
            "nothing reached the bystanders".to_owned()
        } else {
            format!("each bystander, which wants nothing, got {}", frames_in_words(frames))
        };
        if let Some(cpu) = self.bystander_cpu {
            let each = if frames == 0.0 { " and each spent " } else { " and spent " };
            text += &format!("{each}{} µs", figure::cost(Some(cpu)));
        }
        if self.bystander_share.is_some() {
            text += &format!(", all of them together {} of the PCs' CPU time", figure::share(self.bystander_share));
        }
        if let Some(filtered) = self.bystander_filtered.filter(|filtered| *filtered >= STRAY) {
            text += &format!(", and the card of each dropped {}", frames_in_words(filtered));
        }
        if let Some(foreign) = self.bystander_not_my_mac.filter(|foreign| *foreign >= STRAY) {
            text += &format!(
                " ({} of the frames were \"not my MAC\": a real network card drops those at no cost to the CPU)",
                figure::amount(Some(foreign))
            );
        }
        text
    }
}

/// From this many frames a copy on, it leaves in fragments.
const FRAGMENTED: f64 = 1.5;

/// Below this many frames a message, it is no more than a query or so in the whole trial.
const STRAY: f64 = 0.005;

fn frames_in_words(frames: f64) -> String {
    let amount = figure::amount(Some(frames));
    if amount == "1.00" { format!("{amount} frame") } else { format!("{amount} frames") }
}

#[cfg(test)]
mod tests {
    use super::super::example::{rows, setting, snooping};
    use super::*;

    fn of(mode: Mode, values: &[(&str, &str, f64)]) -> String {
        let setting = Setting { modes: vec![mode], ..setting() };
        sentences(&setting, &rows(mode, 0.0, values)).concat()
    }

    #[test]
    fn snooping_switch() {
        assert_eq!(
            sentences(&setting(), &snooping()),
            [
                "unicast: the sender paid for 4 copies, the bystanders nothing. The sender sent 4.00 frames for each message and spent 14.2 µs of CPU time on sending it; nothing reached the bystanders and each spent 0.00 µs, all of them together 0 % of the PCs' CPU time.",
                "broadcast: the sender paid for one copy, the bystanders 68 % of the PCs' CPU time. The sender sent 1.00 frame for each message and spent 6.30 µs of CPU time on sending it (with its own copy, which its kernel loops back); each bystander, which wants nothing, got 1.00 frame and spent 5.21 µs, all of them together 68 % of the PCs' CPU time.",
                "raw-broadcast: the sender paid for one copy, the bystanders 64 % of the PCs' CPU time. The sender sent 1.00 frame for each message and spent 4.40 µs of CPU time on sending it; each bystander, which wants nothing, got 1.00 frame and spent 4.02 µs, all of them together 64 % of the PCs' CPU time.",
                "multicast: the sender paid for one copy, the bystanders nothing. The sender sent 1.00 frame for each message and spent 4.70 µs of CPU time on sending it; nothing reached the bystanders and each spent 0.00 µs, all of them together 0 % of the PCs' CPU time.",
            ]
        );
    }

    #[test]
    fn a_server_pays_for_the_copies() {
        // The sender's acknowledgements are frames, and no copies.
        let values = [
            ("sender", "link_tx_frames", 1.7),
            ("sender", "cpu_total", 40.0),
            ("server", "link_tx_frames", 5.1),
            ("server", "cpu_total", 61.5),
            ("server", "cpu_share", 0.36),
            ("bystander", "link_rx_frames", 0.0),
            ("bystander", "cpu_total", 0.0),
        ];
        assert_eq!(
            of(Mode::Chat, &values),
            "chat: the server paid for the copies, the bystanders nothing. The sender sent 1.70 frames for each message and spent 40.0 µs of CPU time on sending it (with its own copy, which the server sends back); the server, which makes the copies, sent 5.10 frames and spent 61.5 µs, 36 % of the PCs' CPU time; nothing reached the bystanders and each spent 0.00 µs."
        );
        // A broker sends the publisher nothing back. On a hub its copies reach everybody.
        let on_a_hub = [
            ("sender", "link_tx_frames", 1.0),
            ("sender", "cpu_total", 40.0),
            ("server", "link_tx_frames", 4.1),
            ("bystander", "link_rx_frames", 6.0),
            ("bystander", "link_rx_other_host", 6.0),
        ];
        assert_eq!(
            of(Mode::Pubsub, &on_a_hub),
            "pubsub: the server paid for the copies, the bystanders for frames they do not want. The sender sent 1.00 frame for each message and spent 40.0 µs of CPU time on sending it; the server, which makes the copies, sent 4.10 frames; each bystander, which wants nothing, got 6.00 frames (6.00 of the frames were \"not my MAC\": a real network card drops those at no cost to the CPU)."
        );
    }

    #[test]
    fn a_server_that_was_not_measured_is_not_said_to_have_paid() {
        assert_eq!(
            of(Mode::Pubsub, &[("sender", "link_tx_frames", 1.0), ("bystander", "link_rx_frames", 0.0)]),
            "pubsub: what the server paid was not measured, the bystanders nothing. The sender sent 1.00 frame for each message; nothing reached the bystanders."
        );
        assert_eq!(
            of(Mode::Pubsub, &[("sender", "link_tx_frames", 1.0), ("server", "link_tx_frames", 4.1)]),
            "pubsub: the server paid for the copies, what the bystanders paid was not measured. The sender sent 1.00 frame for each message; the server, which makes the copies, sent 4.10 frames; what reached the bystanders is not known."
        );
        // The place of the only host that wants nothing is the server's.
        let setting = Setting { hosts: 4, receivers: 2, modes: vec![Mode::Unicast, Mode::Chat], ..setting() };
        let sent = |mode| rows(mode, 0.0, &[("sender", "link_tx_frames", 1.0), ("server", "link_tx_frames", 3.0)]);
        let said = sentences(&setting, &[sent(Mode::Unicast), sent(Mode::Chat)].concat());
        assert!(said[0].ends_with("what reached the bystanders is not known."), "{said:?}");
        assert_eq!(
            said[1],
            "chat: the server paid for the copies. The sender sent 1.00 frame for each message; the server, which makes the copies, sent 3.00 frames; there was no bystander."
        );
    }

    #[test]
    fn flooded_multicast_is_paid_by_bystanders() {
        assert_eq!(
            of(
                Mode::Multicast,
                &[
                    ("sender", "link_tx_frames", 1.0),
                    ("sender", "cpu_total", 4.7),
                    ("bystander", "link_rx_frames", 1.0),
                    ("bystander", "cpu_total", 4.4),
                    ("bystander", "cpu_share", 0.66),
                ]
            ),
            "multicast: the sender paid for one copy, the bystanders 66 % of the PCs' CPU time. The sender sent 1.00 frame for each message and spent 4.70 µs of CPU time on sending it; each bystander, which wants nothing, got 1.00 frame and spent 4.40 µs, all of them together 66 % of the PCs' CPU time."
        );
    }

    #[test]
    fn unicast_on_a_hub_reaches_the_bystanders_kernels() {
        assert_eq!(
            of(
                Mode::Unicast,
                &[
                    ("sender", "link_tx_frames", 4.0),
                    ("bystander", "link_rx_frames", 4.0),
                    ("bystander", "link_rx_other_host", 4.0),
                    ("bystander", "cpu_total", 7.25),
                ]
            ),
            "unicast: the sender paid for 4 copies, the bystanders for frames they do not want. The sender sent 4.00 frames for each message; each bystander, which wants nothing, got 4.00 frames and spent 7.25 µs (4.00 of the frames were \"not my MAC\": a real network card drops those at no cost to the CPU)."
        );
    }

    #[test]
    fn what_did_not_arrive_comes_first() {
        let verdict = |delivered, bystander| {
            let values = [
                ("sender", "link_tx_frames", 1.0),
                ("receiver", "delivered", delivered),
                ("bystander", "link_rx_frames", bystander),
            ];
            let text = of(Mode::Multicast, &values);
            text.split_once(". ").unwrap().0.to_owned()
        };
        // A quiet switch whom nobody asks spares everybody, members included.
        assert_eq!(
            verdict(0.0, 0.0),
            "multicast: no message arrived; the sender paid for one copy, the bystanders nothing"
        );
        assert_eq!(
            verdict(0.56, 0.0),
            "multicast: 56 % of the messages arrived; the sender paid for one copy, the bystanders nothing"
        );
        assert_eq!(
            verdict(0.9999, 1.0),
            "multicast: >99 % of the messages arrived; the sender paid for one copy, the bystanders for frames they do not want"
        );
        assert_eq!(verdict(1.0, 0.0), "multicast: the sender paid for one copy, the bystanders nothing");
    }

    #[test]
    fn fragments_are_no_copies() {
        let setting = |mode| Setting { modes: vec![mode], size_bytes: 3000, ..setting() };
        let said = |mode, frames| {
            let values = [
                ("sender", "link_tx_frames", frames),
                ("server", "link_tx_frames", 5.0),
                ("bystander", "link_rx_frames", 0.0),
            ];
            sentences(&setting(mode), &rows(mode, 0.0, &values)).concat()
        };
        assert_eq!(
            said(Mode::Multicast, 3.0),
            "multicast: the sender paid for one copy, the bystanders nothing. The sender sent 3.00 frames for each message (3.00 a copy: 3,000 bytes do not fit into one); nothing reached the bystanders."
        );
        assert!(
            said(Mode::Unicast, 12.0).starts_with(
                "unicast: the sender paid for 4 copies, the bystanders nothing. The sender sent 12.00 frames for each message (3.00 a copy:"
            ),
            "{}",
            said(Mode::Unicast, 12.0)
        );
        // A few copies fewer, as some were lost on the sender's own link, are no fragments, nor are TCP's segments.
        assert!(!said(Mode::Unicast, 3.9).contains("a copy"));
        assert!(!said(Mode::Chat, 3.0).contains("a copy"));
    }

    #[test]
    fn a_small_share_is_said_to_be_small() {
        let share = |share| {
            let values = [
                ("sender", "link_tx_frames", 1.0),
                ("bystander", "link_rx_frames", 1.0),
                ("bystander", "cpu_share", share),
            ];
            of(Mode::Broadcast, &values)
        };
        assert!(
            share(0.04)
                .starts_with("broadcast: the sender paid for one copy, the bystanders 4 % of the PCs' CPU time. ")
        );
        assert!(share(0.001).contains("the bystanders <1 % of"), "{}", share(0.001));
    }

    #[test]
    fn what_a_card_kept_from_a_bystander_is_said() {
        let values = [
            ("sender", "link_tx_frames", 1.0),
            ("bystander", "link_rx_frames", 0.0),
            ("bystander", "nic_filtered", 1.0),
        ];
        assert_eq!(
            of(Mode::Multicast, &values),
            "multicast: the sender paid for one copy, the bystanders nothing. The sender sent 1.00 frame for each message; nothing reached the bystanders, and the card of each dropped 1.00 frame."
        );
    }

    #[test]
    fn only_what_was_measured_is_said() {
        assert_eq!(of(Mode::Unicast, &[]), "unicast: not measured, so nobody can say who paid.");
        assert_eq!(
            of(Mode::Unicast, &[("sender", "link_tx_frames", 4.0)]),
            "unicast: the sender paid for 4 copies, what the bystanders paid was not measured. The sender sent 4.00 frames for each message; what reached the bystanders is not known."
        );
        let one_to_one = Setting { hosts: 2, receivers: 1, modes: vec![Mode::Unicast], ..setting() };
        assert_eq!(
            sentences(&one_to_one, &rows(Mode::Unicast, 0.0, &[("sender", "link_tx_frames", 1.0)])),
            [
                "unicast: the sender paid for one copy. The sender sent 1.00 frame for each message; there was no bystander.",
            ]
        );
    }
}
