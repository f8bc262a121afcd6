//! The measurements: the same programs in every sandbox, in turn, in fresh processes.
//!
//! ```text
//!   conduct ──starts──> measure startup ──runs──> process, container, microvm, process again
//!      │   <──numbers──                           in turn, the order shuffled by the seed
//!      ├──starts──> measure startup  (a fresh process, so that none owes its numbers
//!      │                              to the chance of one memory layout)
//!      ├──starts──> measure density, slices, ...
//!      └──returns──> Collection, which becomes report::Records
//! ```
//!
//! [`conduct`] is the process that compares, [`measure`] one of the processes that it starts. Both
//! leave arguments, printing and progress bars to their caller.
#![forbid(unsafe_code)]

mod cancellation;
mod clock;
mod cold;
mod collect;
mod command_time;
mod conduct;
mod density;
mod disk;
pub mod engine;
mod error;
mod footprint;
mod host_load;
mod idle;
mod images;
mod io_client;
mod io_program;
mod io_rates;
mod io_request;
mod io_sandbox;
mod lanes;
mod linux;
mod message;
mod options;
mod order;
mod outcome;
mod participant;
mod parts;
pub mod peers;
mod probes;
mod process;
mod programs;
mod provenance;
mod receiver;
mod session;
mod settling;
mod slices;
mod startup;
mod subjects;
mod together;
mod turns;
mod watch;
mod watched_command;
mod ways;

pub use cancellation::Cancellation;
pub use clock::tick_rate;
pub use collect::Collection;
pub use command_time::{CommandTime, Expected, command_time};
pub use conduct::{Caller, Cancelled, conduct};
pub use disk::disk_bytes;
pub use error::Error;
pub use io_program::serve_io;
pub use message::{Measurement, Message};
pub use options::{CompareOptions, MeasureOptions};
pub use order::order;
pub use outcome::{ensure_success, hello};
pub use parts::{Amount, Part};
pub use process::{in_turn, measure};
pub use provenance::ProvenanceRecorder;
pub use subjects::{LABELS, LINUX, Missing, Subject, again, subjects};

pub(crate) use session::{Session, Value};
