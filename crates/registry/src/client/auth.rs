//! Authentication: the answer to a registry's challenge.
//!
//! ```text
//!   GET /v2/..                        -> 401, challenge
//!   GET REALM?service=..&scope=..     -> token        (with the user's password, if there is one)
//!   GET /v2/.. with the token         -> 200
//! ```
//!
//! The realm is the registry's choice, and who is there gets the password, as with `docker`: over
//! TLS, or on this machine, and only for the registry that the password is for.
//!
//! Source: distribution.github.io, "Token Authentication Specification"; RFC 6749, section 6.

use std::{
    collections::HashMap,
    sync::{Mutex, OnceLock, PoisonError},
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Deserialize;
use ureq::http::{Method, StatusCode, header};

use super::{
    Credentials, Failure,
    challenge::Challenge,
    transport::{Body, Request, Transport},
    url::{self, Url},
};
use crate::credentials::{Credential, DockerConfig, Secret};

/// Larger than any token that fits into a header.
const MAX_ANSWER: u64 = 256 << 10;
const MAX_TOKEN: usize = 48 << 10;

/// What a token server means that does not say how long its token is valid.
const VALID: u64 = 60;

/// The name under which token servers know the client.
const CLIENT_ID: &str = "isolab";

/// What the client shows one registry.
#[derive(Debug)]
pub(super) struct Authenticator {
    registry: String,
    source: Credentials,
    credential: OnceLock<Option<Credential>>,
    basic: OnceLock<Secret>,
    tokens: Mutex<HashMap<String, Token>>,
    /// Held by the thread that answers a challenge, so that several do not ask for the same token.
    turn: Mutex<()>,
}

#[derive(Debug)]
struct Token {
    header: Secret,
    until: Instant,
}

#[derive(Deserialize)]
struct Answer {
    token: Option<String>,
    access_token: Option<String>,
    expires_in: Option<u64>,
}

impl Authenticator {
    pub(super) fn new(registry: &str, source: &Credentials) -> Self {
        Self {
            registry: registry.into(),
            source: source.clone(),
            credential: OnceLock::new(),
            basic: OnceLock::new(),
            tokens: Mutex::default(),
            turn: Mutex::default(),
        }
    }

    /// What to send with a request for `scope`, if anything was asked for before.
    pub(super) fn header(&self, scope: &str) -> Option<Secret> {
        if let Some(basic) = self.basic.get() {
            return Some(basic.clone());
        }
        let tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.get(scope).filter(|token| token.until > Instant::now()).map(|t| t.header.clone())
    }

    /// Whether the user has shown who it is.
    pub(super) fn has_credential(&self) -> bool {
        matches!(self.credential.get(), Some(Some(_)))
    }

    /// Texts that must not be shown, also if a server sends them back.
    pub(super) fn secrets(&self) -> Vec<Secret> {
        let mut secrets: Vec<Secret> = match self.credential.get() {
            Some(Some(Credential::Password { password, .. })) => vec![password.clone()],
            Some(Some(Credential::IdentityToken(token))) => vec![token.clone()],
            _ => Vec::new(),
        };
        let bare = |header: &Secret| {
            Secret::new(header.expose().split_once(' ').map_or("", |(_, secret)| secret))
        };
        secrets.extend(self.basic.get().map(bare));
        let tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        secrets.extend(tokens.values().map(|token| bare(&token.header)));
        secrets
    }

    /// Prepares the answer to `challenges` to a request that sent `sent`. Returns whether there is
    /// one that was not refused already.
    pub(super) fn answer(
        &self,
        transport: &Transport,
        base: &Url,
        challenges: &[Challenge],
        scope: &str,
        sent: Option<&Secret>,
    ) -> Result<bool, Failure> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        // Another thread may have had the same answer.
        if self.header(scope).is_some_and(|now| Some(&now) != sent) {
            return Ok(true);
        }
        let credential = self.credential()?;
        for challenge in challenges {
            match (challenge, credential) {
                (Challenge::Basic, Some(Credential::Password { username, password })) => {
                    let pair = format!("{username}:{}", password.expose());
                    let header = Secret::new(format!("Basic {}", STANDARD.encode(pair)));
                    let is_new = sent != Some(&header);
                    let _ = self.basic.set(header);
                    return Ok(is_new);
                }
                (Challenge::Basic, _) => {}
                (Challenge::Bearer { realm, service, scope: asked }, credential) => {
                    let realm = self.realm(transport, base, realm)?;
                    let scopes = scopes(scope, asked.as_deref());
                    let service = service.as_deref();
                    let token = fetch(transport, base, &realm, service, &scopes, credential)?;
                    let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
                    tokens.insert(scope.into(), token);
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    fn credential(&self) -> Result<Option<&Credential>, Failure> {
        if let Some(known) = self.credential.get() {
            return Ok(known.as_ref());
        }
        let found = match &self.source {
            Credentials::Anonymous => None,
            Credentials::Given(credential) => Some(credential.clone()),
            Credentials::Docker(config) => DockerConfig::find(config, &self.registry)?,
        };
        Ok(self.credential.get_or_init(|| found).as_ref())
    }

    /// The address of the token server, if a password may go there.
    fn realm(&self, transport: &Transport, base: &Url, realm: &str) -> Result<Url, Failure> {
        let refused = |why| Failure::Redirect { host: base.authority().into(), why };
        let realm = Url::parse(realm).map_err(refused)?;
        let (to_loopback, from_loopback) =
            (url::is_loopback(realm.host()), url::is_loopback(base.host()));
        if to_loopback && !from_loopback {
            return Err(refused("its token server would be on this machine"));
        }
        let allowed = transport.options().plain_http && realm.host() == base.host();
        if !realm.is_secure() && !to_loopback && !allowed {
            return Err(refused("its token server speaks plain HTTP, and could be anybody"));
        }
        Ok(realm)
    }
}

/// What is asked for: our own scope, and what the registry says is missing.
fn scopes<'s>(own: &'s str, asked: Option<&'s str>) -> Vec<&'s str> {
    const MOST: usize = 8;
    let mut scopes: Vec<&str> = own.split(' ').filter(|scope| !scope.is_empty()).collect();
    for scope in asked.unwrap_or_default().split(' ').filter(|scope| !scope.is_empty()) {
        if !scopes.contains(&scope) && scopes.len() < MOST {
            scopes.push(scope);
        }
    }
    scopes
}

fn fetch(
    transport: &Transport,
    base: &Url,
    realm: &Url,
    service: Option<&str>,
    scopes: &[&str],
    credential: Option<&Credential>,
) -> Result<Token, Failure> {
    let host = realm.authority();
    let form;
    let mut request = match credential {
        Some(Credential::IdentityToken(token)) => {
            let mut fields = vec![("grant_type", "refresh_token"), ("client_id", CLIENT_ID)];
            let joined = scopes.join(" ");
            fields.extend([("refresh_token", token.expose()), ("scope", &joined)]);
            fields.extend(service.map(|service| ("service", service)));
            let encoded = |(name, value): &(&str, &str)| format!("{name}={}", url::encode(value));
            form = fields.iter().map(encoded).collect::<Vec<_>>().join("&");
            Request::new(Method::POST, realm.clone())
                .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
                .body(Body::Bytes(form.as_bytes()))
        }
        _ => {
            let mut pairs: Vec<(&str, &str)> = Vec::new();
            pairs.extend(service.map(|service| ("service", service)));
            pairs.extend(scopes.iter().map(|scope| ("scope", *scope)));
            if let Some(Credential::Password { username, .. }) = credential {
                pairs.push(("account", username));
            }
            Request::new(Method::GET, realm.with_query(&pairs))
        }
    };
    if let Some(Credential::Password { username, password }) = credential {
        let pair = format!("{username}:{}", password.expose());
        request.authorization = Some(Secret::new(format!("Basic {}", STANDARD.encode(pair))));
    }
    let response = transport.send(&request)?;
    match response.status {
        StatusCode::OK => {}
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::BAD_REQUEST => {
            let (registry, detail) = (base.authority().into(), String::new());
            return Err(match credential {
                Some(_) => Failure::Denied { registry, detail },
                None => Failure::LoginNeeded { registry, detail },
            });
        }
        status if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
            let (status, detail) = (status.as_u16(), "from its token server".into());
            return Err(Failure::Busy { status, detail, wait: None });
        }
        status => {
            let why = format!("its token server answered {}", status.as_u16());
            return Err(Failure::protocol(host, why));
        }
    }
    let bytes = response.into_bytes("answer of the token server", MAX_ANSWER)?;
    // An error of JSON could quote the token.
    let answer: Answer = serde_json::from_slice(&bytes)
        .map_err(|_| Failure::protocol(host, "its token server gave no token"))?;
    let token = answer.token.or(answer.access_token).unwrap_or_default();
    let is_text = |byte: u8| byte.is_ascii_graphic();
    if token.is_empty() || token.len() > MAX_TOKEN || !token.bytes().all(is_text) {
        return Err(Failure::protocol(host, "its token server gave no token"));
    }
    let valid = answer.expires_in.unwrap_or(VALID).clamp(VALID, 24 * 3600);
    // A token that ends while its request is under way is of no use.
    let until = Instant::now() + Duration::from_secs(valid - VALID / 6);
    Ok(Token { header: Secret::new(format!("Bearer {token}")), until })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_registry_asks_for_is_added_and_bounded() {
        assert_eq!(scopes("a b", Some("b c")), ["a", "b", "c"]);
        let many = "x ".repeat(10) + "1 2 3 4 5 6 7 8 9";
        assert_eq!(scopes("", Some(&many)).len(), 8);
    }
}
