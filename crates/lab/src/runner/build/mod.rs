//! Building the student's program: cargo, run as the owner of the checkout.

pub(crate) mod compile;
pub(crate) mod kit;
mod lines;
pub(crate) mod prebuilt;
pub(crate) mod toolchain;
