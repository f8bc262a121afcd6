//! The pipes between launcher and child before the program runs: one at which the child waits, and
//! one for its report.

use std::{
    fs::File,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
};

use nix::{fcntl::OFlag, unistd::pipe2};
use sandbox::Question::Boundary;

use crate::{Error, descriptors::high, error::call, plan::SyscallPlan};

/// The descriptors of both pipes.
pub(crate) struct Gate {
    /// The child reads a byte from it at the gate; end of file means that the launcher has died.
    pub(crate) wait: OwnedFd,
    /// The launcher writes that byte.
    pub(crate) open: OwnedFd,
    /// The child's end of the report: closed by its `execve`.
    report: OwnedFd,
    /// The launcher's end of the report.
    pub(crate) reports: File,
}

impl Gate {
    pub(crate) fn new() -> Result<Self, Error> {
        let failed = || call("pipe2 for the gate of the child");
        let (wait, open) = pipe2(OFlag::O_CLOEXEC).map_err(failed())?;
        let (reports, report) = pipe2(OFlag::O_CLOEXEC).map_err(failed())?;
        Ok(Self { wait, open, report: high(&report)?, reports: reports.into() })
    }

    /// The child's steps at the gate: it closes its own copy of the other end, then waits.
    pub(crate) fn pass(&self, plan: &mut SyscallPlan) {
        let words = "close the other end of the gate";
        plan.step(Boundary, words, libc::SYS_close, [self.open.as_raw_fd() as usize]);
        let room = plan.keep([0]);
        plan.gate_follows();
        let arguments = [self.wait.as_raw_fd() as usize, room, 1];
        plan.step(Boundary, "wait for the launcher at the gate", libc::SYS_read, arguments);
    }

    /// The child's end of the report.
    pub(crate) fn report(&self) -> BorrowedFd<'_> {
        self.report.as_fd()
    }
}
