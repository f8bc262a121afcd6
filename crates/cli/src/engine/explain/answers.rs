//! What the stand-in answers: enough that a client goes on to its end.

use serde_json::{Value, json};

/// An id such as a daemon gives.
const ID: &str = "e1a0e1a0e1a0e1a0e1a0e1a0e1a0e1a0e1a0e1a0e1a0e1a0e1a0e1a0e1a0e1a0";
/// The newest version of the API that clients are to speak.
const VERSION: &str = "1.47";

/// An answer.
pub(super) enum Answer {
    /// JSON with that status.
    Json(u16, Value),
    /// Several values of JSON, as a daemon reports progress.
    Lines(Vec<Value>),
    /// A body of that type.
    Raw(&'static str, Vec<u8>),
    /// No body, with that status.
    Empty(u16),
    /// Streams over this connection from now on, which end at once.
    Hijacked,
}

/// The answer to a request; the path is without its version.
pub(super) fn answer(method: &str, path: &str) -> Answer {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let ok = |value: Value| Answer::Json(200, value);
    let none = || ok(json!([]));
    match (method, parts.as_slice()) {
        (_, ["_ping"]) => Answer::Raw("text/plain", b"OK".into()),
        (_, ["version"]) => ok(json!({
            "Version": "27.0", "ApiVersion": VERSION, "MinAPIVersion": "1.24", "Os": "linux",
            "Arch": "amd64",
        })),
        (_, ["info"]) => ok(json!({ "ID": ID, "Name": "stand-in", "OSType": "linux" })),
        (_, ["events"]) => Answer::Lines(Vec::new()),
        (_, ["auth"]) => ok(json!({ "Status": "Login Succeeded", "IdentityToken": "" })),
        (_, ["system", "df"]) => ok(json!({})),
        (_, ["session" | "grpc"]) => Answer::Json(404, json!({ "message": "page not found" })),
        (_, ["swarm" | "nodes" | "services" | "tasks" | "secrets" | "configs", ..]) => {
            Answer::Json(503, json!({ "message": "This node is not a swarm manager." }))
        }
        (_, [_, "prune"]) => ok(json!({ "SpaceReclaimed": 0 })),
        (_, ["build"]) => Answer::Lines(vec![
            json!({ "stream": "Step 1/1 : nothing is built\n" }),
            json!({ "aux": { "ID": format!("sha256:{ID}") } }),
        ]),
        (_, ["commit"]) => made(),

        (_, ["containers", "create"]) => Answer::Json(201, json!({ "Id": ID, "Warnings": [] })),
        ("GET", ["containers", "json"]) => none(),
        (_, ["containers", _, "json"]) => ok(container()),
        (_, ["containers", _, "exec"] | ["networks", "create"]) => made(),
        (_, ["containers", _, "attach"] | ["exec", _, "start"]) => Answer::Hijacked,
        (_, ["containers", _, "wait"]) => ok(json!({ "StatusCode": 0 })),
        (_, ["containers", _, "logs"]) => {
            Answer::Raw("application/vnd.docker.raw-stream", Vec::new())
        }
        (_, ["containers", _, "top"]) => ok(json!({ "Titles": ["PID", "CMD"], "Processes": [] })),
        (_, ["containers", _, "stats"]) => ok(json!({ "name": "/stand-in", "id": ID })),
        (_, ["containers", _, "changes"]) => none(),
        (_, ["containers", _, "update"]) => ok(json!({ "Warnings": [] })),
        ("PUT", ["containers", _, "archive"]) | (_, ["containers", _, "resize"]) => {
            Answer::Empty(200)
        }
        (_, ["containers", _, "archive" | "export"]) => archive(),
        (_, ["containers", ..]) => Answer::Empty(204),
        (_, ["exec", _, "json"]) => ok(json!({ "ID": ID, "ExitCode": 0, "Running": false })),
        (_, ["exec", ..]) => Answer::Empty(200),

        (_, ["images", "json" | "search"] | ["images", .., "history"]) => none(),
        (_, ["images", "create"] | ["images", .., "push"]) => {
            Answer::Lines(vec![json!({ "status": "the stand-in transfers nothing" })])
        }
        (_, ["images", "load"]) => Answer::Lines(vec![json!({ "stream": "nothing is loaded\n" })]),
        (_, ["images", .., "get"]) => archive(),
        (_, ["images", .., "json"]) => ok(json!({
            "Id": format!("sha256:{ID}"), "RepoTags": [], "Os": "linux", "Architecture": "amd64",
            "Config": {}, "RootFS": { "Type": "layers" },
        })),
        (_, ["images", .., "tag"]) => Answer::Empty(201),
        ("DELETE", ["images", ..]) => ok(json!([{ "Deleted": format!("sha256:{ID}") }])),

        ("GET", ["networks"]) => none(),
        ("GET", ["networks", name]) => ok(json!({ "Name": name, "Id": ID, "Driver": "bridge" })),
        ("DELETE", ["networks" | "volumes", _]) => Answer::Empty(204),
        (_, ["networks", ..]) => Answer::Empty(200),
        ("GET", ["volumes"]) => ok(json!({ "Volumes": [], "Warnings": [] })),
        (_, ["volumes", name]) => {
            let status = if method == "POST" { 201 } else { 200 };
            Answer::Json(status, json!({ "Name": name, "Driver": "local", "Mountpoint": "/" }))
        }
        _ => Answer::Json(404, json!({ "message": "page not found" })),
    }
}

fn made() -> Answer {
    Answer::Json(201, json!({ "Id": ID }))
}

/// An archive without files (tar(5)): two blocks of zeros.
fn archive() -> Answer {
    Answer::Raw("application/x-tar", vec![0; 1024])
}

fn container() -> Value {
    json!({
        "Id": ID, "Name": "/stand-in", "Image": format!("sha256:{ID}"), "Created": "2000-01-01T00:00:00Z",
        "Config": { "Tty": false, "OpenStdin": true, "Cmd": [], "Image": "image" },
        "HostConfig": { "LogConfig": { "Type": "json-file" } },
        "State": { "Status": "running", "Running": true, "Pid": 1, "ExitCode": 0 },
        "NetworkSettings": { "Networks": {} }, "Mounts": [],
    })
}

impl Answer {
    /// As HTTP; of an answer to HEAD only the head. The connection is closed after one that is
    /// `Hijacked`.
    pub(super) fn write(&self, is_head: bool) -> Vec<u8> {
        let (status, kind, body) = match self {
            Self::Json(status, value) => {
                (*status, "application/json", format!("{value}\n").into_bytes())
            }
            Self::Lines(values) => {
                let lines: String = values.iter().map(|value| format!("{value}\r\n")).collect();
                (200, "application/json", lines.into_bytes())
            }
            Self::Raw(kind, body) => (200, *kind, body.clone()),
            Self::Empty(status) => (*status, "text/plain", Vec::new()),
            Self::Hijacked => {
                return b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\
                         Content-Type: application/vnd.docker.raw-stream\r\n\r\n"
                    .into();
            }
        };
        // base64 of {"name":"x","size":0,"mode":2147484141,"mtime":"2000-01-01T00:00:00Z"}: a
        // directory.
        let stat = "eyJuYW1lIjoieCIsInNpemUiOjAsIm1vZGUiOjIxNDc0ODQxNDEsIm10aW1lIjoiMjAwMC0wMS0wMVQw\
                    MDowMDowMFoifQ==";
        let mut text = format!(
            "HTTP/1.1 {status} Answer\r\nApi-Version: {VERSION}\r\nOstype: linux\r\n\
             Builder-Version: 1\r\nServer: isolab\r\nContent-Type: {kind}\r\n\
             X-Docker-Container-Path-Stat: {stat}\r\n"
        );
        if status != 204 {
            text += &format!("Content-Length: {}\r\n", body.len());
        }
        let mut bytes = (text + "\r\n").into_bytes();
        if !is_head {
            bytes.extend(body);
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_as_long_as_it_says() {
        let text = String::from_utf8(answer("GET", "containers/x/json").write(false)).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(
            head.contains(&format!("Content-Length: {}\r\n", body.len()))
                || head.ends_with(&format!("Content-Length: {}", body.len()))
        );
        assert!(!answer("POST", "containers/x/start").write(false).ends_with(b"}"));
        let head = answer("HEAD", "_ping").write(true);
        assert!(head.ends_with(b"\r\n\r\n"));
    }
}
