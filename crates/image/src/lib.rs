//! Images on this machine.
#![forbid(unsafe_code)]

pub mod archive;
pub mod build;
pub mod compression;
pub mod config;
pub mod difference;
pub mod digest;
pub mod dockerfile;
pub mod flatten;
pub mod gc;
pub mod layer;
pub mod manifest;
pub mod one_layer;
pub mod process;
pub mod reference;
pub mod store;
pub mod unpacked;
pub mod usage;
pub mod verify;
pub mod view;
