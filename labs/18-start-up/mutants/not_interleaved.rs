//! First all containers, then all machines: what the host did meanwhile is ascribed to them.

use std::process::ExitCode;

use start_up::{Answer, Subject};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn plan(subjects: &[Subject]) -> Vec<Vec<Subject>> {
    const PROCESSES: usize = 6;
    const ROUNDS: usize = 6;
    let order = || subjects.iter().flat_map(|&subject| [subject; ROUNDS]).collect();
    (0..PROCESSES).map(|_| order()).collect()
}

fn main() -> ExitCode {
    start_up::program(&Answer { plan, ..solution::ANSWER })
}
