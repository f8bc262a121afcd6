//! The contract: how to run a program isolated from its host, by any mechanism.
//!
//! A [`Sandbox`] starts a [`Workload`] and returns an [`Instance`]; waiting for the instance
//! returns an [`Outcome`], as in [`std::process`]. There are three sandboxes: [`Native`] in this
//! crate, which isolates nothing and is the baseline of every comparison, `container::Container`
//! and `microvm::MicroVm`.
//!
//! Every isolation mechanism must answer the same five [`Question`]s. The answers differ too much
//! for a trait: they are ten modules, five in each of the two other crates.
#![forbid(unsafe_code)]

mod capture;
pub mod environment;
mod error;
mod event;
mod exit_reason;
mod ledger;
mod limits;
mod mailbox;
mod native;
mod outcome;
mod timeline;
mod trace;
mod workload;

use std::{os::fd::BorrowedFd, sync::Arc};

pub use capture::{Capture, CaptureOutcome};
pub use error::{Error, Result, Written, chain, chain_with_help};
pub use event::{Event, KvmCall};
pub use exit_reason::ExitReason;
pub use guest::Builtin;
pub use ledger::{
    Claim, Detached, ExitRecord, Ledger, LedgerEntry, LedgerError, Metadata, Process, Resource,
    Socket, unix_ms,
};
pub use limits::{CpuQuota, Limits, LimitsError};
pub use mailbox::{Mailbox, Report};
pub use native::Native;
pub use outcome::{ExitCount, MachineEnd, OutOfMemory, Outcome, Status, Usage};
pub use timeline::{Milestone, Timeline, monotonic_now};
pub use trace::{Question, Trace, TraceEntry};
pub use workload::{Program, Stdio, Workload};

/// A way to run programs isolated from the host.
pub trait Sandbox {
    /// The name of this sandbox in tables and messages: `process`, `container`, `microvm`.
    fn name(&self) -> &'static str;

    /// Starts `workload` and returns once its first instruction may run.
    ///
    /// # Errors
    ///
    /// [`Error::Unsupported`] if this sandbox cannot run such a workload or enforce its limits,
    /// [`Error::Unavailable`] if the host lacks something, [`Error::NotFound`] and
    /// [`Error::NotExecutable`] as in a shell, and [`Error::Failed`] for a failed step.
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

/// A running workload. Dropping it kills the workload and frees all its resources.
pub trait Instance: Send {
    /// The host processes of this instance, without the launcher.
    ///
    /// A microVM in the launcher's own process has none.
    fn processes(&self) -> Vec<u32>;

    /// A handle by which another thread can end the workload.
    fn control(&self) -> Arc<dyn Control>;

    /// The memory shared with a built-in program; `None` for commands.
    fn mailbox(&self) -> Option<&Mailbox>;

    /// The milestones reached so far.
    fn timeline(&self) -> Timeline;

    /// A descriptor that becomes readable when the workload has ended. `None` if [`Instance::wait`]
    /// has to be called meanwhile, to forward its output or to run it.
    fn end(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    /// Waits until the workload has ended and all its resources are freed.
    ///
    /// # Errors
    ///
    /// [`Error::Deadline`] if the workload was killed at its deadline; [`Error::TooMuchOutput`] if
    /// captured output exceeded its limit; [`Error::Failed`] if the sandbox itself failed, for
    /// example at a guest's triple fault.
    fn wait(self: Box<Self>) -> Result<Outcome>;
}

/// Controls a running workload from another thread. Without effect once it has ended.
pub trait Control: Send + Sync {
    /// Asks the workload to end: end of file on its standard input for a built-in program,
    /// `SIGTERM` for a command.
    fn stop(&self);

    /// Kills the workload.
    fn kill(&self);

    /// Sends `signal` to the workload; a microVM's built-in program can only be stopped.
    fn signal(&self, signal: i32);
}
