//! Ten milliseconds: many turns are over before that.

use std::{process::ExitCode, time::Duration};

use time_slices::{Answer, Slice};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

const GAP: Duration = Duration::from_millis(10);

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
