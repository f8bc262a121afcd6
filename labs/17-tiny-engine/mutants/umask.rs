//! The mode is what umask leaves of it.

use std::{fs, io, os::unix::net::UnixListener, path::Path, process::ExitCode};

use tiny_engine::Answer;

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn listen(path: &Path) -> io::Result<UnixListener> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    Ok(listener)
}

fn main() -> ExitCode {
    tiny_engine::program(&Answer { listen, ..solution::ANSWER })
}
