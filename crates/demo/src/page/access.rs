//! Which requests may see the page and press its keys.
//!
//! The loopback interface keeps other machines out, but not other users of this one, nor the pages
//! of other sites in the teacher's own browser. Against the first there is a token, which only the
//! terminal shows; against the second, that the browser must call us by our own name (else a site
//! whose name suddenly means 127.0.0.1 could ask: DNS rebinding) and must not ask for another's
//! page (cross-site request forgery).

use std::{
    fs::File,
    io::{self, Read as _},
};

use super::request::Request;

/// Decides which requests are answered.
pub(super) struct Access {
    port: u16,
    token: String,
}

impl Access {
    /// One with a token that nobody has seen before.
    pub(super) fn new(port: u16) -> io::Result<Self> {
        let mut random = [0; 16];
        File::open("/dev/urandom")?.read_exact(&mut random)?;
        let token = random.iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self { port, token })
    }

    /// What follows the host in the address.
    pub(super) fn target(&self) -> String {
        format!("/?token={}", self.token)
    }

    /// Why a request is denied, if it is.
    pub(super) fn denies(&self, request: &Request) -> Option<&'static str> {
        if !request.host.as_deref().is_some_and(|host| self.is_own(host)) {
            return Some("wrong Host header: this page is only for this machine\n");
        }
        let own = |origin: &str| origin.strip_prefix("http://").is_some_and(|it| self.is_own(it));
        let same = |site: &str| matches!(site, "same-origin" | "none");
        // "none": the address was typed, or opened from another program.
        if !request.origin.as_deref().is_none_or(own) || !request.site.as_deref().is_none_or(same) {
            return Some("cross-site requests are refused\n");
        }
        let given = request.parameter("token").unwrap_or_default();
        match is_equal(given.as_bytes(), self.token.as_bytes()) {
            true => None,
            false => Some("missing or wrong token: open the address that the terminal shows\n"),
        }
    }

    fn is_own(&self, host: &str) -> bool {
        let mut names = ["127.0.0.1", "localhost"].into_iter();
        names.any(|name| match host.strip_prefix(name) {
            // A browser leaves out the port that every page has.
            Some("") => self.port == 80,
            Some(port) => port.strip_prefix(':') == Some(&self.port.to_string()),
            None => false,
        })
    }
}

/// Compares all bytes, so that the time it takes does not say how many are right.
fn is_equal(one: &[u8], other: &[u8]) -> bool {
    let differences = one.iter().zip(other).fold(0, |sum, (one, other)| sum | (one ^ other));
    one.len() == other.len() && std::hint::black_box(differences) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Why a request is refused that has these headers, and the right token.
    fn refused(access: &Access, headers: &str) -> Option<&'static str> {
        let text = format!("GET {} HTTP/1.1\r\n{headers}\r\n", access.target());
        access.denies(&Request::read(text.as_bytes()).unwrap())
    }

    #[test]
    fn only_our_own_page_by_our_own_name_is_let_in() {
        let access = Access::new(8080).unwrap();
        let own = "Host: 127.0.0.1:8080\r\n";
        for good in [
            own.to_owned(),
            "Host: localhost:8080\r\n".to_owned(),
            format!("{own}Origin: http://127.0.0.1:8080\r\nSec-Fetch-Site: same-origin\r\n"),
            format!("{own}Sec-Fetch-Site: none\r\n"),
        ] {
            assert_eq!(refused(&access, &good), None, "{good}");
        }
        for bad in [
            String::new(),
            "Host: 127.0.0.1\r\n".to_owned(),
            "Host: 127.0.0.1:80800\r\n".to_owned(),
            "Host: evil.example:8080\r\n".to_owned(),
            format!("{own}Origin: http://evil.example\r\n"),
            format!("{own}Origin: null\r\n"),
            format!("{own}Origin: https://127.0.0.1:8080\r\n"),
            // Another user's page on this machine is same-site: sites have no ports.
            format!("{own}Sec-Fetch-Site: same-site\r\n"),
            format!("{own}Sec-Fetch-Site: cross-site\r\n"),
        ] {
            assert!(refused(&access, &bad).is_some(), "{bad}");
        }
        assert_eq!(refused(&Access::new(80).unwrap(), "Host: localhost\r\n"), None);
    }

    #[test]
    fn the_token_is_one_that_nobody_guesses() {
        let access = Access::new(8080).unwrap();
        assert_eq!(access.token.len(), 32);
        assert_ne!(access.token, Access::new(8080).unwrap().token);
        let (first, rest) = access.token.split_at(1);
        let last = format!("{first}{}{}", &rest[..30], if rest.ends_with('0') { '1' } else { '0' });
        for token in ["", first, rest, &last, &format!("{}0", access.token)] {
            let text = format!("GET /?token={token} HTTP/1.1\r\nHost: localhost:8080\r\n\r\n");
            let request = Request::read(text.as_bytes()).unwrap();
            assert!(access.denies(&request).is_some(), "{token}");
        }
    }
}
