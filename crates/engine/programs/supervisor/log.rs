//! The log: files of whole lines in Docker's json-file format, rotated when they are large.
//!
//! A full disk stops no container: what cannot be written is lost, and the file still ends with a
//! whole line.

use super::{
    buffer::Buffer,
    calls::{self, Descriptor, Errno, Result, call},
    clock,
    entry::{LINE, MAX_ENTRY, Stream, write_entry},
    lines::Lines,
    pages,
    system::number,
};

/// How much is written at once.
const OUTPUT: usize = 256 << 10;

pub struct Log {
    file: Descriptor,
    bytes: u64,
    /// At which size it is rotated; 0 means never.
    most_bytes: u64,
    most_files: u64,
    lines: [Lines; 2],
    output: Buffer,
}

impl Log {
    /// Opens `log` in the working directory, behind what is in it.
    pub fn open(most_bytes: u64, most_files: u64) -> Result<Self> {
        let file = open()?;
        const SEEK_END: usize = 2;
        let bytes = call(number::LSEEK, [file.number(), 0, SEEK_END])? as u64;
        let lines = || pages::buffer(LINE).map(Lines::new);
        let (lines, output) = ([lines()?, lines()?], pages::buffer(OUTPUT)?);
        Ok(Self { file, bytes, most_bytes, most_files, lines, output })
    }

    /// Takes what was just read from a stream.
    pub fn take(&mut self, stream: Stream, read: &[u8]) {
        let time = clock::rfc3339(clock::now());
        let (lines, output) = (&mut self.lines, &mut self.output);
        let writer = &mut Writer {
            file: &mut self.file,
            bytes: &mut self.bytes,
            most: (self.most_bytes, self.most_files),
        };
        lines[stream as usize].take(read, |line| add(writer, output, stream, line, &time));
        writer.write(output);
    }

    /// Writes what is left of both streams.
    pub fn finish(&mut self) {
        let time = clock::rfc3339(clock::now());
        let writer = &mut Writer {
            file: &mut self.file,
            bytes: &mut self.bytes,
            most: (self.most_bytes, self.most_files),
        };
        for (lines, stream) in self.lines.iter_mut().zip([Stream::Stdout, Stream::Stderr]) {
            let output = &mut self.output;
            lines.finish(|line| add(writer, output, stream, line, &time));
        }
        writer.write(&mut self.output);
    }

    /// Returns memory that is not in use.
    pub fn release(&mut self) {
        pages::release(&mut self.output);
        for lines in &mut self.lines {
            pages::release(lines.buffer());
        }
    }
}

fn add(
    writer: &mut Writer<'_>,
    output: &mut Buffer,
    stream: Stream,
    line: &[u8],
    time: &[u8; clock::TEXT],
) {
    if output.spare().len() < MAX_ENTRY {
        writer.write(output);
    }
    let length = write_entry(output.spare(), stream, line, time);
    output.grow(length);
}

fn open() -> Result<Descriptor> {
    calls::open(c"log", calls::O_WRONLY | calls::O_CREAT | calls::O_APPEND)
}

/// The file itself.
struct Writer<'a> {
    file: &'a mut Descriptor,
    bytes: &'a mut u64,
    most: (u64, u64),
}

impl Writer<'_> {
    /// Writes all of `output` or none of it.
    fn write(&mut self, output: &mut Buffer) {
        let all = output.filled();
        let mut done = 0;
        while done < all.len() {
            match self.file.write(&all[done..]) {
                Ok(count) => done += count,
                Err(Errno::INTERRUPTED) => {}
                Err(_) => {
                    // No line is torn: what was written of it is cut off again.
                    let _ = call(number::FTRUNCATE, [self.file.number(), *self.bytes as usize]);
                    done = all.len();
                    output.clear();
                    return self.rotate_if(done == 0);
                }
            }
        }
        *self.bytes += all.len() as u64;
        output.clear();
        let (most_bytes, _) = self.most;
        self.rotate_if(most_bytes != 0 && *self.bytes >= most_bytes);
    }

    /// Begins a new file: `log` becomes `log.1`, that becomes `log.2`, and so on.
    fn rotate_if(&mut self, is_large: bool) {
        if !is_large {
            return;
        }
        let (_, most_files) = self.most;
        if most_files < 2 {
            // One file: it begins anew.
            let _ = call(number::FTRUNCATE, [self.file.number(), 0]);
            *self.bytes = 0;
            return;
        }
        for number in (0..most_files.min(1000) - 1).rev() {
            let (from, to) = (Name::of(number), Name::of(number + 1));
            let _ = calls::rename(from.text(), to.text()); // there may be none yet
        }
        // On a full disk the old file goes on.
        if let Ok(file) = open() {
            (*self.file, *self.bytes) = (file, 0);
        }
    }
}

/// `log` or `log.NUMBER`.
struct Name([u8; 12]);

impl Name {
    fn of(number: u64) -> Self {
        let mut name = [0; 12];
        name[..3].copy_from_slice(b"log");
        if number > 0 {
            name[3] = b'.';
            let digits = [number / 100, number / 10, number].map(|digit| b'0' + (digit % 10) as u8);
            let skipped = digits[..2].iter().take_while(|digit| **digit == b'0').count();
            name[4..4 + 3 - skipped].copy_from_slice(&digits[skipped..]);
        }
        Self(name)
    }

    fn text(&self) -> &core::ffi::CStr {
        core::ffi::CStr::from_bytes_until_nul(&self.0).unwrap_or(c"log")
    }
}
