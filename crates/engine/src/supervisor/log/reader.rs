//! Reading the lines of a log.

use std::{
    io,
    path::{Path, PathBuf},
    pin::Pin,
    time::Duration,
};

use super::{
    LogLine,
    files::{FileIdentity, LogFile, newest, open_all},
    tail::start_of_last,
    watch::Watch,
};

/// How much is read at once.
const BLOCK: usize = 64 << 10;
/// No line of a supervisor is longer: 16 KiB of output, six bytes for each in JSON, and the rest.
const LONGEST_LINE: usize = 128 << 10;

/// Which lines of a log to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LogQuery {
    /// Only the last of all lines, and what follows; `None` means all.
    pub tail: Option<u64>,
    /// Of these, only those since that time, UTC since 1970.
    pub since: Option<Duration>,
    /// And only those up to that time.
    pub until: Option<Duration>,
    /// Also the lines that are written after the log was opened.
    pub follow: bool,
}

/// A reader of the log in the directory of a container.
///
/// It loses nothing and repeats nothing while the supervisor writes and replaces files, unless it is
/// so slow that the file which it reads next was removed. A line that is not complete is read once it
/// is; what is not a line is left out. Reading blocks, as reading a file does.
#[derive(Debug)]
pub struct LogReader {
    directory: PathBuf,
    query: LogQuery,
    /// `None` while there is no log.
    file: Option<LogFile>,
    /// Where `buffer` begins in the file.
    position: u64,
    /// What was read; lines before `taken` were given away.
    buffer: Vec<u8>,
    taken: usize,
    /// The newest file and its length when the log was opened, if no more is to be read.
    end: Option<(FileIdentity, u64)>,
    /// The file was replaced by a newer one, so nothing is appended to it any more.
    is_replaced: bool,
    /// A line is being left out that is too long.
    is_too_long: bool,
    /// A line after `until` was found.
    is_after: bool,
    watch: Option<Watch>,
    has_ended: bool,
}

impl LogReader {
    /// Opens the log in that directory. There need not be one.
    ///
    /// # Errors
    ///
    /// Those of opening and reading the files.
    pub fn open(directory: &Path, query: &LogQuery) -> io::Result<Self> {
        let mut files = open_all(directory)?;
        let end = match files.last() {
            Some(newest) if !query.follow => Some((newest.identity, newest.length()?)),
            _ => None,
        };
        let (index, position) = match query.tail {
            Some(count) => start_of_last(&files, count)?,
            None => (0, 0),
        };
        let file = (index < files.len()).then(|| files.swap_remove(index));
        Ok(Self {
            directory: directory.to_owned(),
            query: *query,
            file,
            position,
            buffer: Vec::new(),
            taken: 0,
            end,
            is_replaced: false,
            is_too_long: false,
            is_after: false,
            watch: None,
            has_ended: false,
        })
    }

    /// The next line that is there; `None` if there is none now, or no more to be read.
    ///
    /// # Errors
    ///
    /// Those of opening and reading the files.
    pub fn read(&mut self) -> io::Result<Option<LogLine>> {
        while !self.is_after {
            let Some(line) = self.next_line()? else { return Ok(None) };
            if self.query.since.is_some_and(|since| line.time < since) {
                continue;
            }
            self.is_after = self.query.until.is_some_and(|until| line.time > until);
            if !self.is_after {
                return Ok(Some(line));
            }
        }
        Ok(None)
    }

    /// Waits for the next line of a log that is followed. `None` when `ended` is ready, such as when the container has ended,
    /// and everything was read that was there by then; or at the first line after the time `until`.
    ///
    /// If this future is dropped no line is lost. Do not ask for `ended` again once it was ready.
    ///
    /// # Errors
    ///
    /// Those of opening and reading the files.
    pub async fn next(
        &mut self,
        mut ended: Pin<&mut (impl Future<Output = ()> + Send)>,
    ) -> io::Result<Option<LogLine>> {
        loop {
            if let Some(line) = self.read()? {
                return Ok(Some(line));
            }
            if self.has_ended || self.is_after || !self.query.follow {
                return Ok(None);
            }
            let Some(watch) = &self.watch else {
                // What has changed before the watch is read first.
                self.watch = Some(Watch::new(&self.directory));
                continue;
            };
            tokio::select! {
                changed = watch.wait() => changed?,
                () = ended.as_mut() => self.has_ended = true,
            }
        }
    }

    /// The next whole line, whatever its time.
    fn next_line(&mut self) -> io::Result<Option<LogLine>> {
        loop {
            if self.is_at_end() {
                return Ok(None);
            }
            let rest = &self.buffer[self.taken..];
            if let Some(length) = rest.iter().position(|byte| *byte == b'\n') {
                let line = LogLine::parse(&rest[..length]).filter(|_| !self.is_too_long);
                self.taken += length + 1;
                self.is_too_long = false;
                if line.is_some() {
                    return Ok(line);
                }
            } else if !self.read_block()? && !self.next_file()? {
                return Ok(None);
            }
        }
    }

    /// Whether everything was read that was there when the log was opened.
    fn is_at_end(&self) -> bool {
        let here = self.file.as_ref().map(|file| file.identity);
        self.end.is_some_and(|(newest, length)| {
            Some(newest) == here && self.position + self.taken as u64 >= length
        })
    }

    /// Reads more of this file; false at its end.
    fn read_block(&mut self) -> io::Result<bool> {
        let Some(file) = &self.file else { return Ok(false) };
        if self.buffer.len() - self.taken > LONGEST_LINE {
            self.is_too_long = true;
            self.taken = self.buffer.len();
        }
        self.buffer.drain(..self.taken);
        self.position += self.taken as u64;
        self.taken = 0;
        let length = self.buffer.len();
        self.buffer.resize(length + BLOCK, 0);
        let count = file.read_at(self.position + length as u64, &mut self.buffer[length..]);
        self.buffer.truncate(length + *count.as_ref().unwrap_or(&0));
        if count? > 0 {
            return Ok(true);
        }
        // The start of a line is read again when more is there: the supervisor may have removed it, if
        // the disk was full.
        self.buffer.clear();
        if file.length()? < self.position {
            // Somebody has emptied the file, to save space.
            self.position = 0;
            self.is_too_long = false;
            return Ok(true);
        }
        Ok(false)
    }

    /// At the end of a file: whether there is more, here or in the next one.
    fn next_file(&mut self) -> io::Result<bool> {
        let here = self.file.as_ref().map(|file| file.identity);
        if self.end.is_some_and(|(newest, _)| Some(newest) == here) {
            return Ok(false);
        }
        if here.is_some() && newest(&self.directory)? == here {
            return Ok(false);
        }
        if here.is_some() && !self.is_replaced {
            // It is complete now, but something may have been added after it was read.
            self.is_replaced = true;
            return Ok(true);
        }
        let mut files = open_all(&self.directory)?;
        let index = next_index(&files, here);
        if index >= files.len() {
            return Ok(false); // the supervisor is about to make it
        }
        self.file = Some(files.swap_remove(index));
        (self.position, self.is_replaced, self.is_too_long) = (0, false, false);
        Ok(true)
    }
}

/// Which file comes after this one; the oldest if this one was removed.
fn next_index(files: &[LogFile], here: Option<FileIdentity>) -> usize {
    let index = files.iter().position(|file| Some(file.identity) == here);
    index.map_or(0, |index| index + 1)
}

#[cfg(test)]
mod tests {
    use std::{fs, fs::File, io::Write as _, pin::pin};

    use tempfile::TempDir;

    use super::*;

    /// A log with a limit, written line by line as the supervisor does it.
    struct TestLog {
        directory: TempDir,
        file: File,
        next: u64,
    }

    impl TestLog {
        fn new() -> Self {
            let directory = tempfile::tempdir().unwrap();
            let file = File::create(directory.path().join("log")).unwrap();
            Self { directory, file, next: 0 }
        }

        fn path(&self) -> &Path {
            self.directory.path()
        }

        /// Writes that many lines with consecutive numbers; a line's time is its number in seconds.
        fn write(&mut self, count: u64) {
            for number in self.next..self.next + count {
                let (minute, second) = (number / 60, number % 60);
                writeln!(
                    self.file,
                    "{{\"log\":\"{number}\\n\",\"stream\":\"stdout\",\
                     \"time\":\"1970-01-01T00:{minute:02}:{second:02}Z\"}}"
                )
                .unwrap();
            }
            self.next += count;
        }

        fn rotate(&mut self, files: u32) {
            let path = |number: u32| match number {
                0 => self.path().join("log"),
                number => self.path().join(format!("log.{number}")),
            };
            for number in (1..files).rev() {
                let _ = fs::rename(path(number - 1), path(number));
            }
            let _ = fs::remove_file(path(0));
            self.file = File::create(path(0)).unwrap();
        }
    }

    fn numbers(reader: &mut LogReader) -> Vec<u64> {
        std::iter::from_fn(|| reader.read().unwrap()).map(|line| number(&line)).collect()
    }

    fn number(line: &LogLine) -> u64 {
        String::from_utf8_lossy(&line.bytes).trim().parse().unwrap()
    }

    const FOLLOW: LogQuery = LogQuery { tail: None, since: None, until: None, follow: true };

    #[test]
    fn lines_come_in_order_from_all_files() {
        let mut log = TestLog::new();
        for _ in 0..3 {
            log.write(20);
            log.rotate(5);
        }
        log.write(5);
        let query = LogQuery::default();
        let read = |query| numbers(&mut LogReader::open(log.path(), &query).unwrap());
        assert_eq!(read(query), Vec::from_iter(0..65));
        assert_eq!(read(LogQuery { tail: Some(7), ..query }), Vec::from_iter(58..65));
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        let between = LogQuery { since: seconds(30), until: seconds(41), ..query };
        assert_eq!(read(between), Vec::from_iter(30..42));
        assert_eq!(read(LogQuery { tail: Some(30), ..between }), Vec::from_iter(35..42));
    }

    #[test]
    fn without_following_the_end_is_that_of_the_beginning() {
        let mut log = TestLog::new();
        log.write(10);
        let mut reader = LogReader::open(log.path(), &LogQuery::default()).unwrap();
        log.write(10);
        assert_eq!(numbers(&mut reader), Vec::from_iter(0..10));
        let mut reader = LogReader::open(log.path(), &LogQuery::default()).unwrap();
        log.rotate(3);
        log.write(10);
        assert_eq!(numbers(&mut reader), Vec::from_iter(0..20));
    }

    #[test]
    fn nothing_is_lost_or_repeated_while_files_are_replaced() {
        let mut log = TestLog::new();
        let mut reader = LogReader::open(log.path(), &FOLLOW).unwrap();
        let mut read = Vec::new();
        for round in 0..40 {
            log.write(1 + round % 7);
            if round % 3 == 0 {
                read.extend(numbers(&mut reader));
                log.write(round % 2);
            }
            if round % 5 == 0 {
                log.rotate(4);
            }
        }
        read.extend(numbers(&mut reader));
        assert_eq!(read, Vec::from_iter(0..log.next));
    }

    #[test]
    fn a_reader_that_is_too_slow_goes_on_with_what_is_left() {
        let mut log = TestLog::new();
        log.write(5);
        let mut reader = LogReader::open(log.path(), &FOLLOW).unwrap();
        for _ in 0..5 {
            log.rotate(2);
            log.write(5);
        }
        let expected = (0..5).chain(20..30);
        assert_eq!(numbers(&mut reader), Vec::from_iter(expected));
    }

    #[test]
    fn half_a_line_is_read_once_it_is_whole_and_never_if_it_is_removed() {
        let mut log = TestLog::new();
        log.write(1);
        let mut reader = LogReader::open(log.path(), &FOLLOW).unwrap();
        let whole = log.file.metadata().unwrap().len();
        for _ in 0..2 {
            log.file.write_all(b"{\"log\":\"torn").unwrap();
            numbers(&mut reader);
            log.file.set_len(whole).unwrap();
            io::Seek::seek(&mut log.file, io::SeekFrom::Start(whole)).unwrap();
        }
        log.write(1);
        assert_eq!(numbers(&mut reader), [1]);
        log.file.write_all(b"{\"log\":\"2\\n\",").unwrap();
        assert!(numbers(&mut reader).is_empty());
        let rest = b"\"stream\":\"stdout\",\"time\":\"1970-01-01T00:00:02Z\"}\n";
        log.file.write_all(rest).unwrap();
        assert_eq!(numbers(&mut reader), [2]);
    }

    #[test]
    fn what_is_not_a_line_is_left_out_and_takes_no_memory() {
        let mut log = TestLog::new();
        log.write(1);
        log.file.write_all(b"\0\0\0\nnonsense\n").unwrap();
        log.file.write_all(&vec![b'x'; 5 << 20]).unwrap();
        log.file.write_all(b"\n").unwrap();
        log.write(1);
        let mut reader = LogReader::open(log.path(), &FOLLOW).unwrap();
        assert_eq!(numbers(&mut reader), [0, 1]);
        assert!(reader.buffer.capacity() < 1 << 20);
    }

    #[test]
    fn a_log_that_was_emptied_is_read_from_its_start() {
        let mut log = TestLog::new();
        log.write(10);
        let mut reader = LogReader::open(log.path(), &FOLLOW).unwrap();
        numbers(&mut reader);
        log.file.set_len(0).unwrap();
        io::Seek::rewind(&mut log.file).unwrap();
        log.write(2);
        assert_eq!(numbers(&mut reader), [10, 11]);
    }

    #[tokio::test]
    async fn a_follower_waits_for_lines_and_for_the_end() {
        let mut log = TestLog::new();
        let mut reader = LogReader::open(log.path(), &FOLLOW).unwrap();
        let (end, ended) = tokio::sync::oneshot::channel::<()>();
        let writing = tokio::task::spawn_blocking(move || {
            for round in 0..50 {
                log.write(3);
                if round % 10 == 9 {
                    log.rotate(3);
                }
                std::thread::sleep(Duration::from_millis(2));
            }
            log.write(1);
            end.send(()).unwrap();
            log
        });
        let mut ended = pin!(async {
            let _ = ended.await;
        });
        let mut read = Vec::new();
        while let Some(line) = reader.next(ended.as_mut()).await.unwrap() {
            read.push(number(&line));
        }
        assert_eq!(read, Vec::from_iter(0..151));
        writing.await.unwrap();
    }

    #[tokio::test]
    async fn a_follower_may_come_before_the_log() {
        let mut log = TestLog::new();
        fs::remove_file(log.path().join("log")).unwrap();
        let mut reader = LogReader::open(log.path(), &FOLLOW).unwrap();
        let mut never = pin!(std::future::pending());
        let waiting = reader.next(never.as_mut());
        assert!(tokio::time::timeout(Duration::from_millis(50), waiting).await.is_err());
        log.rotate(1);
        log.write(1);
        let line = tokio::time::timeout(Duration::from_secs(20), reader.next(never.as_mut())).await;
        assert_eq!(number(&line.unwrap().unwrap().unwrap()), 0);
    }
}
