//! How values are written in a lab file, and where they stand in it.

use std::fmt;
use std::marker::PhantomData;
use std::net::IpAddr;
use std::ops::Range;
use std::str::FromStr;
use std::time::Duration;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use toml::Spanned;

use super::Bound;
use super::claim::{Expect, Tolerance};
use crate::chat::options::Relay;
use crate::escaped;
use crate::lan::{Nic, SwitchKind};
use crate::results::factor::{Factor, Value};
use crate::run::{Attribution, BroadcastAddress};
use crate::units::{Bytes, Mode, Rate, Role, parse_duration};

/// Where something stands in the file, in bytes from its beginning.
pub type Span = Range<usize>;

/// A value, and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Spot<T> {
    /// What is written there.
    pub value: T,
    /// Where.
    pub span: Span,
}

/// One value, or a list of them.
#[derive(Clone, Debug, PartialEq)]
pub struct Several<T>(pub Vec<Spot<T>>);

/// A table, and where it stands: where its heading does, if it has one.
#[derive(Clone, Debug, PartialEq)]
pub struct Table<T> {
    /// What it says.
    pub value: T,
    /// Where it stands.
    pub span: Span,
}

/// What a key's value can be read as.
pub trait Written: Sized {
    /// Reads a value that is no table.
    ///
    /// # Errors
    /// What is wrong with it and what would be right.
    fn read(scalar: Scalar<'_>) -> Result<Self, String>;

    /// Reads a table, where one is possible.
    ///
    /// # Errors
    /// As the deserializer's, and that there can be none.
    fn read_table<'de, A: MapAccess<'de>>(_table: A) -> Result<Self, A::Error> {
        Err(A::Error::custom("no table is possible here"))
    }
}

/// What can stand behind a key, but for lists and tables.
#[derive(Clone, Copy, Debug)]
pub enum Scalar<'a> {
    /// `"text"`
    Text(&'a str),
    /// `5`
    Integer(i128),
    /// `0.5`
    Number(f64),
    /// `true`
    Bool(bool),
}

impl fmt::Display for Scalar<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Scalar::Text(text) => f.write_str(text),
            Scalar::Integer(integer) => write!(f, "{integer}"),
            // 1e300 stays that.
            Scalar::Number(number) => write!(f, "{number:?}"),
            Scalar::Bool(bool) => write!(f, "{bool}"),
        }
    }
}

/// What stands behind a key, whatever its type.
pub trait Key {
    /// Where a value stands that an earlier one is the same as.
    fn twice(&self) -> Option<&Span> {
        None
    }

    /// Where this value stands, as [`Value`] spells it; all of it, or the first, where it does not.
    fn place(&self, value: &str) -> Option<Span>;
}

impl<T: PartialEq + Clone + Into<Value>> Key for Several<T> {
    fn twice(&self) -> Option<&Span> {
        let is_again = |(index, spot): &(usize, &Spot<T>)| self.0[..*index].iter().any(|b| b.value == spot.value);
        self.0.iter().enumerate().find(is_again).map(|(_, spot)| &spot.span)
    }

    fn place(&self, value: &str) -> Option<Span> {
        let is = |spot: &&Spot<T>| spot.value.clone().into().to_string() == value;
        self.0.iter().find(is).or(self.0.first()).map(|spot| spot.span.clone())
    }
}

impl<T> Key for Spot<T> {
    fn place(&self, _value: &str) -> Option<Span> {
        Some(self.span.clone())
    }
}

impl<T> Key for Table<T> {
    fn place(&self, _value: &str) -> Option<Span> {
        Some(self.span.clone())
    }
}

/// The values of a factor that the types of a lab file stand for.
macro_rules! values {
    ($($type:ty: $value:expr),* $(,)?) => {
        $(impl From<$type> for Value {
            fn from(value: $type) -> Value {
                let of: fn($type) -> Value = $value;
                of(value)
            }
        })*
    };
}

values! {
    Name: |Name(name)| name.as_str().into(),
    Bytes: |Bytes(bytes)| bytes.into(),
    Qos: |Qos(qos)| qos.into(),
    Distance: |Distance(delay)| delay.into(),
    WantedRate: |rate| match rate {
        WantedRate::Given(rate) => rate.into(),
        WantedRate::Sustainable => SUSTAINABLE.into(),
    },
}

impl<T> Several<T> {
    /// The values alone.
    pub fn values(&self) -> Vec<T>
    where
        T: Clone,
    {
        self.0.iter().map(|spot| spot.value.clone()).collect()
    }
}

impl<'de, T: Written> Deserialize<'de> for Spot<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<OneOrList<T>>::deserialize(deserializer)?;
        let span = spanned.span();
        match spanned.into_inner() {
            OneOrList::One(value) => Ok(Spot { value, span }),
            OneOrList::List(_) => Err(D::Error::custom("one value alone is possible here, no list")),
        }
    }
}

impl<'de, T: Written> Deserialize<'de> for Several<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<OneOrList<T>>::deserialize(deserializer)?;
        let span = spanned.span();
        match spanned.into_inner() {
            OneOrList::One(value) => Ok(Several(vec![Spot { value, span }])),
            OneOrList::List(list) if list.is_empty() => Err(D::Error::custom("the list is empty; name a value")),
            OneOrList::List(list) => Ok(Several(list)),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Table<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<T>::deserialize(deserializer)?;
        let span = spanned.span();
        Ok(Table { value: spanned.into_inner(), span })
    }
}

enum OneOrList<T> {
    One(T),
    List(Vec<Spot<T>>),
}

impl<'de, T: Written> Deserialize<'de> for OneOrList<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OneOrListVisitor(PhantomData))
    }
}

struct OneOrListVisitor<T>(PhantomData<T>);

fn one<T: Written, E: Error>(scalar: Scalar<'_>) -> Result<OneOrList<T>, E> {
    T::read(scalar).map(OneOrList::One).map_err(E::custom)
}

impl<'de, T: Written> Visitor<'de> for OneOrListVisitor<T> {
    type Value = OneOrList<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value, or a list of values")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Self::Value, E> {
        one(Scalar::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Self::Value, E> {
        one(Scalar::Integer(value.into()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Self::Value, E> {
        one(Scalar::Integer(value.into()))
    }

    fn visit_i128<E: Error>(self, value: i128) -> Result<Self::Value, E> {
        one(Scalar::Integer(value))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Self::Value, E> {
        one(Scalar::Number(value))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Self::Value, E> {
        one(Scalar::Text(value))
    }

    fn visit_map<A: MapAccess<'de>>(self, table: A) -> Result<Self::Value, A::Error> {
        T::read_table(table).map(OneOrList::One)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        /// More values nobody wants to wait for.
        const MOST: usize = 1000;
        let mut values = Vec::new();
        while let Some(value) = list.next_element()? {
            values.push(value);
            if values.len() > MOST {
                return Err(A::Error::custom(format!("the list is too long; {MOST} values are the most")));
            }
        }
        Ok(OneOrList::List(values))
    }
}

/// A sentence of the file, its blanks and line ends brought to single blanks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text(pub String);

/// The name of a case or of a group of hosts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name(pub String);

/// Bits a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bits(pub u64);

/// A rate, or that it is to be found out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum WantedRate {
    /// This one.
    Given(Rate),
    /// The highest of those to try that nothing is lost at.
    Sustainable,
}

/// How a rate that is to be found out is written.
pub const SUSTAINABLE: &str = "sustainable";

impl Written for Text {
    fn read(scalar: Scalar<'_>) -> Result<Self, String> {
        const MOST: usize = 1000;
        let Scalar::Text(text) = scalar else {
            return Err(format!("{scalar} is no text; write it in quotes"));
        };
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        match text.chars().count() {
            0 => Err("there is nothing in it; write a sentence".to_owned()),
            _ if text.contains(escaped::steers) => Err("it has characters that cannot be printed".to_owned()),
            1..=MOST => Ok(Text(text)),
            many => Err(format!("it has {many} characters; {MOST} are the most")),
        }
    }
}

impl Written for Name {
    fn read(scalar: Scalar<'_>) -> Result<Self, String> {
        const MOST: usize = 40;
        let Text(text) = Text::read(scalar)?;
        if text.chars().count() > MOST {
            return Err(format!("'{text}' is too long for a name; {MOST} characters are the most"));
        }
        Ok(Name(text))
    }
}

/// Reads by the type's own spelling.
fn spelled<T: FromStr<Err = String>>(scalar: Scalar<'_>) -> Result<T, String> {
    scalar.to_string().parse()
}

/// One of a list of spellings.
fn one_of<T: Copy + fmt::Display>(scalar: Scalar<'_>, what: &str, all: &[T]) -> Result<T, String> {
    let text = scalar.to_string();
    all.iter().copied().find(|one| one.to_string() == text).ok_or_else(|| {
        let names: Vec<String> = all.iter().map(T::to_string).collect();
        format!("unknown {what} '{text}'; write {}", names.join(", "))
    })
}

/// A whole number up to the largest that a `T` can hold.
fn whole<T: TryFrom<u32>>(scalar: Scalar<'_>, such_as: &str) -> Result<T, String> {
    let Scalar::Integer(integer) = scalar else {
        return Err(format!("'{scalar}' is no whole number; write one such as {such_as}, without quotes"));
    };
    let number = u32::try_from(integer).ok().and_then(|number| T::try_from(number).ok());
    number.ok_or_else(|| format!("{integer} is out of range; write a number such as {such_as}"))
}

impl Written for Mode {
    fn read(scalar: Scalar<'_>) -> Result<Self, String> {
        spelled(scalar)
    }
}

impl Written for SwitchKind {
    fn read(scalar: Scalar<'_>) -> Result<Self, String> {
        spelled(scalar)
    }
}

/// The broadcast addresses that a virtual LAN has.
pub const BROADCAST_ADDRESSES: [BroadcastAddress; 2] = [BroadcastAddress::Limited, BroadcastAddress::Directed];

impl Written for BroadcastAddress {
    fn read(scalar: Scalar<'_>) -> Result<Self, String> {
        one_of(scalar, "broadcast address", &BROADCAST_ADDRESSES)
    }
}

impl Written for Attribution {
    fn read(scalar: Scalar<'_>) -> Result<Self, String> {
        spelled(scalar)
    }
}

impl Written for Relay {
    fn read(scalar: Scalar<'_>) -> Result<Self, String> {
        spelled(scalar)
    }
}

/// MQTT's quality of service, as far as it is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Qos(pub u8);

impl Written for Qos {
    fn read(scalar: Scalar<'_>) -> Result<Self, String> {
        match scalar {
            Scalar::Integer(qos @ 0..=1) => Ok(Qos(qos as u8)),
            _ => Err(format!("'{scalar}' is no quality of service that is measured; write 0 or 1")),
        }
    }
}

/// A delay, which may be none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Distance(pub Duration);

impl Written for Distance {
    fn read(scalar: Scalar<'_>) -> Result<Self, String> {
        let text = scalar.to_string();
        let delay = humantime::parse_duration(&text);
        delay
            .map(Distance)
            .map_err(|_| format!("'{text}' is not a distance; write a delay such as \"0ms\" or \"20ms\""))
    }
}

impl Written for Nic {
    fn read(scalar: Scalar<'_>) -> Result<Self, String> {
        spelled(scalar)
    }
}

/// What a group of hosts can be.
pub const HOST_ROLES: [Role; 4] = [Role::Sender, Role::Server, Role::Receiver, Role::Bystander];

impl Written for Role {
    fn read(scalar: Scalar<'_>) -> Result<Self, String> {
        one_of(scalar, "role", &HOST_ROLES)
    }
}

impl Written for Factor {
    fn read(scalar: Scalar<'_>) -> Result<Self, String> {
        one_of(scalar, "factor", &Factor::numbers().collect::<Vec<_>>())
    }
}

impl Written for Expect {
    fn read(scalar: Scalar<'_>) -> Result<Self, String> {
        one_of(scalar, "expectation", &Expect::ALL)
    }
}

impl Written for usize {
    fn read(scalar: Scalar<'_>) -> Result<Self, String> {
        whole(scalar, "4")
    }
}

impl Written for u32 {
    fn read(scalar: Scalar<'_>) -> Result<Self, String> {
        whole(scalar, "5")
    }
}

impl Written for u8 {
    fn read(scalar: Scalar<'_>) -> Result<Self, String> {
        whole(scalar, "3")
    }
}

impl Written for f64 {
    fn read(scalar: Scalar<'_>) -> Result<Self, String> {
        match scalar {
            Scalar::Integer(integer) => Ok(integer as f64),
            Scalar::Number(number) if number.is_finite() => Ok(number),
            _ => Err(format!("'{scalar}' is no number; write one such as 0.5, without quotes")),
        }
    }
}

impl Written for bool {
    fn read(scalar: Scalar<'_>) -> Result<Self, String> {
        match scalar {
            Scalar::Bool(bool) => Ok(bool),
            _ => Err(format!("'{scalar}' is neither yes nor no; write true or false, without quotes")),
        }
    }
}

impl Written for IpAddr {
    fn read(scalar: Scalar<'_>) -> Result<Self, String> {
        let text = scalar.to_string();
        text.parse().map_err(|_| format!("'{text}' is no address; write one such as \"239.1.1.1\""))
    }
}

impl Written for Duration {
    fn read(scalar: Scalar<'_>) -> Result<Self, String> {
        parse_duration(&scalar.to_string())
    }
}

impl Written for Bytes {
    fn read(scalar: Scalar<'_>) -> Result<Self, String> {
        spelled(scalar)
    }
}

impl Written for Rate {
    fn read(scalar: Scalar<'_>) -> Result<Self, String> {
        spelled(scalar)
    }
}

impl Written for WantedRate {
    fn read(scalar: Scalar<'_>) -> Result<Self, String> {
        match scalar {
            Scalar::Text(SUSTAINABLE) => Ok(WantedRate::Sustainable),
            _ => Rate::read(scalar).map(WantedRate::Given).map_err(|why| format!("{why}, or {SUSTAINABLE}")),
        }
    }
}

impl Written for Bits {
    fn read(scalar: Scalar<'_>) -> Result<Self, String> {
        let text = scalar.to_string();
        let (digits, factor) = match text.as_bytes().last() {
            Some(b'k') => (&text[..text.len() - 1], 1_000),
            Some(b'M') => (&text[..text.len() - 1], 1_000_000),
            Some(b'G') => (&text[..text.len() - 1], 1_000_000_000),
            _ => (text.as_str(), 1),
        };
        let bits = digits.parse::<u32>().ok().and_then(|number| u64::from(number).checked_mul(factor));
        bits.map(Bits).ok_or_else(|| format!("'{text}' is no link speed; write bits a second such as 500k, 10M or 1G"))
    }
}

impl Written for Bound {
    fn read(scalar: Scalar<'_>) -> Result<Self, String> {
        match scalar {
            Scalar::Text(text) => Bound::parse(text),
            _ => f64::read(scalar).and_then(|number| Bound::parse(&number.to_string())),
        }
    }
}

impl Written for Tolerance {
    fn read(scalar: Scalar<'_>) -> Result<Self, String> {
        const FORM: &str = "write a share such as \"1 %\", or a number in the figure's own unit";
        let number = |text: &str| text.trim().parse::<f64>().ok().filter(|number| number.is_finite() && *number >= 0.0);
        let text = scalar.to_string();
        let tolerance = match (scalar, text.strip_suffix('%')) {
            (Scalar::Text(_), Some(percent)) => number(percent).map(|percent| Tolerance::Relative(percent / 100.0)),
            (Scalar::Integer(_) | Scalar::Number(_), _) => number(&text).map(Tolerance::Absolute),
            _ => None,
        };
        tolerance.ok_or_else(|| format!("'{text}' is no tolerance; {FORM}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text<T: Written>(text: &str) -> Result<T, String> {
        T::read(Scalar::Text(text))
    }

    #[test]
    fn link_speeds() {
        assert_eq!(text("10M"), Ok(Bits(10_000_000)));
        assert_eq!(text("500k"), Ok(Bits(500_000)));
        assert_eq!(text("1G"), Ok(Bits(1_000_000_000)));
        assert_eq!(Bits::read(Scalar::Integer(9_600)), Ok(Bits(9_600)));
        for bad in ["", "M", "10 M", "-1", "1.5M", "10Mb", "99999999999G", "10é"] {
            assert!(text::<Bits>(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn tolerances() {
        assert_eq!(text("1 %"), Ok(Tolerance::Relative(0.01)));
        assert_eq!(text("2.5%"), Ok(Tolerance::Relative(0.025)));
        assert_eq!(Tolerance::read(Scalar::Number(0.5)), Ok(Tolerance::Absolute(0.5)));
        for bad in [Scalar::Text("1"), Scalar::Text("%"), Scalar::Text("-1 %"), Scalar::Text("nan %")] {
            assert!(Tolerance::read(bad).is_err(), "{bad:?}");
        }
        for bad in [Scalar::Number(f64::NAN), Scalar::Number(f64::INFINITY), Scalar::Integer(-1), Scalar::Bool(true)] {
            assert!(Tolerance::read(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn rates() {
        assert_eq!(WantedRate::read(Scalar::Integer(500)), Ok(WantedRate::Given(Rate::PerSecond(500.0))));
        assert_eq!(text("10k"), Ok(WantedRate::Given(Rate::PerSecond(10_000.0))));
        assert_eq!(text("max"), Ok(WantedRate::Given(Rate::Max)));
        assert_eq!(text("sustainable"), Ok(WantedRate::Sustainable));
        for bad in [Scalar::Number(f64::NAN), Scalar::Number(1e300), Scalar::Integer(-1), Scalar::Integer(i128::MAX)] {
            assert!(WantedRate::read(bad).unwrap_err().contains("sustainable"), "{bad:?}");
        }
    }

    #[test]
    fn texts_are_one_line_that_can_be_printed() {
        assert_eq!(text(" a\n  b\t c "), Ok(Text("a b c".to_owned())));
        for bad in ["", " \n", "\u{1b}[2J", &"x".repeat(1001)] {
            assert!(text::<Text>(bad).is_err(), "{bad:?}");
        }
        assert!(text::<Name>(&"x".repeat(41)).is_err());
    }

    #[test]
    fn whole_numbers() {
        assert_eq!(usize::read(Scalar::Integer(41)), Ok(41));
        assert_eq!(u8::read(Scalar::Integer(255)), Ok(255));
        for bad in [Scalar::Integer(-1), Scalar::Integer(256), Scalar::Number(1.0), Scalar::Text("3")] {
            assert!(u8::read(bad).is_err(), "{bad:?}");
        }
    }
}
