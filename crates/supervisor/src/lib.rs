//! What stays with a run in the background: its log, its streams and its exit record.
//!
//! `isolab run -d` leaves two processes behind, and the second is the one that every `isolab run` is:
//!
//! ```text
//!   supervisor ── pipes, or a terminal ──> launcher ── namespaces, cgroup or KVM ──> program
//!     log, socket, exit record               as without -d
//! ```
//!
//! So a virtual machine's launcher can close itself around its machine as ever, and a supervisor
//! works for every kind. The launcher ends with its supervisor (PR_SET_PDEATHSIG(2const)), and the
//! program with its launcher; `isolab clean` removes what is left then.
//!
//! In the run's directory, which is the caller's own:
//!
//! ```text
//!   supervisor   who it is: a process id and its start time
//!   start        a FIFO: one byte from the launcher once the program runs
//!   log, log.1   what it wrote, a line of JSON each       see [`LogReader`]
//!   attach       a socket of mode 0600                    see [`Frame`]
//! ```
#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod base64;
mod client;
mod connections;
mod error;
mod frame;
mod launcher;
mod log;
mod record;
mod settings;
mod supervise;
pub mod time;

pub use client::{Client, ClientError};
pub use error::Error;
pub use frame::{Frame, NotAFrame};
pub use launcher::report_started;
pub use log::{LogReader, LogWriter, PART, last_lines};
pub use record::{Record, Stream};
pub use settings::{Callbacks, Settings};
pub use supervise::{StartOutcome, supervise};
