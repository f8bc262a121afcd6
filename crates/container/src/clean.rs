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

/// Removes a directory with all that is in it, but nothing through a link or a mount: a directory on
/// another file system than its parent is where something of somebody else's begins.
///
/// # Errors
///
/// When something in it cannot be removed; what came before it is gone.
pub fn remove_tree(path: &Path) -> Result<(), Error> {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    let look = |path: &Path| fs::symlink_metadata(path).map_err(error::file("look at", path));
    let own = look(path)?;
    if !own.is_dir() {
        return fs::remove_file(path).map_err(error::file("remove", path));
    }
    // overlayfs gives its own directory no permissions at all, and only root needs none.
    if own.mode() & 0o700 != 0o700 {
        let open = fs::Permissions::from_mode(0o700);
        fs::set_permissions(path, open).map_err(error::file("open", path))?;
    }
    let listing = fs::read_dir(path).map_err(error::file("list", path))?;
    for entry in listing {
        let child = entry.map_err(error::file("list", path))?.path();
        if look(&child)?.dev() != own.dev() {
            let mounted = io::Error::from(io::ErrorKind::CrossesDevices);
            return Err(error::file("remove, as something is mounted on it,", child)(mounted));
        }
        remove_tree(&child)?;
    }
    fs::remove_dir(path).map_err(error::file("remove", path))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

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
        let closed = fs::Permissions::from_mode(0o000);
        fs::set_permissions(tree.join("inner"), closed).unwrap();
        remove_tree(&tree).unwrap();
        assert!(!tree.exists() && outside.path().join("kept").exists());
    }
}
