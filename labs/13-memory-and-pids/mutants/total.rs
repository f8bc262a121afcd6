//! What happened meanwhile is read from the totals.

use std::{io, process::ExitCode};

use memory_and_pids::{Answer, Events, Group};
use solution::read_events;

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn events_during(group: &Group, work: &mut dyn FnMut()) -> io::Result<Events> {
    work();
    read_events(group)
}

fn main() -> ExitCode {
    memory_and_pids::program(&Answer { events_during, ..solution::ANSWER })
}
