//! Publish and subscribe by MQTT: a broker inside the program, and clients of it or of any other broker.
//!
//! | Where is … | in |
//! |---|---|
//! | starting, ending and counting a broker | [`broker`] |
//! | who comes and goes, for whoever watches | [`news`] |
//! | its accept loop and its upkeep | `server.rs`; who is connected, who only waits: `table.rs`; who may: `access.rs` |
//! | what waits for a client that reads slowly | `outlet.rs` |
//! | publishing and subscribing | [`client`]; at a rate: [`publisher`] |
//! | how its connection is made, and made again | `connect.rs` |
//! | what a client remembers of its messages (pure) | `session.rs` |
//! | why a connection broke, in words | `reason.rs` |
//! | bytes to and from a broker, over TCP or TLS | `link.rs`; whom it trusts: `tls.rs` |
//! | what is published; topics and filters | [`message`] |
//! | how a broker's address is written; user and password | [`url`], [`secret`] |
//!
//! The async runtime that the broker's crate demands stays in here; outside, everything blocks. The clients have none.

mod access;
pub mod broker;
pub mod client;
mod connect;
mod link;
pub mod message;
pub mod news;
mod outlet;
pub mod publisher;
mod reason;
pub mod secret;
mod server;
mod session;
mod table;
mod tls;
pub mod url;
