//! Records of measurements, their statistics, and the page that shows them.
//!
//! This crate knows no sandbox: it works on names, numbers and units.
//!
//! ```text
//!   Records ──> Comparison ──> table        for the terminal
//!   (raw)       (computed) ──> page, SVGs   for the browser
//!                          ──> README.md    for a repository
//! ```
#![forbid(unsafe_code)]

mod bootstrap;
pub mod catalogue;
mod chart;
mod claim;
pub mod claims;
pub mod columns;
pub mod comparison;
mod conditions;
#[cfg(test)]
mod coverage;
pub mod difference;
mod doubts;
#[cfg(test)]
mod example;
pub mod export;
mod file;
pub mod format;
pub mod history;
#[cfg(test)]
mod holes;
pub mod html;
pub mod interval;
mod lesson;
mod markdown;
mod method;
pub mod metric;
mod notes;
mod page;
pub mod published;
mod random;
mod records;
mod relevance;
mod spelling;
mod statistics;
mod table;
mod text;
mod validation;
mod verdict;
pub mod verify;
mod words;
mod write;

pub use bootstrap::{median_interval, ratio};
pub use comparison::Comparison;
pub use file::RecordsError;
pub use interval::Ratio;
pub use random::Random;
pub use records::{
    Condition, Gap, Lane, Method, Order, Probe, Provenance, Records, Sample, ScheduleTrace, Series,
    Subject, Unit, VERSION,
};
pub use statistics::{Interval, median, quantile};
pub use table::table;
pub use validation::Invalid;
pub use verdict::{Verdict, noise_floor};
pub use write::{Written, write_report};
