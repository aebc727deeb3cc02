//! What speaks against using a trial, and from where on it does.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A sender this far behind its schedule did not offer the load asked for.
pub const TOLERATED_LAG: f64 = 0.01;
/// CPU time that other programs may take for each ns that the run takes.
pub const TOLERATED_FOREIGN: f64 = 0.5;
/// How much longer than usual a fixed piece of work may take around a trial.
pub const TOLERATED_SLOWDOWN: f64 = 1.25;
/// Share of the machine's CPU time that a hypervisor may give to others.
pub const TOLERATED_STEAL: f64 = 0.05;
/// Attributed / used CPU time outside of this is doubtful.
pub const TOLERATED_CLOSURE: std::ops::RangeInclusive<f64> = 0.80..=1.05;

/// Why a trial is left out of the figures.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mark {
    /// A host's agent ended.
    HostLost {
        /// The host.
        host: String,
    },
    /// The sender reached only this many messages a second.
    BehindSchedule {
        /// Messages a second.
        held: f64,
    },
    /// Link rings or queues were full.
    RingOverflow {
        /// Frames lost there.
        frames: u64,
    },
    /// Sockets' receive buffers were full.
    SocketBufferOverflow {
        /// Datagrams lost there.
        messages: u64,
    },
    /// The LAN was still busy when the wait for it ended.
    NotDrained,
    /// Attributed / used CPU time is out of bounds.
    Closure(f64),
    /// CPU time that other programs took for each ns that the run took, and their share of the machine.
    ForeignLoad {
        /// 0.5 is half as much as the run.
        beside: f64,
        /// Of the machine, 0 to 1.
        share: f64,
    },
    /// How many times as long as usual a fixed piece of work took: something that shares the CPU itself was busy, or it was
    /// clocked down.
    Slowdown(f64),
    /// Share of the machine that the hypervisor gave to others.
    Steal(f64),
}

impl Mark {
    /// Whether it speaks against counts too, and not against times alone.
    pub fn spoils_counts(&self) -> bool {
        match self {
            Mark::HostLost { .. }
            | Mark::RingOverflow { .. }
            | Mark::SocketBufferOverflow { .. }
            | Mark::NotDrained => true,
            Mark::BehindSchedule { .. }
            | Mark::Closure(_)
            | Mark::ForeignLoad { .. }
            | Mark::Slowdown(_)
            | Mark::Steal(_) => false,
        }
    }

    /// Whether something outside the run is to blame, so that another trial may be spared it.
    pub fn is_disturbance(&self) -> bool {
        matches!(self, Mark::HostLost { .. } | Mark::ForeignLoad { .. } | Mark::Slowdown(_) | Mark::Steal(_))
    }

    /// The rate a sender held that was behind its schedule.
    pub fn held(&self) -> Option<f64> {
        if let Mark::BehindSchedule { held } = self { Some(*held) } else { None }
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Mark::HostLost { host } => write!(f, "{host} was lost"),
            Mark::BehindSchedule { held } => write!(f, "sender behind schedule ({held:.0} messages/s)"),
            Mark::RingOverflow { frames } => write!(f, "ring overflow ({frames} frames)"),
            Mark::SocketBufferOverflow { messages } => write!(f, "socket buffer overflow ({messages} messages)"),
            Mark::NotDrained => f.write_str("backlog left at the end"),
            Mark::Closure(closure) => write!(f, "{:.0} % of CPU time accounted for", closure * 100.0),
            Mark::ForeignLoad { beside, share } => {
                let (share, beside) = (share * 100.0, beside * 100.0);
                write!(f, "other programs took {share:.0} % of the machine, {beside:.0} % of what the run took")
            }
            Mark::Slowdown(times) => write!(f, "the CPU was {times:.1} times as slow as usual"),
            Mark::Steal(share) => write!(f, "the hypervisor took {:.0} % of the machine", share * 100.0),
        }
    }
}
