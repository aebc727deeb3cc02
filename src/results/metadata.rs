//! `run.json`: what was run, on what, with which warnings.
