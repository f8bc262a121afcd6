//! Standard output and standard error, either of which somebody may have closed, or made
//! non-blocking.

use std::{
    io::{self, ErrorKind, IsTerminal as _, Write},
    os::fd::AsFd,
};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::failure::Failure;

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

/// Writes `text` to standard error, if anybody reads it.
pub fn remark(text: &str) {
    let _ = write(io::stderr(), text);
}

/// Writes all of `text`, however slowly it is read: one that is non-blocking and full is waited for.
fn write(mut stream: impl Write + AsFd, text: &str) -> io::Result<()> {
    let mut left = text.as_bytes();
    loop {
        let written = match left {
            [] => stream.flush().map(|()| None),
            left => stream.write(left).map(Some),
        };
        match written {
            Ok(None) => return Ok(()),
            Ok(Some(0)) => return Err(ErrorKind::WriteZero.into()),
            Ok(Some(count)) => left = &left[count..],
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                let mut watched = [PollFd::new(stream.as_fd(), PollFlags::POLLOUT)];
                let _ = poll(&mut watched, PollTimeout::NONE); // it is tried again whatever it says
            }
            Err(error) => return Err(error),
        }
    }
}

/// Highlights for a terminal, nothing for a file.
#[derive(Debug, Clone, Copy)]
pub struct Ink {
    on: bool,
}

impl Ink {
    /// Of standard error.
    pub fn of_errors() -> Self {
        Self::new(io::stderr().is_terminal())
    }

    /// Of standard output.
    pub fn of_output() -> Self {
        Self::new(io::stdout().is_terminal())
    }

    fn new(terminal: bool) -> Self {
        // https://no-color.org: set and not empty means no colours.
        Self { on: terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()) }
    }

    /// Whether there are any.
    pub fn is_on(self) -> bool {
        self.on
    }

    /// No highlights, whatever the output is.
    #[cfg(test)]
    pub const PLAIN: Self = Self { on: false };

    fn paint(self, code: &str, text: &str) -> String {
        if self.on { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// A heading.
    pub fn bold(self, text: &str) -> String {
        self.paint("1", text)
    }

    /// What may be skipped.
    pub fn dim(self, text: &str) -> String {
        self.paint("2", text)
    }

    /// All is well.
    pub fn green(self, text: &str) -> String {
        self.paint("32", text)
    }

    /// Something is lacking.
    pub fn yellow(self, text: &str) -> String {
        self.paint("33", text)
    }
}
