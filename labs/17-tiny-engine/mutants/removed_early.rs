//! The directory is removed while the shim still writes into it.

use std::{fs, process::ExitCode};

use rustix::process::{Signal, pidfd_send_signal};
use tiny_engine::{Answer, Engine, Refusal, State};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn remove(engine: &Engine, id: &str, force: bool) -> Result<(), Refusal> {
    let container = engine.current(id)?.ok_or(Refusal::Unknown)?;
    if let State::Running { pid, start_time } = container.state {
        if !force {
            return Err(Refusal::Conflict);
        }
        if let Some(process) = engine.adopt(pid, start_time) {
            pidfd_send_signal(process, Signal::KILL)?;
        }
    }
    Ok(fs::remove_dir_all(engine.container(id))?)
}

fn main() -> ExitCode {
    tiny_engine::program(&Answer { remove, ..solution::ANSWER })
}
