//! The network namespace of a process, to do something in it.

use std::{
    fs::File,
    os::fd::{AsFd, BorrowedFd},
};

use nix::sched::{CloneFlags, setns};
use sandbox::Process;

use crate::{
    Error,
    error::{call, file},
    pidfd,
};

/// An open network namespace. It exists as long as this, even without processes.
#[derive(Debug)]
pub struct NetNamespace(File);

impl NetNamespace {
    /// That of the very process `process`, not of a later one with its number.
    ///
    /// # Errors
    ///
    /// When it has ended, or belongs to somebody else.
    pub fn of(process: &Process) -> Result<Self, Error> {
        let opened = open(&format!("/proc/{}/ns/net", process.pid));
        // It is alive now, so it had that number when the file was opened.
        match pidfd::open(process) {
            Some(_) => opened,
            None => Err(Error::ProcessEnded { pid: process.pid }),
        }
    }

    /// That of the process with the number `pid`, a child that has not been waited for.
    pub(crate) fn of_pid(pid: i32) -> Result<Self, Error> {
        open(&format!("/proc/{pid}/ns/net"))
    }

    /// What `work` returns in this namespace, which the calling thread enters for a moment. Sockets
    /// that it opens belong to the namespace and stay in it, and `/proc/sys/net` is that of the
    /// namespace.
    ///
    /// # Errors
    ///
    /// When the caller may not enter it, or cannot return; then the thread is not to be used for
    /// anything else.
    pub fn run<R>(&self, work: impl FnOnce() -> R) -> Result<R, Error> {
        let own = open("/proc/thread-self/ns/net")?;
        setns(&self.0, CloneFlags::CLONE_NEWNET)
            .map_err(call("setns to the container's network"))?;
        let done = work();
        setns(&own.0, CloneFlags::CLONE_NEWNET)
            .map_err(call("setns back to the host's network"))?;
        Ok(done)
    }
}

impl AsFd for NetNamespace {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn open(path: &str) -> Result<NetNamespace, Error> {
    File::open(path).map(NetNamespace).map_err(file("open the namespace", path))
}
