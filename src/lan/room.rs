//! Whether this process may hold a LAN of a size: open files and processes, by its resource limits (getrlimit(2)).

use super::spec::LanSpec;
use crate::error::{Error, Result};
use crate::sys::proc;

/// Of each end of a cable to a host or a router: its namespace, the line to its agent, the clocks of both receive threads.
const FILES_PER_CABLE: u64 = 4;
/// Beside them: what the program has open at any time, with some to spare.
const OTHER_FILES: u64 = 32;

/// Looks, before anything is made, whether the LAN fits, with so many processes. Raises the soft limits as far as the hard
/// ones allow.
///
/// # Errors
/// Not permitted, with what is needed and the remedy.
pub fn check_room(spec: &LanSpec, processes: usize) -> Result<()> {
    let hosts = spec.hosts();
    let cables = hosts + if spec.has_router() { spec.lans.len() } else { 0 };
    let files = FILES_PER_CABLE * cables as u64 + OTHER_FILES;
    let permitted = proc::raise_open_file_limit();
    if permitted < files {
        let fitting = permitted.saturating_sub(OTHER_FILES) / FILES_PER_CABLE;
        let fewer = if fitting < 2 { String::new() } else { format!(" Or ask for fewer hosts: {fitting} at most.") };
        return Err(Error::not_permitted(
            format!("{hosts} hosts take {files} open files, and this process may have {permitted} (ulimit -n)"),
            format!(
                "Permit more to this shell: sudo prlimit --pid $$ --nofile={files}:{files}, in a container: docker run \
                 --ulimit nofile={files}.{fewer}"
            ),
        ));
    }
    match proc::raise_process_limit() {
        Some(permitted) if permitted < processes as u64 => Err(too_few_processes(&format!(
            "{hosts} hosts take {processes} processes, and this user may have {permitted} (ulimit -u)"
        ))),
        _ => Ok(()),
    }
}

/// Where a process cannot be made for want of room (EAGAIN).
pub fn too_few_processes(what: &str) -> Error {
    Error::not_permitted(
        what,
        "Permit more processes: the hard limit of ulimit -u (sudo prlimit --pid $$ --nproc=unlimited for this shell), and \
         pids.max of the control group. Or ask for fewer hosts.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lan::SwitchKind;

    #[test]
    fn what_fits_this_process_is_permitted() {
        assert!(check_room(&LanSpec::single(2, SwitchKind::Hub, false), 3).is_ok());
        let error = check_room(&LanSpec { lans: vec![1 << 50, 2], ..LanSpec::single(0, SwitchKind::Hub, false) }, 3);
        let error = error.unwrap_err();
        assert_eq!(error.class().code(), 4, "{error}");
        // Each of two LANs has a cable to the router.
        let files = 4 * ((1_u64 << 50) + 2 + 2) + 32;
        assert!(error.to_string().contains(&format!("--nofile={files}:{files}")), "{error}");
    }
}
