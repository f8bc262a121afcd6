//! Locks between processes: flock(2) of a file. The kernel frees them when a process ends.

use std::{
    fs::{File, OpenOptions},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use super::{Result, error};

/// A lock that is held until it is dropped.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Waits until nobody holds the file exclusively.
    ///
    /// # Errors
    ///
    /// When the file cannot be opened or locked.
    pub fn shared(path: &Path) -> Result<Self> {
        let file = open(path)?;
        file.lock_shared().map_err(error::io("lock", path))?;
        Ok(Self { _file: file })
    }

    /// Waits until nobody holds the file.
    ///
    /// # Errors
    ///
    /// When the file cannot be opened or locked.
    pub fn exclusive(path: &Path) -> Result<Self> {
        let file = open(path)?;
        file.lock().map_err(error::io("lock", path))?;
        Ok(Self { _file: file })
    }

    /// The lock if nobody holds the file.
    ///
    /// # Errors
    ///
    /// When the file cannot be opened.
    pub fn try_exclusive(path: &Path) -> Result<Option<Self>> {
        let file = open(path)?;
        Ok(file.try_lock().is_ok().then_some(Self { _file: file }))
    }
}

fn open(path: &Path) -> Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    options.custom_flags(nix::libc::O_NOFOLLOW).open(path).map_err(error::io("open", path))
}
