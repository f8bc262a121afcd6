//! The contract: how to run a program apart from its host, whatever the walls are made of.
//!
//! A [`Sandbox`] starts a [`Workload`] and gives back an [`Instance`]; waiting for the instance
//! gives an [`Outcome`]. The shape is that of [`std::process`]. Three sandboxes keep this contract:
//! [`Native`] in this crate, which has no walls and is the baseline of every comparison,
//! `container::Container` and `microvm::MicroVm`.
//!
//! Every wall must answer the same five [`Question`]s. How it answers them differs too much for a
//! trait, so there is none: the answers are ten modules, five in each of the two other crates.
#![forbid(unsafe_code)]

mod capture;
pub mod environment;
mod error;
mod ledger;
mod limits;
mod mailbox;
mod native;
mod outcome;
mod story;
mod timeline;
mod workload;

use std::{os::fd::BorrowedFd, sync::Arc};

pub use capture::{Capture, CaptureOutcome};
pub use error::{Error, Result, Written, chain, told};
pub use guest::Builtin;
pub use ledger::{
    Claim, Detached, ExitRecord, Ledger, LedgerEntry, LedgerError, Metadata, Process, Resource,
    Socket, unix_ms,
};
pub use limits::{CpuQuota, Limits, LimitsError};
pub use mailbox::{Mailbox, Report};
pub use native::Native;
pub use outcome::{Crossing, MachineEnd, OutOfMemory, Outcome, Status, Usage};
pub use story::{Question, Step, Story, crossing};
pub use timeline::{Milestone, Timeline, monotonic_now};
pub use workload::{Program, Stdio, Workload};

/// A way to run programs apart from the host.
pub trait Sandbox {
    /// The word for this sandbox in tables and messages: `process`, `container`, `microvm`.
    fn name(&self) -> &'static str;

    /// Starts `workload` and returns once its first instruction may run.
    ///
    /// # Errors
    ///
    /// [`Error::Unsupported`] when this sandbox cannot run such a workload or keep its limits,
    /// [`Error::Unavailable`] when the host lacks what it takes, [`Error::NotFound`] and
    /// [`Error::NotExecutable`] as a shell would say them, and [`Error::Failed`] for a failed step.
    fn spawn(&self, workload: &Workload) -> Result<Box<dyn Instance>>;

    /// Starts `workload` and waits for its end.
    ///
    /// # Errors
    ///
    /// Those of [`Sandbox::spawn`] and of [`Instance::wait`].
    fn run(&self, workload: &Workload) -> Result<Outcome> {
        self.spawn(workload)?.wait()
    }
}

/// A running workload. Dropping it kills the workload and frees all that it held.
pub trait Instance: Send {
    /// The host processes that this instance consists of, the launcher not among them.
    ///
    /// A microVM in the launcher's own process has none.
    fn processes(&self) -> Vec<u32>;

    /// A handle with which another thread, or a signal handler's thread, ends the workload.
    fn control(&self) -> Arc<dyn Control>;

    /// The memory shared with a built-in program; `None` for commands.
    fn mailbox(&self) -> Option<&Mailbox>;

    /// The milestones reached so far.
    fn timeline(&self) -> Timeline;

    /// A descriptor that can be read when the workload has ended. `None` where somebody has to call
    /// [`Instance::wait`] meanwhile, to pass on what it writes or to run it.
    fn end(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    /// Waits until the workload has ended and all that it held is free again.
    ///
    /// # Errors
    ///
    /// [`Error::Deadline`] after the workload's deadline, when it has been killed;
    /// [`Error::TooMuchOutput`] when captured output passed its bound; [`Error::Failed`] when the
    /// walls themselves broke, for example at a guest's triple fault.
    fn wait(self: Box<Self>) -> Result<Outcome>;
}

/// What may be done to a running workload from elsewhere. Each is without effect once it has ended.
pub trait Control: Send + Sync {
    /// Asks the workload to end: end of file on its standard input for a built-in program,
    /// `SIGTERM` for a command.
    fn stop(&self);

    /// Ends the workload without asking it.
    fn kill(&self);

    /// Passes `signal` on to the workload; a microVM's built-in program knows only being stopped.
    fn signal(&self, signal: i32);
}
