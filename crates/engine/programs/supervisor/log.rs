//! The container's log: `log`, and the files that it has replaced, `log.1` the newest of them.
//!
//! Every file has whole lines only, also when the disk is full: what cannot be written is dropped,
//! counted, and reported in the log once there is space again. The container never waits for space.

use crate::{
    arguments::LogLimits,
    buffer::Buffer,
    calls::{self, Descriptor, Errno, Result, call},
    clock,
    decimal::decimal,
    entry::{self, MAX_ENTRY, Stream},
    log_files, pages,
    system::number,
};

/// How many bytes are collected before they are written.
const COLLECTED: usize = 256 << 10;

/// The log, open for writing.
pub struct Log {
    file: Descriptor,
    /// The length of the file.
    length: u64,
    limits: LogLimits,
    /// Entries that are not written yet.
    entries: Buffer,
    /// How many entries could not be written, and were not reported.
    lost: u64,
    /// Why the last one could not be written.
    reason: Errno,
}

impl Log {
    /// Opens the log behind its last whole line: an earlier supervisor may have been killed while it
    /// wrote.
    pub fn open(limits: LogLimits) -> Result<Self> {
        let mut entries = pages::buffer(COLLECTED)?;
        let file = log_files::open()?;
        let length = log_files::repair(&file, entries.spare())?;
        Ok(Self { file, length, limits, entries, lost: 0, reason: Errno::NO_SPACE })
    }

    /// Adds one line of output.
    pub fn add(&mut self, stream: Stream, line: &[u8], time: &[u8; clock::TEXT]) {
        if self.entries.spare().len() < MAX_ENTRY {
            self.write();
        }
        let length = self.length + self.entries.filled().len() as u64;
        if self.limits.bytes > 0 && length >= self.limits.bytes {
            self.write();
            self.rotate();
        }
        let length = entry::write_entry(self.entries.spare(), stream, line, time);
        self.entries.grow(length);
    }

    /// Writes what was added.
    pub fn write(&mut self) {
        if self.lost > 0 {
            self.report();
        }
        let entries = self.entries.filled();
        if self.lost == 0 {
            let (whole, result) = append(&self.file, entries);
            self.length += whole as u64;
            self.lost += lines(&entries[whole..]);
            self.reason = result.err().unwrap_or(self.reason);
        } else {
            self.lost += lines(entries);
        }
        self.entries.clear();
    }

    /// Writes that lines are missing, if there is space again.
    fn report(&mut self) {
        let mut line = [0; 128];
        let mut length = 0;
        let mut digits = [0; 20];
        let mut put = |words: &[u8]| {
            line[length..length + words.len()].copy_from_slice(words);
            length += words.len();
        };
        put(b"isolab: ");
        let count = decimal(&mut digits, self.lost);
        put(&digits[..count]);
        put(b" lines could not be written to the log: ");
        match self.reason {
            Errno::NO_SPACE => put(b"no space left on device"),
            Errno(errno) => {
                put(b"error ");
                let count = decimal(&mut digits, errno as u64);
                put(&digits[..count]);
            }
        }
        put(b"\n");
        let mut text = [0; 512];
        let time = clock::rfc3339(calls::now());
        let size = entry::write_entry(&mut text, Stream::Stderr, &line[..length], &time);
        let (whole, result) = append(&self.file, &text[..size]);
        self.length += whole as u64;
        if result.is_ok() {
            self.lost = 0;
        }
    }

    /// Begins a new file.
    fn rotate(&mut self) {
        // If that fails, the file grows beyond its limit: nothing is lost.
        if let Ok(file) = log_files::rotate(self.limits.files) {
            (self.file, self.length) = (file, 0);
        }
    }

    /// The buffer, to release its memory.
    pub fn buffer(&mut self) -> &mut Buffer {
        &mut self.entries
    }
}

/// Appends lines. Returns the length of those that are in the file whole; of the next one nothing is
/// there.
fn append(file: &Descriptor, lines: &[u8]) -> (usize, Result<()>) {
    let mut written = 0;
    while written < lines.len() {
        match file.write(&lines[written..]) {
            Ok(count) => written += count,
            Err(Errno::INTERRUPTED) => {}
            Err(errno) => {
                let newline = lines[..written].iter().rposition(|byte| *byte == b'\n');
                let whole = newline.map_or(0, |at| at + 1);
                let torn = written - whole;
                if let Ok(end) = log_files::end(file)
                    && torn > 0
                {
                    let _ = call(number::FTRUNCATE, [file.number(), end - torn]);
                }
                return (whole, Err(errno));
            }
        }
    }
    (written, Ok(()))
}

/// How many lines these are.
fn lines(text: &[u8]) -> u64 {
    text.iter().filter(|byte| **byte == b'\n').count() as u64
}
