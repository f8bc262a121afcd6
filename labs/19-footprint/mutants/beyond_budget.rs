//! A look after every forty starts.

use std::{io, process::ExitCode};

use footprint::{Answer, Hall};
use solution::footprint;

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn how_many(hall: &mut Hall, budget: u64) -> io::Result<usize> {
    let before = footprint(hall.launcher(), &[])?;
    loop {
        for _ in 0..40 {
            hall.start()?;
        }
        let now = footprint(hall.launcher(), &hall.inside())?;
        if now.saturating_sub(before) >= budget {
            break;
        }
    }
    Ok(hall.alive())
}

fn main() -> ExitCode {
    footprint::program(&Answer { how_many, ..solution::ANSWER })
}
