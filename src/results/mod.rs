//! Results on disk and on screen: CSV files, run metadata, statistics, tables. Knows nothing of how they were measured.
//!
//! Rows of hosts ([`row`]) are kept in a folder ([`store`], [`metadata`]); those of a [`trial`] give the value of each
//! [`metric`], and the trials statistics ([`stats`], [`paired`], [`summary`]). A setting's metrics ([`setting`]) become text ([`table`],
//! [`funnel`], [`sentence`]; [`figure`] and [`grid`] are what they are set in) or [`json`].

pub mod burst;
#[cfg(test)]
mod coverage;
pub mod delay;
#[cfg(test)]
mod example;
pub mod factor;
pub mod figure;
pub mod funnel;
pub mod grid;
pub mod host;
mod host_row;
pub mod json;
pub mod metadata;
pub mod metric;
pub mod paired;
pub mod read;
pub mod row;
pub mod sentence;
pub mod setting;
pub mod stats;
pub mod store;
pub mod summary;
pub mod table;
pub mod trial;
