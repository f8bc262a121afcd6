//! Bold and colours for a terminal, plain text for a file.

use std::io::{self, IsTerminal as _};

/// Highlights for a terminal, nothing for a file.
#[derive(Debug, Clone, Copy)]
pub struct Ansi {
    on: bool,
}

impl Ansi {
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
