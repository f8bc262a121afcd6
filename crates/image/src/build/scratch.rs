//! Directories of a build: in which a command's changes are until they are a layer, and the context of
//! a client until the build has ended.

use std::{
    fs::{self, DirBuilder, Permissions},
    io,
    os::{
        fd::AsFd as _,
        unix::{
            ffi::OsStrExt as _,
            fs::{DirBuilderExt as _, PermissionsExt as _},
        },
    },
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use super::error::StepError;
use crate::{
    layer::remove::remove as remove_below,
    store::{Lock, Store},
    usage::disk_bytes,
};

/// Where they are, in the store's directory.
const DIRECTORY: &str = "build";

/// A directory with `upper` and `work` for overlayfs. It is removed when it is dropped; what a killed
/// build left is removed by the next, which finds that nobody holds its lock.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
    _lock: Lock,
}

impl Scratch {
    /// Makes one in the store.
    ///
    /// # Errors
    ///
    /// When it cannot be made.
    pub fn new(store: &Store) -> Result<Self, StepError> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let folder = store.path().join(DIRECTORY);
        make(&folder, 0o700)?;
        // So that nobody removes the new directory before it is locked.
        let guard = Lock::exclusive(&folder.join("lock"))?;
        remove_left(store);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = folder.join(format!("run-{}-{number}", std::process::id()));
        make(&path, 0o700)?;
        let lock = Lock::exclusive(&path.join("lock"))?;
        drop(guard);
        let scratch = Self { path, _lock: lock };
        make(&scratch.upper(), 0o755)?;
        make(&scratch.path.join("work"), 0o755)?;
        Ok(scratch)
    }

    /// The directory that contains both.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The directory `upper`, which is empty at first.
    pub fn upper(&self) -> PathBuf {
        self.path.join("upper")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        remove(&self.path);
    }
}

fn make(path: &Path, mode: u32) -> Result<(), StepError> {
    let made = DirBuilder::new().recursive(true).mode(mode).create(path);
    // Whatever the caller's umask is: others than root go through the root directory of a container.
    let set = made.and_then(|()| fs::set_permissions(path, Permissions::from_mode(mode)));
    set.map_err(|source: io::Error| {
        let path = path.display().to_string();
        StepError::File { action: "create the directory", path, source }
    })
}

/// Removes what killed builds left; the bytes that it had on the disk.
pub(crate) fn remove_left(store: &Store) -> u64 {
    let mut bytes = 0;
    for entry in fs::read_dir(store.path().join(DIRECTORY)).into_iter().flatten().flatten() {
        let path = entry.path();
        let is_left =
            path.is_dir() && matches!(Lock::try_exclusive(&path.join("lock")), Ok(Some(_)));
        if is_left {
            bytes += disk_bytes(&path).unwrap_or(0);
            remove(&path);
        }
    }
    bytes
}

fn remove(path: &Path) {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else { return };
    // A client's context, and what a command has made, may be deep and without permissions.
    if let Ok(folder) = fs::File::open(folder) {
        let _ = remove_below(folder.as_fd(), name.as_bytes());
    }
}
