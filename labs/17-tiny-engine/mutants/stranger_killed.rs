//! What is on disk is killed, whoever has the number now.

use std::{fs, process::ExitCode};

use rustix::process::{Pid, Signal, kill_process};
use tiny_engine::{Answer, Engine, Refusal, State};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn remove(engine: &Engine, id: &str, force: bool) -> Result<(), Refusal> {
    let container = engine.current(id)?.ok_or(Refusal::Unknown)?;
    if matches!(container.state, State::Running { .. }) && !force {
        return Err(Refusal::Conflict);
    }
    let recorded = engine.load(id)?.ok_or(Refusal::Unknown)?.state;
    if let State::Running { pid, .. } = recorded {
        let pid = Pid::from_raw(pid.cast_signed()).ok_or(Refusal::Unknown)?;
        match kill_process(pid, Signal::KILL) {
            Err(error) if error != rustix::io::Errno::SRCH => return Err(error.into()),
            _ => {}
        }
        engine.wait(id)?;
    }
    Ok(fs::remove_dir_all(engine.container(id))?)
}

fn main() -> ExitCode {
    tiny_engine::program(&Answer { remove, ..solution::ANSWER })
}
