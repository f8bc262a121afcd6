//! A name below a root, reached without following a link: those of an image are somebody else's.

use std::{
    ffi::OsString,
    fs::{self, File, Metadata},
    io,
    os::fd::{AsRawFd as _, OwnedFd},
    path::{Path, PathBuf},
};

use nix::{
    fcntl::{OFlag, OpenHow, ResolveFlag, openat2},
    sys::stat::Mode,
};

/// A name in a directory that is held open.
pub(super) struct Inside {
    directory: OwnedFd,
    name: OsString,
}

impl Inside {
    /// The last name of `path` below `root`. Whether anything has that name is not asked.
    pub(super) fn of(root: &Path, path: &str) -> io::Result<Self> {
        let path = Path::new(path);
        let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_owned();
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let resolve = ResolveFlag::RESOLVE_BENEATH
            | ResolveFlag::RESOLVE_NO_SYMLINKS
            | ResolveFlag::RESOLVE_NO_MAGICLINKS;
        let how = OpenHow::new()
            .flags(OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC)
            .mode(Mode::empty())
            .resolve(resolve);
        let directory = openat2(File::open(root)?, parent.unwrap_or(Path::new(".")), how)?;
        Ok(Self { directory, name })
    }

    /// A path of which only the last name is looked up, while this is not dropped.
    pub(super) fn path(&self) -> PathBuf {
        Path::new(&format!("/proc/self/fd/{}", self.directory.as_raw_fd())).join(&self.name)
    }

    /// What is there; of a link, the link.
    pub(super) fn metadata(&self) -> io::Result<Metadata> {
        fs::symlink_metadata(self.path())
    }
}

/// Whether anything has that name.
pub(super) fn is_there(root: &Path, path: &str) -> bool {
    Inside::of(root, path).is_ok_and(|inside| inside.metadata().is_ok())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn no_link_is_followed() {
        let root = std::env::temp_dir().join(format!("isolab-inside-{}", std::process::id()));
        fs::create_dir_all(root.join("a")).unwrap();
        fs::write(root.join("a/file"), "").unwrap();
        symlink("a", root.join("link")).unwrap();
        symlink("/etc", root.join("etc")).unwrap();
        let there = ["a/file", "link", "link/file", "etc/passwd", "../etc", "a/none"]
            .map(|path| is_there(&root, path));
        fs::remove_dir_all(&root).unwrap();
        assert_eq!(there, [true, true, false, false, false, false]);
    }
}
