//! The other end of `GET /isolab/watch`: reads the records of a daemon.

use std::{
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
};

use super::WatchRecord;

/// No line and no head of an answer is longer, in bytes.
const MAX_LINE: u64 = 1 << 20;

/// Why a daemon cannot be watched.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// Nobody listens at the socket, or it is not this user's.
    #[error("connect to {socket:?}")]
    Connect {
        /// The socket.
        socket: PathBuf,
        /// That of connect(2).
        source: io::Error,
    },
    /// It is another daemon, or an older one.
    #[error("the daemon at {socket:?} answers {status}: it is not isolab's, or an older one")]
    Refused {
        /// The socket.
        socket: PathBuf,
        /// The first line of its answer.
        status: String,
    },
    /// The connection broke, or carries something else.
    #[error("read what the daemon records")]
    Read(#[source] io::Error),
}

/// The records of a daemon.
#[derive(Debug)]
pub struct Records {
    stream: BufReader<UnixStream>,
    /// What is left of the chunk (RFC 9112, section 7.1).
    left: u64,
}

impl Records {
    /// Those of the daemon at `socket`, from now on.
    ///
    /// # Errors
    ///
    /// When it cannot be watched.
    pub fn of(socket: &Path) -> Result<Self, WatchError> {
        let connecting = |source| WatchError::Connect { socket: socket.to_owned(), source };
        let mut stream = UnixStream::connect(socket).map_err(connecting)?;
        stream
            .write_all(b"GET /isolab/watch HTTP/1.1\r\nHost: isolab\r\n\r\n")
            .map_err(WatchError::Read)?;
        let mut records = Self { stream: BufReader::new(stream), left: 0 };
        let status = records.head_line()?;
        if status.split(' ').nth(1) != Some("200") {
            return Err(WatchError::Refused { socket: socket.to_owned(), status });
        }
        while !records.head_line()?.is_empty() {}
        Ok(records)
    }

    /// The connection, to end it from another thread.
    ///
    /// # Errors
    ///
    /// That of dup(2).
    pub fn connection(&self) -> io::Result<UnixStream> {
        self.stream.get_ref().try_clone()
    }

    /// The next record; `None` when the daemon has ended.
    ///
    /// # Errors
    ///
    /// When what comes is no record.
    pub fn read(&mut self) -> Result<Option<WatchRecord>, WatchError> {
        let mut line = Vec::new();
        while line.last() != Some(&b'\n') {
            if self.left == 0 {
                let Some(length) = self.next_chunk()? else { return Ok(None) };
                self.left = length;
            }
            let most = self.left.min(MAX_LINE);
            let mut chunk = (&mut self.stream).take(most);
            let read = match chunk.read_until(b'\n', &mut line) {
                Err(error) if is_gone(&error) => 0,
                read => read.map_err(WatchError::Read)?,
            };
            self.left -= read as u64;
            if read == 0 {
                return Ok(None);
            }
            if line.len() as u64 > MAX_LINE {
                return Err(WatchError::Read(io::Error::other("a line without an end")));
            }
        }
        let record = serde_json::from_slice(&line);
        record.map(Some).map_err(|error| WatchError::Read(error.into()))
    }

    /// The length of the next chunk; `None` when there is none.
    fn next_chunk(&mut self) -> Result<Option<u64>, WatchError> {
        loop {
            let line = match self.line() {
                Err(WatchError::Read(error)) if is_gone(&error) => return Ok(None),
                line => line?,
            };
            let Some(line) = line else { return Ok(None) };
            if line.is_empty() {
                continue; // the end of the chunk before
            }
            let length = u64::from_str_radix(&line, 16);
            let length = length.map_err(|error| WatchError::Read(io::Error::other(error)))?;
            return Ok((length > 0).then_some(length));
        }
    }

    fn head_line(&mut self) -> Result<String, WatchError> {
        let cut = || WatchError::Read(io::ErrorKind::UnexpectedEof.into());
        self.line()?.ok_or_else(cut)
    }

    fn line(&mut self) -> Result<Option<String>, WatchError> {
        let mut line = String::new();
        let read = (&mut self.stream).take(MAX_LINE).read_line(&mut line);
        let read = read.map_err(WatchError::Read)?;
        Ok((read > 0).then(|| line.trim_end().to_owned()))
    }
}

/// Whether a daemon was killed.
fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use std::{os::unix::net::UnixListener, thread};

    use super::*;

    /// What a client makes of the answer `text`.
    fn read(text: &'static str) -> Result<Vec<WatchRecord>, WatchError> {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("s");
        let listener = UnixListener::bind(&socket).unwrap();
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 200]);
            let _ = stream.write_all(text.as_bytes());
        });
        let read = Records::of(&socket).and_then(|mut records| {
            let mut all = Vec::new();
            while let Some(record) = records.read()? {
                all.push(record);
            }
            Ok(all)
        });
        server.join().unwrap();
        read
    }

    #[test]
    fn records_are_read_across_chunks() {
        let text = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
                    10\r\n{\"time\":1,\"kind\"\r\n12\r\n:\"lost\",\"records\":\r\n\
                    4\r\n7}\r\n\r\n0\r\n\r\n";
        let records = read(text).unwrap();
        assert_eq!(records.len(), 1);
        assert_eq!(records[0].event, crate::watch::WatchEvent::Lost { records: 7 });
    }

    #[test]
    fn another_daemon_is_not_watched() {
        let refused = read("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
        assert!(matches!(refused, Err(WatchError::Refused { .. })), "{refused:?}");
        let garbage = read("HTTP/1.1 200 OK\r\n\r\nzz\r\n");
        assert!(matches!(garbage, Err(WatchError::Read(_))), "{garbage:?}");
    }
}
