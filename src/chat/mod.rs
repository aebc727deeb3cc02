//! The chat: a server that relays what each client says to all of them, its clients, and the same without a server.
//!
//! ```text
//!  client                      server (server.rs)
//! ┌──────────────┐ a stream  ┌─────────────────────────────────────────────┐
//! │ types: SAY … ┼───────────┼► a thread per client: reads a line ─┐       │      ┌───────────────────┐
//! │              │ connect   │                                     ▼       │   ┌──┼► client           │
//! │ a thread:    │ ········► │ the listening socket:     room.rs: all ─────┼───┤  └───────────────────┘
//! │ shows MSG … ◄┼───────────┼─ only accepts                     (relay)   │   │  ┌───────────────────┐
//! └──────────────┘           └─────────────────────────────────────────────┘   └──┼► client           │
//!                                                                                 └───────────────────┘
//! ```
//!
//! | Where is … | in |
//! |---|---|
//! | accepting, a client's thread, starting and stopping | [`server`] |
//! | what a client may ask for | `conversation.rs` |
//! | who is here, and what all get | `room.rs` |
//! | how a line reaches one client: the lecture's way, and the way without stalls | `direct.rs`; `queued.rs` with its thread, `flusher.rs` |
//! | what may be set, what is counted, what is told to who watches | [`options`], [`counts`], [`news`] |
//! | the client: its two ends of the stream, what it comes to know | [`client`], [`event`] |
//! | the chat by multicast, and what can be known in it | [`group`], [`peers`] |
//!
//! What they say to each other is in [`wire::chat`](crate::wire::chat).

pub mod client;
mod connection;
mod conversation;
pub mod counts;
mod direct;
pub mod event;
mod flusher;
pub mod group;
mod listener;
pub mod news;
pub mod options;
mod pace;
pub mod peers;
mod queued;
mod room;
pub mod server;
