//! What the guest's kernel says, and what of it matters to the host.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use crate::devices::virtio::port::Sink;

/// So many last lines are kept, for the one who asks why a guest did not come up.
const LINES: usize = 20;
/// So many lines tell of a panic; those after them are registers and code.
const LINES_OF_PANIC: usize = 8;
/// A longer line is cut.
const LINE_BYTES: usize = 200;
/// What Linux prints when it can go on no longer (`kernel/panic.c`), at a level that is never quiet.
const PANIC: &str = "Kernel panic - not syncing: ";

/// The far end of a guest's serial cable.
pub struct Console {
    line: Vec<u8>,
    last: VecDeque<String>,
    panic: Option<Panic>,
    output: Option<Sink>,
}

struct Panic {
    words: String,
    lines_left: usize,
}

/// A console that the serial port writes to and others look at.
#[derive(Clone)]
pub struct SharedConsole(Arc<Mutex<Console>>);

impl SharedConsole {
    /// A console that keeps the last lines, and passes everything on to `output` if there is one.
    pub fn new(output: Option<Sink>) -> Self {
        let (line, last) = (Vec::new(), VecDeque::new());
        Self(Arc::new(Mutex::new(Console { line, last, panic: None, output })))
    }

    /// The guest prints `byte`.
    pub fn print(&self, byte: u8) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).print(byte);
    }

    /// What it printed last, and why its kernel panicked if it did.
    pub fn finish(&self) -> ConsoleLog {
        let mut console = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        console.end_of_line();
        ConsoleLog {
            lines: console.last.drain(..).collect(),
            panic: console.panic.take().map(|panic| panic.words),
        }
    }
}

/// What a console was told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConsoleLog {
    /// The last lines.
    pub lines: Vec<String>,
    /// The kernel's last words, if it panicked.
    pub panic: Option<String>,
}

impl Console {
    fn print(&mut self, byte: u8) {
        match byte {
            b'\n' => self.end_of_line(),
            b'\r' => {}
            _ if self.line.len() < LINE_BYTES => self.line.push(byte),
            _ => {}
        }
        if let Some(output) = &mut self.output {
            output(&[byte]);
        }
    }

    fn end_of_line(&mut self) {
        if self.line.is_empty() {
            return;
        }
        let bytes = std::mem::take(&mut self.line);
        // It is the guest's text: nothing in it may move the cursor of the one who reads it.
        let line: String = String::from_utf8_lossy(&bytes)
            .chars()
            .map(|letter| if letter.is_control() { ' ' } else { letter })
            .collect();
        if let Some(panic) = &mut self.panic {
            if panic.lines_left == 0 {
                return;
            }
            panic.lines_left -= 1;
        } else if let Some((_, words)) = line.split_once(PANIC) {
            self.panic = Some(Panic { words: words.to_owned(), lines_left: LINES_OF_PANIC });
        }
        if self.last.len() == LINES {
            self.last.pop_front();
        }
        self.last.push_back(line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn logged(text: &[u8]) -> ConsoleLog {
        let console = SharedConsole::new(None);
        text.iter().for_each(|byte| console.print(*byte));
        console.finish()
    }

    #[test]
    fn the_last_lines_are_kept_and_all_of_it_passed_on() {
        let text: String = (0..50).map(|number| format!("line {number}\r\n")).collect();
        let passed = Arc::new(Mutex::new(Vec::new()));
        let sink = passed.clone();
        let console = SharedConsole::new(Some(Box::new(move |text: &[u8]| {
            sink.lock().unwrap().extend_from_slice(text);
        })));
        text.bytes().for_each(|byte| console.print(byte));
        let log = console.finish();
        assert_eq!(log.lines.len(), LINES);
        assert_eq!(log.lines.last().unwrap(), "line 49");
        assert_eq!(*passed.lock().unwrap(), text.as_bytes());
        assert_eq!(log.panic, None);
    }

    #[test]
    fn the_first_panic_is_the_one_that_counts() {
        let text = b"[    0.4] Kernel panic - not syncing: No working init found.\r\n\
            [    0.5] ---[ end Kernel panic - not syncing: No working init found. ]---\r\n";
        let mut text = text.to_vec();
        text.extend([b"registers\n".as_slice(); 100].concat());
        let log = logged(&text);
        assert_eq!(log.panic.unwrap(), "No working init found.");
        assert!(log.lines[0].contains(PANIC), "what led to it is kept");
    }

    #[test]
    fn hostile_text_neither_grows_without_end_nor_moves_the_cursor() {
        let log = logged(&[b"\x1b[2J".as_slice(), &[b'x'; 10_000], b"\n\xff\xfe"].concat());
        assert!(log.lines.iter().all(|line| line.len() <= LINE_BYTES * 3));
        assert!(!log.lines.concat().contains('\x1b'));
    }
}
