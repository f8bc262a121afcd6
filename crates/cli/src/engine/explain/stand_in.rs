//! A server at a socket of its own that records what a client asks for, and does nothing of it.

use std::{
    io::{self, BufRead as _, BufReader, Read, Write as _},
    net::Shutdown,
    os::unix::net::{UnixListener, UnixStream},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use engine::watch::{MAX_READ, RequestRecord, hide_in_query, is_credential, shown_body};
use tempfile::TempDir;

use super::answers::{self, Answer};

/// No head of a request is longer, in bytes.
const MAX_HEAD: u64 = 64 << 10;
/// How many requests are kept.
const MOST: usize = 1000;

/// The server. Its socket goes with it.
pub(super) struct StandIn {
    /// Only this user may enter it (mkdtemp(3)).
    folder: TempDir,
    requests: Arc<Mutex<Vec<RequestRecord>>>,
}

impl StandIn {
    /// Serves from now on.
    pub(super) fn start() -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix("isolab-explain-").tempdir()?;
        let listener = UnixListener::bind(folder.path().join("docker.sock"))?;
        let requests: Arc<Mutex<Vec<RequestRecord>>> = Arc::default();
        let all = Arc::clone(&requests);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let all = Arc::clone(&all);
                // A client that breaks off has asked for no more.
                thread::spawn(move || drop(serve(stream, &all)));
            }
        });
        Ok(Self { folder, requests })
    }

    /// Its socket.
    pub(super) fn socket(&self) -> PathBuf {
        self.folder.path().join("docker.sock")
    }

    /// A directory for the client's own files.
    pub(super) fn directory(&self) -> &Path {
        self.folder.path()
    }

    /// What it was asked for so far.
    pub(super) fn requests(&self) -> Vec<RequestRecord> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Answers the requests of a connection until it ends.
fn serve(stream: UnixStream, all: &Mutex<Vec<RequestRecord>>) -> io::Result<()> {
    let mut to = stream.try_clone()?;
    let mut from = BufReader::new(stream);
    while let Some(head) = read_head(&mut from)? {
        let wants_more = head.header("expect").is_some_and(|value| value == "100-continue");
        if wants_more {
            to.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        let (body, length) = read_body(&mut from, &head)?;
        let path = head.path.split('?').next().unwrap_or_default();
        let record = RequestRecord {
            method: head.method.clone(),
            path: path.to_owned(),
            query: hide_in_query(head.path.split_once('?').map_or("", |(_, query)| query)),
            body: if length == body.len() as u64 { shown_body(&body) } else { None },
            body_bytes: Some(length).filter(|length| *length > 0),
            has_credentials: head
                .headers
                .iter()
                .any(|(name, value)| is_credential(name, value.as_bytes())),
        };
        {
            let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
            if all.len() < MOST {
                all.push(record);
            }
        }
        let plain = path.strip_prefix("/v").and_then(|rest| rest.split_once('/'));
        let answer = answers::answer(&head.method, plain.map_or(path, |(_, rest)| rest));
        to.write_all(&answer.write(head.method == "HEAD"))?;
        if matches!(answer, Answer::Hijacked) {
            return to.shutdown(Shutdown::Both);
        }
    }
    Ok(())
}

/// The first line and the headers of a request.
struct Head {
    method: String,
    path: String,
    headers: Vec<(String, String)>,
}

impl Head {
    fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }
}

fn read_head(from: &mut BufReader<UnixStream>) -> io::Result<Option<Head>> {
    let mut limited = from.take(MAX_HEAD);
    let mut line = || -> io::Result<Option<String>> {
        let mut line = String::new();
        let length = limited.read_line(&mut line)?;
        Ok((length > 0).then(|| line.trim_end().to_owned()))
    };
    let Some(first) = line()? else { return Ok(None) };
    let mut words = first.split(' ').map(str::to_owned);
    let (Some(method), Some(path)) = (words.next(), words.next()) else { return Ok(None) };
    let mut headers = Vec::new();
    loop {
        match line()?.as_deref() {
            None => return Ok(None),
            Some("") => return Ok(Some(Head { method, path, headers })),
            Some(line) => {
                let (name, value) = line.split_once(':').unwrap_or((line, ""));
                headers.push((name.to_owned(), value.trim().to_owned()));
            }
        }
    }
}

/// The beginning of a body, and its length.
fn read_body(from: &mut BufReader<UnixStream>, head: &Head) -> io::Result<(Vec<u8>, u64)> {
    let (mut kept, mut length) = (Vec::new(), 0);
    let chunked = head.header("transfer-encoding").is_some_and(|value| value.contains("chunked"));
    if !chunked {
        let given = head.header("content-length").and_then(|value| value.parse().ok());
        length += read_piece(from, given.unwrap_or(0), &mut kept)?;
        return Ok((kept, length));
    }
    loop {
        let mut line = String::new();
        from.take(MAX_HEAD).read_line(&mut line)?;
        let size = u64::from_str_radix(line.trim().split(';').next().unwrap_or_default(), 16);
        let size = size.map_err(io::Error::other)?;
        length += read_piece(from, size, &mut kept)?;
        from.take(MAX_HEAD).read_line(&mut String::new())?;
        if size == 0 {
            return Ok((kept, length));
        }
    }
}

fn read_piece(from: &mut impl Read, size: u64, kept: &mut Vec<u8>) -> io::Result<u64> {
    let room = (MAX_READ - kept.len()) as u64;
    let read = from.by_ref().take(size.min(room)).read_to_end(kept)? as u64;
    Ok(read + io::copy(&mut from.take(size - read), &mut io::sink())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_recorded_and_answered_one_after_the_other() {
        let server = StandIn::start().unwrap();
        let mut stream = UnixStream::connect(server.socket()).unwrap();
        let text = "HEAD /_ping HTTP/1.1\r\n\r\n\
                    POST /v1.47/auth HTTP/1.1\r\nX-Registry-Auth: abc\r\nContent-Length: 16\r\n\r\n\
                    {\"password\":\"x\"}\
                    POST /v1.47/build?t=a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n\
                    3\r\nabc\r\n0\r\n\r\n\
                    POST /v1.47/containers/x/attach HTTP/1.1\r\n\r\n";
        stream.write_all(text.as_bytes()).unwrap();
        let mut answers = String::new();
        stream.read_to_string(&mut answers).unwrap();
        assert_eq!(answers.matches("HTTP/1.1 200").count(), 3, "{answers}");
        assert!(answers.contains("HTTP/1.1 101"), "{answers}");
        let requests = server.requests();
        assert_eq!(requests.len(), 4);
        assert_eq!(requests[1].body.as_ref().unwrap()["password"], "***");
        assert!(requests[1].has_credentials && !requests[0].has_credentials);
        assert_eq!((requests[2].body_bytes, &*requests[2].query), (Some(3), "t=a"));
    }
}
