//! Labs: a network, what is measured on it, and claims about the outcome, all of it data.
//!
//! A [`Lab`] holds a [`Design`] for [`run`](crate::run) and [`Claim`]s, which are judged by the rows of the run.
//!
//! | Where is … | in |
//! |---|---|
//! | what a lab file may say | [`file`], how a value is written in [`value`] |
//! | how it is read | [`read`]: [`factors`] to cases, [`interpret`] for claims and questions, [`problem`]s with their places |
//! | the labs that are built in | [`library`] |

pub mod claim;
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

pub use claim::{Bound, Claim, Question};
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
