//! Existing namespaces in which a container is started, by their files: what `--network
//! container:NAME` of docker and the containers of a pod share.

use std::{
    fs::File,
    os::fd::{AsRawFd, OwnedFd},
    path::Path,
};

use nix::{
    errno::Errno,
    sched::{CloneFlags, setns},
};
use sandbox::{Process, Question::Boundary};

use crate::{
    Error,
    error::{call, file},
    pidfd,
    plan::SyscallPlan,
    spec::namespaces::{Namespace, Namespaces},
    time_namespace::NEW_TIME,
};

/// Existing namespaces, open.
#[derive(Debug, Default)]
pub(crate) struct Joined {
    by_child: Vec<(OwnedFd, i32, &'static str)>,
    /// A process cannot move into a pid namespace, only be created in it, and not into one of time
    /// while it shares its launcher's memory: the launcher's thread sets them for its next child.
    by_launcher: Vec<(OwnedFd, i32, &'static str)>,
}

impl Joined {
    /// Opens those of `namespaces` that exist already.
    pub(crate) fn open(namespaces: &Namespaces) -> Result<Self, Error> {
        let others = [
            (&namespaces.cgroup, libc::CLONE_NEWCGROUP, "cgroup"),
            (&namespaces.time, NEW_TIME, "time"),
        ];
        // The user namespace first: it gives the power to join the others (setns(2)).
        let all = namespaces.all().into_iter().rev().chain(others);
        let mut joined = Self::default();
        for (namespace, flag, name) in all {
            let opened = match namespace {
                Namespace::Joined(path) => open_namespace(path, flag, name)?,
                Namespace::Of(process) => namespace_of(process, name)?,
                Namespace::Shared | Namespace::New => continue,
            };
            match flag {
                libc::CLONE_NEWPID | NEW_TIME => joined.by_launcher.push((opened, flag, name)),
                _ => joined.by_child.push((opened, flag, name)),
            }
        }
        Ok(joined)
    }

    /// The time namespace of a running process, if it is not the caller's.
    pub(crate) fn time_of(process: &Process) -> Result<Self, Error> {
        let link = |whose: &str| std::fs::read_link(format!("/proc/{whose}/ns/time")).ok();
        let mut joined = Self::default();
        if link("self") != link(&process.pid.to_string()) {
            joined.by_launcher.push((namespace_of(process, "time")?, NEW_TIME, "time"));
        }
        Ok(joined)
    }

    /// While the result lives, children of this thread are created in the namespaces that they cannot
    /// join by themselves.
    pub(crate) fn children_elsewhere(&self) -> Result<ChildrenElsewhere, Error> {
        let mut elsewhere = ChildrenElsewhere { own: Vec::new() };
        for (file, flag, name) in &self.by_launcher {
            elsewhere.enter(file, *flag, name)?;
        }
        Ok(elsewhere)
    }

    /// The child's steps that enter the others.
    pub(crate) fn enter(&self, plan: &mut SyscallPlan) {
        for (file, flag, name) in &self.by_child {
            let arguments = [file.as_raw_fd() as usize, *flag as usize];
            plan.step(Boundary, format!("setns {name}"), libc::SYS_setns, arguments);
        }
    }
}

/// The kind of namespace of which `path` is a file, by its name in `/proc/PID/ns`.
///
/// # Errors
///
/// When it cannot be opened or is no such file.
pub fn namespace_kind(path: &Path) -> Result<&'static str, Error> {
    let file = File::open(path).map_err(file("open the namespace", path))?;
    let kinds = [
        (libc::CLONE_NEWNS, "mnt"),
        (libc::CLONE_NEWUTS, "uts"),
        (libc::CLONE_NEWIPC, "ipc"),
        (libc::CLONE_NEWPID, "pid"),
        (libc::CLONE_NEWNET, "net"),
        (libc::CLONE_NEWUSER, "user"),
        (libc::CLONE_NEWCGROUP, "cgroup"),
        (NEW_TIME, "time"),
    ];
    let found = flag_of(&file).and_then(|found| kinds.into_iter().find(|(flag, _)| *flag == found));
    let lacking = || Error::NotNamespace { path: path.to_owned(), kind: "known" };
    found.map(|(_, name)| name).ok_or_else(lacking)
}

/// The flag of clone(2) for the kind of namespace that this file is, if it is one.
fn flag_of(file: &File) -> Option<i32> {
    // Of linux/nsfs.h; fails with ENOTTY if it is not a namespace (ioctl_ns(2)).
    const NS_GET_NSTYPE: libc::Ioctl = 0xb703;
    // SAFETY: the request takes no argument.
    let kind = unsafe { libc::ioctl(file.as_raw_fd(), NS_GET_NSTYPE) };
    Errno::result(kind).ok()
}

/// The namespace file at `path`; a file of another kind is an error.
fn open_namespace(path: &Path, flag: i32, name: &'static str) -> Result<OwnedFd, Error> {
    let file = File::open(path).map_err(file("open the namespace", path))?;
    match flag_of(&file) {
        Some(kind) if kind == flag => Ok(file.into()),
        _ => Err(Error::NotNamespace { path: path.to_owned(), kind: name }),
    }
}

/// The namespace of that very process, not of a later one with its number.
fn namespace_of(process: &Process, name: &'static str) -> Result<OwnedFd, Error> {
    let file_name = if name == "mount" { "mnt" } else { name };
    let path = format!("/proc/{}/ns/{file_name}", process.pid);
    let opened = File::open(&path);
    // It is alive now, so it had that number when the file was opened.
    match pidfd::open(process) {
        Some(_) => Ok(opened.map_err(file("open the namespace", path))?.into()),
        None => Err(Error::ProcessEnded { pid: process.pid }),
    }
}

/// While it lives, children of this thread are created in other namespaces.
pub(crate) struct ChildrenElsewhere {
    own: Vec<(File, CloneFlags)>,
}

impl ChildrenElsewhere {
    fn enter(&mut self, namespace: &OwnedFd, flag: i32, name: &str) -> Result<(), Error> {
        let path = format!("/proc/thread-self/ns/{name}");
        let own = File::open(&path).map_err(file("open", path))?;
        let flag = CloneFlags::from_bits_retain(flag);
        setns(namespace, flag).map_err(call(format!("setns {name}")))?;
        self.own.push((own, flag));
        Ok(())
    }
}

impl Drop for ChildrenElsewhere {
    fn drop(&mut self) {
        for (own, flag) in self.own.drain(..).rev() {
            // Returning to one's own pid namespace is always allowed (setns(2)), and whoever could
            // leave the one of time can return.
            let _ = setns(&own, flag);
        }
    }
}
