//! The files are removed, and the process runs on.

use std::{fs, process::ExitCode};

use tiny_engine::{Answer, Engine, Refusal, State};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn remove(engine: &Engine, id: &str, force: bool) -> Result<(), Refusal> {
    let container = engine.current(id)?.ok_or(Refusal::Unknown)?;
    if matches!(container.state, State::Running { .. }) && !force {
        return Err(Refusal::Conflict);
    }
    Ok(fs::remove_dir_all(engine.container(id))?)
}

fn main() -> ExitCode {
    tiny_engine::program(&Answer { remove, ..solution::ANSWER })
}
