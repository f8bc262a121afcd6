//! One upload, as the server knows it between requests.

use std::{
    fs::File,
    io::{self, Read as _},
    sync::{Mutex, MutexGuard, PoisonError},
};

use image::digest::{Algorithm, Digest, Digester};

use super::super::error::ApiError;

/// One upload. Whoever has the lock of it is the only one who writes.
#[derive(Debug)]
pub struct Upload {
    /// The repository it is for.
    pub(super) repository: String,
    pub(super) digester: Digester,
    pub(super) offset: u64,
    /// Whether it was finished, cancelled or has expired. Its file may be a blob now.
    pub(super) ended: bool,
}

/// The upload, for whoever writes to it.
pub fn lock(upload: &Mutex<Upload>) -> MutexGuard<'_, Upload> {
    upload.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Upload {
    pub(super) fn new(repository: &str, digester: Digester, offset: u64) -> Self {
        Self { repository: repository.into(), digester, offset, ended: false }
    }

    /// How many bytes have arrived.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// The digest of all bytes, which must be read again for another algorithm than SHA-256.
    pub(super) fn digest(
        &self,
        algorithm: Algorithm,
        file: impl FnOnce() -> Result<File, ApiError>,
    ) -> Result<Digest, ApiError> {
        match algorithm {
            Algorithm::Sha256 => Ok(self.digester.clone().finish()),
            algorithm => Ok(hashed(&file()?, algorithm)?.0.finish()),
        }
    }
}

/// The hash of a file from its beginning, and its length.
pub(super) fn hashed(mut file: &File, algorithm: Algorithm) -> io::Result<(Digester, u64)> {
    let mut digester = Digester::new(algorithm);
    let mut piece = vec![0; 128 << 10];
    let mut offset = 0;
    loop {
        match file.read(&mut piece)? {
            0 => return Ok((digester, offset)),
            length => {
                digester.update(&piece[..length]);
                offset += length as u64;
            }
        }
    }
}
