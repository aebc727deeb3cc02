//! Why: the reason codes of MQTT 5.0 (section 2.4), and what MQTT 3.1.1 has for them.

use std::fmt;

/// A reason code. From 0x80 on something has failed. Prints in words, said of a broker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Reason(pub u8);

/// Each with its number and its words.
macro_rules! reasons {
    ($($name:ident = $code:literal, $words:literal;)*) => {
        impl Reason {
            $(#[doc = concat!("Code ", stringify!($code), ": ", $words, ".")] pub const $name: Reason = Reason($code);)*
        }

        impl fmt::Display for Reason {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self.0 {
                    $($code => f.write_str($words),)*
                    other => write!(f, "reason code {other:#04x}"),
                }
            }
        }
    };
}

reasons! {
    SUCCESS = 0x00, "it ended the connection";
    WITH_WILL = 0x04, "it ended the connection, and wants its last will published";
    NOBODY_SUBSCRIBES = 0x10, "nobody subscribes to it";
    NO_SUBSCRIPTION = 0x11, "there was no such subscription";
    CONTINUE = 0x18, "authentication goes on";
    AUTHENTICATE_AGAIN = 0x19, "authentication begins again";
    UNSPECIFIED = 0x80, "it does not say why";
    MALFORMED = 0x81, "it takes what was sent for wrong MQTT";
    PROTOCOL_ERROR = 0x82, "it takes what was sent for wrong MQTT at this point";
    UNSUPPORTED_VERSION = 0x84, "it does not speak MQTT 5.0";
    CLIENT_ID_INVALID = 0x85, "it does not allow this client identifier";
    BAD_LOGIN = 0x86, "wrong user or password";
    NOT_AUTHORIZED = 0x87, "not allowed";
    UNAVAILABLE = 0x88, "it is not available";
    BUSY = 0x89, "it is busy: no place for another client";
    BANNED = 0x8a, "this client is banned";
    SHUTTING_DOWN = 0x8b, "it is shutting down";
    BAD_METHOD = 0x8c, "it does not know this way of authentication";
    SILENT = 0x8d, "it heard nothing for too long";
    TAKEN_OVER = 0x8e, "another client came by the same client identifier";
    FILTER_INVALID = 0x8f, "no valid filter of topics";
    TOPIC_INVALID = 0x90, "not a topic it takes";
    NO_SUCH_ID = 0x92, "it knows no message of this identifier";
    TOO_MANY_AT_A_TIME = 0x93, "too many messages at a time";
    ALIAS_INVALID = 0x94, "no alias of a topic it knows";
    TOO_LARGE = 0x95, "longer than it takes";
    RATE_TOO_HIGH = 0x96, "too many messages a second";
    QUOTA = 0x97, "more than it has room for";
    FORMAT_INVALID = 0x99, "the message is not what it says it is";
    RETAIN_UNSUPPORTED = 0x9a, "it keeps no messages";
    QOS_UNSUPPORTED = 0x9b, "it does not deliver by that quality of service";
    USE_ANOTHER = 0x9c, "it says to use another broker";
    MOVED = 0x9d, "it says to use another broker from now on";
    SHARED_UNSUPPORTED = 0x9e, "it knows no shared subscriptions";
    TOO_MANY_CONNECTIONS = 0x9f, "too many connections a second";
    WILDCARDS_UNSUPPORTED = 0xa2, "it knows no wildcards";
}

impl Reason {
    /// Whether something has failed.
    #[must_use]
    pub fn is_error(self) -> bool {
        self.0 >= 0x80
    }

    /// The return code of a CONNACK of MQTT 3.1.1 (section 3.2.2.3); `None` where that version closes without a word.
    #[must_use]
    pub fn old_code(self) -> Option<u8> {
        match self {
            Reason::SUCCESS => Some(0),
            Reason::UNSUPPORTED_VERSION => Some(1),
            Reason::CLIENT_ID_INVALID => Some(2),
            Reason::UNAVAILABLE | Reason::BUSY | Reason::QUOTA => Some(3),
            Reason::BAD_LOGIN => Some(4),
            Reason::NOT_AUTHORIZED => Some(5),
            _ => None,
        }
    }
}
