//! The engine: a daemon with Docker's REST API.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod network;
