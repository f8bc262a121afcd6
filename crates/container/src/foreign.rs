//! The namespaces of a running container, for a second command to join.

use std::os::fd::{AsRawFd, OwnedFd};

use sandbox::Question;

use crate::{plan::SyscallPlan, privileges, spec};

/// The namespaces of a process that differ from the caller's.
pub(crate) struct Foreign {
    flags: i32,
}

impl Foreign {
    pub(crate) fn of(pid: u32) -> Self {
        let all = [
            ("user", libc::CLONE_NEWUSER),
            ("mnt", libc::CLONE_NEWNS),
            ("uts", libc::CLONE_NEWUTS),
            ("ipc", libc::CLONE_NEWIPC),
            ("pid", libc::CLONE_NEWPID),
            ("net", libc::CLONE_NEWNET),
            ("cgroup", libc::CLONE_NEWCGROUP),
        ];
        let of = |pid: &str, name: &str| std::fs::read_link(format!("/proc/{pid}/ns/{name}")).ok();
        let theirs = pid.to_string();
        let foreign = |name: &str| of("self", name) != of(&theirs, name);
        let foreign = all.into_iter().filter(|(name, _)| foreign(name));
        Self { flags: foreign.fold(0, |all, (_, flag)| all | flag) }
    }

    /// The flags for setns(2).
    pub(crate) fn flags(&self) -> i32 {
        self.flags
    }

    /// Whether the user namespace differs: a process may not join its own again.
    pub(crate) fn has_user(&self) -> bool {
        self.flags & libc::CLONE_NEWUSER != 0
    }

    /// The child's steps that enter all of them at once; the kernel enters the user namespace first
    /// (setns(2)).
    pub(crate) fn enter(&self, plan: &mut SyscallPlan, target: &OwnedFd, power: &spec::Power) {
        let arguments = [target.as_raw_fd() as usize, self.flags as usize];
        plan.step(Question::Boundary, "setns into the container", libc::SYS_setns, arguments);
        if self.has_user() {
            privileges::become_first(plan, power);
        }
    }
}
