//! A small HTTP client (RFC 9112): one request a connection, bodies with a Content-Length. The lesson
//! is the protocol above it.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::TcpStream,
    time::Duration,
};

/// No server is waited for longer than that.
const PATIENCE: Duration = Duration::from_secs(5);
/// What all header lines together may take.
const MOST_HEADERS: u64 = 64 << 10;

/// An answer. It is read like a file; a connection that breaks before the end of the body is an error of
/// the kind `UnexpectedEof`, after all bytes that came.
#[derive(Debug)]
pub struct Response {
    /// 200 and the like.
    pub status: u16,
    headers: Vec<(String, String)>,
    body: BufReader<TcpStream>,
    left: u64,
}

/// Sends `GET path` with these headers to `server`, which is `HOST:PORT`.
///
/// # Errors
///
/// When nobody answers, or not in HTTP.
pub fn get(server: &str, path: &str, headers: &[(&str, &str)]) -> io::Result<Response> {
    if path.contains([' ', '\r', '\n']) {
        return Err(invalid(format!("{path:?} is not the path of a request")));
    }
    let mut request = format!("GET {path} HTTP/1.1\r\nHost: {server}\r\nConnection: close\r\n");
    for (name, value) in headers {
        if format!("{name}{value}").contains(['\r', '\n']) {
            return Err(invalid(format!("{name:?} is not a header of one line")));
        }
        request += &format!("{name}: {value}\r\n");
    }
    let mut stream = TcpStream::connect(server)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(format!("{request}\r\n").as_bytes())?;
    Response::read(stream)
}

impl Response {
    fn read(stream: TcpStream) -> io::Result<Self> {
        let mut head = BufReader::new(stream).take(MOST_HEADERS);
        let mut line = String::new();
        head.read_line(&mut line)?;
        let status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.ok_or_else(|| invalid(format!("{line:?} is not an answer in HTTP")))?;
        let mut headers = Vec::new();
        loop {
            line.clear();
            if head.read_line(&mut line)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            match line.trim_end().split_once(':') {
                Some((name, value)) => {
                    headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
                }
                None => break,
            }
        }
        let mut response = Self { status, headers, body: head.into_inner(), left: 0 };
        let length = response.header("Content-Length").and_then(|length| length.parse().ok());
        response.left = length.unwrap_or(0);
        Ok(response)
    }

    /// The value of the header of that name.
    pub fn header(&self, name: &str) -> Option<&str> {
        let same = |(found, _): &&(String, String)| found.eq_ignore_ascii_case(name);
        self.headers.iter().find(same).map(|(_, value)| &**value)
    }
}

impl Read for Response {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let read = self.body.read(&mut buffer[..most])?;
        if read == 0 && most > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.left -= read as u64;
        Ok(read)
    }
}

fn invalid(why: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}
