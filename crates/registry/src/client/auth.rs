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
//! Source: distribution.github.io, "Token Authentication Specification".

use std::{
    collections::HashMap,
    sync::{Mutex, OnceLock, PoisonError},
    time::Instant,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{
    Credentials, Failure,
    challenge::Challenge,
    token::{self, Token},
    transport::Transport,
    url::{self, Url},
};
use crate::credentials::{Credential, DockerConfig, Secret};

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
                    let registry = &self.registry;
                    let token =
                        token::fetch(transport, registry, &realm, service, &scopes, credential)?;
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
