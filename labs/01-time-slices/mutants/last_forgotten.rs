//! A slice is written down where the next one begins, so the last one never is.

use std::{process::ExitCode, time::Duration};

use solution::GAP;
use time_slices::{Answer, Slice};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn find_slices(readings: &[Duration]) -> Vec<Slice> {
    let mut slices = Vec::new();
    let Some(&(mut begin)) = readings.first() else { return slices };
    for pair in readings.windows(2) {
        if pair[1] - pair[0] > GAP {
            slices.push(Slice { begin, end: pair[0] });
            begin = pair[1];
        }
    }
    slices
}

fn main() -> ExitCode {
    time_slices::program(&Answer { find_slices, ..solution::ANSWER })
}
