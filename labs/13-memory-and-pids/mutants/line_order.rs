//! The line with the number is looked for by where it is.

use std::{fs, io, process::ExitCode};

use memory_and_pids::{Answer, Events, Group};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn read_events(group: &Group) -> io::Result<Events> {
    let (file, line) =
        if group.version == 1 { ("memory.oom_control", 2) } else { ("memory.events", 4) };
    let text = fs::read_to_string(group.memory.join(file))?;
    let number = text.lines().nth(line).and_then(|line| line.split(' ').nth(1)?.parse().ok());
    let kills = number.ok_or_else(|| io::Error::other("no such line"))?;
    Ok(Events { kills, ..(solution::ANSWER.read_events)(group)? })
}

fn main() -> ExitCode {
    memory_and_pids::program(&Answer { read_events, ..solution::ANSWER })
}
