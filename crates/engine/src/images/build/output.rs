//! What a build prints, as dockerd's classic builder does.

use std::cell::{Cell, RefCell};

use image::build::Event;
use serde_json::Value;

use crate::images::{
    error::{ImageError, Result},
    progress::{Lines, send, stream},
};

/// What a quiet build keeps of its output, in case that it fails.
const MAX_KEPT: usize = 1 << 20;

/// Where the lines of a build go. It is shared by all that take part in the build.
pub(super) struct BuildOutput<'a, 'l> {
    lines: RefCell<&'a mut Lines<'l>>,
    is_gone: Cell<bool>,
    /// Of a quiet build: what it would have printed.
    kept: Option<RefCell<String>>,
}

impl<'a, 'l> BuildOutput<'a, 'l> {
    pub(super) fn new(lines: &'a mut Lines<'l>, quiet: bool) -> Self {
        let kept = quiet.then(RefCell::default);
        Self { lines: RefCell::new(lines), is_gone: Cell::new(false), kept }
    }

    pub(super) fn is_quiet(&self) -> bool {
        self.kept.is_some()
    }

    /// Whether the client has closed the connection.
    pub(super) fn is_gone(&self) -> bool {
        self.is_gone.get()
    }

    /// Asks whether the client is still there.
    pub(super) fn look(&self) {
        let _ = self.send(Value::Null);
    }

    /// Sends a line, also of a quiet build.
    pub(super) fn send(&self, line: Value) -> Result<()> {
        let sent = send(*self.lines.borrow_mut(), line);
        if sent.is_err() {
            self.is_gone.set(true);
        }
        sent
    }

    /// Prints text, unless the build is quiet. That the client is gone is found out by
    /// [`is_gone`](Self::is_gone).
    pub(super) fn print(&self, text: &str) {
        match &self.kept {
            None => _ = self.send(stream(text)),
            Some(kept) => {
                let mut kept = kept.borrow_mut();
                if kept.len() + text.len() <= MAX_KEPT {
                    kept.push_str(text);
                }
                self.look();
            }
        }
    }

    /// Lends the lines to a pull.
    pub(super) fn with_lines<T>(&self, work: impl FnOnce(&mut Lines<'_>) -> T) -> T {
        let mut lines = self.lines.borrow_mut();
        let mut take = |line: Value| match self.is_quiet() && !line.is_null() {
            true => Ok(()),
            false => (*lines)(line),
        };
        work(&mut take)
    }

    pub(super) fn event(&self, event: &Event<'_>) {
        match event {
            Event::Step { number, total, text, .. } => {
                self.print(&format!("Step {number}/{total} : {text}"));
                self.print("\n");
            }
            Event::Triggers(count) => {
                let plural = if *count == 1 { "" } else { "s" };
                self.print(&format!("# Executing {count} build trigger{plural}\n"));
            }
            Event::Cached => self.print(" ---> Using cache\n"),
            Event::Layer { .. } => self.look(),
            Event::Done { id } => {
                self.print(&format!(" ---> {}\n", id.map_or("", |id| id.short())));
            }
            Event::Warning(text) => self.print(&format!("[Warning] {text}\n")),
        }
    }

    /// The error of a build that failed; a quiet one prints now what it had not.
    pub(super) fn failed(&self, error: ImageError) -> ImageError {
        if let Some(kept) = &self.kept {
            let text = kept.take();
            if !text.is_empty() {
                let _ = self.send(stream(text));
            }
        }
        match self.is_gone() {
            true => ImageError::ClientGone,
            false => error,
        }
    }
}

/// Text out of pieces of bytes: a character that is cut in two waits for its other half.
#[derive(Default)]
pub(super) struct TextPieces(Vec<u8>);

impl TextPieces {
    /// The text so far that is whole.
    pub(super) fn add(&mut self, bytes: &[u8]) -> String {
        self.0.extend_from_slice(bytes);
        let whole = match std::str::from_utf8(&self.0) {
            Ok(_) => self.0.len(),
            // More than the beginning of a character is not text.
            Err(error) if error.error_len().is_none() => error.valid_up_to(),
            Err(_) => self.0.len(),
        };
        String::from_utf8_lossy(&self.0.drain(..whole).collect::<Vec<u8>>()).into_owned()
    }

    /// What is left at the end.
    pub(super) fn end(self) -> String {
        String::from_utf8_lossy(&self.0).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_character_that_comes_in_two_pieces_is_whole() {
        let mut pieces = TextPieces::default();
        let (first, second) = "aé".as_bytes().split_at(2);
        assert_eq!((&*pieces.add(first), &*pieces.add(second)), ("a", "é"));
        assert_eq!(pieces.add(b"\xff!"), "\u{fffd}!");
        assert_eq!(pieces.add(b"\xc3"), "");
        assert_eq!(pieces.end(), "\u{fffd}");
    }
}
