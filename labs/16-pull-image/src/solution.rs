//! Lab 16, solved.
//!
//! `registry::client` is the same for the registries of the world: with TLS, credentials, several
//! layers at once, and waiting where a registry asks for it.

use std::{
    fs::{self, File},
    io::{self, Read},
    process::ExitCode,
};

use pull_image::{Answer, Descriptor, Digest, Get, MANIFEST, Repository, Response, Store, http};
use serde_json::Value;

pub(crate) fn invalid(why: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why.into())
}

fn get(repository: &mut Repository, path: &str, headers: &[(&str, &str)]) -> io::Result<Response> {
    let first = send(repository, path, headers)?;
    if first.status != 401 {
        return Ok(first);
    }
    let asks = first.header("WWW-Authenticate").ok_or_else(|| invalid("a 401 without a way"))?;
    let value = |name| parameter(asks, name).ok_or_else(|| invalid(format!("no {name} in {asks}")));
    let path_of_token = format!("/token?service={}&scope={}", value("service")?, value("scope")?);
    repository.token = Some(token(repository, &path_of_token)?);
    send(repository, path, headers)
}

pub(crate) fn send(
    repository: &Repository,
    path: &str,
    headers: &[(&str, &str)],
) -> io::Result<Response> {
    let bearer = repository.token.as_ref().map(|token| format!("Bearer {token}"));
    let mut headers = headers.to_vec();
    headers.extend(bearer.as_ref().map(|bearer| ("Authorization", &**bearer)));
    http::get(&repository.registry, path, &headers)
}

pub(crate) fn token(repository: &Repository, path: &str) -> io::Result<String> {
    let mut answer = String::new();
    http::get(&repository.registry, path, &[])?.read_to_string(&mut answer)?;
    let answer: Value = serde_json::from_str(&answer)?;
    Ok(answer["token"].as_str().ok_or_else(|| invalid("no token"))?.to_owned())
}

pub(crate) fn parameter<'h>(header: &'h str, name: &str) -> Option<&'h str> {
    header.split_once(&format!("{name}=\""))?.1.split_once('"').map(|(value, _)| value)
}

fn manifest(get: Get, repository: &mut Repository, reference: &str) -> io::Result<Vec<u8>> {
    let path = format!("/v2/{}/manifests/{reference}", repository.name);
    let mut response = get(repository, &path, &[("Accept", MANIFEST)])?;
    if response.status != 200 {
        return Err(invalid(format!("{path}: status {}", response.status)));
    }
    let mut bytes = Vec::new();
    response.read_to_end(&mut bytes)?;
    if reference.parse().is_ok_and(|digest: Digest| digest != Digest::of(&bytes)) {
        return Err(invalid(format!("{path}: the bytes have the digest {}", Digest::of(&bytes))));
    }
    Ok(bytes)
}

fn blob(
    get: Get,
    repository: &mut Repository,
    wanted: &Descriptor,
    store: &Store,
) -> io::Result<()> {
    let (partial, whole) = (store.partial(&wanted.digest), store.blob(&wanted.digest));
    if whole.exists() {
        return Ok(());
    }
    let path = format!("/v2/{}/blobs/{}", repository.name, wanted.digest);
    let there = fs::metadata(&partial).map_or(0, |found| found.len());
    let range = format!("bytes={there}-");
    let headers = [("Range", &*range)];
    let mut response = get(repository, &path, if there == 0 { &[] } else { &headers })?;
    match response.status {
        206 => {
            let mut file = File::options().append(true).open(&partial)?;
            io::copy(&mut response, &mut file)?;
        }
        200 => {
            io::copy(&mut response, &mut File::create(&partial)?)?;
        }
        // Nothing is missing.
        416 => {}
        other => return Err(invalid(format!("{path}: status {other}"))),
    }
    if Digest::of(&fs::read(&partial)?) != wanted.digest {
        fs::remove_file(&partial)?;
        return Err(invalid(format!("{path}: other bytes than those of the digest")));
    }
    fs::rename(partial, whole)
}

/// The right answers; a wrong one is these but for what is wrong.
pub(crate) const ANSWER: Answer = Answer { get, manifest, blob };

fn main() -> ExitCode {
    pull_image::program(&ANSWER)
}
