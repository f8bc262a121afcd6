//! Every late reading ends a slice, so each interrupt makes two of one.

use std::{process::ExitCode, time::Duration};

use time_slices::{Answer, Slice};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

/// A little longer than it takes from one reading to the next.
const GAP: Duration = Duration::from_micros(80);

fn find_slices(readings: &[Duration]) -> Vec<Slice> {
    let mut slices: Vec<Slice> = Vec::new();
    for &reading in readings {
        match slices.last_mut() {
            Some(slice) if reading - slice.end < GAP => slice.end = reading,
            _ => slices.push(Slice { begin: reading, end: reading }),
        }
    }
    slices
}

fn main() -> ExitCode {
    time_slices::program(&Answer { find_slices, ..solution::ANSWER })
}
