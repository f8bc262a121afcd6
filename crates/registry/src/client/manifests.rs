//! Manifests and indexes in a registry: each is read as a whole, and named by the digest of its
//! bytes.

use image::{
    digest::{Digest, Digester},
    manifest::{
        DOCKER_INDEX, DOCKER_MANIFEST, Document, MAX_BYTES, OCI_INDEX, OCI_MANIFEST, descriptor,
    },
    reference::Reference,
    store::Store,
};
use oci_spec::image::Descriptor;
use serde::Deserialize;
use ureq::http::{Method, StatusCode, header};

use super::{
    Failure, Progress,
    message::{Body, Request, Response},
    retry::Retry,
    session::Session,
};

/// The registry's own name for what it sends.
pub(super) const CONTENT_DIGEST: &str = "docker-content-digest";

/// Tags that an error names.
const MOST_TAGS: usize = 10;

const WHAT: &str = "manifest";

/// A manifest or an index.
pub(super) struct Fetched {
    pub(super) descriptor: Descriptor,
    pub(super) digest: Digest,
    pub(super) document: Document,
    pub(super) bytes: Vec<u8>,
}

impl Fetched {
    /// Puts its bytes into the store.
    pub(super) fn keep(&self, store: &Store) -> Result<(), Failure> {
        if let Some(mut ingest) = store.ingest(&self.digest, Some(self.bytes.len() as u64))? {
            ingest.restart()?;
            ingest.push(&self.bytes)?;
            ingest.commit()?;
        }
        Ok(())
    }

    fn read(bytes: Vec<u8>, digest: Digest, media_type: Option<&str>) -> Result<Self, Failure> {
        let document = Document::read(&bytes, media_type)?;
        let media_type = media_type.map_or_else(|| media_type_of(&document), str::to_owned);
        let descriptor = descriptor(&media_type, &digest, bytes.len() as u64);
        Ok(Self { descriptor, digest, document, bytes })
    }
}

/// What a document without a media type is.
fn media_type_of(document: &Document) -> String {
    let (said, usual) = match document {
        Document::Manifest(manifest) => (manifest.media_type(), OCI_MANIFEST),
        Document::Index(index) => (index.media_type(), OCI_INDEX),
    };
    said.as_ref().map_or_else(|| usual.into(), ToString::to_string)
}

pub(super) fn path(repository: &str, identifier: &str) -> String {
    format!("/v2/{repository}/manifests/{identifier}")
}

/// The scope of who reads `repository`.
pub(super) fn pull_scope(repository: &str) -> String {
    format!("repository:{repository}:pull")
}

/// What `reference` names in its registry. What is named by a digest may be in the store already.
pub(super) fn fetch(
    session: &Session<'_>,
    store: &Store,
    reference: &Reference,
    progress: &dyn Progress,
) -> Result<Fetched, Failure> {
    if let Some(digest) = reference.digest()
        && let Some(blob) = store.blob(digest)?
        && blob.size <= MAX_BYTES
    {
        let size = blob.size;
        // One that was damaged on the disk is fetched again by nobody: the store says so.
        return Fetched::read(blob.read_verified(digest, size)?, digest.clone(), None);
    }
    let mut retry = Retry::new(session.transport().options().backoff);
    loop {
        match get(session, reference) {
            Ok(fetched) => return Ok(fetched),
            Err(failure) => retry.after(failure, progress)?,
        }
    }
}

fn get(session: &Session<'_>, reference: &Reference) -> Result<Fetched, Failure> {
    let repository = reference.repository();
    let accepted = [OCI_INDEX, OCI_MANIFEST, DOCKER_INDEX, DOCKER_MANIFEST].join(", ");
    let url = session.url(&path(repository, &reference.identifier()));
    let request = Request::new(Method::GET, url).header(header::ACCEPT, accepted);
    let response = session.send(request, &pull_scope(repository))?;
    match response.status {
        StatusCode::OK => {}
        StatusCode::NOT_FOUND => return Err(not_found(session, reference)),
        _ => return Err(session.rejected(response)),
    }
    let claimed = content_digest(&response)?;
    let media_type = response.header(header::CONTENT_TYPE).map(bare_type);
    let media_type = media_type.filter(|media_type| !media_type.is_empty());
    let bytes = response.into_bytes(WHAT, MAX_BYTES)?;
    for expected in [reference.digest(), claimed.as_ref()].into_iter().flatten() {
        check(&bytes, expected)?;
    }
    let digest = reference.digest().cloned().unwrap_or_else(|| Digest::of(&bytes));
    Fetched::read(bytes, digest, media_type.as_deref())
}

/// `application/json; charset=utf-8` without the parameter.
fn bare_type(value: &str) -> String {
    value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// What the registry says that the digest is.
pub(super) fn content_digest(response: &Response) -> Result<Option<Digest>, Failure> {
    let invalid = |_| Failure::protocol(response.url.authority(), "its digest is not a digest");
    response.header(CONTENT_DIGEST).map(str::parse).transpose().map_err(invalid)
}

fn check(bytes: &[u8], expected: &Digest) -> Result<(), Failure> {
    let mut digester = Digester::new(expected.algorithm());
    digester.update(bytes);
    let found = digester.finish();
    if found != *expected {
        let (claimed, found) = (expected.to_string(), found.to_string());
        return Err(Failure::Digest { what: WHAT, claimed, found });
    }
    Ok(())
}

/// The error of a missing image, with the tags that there are, if the registry tells.
fn not_found(session: &Session<'_>, reference: &Reference) -> Failure {
    let repository = reference.repository();
    let tags = tags_page(session, repository).unwrap_or_default();
    let separator = if reference.digest().is_some() { '@' } else { ':' };
    let name = format!("{repository}{separator}{}", reference.identifier());
    Failure::NotFound { registry: session.registry().into(), name, tags }
}

#[derive(Deserialize)]
struct Tags {
    #[serde(default)]
    tags: Option<Vec<String>>,
}

fn tags_page(session: &Session<'_>, repository: &str) -> Result<Vec<String>, Failure> {
    let url = session.url(&format!("/v2/{repository}/tags/list?n={MOST_TAGS}"));
    let request = Request::new(Method::GET, url);
    let response = session.expect(request, &pull_scope(repository), &[StatusCode::OK])?;
    Ok(read_tags(response)?.into_iter().take(MOST_TAGS).collect())
}

/// The tags in an answer; what is not a tag is left out.
pub(super) fn read_tags(response: Response) -> Result<Vec<String>, Failure> {
    let host = response.url.authority().to_owned();
    let bytes = response.into_bytes("list of tags", MAX_BYTES)?;
    let found: Tags = serde_json::from_slice(&bytes)
        .map_err(|_| Failure::protocol(&host, "its list of tags is not one"))?;
    let tags = found.tags.unwrap_or_default().into_iter();
    Ok(tags.filter(|tag| image::reference::is_tag(tag)).collect())
}

/// Sends a manifest or an index under `identifier`.
pub(super) fn put(
    session: &Session<'_>,
    repository: &str,
    identifier: &str,
    fetched: &Fetched,
    scope: &str,
) -> Result<(), Failure> {
    let url = session.url(&path(repository, identifier));
    let request = Request::new(Method::PUT, url)
        .header(header::CONTENT_TYPE, fetched.descriptor.media_type().to_string())
        .body(Body::Bytes(&fetched.bytes));
    let response = session.expect(request, scope, &[StatusCode::CREATED, StatusCode::OK])?;
    match content_digest(&response)? {
        Some(claimed) => check(&fetched.bytes, &claimed),
        None => Ok(()),
    }
}

/// What the store has of a manifest or an index.
pub(super) fn in_store(store: &Store, at: &Descriptor) -> Result<Fetched, Failure> {
    let bytes = store.read_small(WHAT, at)?;
    let digest = image::manifest::digest_of(at)?;
    Fetched::read(bytes, digest, Some(at.media_type().as_ref()))
}
