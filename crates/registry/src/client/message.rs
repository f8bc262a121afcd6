//! Messages: what a request sends, and what its answer is.

use std::{
    fmt,
    fs::File,
    io::{self, Read},
    os::unix::fs::FileExt as _,
    time::Instant,
};

use ureq::http::{HeaderMap, Method, StatusCode, header};

use super::{Failure, http_error, url::Url};
use crate::credentials::Secret;

/// One request.
#[derive(Debug)]
pub(super) struct Request<'a> {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: Vec<(header::HeaderName, String)>,
    pub(super) authorization: Option<Secret>,
    pub(super) body: Body<'a>,
}

/// What a request sends.
#[derive(Clone, Copy)]
pub(super) enum Body<'a> {
    /// Nothing.
    None,
    /// These bytes.
    Bytes(&'a [u8]),
    /// A part of a file, read every time that the request is sent.
    File(FilePart<'a>),
}

/// The bytes of a file from an offset up to another.
#[derive(Clone, Copy)]
pub(super) struct FilePart<'a> {
    pub(super) file: &'a File,
    pub(super) offset: u64,
    pub(super) end: u64,
    pub(super) position: &'a dyn Observer,
}

/// Learns how far a file was read, and can stop that.
pub(super) trait Observer {
    fn read_up_to(&self, position: u64) -> io::Result<()>;
}

impl Read for FilePart<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end - self.offset).unwrap_or(usize::MAX);
        let most = left.min(buffer.len());
        let length = self.file.read_at(&mut buffer[..most], self.offset)?;
        self.offset += length as u64;
        self.position.read_up_to(self.offset)?;
        Ok(length)
    }
}

impl fmt::Debug for Body<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The bytes may be a token.
        formatter.write_str("Body")
    }
}

impl<'a> Request<'a> {
    pub(super) fn new(method: Method, url: Url) -> Self {
        Self { method, url, headers: Vec::new(), authorization: None, body: Body::None }
    }

    #[must_use]
    pub(super) fn header(mut self, name: header::HeaderName, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    #[must_use]
    pub(super) fn body(self, body: Body<'a>) -> Self {
        Self { body, ..self }
    }
}

/// The answer to a request.
pub(super) struct Response {
    pub(super) url: Url,
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: ureq::Body,
    /// Until when a small body must be there; each byte of it could take its time.
    pub(super) deadline: Instant,
}

impl Response {
    /// The header of this name, if it is there, is text, and stands there once.
    pub(super) fn header(&self, name: impl header::AsHeaderName) -> Option<&str> {
        let mut values = self.headers.get_all(name).iter();
        let only = values.next()?;
        values.next().is_none().then(|| only.to_str().ok())?
    }

    /// How long the body is, if the server says so.
    pub(super) fn length(&self) -> Option<u64> {
        self.header(header::CONTENT_LENGTH)?.parse().ok()
    }

    /// The body, for whoever counts its bytes.
    pub(super) fn into_reader(self) -> BodyReader {
        let reader = self.body.into_with_config().limit(u64::MAX).reader();
        BodyReader { host: self.url.authority().into(), reader }
    }

    /// The whole body, which may have at most `most` bytes.
    pub(super) fn into_bytes(self, what: &'static str, most: u64) -> Result<Vec<u8>, Failure> {
        if self.length().is_some_and(|length| length > most) {
            return Err(Failure::TooLarge { what, most });
        }
        let deadline = self.deadline;
        let mut reader = self.into_reader();
        let (mut bytes, mut piece) = (Vec::new(), [0; 8 << 10]);
        loop {
            let length = reader.read(&mut piece)?;
            bytes.extend(&piece[..length]);
            if bytes.len() as u64 > most {
                return Err(Failure::TooLarge { what, most });
            }
            if length == 0 {
                return Ok(bytes);
            }
            if Instant::now() > deadline {
                return Err(Failure::Stalled { host: reader.host });
            }
        }
    }
}

/// The body of an answer.
pub(super) struct BodyReader {
    host: String,
    reader: ureq::BodyReader<'static>,
}

impl BodyReader {
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Failure> {
        self.reader.read(buffer).map_err(|error| http_error::failure(&self.host, error.into()))
    }

    pub(super) fn host(&self) -> &str {
        &self.host
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_does_not_show_what_it_sends() {
        let url = Url::parse("https://r.example/x?sig=sEcReT").unwrap();
        let mut request = Request::new(Method::POST, url).body(Body::Bytes(b"token=sEcReT"));
        request.authorization = Some(Secret::new("Bearer sEcReT"));
        assert!(!format!("{request:?}").contains("sEcReT"));
    }
}
