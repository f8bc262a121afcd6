//! Where snapshots are, and which there are.

use std::{
    ffi::OsStr,
    fs::{self, File},
    path::{Path, PathBuf},
};

use super::{Snapshot, SnapshotError, State, folder::UNFINISHED};

/// The folder of a user's snapshots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotStore(pub PathBuf);

/// A snapshot in a list.
#[derive(Debug)]
pub struct Listed {
    /// Its name.
    pub name: String,
    /// The room that its memory takes on the disk; the rest of it is small.
    pub bytes_on_disk: u64,
    /// What is known of it, or what is wrong with it. Its memory was not read for that.
    pub state: Result<State, SnapshotError>,
}

impl SnapshotStore {
    /// The calling user's.
    ///
    /// # Errors
    ///
    /// When neither `XDG_DATA_HOME` nor `HOME` is set.
    pub fn of_user() -> Result<Self, SnapshotError> {
        let data = host::user_directory("XDG_DATA_HOME", ".local/share");
        Ok(Self(data.ok_or(SnapshotError::NoPlace)?.join("isolab/snapshots")))
    }

    /// The folder of the snapshot of this name, whether there is one or not.
    ///
    /// # Errors
    ///
    /// When no snapshot can be called so.
    pub fn named(&self, name: &str) -> Result<PathBuf, SnapshotError> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        let first = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
        match first && name.len() <= 100 && name.bytes().all(allowed) {
            true => Ok(self.0.join(name)),
            false => Err(SnapshotError::Name { name: name.to_owned() }),
        }
    }

    /// All snapshots, by name; those that are damaged are among them.
    pub fn list(&self) -> Vec<Listed> {
        let entries = fs::read_dir(&self.0).into_iter().flatten().flatten();
        let mut list: Vec<Listed> = entries
            .filter_map(|entry| Some((entry.file_name().into_string().ok()?, entry.path())))
            .filter(|(name, folder)| self.named(name).is_ok() && folder.is_dir())
            .map(|(name, folder)| Listed {
                name,
                bytes_on_disk: room(&folder.join("memory")),
                state: Snapshot::open(&folder).map(|snapshot| snapshot.state),
            })
            .collect();
        list.sort_by(|one, other| one.name.cmp(&other.name));
        list
    }
}

impl SnapshotStore {
    /// Removes the snapshot of this name. Clones that run keep its memory.
    ///
    /// # Errors
    ///
    /// When there is none, or it cannot be removed.
    pub fn remove(&self, name: &str) -> Result<(), SnapshotError> {
        let folder = self.named(name)?;
        if !folder.symlink_metadata().is_ok_and(|about| about.is_dir()) {
            return Err(SnapshotError::None { folder });
        }
        let removed = (|| {
            // First it loses its name: half of one is none.
            let place = tempfile::Builder::new().prefix(UNFINISHED).tempdir_in(&self.0)?;
            fs::rename(&folder, place.path().join(name))?;
            place.close()
        })();
        removed.map_err(|source| SnapshotError::Remove { folder, source })
    }

    /// Removes what was being written by those who were killed at it; gives what that was.
    pub fn clean(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(&self.0).into_iter().flatten().flatten();
        let unfinished = |name: &OsStr| name.as_encoded_bytes().starts_with(UNFINISHED.as_bytes());
        let nobody_writes =
            |folder: &Path| File::open(folder).is_ok_and(|it| it.try_lock().is_ok());
        entries
            .filter(|entry| unfinished(&entry.file_name()))
            .map(|entry| entry.path())
            .filter(|folder| nobody_writes(folder) && fs::remove_dir_all(folder).is_ok())
            .collect()
    }
}

fn room(file: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    fs::metadata(file).map_or(0, |about| about.blocks() * 512)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_leads_out_of_the_place() {
        let store = SnapshotStore("/place".into());
        assert_eq!(store.named("base-1.2_x").unwrap(), Path::new("/place/base-1.2_x"));
        for name in ["", ".", "..", ".unfinished-x", "a/b", "/etc", "-x", "a b", "\u{e9}"] {
            assert!(store.named(name).is_err(), "{name:?}");
        }
        assert!(store.named(&"x".repeat(101)).is_err());
    }

    #[test]
    fn what_was_left_unfinished_is_removed_unless_somebody_is_at_it() {
        let folder = tempfile::tempdir().unwrap();
        let [left, at_work] = ["left", "at-work"].map(|name| {
            let path = folder.path().join(format!("{UNFINISHED}{name}"));
            fs::create_dir(&path).unwrap();
            path
        });
        fs::create_dir(folder.path().join("whole")).unwrap();
        let writer = File::open(&at_work).unwrap();
        writer.lock().unwrap();
        assert_eq!(SnapshotStore(folder.path().into()).clean(), [left]);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
        drop(writer);
        assert_eq!(SnapshotStore(folder.path().into()).clean(), [at_work]);
    }

    #[test]
    fn what_is_removed_is_gone_and_nothing_else_is() {
        let folder = tempfile::tempdir().unwrap();
        let store = SnapshotStore(folder.path().into());
        for name in ["one", "other"] {
            fs::create_dir(folder.path().join(name)).unwrap();
            fs::write(folder.path().join(name).join("memory"), "").unwrap();
        }
        std::os::unix::fs::symlink("other", folder.path().join("link")).unwrap();
        store.remove("one").unwrap();
        for name in ["one", "link", "no"] {
            assert!(matches!(store.remove(name), Err(SnapshotError::None { .. })), "{name}");
        }
        assert!(matches!(store.remove("../other"), Err(SnapshotError::Name { .. })));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
        assert!(folder.path().join("other/memory").exists());
    }

    #[test]
    fn a_folder_that_is_none_is_listed_as_damaged() {
        let place = tempfile::tempdir().unwrap();
        fs::create_dir(place.path().join("broken")).unwrap();
        fs::create_dir(place.path().join(".unfinished-1")).unwrap();
        fs::write(place.path().join("file"), "").unwrap();
        let list = SnapshotStore(place.path().into()).list();
        assert_eq!(list.len(), 1);
        assert_eq!(list[0].name, "broken");
        assert!(matches!(&list[0].state, Err(SnapshotError::Missing { .. })));
        assert!(SnapshotStore("/no/such/place".into()).list().is_empty());
    }
}
