//! Transport: one HTTP request, and its answer or why there is none.
//!
//! Nothing is followed, repeated or decompressed here; headers are bounded, and so is silence.

use std::{
    collections::HashMap,
    fmt,
    fs::File,
    io::{self, Read},
    os::unix::fs::FileExt as _,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use ureq::{
    Agent, AsSendBody, SendBody, Timeout,
    config::{AutoHeaderValue, Config},
    http::{self, HeaderMap, Method, StatusCode, header, request::Builder},
};

use super::{
    ClientOptions, Failure, tls,
    url::{self, Url},
};
use crate::{credentials::Secret, text};

/// Headers of all honest answers are smaller.
const MAX_HEADERS: usize = 64 << 10;

/// A registry verifies an upload before it answers.
const ANSWER_TO_UPLOAD: u32 = 20;

/// Bodies from here on wait for the registry to agree ("Expect: 100-continue"), so that it can
/// refuse without having received them.
const LARGE_BODY: u64 = 1 << 20;

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
    body: ureq::Body,
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
        let BodyReader { host, reader } = self.into_reader();
        let mut bytes = Vec::new();
        reader.take(most + 1).read_to_end(&mut bytes).map_err(|error| broken(&host, error))?;
        match bytes.len() as u64 > most {
            true => Err(Failure::TooLarge { what, most }),
            false => Ok(bytes),
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
        self.reader.read(buffer).map_err(|error| broken(&self.host, error))
    }

    pub(super) fn host(&self) -> &str {
        &self.host
    }
}

/// Sends requests, and keeps connections for the next ones.
#[derive(Debug)]
pub(super) struct Transport {
    options: ClientOptions,
    agents: Mutex<HashMap<AgentKind, Agent>>,
}

/// What an agent is made for. The system's certificates are read only for TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct AgentKind {
    secure: bool,
    loopback: bool,
}

impl Transport {
    pub(super) fn new(options: ClientOptions) -> Self {
        Self { options, agents: Mutex::default() }
    }

    pub(super) fn options(&self) -> &ClientOptions {
        &self.options
    }

    /// Sends `request`.
    pub(super) fn send(&self, request: &Request<'_>) -> Result<Response, Failure> {
        let agent = self.agent(&request.url)?;
        let mut builder =
            http::Request::builder().method(request.method.clone()).uri(request.url.uri().clone());
        for (name, value) in &request.headers {
            builder = builder.header(name, value);
        }
        if let Some(secret) = &request.authorization {
            builder = builder.header(header::AUTHORIZATION, secret.expose());
        }
        match request.body {
            Body::None => self.run(&agent, request, builder, ()),
            Body::Bytes(bytes) => {
                let (length, mut reader) = (bytes.len() as u64, bytes);
                self.run_with(&agent, request, builder, length, &mut reader)
            }
            Body::File(part) => {
                let (length, mut reader) = (part.end - part.offset, part);
                self.run_with(&agent, request, builder, length, &mut reader)
            }
        }
    }

    fn run_with(
        &self,
        agent: &Agent,
        request: &Request<'_>,
        builder: Builder,
        length: u64,
        reader: &mut dyn Read,
    ) -> Result<Response, Failure> {
        let mut builder = builder.header(header::CONTENT_LENGTH, length);
        if length >= LARGE_BODY {
            builder = builder.header(header::EXPECT, "100-continue");
        }
        self.run(agent, request, builder, SendBody::from_reader(reader))
    }

    fn run(
        &self,
        agent: &Agent,
        request: &Request<'_>,
        builder: Builder,
        body: impl AsSendBody,
    ) -> Result<Response, Failure> {
        let host = request.url.authority();
        let invalid = |_| Failure::protocol(host, "a value of its choice cannot be in a header");
        let built = builder.body(body).map_err(invalid)?;
        let has_body = !matches!(request.body, Body::None);
        let idle = self.options.idle;
        let wait = if has_body { idle * ANSWER_TO_UPLOAD } else { idle };
        let built = agent
            .configure_request(built)
            .timeout_per_read(Some(wait))
            .timeout_recv_response(Some(wait * 2))
            .build();
        let response = agent.run(built).map_err(|error| failure(host, error))?;
        let (parts, body) = response.into_parts();
        Ok(Response {
            url: request.url.clone(),
            status: parts.status,
            headers: parts.headers,
            body,
        })
    }

    fn agent(&self, url: &Url) -> Result<Agent, Failure> {
        let kind = AgentKind { secure: url.is_secure(), loopback: url::is_loopback(url.host()) };
        let mut agents = self.agents.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(agent) = agents.get(&kind) {
            return Ok(agent.clone());
        }
        let options = &self.options;
        let mut config = Config::builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .accept_encoding(AutoHeaderValue::None)
            .user_agent(&*options.user_agent)
            .max_response_header_size(MAX_HEADERS)
            .timeout_resolve(Some(options.connect))
            .timeout_connect(Some(options.connect))
            .timeout_per_read(Some(options.idle))
            .timeout_per_write(Some(options.idle));
        if kind.loopback {
            // As for curl and Docker: a proxy elsewhere has another loopback.
            config = config.proxy(None);
        }
        if kind.secure {
            config = config.tls_config(tls::config(options.cacert.as_deref())?);
        }
        let agent = config.build().new_agent();
        agents.insert(kind, agent.clone());
        Ok(agent)
    }
}

/// Why reading a body failed.
fn broken(host: &str, error: io::Error) -> Failure {
    failure(host, error.into())
}

fn failure(host: &str, error: ureq::Error) -> Failure {
    let unreachable = |source| Failure::Unreachable { host: host.into(), source };
    match error {
        ureq::Error::Io(source) => {
            let inner = source.get_ref().and_then(|inner| inner.downcast_ref());
            if let Some(error) = inner {
                return tls::failure(host, error);
            }
            match source.kind() {
                io::ErrorKind::ConnectionRefused
                | io::ErrorKind::HostUnreachable
                | io::ErrorKind::NetworkUnreachable => unreachable(source),
                io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => {
                    Failure::Stalled { host: host.into() }
                }
                _ => Failure::Broken { host: host.into(), source },
            }
        }
        ureq::Error::Rustls(error) => tls::failure(host, &error),
        ureq::Error::Timeout(Timeout::Connect | Timeout::Resolve) => {
            unreachable(io::ErrorKind::TimedOut.into())
        }
        ureq::Error::Timeout(_) | ureq::Error::BodyStalled => {
            Failure::Stalled { host: host.into() }
        }
        ureq::Error::HostNotFound => unreachable(io::Error::other("host not found")),
        ureq::Error::ConnectionFailed => unreachable(io::Error::other("connection failed")),
        ureq::Error::LargeResponseHeader(..) => {
            Failure::protocol(host, format!("its headers have more than {MAX_HEADERS} bytes"))
        }
        ureq::Error::Protocol(error) => {
            Failure::protocol(host, text::clean(&error.to_string(), 200))
        }
        // Their texts contain the proxy's URL, which may hold a password.
        ureq::Error::ConnectProxyFailed(_) | ureq::Error::InvalidProxyUrl => {
            unreachable(io::Error::other("the proxy of http_proxy or https_proxy failed"))
        }
        _ => Failure::protocol(host, "the request could not be made"),
    }
}

/// How long a request may wait before it counts as silent.
pub(super) const IDLE: Duration = Duration::from_secs(30);

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
