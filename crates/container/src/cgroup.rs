//! Question 2: what may it consume? The container's answer: a cgroup.
//! The microVM's answer is `microvm::memory`.
//!
//! A cgroup is a directory in a file system of the kernel's; its limits are files in it. Version 1
//! has one hierarchy of directories for each controller, version 2 one for all; many hosts have
//! both ("hybrid"). `Layout` finds out which.
//!
//! How the child gets in decides the speed of the start. A pid written to `cgroup.procs` makes the
//! kernel wait for all CPUs to pass through the scheduler (an RCU grace period): 11 ms, half the
//! start of a common runtime. On version 2 `CLONE_INTO_CGROUP` creates the child inside; on version
//! 1 the child itself writes "0" into `tasks`, through a descriptor that the parent has opened,
//! while it has a single thread: 0.08 ms.
//!
//! The crate cgroups-rs does the same in general; here the files themselves are the lesson, and its
//! way of joining is the slow one. A test reads the limits back with it.

mod disks;
mod given;
mod memory;
mod path;
mod resources;
mod setting;
mod settings;
mod skipped;
mod update;
mod write;

use std::{
    fs, io,
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
        unix::ffi::OsStrExt as _,
    },
    path::{Path, PathBuf},
    thread::sleep,
    time::Duration,
};

use nix::{
    errno::Errno,
    fcntl::{OFlag, openat},
    sys::stat::Mode,
};
use sandbox::{OutOfMemory, Question, Usage};

use crate::{
    Error,
    cgroup_layout::{Controller, Hierarchy, Layout, OwnDirectory, Parent, Version},
    error::file,
    plan::SyscallPlan,
};

pub use disks::{DiskLimit, DiskLimitKind};
pub use given::CgroupFile;
pub(crate) use given::write_all;
pub(crate) use memory::MemoryWatch;
pub(crate) use path::CgroupPath;
pub use resources::Resources;
pub use settings::files;
pub(crate) use update::change_devices;

/// A directory below which the calling process may make cgroups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CgroupParent {
    /// 1 or 2.
    pub version: u8,
    /// The directory.
    pub path: PathBuf,
    /// Which of `cpu`, `cpuacct`, `memory` and `pids` the cgroups made there have.
    pub controllers: Vec<&'static str>,
}

/// Where cgroups with CPU, memory and process limits may be made: one directory on version 2, one
/// for each hierarchy on version 1.
///
/// # Errors
///
/// When a controller is missing, or the caller may not make cgroups.
pub fn cgroup_parents() -> Result<Vec<CgroupParent>, Error> {
    let layout = Layout::of_this_process()?;
    let version = layout.version_for(&Controller::ALL);
    let found = layout.parents(&Controller::ALL, version)?;
    let parent = |parent: Parent| CgroupParent {
        version: if version == Version::V1 { 1 } else { 2 },
        path: parent.path,
        controllers: parent.controllers.into_iter().map(Controller::name).collect(),
    };
    let mut parents: Vec<CgroupParent> = found.into_iter().map(parent).collect();
    // Version 1 has a controller of its own for counting CPU time; it may share a hierarchy.
    if let Some(accounting) = layout.accounting().filter(|_| version == Version::V1) {
        match parents.iter_mut().find(|parent| parent.path == accounting) {
            Some(parent) => parent.controllers.push("cpuacct"),
            None => {
                let (path, controllers) = (accounting.to_owned(), vec!["cpuacct"]);
                parents.push(CgroupParent { version: 1, path, controllers });
            }
        }
    }
    Ok(parents)
}

/// Whether version 2 limits memory on this host. `true` also where the hierarchies cannot be read.
pub fn memory_is_in_v2() -> bool {
    Layout::of_this_process().map_or(true, |layout| layout.v1(Controller::Memory).is_none())
}

/// The cgroup of one container: a directory in every hierarchy that a limit needs.
#[derive(Debug)]
pub(crate) struct Cgroup {
    directories: Vec<Made>,
    /// Version 2: the directory, for `CLONE_INTO_CGROUP`.
    into: Option<OwnedFd>,
    /// Version 1: the open `tasks` files.
    tasks: Vec<OwnedFd>,
}

#[derive(Debug)]
struct Directory {
    path: PathBuf,
    version: Version,
    controllers: Vec<Controller>,
    /// Whether it is at a given place: its parents are made too, and it may exist.
    parents_are_made: bool,
    /// Whether there may be processes of others in it.
    has_others: bool,
}

/// A directory that exists, open; its files are opened relative to it.
#[derive(Debug)]
struct Made {
    directory: Directory,
    descriptor: OwnedFd,
}

impl Made {
    /// If the directory cannot be opened, it is removed.
    fn open(directory: Directory) -> Result<Self, Error> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        match nix::fcntl::open(&directory.path, flags, Mode::empty()) {
            Ok(descriptor) => Ok(Self { directory, descriptor }),
            Err(errno) => {
                let failed = Err(file("open", &directory.path)(errno.into()));
                remove(&directory.path).and(failed)
            }
        }
    }

    /// Opens one of its files.
    fn file(&self, name: &str, flags: OFlag) -> Result<fs::File, Error> {
        let opened = openat(&self.descriptor, name, flags | OFlag::O_CLOEXEC, Mode::empty());
        let opened = opened.map_err(io::Error::from);
        opened.map(fs::File::from).map_err(file("open", self.directory.path.join(name)))
    }
}

impl Cgroup {
    /// Opens an existing cgroup, to join it or to remove it.
    pub(crate) fn open(paths: &[PathBuf]) -> Result<Self, Error> {
        let mut cgroup = Self { directories: Vec::new(), into: None, tasks: Vec::new() };
        for path in paths {
            let tasks = path.join("tasks");
            if tasks.exists() {
                let opened = fs::File::options().write(true).open(&tasks);
                cgroup.tasks.push(opened.map_err(file("open", &tasks))?.into());
            } else {
                cgroup.into = Some(fs::File::open(path).map_err(file("open", path))?.into());
            }
        }
        Ok(cgroup)
    }

    fn home(&self, controller: Controller) -> Option<&Made> {
        let mut all = self.directories.iter();
        all.find(|made| made.directory.controllers.contains(&controller))
    }

    /// Its directories that the container finds at `/sys/fs/cgroup`: those by which programs size
    /// themselves, or `all`.
    pub(crate) fn shown(&self, all: bool) -> Vec<OwnDirectory> {
        let sizes = |made: &Made| {
            let Directory { version, controllers, .. } = &made.directory;
            *version == Version::V2
                || controllers.iter().any(|it| matches!(it, Controller::Cpu | Controller::Memory))
        };
        if !all && !self.directories.iter().any(sizes) {
            return Vec::new();
        }
        let Ok(layout) = Layout::of_this_process() else { return Vec::new() };
        let own = |made: &Made| {
            let Directory { path, version, .. } = &made.directory;
            // By bytes first, which is quick: on version 1 each directory has ten candidates.
            let is_above = |it: &&Hierarchy| {
                let point = it.point.as_os_str().as_bytes();
                path.as_os_str().as_bytes().starts_with(point) && path.starts_with(&it.point)
            };
            let hierarchies = layout.hierarchies.iter().filter(is_above);
            let hierarchy = hierarchies.max_by_key(|it| it.point.components().count())?;
            let name = hierarchy.point.file_name()?.to_owned();
            let links = match version {
                // A named hierarchy has no controller by which it is found.
                Version::V1 => {
                    let all = hierarchy.controllers.iter();
                    all.filter(|name| !name.starts_with("name=")).cloned().collect()
                }
                Version::V2 => Vec::new(),
            };
            Some(OwnDirectory { version: *version, path: path.clone(), name, links })
        };
        // No program sizes itself by the devices controller.
        let tells = |made: &&Made| {
            let Directory { version, controllers, .. } = &made.directory;
            all || *version == Version::V2
                || controllers.iter().any(|it| *it != Controller::Devices)
        };
        self.directories.iter().filter(tells).filter_map(own).collect()
    }

    /// The cgroup in which `clone3` creates the child, on version 2.
    pub(crate) fn clone_target(&self) -> Option<BorrowedFd<'_>> {
        self.into.as_ref().map(AsFd::as_fd)
    }

    /// The child's first steps: on version 1 it joins by itself.
    pub(crate) fn join(&self, plan: &mut SyscallPlan) {
        let zero = plan.keep(*b"0");
        for tasks in &self.tasks {
            let arguments = [tasks.as_raw_fd() as usize, zero, 1];
            plan.step(
                Question::Budget,
                "write 0 to tasks of the cgroup",
                libc::SYS_write,
                arguments,
            );
        }
    }

    /// What has been consumed so far, where a controller counts it.
    pub(crate) fn usage(&self) -> Usage {
        let peak_memory_bytes = self.home(Controller::Memory).and_then(|home| {
            let name = match home.directory.version {
                Version::V1 => "memory.max_usage_in_bytes",
                Version::V2 => "memory.peak",
            };
            home.read(name)?.trim().parse().ok()
        });
        let cpu_time = self.directories.iter().find_map(|made| match made.directory.version {
            // Only where cpuacct is mounted together with cpu, as usual, and cpu is in use.
            Version::V1 if !made.directory.controllers.contains(&Controller::Cpu) => None,
            Version::V1 => {
                let nanoseconds = made.read("cpuacct.usage")?.trim().parse().ok()?;
                Some(Duration::from_nanos(nanoseconds))
            }
            Version::V2 => {
                let stat = made.read("cpu.stat")?;
                let line = stat.lines().find_map(|line| line.strip_prefix("usage_usec "))?;
                Some(Duration::from_micros(line.parse().ok()?))
            }
        });
        Usage { cpu_time, peak_memory_bytes, ..Usage::default() }
    }

    /// What the out-of-memory killer has killed in it, if it has a memory limit.
    pub(crate) fn out_of_memory(&self) -> Option<OutOfMemory> {
        MemoryWatch::of_new(&self.home(Controller::Memory)?.directory.path)?.killed()
    }

    /// Kills all that is left inside and removes the directories; the first failure is returned,
    /// the others are tried all the same.
    pub(crate) fn remove(&mut self) -> Result<(), Error> {
        self.tasks.clear();
        self.into = None;
        let removed = self.directories.drain(..).rev().map(|made| remove(&made.directory.path));
        removed.fold(Ok(()), Result::and)
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // The ledger still has the directory, so `isolab clean` can report what is wrong with it.
        let _ = self.remove();
    }
}

/// Where the hierarchies of cgroups are mounted, as this process sees them.
///
/// # Errors
///
/// When `/proc` does not tell.
pub fn hierarchies() -> Result<Vec<PathBuf>, Error> {
    let layout = Layout::of_this_process()?;
    Ok(layout.hierarchies.iter().map(|hierarchy| hierarchy.point.clone()).collect())
}

/// Kills every process in the cgroup `path` and in its descendants, and removes their directories. It
/// is not an error if `path` does not exist.
///
/// # Errors
///
/// When a process in it does not end, or the caller may not remove it.
pub fn remove(path: &Path) -> Result<(), Error> {
    const MAX_ATTEMPTS: u32 = 2000;
    for attempt in 0..MAX_ATTEMPTS {
        match fs::remove_dir(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            // It has child cgroups, or a process is left: a process leaves its cgroup a moment after
            // it has ended.
            Err(error) if error.raw_os_error() == Some(Errno::EBUSY as i32) => {
                if attempt % 64 == 0 {
                    remove_below(path)?;
                }
                kill_all(path);
                sleep(Duration::from_micros(100));
            }
            removed => return removed.map_err(file("remove the cgroup", path)),
        }
    }
    let busy = io::Error::from_raw_os_error(Errno::EBUSY as i32);
    Err(file("remove the cgroup", path)(busy))
}

fn remove_below(path: &Path) -> Result<(), Error> {
    for below in fs::read_dir(path).into_iter().flatten().flatten() {
        // Everything else in it are the kernel's files.
        if below.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove(&below.path())?;
        }
    }
    Ok(())
}

/// Kills every process in the cgroup `path`.
pub(crate) fn kill_all(path: &Path) {
    // Version 2 has a file for it, since Linux 5.14.
    if fs::write(path.join("cgroup.kill"), "1").is_ok() {
        return;
    }
    // On version 1 a frozen process ends only after it is thawed.
    let state = path.join("freezer.state");
    if state.exists() {
        let _ = fs::write(state, "THAWED"); // it fails only if the cgroup is gone
    }
    let Ok(text) = fs::read_to_string(path.join("cgroup.procs")) else { return };
    for pid in text.lines().filter_map(|line| line.parse::<i32>().ok()).filter(|pid| *pid > 0) {
        // The process was in the cgroup a moment ago; one that has ended meanwhile cannot have
        // passed its number on, because numbers are given out in turn.
        let _ = nix::sys::signal::kill(
            nix::unistd::Pid::from_raw(pid),
            nix::sys::signal::Signal::SIGKILL,
        );
    }
}
