//! The runner: everything of `isolab lab` but the parsing of its words.
//!
//! ```text
//!   course     the labs of a checkout         needs      what this host has for them
//!   compile    cargo, as the checkout's owner run        one check, as a process of its own
//!   trust      what root alone can change     as_user    what root runs as somebody else
//!   book       what a student has done        say        a verdict in words
//! ```
//!
//! Each command is a function of a [`Desk`] that gives an [`Answer`]; nothing here prints.
#![cfg(feature = "runner")]

mod as_user;
mod book;
pub mod check;
mod class;
mod class_page;
mod clean;
mod clock;
mod compile;
pub mod course;
mod desk;
mod environment;
mod error;
mod export;
mod hint;
mod host;
mod lines;
mod list;
mod load;
mod needs;
mod nested;
mod new;
mod person;
pub mod predict;
mod progress;
mod run;
mod say;
mod skeleton;
mod solution;
mod staged;
mod start;
mod table;
mod text;
mod toolchain;
mod trust;
mod truth;
mod verify;
mod watch;

pub use as_user::become_user;
pub use book::Book;
pub use class::class;
pub use clean::clean;
pub use desk::{Answer, Desk, Front};
pub use error::Error;
pub use export::export;
pub use hint::{hint, why};
pub use list::list;
pub use nested::inside;
pub use new::new;
pub use person::Person;
pub use progress::{Progress, Record};
pub use solution::{reset, solution};
pub use start::start;
pub use table::Table;
pub use text::{Style, clean as clean_text};
pub use trust::{Doubt, Why as DoubtfulBecause};
pub use verify::verify;
pub use watch::watch;

/// The result of the runner's functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;
