//! What a user types after `isolab lab`: one file a command.

pub mod check;
pub(super) mod class;
pub(super) mod class_page;
pub(super) mod clean;
pub(super) mod export;
pub(super) mod hint;
pub(super) mod list;
mod mutate;
pub(super) mod new;
mod notes;
pub mod predict;
pub(super) mod solution;
pub(super) mod start;
pub(super) mod verify;
pub(super) mod watch;
