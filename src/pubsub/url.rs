//! Where a broker is: `mqtt://user@host:port`, `mqtts://…` with TLS.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use super::broker::DEFAULT_PORT;

/// The TCP port of MQTT over TLS (IANA).
pub const DEFAULT_TLS_PORT: u16 = 8883;

/// A broker's address. Prints as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerUrl {
    /// Over TLS.
    pub tls: bool,
    /// As whom to come.
    pub user: Option<String>,
    /// A name, or an address without brackets.
    pub host: String,
    /// The TCP port.
    pub port: u16,
}

impl BrokerUrl {
    /// On this machine, at the usual port.
    #[must_use]
    pub fn local() -> BrokerUrl {
        BrokerUrl { tls: false, user: None, host: "127.0.0.1".to_owned(), port: DEFAULT_PORT }
    }
}

impl FromStr for BrokerUrl {
    type Err = String;

    /// Nothing that could be a password is repeated in what is wrong.
    fn from_str(text: &str) -> Result<BrokerUrl, String> {
        const FORM: &str = "write mqtt://HOST, mqtt://USER@HOST:PORT or, for TLS, mqtts://HOST";
        let (scheme, rest) = text.split_once("://").unwrap_or(("mqtt", text));
        let tls = match scheme {
            "mqtt" | "tcp" => false,
            "mqtts" | "ssl" => true,
            _ => return Err(format!("only mqtt:// and mqtts:// are spoken here; {FORM}")),
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (user, place) = match rest.rsplit_once('@') {
            Some((user, place)) => (Some(user), place),
            None => (None, rest),
        };
        if user.is_some_and(|user| user.contains(':')) {
            return Err("a password does not belong in the address, where others can read it; \
                        leave the colon and what follows it out, and use --password-file FILE or NETLAB_PASSWORD"
                .to_owned());
        }
        if user == Some("") {
            return Err(format!("there is no user before the @; {FORM}"));
        }
        let wrong = || format!("'{place}' is no host; {FORM}");
        let (host, port) = match place.strip_prefix('[') {
            Some(rest) => {
                let (host, after) = rest.split_once(']').ok_or_else(wrong)?;
                host.parse::<IpAddr>().map_err(|_| wrong())?;
                match after {
                    "" => (host, None),
                    _ => (host, Some(after.strip_prefix(':').ok_or_else(wrong)?)),
                }
            }
            None if place.parse::<IpAddr>().is_ok() => (place, None),
            None => match place.rsplit_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (place, None),
            },
        };
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        if host.is_empty() || (host.parse::<IpAddr>().is_err() && !host.chars().all(is_name)) {
            return Err(wrong());
        }
        let port = match port.map(str::parse::<u16>) {
            None => {
                if tls {
                    DEFAULT_TLS_PORT
                } else {
                    DEFAULT_PORT
                }
            }
            Some(Ok(port)) if port > 0 => port,
            Some(_) => return Err(format!("'{place}': a port is a number from 1 to 65535")),
        };
        Ok(BrokerUrl { tls, user: user.map(str::to_owned), host: host.to_owned(), port })
    }
}

impl fmt::Display for BrokerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.tls { "mqtts://" } else { "mqtt://" })?;
        if let Some(user) = &self.user {
            write!(f, "{user}@")?;
        }
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_as_people_write_them() {
        for (text, meant) in [
            ("mqtt://127.0.0.1", "mqtt://127.0.0.1:1883"),
            ("localhost", "mqtt://localhost:1883"),
            ("broker.example:1884", "mqtt://broker.example:1884"),
            ("mqtt://ann@broker/", "mqtt://ann@broker:1883"),
            ("mqtts://ann@broker", "mqtts://ann@broker:8883"),
            ("mqtts://[::1]", "mqtts://[::1]:8883"),
            ("mqtt://[::1]:99", "mqtt://[::1]:99"),
            ("mqtt://::1", "mqtt://[::1]:1883"),
            ("mqtt://ann@mail@broker:1", "mqtt://ann@mail@broker:1"),
        ] {
            let url: BrokerUrl = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(url.to_string(), meant, "{text}");
            assert_eq!(meant.parse::<BrokerUrl>().unwrap(), url);
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in [
            "",
            "mqtt://",
            "http://broker",
            "mqtt://@broker",
            "mqtt://broker:0",
            "mqtt://broker:x",
            "mqtt://a b",
            "mqtt://[::1",
            "mqtt://[x]",
            "mqtt://broker/topic",
        ] {
            assert!(text.parse::<BrokerUrl>().is_err(), "{text:?} was taken for an address");
        }
    }

    #[test]
    fn a_password_in_the_address_is_refused_and_not_repeated() {
        for text in
            ["mqtt://ann:hunter2@broker", "ann:hunter2@broker", "mqtts://:hunter2@broker", "mqtt://ann:hun@ter2@broker"]
        {
            let error = text.parse::<BrokerUrl>().unwrap_err();
            assert!(error.contains("--password-file"), "{error}");
            assert!(!error.contains("hunter2") && !error.contains("ter2"), "{error}");
        }
    }
}
