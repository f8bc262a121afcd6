//! The check's payload: a program to be contained, which does what its arguments say.

use std::{
    fs,
    io::{self, Write},
    path::Path,
    process::ExitCode,
    thread::sleep,
    time::Duration,
};

/// Does step after step: `print=TEXT`, `mark=FILE` creates a file, `await=FILE` waits for one,
/// `exit=CODE` ends.
pub(crate) fn payload(steps: &[&str]) -> ExitCode {
    for step in steps {
        match step.split_once('=').unwrap_or((step, "")) {
            // A log that is broken is for the check to see.
            ("print", text) => drop(io::stdout().write_all(format!("{text}\n").as_bytes())),
            ("mark", file) => drop(fs::write(file, "")),
            ("await", file) => {
                while !Path::new(file).exists() {
                    sleep(Duration::from_millis(2));
                }
            }
            ("exit", code) => return ExitCode::from(code.parse::<u8>().unwrap_or(1)),
            _ => return ExitCode::FAILURE,
        }
    }
    ExitCode::SUCCESS
}
