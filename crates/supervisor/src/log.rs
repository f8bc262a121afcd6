//! The log of a run: its output, in a file of limited size.
//!
//! When `log` has reached [`PART`], it is renamed to `log.1`, replacing the previous one, and a new
//! `log` begins: at least the newest 4 MiB are kept, at most 8 MiB.

use std::{
    fs::{self, File},
    io::{self, Read as _, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    time::SystemTime,
};

use nix::fcntl::OFlag;

use crate::{
    record::{Record, Stream, write_lines},
    time::rfc3339,
};

/// The maximum size of a part, in bytes.
pub const PART: u64 = 4 << 20;

/// The newest part in a run's directory.
const NEWEST: &str = "log";
/// The previous part.
const OLDER: &str = "log.1";

/// The writer of a log.
#[derive(Debug)]
pub struct LogWriter {
    directory: PathBuf,
    file: File,
    length: u64,
    /// Bytes that could not be written, and are not reported yet.
    lost: usize,
}

impl LogWriter {
    /// Begins the log in the directory of a run.
    ///
    /// # Errors
    ///
    /// Those of open(2).
    pub fn create(directory: &Path) -> io::Result<Self> {
        let file = create(directory)?;
        Ok(Self { directory: directory.into(), file, length: 0, lost: 0 })
    }

    /// Adds output of one of the streams. If it cannot be written, for example because the disk is
    /// full, the program continues; the log reports how much is missing once there is space again.
    pub fn append(&mut self, stream: Stream, bytes: &[u8]) {
        let lost = self.lost;
        let missing = format!("isolab: {lost} bytes could not be written to this log\n");
        let said = if lost > 0 { self.write(Stream::Stderr, missing.as_bytes()) } else { Ok(()) };
        match said.and_then(|()| self.write(stream, bytes)) {
            Ok(()) => self.lost = 0,
            Err(_) => self.lost += bytes.len(),
        }
    }

    fn write(&mut self, stream: Stream, bytes: &[u8]) -> io::Result<()> {
        let mut lines = Vec::with_capacity(bytes.len() + 128);
        if self.lost > 0 {
            lines.push(b'\n'); // ends a truncated record
        }
        write_lines(&mut lines, stream, bytes, &rfc3339(SystemTime::now()));
        self.file.write_all(&lines)?;
        self.length += lines.len() as u64;
        if self.length >= PART {
            fs::rename(self.directory.join(NEWEST), self.directory.join(OLDER))?;
            (self.file, self.length) = (create(&self.directory)?, 0);
        }
        Ok(())
    }
}

fn create(directory: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.append(true).create_new(true).mode(0o600);
    options.open(directory.join(NEWEST))
}

fn open(directory: &Path, part: &str) -> io::Result<File> {
    let flags = OFlag::O_NOFOLLOW.bits();
    File::options().read(true).custom_flags(flags).open(directory.join(part))
}

/// The reader of a log.
#[derive(Debug)]
pub struct LogReader {
    directory: PathBuf,
    file: File,
    /// An incomplete line.
    rest: Vec<u8>,
    /// Records of the older part.
    older: Vec<Record>,
}

impl LogReader {
    /// Opens the log in the directory of a run, at its oldest record.
    ///
    /// # Errors
    ///
    /// Those of open(2) and read(2).
    pub fn open(directory: &Path) -> io::Result<Self> {
        // The older part first. A rotation meanwhile would move records there, so it is checked
        // again: records may be read twice, but are never missed.
        loop {
            let older = open(directory, OLDER).ok();
            let file = match open(directory, NEWEST) {
                // Between the two steps of a rotation.
                Err(error) if error.kind() == io::ErrorKind::NotFound && older.is_some() => {
                    continue;
                }
                opened => opened?,
            };
            if inode(&older) != inode(&open(directory, OLDER).ok()) {
                continue;
            }
            let rest = Vec::new();
            let mut reader = Self { directory: directory.into(), file, rest, older: Vec::new() };
            if let Some(older) = older {
                reader.older = reader.records_of(older)?;
                reader.rest.clear();
            }
            return Ok(reader);
        }
    }

    /// All records that were added since the last call.
    ///
    /// # Errors
    ///
    /// Those of read(2).
    pub fn read(&mut self) -> io::Result<Vec<Record>> {
        let mut records = std::mem::take(&mut self.older);
        loop {
            let next = open(&self.directory, NEWEST).ok().map(Some);
            let file = self.file.try_clone()?;
            records.extend(self.records_of(file)?);
            // Opened before the last read: nothing is added to the old file afterwards.
            match next {
                Some(next) if inode(&next) != inode(&Some(self.file.try_clone()?)) => {
                    let older = open(&self.directory, OLDER).ok();
                    let read = inode(&older) == inode(&Some(self.file.try_clone()?));
                    self.rest.clear();
                    // The reader is two parts behind.
                    if let Some(older) = older.filter(|_| !read) {
                        records.extend(self.records_of(older)?);
                        self.rest.clear();
                    }
                    self.file = next.expect("it has an inode");
                }
                _ => return Ok(records),
            }
        }
    }

    fn records_of(&mut self, mut file: File) -> io::Result<Vec<Record>> {
        file.read_to_end(&mut self.rest)?;
        let whole = self.rest.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
        let tail = self.rest.split_off(whole);
        let lines = std::mem::replace(&mut self.rest, tail);
        Ok(lines.split(|byte| *byte == b'\n').filter_map(Record::parse).collect())
    }
}

fn inode(file: &Option<File>) -> Option<u64> {
    file.as_ref().and_then(|file| Some(file.metadata().ok()?.ino()))
}

/// The last `count` lines of `records`; a line may be in several of them.
pub fn last_lines(records: Vec<Record>, count: usize) -> Vec<Record> {
    let ends_line = |record: &Record| record.bytes.last() == Some(&b'\n');
    let mut lines = 0;
    let mut first = records.len();
    while first > 0 {
        let record = &records[first - 1];
        // It ends where another line begins, or at the end of the log.
        lines += usize::from(ends_line(record) || first == records.len());
        if lines > count {
            break;
        }
        first -= 1;
    }
    records.into_iter().skip(first).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(records: &[Record]) -> String {
        let bytes = records.iter().flat_map(|record| record.bytes.clone()).collect();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_reader_sees_what_is_added_after_it_began() {
        let directory = tempfile::tempdir().unwrap();
        let mut log = LogWriter::create(directory.path()).unwrap();
        log.append(Stream::Stdout, b"one\ntwo");
        let mut reader = LogReader::open(directory.path()).unwrap();
        assert_eq!(text(&reader.read().unwrap()), "one\ntwo");
        log.append(Stream::Stderr, b" three\n");
        let more = reader.read().unwrap();
        assert_eq!((&*text(&more), more[0].stream), (" three\n", Stream::Stderr));
        assert!(reader.read().unwrap().is_empty());
    }

    #[test]
    fn a_log_keeps_its_newest_part_and_no_more_than_two() {
        let directory = tempfile::tempdir().unwrap();
        let mut log = LogWriter::create(directory.path()).unwrap();
        let mut early = LogReader::open(directory.path()).unwrap();
        let mut followed = String::new();
        let line = |number: usize| format!("{number:0>9999}\n");
        let count = 3 * PART as usize / 10_000;
        for number in 0..count {
            log.append(Stream::Stdout, line(number).as_bytes());
            if number % 100 == 0 {
                followed += &text(&early.read().unwrap());
            }
        }
        followed += &text(&early.read().unwrap());
        let lengths =
            [NEWEST, OLDER].map(|part| fs::metadata(directory.path().join(part)).unwrap().len());
        assert!(lengths.iter().all(|length| *length < PART + 32_768), "{lengths:?}");
        let kept = text(&LogReader::open(directory.path()).unwrap().read().unwrap());
        assert!(kept.len() as u64 > PART / 2 && kept.ends_with(&line(count - 1)));
        assert!(kept.starts_with('0') && !kept.starts_with(&line(0)));
        let all: String = (0..count).map(line).collect();
        assert!(followed == all, "a follower misses nothing: {} of {}", followed.len(), all.len());
    }

    #[test]
    fn what_could_not_be_written_is_said_when_there_is_room_again() {
        let directory = tempfile::tempdir().unwrap();
        let mut log = LogWriter::create(directory.path()).unwrap();
        log.append(Stream::Stdout, b"before\n");
        let full = File::options().append(true).open("/dev/full").unwrap();
        let file = std::mem::replace(&mut log.file, full);
        log.append(Stream::Stdout, b"12345");
        log.append(Stream::Stderr, b"678");
        log.file = file;
        // A truncated record.
        log.file.write_all(b"{\"log\":\"hal").unwrap();
        log.append(Stream::Stdout, b"after\n");
        log.append(Stream::Stdout, b"more\n");
        let all = text(&LogReader::open(directory.path()).unwrap().read().unwrap());
        let said = "isolab: 8 bytes could not be written to this log\n";
        assert_eq!(all, format!("before\n{said}after\nmore\n"));
    }

    #[test]
    fn the_last_lines_may_be_in_several_records() {
        let record =
            |text: &str| Record { bytes: text.into(), stream: Stream::Stdout, time: String::new() };
        let records: Vec<Record> = ["a\n", "b", "b\n", "c\n", "d"].map(record).into();
        let last = |count| text(&last_lines(records.clone(), count));
        assert_eq!(
            [0, 1, 2, 3, 9].map(last),
            ["", "d", "c\nd", "bb\nc\nd", "a\nbb\nc\nd"].map(String::from)
        );
    }
}
