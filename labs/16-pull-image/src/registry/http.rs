//! The server's side of HTTP (RFC 9112): one request a connection.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{Shutdown, TcpStream},
    time::Duration,
};

use crate::Digest;

const PATIENCE: Duration = Duration::from_secs(2);
const LONGEST_HEAD: u64 = 16 << 10;

/// A request without a body.
pub(super) struct Head {
    pub(super) path: String,
    headers: Vec<(String, String)>,
}

impl Head {
    /// The value of a header; the name is in lower case.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| &**value)
    }
}

/// An answer.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Vec<u8>,
    /// The blob in the middle of which the connection is to break.
    pub(super) breaks: Option<Digest>,
}

impl Answer {
    pub(super) fn ok(body: Vec<u8>) -> Self {
        Self { status: 200, headers: Vec::new(), body, breaks: None }
    }

    /// As the distribution specification has errors told.
    pub(super) fn error(status: u16) -> Self {
        let code = match status {
            401 => "UNAUTHORIZED",
            416 => "SIZE_INVALID",
            _ => "NOT_FOUND",
        };
        let body = format!("{{\"errors\":[{{\"code\":\"{code}\"}}]}}");
        Self { status, ..Self::ok(body.into_bytes()) }
    }

    pub(super) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }
}

pub(super) struct Connection(TcpStream);

impl Connection {
    pub(super) fn new(stream: TcpStream) -> io::Result<Self> {
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self(stream))
    }

    pub(super) fn head(&mut self) -> io::Result<Head> {
        let invalid = || io::Error::from(io::ErrorKind::InvalidData);
        let mut lines = BufReader::new((&self.0).take(LONGEST_HEAD)).lines();
        let first = lines.next().ok_or_else(invalid)??;
        let path = first.strip_prefix("GET ").and_then(|rest| rest.split(' ').next());
        let path = path.ok_or_else(invalid)?.to_owned();
        let mut headers = Vec::new();
        for line in lines {
            let line = line?;
            let Some((name, value)) = line.split_once(':') else { break };
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        Ok(Head { path, headers })
    }

    /// Sends the answer, of its body so many bytes.
    pub(super) fn send(&mut self, answer: &Answer, bytes: usize) -> io::Result<()> {
        let mut head = format!("HTTP/1.1 {} -\r\nConnection: close\r\n", answer.status);
        for (name, value) in &answer.headers {
            head += &format!("{name}: {value}\r\n");
        }
        head += &format!("Content-Length: {}\r\n\r\n", answer.body.len());
        self.0.write_all(head.as_bytes())?;
        self.0.write_all(&answer.body[..bytes])
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.0.shutdown(Shutdown::Both);
    }
}
