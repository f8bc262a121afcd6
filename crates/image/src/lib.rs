//! Images on this machine.
#![forbid(unsafe_code)]

pub mod compression;
pub mod config;
pub mod digest;
pub mod dockerfile;
pub mod layer;
pub mod manifest;
pub mod process;
pub mod reference;
pub mod store;
pub mod view;
pub mod unpacked;
