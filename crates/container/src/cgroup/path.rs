//! Where a container's cgroup will be, and with which settings: decided before anything is made.

use std::{
    fs, io,
    os::fd::{AsFd as _, BorrowedFd},
    path::Path,
    sync::atomic::{AtomicU32, Ordering::Relaxed},
};

use nix::{
    errno::Errno,
    fcntl::OFlag,
    unistd::{AccessFlags, Uid, access},
};
use sandbox::{Limits, Resource};

use super::{
    Cgroup, CgroupFile, Directory, Made,
    setting::Setting,
    settings::{device_settings, settings},
    skipped::SkippedLimit,
};
use crate::{
    Error,
    cgroup_layout::{Controller, Layout, Parent, Version},
    devices::{self, DeviceRule},
    error::file,
    observe,
    privileges::in_user_namespace,
    spec,
};

/// Where the cgroup of a container will be, so that it can be in the ledger before it exists.
#[derive(Debug)]
pub(crate) struct CgroupPath {
    directories: Vec<Directory>,
    settings: Vec<Setting>,
    /// Version 2: the BPF program that decides about devices.
    devices: Vec<DeviceRule>,
    /// Files that the caller names.
    files: Vec<CgroupFile>,
}

impl CgroupPath {
    /// Finds directories with the controllers that the limits need. The default limit on processes and
    /// the device rules are left out where the caller may not make a cgroup for them: a caller who is
    /// not root cannot make devices, and the file systems of a container show none (`nodev`).
    ///
    /// If there is an init, it is not a process of the user: the limit on processes does not count it.
    pub(crate) fn find(budget: &spec::Budget, has_init: bool) -> Result<Self, Error> {
        let pids = budget.limits.pids.map(|pids| pids.saturating_add(has_init.into()));
        let asked = &Limits { pids, ..budget.limits.clone() };
        let usual = Limits { pids: asked.pids.or(budget.usual_pids), ..asked.clone() };
        let devices: &[DeviceRule] = match Uid::effective().is_root() {
            true => &budget.devices,
            false => &[],
        };
        let all: &[Controller] = if budget.all_controllers { &Controller::ALL } else { &[] };
        let attempts =
            [(&usual, devices, all), (&usual, devices, &[]), (&usual, &[], &[]), (asked, &[], &[])];
        let attempt = |(limits, devices, controllers): (_, _, &[Controller])| {
            Self::with(limits, devices, controllers, budget)
        };
        let [first, others @ ..] = attempts;
        let succeeded = |found: Result<Self, Error>, next| found.or_else(|_| attempt(next));
        others.into_iter().fold(attempt(first), succeeded)
    }

    /// A container without limits needs a cgroup only if it has a name, to be found again: one
    /// directory without controllers, unless it is to have some anyway.
    fn with(
        limits: &Limits,
        devices: &[DeviceRule],
        controllers: &[Controller],
        budget: &spec::Budget,
    ) -> Result<Self, Error> {
        if let Some(path) = &budget.cgroup_path {
            return Self::at(path, limits, devices, budget);
        }
        // Both versions need the same controllers, as far as both have them.
        let mut settings = settings(limits, &budget.resources, Version::V1)?;
        if settings.is_empty() && devices.is_empty() && budget.cgroup.is_none() {
            return Ok(Self {
                directories: Vec::new(),
                settings,
                devices: Vec::new(),
                files: Vec::new(),
            });
        }
        let name = budget.cgroup.clone().unwrap_or_else(number);
        let layout = Layout::of_this_process()?;
        let mut needed = controllers.to_vec();
        for setting in &settings {
            if !needed.contains(&setting.controller) {
                needed.push(setting.controller);
            }
        }
        if !devices.is_empty() && layout.v1(Controller::Devices).is_some() {
            needed.push(Controller::Devices);
        }
        let version = layout.version_for(&needed);
        let mut asked = Vec::new();
        let mut parents = match layout.parents(&needed, version) {
            // Without a cgroup, the container is found by its first process in the ledger.
            Err(_) if needed.is_empty() && devices.is_empty() => Vec::new(),
            parents => parents?,
        };
        match version {
            Version::V1 => settings.extend(device_settings(devices)?),
            Version::V2 => {
                settings = self::settings(limits, &budget.resources, Version::V2)?;
                asked = devices.to_vec();
                let mut skipped = SkippedLimit::all(&parents);
                // They may need a controller that only a cgroup further up provides.
                while let Some(limit) = skipped.iter().find(|it| !needed.contains(&it.controller)) {
                    needed.push(limit.controller);
                    parents = layout.parents(&needed, version)?;
                    skipped = SkippedLimit::all(&parents);
                }
                skipped.into_iter().try_for_each(|limit| limit.narrow(&mut settings))?;
            }
        }
        let directory = |parent: Parent| Directory {
            path: parent.path.join(&name),
            version,
            controllers: parent.controllers,
            parents_are_made: false,
            has_others: false,
        };
        let directories = parents.into_iter().map(directory).collect();
        Ok(Self { directories, settings, devices: asked, files: budget.cgroup_files.clone() })
    }

    /// A directory at `path` in every hierarchy.
    fn at(
        path: &Path,
        limits: &Limits,
        devices: &[DeviceRule],
        budget: &spec::Budget,
    ) -> Result<Self, Error> {
        let layout = Layout::of_this_process()?;
        let mut directories = layout.all_at(path);
        if !Uid::effective().is_root() || in_user_namespace() {
            // Where nothing is delegated to the caller there is no cgroup: a limit that needs one says so.
            directories.retain(|(path, ..)| may_be_made(path));
        }
        if !budget.cgroup_has_others {
            // Before anybody records it as what is to be removed.
            let mut existing = directories.iter().filter(|(path, ..)| path.is_dir());
            existing.try_for_each(|(path, ..)| check_empty(path))?;
        }
        let has_v1 = |controller| layout.v1(controller).is_some();
        let version = match [Controller::Memory, Controller::Pids].into_iter().any(has_v1) {
            true => Version::V1,
            false => Version::V2,
        };
        let mut settings = settings(limits, &budget.resources, version)?;
        let mut asked = Vec::new();
        if has_v1(Controller::Devices) {
            // Root of a user namespace cannot make devices, whatever the cgroup would allow.
            if directories.iter().any(|(.., found)| found.contains(&Controller::Devices)) {
                settings.extend(device_settings(devices)?);
            }
        } else {
            asked = devices.to_vec();
        }
        let directory = |(path, version, controllers)| Directory {
            path,
            version,
            controllers,
            parents_are_made: true,
            has_others: budget.cgroup_has_others,
        };
        let directories = directories.into_iter().map(directory).collect();
        Ok(Self { directories, settings, devices: asked, files: budget.cgroup_files.clone() })
    }

    /// What has to be recorded in the ledger.
    pub(crate) fn resources(&self) -> impl Iterator<Item = Resource> {
        self.directories.iter().map(|directory| match directory.parents_are_made {
            true => Resource::GivenCgroup(directory.path.clone()),
            false => Resource::Cgroup(directory.path.clone()),
        })
    }

    /// What will be written, for the trace.
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

    /// Makes the cgroup and writes its limits, before there is any process in it.
    pub(crate) fn create(self) -> Result<Cgroup, Error> {
        let mut cgroup = Cgroup { directories: Vec::new(), into: None, tasks: Vec::new() };
        for directory in self.directories {
            make(&directory)?;
            let version = directory.version;
            // From here on it is removed together with the others.
            cgroup.directories.push(Made::open(directory)?);
            let Some(made) = cgroup.directories.last() else { continue };
            match version {
                Version::V1 => cgroup.tasks.push(made.file("tasks", OFlag::O_WRONLY)?.into()),
                Version::V2 => cgroup.into = Some(made.file(".", OFlag::O_DIRECTORY)?.into()),
            }
        }
        cgroup.prepare()?;
        for settings in self.settings.chunk_by(|one, next| one.file == next.file) {
            cgroup.set(settings)?;
        }
        cgroup.write_given(&self.files)?;
        if let Some(into) = cgroup.into.as_ref().filter(|_| !self.devices.is_empty()) {
            rule_devices(&self.devices, into.as_fd())?;
        }
        Ok(cgroup)
    }
}

/// Whether the caller may make a directory at `path`, and those above it that are missing.
fn may_be_made(path: &Path) -> bool {
    let flags = AccessFlags::W_OK | AccessFlags::X_OK;
    let nearest = path.ancestors().skip(1).find(|above| above.is_dir());
    nearest.is_some_and(|above| access(above, flags).is_ok())
}

/// Makes the directory of a cgroup. One that is at a given place may be there, if nothing runs in it,
/// and its parents may not.
fn make(directory: &Directory) -> Result<(), Error> {
    let path = &directory.path;
    if directory.has_others && path.is_dir() {
        return Ok(()); // who has made it has given it its controllers
    }
    let parent = directory.parents_are_made.then(|| path.parent()).flatten();
    let mut made = match (parent, directory.version) {
        // Controllers have to be given to it first.
        (Some(parent), Version::V2) => {
            make_parents(parent, directory)?;
            fs::create_dir(path)
        }
        _ => fs::create_dir(path),
    };
    if let (Some(parent), Err(io::ErrorKind::NotFound)) =
        (parent, made.as_ref().map_err(io::Error::kind))
    {
        make_parents(parent, directory)?;
        made = fs::create_dir(path);
    }
    match made {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && parent.is_some() => {
            check_empty(path)
        }
        made => made.map_err(file("create the cgroup", path)),
    }
}

/// A given cgroup may be there, if nothing runs in it.
fn check_empty(path: &Path) -> Result<(), Error> {
    match observe::members(path).is_empty() {
        true => Ok(()),
        false => Err(Error::CgroupInUse { path: path.to_owned() }),
    }
}

/// The cgroups above `below`, each with all controllers for those below it on version 2.
fn make_parents(path: &Path, below: &Directory) -> Result<(), Error> {
    if !path.is_dir() {
        if let Some(parent) = path.parent() {
            make_parents(parent, below)?;
        }
        match fs::create_dir(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            made => made.map_err(file("create the cgroup", path))?,
        }
    }
    if below.version == Version::V1 {
        let has_cpuset = below.controllers.contains(&Controller::Cpuset);
        return if has_cpuset { inherit_cpuset(path) } else { Ok(()) };
    }
    let available = fs::read_to_string(path.join("cgroup.controllers")).unwrap_or_default();
    for controller in available.split_whitespace() {
        // Where processes are in it, it gives none away: a limit that needs one then says so.
        let _ = fs::write(path.join("cgroup.subtree_control"), format!("+{controller}"));
    }
    Ok(())
}

/// A new cpuset of version 1 is empty, and no process can be in it (cgroup-v1/cpusets.rst).
pub(super) fn inherit_cpuset(path: &Path) -> Result<(), Error> {
    let Some(parent) = path.parent() else { return Ok(()) };
    for name in ["cpuset.cpus", "cpuset.mems"] {
        let own = path.join(name);
        if fs::read_to_string(&own).is_ok_and(|list| list.trim().is_empty()) {
            let list = fs::read(parent.join(name)).map_err(file("read", parent.join(name)))?;
            fs::write(&own, list).map_err(file("write", own))?;
        }
    }
    Ok(())
}

/// The same on version 2. A caller who may not load a BPF program is root of a container, and
/// cannot make devices either.
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

/// A name that this launcher uses only once.
fn number() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("isolab-{}-{}", std::process::id(), COUNT.fetch_add(1, Relaxed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_limits_there_is_no_cgroup() {
        let devices = Vec::new();
        let budget = spec::Budget { usual_pids: None, devices, ..spec::Budget::default() };
        let path = CgroupPath::find(&budget, true).unwrap();
        assert_eq!(path.resources().count(), 0);
    }
}
