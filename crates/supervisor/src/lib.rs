//! The supervisor of a run in the background: its log, its streams and its exit record.
//!
//! `isolab run -d` leaves two processes running; the second one is the same as for any `isolab
//! run`:
//!
//! ```text
//!   supervisor ── pipes, or a terminal ──> launcher ── namespaces, cgroup or KVM ──> program
//!     log, socket, exit record               as without -d
//! ```
//!
//! So a virtual machine's launcher can confine itself as usual, and a supervisor works for every
//! sandbox. The launcher ends with its supervisor (PR_SET_PDEATHSIG(2const)), and the program with
//! its launcher; `isolab clean` then removes what is left.
//!
//! In the run's directory, which only the caller may enter:
//!
//! ```text
//!   supervisor   its process id and start time
//!   start        a FIFO: one byte from the launcher once the program runs
//!   log, log.1   the output, in lines of JSON             see [`LogReader`]
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
