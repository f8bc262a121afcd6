//! The distribution protocol, both ends: a client that fetches and sends images, and a registry that
//! keeps them.
//!
//! Source: OCI distribution specification 1.1.
#![forbid(unsafe_code)]

pub mod client;
pub mod credentials;
pub mod server;
mod text;
