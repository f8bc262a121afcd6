//! All rounds in one process, which has one layout of its memory and one mood of its caches.

use std::process::ExitCode;

use start_up::{Answer, Subject};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn plan(subjects: &[Subject]) -> Vec<Vec<Subject>> {
    const PROCESSES: usize = 1;
    const ROUNDS: usize = 36;
    let order = |process: usize| {
        let rounds = (0..ROUNDS).flat_map(move |round| {
            let mut round_of_all = subjects.to_vec();
            // Nobody is always the first, or always after the same other one.
            round_of_all.rotate_left((process + round) % subjects.len());
            if round % 2 == 1 {
                round_of_all.reverse();
            }
            round_of_all
        });
        rounds.collect()
    };
    (0..PROCESSES).map(order).collect()
}

fn main() -> ExitCode {
    start_up::program(&Answer { plan, ..solution::ANSWER })
}
