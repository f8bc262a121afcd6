//! How many there were before the last one, which was too much.

use std::{io, process::ExitCode};

use footprint::{Answer, Hall};
use solution::footprint;

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn how_many(hall: &mut Hall, budget: u64) -> io::Result<usize> {
    let before = footprint(hall.launcher(), &[])?;
    let mut last;
    loop {
        last = hall.alive();
        hall.start()?;
        let now = footprint(hall.launcher(), &hall.inside())?;
        if now.saturating_sub(before) >= budget {
            break;
        }
    }
    Ok(last)
}

fn main() -> ExitCode {
    footprint::program(&Answer { how_many, ..solution::ANSWER })
}
