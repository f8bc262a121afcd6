//! Uploads: a blob from the store to a registry.
//!
//! ```text
//!   HEAD                 ── 200 ─> the registry has it
//!   POST ?mount=..&from= ── 201 ─> the registry took it from another repository
//!   POST                 ── 202, Location
//!   PUT Location?digest= ── 201 ─> all bytes in one request
//!       broke: GET Location ── Range: 0-N ─> PATCH the rest, PUT ?digest=
//! ```

use std::{fs::File, io};

use image::{
    digest::Digest,
    reference::Reference,
    store::{Store, StoreError},
};
use ureq::http::{Method, StatusCode, header};

use super::{
    Failure, Progress,
    manifests::content_digest,
    message::{Body, FilePart, Observer, Request, Response},
    origins,
    retry::{ACHIEVEMENT, Retry},
    session::Session,
    url::Url,
};

const OCTETS: &str = "application/octet-stream";

/// How large the pieces are for a registry to which the whole is too large for one request.
const CHUNK: u64 = 8 << 20;

/// How many other repositories a registry is asked to take a blob from.
const MOST_MOUNTS: usize = 2;

/// How a blob came to be in the registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Existed,
    Mounted,
    Sent,
}

/// A blob that a registry shall have.
pub(super) struct Upload<'a> {
    pub(super) session: &'a Session<'a>,
    pub(super) store: &'a Store,
    pub(super) target: &'a Reference,
    pub(super) scope: &'a str,
    pub(super) digest: &'a Digest,
    pub(super) size: u64,
    pub(super) progress: &'a dyn Progress,
    /// Learns how many bytes were sent.
    pub(super) position: &'a dyn Fn(u64),
    /// Stops it, together with the progress.
    pub(super) is_stopped: &'a dyn Fn() -> bool,
}

/// What is known about an upload that broke.
#[derive(Default)]
struct State {
    location: Option<Url>,
    /// Whether the registry refused the whole in one request.
    is_chunked: bool,
    /// How many bytes the registry said that it has.
    confirmed: u64,
}

impl Upload<'_> {
    /// Sends it, unless it is there.
    pub(super) fn run(&self) -> Result<Outcome, Failure> {
        let mut retry = Retry::new(self.session.transport().options().backoff);
        let mut state = State::default();
        loop {
            if (self.is_stopped)() {
                return Err(Failure::Cancelled);
            }
            let before = state.confirmed;
            match self.attempt(&mut state) {
                Ok(outcome) => {
                    origins::add(self.store, self.digest, &self.target.name());
                    return Ok(outcome);
                }
                Err(failure) => {
                    if state.confirmed >= before + ACHIEVEMENT {
                        retry.reset();
                    }
                    retry.after(failure, self.progress)?;
                }
            }
        }
    }

    fn attempt(&self, state: &mut State) -> Result<Outcome, Failure> {
        // After an answer that was lost, it may be there.
        if self.exists()? {
            return Ok(Outcome::Existed);
        }
        let what = "layer or config";
        let missing = || StoreError::NoBlob { what, digest: self.digest.clone() };
        let blob = self.store.blob(self.digest)?.ok_or_else(missing)?;
        let resumed = match state.location.take() {
            Some(location) => self.status(location)?,
            None => None,
        };
        let (location, offset) = match resumed {
            Some(resumed) => resumed,
            None => match self.begin()? {
                Some(location) => (location, 0),
                None => return Ok(Outcome::Mounted),
            },
        };
        state.location = Some(location.clone());
        // Never less: a registry that forgets and remembers in turn is not getting on.
        state.confirmed = state.confirmed.max(offset);
        let location = if offset == 0 && !state.is_chunked {
            let part = self.part(&blob.file, 0, self.size);
            let response = self.finish(&location, Body::File(part))?;
            match response.status {
                StatusCode::CREATED => return self.done(&response),
                StatusCode::PAYLOAD_TOO_LARGE if self.size > CHUNK => {
                    state.is_chunked = true;
                    self.begin()?.ok_or_else(|| self.session.rejected(response))?
                }
                _ => return Err(self.session.rejected(response)),
            }
        } else {
            location
        };
        self.send_chunks(location, offset, &blob.file, state)
    }

    fn exists(&self) -> Result<bool, Failure> {
        let path = format!("/v2/{}/blobs/{}", self.target.repository(), self.digest);
        let request = Request::new(Method::HEAD, self.session.url(&path));
        let response = self.session.send(request, self.scope)?;
        match response.status {
            StatusCode::OK => Ok(true),
            StatusCode::NOT_FOUND => Ok(false),
            _ => Err(self.session.rejected(response)),
        }
    }

    /// Where to send it; `None` if the registry took it from another repository.
    fn begin(&self) -> Result<Option<Url>, Failure> {
        let path = format!("/v2/{}/blobs/uploads/", self.target.repository());
        let url = self.session.url(&path);
        let digest = self.digest.to_string();
        for from in origins::others(self.store, self.digest, self.target).iter().take(MOST_MOUNTS) {
            let url = url.with_query(&[("mount", &digest), ("from", from)]);
            let scope = format!("{} repository:{from}:pull", self.scope);
            let request = Request::new(Method::POST, url).body(Body::Bytes(b""));
            match self.session.send(request, &scope) {
                Ok(response) if response.status == StatusCode::CREATED => return Ok(None),
                Ok(response) if response.status == StatusCode::ACCEPTED => {
                    return self.session.location(&response).map(Some);
                }
                // Without the right to read there, or without mounts: it is sent.
                Ok(_) => {}
                Err(failure) if failure.is_transient() => return Err(failure),
                Err(_) => {}
            }
        }
        let request = Request::new(Method::POST, url).body(Body::Bytes(b""));
        let response = self.session.expect(request, self.scope, &[StatusCode::ACCEPTED])?;
        self.session.location(&response).map(Some)
    }

    /// Where an upload goes on, and how many bytes the registry has; `None` if it knows no more of
    /// it.
    fn status(&self, location: Url) -> Result<Option<(Url, u64)>, Failure> {
        let response =
            self.session.send(Request::new(Method::GET, location.clone()), self.scope)?;
        if response.status != StatusCode::NO_CONTENT && response.status != StatusCode::ACCEPTED {
            return Ok(None);
        }
        let Some(offset) = offset(&response).filter(|offset| *offset <= self.size) else {
            return Ok(None);
        };
        let location = self.session.location(&response).unwrap_or(location);
        Ok(Some((location, offset)))
    }

    fn send_chunks(
        &self,
        mut location: Url,
        mut offset: u64,
        file: &File,
        state: &mut State,
    ) -> Result<Outcome, Failure> {
        while offset < self.size {
            let most = if state.is_chunked { CHUNK } else { u64::MAX };
            let end = self.size.min(offset.saturating_add(most));
            let request = Request::new(Method::PATCH, location.clone())
                .header(header::CONTENT_TYPE, OCTETS)
                .header(header::CONTENT_RANGE, format!("{offset}-{}", end - 1))
                .body(Body::File(self.part(file, offset, end)));
            let response = self.session.expect(
                request,
                self.scope,
                &[StatusCode::ACCEPTED, StatusCode::NO_CONTENT],
            )?;
            location = self.session.location(&response)?;
            state.location = Some(location.clone());
            offset = end;
        }
        let response = self.finish(&location, Body::Bytes(b""))?;
        match response.status {
            StatusCode::CREATED => self.done(&response),
            _ => Err(self.session.rejected(response)),
        }
    }

    fn finish(&self, location: &Url, body: Body<'_>) -> Result<Response, Failure> {
        let url = location.with_query(&[("digest", &self.digest.to_string())]);
        let request =
            Request::new(Method::PUT, url).header(header::CONTENT_TYPE, OCTETS).body(body);
        self.session.send(request, self.scope)
    }

    fn done(&self, response: &Response) -> Result<Outcome, Failure> {
        match content_digest(response)? {
            Some(claimed) if claimed != *self.digest => {
                let (claimed, found) = (self.digest.to_string(), claimed.to_string());
                Err(Failure::Digest { what: "blob", claimed, found })
            }
            _ => Ok(Outcome::Sent),
        }
    }

    fn part<'p>(&'p self, file: &'p File, offset: u64, end: u64) -> FilePart<'p> {
        FilePart { file, offset, end, position: self }
    }
}

impl Observer for Upload<'_> {
    fn read_up_to(&self, position: u64) -> io::Result<()> {
        (self.position)(position);
        match (self.is_stopped)() {
            true => Err(io::Error::other("cancelled")),
            false => Ok(()),
        }
    }
}

/// How many bytes a registry has: `Range: 0-9` means ten, but `0-0` is also said of none.
fn offset(response: &Response) -> Option<u64> {
    let range = response.header(header::RANGE)?;
    let last: u64 = range.trim_start_matches("bytes=").strip_prefix("0-")?.parse().ok()?;
    (last > 0).then(|| last.checked_add(1))?
}
