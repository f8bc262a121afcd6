//! What an input means: steps, of which most are requests. Names and contents are so few that requests
//! meet; beside them is whatever a client may write.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use arbitrary::Arbitrary;
use axum::body::{Body, Bytes, HttpBody};
use hyper::body::Frame;

use super::content::{Content, Manifest, Target};

/// One input.
#[derive(Debug, Arbitrary)]
pub struct Session {
    pub quota: bool,
    pub steps: Vec<Step>,
}

#[derive(Debug, Arbitrary)]
pub enum Step {
    Request(Ask),
    /// A blob is pushed at once.
    Push(Repository, Content),
    /// A manifest is put under a tag.
    Put(Repository, Tag, Manifest),
    /// The file of a blob or manifest is cut off, as by a power cut.
    Damage(Target, u8),
    /// Expired uploads and what nothing names are removed.
    CleanUp,
    Restart,
}

/// A request: its method, its path, its query, its headers, its body.
#[derive(Debug, Arbitrary)]
pub struct Ask {
    pub method: Method,
    pub path: Path,
    pub query: Vec<Query>,
    pub headers: Vec<Header>,
    pub body: Content,
    /// The client hangs up after its body's bytes.
    pub hangs_up: bool,
}

#[derive(Debug, Clone, Copy, Arbitrary)]
pub enum Method {
    Get,
    Head,
    Put,
    Post,
    Patch,
    Delete,
    Other,
}

impl Method {
    pub fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Put => "PUT",
            Self::Post => "POST",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
            Self::Other => "TRACE",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Arbitrary)]
pub enum Repository {
    One,
    Two,
    Below,
    /// Somebody has put a link there, which leads out of the data directory.
    Link,
    BelowLink,
}

impl Repository {
    pub fn name(self) -> &'static str {
        match self {
            Self::One => "one",
            Self::Two => "class/two",
            Self::Below => "class",
            Self::Link => "link",
            Self::BelowLink => "link/below",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Arbitrary)]
pub enum Tag {
    A,
    B,
}

impl Tag {
    pub fn name(self) -> &'static str {
        match self {
            Self::A => "a",
            Self::B => "b",
        }
    }
}

#[derive(Debug, Arbitrary)]
pub enum Path {
    Page,
    Version,
    Catalog,
    Tags(Repository),
    Blob(Repository, Target),
    Tagged(Repository, Tag),
    Manifest(Repository, Target),
    Referrers(Repository, Target),
    Uploads(Repository),
    /// One that was begun before.
    Upload(Repository, u8),
    Text(String),
}

#[derive(Debug, Arbitrary)]
pub enum Query {
    Digest(Target),
    Mount(Target),
    From(Repository),
    N(u8),
    Last(String),
    Other(String),
}

impl Query {
    pub fn text(&self) -> String {
        match self {
            Self::Digest(target) => format!("digest={}", target.digest()),
            Self::Mount(target) => format!("mount={}", target.digest()),
            Self::From(repository) => format!("from={}", repository.name()),
            Self::N(n) => format!("n={n}"),
            Self::Last(name) => format!("last={name}"),
            Self::Other(text) => text.clone(),
        }
    }
}

#[derive(Debug, Arbitrary)]
pub enum Header {
    ContentType(String),
    ContentRange(u8, u8),
    ContentLength(u16),
    Range(Option<u8>, Option<u8>),
    Known(Target),
    Other(Named, Vec<u8>),
}

/// The headers that the registry reads.
#[derive(Debug, Clone, Copy, Arbitrary)]
pub enum Named {
    AcceptLanguage,
    ContentType,
    ContentRange,
    ContentLength,
    IfNoneMatch,
    Range,
    UserAgent,
}

impl Header {
    pub fn pair(&self) -> (&'static str, Vec<u8>) {
        match self {
            Self::ContentType(text) => ("content-type", text.clone().into()),
            Self::ContentRange(from, to) => ("content-range", format!("{from}-{to}").into()),
            Self::ContentLength(length) => ("content-length", length.to_string().into()),
            Self::Range(from, to) => {
                let number =
                    |number: &Option<u8>| number.map_or_else(String::new, |n| n.to_string());
                ("range", format!("bytes={}-{}", number(from), number(to)).into())
            }
            Self::Known(target) => ("if-none-match", format!("\"{}\"", target.digest()).into()),
            Self::Other(named, bytes) => (named.name(), bytes.clone()),
        }
    }
}

impl Named {
    fn name(self) -> &'static str {
        match self {
            Self::AcceptLanguage => "accept-language",
            Self::ContentType => "content-type",
            Self::ContentRange => "content-range",
            Self::ContentLength => "content-length",
            Self::IfNoneMatch => "if-none-match",
            Self::Range => "range",
            Self::UserAgent => "user-agent",
        }
    }
}

/// A body whose client hangs up.
struct Broken(Option<Bytes>);

impl HttpBody for Broken {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        Poll::Ready(Some(match self.0.take() {
            Some(bytes) => Ok(Frame::data(bytes)),
            None => Err(std::io::ErrorKind::ConnectionReset.into()),
        }))
    }
}

impl Ask {
    pub fn body(&self) -> Body {
        let bytes = self.body.bytes();
        match self.hangs_up {
            true => Body::new(Broken(Some(bytes.into()))),
            false => Body::from(bytes),
        }
    }
}
