//! What a lab claims about its outcome: data, no code.

use std::collections::BTreeMap;
use std::fmt;

use super::bound::Bound;
use crate::results::factor::{Factor, Value};
use crate::run::Condition;

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

/// The same figure, or another of the same role, in other conditions, all else being equal.
#[derive(Clone, Debug, PartialEq)]
pub struct Against {
    /// Which they are.
    pub select: Selector,
    /// How the two are compared.
    pub by: Comparison,
    /// The metric there, where it is another one, in the same unit.
    pub metric: Option<String>,
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

/// Conditions by the values of their factors; a factor that is not in it is left open.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Selector(BTreeMap<Factor, Vec<Value>>);

impl fmt::Display for Expect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Claim {
    /// What the figure is set beside: the same one, unless another metric is named.
    pub fn other_figure(&self) -> Figure {
        let metric = self.against.as_ref().and_then(|against| against.metric.clone());
        Figure { metric: metric.unwrap_or_else(|| self.figure.metric.clone()), role: self.figure.role.clone() }
    }
}

impl Selector {
    /// Narrowed to conditions with one of these values of a factor; no values leave it open.
    #[must_use]
    pub fn and<V: Into<Value>>(mut self, factor: Factor, values: impl IntoIterator<Item = V>) -> Selector {
        let values: Vec<Value> = values.into_iter().map(Into::into).collect();
        if values.is_empty() {
            self.0.remove(&factor);
        } else {
            self.0.insert(factor, values);
        }
        self
    }

    /// The values it asks for; none where it leaves the factor open.
    pub fn values(&self, factor: Factor) -> &[Value] {
        self.0.get(&factor).map_or(&[], Vec::as_slice)
    }

    /// Whether it asks for values of a factor.
    pub fn names(&self, factor: Factor) -> bool {
        self.0.contains_key(&factor)
    }

    /// The factors it asks for values of, those first that tell most.
    pub fn factors(&self) -> impl Iterator<Item = Factor> {
        self.0.keys().copied()
    }

    /// Whether a condition has one of the values of every factor that is not left open.
    pub fn matches(&self, condition: &Condition) -> bool {
        self.0.iter().all(|(factor, values)| values.contains(&factor.of(condition)))
    }
}
