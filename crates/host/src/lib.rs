//! Facts about this host that every other crate may need: what `/proc` says of processes and of the
//! machine, the launcher's terminal, the user's language and directories, programs kept in memory, and
//! directories that are there whole or not at all.
//!
//! Nothing here knows what a sandbox is.
#![forbid(unsafe_code)]

mod language;
mod memfd;
mod proc_file;
mod process_stat;
mod signals;
mod smaps;
mod system;
mod terminal;
mod user_directory;
mod whole;

pub use language::Language;
pub use memfd::sealed_memfd;
pub use proc_file::{memory_field, read_proc};
pub use process_stat::{ProcessStat, process_tree};
pub use signals::{IgnoredSignals, signal_number};
pub use smaps::{Mapping, mappings, pss};
pub use system::{kernel_bytes, pressure, stolen};
pub use terminal::{
    TerminalMode, own_terminal, raw_pair, set_terminal_size, size_of, terminal_pair, terminal_size,
};
pub use user_directory::{data_directory, user_directory};
pub use whole::{locked, remove_unfinished, replace};
