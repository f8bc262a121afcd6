//! As much of HTTP/1.1 as a client of a daemon on this host needs (RFC 9112).

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    os::unix::net::UnixStream,
    path::Path,
};

/// No daemon answers with more than this, in bytes.
const LONGEST: u64 = 4 << 20;

/// A connection, which is used for one request after the other.
pub(super) struct Http {
    stream: BufReader<UnixStream>,
}

/// An answer.
pub(super) struct Answer {
    /// Its status.
    pub(super) status: u16,
    body: Vec<u8>,
}

impl Answer {
    /// Its body, as text.
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Its body as JSON, of an answer with this status.
    pub(super) fn json(&self, status: u16) -> io::Result<serde_json::Value> {
        match self.status == status {
            true => Ok(serde_json::from_slice(&self.body)?),
            false => Err(io::Error::other(format!("{}: {}", self.status, self.text().trim()))),
        }
    }
}

/// What stands before a body.
struct Head {
    status: u16,
    length: Option<u64>,
    is_chunked: bool,
}

impl Http {
    /// Connects to the socket at `path`.
    pub(super) fn connect(path: &Path) -> io::Result<Self> {
        Ok(Self { stream: BufReader::new(UnixStream::connect(path)?) })
    }

    /// Asks for a resource.
    pub(super) fn request(&mut self, method: &str, path: &str) -> io::Result<Answer> {
        self.send(method, path, "", &[])?;
        self.answer(method != "HEAD")
    }

    /// Sends `body` and gives the answer.
    pub(super) fn post(&mut self, path: &str, kind: &str, body: &[u8]) -> io::Result<Answer> {
        let headers = format!("Content-Type: {kind}\r\n");
        self.send("POST", path, &headers, body)?;
        self.answer(true)
    }

    /// Asks, and waits for no more than the head of the answer, whose status must be 200.
    pub(super) fn begin(&mut self, path: &str) -> io::Result<PendingBody<'_>> {
        self.send("POST", path, "", &[])?;
        let head = self.head()?;
        match head.status {
            200 => Ok(PendingBody { http: self, head }),
            status => {
                let body = self.body(&head)?;
                Err(io::Error::other(Answer { status, body }.text()))
            }
        }
    }

    /// Makes the connection one of bytes, by the daemon's leave.
    pub(super) fn upgrade(mut self, path: &str) -> io::Result<BufReader<UnixStream>> {
        self.send("POST", path, "Connection: Upgrade\r\nUpgrade: tcp\r\n", &[])?;
        match self.head()?.status {
            101 => Ok(self.stream),
            status => Err(io::Error::other(format!("the daemon did not attach: {status}"))),
        }
    }

    fn send(&mut self, method: &str, path: &str, headers: &str, body: &[u8]) -> io::Result<()> {
        let length = body.len();
        let mut bytes = format!(
            "{method} /v1.41{path} HTTP/1.1\r\nHost: docker\r\n{headers}Content-Length: {length}\r\n\r\n"
        )
        .into_bytes();
        bytes.extend_from_slice(body);
        self.stream.get_mut().write_all(&bytes)
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        let count = (&mut self.stream).take(LONGEST).read_line(&mut line)?;
        match count {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(line.trim_end().to_owned()),
        }
    }

    fn head(&mut self) -> io::Result<Head> {
        let first = self.line()?;
        let status = first.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.ok_or_else(|| io::Error::other("it is not HTTP"))?;
        let mut head = Head { status, length: None, is_chunked: false };
        loop {
            let line = self.line()?.to_ascii_lowercase();
            match line.split_once(':').map(|(name, value)| (name, value.trim())) {
                None => return Ok(head),
                Some(("content-length", length)) => head.length = length.parse().ok(),
                Some(("transfer-encoding", "chunked")) => head.is_chunked = true,
                Some(_) => {}
            }
        }
    }

    fn body(&mut self, head: &Head) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        if !head.is_chunked {
            let length = head.length.unwrap_or(0).min(LONGEST);
            (&mut self.stream).take(length).read_to_end(&mut body)?;
            return Ok(body);
        }
        loop {
            let length = u64::from_str_radix(&self.line()?, 16).map_err(io::Error::other)?;
            if length > LONGEST.saturating_sub(body.len() as u64) {
                return Err(io::Error::other("the answer is too long"));
            }
            (&mut self.stream).take(length).read_to_end(&mut body)?;
            self.line()?;
            if length == 0 {
                return Ok(body);
            }
        }
    }

    fn answer(&mut self, has_body: bool) -> io::Result<Answer> {
        let head = self.head()?;
        let body = if has_body { self.body(&head)? } else { Vec::new() };
        Ok(Answer { status: head.status, body })
    }
}

/// An answer whose body comes later.
pub(super) struct PendingBody<'a> {
    http: &'a mut Http,
    head: Head,
}

impl PendingBody<'_> {
    /// Waits for the rest.
    pub(super) fn wait(self) -> io::Result<Answer> {
        let body = self.http.body(&self.head)?;
        Ok(Answer { status: self.head.status, body })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(bytes: &[u8]) -> io::Result<Answer> {
        let (own, mut daemon) = UnixStream::pair().unwrap();
        daemon.write_all(bytes).unwrap();
        drop(daemon);
        Http { stream: BufReader::new(own) }.answer(true)
    }

    #[test]
    fn a_body_is_as_long_as_its_head_says() {
        let answer = answered(b"HTTP/1.1 201 Created\r\nContent-Length: 3\r\n\r\nabcd").unwrap();
        assert_eq!((answer.status, &*answer.body), (201, &b"abc"[..]));
        let chunked =
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n";
        assert_eq!(answered(chunked).unwrap().body, b"abc");
    }

    #[test]
    fn a_daemon_that_says_nonsense_is_an_error() {
        for nonsense in [
            &b""[..],
            b"x",
            b"HTTP/1.1\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffff\r\n",
        ] {
            assert!(answered(nonsense).is_err(), "{nonsense:?}");
        }
    }
}
