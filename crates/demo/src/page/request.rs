//! What a browser asks: the request line of HTTP/1.1 and the headers that say from where (RFC 9112).

use std::io::{self, BufRead, BufReader, Read};

/// A request has a line and some headers.
pub const LONGEST_REQUEST: u64 = 8 << 10;

/// A request, as far as the page looks at it.
#[derive(Debug, Default)]
pub struct Request {
    /// `GET`, `POST` or something else.
    pub method: String,
    /// What is asked for, without the parameters.
    pub path: String,
    /// The parameters: all behind the `?`.
    query: String,
    /// The name by which the browser knows us.
    pub host: Option<String>,
    /// Whose page asks.
    pub origin: Option<String>,
    /// How that page is related to us (Fetch Metadata).
    pub site: Option<String>,
}

impl Request {
    /// Reads one, up to the empty line that ends it.
    ///
    /// # Errors
    ///
    /// When it is too long, has no end, is not text, or says twice what may be said once.
    pub fn read(from: impl Read) -> io::Result<Self> {
        let bad = |why| io::Error::new(io::ErrorKind::InvalidData, why);
        let mut lines = BufReader::new(from.take(LONGEST_REQUEST)).lines();
        let first = lines.next().ok_or(io::ErrorKind::UnexpectedEof)??;
        let [method, target, "HTTP/1.0" | "HTTP/1.1"] = first.split(' ').collect::<Vec<_>>()[..]
        else {
            return Err(bad("not a request line of HTTP/1"));
        };
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let mut request = Self {
            method: method.to_owned(),
            path: path.to_owned(),
            query: query.to_owned(),
            ..Self::default()
        };
        for line in lines {
            let line = line?;
            if line.is_empty() {
                return Ok(request);
            }
            let (name, value) = line.split_once(':').ok_or_else(|| bad("not a header"))?;
            let header = match name.to_ascii_lowercase().as_str() {
                "host" => &mut request.host,
                "origin" => &mut request.origin,
                "sec-fetch-site" => &mut request.site,
                _ => continue,
            };
            if header.replace(value.trim().to_owned()).is_some() {
                return Err(bad("a header twice"));
            }
        }
        Err(io::ErrorKind::UnexpectedEof.into())
    }

    /// The parameter `name`.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> io::Result<Request> {
        Request::read(text.as_bytes())
    }

    #[test]
    fn a_browsers_request_is_read() {
        let text =
            "GET /events?token=ab&rows=9 HTTP/1.1\r\nHOST: a:1 \r\nX: y\r\nOrigin: b\r\n\r\n";
        let request = read(text).unwrap();
        assert_eq!((request.method.as_str(), request.path.as_str()), ("GET", "/events"));
        assert_eq!((request.host.as_deref(), request.origin.as_deref()), (Some("a:1"), Some("b")));
        assert_eq!(request.parameter("rows"), Some("9"));
        assert_eq!((request.parameter("row"), request.parameter("columns")), (None, None));
    }

    #[test]
    fn what_is_not_one_is_refused() {
        let long = format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "y".repeat(9000));
        let twice = "GET / HTTP/1.1\r\nHost: a\r\nhost: b\r\n\r\n";
        let cut = "GET / HTTP/1.1\r\nHost: a\r\n";
        for text in ["", "\r\n", "GET /\r\n\r\n", "GET / HTTP/2\r\n\r\n", &long, twice, cut] {
            assert!(read(text).is_err(), "{text}");
        }
        assert!(Request::read(&b"GET /\xff HTTP/1.1\r\n\r\n"[..]).is_err());
    }
}
