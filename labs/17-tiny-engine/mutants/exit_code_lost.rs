//! The daemon records the end that its shim tells it.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Write},
    os::unix::process::ExitStatusExt,
    process::{ExitCode, Stdio},
    thread,
    time::Duration,
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
    let mut output = BufReader::new(shim.stdout.take().expect("it was piped"));
    let mut line = String::new();
    output.read_line(&mut line)?;
    let engine = engine.clone();
    thread::spawn(move || {
        let mut line = String::new();
        let _ = output.read_line(&mut line);
        if let Ok(code) = line.trim().parse() {
            container.state = State::Exited { code };
            let _ = engine.save(&container);
        }
        // Now the shim sees the end of the pipe.
        drop(output);
        shim.wait()
    });
    match line.trim().parse::<u32>() {
        Ok(_) => Ok(()),
        Err(_) => Err(io::Error::other(line.trim().to_owned()).into()),
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
    // A zombie, and so not gone, until the daemon has heard of it.
    while writeln!(io::stdout(), "{code}").is_ok() {
        thread::sleep(Duration::from_millis(2));
    }
    Ok(())
}

fn main() -> ExitCode {
    tiny_engine::program(&Answer { start, shim, ..solution::ANSWER })
}
