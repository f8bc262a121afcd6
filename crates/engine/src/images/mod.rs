//! Images by Docker's API: what its requests do, without HTTP.
//!
//! ```text
//!   /images/json, /images/X/json, history     list, inspect
//!   /images/X/tag, DELETE /images/X, prune    remove, prune
//!   /images/create, /images/X/push, /auth     pull, push, registries
//!   /images/get, /images/load, fromSrc        archive
//!   /commit, /containers/X/export, changes    commit
//!   /build                                    build
//! ```
//!
//! Images are kept by the crate `image`, and transferred by the crate `registry`; here is what Docker
//! makes of them: ids, sizes, filters, messages. A store is opened for each request, because garbage is
//! collected only while nobody has it open.

pub mod archive;
pub mod build;
pub mod catalog;
pub mod commit;
mod error;
pub mod filters;
pub mod inspect;
pub mod list;
pub mod names;
pub mod progress;
pub mod prune;
pub mod pull;
pub mod push;
pub mod registries;
pub mod remove;
mod size;
mod transfer;

#[cfg(test)]
mod archive_tests;
#[cfg(test)]
mod test_images;
#[cfg(test)]
mod test_registry;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod transfer_tests;

pub use error::{ImageError, Result};
