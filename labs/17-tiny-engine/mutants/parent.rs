//! The daemon starts the container itself, and records its end.

use std::{fs::File, os::unix::process::ExitStatusExt, process::ExitCode, thread};

use tiny_engine::{Answer, Engine, Refusal, State, isolated};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn start(engine: &Engine, id: &str) -> Result<(), Refusal> {
    let mut container = engine.current(id)?.ok_or(Refusal::Unknown)?;
    if matches!(container.state, State::Running { .. }) {
        return Err(Refusal::AlreadyStarted);
    }
    let log = File::options().create(true).append(true).open(engine.log(id))?;
    let process = isolated(&container, log)?;
    let pid = process.pid();
    container.state = State::Running { pid, start_time: engine.start_time(pid)? };
    engine.save(&container)?;
    let engine = engine.clone();
    thread::spawn(move || {
        let status = process.wait()?;
        let code = status.code().or(status.signal().map(|signal| 128 + signal)).unwrap_or_default();
        container.state = State::Exited { code };
        engine.save(&container)
    });
    Ok(())
}

fn main() -> ExitCode {
    tiny_engine::program(&Answer { start, ..solution::ANSWER })
}
