//! A result folder, written as trials end.
