//! The lab runner: lessons in which a student writes the heart of a container runner and of a
//! virtual machine monitor, judged by the kernel's state.
#![warn(missing_docs)]
#![deny(unsafe_code)]

pub mod catalogue;
pub mod runner;
pub mod verdict;
