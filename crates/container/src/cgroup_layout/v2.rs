//! Below which cgroup of version 2 a container's cgroup is made.

use std::{fs, io, path::Path};

use super::{Controller, Layout, Parent, may_write, words_of};
use crate::Error;

impl Layout {
    /// Version 2 gives a controller to the children of a cgroup only if `cgroup.subtree_control`
    /// names it, and lets only a cgroup without processes of its own name any, the root excepted
    /// (cgroups(7), "no internal processes"). The launcher's own cgroup has a process, the
    /// launcher; so the parent is usually the nearest ancestor that can give what is needed.
    ///
    /// If that would escape a limit of the launcher's own cgroup, and the launcher is alone in it,
    /// the launcher moves into a leaf there instead.
    pub(super) fn v2_parent(&self, needed: &[Controller]) -> Result<Parent, Error> {
        let controller = needed.first().map_or("cgroup2", |controller| controller.name());
        let lacking = |why: String| Error::NoController { controller, why };
        let hierarchy = self.v2().ok_or_else(|| lacking("no cgroup is mounted".into()))?;
        if !hierarchy.writable {
            return Err(lacking(format!("{:?} is mounted read-only", hierarchy.point)));
        }
        let parent = |path: &Path, skipped: &[&Path]| Parent {
            path: path.to_owned(),
            controllers: needed.to_vec(),
            skipped: skipped.iter().map(|path| (*path).to_owned()).collect(),
        };
        let own = &*hierarchy.own;
        let lineage: Vec<&Path> =
            own.ancestors().take_while(|path| path.starts_with(&hierarchy.point)).collect();
        let nearest = lineage.iter().position(|path| may_write(path) && gives(path, needed));
        let nearest = nearest.map(|count| parent(lineage[count], &lineage[..count]));
        match nearest {
            Some(nearest) if !nearest.skipped.iter().any(|path| is_limited(path)) => Ok(nearest),
            _ if makes_room(own, needed) => Ok(parent(own, &[])),
            Some(nearest) => Ok(nearest),
            None => Err(lacking(format!(
                "{own:?} has processes beside isolab or may not be written to, and no directory \
                 above it can enable the controller"
            ))),
        }
    }
}

/// Whether children of `cgroup` get the controllers `needed`, after enabling them if that is
/// possible.
fn gives(cgroup: &Path, needed: &[Controller]) -> bool {
    let control = cgroup.join("cgroup.subtree_control");
    let missing = missing_in(&control, needed);
    // The kernel would enable those of `cpu` and `pids` beside processes, and from then on take
    // threads alone into the children (cgroups(7), "Creating a threaded subtree").
    if !missing.is_empty() && !is_root(cgroup) && has_processes(cgroup) {
        return false;
    }
    let enable =
        |controller: &Controller| fs::write(&control, format!("+{}", controller.name())).is_ok();
    missing.into_iter().all(enable) && is_domain(cgroup)
}

/// The controllers of `needed` that are missing in such a file.
fn missing_in<'n>(file: &Path, needed: &'n [Controller]) -> Vec<&'n Controller> {
    let named = words_of(file);
    let missing = |controller: &&Controller| !named.iter().any(|word| word == controller.name());
    needed.iter().filter(missing).collect()
}

/// Only the root of the hierarchy has no type.
fn is_root(cgroup: &Path) -> bool {
    !cgroup.join("cgroup.type").exists()
}

/// Whether its children can have processes: that of a thread's cgroup cannot.
fn is_domain(cgroup: &Path) -> bool {
    is_root(cgroup) || words_of(&cgroup.join("cgroup.type")) == ["domain"]
}

/// A file that cannot be read counts as having some.
fn has_processes(cgroup: &Path) -> bool {
    fs::read_to_string(cgroup.join("cgroup.procs")).map_or(true, |text| !text.is_empty())
}

/// Whether it limits its processes to less than its parent.
fn is_limited(cgroup: &Path) -> bool {
    INHERITED.iter().any(|(_, file)| limit_in(cgroup, file).is_some())
}

/// Moves the launcher into a leaf below its own cgroup, if it is alone there and the cgroup has the
/// controllers: a delegated scope.
fn makes_room(own: &Path, needed: &[Controller]) -> bool {
    let has_all = missing_in(&own.join("cgroup.controllers"), needed).is_empty();
    may_write(own) && has_all && leave_for_a_leaf(own).is_ok() && gives(own, needed)
}

fn leave_for_a_leaf(own: &Path) -> io::Result<()> {
    let alone = format!("{}\n", std::process::id());
    if fs::read_to_string(own.join("cgroup.procs"))? != alone {
        return Err(io::ErrorKind::ResourceBusy.into());
    }
    let leaf = own.join("launcher");
    match fs::create_dir(&leaf) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    fs::write(leaf.join("cgroup.procs"), "0")
}

/// The files of version 2 that limit a cgroup as a whole.
pub(crate) const INHERITED: [(Controller, &str); 7] = [
    (Controller::Cpu, "cpu.max"),
    (Controller::Memory, "memory.high"),
    (Controller::Memory, "memory.max"),
    (Controller::Memory, "memory.swap.max"),
    (Controller::Pids, "pids.max"),
    (Controller::Cpuset, "cpuset.cpus"),
    (Controller::Cpuset, "cpuset.mems"),
];

/// The value of such a file, if it limits anything.
pub(crate) fn limit_in(cgroup: &Path, file: &str) -> Option<String> {
    let text = fs::read_to_string(cgroup.join(file)).ok()?;
    let limit = text.trim();
    (!limit.is_empty() && !limit.starts_with("max")).then(|| limit.to_owned())
}
