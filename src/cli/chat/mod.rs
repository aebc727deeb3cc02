//! `netlab chat serve | join`.
//!
//! | Where is … | in |
//! |---|---|
//! | the flags and the life of a server | `serve.rs` |
//! | the flags of a client; joining a server, joining a group | `join.rs`, `join_server.rs`, `join_group.rs` |
//! | what a line means that somebody typed | `input.rs` |
//! | how an event is shown | `display.rs` |
//! | reading lines and showing events at once, on a terminal or through pipes | `console.rs` |

use std::net::SocketAddr;
use std::process::ExitCode;

use clap::Subcommand;

use super::address::WrittenAddress;
use crate::wire::chat::DEFAULT_PORT;

mod console;
mod display;
mod input;
mod join;
mod join_group;
mod join_server;
mod serve;

/// A chat: what one says, a server relays to all
#[derive(clap::Args)]
#[command(subcommand_required = true, arg_required_else_help = true, after_help = HELP)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve a chat: a socket and a thread for each client, each message relayed to all
    Serve(serve::Args),
    /// Join a chat, at a server or, without any, in a multicast group
    Join(join::Args),
}

const HELP: &str = "\
Examples:
  netlab chat serve                              on 127.0.0.1:4747
  netlab chat serve --listen 192.168.1.7         for the whole LAN
  netlab chat join 192.168.1.7 --name ann
  netlab chat join --multicast 239.1.1.1 --name ann
  printf 'JOIN ann\\nSAY hello\\nLEAVE\\n' | nc 192.168.1.7 4747

The protocol: lines of UTF-8 ended by LF, at most 4096 bytes, over TCP. The
server begins with `HELLO netlab-chat/1 …`. Then the client asks:
  JOIN name          first of all     OK JOIN name;   JOINED name to the others
  SAY text                            MSG name text to all, the author too
  TELL name text                      OK TELL name;   PRIVATE name text to one
  LIST                                NAMES more name name …
  RENAME name                         OK RENAME name; RENAMED old new to others
  PING token                          PONG token
  LEAVE                               OK LEAVE;       LEFT name leave to others
What cannot be is answered by `ERROR code text` and changes nothing. A client
that the server ends with gets `DROPPED reason text` as its last line.";

/// Runs the subcommand and gives the exit code.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    match &args.command {
        Command::Serve(args) => serve::run(args),
        Command::Join(args) => join::run(args),
    }
}

/// Reads an address with a port, 4747 where none is written; port 0 where `any_port` allows it.
fn socket_address(text: &str, flag: &str, any_port: bool) -> crate::error::Result<SocketAddr> {
    if any_port && let Ok(address) = text.parse::<SocketAddr>() {
        return Ok(address);
    }
    let written: WrittenAddress =
        text.parse().map_err(|error| crate::error::Error::usage(format!("{flag}: {error}")))?;
    written.to_socket(flag, DEFAULT_PORT, None)
}
