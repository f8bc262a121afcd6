//! What is noted about blobs: how a build made them, and which registries have them too. It only saves
//! work, so what is noted about a blob that is gone goes with it.

use std::{fs, path::Path};

use super::{Collected, Result, Scope, names_in, remove_file};
use crate::{build::cache, digest::Digest, store::Store};

/// Removes what is noted about blobs that are gone; with [`Scope::All`] the whole build cache.
pub(super) fn sweep(store: &Store, scope: Scope, collected: &mut Collected) -> Result<()> {
    let folder = store.path().join(cache::DIRECTORY);
    for name in names(&folder)? {
        // A name that is no digest is of a build that was killed while it wrote.
        let key = format!("sha256:{name}").parse::<Digest>();
        let is_kept =
            scope != Scope::All && key.as_ref().is_ok_and(|key| cache::read(store, key).is_some());
        if !is_kept {
            collected.note_bytes += remove_file(&folder.join(name))?;
            collected.cached_steps += u64::from(key.is_ok());
        }
    }
    let folder = store.path().join(Store::ORIGINS);
    for name in names(&folder)? {
        let digest = name.replacen('-', ":", 1).parse::<Digest>();
        if !digest.is_ok_and(|digest| store.blob_path(&digest).exists()) {
            collected.note_bytes += remove_file(&folder.join(name))?;
        }
    }
    Ok(())
}

/// What is in a directory that is made when something is first noted.
fn names(folder: &Path) -> Result<Vec<String>> {
    if fs::symlink_metadata(folder).is_ok() { names_in(folder) } else { Ok(Vec::new()) }
}
