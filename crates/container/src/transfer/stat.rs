//! What a path refers to, for a client that is about to copy it.

use std::{
    ffi::OsString,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use nix::fcntl::readlinkat;

use super::{CopyPath, Side, found::Found};
use crate::{
    Error,
    error::{self, Result},
};

/// A file, directory or link in a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathStat {
    /// Its name; `/` for the root.
    pub name: OsString,
    /// Bytes.
    pub size: u64,
    /// Type and permissions, as in stat(2).
    pub mode: u32,
    /// When its content changed last.
    pub modified: SystemTime,
    /// Where it leads, if it is a link.
    pub link: OsString,
}

/// Looks at `path`; a link in its last name is not followed.
///
/// # Errors
///
/// When it does not exist, and when the container has ended.
pub fn stat(path: &CopyPath) -> Result<PathStat> {
    let side = Side::open(path)?;
    let (directory, name) = side.parent_and_name(false)?;
    let failed = || error::file("look at", side.path());
    let Found { descriptor, about, .. } =
        Found::at(&directory, name.as_os_str()).map_err(failed())?;
    let is_link = about.st_mode & libc::S_IFMT == libc::S_IFLNK;
    let link = match is_link {
        true => readlinkat(&descriptor, "").map_err(|errno| failed()(errno.into()))?,
        false => OsString::new(),
    };
    let seconds = Duration::from_secs(u64::try_from(about.st_mtime).unwrap_or(0));
    let nanoseconds = Duration::from_nanos(u64::try_from(about.st_mtime_nsec).unwrap_or(0));
    let own = side.path().file_name().map(OsString::from);
    Ok::<_, Error>(PathStat {
        name: own.unwrap_or_else(|| "/".into()),
        size: u64::try_from(about.st_size).unwrap_or(0),
        mode: about.st_mode,
        modified: UNIX_EPOCH + seconds + nanoseconds,
        link,
    })
    .map_err(Into::into)
}
