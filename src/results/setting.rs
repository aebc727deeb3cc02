//! What is the same for all modes of one table.

use std::fmt;

use super::figure;
use crate::units::{Mode, Rate, Role};

/// One setting: the conditions that differ in nothing but the mode. Prints as the heading of its table.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    /// What the lab calls the case it belongs to; empty without one.
    pub case: String,
    /// Hosts on the LAN: the sender, receivers, bystanders and the server.
    pub hosts: usize,
    /// Those that want the messages.
    pub receivers: usize,
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

/// The roles of hosts that packets may end at, in the order of the tables.
pub const LISTENERS: [Role; 3] = [Role::Server, Role::Receiver, Role::Bystander];

impl Setting {
    /// Whether any of its modes has a server.
    pub fn has_server(&self) -> bool {
        self.modes.iter().any(|mode| mode.has_server())
    }

    /// Hosts that want nothing. Where a mode has no server, the host that is it in others is one of them.
    pub fn bystanders(&self, mode: Mode) -> usize {
        self.hosts.saturating_sub(1 + self.receivers + usize::from(mode.has_server()))
    }

    /// Those [`LISTENERS`] that there are in a mode.
    pub fn listeners(&self, mode: Mode) -> Vec<Role> {
        let there_are = |role: &Role| match role {
            Role::Server => mode.has_server(),
            Role::Bystander => self.bystanders(mode) > 0,
            _ => true,
        };
        LISTENERS.into_iter().filter(there_are).collect()
    }

    /// Who is neither the sender nor a receiver, in words.
    fn others(&self) -> String {
        let (mut direct, mut served) = (None, None);
        for &mode in &self.modes {
            *(if mode.has_server() { &mut served } else { &mut direct }) = Some(self.bystanders(mode));
        }
        match (direct, served) {
            (Some(direct), Some(0)) => plural(direct, "bystander") + " or a server",
            (Some(direct), Some(served)) => {
                format!("{} or {} and a server", plural(direct, "bystander"), figure::count(served as f64))
            }
            (None, Some(served)) => format!("1 server · {}", plural(served, "bystander")),
            (direct, None) => plural(direct.unwrap_or(self.hosts.saturating_sub(1 + self.receivers)), "bystander"),
        }
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
            "1 sender · {} · {} · {rate} · {} B · {} · {}",
            plural(self.receivers, "receiver"),
            self.others(),
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

    #[test]
    fn a_server_takes_the_place_of_a_bystander_in_its_modes_alone() {
        let others = |hosts, modes: &[Mode]| {
            let setting = Setting { hosts, modes: modes.to_vec(), ..super::super::example::setting() };
            setting.to_string().split_once(" · 2,000").map(|(heading, _)| heading.to_owned()).unwrap()
        };
        let mixed = [Mode::Multicast, Mode::Chat, Mode::Pubsub];
        assert_eq!(others(12, &mixed), "1 sender · 4 receivers · 7 bystanders or 6 and a server");
        assert_eq!(others(7, &mixed), "1 sender · 4 receivers · 2 bystanders or 1 and a server");
        assert_eq!(others(6, &mixed), "1 sender · 4 receivers · 1 bystander or a server");
        assert_eq!(others(12, &mixed[1..]), "1 sender · 4 receivers · 1 server · 6 bystanders");
        assert_eq!(others(12, &mixed[..1]), "1 sender · 4 receivers · 7 bystanders");

        let setting = Setting { hosts: 6, modes: mixed.to_vec(), ..super::super::example::setting() };
        assert_eq!(setting.listeners(Mode::Multicast), [Role::Receiver, Role::Bystander]);
        assert_eq!(setting.listeners(Mode::Chat), [Role::Server, Role::Receiver]);
    }
}
