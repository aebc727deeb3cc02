//! What a lab claims about its outcome: data, no code.

use std::fmt;
use std::time::Duration;

use super::bound::Bound;
use crate::lan::{Nic, SwitchKind};
use crate::run::Condition;
use crate::units::{Mode, Rate, Role};

/// A statement about one metric, to be judged by its confidence interval.
#[derive(Clone, Debug, PartialEq)]
pub struct Claim {
    /// The statements of the lecture it belongs to: `L3`, or `L3 L8`.
    pub statement: String,
    /// The sentence it stands for.
    pub says: String,
    /// What is judged.
    pub figure: Figure,
    /// In which conditions; each of them has to bear the claim out.
    pub select: Selector,
    /// What it is set beside, round by round.
    pub against: Option<Against>,
    /// What it should be.
    pub test: Test,
    /// What the lab expects of it.
    pub expect: Expect,
}

/// The same figure in other conditions, all else being equal.
#[derive(Clone, Debug, PartialEq)]
pub struct Against {
    /// Which they are.
    pub select: Selector,
    /// How the two are compared.
    pub by: Comparison,
}

/// How two figures are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// How many times the one is the other.
    Ratio,
    /// How much the one is above the other.
    Difference,
}

/// A question for `--predict`: guess this figure before it is measured.
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    /// In words.
    pub ask: String,
    /// What is guessed.
    pub figure: Figure,
    /// In which condition; one alone.
    pub select: Selector,
}

/// A metric of a role, as in `summary.csv`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Figure {
    /// `link_rx_frames`, `cpu_total`, …
    pub metric: String,
    /// `sender`, `receiver`, `bystander`, `router`, `switch`, `all`, or the name of a group of hosts.
    pub role: String,
}

/// What should be true of a figure.
#[derive(Clone, Debug, PartialEq)]
pub enum Test {
    /// It is not above this.
    AtMost(Bound),
    /// It is not below this.
    AtLeast(Bound),
    /// It is this, within the tolerance.
    About(Bound, Tolerance),
    /// Over the factor, the line through it has such a slope.
    GrowsWith(Factor, Growth),
    /// Over the factor, the line through it changes by no more than the tolerance from end to end (relative to the mean).
    FlatIn(Factor, Tolerance),
}

/// What should be true of a slope, which is the growth for each one more.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Growth {
    /// It is above this.
    MoreThan(f64),
    /// It is not above this.
    AtMost(f64),
    /// It is this, within the tolerance.
    About(f64, Tolerance),
}

/// How far off is near enough.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Tolerance {
    /// A share of the bound: 0.01 is 1 %.
    Relative(f64),
    /// In the unit of the figure.
    Absolute(f64),
}

/// A numeric factor of the design.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Factor {
    /// Receivers of each message.
    Receivers,
    /// Hosts without router and switch.
    Hosts,
    /// Messages a second asked for.
    Rate,
    /// Payload in bytes.
    Size,
    /// Hop limit.
    Ttl,
    /// One-way delay of the router between LANs, in ms.
    Distance,
}

/// What the lab expects of a claim.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Expect {
    /// It holds.
    #[default]
    Holds,
    /// It fails, on purpose: a switch was set wrong, say.
    Fails,
    /// It holds, or the machine is too noisy to decide it in the lab's time.
    HoldsIfDecided,
}

impl Expect {
    /// All of them.
    pub const ALL: [Expect; 3] = [Expect::Holds, Expect::Fails, Expect::HoldsIfDecided];

    /// The spelling in lab files and in `claims.csv`.
    pub fn as_str(self) -> &'static str {
        match self {
            Expect::Holds => "holds",
            Expect::Fails => "fails",
            Expect::HoldsIfDecided => "holds-if-decided",
        }
    }
}

/// Conditions by the values of their factors; an empty list leaves the factor open.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Selector {
    /// Modes.
    pub mode: Vec<Mode>,
    /// Names of cases.
    pub case: Vec<String>,
    /// Numbers of receivers.
    pub receivers: Vec<usize>,
    /// Numbers of hosts.
    pub hosts: Vec<usize>,
    /// Kinds of switch.
    pub switch: Vec<SwitchKind>,
    /// Kinds of card.
    pub nic: Vec<Nic>,
    /// Messages a second.
    pub rate: Vec<Rate>,
    /// Payloads in bytes.
    pub size: Vec<usize>,
    /// Hop limits.
    pub ttl: Vec<u8>,
    /// One-way delays of the router between LANs.
    pub distance: Vec<Duration>,
}

impl Factor {
    /// All of them.
    pub const ALL: [Factor; 6] =
        [Factor::Receivers, Factor::Hosts, Factor::Rate, Factor::Size, Factor::Ttl, Factor::Distance];

    /// The spelling in lab files.
    pub fn as_str(self) -> &'static str {
        match self {
            Factor::Receivers => "receivers",
            Factor::Hosts => "hosts",
            Factor::Rate => "rate",
            Factor::Size => "size",
            Factor::Ttl => "ttl",
            Factor::Distance => "distance",
        }
    }

    /// Its value in a condition; `None` for the rate `max`.
    pub fn of(self, condition: &Condition) -> Option<f64> {
        match self {
            Factor::Receivers => Some(condition.count(Role::Receiver) as f64),
            Factor::Hosts => Some(condition.hosts() as f64),
            Factor::Rate => condition.traffic.rate.per_second(),
            Factor::Size => Some(condition.traffic.size as f64),
            Factor::Ttl => Some(f64::from(condition.traffic.ttl)),
            Factor::Distance => Some(condition.network.distance.as_secs_f64() * 1e3),
        }
    }
}

impl fmt::Display for Expect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Display for Factor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Selector {
    /// Whether a condition has one of the values of every factor that is not left open.
    pub fn matches(&self, condition: &Condition) -> bool {
        fn is<T: PartialEq>(wanted: &[T], value: &T) -> bool {
            wanted.is_empty() || wanted.contains(value)
        }
        is(&self.mode, &condition.mode)
            && is(&self.case, &condition.case)
            && is(&self.receivers, &condition.count(Role::Receiver))
            && is(&self.hosts, &condition.hosts())
            && is(&self.switch, &condition.network.switch)
            && is(&self.nic, &condition.network.nic)
            && is(&self.rate, &condition.traffic.rate)
            && is(&self.size, &condition.traffic.size)
            && is(&self.ttl, &condition.traffic.ttl)
            && is(&self.distance, &condition.network.distance)
    }
}
