//! Where a password comes from: a file or the environment, never the command line, which every user of a machine can
//! read.

use std::env;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

use crate::error::{Error, Result};
use crate::pubsub::secret::Password;

/// The variable that may hold the password.
const VARIABLE: &str = "NETLAB_PASSWORD";

/// The password of a file, or else of the environment; `None` where neither is.
///
/// # Errors
/// As [`Password::from_file`]; usage when the variable is empty.
pub(super) fn password(file: Option<&Path>) -> Result<Option<Password>> {
    if let Some(path) = file {
        return Password::from_file("--password-file", path).map(Some);
    }
    match env::var_os(VARIABLE) {
        None => Ok(None),
        Some(text) if text.is_empty() => {
            Err(Error::usage(format!("{VARIABLE} is set and empty; give it the password, or unset it")))
        }
        Some(text) => Ok(Some(Password::new(text.into_vec()))),
    }
}
