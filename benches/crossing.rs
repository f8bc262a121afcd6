//! What does a trip to the host and back cost?
//!
//! The loop inside of `cross` alone, by the program's own clock: one system call a trip from a
//! process or a container, one VM exit a trip from a microVM. Not measured: start and end.

mod common;

use common::{Scale, timed_by_program};
use report::metric;
use sandbox::Builtin;

const TRIPS: u64 = 500;

fn main() {
    common::main(&[(metric::CROSSING, Scale::Each(TRIPS as f64))], |criterion| {
        timed_by_program(criterion, metric::CROSSING, (Builtin::Cross, &[TRIPS]));
    });
}
