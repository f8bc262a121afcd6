//! Downloads: a blob from a registry into the store.
//!
//! ```text
//!   there already?  ── yes ─> done
//!   GET, Range: bytes=OFFSET-  ── broken, stalled, busy ─> again, from where it broke
//!   all bytes, no more; digest right  ─> the blob has its name
//! ```

use std::time::Instant;

use image::{
    digest::Digest,
    store::{Ingest, Store, StoreError},
};
use ureq::http::{Method, StatusCode, header};

use super::{
    Failure, Progress,
    manifests::pull_scope,
    message::{BodyReader, Request, Response},
    retry::{ACHIEVEMENT, Retry},
    session::Session,
};

const PIECE: usize = 128 << 10;

/// Who sends fewer bytes than this within four times the idle time keeps the line and gives nothing.
const FEW: u64 = 4 << 10;

/// A blob that is wanted.
pub(super) struct Download<'a> {
    pub(super) session: &'a Session<'a>,
    pub(super) store: &'a Store,
    pub(super) repository: &'a str,
    pub(super) what: &'static str,
    pub(super) digest: &'a Digest,
    pub(super) size: u64,
    pub(super) progress: &'a dyn Progress,
    /// Learns how many bytes are there.
    pub(super) position: &'a dyn Fn(u64),
    /// Stops it, together with the progress.
    pub(super) is_stopped: &'a dyn Fn() -> bool,
}

impl Download<'_> {
    /// Fetches it, unless it is there.
    pub(super) fn run(&self) -> Result<(), Failure> {
        let Some(mut ingest) = self.store.ingest(self.digest, Some(self.size))? else {
            return self.check_size();
        };
        let mut was_resumed = ingest.offset() > 0;
        let mut retry = Retry::new(self.session.transport().options().backoff);
        let mut mark = ingest.offset();
        loop {
            if let Err(failure) = self.receive(&mut ingest) {
                if ingest.offset() >= mark + ACHIEVEMENT {
                    retry.reset();
                }
                // Never less: who begins anew and breaks in turn is not getting on.
                mark = mark.max(ingest.offset());
                retry.after(failure, self.progress)?;
                continue;
            }
            match ingest.commit() {
                // What was there before may have been the wrong part.
                Err(StoreError::WrongDigest { .. }) if was_resumed => was_resumed = false,
                other => return Ok(other?),
            }
            match self.store.ingest(self.digest, Some(self.size))? {
                Some(anew) => ingest = anew,
                None => return self.check_size(),
            }
        }
    }

    /// The same digest with another size is a lie of the manifest.
    fn check_size(&self) -> Result<(), Failure> {
        let found = self.store.blob(self.digest)?.map_or(self.size, |blob| blob.size);
        if found != self.size {
            let (digest, expected) = (self.digest.clone(), self.size);
            return Err(StoreError::WrongSize { digest, expected, found }.into());
        }
        Ok(())
    }

    fn receive(&self, ingest: &mut Ingest) -> Result<(), Failure> {
        if ingest.offset() == self.size {
            return Ok(());
        }
        let response = self.request(ingest)?;
        let left = self.size - ingest.offset();
        let host = response.url.authority().to_owned();
        if let Some(length) = response.length().filter(|length| *length != left) {
            let why =
                format!("it sends {length} bytes of the {}, and {left} are missing", self.what);
            return Err(Failure::protocol(&host, why));
        }
        self.copy(response.into_reader(), ingest)
    }

    /// An answer that begins at the ingest's offset.
    fn request(&self, ingest: &mut Ingest) -> Result<Response, Failure> {
        let url = format!("/v2/{}/blobs/{}", self.repository, self.digest);
        let mut request = Request::new(Method::GET, self.session.url(&url));
        if ingest.offset() > 0 {
            request = request.header(header::RANGE, format!("bytes={}-", ingest.offset()));
        }
        let response = self.session.send(request, &pull_scope(self.repository))?;
        match response.status {
            StatusCode::PARTIAL_CONTENT if begins_at(&response) == Some(ingest.offset()) => {
                Ok(response)
            }
            // A server may ignore the range (RFC 9110, 14.2).
            StatusCode::OK => {
                ingest.restart()?;
                Ok(response)
            }
            StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE
                if ingest.offset() > 0 =>
            {
                ingest.restart()?;
                self.request(ingest)
            }
            StatusCode::PARTIAL_CONTENT => {
                let why = "it sends a part that nobody asked for";
                Err(Failure::protocol(response.url.authority(), why))
            }
            _ => Err(self.session.rejected(response)),
        }
    }

    fn copy(&self, mut body: BodyReader, ingest: &mut Ingest) -> Result<(), Failure> {
        let window = self.session.transport().options().idle * 4;
        let mut piece = vec![0; PIECE];
        let (mut since, mut received) = (Instant::now(), 0);
        while ingest.offset() < self.size {
            if (self.is_stopped)() {
                return Err(Failure::Cancelled);
            }
            let left = usize::try_from(self.size - ingest.offset()).unwrap_or(usize::MAX);
            let length = body.read(&mut piece[..left.min(PIECE)])?;
            if length == 0 {
                let source = std::io::ErrorKind::UnexpectedEof.into();
                return Err(Failure::Broken { host: body.host().into(), source });
            }
            ingest.push(&piece[..length])?;
            (self.position)(ingest.offset());
            received += length as u64;
            if since.elapsed() > window {
                if received < FEW {
                    return Err(Failure::Stalled { host: body.host().into() });
                }
                (since, received) = (Instant::now(), 0);
            }
        }
        // This read also lets the connection be used again.
        match body.read(&mut piece[..1])? {
            0 => Ok(()),
            _ => Err(Failure::TooLarge { what: self.what, most: self.size }),
        }
    }
}

/// Where a part begins: `bytes 5-9/10`.
fn begins_at(response: &Response) -> Option<u64> {
    let range = response.header(header::CONTENT_RANGE)?.strip_prefix("bytes ")?;
    range.split_once('-')?.0.trim().parse().ok()
}
