//! The space before the number is not taken away.

use std::{fs, io, process::ExitCode};

use memory_and_pids::{Answer, Events, Group};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn read_events(group: &Group) -> io::Result<Events> {
    let text = fs::read_to_string(group.pids.join("pids.events"))?;
    let refusals = text.strip_prefix("max").unwrap_or("").parse().map_err(io::Error::other)?;
    Ok(Events { refusals, ..(solution::ANSWER.read_events)(group)? })
}

fn main() -> ExitCode {
    memory_and_pids::program(&Answer { read_events, ..solution::ANSWER })
}
