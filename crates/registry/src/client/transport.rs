//! Transport: one HTTP request, and its answer or why there is none.
//!
//! Nothing is followed, repeated or decompressed here; headers are bounded, and so is silence.

use std::{
    collections::HashMap,
    io::{self, Read},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use ureq::{
    Agent, AsSendBody, SendBody,
    config::{AutoHeaderValue, Config},
    http::{self, header, request::Builder},
};

use super::{
    ClientOptions, Failure,
    http_error::{self, MAX_HEADERS},
    message::{Body, Request, Response},
    tls,
    url::{self, Url},
};

/// How long a server may say nothing.
pub(super) const IDLE: Duration = Duration::from_secs(30);

/// A registry verifies an upload before it answers.
const ANSWER_TO_UPLOAD: u32 = 20;

/// So many times the idle time a manifest, a token or an error may take.
const SMALL_BODY: u32 = 10;

/// Bodies from here on wait for the registry to agree ("Expect: 100-continue"), so that it can
/// refuse without having received them.
const LARGE_BODY: u64 = 1 << 20;

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
        let proxy = agent.config().proxy();
        let has_proxy = proxy.is_some_and(|proxy| !proxy.is_no_proxy(request.url.uri()));
        let response =
            agent.run(built).map_err(|error| match http_error::failure(host, error) {
                Failure::Unreachable { host, source } if has_proxy => {
                    let source = format!("{source}, by the proxy that the environment names");
                    Failure::Unreachable { host, source: io::Error::other(source) }
                }
                other => other,
            })?;
        let (parts, body) = response.into_parts();
        Ok(Response {
            url: request.url.clone(),
            status: parts.status,
            headers: parts.headers,
            body,
            deadline: Instant::now() + idle * SMALL_BODY,
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
