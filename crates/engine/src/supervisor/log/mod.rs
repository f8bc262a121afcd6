//! Reading the log of a container, as its supervisor writes it: Docker's json-file format, a JSON
//! object a line, `{"log":"text\n","stream":"stdout","time":"2026-11-29T07:00:00.123456789Z"}`.
//!
//! ```text
//!   log.2  ──> log.1  ──> log        the oldest first; a reader keeps the file that it reads open, so
//!                                    that it may be renamed, and finds the next one by its inode
//! ```

mod files;
mod line;
mod reader;
mod tail;
mod time;
mod watch;

pub use line::{LogLine, LogStream};
pub use reader::{LogQuery, LogReader};
