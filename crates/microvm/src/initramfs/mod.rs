//! Question 3: what does it find inside? A Linux guest's first file system, written in memory.
//!
//! The kernel unpacks an archive that the machine puts beside it into a file system in RAM, and
//! starts `/init` in there. [`Archive`] writes such an archive, file by file; [`Root`] is a whole
//! root in the making, from a program and its libraries, or from directory trees laid over each
//! other as an overlay lays them. See `container::rootfs` for the other answer.

mod archive;
mod error;
mod libraries;
mod program;
mod root;
mod tree;
mod write;

pub use archive::Archive;
pub use error::InitramfsError;
pub use program::files_of_program;
pub use root::Root;

#[cfg(test)]
mod tests;
