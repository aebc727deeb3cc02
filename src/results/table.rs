//! The tables and sentences a person reads.
