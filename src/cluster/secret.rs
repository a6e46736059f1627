//! The secret that the processes of one run share.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use zeroize::Zeroizing;

use crate::model::{Error, Result};

/// Environment variable that holds the secret.
pub const SECRET_VARIABLE: &str = "PINGRAPH_SECRET";

/// Bytes of a secret at least: a shorter one can be found by trying.
pub const SECRET_MIN: usize = 16;

/// Bytes of a secret at most, so that a wrong path does not read a table into memory.
pub const SECRET_MAX: usize = 4096;

/// A shared secret. It is wiped from memory when dropped, and no `Debug`, error or log shows it.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// The secret of the environment, else that of `file`, else none. The file must be readable
    /// by its owner only (mode 600).
    pub fn from_env_or_file(file: Option<&Path>) -> Result<Option<Secret>> {
        match std::env::var(SECRET_VARIABLE) {
            Ok(text) => {
                let text = Zeroizing::new(text);
                Secret::from_text(&text).map(Some).map_err(|error| Error {
                    what: format!("{SECRET_VARIABLE}: {}", error.what),
                    ..error
                })
            }
            Err(std::env::VarError::NotUnicode(_)) => {
                Err(Error::job(format!("{SECRET_VARIABLE} is no text")))
            }
            Err(std::env::VarError::NotPresent) => file.map(Secret::from_file).transpose(),
        }
    }

    /// The secret in a file of mode 600, without white space at its ends.
    pub fn from_file(path: &Path) -> Result<Secret> {
        let unreadable =
            |error| Error::job(format!("the secret cannot be read: {error}")).path(path);
        let file = File::open(path).map_err(unreadable)?;
        // Of the open file, so that it cannot be exchanged between check and reading.
        let mode = file.metadata().map_err(unreadable)?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            let what = format!("the secret's file has mode {mode:o}: others can get at it");
            return Err(Error::job(what).path(path).remedy("chmod 600 it"));
        }
        let mut text = Zeroizing::new(String::new());
        file.take(SECRET_MAX as u64 + 2).read_to_string(&mut text).map_err(unreadable)?;
        Secret::from_text(&text).map_err(|error| error.path(path))
    }

    /// A secret from text, without white space at its ends.
    pub fn from_text(text: &str) -> Result<Secret> {
        let text = text.trim();
        if text.len() < SECRET_MIN {
            return Err(Error::job(format!("a secret has at least {SECRET_MIN} characters"))
                .remedy("for instance the output of: openssl rand -hex 32"));
        }
        if text.len() > SECRET_MAX {
            return Err(Error::job(format!("a secret has at most {SECRET_MAX} bytes")));
        }
        Ok(Secret(Zeroizing::new(text.to_owned())))
    }

    /// A new secret of 256 random bits.
    pub fn random() -> Result<Secret> {
        let mut bytes = Zeroizing::new([0; 32]);
        fill_random(&mut *bytes)?;
        let mut text = Zeroizing::new(String::with_capacity(64));
        for byte in bytes.iter() {
            for digit in [byte >> 4, byte & 15] {
                text.push(char::from(b"0123456789abcdef"[usize::from(digit)]));
            }
        }
        Ok(Secret(text))
    }

    /// The secret itself, to hand it on to a process that this one starts.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// Fills `bytes` from the system's source of randomness.
pub(super) fn fill_random(bytes: &mut [u8]) -> Result<()> {
    getrandom::fill(bytes)
        .map_err(|error| Error::engine(format!("the system gives no random numbers: {error}")))
}
