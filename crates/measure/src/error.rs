//! Why one measurement gave no number.

use std::{io, process::ExitStatus};

use sandbox::chain;

/// Why one measurement gave no number, as the report shows it.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{reason}")]
pub struct Error {
    /// What failed, with its causes.
    pub reason: String,
    /// What to do about it; empty if that is unknown.
    pub fix: String,
}

impl Error {
    /// An error for which no remedy is known.
    pub fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), fix: String::new() }
    }

    /// That `command` failed and wrote `errors` to standard error.
    pub(crate) fn of_command(command: &str, status: ExitStatus, errors: &[u8]) -> Self {
        Self::new(format!("{command} ended with {status}: {}", words(errors)))
    }
}

impl From<&sandbox::Error> for Error {
    fn from(error: &sandbox::Error) -> Self {
        Self { reason: chain(error), fix: error.fix().unwrap_or_default().to_owned() }
    }
}

impl From<sandbox::Error> for Error {
    fn from(error: sandbox::Error) -> Self {
        Self::from(&error)
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::new(chain(&error))
    }
}

/// What was made once for several measurements, or once more why it was not.
pub(crate) fn known<T>(made: &Result<T, Error>) -> Result<&T, Error> {
    made.as_ref().map_err(Error::clone)
}

/// The beginning of what a command wrote, on one line.
pub(crate) fn words(bytes: &[u8]) -> String {
    const MOST: usize = 300;
    let text = String::from_utf8_lossy(bytes);
    let is_text = |c: &char| !c.is_control() || c.is_whitespace();
    let text: String = text.chars().filter(is_text).collect();
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match text.char_indices().nth(MOST) {
        None => text,
        Some((at, _)) => format!("{}...", &text[..at]),
    }
}

/// The last line that a command wrote, if it wrote any.
pub(crate) fn last_line(bytes: &[u8]) -> Option<String> {
    let lines = bytes.rsplit(|byte| *byte == b'\n').map(words);
    lines.into_iter().find(|line| !line.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_short_and_without_control_characters() {
        assert_eq!(words(b"\x1b[31mred\x07\n  text"), "[31mred text");
        assert!(words(&[b'x'; 5000]).len() < 400);
        assert_eq!(last_line(b"one\ntwo \x1b\r\n\r\n").as_deref(), Some("two"));
        assert_eq!(last_line(b" \n"), None);
    }
}
