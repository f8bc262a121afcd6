//! The supervisor of a container: a small process that outlives the daemon.
//!
//! It starts the launcher, is the parent of the container's first process, carries and logs its
//! output, and records its end. It is a program of its own without a libc (`programs/supervisor.rs`),
//! because one runs for every container: it has a few kilobytes.
//!
//! In the directory of a container, or of a command in one, are:
//!
//! ```text
//!   attach             its socket, while the process may still have output; see Connection
//!   exit               how the process has ended; see ExitRecord
//!   log, log.1, ..     the output, `log` the newest; see LogReader
//! ```

mod connection;
mod exit_record;
mod frame;
mod log;
#[cfg(test)]
mod program;
mod start;

pub use connection::{Connection, ConnectionReader, ConnectionWriter};
pub use exit_record::{ExitRecord, read_exit};
pub use frame::{Message, STDERR, STDIN, STDOUT};
pub use log::{LogLine, LogQuery, LogReader, LogStream};
pub use start::{LogOptions, SupervisorError, SupervisorOptions, start};

/// The program, an ELF file.
pub const SUPERVISOR: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/supervisor"));
