//! It asks again at once, for as long as the container runs.

use std::process::ExitCode;

use tiny_engine::{Answer, Engine, Refusal, State};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn wait(engine: &Engine, id: &str) -> Result<i32, Refusal> {
    loop {
        let container = engine.current(id)?.ok_or(Refusal::Unknown)?;
        if let State::Exited { code } = container.state {
            return Ok(code);
        }
    }
}

fn main() -> ExitCode {
    tiny_engine::program(&Answer { wait, ..solution::ANSWER })
}
