//! The shim finds out that there is no such container.

use std::{
    io::{self, BufRead, BufReader},
    process::{ExitCode, Stdio},
    thread,
};

use tiny_engine::{Answer, Engine, Refusal, State};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn start(engine: &Engine, id: &str) -> Result<(), Refusal> {
    let container = engine.current(id)?;
    if container.is_some_and(|found| matches!(found.state, State::Running { .. })) {
        return Err(Refusal::AlreadyStarted);
    }
    let mut shim = engine.shim_command(id).stdout(Stdio::piped()).spawn()?;
    let output = shim.stdout.take().expect("it was piped");
    let mut line = String::new();
    BufReader::new(output).read_line(&mut line)?;
    // Who waits for it keeps it from staying a zombie; a daemon that is killed leaves it to process 1.
    thread::spawn(move || shim.wait());
    match line.trim().parse::<u32>() {
        Ok(_) => Ok(()),
        Err(_) => Err(io::Error::other(line.trim().to_owned()).into()),
    }
}

fn main() -> ExitCode {
    tiny_engine::program(&Answer { start, ..solution::ANSWER })
}
