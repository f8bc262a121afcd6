//! The engine's state on disk: a record a container, a file each, written whole.
//!
//! ```text
//!   DATA/containers/ID/record.json   what the API says of it
//!                     /state.json    what container::State says of its first process, while it runs
//!                     /attach, log, exit      its supervisor's
//!                     /files/        the upper layer of its root
//!                     /exec/ID/      the same for a command that joined it
//! ```

mod file;
pub mod record;
pub mod status;

pub use file::{FileError, load, save};
