//! Removing what dead launchers have left behind.

mod own;
mod tree;

use std::{
    io,
    os::{fd::AsRawFd as _, unix::ffi::OsStrExt as _},
    path::Path,
};

use nix::sys::statfs::{CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC, fstatfs};
use sandbox::{Ledger, LedgerEntry, Process, Resource};

use crate::{
    Error, cgroup, error, error::Result, nat, netlink::Netlink, network, pidfd,
    spec::network::is_our_link,
};
use own::OwnDirectory;
pub use tree::remove_tree;

/// Removes what dead launchers have left, by the ledger, newest first: processes, cgroups, links
/// and directories. Returns what was removed, one line each. Entries of background runs that have
/// ended by themselves stay.
///
/// # Errors
///
/// The first failed removal; its entry stays in the ledger, the others are removed all the same.
pub fn clean(ledger: &Ledger) -> Result<Vec<String>> {
    clean_those(ledger, |entry| !has_ended(entry))
}

/// Whether its exit code is recorded.
fn has_ended(entry: &LedgerEntry) -> bool {
    entry.detached.as_ref().is_some_and(|detached| detached.exit.is_some())
}

/// The same for the entries that `which` chooses, whether they have ended by themselves or not.
///
/// # Errors
///
/// Those of [`clean`].
pub fn clean_those(ledger: &Ledger, which: impl Fn(&LedgerEntry) -> bool) -> Result<Vec<String>> {
    ledger.sweep().map_err(Error::from)?;
    clean_entries(ledger, ledger.entries().map_err(Error::from)?, which)
}

fn clean_entries(
    ledger: &Ledger,
    entries: Vec<LedgerEntry>,
    which: impl Fn(&LedgerEntry) -> bool,
) -> Result<Vec<String>> {
    let mut removed = Vec::new();
    let mut failed = None;
    for entry in entries {
        let Some(claim) = ledger.adopt(&entry) else { continue };
        // Read again under the claim: a supervisor may have recorded the exit code a moment ago.
        if !which(claim.entry()) {
            claim.keep();
            continue;
        }
        match free(claim.entry(), &mut removed) {
            Ok(()) => {
                removed.push(format!("name {}", claim.entry().name));
                drop(claim);
            }
            Err(error) => {
                // The entry must stay, or the rest could never be found again.
                std::mem::forget(claim);
                failed.get_or_insert(error);
            }
        }
    }
    failed.map_or(Ok(removed), |error| Err(error.into()))
}

/// Removes what the dead launcher of `entry` has left behind, and returns what that was. The entry
/// itself stays.
///
/// # Errors
///
/// The first failed removal.
pub fn free_resources(entry: &LedgerEntry) -> Result<Vec<String>> {
    let mut removed = Vec::new();
    free(entry, &mut removed)?;
    Ok(removed)
}

/// Removes what a launcher was about to make, as [`Prepared::resources`](crate::Prepared::resources) has
/// named it, with all processes in it.
///
/// # Errors
///
/// The first failed removal; the others are done all the same.
pub fn free_those(resources: &[Resource]) -> Result<(), Error> {
    let removed = resources.iter().rev().map(|one| remove(one).map(drop));
    removed.fold(Ok(()), Result::and)
}

fn free(entry: &LedgerEntry, removed: &mut Vec<String>) -> Result<(), Error> {
    if let Some(first) = entry.first.filter(Process::is_alive) {
        pidfd::kill(&first);
        removed.push(format!("process {}", first.pid));
    }
    for resource in entry.resources.iter().rev() {
        if !remove(resource)? {
            continue;
        }
        removed.push(match resource {
            Resource::Cgroup(path) | Resource::GivenCgroup(path) => {
                format!("cgroup {}", path.display())
            }
            Resource::Directory(path) => format!("directory {}", path.display()),
            Resource::Link(name) => format!("link {name}"),
            Resource::Table(name) => format!("nf_tables rules {name}"),
        });
    }
    Ok(())
}

/// Removes what outlives a launcher, if isolab made it; false if it is already gone.
pub(crate) fn remove(resource: &Resource) -> Result<bool, Error> {
    let gone = match resource {
        Resource::Cgroup(path) => ours(path)?.map(remove_cgroup),
        Resource::GivenCgroup(path) => OwnDirectory::open(path)?.map(remove_cgroup),
        Resource::Directory(path) => ours(path)?.map(tree::remove),
        Resource::Link(name) => is_there(name).then(|| network::remove_link(name)),
        Resource::Table(name) => nat::is_there(name).then(|| nat::disconnect(name)),
    };
    gone.map_or(Ok(false), |gone| gone.map(|()| true))
}

/// Opens the directory of an entry, if it still exists. Everything that isolab makes has a name
/// that begins with `isolab-`.
fn ours(path: &Path) -> Result<Option<OwnDirectory<'_>>, Error> {
    let named = path.file_name().is_some_and(|name| name.as_bytes().starts_with(b"isolab-"));
    if !named {
        let why = "its name does not begin with isolab-, so isolab did not make it: inspect it and remove it yourself";
        return Err(error::file("remove", path)(io::Error::other(why)));
    }
    OwnDirectory::open(path)
}

/// By netlink, in the network namespace of this process: `/sys/class/net` shows that of the process
/// which mounted it.
fn is_there(link: &str) -> bool {
    is_our_link(link) && Netlink::open().is_ok_and(|mut open| open.index_of(link).is_ok())
}

/// Kills all that is in a cgroup and removes it; the kernel's files in it cannot be removed.
fn remove_cgroup(cgroup: OwnDirectory<'_>) -> Result<(), Error> {
    let OwnDirectory { parent, name, path, directory } = cgroup;
    let found = fstatfs(&directory).map_err(error::call(format!("statfs {}", path.display())))?;
    if ![CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC].contains(&found.filesystem_type()) {
        let why =
            "it is not a cgroup, so isolab did not make it: inspect it and remove it yourself";
        return Err(error::file("remove the cgroup", path)(io::Error::other(why)));
    }
    // By the descriptor of the parent directory, which cannot be replaced; there are no symbolic
    // links on this file system.
    let place = format!("/proc/self/fd/{}", parent.as_raw_fd());
    cgroup::remove(&Path::new(&place).join(name)).map_err(|error| match error {
        Error::File { action, source, .. } => Error::File { action, path: path.into(), source },
        error => error,
    })
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;

    /// A ledger in a temporary directory, and the path of that directory.
    fn place() -> (tempfile::TempDir, std::path::PathBuf, Ledger) {
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path().canonicalize().unwrap();
        let ledger = Ledger::at(place.join("ledger")).unwrap();
        (directory, place, ledger)
    }

    /// The result of `isolab clean` for the entry of a dead launcher with `resource`.
    fn cleaned(ledger: &Ledger, resource: Resource) -> std::result::Result<Vec<String>, String> {
        let mut entry = LedgerEntry::new("dead".into(), "container", vec![]);
        entry.launcher = Process { pid: 4_194_305, start_time: 1 };
        entry.resources.push(resource);
        std::mem::forget(ledger.claim(entry).unwrap());
        let cleaned = clean(ledger).map_err(|error| sandbox::chain(&error));
        assert_eq!(ledger.find("dead").unwrap().is_none(), cleaned.is_ok(), "the entry");
        for entry in ledger.entries().unwrap() {
            drop(ledger.adopt(&entry));
        }
        cleaned
    }

    #[test]
    fn a_directory_is_removed_and_one_that_is_gone_is_no_trouble() {
        let (_directory, place, ledger) = place();
        let path = place.join("isolab-made");
        fs::create_dir_all(path.join("inner")).unwrap();
        let line = format!("directory {}", path.display());
        let directory = Resource::Directory(path.clone());
        assert_eq!(cleaned(&ledger, directory.clone()).unwrap(), [line, "name dead".into()]);
        assert!(!path.exists());
        assert_eq!(cleaned(&ledger, directory).unwrap(), ["name dead"]);
    }

    #[test]
    fn a_run_that_ends_while_somebody_cleans_keeps_its_exit_code() {
        let (_directory, _place, ledger) = place();
        let dead = Process { pid: 4_194_305, start_time: 1 };
        let mut entry = LedgerEntry::new("ended".into(), "container", vec![]);
        entry.launcher = dead;
        entry.detached = Some(sandbox::Detached {
            supervisor: dead,
            created_ms: 1,
            terminal: false,
            remove: false,
            exit: None,
        });
        ledger.claim(entry).unwrap().keep();
        let before = ledger.entries().unwrap();
        let record = sandbox::ExitRecord { code: 7, at_ms: 2 };
        let end = |entry: &mut LedgerEntry| entry.detached.as_mut().unwrap().exit = Some(record);
        assert!(ledger.amend("ended", end).unwrap());
        let removed = clean_entries(&ledger, before, |entry| !has_ended(entry)).unwrap();
        assert_eq!(removed, Vec::<String>::new());
        assert!(ledger.find("ended").unwrap().is_some());
        assert_eq!(clean_those(&ledger, |_| true).unwrap(), ["name ended"]);
    }

    #[test]
    fn an_entry_names_nothing_that_isolab_has_not_made() {
        let (_directory, place, ledger) = place();
        let canary = place.join("canary/isolab-kept");
        fs::create_dir_all(&canary).unwrap();
        symlink(&canary, place.join("isolab-link")).unwrap();
        symlink(place.join("canary"), place.join("through")).unwrap();
        let paths = ["canary", "isolab-link", "through/isolab-kept", "canary/isolab-kept/..", "/"];
        for path in paths.map(|path| place.join(path)) {
            let kinds: [fn(_) -> _; 2] = [Resource::Directory, Resource::Cgroup];
            for resource in kinds.map(|kind| kind(path.clone())) {
                let refused = cleaned(&ledger, resource).unwrap_err();
                assert!(
                    refused.contains("remove it yourself") || refused.contains("EINVAL"),
                    "{refused}"
                );
                assert!(canary.exists(), "{path:?}");
            }
        }
        for name in ["lo", "eth0", "../lo", "iso0000000/", "iso0123456g"] {
            assert_eq!(cleaned(&ledger, Resource::Link(name.into())).unwrap(), ["name dead"]);
        }
        for name in ["filter", "isolab-", "isolab-forwarding", "isolab-iso0123456g", "nat"] {
            assert_eq!(cleaned(&ledger, Resource::Table(name.into())).unwrap(), ["name dead"]);
        }
    }

    #[test]
    fn a_directory_that_is_no_cgroup_is_not_touched() {
        let (_directory, place, ledger) = place();
        let path = place.join("isolab-no-cgroup");
        fs::create_dir(&path).unwrap();
        let refused = cleaned(&ledger, Resource::Cgroup(path.clone())).unwrap_err();
        assert!(refused.contains("not a cgroup") && path.exists(), "{refused}");
    }
}
