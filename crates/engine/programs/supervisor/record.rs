//! What becomes of the output besides being sent: it is logged in lines.

use crate::{
    calls::{self, Result},
    clock,
    entry::{LINE, Stream},
    lines::Lines,
    log::Log,
    pages,
};

const STREAMS: [Stream; 2] = [Stream::Stdout, Stream::Stderr];

/// The log, if there is one, and the lines of both streams that are not complete.
pub struct Record {
    log: Option<Log>,
    lines: [Lines; 2],
}

impl Record {
    pub fn new(log: Option<Log>) -> Result<Self> {
        let lines = [Lines::new(pages::buffer(LINE)?), Lines::new(pages::buffer(LINE)?)];
        Ok(Self { log, lines })
    }

    /// Logs output of standard output (0) or standard error (1).
    pub fn add(&mut self, stream: usize, output: &[u8]) {
        let Some(log) = &mut self.log else { return };
        // One time for all that was there at once: asking for the time is a system call too.
        let time = clock::rfc3339(calls::now());
        self.lines[stream].take(output, |line| log.add(STREAMS[stream], line, &time));
        log.write();
    }

    /// Logs what is left at the end.
    pub fn finish(&mut self) {
        let Some(log) = &mut self.log else { return };
        let time = clock::rfc3339(calls::now());
        for (lines, stream) in self.lines.iter_mut().zip(STREAMS) {
            lines.finish(|line| log.add(stream, line, &time));
        }
        log.write();
    }

    /// Returns memory that holds nothing.
    pub fn release(&mut self) {
        self.lines.iter_mut().for_each(|lines| pages::release(lines.buffer()));
        if let Some(log) = &mut self.log {
            pages::release(log.buffer());
        }
    }
}
