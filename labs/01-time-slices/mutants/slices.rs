//! A slice ends at the first reading after the gap: the others' turns are counted as its own.

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
            slices.push(Slice { begin, end: pair[1] });
            begin = pair[1];
        }
    }
    slices.push(Slice { begin, end: readings[readings.len() - 1] });
    slices
}

fn main() -> ExitCode {
    time_slices::program(&Answer { find_slices, ..solution::ANSWER })
}
