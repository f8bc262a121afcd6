//! Does a wall slow the processor down?
//!
//! The loop inside of `spin` alone, by the program's own clock: integer work in registers. Not
//! measured: start, end, memory.

mod common;

use common::{Scale, timed_by_program};
use report::metric;
use sandbox::Builtin;

const ITERATIONS: u64 = 2_000_000;

fn main() {
    common::main(&[(metric::COMPUTE_SPIN, Scale::Each(ITERATIONS as f64))], |criterion| {
        timed_by_program(criterion, metric::COMPUTE_SPIN, (Builtin::Spin, &[ITERATIONS]));
    });
}
