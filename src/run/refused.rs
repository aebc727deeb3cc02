//! Why something cannot be measured.

use std::fmt;

/// Why a design cannot be measured. Prints as `FACTOR VALUE: why, and what would be right`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The factor, as [`Case`](super::Case) and [`Design`](super::Design) name it; on the command line the flag of that name.
    pub factor: &'static str,
    /// The value in question; empty where there is none.
    pub value: String,
    /// What is wrong with it and what would be right.
    pub why: String,
    /// The case it was found in, counted from 0; `None` for the design as a whole.
    pub case: Option<usize>,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let space = if self.value.is_empty() { "" } else { " " };
        write!(f, "{}{space}{}: {}", self.factor, self.value, self.why)
    }
}

/// A refusal of a value.
pub(super) fn refuse<T>(factor: &'static str, value: impl fmt::Display, why: impl Into<String>) -> Result<T, Refused> {
    Err(Refused { factor, value: value.to_string(), why: why.into(), case: None })
}
