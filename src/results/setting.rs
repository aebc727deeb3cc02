//! What is the same for all modes of one table.

use std::fmt;

use super::figure;
use crate::units::{Mode, Rate};

/// One setting: the conditions that differ in nothing but the mode. Prints as the heading of its table.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    /// What the lab calls the case it belongs to; empty without one.
    pub case: String,
    /// Hosts on the LAN: the sender, receivers, bystanders and the server.
    pub hosts: usize,
    /// Those that want the messages.
    pub receivers: usize,
    /// Whether one of the others is the server, in modes that have one.
    pub has_server: bool,
    /// Messages a second asked for.
    pub rate: Rate,
    /// UDP payload of a message.
    pub size_bytes: usize,
    /// Repeats asked for of each mode.
    pub trials: u32,
    /// The switch in words: `switch with IGMP snooping`.
    pub switch: String,
    /// The modes, in the order of the table.
    pub modes: Vec<Mode>,
}

impl Setting {
    /// Hosts that want nothing; one of them is the server, in modes that have one.
    pub fn bystanders(&self) -> usize {
        self.hosts.saturating_sub(1 + self.receivers)
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rate = match self.rate {
            Rate::PerSecond(rate) => format!("{} messages/s", figure::count(rate)),
            Rate::Max => "as many messages/s as the sender can".to_owned(),
        };
        if !self.case.is_empty() {
            write!(f, "{} · ", self.case)?;
        }
        write!(
            f,
            "1 sender · {} · {}{} · {rate} · {} B · {} · {}",
            plural(self.receivers, "receiver"),
            if self.has_server { "1 server · " } else { "" },
            plural(self.bystanders() - usize::from(self.has_server && self.bystanders() > 0), "bystander"),
            figure::count(self.size_bytes as f64),
            plural(self.trials as usize, "repeat"),
            self.switch
        )
    }
}

fn plural(count: usize, noun: &str) -> String {
    format!("{} {noun}{}", figure::count(count as f64), if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heading() {
        let mut setting = Setting {
            case: String::new(),
            hosts: 21,
            receivers: 4,
            has_server: false,
            rate: Rate::PerSecond(2000.0),
            size_bytes: 64,
            trials: 5,
            switch: "switch with IGMP snooping".to_owned(),
            modes: Mode::OF_THE_NETWORK.to_vec(),
        };
        assert_eq!(
            setting.to_string(),
            "1 sender · 4 receivers · 16 bystanders · 2,000 messages/s · 64 B · 5 repeats · switch with IGMP snooping"
        );
        setting = Setting { hosts: 2, receivers: 1, rate: Rate::Max, trials: 1, switch: "hub".to_owned(), ..setting };
        assert_eq!(
            setting.to_string(),
            "1 sender · 1 receiver · 0 bystanders · as many messages/s as the sender can · 64 B · 1 repeat · hub"
        );
    }
}
