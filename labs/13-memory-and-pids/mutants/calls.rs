//! The work is not done.

use std::{io, process::ExitCode};

use memory_and_pids::{Answer, Events, Group};
use solution::read_events;

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn events_during(group: &Group, work: &mut dyn FnMut()) -> io::Result<Events> {
    let _ = work;
    let before = read_events(group)?;
    let after = read_events(group)?;
    Ok(Events { kills: after.kills - before.kills, refusals: after.refusals - before.refusals })
}

fn main() -> ExitCode {
    memory_and_pids::program(&Answer { events_during, ..solution::ANSWER })
}
