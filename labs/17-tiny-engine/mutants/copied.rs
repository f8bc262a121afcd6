//! The draft is copied into the file that is there.

use std::{fs, io, process::ExitCode};

use tiny_engine::{Answer, Container, Engine};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn save(engine: &Engine, container: &Container) -> io::Result<()> {
    let draft = engine.draft(&container.id);
    fs::write(&draft, serde_json::to_vec(container)?)?;
    fs::copy(&draft, engine.state_file(&container.id))?;
    fs::remove_file(draft)
}

fn main() -> ExitCode {
    tiny_engine::program(&Answer { save, ..solution::ANSWER })
}
