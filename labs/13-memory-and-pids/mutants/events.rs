//! The number of times that the limit was met is taken for the number of those killed.

use std::{io, process::ExitCode};

use memory_and_pids::{Answer, Events, Group};
use solution::count;

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn read_events(group: &Group) -> io::Result<Events> {
    let kills = match group.version {
        1 => count(&group.memory.join("memory.failcnt"), "")?,
        _ => count(&group.memory.join("memory.events"), "max ")?,
    };
    Ok(Events { kills, refusals: count(&group.pids.join("pids.events"), "max ")? })
}

fn events_during(group: &Group, work: &mut dyn FnMut()) -> io::Result<Events> {
    let before = read_events(group)?;
    work();
    let after = read_events(group)?;
    Ok(Events { kills: after.kills - before.kills, refusals: after.refusals - before.refusals })
}

fn main() -> ExitCode {
    memory_and_pids::program(&Answer { read_events, events_during, ..solution::ANSWER })
}
