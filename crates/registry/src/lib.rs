//! The distribution protocol, both ends.
#![forbid(unsafe_code)]

pub mod client;
pub mod credentials;
pub mod server;
mod text;
