//! The runner: everything of `isolab lab` but the parsing of its command line.
//!
//! ```text
//!   commands     what a user types: list, start, check, hint, watch, export, class, verify, ..
//!   course       the labs of a checkout, and what this host has for them
//!   contract     what a lab's text demands, and how each sentence is checked
//!   build        cargo, run as the checkout's owner
//!   privilege    what root alone can change, and what root runs as another user
//!   judging      one check as a process of its own; the truth table
//!   mutation     wrong answers made by machine, and whether a check tells them from the solution
//!   collect      marking what a class has handed in
//!   handout      what a student gets
//!   progress     what a student has done
//!   output       a verdict in words
//! ```
//!
//! Each command is a function of a [`LabContext`] that gives an [`Answer`]; nothing here prints.
#![cfg(feature = "runner")]

mod build;
mod collect;
pub mod commands;
mod context;
mod contract;
pub mod course;
mod error;
mod handout;
mod judging;
mod mutation;
mod output;
mod privilege;
mod progress;

pub use collect::{Collecting, collect};
pub use commands::{
    check, class::class, clean::clean, export::export, hint::hint, hint::why, list::list, new::new,
    predict, solution::reset, solution::solution, start::start, verify::verify, watch::watch,
};
pub use context::{Answer, Front, LabContext};
pub use error::Error;
pub use handout::handout;
pub use judging::nested::inside;
pub use judging::table::Table;
pub use output::text::{Style, clean as clean_text, wrapped};
pub use privilege::as_user::become_user;
pub use privilege::local_user::LocalUser;
pub use privilege::trust::{Doubt, Why as DoubtfulBecause};
pub use progress::book::Book;
pub use progress::{Progress, Record};

/// The result of the runner's functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;
