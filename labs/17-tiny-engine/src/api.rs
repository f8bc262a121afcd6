//! Docker's API, as far as it is here: which request is answered by which function.

use std::{fs, io, os::unix::net::UnixStream};

use rustix::rand::{GetRandomFlags, getrandom};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    Container, Engine, Refusal, State,
    http::{Request, Response},
};

impl Engine {
    /// Reads a client's request and answers it. Errors are the client's: it is gone, or does not
    /// speak HTTP.
    ///
    /// # Errors
    ///
    /// Those of the connection.
    pub fn answer(&self, client: &UnixStream) -> io::Result<()> {
        let request = Request::read(client)?;
        let response = self.response(&request).unwrap_or_else(|refusal| match refusal {
            Refusal::Unknown => Response::message(404, "No such container"),
            Refusal::AlreadyStarted => Response::empty(304),
            Refusal::Conflict => Response::message(409, "The container is running"),
            Refusal::Failed(error) => Response::message(500, &error.to_string()),
        });
        response.write(client)
    }

    /// The part of Docker's API that is here.
    fn response(&self, request: &Request) -> Result<Response, Refusal> {
        let words: Vec<&str> = request.path.split('/').skip(1).collect();
        match (&*request.method, &words[..]) {
            ("POST", ["containers", "create"]) => self.create(&request.body),
            ("GET", ["containers", "json"]) => self.list(),
            (_, ["containers", id, ..]) if !is_id(id) => Err(Refusal::Unknown),
            ("GET", ["containers", id, "json"]) => {
                let container = self.current(id)?.ok_or(Refusal::Unknown)?;
                Ok(Response::json(200, &description(&container)))
            }
            ("GET", ["containers", id, "logs"]) => {
                self.load(id)?.ok_or(Refusal::Unknown)?;
                Ok(Response::text(fs::read(self.log(id)).unwrap_or_default()))
            }
            ("POST", ["containers", id, "start"]) => {
                let _one_at_a_time = self.lock();
                (self.answer.start)(self, id).map(|()| Response::empty(204))
            }
            ("POST", ["containers", id, "wait"]) => {
                Ok(Response::json(200, &json!({ "StatusCode": self.wait(id)? })))
            }
            ("DELETE", ["containers", id]) => {
                let _one_at_a_time = self.lock();
                let force = ["force=1", "force=true"].contains(&&*request.query);
                (self.answer.remove)(self, id, force).map(|()| Response::empty(204))
            }
            _ => Ok(Response::message(404, "page not found")),
        }
    }

    fn create(&self, body: &[u8]) -> Result<Response, Refusal> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Config {
            cmd: Vec<String>,
        }
        let Ok(Config { cmd: command }) = serde_json::from_slice(body) else {
            return Ok(Response::message(400, "the body is not a JSON object with Cmd"));
        };
        let mut bytes = [0; 32];
        getrandom(&mut bytes, GetRandomFlags::empty())?;
        let id: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        fs::create_dir(self.container(&id))?;
        self.save(&Container { id: id.clone(), command, state: State::Created })?;
        Ok(Response::json(201, &json!({ "Id": id, "Warnings": [] })))
    }

    fn list(&self) -> Result<Response, Refusal> {
        let mut all = Vec::new();
        for entry in fs::read_dir(self.containers())? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            // One that is being created or removed has no state.
            all.extend(self.current(&name)?.as_ref().map(description));
        }
        Ok(Response::json(200, &Value::Array(all)))
    }
}

/// Whether it can be an id, and is not a path to somewhere else.
fn is_id(word: &str) -> bool {
    word.len() == 64 && word.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// What a client is told of a container.
fn description(container: &Container) -> Value {
    let (status, pid, code) = match container.state {
        State::Created => ("created", 0, 0),
        State::Running { pid, .. } => ("running", pid, 0),
        State::Exited { code } => ("exited", 0, code),
    };
    json!({
        "Id": container.id,
        "Config": { "Cmd": container.command },
        "State": {
            "Status": status, "Running": status == "running", "Pid": pid, "ExitCode": code,
        },
    })
}
