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

use std::{
    fs, io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering::Relaxed},
    thread::sleep,
    time::Duration,
};

use nix::{errno::Errno, unistd::Uid};
use sandbox::{Limits, Question, Resource, Usage};

use crate::{
    Error,
    cgroup_layout::{Controller, Layout, Version},
    devices::{self, DeviceRule},
    error::file,
    plan::Plan,
    spec,
};

/// One file of a limit and what is to be written into it.
#[derive(Debug, PartialEq, Eq)]
struct Setting {
    controller: Controller,
    file: &'static str,
    value: String,
    /// The kernel may have been built without it.
    optional: bool,
}

/// The settings that keep `limits`, in the order of writing.
fn settings(limits: &Limits, version: Version) -> Vec<Setting> {
    use Controller::{Cpu, Memory, Pids};
    let mut settings = Vec::new();
    let mut set = |controller, file, value: String| {
        settings.push(Setting { controller, file, value, optional: file.contains("sw") });
    };
    if let Some(bytes) = limits.memory_bytes {
        match version {
            Version::V1 => {
                set(Memory, "memory.limit_in_bytes", bytes.to_string());
                // Memory and swap together; it may not be less than the line above.
                set(Memory, "memory.memsw.limit_in_bytes", bytes.to_string());
            }
            Version::V2 => {
                set(Memory, "memory.max", bytes.to_string());
                set(Memory, "memory.swap.max", "0".into());
            }
        }
    }
    if let Some(quota) = limits.cpu_quota {
        let (quota, period) = (quota.quota.as_micros(), quota.period.as_micros());
        match version {
            Version::V1 => {
                if period != 100_000 {
                    set(Cpu, "cpu.cfs_period_us", period.to_string());
                }
                set(Cpu, "cpu.cfs_quota_us", quota.to_string());
            }
            Version::V2 => set(Cpu, "cpu.max", format!("{quota} {period}")),
        }
    }
    if let Some(weight) = limits.cpu_weight {
        match version {
            // 1024 shares are the usual portion, as a weight of 100 is.
            Version::V1 => {
                set(Cpu, "cpu.shares", (u64::from(weight) * 1024 / 100).max(2).to_string());
            }
            Version::V2 => set(Cpu, "cpu.weight", weight.to_string()),
        }
    }
    if let Some(pids) = limits.pids {
        set(Pids, "pids.max", pids.to_string());
    }
    settings
}

/// The files that keep `limits` in a cgroup of version 1 or 2, and what is written into each, in the
/// order of writing: `("cpu.max", "50000 100000")`. One with `swap` or `memsw` in its name is not
/// there on a kernel that does not count swap.
pub fn files(limits: &Limits, version: u8) -> Vec<(&'static str, String)> {
    let version = if version == 1 { Version::V1 } else { Version::V2 };
    settings(limits, version).into_iter().map(|setting| (setting.file, setting.value)).collect()
}

/// A directory below which the calling process may make cgroups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ground {
    /// 1 or 2.
    pub version: u8,
    /// The directory.
    pub parent: PathBuf,
    /// What the cgroups made there have of `cpu`, `cpuacct`, `memory` and `pids`.
    pub controllers: Vec<&'static str>,
}

/// Where cgroups with CPU, memory and process limits may be made: one directory on version 2, one
/// for each hierarchy on version 1.
///
/// # Errors
///
/// When a controller is not there, or none may be made by the caller.
pub fn grounds() -> Result<Vec<Ground>, Error> {
    let layout = Layout::of_this_process()?;
    let version = layout.version_for(&Controller::ALL);
    let parents = layout.parents(&Controller::ALL, version)?;
    let ground = |(parent, controllers): (PathBuf, Vec<Controller>)| Ground {
        version: if version == Version::V1 { 1 } else { 2 },
        parent,
        controllers: controllers.into_iter().map(Controller::name).collect(),
    };
    let mut grounds: Vec<Ground> = parents.into_iter().map(ground).collect();
    // Version 1 counts CPU time by a controller of its own; its hierarchy may be the same.
    if let Some(accounting) = layout.accounting().filter(|_| version == Version::V1) {
        match grounds.iter_mut().find(|ground| ground.parent == accounting) {
            Some(ground) => ground.controllers.push("cpuacct"),
            None => {
                let (parent, controllers) = (accounting.to_owned(), vec!["cpuacct"]);
                grounds.push(Ground { version: 1, parent, controllers });
            }
        }
    }
    Ok(grounds)
}

/// The cgroup of one container: a directory in every hierarchy that a limit needs.
#[derive(Debug)]
pub(crate) struct Cgroup {
    directories: Vec<Directory>,
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
}

/// Where the cgroup of a container will be, so that the ledger can know before it is there.
#[derive(Debug)]
pub(crate) struct CgroupPath {
    directories: Vec<Directory>,
    settings: Vec<Setting>,
    /// Version 2: what the kernel is to ask about devices.
    devices: Vec<DeviceRule>,
}

impl CgroupPath {
    /// A place with the controllers that the limits need. The usual limit on processes, and the rules
    /// about devices, are left out where this caller may make no cgroup for them: who is not root
    /// can make no device, and the file systems of a container show none (`nodev`).
    pub(crate) fn find(budget: &spec::Budget) -> Result<Self, Error> {
        let asked = &budget.limits;
        let usual = Limits { pids: asked.pids.or(budget.usual_pids), ..asked.clone() };
        let devices: &[DeviceRule] = match Uid::effective().is_root() {
            true => &budget.devices,
            false => &[],
        };
        let attempts = [(&usual, devices), (&usual, &[]), (asked, &[])];
        let mut attempts = attempts.into_iter();
        let first = attempts.next().map(|(limits, devices)| Self::with(limits, devices, budget));
        let first = first.expect("there are three attempts");
        let succeeded = |found: Result<Self, Error>, (limits, devices)| match found {
            Err(_) => Self::with(limits, devices, budget),
            found => found,
        };
        attempts.fold(first, succeeded)
    }

    /// A container without limits needs a cgroup only to be found again, if it has a name: one
    /// directory, no controller.
    fn with(limits: &Limits, devices: &[DeviceRule], budget: &spec::Budget) -> Result<Self, Error> {
        let mut settings = settings(limits, Version::V1);
        if settings.is_empty() && devices.is_empty() && budget.cgroup.is_none() {
            return Ok(Self { directories: Vec::new(), settings, devices: Vec::new() });
        }
        let name = budget.cgroup.clone().unwrap_or_else(number);
        let layout = Layout::of_this_process()?;
        let mut needed: Vec<Controller> =
            settings.iter().map(|setting| setting.controller).collect();
        if !devices.is_empty() && layout.v1(Controller::Devices).is_some() {
            needed.push(Controller::Devices);
        }
        needed.dedup();
        let version = layout.version_for(&needed);
        let mut asked = Vec::new();
        match version {
            Version::V1 => settings.extend(device_settings(devices)?),
            Version::V2 => {
                settings = self::settings(limits, Version::V2);
                asked = devices.to_vec();
            }
        }
        let mut directories: Vec<Directory> = Vec::new();
        let parents = match layout.parents(&needed, version) {
            // Who may make no cgroup is found by the first process in the ledger alone.
            Err(_) if needed.is_empty() && devices.is_empty() => Vec::new(),
            parents => parents?,
        };
        for (parent, controllers) in parents {
            directories.push(Directory { path: parent.join(&name), version, controllers });
        }
        Ok(Self { directories, settings, devices: asked })
    }

    /// What has to be in the ledger.
    pub(crate) fn resources(&self) -> impl Iterator<Item = Resource> {
        self.directories.iter().map(|directory| Resource::Cgroup(directory.path.clone()))
    }

    /// What will be written, for the story.
    pub(crate) fn words(&self) -> String {
        let directories = self.directories.iter().map(|directory| directory.path.display());
        let made: Vec<String> = directories.map(|path| path.to_string()).collect();
        if made.is_empty() {
            return "no limits, no cgroup".into();
        }
        let settings = self.settings.iter().filter(|it| it.controller != Controller::Devices);
        let settings = settings.map(|setting| format!(" {}={}", setting.file, setting.value));
        let has_devices = self.settings.iter().any(|it| it.controller == Controller::Devices);
        let devices = match (has_devices, self.devices.is_empty()) {
            (true, _) => " devices.deny=a, devices.allow=..",
            (false, false) => " a program about devices",
            (false, true) => "",
        };
        format!("mkdir {};{}{devices}", made.join(" "), settings.collect::<String>())
    }

    /// Makes the cgroup and writes its limits; there is nobody yet to spend anything.
    pub(crate) fn create(self) -> Result<Cgroup, Error> {
        let mut cgroup = Cgroup { directories: Vec::new(), into: None, tasks: Vec::new() };
        for directory in self.directories {
            let path = directory.path.clone();
            fs::create_dir(&path).map_err(file("create the cgroup", &path))?;
            let version = directory.version;
            cgroup.directories.push(directory);
            let open = |name: &str, write: bool| {
                let path = path.join(name);
                let opened = fs::File::options().read(!write).write(write).open(&path);
                opened.map(OwnedFd::from).map_err(file("open", path))
            };
            match version {
                Version::V1 => cgroup.tasks.push(open("tasks", true)?),
                Version::V2 => cgroup.into = Some(open("", false)?),
            }
        }
        for settings in self.settings.chunk_by(|one, next| one.file == next.file) {
            cgroup.set(settings)?;
        }
        if let Some(into) = cgroup.into.as_ref().filter(|_| !self.devices.is_empty()) {
            rule_devices(&self.devices, into.as_fd())?;
        }
        Ok(cgroup)
    }
}

fn is_eperm(error: &io::Error) -> bool {
    error.raw_os_error() == Some(Errno::EPERM as i32)
}

/// The settings of version 1 that let only these devices be used.
fn device_settings(rules: &[DeviceRule]) -> Result<Vec<Setting>, Error> {
    let (controller, optional) = (Controller::Devices, false);
    let setting = |(file, value)| Setting { controller, file, value, optional };
    match rules {
        [] => Ok(Vec::new()),
        rules => Ok(devices::lines(rules)?.into_iter().map(setting).collect()),
    }
}

/// The same on version 2. Who may not give the kernel a program is root of a container, who can make
/// no device either.
fn rule_devices(rules: &[DeviceRule], cgroup: BorrowedFd<'_>) -> Result<(), Error> {
    let attached = if rules == devices::default_rules() {
        devices::default_program().and_then(|program| devices::attach(program.as_fd(), cgroup))
    } else {
        devices::load(rules).and_then(|program| devices::attach(program.as_fd(), cgroup))
    };
    match attached {
        Err(
            Error::DeviceProgram { errno: Errno::EPERM, .. }
            | Error::Call { errno: Errno::EPERM, .. },
        ) => Ok(()),
        attached => attached,
    }
}

/// A name that this launcher gives out once.
fn number() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("isolab-{}-{}", std::process::id(), COUNT.fetch_add(1, Relaxed))
}

impl Cgroup {
    /// The cgroup that is already there, to join it or to remove it.
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

    /// Writes the settings of one file, one write each.
    fn set(&self, settings: &[Setting]) -> Result<(), Error> {
        let Some(first) = settings.first() else { return Ok(()) };
        let home = self.home(first.controller).ok_or(Error::NoController {
            controller: first.controller.name(),
            why: "its hierarchy has no directory for this container".into(),
        })?;
        let path = home.path.join(first.file);
        match fs::File::options().write(true).open(&path) {
            Err(error) if first.optional && error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(file("write the limit", path)(error)),
            Ok(mut opened) => {
                let mut values = settings.iter().map(|setting| setting.value.as_bytes());
                let written = values.try_for_each(|value| {
                    match io::Write::write_all(&mut opened, value) {
                        // A cgroup allows no more than the one above it, and root of a container
                        // may change nothing of it: then what is above holds.
                        Err(error)
                            if first.controller == Controller::Devices && is_eperm(&error) =>
                        {
                            Ok(())
                        }
                        written => written,
                    }
                });
                written.map_err(file("write the limit", path))
            }
        }
    }

    fn home(&self, controller: Controller) -> Option<&Directory> {
        self.directories.iter().find(|directory| directory.controllers.contains(&controller))
    }

    /// What `clone3` is to create the child in, on version 2.
    pub(crate) fn clone_target(&self) -> Option<BorrowedFd<'_>> {
        self.into.as_ref().map(AsFd::as_fd)
    }

    /// The child's first steps: on version 1 it joins by itself.
    pub(crate) fn join(&self, plan: &mut Plan) {
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

    /// What was consumed so far, where a controller tells.
    pub(crate) fn usage(&self) -> Usage {
        let read =
            |directory: &Directory, name: &str| fs::read_to_string(directory.path.join(name)).ok();
        let peak_memory_bytes = self.home(Controller::Memory).and_then(|home| {
            let name = match home.version {
                Version::V1 => "memory.max_usage_in_bytes",
                Version::V2 => "memory.peak",
            };
            read(home, name)?.trim().parse().ok()
        });
        let cpu_time = self.directories.iter().find_map(|directory| match directory.version {
            // Only where cpuacct is mounted together with a controller that is in use.
            Version::V1 => {
                let nanoseconds = read(directory, "cpuacct.usage")?.trim().parse().ok()?;
                Some(Duration::from_nanos(nanoseconds))
            }
            Version::V2 => {
                let stat = read(directory, "cpu.stat")?;
                let line = stat.lines().find_map(|line| line.strip_prefix("usage_usec "))?;
                Some(Duration::from_micros(line.parse().ok()?))
            }
        });
        Usage { cpu_time, peak_memory_bytes, ..Usage::default() }
    }

    /// Kills all that is left inside and removes the directories; the first failure is returned,
    /// the others are tried all the same.
    pub(crate) fn remove(&mut self) -> Result<(), Error> {
        self.tasks.clear();
        self.into = None;
        let removed = self.directories.drain(..).rev().map(|directory| remove(&directory.path));
        removed.fold(Ok(()), Result::and)
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // The ledger still knows the directory, so `isolab clean` can say what is wrong with it.
        let _ = self.remove();
    }
}

/// Kills every process in the cgroup `path` and those below it, and removes their directories. One
/// that is not there is removed already.
///
/// # Errors
///
/// When a process in it does not end, or the caller may not remove it.
pub fn remove(path: &Path) -> Result<(), Error> {
    const PATIENCE: u32 = 2000;
    for attempt in 0..PATIENCE {
        match fs::remove_dir(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            // There are cgroups below it, or a process is left: one that has ended leaves its cgroup
            // a moment later.
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
        // All else in it are the kernel's files.
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

#[cfg(test)]
mod tests {
    use sandbox::CpuQuota;

    use super::*;

    fn all() -> Limits {
        Limits {
            memory_bytes: Some(64 << 20),
            cpu_quota: Some(CpuQuota::cpus(0.5).unwrap()),
            cpu_weight: Some(200),
            pids: Some(64),
            vcpus: None,
        }
    }

    fn written(version: Version) -> Vec<String> {
        let settings = settings(&all(), version).into_iter();
        settings.map(|setting| format!("{}={}", setting.file, setting.value)).collect()
    }

    #[test]
    fn version_1_has_its_own_files_and_units() {
        let expected = [
            "memory.limit_in_bytes=67108864",
            "memory.memsw.limit_in_bytes=67108864",
            "cpu.cfs_quota_us=50000",
            "cpu.shares=2048",
            "pids.max=64",
        ];
        assert_eq!(written(Version::V1), expected);
    }

    #[test]
    fn version_2_has_its_own_files_and_units() {
        let expected = [
            "memory.max=67108864",
            "memory.swap.max=0",
            "cpu.max=50000 100000",
            "cpu.weight=200",
            "pids.max=64",
        ];
        assert_eq!(written(Version::V2), expected);
    }

    #[test]
    fn without_limits_there_is_no_cgroup() {
        let devices = Vec::new();
        let budget = spec::Budget { usual_pids: None, devices, ..spec::Budget::default() };
        let path = CgroupPath::find(&budget).unwrap();
        assert_eq!(path.resources().count(), 0);
    }
}
