//! The person in front of the terminal.

use std::{
    io::{self, IsTerminal as _},
    os::fd::{AsFd as _, BorrowedFd},
};

use lab::{
    catalogue::Language,
    runner::{Answer, Front, predict},
};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::{failure::Failure, output, stderr, termination::TerminationSignals};

/// What is left of a question's last line for the answer.
const ANSWER_COLUMNS: usize = 12;
/// A line of text that is longer than this is hard to read.
const MOST_COLUMNS: usize = 100;

/// How wide the terminal of standard output is; 80 columns if it is none.
pub fn width() -> usize {
    columns_of(io::stdout())
}

fn columns_of(terminal: impl std::os::fd::AsFd) -> usize {
    let size = host::size_of(terminal);
    size.map_or(80, |(_, columns)| usize::from(columns).clamp(40, MOST_COLUMNS))
}

/// Questions and progress on standard error.
pub struct Terminal {
    language: Language,
    /// Whether only JSON is printed.
    json: bool,
    signals: TerminationSignals,
    /// Whether a line about the work stands there.
    busy: bool,
}

impl Terminal {
    /// Catches the signals that ask for termination from now on.
    pub fn new(language: Language, json: bool) -> Result<Self, Failure> {
        let signals =
            TerminationSignals::listen().map_err(Failure::at("set the handlers of signals"))?;
        Ok(Self { language, json, signals, busy: false })
    }

    /// Removes the line about the work.
    pub fn clear(&mut self) {
        if std::mem::take(&mut self.busy) {
            stderr::remark("\r\x1b[K");
        }
    }

    /// Waits for a line of input; `false` if a signal arrives before.
    fn is_answered(&self) -> bool {
        let input = io::stdin();
        loop {
            let mut waiting = [
                PollFd::new(input.as_fd(), PollFlags::POLLIN),
                PollFd::new(self.signals.readable(), PollFlags::POLLIN),
            ];
            match poll(&mut waiting, PollTimeout::NONE) {
                Err(nix::Error::EINTR) => {}
                Err(_) => return false,
                Ok(_) => return waiting[1].revents().is_none_or(|events| events.is_empty()),
            }
        }
    }
}

impl Front for Terminal {
    fn step(&mut self, what: &str) {
        if io::stderr().is_terminal() {
            let verb = match self.language {
                Language::En => "at work:",
                Language::Zh => "进行中：",
            };
            stderr::remark(&format!("\r\x1b[K{verb} {what} "));
            self.busy = true;
        }
    }

    fn say(&mut self, line: &str) {
        self.clear();
        if !self.json {
            // A reader who has closed standard output gets nothing; the work continues.
            let _ = output::print(&format!("{line}\n"));
        }
    }

    fn page(&mut self, answer: &Answer) {
        self.clear();
        let text = match (self.json, io::stdout().is_terminal()) {
            (true, _) => format!("{}\n", answer.json),
            // The old page stays until the new one is there.
            (false, true) => format!("\x1b[H\x1b[2J{}", answer.text),
            (false, false) => format!("{}\n", answer.text),
        };
        // A reader who has closed standard output gets nothing; the work continues.
        let _ = output::print(&text);
    }

    fn ask(&mut self, question: &str, unit: &str) -> Option<f64> {
        let (leave, expected) = match self.language {
            Language::En => ("Enter skips it", "not a number: write digits, such as 1000 or 2.5"),
            Language::Zh => ("直接回车跳过", "这不是数字：请写成 1000 或 2.5 这样"),
        };
        self.clear();
        let question = format!("{} [{unit}; {leave}]", lab::runner::clean_text(question));
        let question =
            lab::runner::wrapped(&question, columns_of(io::stderr()) - ANSWER_COLUMNS).join("\n");
        loop {
            stderr::remark(&format!("{question} "));
            let mut line = String::new();
            if !self.is_answered() || !io::stdin().read_line(&mut line).is_ok_and(|read| read > 0) {
                stderr::remark("\n");
                return None;
            }
            match predict::number(&line) {
                Some(number) => return Some(number),
                None if line.trim().is_empty() => return None,
                None => stderr::remark(&format!("{expected}\n")),
            }
        }
    }

    fn end(&self) -> Option<BorrowedFd<'_>> {
        Some(self.signals.readable())
    }
}
