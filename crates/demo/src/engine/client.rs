//! Who asks the daemon: the docker command, or this program with the same requests.

use std::{
    io::{self, Read as _, Write as _},
    os::unix::net::UnixStream,
    path::Path,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::commands::ClientCommand;

/// No command takes longer.
const LONGEST: Duration = Duration::from_secs(20);
/// No answer is longer, in bytes.
const MAX_ANSWER: u64 = 1 << 20;

/// The client.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClientKind {
    /// The docker command.
    #[default]
    Docker,
    /// isolab's own requests, because this host has no docker command.
    Requests,
}

impl ClientKind {
    /// The docker command, if this host has it.
    pub(super) fn of_this_host() -> Self {
        let mut docker = Command::new("docker");
        docker.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        match docker.status() {
            Ok(status) if status.success() => Self::Docker,
            _ => Self::Requests,
        }
    }

    /// Does what `command` says at the daemon of that socket: what the client prints.
    pub(super) fn run(
        self,
        command: ClientCommand,
        socket: &Path,
        config: &Path,
    ) -> io::Result<String> {
        match self {
            Self::Docker => docker(&command.words(), socket, config),
            Self::Requests => requests(command, socket),
        }
    }
}

/// Runs the docker command, and kills it if it takes too long: it ignores gentler signals.
fn docker(words: &[&str], socket: &Path, config: &Path) -> io::Result<String> {
    let mut client = Command::new("docker")
        .args(words)
        .env("DOCKER_HOST", format!("unix://{}", socket.display()))
        .env("DOCKER_CONFIG", config)
        .env_remove("DOCKER_CONTEXT")
        .env_remove("DOCKER_TLS_VERIFY")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let streams = [
        client.stdout.take().map(|it| Box::new(it) as Box<dyn io::Read + Send>),
        client.stderr.take().map(|it| Box::new(it) as Box<dyn io::Read + Send>),
    ];
    let readers = streams.map(|stream| {
        thread::spawn(move || {
            let mut text = Vec::new();
            let _ = stream.map(|stream| stream.take(MAX_ANSWER).read_to_end(&mut text));
            String::from_utf8_lossy(&text).into_owned()
        })
    });
    let began = Instant::now();
    while client.try_wait()?.is_none() {
        if began.elapsed() > LONGEST {
            client.kill()?;
            client.wait()?;
        }
        thread::sleep(Duration::from_millis(5));
    }
    Ok(readers.map(|reader| reader.join().unwrap_or_default()).concat())
}

/// The requests that the docker command makes for the same.
fn requests(command: ClientCommand, socket: &Path) -> io::Result<String> {
    let post = |path: &str, body: Option<Value>| request(socket, "POST", path, body);
    request(socket, "HEAD", "/_ping", None)?;
    match command {
        ClientCommand::Run | ClientCommand::RunDetached => {
            let is_attached = command == ClientCommand::Run;
            let name = command.container().map_or(String::new(), |name| format!("?name={name}"));
            let host = match is_attached {
                true => json!({ "Memory": 64 << 20, "AutoRemove": true }),
                false => json!({}),
            };
            let body = json!({
                "Image": "demo", "Cmd": command.inside(), "AttachStdout": is_attached,
                "AttachStderr": is_attached, "HostConfig": host,
            });
            let (_, made) = post(&format!("/v1.47/containers/create{name}"), Some(body))?;
            let id = made["Id"].as_str().unwrap_or_default().to_owned();
            let path = format!("/v1.47/containers/{id}");
            if !is_attached {
                post(&format!("{path}/start"), None)?;
                return Ok(id);
            }
            let attach = format!("{path}/attach?stderr=1&stdout=1&stream=1");
            let streams = Upgraded::open(socket, &attach, None)?;
            let mut wait = send(socket, "POST", &format!("{path}/wait?condition=removed"), None)?;
            post(&format!("{path}/start"), None)?;
            let output = streams.read()?;
            (&mut wait).take(MAX_ANSWER).read_to_end(&mut Vec::new())?;
            Ok(output)
        }
        ClientCommand::Exec => {
            let body = json!({
                "Cmd": command.inside(), "AttachStdout": true, "AttachStderr": true,
            });
            request(socket, "GET", "/v1.47/containers/web/json", None)?;
            let (_, made) = post("/v1.47/containers/web/exec", Some(body))?;
            let id = made["Id"].as_str().unwrap_or_default();
            let start = format!("/v1.47/exec/{id}/start");
            let output =
                Upgraded::open(socket, &start, Some(json!({ "Detach": false })))?.read()?;
            request(socket, "GET", &format!("/v1.47/exec/{id}/json"), None)?;
            Ok(output)
        }
        ClientCommand::Logs => {
            request(socket, "GET", "/v1.47/containers/web/json", None)?;
            let path = "/v1.47/containers/web/logs?stderr=1&stdout=1&tail=5";
            let mut bytes = Vec::new();
            send(socket, "GET", path, None)?.take(MAX_ANSWER).read_to_end(&mut bytes)?;
            let body = bytes.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4);
            Ok(without_heads(&unchunked(&bytes[body.unwrap_or(bytes.len())..])))
        }
    }
}

/// A request over a connection of its own, whose answer follows.
fn send(socket: &Path, method: &str, path: &str, body: Option<Value>) -> io::Result<UnixStream> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(LONGEST))?;
    let body = body.map_or(String::new(), |body| body.to_string());
    let text = format!(
        "{method} {path} HTTP/1.1\r\nHost: isolab\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(text.as_bytes())?;
    Ok(stream)
}

/// Status and body of the answer to a request.
///
/// # Errors
///
/// When there is no daemon, or no whole answer in time.
pub(super) fn request(
    socket: &Path,
    method: &str,
    path: &str,
    body: Option<Value>,
) -> io::Result<(u16, Value)> {
    let mut answer = Vec::new();
    send(socket, method, path, body)?.take(MAX_ANSWER).read_to_end(&mut answer)?;
    let text = String::from_utf8_lossy(&answer);
    let status = text.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    let body = text.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    Ok((status, serde_json::from_str(body).unwrap_or_default()))
}

/// A connection that carries a container's output.
struct Upgraded(UnixStream);

impl Upgraded {
    fn open(socket: &Path, path: &str, body: Option<Value>) -> io::Result<Self> {
        let mut stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(LONGEST))?;
        let body = body.map_or(String::new(), |body| body.to_string());
        let text = format!(
            "POST {path} HTTP/1.1\r\nHost: isolab\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(text.as_bytes())?;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") && head.len() < 4096 {
            let mut byte = [0];
            stream.read_exact(&mut byte)?;
            head.push(byte[0]);
        }
        Ok(Self(stream))
    }

    fn read(self) -> io::Result<String> {
        let mut bytes = Vec::new();
        self.0.take(MAX_ANSWER).read_to_end(&mut bytes)?;
        Ok(without_heads(&bytes))
    }
}

/// The pieces of a stream without their heads of eight bytes (Docker Engine API, "Stream format").
fn without_heads(mut bytes: &[u8]) -> String {
    let mut text = Vec::new();
    while let Some((head, rest)) = bytes.split_first_chunk::<8>() {
        let length = u32::from_be_bytes([head[4], head[5], head[6], head[7]]) as usize;
        let (piece, behind) = rest.split_at(length.min(rest.len()));
        text.extend_from_slice(piece);
        bytes = behind;
    }
    String::from_utf8_lossy(&text).into_owned()
}

/// The pieces of a chunked body, joined (RFC 9112, section 7.1).
fn unchunked(mut bytes: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    while let Some(at) = bytes.windows(2).position(|two| two == b"\r\n") {
        let length = std::str::from_utf8(&bytes[..at]).ok();
        let length = length.and_then(|text| usize::from_str_radix(text, 16).ok()).unwrap_or(0);
        let rest = &bytes[at + 2..];
        let (piece, behind) = rest.split_at(length.min(rest.len()));
        whole.extend_from_slice(piece);
        bytes = behind.get(2..).unwrap_or_default();
        if length == 0 {
            break;
        }
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_and_chunks_are_taken_apart() {
        let framed = b"\x01\0\0\0\0\0\0\x03hi\n\x02\0\0\0\0\0\0\x02no";
        assert_eq!(without_heads(framed), "hi\nno");
        assert_eq!(without_heads(b"\x01\0\0\0\xff\xff\xff\xffcut"), "cut");
        assert_eq!(unchunked(b"2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"), b"abc");
        assert_eq!(unchunked(b"zz\r\nx"), b"");
    }
}
