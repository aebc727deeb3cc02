//! Why a connection broke or never came to be, in words, and whether it is worth another attempt.

use std::fmt;
use std::io::{self, ErrorKind};
use std::time::Duration;

use super::link::NotMqtt;
use super::url::BrokerUrl;
use crate::error::Error;
use crate::wire::mqtt::Reason;

/// What ended a connection.
#[derive(Debug)]
pub(super) enum Break {
    /// The system says so.
    Io(io::Error),
    /// The broker said so, in CONNACK.
    Refused(Reason),
    /// The broker said so, in DISCONNECT.
    Told(Reason),
    /// The broker said what it may not say.
    Wrong(&'static str),
    /// The broker did not answer CONNECT.
    Silent,
    /// The user did.
    Stopped,
    /// Something on this side.
    Own(Error),
}

impl Break {
    pub(super) fn told(reason: Reason) -> Break {
        Break::Told(reason)
    }

    pub(super) fn refused(reason: Reason) -> Break {
        Break::Refused(reason)
    }

    pub(super) fn wrong(what: &'static str) -> Break {
        Break::Wrong(what)
    }

    pub(super) fn silent() -> Break {
        Break::Silent
    }

    pub(super) fn stopped() -> Break {
        Break::Stopped
    }

    /// Whether another attempt would end the same way.
    pub(super) fn is_final(&self) -> bool {
        match self {
            // A broker that is full or on its way down may be another soon.
            Break::Refused(reason) => !matches!(
                *reason,
                Reason::UNAVAILABLE
                    | Reason::BUSY
                    | Reason::SHUTTING_DOWN
                    | Reason::TOO_MANY_CONNECTIONS
                    | Reason::QUOTA
            ),
            // Who takes a name over has it: both coming back would go on for ever.
            Break::Told(reason) => matches!(
                *reason,
                Reason::TAKEN_OVER
                    | Reason::MALFORMED
                    | Reason::PROTOCOL_ERROR
                    | Reason::NOT_AUTHORIZED
                    | Reason::BANNED
                    | Reason::TOO_LARGE
            ),
            Break::Io(cause) => cause.kind() == ErrorKind::InvalidData,
            Break::Wrong(_) | Break::Own(_) | Break::Stopped => true,
            Break::Silent => false,
        }
    }

    /// The failure of a first connection.
    pub(super) fn unreachable(self, broker: &BrokerUrl) -> Error {
        let connecting = || format!("connecting to {broker}");
        match self {
            Break::Own(error) => error,
            Break::Stopped => Error::interrupted(format!("interrupted while {}", connecting())),
            Break::Refused(Reason::BAD_LOGIN | Reason::NOT_AUTHORIZED) => {
                Error::failed(format!("{broker} refuses the user or the password")).remedy(match broker.user {
                    Some(_) => "Give the right ones: mqtt://USER@HOST, and --password-file FILE or NETLAB_PASSWORD.",
                    None => "Say who you are: --broker mqtt://USER@HOST, and --password-file FILE or NETLAB_PASSWORD.",
                })
            }
            Break::Io(cause) => io_failure(broker, cause),
            Break::Silent => Error::failed(format!("{broker} takes the connection and does not answer")).remedy(
                format!("Perhaps it is no broker{}.", if broker.tls { "" } else { ", or one that expects mqtts://" }),
            ),
            other => Error::failed(format!("{}: {other}", connecting())),
        }
    }

    /// The failure of a connection that stood, when no other is tried.
    pub(super) fn lost(self, broker: &BrokerUrl) -> Error {
        match self {
            Break::Own(error) => error,
            other => Error::failed(format!("lost {broker}: {other}")),
        }
    }

    /// The failure of all attempts to make it again.
    pub(super) fn gone(self, broker: &BrokerUrl, tried: Duration) -> Error {
        Error::failed(format!(
            "lost {broker} and could not reach it again within {}: {self}",
            humantime::format_duration(tried)
        ))
    }
}

fn io_failure(broker: &BrokerUrl, cause: io::Error) -> Error {
    let inner = cause.get_ref();
    match inner.and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::InvalidCertificate(why)) => {
            let (what, remedy) = certificate(why);
            return Error::failed(format!("the certificate of {broker} does not verify: {what}")).remedy(remedy);
        }
        Some(other) => {
            return Error::failed(format!("no TLS connection to {broker}: {other}"))
                .remedy("Perhaps it expects no TLS at this port: try mqtt://.");
        }
        None => {}
    }
    if inner.is_some_and(|inner| inner.is::<NotMqtt>()) {
        return Error::failed(format!("{broker} does not speak MQTT"));
    }
    let failure = Error::failed(format!("connecting to {broker}"));
    match cause.kind() {
        ErrorKind::ConnectionRefused => failure.because(cause).remedy(
            "Nothing listens there. `netlab pubsub broker` starts a broker on this machine; --broker names another.",
        ),
        ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset => {
            let hint = if broker.tls { "" } else { " Perhaps it expects mqtts://." };
            Error::failed(format!("{broker} closed the connection instead of answering"))
                .remedy(format!("It is no broker of MQTT 5.0, or it has no place left.{hint}"))
        }
        ErrorKind::TimedOut | ErrorKind::WouldBlock => Error::failed(format!("connecting to {broker}: no answer")),
        _ => failure.because(cause),
    }
}

/// What is wrong with a certificate, and what would be right.
fn certificate(why: &rustls::CertificateError) -> (String, &'static str) {
    use rustls::CertificateError as Why;
    let other = format!("{why:?}");
    let (what, remedy) = match why {
        Why::UnknownIssuer => (
            "nobody trusted here vouches for it",
            "Name the certificate of the authority that vouches for it with --ca FILE.",
        ),
        Why::Expired | Why::ExpiredContext { .. } => {
            ("it has expired", "Whoever runs the broker has to renew it; unless the clock of this machine is wrong.")
        }
        Why::NotValidYet | Why::NotValidYetContext { .. } => {
            ("it is not valid yet", "Set the clock of this machine, or wait until it is.")
        }
        Why::NotValidForName | Why::NotValidForNameContext { .. } => {
            ("it is for another name", "Name the broker as its certificate does (its subjectAltName).")
        }
        // These two have no name of their own in rustls.
        _ if other.contains("CaUsedAsEndEntity") => (
            "it is that of an authority (CA:TRUE), and not of a server",
            "Have the authority sign another one for the broker (openssl x509 -req -CA …), and give the authority's with --ca.",
        ),
        _ if other.contains("UnsupportedCertVersion") => (
            "it is of X.509 version 1",
            "The broker needs one of version 3 with a subjectAltName: sign it with openssl x509 -req -extfile FILE.",
        ),
        why => return (why.to_string(), "Whoever runs the broker has to give it another certificate."),
    };
    (what.to_owned(), remedy)
}

impl fmt::Display for Break {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Break::Io(cause) if cause.kind() == ErrorKind::UnexpectedEof => f.write_str("it closed the connection"),
            Break::Io(cause) if cause.kind() == ErrorKind::TimedOut => f.write_str("it does not answer"),
            Break::Io(cause) if cause.kind() == ErrorKind::NotConnected => f.write_str("the connection broke"),
            Break::Io(cause) => cause.fmt(f),
            Break::Refused(reason) | Break::Told(reason) => reason.fmt(f),
            Break::Wrong(what) => write!(f, "it sent {what}"),
            Break::Silent => f.write_str("it takes the connection and does not answer"),
            Break::Stopped => f.write_str("interrupted"),
            Break::Own(error) => error.fmt(f),
        }
    }
}

impl From<io::Error> for Break {
    fn from(cause: io::Error) -> Break {
        Break::Io(cause)
    }
}

impl From<Error> for Break {
    fn from(error: Error) -> Break {
        Break::Own(error)
    }
}
