//! The whole of what the launcher holds is taken for what the instances have added to it.

use std::{io, process::ExitCode};

use footprint::{Answer, Hall};
use solution::footprint;

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn how_many(hall: &mut Hall, budget: u64) -> io::Result<usize> {
    loop {
        hall.start()?;
        let now = footprint(hall.launcher(), &hall.inside())?;
        if now >= budget {
            break;
        }
    }
    Ok(hall.alive())
}

fn main() -> ExitCode {
    footprint::program(&Answer { how_many, ..solution::ANSWER })
}
