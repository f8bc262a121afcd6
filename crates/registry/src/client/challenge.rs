//! Challenges: how a registry wants to be shown who asks.
//!
//! ```text
//!   WWW-Authenticate: Bearer realm="https://auth.example/token",service="r.example",scope=".."
//!   WWW-Authenticate: Basic realm="class"
//! ```
//!
//! Source: RFC 9110, 11.6.1; RFC 7617; RFC 6750, section 3.

/// One challenge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Challenge {
    /// A user and a password with each request.
    Basic,
    /// A token, which somebody else gives.
    Bearer { realm: String, service: Option<String>, scope: Option<String> },
}

/// The challenges in the values of `WWW-Authenticate` that are known. What is malformed ends the
/// reading of its value.
pub(super) fn read<'v>(values: impl IntoIterator<Item = &'v str>) -> Vec<Challenge> {
    let mut found = Vec::new();
    for value in values {
        let mut cursor = Cursor(value);
        while let Some((scheme, parameters)) = cursor.challenge() {
            let parameter = |name: &str| {
                let is_it = |(known, _): &&(String, String)| known.eq_ignore_ascii_case(name);
                parameters.iter().find(is_it).map(|(_, value)| value.clone())
            };
            if scheme.eq_ignore_ascii_case("basic") {
                found.push(Challenge::Basic);
            } else if scheme.eq_ignore_ascii_case("bearer")
                && let Some(realm) = parameter("realm")
            {
                let (service, scope) = (parameter("service"), parameter("scope"));
                found.push(Challenge::Bearer { realm, service, scope });
            }
        }
    }
    found
}

/// What is left of a value.
struct Cursor<'v>(&'v str);

impl<'v> Cursor<'v> {
    /// A scheme and its parameters, up to the next scheme.
    fn challenge(&mut self) -> Option<(&'v str, Vec<(String, String)>)> {
        self.skip_commas();
        let scheme = self.token()?;
        let mut parameters = Vec::new();
        loop {
            self.skip_commas();
            let before = self.0;
            match self.parameter() {
                Some(parameter) => parameters.push(parameter),
                None => {
                    // The next challenge, something like a token68, or nothing.
                    self.0 = before;
                    self.skip_token68();
                    return Some((scheme, parameters));
                }
            }
        }
    }

    fn parameter(&mut self) -> Option<(String, String)> {
        let name = self.token()?.to_owned();
        self.skip_spaces();
        self.0 = self.0.strip_prefix('=')?;
        self.skip_spaces();
        let value = match self.0.strip_prefix('"') {
            Some(rest) => {
                self.0 = rest;
                self.quoted()?
            }
            None => self.token()?.to_owned(),
        };
        Some((name, value))
    }

    /// The rest of a quoted string: a backslash stands before a quote or a backslash.
    fn quoted(&mut self) -> Option<String> {
        let mut text = String::new();
        let mut letters = self.0.char_indices();
        while let Some((at, letter)) = letters.next() {
            match letter {
                '"' => {
                    self.0 = &self.0[at + 1..];
                    return Some(text);
                }
                '\\' => text.push(letters.next()?.1),
                other => text.push(other),
            }
        }
        None
    }

    fn token(&mut self) -> Option<&'v str> {
        let is_token =
            |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        let length = self.0.bytes().take_while(|byte| is_token(*byte)).count();
        let (token, rest) = self.0.split_at(length);
        self.0 = rest;
        (length > 0).then_some(token)
    }

    /// `YII=`, as of Negotiate. A word that spaces or the end follow is the next scheme.
    fn skip_token68(&mut self) {
        let is_token68 = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
        let length = self.0.bytes().take_while(|byte| is_token68(*byte)).count();
        let (word, rest) = self.0.split_at(length);
        if word.ends_with('=') || word.contains('/') || rest.starts_with(',') {
            self.0 = rest;
        }
    }

    fn skip_spaces(&mut self) {
        self.0 = self.0.trim_start_matches([' ', '\t']);
    }

    fn skip_commas(&mut self) {
        self.0 = self.0.trim_start_matches([' ', '\t', ',']);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bearer(realm: &str, service: Option<&str>, scope: Option<&str>) -> Challenge {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        Challenge::Bearer { realm: realm.into(), service: owned(service), scope: owned(scope) }
    }

    #[test]
    fn challenges_are_read_as_the_standard_has_them() {
        let docker = r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push""#;
        let expected = bearer(
            "https://auth.docker.io/token",
            Some("registry.docker.io"),
            Some("repository:a/b:pull,push"),
        );
        assert_eq!(read([docker]), [expected]);
        let two = r#"Basic realm="a, b", bearer scope=x , REALM = "c\"d\\""#;
        assert_eq!(read([two]), [Challenge::Basic, bearer("c\"d\\", None, Some("x"))]);
        let negotiate = r#"Negotiate YII=, Basic realm="x", Digest nonce="y", Bearer realm=z"#;
        assert_eq!(read([negotiate]), [Challenge::Basic, bearer("z", None, None)]);
        assert_eq!(read(["Negotiate", "NTLM, Basic"]), [Challenge::Basic]);
    }

    #[test]
    fn what_is_malformed_is_no_challenge() {
        for text in [
            "",
            ",,,",
            "=",
            "Bearer",
            "Bearer realm",
            "Bearer realm=\"open",
            "Bearer realm=\"x\\",
            "\u{e9}",
        ] {
            assert_eq!(read([text]), [], "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_value_has_an_end(text in "[ -~\\t\u{e9}]{0,200}", more in "(Basic|Bearer|[a=\", /\\\\]){0,40}") {
            read([&*text, &*more]);
        }
    }
}
