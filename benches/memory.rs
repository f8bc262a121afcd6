//! Does a wall slow memory down?
//!
//! The measured loops alone, by the program's own clock: `stream` (three arrays in turn), `chase`
//! (each address read by the load before) and `touch` (the first write to each 4 KiB page). Not
//! measured: start, end, and the filling of the arrays.

mod common;

use common::{Scale, timed_by_program};
use report::metric;
use sandbox::Builtin;

const MEBIBYTES: u64 = 48;
const STEPS: u64 = 50_000;
const PAGES: u64 = 512;

fn main() {
    let bytes = (MEBIBYTES << 20) as f64;
    let metrics = [
        (metric::MEMORY_BANDWIDTH, Scale::Bytes(bytes)),
        (metric::MEMORY_LATENCY, Scale::Each(STEPS as f64)),
        (metric::MEMORY_TOUCH, Scale::Each(PAGES as f64)),
    ];
    common::main(&metrics, |criterion| {
        timed_by_program(criterion, metric::MEMORY_BANDWIDTH, (Builtin::Stream, &[MEBIBYTES, 1]));
        timed_by_program(criterion, metric::MEMORY_LATENCY, (Builtin::Chase, &[64, STEPS]));
        timed_by_program(criterion, metric::MEMORY_TOUCH, (Builtin::Touch, &[PAGES]));
    });
}
