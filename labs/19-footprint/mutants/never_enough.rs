//! The budget is in bytes, what is measured in kilobytes: it is never used up.

use std::{io, process::ExitCode};

use footprint::{Answer, Hall};
use solution::footprint;

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn how_many(hall: &mut Hall, budget: u64) -> io::Result<usize> {
    let before = footprint(hall.launcher(), &[])? / 1024;
    loop {
        hall.start()?;
        let now = footprint(hall.launcher(), &hall.inside())? / 1024;
        if now.saturating_sub(before) >= budget {
            break;
        }
    }
    Ok(hall.alive())
}

fn main() -> ExitCode {
    footprint::program(&Answer { how_many, ..solution::ANSWER })
}
