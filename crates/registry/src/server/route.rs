//! What a request asks for: its path, read once, without any name in it becoming a path here.
//!
//! ```text
//!   /v2/class/hello/blobs/sha256:9f86..
//!       repository  kind  digest
//! ```
//!
//! Source: OCI distribution specification 1.1, "Endpoints".

use image::{
    digest::Digest,
    reference::{is_repository, is_tag},
};

/// The part of a path by which a manifest is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ManifestName {
    /// By a tag.
    Tag(String),
    /// By its digest.
    Digest(Digest),
}

/// What a path means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// The page for people.
    Page,
    /// Whether this is a registry: `/v2/`.
    Version,
    /// The names of all repositories.
    Catalog,
    /// The tags of a repository.
    Tags(String),
    /// A manifest of a repository.
    Manifest(String, ManifestName),
    /// A blob of a repository.
    Blob(String, Digest),
    /// Where uploads to a repository begin.
    Uploads(String),
    /// One upload to a repository.
    Upload(String, String),
    /// What refers to a manifest.
    Referrers(String, Digest),
}

/// Why a path means nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RouteError {
    /// No such endpoint.
    Unknown,
    /// The name of the repository is not as the grammar has it.
    Name,
    /// The digest is none.
    Digest,
    /// The tag is none.
    Tag,
}

impl Route {
    /// Reads the path of a request, as it came: an escape in it (`%2f`) is no part of any name.
    ///
    /// # Errors
    ///
    /// When it is not the path of an endpoint.
    pub fn read(path: &str) -> Result<Self, RouteError> {
        match path {
            "/" => return Ok(Self::Page),
            "/v2" | "/v2/" => return Ok(Self::Version),
            "/v2/_catalog" => return Ok(Self::Catalog),
            _ => {}
        }
        let rest = path.strip_prefix("/v2/").ok_or(RouteError::Unknown)?;
        // The last words decide: a repository may itself be called `blobs`.
        let (front, last) = rest.rsplit_once('/').ok_or(RouteError::Unknown)?;
        if let Some(name) = front.strip_suffix("/blobs/uploads") {
            return match (repository(name)?, last) {
                (name, "") => Ok(Self::Uploads(name)),
                (name, id) if is_upload(id) => Ok(Self::Upload(name, id.into())),
                _ => Err(RouteError::Unknown),
            };
        }
        if let Some(name) = front.strip_suffix("/blobs").filter(|_| last == "uploads") {
            return Ok(Self::Uploads(repository(name)?));
        }
        let digest = || last.parse::<Digest>().map_err(|_| RouteError::Digest);
        let (name, kind) = front.rsplit_once('/').ok_or(RouteError::Unknown)?;
        match kind {
            "tags" if last == "list" => Ok(Self::Tags(repository(name)?)),
            "blobs" => Ok(Self::Blob(repository(name)?, digest()?)),
            "referrers" => Ok(Self::Referrers(repository(name)?, digest()?)),
            "manifests" if last.contains(':') => {
                Ok(Self::Manifest(repository(name)?, ManifestName::Digest(digest()?)))
            }
            "manifests" if is_tag(last) => {
                Ok(Self::Manifest(repository(name)?, ManifestName::Tag(last.into())))
            }
            "manifests" => Err(RouteError::Tag),
            _ => Err(RouteError::Unknown),
        }
    }
}

fn repository(name: &str) -> Result<String, RouteError> {
    if is_repository(name) { Ok(name.into()) } else { Err(RouteError::Name) }
}

/// The id of an upload, as this server makes them.
pub fn is_upload(id: &str) -> bool {
    id.len() == 32 && id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// The value of `key` in the query of a request, with its escapes resolved.
pub fn query(query: Option<&str>, key: &str) -> Option<String> {
    let pairs = query?.split('&').filter_map(|pair| pair.split_once('='));
    pairs.into_iter().find(|(name, _)| *name == key).map(|(_, value)| unescaped(value))
}

fn unescaped(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        match (first, after) {
            (b'%', [high, low, after @ ..]) => {
                let digit = |byte: u8| char::from(byte).to_digit(16);
                if let (Some(high), Some(low)) = (digit(*high), digit(*low)) {
                    bytes.push((high * 16 + low) as u8);
                    rest = after;
                } else {
                    bytes.push(b'%');
                }
            }
            (b'+', _) => bytes.push(b' '),
            (byte, _) => bytes.push(*byte),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_means_what_the_specification_says() {
        let digest = Digest::of(b"");
        let name = || "class/hello".to_owned();
        for (path, route) in [
            ("/".to_owned(), Route::Page),
            ("/v2/".into(), Route::Version),
            ("/v2/_catalog".into(), Route::Catalog),
            ("/v2/class/hello/tags/list".into(), Route::Tags(name())),
            (
                "/v2/class/hello/manifests/1.0".into(),
                Route::Manifest(name(), ManifestName::Tag("1.0".into())),
            ),
            (
                format!("/v2/class/hello/manifests/{digest}"),
                Route::Manifest(name(), ManifestName::Digest(digest.clone())),
            ),
            (format!("/v2/class/hello/blobs/{digest}"), Route::Blob(name(), digest.clone())),
            ("/v2/class/hello/blobs/uploads/".into(), Route::Uploads(name())),
            ("/v2/class/hello/blobs/uploads".into(), Route::Uploads(name())),
            (
                format!("/v2/class/hello/blobs/uploads/{}", "0".repeat(32)),
                Route::Upload(name(), "0".repeat(32)),
            ),
            (
                format!("/v2/class/hello/referrers/{digest}"),
                Route::Referrers(name(), digest.clone()),
            ),
            ("/v2/blobs/tags/list".into(), Route::Tags("blobs".into())),
            (
                format!("/v2/a/manifests/manifests/{digest}"),
                Route::Manifest("a/manifests".into(), ManifestName::Digest(digest.clone())),
            ),
        ] {
            assert_eq!(Route::read(&path), Ok(route), "{path}");
        }
    }

    #[test]
    fn no_path_leads_elsewhere() {
        for (path, error) in [
            ("", RouteError::Unknown),
            ("/v1/", RouteError::Unknown),
            ("/v2/../../etc/passwd", RouteError::Unknown),
            ("/v2/../tags/list", RouteError::Name),
            ("/v2/a/../b/tags/list", RouteError::Name),
            ("/v2/a%2f..%2fb/tags/list", RouteError::Name),
            ("/v2//tags/list", RouteError::Name),
            ("/v2/A/tags/list", RouteError::Name),
            ("/v2/a/manifests/..", RouteError::Tag),
            ("/v2/a/manifests/", RouteError::Tag),
            ("/v2/a/manifests/%2e%2e", RouteError::Tag),
            ("/v2/a/blobs/sha256:../../x", RouteError::Unknown),
            ("/v2/a/blobs/sha256:00", RouteError::Digest),
            ("/v2/a/blobs/uploads/../x", RouteError::Unknown),
            ("/v2/a/blobs/uploads/x", RouteError::Unknown),
        ] {
            assert_eq!(Route::read(path), Err(error), "{path}");
        }
    }

    #[test]
    fn a_query_is_read_with_its_escapes() {
        let text = Some("digest=sha256%3A00&n=5&from=a%2Fb&bad=%zz%4");
        assert_eq!(query(text, "digest").as_deref(), Some("sha256:00"));
        assert_eq!(query(text, "from").as_deref(), Some("a/b"));
        assert_eq!(query(text, "bad").as_deref(), Some("%zz%4"));
        assert_eq!(query(text, "last"), None);
    }
}
