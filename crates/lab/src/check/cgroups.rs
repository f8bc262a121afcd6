//! The cgroups in which a student's program is held, and below which it may make its own.

use std::{
    fs, io,
    os::unix::fs::chown,
    path::{Path, PathBuf},
};

use container::{
    cgroup::{CgroupParent, cgroup_parents},
    privileges::root_outside,
};
use sandbox::{Claim, Ledger, LedgerEntry, Resource};

use super::jail::{MEMORY_BYTES, PROCESSES};
use crate::program::CgroupParents;

/// A directory that the program may make cgroups in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CgroupDirectory {
    /// 1 or 2.
    pub version: u8,
    /// The directory.
    pub path: PathBuf,
    /// What it has of `cpu`, `cpuacct`, `memory` and `pids`.
    pub controllers: Vec<&'static str>,
}

/// The cgroups of one check, in the ledger for as long as they are there.
#[derive(Debug)]
pub(super) struct Cgroups {
    pub(super) directories: Vec<CgroupDirectory>,
    /// Struck out when all of them are gone.
    claim: Option<Claim>,
}

/// On version 2 a cgroup with children has no processes of its own: the program begins in this one.
const FIRST: &str = "first";

impl Cgroups {
    /// Makes them. With `for_program` it may make its own below, and is held in all controllers;
    /// otherwise it is only held by its memory and number of processes.
    pub(super) fn create(root: bool, for_program: bool) -> io::Result<Self> {
        let mut parents = cgroup_parents().map_err(io::Error::other)?;
        // A cgroup of version 1 with CPU shares has no budget for real-time processes.
        if !for_program {
            parents.retain(|parent| {
                parent.controllers.iter().any(|name| ["memory", "pids"].contains(name))
            });
        }
        let name = format!("isolab-lab-{}", std::process::id());
        let directory = |parent: CgroupParent| CgroupDirectory {
            version: parent.version,
            path: parent.path.join(&name),
            controllers: parent.controllers,
        };
        let directories: Vec<CgroupDirectory> = parents.into_iter().map(directory).collect();
        let held = directories.iter().map(|directory| Resource::Cgroup(directory.path.clone()));
        let entry = LedgerEntry {
            resources: held.collect(),
            ..LedgerEntry::new(name, "lab", std::env::args().collect())
        };
        let claim = Ledger::open().and_then(|ledger| ledger.claim(entry));
        let claim = Some(claim.map_err(io::Error::other)?);
        let made = Self { directories, claim };
        for directory in &made.directories {
            directory.create(root, for_program).map_err(|error| {
                io::Error::other(format!("create {}: {error}", directory.path.display()))
            })?;
        }
        Ok(made)
    }

    /// The files into which a process writes 0 to join them.
    pub(super) fn join(&self) -> Vec<PathBuf> {
        let file = |directory: &CgroupDirectory| match directory.version {
            1 => directory.path.join("tasks"),
            _ => directory.path.join(FIRST).join("cgroup.procs"),
        };
        self.directories.iter().map(file).collect()
    }

    /// A cgroup that the program has made and left.
    pub(super) fn left(&self) -> Option<PathBuf> {
        self.directories.iter().find_map(|directory| {
            let mut made = children(&directory.path).into_iter();
            made.find(|path| directory.version == 1 || !path.ends_with(FIRST))
        })
    }

    /// The directories as the program's cgroups are made in them.
    pub(super) fn parents(&self) -> CgroupParents {
        let parent = |directory: &CgroupDirectory| CgroupParent {
            version: directory.version,
            path: directory.path.clone(),
            controllers: directory.controllers.clone(),
        };
        CgroupParents::of_parents(&self.directories.iter().map(parent).collect::<Vec<_>>())
    }

    /// How often the kernel has killed for want of memory, and refused a process, by the limits
    /// made here. What the program's own cgroups kill and refuse may be what the lab asks for.
    pub(super) fn kills_and_refusals(&self) -> (u64, u64) {
        let count = |file: &str, field: &str| {
            let own = self.directories.iter().map(|directory| directory.path.clone());
            let first = self.directories.iter().map(|directory| directory.path.join(FIRST));
            let texts = own.chain(first).filter_map(|path| {
                // Version 2 counts what happens below as well, but for this file.
                let local = fs::read_to_string(path.join(format!("{file}.local")));
                local.or_else(|_| fs::read_to_string(path.join(file))).ok()
            });
            let values = texts.filter_map(|text| {
                let line =
                    text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(' '));
                line?.trim().parse::<u64>().ok()
            });
            values.max().unwrap_or(0)
        };
        let kills = count("memory.oom_control", "oom_kill").max(count("memory.events", "oom_kill"));
        (kills, count("pids.events", "max"))
    }
}

impl CgroupDirectory {
    fn create(&self, root: bool, for_program: bool) -> io::Result<()> {
        fs::create_dir(&self.path)?;
        let write = |file: &str, value: String| match fs::write(self.path.join(file), value) {
            // A controller that is not here, or a kernel without accounting of swap.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            // Such a file may not be made, which is how cgroupfs says the same.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
            written => written,
        };
        let memory = MEMORY_BYTES.to_string();
        match self.version {
            1 => {
                write("memory.limit_in_bytes", memory.clone())?;
                write("memory.memsw.limit_in_bytes", memory)?;
            }
            _ => {
                write("memory.max", memory)?;
                write("memory.swap.max", "0".into())?;
                fs::create_dir(self.path.join(FIRST))?;
            }
        }
        write("pids.max", PROCESSES.to_string())?;
        if for_program && root {
            // Delegation: the directory and the files by which processes are moved, not the limits
            // (Documentation/admin-guide/cgroup-v2.rst, "Delegation Containment").
            let owner = Some(root_outside());
            let files = ["", "cgroup.procs", "tasks", "cgroup.subtree_control", "cgroup.threads"];
            for path in files.map(|file| self.path.join(file)) {
                if path.exists() {
                    chown(&path, owner, owner)?;
                }
            }
            let first = self.path.join(FIRST).join("cgroup.procs");
            if first.exists() {
                chown(first, owner, owner)?;
            }
        }
        Ok(())
    }
}

impl Drop for Cgroups {
    fn drop(&mut self) {
        // A virtual machine that is killed on a busy host takes its time to go.
        const ATTEMPTS: u32 = 40;
        for directory in self.directories.iter().rev() {
            let removed = (0..ATTEMPTS).any(|_| container::cgroup::remove(&directory.path).is_ok());
            if !removed {
                // Then the ledger has to remember it, for `isolab lab clean`.
                std::mem::forget(self.claim.take());
            }
        }
    }
}

fn children(path: &Path) -> Vec<PathBuf> {
    let Ok(listing) = fs::read_dir(path) else { return Vec::new() };
    let paths = listing.filter_map(|entry| Some(entry.ok()?.path()));
    paths.filter(|path| path.is_dir()).collect()
}
