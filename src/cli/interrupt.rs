//! Ctrl-C and its kin: the first asks the running loop to end, the second ends the program at once.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;

use crate::error::ExitClass;

/// A flag that SIGINT, SIGTERM or SIGHUP sets; the next of them exits with code 130.
///
/// SIGHUP stays ignored where it was at the start (`nohup`).
///
/// # Errors
/// When the kernel refuses a handler.
pub(crate) fn stop_flag() -> io::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        if signal == SIGHUP && is_ignored(signal) {
            continue;
        }
        // Actions run in this order: the exit looks at the flag before this signal has set it.
        flag::register_conditional_shutdown(signal, ExitClass::Interrupted.code().into(), Arc::clone(&stop))?;
        flag::register(signal, Arc::clone(&stop))?;
    }
    Ok(stop)
}

/// Whether this process ignores `signal` (`SigIgn` of `/proc/thread-self/status`).
fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/thread-self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}
