//! A request, taken apart: version, path, query.

use axum::{
    body::Body,
    http::{HeaderMap, Method, Request},
};
use hyper::upgrade::OnUpgrade;

use super::query::Query;
use crate::{
    error::{ApiError, Result},
    watch::ConnectionNumber,
};

/// The newest version of the API that is spoken.
pub const MAX_VERSION: &str = "1.47";
/// The oldest.
pub const MIN_VERSION: &str = "1.24";

/// A request.
pub(super) struct Call {
    pub(super) method: Method,
    /// The version: `(1, 47)`.
    pub(super) version: (u32, u32),
    /// Without the version.
    pub(super) path: String,
    pub(super) query: Query,
    pub(super) headers: HeaderMap,
    /// Ready when the connection is the client's for other bytes than HTTP's.
    pub(super) upgrade: Option<OnUpgrade>,
    /// Which connection it came over.
    pub(super) connection: Option<ConnectionNumber>,
}

impl Call {
    pub(super) fn read(mut request: Request<Body>) -> Result<(Self, Body)> {
        let upgrade = request.extensions_mut().remove::<OnUpgrade>();
        let connection = request.extensions().get().copied();
        let (parts, body) = request.into_parts();
        let (version, path) = versioned(parts.uri.path())?;
        let path = super::query::decode(path)
            .ok_or_else(|| ApiError::invalid("the path is not valid UTF-8"))?;
        let query = Query::read(parts.uri.query().unwrap_or_default())?;
        let (method, headers) = (parts.method, parts.headers);
        Ok((Self { method, version, path, query, headers, upgrade, connection }, body))
    }
}

/// The version and the rest of a path; without a version it is the newest.
fn versioned(path: &str) -> Result<((u32, u32), &str)> {
    let number = |text: &str| -> Option<(u32, u32)> {
        let (major, minor) = text.split_once('.')?;
        Some((major.parse().ok()?, minor.parse().ok()?))
    };
    let (newest, oldest) = (number(MAX_VERSION), number(MIN_VERSION));
    let newest = newest.unwrap_or_default();
    let begun = path.strip_prefix("/v").map(|rest| rest.split_once('/').unwrap_or((rest, "")));
    let Some((text, rest)) = begun else { return Ok((newest, path)) };
    let Some(version) = number(text) else { return Ok((newest, path)) };
    if version > newest {
        return Err(ApiError::invalid(format!(
            "client version {text} is too new. Maximum supported API version is {MAX_VERSION}"
        )));
    }
    if Some(version) < oldest {
        return Err(ApiError::invalid(format!(
            "client version {text} is too old. Minimum supported API version is {MIN_VERSION}, \
             please upgrade your client to a newer version"
        )));
    }
    Ok((version, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_may_have_a_version() {
        assert_eq!(versioned("/v1.41/info").unwrap(), ((1, 41), "info"));
        assert_eq!(versioned("/info").unwrap(), ((1, 47), "/info"));
        assert_eq!(versioned("/volumes/x").unwrap(), ((1, 47), "/volumes/x"));
        assert!(versioned("/v1.48/info").unwrap_err().message.contains("is too new"));
        assert!(versioned("/v1.9/info").unwrap_err().message.contains("is too old"));
    }
}
