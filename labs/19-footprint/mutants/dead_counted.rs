//! All that were started are counted, those too that have ended.

use std::{io, process::ExitCode};

use footprint::{Answer, Hall};
use solution::footprint;

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn how_many(hall: &mut Hall, budget: u64) -> io::Result<usize> {
    let before = footprint(hall.launcher(), &[])?;
    loop {
        hall.start()?;
        let now = footprint(hall.launcher(), &hall.inside())?;
        if now.saturating_sub(before) >= budget {
            break;
        }
    }
    Ok(hall.started())
}

fn main() -> ExitCode {
    footprint::program(&Answer { how_many, ..solution::ANSWER })
}
