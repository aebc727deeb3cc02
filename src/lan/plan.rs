//! From a spec to names, addresses and steps: pure.
