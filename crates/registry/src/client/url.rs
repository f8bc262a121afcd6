//! URLs: where a request goes, and what a registry may change about that.
//!
//! A registry answers with URLs of its own choice: where an upload goes on, where a blob really is,
//! who gives tokens. None of them may contain credentials, and none leads from TLS to plain HTTP.

use std::{fmt, net::IpAddr};

use ureq::http::Uri;

const MAX_LENGTH: usize = 8 << 10;

/// An absolute URL of http or https without credentials. It is shown without its query, in which
/// storage services have signatures.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Url(Uri);

impl Url {
    /// Reads an absolute URL.
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        if text.len() > MAX_LENGTH {
            return Err("it is too long");
        }
        let text = text.split('#').next().unwrap_or_default();
        let uri: Uri = text.parse().map_err(|_| "it is not a URL")?;
        let Some(authority) = uri.authority() else { return Err("it is not an absolute URL") };
        if authority.as_str().contains('@') {
            return Err("it contains credentials");
        }
        if authority.host().is_empty() {
            return Err("it names no host");
        }
        match uri.scheme_str() {
            Some("http" | "https") => Ok(Self(uri)),
            _ => Err("it is neither http nor https"),
        }
    }

    /// What `reference` means in a document of this URL (RFC 3986, section 5.2).
    pub(super) fn join(&self, reference: &str) -> Result<Self, &'static str> {
        let origin = format!("{}://{}", self.scheme(), self.authority());
        let absolute = if reference.contains("://") && !reference.starts_with(['/', '?']) {
            reference.to_owned()
        } else if reference.starts_with("//") {
            format!("{}:{reference}", self.scheme())
        } else if reference.starts_with('/') {
            format!("{origin}{reference}")
        } else if reference.starts_with('?') {
            format!("{origin}{}{reference}", self.0.path())
        } else {
            let folder = self.0.path().rsplit_once('/').map_or("", |(folder, _)| folder);
            format!("{origin}{folder}/{reference}")
        };
        let found = Self::parse(&absolute)?;
        match self.is_secure() && !found.is_secure() {
            true => Err("it leads from TLS to plain HTTP"),
            false => Ok(found),
        }
    }

    /// The same with `pairs` added to its query.
    pub(super) fn with_query(&self, pairs: &[(&str, &str)]) -> Self {
        let mut text = self.0.to_string();
        for (name, value) in pairs {
            let separator = if text.contains('?') { '&' } else { '?' };
            text.extend([separator.to_string(), encode(name), "=".into(), encode(value)]);
        }
        Self(text.parse().expect("an encoded query keeps a URL valid"))
    }

    /// Whether it is of the same scheme, host and port.
    pub(super) fn same_origin(&self, other: &Self) -> bool {
        (self.scheme(), self.host(), self.port()) == (other.scheme(), other.host(), other.port())
    }

    pub(super) fn is_secure(&self) -> bool {
        self.scheme() == "https"
    }

    pub(super) fn host(&self) -> &str {
        self.0.host().unwrap_or_default()
    }

    pub(super) fn port(&self) -> u16 {
        self.0.port_u16().unwrap_or(if self.is_secure() { 443 } else { 80 })
    }

    /// Host, and port if it is there.
    pub(super) fn authority(&self) -> &str {
        self.0.authority().map_or("", |authority| authority.as_str())
    }

    pub(super) fn uri(&self) -> &Uri {
        &self.0
    }

    fn scheme(&self) -> &str {
        self.0.scheme_str().unwrap_or_default()
    }
}

impl fmt::Display for Url {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}://{}{}", self.scheme(), self.authority(), self.0.path())
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

/// Everything but RFC 3986's unreserved characters as %XX.
pub(super) fn encode(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let encoded = |byte: u8| match plain(byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    };
    text.bytes().map(encoded).collect()
}

/// Whether what is sent to `host`, perhaps with a port, stays on this machine.
pub(super) fn is_loopback(host: &str) -> bool {
    let (host, _) = split_port(host);
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// The host, which may be an address in brackets, and the port.
pub(super) fn split_port(authority: &str) -> (&str, Option<u16>) {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port.parse().ok()),
        _ => (authority, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_is_joined_as_rfc_3986_has_it() {
        let base = Url::parse("https://r.example:5000/v2/a/blobs/uploads/?x=1").unwrap();
        for (reference, whole) in [
            ("/v2/b?y=2", "https://r.example:5000/v2/b?y=2"),
            ("c", "https://r.example:5000/v2/a/blobs/uploads/c"),
            ("?z=3", "https://r.example:5000/v2/a/blobs/uploads/?z=3"),
            ("//s.example/d", "https://s.example/d"),
            ("https://s.example/d#part", "https://s.example/d"),
            ("/e?to=http://x", "https://r.example:5000/e?to=http://x"),
        ] {
            assert_eq!(base.join(reference).unwrap().uri().to_string(), whole);
        }
        let same = base.join("https://r.example:5000/f").unwrap();
        assert!(same.same_origin(&base));
        assert!(!base.join("https://r.example/f").unwrap().same_origin(&base));
        let default = Url::parse("https://r.example/").unwrap();
        assert!(default.same_origin(&Url::parse("https://r.example:443/x").unwrap()));
    }

    #[test]
    fn what_must_not_be_followed_is_refused() {
        let base = Url::parse("https://r.example/").unwrap();
        for (reference, why) in [
            ("http://r.example/", "from TLS to plain HTTP"),
            ("https://user:pass@r.example/", "credentials"),
            ("//user@r.example/", "credentials"),
            ("file:///etc/passwd", "URL"),
            ("ftp://r.example/", "neither"),
            ("https://r.example/a b", "not a URL"),
            ("https:///x", "URL"),
            (&format!("/{}", "x".repeat(MAX_LENGTH)), "too long"),
        ] {
            let error = base.join(reference).expect_err(reference);
            assert!(error.contains(why), "{reference}: {error}");
        }
    }

    #[test]
    fn a_query_does_not_show_and_is_encoded() {
        let url = Url::parse("https://r.example/x?sig=sEcReT").unwrap();
        assert_eq!(format!("{url} {url:?}"), "https://r.example/x https://r.example/x");
        let url = url.with_query(&[("scope", "repository:a/b:pull,push&x=\"é\n")]);
        let whole = url.uri().to_string();
        assert!(whole.ends_with("&scope=repository%3Aa%2Fb%3Apull%2Cpush%26x%3D%22%C3%A9%0A"));
    }

    #[test]
    fn loopback_is_this_machine_alone() {
        for host in ["localhost", "localhost:5000", "127.0.0.1", "127.9.9.9:80", "[::1]:5000"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in
            ["localhost.example", "127.0.0.1.example", "10.0.0.1:5000", "[::2]", "1270.0.0.1"]
        {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
