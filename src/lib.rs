//! netlab: the same messages by unicast, broadcast and multicast, or through a server, counted and costed at every host.
//!
//! The folders are the layers; arrows point down only, and `tests/architecture.rs` keeps them:
//!
//! ```text
//! main ─ cli ─┬─ lab (run, results, lan, chat)
//!             ├─ run ──────┬─ delivery ─┬─ wire ─┬─ units, error
//!             │            ├─ chat ─────┤        │
//!             │            ├─ pubsub ───┤        │
//!             │            ├─ counters ─┤        │
//!             │            ├─ lan ──────┤        │
//!             │            ├─ router ───┴─ sys ──┘
//!             │            └─ results (counters, units)
//!             ├─ report ───── results
//!             └─ (each of them)
//! ```
//!
//! | Where is … | in |
//! |---|---|
//! | a flag, its help, what a subcommand prints | [`cli`], one file a subcommand |
//! | the order in which a trial happens | [`run`]: `phases.rs`; one host's part of it: `agent.rs` |
//! | what a lab file may say, how a claim is judged | [`lab`] |
//! | how a mode opens its sockets | [`delivery`], one file a mode |
//! | the one paced send loop, the one receive loop, what is counted | [`delivery`]: `sender.rs`, `receiver.rs`, `tally.rs` |
//! | which kernel counter a column comes from | [`counters`] |
//! | namespaces, veth pairs, bridges, threaded NAPI | [`lan`] |
//! | who asks for members (IGMP), what forwards multicast from LAN to LAN, or unicast over a distance | [`router`] |
//! | the chat: the server that relays, its clients, the chat without a server | [`chat`] |
//! | the MQTT broker, and a client of any | [`pubsub`] |
//! | a measurement's half of a session with either | [`delivery`]: `stream/` |
//! | the columns of the CSV files, the statistics, the tables | [`results`] |
//! | the page and the charts that a run is shown with | [`report`] |
//! | the bytes of a probe, a frame, an order to an agent | [`wire`] |
//! | a system call, an ioctl, `unsafe` | [`sys`] |
//! | how a rate, a size, a mode is written | [`units`] |
//! | how a server tells who watches it, and never waits for them | [`feed`] |
//! | text from elsewhere, as a terminal may have it | [`escaped`] |

pub mod chat;
pub mod cli;
pub mod counters;
pub mod delivery;
pub mod error;
pub mod escaped;
pub mod feed;
pub mod lab;
pub mod lan;
pub mod pubsub;
pub mod report;
pub mod results;
pub mod router;
pub mod run;
pub mod sys;
pub mod units;
pub mod wire;
