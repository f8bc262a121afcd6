//! References: the names that people give to images.
//!
//! ```text
//!   127.0.0.1:5000/class/hello:1@sha256:9f86..
//!   registry       repository  tag  digest
//! ```
//!
//! A short name means Docker's registry, as for `docker`: `hello` is `docker.io/library/hello:latest`.
//! The first part is a registry if it contains a dot or a colon, is `localhost`, or has an
//! upper-case letter, which no repository has.
//!
//! Source: the grammar of github.com/distribution/reference.

use std::{fmt, str::FromStr};

use crate::digest::{Digest, DigestError};

/// The registry of names without one.
pub const DEFAULT_REGISTRY: &str = "docker.io";
const OFFICIAL: &str = "library/";
const DEFAULT_TAG: &str = "latest";

/// The longest name, registry and repository together.
const MAX_NAME: usize = 255;
const MAX_TAG: usize = 128;

/// The name of an image: where it is kept, and which one it is there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    registry: String,
    repository: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

/// A text that is not a reference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// A part of it is not as the grammar has it.
    #[error("invalid image reference {text:?}: {why}")]
    Grammar {
        /// The text, cut off if it is long.
        text: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// What follows `@` is not a digest.
    #[error("invalid image reference {text:?}")]
    Digest {
        /// The text, cut off if it is long.
        text: String,
        /// What is wrong with the digest.
        source: DigestError,
    },
}

impl Reference {
    /// A reference to `repository` in `registry`, without tag and digest.
    ///
    /// # Errors
    ///
    /// When one of them is not as the grammar has it.
    pub fn new(registry: &str, repository: &str) -> Result<Self, ReferenceError> {
        format!("{registry}/{repository}").parse::<Self>().map(|found| Self { tag: None, ..found })
    }

    /// The registry: a host, perhaps with a port; `docker.io` if none was given.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// The repository in the registry: `library/hello`.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The tag. A reference that was read without tag and digest has the tag `latest`.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest, which decides if there is a tag too.
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// What the registry knows the manifest by: the digest if there is one, otherwise the tag.
    pub fn identifier(&self) -> String {
        let digest = self.digest.as_ref().map(Digest::to_string);
        digest.or_else(|| self.tag.clone()).unwrap_or_else(|| DEFAULT_TAG.into())
    }

    /// The same repository with this tag and no digest.
    ///
    /// # Errors
    ///
    /// When it is not a tag.
    pub fn with_tag(&self, tag: &str) -> Result<Self, ReferenceError> {
        if !is_tag(tag) {
            return Err(grammar(tag, TAG));
        }
        Ok(Self { tag: Some(tag.into()), digest: None, ..self.clone() })
    }

    /// The same repository with this digest and no tag.
    #[must_use]
    pub fn with_digest(&self, digest: Digest) -> Self {
        Self { tag: None, digest: Some(digest), ..self.clone() }
    }

    /// Registry and repository.
    pub fn name(&self) -> String {
        format!("{}/{}", self.registry, self.repository)
    }

    /// The name as people write it: without `docker.io` and `library/`.
    pub fn familiar_name(&self) -> String {
        if self.registry != DEFAULT_REGISTRY {
            return self.name();
        }
        // `library/a/b` is not official.
        let short = self.repository.strip_prefix(OFFICIAL).filter(|rest| !rest.contains('/'));
        match split_registry(&self.repository) {
            (DEFAULT_REGISTRY, _) => short.unwrap_or(&self.repository).to_owned(),
            // Without `docker.io`, its first part would be read as a registry.
            _ => self.name(),
        }
    }

    /// The whole as people write it.
    pub fn familiar(&self) -> String {
        self.with_name(self.familiar_name())
    }

    fn with_name(&self, mut text: String) -> String {
        if let Some(tag) = &self.tag {
            text = format!("{text}:{tag}");
        }
        match &self.digest {
            Some(digest) => format!("{text}@{digest}"),
            None => text,
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.with_name(self.name()))
    }
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => {
                let wrong = |source| ReferenceError::Digest { text: cut(text), source };
                (rest, Some(digest.parse().map_err(wrong)?))
            }
            None => (text, None),
        };
        // A colon before the last slash belongs to the registry's port.
        let (name, tag) = match rest.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
            _ => (rest, None),
        };
        if tag.is_some_and(|tag| !is_tag(tag)) {
            return Err(grammar(text, TAG));
        }
        let (registry, repository) = split_registry(name);
        let mut repository = repository.to_owned();
        if registry == DEFAULT_REGISTRY && !repository.contains('/') {
            repository.insert_str(0, OFFICIAL);
        }
        check(text, registry, &repository)?;
        let tag = tag.or((digest.is_none()).then_some(DEFAULT_TAG)).map(str::to_owned);
        Ok(Self { registry: registry.to_owned(), repository, tag, digest })
    }
}

fn split_registry(name: &str) -> (&str, &str) {
    let Some((first, rest)) = name.split_once('/') else { return (DEFAULT_REGISTRY, name) };
    let is_registry = first.contains(['.', ':'])
        || first == "localhost"
        || first.bytes().any(|byte| byte.is_ascii_uppercase());
    match (is_registry, first) {
        (true, "index.docker.io") => (DEFAULT_REGISTRY, rest),
        (true, _) => (first, rest),
        (false, _) => (DEFAULT_REGISTRY, name),
    }
}

fn check(text: &str, registry: &str, repository: &str) -> Result<(), ReferenceError> {
    if !is_registry(registry) {
        return Err(grammar(text, "the registry is not HOST or HOST:PORT"));
    }
    if repository.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Err(grammar(text, "a repository is written in lower case"));
    }
    // 64 digits alone would be taken for the id of an image.
    let is_id = repository.trim_start_matches(OFFICIAL);
    if is_id.len() == 64 && is_id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(grammar(text, "64 hexadecimal digits are an image's id, not a name"));
    }
    if registry.len() + 1 + repository.len() > MAX_NAME {
        return Err(grammar(text, "a name has at most 255 characters"));
    }
    if !is_repository(repository) {
        return Err(grammar(
            text,
            "a repository is made of letters and digits, separated by '/', '.', '_', '__' or '-'",
        ));
    }
    Ok(())
}

const TAG: &str =
    "a tag has at most 128 letters, digits, '.', '_' and '-', and begins with none of '.' and '-'";

fn grammar(text: &str, why: &'static str) -> ReferenceError {
    ReferenceError::Grammar { text: cut(text), why }
}

/// Enough of a hostile text to recognize it.
fn cut(text: &str) -> String {
    text.chars().take(300).collect()
}

/// `[\w][\w.-]{0,127}`
pub fn is_tag(text: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    text.len() <= MAX_TAG
        && text.bytes().next().is_some_and(word)
        && text.bytes().all(|byte| word(byte) || byte == b'.' || byte == b'-')
}

/// Components of `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`, separated by slashes. None of them is `..`.
pub fn is_repository(text: &str) -> bool {
    text.len() <= MAX_NAME && text.split('/').all(is_component)
}

fn is_component(text: &str) -> bool {
    let alphanumeric = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = text.as_bytes();
    if !bytes.first().copied().is_some_and(alphanumeric)
        || !bytes.last().copied().is_some_and(alphanumeric)
    {
        return false;
    }
    let mut separators =
        bytes.split(|byte| alphanumeric(*byte)).filter(|between| !between.is_empty());
    separators.all(|between| {
        matches!(between, b"." | b"_" | b"__") || between.iter().all(|byte| *byte == b'-')
    })
}

fn is_registry(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (text, None),
    };
    let port_fits = port.is_none_or(|port| port.parse::<u16>().is_ok() && !port.starts_with('+'));
    port_fits && (is_ipv6(host) || is_domain(host))
}

fn is_ipv6(host: &str) -> bool {
    let inner = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    inner.is_some_and(|address| address.parse::<std::net::Ipv6Addr>().is_ok())
}

fn is_domain(host: &str) -> bool {
    host.split('.').all(|label| {
        let inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        !label.is_empty()
            && label.bytes().all(inner)
            && !label.starts_with('-')
            && !label.ends_with('-')
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// From the tests of github.com/distribution/reference: what a name means.
    #[test]
    fn a_name_means_what_it_means_to_docker() {
        let digest = format!("sha256:{}", "f".repeat(64));
        for (text, canonical, familiar) in [
            ("hello", "docker.io/library/hello:latest", "hello:latest"),
            ("hello:1", "docker.io/library/hello:1", "hello:1"),
            ("user/hello", "docker.io/user/hello:latest", "user/hello:latest"),
            ("docker.io/hello", "docker.io/library/hello:latest", "hello:latest"),
            ("index.docker.io/hello", "docker.io/library/hello:latest", "hello:latest"),
            ("localhost/hello", "localhost/hello:latest", "localhost/hello:latest"),
            ("localhost:5000/a", "localhost:5000/a:latest", "localhost:5000/a:latest"),
            (
                "127.0.0.1:5000/class/hello:1",
                "127.0.0.1:5000/class/hello:1",
                "127.0.0.1:5000/class/hello:1",
            ),
            ("[::1]:5000/a", "[::1]:5000/a:latest", "[::1]:5000/a:latest"),
            ("[fe80::1]/a:b", "[fe80::1]/a:b", "[fe80::1]/a:b"),
            ("Host/a", "Host/a:latest", "Host/a:latest"),
            ("a.b/c/d", "a.b/c/d:latest", "a.b/c/d:latest"),
            ("a__b/c--d.e", "docker.io/a__b/c--d.e:latest", "a__b/c--d.e:latest"),
            ("localhost", "docker.io/library/localhost:latest", "localhost:latest"),
            ("library/a/b", "docker.io/library/a/b:latest", "library/a/b:latest"),
            ("docker.io/a.b/c", "docker.io/a.b/c:latest", "docker.io/a.b/c:latest"),
        ] {
            let found: Reference = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(found.to_string(), canonical);
            assert_eq!(found.familiar(), familiar);
        }
        for text in [format!("hello@{digest}"), format!("hello:1@{digest}")] {
            let found: Reference = text.parse().unwrap();
            assert_eq!(found.familiar(), text);
            assert_eq!(found.identifier(), digest);
        }
    }

    #[test]
    fn what_is_not_a_name_is_refused_with_the_reason() {
        let long = "a".repeat(256);
        let id = "0".repeat(64);
        for (text, why) in [
            ("", "separated"),
            ("Hello", "lower case"),
            ("a/Hello", "lower case"),
            ("hello:", "tag"),
            ("hello:.x", "tag"),
            ("hello:a b", "tag"),
            ("-a", "separated"),
            ("a..b", "separated"),
            ("a___b", "separated"),
            ("a//b", "separated"),
            ("/a", "separated"),
            ("a/", "separated"),
            ("../etc/passwd", "registry"),
            ("a/../b", "separated"),
            ("a.b/../c", "separated"),
            ("https://a.b/c", "registry"),
            ("a.b:99999/c", "registry"),
            ("a.b:+1/c", "registry"),
            ("[::1/c", "registry"),
            ("[x]/c", "separated"),
            ("a.b/c d", "separated"),
            ("hello\n", "separated"),
            ("é", "separated"),
            (&*long, "255"),
            (&*id, "id"),
            ("hello@sha256:1", "invalid image reference"),
            ("hello@", "invalid image reference"),
        ] {
            let error = text.parse::<Reference>().expect_err(text);
            assert!(error.to_string().contains(why), "{text:?}: {error}");
        }
    }

    proptest! {
        #[test]
        fn what_is_read_is_written_and_read_the_same(text in "[a-zA-Z0-9.:/_@\\[\\]-]{0,40}|[a-z.]{1,8}(:[0-9]{1,4})?/[a-z/]{1,9}(:[a-z]{1,5})?") {
            if let Ok(found) = text.parse::<Reference>() {
                prop_assert_eq!(found.to_string().parse(), Ok(found.clone()));
                prop_assert_eq!(found.familiar().parse(), Ok(found.clone()));
                prop_assert!(!found.repository().split('/').any(|part| part == ".." || part.is_empty()));
            }
        }
    }
}
