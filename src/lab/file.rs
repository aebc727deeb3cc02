//! What a lab file may say: the tables and keys of `labs/NAME.toml`.
//!
//! These structs are the format, and their comments its documentation: `labs/schema.json`, by which editors complete and
//! check lab files, is made from them.

use std::net::IpAddr;
use std::time::Duration;

use serde::Deserialize;
use serde::de::{MapAccess, value::MapAccessDeserializer};

use super::Bound;
use super::claim::{Expect, Tolerance};
use super::value::{Bits, Distance, Key, Name, Qos, Scalar, Several, Spot, Table, Text, WantedRate, Written};
use crate::chat::options::Relay;
use crate::lan::{Igmp, Nic, SwitchKind};
use crate::results::factor::Factor;
use crate::run::{Attribution, BroadcastAddress};
use crate::units::{Bytes, Mode, Rate, Role};

/// A lab of netlab: a network, what is measured on it, and claims about the outcome.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(title = "netlab lab"))]
#[serde(deny_unknown_fields, expecting = "a lab file")]
pub struct LabFile {
    /// In a few words: "One to many: who pays?"
    #[cfg_attr(test, schemars(required))]
    pub title: Option<Spot<Text>>,
    /// The sentence of the lecture that is put to the test.
    #[cfg_attr(test, schemars(required))]
    pub lecture: Option<Spot<Text>>,
    /// What is measured. What is not said is as with `netlab measure`.
    pub measure: Option<Table<Measure>>,
    /// What `--quick` changes. It goes over `measure`, and a case's own keys go over it. Without this table: trials = 3.
    pub quick: Option<Table<Quick>>,
    /// What should come out.
    #[serde(default)]
    pub claim: Vec<Table<Claim>>,
    /// What `--predict` asks before the run, three questions at most.
    #[serde(default)]
    pub question: Vec<Table<Question>>,
}

/// Gives the keys that ``measure``, its cases and ``quick`` have in common to another macro, behind what is said to that.
macro_rules! with_common_keys {
    ($then:ident! { $($own:tt)* }) => {
        $then! {
            { $($own)* }
            /// Modes to compare: unicast, broadcast, raw-broadcast, multicast, chat, pubsub. The first four unless said.
            modes: Option<Several<Mode>>,
            /// Hosts on the LAN: the sender, the receivers, the bystanders and, with chat or pubsub, the server; 2 to 1023. 21
            /// unless said.
            hosts: Option<Several<usize>>,
            /// How many of the hosts want the messages. 4 and 16 unless said, as far as there are hosts.
            receivers: Option<Several<usize>>,
            /// Instead of hosts and receivers: groups of hosts, in their order, the sender first.
            groups: Option<Vec<Table<Group>>>,
            /// What the switch does with frames. snooping unless said.
            switch: Option<Several<SwitchKind>>,
            /// The hosts' network cards: promiscuous lets every frame through to the kernel (so unless said), filter drops
            /// what is for another MAC.
            nic: Option<Several<Nic>>,
            /// Messages a second: 500, "10k", "max"; or "sustainable": the highest of those to `try` at which nothing is lost.
            /// 2000 unless said. With a burst it counts the wake-ups of the sender.
            rate: Option<Several<WantedRate>>,
            /// Messages that leave at each wake-up of the sender, so that there are rate * burst a second. 1 unless said.
            burst: Option<Several<u32>>,
            /// Size of a message in bytes of UDP payload, 32 or more: 64, "8k". 64 unless said.
            size: Option<Several<Bytes>>,
            /// How long each trial sends: "400ms", "5s". "400ms" unless said.
            duration: Option<Spot<Duration>>,
            /// IPv6 instead of IPv4; leaves broadcast out, since IPv6 has none.
            ipv6: Option<Spot<bool>>,
            /// Hop limit of multicast messages. 1 unless said.
            ttl: Option<Several<u8>>,
            /// Group of multicast messages. "239.1.1.1" unless said (IPv6: "ff12::4e4c:1").
            group: Option<Several<IpAddr>>,
            /// Whether receivers join for this sender alone (RFC 4607).
            source_specific: Option<Spot<bool>>,
            /// How membership is kept: the version of IGMP, 2 or 3, or a table. 3 unless said.
            igmp: Option<Several<Igmp>>,
            /// Broadcast: limited (255.255.255.255, for which Linux looks up a route anew for each frame at each host) or directed
            /// (the subnet's own address). limited unless said.
            broadcast_address: Option<Several<BroadcastAddress>>,
            /// Chat: direct (the thread that reads a message writes it to every client) or queued (a slow client waits in a queue
            /// of its own). queued unless said.
            relay: Option<Several<Relay>>,
            /// Pubsub: MQTT's quality of service, 0 (at most once) or 1 (at least once). 0 unless said.
            qos: Option<Several<Qos>>,
            /// Pubsub: whether the broker retains the last message for those who come later.
            retain: Option<Spot<bool>>,
            /// When the server dies, from the start of sending; never unless said.
            server_dies_at: Option<Spot<Duration>>,
            /// One-way delay that the router between LANs adds: "20ms". None unless said.
            distance: Option<Several<Distance>>,
            /// Who does the receive work of the virtual links: threads (one for each end, so that each host's CPU time can be told)
            /// or plain (whoever is on the CPU, as virtual links have it). threads unless said.
            attribution: Option<Several<Attribution>>,
            /// Whether loss is what is looked for, so that it does not speak against a trial; nor does a sender that a server holds
            /// up.
            loss_expected: Option<Spot<bool>>,
            /// Datagrams of bystanders beside the measured messages.
            flow: Option<Table<Flow>>,
            /// A router that asks for members where the switch does not.
            querier: Option<Table<Querier>>,
        }
    };
}

/// Defines a table with keys of its own beside the common ones.
macro_rules! table {
    (
        { $(#[$about:meta])* $name:ident { $($(#[$note:meta])* $own:ident: $own_type:ty,)* } }
        $($(#[$common_note:meta])* $common:ident: $common_type:ty,)*
    ) => {
        $(#[$about])*
        #[derive(Clone, Debug, Deserialize)]
        #[cfg_attr(test, derive(schemars::JsonSchema))]
        #[serde(deny_unknown_fields, expecting = "a table of what is measured")]
        pub struct $name {
            $($(#[$note])* pub $own: $own_type,)*
            $($(#[$common_note])* pub $common: $common_type,)*
        }

        impl $name {
            /// The keys that all tables of factors have.
            pub fn factors(self) -> Factors {
                Factors { $($common: self.$common,)* }
            }
        }
    };
}

/// What goes for each of the common keys alike.
macro_rules! each_common_key {
    ({ $name:ident } $($(#[$note:meta])* $key:ident: $type:ty,)*) => {
        impl $name {
            /// These, with those keys in their place that `over` has.
            #[must_use]
            pub fn replaced_by(self, over: &$name) -> $name {
                $name { $($key: over.$key.clone().or(self.$key),)* }
            }

            /// The keys that there are, each with its name.
            pub fn keys(&self) -> Vec<(&'static str, &dyn Key)> {
                let keys = [$((stringify!($key), self.$key.as_ref().map(|key| key as &dyn Key)),)*];
                keys.into_iter().filter_map(|(name, key)| Some((name, key?))).collect()
            }
        }
    };
}

with_common_keys!(table! {
    /// What is measured. Wherever a list is possible it is a factor: all combinations are measured.
    #[derive(Default)]
    Measure {
        /// How often each condition is repeated. 5 unless said.
        trials: Option<Spot<u32>>,
        /// With rate = "sustainable": the rates to try, until every condition sustains one without loss.
        r#try: Option<Several<Rate>>,
        /// Several cases, each with a name; their keys go over those of `measure`.
        case: Option<Vec<Table<Case>>>,
    }
});

with_common_keys!(table! {
    /// One of several cases: its keys go over those of `measure` and `quick`.
    Case {
        /// What it is called.
        name: Spot<Name>,
    }
});

with_common_keys!(table! {
    /// What `--quick` changes.
    #[derive(Default)]
    Quick {
        /// How often each condition is repeated.
        trials: Option<Spot<u32>>,
        /// With rate = "sustainable": the rates to try.
        r#try: Option<Several<Rate>>,
    }
});

with_common_keys!(table! {
    /// The keys that all tables of factors have.
    #[derive(Default)]
    Factors {}
});

with_common_keys!(each_common_key! { Factors });

/// Hosts that do the same.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, expecting = "a table of a group of hosts")]
pub struct Group {
    /// What claims and flows call them.
    pub name: Option<Spot<Name>>,
    /// What they are to the measured messages: sender (the first group, one host), receiver, bystander; with chat or pubsub
    /// server (one host; in other modes it wants nothing).
    pub role: Spot<Role>,
    /// How many. 1 unless said.
    pub count: Option<Spot<usize>>,
    /// On which LAN, counted from 1; a router joins several. 1 unless said.
    pub lan: Option<Spot<usize>>,
    /// Receivers: how long their program is busy with each message.
    pub busy: Option<Spot<Duration>>,
    /// Receivers of multicast, chat and pubsub: when they join, from the start of sending; before it unless said.
    pub joins_at: Option<Spot<Duration>>,
    /// Receivers, likewise: when they leave; after the end unless said.
    pub leaves_at: Option<Spot<Duration>>,
    /// Receivers that leave: when they are back; not before the end unless said.
    pub returns_at: Option<Spot<Duration>>,
    /// Bystanders: another group they are members of; with pubsub, the topic of that name.
    pub member_of: Option<Spot<IpAddr>>,
    /// Bystanders: whether they do a fixed kind of work all the while, on a CPU that also does their receive work.
    pub works: Option<Spot<bool>>,
    /// Bits a second their links carry towards them: "10M"; as fast as they can unless said.
    pub link_limit: Option<Spot<Bits>>,
}

/// Datagrams beside the measured messages, between the first hosts of two groups of bystanders.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, expecting = "a table of a flow")]
pub struct Flow {
    /// The group that sends.
    pub from: Spot<Name>,
    /// The group that receives, by unicast; without it they go to the measured messages' own group.
    pub to: Option<Spot<Name>>,
    /// Datagrams a second.
    pub rate: Spot<Rate>,
    /// Bytes of UDP payload.
    pub size: Spot<Bytes>,
}

/// A router that asks for members.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, expecting = "a table of a querier")]
pub struct Querier {
    /// Time between its queries.
    pub interval: Spot<Duration>,
    /// When it stops, from the start of sending; never unless said.
    pub stops_at: Option<Spot<Duration>>,
}

/// How membership is kept.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, expecting = "a table of IGMP")]
pub struct IgmpTable {
    /// 2 or 3, at the hosts and at the switch. 3 unless said.
    pub version: Option<Spot<u8>>,
    /// Time between the queries that ask whether a leaver was the last member. "100ms" unless said.
    pub last_member_interval: Option<Spot<Duration>>,
    /// How long a membership lasts that nobody confirms; longer than any run unless said.
    pub membership_interval: Option<Spot<Duration>>,
}

impl Written for Igmp {
    fn read(scalar: Scalar<'_>) -> Result<Self, String> {
        u8::read(scalar).map(|version| Igmp { version, ..Igmp::default() })
    }

    fn read_table<'de, A: MapAccess<'de>>(table: A) -> Result<Self, A::Error> {
        let table = IgmpTable::deserialize(MapAccessDeserializer::new(table))?;
        let usual = Igmp::default();
        Ok(Igmp {
            version: table.version.map_or(usual.version, |version| version.value),
            last_member_interval: table.last_member_interval.map_or(usual.last_member_interval, |time| time.value),
            membership_interval: table.membership_interval.map(|time| time.value).or(usual.membership_interval),
        })
    }
}

/// For an editor's help: what the keys stand for.
#[cfg(test)]
fn described_statement() -> String {
    let legend = super::statement::legend();
    format!("The statements of the lecture it belongs to: \"L3\", or \"L3 L8\"; or a key of your own.{legend}")
}

/// Something that should be true of a figure. One of at_most, at_least, about, grows_with, flat_in says what.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, expecting = "a table of a claim")]
pub struct Claim {
    /// The statements of the lecture it belongs to: "L3", or "L3 L8"; or a key of your own.
    #[cfg_attr(test, schemars(description = described_statement()))]
    pub statement: Option<Spot<Text>>,
    /// The sentence it stands for.
    pub says: Spot<Text>,
    /// What is judged, as in summary.csv: link_rx_frames, cpu_total, …
    pub metric: Spot<Text>,
    /// Whose: sender, server, receiver, bystander, router, switch, all, or the name of a group of hosts.
    pub role: Spot<Text>,
    /// In which conditions; each of them has to bear the claim out.
    pub r#where: Option<Table<Selector>>,
    /// As a ratio to the same figure in these conditions, all else being equal, round by round: how many times as much. Of
    /// what grows, the ratio of the two slopes.
    pub against: Option<Table<Selector>>,
    /// As a difference from the same figure in these conditions, all else being equal, round by round: how much more. Of
    /// what grows, the difference of the two slopes.
    pub minus: Option<Table<Selector>>,
    /// With against or minus: the metric there, where it is another one in the same unit, of the same role.
    pub against_metric: Option<Spot<Text>>,
    /// The figure is not above this: a number, or an expression such as "2 * receivers".
    pub at_most: Option<Spot<Bound>>,
    /// The figure is not below this.
    pub at_least: Option<Spot<Bound>>,
    /// The figure is this, within the tolerance.
    pub about: Option<Spot<Bound>>,
    /// The figure grows with this factor: receivers, hosts, rate, burst, size, ttl, distance (in ms).
    pub grows_with: Option<Spot<Factor>>,
    /// With grows_with: by more than this for each one more. 0 unless said.
    pub by_at_least: Option<Spot<f64>>,
    /// With grows_with: by no more than this for each one more.
    pub by_at_most: Option<Spot<f64>>,
    /// With grows_with: by this for each one more, within the tolerance.
    pub by_about: Option<Spot<f64>>,
    /// Over this factor the figure stays the same, within the tolerance.
    pub flat_in: Option<Spot<Factor>>,
    /// The tolerance of about and by_about ("1 %" unless said) and flat_in ("10 %" unless said): a share, or a number in the
    /// unit of the figure.
    pub within: Option<Spot<Tolerance>>,
    /// "fails" where the lab shows that something does not hold; "holds-if-decided" where it may stay undecided, as what is
    /// rare and short on a busy machine.
    pub expect: Option<Spot<Expect>>,
}

/// A figure to guess before it is measured.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, expecting = "a table of a question")]
pub struct Question {
    /// The question in words.
    pub ask: Spot<Text>,
    /// What is guessed, as in summary.csv.
    pub metric: Spot<Text>,
    /// Whose: sender, receiver, bystander, router, switch, all, or the name of a group of hosts.
    pub role: Spot<Text>,
    /// In which condition; one alone.
    pub r#where: Option<Table<Selector>>,
}

/// Conditions by the values of their factors; one that is not named may have any value.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, expecting = "a table that selects conditions")]
pub struct Selector {
    /// Modes.
    pub mode: Option<Several<Mode>>,
    /// Names of cases.
    pub case: Option<Several<Name>>,
    /// Numbers of receivers.
    pub receivers: Option<Several<usize>>,
    /// Numbers of hosts.
    pub hosts: Option<Several<usize>>,
    /// Kinds of switch.
    pub switch: Option<Several<SwitchKind>>,
    /// Kinds of network card.
    pub nic: Option<Several<Nic>>,
    /// Messages a second, or wake-ups with a burst.
    pub rate: Option<Several<Rate>>,
    /// Messages at each wake-up.
    pub burst: Option<Several<u32>>,
    /// Sizes of a message in bytes.
    pub size: Option<Several<Bytes>>,
    /// Hop limits.
    pub ttl: Option<Several<u8>>,
    /// Distances.
    pub distance: Option<Several<Distance>>,
    /// How membership is kept.
    pub igmp: Option<Several<Igmp>>,
    /// Groups of multicast messages.
    pub group: Option<Several<IpAddr>>,
    /// Broadcast addresses.
    pub broadcast_address: Option<Several<BroadcastAddress>>,
    /// How the chat server passes messages on.
    pub relay: Option<Several<Relay>>,
    /// MQTT's quality of service.
    pub qos: Option<Several<Qos>>,
    /// Who does the receive work of the virtual links.
    pub attribution: Option<Several<Attribution>>,
}
