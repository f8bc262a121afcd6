//! Where the state of containers is: a directory for each, below `--root`.
//!
//! ```text
//!   ROOT/ID/state.json   what the next call has to know (record.rs)
//!   ROOT/ID/start        the FIFO at which the first process waits
//! ```
//!
//! The directory is the lock too: whoever makes it has the id, and each command that changes a container
//! holds flock(2) on it, so that two do not start or remove the same one.

use std::{
    fs::{self, DirBuilder, File},
    io::ErrorKind,
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _},
    path::{Path, PathBuf},
};

use container::privileges::in_user_namespace;
use nix::{
    fcntl::{Flock, FlockArg},
    unistd::Uid,
};

use crate::error::{Error, Result, file};

/// The directory of all states.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    root: PathBuf,
}

/// Whether the caller is not root of this host: an ordinary user, or one who is root of a user namespace as
/// podman makes them. Root of a container in which isolab itself runs has `/run`, and says so by USER; runc
/// tells them apart like this too.
fn is_of_a_user() -> bool {
    let is_called_root = || std::env::var_os("USER").is_some_and(|name| name == "root");
    !Uid::effective().is_root() || in_user_namespace() && !is_called_root()
}

/// The directory of one container, locked against other commands that change it.
#[derive(Debug)]
pub(crate) struct StateDirectory {
    pub(crate) path: PathBuf,
    lock: Flock<File>,
}

/// The same, open and not locked: it can be told from a later one of the same name.
#[derive(Debug)]
pub(crate) struct UnlockedDirectory {
    path: PathBuf,
    opened: File,
}

impl Store {
    /// The one of `--root`, or the usual one of this user.
    pub(crate) fn at(root: Option<&Path>) -> Self {
        let usual = || match std::env::var_os("XDG_RUNTIME_DIR") {
            Some(directory) if is_of_a_user() => Path::new(&directory).join("isolab-oci"),
            _ => "/run/isolab-oci".into(),
        };
        Self { root: root.map_or_else(usual, Path::to_owned) }
    }

    /// Takes a new id.
    pub(crate) fn create(&self, id: &str) -> Result<StateDirectory> {
        check(id)?;
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700);
        builder.create(&self.root).map_err(file("create", &self.root))?;
        let directory = self.root.join(id);
        match builder.recursive(false).create(&directory) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                Err(Error::Exists { id: id.to_owned() })
            }
            Err(error) => Err(file("create", &directory)(error)),
            Ok(()) => self.open(id),
        }
    }

    /// The place of an existing container.
    pub(crate) fn open(&self, id: &str) -> Result<StateDirectory> {
        check(id)?;
        let directory = self.root.join(id);
        let opened = match File::open(&directory) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Err(Error::Unknown { id: id.to_owned() });
            }
            opened => opened.map_err(file("open", &directory))?,
        };
        UnlockedDirectory { path: directory, opened }.lock()
    }

    /// Where the directory of a container with that id is, or will be.
    pub(crate) fn directory(&self, id: &str) -> PathBuf {
        self.root.join(id)
    }

    /// The directory of a container, for a command that changes nothing.
    pub(crate) fn look(&self, id: &str) -> Result<PathBuf> {
        check(id)?;
        let directory = self.root.join(id);
        match directory.is_dir() {
            true => Ok(directory),
            false => Err(Error::Unknown { id: id.to_owned() }),
        }
    }

    /// The ids of all containers, in order.
    pub(crate) fn ids(&self) -> Result<Vec<String>> {
        let entries = match fs::read_dir(&self.root) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(file("read", &self.root))?,
        };
        let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
        let mut ids: Vec<String> = names.filter(|name| check(name).is_ok()).collect();
        ids.sort();
        Ok(ids)
    }
}

impl UnlockedDirectory {
    /// Locks it. [`Error::Unknown`] if it has been removed, even if another has its name by now.
    pub(crate) fn lock(self) -> Result<StateDirectory> {
        let Self { path, opened } = self;
        let lock = Flock::lock(opened, FlockArg::LockExclusive);
        let lock = lock.map_err(|(_, errno)| file("lock", &path)(errno.into()))?;
        // Whoever held the lock may have removed it.
        let own = lock.metadata().map_err(file("look at", &path))?;
        let is_there = path
            .symlink_metadata()
            .is_ok_and(|found| (found.dev(), found.ino()) == (own.dev(), own.ino()));
        match is_there {
            true => Ok(StateDirectory { path, lock }),
            false => {
                let id = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                Err(Error::Unknown { id })
            }
        }
    }
}

impl StateDirectory {
    /// Lets other commands change it.
    pub(crate) fn unlock(self) -> Result<UnlockedDirectory> {
        let Self { path, lock } = self;
        match lock.unlock() {
            Ok(opened) => Ok(UnlockedDirectory { path, opened }),
            Err((_, errno)) => Err(file("unlock", path)(errno.into())),
        }
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.path.join("state.json")
    }

    pub(crate) fn start(&self) -> PathBuf {
        self.path.join("start")
    }

    /// Gives the id back.
    pub(crate) fn remove(self) -> Result<()> {
        // Usually there is nothing else in it.
        let _ = fs::remove_file(self.state());
        match fs::remove_dir(&self.path) {
            Err(error) if error.kind() == ErrorKind::DirectoryNotEmpty => {
                fs::remove_dir_all(&self.path).map_err(file("remove", &self.path))
            }
            removed => removed.map_err(file("remove", &self.path)),
        }
    }
}

/// What runc takes as an id, which is a directory's name and may be a cgroup's.
pub(crate) fn check(id: &str) -> Result<()> {
    let is_good = |byte: u8| byte.is_ascii_alphanumeric() || b"_+-.".contains(&byte);
    let fits = (1..=1024).contains(&id.len()) && id.bytes().all(is_good);
    match fits && id != "." && id != ".." {
        true => Ok(()),
        false => Err(Error::Id { id: id.to_owned() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_id_leads_anywhere_else() {
        for id in ["", ".", "..", "a/b", "/a", "a\0", "ä", "a b", &"a".repeat(1025)] {
            assert!(check(id).is_err(), "{id:?}");
        }
        for id in ["a", "A_b+c-d.e", "..a", &"a".repeat(64)] {
            check(id).unwrap();
        }
    }

    #[test]
    fn a_directory_is_not_mistaken_for_a_later_one_of_the_same_name() {
        let root = tempfile::tempdir().unwrap();
        let store = Store::at(Some(root.path()));
        let first = store.create("one").unwrap().unlock().unwrap();
        store.open("one").unwrap().remove().unwrap();
        let _second = store.create("one").unwrap().unlock().unwrap();
        assert!(matches!(first.lock(), Err(Error::Unknown { .. })));
    }

    #[test]
    fn an_id_is_taken_once() {
        let root = tempfile::tempdir().unwrap();
        let store = Store::at(Some(root.path()));
        let place = store.create("one").unwrap();
        assert!(matches!(store.create("one"), Err(Error::Exists { .. })));
        assert_eq!(store.ids().unwrap(), ["one"]);
        place.remove().unwrap();
        assert!(matches!(store.open("one"), Err(Error::Unknown { .. })));
    }
}
