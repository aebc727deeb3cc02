//! `netlab pubsub broker|publish|subscribe`.

use std::process::ExitCode;

use clap::Subcommand;

mod broker;
mod connection;
mod login;
mod prompt;
mod publish;
mod subscribe;

/// Arguments of `netlab pubsub`.
#[derive(clap::Args)]
#[command(
    subcommand_required = true,
    after_help = "\
In three terminals:
  netlab pubsub broker
  netlab pubsub subscribe --topic 'lab/#'
  netlab pubsub publish --topic lab/room1 --message 'hello, whoever listens'
Any other broker or client of MQTT will do as well: mosquitto, EMQX …"
)]
pub(crate) struct Args {
    #[command(subcommand)]
    part: Part,
}

#[derive(Subcommand)]
enum Part {
    /// Take messages from publishers and pass a copy to each subscriber of their topic
    Broker(broker::Args),
    /// Publish messages under a topic
    Publish(publish::Args),
    /// Subscribe to topics, and print or count what is published
    Subscribe(subscribe::Args),
}

/// Runs the part, and gives the exit code.
///
/// # Errors
/// As each part.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    match &args.part {
        Part::Broker(args) => broker::run(args),
        Part::Publish(args) => publish::run(args),
        Part::Subscribe(args) => subscribe::run(args),
    }
}
