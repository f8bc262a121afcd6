//! A session: requests to one registry, with authentication, and redirects followed with care.

use std::{
    borrow::Cow,
    sync::atomic::{AtomicBool, Ordering},
};

use image::reference::DEFAULT_REGISTRY;
use serde::Deserialize;
use ureq::http::{Method, StatusCode, header};

use super::{
    Failure,
    auth::Authenticator,
    challenge,
    message::{Request, Response},
    retry::retry_after,
    tls,
    transport::Transport,
    url::{self, Url},
};
use crate::text;

/// Where Docker's registry is.
const DEFAULT_HOST: &str = "registry-1.docker.io";

const MAX_REDIRECTS: usize = 5;
const MAX_ERROR: u64 = 64 << 10;

/// What is asked of one registry.
pub(super) struct Session<'c> {
    transport: &'c Transport,
    registry: String,
    base: Url,
    auth: Authenticator,
    reached: AtomicBool,
    challenged: AtomicBool,
}

/// The errors of a registry (OCI distribution specification, "Error Codes").
#[derive(Deserialize)]
struct Errors {
    errors: Vec<ErrorEntry>,
}

#[derive(Deserialize)]
struct ErrorEntry {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: Option<String>,
}

impl<'c> Session<'c> {
    /// Begins to talk to `registry`, as it is called in references.
    pub(super) fn open(transport: &'c Transport, registry: &str) -> Result<Self, Failure> {
        let host = if registry == DEFAULT_REGISTRY { DEFAULT_HOST } else { registry };
        let scheme = match scheme(transport, host)? {
            true => "https",
            false => "http",
        };
        let invalid = |why| Failure::Protocol { host: registry.into(), why: String::from(why) };
        Ok(Self {
            transport,
            registry: registry.into(),
            base: Url::parse(&format!("{scheme}://{host}/v2/")).map_err(invalid)?,
            auth: Authenticator::new(registry, &transport.options().credentials),
            reached: AtomicBool::new(false),
            challenged: AtomicBool::new(false),
        })
    }

    pub(super) fn transport(&self) -> &Transport {
        self.transport
    }

    pub(super) fn registry(&self) -> &str {
        &self.registry
    }

    /// The URL of `path` below `/v2/`. It is made of checked parts.
    pub(super) fn url(&self, path: &str) -> Url {
        self.base.join(path).expect("repositories, tags and digests are valid in a path")
    }

    /// Sends a request once, but with what a challenge asks for, and to where it is redirected.
    /// What the registry refuses for lack of rights and what could succeed later is an error.
    pub(super) fn send(&self, request: Request<'_>, scope: &str) -> Result<Response, Failure> {
        let mut request = request;
        let mut redirects = 0;
        let mut was_answered = false;
        loop {
            // Storage elsewhere must not see what is for the registry.
            let is_home = request.url.same_origin(&self.base);
            request.authorization = self.auth.header(scope).filter(|_| is_home);
            let response = self.transport.send(&request).map_err(|f| self.once_reached(f))?;
            self.reached.store(true, Ordering::Relaxed);
            match response.status {
                StatusCode::UNAUTHORIZED if is_home && !was_answered => {
                    was_answered = true;
                    if !self.answer(&request, &response, scope)? {
                        return Err(self.refusal(response));
                    }
                }
                StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN if is_home => {
                    return Err(self.refusal(response));
                }
                StatusCode::TOO_MANY_REQUESTS => return Err(self.busy(response)),
                StatusCode::NOT_IMPLEMENTED => return Err(self.rejected(response)),
                status if status.is_server_error() => return Err(self.busy(response)),
                status if status.is_redirection() => {
                    redirects += 1;
                    request.url = self.redirect(&request, &response, redirects)?;
                }
                _ => return Ok(response),
            }
        }
    }

    /// Sends a request whose answer must have one of these statuses.
    pub(super) fn expect(
        &self,
        request: Request<'_>,
        scope: &str,
        expected: &[StatusCode],
    ) -> Result<Response, Failure> {
        let response = self.send(request, scope)?;
        match expected.contains(&response.status) {
            true => Ok(response),
            false => Err(self.rejected(response)),
        }
    }

    fn answer(
        &self,
        sent: &Request<'_>,
        response: &Response,
        scope: &str,
    ) -> Result<bool, Failure> {
        self.challenged.store(true, Ordering::Relaxed);
        let values = response.headers.get_all(header::WWW_AUTHENTICATE);
        let challenges = challenge::read(values.iter().filter_map(|value| value.to_str().ok()));
        let sent = sent.authorization.as_ref();
        self.auth.answer(self.transport, &self.base, &challenges, scope, sent)
    }

    fn redirect(
        &self,
        request: &Request<'_>,
        response: &Response,
        redirects: usize,
    ) -> Result<Url, Failure> {
        let refused = |why| Failure::Redirect { host: request.url.authority().into(), why };
        if request.method != Method::GET && request.method != Method::HEAD {
            return Err(refused("only what is read may be elsewhere"));
        }
        if redirects > MAX_REDIRECTS {
            return Err(refused("there are too many redirects"));
        }
        self.location(response)
    }

    /// Where the answer says that it goes on.
    pub(super) fn location(&self, response: &Response) -> Result<Url, Failure> {
        let refused = |why| Failure::Redirect { host: response.url.authority().into(), why };
        let location = response.header(header::LOCATION);
        let location = location.ok_or_else(|| refused("it names no address"))?;
        let found = response.url.join(location).map_err(refused)?;
        if url::is_loopback(found.host()) && !url::is_loopback(self.base.host()) {
            return Err(refused("it would be on this machine"));
        }
        Ok(found)
    }

    /// A host that has answered before will perhaps answer again.
    fn once_reached(&self, failure: Failure) -> Failure {
        match failure {
            Failure::Unreachable { host, source } if self.reached.load(Ordering::Relaxed) => {
                Failure::Broken { host, source }
            }
            other => other,
        }
    }

    fn refusal(&self, response: Response) -> Failure {
        let is_forbidden = response.status == StatusCode::FORBIDDEN;
        if is_forbidden && !self.challenged.load(Ordering::Relaxed) {
            return self.rejected(response);
        }
        let (registry, detail) = (self.registry.clone(), self.detail(response));
        match self.auth.has_credential() {
            true => Failure::Denied { registry, detail },
            false => Failure::LoginNeeded { registry, detail },
        }
    }

    fn busy(&self, response: Response) -> Failure {
        let wait = response.header(header::RETRY_AFTER).and_then(retry_after);
        Failure::Busy { status: response.status.as_u16(), detail: self.detail(response), wait }
    }

    /// The error that an unexpected answer is.
    pub(super) fn rejected(&self, response: Response) -> Failure {
        Failure::Rejected { status: response.status.as_u16(), detail: self.detail(response) }
    }

    /// The registry's own words, without what a terminal would obey, and without our secrets.
    fn detail(&self, response: Response) -> String {
        const MOST: usize = 3;
        let bytes = response.into_bytes("error", MAX_ERROR).unwrap_or_default();
        let Ok(Errors { errors }) = serde_json::from_slice(&bytes) else { return String::new() };
        let text = |entry: &ErrorEntry| match entry.message.as_deref().unwrap_or_default() {
            "" => text::clean(&entry.code, 60),
            message => format!("{}: {}", text::clean(&entry.code, 60), text::clean(message, 300)),
        };
        let texts: Vec<String> = errors.iter().take(MOST).map(text).collect();
        let mut joined = Cow::from(texts.join("; "));
        for secret in self.auth.secrets() {
            if !secret.expose().is_empty() && joined.contains(secret.expose()) {
                joined = joined.replace(secret.expose(), "***").into();
            }
        }
        joined.into_owned()
    }
}

/// Whether the registry at `host` is asked over TLS. On this machine plain HTTP is as good, and is
/// spoken if the registry does not answer to TLS.
fn scheme(transport: &Transport, host: &str) -> Result<bool, Failure> {
    const HTTPS: u16 = 443;
    if transport.options().plain_http {
        return Ok(false);
    }
    if !url::is_loopback(host) {
        return Ok(true);
    }
    let (name, port) = url::split_port(host);
    match tls::answers(name, port.unwrap_or(HTTPS), transport.options().connect) {
        Ok(answers) => Ok(answers),
        Err(_) if port.is_none() => Ok(false),
        Err(source) => Err(Failure::Unreachable { host: host.into(), source }),
    }
}
