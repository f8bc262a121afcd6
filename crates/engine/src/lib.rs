//! The engine: a daemon with Docker's REST API, whose clients are the unmodified `docker` command and
//! every other program that speaks it.
//!
//! ```text
//!   docker ──REST──> api ──> container ──> supervisor ──> launcher ──> the first process
//!                     │          │             └─ holds its terminal or pipes, its log, its exit code,
//!                     │          └─ state: a record, a file each            and outlives the daemon
//!                     └─ volumes, images, networks
//! ```
//!
//! [`serve`](serve()) is the daemon, [`launch`](launch::launch) the process that makes a container by
//! the crate `container`; [`spec`] is the door: Docker's words, question by question.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod api;
mod attachment;
pub mod container;
pub mod engine;
pub mod error;
pub mod events;
pub mod exec;
mod filters;
mod guest_control;
pub mod health;
mod id;
pub mod images;
pub mod launch;
mod launching;
pub mod life;
mod listen;
mod local_stream;
pub mod monitor;
mod names;
pub mod network;
pub mod options;
pub mod runtime;
mod serve;
mod signals;
pub mod spec;
pub mod state;
pub mod supervisor;
pub mod time;
pub mod volumes;
pub mod watch;

pub use options::{Options, Tcp};
pub use serve::serve;
