//! A container that runs is removed.

use std::{fs, process::ExitCode};

use tiny_engine::{Answer, Engine, Refusal};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn remove(engine: &Engine, id: &str, _force: bool) -> Result<(), Refusal> {
    engine.current(id)?.ok_or(Refusal::Unknown)?;
    Ok(fs::remove_dir_all(engine.container(id))?)
}

fn main() -> ExitCode {
    tiny_engine::program(&Answer { remove, ..solution::ANSWER })
}
