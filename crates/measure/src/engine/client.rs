//! The client: the requests of `docker run --rm`, in their order.

use std::{
    io::{self, BufReader, Read, Write},
    os::unix::net::UnixStream,
    path::PathBuf,
};

use serde_json::{Map, Value, json};

use super::{IMAGE, PROGRAM, http::Http};

/// What a client asks for.
#[derive(Debug, Clone)]
pub struct ClientOptions {
    /// The daemon's socket.
    pub socket: PathBuf,
    /// The runtime; `None` means the daemon's own choice.
    pub runtime: Option<String>,
    /// Docker's network mode: `none`, `host`.
    pub network: String,
}

/// Runs the image's program, writes its output to standard output, and gives its exit code once the
/// daemon has removed it.
///
/// # Errors
///
/// When the daemon cannot be reached or refuses.
pub fn run(options: &ClientOptions) -> io::Result<u8> {
    let connect = || Http::connect(&options.socket);
    let mut http = connect()?;
    http.request("HEAD", "/_ping")?;
    let body = body(options).to_string();
    let created = http.post("/containers/create", "application/json", body.as_bytes())?;
    let created = created.json(201)?;
    let id = created["Id"].as_str().ok_or_else(|| io::Error::other("it has no id"))?;
    let attached = format!("/containers/{id}/attach?stream=1&stdout=1&stderr=1");
    let mut output = connect()?.upgrade(&attached)?;
    let mut waiting = connect()?;
    // Its head comes before the start.
    let waits = waiting.begin(&format!("/containers/{id}/wait?condition=removed"))?;
    let started = http.request("POST", &format!("/containers/{id}/start"))?;
    if started.status != 204 {
        return Err(io::Error::other(started.text()));
    }
    copy(&mut output)?;
    let code = waits.wait()?.json(200)?["StatusCode"].as_u64();
    code.and_then(|code| u8::try_from(code).ok())
        .ok_or_else(|| io::Error::other("it has no exit code"))
}

fn body(options: &ClientOptions) -> Value {
    let mut host = Map::new();
    host.insert("AutoRemove".into(), true.into());
    host.insert("NetworkMode".into(), options.network.clone().into());
    host.extend(options.runtime.clone().map(|runtime| ("Runtime".to_owned(), runtime.into())));
    json!({
        "Image": IMAGE, "Cmd": [PROGRAM], "AttachStdout": true, "AttachStderr": true,
        "HostConfig": host,
    })
}

/// Passes on what comes in frames, each of which says whether it is output or errors.
fn copy(from: &mut BufReader<UnixStream>) -> io::Result<()> {
    const ERRORS: u8 = 2;
    loop {
        let mut header = [0; 8];
        match from.read_exact(&mut header) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            read => read?,
        }
        let [stream, _, _, _, length @ ..] = header;
        let mut payload = from.take(u32::from_be_bytes(length).into());
        match stream {
            ERRORS => io::copy(&mut payload, &mut io::stderr())?,
            _ => io::copy(&mut payload, &mut io::stdout())?,
        };
        io::stdout().flush()?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_names_a_runtime_only_if_it_wants_one() {
        let options = |runtime: Option<&str>| ClientOptions {
            socket: "/x".into(),
            runtime: runtime.map(Into::into),
            network: "none".into(),
        };
        assert!(body(&options(None))["HostConfig"].get("Runtime").is_none());
        assert_eq!(body(&options(Some("process")))["HostConfig"]["Runtime"], "process");
    }
}
