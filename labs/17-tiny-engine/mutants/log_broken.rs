//! What the container prints goes through the daemon.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Write},
    os::{fd::OwnedFd, unix::process::ExitStatusExt},
    process::{ExitCode, Stdio},
    thread,
};

use rustix::process::setsid;
use tiny_engine::{Answer, Container, Engine, Refusal, State, isolated};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn start(engine: &Engine, id: &str) -> Result<(), Refusal> {
    let container = engine.current(id)?.ok_or(Refusal::Unknown)?;
    if matches!(container.state, State::Running { .. }) {
        return Err(Refusal::AlreadyStarted);
    }
    let mut shim = engine.shim_command(id).stdout(Stdio::piped()).spawn()?;
    let output = shim.stdout.take().expect("it was piped");
    let mut line = String::new();
    let mut output = BufReader::new(output);
    output.read_line(&mut line)?;
    let mut log = File::options().create(true).append(true).open(engine.log(id))?;
    thread::spawn(move || io::copy(&mut output, &mut log));
    // Who waits for it keeps it from staying a zombie; a daemon that is killed leaves it to process 1.
    thread::spawn(move || shim.wait());
    match line.trim().parse::<u32>() {
        Ok(_) => Ok(()),
        Err(_) => Err(io::Error::other(line.trim().to_owned()).into()),
    }
}

fn shim(engine: &Engine, mut container: Container) -> io::Result<()> {
    setsid()?;
    let (read, write) = io::pipe()?;
    let process = isolated(&container, File::from(OwnedFd::from(write)))?;
    let pid = process.pid();
    container.state = State::Running { pid, start_time: engine.start_time(pid)? };
    engine.save(&container)?;
    writeln!(io::stdout(), "{pid}")?;
    let mut lines = BufReader::new(read);
    // Until the container has ended, or nobody reads any more.
    let _ = io::copy(&mut lines, &mut io::stdout());
    drop(lines);
    let status = process.wait()?;
    let code = status.code().or(status.signal().map(|signal| 128 + signal)).unwrap_or_default();
    container.state = State::Exited { code };
    engine.save(&container)
}

fn main() -> ExitCode {
    tiny_engine::program(&Answer { start, shim, ..solution::ANSWER })
}
