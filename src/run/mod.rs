//! Measuring: a plan of conditions and trials, an agent for each host, the phases of a trial, rows of results.
//!
//! [`measure`] builds the LAN, starts one agent process a host and takes them through the trials of a
//! [`MeasurePlan`]. The runner itself sleeps while messages flow.

pub mod account;
pub mod agent;
pub mod bench;
pub mod event;
pub mod facts;
pub mod host;
pub mod mark;
pub mod outcome;
pub mod phases;
pub mod plan;
pub mod protocol;
pub mod setup;

pub use event::Event;
pub use outcome::Measured;
pub use phases::measure;
pub use plan::{Condition, MeasurePlan};
