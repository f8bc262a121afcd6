//! Whatever signal it was, 137.

use std::{
    fs::File,
    io::{self, Write},
    process::ExitCode,
};

use rustix::process::setsid;
use tiny_engine::{Answer, Container, Engine, State, isolated};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn shim(engine: &Engine, mut container: Container) -> io::Result<()> {
    setsid()?;
    let log = File::options().create(true).append(true).open(engine.log(&container.id))?;
    let process = isolated(&container, log)?;
    let pid = process.pid();
    container.state = State::Running { pid, start_time: engine.start_time(pid)? };
    engine.save(&container)?;
    writeln!(io::stdout(), "{pid}")?;
    let status = process.wait()?;
    let code = status.code().unwrap_or(137);
    container.state = State::Exited { code };
    engine.save(&container)
}

fn main() -> ExitCode {
    tiny_engine::program(&Answer { shim, ..solution::ANSWER })
}
