//! Images: templates of containers and microVMs.
//!
//! ```text
//!   reference ──> store: index ──> manifest ──> config ──> process: what to run
//!                                          └─> layers ──> unpacked: a root's directories
//!   Dockerfile ── build ──> store <── archive ── docker save, podman, skopeo
//! ```
//!
//! This crate knows neither registries nor sandboxes: it gives directories and a config.
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
pub mod upper_changes;
pub mod usage;
pub mod verify;
pub mod view;
