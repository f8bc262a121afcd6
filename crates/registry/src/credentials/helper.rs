//! Credential helpers: programs that keep secrets in a system's keychain.
//!
//! ```text
//!   docker-credential-NAME get     <- the server's key          -> {"Username":..,"Secret":..}
//!                          store   <- {"ServerURL":..,"Username":..,"Secret":..}
//!                          erase   <- the server's key
//! ```
//!
//! A secret goes through a pipe, never through an argument: everybody can read those in /proc.
//!
//! Source: github.com/docker/docker-credential-helpers.

use std::{
    io::{Read as _, Write as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use serde_json::{Value, json};

use super::{Credential, CredentialsError, Secret};
use crate::text;

/// More than any secret needs.
const MAX_ANSWER: u64 = 64 << 10;

/// The user name that marks an identity token.
const TOKEN_USER: &str = "<token>";

/// A helper that a user has configured.
#[derive(Debug)]
pub(super) struct Helper {
    name: String,
    program: PathBuf,
    timeout: Duration,
}

impl Helper {
    /// The helper `name`, found by `PATH`, or in `folder` if there is one.
    pub(super) fn new(
        name: &str,
        folder: Option<&Path>,
        timeout: Duration,
    ) -> Result<Self, CredentialsError> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if name.is_empty() || !name.bytes().all(is_plain) {
            let why = "its name is not made of letters, digits, '.', '_' and '-'".into();
            return Err(CredentialsError::Helper { name: text::clean(name, 80), why });
        }
        let program = format!("docker-credential-{name}");
        let program = folder.map_or_else(|| program.clone().into(), |folder| folder.join(&program));
        Ok(Self { name: name.into(), program, timeout })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// What it keeps for `key`.
    pub(super) fn get(&self, key: &str) -> Result<Option<Credential>, CredentialsError> {
        let Some(answer) = self.run("get", key.as_bytes())? else { return Ok(None) };
        let answer: Option<Value> = serde_json::from_slice(&answer).ok();
        let field = |name| answer.as_ref()?.get(name)?.as_str().map(str::to_owned);
        match (field("Username"), field("Secret")) {
            (Some(user), Some(secret)) if user == TOKEN_USER => {
                Ok(Some(Credential::IdentityToken(Secret::new(secret))))
            }
            (Some(username), Some(secret)) => {
                Ok(Some(Credential::Password { username, password: Secret::new(secret) }))
            }
            _ => Err(self.error("its answer has no user name and secret")),
        }
    }

    /// Has it keep `credential` for `key`.
    pub(super) fn store(&self, key: &str, credential: &Credential) -> Result<(), CredentialsError> {
        let (username, secret) = match credential {
            Credential::Password { username, password } => (&**username, password),
            Credential::IdentityToken(token) => (TOKEN_USER, token),
        };
        let entry = json!({ "ServerURL": key, "Username": username, "Secret": secret.expose() });
        let stored = self.run("store", entry.to_string().as_bytes())?;
        stored.map(|_| ()).ok_or_else(|| self.error("it did not find where to store"))
    }

    /// Has it forget what it keeps for `key`; returns whether there was anything.
    pub(super) fn erase(&self, key: &str) -> Result<bool, CredentialsError> {
        Ok(self.run("erase", key.as_bytes())?.is_some())
    }

    /// Its answer; `None` if it does not know the server.
    fn run(&self, action: &str, input: &[u8]) -> Result<Option<Vec<u8>>, CredentialsError> {
        let mut command = Command::new(&self.program);
        command.arg(action).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let started = command.spawn();
        let mut child = started.map_err(|error| {
            self.error(&format!("{} cannot be run: {error}", self.program.display()))
        })?;
        let (mut stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let input = input.to_vec();
        let (sender, answer) = mpsc::channel();
        // Not joined: what the helper started may keep the pipe open for ever.
        thread::spawn(move || {
            // One that ends without reading is judged by its status.
            let _ = stdin.as_mut().map(|pipe| pipe.write_all(&input));
            drop(stdin);
            let mut bytes = Vec::new();
            let read = stdout.map(|pipe| pipe.take(MAX_ANSWER).read_to_end(&mut bytes));
            let _ = sender.send(read.is_some_and(|read| read.is_ok()).then_some(bytes));
        });
        let answer = answer.recv_timeout(self.timeout).ok().flatten();
        if answer.is_none() {
            let _ = child.kill();
        }
        let status = child.wait().map_err(|error| self.error(&error.to_string()))?;
        let Some(answer) = answer else {
            let seconds = self.timeout.as_secs();
            return Err(self.error(&format!("`{action}` did not answer within {seconds} s")));
        };
        if status.success() {
            return Ok(Some(answer));
        }
        let said = text::clean(&String::from_utf8_lossy(&answer), 200);
        if said.contains("credentials not found") {
            return Ok(None);
        }
        // What looks like an entry could contain a secret.
        let said = if said.contains('{') { String::new() } else { format!(": {said}") };
        Err(self.error(&format!("`{action}` failed with {status}{said}")))
    }

    fn error(&self, why: &str) -> CredentialsError {
        CredentialsError::Helper { name: self.name.clone(), why: why.into() }
    }
}
