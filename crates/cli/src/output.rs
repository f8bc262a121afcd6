//! Standard output and standard error, either of which somebody may have closed.

use std::io::{self, ErrorKind, IsTerminal as _, Write as _};

use crate::failure::Failure;

/// Writes `text` to standard output. A reader who has seen enough (`| head`) is no failure.
pub fn print(text: &str) -> Result<(), Failure> {
    let mut output = io::stdout().lock();
    match output.write_all(text.as_bytes()).and_then(|()| output.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written.map_err(Failure::at("write to standard output")),
    }
}

/// Writes `value` to standard output as one JSON object and a line feed.
pub fn print_json(value: &serde_json::Value) -> Result<(), Failure> {
    print(&format!("{value:#}\n"))
}

/// Writes `text` to standard error, if anybody reads it.
pub fn remark(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
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
