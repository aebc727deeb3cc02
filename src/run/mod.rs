//! Measuring: a plan of conditions and trials, an agent for each host, the phases of a trial, rows of results.
