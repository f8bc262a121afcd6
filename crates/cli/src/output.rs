//! Standard output, which somebody may have closed.

use std::io::{self, ErrorKind};

use crate::{blocking::write, failure::Failure};

/// Writes `text` to standard output. A reader who has seen enough (`| head`) is no failure.
pub fn print(text: &str) -> Result<(), Failure> {
    match write(io::stdout(), text) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written.map_err(Failure::at("write to standard output")),
    }
}

/// Writes `value` to standard output as one JSON object and a line feed. A reader that is gone before
/// all of it was read has lost something.
pub fn print_json(value: &serde_json::Value) -> Result<(), Failure> {
    let written = write(io::stdout(), &format!("{value:#}\n"));
    written.map_err(Failure::at("write to standard output"))
}
