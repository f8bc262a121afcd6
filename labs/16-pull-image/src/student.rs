//! Lab 16: pull an image from a registry.
//!
//! Write the three functions. `isolab lab check 16` tells you how far you are.
#![allow(unused, clippy::needless_pass_by_value, reason = "until all steps are written")]

use std::{
    fs::{self, File},
    io::{self, Read},
    process::ExitCode,
};

use pull_image::{Answer, Descriptor, Digest, Get, MANIFEST, Repository, Response, Store, http};
use serde_json::Value;

/// `GET path` of the repository's registry, with these headers and, if there is a token, with
/// `Authorization: Bearer TOKEN`. `http::get(&repository.registry, path, &headers)` sends it.
///
/// If the status is 401, with a token or without, the header `WWW-Authenticate` says where one is to be
/// had: `Bearer realm="http://HOST:PORT/token",service="SERVICE",scope="SCOPE"`. Get one by
/// `GET /token?service=SERVICE&scope=SCOPE` (the answer is JSON with the token as `token`), keep it in
/// `repository.token` for the requests that follow, and ask again, once, with the same headers.
/// [`parameter`] finds a value.
fn get(repository: &mut Repository, path: &str, headers: &[(&str, &str)]) -> io::Result<Response> {
    todo!("lab 16, step 1: ask, get a token if it takes one, ask again")
}

/// The value of `name="VALUE"` in a header.
fn parameter<'h>(header: &'h str, name: &str) -> Option<&'h str> {
    header.split_once(&format!("{name}=\""))?.1.split_once('"').map(|(value, _)| value)
}

/// The manifest that `reference`, a tag or a digest, names: `/v2/NAME/manifests/REFERENCE`.
///
/// The request says by `Accept` that the client knows the media type [`MANIFEST`]. A status other than
/// 200 is an error that names the status. If `reference` is a digest (`reference.parse::<Digest>()`
/// tells), bytes with another digest are an error too.
///
/// `get` is your function of step 1.
fn manifest(get: Get, repository: &mut Repository, reference: &str) -> io::Result<Vec<u8>> {
    let path = format!("/v2/{}/manifests/{reference}", repository.name);
    let response = get(repository, &path, &[])?;
    todo!("lab 16, step 2: a header, the status, the body, its digest")
}

/// Fetches a blob into the store, `/v2/NAME/blobs/DIGEST`, unless it is there already.
///
/// - Bytes go to `store.partial(digest)` as they arrive. `store.blob(digest)` exists only when the blob
///   is whole and its digest verified: rename(2) makes it so at once.
/// - If the connection breaks, return the error and leave the partial file. The function is called
///   again, and then goes on with what is there: `Range: bytes=N-` asks for what follows N bytes.
///   206 is that; 200 is all of it, from the start; 416 says that nothing follows, so what is there
///   may be the whole.
/// - If what has arrived is not what the digest says, remove the partial file, and return an error.
///   The function is called again, and begins anew.
fn blob(
    get: Get,
    repository: &mut Repository,
    wanted: &Descriptor,
    store: &Store,
) -> io::Result<()> {
    todo!("lab 16, step 3: what is there, what is missing, is it right?")
}

fn main() -> ExitCode {
    pull_image::program(&Answer { get, manifest, blob })
}
