//! A token is asked for once, and good for ever.

use std::{io, process::ExitCode};

use pull_image::{Answer, Repository, Response};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

use solution::{invalid, parameter, send, token};

fn get(repository: &mut Repository, path: &str, headers: &[(&str, &str)]) -> io::Result<Response> {
    let first = send(repository, path, headers)?;
    if first.status != 401 || repository.token.is_some() {
        return Ok(first);
    }
    let asks = first.header("WWW-Authenticate").ok_or_else(|| invalid("a 401 without a way"))?;
    let value = |name| parameter(asks, name).ok_or_else(|| invalid(format!("no {name} in {asks}")));
    let path_of_token = format!("/token?service={}&scope={}", value("service")?, value("scope")?);
    repository.token = Some(token(repository, &path_of_token)?);
    send(repository, path, headers)
}

fn main() -> ExitCode {
    pull_image::program(&Answer { get, ..solution::ANSWER })
}
