//! Bytes to values and back: no sockets, no clocks.

pub mod chat;
pub mod ethernet;
pub mod igmp;
pub mod ipv4;
pub mod mqtt;
pub mod probe;
