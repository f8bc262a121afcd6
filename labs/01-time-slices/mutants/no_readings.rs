//! Where there is no reading, there is a slice at 0 all the same.

use std::{process::ExitCode, time::Duration};

use solution::GAP;
use time_slices::{Answer, Slice};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn find_slices(readings: &[Duration]) -> Vec<Slice> {
    let mut slices: Vec<Slice> = Vec::new();
    for &reading in readings {
        match slices.last_mut() {
            Some(slice) if reading - slice.end < GAP => slice.end = reading,
            _ => slices.push(Slice { begin: reading, end: reading }),
        }
    }
    if slices.is_empty() {
        slices.push(Slice { begin: Duration::ZERO, end: Duration::ZERO });
    }
    slices
}

fn main() -> ExitCode {
    time_slices::program(&Answer { find_slices, ..solution::ANSWER })
}
