//! Results on disk and on screen: CSV files, run metadata, statistics, tables. Knows nothing of how they were measured.

pub mod metadata;
pub mod row;
pub mod stats;
pub mod store;
pub mod table;
