//! Clocks: CLOCK_MONOTONIC, process CPU time, sleeping until a moment.
