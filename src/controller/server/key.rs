//! The controller's own key, and what is signed with it. Not the store's credentials, and not what a token allows.

use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use aws_lc_rs::hmac;

use crate::model::Digest;

/// The key's file in a data folder.
pub const KEY_FILE: &str = "controller.key";
const KEY_BYTES: usize = 32;

/// A secret of 32 bytes from which the keys of tokens and of the disk store's URLs are derived.
pub struct ServerKey([u8; KEY_BYTES]);

impl ServerKey {
    /// Reads `file`, or makes it with random bytes; whether it was made.
    pub fn open(file: &Path) -> io::Result<(Self, bool)> {
        let (key, is_new) = Self::read_or_new(file)?;
        match is_new.then(|| key.keep(file)) {
            // Another process was first.
            Some(Err(error)) if error.kind() == io::ErrorKind::AlreadyExists => Self::read_or_new(file),
            Some(Err(error)) => Err(error),
            Some(Ok(())) | None => Ok((key, is_new)),
        }
    }

    /// Reads `file`; a new key that stands nowhere yet if it is not there, and whether that is so.
    pub fn read_or_new(file: &Path) -> io::Result<(Self, bool)> {
        match fs_err::read(file) {
            Ok(bytes) => Ok((Self::from_hex(&bytes)?, false)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let mut key = [0; KEY_BYTES];
                getrandom::fill(&mut key).map_err(io::Error::other)?;
                Ok((Self(key), true))
            }
            Err(error) => Err(error),
        }
    }

    /// Writes a new key down, readable by its owner alone; fails if `file` is there.
    pub fn keep(&self, file: &Path) -> io::Result<()> {
        let mut options = fs_err::OpenOptions::new();
        options.write(true).create_new(true);
        options.options_mut().mode(0o600);
        let mut made = options.open(file)?;
        // 32 bytes print as a digest does; it is none.
        writeln!(made, "{}", Digest::from_bytes(self.0))?;
        made.sync_all()
    }

    /// A key of these bytes.
    pub const fn new(bytes: [u8; KEY_BYTES]) -> Self {
        Self(bytes)
    }

    /// The key for one purpose: neither another purpose's key nor this one follows from it.
    pub fn derive(&self, purpose: &str) -> [u8; KEY_BYTES] {
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &self.0), purpose.as_bytes());
        let mut derived = [0; KEY_BYTES];
        derived.copy_from_slice(tag.as_ref());
        derived
    }

    fn from_hex(text: &[u8]) -> io::Result<Self> {
        let wrong = || io::Error::new(io::ErrorKind::InvalidData, "the key is not 64 hexadecimal digits");
        let text = std::str::from_utf8(text).map_err(|_| wrong())?;
        let digest: Digest = text.trim().parse().map_err(|_| wrong())?;
        Ok(Self(*digest.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_key_is_made_once_and_only_its_owner_reads_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret.key");
        let (key, made) = ServerKey::open(&file).unwrap();
        assert!(made);
        assert_eq!(fs_err::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        let (again, made) = ServerKey::open(&file).unwrap();
        assert!(!made && again.0 == key.0);
        assert_ne!(key.derive("tokens"), key.derive("objects"));
        assert_ne!(key.derive("tokens"), key.0);
    }

    #[test]
    fn a_damaged_key_is_an_error_and_stays() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret.key");
        fs_err::write(&file, "not a key").unwrap();
        assert!(ServerKey::open(&file).is_err());
        assert_eq!(fs_err::read(&file).unwrap(), b"not a key");
    }
}
