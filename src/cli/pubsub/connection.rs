//! The flags that `publish` and `subscribe` share: which broker, as whom, with what last will.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use super::login;
use crate::cli::running::note;
use crate::cli::spelled;
use crate::error::{Error, Result};
use crate::pubsub::client::{Client, ClientOptions};
use crate::pubsub::message::{Delivery, Qos, Will, check_topic};
use crate::pubsub::url::BrokerUrl;
use crate::units::parse_duration;

/// Heading in `--help` of what concerns the connection.
const CONNECTION: &str = "Connection";

/// The flags.
#[derive(clap::Args)]
pub(super) struct ConnectionArgs {
    /// The broker: mqtt://HOST:PORT, mqtt://USER@HOST, mqtts://HOST with TLS
    #[arg(short, long, value_name = "URL", default_value = "mqtt://127.0.0.1:1883", help_heading = CONNECTION)]
    broker: BrokerUrl,
    /// A file with the user's password as its first line [default: NETLAB_PASSWORD, if it is set; else you are asked, at
    /// a terminal]
    #[arg(long, value_name = "FILE", help_heading = CONNECTION)]
    password_file: Option<PathBuf>,
    /// Certificates (PEM) of the authority that vouches for an mqtts:// broker [default: the system's]
    #[arg(long, value_name = "FILE", help_heading = CONNECTION)]
    ca: Option<PathBuf>,
    /// The name the broker is to know this client by [default: it gives one]
    #[arg(long, value_name = "ID", help_heading = CONNECTION)]
    client_id: Option<String>,
    /// Have the broker keep subscriptions and messages this long while this client is away; needs --client-id
    #[arg(long, value_name = "T", value_parser = parse_duration, allow_negative_numbers = true, requires = "client_id", help_heading = CONNECTION)]
    session: Option<Duration>,
    /// The longest silence, 1s to 65535s: then this client says that it is still there
    #[arg(long, value_name = "T", default_value = "60s", value_parser = parse_duration, allow_negative_numbers = true, help_heading = CONNECTION)]
    keep_alive: Duration,
    /// How long to try again when the connection breaks; 0s: not at all
    #[arg(long, value_name = "T", default_value = "30s", value_parser = patience, allow_negative_numbers = true, help_heading = CONNECTION)]
    reconnect: Duration,
    /// Last will: where the broker publishes it if this client goes without taking leave
    #[arg(long, value_name = "TOPIC", requires = "will_message", help_heading = CONNECTION)]
    will_topic: Option<String>,
    /// Last will: what it says
    #[arg(long, value_name = "TEXT", requires = "will_topic", help_heading = CONNECTION)]
    will_message: Option<String>,
    /// Last will: quality of service
    #[arg(long, value_name = "Q", value_parser = spelled::<Qos, 3>(Qos::SPELLINGS), hide_possible_values = true, requires = "will_topic", help_heading = CONNECTION)]
    will_qos: Option<Qos>,
    /// Last will: kept for those who subscribe later
    #[arg(long, requires = "will_topic", help_heading = CONNECTION)]
    will_retain: bool,
}

impl ConnectionArgs {
    /// Where the broker is.
    pub(super) fn broker(&self) -> &BrokerUrl {
        &self.broker
    }

    /// Whom to connect to, and as whom.
    ///
    /// # Errors
    /// Usage, naming the flag; as [`login::password`].
    pub(super) fn options(&self, stop: &AtomicBool) -> Result<ClientOptions> {
        if self.ca.is_some() && !self.broker.tls {
            return Err(Error::usage("--ca goes with a broker of mqtts://; leave it out here, or change the address"));
        }
        if self.password_file.is_some() && self.broker.user.is_none() {
            return Err(Error::usage("--password-file goes with a user; write --broker mqtt://USER@HOST"));
        }
        if !(Duration::from_secs(1)..=Duration::from_secs(65_535)).contains(&self.keep_alive) {
            return Err(Error::usage("--keep-alive is something from 1s to 65535s"));
        }
        let will = match (&self.will_topic, &self.will_message) {
            (Some(topic), Some(message)) => {
                check_topic("--will-topic", topic)?;
                let delivery = Delivery { qos: self.will_qos.unwrap_or_default(), retain: self.will_retain };
                Some(Will { topic: topic.clone(), payload: message.clone().into_bytes(), delivery })
            }
            _ => None,
        };
        let password = login::password(self.password_file.as_deref(), self.broker.user.as_deref(), stop)?;
        Ok(ClientOptions {
            // A password of the environment is for those who are to say who they are.
            password: password.filter(|_| self.broker.user.is_some()),
            ca: self.ca.clone(),
            client_id: self.client_id.clone().unwrap_or_default(),
            keep_alive: self.keep_alive,
            session: self.session,
            will,
            reconnect: self.reconnect,
            ..ClientOptions::new(self.broker.clone())
        })
    }

    /// Connects; what becomes of the connection later is told on standard error.
    ///
    /// # Errors
    /// As [`options`](Self::options) and [`Client::connect`].
    pub(super) fn connect(&self, stop: &Arc<AtomicBool>) -> Result<Client> {
        Client::connect(self.options(stop)?, Arc::clone(stop), Box::new(note))
    }
}

/// A duration that may be 0.
fn patience(text: &str) -> std::result::Result<Duration, String> {
    if matches!(text, "0" | "0s" | "0ms") { Ok(Duration::ZERO) } else { parse_duration(text) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        connection: ConnectionArgs,
    }

    fn options(line: &str) -> Result<ClientOptions> {
        Line::try_parse_from(format!("netlab {line}").split_whitespace())
            .unwrap()
            .connection
            .options(&AtomicBool::new(false))
    }

    #[test]
    fn what_does_not_go_together_is_named() {
        for (line, says) in [
            ("--ca x", "--ca goes with"),
            ("--keep-alive 500ms", "--keep-alive is"),
            ("--will-topic a/# --will-message x", "--will-topic 'a/#'"),
            ("--broker mqtt://ann@h --password-file /nowhere/at/all", "--password-file /nowhere"),
        ] {
            let error = options(line).unwrap_err();
            assert!(error.to_string().starts_with(says), "{line}: {error}");
            assert_eq!(error.class().code(), 2);
        }
    }

    #[test]
    fn reconnecting_can_be_left_out() {
        assert_eq!(options("--reconnect 0s").unwrap().reconnect, Duration::ZERO);
        assert_eq!(options("--reconnect 5s").unwrap().reconnect, Duration::from_secs(5));
    }
}
