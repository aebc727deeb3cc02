//! Measuring: a plan of conditions and trials, an agent for each host, the phases of a trial, rows of results.
//!
//! A [`Design`] of factors becomes a [`MeasurePlan`] of [`Condition`]s. [`measure`] builds the networks it needs, starts
//! one agent process a host and takes them through the trials. The runner itself sleeps while messages flow.

pub mod account;
pub mod agent;
mod attend;
pub mod bench;
mod check;
pub mod condition;
pub mod design;
pub mod event;
pub mod factor;
pub mod facts;
pub mod host;
pub mod mark;
mod naming;
pub mod outcome;
mod pace;
pub mod part;
pub mod phases;
pub mod plan;
pub mod presence;
pub mod protocol;
pub mod refused;
pub mod send;
pub mod serve;
pub mod setup;
pub mod site;
pub mod work;

pub use crate::delivery::BroadcastAddress;
pub use condition::{Attribution, Condition};
pub use design::{Case, Design};
pub use event::Event;
pub use outcome::{Limit, Measured};
pub use phases::measure;
pub use plan::MeasurePlan;
pub use refused::Refused;
