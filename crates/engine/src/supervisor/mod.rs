//! The supervisor of a container, from the daemon's side: started from memory, spoken to over a
//! socket in the container's directory, and read from files there.
//!
//! ```text
//!   daemon ── start ──> supervisor            attach   the socket: frames both ways
//!      │                    │                 log      what was written, in Docker's json-file format
//!      └── Connection ──────┘                 exit     how the first process ended, and when
//! ```
//!
//! The program itself is `programs/supervisor.rs`.

mod connection;
mod exit;
mod log;
mod start;

pub use connection::{Connection, InputSender, Message, MessageReceiver, STDERR, STDIN, STDOUT};
pub use exit::{ExitRecord, read_exit};
pub use log::{LogLine, LogReader, LogStream};
pub use start::{LogOptions, SupervisorError, SupervisorOptions, start};
