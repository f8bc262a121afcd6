//! The lab runner: lessons in which a student writes the heart of a container runner and of a
//! virtual machine monitor, judged by the kernel's state.
//!
//! ```text
//!   labs/NN-name/src/student.rs   the student's functions, led by the lab's lib.rs  -> [`program`]
//!   labs/NN-name/check.rs         looks at the kernel's state meanwhile             -> [`check`]
//!   labs/NN-name/messages.toml    what a finding means, in two languages            -> [`catalogue`]
//!   isolab lab check NN           builds both, runs the second, tells the verdict
//! ```
#![warn(missing_docs)]
#![deny(unsafe_code)]

pub mod catalogue;
mod cgroup_parents;
pub mod check;
pub mod program;
pub mod runner;
pub mod verdict;
mod visible;
