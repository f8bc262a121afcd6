//! What a failed request means.

use std::io;

use ureq::Timeout;

use super::{Failure, tls};
use crate::text;

/// Headers of all honest answers are smaller.
pub(super) const MAX_HEADERS: usize = 64 << 10;

/// Why `host` gave no answer, or not the whole one.
pub(super) fn failure(host: &str, error: ureq::Error) -> Failure {
    let unreachable = |source| Failure::Unreachable { host: host.into(), source };
    match error {
        ureq::Error::Io(source) => {
            let inner = source.get_ref().and_then(|inner| inner.downcast_ref());
            if let Some(error) = inner {
                return tls::failure(host, error);
            }
            match source.kind() {
                io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => {
                    Failure::Stalled { host: host.into() }
                }
                io::ErrorKind::ConnectionReset
                | io::ErrorKind::ConnectionAborted
                | io::ErrorKind::BrokenPipe
                | io::ErrorKind::UnexpectedEof
                | io::ErrorKind::Other => Failure::Broken { host: host.into(), source },
                // Refused, no route, no address; a name that is not found has no kind of its own.
                _ => unreachable(source),
            }
        }
        ureq::Error::Rustls(error) => tls::failure(host, &error),
        ureq::Error::Timeout(Timeout::Connect | Timeout::Resolve) => {
            unreachable(io::ErrorKind::TimedOut.into())
        }
        ureq::Error::Timeout(_) | ureq::Error::BodyStalled => {
            Failure::Stalled { host: host.into() }
        }
        ureq::Error::HostNotFound => unreachable(io::Error::other("host not found")),
        ureq::Error::ConnectionFailed => unreachable(io::Error::other("connection failed")),
        ureq::Error::LargeResponseHeader(..) => {
            Failure::protocol(host, format!("its headers have more than {MAX_HEADERS} bytes"))
        }
        ureq::Error::Protocol(error) => {
            Failure::protocol(host, text::clean(&error.to_string(), 200))
        }
        // Their texts contain the proxy's URL, which may hold a password.
        ureq::Error::ConnectProxyFailed(_) | ureq::Error::InvalidProxyUrl => {
            unreachable(io::Error::other("the proxy of http_proxy or https_proxy failed"))
        }
        _ => Failure::protocol(host, "the request could not be made"),
    }
}
