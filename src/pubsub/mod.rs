//! Publish and subscribe by MQTT: a broker inside the program, and clients of it or of any other broker.
//!
//! | Where is … | in |
//! |---|---|
//! | a broker | [`broker`], a folder of its own |
//! | who comes and goes, for whoever watches | [`news`] |
//! | publishing and subscribing | [`client`]; at a rate: [`publisher`] |
//! | how its connection is made, and made again | `connect.rs` |
//! | what a client remembers of its messages (pure) | `session.rs` |
//! | why a connection broke, in words | `reason.rs` |
//! | bytes to and from a broker, over TCP or TLS | `link.rs`; whom it trusts: `tls.rs` |
//! | what is published; topics and filters | [`message`] |
//! | how a broker's address is written; user and password | [`url`], [`secret`] |
//!
//! Packets are those of [`crate::wire::mqtt`].

pub mod broker;
pub mod client;
mod connect;
mod link;
pub mod message;
pub mod news;
pub mod publisher;
mod reason;
pub mod secret;
mod session;
mod tls;
pub mod url;
