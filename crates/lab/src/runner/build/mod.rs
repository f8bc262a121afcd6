//! Building the student's program: cargo, run as the owner of the checkout.

pub(crate) mod compile;
pub(crate) mod libraries;
mod lines;
pub(crate) mod toolchain;
