//! Which of the host's tables a container shares, and which it has of its own (namespaces(7)).

use std::path::PathBuf;

use sandbox::Process;

/// One of the host's tables, as a container has it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Namespace {
    /// The host's, or the launcher's.
    Shared,
    /// Its own.
    #[default]
    New,
    /// One that is there already, by its file: `/proc/PID/ns/net`, or where one has been bound.
    Joined(PathBuf),
    /// That of a process which runs, and of no later one with its number.
    Of(Process),
}

impl Namespace {
    /// Its own, or else the host's.
    pub fn new_if(own: bool) -> Self {
        if own { Self::New } else { Self::Shared }
    }

    /// Whether it is made for this container.
    pub fn is_new(&self) -> bool {
        *self == Self::New
    }
}

/// Which of the host's tables a container does not share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Namespaces {
    /// Mounts, and so the files that it can see. Without it the container stays in the host's root.
    pub mount: Namespace,
    /// Host name.
    pub uts: Namespace,
    /// System V IPC and message queues.
    pub ipc: Namespace,
    /// Process ids: the program is number 1, or a child of it, and sees no process outside.
    pub pid: Namespace,
    /// Network links, addresses, ports.
    pub net: Namespace,
    /// User and group ids: root inside is somebody else outside. New for callers who are not root.
    pub user: Namespace,
    /// The view of cgroups: its own is the root of what it sees.
    pub cgroup: Namespace,
}

impl Default for Namespaces {
    fn default() -> Self {
        use Namespace::{New, Shared};
        Self { mount: New, uts: New, ipc: New, pid: New, net: New, user: Shared, cgroup: New }
    }
}
