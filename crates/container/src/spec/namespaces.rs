//! Which namespaces a container shares with the host, and which it has of its own (namespaces(7)).

use std::path::PathBuf;

use sandbox::Process;

/// Where one namespace of a container comes from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Namespace {
    /// The host's, or the launcher's.
    Shared,
    /// Its own.
    #[default]
    New,
    /// An existing one, by its file: `/proc/PID/ns/net`, or a bind mount of it.
    Joined(PathBuf),
    /// That of a running process; a later process with the same number does not count.
    Of(Process),
}

impl Namespace {
    /// A new one, or else the host's.
    pub fn new_if(own: bool) -> Self {
        if own { Self::New } else { Self::Shared }
    }

    /// Whether it is made for this container.
    pub fn is_new(&self) -> bool {
        *self == Self::New
    }
}

/// The namespaces of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Namespaces {
    /// Mounts, and so the files that it can see. If it is shared, the container stays in the host's
    /// root.
    pub mount: Namespace,
    /// Host name.
    pub uts: Namespace,
    /// System V IPC and message queues.
    pub ipc: Namespace,
    /// Process ids: the program is number 1, or a child of it, and sees no process outside.
    pub pid: Namespace,
    /// Network links, addresses, ports.
    pub net: Namespace,
    /// User and group ids: root inside is another user outside. Always new if the caller is not
    /// root.
    pub user: Namespace,
    /// The view of cgroups: its own cgroup appears as the root.
    pub cgroup: Namespace,
    /// The clocks that count from the start of the host (time_namespaces(7)).
    pub time: Namespace,
}

impl Default for Namespaces {
    fn default() -> Self {
        use Namespace::{New, Shared};
        let (time, cgroup) = (Shared, New);
        Self { mount: New, uts: New, ipc: New, pid: New, net: New, user: Shared, cgroup, time }
    }
}

/// A clock that a time namespace has of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clock {
    /// `CLOCK_MONOTONIC`.
    Monotonic,
    /// `CLOCK_BOOTTIME`, which also counts while the host is suspended.
    Boottime,
}

/// How far a clock of a new time namespace is ahead of the host's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeOffset {
    /// Which clock.
    pub clock: Clock,
    /// Whole seconds; below zero it is behind.
    pub seconds: i64,
    /// Nanoseconds in addition, below 1,000,000,000.
    pub nanoseconds: u32,
}
