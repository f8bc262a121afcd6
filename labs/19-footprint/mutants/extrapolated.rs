//! One instance is started, and the budget divided by what it holds.

use std::{io, process::ExitCode};

use footprint::{Answer, Hall};
use solution::footprint;

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn how_many(hall: &mut Hall, budget: u64) -> io::Result<usize> {
    let before = footprint(hall.launcher(), &[])?;
    hall.start()?;
    let now = footprint(hall.launcher(), &hall.inside())?;
    Ok((budget / now.saturating_sub(before).max(1)) as usize)
}

fn main() -> ExitCode {
    footprint::program(&Answer { how_many, ..solution::ANSWER })
}
