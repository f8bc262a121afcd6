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
};

/// Existing namespaces, open.
#[derive(Debug, Default)]
pub(crate) struct Joined {
    by_child: Vec<(OwnedFd, i32, &'static str)>,
    /// A process cannot move into a pid namespace, only be created in it: the launcher's thread
    /// sets it for its next child.
    pid: Option<OwnedFd>,
}

impl Joined {
    /// Opens those of `namespaces` that exist already.
    pub(crate) fn open(namespaces: &Namespaces) -> Result<Self, Error> {
        let cgroup = [(&namespaces.cgroup, libc::CLONE_NEWCGROUP, "cgroup")];
        // The user namespace first: it gives the power to join the others (setns(2)).
        let all = namespaces.all().into_iter().rev().chain(cgroup);
        let mut joined = Self::default();
        for (namespace, flag, name) in all {
            let opened = match namespace {
                Namespace::Joined(path) => open_namespace(path, flag, name)?,
                Namespace::Of(process) => namespace_of(process, name)?,
                Namespace::Shared | Namespace::New => continue,
            };
            match flag {
                libc::CLONE_NEWPID => joined.pid = Some(opened),
                _ => joined.by_child.push((opened, flag, name)),
            }
        }
        Ok(joined)
    }

    /// While the result lives, children of this thread are created in the joined pid namespace.
    pub(crate) fn children_elsewhere(&self) -> Result<Option<ChildrenElsewhere>, Error> {
        self.pid.as_ref().map(ChildrenElsewhere::enter).transpose()
    }

    /// The child's steps that enter the others.
    pub(crate) fn enter(&self, plan: &mut SyscallPlan) {
        for (file, flag, name) in &self.by_child {
            let arguments = [file.as_raw_fd() as usize, *flag as usize];
            plan.step(Boundary, format!("setns {name}"), libc::SYS_setns, arguments);
        }
    }
}

/// The namespace file at `path`; a file of another kind is an error.
fn open_namespace(path: &Path, flag: i32, name: &'static str) -> Result<OwnedFd, Error> {
    // Of linux/nsfs.h; fails with ENOTTY if it is not a namespace (ioctl_ns(2)).
    const NS_GET_NSTYPE: libc::Ioctl = 0xb703;
    let file = File::open(path).map_err(file("open the namespace", path))?;
    // SAFETY: the request takes no argument.
    let kind = unsafe { libc::ioctl(file.as_raw_fd(), NS_GET_NSTYPE) };
    match Errno::result(kind) {
        Ok(kind) if kind == flag => Ok(file.into()),
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

/// While it lives, children of this thread are created in another pid namespace.
pub(crate) struct ChildrenElsewhere {
    own: File,
}

impl ChildrenElsewhere {
    fn enter(namespace: &OwnedFd) -> Result<Self, Error> {
        let path = "/proc/thread-self/ns/pid";
        let own = File::open(path).map_err(file("open", path))?;
        setns(namespace, CloneFlags::CLONE_NEWPID).map_err(call("setns pid"))?;
        Ok(Self { own })
    }
}

impl Drop for ChildrenElsewhere {
    fn drop(&mut self) {
        // Returning to one's own pid namespace is always allowed (setns(2)).
        let _ = setns(&self.own, CloneFlags::CLONE_NEWPID);
    }
}
