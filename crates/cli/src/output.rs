//! Standard output, which somebody may have closed.

use std::{
    io::{self, ErrorKind},
    sync::atomic::{AtomicBool, Ordering},
};

use crate::{blocking::write, failure::Failure};

/// Writes `text` to standard output. A reader who has seen enough (`| head`) is no failure.
pub fn print(text: &str) -> Result<(), Failure> {
    match write(io::stdout(), text) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written.map_err(Failure::at("write to standard output")),
    }
}

/// Whether this command has answered in JSON.
static ANSWERED: AtomicBool = AtomicBool::new(false);

/// Writes `value` to standard output as one JSON object and a line feed. A reader that is gone before
/// all of it was read has lost something.
pub fn print_json(value: &serde_json::Value) -> Result<(), Failure> {
    ANSWERED.store(true, Ordering::Relaxed);
    let written = write(io::stdout(), &format!("{value:#}\n"));
    written.map_err(Failure::at("write to standard output"))
}

/// Writes why a command failed to standard output, for a caller that asked for JSON: its `error`, the
/// `help` if there is one, and the exit `code`. An answer that was already printed says it itself, and
/// stays the only one.
pub fn print_json_failure(failure: &Failure) {
    if !ANSWERED.load(Ordering::Relaxed) {
        // Standard error has the same, should nobody read this.
        let _ = print_json(&failure.as_json());
    }
}
