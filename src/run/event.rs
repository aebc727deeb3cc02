//! What happens during a run, for whoever shows it.

use std::time::Duration;

use super::mark::Mark;
use super::plan::Trial;

/// One step of a run.
#[derive(Clone, Debug)]
pub enum Event {
    /// The LAN exists.
    LanUp {
        /// How long it took.
        took: Duration,
    },
    /// All agents answered.
    AgentsReady {
        /// How long it took.
        took: Duration,
    },
    /// The LAN is being checked and calibrated.
    Calibrating,
    /// A rate is tried out.
    TryingRate {
        /// Messages a second.
        rate: f64,
    },
    /// A trial begins.
    TrialStarted {
        /// Its condition's name.
        condition: String,
        /// Which.
        trial: Trial,
        /// How many trials ended before it.
        done: usize,
        /// Of how many.
        of: usize,
    },
    /// Time passes; a moment to redraw.
    Tick,
    /// A trial has ended and its rows are on disk.
    TrialEnded {
        /// Its condition's name.
        condition: String,
        /// Which.
        trial: Trial,
        /// What was wrong with it; empty when nothing was.
        marks: Vec<Mark>,
    },
}
