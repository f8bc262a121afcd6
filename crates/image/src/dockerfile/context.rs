//! Where in a Dockerfile an instruction is, for what reads it and for what is wrong with it.

use super::{
    error::{Error, Problem},
    lines::LogicalLine,
};

/// What the package wants to see before any other instruction.
pub(super) const BEFORE: &str = "FROM scratch\n";

/// Reads lines of one file.
pub(super) struct Reader<'a> {
    pub(super) file: &'a str,
    pub(super) escape: char,
}

/// A line that is being read.
pub(super) struct Context<'a> {
    pub(super) reader: &'a Reader<'a>,
    pub(super) line: &'a LogicalLine,
    /// Where in the line the instruction begins: behind `ONBUILD`.
    pub(super) offset: usize,
}

impl Context<'_> {
    /// A problem at that byte of the text that the package got.
    pub(super) fn error(&self, at: usize, problem: Problem) -> Error {
        let position = self.line.position(self.offset + at.saturating_sub(BEFORE.len()));
        Error::new(self.reader.file, position, problem)
    }
}
