//! A small HTTP server (RFC 9112): one request a connection, bodies with a Content-Length. The lesson
//! is the daemon behind it.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    os::unix::net::UnixStream,
};

use serde_json::{Value, json};

/// What the request line and all headers may take together, and what a body may.
const MOST_HEADERS: u64 = 64 << 10;
const LARGEST_BODY: u64 = 1 << 20;

/// What a client asks for.
#[derive(Debug)]
pub(crate) struct Request {
    /// `GET` and the like.
    pub(crate) method: String,
    /// The path, without the query.
    pub(crate) path: String,
    /// What stands behind `?`.
    pub(crate) query: String,
    /// The body.
    pub(crate) body: Vec<u8>,
}

impl Request {
    /// Reads one, as slowly as it comes.
    pub(crate) fn read(client: &UnixStream) -> io::Result<Self> {
        let mut head = BufReader::new(client).take(MOST_HEADERS);
        let line = line(&mut head)?;
        let mut words = line.split_whitespace();
        let (Some(method), Some(target)) = (words.next(), words.next()) else {
            return Err(invalid(format!("{line:?} is not a request in HTTP")));
        };
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let (method, path, query) = (method.to_owned(), path.to_owned(), query.to_owned());
        let mut length = 0;
        loop {
            let header = self::line(&mut head)?;
            let Some((name, value)) = header.split_once(':') else { break };
            if name.eq_ignore_ascii_case("Content-Length") {
                length = value.trim().parse().map_err(|_| invalid(header.clone()))?;
            }
        }
        if length > LARGEST_BODY {
            return Err(invalid(format!("a body of {length} bytes")));
        }
        let mut body = vec![0; length as usize];
        head.into_inner().read_exact(&mut body)?;
        Ok(Self { method, path, query, body })
    }
}

/// A line without its end; a client that is gone before that is an error.
fn line(head: &mut impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    head.read_line(&mut line)?;
    let whole = line.strip_suffix('\n').ok_or(io::ErrorKind::UnexpectedEof)?;
    Ok(whole.trim_end().to_owned())
}

fn invalid(why: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Response {
    status: u16,
    kind: &'static str,
    body: Vec<u8>,
}

impl Response {
    pub(crate) fn json(status: u16, value: &Value) -> Self {
        Self { status, kind: "application/json", body: format!("{value}\n").into_bytes() }
    }

    pub(crate) fn text(body: Vec<u8>) -> Self {
        Self { status: 200, kind: "text/plain; charset=utf-8", body }
    }

    pub(crate) fn empty(status: u16) -> Self {
        Self { status, kind: "text/plain", body: Vec::new() }
    }

    /// An error as Docker's clients expect it.
    pub(crate) fn message(status: u16, message: &str) -> Self {
        Self::json(status, &json!({ "message": message }))
    }

    pub(crate) fn write(&self, mut client: &UnixStream) -> io::Result<()> {
        let reason = match self.status {
            200 => "OK",
            201 => "Created",
            204 => "No Content",
            304 => "Not Modified",
            400 => "Bad Request",
            404 => "Not Found",
            409 => "Conflict",
            _ => "Internal Server Error",
        };
        let mut text = format!("HTTP/1.1 {} {reason}\r\nConnection: close\r\n", self.status);
        // Answers with these numbers have no body (RFC 9110, section 6.4.1).
        if ![204, 304].contains(&self.status) {
            let length = self.body.len();
            text += &format!("Content-Type: {}\r\nContent-Length: {length}\r\n", self.kind);
        }
        client.write_all(format!("{text}\r\n").as_bytes())?;
        client.write_all(&self.body)
    }
}
