//! As whom things are read, built and run, and what root may trust.

pub(crate) mod as_user;
mod command;
pub(crate) mod environment;
pub(crate) mod local_user;
pub(crate) mod trust;
