//! What went wrong: the operation, what it was done to, the cause, and (where there is one) the remedy.

use std::error::Error as StdError;
use std::fmt;

/// The process exit codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitClass {
    /// Failed while running.
    Failed,
    /// Wrong usage or a bad file.
    Usage,
    /// Ran, but a claim did not hold or a condition had no valid trial.
    NotShown,
    /// The operating system does not permit it here; the message ends with the remedy.
    NotPermitted,
    /// Interrupted; what was measured so far is on disk.
    Interrupted,
}

impl ExitClass {
    /// The number the process ends with.
    pub fn code(self) -> u8 {
        match self {
            ExitClass::Failed => 1,
            ExitClass::Usage => 2,
            ExitClass::NotShown => 3,
            ExitClass::NotPermitted => 4,
            ExitClass::Interrupted => 130,
        }
    }
}

/// A typed failure. Prints as `message: cause`, and the remedy on a line of its own.
#[derive(Debug)]
pub struct Error {
    class: ExitClass,
    message: String,
    cause: Option<Box<dyn StdError + Send + Sync>>,
    remedy: Option<String>,
}

/// The result of everything in this crate that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// Something failed while running: `message` names the operation and its object.
    pub fn failed(message: impl Into<String>) -> Self {
        Error { class: ExitClass::Failed, message: message.into(), cause: None, remedy: None }
    }

    /// Wrong usage: `message` names the flag or file:line and what would be right.
    pub fn usage(message: impl Into<String>) -> Self {
        Error { class: ExitClass::Usage, ..Error::failed(message) }
    }

    /// It ran, but did not show what it should have.
    pub fn not_shown(message: impl Into<String>) -> Self {
        Error { class: ExitClass::NotShown, ..Error::failed(message) }
    }

    /// Interrupted by the user.
    pub fn interrupted(message: impl Into<String>) -> Self {
        Error { class: ExitClass::Interrupted, ..Error::failed(message) }
    }

    /// Refused by the operating system; `remedy` says what to do about it.
    pub fn not_permitted(message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Error { class: ExitClass::NotPermitted, remedy: Some(remedy.into()), ..Error::failed(message) }
    }

    /// Adds the cause.
    #[must_use]
    pub fn because(mut self, cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// Adds a remedy.
    #[must_use]
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    /// The exit code this failure leads to.
    pub fn class(&self) -> ExitClass {
        self.class
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if let Some(cause) = &self.cause {
            write!(f, ": {cause}")?;
        }
        if let Some(remedy) = &self.remedy {
            write!(f, "\n{remedy}")?;
        }
        Ok(())
    }
}

impl StdError for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_operation_cause_and_remedy() {
        let error = Error::not_permitted("opening a packet socket on eth0", "Run it as root.")
            .because(std::io::Error::from_raw_os_error(libc::EPERM));
        assert_eq!(
            error.to_string(),
            "opening a packet socket on eth0: Operation not permitted (os error 1)\nRun it as root."
        );
        assert_eq!(error.class().code(), 4);
    }
}
