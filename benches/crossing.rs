//! What does one boundary crossing cost, there and back?
//!
//! The loop inside of `cross` alone, by the program's own clock: one system call each from a
//! process or a container, one VM exit each from a microVM. Not measured: start and end.

mod common;

use common::{Scale, timed_by_program};
use report::metric;
use sandbox::Builtin;

const CROSSINGS: u64 = 500;

fn main() {
    common::main(&[(metric::CROSSING, Scale::Each(CROSSINGS as f64))], |criterion| {
        timed_by_program(criterion, metric::CROSSING, (Builtin::Cross, &[CROSSINGS]));
    });
}
