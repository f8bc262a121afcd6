//! Removing what dead launchers have left behind.

use std::{fs, io, path::Path};

use nix::sys::statfs::{CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC, statfs};
use sandbox::{Entry, Ledger, Process, Resource};

use crate::{Error, cgroup, error, error::Result, exec, network};

/// Removes what the ledger knows of launchers that no longer live, newest first: processes,
/// cgroups, links and directories. Returns what was removed, a line each.
///
/// # Errors
///
/// The first thing that could not be removed; its entry stays in the ledger, the others are
/// removed all the same.
pub fn clean(ledger: &Ledger) -> Result<Vec<String>> {
    clean_those(ledger, |_| true)
}

/// The same for the entries that `which` chooses.
///
/// # Errors
///
/// Those of [`clean`].
pub fn clean_those(ledger: &Ledger, which: impl Fn(&Entry) -> bool) -> Result<Vec<String>> {
    let mut removed = Vec::new();
    let mut failed = None;
    ledger.sweep().map_err(Error::from)?;
    for entry in ledger.entries().map_err(Error::from)?.into_iter().filter(which) {
        let Some(claim) = ledger.adopt(entry) else { continue };
        match free(claim.entry(), &mut removed) {
            Ok(()) => {
                removed.push(format!("name {}", claim.entry().name));
                drop(claim);
            }
            Err(error) => {
                // The entry must outlive this, or nobody would find the rest again.
                std::mem::forget(claim);
                failed.get_or_insert(error);
            }
        }
    }
    failed.map_or(Ok(removed), |error| Err(error.into()))
}

fn free(entry: &Entry, removed: &mut Vec<String>) -> Result<(), Error> {
    if let Some(first) = entry.first.filter(Process::is_alive) {
        exec::kill(&first);
        removed.push(format!("process {}", first.pid));
    }
    for resource in entry.resources.iter().rev() {
        let line = match resource {
            Resource::Cgroup(path) if !path.exists() => continue,
            Resource::Directory(path) if !path.exists() => continue,
            Resource::Cgroup(path) => {
                is_our_cgroup(path)?;
                cgroup::remove(path)?;
                format!("cgroup {}", path.display())
            }
            Resource::Link(name) => {
                if !network::is_our_link(name) || !Path::new("/sys/class/net").join(name).exists() {
                    continue;
                }
                network::remove_link(name)?;
                format!("link {name}")
            }
            Resource::Directory(path) => {
                remove_tree(path)?;
                format!("directory {}", path.display())
            }
        };
        removed.push(line);
    }
    Ok(())
}

/// Refuses to kill what is in a directory that isolab has not made.
fn is_our_cgroup(path: &Path) -> Result<(), Error> {
    let named = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("isolab-"));
    let found = statfs(path).map_err(error::call(format!("statfs {}", path.display())))?;
    let kind = found.filesystem_type();
    match named && (kind == CGROUP_SUPER_MAGIC || kind == CGROUP2_SUPER_MAGIC) {
        true => Ok(()),
        false => Err(error::file("remove the cgroup", path)(io::ErrorKind::InvalidInput.into())),
    }
}

/// Removes a directory with all that is in it, but nothing through a mount: a directory on another
/// file system than its parent is where something of somebody else's begins.
fn remove_tree(path: &Path) -> Result<(), Error> {
    use std::os::unix::fs::MetadataExt;
    let device = |path: &Path| fs::symlink_metadata(path).map(|found| found.dev());
    let own = device(path).map_err(error::file("look at", path))?;
    let listing = fs::read_dir(path).map_err(error::file("list", path))?;
    for entry in listing {
        let child = entry.map_err(error::file("list", path))?.path();
        let found = fs::symlink_metadata(&child).map_err(error::file("look at", &child))?;
        if found.dev() != own {
            let mounted = io::Error::from(io::ErrorKind::CrossesDevices);
            return Err(error::file("remove, as something is mounted on it,", child)(mounted));
        }
        match found.is_dir() {
            true => remove_tree(&child)?,
            false => fs::remove_file(&child).map_err(error::file("remove", &child))?,
        }
    }
    fs::remove_dir(path).map_err(error::file("remove", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_that_is_no_cgroup_is_not_touched() {
        let directory = tempfile::Builder::new().prefix("isolab-").tempdir().unwrap();
        assert!(is_our_cgroup(directory.path()).is_err());
    }

    #[test]
    fn a_tree_is_removed_and_what_its_links_point_to_is_not() {
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("kept"), "").unwrap();
        let tree = tempfile::tempdir().unwrap().keep();
        fs::create_dir(tree.join("inner")).unwrap();
        std::os::unix::fs::symlink(outside.path(), tree.join("inner/link")).unwrap();
        remove_tree(&tree).unwrap();
        assert!(!tree.exists() && outside.path().join("kept").exists());
    }
}
