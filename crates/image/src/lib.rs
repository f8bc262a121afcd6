//! Images on this machine.
#![forbid(unsafe_code)]
