//! Results on disk and on screen: CSV files, run metadata, statistics, tables. Knows nothing of how they were measured.

#[cfg(test)]
mod example;
pub mod figure;
pub mod funnel;
pub mod grid;
pub mod json;
pub mod metadata;
pub mod row;
pub mod sentence;
pub mod setting;
pub mod stats;
pub mod store;
pub mod summary;
pub mod table;
