//! Publish and subscribe by MQTT: a broker inside the program, and clients of it or of any other broker.
//!
//! | Where is … | in |
//! |---|---|
//! | starting, ending and counting a broker | [`broker`] |
//! | its accept loop and its upkeep | `server.rs`; who is connected, who only waits: `table.rs`; who may: `access.rs` |
//! | user and password | [`secret`] |
//!
//! The async runtime that the broker's crate demands stays in here; outside, everything blocks.

mod access;
pub mod broker;
pub mod secret;
mod server;
mod table;
