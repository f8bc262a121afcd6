//! Files from two web pages: limits as version 2 has them, events as version 1 has them.

use std::{fs, io, process::ExitCode};

use memory_and_pids::{Answer, Events, Group};
use solution::count;

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn set_memory(group: &Group, bytes: u64) -> io::Result<()> {
    fs::write(group.memory.join("memory.max"), bytes.to_string())?;
    fs::write(group.memory.join("memory.swap.max"), "0")
}

fn read_events(group: &Group) -> io::Result<Events> {
    let kills = count(&group.memory.join("memory.oom_control"), "oom_kill ")?;
    Ok(Events { kills, refusals: count(&group.pids.join("pids.events"), "max ")? })
}

fn events_during(group: &Group, work: &mut dyn FnMut()) -> io::Result<Events> {
    let before = read_events(group)?;
    work();
    let after = read_events(group)?;
    Ok(Events { kills: after.kills - before.kills, refusals: after.refusals - before.refusals })
}

fn main() -> ExitCode {
    memory_and_pids::program(&Answer { set_memory, read_events, events_during, ..solution::ANSWER })
}
