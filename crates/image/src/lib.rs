//! Images on this machine.
#![forbid(unsafe_code)]

pub mod dockerfile;
