//! The daemon records the end that its shim tells it.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Write},
    os::unix::process::ExitStatusExt,
    process::{ExitCode, Stdio},
    thread,
};

use rustix::process::setsid;
use tiny_engine::{Answer, Container, Engine, Refusal, State, isolated};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn start(engine: &Engine, id: &str) -> Result<(), Refusal> {
    let mut container = engine.current(id)?.ok_or(Refusal::Unknown)?;
    if matches!(container.state, State::Running { .. }) {
        return Err(Refusal::AlreadyStarted);
    }
    let mut shim = engine.shim_command(id).stdout(Stdio::piped()).spawn()?;
    let output = shim.stdout.take().expect("it was piped");
    let mut line = String::new();
    BufReader::new(output).read_line(&mut line)?;
    // Who waits for it keeps it from staying a zombie; a daemon that is killed leaves it to process 1.
    let engine = engine.clone();
    thread::spawn(move || {
        let code = shim.wait()?.code().unwrap_or_default();
        container.state = State::Exited { code };
        engine.save(&container)
    });
    match line.trim().parse::<u32>() {
        Ok(_) => Ok(()),
        Err(_) => Err(io::Error::other(format!("the shim said {line:?}")).into()),
    }
}

fn shim(engine: &Engine, mut container: Container) -> io::Result<()> {
    setsid()?;
    let log = File::options().create(true).append(true).open(engine.log(&container.id))?;
    let process = isolated(&container, log)?;
    let pid = process.pid();
    container.state = State::Running { pid, start_time: engine.start_time(pid)? };
    engine.save(&container)?;
    writeln!(io::stdout(), "{pid}")?;
    let status = process.wait()?;
    let code = status.code().or(status.signal().map(|signal| 128 + signal)).unwrap_or_default();
    std::process::exit(code)
}

fn main() -> ExitCode {
    tiny_engine::program(&Answer { start, shim, ..solution::ANSWER })
}
