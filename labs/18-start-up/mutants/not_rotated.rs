//! Rounds, and each in the same order: one container always comes after the other.

use std::process::ExitCode;

use start_up::{Answer, Subject};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn plan(subjects: &[Subject]) -> Vec<Vec<Subject>> {
    const PROCESSES: usize = 6;
    const ROUNDS: usize = 6;
    vec![subjects.repeat(ROUNDS); PROCESSES]
}

fn main() -> ExitCode {
    start_up::program(&Answer { plan, ..solution::ANSWER })
}
