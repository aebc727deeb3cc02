//! Files under /proc, always of the calling thread's own network namespace, and a process's limits.
//!
//! `/proc/net` is a link to `/proc/self/net`, which is the namespace of the process's *main* thread; a thread that
//! called `setns` finds its own only under `/proc/thread-self/net`.

use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::FileExt;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::unistd::geteuid;

use crate::error::{Error, Result};

/// A text file of `/proc` that is opened once and read many times.
///
/// `/proc` makes the content anew when a read starts at offset 0, so no second `open` is needed. A file of
/// `/proc/…/net` keeps showing the network namespace it was opened in, whatever the thread does later.
#[derive(Debug)]
pub struct ProcFile {
    file: File,
    path: String,
    buffer: Vec<u8>,
}

impl ProcFile {
    /// Opens `path`; `None` when there is no such file.
    ///
    /// # Errors
    /// When it is there but cannot be opened.
    pub fn open(path: &str) -> Result<Option<ProcFile>> {
        match File::open(path) {
            Ok(file) => Ok(Some(ProcFile { file, path: path.to_owned(), buffer: Vec::new() })),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::failed(format!("opening {path}")).because(error)),
        }
    }

    /// Opens `/proc/thread-self/net/NAME`: of the network namespace the calling thread is in now.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_net(name: &str) -> Result<Option<ProcFile>> {
        ProcFile::open(&format!("/proc/thread-self/net/{name}"))
    }

    /// The content as it is now, up to the next call.
    ///
    /// # Errors
    /// When the file cannot be read (`ESRCH`: the task it speaks of has ended) or is no text.
    pub fn read(&mut self) -> Result<&str> {
        let mut length = 0;
        loop {
            if length == self.buffer.len() {
                self.buffer.resize((2 * length).max(4096), 0);
            }
            match self.file.read_at(&mut self.buffer[length..], length as u64) {
                Ok(0) => break,
                Ok(count) => length += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(Error::failed(format!("reading {}", self.path)).because(error)),
            }
        }
        std::str::from_utf8(&self.buffer[..length])
            .map_err(|error| Error::failed(format!("reading {} as text", self.path)).because(error))
    }
}

/// The first line of a file of `/proc` or `/sys`, without the blanks around it; `None` when it is missing, unreadable
/// or blank.
pub fn first_line(path: &str) -> Option<String> {
    let text = std::fs::read(path).ok()?;
    let text = String::from_utf8_lossy(&text);
    let line = text.lines().next()?.trim();
    (!line.is_empty()).then(|| line.to_owned())
}

/// The process ID by which the mounted `/proc` knows this process.
///
/// It differs from `getpid` inside a PID namespace that still sees the `/proc` of an outer one.
///
/// # Errors
/// When `/proc` is not mounted, or is that of a namespace this process is not in.
pub fn own_pid() -> Result<u32> {
    let link = std::fs::read_link("/proc/self").map_err(|e| Error::failed("reading the link /proc/self").because(e))?;
    let name = link.to_string_lossy();
    name.parse().map_err(|_| Error::failed(format!("/proc/self points to '{name}', which is no process ID")))
}

/// Whether `/proc/PID/comm` says that `pid` is a threaded-NAPI kernel thread (`napi/INTERFACE-ID`).
pub fn is_napi_thread(pid: u32) -> bool {
    first_line(&format!("/proc/{pid}/comm")).is_some_and(|comm| comm.starts_with("napi/"))
}

/// Lets this process open as many files as its hard limit allows (`RLIMIT_NOFILE`), and says how many. Where that is
/// refused, the limit stays.
pub fn raise_open_file_limit() -> u64 {
    raise(Resource::RLIMIT_NOFILE)
}

/// Lets this user have as many processes and threads as the hard limit allows (`RLIMIT_NPROC`), and says how many; `None`
/// for root, which has no such limit.
pub fn raise_process_limit() -> Option<u64> {
    (!geteuid().is_root()).then(|| raise(Resource::RLIMIT_NPROC))
}

/// As far as the hard limit allows; what it is then.
fn raise(limit: Resource) -> u64 {
    match getrlimit(limit) {
        Ok((soft, hard)) if soft < hard => setrlimit(limit, hard, hard).map_or(soft, |()| hard),
        Ok((soft, _)) => soft,
        Err(_) => u64::MAX,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_anew_each_time() {
        let mut status = ProcFile::open("/proc/thread-self/status").unwrap().unwrap();
        let switches = |text: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
            line.unwrap().trim().parse::<u64>().unwrap()
        };
        let before = switches(status.read().unwrap());
        std::thread::sleep(std::time::Duration::from_millis(1)); // one such switch, at least
        assert!(switches(status.read().unwrap()) > before);
    }

    #[test]
    fn missing_is_none() {
        assert!(ProcFile::open("/proc/thread-self/net/no-such-file").unwrap().is_none());
        assert_eq!(first_line("/proc/no-such-file"), None);
    }

    #[test]
    fn the_own_number_is_that_of_proc() {
        assert_eq!(own_pid().unwrap(), std::process::id());
    }

    #[test]
    fn this_process_is_no_kernel_thread() {
        let pid = own_pid().unwrap();
        assert!(first_line(&format!("/proc/{pid}/stat")).unwrap().starts_with(&format!("{pid} (")));
        assert!(!is_napi_thread(pid));
        assert!(!is_napi_thread(u32::MAX));
    }
}
