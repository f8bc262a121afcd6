//! Reads a log in Docker's json-file format: `log`, and before it `log.1`, `log.2`, .. if it was
//! rotated. It may grow and be rotated meanwhile.

use std::{
    collections::VecDeque,
    fs::File,
    io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::Deserialize;

use crate::time;

/// The longest line of a log: 16 KiB of output, each byte as `\u00XX`, and its names.
const MAX_LINE: u64 = 128 << 10;
/// How much is read at once when a log is read from its end.
const BLOCK: u64 = 64 << 10;
/// More files than any log is rotated through.
const MAX_FILES: u32 = 1000;

/// Where output came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogStream {
    /// Standard output, or the terminal.
    Stdout,
    /// Standard error.
    Stderr,
}

/// One line of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// Where it came from.
    pub stream: LogStream,
    /// When it was written, since 1970.
    pub time: Duration,
    /// What was written, with its newline.
    pub bytes: Vec<u8>,
}

/// As it stands in the file.
#[derive(Deserialize)]
struct Written {
    log: String,
    stream: String,
    time: String,
}

/// Reads a log, and goes on where it stopped.
#[derive(Debug)]
pub struct LogReader {
    directory: PathBuf,
    /// The files that are still to be read, the oldest first; the first one is being read.
    files: VecDeque<BufReader<File>>,
    /// A line that has begun and is not complete.
    begun: Vec<u8>,
}

impl LogReader {
    /// Opens the log in `directory`: the last `tail` lines of it, or all. Files that end before
    /// `since` are left out.
    ///
    /// # Errors
    ///
    /// When it cannot be read. A log that does not exist is empty.
    pub fn open(
        directory: &Path,
        tail: Option<usize>,
        since: Option<Duration>,
    ) -> io::Result<Self> {
        let mut files = open_all(directory)?;
        if let Some(since) = since {
            let is_old = |file: &File| {
                let changed = file.metadata().and_then(|about| about.modified()).ok();
                let changed = changed.and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
                changed.is_some_and(|changed| changed < since)
            };
            while files.len() > 1 && files.front().is_some_and(is_old) {
                files.pop_front();
            }
        }
        if let Some(mut left) = tail {
            let mut kept = VecDeque::new();
            while let Some(mut file) = files.pop_back() {
                left -= seek_to_tail(&mut file, left)?;
                kept.push_front(file);
                if left == 0 {
                    break;
                }
            }
            files = kept;
        }
        let files = files.into_iter().map(BufReader::new).collect();
        Ok(Self { directory: directory.to_owned(), files, begun: Vec::new() })
    }

    /// The next complete line; `None` if there is none yet.
    ///
    /// # Errors
    ///
    /// When the log cannot be read.
    pub fn next_line(&mut self) -> io::Result<Option<LogLine>> {
        loop {
            let Some(file) = self.files.front_mut() else {
                // It did not exist.
                self.files = open_all(&self.directory)?.into_iter().map(BufReader::new).collect();
                if self.files.is_empty() {
                    return Ok(None);
                }
                continue;
            };
            let room = MAX_LINE.saturating_sub(self.begun.len() as u64);
            file.by_ref().take(room).read_until(b'\n', &mut self.begun)?;
            if self.begun.last() == Some(&b'\n') {
                let line = parse(&self.begun);
                self.begun.clear();
                match line {
                    Some(line) => return Ok(Some(line)),
                    None => continue, // a line that a crash of the host has damaged
                }
            }
            if self.begun.len() as u64 >= MAX_LINE {
                self.begun.clear();
                continue;
            }
            if !self.go_on()? {
                return Ok(None);
            }
        }
    }

    /// At the end of a file: goes on with the next one if there is one.
    fn go_on(&mut self) -> io::Result<bool> {
        if self.files.len() > 1 {
            self.files.pop_front();
            self.begun.clear();
            return Ok(true);
        }
        let Some(current) = self.files.front() else { return Ok(false) };
        let own = current.get_ref().metadata()?;
        let mut all = open_all(&self.directory)?;
        let position = all.iter().position(|file| {
            let about = file.metadata();
            about.is_ok_and(|about| (about.dev(), about.ino()) == (own.dev(), own.ino()))
        });
        match position {
            // Still the newest.
            Some(at) if at + 1 == all.len() => return Ok(false),
            Some(at) => drop(all.drain(..=at)),
            // It has been rotated away: all that is there is newer.
            None => {}
        }
        // It may have grown between its end and its rotation.
        let length = current.get_ref().metadata()?.len();
        let read = self.files.front_mut().map_or(Ok(0), std::io::Seek::stream_position)?;
        if read < length {
            return Ok(true);
        }
        self.files = all.into_iter().map(BufReader::new).collect();
        self.begun.clear();
        Ok(!self.files.is_empty())
    }
}

/// The files of a log, the oldest first.
fn open_all(directory: &Path) -> io::Result<VecDeque<File>> {
    let mut files: VecDeque<File> = VecDeque::new();
    for number in 0..MAX_FILES {
        let name = if number == 0 { "log".to_owned() } else { format!("log.{number}") };
        match File::open(directory.join(name)) {
            Ok(file) => {
                // Rotated between two opens: then it is here twice.
                let is_same = |other: &File| {
                    let ids = |file: &File| file.metadata().map(|it| (it.dev(), it.ino())).ok();
                    ids(other) == ids(&file)
                };
                if !files.front().is_some_and(is_same) {
                    files.push_front(file);
                }
            }
            // While it is rotated, there is no newest file for a moment.
            Err(error) if error.kind() == io::ErrorKind::NotFound && number == 0 => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => break,
            Err(error) => return Err(error),
        }
    }
    Ok(files)
}

/// Moves to the last `count` lines of a file, and says how many it has of them.
fn seek_to_tail(file: &mut File, count: usize) -> io::Result<usize> {
    let end = file.seek(SeekFrom::End(0))?;
    let (mut found, mut at) = (0, end);
    let mut block = vec![0; usize::try_from(BLOCK).unwrap_or(0)];
    while at > 0 && count > 0 {
        let start = at.saturating_sub(BLOCK);
        let part = &mut block[..usize::try_from(at - start).unwrap_or(0)];
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(part)?;
        for (index, _) in part.iter().enumerate().rev().filter(|(_, byte)| **byte == b'\n') {
            let after = start + index as u64 + 1;
            // The newline at the end belongs to the last line, and what follows it has only begun.
            if after < end || at < end {
                found += 1;
            }
            if found == count {
                file.seek(SeekFrom::Start(after))?;
                return Ok(count);
            }
        }
        at = start;
    }
    file.seek(SeekFrom::Start(if count == 0 { end } else { 0 }))?;
    Ok(if end > 0 && count > 0 { (found + 1).min(count) } else { 0 })
}

fn parse(line: &[u8]) -> Option<LogLine> {
    let written: Written = serde_json::from_slice(line).ok()?;
    let stream = match written.stream.as_str() {
        "stdout" => LogStream::Stdout,
        "stderr" => LogStream::Stderr,
        _ => return None,
    };
    Some(LogLine { stream, time: time::since_1970(&written.time)?, bytes: written.log.into() })
}

#[cfg(test)]
mod tests {
    use std::{fs, io::Write as _};

    use super::*;

    fn line(number: usize) -> String {
        format!(
            "{{\"log\":\"{number}\\n\",\"stream\":\"stdout\",\"time\":\"2026-11-29T07:00:{:02}.5Z\"}}\n",
            number % 60
        )
    }

    fn all(log: &mut LogReader) -> Vec<String> {
        let mut lines = Vec::new();
        while let Some(line) = log.next_line().unwrap() {
            lines.push(String::from_utf8(line.bytes).unwrap().trim().to_owned());
        }
        lines
    }

    fn numbers(range: std::ops::Range<usize>) -> Vec<String> {
        range.map(|number| number.to_string()).collect()
    }

    #[test]
    fn a_log_is_followed_through_its_rotation() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let mut log = LogReader::open(directory.path(), None, None).unwrap();
        assert!(all(&mut log).is_empty());
        let mut file = File::create(path("log")).unwrap();
        file.write_all((line(0) + &line(1)[..20]).as_bytes()).unwrap();
        assert_eq!(all(&mut log), ["0"]);
        file.write_all(line(1)[20..].as_bytes()).unwrap();
        fs::rename(path("log"), path("log.1")).unwrap();
        assert_eq!(all(&mut log), ["1"]);
        fs::write(path("log"), line(2)).unwrap();
        assert_eq!(all(&mut log), ["2"]);
        // Rotated twice between two looks, and the file that was read last is gone.
        fs::rename(path("log"), path("log.2")).unwrap();
        fs::write(path("log.1"), line(3)).unwrap();
        fs::write(path("log"), line(4)).unwrap();
        assert_eq!(all(&mut log), ["3", "4"]);
        let mut again = LogReader::open(directory.path(), None, None).unwrap();
        assert_eq!(all(&mut again), ["2", "3", "4"]);
    }

    #[test]
    fn the_last_lines_are_found_from_the_end() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let lines = |range: std::ops::Range<usize>| range.map(line).collect::<String>();
        fs::write(path("log.1"), lines(0..2000)).unwrap();
        fs::write(path("log"), lines(2000..5000)).unwrap();
        for tail in [0, 1, 2, 999, 3000, 3001, 4999, 5000, 9999] {
            let mut log = LogReader::open(directory.path(), Some(tail), None).unwrap();
            assert_eq!(all(&mut log), numbers(5000 - tail.min(5000)..5000), "{tail}");
        }
    }

    #[test]
    fn damaged_lines_are_left_out() {
        let directory = tempfile::tempdir().unwrap();
        let damaged = format!("{}\0\0\0\n{{\"log\":1}}\n{}", line(1), line(2));
        fs::write(directory.path().join("log"), damaged).unwrap();
        let mut log = LogReader::open(directory.path(), None, None).unwrap();
        assert_eq!(all(&mut log), ["1", "2"]);
    }
}
