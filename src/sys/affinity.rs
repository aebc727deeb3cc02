//! Which CPUs a thread may run on (`sched_setaffinity(2)`). A CPU is named by its number.

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

use crate::error::{Error, Result};

/// The calling thread.
const SELF: Pid = Pid::from_raw(0);

/// The CPUs the calling thread may run on, in ascending order.
///
/// # Errors
/// When the kernel does not say, as on a machine with more than 1,024 CPUs.
pub fn allowed() -> Result<Vec<usize>> {
    let set = sched_getaffinity(SELF).map_err(|error| Error::failed("asking for the CPUs allowed").because(error))?;
    Ok((0..CpuSet::count()).filter(|&cpu| set.is_set(cpu) == Ok(true)).collect())
}

/// Keeps the calling thread, and those it starts from now on, to `cpus`.
///
/// # Errors
/// When none of them is online and allowed, or there is no such CPU.
pub fn keep_to(cpus: &[usize]) -> Result<()> {
    let failed = |error| Error::failed(format!("keeping a thread to the CPUs {cpus:?}")).because(error);
    let mut set = CpuSet::new();
    cpus.iter().try_for_each(|&cpu| set.set(cpu)).map_err(failed)?;
    sched_setaffinity(SELF, &set).map_err(failed)
}

/// The calling thread kept to some CPUs for as long as this lives; then it may run where it might before.
#[derive(Debug)]
pub struct Kept {
    before: Vec<usize>,
}

impl Kept {
    /// See [`keep_to`].
    ///
    /// # Errors
    /// As [`allowed`] and [`keep_to`].
    pub fn to(cpus: &[usize]) -> Result<Kept> {
        let before = allowed()?;
        keep_to(cpus)?;
        Ok(Kept { before })
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        // What was allowed a moment ago is refused only when those CPUs have gone, and then the kernel has chosen others.
        let _ = keep_to(&self.before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_is_kept_and_let_go() {
        let before = allowed().unwrap();
        let first = before[0];
        {
            let _kept = Kept::to(&[first]).unwrap();
            assert_eq!(allowed().unwrap(), [first]);
            let started = std::thread::spawn(allowed).join().unwrap();
            assert_eq!(started.unwrap(), [first], "threads it starts are kept too");
        }
        assert_eq!(allowed().unwrap(), before);
    }

    #[test]
    fn no_such_cpu() {
        assert!(keep_to(&[]).is_err());
        assert!(keep_to(&[usize::MAX]).is_err());
    }
}
