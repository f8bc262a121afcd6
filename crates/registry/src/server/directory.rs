//! The data directory, reached by descriptors: no path leads out of it, whatever links somebody has
//! planted there.
//!
//! Paths are relative, and the kernel resolves each below the directory's own descriptor, without
//! following a link (openat2(2)). What is created, renamed or removed is named in the directory that
//! was opened this way.

mod lock;
mod lookup;

use std::{
    fs::{File, Metadata},
    io::{self, Read as _, Write as _},
    os::fd::{AsFd as _, OwnedFd},
    path::Path,
    sync::{Mutex, PoisonError},
    time::SystemTime,
};

use lookup::{about, open_below, or_none, split};
use rustix::{
    fs::{AtFlags, Dir, Mode, OFlags, fsync, mkdirat, renameat, syncfs, unlinkat},
    io::Errno,
};

/// The directory of a registry, which one server has at a time.
#[derive(Debug)]
pub(super) struct DataDirectory {
    /// Locked by flock(2) until the server ends, in whatever way.
    root: OwnedFd,
    /// Whether what is written goes through to the disk.
    sync: bool,
    /// Held while directories are made and synced: nobody relies on one that may still be lost.
    making: Mutex<()>,
    /// What was made and synced, in this order.
    #[cfg(test)]
    pub(super) trace: Mutex<Vec<String>>,
}

/// What is known of a file.
#[derive(Debug, Clone, Copy)]
pub(super) struct FileStat {
    pub(super) length: u64,
    pub(super) modified: SystemTime,
}

const DIRECTORY_MODE: Mode = Mode::from_raw_mode(0o700);

impl DataDirectory {
    /// Opens the directory `path`, which is made if it is missing, for this server alone.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::WouldBlock`] if another server has it, and when it cannot be made or opened.
    pub(super) fn open(path: &Path, sync: bool) -> io::Result<Self> {
        use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)?;
        let flags = (OFlags::DIRECTORY | OFlags::CLOEXEC).bits() as i32;
        // The operator's own path may lead through links.
        let root = std::fs::OpenOptions::new().read(true).custom_flags(flags).open(path)?;
        lock::lock(&root)?;
        if sync {
            // A server that ran before may have acknowledged without it, or was killed at it.
            syncfs(&root)?;
        }
        Ok(Self {
            root: root.into(),
            sync,
            making: Mutex::default(),
            #[cfg(test)]
            trace: Mutex::default(),
        })
    }

    /// A regular file, for reading; `None` if there is none.
    pub(super) fn file(&self, path: &str) -> io::Result<Option<File>> {
        Ok(self.existing(path, OFlags::RDONLY)?.map(|(file, _)| file))
    }

    /// A regular file, for reading and writing; `None` if there is none.
    pub(super) fn writable(&self, path: &str) -> io::Result<Option<File>> {
        Ok(self.existing(path, OFlags::RDWR)?.map(|(file, _)| file))
    }

    fn existing(&self, path: &str, flags: OFlags) -> io::Result<Option<(File, Metadata)>> {
        let Some(file) = or_none(open_below(self.root.as_fd(), path, flags)) else {
            return Ok(None);
        };
        let file = File::from(file.map_err(about("open", path))?);
        let found = file.metadata()?;
        match found.is_file() {
            true => Ok(Some((file, found))),
            false => Err(about("open", path)(io::Error::other("not a regular file"))),
        }
    }

    /// A new file, in a directory that is there.
    pub(super) fn create(&self, path: &str) -> io::Result<File> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL;
        let file = open_below(self.root.as_fd(), path, flags);
        Ok(file.map_err(about("create", path))?.into())
    }

    /// The first `most` bytes of a file; `None` if there is none.
    pub(super) fn read(&self, path: &str, most: u64) -> io::Result<Option<Vec<u8>>> {
        let Some((file, found)) = self.existing(path, OFlags::RDONLY)? else { return Ok(None) };
        let length = found.len().min(most);
        let mut bytes = Vec::with_capacity(length as usize);
        file.take(length).read_to_end(&mut bytes).map_err(about("read", path))?;
        Ok(Some(bytes))
    }

    /// Length and time of the last change of a file; `None` if it is not there.
    pub(super) fn stat(&self, path: &str) -> io::Result<Option<FileStat>> {
        let Some((_, found)) = self.existing(path, OFlags::RDONLY)? else { return Ok(None) };
        Ok(Some(FileStat { length: found.len(), modified: found.modified()? }))
    }

    /// Writes a new file, which [`DataDirectory::rename`] then gives its name.
    pub(super) fn write_new(&self, path: &str, bytes: &[u8]) -> io::Result<()> {
        let mut file = self.create(path)?;
        let written = file.write_all(bytes).and_then(|()| self.sync_file(&file));
        if written.is_err() {
            let _ = self.remove(path);
        }
        written.map_err(about("write", path))
    }

    /// Renames a file over whatever is at `to`: the old or the new one is there at any moment, and
    /// who reads the old one goes on with it.
    pub(super) fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let (from_directory, from_name) = split(from);
        let (to_directory, to_name) = split(to);
        let from_directory = self.directory(from_directory).map_err(about("open", from))?;
        let target = self.make_directories(to_directory)?;
        renameat(&from_directory, from_name, &target, to_name)
            .map_err(|errno| about("rename", to)(errno.into()))
    }

    fn sync_file(&self, file: &File) -> io::Result<()> {
        if self.sync { file.sync_all() } else { Ok(()) }
    }

    /// Writes through to the disk what a file has.
    pub(super) fn sync_path(&self, path: &str) -> io::Result<()> {
        match self.sync {
            true => self.file(path)?.ok_or(io::ErrorKind::NotFound)?.sync_all(),
            false => Ok(()),
        }
    }

    /// Writes through to the disk which names a directory has. Nothing if it is missing.
    pub(super) fn sync_names(&self, directory: &str) -> io::Result<()> {
        if !self.sync {
            return Ok(());
        }
        match or_none(self.directory(directory)) {
            Some(opened) => self.sync_opened(&opened.map_err(about("open", directory))?, directory),
            None => Ok(()),
        }
    }

    fn sync_opened(&self, directory: &OwnedFd, _path: &str) -> io::Result<()> {
        fsync(directory)?;
        #[cfg(test)]
        self.traced(format!("sync {_path}"));
        Ok(())
    }

    #[cfg(test)]
    fn traced(&self, event: String) {
        self.trace.lock().unwrap().push(event);
    }

    /// Makes what is missing of a directory and those above it, and opens it.
    pub(super) fn make_directories(&self, path: &str) -> io::Result<OwnedFd> {
        // Who does not sync has nothing to wait for.
        let _made = self.sync.then(|| self.making.lock().unwrap_or_else(PoisonError::into_inner));
        if let Ok(directory) = self.directory(path) {
            return Ok(directory);
        }
        let mut here = self.root.try_clone()?;
        for (at, _) in path.match_indices('/').chain([(path.len(), "")]) {
            let (above, part) = split(&path[..at]);
            match mkdirat(&here, part, DIRECTORY_MODE) {
                Ok(()) => self.keep_made(&here, above, part)?,
                Err(Errno::EXIST) => {}
                Err(errno) => return Err(about("create", path)(errno.into())),
            }
            here = open_below(here.as_fd(), part, OFlags::RDONLY | OFlags::DIRECTORY)
                .map_err(about("open", path))?;
        }
        Ok(here)
    }

    /// A directory that could not be synced goes again: the next request would rely on it.
    fn keep_made(&self, above: &OwnedFd, path: &str, part: &str) -> io::Result<()> {
        #[cfg(test)]
        self.traced(format!("make {path}/{part}"));
        let synced = if self.sync { self.sync_opened(above, path) } else { Ok(()) };
        if synced.is_err() {
            let _ = unlinkat(above, part, AtFlags::REMOVEDIR);
        }
        synced
    }

    /// Removes a file. Returns whether it was there.
    pub(super) fn remove(&self, path: &str) -> io::Result<bool> {
        let (directory, name) = split(path);
        let removed = self.directory(directory).and_then(|directory| {
            unlinkat(&directory, name, AtFlags::empty())?;
            Ok(directory)
        });
        match or_none(removed) {
            None => Ok(false),
            Some(removed) => {
                let opened = removed.map_err(about("remove", path))?;
                if self.sync {
                    self.sync_opened(&opened, directory)?;
                }
                Ok(true)
            }
        }
    }

    /// The names in a directory, sorted; none if it is missing.
    pub(super) fn names(&self, path: &str) -> io::Result<Vec<String>> {
        let Some(directory) = or_none(self.directory(path)) else { return Ok(Vec::new()) };
        let directory = directory.map_err(about("list", path))?;
        let mut all = Vec::new();
        for entry in Dir::read_from(directory)? {
            let entry = entry.map_err(|errno| about("list", path)(errno.into()))?;
            let name = entry.file_name().to_str();
            all.extend(name.ok().filter(|name| !matches!(*name, "." | "..")).map(str::to_owned));
        }
        all.sort_unstable();
        Ok(all)
    }

    /// Whether there is such a directory.
    pub(super) fn is_directory(&self, path: &str) -> bool {
        self.directory(path).is_ok()
    }

    fn directory(&self, path: &str) -> io::Result<OwnedFd> {
        open_below(self.root.as_fd(), path, OFlags::RDONLY | OFlags::DIRECTORY)
    }
}

impl Drop for DataDirectory {
    fn drop(&mut self) {
        lock::unlock(&self.root);
    }
}
