//! User and password. A password can be compared and handed to a connection, and never be printed.

use std::fmt;
use std::fs;
use std::hint::black_box;
use std::path::Path;

use crate::error::{Error, Result};

/// The longest a password may be, in bytes: what a CONNECT packet has room for (MQTT 5.0 section 1.5.6).
const MAX_BYTES: usize = u16::MAX as usize;

/// A password. `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(Vec<u8>);

impl Password {
    /// These bytes.
    #[must_use]
    pub fn new(bytes: impl Into<Vec<u8>>) -> Password {
        Password(bytes.into())
    }

    /// The first line of a file.
    ///
    /// # Errors
    /// Usage, naming `flag` and the file: it cannot be read, its first line is empty or longer than MQTT allows.
    pub fn from_file(flag: &str, path: &Path) -> Result<Password> {
        let bytes = fs::read(path).map_err(|cause| {
            Error::usage(format!(
                "{flag} {}: cannot be read; give a file with the password as its first line",
                path.display()
            ))
            .because(cause)
        })?;
        let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        match line.len() {
            0 => Err(Error::usage(format!("{flag} {}: its first line, the password, is empty", path.display()))),
            1..=MAX_BYTES => Ok(Password::new(line)),
            _ => Err(Error::usage(format!("{flag} {}: a password has at most {MAX_BYTES} bytes", path.display()))),
        }
    }

    /// The bytes, for a CONNECT packet.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether `other` is this password, in a time that depends on the length of `other` alone.
    pub(super) fn is(&self, other: &[u8]) -> bool {
        same(&self.0, other)
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

/// Whom a broker lets in, and as whom a client comes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// The user's name.
    pub user: String,
    /// The password.
    pub password: Password,
}

impl Login {
    /// Whether this user and this password came. Both are always compared.
    pub(super) fn admits(&self, user: Option<&str>, password: Option<&[u8]>) -> bool {
        let user = same(self.user.as_bytes(), user.unwrap_or_default().as_bytes());
        let password = self.password.is(password.unwrap_or_default());
        user & password
    }
}

/// Whether the bytes are the same, without an early end at the first that differs.
fn same(known: &[u8], given: &[u8]) -> bool {
    let mut differ = u8::from(known.len() != given.len());
    for (index, byte) in given.iter().enumerate() {
        // Past the end of the known one the comparison goes on with something.
        differ |= byte ^ known.get(index).copied().unwrap_or(0);
        differ = black_box(differ);
    }
    differ == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_admits_itself_alone() {
        let login = Login { user: "ann".into(), password: Password::new("secret") };
        assert!(login.admits(Some("ann"), Some(b"secret")));
        for (user, password) in [
            (Some("ann"), Some("secre")),
            (Some("ann"), Some("secrets")),
            (Some("ann"), Some("")),
            (Some("ann"), Some("secret\0")),
            (Some("bob"), Some("secret")),
            (Some(""), Some("")),
            (None, Some("secret")),
            (Some("ann"), None),
            (None, None),
        ] {
            assert!(!login.admits(user, password.map(str::as_bytes)), "{user:?} {password:?}");
        }
    }

    #[test]
    fn a_password_is_not_printed() {
        let login = Login { user: "ann".into(), password: Password::new("secret") };
        assert_eq!(format!("{login:?}"), r#"Login { user: "ann", password: Password(…) }"#);
    }

    #[test]
    fn the_first_line_of_a_file_is_the_password() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        let read = |text: &str| {
            fs::write(&path, text).unwrap();
            Password::from_file("--password-file", &path)
        };
        for text in ["secret", "secret\n", "secret\r\n", "secret\nmore\n"] {
            assert_eq!(read(text).unwrap(), Password::new("secret"), "{text:?}");
        }
        for text in ["", "\n", "\nsecret\n"] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.starts_with("--password-file ") && error.contains("is empty"), "{error}");
        }
        assert!(read(&"x".repeat(MAX_BYTES + 1)).is_err());
        let missing = Password::from_file("--password-file", &folder.path().join("none")).unwrap_err();
        assert_eq!(missing.class().code(), 2);
    }
}
