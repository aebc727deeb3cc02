//! Labs: a network, what is measured on it, and claims about the outcome, all of it data.
//!
//! A [`Lab`] holds a [`Design`] for [`run`](crate::run) and [`Claim`]s, which are judged by the rows of the run.
//!
//! | Where is … | in |
//! |---|---|
//! | what a claim is | [`claim`], [`bound`] |
//! | whether a plan can bear it out at all | [`check`] |
//! | what is compared with what, what lies on one line | [`comparison`], [`telling`] |
//! | how it is judged: each condition, each line, all of them | [`mod@judge`], [`mod@line`], [`verdict`] |
//! | how that is said | [`words`] |
//! | which statement of the lecture it belongs to | [`statement`] |
//! | what a lab file may say | [`mod@file`], how a value is written in [`value`] |
//! | how it is read | [`mod@read`]: [`factors`] to cases, [`interpret`] for claims and questions, [`problem`]s with their places |
//! | the labs that are built in | [`library`] |

pub mod bound;
pub mod check;
pub mod claim;
pub mod comparison;
pub mod judge;
pub mod line;
pub mod statement;
pub mod telling;
pub mod verdict;
pub mod words;

pub mod factors;
pub mod file;
pub mod interpret;
pub mod library;
pub mod problem;
pub mod read;
#[cfg(test)]
mod schema;
pub mod value;

use crate::run::Design;

pub use bound::Bound;
pub use claim::{Claim, Question};
pub use judge::judge;
pub use problem::Problem;
pub use read::read;

/// One lab, read from `labs/NAME.toml`.
#[derive(Clone, Debug, PartialEq)]
pub struct Lab {
    /// Its name on the command line: the file's, without `.toml`.
    pub name: String,
    /// In a few words.
    pub title: String,
    /// The sentence of the lecture it puts to the test.
    pub lecture: String,
    /// What is measured.
    pub design: Design,
    /// The same in under 30 s, with wider intervals.
    pub quick: Design,
    /// What should come out.
    pub claims: Vec<Claim>,
    /// What `--predict` asks first.
    pub questions: Vec<Question>,
}
