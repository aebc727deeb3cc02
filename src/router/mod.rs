//! A small multicast router's program: asks each of its links who wants which groups (IGMP querier), listens to the
//! answers, and has the kernel send groups on to the links that want them.
//!
//! [`plan`] says how it asks, [`members`] remembers who wants what (pure), [`forwarder`] is the thread that does it all,
//! [`cache`] reads what the kernel counted.
//!
//! Or, where its LANs are to be far apart, a program that forwards unicast and keeps it for a while: [`distance`] says what
//! becomes of a frame (pure), `queue` has those on their way (pure), [`delay`] is its threads.
//!
//! The querier takes no part in the election of a querier (RFC 3376 section 6.6.2): it is the only router of its links. Between
//! routers it speaks no protocol; a source is taken to be where its first packet came from.

pub mod cache;
pub mod delay;
pub mod distance;
pub mod forwarder;
pub mod members;
pub mod plan;
mod queue;

pub use cache::RouteCounts;
pub use delay::{Delay, DelayCounts};
pub use distance::DelayPlan;
pub use forwarder::{Counts, Forwarder};
pub use plan::{ForwarderPlan, QuerierPlan};
