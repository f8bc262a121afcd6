//! A directory of isolab's own, for as long as it is needed and no longer.

use std::{
    fs::DirBuilder,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering::Relaxed},
};

use sandbox::{Claim, Entry, Ledger, Resource};

use crate::{clean::remove_tree, error, error::Result};

/// A directory that its user alone may enter. Dropping it removes it with all that is in it; the
/// ledger knows it meanwhile, so that `isolab clean` finds what a killed isolab has left.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
    /// Struck out when the directory is gone.
    claim: Option<Claim>,
}

impl Scratch {
    /// `isolab-NAME-PID-N` in the directory `parent`, for the command `words`; `isolab ps` lists it
    /// as a sandbox of that `kind`.
    ///
    /// # Errors
    ///
    /// When the ledger cannot be written, or something of that name is there already.
    pub fn make(parent: &Path, name: &str, kind: &str, words: &[&str]) -> Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Relaxed);
        let name = format!("{name}-{}-{number}", std::process::id());
        let path = parent.join(format!("isolab-{name}"));
        let command = words.iter().map(|word| (*word).to_owned()).collect();
        let resources = vec![Resource::Directory(path.clone())];
        let entry = Entry { resources, ..Entry::new(name, kind, command) };
        let claim =
            Ledger::open().and_then(|ledger| ledger.claim(entry)).map_err(error::Error::from)?;
        DirBuilder::new().mode(0o700).create(&path).map_err(error::file("create", &path))?;
        Ok(Self { path, claim: Some(claim) })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if remove_tree(&self.path).is_err() && self.path.exists() {
            // The entry stays, so that `isolab clean` tries again and says what is in the way.
            std::mem::forget(self.claim.take());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

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
}
