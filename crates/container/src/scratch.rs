//! A temporary directory of isolab's own.

use std::{
    fs::{self, DirBuilder},
    io,
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering::Relaxed},
};

use nix::unistd::Uid;
use sandbox::{Claim, Ledger, LedgerEntry, Resource};

use crate::{clean::remove_tree, error, error::Result};

/// A directory that only its user may enter. Dropping it removes it with its content; meanwhile it
/// is in the ledger, so that `isolab clean` finds what a killed isolab has left.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
    /// The ledger entry, removed when the directory is gone.
    claim: Option<Claim>,
}

impl Scratch {
    /// `isolab-NAME-PID-N` in the directory `parent`, for the command `words`; `isolab ps` lists it
    /// as a sandbox of that `kind`.
    ///
    /// # Errors
    ///
    /// When the ledger cannot be written, the name exists already, or other users may rename
    /// entries of `parent`.
    pub fn make(parent: &Path, name: &str, kind: &str, words: &[&str]) -> Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Relaxed);
        let name = format!("{name}-{}-{number}", std::process::id());
        // The later removal does not follow symbolic links.
        let parent = parent.canonicalize().map_err(error::file("resolve", parent))?;
        only_its_owner_renames(&parent)?;
        let path = parent.join(format!("isolab-{name}"));
        let command = words.iter().map(|word| (*word).to_owned()).collect();
        let resources = vec![Resource::Directory(path.clone())];
        let entry = LedgerEntry { resources, ..LedgerEntry::new(name, kind, command) };
        let claim =
            Ledger::open().and_then(|ledger| ledger.claim(entry)).map_err(error::Error::from)?;
        DirBuilder::new().mode(0o700).create(&path).map_err(error::file("create", &path))?;
        Ok(Self { path, claim: Some(claim) })
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if remove_tree(&self.path).is_err() {
            // The entry stays, so that `isolab clean` tries again and reports the error.
            std::mem::forget(self.claim.take());
        }
    }
}

/// The owner of files whose owner is not mapped in this user namespace (user_namespaces(7)): that
/// user has power over everything in it anyway.
const OUTSIDE: u32 = 65534;

/// Refuses a directory in which other users may rename entries that are not theirs: they could
/// replace it. The group of a directory is trusted like its owner.
fn only_its_owner_renames(parent: &Path) -> Result<(), error::Error> {
    let found = fs::metadata(parent).map_err(error::file("look at", parent))?;
    let (owner, mode) = (found.uid(), found.mode());
    let foreign = ![0, OUTSIDE, Uid::effective().as_raw()].contains(&owner);
    if foreign || (mode & 0o002 != 0 && mode & 0o1000 == 0) {
        let why = format!(
            "user {owner} or others may rename what is in it (mode {mode:o}): set TMPDIR to a \
             directory of your own, or `chmod +t` it"
        );
        return Err(error::file("create a directory in", parent)(io::Error::other(why)));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_with_all_that_is_in_it_and_the_ledger_knows_it_until_then() {
        let entry = |path: &Path| {
            let resource = Resource::Directory(path.to_owned());
            let entries = Ledger::open().unwrap().entries().unwrap();
            entries.into_iter().find(|entry| entry.resources.contains(&resource))
        };
        let parent = tempfile::tempdir().unwrap();
        let scratch = Scratch::make(parent.path(), "test", "test", &["isolab"]).unwrap();
        let path = scratch.path().to_owned();
        fs::create_dir_all(path.join("in/it")).unwrap();
        assert!(entry(&path).is_some());
        drop(scratch);
        assert!(!path.exists() && entry(&path).is_none());
    }

    #[test]
    fn what_is_somebody_elses_is_neither_used_nor_removed() {
        let parent = tempfile::tempdir().unwrap();
        let first = Scratch::make(parent.path(), "squat", "test", &["isolab"]).unwrap();
        let (name, number) = first.path().to_str().unwrap().rsplit_once('-').unwrap();
        let number: u32 = number.parse().unwrap();
        let taken: Vec<PathBuf> =
            (1..50).map(|more| format!("{name}-{}", number + more).into()).collect();
        for path in &taken {
            fs::create_dir(path).unwrap();
        }
        assert!(Scratch::make(parent.path(), "squat", "test", &["isolab"]).is_err());
        assert!(taken.iter().all(|path| path.exists()));
    }

    #[test]
    fn a_parent_in_which_others_may_rename_is_refused() {
        use std::os::unix::fs::{PermissionsExt as _, chown};
        let parent = tempfile::tempdir().unwrap();
        let make = || Scratch::make(parent.path(), "shared", "test", &["isolab"]);
        let set = |mode| fs::set_permissions(parent.path(), fs::Permissions::from_mode(mode));
        set(0o777).unwrap();
        let refused = sandbox::chain(&make().unwrap_err());
        assert!(refused.contains("TMPDIR"), "{refused}");
        set(0o1777).unwrap();
        drop(make().unwrap());
        if Uid::effective().is_root() {
            chown(parent.path(), Some(12345), None).unwrap();
            assert!(make().is_err());
        }
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_link_in_its_place_is_left_alone() {
        let parent = tempfile::tempdir().unwrap();
        let scratch = Scratch::make(parent.path(), "swapped", "test", &["isolab"]).unwrap();
        let (path, kept) = (scratch.path().to_owned(), parent.path().join("kept"));
        fs::create_dir_all(kept.join("inner")).unwrap();
        fs::remove_dir(&path).unwrap();
        std::os::unix::fs::symlink(&kept, &path).unwrap();
        let name = scratch.claim.as_ref().unwrap().entry().name.clone();
        drop(scratch);
        assert!(path.is_symlink() && kept.join("inner").exists());
        // `isolab clean` reports the error.
        let ledger = Ledger::open().unwrap();
        assert!(ledger.find(&name).unwrap().is_some());
        // Its launcher, this process, is alive: nobody else takes it over.
        fs::remove_file(ledger.directory().join(format!("{name}.json"))).unwrap();
    }
}
