//! The rows of one trial, and whose of them a figure is about.

use super::row::HostRow;
use crate::units::Role;

/// The name of the LAN as a whole where a role could stand.
pub const ALL: &str = "all";

/// Whom a figure is about. Named in `summary.csv` and in labs by [`Who::named`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who<'a> {
    /// The LAN as a whole.
    Lan,
    /// All hosts of a role.
    Role(Role),
    /// The hosts of the group of this name, which is neither empty nor a role's.
    Group(&'a str),
}

const ROLES: [Role; 6] = [Role::Sender, Role::Server, Role::Receiver, Role::Bystander, Role::Router, Role::Switch];

impl<'a> Who<'a> {
    /// `all`, a role's name, or else that of a group; `None` without a name.
    pub fn named(name: &'a str) -> Option<Who<'a>> {
        match ROLES.into_iter().find(|role| role.as_str() == name) {
            Some(role) => Some(Who::Role(role)),
            None if name == ALL => Some(Who::Lan),
            None => (!name.is_empty()).then_some(Who::Group(name)),
        }
    }

    /// Whether a host belongs to it; the LAN's are all but the switch.
    fn has(self, row: &HostRow) -> bool {
        match self {
            Who::Lan => row.role != Role::Switch,
            Who::Role(role) => row.role == role,
            Who::Group(name) => row.group == name,
        }
    }
}

/// The rows of one trial that counts.
#[derive(Clone, Debug)]
pub struct Trial<'a> {
    rows: Vec<&'a HostRow>,
    sender: &'a HostRow,
}

impl<'a> Trial<'a> {
    /// `None` when the counts of any host are not valid: without a host that was lost it would be another trial, with
    /// fewer receivers or bystanders, and a refusal for each copy sent to it.
    pub fn of(rows: Vec<&'a HostRow>) -> Option<Trial<'a>> {
        let sender = rows.iter().copied().find(|row| row.role == Role::Sender)?;
        rows.iter().all(|row| row.counts_valid).then_some(Trial { rows, sender })
    }

    /// All rows, the switch's too.
    pub fn rows(&self) -> &[&'a HostRow] {
        &self.rows
    }

    /// Repetition of its condition, from 1.
    pub fn number(&self) -> u32 {
        self.sender.trial
    }

    /// Whether its times count, and not its counts alone.
    pub fn is_timed(&self) -> bool {
        self.sender.valid
    }

    /// Messages sent, above 0; `None` where that is not known.
    pub fn messages(&self) -> Option<f64> {
        self.sender.messages_sent.filter(|sent| *sent > 0).map(|sent| sent as f64)
    }

    /// The sender's row.
    pub fn sender(&self) -> &'a HostRow {
        self.sender
    }

    /// Due times at which messages were sent, above 0; `None` where that is not known.
    pub fn wake_ups(&self) -> Option<f64> {
        self.sender.wake_ups.filter(|wake_ups| *wake_ups > 0).map(|wake_ups| wake_ups as f64)
    }

    /// Length of the send window in s, above 0; `None` where that is not known.
    pub fn window_s(&self) -> Option<f64> {
        self.sender.duration_s.filter(|duration| *duration > 0.0)
    }

    /// The hosts.
    pub fn hosts(&self, who: Who<'a>) -> impl Iterator<Item = &'a HostRow> {
        self.rows.iter().copied().filter(move |row| who.has(row))
    }
}
