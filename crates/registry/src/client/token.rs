//! Tokens: what a token server gives for a user's password, or to anybody.
//!
//! Source: distribution.github.io, "Token Authentication Specification"; RFC 6749, section 6.

use std::time::{Duration, Instant};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Deserialize;
use ureq::http::{Method, StatusCode, header};

use super::{
    Failure,
    message::{Body, Request},
    transport::Transport,
    url::{self, Url},
};
use crate::credentials::{Credential, Secret};

/// Larger than any token that fits into a header.
const MAX_ANSWER: u64 = 256 << 10;
const MAX_TOKEN: usize = 48 << 10;

/// What a token server means that does not say how long its token is valid.
const VALID: u64 = 60;

/// The name under which token servers know the client.
const CLIENT_ID: &str = "isolab";

/// A token, as it is sent.
#[derive(Debug)]
pub(super) struct Token {
    pub(super) header: Secret,
    pub(super) until: Instant,
}

#[derive(Deserialize)]
struct Answer {
    token: Option<String>,
    access_token: Option<String>,
    expires_in: Option<u64>,
}

/// Asks the token server at `realm` for a token for `registry`.
pub(super) fn fetch(
    transport: &Transport,
    registry: &str,
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
            let (registry, detail) = (registry.into(), String::new());
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
