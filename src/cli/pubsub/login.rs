//! Where a password comes from: a file, the environment or a person at the terminal, never the command line, which every
//! user of a machine can read.

use std::env;
use std::io::{self, IsTerminal};
use std::os::unix::ffi::OsStringExt;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use super::prompt::{Given, secret};
use crate::cli::escaped::escaped;
use crate::error::{Error, Result};
use crate::pubsub::secret::Password;

/// The variable that may hold the password.
const VARIABLE: &str = "NETLAB_PASSWORD";

/// The password of a file, or else of the environment, or else of the person at the terminal, who is asked for the
/// `user`'s until `stop` is set. `None` where none of them is, and where the person gives an empty one.
///
/// # Errors
/// As [`Password::from_file`]; usage when the variable is empty; interrupted by Ctrl-C and Ctrl-D, and by `stop`.
pub(super) fn password(file: Option<&Path>, user: Option<&str>, stop: &AtomicBool) -> Result<Option<Password>> {
    if let Some(path) = file {
        return Password::from_file("--password-file", path).map(Some);
    }
    match env::var_os(VARIABLE) {
        None => user.map_or(Ok(None), |user| ask(user, stop)),
        Some(text) if text.is_empty() => {
            Err(Error::usage(format!("{VARIABLE} is set and empty; give it the password, or unset it")))
        }
        Some(text) => Ok(Some(Password::new(text.into_vec()))),
    }
}

/// Asks for a user's password without showing what is typed, where standard input is a terminal.
fn ask(user: &str, stop: &AtomicBool) -> Result<Option<Password>> {
    if !io::stdin().is_terminal() {
        return Ok(None);
    }
    match secret(&format!("password for {}: ", escaped(user.as_bytes())), stop) {
        Ok(Given::Line(line)) if line.is_empty() => Ok(None),
        Ok(Given::Line(line)) => Ok(Some(Password::new(line))),
        Ok(Given::Nothing) => Err(Error::interrupted("no password was given")),
        Err(cause) => Err(Error::failed("asking for the password").because(cause)),
    }
}
