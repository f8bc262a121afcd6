//! What is on disk is waited for, though nobody may write it any more.

use std::{process::ExitCode, thread, time::Duration};

use tiny_engine::{Answer, Engine, Refusal, State};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn wait(engine: &Engine, id: &str) -> Result<i32, Refusal> {
    loop {
        let container = engine.load(id)?.ok_or(Refusal::Unknown)?;
        if let State::Exited { code } = container.state {
            return Ok(code);
        }
        thread::sleep(Duration::from_millis(5));
    }
}

fn main() -> ExitCode {
    tiny_engine::program(&Answer { wait, ..solution::ANSWER })
}
