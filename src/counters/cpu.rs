//! CPU time: NAPI threads, machine busy time, what everybody else used, closure.
